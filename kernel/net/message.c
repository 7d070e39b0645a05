/* SPDX-License-Identifier: MIT */
/*
 * send(2), recv(2) and their relatives: the program's msghdr, vectors, names and control data.
 * Source: send(2), recv(2), sendmmsg(2), recvmmsg(2).
 */
#include <kernel/alloc.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/time.h>

#include "net.h"

#define CONTROL_MAX  20480u /* net.core.optmem_max */
#define CONTROL_FAST 64u

/* ---- Sending ---------------------------------------------------------------------------------- */

static unsigned call_flags(const struct socket_fd *s, unsigned flags)
{
    return flags | (socket_fd_nonblock(s) ? MSG_DONTWAIT : 0);
}

long sys_sendto(int fd, const void __user *buf, size_t size, unsigned flags,
                const struct sockaddr_un __user *uaddr, int addr_size)
{
    struct sock_addr addr;
    struct sock_msg m = {.name = &addr};
    struct socket_fd s;
    struct iov_iter it;
    long ret = user_range_ok(buf, size) ? socket_borrow(fd, &s) : -EFAULT;

    if (ret)
        return ret;
    iov_iter_user(&it, buf, min(size, MAX_RW_COUNT));
    addr.size = 0;
    ret = uaddr ? sock_addr_from_user(&addr, uaddr, addr_size) : 0;
    m.flags = call_flags(&s, flags);
    if (!ret)
        ret = s.socket->ops->send(s.socket, &m, &it);
    fd_release(s.fd);
    return ret;
}

/* The program's msghdr with its vector, name and control data in kernel memory. */
struct message {
    struct user_msghdr h;
    struct sock_addr addr;
    struct sock_msg m;
    struct iov_iter it;
    struct iovec fast[IOV_FAST];
    struct iovec *heap;
};

/* What both directions need of the header. Ends with message_end(), on failure too. */
static int message_begin(struct message *msg, const struct user_msghdr __user *umsg)
{
    ssize_t n;

    msg->heap = NULL;
    msg->m = (struct sock_msg){.name = &msg->addr};
    msg->addr.size = 0;
    if (get_user(msg->h, umsg))
        return -EFAULT;
    if (!msg->h.msg_name)
        msg->h.msg_namelen = 0;
    if (msg->h.msg_namelen < 0)
        return -EINVAL;
    msg->h.msg_namelen = min(msg->h.msg_namelen, (int)sizeof(msg->addr.bytes));
    if (msg->h.msg_iovlen > UIO_MAXIOV)
        return -EMSGSIZE;
    n = iov_import(&msg->it, msg->h.msg_iov, msg->h.msg_iovlen, msg->fast, &msg->heap);
    return n < 0 ? (int)n : 0;
}

static void message_end(struct message *msg)
{
    scm_drop(&msg->m.scm);
    kfree(msg->heap);
}

static int read_control(struct message *msg)
{
    u64 fast[CONTROL_FAST / sizeof(u64)];
    size_t size = msg->h.msg_controllen;
    void *control = fast;
    int err;

    if (size > CONTROL_MAX)
        return -ENOBUFS;
    if (!size)
        return 0;
    if (size > sizeof(fast))
        control = kmalloc(size);
    if (!control)
        return -ENOBUFS;
    err = copy_from_user(control, msg->h.msg_control, size);
    if (!err)
        err = scm_parse(&msg->m.scm, control, size);
    if (control != fast)
        kfree(control);
    return err;
}

static long send_message(struct socket_fd *s, const struct user_msghdr __user *umsg, unsigned flags)
{
    struct message msg;
    long ret = message_begin(&msg, umsg);

    if (!ret && msg.h.msg_namelen)
        ret = sock_addr_from_user(&msg.addr, msg.h.msg_name, msg.h.msg_namelen);
    if (!ret)
        ret = read_control(&msg);
    msg.m.flags = call_flags(s, flags);
    if (!ret)
        ret = s->socket->ops->send(s->socket, &msg.m, &msg.it);
    message_end(&msg);
    return ret;
}

long sys_sendmsg(int fd, const struct user_msghdr __user *umsg, unsigned flags)
{
    struct socket_fd s;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    ret = send_message(&s, umsg, flags);
    fd_release(s.fd);
    return ret;
}

