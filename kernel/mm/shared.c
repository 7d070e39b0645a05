/* SPDX-License-Identifier: MIT */
/*
 * Objects behind file mappings and shared memory, their linear addresses and their aliases.
 *
 * The EPCM binds a page to one linear address, so the pages of a MAP_SHARED object live at one
 * address for the whole enclave: a window in the shared zone, reserved for the object when it is
 * first mapped without MAP_FIXED and kept while anything maps it. A page of a shared file is bound
 * there on its first touch (pagecache_bind_page): from then on it is the file's page. A mapping at
 * any other address is an alias: its fault takes the page away from where it lives (content through
 * the page cache, old address absent), so exactly one alias can reach a page at a time and all see
 * one content. When the last mapping of a page's address goes, content returns to the page cache.
 *
 * A bound page has the permissions of the mapping that bound it; others at the same address and the
 * kernel's own read(2) and write(2) may widen them (mm_bound_access), as the EPCM knows one set.
 *
 * An object is found by its inode and lives as long as a VMA refers to it; private file mappings
 * have one too, for truncation. Anonymous shared memory has one without an inode.
 *
 * Locking: g_shared_lock (mutex, below mm->lock, above the page cache's) guards all of it, and the
 * state of pages under shared file mappings: an alias in another mm may take them. Permissions of
 * bound pages change with the page cache's lock held, which it holds while it copies from and to
 * them (mm_bound_access).
 */
#include "internal.h"

#define HASH_SIZE  256u
#define WINDOW_MIN (1UL << 20)

struct shared_object {
    struct inode *inode; /* NULL: anonymous; a reference is implied by the VMAs' files */
    struct list vmas;    /* vma.object_link */
    struct list hash_link;
    struct list window_link; /* g_windows, highest first; empty without a window */
    uintptr_t start, end;    /* the window; page offset 0 stands at start */
};

static mutex_t g_shared_lock = MUTEX_INIT("mm_shared");
static struct list g_objects[HASH_SIZE] GUARDED_BY(&g_shared_lock); /* next NULL: not yet used */
static struct list g_windows GUARDED_BY(&g_shared_lock) = LIST_INIT(g_windows);
static mutex_t g_truncate_lock = MUTEX_INIT("mm_truncate"); /* mm->truncate_mark is of one at a time */
static u64 g_truncations GUARDED_BY(&g_truncate_lock);

static struct list *bucket(const struct inode *inode)
{
    uintptr_t key = (uintptr_t)inode >> 4;
    struct list *head = &g_objects[(key ^ key >> 8 ^ key >> 16) % HASH_SIZE];
    if (!head->next)
        list_init(head);
    return head;
}

static struct shared_object *object_find(const struct inode *inode)
{
    struct shared_object *o;
    list_for_each(o, bucket(inode), hash_link)
    {
        if (o->inode == inode)
            return o;
    }
    return NULL;
}

static struct shared_object *object_create(struct inode *inode)
{
    struct shared_object *o = kzalloc(sizeof(*o));
    if (!o)
        return NULL;
    o->inode = inode;
    list_init(&o->vmas);
    list_init(&o->hash_link);
    list_init(&o->window_link);
    if (inode)
        list_add(bucket(inode), &o->hash_link);
    return o;
}

static void join(struct vma *v, struct shared_object *o)
{
    v->object = o;
    list_add(&o->vmas, &v->object_link);
    if (vma_shared_file(v) && (v->flags & VM_MAYWRITE))
        __atomic_fetch_add(&o->inode->writable_maps, 1, __ATOMIC_RELAXED);
}

void shared_join(struct vma *v, struct shared_object *o)
{
    mutex_lock(&g_shared_lock);
    join(v, o);
    mutex_unlock(&g_shared_lock);
}

int shared_attach(struct vma *v)
{
    struct inode *inode = vma_anonymous(v) ? NULL : v->file->inode;
    if (!inode && !(v->flags & VM_SHARED))
        return 0;
    mutex_lock(&g_shared_lock);
    struct shared_object *o = inode ? object_find(inode) : NULL;
    if (!o)
        o = object_create(inode);
    if (o)
        join(v, o);
    mutex_unlock(&g_shared_lock);
    return o ? 0 : -ENOMEM;
}

