/* SPDX-License-Identifier: MIT */
/*
 * The dentry cache: a hash by parent and name, so that a walk through known names touches no
 * directory. Names known not to exist are kept too. Unused dentries wait in an LRU list.
 *
 * Invariants: a hashed dentry's parent is alive (children hold their parents). A dentry with no
 * reference is hashed and in the LRU; an unhashed one is freed with its last reference. References
 * reach and leave zero under g_dcache_lock only, so whoever holds the lock may use what it finds.
 */
#include <kernel/alloc.h>
#include <kernel/printk.h>
#include <kernel/random.h>

#include "internal.h"

#define HASH_INITIAL  1024u
#define DENTRY_LIMIT  65536u /* beyond it each new dentry frees old ones */
#define SHRINK_BATCH  32u
#define PRESSURE_BATCH 4096u

spinlock_t g_dcache_lock = SPINLOCK_INIT("dcache");
static struct dentry *g_hash_first[HASH_INITIAL];
static struct dentry **g_hash GUARDED_BY(&g_dcache_lock) = g_hash_first;
static u32 g_hash_mask GUARDED_BY(&g_dcache_lock) = HASH_INITIAL - 1;
static u64 g_dentry_count GUARDED_BY(&g_dcache_lock);
static struct list g_lru GUARDED_BY(&g_dcache_lock) = LIST_INIT(g_lru);
static u64 g_hash_seed; /* set once at boot */
static bool g_pressure; /* atomic: memory was short; the next insertion frees unused dentries */

#define HASH_MULT 0x9e3779b97f4a7c15UL

u32 name_hash(const char *name, size_t size)
{
    u64 h = size ^ g_hash_seed, w;

    for (; size >= 8; size -= 8, name += 8) {
        __builtin_memcpy(&w, name, 8);
        h = (h ^ w) * HASH_MULT;
        h ^= h >> 32;
    }
    w = 0;
    for (size_t i = 0; i < size; i++)
        w = w << 8 | (u8)name[i];
    h = (h ^ w) * HASH_MULT;
    return (u32)(h >> 32);
}

static struct dentry **bucket_of(const struct dentry *parent, u32 hash)
    REQUIRES(&g_dcache_lock)
{
    u64 mix = ((uintptr_t)parent >> 5) * HASH_MULT;

    return &g_hash[(hash ^ (u32)(mix >> 32)) & g_hash_mask];
}

static bool same_bytes(const char *a, const char *b, size_t size)
{
    for (; size >= 8; size -= 8, a += 8, b += 8) {
        u64 x, y;

        __builtin_memcpy(&x, a, 8);
        __builtin_memcpy(&y, b, 8);
        if (x != y)
            return false;
    }
    while (size--) {
        if (*a++ != *b++)
            return false;
    }
    return true;
}

struct dentry *dcache_find(const struct dentry *parent, const char *name, size_t size, u32 hash)
{
    for (struct dentry *d = *bucket_of(parent, hash); d; d = d->hash_next) {
        if (d->hash == hash && d->parent == parent && d->name_size == size &&
            same_bytes(d->name, name, size))
            return d;
    }
    return NULL;
}

struct dentry *dcache_lookup(struct dentry *parent, const char *name, size_t size, u32 hash)
{
    struct dentry *d;

    spin_lock(&g_dcache_lock);
    d = dcache_find(parent, name, size, hash);
    if (d)
        dentry_get(d);
    spin_unlock(&g_dcache_lock);
    return d;
}

/* ---- The hash --------------------------------------------------------------------------------- */

static void hash_add(struct dentry *d) REQUIRES(&g_dcache_lock)
{
    struct dentry **b = bucket_of(d->parent, d->hash);

    d->hash_next = *b;
    *b = d;
    d->flags |= DENTRY_HASHED;
}

static void hash_remove(struct dentry *d) REQUIRES(&g_dcache_lock)
{
    struct dentry **p;

    if (!(d->flags & DENTRY_HASHED))
        return;
    for (p = bucket_of(d->parent, d->hash); *p != d; p = &(*p)->hash_next)
        ;
    *p = d->hash_next;
    d->hash_next = NULL;
    d->flags &= ~DENTRY_HASHED;
}

static size_t hash_pages(u32 buckets)
{
    return buckets * sizeof(struct dentry *) / PAGE_SIZE;
}

static bool hash_is_full(void) REQUIRES(&g_dcache_lock)
{
    return g_dentry_count > 2UL * g_hash_mask;
}

