/* SPDX-License-Identifier: MIT */
/*
 * MemorySize: how many pages of the dynamic range are committed, by whom, and the free pages
 * between two owners.
 *
 * Every accepted page counts, free ones too, because each occupies the EPC. When a commit would
 * pass the limit, free pages of programs are trimmed first (walking the page state from where the
 * last trim ended), then free kernel pages. The last pages below the limit are kept for the kernel,
 * so that a program which takes all it can get does not leave the kernel without memory to say so.
 *
 * Free pages. munmap, brk and exec leave pages of private writable memory accepted at their
 * address, marked PS_FREE: the next mapping there takes them without a transition. Until then the
 * old range stays accessible to the program itself (never to anyone outside): an access after
 * munmap reads stale data instead of raising SIGSEGV. That window is bounded: ranges above
 * FREE_RANGE_MAX, executable pages, pages of shared files and anything beyond a quarter of
 * MemorySize are released at once; a mapping that is not plain writable memory releases what it
 * finds. Contents are zeroed when a page is claimed, never handed on.
 */
#include "internal.h"

#define FREE_RANGE_MAX (32768UL) /* pages: 128 MiB */
#define TRIM_BATCH     (512UL)  /* pages at least, so that trimming is bulk */
#define RESERVE_MAX    (512UL)  /* pages kept for the kernel */

static u64 g_limit, g_reserve;            /* set once */
static u64 g_committed, g_kernel, g_free; /* atomic */
static u64 g_peak;                        /* atomic, of committed minus free */
static u64 g_commits;                     /* atomic */
static u64 g_resident;                    /* atomic: the sum of all mm->rss */

static mutex_t g_reclaim_lock = MUTEX_INIT("mm_reclaim");
static spinlock_t g_free_lock = SPINLOCK_INIT("mm_free");
static uintptr_t g_trim_hand GUARDED_BY(&g_reclaim_lock) = USER_START;

void budget_init(u64 limit_pages)
{
    g_limit = limit_pages;
    g_reserve = min(limit_pages / 32, RESERVE_MAX);
}

