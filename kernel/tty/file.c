/* SPDX-License-Identifier: MIT */
/*
 * Reading, writing and polling both sides of a pseudo-terminal.
 *
 * Locking: pty->lock around the rings; bytes go to and from the program through a buffer, without it.
 */
#include <kernel/alloc.h>
#include <kernel/signal.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include "pty.h"

#define IO_MAX LINE_SIZE /* bytes of one pass */

int pty_wait(struct pty *p, struct waitqueue *wq, u64 deadline)
{
    struct waiter w;
    int err;

    assert_held(&p->lock);
    waiter_add(&w, wq, ~0u);
    mutex_unlock(&p->lock);
    err = task_block(deadline, true);
    mutex_lock(&p->lock);
    waiter_remove(&w);
    return err == -EINTR ? -ERESTARTSYS : err;
}

static bool nonblocking(const struct file *f, const struct iov_iter *it)
{
    return (READ_ONCE(f->flags) & O_NONBLOCK) || (it->flags & RWF_NOWAIT);
}

/* ---- Through a buffer ------------------------------------------------------------------------------------- */

typedef ssize_t side_read(struct pty *p, u8 *buf, size_t size, bool nonblock);

static ssize_t read_through(struct file *f, struct iov_iter *to, side_read *fn)
{
    size_t size = min(to->count, (size_t)IO_MAX);
    ssize_t n;
    u8 *buf;

    if (!size)
        return 0;
    buf = kmalloc(size);
    if (!buf)
        return -ENOMEM;
    n = fn(f->private, buf, size, nonblocking(f, to));
    if (n > 0 && copy_to_iter(buf, (size_t)n, to) < (size_t)n)
        n = -EFAULT;
    kfree(buf);
    return n;
}

/* ---- The slave ---------------------------------------------------------------------------------------------- */

/* What VMIN and VTIME ask of a read (termios(3)). */
struct read_wish {
    size_t least;
    u64 gap_ns;   /* between bytes, after the first; 0: no limit */
    u64 deadline; /* for the first */
};

static struct read_wish read_wish(const struct pty *p, size_t size) REQUIRES(&p->lock)
{
    struct read_wish w = {.least = 1, .deadline = DEADLINE_NONE};
    u64 time_ns = p->termios.c_cc[VTIME] * 100000000UL;

    if (term_l(p, ICANON))
        return w;
    if (p->termios.c_cc[VMIN]) {
        w.least = min((size_t)p->termios.c_cc[VMIN], size);
        w.gap_ns = time_ns;
    } else {
        w.deadline = time_ns ? time_monotonic() + time_ns : 0;
    }
    return w;
}

/* Until there is something: 0, or why not. -ETIMEDOUT: nothing came in time. */
static int slave_await(struct pty *p, u64 deadline, bool nonblock) REQUIRES(&p->lock)
{
    int err = 0;

    while (!err && !ldisc_readable(p, false)) {
        if (!p->master_open)
            return -EIO;
        if (!deadline)
            return -ETIMEDOUT;
        if (nonblock)
            return -EAGAIN;
        err = pty_wait(p, &p->slave_wait, deadline);
    }
    return ldisc_readable(p, false) ? 0 : err;
}

static ssize_t slave_take(struct pty *p, u8 *buf, size_t size, bool nonblock) REQUIRES(&p->lock)
{
    struct read_wish wish = read_wish(p, size);
    u64 deadline = wish.deadline;
    size_t done = 0;
    bool eof = false;
    int err;

    do {
        err = slave_await(p, deadline, nonblock);
        if (err)
            break;
        done += ldisc_take(p, buf + done, size - done, &eof);
        if (wish.gap_ns)
            deadline = time_monotonic() + wish.gap_ns;
    } while (!eof && done < wish.least);
    return done || err == -ETIMEDOUT ? (ssize_t)done : err;
}

static ssize_t slave_read_some(struct pty *p, u8 *buf, size_t size, bool nonblock)
{
    ssize_t n = tty_check_read(&p->jobs);

    if (n)
        return n;
    mutex_lock(&p->lock);
    if (p->master_open)
        n = slave_take(p, buf, size, nonblock);
    mutex_unlock(&p->lock);
    return n;
}

static ssize_t slave_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    ssize_t n = read_through(f, to, slave_read_some);

    if (n > 0)
        file_accessed(f);
    return n;
}

static ssize_t slave_write_some(void *arg, const u8 *buf, size_t size, bool nonblock)
{
    struct pty *p = arg;
    size_t done = 0;
    int err = 0;

    mutex_lock(&p->lock);
    while (!err) {
        if (!p->master_open) {
            err = -EIO;
            break;
        }
        done += ldisc_print(p, buf + done, size - done);
        if (done == size)
            break;
        err = nonblock ? -EAGAIN : pty_wait(p, &p->slave_wait, DEADLINE_NONE);
    }
    mutex_unlock(&p->lock);
    return done ? (ssize_t)done : err;
}

