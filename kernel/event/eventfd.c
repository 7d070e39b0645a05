/* SPDX-License-Identifier: MIT */
/*
 * eventfd(2): a counter that read takes and write adds to.
 *
 * Locking: lock (spinlock) guards count, which poll reads without it. Every change wakes the queue
 * afterwards, and who waits looks again under the lock.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <linux/fcntl.h>

/* These kernel headers have no linux/eventfd.h; eventfd(2) names them. */
#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC   O_CLOEXEC
#define EFD_NONBLOCK  O_NONBLOCK

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    spinlock_t lock;
    u64 count;
    bool semaphore; /* constant */
    struct waitqueue wq;
};

/* ---- The counter: 0 or -EAGAIN ---------------------------------------------------------------- */

static int count_take(struct eventfd *e, u64 *value)
{
    spin_lock(&e->lock);
    *value = e->semaphore && e->count ? 1 : e->count;
    WRITE_ONCE(e->count, e->count - *value);
    spin_unlock(&e->lock);
    return *value ? 0 : -EAGAIN;
}

static int count_add(struct eventfd *e, u64 value)
{
    bool fits;

    spin_lock(&e->lock);
    fits = value <= COUNT_MAX - e->count;
    if (fits)
        WRITE_ONCE(e->count, e->count + value);
    spin_unlock(&e->lock);
    return fits ? 0 : -EAGAIN;
}

/* ---- File ops --------------------------------------------------------------------------------- */

static bool nonblocking(const struct file *f)
{
    return READ_ONCE(f->flags) & O_NONBLOCK;
}

static ssize_t eventfd_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct eventfd *e = f->private;
    u64 value;
    int err;

    if (to->count < sizeof(value))
        return -EINVAL;
    err = count_take(e, &value);
    if (err && !nonblocking(f))
        wait_event(err, &e->wq, count_take(e, &value) == 0, DEADLINE_NONE, true);
    if (err)
        return err == -EINTR ? -ERESTARTSYS : err;
    waitqueue_wake(&e->wq, POLLOUT);
    return copy_to_iter(&value, sizeof(value), to) == sizeof(value) ? (ssize_t)sizeof(value)
                                                                    : -EFAULT;
}

static ssize_t eventfd_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    struct eventfd *e = f->private;
    u64 value;
    int err;

    if (from->count < sizeof(value))
        return -EINVAL;
    if (copy_from_iter(&value, sizeof(value), from) < sizeof(value))
        return -EFAULT;
    if (value > COUNT_MAX)
        return -EINVAL;
    err = count_add(e, value);
    if (err && !nonblocking(f))
        wait_event(err, &e->wq, count_add(e, value) == 0, DEADLINE_NONE, true);
    if (err)
        return err == -EINTR ? -ERESTARTSYS : err;
    waitqueue_wake(&e->wq, POLLIN);
    return sizeof(value);
}

static unsigned eventfd_poll(struct file *f, struct poll_table *pt)
{
    struct eventfd *e = f->private;
    u64 count;

    poll_wait(pt, &e->wq);
    count = READ_ONCE(e->count);
    return (count ? POLLIN : 0) | (count < COUNT_MAX ? POLLOUT : 0);
}

static void eventfd_release(struct file *f)
{
    kfree(f->private);
}

static ssize_t eventfd_fdinfo(struct file *f, char *buf, size_t size)
{
    const struct eventfd *e = f->private;

    return snprintf(buf, size, "eventfd-count: %16lx\neventfd-semaphore: %d\n", READ_ONCE(e->count),
                    e->semaphore);
}

static const struct file_ops g_eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .fdinfo = eventfd_fdinfo,
};

/* ---- System calls ----------------------------------------------------------------------------- */

long sys_eventfd2(unsigned count, int flags)
{
    struct eventfd *e;
    struct file *f;

    if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
        return -EINVAL;
    e = kzalloc(sizeof(*e));
    if (!e)
        return -ENOMEM;
    spin_init(&e->lock, "eventfd");
    waitqueue_init(&e->wq);
    e->count = count;
    e->semaphore = flags & EFD_SEMAPHORE;
    f = file_create_anon("anon_inode:[eventfd]", &g_eventfd_ops, e, O_RDWR | (flags & O_NONBLOCK));
    if (IS_ERR(f)) {
        kfree(e);
        return PTR_ERR(f);
    }
    return fd_install(f, 0, flags & EFD_CLOEXEC);
}

long sys_eventfd(unsigned count)
{
    return sys_eventfd2(count, 0);
}
