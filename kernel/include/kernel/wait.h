/* SPDX-License-Identifier: MIT */
/*
 * Wait queues: the one mechanism beneath every blocking call, poll, select and epoll.
 *
 * A waitqueue holds waiters; waking calls each waiter's function with the queue's lock held. A task
 * that wants to block prepares a waiter on every queue it cares about, re-checks its condition, then
 * calls task_block(). A queue that stands for a host descriptor (console) carries it in `host_fd`:
 * while a task blocks, the host polls the descriptors of all queues the task waits on, and the
 * answer is a hint only.
 */
#ifndef KERNEL_WAIT_H
#define KERNEL_WAIT_H

#include <kernel/list.h>
#include <kernel/lock.h>

struct waiter;

/* Runs under the queue's lock: must not block. `key` holds poll bits (POLLIN...), ~0 when unknown. */
typedef void (*waiter_fn)(struct waiter *w, unsigned key);

struct waitqueue {
    spinlock_t lock;
    struct list waiters GUARDED_BY(&lock);
    int host_fd; /* -1, or a host descriptor whose readiness wakes this queue; set once */
};

struct waiter {
    struct list link;          /* in wq->waiters; guarded by wq->lock */
    struct list task_link;     /* in the task's list of waiters; only its own thread touches it */
    struct waitqueue *wq;
    struct task *task;
    waiter_fn fn;
    unsigned events;           /* poll bits of interest */
    bool exclusive;            /* waitqueue_wake_one stops after one of these */
};

void waitqueue_init(struct waitqueue *wq);

/* Wakes all waiters, or all non-exclusive ones and one exclusive. `key`: poll bits that came true. */
void waitqueue_wake(struct waitqueue *wq, unsigned key);
void waitqueue_wake_one(struct waitqueue *wq, unsigned key);

/*
 * Puts `w` on `wq` for the current task (wakes it by default). Until waiter_remove the queue must
 * stay alive. task_block() may be called any number of times in between.
 */
void waiter_add(struct waiter *w, struct waitqueue *wq, unsigned events);
void waiter_remove(struct waiter *w);

/* As waiter_add, with a wake function of the caller's and a place among the exclusive waiters. */
void waiter_add_fn(struct waiter *w, struct waitqueue *wq, unsigned events, waiter_fn fn,
                   bool exclusive);

/*
 * A waiter that no task blocks on (epoll's): `fn` is called by every wake, whatever its key, until
 * waiter_unwatch(), after which it does not run any more. Host descriptors of the queue are not polled for it.
 */
void waiter_watch(struct waiter *w, struct waitqueue *wq, waiter_fn fn, bool exclusive);
void waiter_unwatch(struct waiter *w);

#define DEADLINE_NONE UINT64_MAX

/*
 * Blocks the current task until one of its waiters is woken, `deadline` (monotonic ns) passes or,
 * when `interruptible`, a signal is pending. No spinlock may be held.
 * Returns 0 (woken, perhaps spuriously: re-check), -ETIMEDOUT, or -EINTR.
 */
int task_block(u64 deadline, bool interruptible);

/*
 * Waits on one queue until `cond` holds. Evaluates to 0, -EINTR or -ETIMEDOUT in `ret`. Callers turn
 * -EINTR into -ERESTARTSYS (kernel/signal.h) where Linux restarts the call.
 */
#define wait_event(ret, wqp, cond, deadline, interruptible)                                        \
    do {                                                                                           \
        struct waiter we_w_;                                                                       \
        (ret) = 0;                                                                                 \
        if (cond)                                                                                  \
            break;                                                                                 \
        waiter_add(&we_w_, (wqp), ~0u);                                                            \
        while (!(cond)) {                                                                          \
            (ret) = task_block((deadline), (interruptible));                                       \
            if (ret) {                                                                             \
                if (cond)                                                                          \
                    (ret) = 0;                                                                     \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        waiter_remove(&we_w_);                                                                     \
    } while (0)

#endif
