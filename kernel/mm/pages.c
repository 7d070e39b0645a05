/* SPDX-License-Identifier: MIT */
/*
 * Pages of programs: page state, budget and target changed in step. The caller owns the pages
 * (mm->lock of the mm whose VMA covers them).
 */
#include "internal.h"

#define COMMIT_TRIES 3

static int commit_begin(uintptr_t start, uintptr_t end)
{
    int err = ps_reserve(start, end);
    if (err)
        return err;
    err = budget_take((end - start) >> PAGE_SHIFT, BUDGET_PROGRAM);
    if (err)
        ps_set(start, end, 0);
    return err;
}

/* Whether it may help to try again: the host was out of pages, and got some back. */
static bool host_was_given(int tries)
{
    return tries < COMMIT_TRIES && reclaim(1);
}

static bool commit_page(uintptr_t va, unsigned prot)
{
    for (int tries = 0; target_mem_commit(va, 1, prot); tries++) {
        if (!host_was_given(tries))
            return false;
    }
    return true;
}

/*
 * Page by page: a page can be used by the program's other threads as soon as it is accepted, so one
 * must not be taken back because another could not be had.
 */
u64 pages_commit(uintptr_t start, uintptr_t end, unsigned prot)
{
    uintptr_t va = start;
    if (commit_begin(start, end))
        return 0;
    while (va < end && commit_page(va, prot))
        va += PAGE_SIZE;
    if (va > start)
        ps_set(start, va, PS_PRESENT | prot);
    if (va < end) {
        ps_set(va, end, 0);
        budget_give((end - va) >> PAGE_SHIFT, BUDGET_PROGRAM);
    }
    return (va - start) >> PAGE_SHIFT;
}

int pages_commit_copy(uintptr_t va, const void *src, unsigned prot)
{
    int err = commit_begin(va, va + PAGE_SIZE);
    if (err)
        return err;
    for (int tries = 0; (err = target_mem_commit_copy(va, src, prot)) != 0; tries++) {
        if (host_was_given(tries))
            continue;
        ps_set(va, va + PAGE_SIZE, 0);
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
    if (err && reclaim(count)) /* the host was out of pages, and got some back */
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

/*
 * The state leaves out first what the page may lose: a thread that faults on that meanwhile is not told
 * that its fault was spurious, but waits for the owner.
 */
int pages_protect(uintptr_t start, uintptr_t end, u8 state, unsigned prot)
{
    unsigned old = state & PS_PERM;
    if (old == prot) {
        if (state & PS_GUARD) /* the program asks for what the mark only lends */
            ps_set(start, end, state & ~PS_GUARD);
        return 0;
    }
    state &= ~PS_GUARD;
    if (old & ~prot)
        ps_set(start, end, (state & ~PS_PERM) | (old & prot));
    int err = target_mem_protect(start, (end - start) >> PAGE_SHIFT, old, prot);
    ps_set(start, end, err ? state : (u8)((state & ~PS_PERM) | prot));
    return err;
}

int pages_release(uintptr_t start, uintptr_t end)
{
    u64 count = (end - start) >> PAGE_SHIFT;
    u8 state = ps_get(start);
    ps_set(start, end, (state & ~PS_PERM) | PS_BUSY);
    int err = target_mem_release(start, count);
    ps_set(start, end, err ? state : 0);
    if (!err)
        budget_give(count, BUDGET_PROGRAM);
    return err;
}
