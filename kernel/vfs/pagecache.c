/* SPDX-License-Identifier: MIT */
/*
 * Pages of regular files: finding, making, binding to mappings, dropping. See pagecache.h.
 */
#include <kernel/alloc.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#include "pagecache.h"

#define BLOCKS_PER_PAGE (PAGE_SIZE / 512)
#define SHRINK_BATCH    256u

static spinlock_t g_backed_lock = SPINLOCK_INIT("backed_caches");
static struct list g_backed GUARDED_BY(&g_backed_lock) = LIST_INIT(g_backed);

static u64 pages_of(u64 size)
{
    return size / PAGE_SIZE + (size % PAGE_SIZE != 0);
}

/* ---- Life ----------------------------------------------------------------------------------------- */

int pagecache_create(struct inode *inode)
{
    struct pagecache *c = kzalloc(sizeof(*c));

    if (!c)
        return -ENOMEM;
    mutex_init(&c->lock, "pagecache");
    list_init(&c->pins);
    list_init(&c->backed_link);
    c->inode = inode;
    inode->cache = c;
    return 0;
}

void pagecache_set_backing(struct inode *inode, const struct pagecache_ops *ops, u64 size)
{
    struct pagecache *c = inode->cache;

    c->ops = ops;
    c->backed_size = size;
    inode->size = size;
    inode->blocks = pages_of(size) * BLOCKS_PER_PAGE;
    spin_lock(&g_backed_lock);
    list_del(&c->backed_link); /* an archive may name one file's data twice */
    list_add_tail(&g_backed, &c->backed_link);
    spin_unlock(&g_backed_lock);
}

void pagecache_destroy(struct inode *inode)
{
    struct pagecache *c = inode->cache;
    u64 index = 0, slot;

    spin_lock(&g_backed_lock);
    list_del(&c->backed_link);
    spin_unlock(&g_backed_lock);
    while ((slot = radix_next(&c->pages, &index))) {
        if (!(slot & CPAGE_BOUND))
            kpages_free(cpage_addr(slot), 1);
        radix_delete(&c->pages, index);
    }
    inode->cache = NULL;
    kfree(c);
}

/* ---- Pins ------------------------------------------------------------------------------------------ */

void pin_begin(struct pagecache *c, struct pin_batch *b)
{
    b->orphans = 0;
    list_add(&c->pins, &b->link);
}

void pagecache_free_page(struct pagecache *c, void *page)
{
    struct pin_batch *b;

    list_for_each(b, &c->pins, link) {
        for (unsigned i = 0; i < b->count; i++) {
            if (b->page[i] == page) {
                b->orphans |= 1u << i;
                return;
            }
        }
    }
    kpages_free(page, 1);
}

void pin_end(struct pagecache *c, struct pin_batch *b)
{
    list_del(&b->link);
    for (unsigned i = 0; unlikely(b->orphans) && i < b->count; i++) {
        if (b->orphans >> i & 1)
            pagecache_free_page(c, b->page[i]);
    }
}

static bool is_pinned(const struct pagecache *c, const void *page)
{
    const struct pin_batch *b;

    list_for_each(b, &c->pins, link) {
        for (unsigned i = 0; i < b->count; i++) {
            if (b->page[i] == page)
                return true;
        }
    }
    return false;
}

/* Frees up to `page_count` clean pages of one cache, but none that is being copied. */
static size_t cache_shrink(struct pagecache *c, size_t page_count)
{
    u64 index = 0, slot;
    size_t freed = 0;

    while (freed < page_count && (slot = radix_next(&c->pages, &index))) {
        if ((slot & CPAGE_CLEAN) && !is_pinned(c, cpage_addr(slot))) {
            radix_delete(&c->pages, index);
            kpages_free(cpage_addr(slot), 1);
            freed++;
        }
        index++;
    }
    return freed;
}

/* ---- Finding and making ------------------------------------------------------------------------------ */

static bool is_backed(const struct pagecache *c, u64 index)
{
    return index < pages_of(c->backed_size);
}

