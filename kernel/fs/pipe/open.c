/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs come and go: pipe2(2), open(2) of a FIFO with its waits (fifo(7)), the last close. A pipe
 * lives while a description of its inode is open; data that nobody read goes with it.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/syscall.h>
#include <linux/fcntl.h>
#include <syscalls.gen.h>
#include "pipe.h"

#define O_NOTIFICATION_PIPE O_EXCL

static void pipe_release(struct file *f);

static const struct file_ops g_pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

/* ---- Ends ------------------------------------------------------------------------------------- */

static bool reads(const struct file *f)
{
    return (f->flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(const struct file *f)
{
    return (f->flags & O_ACCMODE) != O_RDONLY;
}

/* Counts the file's ends in. Wakes who waits in open(2) for the other side. */
static void ends_add(struct pipe *p, const struct file *f) REQUIRES(&p->lock)
{
    assert_held(&p->lock);
    if (reads(f)) {
        WRITE_ONCE(p->reader_opens, p->reader_opens + 1);
        WRITE_ONCE(p->readers, p->readers + 1);
        waitqueue_wake(&p->write_wait, POLLOUT | POLLWRNORM);
    }
    if (writes(f)) {
        WRITE_ONCE(p->writer_opens, p->writer_opens + 1);
        WRITE_ONCE(p->writers, p->writers + 1);
        waitqueue_wake(&p->read_wait, POLLIN | POLLRDNORM);
    }
}

static void ends_drop(struct pipe *p, const struct file *f)
{
    bool last;

    mutex_lock(&p->lock);
    if (reads(f))
        WRITE_ONCE(p->readers, p->readers - 1);
    if (writes(f))
        WRITE_ONCE(p->writers, p->writers - 1);
    last = !p->readers != !p->writers; /* one side is gone, the other hears of it */
    mutex_unlock(&p->lock);
    if (!last)
        return;
    waitqueue_wake(&p->read_wait, POLLIN | POLLRDNORM | POLLHUP);
    waitqueue_wake(&p->write_wait, POLLOUT | POLLWRNORM | POLLERR);
}

/* The inode's pipe with the caller counted, made when there is none. NULL: no memory. */
static struct pipe *pipe_get(struct inode *inode)
{
    struct pipe *p;

    mutex_lock(&inode->lock);
    if (!inode->pipe)
        inode->pipe = pipe_create();
    p = inode->pipe;
    if (p)
        p->files++;
    mutex_unlock(&inode->lock);
    return p;
}

static void pipe_put(struct inode *inode)
{
    struct pipe *p;

    mutex_lock(&inode->lock);
    p = inode->pipe;
    if (--p->files)
        p = NULL;
    else
        inode->pipe = NULL;
    mutex_unlock(&inode->lock);
    if (p)
        pipe_destroy(p);
}

static void pipe_release(struct file *f)
{
    ends_drop(file_pipe(f), f);
    pipe_put(f->inode);
}

/* ---- FIFOs ------------------------------------------------------------------------------------ */

/* Until the other side was opened since: it may be closed again by the time this looks. */
static int wait_partner(struct pipe *p, struct waitqueue *wq, const unsigned *opens)
    REQUIRES(&p->lock)
{
    unsigned before = *opens;
    int err = 0;

    while (!err && *opens == before)
        err = pipe_wait(p, wq);
    return *opens == before ? err : 0;
}

/* The file's ends are counted; waits for the other one as fifo(7) says. */
static int fifo_wait(struct pipe *p, struct file *f) REQUIRES(&p->lock)
{
    unsigned access = f->flags & O_ACCMODE;

    if (access == O_RDONLY && !p->writers) {
        if (!(f->flags & O_NONBLOCK))
            return wait_partner(p, &p->read_wait, &p->writer_opens);
        f->private = (void *)(uintptr_t)p->writer_opens;
    }
    if (access == O_WRONLY && !p->readers)
        return wait_partner(p, &p->write_wait, &p->reader_opens);
    return 0;
}

static int ends_open(struct inode *inode, struct file *f, bool named)
{
    struct pipe *p = pipe_get(inode);
    int err = 0;

    if (!p)
        return -ENOMEM;
    f->ops = &g_pipe_ops;
    f->seekable = false;
    f->private = (void *)UINTPTR_MAX; /* no count of opens */
    mutex_lock(&p->lock);
    if (named && (f->flags & O_ACCMODE) == O_WRONLY && (f->flags & O_NONBLOCK) && !p->readers)
        err = -ENXIO;
    else
        ends_add(p, f);
    if (!err) {
        err = named ? fifo_wait(p, f) : 0;
        mutex_unlock(&p->lock);
        if (err)
            ends_drop(p, f);
    } else {
        mutex_unlock(&p->lock);
    }
    if (err)
        pipe_put(inode);
    return err;
}

int pipe_open(struct inode *inode, struct file *f)
{
    return ends_open(inode, f, true);
}

void pipe_init(void)
{
    vfs_set_special_open(S_IFIFO, pipe_open);
}

/* ---- Pipes without a name --------------------------------------------------------------------- */

/* open(2) through /proc/self/fd: waits for nobody, as the pipe may have lost its other end for good. */
static int open_again(struct inode *inode, struct file *f)
{
    return ends_open(inode, f, false);
}

static const struct inode_ops g_pipe_inode_ops = {.open = open_again};

/* Both ends, counted. 0 or -ENOMEM. */
static int pipe_files(struct file *ends[2], int flags)
{
    struct pipe *p = pipe_create();
    struct file *r = p ? file_create_anon("pipe", &g_pipe_ops, (void *)UINTPTR_MAX,
                                          O_RDONLY | (flags & O_NONBLOCK)) : ERR_PTR(-ENOMEM);
    struct file *w;

    if (IS_ERR(r)) {
        if (p)
            pipe_destroy(p);
        return (int)PTR_ERR(r);
    }
    r->inode->mode = S_IFIFO | 0600;
    r->inode->ops = &g_pipe_inode_ops;
    r->inode->pipe = p;
    p->files = 1;
    p->readers = p->reader_opens = 1;
    file_name_anon(r, "pipe");
    w = file_create_peer(r, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)));
    if (IS_ERR(w)) {
        file_put(r);
        return (int)PTR_ERR(w);
    }
    p->files = 2;
    p->writers = p->writer_opens = 1;
    ends[0] = r;
    ends[1] = w;
    return 0;
}

/* Two numbers, told to the program before anything is opened. */
static int reserve_two(int fds[2], int __user *ufds, bool cloexec)
{
    int err;

    fds[0] = fd_reserve(0, cloexec);
    if (fds[0] < 0)
        return fds[0];
    fds[1] = fd_reserve(0, cloexec);
    err = fds[1] < 0 ? fds[1] : copy_to_user(ufds, fds, 2 * sizeof(int));
    if (err && fds[1] >= 0)
        fd_cancel(fds[1]);
    if (err)
        fd_cancel(fds[0]);
    return err;
}

long sys_pipe2(int __user *ufds, int flags)
{
    struct file *ends[2] = {NULL, NULL};
    int fds[2], err;

    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOTIFICATION_PIPE))
        return -EINVAL;
    if (flags & O_NOTIFICATION_PIPE)
        return -ENOPKG; /* as a kernel without watch queues */
    err = pipe_files(ends, flags);
    if (err)
        return err;
    err = reserve_two(fds, ufds, flags & O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        if (err)
            file_put(ends[i]);
        else
            fd_commit(fds[i], ends[i]);
    }
    return err;
}

long sys_pipe(int __user *ufds)
{
    return sys_pipe2(ufds, 0);
}
