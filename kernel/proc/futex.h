/* SPDX-License-Identifier: MIT */
/* What the files of futexes share; proc/futex.c says how they work together. */
#ifndef KERNEL_PROC_FUTEX_H
#define KERNEL_PROC_FUTEX_H

#include <kernel/wait.h>
#include <linux/futex.h>
#include "internal.h"

struct futex_key {
    u64 addr; /* and 1 for a shared futex in memory that is not; or the offset in the object */
    const void *owner; /* mm or shared object */
};

struct futex_bucket {
    spinlock_t lock;
    struct list waiters GUARDED_BY(&lock);
};

struct pi_waiter;

struct futex_waiter {
    struct list link; /* this and the next two: guarded by bucket->lock */
    struct futex_key key;
    bool woken;
    struct futex_bucket *bucket; /* changes, with both buckets' locks held, when requeued */
    u32 bitset;
    struct pi_waiter
        *pi; /* waits for a lock, or to be requeued to one; NULL: for a plain wake. Set once */
    struct waitqueue *wq; /* where its task blocks; set once */
};

/* ---- futex.c: names, buckets, waking -------------------------------------------------------- */

/* -EINVAL: not aligned; -EFAULT: no address of a program, or a shared one that cannot be read. */
int futex_key(const void __user *addr, bool shared, struct futex_key *key);
bool futex_key_equal(const struct futex_key *a, const struct futex_key *b);

/* Whether the word holds the value: 0, -EAGAIN, -EFAULT. */
int futex_check(const u32 __user *addr, u32 value);

struct futex_bucket *futex_bucket_of(const struct futex_key *key);
void futex_bucket_lock(struct futex_bucket *b) ACQUIRES(&b->lock);
/* Two that may be one, in the order of their addresses. */
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
/* Who waits at `key` longest, or NULL. */
struct futex_waiter *futex_first(struct futex_bucket *b, const struct futex_key *key) REQUIRES(&b->lock);

/*
 * Wakes at most `count` plain waiters; their number. -EINVAL: came to one that waits for a lock;
 * those before it are awake.
 */
int futex_wake_locked(struct futex_bucket *b, const struct futex_key *key, int count, u32 bitset)
    REQUIRES(&b->lock);

/* FUTEX_WAKE and its like: wakes one when `count` is less. -EINVAL (also: no bitset), -EFAULT. */
long futex_do_wake(const void __user *addr, bool shared, int count, u32 bitset);

/* ---- futex_wait.c --------------------------------------------------------------------------- */

/* Puts `w`, whose `pi` and `wq` are set, where wakers find it. The word is to be read after that. */
void futex_queue(struct futex_waiter *w, const struct futex_key *key, u32 bitset);
/* Takes it off, wherever it was requeued to; true when a waker had done so. */
bool futex_leave(struct futex_waiter *w);

/* Waits once: 0 (woken), -EAGAIN (another value), -ETIMEDOUT, -EINTR, -EFAULT, -EINVAL. */
int futex_wait_once(u32 __user *addr, bool shared, u32 value, u32 bitset, u64 deadline);
/* FUTEX_WAIT and its like: as above, with -ERESTART* for -EINTR. */
long futex_do_wait(u32 __user *addr, bool shared, u32 value, u32 bitset, u64 deadline);

/* ---- futex_requeue.c ------------------------------------------------------------------------ */

/*
 * Wakes `wake` waiters of `addr` and moves at most `move` of the others to `addr2`; how many in
 * all. `expected` NULL: whatever the word holds. -EAGAIN: another value; -EINVAL, -EFAULT.
 */
long futex_do_requeue(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int move,
                      const u32 *expected);
/* FUTEX_WAKE_OP. -ENOSYS: an unknown operation. */
long futex_do_wake_op(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int wake2,
                      u32 op);

/* ---- futex_pi.c: priority inheritance ------------------------------------------------------- */

/* Who waits behind a lock's owner. Guarded by g_pi_lock; it lives as long as it has waiters. */
struct pi_state {
    struct task *owner;  /* NULL: died, and the first waiter is called to take the lock */
    struct list owned;   /* in owner->pi_states */
    struct list waiters; /* pi_waiter.state_link, in the order in which they get the lock */
};

/* A task in FUTEX_LOCK_PI or FUTEX_WAIT_REQUEUE_PI; on its stack. */
struct pi_waiter {
    struct futex_waiter q;
    struct waitqueue wq;
    struct task *task;
    u32 __user *word;       /* of the lock, in the task's own memory */
    struct futex_key key;   /* of the lock; pi_mutex_of(&key) guards q's place in a list */
    struct pi_state *state; /* this and the rest: guarded by g_pi_lock; NULL: waits for no owner */
    struct list state_link;
    bool granted; /* the lock is the task's, and the word says so */
    bool called;  /* the owner died: to take the lock with pi_finish() */
};

void pi_waiter_init(struct pi_waiter *w, u32 __user *word, const struct futex_key *key);

/* Serialises what is done to the locks of some keys; user memory may be touched with it held. */
mutex_t *pi_mutex_of(const struct futex_key *key);

/*
 * Gets the lock at `word` (the caller's address) for w's task, or queues the task behind the owner;
 * `w` waits in the bucket of another key when it is to be `moved`, or nowhere. `contended`: others
 * will come right behind. pi_mutex_of(&w->key) is held. 1: got it; 0: queued; -EAGAIN: the word
 * changed; -EDEADLK, -ESRCH, -EINVAL, -EFAULT, -ENOMEM.
 */
int pi_lock_or_queue(struct pi_waiter *w, u32 __user *word, bool moved, bool contended);
/*
 * A task that waits in `w`'s queue has got the lock: takes it off and wakes it.
 * pi_mutex_of(&w->key) is held.
 */
void pi_grant(struct pi_waiter *w);
/* Whether the wait is over. No locks. */
bool pi_over(const struct pi_waiter *w);
/*
 * The end of w's wait: takes a lock whose owner died, or leaves the queues. 1: the task has the
 * lock; 0: not; -EFAULT. pi_mutex_of(&w->key) is held.
 */
int pi_finish(struct pi_waiter *w);

/* FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI. */
long futex_do_lock_pi(u32 __user *addr, bool shared, u64 deadline);
long futex_do_trylock_pi(u32 __user *addr, bool shared);
long futex_do_unlock_pi(u32 __user *addr, bool shared);

/* ---- futex_requeue_pi.c --------------------------------------------------------------------- */

/* FUTEX_WAIT_REQUEUE_PI: waits at `addr` to be requeued to the lock at `addr2`. */
long futex_do_wait_requeue_pi(u32 __user *addr, u32 __user *addr2, bool shared, u32 value,
                              u64 deadline);
/* FUTEX_CMP_REQUEUE_PI: how many got the lock or wait for it now. */
long futex_do_requeue_pi(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int move,
                         u32 expected);

#endif
