/* SPDX-License-Identifier: MIT */
/*
 * The host's descriptors 0, 1 and 2 as streams: terminal, pipe, or whatever else is there. Regular
 * files are hostfile.c's.
 *
 * The host's descriptors stay blocking or not as they are outside; O_NONBLOCK is a matter of the
 * description inside. A read asks for readiness first and waits on the queue, where signals reach
 * it; a blocking write goes out at once, one host call for up to HOST_IO_SIZE bytes. The host's
 * word on readiness is a hint: a lie costs a blocked host call or a turn of a loop.
 *
 * Locking: struct console is constant after console_install(), except its queue, which has its own
 * lock.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/mm.h>
#include <kernel/pseudofs.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/stat.h>

#include "dev.h"

#define NONBLOCK_SIZE 4096u  /* PIPE_BUF: what a pipe that polls writable takes without waiting */

static struct console g_consoles[CONSOLE_COUNT];

void console_probe(void)
{
    static const char *const names[CONSOLE_COUNT] = {"host:[0]", "host:[1]", "host:[2]"};

    for (int fd = 0; fd < CONSOLE_COUNT; fd++) {
        struct console *c = &g_consoles[fd];

        c->fd = fd;
        c->name = names[fd];
        c->kind = target_host_fd_kind(fd, &c->flags);
        waitqueue_init(&c->wq);
        c->wq.host_fd = fd;
    }
}

static bool console_serves(const struct console *c, unsigned flags)
{
    int have = c->flags & O_ACCMODE, want = (int)flags & O_ACCMODE;

    return have == O_RDWR || have == want;
}

struct console *console_terminal(int flags)
{
    struct console *any = NULL;

    for (int fd = 0; fd < CONSOLE_COUNT; fd++) {
        struct console *c = &g_consoles[fd];

        if (c->kind != TARGET_FD_TTY)
            continue;
        if (console_serves(c, (unsigned)flags))
            return c;
        if (!any)
            any = c;
    }
    return any;
}

struct console *console_find(const struct inode *inode, unsigned flags)
{
    for (int fd = 0; fd < CONSOLE_COUNT; fd++) {
        if (g_consoles[fd].inode == inode && console_serves(&g_consoles[fd], flags))
            return &g_consoles[fd];
    }
    return NULL;
}

/* ---- Readiness ------------------------------------------------------------------------------ */

unsigned console_ready(const struct console *c, unsigned events)
{
    int ready;

    ready = target_host_poll(c->fd, events);
    if (ready < 0)
        return POLLERR;
    return (unsigned)ready & (events | POLLERR | POLLHUP);
}

int console_wait(struct console *c, unsigned events, u64 deadline)
{
    struct waiter w;
    int err = 0;

    waiter_add(&w, &c->wq, events);
    while (!err && !console_ready(c, events))
        err = task_block(deadline, true);
    waiter_remove(&w);
    return err;
}

static unsigned console_poll(struct file *f, struct poll_table *pt)
{
    struct console *c = f->private;
    unsigned events = POLLIN | POLLPRI | POLLOUT, ready;

    poll_wait(pt, &c->wq);
    ready = console_ready(c, events);
    if (ready & POLLIN)
        ready |= POLLRDNORM;
    if (ready & POLLOUT)
        ready |= POLLWRNORM;
    return ready;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static bool nonblocking(const struct file *f, const struct iov_iter *it)
{
    return (f->flags & O_NONBLOCK) || (it->flags & RWF_NOWAIT);
}

/*
 * 0: a host read will not block for long. -EAGAIN, -ERESTARTSYS; -ETIMEDOUT: nothing came (VTIME).
 */
static int read_wait(struct console *c, bool nonblock)
{
    struct tty_read_mode mode = {.wait = true};
    u64 deadline = DEADLINE_NONE;
    int err;

    if (nonblock)
        return console_ready(c, POLLIN) ? 0 : -EAGAIN;
    if (c->kind == TARGET_FD_TTY)
        mode = tty_read_mode(c);
    if (!mode.wait)
        return 0;
    if (mode.timeout_ns)
        deadline = time_monotonic() + mode.timeout_ns;
    err = console_wait(c, POLLIN, deadline);
    return err == -EINTR ? -ERESTARTSYS : err;
}

static ssize_t read_once(struct console *c, bool nonblock, void *buf, size_t size)
{
    for (;;) {
        int err = c->kind == TARGET_FD_TTY ? tty_read_allowed() : 0;
        ssize_t n;

        if (!err)
            err = read_wait(c, nonblock);
        if (err)
            return err == -ETIMEDOUT ? 0 : err;
        mm_leave();
        n = target_host_read(c->fd, buf, size);
        if (n == -EINTR && signal_pending())
            return -ERESTARTSYS;
        if (n != -EINTR && (n != -EAGAIN || nonblock))
            return n;
    }
}

static ssize_t console_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    size_t size = min(to->count, (size_t)HOST_IO_SIZE);
    void *buf;
    ssize_t n;

    if (!size)
        return 0;
    buf = kmalloc(size);
    if (!buf)
        return -ENOMEM;
    n = read_once(f->private, nonblocking(f, to), buf, size);
    if (n > 0) {
        size_t copied = copy_to_iter(buf, (size_t)n, to);

        n = copied ? (ssize_t)copied : -EFAULT;
    }
    kfree(buf);
    return n;
}

