/* SPDX-License-Identifier: MIT */
/*
 * splice(2), tee(2), vmsplice(2). One end is a pipe: of our own (kernel/pipe.h), whose slots are filled from
 * the other end or emptied into it with pipe->lock held; or the host's (stdin, stdout), through which
 * data passes as by read and write. A socket at the other end is waited for without the pipe's lock. Takes
 * no lock itself.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/pipe.h>
#include <kernel/poll.h>
#include <kernel/signal.h>
#include <kernel/socket.h>
#include <kernel/syscall.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "rw.h"

/* linux/fcntl.h has no SPLICE_F_*; splice(2) names them. */
#define SPLICE_F_MOVE     1u
#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_MORE     4u
#define SPLICE_F_GIFT     8u
#define SPLICE_F_ALL      (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

static ssize_t read_actor(void *arg, void *buf, size_t size)
{
    struct copy_end *in = arg;
    ssize_t n = copy_end_read(in, buf, size);

    in->blocked = n == -EAGAIN;
    return n;
}

static ssize_t write_actor(void *arg, void *buf, size_t size)
{
    struct copy_end *out = arg;
    ssize_t n = copy_end_write(out, buf, size);

    out->blocked = n == -EAGAIN;
    return n;
}

/* ---- Sockets ---------------------------------------------------------------------------------- */

#define WAIT_QUEUES 2

struct socket_wait {
    struct poll_table pt;
    struct waiter waiters[WAIT_QUEUES];
    unsigned count;
};

static void socket_wait_add(struct poll_table *pt, struct waitqueue *wq)
{
    struct socket_wait *w = container_of(pt, struct socket_wait, pt);

    if (w->count < WAIT_QUEUES)
        waiter_add(&w->waiters[w->count++], wq, pt->events);
}

/* Until poll(2) would report one of `events`. 0 or -ERESTARTSYS. */
static int wait_events(struct file *f, unsigned events)
{
    struct socket_wait w = {.pt = {.add = socket_wait_add, .events = events | POLLERR | POLLHUP}};
    unsigned ready = f->ops->poll(f, &w.pt);
    int err = 0;

    while (!err && !(ready & w.pt.events)) {
        err = task_block(DEADLINE_NONE, true);
        ready = f->ops->poll(f, NULL);
    }
    while (w.count)
        waiter_remove(&w.waiters[--w.count]);
    return err ? -ERESTARTSYS : 0;
}

/*
 * Before a transfer between a pipe and `end`: a socket must not block under the pipe's lock. After it: whether
 * it would have, and has been waited for (1: once more, 0: done, or -errno).
 */
static void end_prepare(struct copy_end *end)
{
    end->blocked = false;
    end->flags = file_socket(end->file) ? RWF_NOWAIT : 0;
}

static int end_wait(struct copy_end *end, unsigned events, ssize_t n, bool nonblock)
{
    int err;

    if (n != -EAGAIN || !end->blocked || !end->flags || nonblock || (end->file->flags & O_NONBLOCK))
        return 0;
    err = wait_events(end->file, events);
    return err ? err : 1;
}

static unsigned pipe_flags(unsigned flags, unsigned file_flags)
{
    return (flags & SPLICE_F_NONBLOCK) || (file_flags & O_NONBLOCK) ? PIPE_NONBLOCK : 0;
}

ssize_t splice_to_pipe(struct copy_end *in, struct file *out, size_t size, unsigned flags)
{
    ssize_t n;
    int again;

    do {
        end_prepare(in);
        n = pipe_fill(file_pipe(out), size, pipe_flags(flags, out->flags), read_actor, in);
        again = end_wait(in, POLLIN, n, flags & SPLICE_F_NONBLOCK);
    } while (again > 0);
    return again < 0 ? again : n;
}

static ssize_t splice_from_pipe(struct pipe *p, struct copy_end *out, size_t size, unsigned flags)
{
    ssize_t n;
    int again;

    do {
        end_prepare(out);
        n = pipe_drain(p, size, pipe_flags(flags, 0), write_actor, out);
        again = end_wait(out, POLLOUT, n, flags & SPLICE_F_NONBLOCK);
    } while (again > 0);
    return again < 0 ? again : n;
}

