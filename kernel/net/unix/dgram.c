/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX messages with boundaries: SOCK_DGRAM, and SOCK_SEQPACKET, which is connected like a stream and
 * otherwise the same. Locks: unix.h.
 *
 * A datagram socket that is connected to another polls as writable only while that one's queue has room. The
 * relay is a waiter of its own on the peer's room_wait which passes the news on when poll armed it; it stands
 * there from connect(2) until the socket disconnects or closes.
 */
#include "unix.h"

/* ---- The relay -------------------------------------------------------------------------------- */

static void relay_woken(struct waiter *w, unsigned key)
{
    struct unix_sock *u = container_of(w, struct unix_sock, relay);

    (void)key;
    if (__atomic_exchange_n(&u->relay_armed, 0, __ATOMIC_ACQ_REL))
        waitqueue_wake(&u->sk.wait, POLL_WRITE);
}

void unix_relay_start(struct unix_sock *u, struct unix_sock *peer)
{
    waiter_watch(&u->relay, &peer->room_wait, relay_woken, false);
    spin_lock(&u->sk.lock);
    u->relay_on = true;
    spin_unlock(&u->sk.lock);
}

/* Before the reference on the peer goes. */
void unix_relay_stop(struct unix_sock *u)
{
    bool on;

    spin_lock(&u->sk.lock);
    on = u->relay_on;
    u->relay_on = false;
    spin_unlock(&u->sk.lock);
    if (on)
        waiter_unwatch(&u->relay);
}

/* Whether messages of others than its own peer wait in too great a number. */
static bool queue_full(const struct unix_sock *to, const struct unix_sock *from) REQUIRES(&to->sk.lock)
{
    return to->peer != from && to->queued > to->backlog;
}

static bool has_queue_room(struct unix_sock *to, const struct unix_sock *from)
{
    bool room;

    spin_lock(&to->sk.lock);
    room = to->dead || !queue_full(to, from);
    spin_unlock(&to->sk.lock);
    return room;
}

bool unix_dgram_peer_has_room(struct unix_sock *u)
{
    struct unix_sock *peer = unix_peer_get(u);
    bool room = true;

    if (!peer)
        return true;
    if (!has_queue_room(peer, u)) {
        __atomic_store_n(&u->relay_armed, 1, __ATOMIC_SEQ_CST);
        room = has_queue_room(peer, u); /* a reader between the two did not see it armed */
    }
    unix_put(peer);
    return room;
}

/* ---- Connecting ------------------------------------------------------------------------------- */

/*
 * The peer's share of the end of a two-way connection: what it sent is lost, and it hears of that. A reader may have
 * the first packet in its hands: it is waited for.
 */
static void disconnected(struct unix_sock *u, struct unix_sock *old)
{
    struct list lost;
    bool had, tell = false;

    list_init(&lost);
    mutex_lock(&u->read_lock);
    unix_lock_two(u, old);
    had = !list_empty(&u->queue);
    while (!list_empty(&u->queue)) {
        struct packet *p = list_first(&u->queue, struct packet, link);

        packet_unlink(u, p);
        list_add_tail(&lost, &p->link);
    }
    if (had && !old->dead && old->peer == u) {
        socket_set_error(&old->sk, ECONNRESET);
        tell = true;
    }
    unix_unlock_two(u, old);
    mutex_unlock(&u->read_lock);
    waitqueue_wake(&u->room_wait, POLL_WRITE);
    if (tell)
        socket_wake(&old->sk, POLL_STATE);
    while (!list_empty(&lost)) {
        struct packet *p = list_first(&lost, struct packet, link);

        list_del(&p->link);
        packet_free(p);
    }
}

/* unix_may_send() of Linux: `to` takes messages from everybody, or from its peer. */
static bool accepts(const struct unix_sock *to, const struct unix_sock *from) REQUIRES(&to->sk.lock)
{
    return !to->peer || to->peer == from;
}

/* Makes `peer` (NULL: none; consumes the reference) the peer. 0, -EPERM, -ECONNREFUSED: it is closed. */
static int set_peer(struct unix_sock *u, struct unix_sock *peer) NO_LOCK_ANALYSIS
{
    struct unix_sock *old, *two = peer ? peer : u;
    int err = 0;

    unix_relay_stop(u);
    unix_lock_two(u, two);
    if (peer && peer->dead)
        err = -ECONNREFUSED;
    else if (peer && !accepts(peer, u))
        err = -EPERM;
    old = err ? peer : u->peer;
    if (!err)
        u->peer = peer;
    unix_unlock_two(u, two);
    if (u->peer) /* under bind_lock: ours to read */
        unix_relay_start(u, u->peer);
    if (!err && old && old != peer)
        disconnected(u, old);
    unix_put(old);
    waitqueue_wake(&u->sk.wait, POLL_WRITE);
    return err;
}

