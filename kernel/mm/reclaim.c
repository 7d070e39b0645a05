/* SPDX-License-Identifier: MIT */
/*
 * Pages between two owners, and giving pages back when MemorySize or the EPC is used up.
 *
 * Free pages. munmap, brk and exec leave pages of private writable memory accepted at their
 * address, marked PS_FREE: the next mapping there takes them without a transition. Until then the
 * old range stays accessible to the program itself (never to anyone outside): an access after
 * munmap reads stale data instead of raising SIGSEGV. That window is bounded: ranges above
 * FREE_RANGE_MAX, executable pages, pages of shared files, anything beyond a quarter of MemorySize
 * and pages so sparse that their states would take too much memory are released at once; a mapping that is not plain writable memory releases what it
 * finds. Contents are zeroed when a page is claimed, never handed on. At addresses that relatives use too pages are
 * released, since a mapping of theirs may lie there.
 *
 * Idle pages. MADV_DONTNEED leaves pages accepted and zeroed under their VMA, marked PS_IDLE. The
 * program may use them again without a fault, so the mark says only that a page may be zero. The
 * reclaimer takes the right to write away, and releases what it then finds zero; a thread that
 * writes meanwhile faults and waits. An owner that wants to change idle pages, or to rely on their
 * being present, claims them first.
 *
 * Order. A queue holds the ranges that became free or idle, oldest first; a range that is claimed
 * leaves it. It is short: what does not fit is found by walking the page state from where the last
 * walk ended, once the queue is empty.
 *
 * Locking: the reclaimer holds g_reclaim_lock, never mm->lock; the pages it works on are PS_BUSY,
 * which it sets with g_free_lock held. Whoever finds a page busy waits for g_reclaim_lock.
 */
#include "internal.h"

#define FREE_RANGE_MAX (32768UL) /* pages: 128 MiB */
#define TRIM_BATCH     (512UL)   /* pages at least, so that trimming is bulk */
#define QUEUE_MAX      256u
#define NODES_MIN      64u /* of the page state; beyond that and 1/64 of MemorySize none for free pages */

struct range {
    uintptr_t start, end;
};

static mutex_t g_reclaim_lock = MUTEX_INIT("mm_reclaim");
static spinlock_t g_free_lock = SPINLOCK_INIT("mm_free");
static struct range g_queue[QUEUE_MAX] GUARDED_BY(&g_free_lock);
static u32 g_queue_count GUARDED_BY(&g_free_lock);
static u64 g_free, g_idle; /* pages; written under g_free_lock, read without */
static u64 g_reclaimed;    /* pages given back so far; written under g_reclaim_lock */
static uintptr_t g_hand GUARDED_BY(&g_reclaim_lock) = USER_START;

u64 free_count(void)
{
    return READ_ONCE(g_free);
}

static u64 pages_of(uintptr_t start, uintptr_t end)
{
    return (end - start) >> PAGE_SHIFT;
}

bool page_is_zero(uintptr_t va)
{
    const u64 *word = (const u64 *)va;
    for (size_t i = 0; i < PAGE_SIZE / sizeof(*word); i++) {
        if (READ_ONCE(word[i]))
            return false;
    }
    return true;
}

/* ---- The queue ------------------------------------------------------------------------------ */

static void queue_remove(u32 at) REQUIRES(&g_free_lock)
{
    g_queue_count--;
    memmove(&g_queue[at], &g_queue[at + 1], (g_queue_count - at) * sizeof(g_queue[0]));
}

static void queue_add(uintptr_t start, uintptr_t end) REQUIRES(&g_free_lock)
{
    struct range *last = g_queue_count ? &g_queue[g_queue_count - 1] : NULL;
    if (last && (last->end == start || last->start == end)) {
        last->start = min(last->start, start);
        last->end = max(last->end, end);
        return;
    }
    if (g_queue_count == QUEUE_MAX)
        queue_remove(0);
    g_queue[g_queue_count++] = (struct range){.start = start, .end = end};
}

/* Takes a claimed range off; the newest are claimed again soonest. */
static void queue_forget(uintptr_t start, uintptr_t end) REQUIRES(&g_free_lock)
{
    for (u32 i = g_queue_count; i-- > 0;) {
        struct range *r = &g_queue[i];
        if (r->end <= start || r->start >= end)
            continue;
        if (r->start >= start && r->end <= end)
            queue_remove(i);
        else if (r->start >= start)
            r->start = end;
        else if (r->end <= end)
            r->end = start;
    }
}

