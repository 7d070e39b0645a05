/* SPDX-License-Identifier: MIT */
/*
 * fork(2)'s copy of an address space.
 *
 * The child gets the pages that are in place and runs first; what the parent may have written is copied aside
 * and comes back when it is the parent's turn (family.h, docs/adr/0008-fork.md). Until all that can fail is done,
 * the child is a relative that nobody may enter.
 */
#include "family.h"
#include <kernel/loader.h>
#include <kernel/task.h>
#include <kernel/time.h>

/* The same mapping for `child`, not yet linked. NULL: no memory. */
static struct vma *copy_mapping(struct mm *child, const struct vma *v)
{
    struct vma *c = vma_alloc(child, v->start, v->end, v->flags & ~(VM_LOCKED | VM_LOCKONFAULT));

    if (!c)
        return NULL;
    c->pgoff = v->pgoff;
    c->name = v->name_owned ? kstrdup(v->name) : v->name;
    c->name_owned = v->name_owned;
    if (v->name_owned && !c->name) {
        kfree(c);
        return NULL;
    }
    c->file = v->file ? file_get(v->file) : NULL;
    if (v->object)
        shared_join(c, v->object);
    return c;
}

static int copy_mappings(struct mm *child, struct mm *mm) REQUIRES(&mm->lock) NO_LOCK_ANALYSIS
{
    for (struct vma *v = mm_find_next(mm, 0); v; v = vma_next(v)) {
        struct vma *c;

        if (v->flags & VM_DONTFORK)
            continue;
        c = copy_mapping(child, v);
        if (!c)
            return -ENOMEM;
        vma_link(child, c);
    }
    return 0;
}

/* Numbers that describe the program. */
static void copy_fields(struct mm *child, const struct mm *mm) NO_LOCK_ANALYSIS
{
    child->brk_start = mm->brk_start;
    child->brk = mm->brk;
    child->mmap_base = mm->mmap_base;
    child->start_code = mm->start_code;
    child->end_code = mm->end_code;
    child->start_data = mm->start_data;
    child->end_data = mm->end_data;
    child->start_stack = mm->start_stack;
    child->arg_start = mm->arg_start;
    child->arg_end = mm->arg_end;
    child->env_start = mm->env_start;
    child->env_end = mm->env_end;
    memcpy(child->auxv, mm->auxv, sizeof(child->auxv));
    child->vdso_base = mm->vdso_base;
    child->vdso_restorer = mm->vdso_restorer;
    child->rss = child->rss_peak = mm->rss;
    child->membarrier = READ_ONCE(mm->membarrier);
}

/*
 * What the child shall not see (madvise(2)): MADV_WIPEONFORK leaves it zeros, MADV_DONTFORK nothing. The
 * parent's content is saved.
 */
static int wipe(struct mm *mm) REQUIRES(&mm->lock)
{
    uintptr_t next;
    int err = 0;
    u8 state;

    for (struct vma *v = mm_find_next(mm, 0); v; v = vma_next(v)) {
        uintptr_t va = v->start;

        if (!(v->flags & (VM_DONTFORK | VM_WIPEONFORK)) || (v->flags & VM_SHARED))
            continue;
        ps_for_each_run(va, next, v->end, 0xff, state)
        {
            if (!(state & PS_PRESENT))
                continue;
            err = pages_release(va, next);
            if (err)
                return err;
        }
    }
    return 0;
}

/*
 * A relative without mappings. Others meet it by the files that it will map (mm_truncate_notify()): they wait at
 * its gate until it is complete.
 */
static struct mm *child_create(struct mm *mm)
{
    struct family *f = mm->family;
    struct mm *child = mm_alloc();

    if (!child)
        return NULL;
    mutex_lock(&f->lock);
    child->stopper = current;
    chunks_share(mm);
    family_add(f, child);
    mutex_unlock(&f->lock);
    return child;
}

/* The child's place is the parent's (`err`: not after all); the parent has left it behind, copied. */
static void hand_over(struct mm *child, int err)
{
    struct family *f = child->family;

    mutex_lock(&f->lock);
    child->stopper = NULL;
    if (!err) {
        f->resident = child;
        f->slice_end = time_monotonic() + SLICE_NS;
    }
    mutex_unlock(&f->lock);
}

static int copy_pages(struct mm *mm) REQUIRES(&mm->lock)
{
    int err = exchange_copy(mm);

    if (err)
        return err;
    err = wipe(mm);
    if (err)
        exchange_undo(mm);
    return err;
}

static struct mm *fork_stopped(struct mm *mm)
{
    struct mm *child = child_create(mm);
    int err;

    if (!child)
        return ERR_PTR(-ENOMEM);
    mm_lock(mm);
    err = copy_mappings(child, mm);
    if (!err)
        err = rewrite_fork(mm, child);
    if (!err)
        err = copy_pages(mm);
    if (!err)
        copy_fields(child, mm);
    hand_over(child, err);
    mm_unlock(mm);
    if (!err)
        return child;
    mm_put(child);
    return ERR_PTR(err);
}

struct mm *mm_fork(struct mm *mm)
{
    struct mm *child;

    mutex_lock(&mm->fork_lock);
    mm_stop_others(mm);
    child = fork_stopped(mm);
    mm_leave();
    mm_continue_others(mm);
    mutex_unlock(&mm->fork_lock);
    return child;
}
