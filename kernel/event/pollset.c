/* SPDX-License-Identifier: MIT */
/*
 * What poll(2), select(2) and their relatives share: waiters by the dozen, deadlines, the end of a
 * call (pollset.h). No locks of its own.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <linux/personality.h>

#include "pollset.h"

#define BLOCK_WAITERS 31

struct pollset_block {
    struct pollset_block *next;
    unsigned count;
    struct waiter waiters[BLOCK_WAITERS];
};

static struct waiter *pollset_waiter(struct pollset *ps)
{
    struct pollset_block *b = ps->more;

    if (ps->count < POLLSET_FAST)
        return &ps->fast[ps->count++];
    if (!b || b->count == BLOCK_WAITERS) {
        b = kmalloc(sizeof(*b));
        if (!b)
            return NULL;
        b->next = ps->more;
        b->count = 0;
        ps->more = b;
    }
    return &b->waiters[b->count++];
}

static void pollset_add(struct poll_table *pt, struct waitqueue *wq)
{
    struct pollset *ps = container_of(pt, struct pollset, pt);
    struct waiter *w = pollset_waiter(ps);

    if (w)
        waiter_add(w, wq, pt->events);
    else
        ps->error = -ENOMEM;
}

void pollset_init(struct pollset *ps)
{
    ps->pt = (struct poll_table){.add = pollset_add};
    ps->more = NULL;
    ps->count = 0;
    ps->error = 0;
}

void pollset_free(struct pollset *ps)
{
    for (unsigned i = 0; i < ps->count; i++)
        waiter_remove(&ps->fast[i]);
    while (ps->more) {
        struct pollset_block *b = ps->more;

        for (unsigned i = 0; i < b->count; i++)
            waiter_remove(&b->waiters[i]);
        ps->more = b->next;
        kfree(b);
    }
}

/* Files without a poll op never make anybody wait: poll(2), "regular files". */
#define POLL_ALWAYS (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)

unsigned pollset_ask(struct pollset *ps, struct file *f, unsigned events)
{
    struct poll_table *pt = ps ? &ps->pt : NULL;

    events |= POLLERR | POLLHUP;
    if (!f->ops->poll)
        return POLL_ALWAYS & events;
    if (pt)
        pt->events = events;
    return f->ops->poll(f, pt) & events;
}

/* False when a time was to be written and the program's memory refused it. */
static bool write_remaining(u64 deadline, struct __kernel_timespec __user *ts,
                            struct __kernel_old_timeval __user *tv)
{
    struct __kernel_timespec left;

    if (!deadline || deadline == DEADLINE_NONE || (!ts && !tv))
        return true;
    if (current->group->personality & STICKY_TIMEOUTS)
        return false;
    left = time_to_timespec(time_left(deadline));
    if (ts)
        return !copy_to_user(ts, &left, sizeof(left));
    return !put_user(((struct __kernel_old_timeval){left.tv_sec, left.tv_nsec / 1000}), tv);
}

long poll_finish(long ret, u64 deadline, struct __kernel_timespec __user *ts,
                 struct __kernel_old_timeval __user *tv, bool masked)
{
    if (masked)
        signal_restore_mask(ret == -ERESTARTNOHAND);
    if (!write_remaining(deadline, ts, tv) && ret == -ERESTARTNOHAND)
        return -EINTR;
    return ret;
}