long sys_sendmmsg(int fd, struct user_mmsghdr __user *umsgs, unsigned count, unsigned flags)
{
    struct socket_fd s;
    unsigned done = 0;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    count = min(count, (unsigned)UIO_MAXIOV);
    while (done < count) {
        ret = send_message(&s, &umsgs[done].msg_hdr, flags);
        if (ret >= 0)
            ret = put_user((u32)ret, &umsgs[done].msg_len);
        if (ret < 0)
            break;
        done++;
        if (signal_pending())
            break;
    }
    fd_release(s.fd);
    return done ? (long)done : ret;
}

/* ---- Receiving -------------------------------------------------------------------------------- */

long sys_recvfrom(int fd, void __user *buf, size_t size, unsigned flags, void __user *uaddr,
                  int __user *addr_size)
{
    struct sock_addr addr = {0};
    struct sock_msg m = {.name = &addr};
    struct socket_fd s;
    struct iov_iter it;
    long ret = user_range_ok(buf, size) ? socket_borrow(fd, &s) : -EFAULT;
    int err = 0;

    if (ret)
        return ret;
    iov_iter_user(&it, buf, min(size, MAX_RW_COUNT));
    m.flags = call_flags(&s, flags);
    ret = s.socket->ops->receive(s.socket, &m, &it);
    scm_drop(&m.scm);
    if (ret >= 0)
        err = sock_addr_to_user(&addr, uaddr, addr_size);
    fd_release(s.fd);
    return err ? err : ret;
}

/* The results into the program's msghdr. */
static int write_back(struct message *msg, const struct socket *s, struct user_msghdr __user *umsg)
{
    unsigned out = msg->m.out_flags | (msg->m.flags & MSG_CMSG_CLOEXEC);
    bool passcred = READ_ONCE(s->options) & SOCK_OPT_PASSCRED;
    u64 used = scm_deliver(&msg->m.scm, passcred, msg->h.msg_control,
                           min(msg->h.msg_controllen, (u64)INT32_MAX), &out);
    int err = 0;

    if (msg->h.msg_name)
        err = sock_addr_to_user(&msg->addr, msg->h.msg_name, &umsg->msg_namelen);
    if (!err)
        err = put_user(out, &umsg->msg_flags);
    return err ? err : put_user(used, &umsg->msg_controllen);
}

static long receive_message(struct socket_fd *s, struct user_msghdr __user *umsg, unsigned flags)
{
    struct message msg;
    long ret = message_begin(&msg, umsg);
    int err = 0;

    msg.m.flags = call_flags(s, flags);
    if (!ret) {
        ret = s->socket->ops->receive(s->socket, &msg.m, &msg.it);
        if (ret >= 0)
            err = write_back(&msg, s->socket, umsg);
    }
    message_end(&msg);
    return err ? err : ret;
}

long sys_recvmsg(int fd, struct user_msghdr __user *umsg, unsigned flags)
{
    struct socket_fd s;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    ret = receive_message(&s, umsg, flags);
    fd_release(s.fd);
    return ret;
}

/* recvmmsg(2): an error after the first message waits for the next call. */
static long receive_many(struct socket_fd *s, struct user_mmsghdr __user *umsgs, unsigned count,
                         unsigned flags, u64 deadline)
{
    unsigned done = 0;
    long ret = socket_take_error(s->socket);

    if (ret)
        return ret;
    while (done < count) {
        ret = receive_message(s, &umsgs[done].msg_hdr, flags & ~MSG_WAITFORONE);
        if (ret >= 0)
            ret = put_user((u32)ret, &umsgs[done].msg_len);
        if (ret < 0)
            break;
        done++;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if ((deadline != DEADLINE_NONE && time_monotonic() >= deadline) || signal_pending())
            break;
    }
    if (done && ret < 0 && ret != -EAGAIN && ret != -EINTR && ret != -ERESTARTSYS)
        socket_set_error(s->socket, (int)-ret);
    return done ? (long)done : ret;
}

static int put_remaining(u64 deadline, struct __kernel_timespec __user *timeout)
{
    return put_user(time_to_timespec(time_left(deadline)), timeout);
}

long sys_recvmmsg(int fd, struct user_mmsghdr __user *umsgs, unsigned count, unsigned flags,
                  struct __kernel_timespec __user *timeout)
{
    u64 deadline;
    struct socket_fd s;
    long ret = deadline_import(timeout, &deadline);

    if (!ret)
        ret = socket_borrow(fd, &s);
    if (ret)
        return ret;
    ret = receive_many(&s, umsgs, min(count, (unsigned)UIO_MAXIOV), flags, deadline);
    fd_release(s.fd);
    if (ret > 0 && timeout && put_remaining(deadline, timeout))
        ret = -EFAULT;
    return ret;
}
