/* SPDX-License-Identifier: MIT */
/*
 * MemorySize: how many pages of the dynamic range are committed, and by whom.
 *
 * Every accepted page counts, free and idle ones too, because each occupies the EPC. A commit that
 * would pass the limit has others given back first (reclaim.c) and fails only when nothing is left to
 * give. The last pages below the limit are kept for the kernel, so that a program which takes all
 * it can get does not leave the kernel without memory to say so. As many again are kept from files.
 *
 * Locking: none; the counters are atomic.
 */
#include "internal.h"

#define RESERVE_MAX (512UL) /* pages kept for the kernel */

static u64 g_limit, g_reserve;    /* set once */
static u64 g_committed, g_kernel; /* atomic */
static u64 g_peak;                /* atomic, of committed minus free */
static u64 g_commits;             /* atomic */

void budget_init(u64 limit_pages)
{
    g_limit = limit_pages;
    g_reserve = min(limit_pages / 32, RESERVE_MAX);
}

u64 budget_limit(void)
{
    return g_limit;
}

static u64 load(const u64 *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void budget_peak(void)
{
    u64 committed = load(&g_committed), used = committed - min(free_count(), committed);
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
    budget_peak();
    return true;
}

void budget_give(u64 pages, enum budget_user who)
{
    __atomic_fetch_sub(&g_committed, pages, __ATOMIC_RELAXED);
    if (who == BUDGET_KERNEL)
        __atomic_fetch_sub(&g_kernel, pages, __ATOMIC_RELAXED);
}

int budget_take(u64 pages, enum budget_user who)
{
    while (!budget_try(pages, who)) {
        if (pages > g_limit || !reclaim(pages))
            return budget_try(pages, who) ? 0 : -ENOMEM;
    }
    return 0;
}

/* Committed pages that nobody uses. */
static u64 unused_pages(void)
{
    return free_count() + kpage_free_count();
}

u64 budget_available(void)
{
    u64 committed = load(&g_committed), limit = g_limit - g_reserve;
    u64 used = committed - min(unused_pages(), committed);
    return used < limit ? limit - used : 0;
}

bool budget_fits(u64 pages)
{
    u64 available = budget_available();
    if (pages > available && pages < g_limit)
        (void)vfs_shrink(pages - available);
    available = budget_available();
    if (pages > available && pages < g_limit)
        reclaim_idle(pages - available);
    return pages <= budget_available();
}

bool mm_file_room(void)
{
    return likely(budget_available() > g_reserve) || budget_fits(g_reserve + 1);
}

void mm_stats(struct mm_stats *out)
{
    u64 committed = load(&g_committed), unused = min(unused_pages(), committed);
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
