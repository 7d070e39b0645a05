/* SPDX-License-Identifier: MIT */
/*
 * AF_NETLINK as far as the kernel inside has something to say: sockets of NETLINK_ROUTE that receive what the
 * kernel was given for them. That is mq_notify(3)'s SIGEV_THREAD, whose notifications libc receives on such a
 * socket. Nobody serves requests: sends are refused with ECONNREFUSED, as Linux refuses them where no kernel
 * socket listens. Source: netlink(7), Linux's net/netlink/af_netlink.c.
 *
 * Locking: socket->lock guards the queue, `charged` and `closed`; read_lock (mutex, outside it, taken across user copies) keeps
 * the first message in the queue for its reader; g_bound_lock (leaf) guards the list of bound sockets and port numbers.
 */
#include <kernel/alloc.h>
#include <kernel/poll.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <linux/netlink.h>

#include "net.h"

#define POLL_READ      (POLLIN | POLLRDNORM)
#define MESSAGE_CHARGE 768u /* bytes of SO_RCVBUF that a small message takes on Linux */

struct netlink_sock {
    struct socket sk;
    mutex_t read_lock;
    struct list queue;      /* guarded by sk.lock, like the next two */
    u64 charged;            /* of messages made for it, sent or not */
    bool closed;
    struct list bound_link; /* guarded by g_bound_lock, like the rest */
    u32 port, groups;       /* port 0: not bound */
};

static spinlock_t g_bound_lock = SPINLOCK_INIT("netlink_bound");
static struct list g_bound GUARDED_BY(&g_bound_lock) = {&g_bound, &g_bound};

static struct netlink_sock *netlink_of(struct socket *s)
{
    return (struct netlink_sock *)s; /* its first member */
}

/* ---- Messages for a socket -------------------------------------------------------------------------- */

void netlink_message_drop(struct netlink_message *m)
{
    struct netlink_sock *n = netlink_of(m->to);

    spin_lock(&n->sk.lock);
    n->charged -= MESSAGE_CHARGE;
    spin_unlock(&n->sk.lock);
    waitqueue_wake(&n->sk.wait, POLLOUT);
    socket_put(m->to);
    kfree(m);
}

/* Takes the place of one message, if there is one. */
static bool take_room(void *arg)
{
    struct netlink_sock *n = arg;
    bool room;

    spin_lock(&n->sk.lock);
    room = n->charged < READ_ONCE(n->sk.rcvbuf);
    if (room)
        n->charged += MESSAGE_CHARGE;
    spin_unlock(&n->sk.lock);
    return room;
}

static struct netlink_message *message_create(struct socket *s, const void *data, size_t size)
{
    struct netlink_message *m = kmalloc(sizeof(*m) + size);
    int err;

    if (!m)
        return ERR_PTR(-ENOMEM);
    err = socket_wait(&s->wait, POLLOUT, take_room, s, DEADLINE_NONE);
    if (err) {
        kfree(m);
        return ERR_PTR(err);
    }
    socket_get(s);
    m->to = s;
    m->size = size;
    memcpy(m->data, data, size);
    return m;
}

struct netlink_message *netlink_message_create(int fd, const void *data, size_t size)
{
    struct netlink_message *m = ERR_PTR(-EINVAL);
    struct socket_fd s;
    int err = socket_borrow(fd, &s);

    if (err)
        return ERR_PTR(err);
    if (s.socket->family == AF_NETLINK)
        m = message_create(s.socket, data, size);
    fd_release(s.fd);
    return m;
}

void netlink_message_send(struct netlink_message *m)
{
    struct netlink_sock *n = netlink_of(m->to);
    bool closed;

    socket_get(&n->sk);
    spin_lock(&n->sk.lock);
    closed = n->closed;
    if (!closed)
        list_add_tail(&n->queue, &m->link);
    spin_unlock(&n->sk.lock);
    if (closed)
        netlink_message_drop(m);
    else
        socket_wake(&n->sk, POLL_READ);
    socket_put(&n->sk);
}

/* ---- Receiving -------------------------------------------------------------------------------------- */

static bool has_message(void *arg)
{
    struct netlink_sock *n = arg;
    bool has;

    spin_lock(&n->sk.lock);
    has = !list_empty(&n->queue);
    spin_unlock(&n->sk.lock);
    return has;
}

/* The first message, which stays in the queue while read_lock is held. */
static struct netlink_message *first(struct netlink_sock *n) REQUIRES(&n->read_lock)
{
    struct netlink_message *m = NULL;

    spin_lock(&n->sk.lock);
    if (!list_empty(&n->queue))
        m = list_first(&n->queue, struct netlink_message, link);
    spin_unlock(&n->sk.lock);
    return m;
}

/* As far as it fits. Its sender is the kernel. */
static ssize_t give(struct netlink_sock *n, struct netlink_message *m, struct sock_msg *msg, struct iov_iter *to)
    REQUIRES(&n->read_lock)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    size_t size = min(m->size, to->count);
    ssize_t ret = msg->flags & MSG_TRUNC ? (ssize_t)m->size : (ssize_t)size;

    if (size < m->size)
        msg->out_flags |= MSG_TRUNC;
    if (msg->name) {
        memcpy(msg->name->bytes, &kernel, sizeof(kernel));
        msg->name->size = sizeof(kernel);
    }
    msg->scm.has_cred = true; /* all zero: the kernel's */
    if (copy_to_iter(m->data, size, to) < size)
        ret = -EFAULT;
    if (msg->flags & MSG_PEEK)
        return ret;
    spin_lock(&n->sk.lock);
    list_del(&m->link);
    spin_unlock(&n->sk.lock);
    netlink_message_drop(m);
    return ret;
}

