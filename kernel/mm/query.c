/* SPDX-License-Identifier: MIT */
/*
 * mincore(2) and msync(2).
 *
 * Pages that MADV_DONTNEED left idle may have been written since without a fault; mincore looks at
 * their content. Files are in memory as far as a program can tell, so their pages always are.
 */
#include "internal.h"
#include <kernel/task.h>
#include <kernel/uaccess.h>
#include <syscalls.gen.h>

#define CHUNK 256u /* pages answered at once */

static bool idle_in_use(uintptr_t va)
{
    reclaim_hold();
    u8 state = ps_get(va);
    bool in_use = (state & PS_PRESENT) && !page_is_zero(va);
    reclaim_unhold();
    return in_use;
}

static u8 resident(const struct vma *v, uintptr_t va)
{
    u8 state = ps_get(va);
    if (!vma_anonymous(v))
        return 1;
    if (!(state & PS_PRESENT))
        return 0;
    return !(state & PS_IDLE) || idle_in_use(va);
}

static int mincore_chunk(struct mm *mm, uintptr_t start, unsigned count, u8 *vec)
{
    int err = 0;
    mm_lock(mm);
    for (unsigned i = 0; i < count && !err; i++) {
        uintptr_t va = start + i * PAGE_SIZE;
        const struct vma *v = mm_find(mm, va);
        if (v)
            vec[i] = resident(v, va);
        else
            err = -ENOMEM;
    }
    mm_unlock(mm);
    return err;
}

long sys_mincore(unsigned long addr, size_t size, void __user *vec)
{
    u8 chunk[CHUNK];
    if (addr & ~PAGE_MASK)
        return -EINVAL;
    if (addr > SHARED_END || size > SHARED_END - addr)
        return -ENOMEM;
    u64 pages = page_up(size) >> PAGE_SHIFT;
    if (!user_range_ok(vec, pages))
        return -EFAULT;
    for (u64 done = 0; done < pages;) {
        unsigned count = (unsigned)min(pages - done, (u64)CHUNK);
        int err = mincore_chunk(current->mm, addr + (done << PAGE_SHIFT), count, chunk);
        if (!err)
            err = copy_to_user((u8 __user *)vec + done, chunk, count);
        if (err)
            return err;
        done += count;
    }
    return 0;
}

/* ---- Names of words ------------------------------------------------------------------------- */

void mm_shared_key(struct mm *mm, uintptr_t addr, const void **owner, u64 *offset)
{
    mm_lock(mm);
    const struct vma *v = mm_find(mm, addr);
    if (v && (v->flags & VM_SHARED) && v->object) {
        *owner = v->object;
        *offset = (vma_pgoff(v, addr) << PAGE_SHIFT) + (addr & ~PAGE_MASK);
    }
    mm_unlock(mm);
}

/* ---- msync(2) ------------------------------------------------------------------------------- */

/* The VMA at or above `at` below `end`: its end in *next, its file with a reference when it needs a
 * sync. */
static int msync_step(struct mm *mm, uintptr_t at, uintptr_t end, int flags, uintptr_t *next,
                      struct file **file, bool *hole)
{
    int err = 0;
    mm_lock(mm);
    struct vma *v = mm_find_next(mm, at);
    *file = NULL;
    *hole = !v || v->start > at;
    *next = v ? max(v->end, at) : end;
    if (v && v->start >= end)
        *next = end;
    else if (v && (flags & MS_INVALIDATE) && (v->flags & VM_LOCKED))
        err = -EBUSY;
    else if (v && (flags & MS_SYNC) && vma_shared_file(v))
        *file = file_get(v->file);
    mm_unlock(mm);
    return err;
}

long sys_msync(unsigned long addr, size_t size, int flags)
{
    const int known = MS_ASYNC | MS_INVALIDATE | MS_SYNC;
    uintptr_t end = addr + page_up(size);
    bool any_hole = false;
    if ((flags & ~known) || (addr & ~PAGE_MASK) ||
        (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        return -EINVAL;
    if (end < addr || (size && end == addr))
        return -ENOMEM;
    for (uintptr_t at = addr; at < end;) {
        struct file *file;
        bool hole;
        int err = msync_step(current->mm, at, end, flags, &at, &file, &hole);
        if (!err && file && file->ops->fsync)
            err = file->ops->fsync(file, true);
        if (file)
            file_put(file);
        if (err)
            return err;
        any_hole = any_hole || hole;
    }
    return any_hole ? -ENOMEM : 0;
}