/* Moves everything to a table of twice the size. Returns the old one, NULL if it was the first. */
static struct dentry **hash_replace(struct dentry **grown) REQUIRES(&g_dcache_lock)
{
    u32 old_count = g_hash_mask + 1;
    struct dentry **old = g_hash;

    g_hash = grown;
    g_hash_mask = old_count * 2 - 1;
    for (u32 i = 0; i < old_count; i++) {
        for (struct dentry *d = old[i], *next; d; d = next) {
            next = d->hash_next;
            hash_add(d);
        }
    }
    return old == g_hash_first ? NULL : old;
}

/* Doubles a full table of `count` buckets. Without memory for it the chains only grow longer. */
static void hash_grow(u32 count)
{
    struct dentry **grown = kpages_alloc(hash_pages(count * 2)), **unused = grown;

    if (!grown)
        return;
    spin_lock(&g_dcache_lock);
    if (g_hash_mask + 1 == count)
        unused = hash_replace(grown);
    spin_unlock(&g_dcache_lock);
    if (unused)
        kpages_free(unused, hash_pages(unused == grown ? count * 2 : count));
}

/* ---- Making and freeing ----------------------------------------------------------------------- */

static char *dentry_name_room(struct dentry *d, size_t size)
{
    return size < sizeof(d->small) ? d->small : kmalloc(size + 1);
}

static void dentry_free_name(struct dentry *d)
{
    if (d->name != d->small)
        kfree((void *)(uintptr_t)d->name);
}

static void dentry_attach(struct dentry *d, struct dentry *parent)
{
    spin_lock(&g_dcache_lock);
    if (!g_hash_seed)
        g_hash_seed = random_u64() | 1;
    d->parent = parent ? parent : d;
    if (parent) {
        dentry_get(parent);
        list_add(&parent->children, &d->child_link);
    }
    g_dentry_count++;
    spin_unlock(&g_dcache_lock);
}

struct dentry *dentry_create(struct dentry *parent, const char *name, size_t size, u32 hash,
                             struct inode *inode)
{
    struct dentry *d = kzalloc(sizeof(*d));
    char *room = d ? dentry_name_room(d, size) : NULL;

    if (!room) {
        kfree(d);
        if (inode)
            inode_put(inode);
        return NULL;
    }
    memcpy(room, name, size);
    room[size] = '\0';
    d->name = room;
    d->name_size = (u32)size;
    d->hash = hash;
    d->ref = 1;
    d->inode = inode;
    list_init(&d->child_link);
    list_init(&d->children);
    list_init(&d->lru);
    if (parent && parent->inode->ops->revalidate)
        d->flags |= DENTRY_CHECK;
    dentry_attach(d, parent);
    return d;
}

/* Takes a dead dentry out of everything. Returns its parent, whose reference goes to the caller. */
static struct dentry *dentry_unlink_dead(struct dentry *d) REQUIRES(&g_dcache_lock)
{
    hash_remove(d);
    list_del(&d->child_link);
    list_del(&d->lru);
    g_dentry_count--;
    return d->parent == d ? NULL : d->parent;
}

static void dentry_free(struct dentry *d)
{
    if (d->inode)
        inode_put(d->inode);
    dentry_free_name(d);
    kfree(d);
}

/* Drops the last reference's worth under the lock: true when `d` is now dead and unlinked. */
static bool dentry_put_locked(struct dentry *d, struct dentry **parent) REQUIRES(&g_dcache_lock)
{
    if (__atomic_sub_fetch(&d->ref, 1, __ATOMIC_ACQ_REL) > 0)
        return false;
    if (d->flags & DENTRY_HASHED) {
        if (list_empty(&d->lru))
            list_add_tail(&g_lru, &d->lru);
        return false;
    }
    *parent = dentry_unlink_dead(d);
    return true;
}

void dentry_put(struct dentry *d)
{
    struct dentry *parent;

    while (d) {
        u32 n = __atomic_load_n(&d->ref, __ATOMIC_RELAXED);
        bool dead;

        while (n > 1) {
            if (__atomic_compare_exchange_n(&d->ref, &n, n - 1, true, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED))
                return;
        }
        spin_lock(&g_dcache_lock);
        dead = dentry_put_locked(d, &parent);
        spin_unlock(&g_dcache_lock);
        if (!dead)
            return;
        dentry_free(d);
        d = parent;
    }
}

