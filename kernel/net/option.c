/* SPDX-License-Identifier: MIT */
/*
 * setsockopt(2), getsockopt(2): level SOL_SOCKET as socket(7) has it; other levels are the family's.
 */
#include <kernel/poll.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <asm/socket.h>

#include "net.h"

#define OPTION_SIZE_MAX 256u

/* struct linger of libc's <sys/socket.h> */
struct user_linger {
    int l_onoff, l_linger;
};

/* Options that are one bit of socket->options. 0: another. */
static u32 option_bit(int name)
{
    switch (name) {
    case SO_PASSCRED:
        return SOCK_OPT_PASSCRED;
    case SO_REUSEADDR:
        return SOCK_OPT_REUSEADDR;
    case SO_BROADCAST:
        return SOCK_OPT_BROADCAST;
    case SO_KEEPALIVE:
        return SOCK_OPT_KEEPALIVE;
    case SO_OOBINLINE:
        return SOCK_OPT_OOBINLINE;
    case SO_DONTROUTE:
        return SOCK_OPT_DONTROUTE;
    case SO_REUSEPORT:
        return SOCK_OPT_REUSEPORT;
    }
    return 0;
}

/* ---- Setting ---------------------------------------------------------------------------------- */

static void set_bit(struct socket *s, u32 bit, bool on)
{
    if (on)
        __atomic_fetch_or(&s->options, bit, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&s->options, ~bit, __ATOMIC_RELAXED);
}

static int set_linger(struct socket *s, const void *value, unsigned size)
{
    struct user_linger l;

    if (size < sizeof(l))
        return -EINVAL;
    memcpy(&l, value, sizeof(l));
    set_bit(s, SOCK_OPT_LINGER, l.l_onoff);
    if (l.l_onoff)
        WRITE_ONCE(s->linger_seconds, l.l_linger);
    return 0;
}

/* Both forms have the same layout on x86-64: seconds and microseconds of 64 bits. 0 0 is for ever. */
static int set_timeout(u64 *timeo, const void *value, unsigned size)
{
    struct __kernel_old_timeval tv;
    u64 ns;

    if (size < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, value, sizeof(tv));
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return -EDOM;
    if (tv.tv_sec < 0)
        ns = 0;
    else if (!tv.tv_sec && !tv.tv_usec)
        ns = DEADLINE_NONE;
    else if (__builtin_mul_overflow((u64)tv.tv_sec, NSEC_PER_SEC, &ns) ||
             __builtin_add_overflow(ns, (u64)tv.tv_usec * 1000, &ns))
        ns = DEADLINE_NONE;
    WRITE_ONCE(*timeo, ns);
    return 0;
}

static int set_buffer(struct socket *s, u32 *buffer, int value, u32 least, bool force)
{
    u32 size = value < 0 ? 0 : (u32)value;

    if (force && !capable(CAP_NET_ADMIN))
        return -EPERM;
    size = min(size, force ? INT32_MAX / 2u : SOCK_BUF_DEFAULT);
    WRITE_ONCE(*buffer, max(size * 2, least));
    socket_wake(s, POLLOUT | POLLWRNORM);
    return 0;
}

static int set_socket_int(struct socket *s, int name, int value)
{
    switch (name) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        return set_buffer(s, &s->sndbuf, value, SOCK_SNDBUF_MIN, name == SO_SNDBUFFORCE);
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        return set_buffer(s, &s->rcvbuf, value, SOCK_RCVBUF_MIN, name == SO_RCVBUFFORCE);
    case SO_RCVLOWAT:
        WRITE_ONCE(s->rcvlowat, value < 0 ? (u32)INT32_MAX : value ? (u32)value : 1);
        return 0;
    case SO_PRIORITY:
        if ((value < 0 || value > 6) && !capable(CAP_NET_ADMIN))
            return -EPERM;
        WRITE_ONCE(s->priority, value);
        return 0;
    }
    return -ENOPROTOOPT;
}

static int set_socket_option(struct socket *s, int name, const void *value, unsigned size)
{
    int number;

    if (size < sizeof(number))
        return -EINVAL;
    memcpy(&number, value, sizeof(number));
    if (option_bit(name)) {
        if (name == SO_REUSEPORT && s->family == AF_UNIX)
            return -EOPNOTSUPP;
        set_bit(s, option_bit(name), number);
        return 0;
    }
    switch (name) {
    case SO_LINGER:
        return set_linger(s, value, size);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return set_timeout(&s->rcvtimeo, value, size);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return set_timeout(&s->sndtimeo, value, size);
    case SO_TYPE:
    case SO_PROTOCOL:
    case SO_DOMAIN:
    case SO_ERROR:
        return -ENOPROTOOPT;
    }
    return set_socket_int(s, name, number);
}

