/* SPDX-License-Identifier: MIT */
/*
 * Wait queues and blocking (kernel/wait.h).
 *
 * task->woken closes the race between a task that re-checks its condition and a waker: wakers set
 * it before they unpark, task_block() takes it before it parks, and an unpark that comes in between
 * makes the park return at once. A leftover from an earlier wait only makes one task_block() return
 * early.
 *
 * Host descriptors: task_block() names those of all the task's queues to the host and turns its
 * answer into a wake of the queues, so that everybody on them hears of it, whoever asked.
 *
 * Locking: wq->lock guards wq->waiters. Waker functions run under it, so a waiter (and its task)
 * stays alive until waiter_remove() has taken the same lock.
 */
#include <kernel/mm.h>
#include <kernel/poll.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/wait.h>

/* With more host descriptors than one park can name, the rest is looked at this often. */
#define POLL_SLICE_NS 10000000UL

void waitqueue_init(struct waitqueue *wq)
{
    spin_init(&wq->lock, "waitqueue");
    list_init(&wq->waiters);
    wq->host_fd = -1;
}

static void waiter_wake_task(struct waiter *w, unsigned key)
{
    (void)key;
    __atomic_store_n(&w->task->woken, 1, __ATOMIC_RELEASE);
    if (w->task != current_task())
        target_unpark(w->task);
}

static void wake(struct waitqueue *wq, unsigned key, bool one)
{
    struct waiter *w, *tmp;

    spin_lock(&wq->lock);
    list_for_each_safe(w, tmp, &wq->waiters, link)
    {
        bool exclusive = w->exclusive;
        if (!(key & (w->events | POLLERR | POLLHUP | POLLNVAL)))
            continue;
        w->fn(w, key);
        if (one && exclusive)
            break;
    }
    spin_unlock(&wq->lock);
}

void waitqueue_wake(struct waitqueue *wq, unsigned key)
{
    wake(wq, key, false);
}

void waitqueue_wake_one(struct waitqueue *wq, unsigned key)
{
    wake(wq, key, true);
}

static void enqueue(struct waiter *w, struct waitqueue *wq, waiter_fn fn, bool exclusive)
{
    w->wq = wq;
    w->fn = fn;
    w->exclusive = exclusive;
    spin_lock(&wq->lock);
    if (exclusive)
        list_add_tail(&wq->waiters, &w->link);
    else
        list_add(&wq->waiters, &w->link);
    spin_unlock(&wq->lock);
}

void waiter_add_fn(struct waiter *w, struct waitqueue *wq, unsigned events, waiter_fn fn,
                   bool exclusive)
{
    w->task = current_task();
    w->events = events;
    list_add_tail(&w->task->waiters, &w->task_link);
    enqueue(w, wq, fn, exclusive);
}

void waiter_watch(struct waiter *w, struct waitqueue *wq, waiter_fn fn, bool exclusive)
{
    w->task = NULL;
    w->events = ~0u;
    list_init(&w->task_link);
    enqueue(w, wq, fn, exclusive);
}

void waiter_unwatch(struct waiter *w)
{
    spin_lock(&w->wq->lock);
    list_del(&w->link);
    spin_unlock(&w->wq->lock);
}

void waiter_add(struct waiter *w, struct waitqueue *wq, unsigned events)
{
    waiter_add_fn(w, wq, events, waiter_wake_task, false);
}

void waiter_remove(struct waiter *w)
{
    spin_lock(&w->wq->lock);
    list_del(&w->link);
    spin_unlock(&w->wq->lock);
    list_del(&w->task_link);
}

/* The host descriptors of the task's waiters, each once with all events. More than fit: false. */
static bool collect_host_fds(struct task *t, struct target_pollfd *fds, unsigned *count)
{
    struct waiter *w;
    unsigned i;

    *count = 0;
    list_for_each(w, &t->waiters, task_link)
    {
        int fd = w->wq->host_fd;
        u16 events = (u16)(w->events & (POLLIN | POLLPRI | POLLOUT));
        if (fd < 0)
            continue;
        for (i = 0; i < *count && fds[i].fd != fd; i++)
            ;
        if (i == TARGET_POLL_MAX)
            return false;
        if (i == *count)
            fds[(*count)++] = (struct target_pollfd){.fd = fd};
        fds[i].events |= events;
    }
    return true;
}

/* Passes the host's hints on to the queues. A queue stays while our waiter is on it. */
static void spread_hints(struct task *t, const struct target_pollfd *fds, unsigned count)
{
    struct waiter *w;

    for (unsigned i = 0; i < count; i++) {
        if (!fds[i].revents)
            continue;
        list_for_each(w, &t->waiters, task_link)
        {
            if (w->wq->host_fd == fds[i].fd)
                waitqueue_wake(w->wq, fds[i].revents);
        }
    }
}

static void park(struct task *t, u64 deadline)
{
    struct target_pollfd fds[TARGET_POLL_MAX];
    unsigned count;

    if (!collect_host_fds(t, fds, &count)) {
        deadline = min(deadline, time_monotonic() + POLL_SLICE_NS);
        __atomic_store_n(&t->woken, 1, __ATOMIC_RELAXED); /* the caller looks at all of them */
    }
    t->nvcsw++;
    mm_leave();
    cputime_block_begin();
    target_park(fds, count, min(min(deadline, strace_block()), ktimer_next()));
    cputime_block_end();
    spread_hints(t, fds, count);
}

int task_block(u64 deadline, bool interruptible)
{
    struct task *t = current_task();

    for (;;) {
        ktimer_run();
        if (__atomic_exchange_n(&t->woken, 0, __ATOMIC_ACQUIRE))
            return 0;
        if (interruptible && signal_pending())
            return -EINTR;
        if (deadline != DEADLINE_NONE && time_monotonic() >= deadline)
            return -ETIMEDOUT;
        park(t, deadline);
    }
}