void dcache_insert(struct dentry *d)
{
    u32 buckets;
    bool full, pressed;

    spin_lock(&g_dcache_lock);
    hash_add(d);
    buckets = hash_is_full() ? g_hash_mask + 1 : 0;
    full = g_dentry_count > DENTRY_LIMIT;
    spin_unlock(&g_dcache_lock);
    if (unlikely(buckets))
        hash_grow(buckets);
    pressed = __atomic_load_n(&g_pressure, __ATOMIC_RELAXED);
    if (unlikely(pressed))
        __atomic_store_n(&g_pressure, false, __ATOMIC_RELAXED);
    if (unlikely(full || pressed))
        dcache_shrink(pressed ? PRESSURE_BATCH : SHRINK_BATCH);
}

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
    spin_lock(&g_dcache_lock);
    ASSERT(!d->inode);
    __atomic_store_n(&d->inode, inode, __ATOMIC_RELEASE);
    spin_unlock(&g_dcache_lock);
}

void dentry_drop(struct dentry *d)
{
    spin_lock(&g_dcache_lock);
    hash_remove(d);
    spin_unlock(&g_dcache_lock);
}

/* ---- Shrinking --------------------------------------------------------------------------------- */

/* The oldest unused dentry, unlinked, or NULL. */
static struct dentry *lru_take(struct dentry **parent) REQUIRES(&g_dcache_lock)
{
    while (!list_empty(&g_lru)) {
        struct dentry *d = list_first(&g_lru, struct dentry, lru);

        list_del(&d->lru); /* those in use again come back with their last reference */
        if (__atomic_load_n(&d->ref, __ATOMIC_RELAXED) == 0) {
            *parent = dentry_unlink_dead(d);
            return d;
        }
    }
    return NULL;
}

void dcache_note_pressure(void)
{
    __atomic_store_n(&g_pressure, true, __ATOMIC_RELAXED);
}

size_t dcache_shrink(size_t count)
{
    size_t freed = 0;

    while (freed < count) {
        struct dentry *parent = NULL, *d;

        spin_lock(&g_dcache_lock);
        d = lru_take(&parent);
        spin_unlock(&g_dcache_lock);
        if (!d)
            break;
        dentry_free(d);
        if (parent)
            dentry_put(parent);
        freed++;
    }
    return freed;
}

static struct dentry *unused_child(struct dentry *d, struct dentry **parent)
    REQUIRES(&g_dcache_lock)
{
    struct dentry *c;

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow that neighbours unlink */
    list_for_each(c, &d->children, child_link) {
        if (__atomic_load_n(&c->ref, __ATOMIC_RELAXED) == 0) {
            *parent = dentry_unlink_dead(c);
            return c;
        }
    }
    return NULL;
}

void dentry_prune_children(struct dentry *d)
{
    for (;;) {
        struct dentry *parent = NULL, *c;

        spin_lock(&g_dcache_lock);
        c = unused_child(d, &parent);
        spin_unlock(&g_dcache_lock);
        if (!c)
            return;
        dentry_free(c);
        dentry_put(parent);
    }
}

/* ---- Renaming ------------------------------------------------------------------------------------ */

bool dentry_is_below(struct dentry *d, const struct dentry *ancestor)
{
    for (;; d = d->parent) {
        if (d == ancestor)
            return true;
        if (d->parent == d)
            return false;
    }
}

/* Swaps names; the short ones are copied. */
static void names_swap(struct dentry *a, struct dentry *b) REQUIRES(&g_dcache_lock)
{
    char small[sizeof(a->small)];
    bool a_small = a->name == a->small, b_small = b->name == b->small;
    const char *a_name = a->name, *b_name = b->name;
    u32 size = a->name_size, hash = a->hash;

    memcpy(small, a->small, sizeof(small));
    memcpy(a->small, b->small, sizeof(small));
    memcpy(b->small, small, sizeof(small));
    a->name = b_small ? a->small : b_name;
    b->name = a_small ? b->small : a_name;
    a->name_size = b->name_size;
    a->hash = b->hash;
    b->name_size = size;
    b->hash = hash;
}

/* Swaps places in the tree: parents with the references that the children hold on them. */
static void places_swap(struct dentry *a, struct dentry *b) REQUIRES(&g_dcache_lock)
{
    struct dentry *parent = a->parent;

    list_del(&a->child_link);
    list_del(&b->child_link);
    a->parent = b->parent;
    b->parent = parent;
    list_add(&a->parent->children, &a->child_link);
    list_add(&b->parent->children, &b->child_link);
}

void dentry_move(struct dentry *d, struct dentry *target, bool exchange)
{
    spin_lock(&g_dcache_lock);
    hash_remove(d);
    hash_remove(target);
    names_swap(d, target);
    places_swap(d, target);
    hash_add(d);
    if (exchange)
        hash_add(target);
    spin_unlock(&g_dcache_lock);
}
