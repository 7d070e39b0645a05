/* SPDX-License-Identifier: MIT */
/*
 * mseal(2): mappings that can neither be unmapped, moved, replaced nor get other permissions, until the
 * address space ends. What looks at the seal: unmap_locked(), mprotect, mremap, and the advices that
 * drop content. mm->lock is held for all of it.
 */
#include "internal.h"
#include <kernel/task.h>
#include <syscalls.gen.h>

bool vma_any_sealed(struct mm *mm, uintptr_t start, uintptr_t end)
{
    for (struct vma *v = mm_find_next(mm, start); v && v->start < end; v = vma_next(v)) {
        if (v->flags & VM_SEALED)
            return true;
    }
    return false;
}

static bool all_mapped(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock)
{
    uintptr_t at = start;
    for (struct vma *v = mm_find(mm, start); v && v->start <= at && at < end; v = vma_next(v))
        at = v->end;
    return at >= end;
}

static int seal_locked(struct mm *mm, uintptr_t start, uintptr_t end, struct list *dead)
    REQUIRES(&mm->lock)
{
    if (!all_mapped(mm, start, end) || mm->vma_count + 2 > MAX_MAP_COUNT)
        return -ENOMEM;
    int err = vma_isolate(mm, start, end);
    for (struct vma *v = mm_find(mm, start); !err && v && v->start < end; v = vma_next(v)) {
        v->flags |= VM_SEALED;
        v = vma_merge(mm, v, dead);
    }
    return err;
}

long sys_mseal(unsigned long addr, size_t size, unsigned long flags)
{
    struct mm *mm = current->mm;
    struct list dead = LIST_INIT(dead);
    uintptr_t end = addr + page_up(size);
    if (flags || (addr & ~PAGE_MASK) || (size && page_up(size) == 0) || end < addr)
        return -EINVAL;
    if (end == addr)
        return 0;
    if (end > SHARED_END)
        return -ENOMEM;
    mm_lock(mm);
    int err = seal_locked(mm, addr, end, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    return err;
}