/* ---- Writing -------------------------------------------------------------------------------- */

/* One host call, with what must be waited for. 0: try again. */
static ssize_t write_once(struct console *c, bool nonblock, const void *buf, size_t size)
{
    ssize_t n;

    if (nonblock) {
        if (!console_ready(c, POLLOUT))
            return -EAGAIN;
        size = min(size, (size_t)NONBLOCK_SIZE);
    }
    mm_leave();
    n = target_host_write(c->fd, buf, size);
    if (n == -EINTR)
        return signal_pending() ? -ERESTARTSYS : 0;
    if (n == -EAGAIN && !nonblock)
        return console_wait(c, POLLOUT, DEADLINE_NONE) ? -ERESTARTSYS : 0;
    if (n == -EPIPE)
        signal_send_self(SIGPIPE);
    return n ? n : -EIO; /* the host took nothing of something and named no error */
}

static ssize_t write_all(void *arg, const u8 *buf, size_t size, bool nonblock)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = write_once(arg, nonblock, buf + done, size - done);

        if (n < 0)
            return done ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static ssize_t console_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    const struct console *c = f->private;
    ssize_t err = c->kind == TARGET_FD_TTY ? tty_write_allowed(c) : 0;

    return err ? err : iov_hand_over(from, HOST_IO_SIZE, write_all, f->private, nonblocking(f, from));
}

/* ---- The rest ------------------------------------------------------------------------------- */

static long console_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct console *c = f->private;
    int left, err;

    if (c->kind == TARGET_FD_TTY)
        return tty_ioctl(f, cmd, arg);
    if (cmd != FIONREAD)
        return -ENOTTY;
    err = target_host_ioctl(c->fd, FIONREAD, &left, sizeof(left));
    return err < 0 ? err : put_user(left, (int __user *)arg);
}

const struct file_ops console_ops = {
    .read = console_read,
    .write = console_write,
    .poll = console_poll,
    .ioctl = console_ioctl,
};

/* ---- The first process' descriptors --------------------------------------------------------- */

static mode_t kind_mode(enum target_fd_kind kind, mode_t told)
{
    switch (kind) {
    case TARGET_FD_TTY:
        return S_IFCHR | 0620;
    case TARGET_FD_PIPE:
        return S_IFIFO | 0600;
    case TARGET_FD_FILE:
        return (S_ISBLK(told) ? S_IFBLK : S_IFREG) | 0600;
    case TARGET_FD_SOCKET:
        return S_IFSOCK | 0777;
    case TARGET_FD_OTHER:
    case TARGET_FD_CLOSED:
        break;
    }
    return S_IFCHR | 0666;
}

void console_set_attr(struct inode *inode, const struct console *c, const struct target_stat *st)
{
    inode->mode = (kind_mode(c->kind, st->mode) & S_IFMT) | (st->mode & 07777);
    inode->uid = st->uid;
    inode->gid = st->gid;
    inode->nlink = st->nlink;
    inode->size = st->size;
    inode->blocks = st->blocks;
    inode->atime = (s64)st->atime;
    inode->mtime = (s64)st->mtime;
    inode->ctime = (s64)st->ctime;
    if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
        inode->rdev = st->rdev;
}

/* Opened again through /proc/self/fd/N or /dev/stdout: another description of the same stream. */
static int console_reopen(struct inode *inode, struct file *f)
{
    f->private = console_find(inode, f->flags);
    return f->private ? 0 : -EACCES;
}