/* A new heap page at `index`, zeroed; a backed one is not filled yet. */
static int page_insert(struct inode *inode, u64 index, u64 flags, u64 *slot)
{
    struct pagecache *c = inode->cache;
    void *page = kpages_alloc(1);

    if (!page && cache_shrink(c, SHRINK_BATCH)) /* mm's own attempt found this cache locked */
        page = kpages_alloc(1);
    if (!page)
        return -ENOMEM;
    *slot = (uintptr_t)page | flags;
    if (radix_set(&c->pages, index, *slot)) {
        kpages_free(page, 1);
        *slot = 0;
        return -ENOMEM;
    }
    if (!is_backed(c, index))
        inode->blocks += BLOCKS_PER_PAGE;
    return 0;
}

/* The content of a backed page, zeroed past what is backed, into `page`. */
static int page_bring(struct inode *inode, u64 index, void *page)
{
    struct pagecache *c = inode->cache;
    u64 backed = min(c->backed_size - index * PAGE_SIZE, PAGE_SIZE);
    int err = c->ops->fill(inode, index, page);

    if (!err && backed < PAGE_SIZE)
        memset((char *)page + backed, 0, PAGE_SIZE - backed);
    return err;
}

/* Brings a backed page into the cache. */
static int page_fill(struct inode *inode, u64 index, u64 *slot)
{
    struct pagecache *c = inode->cache;
    int err = page_insert(inode, index, CPAGE_CLEAN, slot);

    if (err)
        return err;
    err = page_bring(inode, index, cpage_addr(*slot));
    if (err) {
        radix_delete(&c->pages, index);
        kpages_free(cpage_addr(*slot), 1);
        *slot = 0;
    }
    return err;
}

int pagecache_find(struct inode *inode, u64 index, u64 *slot)
{
    struct pagecache *c = inode->cache;

    *slot = radix_get(&c->pages, index);
    if (likely(*slot) || !is_backed(c, index))
        return 0;
    return page_fill(inode, index, slot);
}

int pagecache_make(struct inode *inode, u64 index, u64 *slot)
{
    struct pagecache *c = inode->cache;
    int err = pagecache_find(inode, index, slot);

    if (err)
        return err;
    if ((!*slot || (*slot & CPAGE_CLEAN)) && !mm_file_room())
        return -ENOMEM;
    if (!*slot)
        return page_insert(inode, index, 0, slot);
    if (*slot & CPAGE_CLEAN) {
        *slot &= ~CPAGE_CLEAN;
        *radix_slot(&c->pages, index) = *slot;
    }
    return 0;
}

int cpage_access(u64 slot, unsigned access)
{
    if (likely(!(slot & CPAGE_BOUND)))
        return 0;
    return mm_bound_access((uintptr_t)cpage_addr(slot), access);
}

/* ---- Removing ------------------------------------------------------------------------------------------ */

static void page_remove(struct inode *inode, u64 index)
{
    struct pagecache *c = inode->cache;
    u64 slot = radix_delete(&c->pages, index);

    if (!slot)
        return;
    if (!(slot & CPAGE_BOUND))
        pagecache_free_page(c, cpage_addr(slot));
    if (!is_backed(c, index))
        inode->blocks -= BLOCKS_PER_PAGE;
}

static void pages_remove(struct inode *inode, u64 first, u64 end)
{
    u64 index = first;

    while (radix_next(&inode->cache->pages, &index) && index < end)
        page_remove(inode, index++);
}

/* As page_remove for a hole in the middle: what a mapping shows is zeroed where it is. */
static void page_clear(struct inode *inode, u64 index)
{
    u64 slot = radix_get(&inode->cache->pages, index);

    if (!(slot & CPAGE_BOUND))
        page_remove(inode, index);
    else if (!cpage_access(slot, VM_WRITE))
        memset(cpage_addr(slot), 0, PAGE_SIZE);
}

int pagecache_zero_part(struct inode *inode, u64 from, u64 to)
{
    struct pagecache *c = inode->cache;
    u64 index = from / PAGE_SIZE, slot = radix_get(&c->pages, index);
    int err;

    if (!slot && !is_backed(c, index))
        return 0;
    err = pagecache_make(inode, index, &slot);
    if (!err)
        err = cpage_access(slot, VM_WRITE);
    if (!err)
        memset((char *)cpage_addr(slot) + from % PAGE_SIZE, 0, to - from);
    return err;
}