void shared_detach(struct vma *v)
{
    struct shared_object *o = v->object;
    if (!o)
        return;
    mutex_lock(&g_shared_lock);
    if (vma_shared_file(v) && (v->flags & VM_MAYWRITE))
        __atomic_fetch_sub(&o->inode->writable_maps, 1, __ATOMIC_RELAXED);
    list_del(&v->object_link);
    v->object = NULL;
    if (list_empty(&o->vmas)) {
        list_del(&o->hash_link);
        list_del(&o->window_link);
        kfree(o);
    }
    mutex_unlock(&g_shared_lock);
}

u64 mm_file_mappings(const struct inode *inode)
{
    struct shared_object *o;
    struct vma *v;
    u64 count = 0;
    mutex_lock(&g_shared_lock);
    o = object_find(inode);
    if (o) {
        list_for_each(v, &o->vmas, object_link)
        {
            count++;
        }
    }
    mutex_unlock(&g_shared_lock);
    return count;
}

/* ---- Windows -------------------------------------------------------------------------------- */

/* Reserves the highest free range of the zone for `o`. */
static bool window_reserve(struct shared_object *o, u64 size)
{
    uintptr_t top = SHARED_END;
    struct shared_object *below;
    list_for_each(below, &g_windows, window_link)
    {
        if (top - below->end >= size)
            break;
        top = below->start;
    }
    if (top - SHARED_START < size)
        return false;
    o->start = top - size;
    o->end = top;
    list_add_tail(&below->window_link, &o->window_link); /* in front of `below` */
    return true;
}

/* Room for the whole file and for growing: addresses are free. */
static u64 window_size(const struct shared_object *o, u64 need)
{
    u64 size = WINDOW_MIN;
    if (!o->inode)
        return need;
    need = max(need, page_up(o->inode->size));
    while (size < need && size < SHARED_END - SHARED_START)
        size *= 2;
    return size;
}

uintptr_t shared_choose(struct mm *mm, struct vma *v, size_t size)
{
    struct shared_object *o = v->object;
    uintptr_t addr = 0;
    if (v->pgoff > (SHARED_END - SHARED_START) >> PAGE_SHIFT)
        return 0;
    u64 offset = o->inode ? v->pgoff << PAGE_SHIFT : 0, need = offset + size;
    mutex_lock(&g_shared_lock);
    bool have = !list_empty(&o->window_link);
    if (!have && need <= SHARED_END - SHARED_START)
        have = window_reserve(o, window_size(o, need));
    if (have && need <= o->end - o->start &&
        vma_range_empty(mm, o->start + offset, o->start + need))
        addr = o->start + offset;
    mutex_unlock(&g_shared_lock);
    return addr;
}

bool shared_may_extend(const struct vma *v, uintptr_t end)
{
    const struct shared_object *o = v->object;
    if (v->start < SHARED_START)
        return end <= SHARED_START;
    return !o || (v->start >= o->start && end <= o->end);
}

/* ---- Bound pages ---------------------------------------------------------------------------- */

/*
 * The end of the part of [va, end) for which *keep is the same: another mm maps the object at these addresses too, so
 * the pages are its as well. Two that leave at once must not each leave the pages to the other.
 */
static uintptr_t keep_run(const struct vma *v, uintptr_t va, uintptr_t end, bool *keep)
{
    const struct vma *other;
    *keep = false;
    list_for_each(other, &v->object->vmas, object_link)
    {
        if (other->mm == v->mm || other->leaving || other->end <= va || other->start >= end)
            continue;
        if (other->start <= va) {
            *keep = true;
            return min(end, other->end);
        }
        end = other->start;
    }
    return end;
}

void shared_leave(struct vma *v, bool leaving)
{
    if (!v->object || !(v->flags & VM_SHARED))
        return;
    mutex_lock(&g_shared_lock);
    v->leaving = leaving;
    mutex_unlock(&g_shared_lock);
}

