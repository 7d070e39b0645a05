/* SPDX-License-Identifier: MIT */
/*
 * Sockets as files: families, references, the file's ops, waiting. socket(2) and socketpair(2).
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/socket.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <linux/fs.h>

#include "net.h"

static struct socket_family *g_families; /* set at boot */

void socket_family_register(struct socket_family *f)
{
    f->next = g_families;
    g_families = f;
}

void net_init(void)
{
    netlink_init();
    unix_init();
}

/* ---- Objects ---------------------------------------------------------------------------------- */

void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol)
    NO_LOCK_ANALYSIS /* nobody else knows it */
{
    memset(s, 0, sizeof(*s));
    ref_init(&s->ref);
    s->ops = ops;
    s->family = family;
    s->type = type;
    s->protocol = protocol;
    spin_init(&s->lock, "socket");
    waitqueue_init(&s->wait);
    s->sndbuf = s->rcvbuf = SOCK_BUF_DEFAULT;
    s->rcvlowat = 1;
    s->sndtimeo = s->rcvtimeo = DEADLINE_NONE;
}

void socket_put(struct socket *s)
{
    if (ref_put(&s->ref))
        s->ops->destroy(s);
}

int socket_take_error(struct socket *s)
{
    return READ_ONCE(s->error) ? -__atomic_exchange_n(&s->error, 0, __ATOMIC_ACQ_REL) : 0;
}

void socket_set_error(struct socket *s, int err)
{
    __atomic_store_n(&s->error, err, __ATOMIC_RELEASE);
}

/* ---- Waiting ---------------------------------------------------------------------------------- */

u64 socket_deadline(u64 timeo)
{
    return timeo == DEADLINE_NONE ? DEADLINE_NONE : time_deadline(timeo);
}

int socket_wait(struct waitqueue *wq, unsigned events, bool (*ready)(void *arg), void *arg, u64 deadline)
{
    struct waiter w;
    int err = 0;

    waiter_add(&w, wq, events);
    while (!err && !ready(arg))
        err = task_block(deadline, true);
    waiter_remove(&w);
    if (err == -ETIMEDOUT)
        return -EAGAIN;
    if (err == -EINTR)
        return deadline == DEADLINE_NONE ? -ERESTARTSYS : -EINTR;
    return err;
}

/* ---- The file's ops --------------------------------------------------------------------------- */

static unsigned message_flags(const struct file *f, const struct iov_iter *it)
{
    bool nonblock = (READ_ONCE(f->flags) & O_NONBLOCK) || (it->flags & RWF_NOWAIT);

    return nonblock ? MSG_DONTWAIT : 0;
}

static ssize_t socket_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct sock_msg m = {.flags = message_flags(f, to)};
    struct socket *s = f->private;
    ssize_t n;

    (void)pos;
    if (!to->count)
        return 0;
    n = s->ops->receive(s, &m, to);
    scm_drop(&m.scm);
    return n;
}

static ssize_t socket_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    struct sock_msg m = {.flags = message_flags(f, from)};
    struct socket *s = f->private;

    (void)pos;
    return s->ops->send(s, &m, from);
}

static unsigned socket_poll(struct file *f, struct poll_table *pt)
{
    struct socket *s = f->private;

    return s->ops->poll(s, pt);
}

static long socket_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct socket *s = f->private;

    return s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;
}

static void socket_release(struct file *f)
{
    struct socket *s = f->private;

    socket_set_async(s, f, -1, false);
    s->ops->release(s);
    socket_put(s);
}

static const struct file_ops g_socket_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
    .release = socket_release,
};

/* open(2) of /proc/self/fd/N */
static int socket_open(struct inode *inode, struct file *f)
{
    (void)inode;
    (void)f;
    return -ENXIO;
}

static const struct inode_ops g_socket_inode_ops = {.open = socket_open};

struct file *socket_file_create(struct socket *s, int flags)
{
    struct file *f = file_create_anon("socket", &g_socket_ops, s, O_RDWR | (flags & O_NONBLOCK));

    if (IS_ERR(f)) {
        s->ops->release(s);
        socket_put(s);
        return f;
    }
    f->inode->mode = S_IFSOCK | 0777;
    f->inode->ops = &g_socket_inode_ops;
    file_name_anon(f, "socket");
    s->inode = f->inode;
    WRITE_ONCE(s->ino, f->inode->ino);
    return f;
}

struct socket *file_socket(const struct file *f)
{
    return f->ops == &g_socket_ops ? f->private : NULL;
}

int socket_borrow(int fd, struct socket_fd *out)
{
    out->fd = fd_borrow(fd);
    if (!out->fd.file)
        return -EBADF;
    out->socket = file_socket(out->fd.file);
    if (out->socket)
        return 0;
    fd_release(out->fd);
    return -ENOTSOCK;
}

/* ---- socket(2), socketpair(2) ----------------------------------------------------------------- */

static int create(int family, int type, int protocol, struct socket **out)
{
    const struct socket_family *f;

    if (family < 0)
        return -EAFNOSUPPORT;
    if (type < 0 || type >= SOCK_TYPE_MAX)
        return -EINVAL;
    for (f = g_families; f; f = f->next) {
        if (f->family == family)
            return f->create(type, protocol, out);
    }
    return -EAFNOSUPPORT;
}

static int check_type_flags(unsigned type)
{
    return type & ~(unsigned)(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK) ? -EINVAL : 0;
}

long sys_socket(int family, unsigned type, int protocol)
{
    struct socket *s = NULL;
    struct file *f;
    int err = check_type_flags(type);

    if (!err)
        err = create(family, (int)(type & SOCK_TYPE_MASK), protocol, &s);
    if (err)
        return err;
    f = socket_file_create(s, (int)type);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(f, 0, type & SOCK_CLOEXEC);
}

/* Two connected sockets as files, or neither. */
static int create_pair(int family, unsigned type, int protocol, struct file *files[2])
{
    struct socket *s[2] = {NULL, NULL};
    int err = 0;

    for (int i = 0; i < 2 && !err; i++) {
        err = create(family, (int)(type & SOCK_TYPE_MASK), protocol, &s[i]);
        if (err)
            break;
        files[i] = socket_file_create(s[i], (int)type);
        err = IS_ERR(files[i]) ? (int)PTR_ERR(files[i]) : 0;
        if (err)
            files[i] = NULL;
    }
    if (!err)
        err = s[0]->ops->pair ? s[0]->ops->pair(s[0], s[1]) : -EOPNOTSUPP;
    for (int i = 0; i < 2 && err; i++) {
        if (files[i])
            file_put(files[i]);
    }
    return err;
}

long sys_socketpair(int family, unsigned type, int protocol, int __user *ufds)
{
    struct file *files[2] = {NULL, NULL};
    bool cloexec = type & SOCK_CLOEXEC;
    int fds[2], err = check_type_flags(type);

    if (err)
        return err;
    fds[0] = fd_reserve(0, cloexec);
    fds[1] = fds[0] < 0 ? fds[0] : fd_reserve(0, cloexec);
    err = fds[1] < 0 ? fds[1] : copy_to_user(ufds, fds, sizeof(fds));
    if (!err)
        err = create_pair(family, type, protocol, files);
    for (int i = 0; i < 2; i++) {
        if (!err)
            fd_commit(fds[i], files[i]);
        else if (fds[i] >= 0)
            fd_cancel(fds[i]);
    }
    return err;
}
