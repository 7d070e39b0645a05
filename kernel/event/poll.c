/* SPDX-License-Identifier: MIT */
/*
 * poll(2) and ppoll(2). References on all files are held during the call; descriptors are looked up
 * once, so a descriptor closed meanwhile is watched to the end, which poll(2) leaves open.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/time.h>

#include "pollset.h"

#define POLL_FAST 8

struct poll_entry {
    struct pollfd user;
    struct file *file; /* NULL: not open, or a negative number */
};

static void poll_open(struct poll_entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        entries[i].file = entries[i].user.fd < 0 ? NULL : fd_get(entries[i].user.fd);
}

static void poll_close(struct poll_entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].file)
            file_put(entries[i].file);
    }
}

/* One look at everything; registers in `ps` until the first that is ready. Returns how many are. */
static unsigned poll_pass(struct pollset *ps, struct poll_entry *entries, unsigned count)
{
    unsigned ready = 0;

    for (unsigned i = 0; i < count; i++) {
        struct poll_entry *e = &entries[i];

        e->user.revents = 0;
        if (e->user.fd < 0)
            continue;
        if (e->file)
            e->user.revents =
                (short)pollset_ask(ready ? NULL : ps, e->file, (unsigned short)e->user.events);
        else
            e->user.revents = POLLNVAL;
        ready += e->user.revents != 0;
    }
    return ready;
}

/* How many are ready, 0 after the deadline, -ENOMEM, or -ERESTARTNOHAND for a signal. */
static long poll_wait_ready(struct poll_entry *entries, unsigned count, u64 deadline)
{
    struct pollset ps;
    unsigned ready;
    int err = 0;

    pollset_init(&ps);
    ready = poll_pass(deadline ? &ps : NULL, entries, count);
    while (!ready && !err) {
        err = ps.error ? ps.error : task_block(deadline, true);
        ready = poll_pass(NULL, entries, count);
    }
    pollset_free(&ps);
    if (ready || err == -ETIMEDOUT)
        return ready;
    return err == -EINTR ? -ERESTARTNOHAND : err;
}

static int poll_copy_in(struct poll_entry *entries, const struct pollfd __user *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (copy_from_user(&entries[i].user, &fds[i], sizeof(struct pollfd)))
            return -EFAULT;
    }
    return 0;
}

static int poll_copy_out(const struct poll_entry *entries, struct pollfd __user *fds,
                         unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (put_user(entries[i].user.revents, &fds[i].revents))
            return -EFAULT;
    }
    return 0;
}

static long do_poll(struct pollfd __user *fds, unsigned count, u64 deadline)
{
    struct poll_entry fast[POLL_FAST], *entries = fast;
    long ret;

    if (count > rlimit(RLIMIT_NOFILE))
        return -EINVAL;
    if (count > POLL_FAST)
        entries = kcalloc(count, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    ret = poll_copy_in(entries, fds, count);
    if (!ret) {
        poll_open(entries, count);
        ret = poll_wait_ready(entries, count, deadline);
        poll_close(entries, count);
        if (poll_copy_out(entries, fds, count))
            ret = -EFAULT;
    }
    if (entries != fast)
        kfree(entries);
    return ret;
}

/* restart_syscall(2) after an interruption without a handler: the deadline stays. */
static long poll_restart(struct restart_block *rb)
{
    long ret = do_poll((struct pollfd __user *)rb->pollfds, rb->value, rb->deadline);

    return ret == -ERESTARTNOHAND ? -ERESTART_RESTARTBLOCK : ret;
}

long sys_poll(struct pollfd __user *fds, unsigned count, int timeout)
{
    u64 deadline =
        timeout < 0 ? DEADLINE_NONE : time_deadline((u64)timeout * (NSEC_PER_SEC / 1000));
    long ret = do_poll(fds, count, deadline);

    if (ret != -ERESTARTNOHAND)
        return ret;
    current->restart = (struct restart_block){
        .fn = poll_restart,
        .deadline = deadline,
        .pollfds = fds,
        .value = count,
    };
    return -ERESTART_RESTARTBLOCK;
}

long sys_ppoll(struct pollfd __user *fds, unsigned count, struct __kernel_timespec __user *timeout,
               const sigset64_t __user *mask, size_t size)
{
    u64 deadline;
    int err = deadline_import(timeout, &deadline);

    if (!err)
        err = signal_set_temp_mask(mask, size);
    if (err)
        return err;
    return poll_finish(do_poll(fds, count, deadline), deadline, timeout, NULL, mask);
}