int unix_dgram_connect(struct socket *s, const struct sock_addr *addr, bool nonblock)
{
    struct unix_sock *u = unix_of(s), *peer = NULL;
    int err = 0;

    (void)nonblock;
    if (addr->size < UNIX_ADDR_MIN)
        return -EINVAL;
    mutex_lock(&u->bind_lock); /* one connect at a time: the relay */
    if (addr->family != AF_UNSPEC) {
        if ((READ_ONCE(s->options) & SOCK_OPT_PASSCRED) && !unix_addr_of(u))
            err = unix_autobind(u);
        peer = err ? ERR_PTR(err) : unix_find(addr, s->type);
        err = IS_ERR(peer) ? (int)PTR_ERR(peer) : 0;
    }
    if (!err)
        err = set_peer(u, peer);
    mutex_unlock(&u->bind_lock);
    return err;
}

/* ---- Sending ---------------------------------------------------------------------------------- */

struct room_wait {
    struct unix_sock *to, *from;
};

static bool room_or_gone(void *arg)
{
    const struct room_wait *w = arg;

    return has_queue_room(w->to, w->from) || (READ_ONCE(w->to->sk.shutdown) & SHUTDOWN_RECV);
}

/* One attempt. 0 with the packet consumed, -EAGAIN: its queue is full, -ESHUTDOWN: it is closed, or the error. */
static int deliver_once(struct unix_sock *u, struct unix_sock *to, struct packet *p)
{
    int err = 0;

    spin_lock(&to->sk.lock);
    if (to->dead)
        err = -ESHUTDOWN;
    else if (unix_is_dgram(to) && !accepts(to, u))
        err = -EPERM;
    else if (to->sk.shutdown & SHUTDOWN_RECV)
        err = -EPIPE;
    else if (to != u && queue_full(to, u))
        err = -EAGAIN;
    else
        packet_append(to, p);
    spin_unlock(&to->sk.lock);
    if (!err)
        socket_wake(&to->sk, POLL_READ);
    return err;
}

/* The peer closed: a datagram socket is not connected any more. */
static int peer_gone(struct unix_sock *u, struct unix_sock *to, const struct sock_msg *m)
{
    bool was_peer;

    if (!unix_is_dgram(u))
        return -EPIPE;
    spin_lock(&u->sk.lock);
    was_peer = u->peer == to;
    spin_unlock(&u->sk.lock);
    if (was_peer) {
        mutex_lock(&u->bind_lock);
        (void)set_peer(u, NULL);
        mutex_unlock(&u->bind_lock);
    }
    return was_peer || (m->name && m->name->size) ? -ECONNREFUSED : -ECONNRESET;
}

static int deliver(struct unix_sock *u, struct unix_sock *to, struct packet *p, const struct sock_msg *m,
                   u64 deadline)
{
    struct room_wait w = {to, u};
    int err;

    for (;;) {
        err = deliver_once(u, to, p);
        if (err == -ESHUTDOWN)
            return peer_gone(u, to, m);
        if (err != -EAGAIN || (m->flags & MSG_DONTWAIT))
            return err;
        err = socket_wait(&to->room_wait, POLL_STATE, room_or_gone, &w, deadline);
        if (err)
            return err;
    }
}

/* Whom the message is for, with a reference. */
static struct unix_sock *receiver(struct unix_sock *u, const struct sock_msg *m)
{
    struct unix_sock *to;

    if (m->name && m->name->size && unix_is_dgram(u))
        return unix_find(m->name, u->sk.type);
    to = unix_peer_get(u);
    return to ? to : ERR_PTR(-ENOTCONN);
}

static ssize_t send_to(struct unix_sock *u, struct unix_sock *to, struct sock_msg *m, struct iov_iter *from)
{
    u64 deadline = socket_deadline(READ_ONCE(u->sk.sndtimeo));
    size_t size = from->count;
    struct packet *p = packet_create(u, m, from, size, deadline);
    int err;

    if (IS_ERR(p))
        return PTR_ERR(p);
    packet_set_cred(p, m, to);
    err = deliver(u, to, p, m, deadline);
    if (err)
        packet_free(p);
    return err ? err : (ssize_t)size;
}

