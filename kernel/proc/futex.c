/* SPDX-License-Identifier: MIT */
/*
 * Futexes: the calls, and what they share: hashed buckets of waiters.
 *
 * A waiter queues itself under its bucket's lock, then reads the futex word, then blocks: whoever
 * changes the word and wakes afterwards finds it queued, so no wake is lost, and no user memory is
 * touched under a spinlock. A waiter that finds another value but was already woken has consumed
 * that wake and says so. futex_waitv(2) does the same with several words, whose waiters share one
 * wait queue.
 *
 * A key names the word: its address and the mm, or for a shared futex in shared memory the object
 * and the place in it. Relatives have other words at the same addresses. As on Linux, a shared
 * futex in memory that is not shared is another than the private one there.
 *
 * Priority inheritance (futex_pi.c). The word says who has the lock; the kernel knows a lock only
 * while tasks wait for it: a pi_state, with the owner and the waiters, those of higher real-time
 * priority first. Nobody is ever seen to have a free lock that others wait for: FUTEX_UNLOCK_PI
 * writes the next owner into the word and grants it the lock in one go. When an owner ends (or runs
 * another program), futex_pi_exit() only takes it off the state and calls the first waiter: that
 * one writes itself into the word, with FUTEX_OWNER_DIED, since it alone is sure to have the word
 * in its memory. Before that the robust list has cleared the words it names; a task that looks an
 * owner up later finds it marked as gone. The waiters stand in the buckets as plain ones do, so
 * that both kinds see each other: a wake that comes to one that waits for a lock is -EINVAL, as is
 * a lock at a word where others wait for a plain wake. The host schedules, so an owner inherits no
 * priority: it would make no difference.
 *
 * Requeueing to a lock (futex_requeue_pi.c) moves a waiter to its lock's bucket and state. A waiter
 * that may be requeued leaves its queue with the lock's mutex held only: it stays while who
 * requeues it touches the word.
 *
 * Locking, outer before inner:
 *
 * pi_mutex_of(key) guards a lock: its word as far as the kernel writes it, and that its waiters
 * come and go. User memory is touched with it held, so it comes before all that a fault takes. A
 * task holds one at a time.
 *
 * bucket->lock guards the list and the waiters' `link`, `key` and `woken`. Two buckets are locked
 * in the order of their addresses.
 *
 * g_pi_lock guards who owns and who waits, over all locks: a cycle is looked for with it held. Wait
 * queues come after it.
 */
#include <kernel/mm.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include "futex.h"
#include <syscalls.gen.h>

#define BUCKET_COUNT 256u

static struct futex_bucket g_buckets[BUCKET_COUNT];

/* Buckets start zeroed; the first locker of each makes its list. */
void futex_bucket_lock(struct futex_bucket *b)
{
    spin_lock(&b->lock);
    if (!b->waiters.next) {
        b->lock.name = "futex";
        list_init(&b->waiters);
    }
}

struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
    u64 h = (key->addr >> 2) * 0x9e3779b97f4a7c15UL;

    return &g_buckets[h >> 56];
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b) NO_LOCK_ANALYSIS
{
    futex_bucket_lock(min(a, b));
    if (a != b)
        futex_bucket_lock(max(a, b));
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b) NO_LOCK_ANALYSIS
{
    spin_unlock(&a->lock);
    if (a != b)
        spin_unlock(&b->lock);
}

int futex_key(const void __user *addr, bool shared, struct futex_key *key)
{
    u32 word;

    if ((uintptr_t)addr % sizeof(u32))
        return -EINVAL;
    if (!user_range_ok(addr, sizeof(u32)))
        return -EFAULT;
    if (shared && get_user(word, (const u32 __user *)addr))
        return -EFAULT;
    *key = (struct futex_key){.addr = (uintptr_t)addr | shared, .owner = current->mm};
    if (shared)
        mm_shared_key(current->mm, (uintptr_t)addr, &key->owner, &key->addr);
    return 0;
}

bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->addr == b->addr && a->owner == b->owner;
}

int futex_check(const u32 __user *addr, u32 value)
{
    u32 now;

    if (get_user(now, addr))
        return -EFAULT;
    return now == value ? 0 : -EAGAIN;
}

struct futex_waiter *futex_first(struct futex_bucket *b, const struct futex_key *key)
{
    struct futex_waiter *w;

    list_for_each(w, &b->waiters, link)
    {
        if (futex_key_equal(&w->key, key))
            return w;
    }
    return NULL;
}

/* ---- Waking --------------------------------------------------------------------------------- */

