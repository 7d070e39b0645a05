/* SPDX-License-Identifier: MIT */
/*
 * mremap(2). A page cannot change its address inside an enclave, so moving a mapping copies what is
 * present; growing in place is tried first, and a mapping that had to move to grow gets an address
 * with room above it, so that the next steps of a growing array need no copy.
 *
 * Pages of shared files go through the page cache and are bound again on their next touch;
 * unwritable code is read and patched again at its new address, since its patches are relative.
 *
 * All under mm->lock. What can fail happens before the old mapping is touched, except for the
 * removal of what MREMAP_FIXED replaces and the tail that a shrinking move cuts off, as on Linux.
 */
#include "family.h"
#include <kernel/loader.h>
#include <kernel/task.h>
#include <syscalls.gen.h>

#define SLACK_MAX (1UL << 30)

struct remap {
    uintptr_t old, old_end; /* old_end - old may be 0: duplicate a shared mapping */
    uintptr_t new;          /* 0: anywhere */
    size_t new_size;
    unsigned flags;
    struct list *dead;
    bool code;   /* moved code that must be offered to the rewriter */
    bool locked; /* what was added must be made present */
};

static bool refills(const struct vma *v)
{
    return !vma_anonymous(v) && (v->flags & (VM_EXEC | VM_WRITE)) == VM_EXEC;
}

/* ---- Copying pages -------------------------------------------------------------------------- */

/* Copies a present run to `to`, where pages are absent or plain zero ones of the new mapping. */
static int copy_run(struct mm *mm, struct vma *v, uintptr_t from, uintptr_t end, uintptr_t to)
{
    const unsigned rw = TARGET_READ | TARGET_WRITE;
    uintptr_t va = to, to_end = to + (end - from), next;
    u8 state;
    ps_for_each_run(va, next, to_end, 0xff, state)
    {
        if (!(state & PS_PRESENT)) {
            u64 done = pages_commit(va, next, rw);
            mm_rss_add(mm, (s64)done);
            if (done < (next - va) >> PAGE_SHIFT)
                return -ENOMEM;
        }
        memcpy((void *)va, (void *)(from + (va - to)), next - va);
        int err = pages_protect(va, next, ps_get(va), vma_prot(v->flags));
        if (err)
            return err;
    }
    return 0;
}

/* Copies what is present in [from, end) of VMA `v` to the new VMA at `to`. */
static int copy_pages(struct mm *mm, struct vma *v, uintptr_t from, uintptr_t end, uintptr_t to)
    REQUIRES(&mm->lock)
{
    uintptr_t va = from, next;
    u8 state;
    if (vma_shared_file(v) || refills(v))
        return 0;
    idle_claim(mm, from, end);
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (!(state & PS_PRESENT))
            continue;
        int err = pages_protect(va, next, state, (state & PS_PERM) | TARGET_READ);
        if (!err)
            err = copy_run(mm, v, va, next, to + (va - from));
        if (err)
            return err;
    }
    return 0;
}

/* ---- Moving --------------------------------------------------------------------------------- */

static struct vma *clone_vma(struct mm *mm, struct vma *v, const struct remap *r)
{
    struct vma *n = vma_alloc(mm, r->new, r->new + r->new_size, v->flags & ~VM_GROWSDOWN);
    if (!n)
        return NULL;
    n->name = v->name_owned ? kstrdup(v->name) : v->name;
    n->name_owned = v->name_owned;
    n->file = v->file ? file_get(v->file) : NULL;
    n->pgoff = vma_pgoff(v, r->old);
    if (v->object)
        shared_join(n, v->object);
    if (v->name && !n->name) {
        vma_free(n);
        return NULL;
    }
    return n;
}

static uintptr_t choose_target(struct mm *mm, struct vma *v, size_t size, bool growing)
    REQUIRES(&mm->lock)
{
    bool plain = vma_anonymous(v) && (v->flags & (VM_SHARED | VM_WRITE)) == VM_WRITE;
    size_t slack = plain && growing ? min(size, SLACK_MAX) : 0;
    uintptr_t addr = slack ? map_choose(mm, size + slack, true, 0) : 0;
    if (!addr)
        addr = map_choose(mm, size, plain, 0);
    return addr && chunks_claim(mm, addr, addr + size) == 0 ? addr : 0;
}