ssize_t unix_dgram_send(struct socket *s, struct sock_msg *m, struct iov_iter *from)
{
    struct unix_sock *u = unix_of(s), *to;
    ssize_t ret;

    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if ((READ_ONCE(s->options) & SOCK_OPT_PASSCRED) && !unix_addr_of(u)) {
        ret = unix_autobind(u);
        if (ret)
            return ret;
    }
    if (from->count > READ_ONCE(s->sndbuf) - 32)
        return -EMSGSIZE;
    to = receiver(u, m);
    if (IS_ERR(to))
        return PTR_ERR(to);
    ret = send_to(u, to, m, from);
    unix_put(to);
    return ret;
}

/* ---- Receiving -------------------------------------------------------------------------------- */

static bool may_receive(void *arg)
{
    struct unix_sock *u = arg;
    bool ready;

    spin_lock(&u->sk.lock);
    ready = !list_empty(&u->queue) || u->sk.error || (u->sk.shutdown & SHUTDOWN_RECV);
    spin_unlock(&u->sk.lock);
    return ready;
}

/*
 * The first packet, waited for. NULL: the end, by shutdown. read_lock is given up while this waits. Linux tells
 * a datagram socket that does not block -EAGAIN at its end too.
 */
static struct packet *wait_packet(struct unix_sock *u, const struct sock_msg *m, u64 deadline)
    REQUIRES(&u->read_lock)
{
    struct packet *p;
    int err;

    while (!(p = packet_first(u))) {
        bool ended = READ_ONCE(u->sk.shutdown) & SHUTDOWN_RECV;

        err = socket_take_error(&u->sk);
        if (err)
            return ERR_PTR(err);
        if (ended && (!unix_is_dgram(u) || !(m->flags & MSG_DONTWAIT)))
            return packet_first(u);
        if (m->flags & MSG_DONTWAIT)
            return ERR_PTR(-EAGAIN);
        mutex_unlock(&u->read_lock);
        err = socket_wait(&u->sk.wait, POLL_STATE, may_receive, u, deadline);
        mutex_lock(&u->read_lock);
        if (err)
            return ERR_PTR(err);
    }
    return p;
}

/* Off the queue: others may send. */
static void take_packet(struct unix_sock *u, struct packet *p)
{
    spin_lock(&u->sk.lock);
    packet_unlink(u, p);
    spin_unlock(&u->sk.lock);
    waitqueue_wake(&u->room_wait, POLL_WRITE);
}

/* The message as far as it fits. A message that could not be copied is lost, as on Linux. */
static ssize_t read_packet(struct unix_sock *u, struct packet *p, struct sock_msg *m, struct iov_iter *to)
    REQUIRES(&u->read_lock)
{
    size_t size = min((size_t)p->size, to->count);
    ssize_t ret = m->flags & MSG_TRUNC ? (ssize_t)p->size : (ssize_t)size;
    int err;

    if (!(m->flags & MSG_PEEK))
        take_packet(u, p);
    if (size < p->size)
        m->out_flags |= MSG_TRUNC;
    if (!unix_is_dgram(u))
        m->out_flags |= MSG_EOR;
    err = copy_to_iter(p->data, size, to) < size ? -EFAULT : packet_give(u, p, m);
    if (!(m->flags & MSG_PEEK))
        packet_free(p);
    return err ? err : ret;
}

ssize_t unix_dgram_receive(struct socket *s, struct sock_msg *m, struct iov_iter *to)
{
    struct unix_sock *u = unix_of(s);
    struct packet *p;
    ssize_t ret;
    u64 deadline;

    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(READ_ONCE(s->rcvtimeo));
    mutex_lock(&u->read_lock);
    p = wait_packet(u, m, deadline);
    if (IS_ERR(p))
        ret = PTR_ERR(p);
    else
        ret = p ? read_packet(u, p, m, to) : 0;
    mutex_unlock(&u->read_lock);
    return ret;
}

/* ---- SOCK_SEQPACKET --------------------------------------------------------------------------- */

static bool connected(struct unix_sock *u)
{
    bool yes;

    spin_lock(&u->sk.lock);
    yes = u->state == UNIX_CONNECTED;
    spin_unlock(&u->sk.lock);
    return yes;
}

ssize_t unix_seqpacket_send(struct socket *s, struct sock_msg *m, struct iov_iter *from)
{
    int err = socket_take_error(s);

    if (err)
        return err;
    return connected(unix_of(s)) ? unix_dgram_send(s, m, from) : -ENOTCONN;
}

ssize_t unix_seqpacket_receive(struct socket *s, struct sock_msg *m, struct iov_iter *to)
{
    return connected(unix_of(s)) ? unix_dgram_receive(s, m, to) : -ENOTCONN;
}