static bool tostop(struct pty *p)
{
    bool stops;

    mutex_lock(&p->lock);
    stops = term_l(p, TOSTOP) && p->master_open;
    mutex_unlock(&p->lock);
    return stops;
}

static ssize_t slave_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    struct pty *p = f->private;
    int err = tty_in_background(&p->jobs) && tostop(p) ? tty_check_change(&p->jobs) : 0;

    return err ? err : iov_hand_over(from, IO_MAX, slave_write_some, f->private, nonblocking(f, from));
}

static unsigned slave_poll(struct file *f, struct poll_table *pt) NO_LOCK_ANALYSIS
{
    struct pty *p = f->private;
    unsigned ready = 0;

    poll_wait(pt, &p->slave_wait);
    if (!READ_ONCE(p->master_open))
        return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    if (ldisc_readable(p, true))
        ready |= POLLIN | POLLRDNORM;
    if (!READ_ONCE(p->stopped) && ring_room(&p->out) > LINE_SIZE / 2)
        ready |= POLLOUT | POLLWRNORM;
    return ready;
}

/* ---- The master --------------------------------------------------------------------------------------------- */

static bool master_readable(const struct pty *p) NO_LOCK_ANALYSIS
{
    return ring_used(&p->out) || (READ_ONCE(p->packet) && READ_ONCE(p->packet_status));
}

static int master_await(struct pty *p, bool nonblock) REQUIRES(&p->lock)
{
    int err = 0;

    while (!err && !master_readable(p)) {
        if (p->slave_closed)
            err = -EIO;
        else
            err = nonblock ? -EAGAIN : pty_wait(p, &p->master_wait, DEADLINE_NONE);
    }
    return err;
}

static ssize_t master_take(struct pty *p, u8 *buf, size_t size) REQUIRES(&p->lock)
{
    size_t done = 0;

    if (p->packet && p->packet_status) {
        buf[0] = p->packet_status;
        p->packet_status = 0;
        return 1;
    }
    if (p->packet)
        buf[done++] = TIOCPKT_DATA;
    while (done < size && ring_used(&p->out))
        buf[done++] = ring_get(&p->out);
    ldisc_echo_run(p);
    waitqueue_wake(&p->slave_wait, POLLOUT | POLLWRNORM);
    return (ssize_t)done;
}

static ssize_t master_read_some(struct pty *p, u8 *buf, size_t size, bool nonblock)
{
    ssize_t n;

    mutex_lock(&p->lock);
    n = master_await(p, nonblock);
    if (!n)
        n = master_take(p, buf, size);
    mutex_unlock(&p->lock);
    return n;
}

static ssize_t master_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    return read_through(f, to, master_read_some);
}

static size_t pend(struct pty *p, const u8 *buf, size_t size) REQUIRES(&p->lock)
{
    size_t done = 0;

    while (done < size && ring_room(&p->pending))
        ring_put(&p->pending, buf[done++]);
    ldisc_run(p);
    return done;
}

static ssize_t master_write_some(void *arg, const u8 *buf, size_t size, bool nonblock)
{
    struct pty *p = arg;
    size_t done = 0;
    int err = 0;

    mutex_lock(&p->lock);
    while (!err) {
        done += pend(p, buf + done, size - done);
        if (done == size)
            break;
        if (!ring_room(&p->pending))
            err = nonblock ? -EAGAIN : pty_wait(p, &p->master_wait, DEADLINE_NONE);
    }
    mutex_unlock(&p->lock);
    return done ? (ssize_t)done : err;
}

static ssize_t master_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    return iov_hand_over(from, IO_MAX, master_write_some, f->private, nonblocking(f, from));
}

static unsigned master_poll(struct file *f, struct poll_table *pt) NO_LOCK_ANALYSIS
{
    struct pty *p = f->private;
    unsigned ready = 0;

    poll_wait(pt, &p->master_wait);
    if (master_readable(p))
        ready |= POLLIN | POLLRDNORM;
    if (READ_ONCE(p->packet) && READ_ONCE(p->packet_status))
        ready |= POLLPRI;
    if (READ_ONCE(p->slave_closed))
        ready |= POLLHUP;
    if (ring_room(&p->pending))
        ready |= POLLOUT | POLLWRNORM;
    return ready;
}

const struct file_ops pty_master_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = pty_master_ioctl,
    .release = pty_release_master,
};

const struct file_ops pty_slave_ops = {
    .read = slave_read,
    .write = slave_write,
    .poll = slave_poll,
    .ioctl = pty_slave_ioctl,
    .release = pty_release_slave,
};