/* The old range after its pages were copied. */
static int leave_old(struct mm *mm, struct vma *v, struct remap *r) REQUIRES(&mm->lock)
{
    if (r->old == r->old_end)
        return 0;
    if (!(r->flags & MREMAP_DONTUNMAP))
        return unmap_locked(mm, r->old, r->old_end, r->dead);
    if (vma_shared_file(v))
        return shared_unbind(mm, v, r->old, r->old_end);
    return range_discard(mm, v, r->old, r->old_end);
}

static int move(struct mm *mm, struct vma *v, struct remap *r) REQUIRES(&mm->lock)
{
    uintptr_t copied = min(r->old_end, r->old + r->new_size);
    struct vma *n = mm->vma_count + 3 <= MAX_MAP_COUNT ? clone_vma(mm, v, r) : NULL;
    if (!n)
        return -ENOMEM;
    int err = range_prepare(mm, n->start, n->end, vma_anonymous(n), n->flags);
    if (err) {
        list_add(r->dead, &n->dead_link);
        return err;
    }
    vma_link(mm, n);
    err = copy_pages(mm, v, r->old, copied, r->new);
    if (!err)
        err = leave_old(mm, v, r);
    if (err) {
        range_drop(mm, n, n->start, n->end);
        vma_unlink(mm, n);
        list_add(r->dead, &n->dead_link);
        return err;
    }
    r->code = refills(n);
    r->locked = n->flags & VM_LOCKED;
    vma_merge(mm, n, r->dead);
    return 0;
}

/* ---- The request ---------------------------------------------------------------------------- */

/* The VMA of the old range, checked as to whether it may get `pages` more. ERR_PTR. */
static struct vma *find_old(struct mm *mm, const struct remap *r, u64 pages) REQUIRES(&mm->lock)
{
    struct vma *v = mm_find(mm, r->old);
    if (!v || r->old_end > v->end)
        return ERR_PTR(-EFAULT);
    if (r->old == r->old_end && !(v->flags & VM_SHARED))
        return ERR_PTR(-EINVAL);
    if (r->old == r->old_end && vma_anonymous(v))
        return ERR_PTR(-EINVAL); /* its pages have no second address */
    if ((v->flags & VM_SPECIAL) && (pages || (r->flags & MREMAP_DONTUNMAP)))
        return ERR_PTR(-EFAULT);
    if ((v->flags & VM_LOCKED) && map_may_lock(mm, pages))
        return ERR_PTR(-EAGAIN);
    int err =
        map_may_grow(mm, v->flags, r->flags & MREMAP_DONTUNMAP ? r->new_size >> PAGE_SHIFT : pages);
    return err ? ERR_PTR(err) : v;
}

static bool grow_in_place(struct mm *mm, struct vma *v, const struct remap *r) REQUIRES(&mm->lock)
{
    uintptr_t end = r->old + r->new_size;
    if (r->old == r->old_end || r->old_end != v->end || (r->flags & MREMAP_DONTUNMAP))
        return false;
    struct vma *next = vma_next(v);
    uintptr_t room = next ? next->start : SHARED_END;
    if (next && (next->flags & VM_GROWSDOWN))
        room -= min(room, STACK_GUARD_GAP);
    if (end > room || end < v->end || !shared_may_extend(v, end) || map_range_owned(v->end, end) ||
        chunks_claim(mm, v->end, end))
        return false;
    if (range_prepare(mm, v->end, end, vma_anonymous(v), v->flags))
        return false;
    vma_set_range(mm, v, v->start, end);
    vma_merge(mm, v, r->dead);
    return true;
}

static long remap_fixed(struct mm *mm, struct remap *r) REQUIRES(&mm->lock)
{
    int err = chunks_claim(mm, r->new, r->new + r->new_size);
    if (!err)
        err = unmap_locked(mm, r->new, r->new + r->new_size, r->dead);
    if (!err && r->old_end - r->old > r->new_size) {
        err = unmap_locked(mm, r->old + r->new_size, r->old_end, r->dead);
        r->old_end = r->old + r->new_size;
    }
    if (err)
        return err;
    if (map_range_owned(r->new, r->new + r->new_size))
        return -ENOMEM;
    struct vma *v = find_old(mm, r, (r->new_size - (r->old_end - r->old)) >> PAGE_SHIFT);
    err = IS_ERR(v) ? (int)PTR_ERR(v) : move(mm, v, r);
    return err ? err : (long)r->new;
}

