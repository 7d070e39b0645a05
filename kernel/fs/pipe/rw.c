/* SPDX-License-Identifier: MIT */
/*
 * Pipes: read, write, poll, FIONREAD. pipe->lock is held across the copies to and from the program, as it
 * keeps a write of up to PIPE_BUF in one piece and the readers in order.
 */
#include <kernel/poll.h>
#include <kernel/time.h>
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include "pipe.h"

/* ---- Reading ---------------------------------------------------------------------------------- */

/* From the oldest slot. Bytes (*last: a packet ended), or -EFAULT with nothing taken. */
static ssize_t read_slot(struct pipe *p, struct iov_iter *to, bool *last) REQUIRES(&p->lock)
{
    struct pipe_buf *b = pipe_slot(p, p->tail);
    u32 n = (u32)min((size_t)b->size, to->count);

    if (copy_to_iter(b->page + b->offset, n, to) < n)
        return -EFAULT;
    *last = b->packet;
    pipe_consume(p, n);
    return n;
}

/* What is there, up to to->count. */
static ssize_t read_slots(struct pipe *p, struct iov_iter *to, bool *freed) REQUIRES(&p->lock)
{
    bool last = false;
    ssize_t done = 0;

    while (to->count && !last && !pipe_empty(p)) {
        bool full = pipe_full(p);
        ssize_t n = read_slot(p, to, &last);

        if (n < 0)
            return done ? done : n;
        *freed |= full && !pipe_full(p);
        done += n;
    }
    return done;
}

ssize_t pipe_read_iter(struct pipe *p, struct iov_iter *to, unsigned flags)
{
    bool freed = false;
    ssize_t n;

    if (!to->count)
        return 0;
    mutex_lock(&p->lock);
    n = pipe_wait_data(p, flags);
    if (!n)
        n = read_slots(p, to, &freed);
    mutex_unlock(&p->lock);
    if (freed)
        pipe_wake_writers(p);
    return n;
}

/* ---- Writing ---------------------------------------------------------------------------------- */

/*
 * What goes beyond whole pages may end the last slot's page, if it fits there whole. 0: it does not.
 */
static ssize_t write_merge(struct pipe *p, struct iov_iter *from) REQUIRES(&p->lock)
{
    u32 n = (u32)(from->count & (PAGE_SIZE - 1));
    struct pipe_buf *b;

    if (!n || pipe_empty(p))
        return 0;
    b = pipe_slot(p, p->head - 1);
    if (!b->merge || b->packet || b->offset + b->size + n > PAGE_SIZE)
        return 0;
    if (copy_from_iter(b->page + b->offset + b->size, n, from) < n)
        return -EFAULT;
    b->size += n;
    return n;
}

/* Up to a page into a free slot. */
static ssize_t write_slot(struct pipe *p, struct iov_iter *from, bool packet) REQUIRES(&p->lock)
{
    u32 n = (u32)min(from->count, PAGE_SIZE);
    struct pipe_buf b = {.page = pipe_page_get(p), .size = n, .packet = packet, .merge = !packet};

    if (!b.page)
        return -ENOMEM;
    if (copy_from_iter(b.page, n, from) < n) {
        pipe_page_put(p, b.page);
        return -EFAULT;
    }
    pipe_push(p, b);
    return n;
}

/* One slot's worth, after waiting for room. `done`: bytes written before, which end a PIPE_ONCE. */
static ssize_t write_next(struct pipe *p, struct iov_iter *from, unsigned flags, size_t done)
    REQUIRES(&p->lock)
{
    ssize_t err;

    if (done && (flags & PIPE_ONCE))
        flags |= PIPE_NONBLOCK;
    if (done && pipe_full(p))
        pipe_wake_readers(p);
    err = pipe_wait_room(p, flags);
    return err ? err : write_slot(p, from, flags & PIPE_PACKET);
}

ssize_t pipe_write_iter(struct pipe *p, struct iov_iter *from, unsigned flags)
{
    size_t done = 0;
    ssize_t n = 0;

    if (!from->count)
        return 0;
    mutex_lock(&p->lock);
    if (p->readers)
        n = write_merge(p, from);
    while (n >= 0) {
        done += (size_t)n;
        if (!from->count)
            break;
        n = write_next(p, from, flags, done);
    }
    mutex_unlock(&p->lock);
    if (done)
        pipe_wake_readers(p);
    return done ? (ssize_t)done : n;
}

/* ---- The file's ops --------------------------------------------------------------------------- */

static unsigned flags_of(const struct file *f, const struct iov_iter *it)
{
    bool nonblock = (READ_ONCE(f->flags) & O_NONBLOCK) || (it->flags & RWF_NOWAIT);

    return (nonblock ? PIPE_NONBLOCK : 0) | (READ_ONCE(f->flags) & O_DIRECT ? PIPE_PACKET : 0);
}

ssize_t pipe_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    ssize_t n = pipe_read_iter(file_pipe(f), to, flags_of(f, to));

    if (n > 0)
        file_accessed(f);
    return n;
}

ssize_t pipe_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    ssize_t n = pipe_write_iter(file_pipe(f), from, flags_of(f, from));

    if (n > 0) {
        s64 now = (s64)time_realtime();

        WRITE_ONCE(f->inode->mtime, now);
        WRITE_ONCE(f->inode->ctime, now);
    }
    return n;
}

/*
 * A FIFO's reader that came before any writer (f->private: the count of opens then) is not told of a
 * hangup until one was there (poll(2), fifo(7)).
 */
static bool hung_up(const struct file *f, const struct pipe *p)
{
    return !READ_ONCE(p->writers) && (uintptr_t)f->private != READ_ONCE(p->writer_opens);
}

unsigned pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe *p = file_pipe(f);
    unsigned access = f->flags & O_ACCMODE, ready = 0;

    if (access != O_WRONLY)
        poll_wait(pt, &p->read_wait);
    if (access != O_RDONLY)
        poll_wait(pt, &p->write_wait);
    if (access != O_WRONLY) {
        if (!pipe_empty(p))
            ready |= POLLIN | POLLRDNORM;
        if (hung_up(f, p))
            ready |= POLLHUP;
    }
    if (access != O_RDONLY) {
        if (!pipe_full(p))
            ready |= POLLOUT | POLLWRNORM;
        if (!READ_ONCE(p->readers))
            ready |= POLLERR;
    }
    return ready;
}

long pipe_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct pipe *p = file_pipe(f);
    int size = 0;

    if (cmd != FIONREAD)
        return -ENOTTY;
    mutex_lock(&p->lock);
    for (unsigned i = p->tail; i != p->head; i++)
        size += (int)pipe_slot(p, i)->size;
    mutex_unlock(&p->lock);
    return put_user(size, (int __user *)arg);
}
