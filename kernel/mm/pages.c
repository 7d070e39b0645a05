/* SPDX-License-Identifier: MIT */
/*
 * Pages of programs: page state, budget and target changed in step. The caller owns the pages
 * (mm->lock of the mm whose VMA covers them).
 */
#include "internal.h"

static int commit_begin(uintptr_t start, uintptr_t end)
{
    int err = ps_reserve(start, end);
    return err ? err : budget_take((end - start) >> PAGE_SHIFT, BUDGET_PROGRAM);
}

int pages_commit(uintptr_t start, uintptr_t end, unsigned prot)
{
    u64 count = (end - start) >> PAGE_SHIFT;
    int err = commit_begin(start, end);
    if (err)
        return err;
    err = target_mem_commit(start, count, prot);
    if (err) {
        budget_give(count, BUDGET_PROGRAM);
        return err;
    }
    ps_set(start, end, PS_PRESENT | prot);
    return 0;
}

int pages_commit_copy(uintptr_t va, const void *src, unsigned prot)
{
    int err = commit_begin(va, va + PAGE_SIZE);
    if (err)
        return err;
    err = target_mem_commit_copy(va, src, prot);
    if (err) {
        budget_give(1, BUDGET_PROGRAM);
        return err;
    }
    ps_set(va, va + PAGE_SIZE, PS_PRESENT | prot);
    return 0;
}

int mm_kernel_commit(uintptr_t start, uintptr_t end)
{
    u64 count = (end - start) >> PAGE_SHIFT;
    int err = budget_take(count, BUDGET_KERNEL);

    if (err)
        return err;
    err = target_mem_commit(start, count, TARGET_READ | TARGET_WRITE);
    if (err)
        budget_give(count, BUDGET_KERNEL);
    return err;
}

void mm_kernel_release(uintptr_t start, uintptr_t end)
{
    u64 count = (end - start) >> PAGE_SHIFT;

    if (target_mem_release(start, count))
        return; /* the host refused: they stay, and count */
    budget_give(count, BUDGET_KERNEL);
}

int pages_protect(uintptr_t start, uintptr_t end, u8 state, unsigned prot)
{
    unsigned old = state & PS_PERM;
    if (old == prot)
        return 0;
    int err = target_mem_protect(start, (end - start) >> PAGE_SHIFT, old, prot);
    if (!err)
        ps_set(start, end, (state & ~PS_PERM) | prot);
    return err;
}

int pages_release(uintptr_t start, uintptr_t end)
{
    u64 count = (end - start) >> PAGE_SHIFT;
    int err = target_mem_release(start, count);
    if (err)
        return err;
    ps_set(start, end, 0);
    budget_give(count, BUDGET_PROGRAM);
    return 0;
}
