/* SPDX-License-Identifier: MIT */
/*
 * The pages of mappings, by ranges: claiming, committing, protecting and dropping them in runs of
 * equal state. mm->lock is held by every caller; it makes the pages under the mm's VMAs ours.
 *
 * Between calls: no page under a VMA is PS_FREE (but for kept ones, kept.c), and a page under a VMA has the VMA's permissions
 * or (after a failed mprotect) fewer. Idle pages may become absent at any moment until they are
 * claimed, which every change of a range begins with.
 */
#include "family.h"

/* Atomic, because an alias of a shared page may be taken away from another mm. */
void mm_rss_add(struct mm *mm, s64 pages)
{
    u64 old = __atomic_load_n(&mm->rss, __ATOMIC_RELAXED), rss;

    do /* pages that a relative brought are not counted when they come, but when they go */
        rss = (s64)old + pages < 0 ? 0 : old + (u64)pages;
    while (!__atomic_compare_exchange_n(&mm->rss, &old, rss, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
    u64 peak = __atomic_load_n(&mm->rss_peak, __ATOMIC_RELAXED);
    while (pages > 0 && rss > peak &&
           !__atomic_compare_exchange_n(&mm->rss_peak, &peak, rss, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

void mm_rss_restore(struct mm *mm, u64 pages)
{
    __atomic_fetch_add(&mm->rss, pages, __ATOMIC_RELAXED);
}

u64 range_resident(uintptr_t start, uintptr_t end)
{
    u64 pages = 0;
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if ((state & (PS_PRESENT | PS_FREE | PS_IDLE)) == PS_PRESENT)
            pages += (next - va) >> PAGE_SHIFT;
    }
    return pages;
}

u64 mm_resident_pages(uintptr_t start, uintptr_t end)
{
    return range_resident(start, end);
}

bool range_has_free(uintptr_t start, uintptr_t end)
{
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, PS_FREE, state)
    {
        if (state & PS_FREE)
            return true;
    }
    return false;
}

/* Makes a claimed run zero with `prot`. On failure it is free again. */
static int adopt(struct mm *mm, uintptr_t start, uintptr_t end, u8 state, unsigned prot)
{
    const unsigned rw = TARGET_READ | TARGET_WRITE;
    unsigned old = state & PS_PERM;
    int err = 0;
    state = (state & PS_PERM) | PS_PRESENT;
    if ((old & rw) != rw) {
        err = pages_protect(start, end, state, old | rw);
        if (!err)
            state |= rw;
    }
    if (!err) {
        memset((void *)start, 0, end - start);
        err = pages_protect(start, end, state, prot);
    }
    if (err)
        free_put(start, end);
    else
        mm_rss_add(mm, (s64)((end - start) >> PAGE_SHIFT));
    return err;
}

void range_abandon(struct mm *mm, uintptr_t start, uintptr_t end)
{
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if ((state & (PS_PRESENT | PS_FREE)) != PS_PRESENT)
            continue;
        mm_rss_add(mm, -(s64)((next - va) >> PAGE_SHIFT));
        free_put(va, next);
    }
}

static int release_claimed(uintptr_t start, uintptr_t end)
{
    int err = pages_release(start, end);
    if (err)
        free_put(start, end);
    return err;
}

int range_prepare(struct mm *mm, uintptr_t start, uintptr_t end, bool anonymous, unsigned vm_flags)
{
    bool keep = anonymous && (vm_flags & VM_WRITE);
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (!(state & PS_FREE))
            continue;
        if (!free_claim_or_wait(va, next)) {
            next = va; /* look at what is there now */
            continue;
        }
        int err = keep ? adopt(mm, va, next, state, vma_prot(vm_flags)) : release_claimed(va, next);
        if (err) {
            range_abandon(mm, start, va);
            return err;
        }
    }
    return 0;
}

/*
 * Free pages keep no mark of whose mapping covers them: where a relative may have one they cannot stay. (The windows of
 * shared memory are free when their last mapping goes.)
 */
static uintptr_t alone_run(const struct mm *mm, uintptr_t va, uintptr_t end, bool *alone)
{
    *alone = true;
    return va >= SHARED_START ? end : chunk_run(mm, va, end, alone);
}

/* Pages of an address space that ends are out of everybody's reach: no reason to trim them now. */
static bool may_keep(const struct mm *mm, u8 state, u64 pages)
    REQUIRES(&mm->lock)
{
    if (mm->ending)
        return true;
    if ((state & TARGET_EXEC) || !(state & TARGET_READ))
        return false;
    return free_may_keep(pages);
}

static void drop_pages(struct mm *mm, const struct vma *v, uintptr_t start, uintptr_t end, bool alone)
    REQUIRES(&mm->lock)
{
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, 0xff, state)
    {
        u64 pages = (next - va) >> PAGE_SHIFT;
        if (!(state & PS_PRESENT))
            continue;
        mm_rss_add(mm, -(s64)pages);
        if (v->flags & VM_KEPT)
            free_put_kept(va, next);
        else if ((alone && may_keep(mm, state, pages)) || pages_release(va, next))
            free_put(va, next);
    }
}

void range_drop(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
{
    bool keep, alone;
    if (vma_shared_file(v))
        return;
    idle_claim(mm, start, end);
    for (uintptr_t va = start, next; va < end; va = next) {
        next = alone_run(mm, va, shared_keep_run(v, va, end, &keep), &alone);
        if (!keep)
            drop_pages(mm, v, va, next, alone);
    }
}

void range_release(struct mm *mm, uintptr_t start, uintptr_t end)
{
    uintptr_t va = start, next;
    u8 state;
    idle_claim(mm, start, end);
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if ((state & PS_PRESENT) && pages_release(va, next) == 0)
            mm_rss_add(mm, -(s64)((next - va) >> PAGE_SHIFT));
    }
}

int range_protect(struct mm *mm, uintptr_t start, uintptr_t end, unsigned prot)
{
    uintptr_t va = start, next;
    u8 state;
    idle_claim(mm, start, end);
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (!(state & PS_PRESENT))
            continue;
        int err = pages_protect(va, next, state, prot);
        if (err)
            return err;
    }
    return 0;
}

int range_commit(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
{
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, PS_PRESENT, state)
    {
        if (state & PS_PRESENT)
            continue;
        u64 pages = (next - va) >> PAGE_SHIFT;
        u64 done = pages_commit(va, next, vma_prot(v->flags) | TARGET_READ);
        mm_rss_add(mm, (s64)done);
        if (done < pages)
            return -ENOMEM;
    }
    return 0;
}