static ssize_t receive(struct socket *s, struct sock_msg *msg, struct iov_iter *to)
{
    struct netlink_sock *n = netlink_of(s);
    u64 deadline = socket_deadline(READ_ONCE(s->rcvtimeo));
    struct netlink_message *m;
    ssize_t ret = 0;

    if (msg->flags & MSG_OOB)
        return -EOPNOTSUPP;
    mutex_lock(&n->read_lock);
    while (!(m = first(n)) && !ret) {
        mutex_unlock(&n->read_lock);
        ret = msg->flags & MSG_DONTWAIT ? -EAGAIN : socket_wait(&s->wait, POLL_READ, has_message, n, deadline);
        mutex_lock(&n->read_lock);
    }
    if (m)
        ret = give(n, m, msg, to);
    mutex_unlock(&n->read_lock);
    return ret;
}

static unsigned poll(struct socket *s, struct poll_table *pt)
{
    poll_wait(pt, &s->wait);
    return POLLOUT | POLLWRNORM | POLLWRBAND | (has_message(s) ? POLL_READ : 0);
}

/* ---- Names ------------------------------------------------------------------------------------------ */

static bool port_free(u32 port) REQUIRES(&g_bound_lock)
{
    const struct netlink_sock *n;

    list_for_each(n, &g_bound, bound_link)
    {
        if (n->port == port)
            return false;
    }
    return true;
}

/* Port 0: the process' number, or some other that is free, from the top down. 0, -EADDRINUSE. */
static int bind_port(struct netlink_sock *n, u32 port) REQUIRES(&g_bound_lock)
{
    if (!port) {
        port = (u32)current->group->tgid;
        for (u32 other = UINT32_MAX - 4096; !port_free(port); other--)
            port = other;
    } else if (!port_free(port)) {
        return -EADDRINUSE;
    }
    n->port = port;
    list_add_tail(&g_bound, &n->bound_link);
    return 0;
}

static int address_check(const struct sock_addr *addr, struct sockaddr_nl *nl)
{
    if (addr->size < sizeof(*nl))
        return -EINVAL;
    memcpy(nl, addr->bytes, sizeof(*nl));
    return nl->nl_family == AF_NETLINK ? 0 : -EINVAL;
}

static int bind(struct socket *s, const struct sock_addr *addr)
{
    struct netlink_sock *n = netlink_of(s);
    struct sockaddr_nl nl;
    int err = address_check(addr, &nl);

    if (err)
        return err;
    spin_lock(&g_bound_lock);
    if (n->port)
        err = nl.nl_pid == n->port ? 0 : -EINVAL;
    else
        err = bind_port(n, nl.nl_pid);
    if (!err)
        n->groups = nl.nl_groups;
    spin_unlock(&g_bound_lock);
    return err;
}

static int name(struct socket *s, struct sock_addr *addr, bool peer)
{
    struct netlink_sock *n = netlink_of(s);
    struct sockaddr_nl nl = {.nl_family = AF_NETLINK};

    if (!peer) {
        spin_lock(&g_bound_lock);
        nl.nl_pid = n->port;
        nl.nl_groups = n->groups;
        spin_unlock(&g_bound_lock);
    }
    memcpy(addr->bytes, &nl, sizeof(nl));
    addr->size = sizeof(nl);
    return 0;
}

/* Nobody listens. */
static ssize_t send(struct socket *s, struct sock_msg *m, struct iov_iter *from)
{
    struct sockaddr_nl nl;
    int err = m->name && m->name->size ? address_check(m->name, &nl) : 0;

    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (err)
        return err;
    return from->count > READ_ONCE(s->sndbuf) - 32 ? -EMSGSIZE : -ECONNREFUSED;
}

/* There are no options of SOL_NETLINK yet. */
static int set_option(struct socket *s, int level, int option, const void *value, unsigned size)
{
    return -ENOPROTOOPT;
}

static int get_option(struct socket *s, int level, int option, void *value, unsigned size)
{
    return -ENOPROTOOPT;
}

/* ---- Life ------------------------------------------------------------------------------------------- */

/* The next message of a closed socket, off its queue; NULL: none. */
static struct netlink_message *take(struct netlink_sock *n)
{
    struct netlink_message *m = NULL;

    spin_lock(&n->sk.lock);
    n->closed = true;
    if (!list_empty(&n->queue)) {
        m = list_first(&n->queue, struct netlink_message, link);
        list_del(&m->link);
    }
    spin_unlock(&n->sk.lock);
    return m;
}

static void release(struct socket *s)
{
    struct netlink_sock *n = netlink_of(s);
    struct netlink_message *m;

    spin_lock(&g_bound_lock);
    if (n->port)
        list_del(&n->bound_link);
    n->port = 0;
    spin_unlock(&g_bound_lock);
    while ((m = take(n)))
        netlink_message_drop(m);
}

static void destroy(struct socket *s)
{
    kfree(netlink_of(s));
}

static const struct socket_ops g_netlink_ops = {
    .bind = bind,
    .name = name,
    .send = send,
    .receive = receive,
    .poll = poll,
    .set_option = set_option,
    .get_option = get_option,
    .release = release,
    .destroy = destroy,
};

static int create(int type, int protocol, struct socket **out)
{
    struct netlink_sock *n;

    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != NETLINK_ROUTE)
        return -EPROTONOSUPPORT;
    n = kzalloc(sizeof(*n));
    if (!n)
        return -ENOMEM;
    socket_init(&n->sk, &g_netlink_ops, AF_NETLINK, type, protocol);
    mutex_init(&n->read_lock, "netlink");
    list_init(&n->queue);
    *out = &n->sk;
    return 0;
}

void netlink_init(void)
{
    static struct socket_family family = {.family = AF_NETLINK, .create = create};

    socket_family_register(&family);
}