int pagecache_punch(struct inode *inode, u64 first, u64 end)
{
    struct pagecache *c = inode->cache;
    u64 backed_end = min(end, pages_of(c->backed_size)), slot;

    for (u64 i = first; i < backed_end; i++) {
        page_clear(inode, i);
        if (!radix_get(&c->pages, i) && page_insert(inode, i, 0, &slot))
            return -ENOMEM;
    }
    for (u64 i = max(first, backed_end); radix_next(&c->pages, &i) && i < end; i++)
        page_clear(inode, i);
    return 0;
}

/* Pages at and beyond `size` go, and the last one's tail. cache->lock held. */
static void drop_beyond(struct inode *inode, u64 size)
{
    struct pagecache *c = inode->cache;
    u64 first = pages_of(size), slot;

    pages_remove(inode, first, UINT64_MAX);
    if (size < c->backed_size) {
        inode->blocks -= (pages_of(c->backed_size) - first) * BLOCKS_PER_PAGE;
        c->backed_size = size;
    }
    slot = size % PAGE_SIZE ? radix_get(&c->pages, size / PAGE_SIZE) : 0;
    if (slot && !cpage_access(slot, VM_WRITE))
        memset((char *)cpage_addr(slot) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
}

void pagecache_grow_size(struct inode *inode, u64 size)
{
    u64 old = inode->size, slot;

    if (size <= old)
        return;
    slot = old % PAGE_SIZE ? radix_get(&inode->cache->pages, old / PAGE_SIZE) : 0;
    if (unlikely(slot & CPAGE_BOUND) && !cpage_access(slot, VM_WRITE))
        memset((char *)cpage_addr(slot) + old % PAGE_SIZE, 0,
               min(PAGE_SIZE - old % PAGE_SIZE, size - old));
    WRITE_ONCE(inode->size, size);
}

void pagecache_truncate(struct inode *inode, u64 size)
{
    struct pagecache *c = inode->cache;
    bool shrinks = size < inode->size;

    assert_held(&inode->lock);
    mutex_lock(&c->lock);
    if (shrinks)
        WRITE_ONCE(inode->size, size);
    else
        pagecache_grow_size(inode, size);
    mutex_unlock(&c->lock);
    if (!shrinks)
        return;
    mm_truncate_notify(inode, size);
    mutex_lock(&c->lock);
    drop_beyond(inode, size);
    mutex_unlock(&c->lock);
}

bool pagecache_pristine(struct inode *inode, u64 first, u64 end)
{
    struct pagecache *c = inode->cache;
    u64 index = first, slot;
    bool same;

    if (!c)
        return false;
    mutex_lock(&c->lock);
    same = first < end && end <= pages_of(c->backed_size);
    for (; same && (slot = radix_next(&c->pages, &index)) && index < end; index++)
        same = (slot & CPAGE_CLEAN) != 0;
    mutex_unlock(&c->lock);
    return same;
}

/* ---- Mappings -------------------------------------------------------------------------------------------- */

static bool g_keep_mapped; /* atomic */

void pagecache_keep_mapped(void)
{
    __atomic_store_n(&g_keep_mapped, true, __ATOMIC_RELAXED);
}

/*
 * Copies page `index` to `dst`, zeroed past the end. A backed page that is not here goes to `dst`
 * alone: a mapping has its own copy, and a second one would only take memory. Once there are several processes
 * it is kept as well, since the next that runs the file wants it. cache->lock held.
 */
static int page_copy(struct inode *inode, u64 index, void *dst)
{
    u64 start = index * PAGE_SIZE, slot = radix_get(&inode->cache->pages, index);
    u64 valid = inode->size > start ? min(inode->size - start, PAGE_SIZE) : 0;
    int err = valid ? 0 : -ENXIO;

    if (!err && !slot && g_keep_mapped && is_backed(inode->cache, index) &&
        page_fill(inode, index, &slot))
        slot = 0;
    if (!err && slot)
        err = cpage_access(slot, VM_READ);
    if (!err && slot)
        memcpy(dst, cpage_addr(slot), valid);
    else if (!err && is_backed(inode->cache, index))
        err = page_bring(inode, index, dst);
    else
        valid = 0;
    if (!err)
        memset((char *)dst + valid, 0, PAGE_SIZE - valid);
    return err;
}

int pagecache_read_page(struct inode *inode, u64 index, void *dst)
{
    struct pagecache *c = inode->cache;
    int err;

    if (!c || index > UINT64_MAX / PAGE_SIZE - 1)
        return -ENXIO;
    mutex_lock(&c->lock);
    err = page_copy(inode, index, dst);
    mutex_unlock(&c->lock);
    return err;
}

static int bind_locked(struct inode *inode, u64 index, uintptr_t va)
{
    struct pagecache *c = inode->cache;
    u64 old;
    int err = page_copy(inode, index, (void *)va);

    if (err)
        return err;
    old = radix_get(&c->pages, index);
    err = radix_set(&c->pages, index, va | CPAGE_BOUND);
    if (err)
        return err;
    if (!old && !is_backed(c, index))
        inode->blocks += BLOCKS_PER_PAGE;
    if (old && !(old & CPAGE_BOUND))
        pagecache_free_page(c, cpage_addr(old));
    return 0;
}

int pagecache_bind_page(struct inode *inode, u64 index, uintptr_t va)
{
    struct pagecache *c = inode->cache;
    int err;

    if (!c || index > UINT64_MAX / PAGE_SIZE - 1)
        return -ENXIO;
    ASSERT(!(va & CPAGE_FLAGS));
    mutex_lock(&c->lock);
    err = bind_locked(inode, index, va);
    mutex_unlock(&c->lock);
    return err;
}

static int unbind_locked(struct inode *inode, u64 index)
{
    struct pagecache *c = inode->cache;
    u64 slot = radix_get(&c->pages, index);
    void *page;

    if (!(slot & CPAGE_BOUND))
        return 0;
    if (index >= pages_of(inode->size)) {
        page_remove(inode, index);
        return 0;
    }
    page = cpage_access(slot, VM_READ) ? NULL : kpages_alloc(1);
    if (!page)
        return -ENOMEM;
    memcpy(page, cpage_addr(slot), PAGE_SIZE);
    *radix_slot(&c->pages, index) = (uintptr_t)page;
    return 0;
}

int pagecache_unbind_page(struct inode *inode, u64 index)
{
    struct pagecache *c = inode->cache;
    int err;

    mutex_lock(&c->lock);
    err = unbind_locked(inode, index);
    mutex_unlock(&c->lock);
    return err;
}

void pagecache_lock(struct inode *inode) NO_LOCK_ANALYSIS
{
    if (inode->cache)
        mutex_lock(&inode->cache->lock);
}

void pagecache_unlock(struct inode *inode) NO_LOCK_ANALYSIS
{
    if (inode->cache)
        mutex_unlock(&inode->cache->lock);
}

uintptr_t pagecache_bound_at(struct inode *inode, u64 index)
{
    struct pagecache *c = inode->cache;
    u64 slot;

    mutex_lock(&c->lock);
    slot = radix_get(&c->pages, index);
    mutex_unlock(&c->lock);
    return slot & CPAGE_BOUND ? (uintptr_t)cpage_addr(slot) : 0;
}

/* ---- Giving memory back ------------------------------------------------------------------------------------ */

size_t pagecache_shrink(size_t page_count)
{
    struct list done = LIST_INIT(done);
    size_t freed = 0;

    spin_lock(&g_backed_lock);
    while (freed < page_count && !list_empty(&g_backed)) {
        struct pagecache *c = list_first(&g_backed, struct pagecache, backed_link);

        list_del(&c->backed_link);
        list_add_tail(&done, &c->backed_link);
        if (mutex_trylock(&c->lock)) {
            freed += cache_shrink(c, page_count - freed);
            mutex_unlock(&c->lock);
        }
    }
    while (!list_empty(&done)) { /* those go to the end: next time others give */
        struct list *l = done.next;

        list_del(l);
        list_add_tail(&g_backed, l);
    }
    spin_unlock(&g_backed_lock);
    return freed;
}
