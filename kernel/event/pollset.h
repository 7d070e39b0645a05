/* SPDX-License-Identifier: MIT */
/*
 * The waiters of one poll(2) or select(2): one per queue that the files' poll ops name. Lives on
 * the caller's stack; only its own thread touches it. Everything that was added stays on its queue
 * until pollset_free(), so the caller holds a reference on every file meanwhile.
 */
#ifndef KERNEL_EVENT_POLLSET_H
#define KERNEL_EVENT_POLLSET_H

#include <kernel/fs.h>
#include <kernel/poll.h>
#include <linux/time_types.h>

#define POLLSET_FAST 16

struct pollset_block;

struct pollset {
    struct poll_table pt;
    struct pollset_block *more; /* heap, when the fast ones do not suffice; newest first */
    unsigned count;             /* used of fast */
    int error;                  /* -ENOMEM once a waiter could not be had */
    struct waiter fast[POLLSET_FAST];
};

void pollset_init(struct pollset *ps);
void pollset_free(struct pollset *ps);

/* What is ready of `events`, with POLLERR and POLLHUP always; registers when `ps` is not NULL. */
unsigned pollset_ask(struct pollset *ps, struct file *f, unsigned events);

/*
 * The end of ppoll, pselect6 and select: gives the signal mask back (`masked`) and writes the time
 * left to `ts` or `tv` as Linux does. A time that cannot be written makes an interrupted call end
 * in EINTR, because it could not be restarted with what is left. Returns the call's result.
 */
long poll_finish(long ret, u64 deadline, struct __kernel_timespec __user *ts,
                 struct __kernel_old_timeval __user *tv, bool masked);

#endif
