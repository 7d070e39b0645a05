/* SPDX-License-Identifier: MIT */
/*
 * The kernel's timers: one list in the order of deadlines, and one request to the host to interrupt
 * at the first of them. The host is asked again only when a deadline comes before what it was last
 * told: a timer that is cancelled or put off costs no exit, at the price of an interrupt that finds
 * nothing to do.
 *
 * Locking: g_lock (spinlock, a leaf) guards the list, every timer's fields and g_told. g_first is
 * read without it: a stale value only makes ktimer_run() look once too often or an interrupt later.
 */
#include <kernel/lock.h>
#include <kernel/target.h>
#include <kernel/time.h>

#define EARLY_NS 5000000UL /* how far the host's clock may be ahead, as far as timers care */

static spinlock_t g_lock = SPINLOCK_INIT("ktimer");
static struct ktimer g_head GUARDED_BY(&g_lock) = {.prev = &g_head, .next = &g_head};
static u64 g_told = UINT64_MAX;  /* the host interrupts then; written under g_lock, atomic */
static u64 g_first = UINT64_MAX; /* the first deadline; written under g_lock, atomic */

static void unlink(struct ktimer *t)
{
    assert_held(&g_lock);
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->armed = false;
}

/* Equal deadlines stay in the order of ktimer_set(). Most timers are the last: search from there. */
static void insert(struct ktimer *t) REQUIRES(&g_lock)
{
    struct ktimer *after = g_head.prev;

    assert_held(&g_lock);
    while (after != &g_head && after->deadline > t->deadline)
        after = after->prev;
    t->prev = after;
    t->next = after->next;
    after->next->prev = t;
    after->next = t;
    t->armed = true;
}

static void note_first(void)
{
    assert_held(&g_lock);
    __atomic_store_n(&g_first, g_head.next == &g_head ? UINT64_MAX : g_head.next->deadline,
                     __ATOMIC_RELAXED);
}

/*
 * Tells the host about an earlier deadline, or the next one when what it was told is over. Exits are
 * made without the lock; the loop makes sure that the last word of several threads is the earliest
 * deadline. A deadline that has passed is told as well: the host interrupts at once.
 */
static void tell_host(bool over)
{
    u64 said = 0;
    bool spoke = false;

    for (;;) {
        u64 first;

        spin_lock(&g_lock);
        first = g_first;
        if (first == UINT64_MAX || (first >= g_told && !over && (!spoke || said == g_told))) {
            spin_unlock(&g_lock);
            return;
        }
        if (first < g_told || over)
            __atomic_store_n(&g_told, first, __ATOMIC_RELAXED);
        said = g_told;
        spin_unlock(&g_lock);
        target_timer_set(said);
        over = false;
        spoke = true;
    }
}

/* The host's interrupt has come, or may have: its clock may be a little before the kernel's. */
static bool interrupt_over(u64 now)
{
    u64 told = __atomic_load_n(&g_told, __ATOMIC_RELAXED);

    return told != UINT64_MAX && told <= now + EARLY_NS;
}

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *))
{
    *t = (struct ktimer){.fn = fn};
}

bool ktimer_set(struct ktimer *t, u64 deadline)
{
    bool armed;

    spin_lock(&g_lock);
    armed = t->armed;
    if (armed)
        unlink(t);
    t->deadline = deadline;
    insert(t);
    note_first();
    spin_unlock(&g_lock);
    tell_host(__atomic_load_n(&g_told, __ATOMIC_RELAXED) <= time_monotonic());
    return armed;
}

bool ktimer_cancel(struct ktimer *t)
{
    bool armed;

    spin_lock(&g_lock);
    armed = t->armed;
    if (armed)
        unlink(t);
    note_first();
    spin_unlock(&g_lock);
    return armed;
}

u64 ktimer_next(void)
{
    return __atomic_load_n(&g_first, __ATOMIC_RELAXED);
}

/* The first timer that is due, taken off the list, or NULL. */
static struct ktimer *take_due(u64 now)
{
    struct ktimer *t = NULL;

    spin_lock(&g_lock);
    if (g_head.next != &g_head && g_head.next->deadline <= now) {
        t = g_head.next;
        unlink(t);
        note_first();
    }
    spin_unlock(&g_lock);
    return t;
}

void ktimer_run(void)
{
    struct ktimer *t;
    u64 now;

    time_check();
    if (likely(ktimer_next() == UINT64_MAX))
        return;
    now = time_monotonic();
    if (likely(ktimer_next() > now && !interrupt_over(now)))
        return;
    while ((t = take_due(time_monotonic())))
        t->fn(t);
    tell_host(interrupt_over(now));
}