static ssize_t splice_ends(struct copy_end *in, struct copy_end *out, size_t size, unsigned flags)
{
    struct pipe *ip = file_pipe(in->file), *op = file_pipe(out->file);

    if (ip && op)
        return pipe_transfer(ip, op, size, pipe_flags(flags, in->file->flags | out->file->flags),
                             false);
    if (op)
        return splice_to_pipe(in, out->file, size, flags);
    if (ip)
        return splice_from_pipe(ip, out, size, flags);
    return copy_range(in, out, size, true);
}

static int splice_check(struct file *in, const void __user *off_in, struct file *out,
                        const void __user *off_out)
{
    bool ipipe = S_ISFIFO(in->inode->mode), opipe = S_ISFIFO(out->inode->mode);

    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if ((ipipe && off_in) || (opipe && off_out))
        return -ESPIPE;
    if (!ipipe && !opipe)
        return -EINVAL;
    if ((off_in && !in->seekable) || (off_out && !out->seekable) || (out->flags & O_APPEND))
        return -EINVAL;
    return 0;
}

static long splice_files(struct file *in, loff_t __user *uin, struct file *out,
                         loff_t __user *uout, size_t size, unsigned flags)
{
    loff_t ipos = 0, opos = 0;
    struct copy_end from = {.file = in, .pos = uin ? &ipos : NULL};
    struct copy_end to = {.file = out, .pos = uout ? &opos : NULL};
    int err = splice_check(in, uin, out, uout);
    ssize_t ret;

    if (!err && uin)
        err = copy_offset_from_user(&ipos, uin);
    if (!err && uout)
        err = copy_offset_from_user(&opos, uout);
    if (err)
        return err;
    ret = splice_ends(&from, &to, min(size, MAX_RW_COUNT), flags);
    if ((uin && put_user(ipos, uin)) || (uout && put_user(opos, uout)))
        return -EFAULT;
    return ret;
}

long sys_splice(int fd_in, loff_t __user *off_in, int fd_out, loff_t __user *off_out, size_t size,
                unsigned flags)
{
    struct file *in, *out;
    long ret;

    if (!size)
        return 0;
    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    in = fd_get(fd_in);
    out = fd_get(fd_out);
    ret = in && out ? splice_files(in, off_in, out, off_out, size, flags) : -EBADF;
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return ret;
}

/* A host's pipe cannot be read without consuming: EINVAL, as for what is no pipe. */
static long tee_files(struct file *in, struct file *out, size_t size, unsigned flags)
{
    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if (!file_pipe(in) || !file_pipe(out))
        return -EINVAL;
    return pipe_transfer(file_pipe(in), file_pipe(out), min(size, MAX_RW_COUNT),
                         pipe_flags(flags, in->flags | out->flags), true);
}

long sys_tee(int fd_in, int fd_out, size_t size, unsigned flags)
{
    struct file *in, *out;
    long ret;

    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    if (!size)
        return 0;
    in = fd_get(fd_in);
    out = fd_get(fd_out);
    ret = in && out ? tee_files(in, out, size, flags) : -EBADF;
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return ret;
}

/* vmsplice(2): the pages are copied, none is ever given away; a writer takes what fits after one wait. */
static long vmsplice_pipe(struct file *f, const struct iovec __user *vec, unsigned long segs,
                          unsigned flags)
{
    struct iovec fast[IOV_FAST];
    struct iovec *heap = NULL;
    struct iov_iter it;
    ssize_t ret = iov_import(&it, vec, segs, fast, &heap);

    flags = pipe_flags(flags, 0);
    if (ret > 0 && file_writable(f))
        ret = pipe_write_iter(file_pipe(f), &it, flags | PIPE_ONCE);
    else if (ret > 0)
        ret = pipe_read_iter(file_pipe(f), &it, flags);
    kfree(heap);
    return ret;
}

long sys_vmsplice(int fd, const struct iovec __user *vec, unsigned long segs, unsigned flags)
{
    struct file *f;
    long ret = -EBADF;

    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    f = fd_get(fd);
    if (!f)
        return -EBADF;
    if (file_pipe(f))
        ret = vmsplice_pipe(f, vec, segs, flags);
    else if (S_ISFIFO(f->inode->mode)) /* the host's */
        ret = file_writable(f) ? sys_writev(fd, vec, segs) : sys_readv(fd, vec, segs);
    file_put(f);
    return ret;
}