/* Takes the page away from the alias at `at`: its content is in the page cache's memory then. */
static int alias_take(struct shared_object *o, u64 index, uintptr_t at)
{
    struct vma *v;
    int err = pagecache_unbind_page(o->inode, index);
    if (!err)
        err = pages_release(at, at + PAGE_SIZE);
    if (err)
        return err;
    list_for_each(v, &o->vmas, object_link)
    {
        if (at >= v->start && at < v->end)
            mm_rss_add(v->mm, -1);
    }
    return 0;
}

static int bind_page(struct mm *mm, struct vma *v, uintptr_t addr)
{
    struct inode *inode = v->file->inode;
    u64 index = vma_pgoff(v, addr);
    uintptr_t at = pagecache_bound_at(inode, index);
    int err = at ? alias_take(v->object, index, at) : 0;
    if (!err && !pages_commit(addr, addr + PAGE_SIZE, TARGET_READ | TARGET_WRITE))
        err = -ENOMEM;
    if (err)
        return err;
    err = pagecache_bind_page(inode, index, addr);
    if (err && pages_release(addr, addr + PAGE_SIZE))
        free_put(addr, addr + PAGE_SIZE);
    if (!err)
        mm_rss_add(mm, 1);
    return err;
}

/* Binds absent neighbours that no alias holds. Returns where the run that was bound ends. */
static uintptr_t bind_ahead(struct mm *mm, struct vma *v, uintptr_t addr)
{
    uintptr_t end =
        min(align_down(addr, FAULT_AROUND << PAGE_SHIFT) + (FAULT_AROUND << PAGE_SHIFT), v->end);
    uintptr_t va = addr + PAGE_SIZE;
    while (va < end && !(ps_get(va) & PS_PRESENT) &&
           !pagecache_bound_at(v->file->inode, vma_pgoff(v, va)) && bind_page(mm, v, va) == 0)
        va += PAGE_SIZE;
    return va;
}

/* Present pages keep of their permissions those in `keep`, and get those in `prot`. */
static int bound_protect(struct vma *v, uintptr_t start, uintptr_t end, unsigned keep, unsigned prot)
{
    uintptr_t va = start, next;
    int err = 0;
    u8 state;
    pagecache_lock(v->file->inode);
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (state & PS_PRESENT)
            err = pages_protect(va, next, state, (state & keep) | prot);
        if (err)
            break;
    }
    pagecache_unlock(v->file->inode);
    return err;
}

int shared_fault(struct mm *mm, struct vma *v, uintptr_t addr)
{
    unsigned prot = vma_prot(v->flags);
    int err;
    mutex_lock(&g_shared_lock);
    if (ps_get(addr) & PS_PRESENT) {
        err = bound_protect(v, addr, addr + PAGE_SIZE, PS_PERM, prot);
    } else {
        err = bind_page(mm, v, addr);
        if (!err)
            err = bound_protect(v, addr, bind_ahead(mm, v, addr), 0, prot);
    }
    mutex_unlock(&g_shared_lock);
    return err;
}

int shared_protect(struct vma *v, unsigned prot)
{
    mutex_lock(&g_shared_lock);
    int err = bound_protect(v, v->start, v->end, 0, prot);
    mutex_unlock(&g_shared_lock);
    return err;
}

static bool bound_here(const struct vma *v, uintptr_t va)
{
    return pagecache_bound_at(v->file->inode, vma_pgoff(v, va)) == va;
}

/* The end of the bound pages from `va` on, whose content goes back. Others are a relative's private memory. -ENOMEM. */
static long unbind_run(struct vma *v, uintptr_t va, uintptr_t end)
{
    for (; va < end && bound_here(v, va); va += PAGE_SIZE) {
        int err = pagecache_unbind_page(v->file->inode, vma_pgoff(v, va));
        if (err)
            return err;
    }
    return (long)va;
}