static const struct inode_ops g_console_inode_ops = {.open = console_reopen};

static const struct inode_ops *console_inode_ops(const struct console *c)
{
    return c->kind == TARGET_FD_FILE ? &hostfile_inode_ops : &g_console_inode_ops;
}

/* An inode without a name in any directory, and the descriptor's file. */
static struct file *create_anon(struct console *c, int flags)
{
    bool regular = c->kind == TARGET_FD_FILE;
    struct file *f = file_create_anon(c->name, regular ? &hostfile_ops : &console_ops, c, flags);
    struct inode *inode;

    if (IS_ERR(f))
        return f;
    inode = f->inode;
    inode->mode = kind_mode(c->kind, 0);
    inode->ops = console_inode_ops(c);
    inode->private = c;
    if (regular)
        inode->flags &= ~INODE_STREAM;
    return f;
}

/* A second descriptor of the same file of the host: a file of its own over the same inode. */
static struct file *create_peer(struct console *c, const struct console *first, int flags)
{
    struct file *f;

    inode_get(first->inode);
    f = file_create_on(first->inode, c->name, flags);
    if (!IS_ERR(f))
        f->private = c;
    return f;
}

static struct console *same_file(const struct console *c)
{
    for (int fd = 0; fd < c->fd; fd++) {
        struct console *other = &g_consoles[fd];

        if (other->inode && other->kind == TARGET_FD_FILE && other->identity == c->identity)
            return other;
    }
    return NULL;
}

static struct file *open_anon(struct console *c, int flags)
{
    struct target_stat st = {.identity = 0};
    bool known = !target_host_stat(c->fd, &st);
    struct console *first;
    struct file *f;

    c->identity = st.identity;
    first = known && c->kind == TARGET_FD_FILE ? same_file(c) : NULL;
    f = first ? create_peer(c, first, flags) : create_anon(c, flags);
    if (IS_ERR(f))
        return f;
    if (known)
        console_set_attr(f->inode, c, &st);
    if (c->kind == TARGET_FD_PIPE || c->kind == TARGET_FD_SOCKET)
        file_name_anon(f, c->kind == TARGET_FD_PIPE ? "pipe" : "socket");
    if (c->kind == TARGET_FD_FILE)
        hostfile_adopt(f);
    inode_get(f->inode); /* for good: what is opened again finds its console by it */
    c->inode = f->inode;
    return f;
}

/*
 * Our own device of the same number, for those that are everywhere the same (null, zero, full, random,
 * urandom): the host need not be asked, nor its randomness used. NULL: not one of these.
 */
static struct file *open_device(const struct console *c, int flags)
{
    struct target_stat st;
    const char *name;
    struct file *f;

    if (c->kind != TARGET_FD_OTHER || target_host_stat(c->fd, &st) || !S_ISCHR(st.mode))
        return NULL;
    name = mem_path(st.rdev);
    f = name ? file_open(name, flags, 0) : NULL;
    return IS_ERR(f) ? NULL : f;
}

static struct file *open_terminal(struct console *c, int flags)
{
    struct file *f;

    if (c->kind != TARGET_FD_TTY)
        return NULL;
    f = file_open("/dev/pts/0", flags | O_NOCTTY, 0);
    if (IS_ERR(f))
        return NULL;
    f->private = c;
    return f;
}

static struct file *console_open(struct console *c)
{
    int flags = c->flags & (O_ACCMODE | O_APPEND | O_NONBLOCK);
    struct file *f;

    if (c->kind == TARGET_FD_FILE)
        flags |= c->flags & (O_SYNC | O_DIRECT | O_NOATIME);
    if (c->kind != TARGET_FD_PIPE && c->kind != TARGET_FD_SOCKET)
        flags |= O_LARGEFILE;
    f = open_terminal(c, flags);
    if (!f)
        f = open_device(c, flags);
    return f ? f : open_anon(c, flags);
}

int console_install(void)
{
    tty_adopt();
    for (int fd = 0; fd < CONSOLE_COUNT; fd++) {
        struct file *f;
        long ret;

        if (g_consoles[fd].kind == TARGET_FD_CLOSED)
            continue;
        f = console_open(&g_consoles[fd]);
        if (IS_ERR(f))
            return (int)PTR_ERR(f);
        ret = fd_install_at(f, fd, false);
        if (ret < 0)
            return (int)ret;
    }
    return 0;
}
