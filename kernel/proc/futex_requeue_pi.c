/* SPDX-License-Identifier: MIT */
/*
 * Futexes: condition variables whose waiters are requeued to a lock with priority inheritance, and
 * come back with it. proc/futex.c has the whole.
 */
#include <kernel/signal.h>
#include <kernel/uaccess.h>
#include "futex.h"

/* Waits at `key` until `w` has the lock, is called to take it, or the wait ends otherwise. */
static int wait_for_lock(struct pi_waiter *w, u32 __user *addr, const struct futex_key *key,
                         u32 value, u64 deadline)
{
    int ret;

    futex_queue(&w->q, key, FUTEX_BITSET_MATCH_ANY);
    ret = futex_check(addr, value);
    if (ret)
        return ret;
    if (futex_key_equal(key, &w->key))
        return -EINVAL;
    wait_event(ret, &w->wq, pi_over(w), deadline, true);
    return ret;
}

long futex_do_wait_requeue_pi(u32 __user *addr, u32 __user *addr2, bool shared, u32 value,
                              u64 deadline)
{
    struct pi_waiter w;
    struct futex_key key, key2;
    bool requeued;
    int won, ret;

    if (addr == addr2)
        return -EINVAL;
    ret = futex_key(addr2, shared, &key2);
    if (!ret)
        ret = futex_key(addr, shared, &key);
    if (ret)
        return ret;
    pi_waiter_init(&w, addr2, &key2);
    ret = wait_for_lock(&w, addr, &key, value, deadline);
    mutex_lock(pi_mutex_of(&key2));
    requeued = READ_ONCE(w.state);
    won = pi_finish(&w);
    mutex_unlock(pi_mutex_of(&key2));
    if (won)
        return min(won, 0);
    if (ret == -EINTR)
        return requeued ? -EAGAIN : -ERESTARTNOINTR;
    return ret;
}

/*
 * The first who waits at `key`, or NULL; it stays as long as the lock's mutex is held. -EINVAL: it
 * waits for something other than to be requeued to `key2`.
 */
static int first_waiter(const struct futex_key *key, const struct futex_key *key2,
                        struct pi_waiter **found)
{
    struct futex_bucket *b = futex_bucket_of(key);
    struct futex_waiter *w;
    int ret;

    futex_bucket_lock(b);
    w = futex_first(b, key);
    *found = w && w->pi && futex_key_equal(&w->pi->key, key2) ? w->pi : NULL;
    ret = w && !*found ? -EINVAL : 0;
    spin_unlock(&b->lock);
    return ret;
}

/* 1: has the lock; 0: waits for it now; -errno as of pi_lock_or_queue(), but -EAGAIN. */
static int move_one(struct pi_waiter *w, u32 __user *lock, bool contended)
{
    int ret;

    do
        ret = pi_lock_or_queue(w, lock, true, contended);
    while (ret == -EAGAIN);
    if (ret > 0)
        pi_grant(w);
    return ret;
}

/* The first gets the lock, or waits for it; so do `move` more. The lock's mutex is held. */
static int move_waiters(const struct futex_key *key, const struct futex_key *key2, u32 __user *lock,
                        int move)
{
    struct pi_waiter *w;
    int ret, done = 0;

    while (done <= move) {
        ret = first_waiter(key, key2, &w);
        if (!ret && !w)
            break;
        if (!ret)
            ret = move_one(w, lock, move > 0);
        if (ret < 0)
            return ret;
        done++;
    }
    return done;
}

long futex_do_requeue_pi(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int move,
                         u32 expected)
{
    struct futex_key key, key2;
    int ret;

    if (wake != 1 || move < 0 || addr == addr2)
        return -EINVAL;
    ret = futex_key(addr, shared, &key);
    if (!ret)
        ret = futex_key(addr2, shared, &key2);
    if (ret)
        return ret;
    if (futex_key_equal(&key, &key2))
        return -EINVAL;
    mutex_lock(pi_mutex_of(&key2));
    ret = futex_check(addr, expected);
    if (!ret)
        ret = move_waiters(&key, &key2, addr2, move);
    mutex_unlock(pi_mutex_of(&key2));
    return ret;
}