static int unbind_pages(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
{
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (!(state & PS_PRESENT))
            continue;
        if (!bound_here(v, va)) {
            next = va + PAGE_SIZE;
            continue;
        }
        long bound = unbind_run(v, va, next);
        if (bound < 0)
            return (int)bound;
        next = (uintptr_t)bound;
        mm_rss_add(mm, -(s64)((next - va) >> PAGE_SHIFT));
        if (pages_release(va, next))
            free_put(va, next);
    }
    return 0;
}

int shared_unbind(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
{
    int err = 0;
    bool keep;
    mutex_lock(&g_shared_lock);
    for (uintptr_t va = start, next; va < end && !err; va = next) {
        next = keep_run(v, va, end, &keep);
        /* At private addresses a relative may want other memory there: these pages never wait for others. */
        if (!keep || va < SHARED_START)
            err = unbind_pages(mm, v, va, next);
    }
    mutex_unlock(&g_shared_lock);
    return err;
}

int shared_unbind_all(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
{
    mutex_lock(&g_shared_lock);
    int err = unbind_pages(mm, v, start, end);
    mutex_unlock(&g_shared_lock);
    return err;
}

uintptr_t shared_keep_run(const struct vma *v, uintptr_t va, uintptr_t end, bool *keep)
{
    *keep = false;
    if (!v->object || !(v->flags & VM_SHARED))
        return end;
    mutex_lock(&g_shared_lock);
    end = keep_run(v, va, end, keep);
    mutex_unlock(&g_shared_lock);
    return end;
}

int mm_bound_access(uintptr_t va, unsigned access)
{
    u8 state = ps_get(va);
    unsigned prot = (state & PS_PERM) | vma_prot(access);
    if (!(state & PS_PRESENT))
        return -EFAULT;
    return pages_protect(page_down(va), page_down(va) + PAGE_SIZE, state, prot);
}

/* ---- Truncation ----------------------------------------------------------------------------- */

/* An mm that maps the inode and was not visited in round `mark`; with a reference. */
static struct mm *next_mapper(const struct inode *inode, u64 mark)
{
    struct mm *found = NULL;
    struct vma *v;
    mutex_lock(&g_shared_lock);
    struct shared_object *o = object_find(inode);
    if (o) {
        list_for_each(v, &o->vmas, object_link)
        {
            u32 refs = __atomic_load_n(&v->mm->ref.n, __ATOMIC_RELAXED);
            if (v->mm->truncate_mark == mark || refs == 0)
                continue; /* at zero it is unmapping everything already */
            if (!__atomic_compare_exchange_n(&v->mm->ref.n, &refs, refs + 1, false,
                                             __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                continue;
            found = v->mm;
            found->truncate_mark = mark;
            break;
        }
    }
    mutex_unlock(&g_shared_lock);
    return found;
}

/* Drops the pages of one VMA that lie at or beyond page `first` of its file. */
static void truncate_vma(struct mm *mm, struct vma *v, u64 first) REQUIRES(&mm->lock)
{
    if (first >= v->pgoff + vma_pages(v))
        return;
    uintptr_t start = first > v->pgoff ? v->start + ((first - v->pgoff) << PAGE_SHIFT) : v->start;
    if (!vma_shared_file(v))
        range_release(mm, start, v->end);
    else if (shared_unbind_all(mm, v, start, v->end))
        pr_err("out of memory: a truncated page at %#lx stays mapped", start);
}

void mm_truncate_notify(struct inode *inode, u64 new_size)
{
    u64 first = (new_size >> PAGE_SHIFT) + ((new_size & ~PAGE_MASK) != 0);
    struct mm *mm;
    mutex_lock(&g_truncate_lock);
    u64 mark = ++g_truncations;
    mutex_lock(&g_shared_lock);
    bool mapped = object_find(inode) != NULL;
    mutex_unlock(&g_shared_lock);
    while (mapped && (mm = next_mapper(inode, mark))) {
        mm_lock(mm);
        for (struct vma *v = mm_find_next(mm, 0); v; v = vma_next(v)) {
            if (!vma_anonymous(v) && v->file->inode == inode)
                truncate_vma(mm, v, first);
        }
        mm_unlock(mm);
        mm_put(mm);
    }
    mutex_unlock(&g_truncate_lock);
}