long sys_setsockopt(int fd, int level, int name, const void __user *uvalue, int size)
{
    u64 value[OPTION_SIZE_MAX / sizeof(u64)];
    struct socket_fd s;
    long ret;

    if (size < 0)
        return -EINVAL;
    ret = socket_borrow(fd, &s);
    if (ret)
        return ret;
    ret = copy_from_user(value, uvalue, min((size_t)size, sizeof(value)));
    if (!ret && level == SOL_SOCKET)
        ret = set_socket_option(s.socket, name, value, (unsigned)size);
    else if (!ret)
        ret = s.socket->ops->set_option
                  ? s.socket->ops->set_option(s.socket, level, name, value,
                                              min((unsigned)size, OPTION_SIZE_MAX))
                  : -EOPNOTSUPP;
    fd_release(s.fd);
    return ret;
}

/* ---- Getting ---------------------------------------------------------------------------------- */

static int get_timeout(u64 timeo, void *value)
{
    struct __kernel_old_timeval tv = {0};

    if (timeo != DEADLINE_NONE) {
        tv.tv_sec = (long)(timeo / NSEC_PER_SEC);
        tv.tv_usec = (long)(timeo % NSEC_PER_SEC / 1000);
    }
    memcpy(value, &tv, sizeof(tv));
    return sizeof(tv);
}

static int get_linger(const struct socket *s, void *value)
{
    struct user_linger l = {.l_onoff = !!(READ_ONCE(s->options) & SOCK_OPT_LINGER),
                            .l_linger = READ_ONCE(s->linger_seconds)};

    memcpy(value, &l, sizeof(l));
    return sizeof(l);
}

static int get_peercred(struct socket *s, void *value)
{
    struct user_ucred cred;

    spin_lock(&s->lock);
    cred = s->peercred;
    spin_unlock(&s->lock);
    if (!cred.pid)
        cred = (struct user_ucred){0, (uid_t)-1, (gid_t)-1};
    memcpy(value, &cred, sizeof(cred));
    return sizeof(cred);
}

static bool is_listening(struct socket *s)
{
    bool listening;

    spin_lock(&s->lock);
    listening = s->listening;
    spin_unlock(&s->lock);
    return listening;
}

/* *number, or -ENOPROTOOPT. */
static int get_socket_int(struct socket *s, int name, int *number)
{
    switch (name) {
    case SO_TYPE:
        *number = s->type;
        return 0;
    case SO_DOMAIN:
        *number = s->family;
        return 0;
    case SO_PROTOCOL:
        *number = s->protocol;
        return 0;
    case SO_ERROR:
        *number = -socket_take_error(s);
        return 0;
    case SO_ACCEPTCONN:
        *number = is_listening(s);
        return 0;
    case SO_SNDBUF:
        *number = (int)READ_ONCE(s->sndbuf);
        return 0;
    case SO_RCVBUF:
        *number = (int)READ_ONCE(s->rcvbuf);
        return 0;
    case SO_RCVLOWAT:
        *number = (int)READ_ONCE(s->rcvlowat);
        return 0;
    case SO_SNDLOWAT:
        *number = 1;
        return 0;
    case SO_PRIORITY:
        *number = READ_ONCE(s->priority);
        return 0;
    }
    return -ENOPROTOOPT;
}

/* The option into `value`; its size or -errno. */
static int get_socket_option(struct socket *s, int name, void *value)
{
    int number, err = 0;

    switch (name) {
    case SO_LINGER:
        return get_linger(s, value);
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
        return get_timeout(READ_ONCE(s->rcvtimeo), value);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW:
        return get_timeout(READ_ONCE(s->sndtimeo), value);
    case SO_PEERCRED:
        return get_peercred(s, value);
    }
    if (option_bit(name))
        number = !!(READ_ONCE(s->options) & option_bit(name));
    else
        err = get_socket_int(s, name, &number);
    if (err)
        return err;
    memcpy(value, &number, sizeof(number));
    return sizeof(number);
}

static long get_option(struct socket *s, int level, int name, void __user *uvalue, int __user *usize)
{
    u64 value[OPTION_SIZE_MAX / sizeof(u64)];
    int size, have;

    if (get_user(size, usize))
        return -EFAULT;
    if (size < 0)
        return -EINVAL;
    if (level == SOL_SOCKET)
        have = get_socket_option(s, name, value);
    else
        have = s->ops->get_option
                   ? s->ops->get_option(s, level, name, value, min((unsigned)size, OPTION_SIZE_MAX))
                   : -EOPNOTSUPP;
    if (have < 0)
        return have;
    size = min(size, have);
    if (size && copy_to_user(uvalue, value, (size_t)size))
        return -EFAULT;
    return put_user(size, usize);
}

long sys_getsockopt(int fd, int level, int name, void __user *value, int __user *size)
{
    struct socket_fd s;
    long ret = socket_borrow(fd, &s);

    if (ret)
        return ret;
    ret = get_option(s.socket, level, name, value, size);
    fd_release(s.fd);
    return ret;
}