/* Takes at most `pages` pages of the oldest range. */
static bool queue_take(u64 pages, struct range *r)
{
    spin_lock(&g_free_lock);
    bool any = g_queue_count != 0;
    if (any) {
        *r = g_queue[0];
        r->end = min(r->end, r->start + (pages << PAGE_SHIFT));
        g_queue[0].start = r->end;
        if (r->end == g_queue[0].end)
            queue_remove(0);
    }
    spin_unlock(&g_free_lock);
    return any;
}

/* ---- Changing owners ------------------------------------------------------------------------ */

static void count(u8 state, s64 pages) REQUIRES(&g_free_lock)
{
    if (state & PS_FREE)
        WRITE_ONCE(g_free, g_free + (u64)pages);
    else
        WRITE_ONCE(g_idle, g_idle + (u64)pages);
}

/* Marks own pages with `mark`, PS_FREE or PS_IDLE; what stays of their state is in `stays`. */
static void put(uintptr_t start, uintptr_t end, u8 mark, u8 stays)
{
    u8 state = ps_get(start) & stays;
    spin_lock(&g_free_lock);
    count(mark, (s64)pages_of(start, end));
    queue_add(start, end);
    ps_set(start, end, state | mark);
    spin_unlock(&g_free_lock);
}

/* Changes a free or idle run of `state` to `to`; false when it is not so any more. */
static bool change(uintptr_t start, uintptr_t end, u8 state, u8 to)
{
    u8 now;
    spin_lock(&g_free_lock);
    bool same = start < end && ps_run(start, end, 0xff, &now) == end && now == state;
    if (same && !(to & PS_BUSY)) {
        count(state, -(s64)pages_of(start, end));
        queue_forget(start, end);
    }
    if (same)
        ps_set(start, end, to);
    spin_unlock(&g_free_lock);
    return same;
}

bool free_may_keep(u64 pages)
{
    return pages <= FREE_RANGE_MAX && READ_ONCE(g_free) + pages <= budget_limit() / 4 &&
           ps_nodes_used() <= NODES_MIN + budget_limit() / 64;
}

void free_put(uintptr_t start, uintptr_t end)
{
    put(start, end, PS_FREE, PS_PERM | PS_PRESENT);
}

void free_put_kept(uintptr_t start, uintptr_t end)
{
    put(start, end, PS_FREE, PS_PERM);
}

bool free_claim(uintptr_t start, uintptr_t end)
{
    u8 state = ps_get(start);
    bool done = (state & PS_FREE) && !(state & PS_BUSY) && change(start, end, state, (state & ~PS_FREE) | PS_PRESENT);
    if (done)
        budget_peak();
    return done;
}

bool free_claim_or_wait(uintptr_t start, uintptr_t end)
{
    if (free_claim(start, end))
        return true;
    reclaim_wait();
    return false;
}

void reclaim_wait(void)
{
    mutex_lock(&g_reclaim_lock);
    mutex_unlock(&g_reclaim_lock);
}

bool idle_may_keep(u64 pages)
{
    return READ_ONCE(g_idle) + pages <= budget_limit() / 4 &&
           budget_available() > budget_limit() / 8;
}

void idle_put(uintptr_t start, uintptr_t end)
{
    put(start, end, PS_IDLE, PS_PERM | PS_PRESENT);
}

void idle_claim(struct mm *mm, uintptr_t start, uintptr_t end)
{
    uintptr_t va = start, next;
    u8 state;
    assert_held(&mm->lock);
    if (!READ_ONCE(g_idle)) /* nor can there be new ones of this mm */
        return;
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (!(state & PS_IDLE))
            continue;
        if (!(state & PS_BUSY) && change(va, next, state, state & ~PS_IDLE)) {
            mm_rss_restore(mm, pages_of(va, next));
            continue;
        }
        reclaim_wait();
        next = va; /* look at what is there now */
    }
}

void reclaim_hold(void) NO_LOCK_ANALYSIS
{
    mutex_lock(&g_reclaim_lock);
}

void reclaim_unhold(void) NO_LOCK_ANALYSIS
{
    mutex_unlock(&g_reclaim_lock);
}

/* ---- Giving back ---------------------------------------------------------------------------- */

/* Busy pages that were not given back get their old state again. */
static void restore(uintptr_t start, uintptr_t end, u8 state)
{
    spin_lock(&g_free_lock);
    ps_set(start, end, state);
    spin_unlock(&g_free_lock);
}

/* Releases a busy run; `state` is what it was before, in which it stays where the host refuses. */
static u64 release_busy(uintptr_t start, uintptr_t end, u8 state)
{
    u64 pages = pages_of(start, end);
    ps_set(start, end, (state & ~PS_PERM) | PS_BUSY);
    if (target_mem_release(start, pages)) {
        restore(start, end, state);
        return 0;
    }
    spin_lock(&g_free_lock);
    count(state, -(s64)pages);
    spin_unlock(&g_free_lock);
    ps_set(start, end, 0);
    budget_give(pages, BUDGET_PROGRAM);
    return pages;
}