int futex_wake_locked(struct futex_bucket *b, const struct futex_key *key, int count, u32 bitset)
{
    struct futex_waiter *w, *tmp;
    int woken = 0;

    assert_held(&b->lock);
    list_for_each_safe(w, tmp, &b->waiters, link)
    {
        if (woken >= count)
            break;
        if (!futex_key_equal(&w->key, key))
            continue;
        if (w->pi)
            return -EINVAL;
        if (!(w->bitset & bitset))
            continue;
        list_del(&w->link);
        w->woken = true;
        waitqueue_wake(w->wq, ~0u);
        woken++;
    }
    return woken;
}

long futex_do_wake(const void __user *addr, bool shared, int count, u32 bitset)
{
    struct futex_key key;
    struct futex_bucket *b;
    int ret;

    if (!bitset)
        return -EINVAL;
    ret = futex_key(addr, shared, &key);
    if (ret)
        return ret;
    b = futex_bucket_of(&key);
    futex_bucket_lock(b);
    ret = futex_wake_locked(b, &key, max(count, 1), bitset);
    spin_unlock(&b->lock);
    return ret;
}

/* ---- The call ------------------------------------------------------------------------------- */

/*
 * FUTEX_WAIT counts from now; the others name a moment on CLOCK_MONOTONIC or the clock that `op`
 * says, FUTEX_LOCK_PI always one on CLOCK_REALTIME.
 */
static int import_deadline(const void __user *timeout, int op, u64 *deadline)
{
    int cmd = op & FUTEX_CMD_MASK;

    if (cmd == FUTEX_WAIT)
        return deadline_import(timeout, deadline);
    return deadline_import_at(timeout, (op & FUTEX_CLOCK_REALTIME) || cmd == FUTEX_LOCK_PI,
                              deadline);
}

/* The operations that wait, with `deadline` for their timeout. */
static long futex_waits(u32 __user *addr, int op, u32 val, u64 deadline, u32 __user *addr2,
                        u32 val3)
{
    bool shared = !(op & FUTEX_PRIVATE_FLAG);

    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return futex_do_wait(addr, shared, val, FUTEX_BITSET_MATCH_ANY, deadline);
    case FUTEX_WAIT_BITSET:
        return futex_do_wait(addr, shared, val, val3, deadline);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return futex_do_lock_pi(addr, shared, deadline);
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_do_wait_requeue_pi(addr, addr2, shared, val, deadline);
    }
    return -ENOSYS;
}

/* The others. */
static long futex_acts(u32 __user *addr, int op, u32 val, int val2, u32 __user *addr2, u32 val3)
{
    bool shared = !(op & FUTEX_PRIVATE_FLAG);

    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAKE:
        return futex_do_wake(addr, shared, (int)val, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_do_wake(addr, shared, (int)val, val3);
    case FUTEX_REQUEUE:
        return futex_do_requeue(addr, addr2, shared, (int)val, val2, NULL);
    case FUTEX_CMP_REQUEUE:
        return futex_do_requeue(addr, addr2, shared, (int)val, val2, &val3);
    case FUTEX_WAKE_OP:
        return futex_do_wake_op(addr, addr2, shared, (int)val, val2, val3);
    case FUTEX_TRYLOCK_PI:
        return futex_do_trylock_pi(addr, shared);
    case FUTEX_UNLOCK_PI:
        return futex_do_unlock_pi(addr, shared);
    case FUTEX_CMP_REQUEUE_PI:
        return futex_do_requeue_pi(addr, addr2, shared, (int)val, val2, val3);
    }
    return -ENOSYS;
}

long sys_futex(void __user *addr, int op, unsigned val, const void __user *timeout,
               void __user *addr2, unsigned val3)
{
    int cmd = op & FUTEX_CMD_MASK;
    bool any_clock =
        cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAIT_REQUEUE_PI || cmd == FUTEX_LOCK_PI2;
    bool waits = any_clock || cmd == FUTEX_WAIT || cmd == FUTEX_LOCK_PI;
    u64 deadline;
    int ret;

    if (!waits)
        return op & FUTEX_CLOCK_REALTIME ? -ENOSYS :
                                           futex_acts(addr, op, val, (int)(uintptr_t)timeout, addr2, val3);
    ret = import_deadline(timeout, op, &deadline);
    if (ret)
        return ret;
    if ((op & FUTEX_CLOCK_REALTIME) && !any_clock)
        return -ENOSYS;
    return futex_waits(addr, op, val, deadline, addr2, val3);
}
