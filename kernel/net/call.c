/* SPDX-License-Identifier: MIT */
/*
 * bind(2), listen(2), accept(2), connect(2), shutdown(2), getsockname(2), getpeername(2): addresses and
 * descriptors; the family does the rest.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>

#include "net.h"

int sock_addr_from_user(struct sock_addr *addr, const void __user *uaddr, int size)
{
    if (size < 0 || (size_t)size > sizeof(addr->bytes))
        return -EINVAL;
    memset(addr, 0, sizeof(*addr));
    addr->size = (unsigned)size;
    return size ? copy_from_user(addr->bytes, uaddr, (size_t)size) : 0;
}

int sock_addr_to_user(const struct sock_addr *addr, void __user *uaddr, int __user *usize)
{
    int size;

    if (!uaddr)
        return 0;
    if (get_user(size, usize))
        return -EFAULT;
    if (size < 0)
        return -EINVAL;
    size = min(size, (int)addr->size);
    if (size && copy_to_user(uaddr, addr->bytes, (size_t)size))
        return -EFAULT;
    return put_user((int)addr->size, usize);
}

typedef int addr_call(struct socket_fd *s, const struct sock_addr *addr);

static long call_with_addr(int fd, const void __user *uaddr, int size, addr_call *call)
{
    struct sock_addr addr;
    struct socket_fd s;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    ret = sock_addr_from_user(&addr, uaddr, size);
    if (!ret)
        ret = call(&s, &addr);
    fd_release(s.fd);
    return ret;
}

static int do_bind(struct socket_fd *s, const struct sock_addr *addr)
{
    return s->socket->ops->bind ? s->socket->ops->bind(s->socket, addr) : -EOPNOTSUPP;
}

static int do_connect(struct socket_fd *s, const struct sock_addr *addr)
{
    if (!s->socket->ops->connect)
        return -EOPNOTSUPP;
    return s->socket->ops->connect(s->socket, addr, socket_fd_nonblock(s));
}

long sys_bind(int fd, const struct sockaddr_un __user *addr, int size)
{
    return call_with_addr(fd, addr, size, do_bind);
}

long sys_connect(int fd, const struct sockaddr_un __user *addr, int size)
{
    return call_with_addr(fd, addr, size, do_connect);
}

long sys_listen(int fd, int backlog)
{
    struct socket_fd s;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    if ((unsigned)backlog > SOMAXCONN)
        backlog = SOMAXCONN;
    ret = s.socket->ops->listen ? s.socket->ops->listen(s.socket, backlog) : -EOPNOTSUPP;
    fd_release(s.fd);
    return ret;
}

long sys_shutdown(int fd, int how)
{
    struct socket_fd s;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    if (how < SHUT_RD || how > SHUT_RDWR)
        ret = -EINVAL;
    else
        ret = s.socket->ops->shutdown ? s.socket->ops->shutdown(s.socket, (unsigned)how + 1)
                                      : -EOPNOTSUPP;
    fd_release(s.fd);
    return ret;
}

/* ---- Names ------------------------------------------------------------------------------------ */

static long get_name(int fd, void __user *uaddr, int __user *usize, bool peer)
{
    struct sock_addr addr = {0};
    struct socket_fd s;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    ret = s.socket->ops->name(s.socket, &addr, peer);
    if (!ret)
        ret = uaddr ? sock_addr_to_user(&addr, uaddr, usize) : -EFAULT;
    fd_release(s.fd);
    return ret;
}

long sys_getsockname(int fd, void __user *addr, int __user *size)
{
    return get_name(fd, addr, size, false);
}

long sys_getpeername(int fd, void __user *addr, int __user *size)
{
    return get_name(fd, addr, size, true);
}

/* ---- accept(2) -------------------------------------------------------------------------------- */

/* The next connection as a file; its peer's name to the program. ERR_PTR. */
static struct file *accept_file(struct socket_fd *s, void __user *uaddr, int __user *usize, int flags)
{
    struct sock_addr addr = {0};
    struct socket *new = NULL;
    struct file *f;
    int err;

    if (!s->socket->ops->accept)
        return ERR_PTR(-EOPNOTSUPP);
    err = s->socket->ops->accept(s->socket, socket_fd_nonblock(s), &new);
    if (err)
        return ERR_PTR(err);
    f = socket_file_create(new, flags);
    if (IS_ERR(f) || !uaddr)
        return f;
    if (new->ops->name(new, &addr, true))
        err = -ECONNABORTED;
    else
        err = sock_addr_to_user(&addr, uaddr, usize);
    if (!err)
        return f;
    file_put(f);
    return ERR_PTR(err);
}

long sys_accept4(int fd, void __user *uaddr, int __user *usize, int flags)
{
    struct socket_fd s;
    struct file *f;
    int newfd, err;

    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    err = socket_borrow(fd, &s);
    if (err)
        return err;
    newfd = fd_reserve(0, flags & SOCK_CLOEXEC);
    f = newfd < 0 ? ERR_PTR(newfd) : accept_file(&s, uaddr, usize, flags);
    fd_release(s.fd);
    if (!IS_ERR(f)) {
        fd_commit(newfd, f);
        return newfd;
    }
    if (newfd >= 0)
        fd_cancel(newfd);
    return PTR_ERR(f);
}

long sys_accept(int fd, void __user *uaddr, int __user *usize)
{
    return sys_accept4(fd, uaddr, usize, 0);
}