static u64 load(const u64 *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void peak_update(void)
{
    u64 used = load(&g_committed) - min(load(&g_free), load(&g_committed));
    u64 peak = load(&g_peak);
    while (used > peak && !__atomic_compare_exchange_n(&g_peak, &peak, used, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Adds `pages` unless the sum passes the limit for `who`. */
static bool budget_try(u64 pages, enum budget_user who)
{
    u64 limit = who == BUDGET_KERNEL ? g_limit : g_limit - g_reserve;
    u64 old = load(&g_committed);
    do {
        if (pages > limit || old > limit - pages)
            return false;
    } while (!__atomic_compare_exchange_n(&g_committed, &old, old + pages, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    if (who == BUDGET_KERNEL)
        __atomic_fetch_add(&g_kernel, pages, __ATOMIC_RELAXED);
    __atomic_fetch_add(&g_commits, pages, __ATOMIC_RELAXED);
    peak_update();
    return true;
}

void budget_give(u64 pages, enum budget_user who)
{
    __atomic_fetch_sub(&g_committed, pages, __ATOMIC_RELAXED);
    if (who == BUDGET_KERNEL)
        __atomic_fetch_sub(&g_kernel, pages, __ATOMIC_RELAXED);
}

/* ---- Free pages ----------------------------------------------------------------------------- */

bool free_may_keep(u64 pages)
{
    return pages <= FREE_RANGE_MAX && load(&g_free) + pages <= g_limit / 4;
}

void free_put(uintptr_t start, uintptr_t end)
{
    u8 state = ps_get(start) & (PS_PERM | PS_PRESENT);
    spin_lock(&g_free_lock);
    ps_set(start, end, state | PS_FREE);
    spin_unlock(&g_free_lock);
    __atomic_fetch_add(&g_free, (end - start) >> PAGE_SHIFT, __ATOMIC_RELAXED);
}

/* Changes [start, end) from free with `state` to `to`; false when it is not so any more. */
static bool free_change(uintptr_t start, uintptr_t end, u8 state, u8 to)
{
    u8 now;
    spin_lock(&g_free_lock);
    bool same = ps_run(start, end, 0xff, &now) == end && now == state;
    if (same)
        ps_set(start, end, to);
    spin_unlock(&g_free_lock);
    if (same)
        __atomic_fetch_sub(&g_free, (end - start) >> PAGE_SHIFT, __ATOMIC_RELAXED);
    return same;
}

bool free_claim(uintptr_t start, uintptr_t end)
{
    u8 state = ps_get(start);
    if (!(state & PS_FREE) || (state & PS_BUSY))
        return false;
    bool done = free_change(start, end, state, state & ~PS_FREE);
    if (done)
        peak_update();
    return done;
}

void free_wait(void)
{
    mutex_lock(&g_reclaim_lock);
    mutex_unlock(&g_reclaim_lock);
}

/* Releases one run of free pages; what the host does not take back stays free. */
static u64 trim_run(uintptr_t start, uintptr_t end, u8 state)
{
    u64 pages = (end - start) >> PAGE_SHIFT;
    if (!free_change(start, end, state, state | PS_BUSY))
        return 0;
    if (target_mem_release(start, pages)) {
        free_put(start, end);
        return 0;
    }
    ps_set(start, end, 0);
    budget_give(pages, BUDGET_PROGRAM);
    return pages;
}

/* Releases at least `want` free pages of programs if there are so many. */
static u64 trim_user(u64 want) REQUIRES(&g_reclaim_lock)
{
    u64 done = 0;
    for (int wrapped = 0; wrapped < 2 && done < want && load(&g_free); wrapped++) {
        uintptr_t va = g_trim_hand, next;
        u8 state;
        ps_for_each_run(va, next, SHARED_END, 0xff, state)
        {
            if (done >= want)
                break;
            if (state & PS_FREE && !(state & PS_BUSY))
                done += trim_run(va, min(next, va + ((want - done) << PAGE_SHIFT)), state);
        }
        g_trim_hand = va < SHARED_END ? va : USER_START;
    }
    return done;
}

/* Makes room for `pages` more. Does not wait: whoever trims already makes room for all. */
static bool budget_reclaim(u64 pages)
{
    u64 want = max(pages, TRIM_BATCH);
    if (!mutex_trylock(&g_reclaim_lock))
        return false;
    u64 done = trim_user(want);
    if (done < pages)
        done += kpage_trim(want - done);
    if (done < pages && vfs_shrink(want - done))
        done += kpage_trim(want - done);
    mutex_unlock(&g_reclaim_lock);
    return done > 0;
}

int budget_take(u64 pages, enum budget_user who)
{
    for (int tries = 0; tries < 8; tries++) {
        if (budget_try(pages, who))
            return 0;
        if (!budget_reclaim(pages))
            break;
    }
    return budget_try(pages, who) ? 0 : -ENOMEM;
}

/* Committed pages that nobody uses. */
static u64 unused_pages(void)
{
    return min(load(&g_free) + kpage_free_count(), load(&g_committed));
}

u64 budget_available(void)
{
    u64 used = load(&g_committed) - unused_pages(), limit = g_limit - g_reserve;
    return used < limit ? limit - used : 0;
}

bool budget_fits(u64 pages)
{
    u64 available = budget_available();
    if (pages > available && pages < g_limit)
        (void)vfs_shrink(pages - available);
    return pages <= budget_available();
}

bool budget_keeps_idle(u64 pages)
{
    u64 owned = load(&g_committed) - min(load(&g_free) + load(&g_kernel), load(&g_committed));
    u64 idle = owned - min(load(&g_resident), owned);
    return idle + pages <= g_limit / 4 && budget_available() > g_limit / 8;
}

void budget_resident(s64 pages)
{
    __atomic_fetch_add(&g_resident, (u64)pages, __ATOMIC_RELAXED);
}

void mm_stats(struct mm_stats *out)
{
    u64 committed = load(&g_committed), unused = unused_pages();
    u64 kernel = load(&g_kernel), kernel_unused = min(kpage_free_count(), kernel);

    *out = (struct mm_stats){
        .limit_pages = g_limit,
        .used_pages = committed - unused,
        .used_peak = load(&g_peak),
        .free_pages = unused,
        .kernel_pages = kernel - kernel_unused,
        .faults = mm_fault_count(),
        .commits = load(&g_commits),
    };
}
