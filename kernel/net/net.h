/* SPDX-License-Identifier: MIT */
/* What the calls of kernel/net share. */
#ifndef KERNEL_NET_NET_H
#define KERNEL_NET_NET_H

#include <kernel/files.h>
#include <kernel/socket.h>

/* A descriptor's socket for one call. */
struct socket_fd {
    struct fd fd;
    struct socket *socket;
};

/* 0, -EBADF or -ENOTSOCK; with 0 fd_release(out->fd) follows. */
int socket_borrow(int fd, struct socket_fd *out);

static inline bool socket_fd_nonblock(const struct socket_fd *s)
{
    return READ_ONCE(s->fd.file->flags) & O_NONBLOCK;
}

/* An address of the program's. 0, -EINVAL, -EFAULT. */
int sock_addr_from_user(struct sock_addr *addr, const void __user *uaddr, int size);
/*
 * Gives an address with its true size in *usize, cut to what *usize allows. Nothing happens without `uaddr`.
 * 0, -EINVAL (negative size), -EFAULT.
 */
int sock_addr_to_user(const struct sock_addr *addr, void __user *uaddr, int __user *usize);

#endif