static uintptr_t zero_run(uintptr_t va, uintptr_t end)
{
    while (va < end && page_is_zero(va))
        va += PAGE_SIZE;
    return va;
}

/* Idle pages that looked zero a moment ago: nobody writes them any more, so now it is certain. */
static u64 release_idle(uintptr_t start, uintptr_t end, u8 state)
{
    unsigned prot = state & PS_PERM;
    u64 done = 0;
    if (target_mem_protect(start, pages_of(start, end), prot, TARGET_READ)) {
        restore(start, end, state);
        return 0;
    }
    const u8 read_only = (state & ~PS_PERM) | TARGET_READ | PS_BUSY;
    for (uintptr_t va = start, next; va < end; va = next) {
        next = zero_run(va, end);
        u64 given = next > va ? release_busy(va, next, read_only) : 0;
        done += given;
        if (given)
            continue;
        next = max(next, va + PAGE_SIZE);
        /* Adding rights needs nobody else. */
        (void)target_mem_protect(va, pages_of(va, next), TARGET_READ, prot);
        restore(va, next, state);
    }
    return done;
}

static u64 trim_idle(uintptr_t start, uintptr_t end, u8 state)
{
    u64 done = 0;
    if (!change(start, end, state, state | PS_BUSY))
        return 0;
    for (uintptr_t va = start, next; va < end; va = next) {
        next = zero_run(va, end);
        if (next > va) {
            done += release_idle(va, next, state);
        } else {
            next = va + PAGE_SIZE;
            restore(va, next, state);
        }
    }
    return done;
}

static u64 trim_free(uintptr_t start, uintptr_t end, u8 state)
{
    return change(start, end, state, state | PS_BUSY) ? release_busy(start, end, state) : 0;
}

/* Gives back `want` pages of the kinds `which` in [*start, end), which is left where it stopped. */
static u64 trim_range(uintptr_t *start, uintptr_t end, u8 which, u64 want)
{
    uintptr_t va = *start, next;
    u64 done = 0;
    u8 state;
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (done >= want)
            break;
        if (!(state & which) || (state & PS_BUSY))
            continue;
        next = min(next, va + ((want - done) << PAGE_SHIFT));
        done += state & PS_FREE ? trim_free(va, next, state) : trim_idle(va, next, state);
    }
    *start = va;
    return done;
}

static u64 trim_queue(u64 want) REQUIRES(&g_reclaim_lock)
{
    struct range r;
    u64 done = 0;
    while (done < want && queue_take(want - done, &r))
        done += trim_range(&r.start, r.end, PS_FREE | PS_IDLE, want - done);
    return done;
}

/* Once around the programs' part of the range, from where the last walk ended. */
static u64 trim_walk(u8 which, u64 want) REQUIRES(&g_reclaim_lock)
{
    u64 done = 0;
    for (int wrapped = 0; wrapped < 2 && done < want; wrapped++) {
        if (!((which & PS_FREE && READ_ONCE(g_free)) || (which & PS_IDLE && READ_ONCE(g_idle))))
            break;
        done += trim_range(&g_hand, SHARED_END, which, want - done);
        if (g_hand >= SHARED_END)
            g_hand = USER_START;
    }
    return done;
}

static u64 reclaim_locked(u64 want) REQUIRES(&g_reclaim_lock)
{
    u64 done = trim_queue(want);
    if (done < want)
        done += trim_walk(PS_FREE | PS_IDLE, want - done);
    if (done < want)
        done += kpage_trim(want - done);
    if (done < want && vfs_shrink(want - done))
        done += kpage_trim(want - done);
    WRITE_ONCE(g_reclaimed, g_reclaimed + done);
    return done;
}

bool reclaim(u64 pages)
{
    u64 before = READ_ONCE(g_reclaimed), want = min(max(pages, TRIM_BATCH), budget_limit());
    if (mutex_held(&g_reclaim_lock)) /* giving back needs memory itself */
        return false;
    mutex_lock(&g_reclaim_lock);
    bool any = READ_ONCE(g_reclaimed) != before || reclaim_locked(want);
    mutex_unlock(&g_reclaim_lock);
    return any;
}

void reclaim_idle(u64 pages)
{
    mutex_lock(&g_reclaim_lock);
    u64 done = trim_walk(PS_IDLE, pages);
    WRITE_ONCE(g_reclaimed, g_reclaimed + done);
    mutex_unlock(&g_reclaim_lock);
}