static long remap_locked(struct mm *mm, struct remap *r) REQUIRES(&mm->lock)
{
    size_t old_size = r->old_end - r->old;
    struct vma *v = mm_find(mm, r->old);
    if (!v)
        return -EFAULT;
    if (v->flags & VM_SEALED)
        return -EPERM;
    if (r->flags & MREMAP_FIXED)
        return remap_fixed(mm, r);
    if (old_size >= r->new_size && old_size && !(r->flags & MREMAP_DONTUNMAP)) {
        int err = old_size == r->new_size
                      ? 0
                      : unmap_locked(mm, r->old + r->new_size, r->old_end, r->dead);
        return err ? err : (long)r->old;
    }
    v = find_old(mm, r, (r->new_size - old_size) >> PAGE_SHIFT);
    if (IS_ERR(v))
        return PTR_ERR(v);
    if (grow_in_place(mm, v, r)) {
        r->locked = v->flags & VM_LOCKED;
        return (long)r->old;
    }
    if (!(r->flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    if (!r->new || !vma_range_empty(mm, r->new, r->new + r->new_size) ||
        map_range_owned(r->new, r->new + r->new_size))
        r->new = choose_target(mm, v, r->new_size, r->new_size > old_size);
    int err = r->new ? move(mm, v, r) : -ENOMEM;
    return err ? err : (long)r->new;
}

static int check_request(uintptr_t old, size_t old_size, size_t new_size, unsigned long flags,
                         uintptr_t new)
{
    const unsigned long known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    if ((flags & ~known) || (old & ~PAGE_MASK) || new_size == 0)
        return -EINVAL;
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
        return -EINVAL;
    if ((flags & MREMAP_DONTUNMAP) && page_up(old_size) != page_up(new_size))
        return -EINVAL;
    if (old_size > SHARED_END || old > SHARED_END - page_up(old_size))
        return -EINVAL;
    if (new_size > SHARED_END)
        return flags & MREMAP_FIXED ? -EINVAL : -ENOMEM;
    if (!(flags & MREMAP_FIXED))
        return 0;
    if ((new & ~PAGE_MASK) || new < USER_START || new > SHARED_END - page_up(new_size))
        return -EINVAL;
    return new < old + page_up(old_size) && old < new + page_up(new_size) ? -EINVAL : 0;
}

long sys_mremap(unsigned long addr, size_t old_size, size_t new_size, unsigned long flags,
                unsigned long new_addr)
{
    struct mm *mm = current->mm;
    struct list dead = LIST_INIT(dead);
    int err = check_request(addr, old_size, new_size, flags, new_addr);
    if (err)
        return err;
    struct remap r = {
        .old = addr,
        .old_end = addr + page_up(old_size),
        .new = flags &(MREMAP_FIXED | MREMAP_DONTUNMAP) ? page_down(new_addr) : 0,
        .new_size = page_up(new_size),
        .flags = (unsigned)flags,
        .dead = &dead,
    };
    mm_lock(mm);
    long ret = remap_locked(mm, &r);
    struct vma *v = ret > 0 && r.code ? mm_find(mm, (uintptr_t)ret) : NULL;
    struct file *file = v && v->file ? file_get(v->file) : NULL;
    u64 offset = v ? vma_pgoff(v, (uintptr_t)ret) << PAGE_SHIFT : 0;
    mm_unlock(mm);
    vma_free_list(&dead);
    if (file) {
        rewrite_mapping(mm, (uintptr_t)ret, r.new_size, file, offset);
        kept_take_text(mm, (uintptr_t)ret, (uintptr_t)ret + r.new_size);
        file_put(file);
    }
    if (ret > 0 && r.locked)
        (void)mm_populate(mm, (uintptr_t)ret, (uintptr_t)ret + r.new_size, VM_READ);
    return ret;
}
