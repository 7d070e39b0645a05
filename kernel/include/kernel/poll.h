/* SPDX-License-Identifier: MIT */
/*
 * Readiness. A file's poll op reports POLL* bits now and, when `pt` is not NULL, registers the queues
 * that will be woken when more come true; poll, select and epoll differ only in what they register.
 */
#ifndef KERNEL_POLL_H
#define KERNEL_POLL_H

#include <kernel/wait.h>
#include <linux/poll.h>

struct file;

struct poll_table {
    void (*add)(struct poll_table *pt, struct waitqueue *wq);
    unsigned events; /* of interest */
};

static inline void poll_wait(struct poll_table *pt, struct waitqueue *wq)
{
    if (pt && pt->add)
        pt->add(pt, wq);
}

/* The last reference on a file goes: every epoll forgets it. */
void epoll_forget_file(struct file *f);

#endif
