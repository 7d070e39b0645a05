/* SPDX-License-Identifier: MIT */
/* AF_UNIX sockets: making them, pairs, names, shutdown, poll, ioctl, the end. Locks: unix.h. */
#include <kernel/uaccess.h>
#include <asm/ioctls.h>
#include <linux/sockios.h>

#include "unix.h"

static const struct socket_ops g_stream_ops, g_dgram_ops, g_seqpacket_ops;

/* ---- Objects ---------------------------------------------------------------------------------- */

static const struct socket_ops *ops_of(int type)
{
    if (type == SOCK_STREAM)
        return &g_stream_ops;
    return type == SOCK_DGRAM ? &g_dgram_ops : &g_seqpacket_ops;
}

struct unix_sock *unix_create(int type) NO_LOCK_ANALYSIS /* nobody else knows it */
{
    struct unix_sock *u = kzalloc(sizeof(*u));

    if (!u)
        return NULL;
    socket_init(&u->sk, ops_of(type), AF_UNIX, type, 0);
    list_init(&u->queue);
    list_init(&u->pending);
    list_init(&u->pending_link);
    list_init(&u->name_link);
    list_init(&u->all_link);
    list_init(&u->inflight_link);
    mutex_init(&u->read_lock, "unix_read");
    mutex_init(&u->bind_lock, "unix_bind");
    waitqueue_init(&u->room_wait);
    u->backlog = UNIX_DGRAM_QUEUE;
    unix_table_add(u);
    return u;
}

static int create(int type, int protocol, struct socket **out)
{
    struct unix_sock *u;

    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == SOCK_RAW)
        type = SOCK_DGRAM; /* as Linux */
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    u = unix_create(type);
    if (!u)
        return -ENOMEM;
    *out = &u->sk;
    return 0;
}

static void destroy(struct socket *s)
{
    struct unix_sock *u = unix_of(s);

    if (u->addr)
        unix_addr_put(u->addr);
    kfree(u);
}

void unix_lock_two(struct unix_sock *a, struct unix_sock *b) NO_LOCK_ANALYSIS
{
    if (a == b) {
        spin_lock(&a->sk.lock);
        return;
    }
    spin_lock(a < b ? &a->sk.lock : &b->sk.lock);
    spin_lock(a < b ? &b->sk.lock : &a->sk.lock);
}

void unix_unlock_two(struct unix_sock *a, struct unix_sock *b) NO_LOCK_ANALYSIS
{
    spin_unlock(&a->sk.lock);
    if (a != b)
        spin_unlock(&b->sk.lock);
}

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
    struct unix_sock *peer;

    spin_lock(&u->sk.lock);
    peer = u->peer ? unix_get(u->peer) : NULL;
    spin_unlock(&u->sk.lock);
    return peer;
}

struct user_ucred unix_current_cred(void)
{
    const struct cred *c = current_cred();

    return (struct user_ucred){current->group->tgid, c->euid, c->egid};
}

/* ---- Pairs ------------------------------------------------------------------------------------ */

static int pair(struct socket *sa, struct socket *sb)
{
    struct unix_sock *a = unix_of(sa), *b = unix_of(sb);
    struct user_ucred cred = unix_current_cred();

    unix_lock_two(a, b);
    a->peer = unix_get(b);
    b->peer = unix_get(a);
    sa->peercred = sb->peercred = cred;
    if (!unix_is_dgram(a))
        a->state = b->state = UNIX_CONNECTED;
    unix_unlock_two(a, b);
    if (unix_is_dgram(a)) {
        unix_relay_start(a, b);
        unix_relay_start(b, a);
    }
    return 0;
}

/* ---- Names ------------------------------------------------------------------------------------ */

static int name(struct socket *s, struct sock_addr *addr, bool peer)
{
    struct unix_sock *u = unix_of(s);
    struct unix_sock *who = peer ? unix_peer_get(u) : unix_get(u);

    if (!who)
        return -ENOTCONN;
    unix_addr_copy(who, addr);
    if (addr->size < UNIX_ADDR_MIN) {
        addr->family = AF_UNIX;
        addr->size = UNIX_ADDR_MIN;
    }
    unix_put(who);
    return 0;
}

/* ---- shutdown(2) ------------------------------------------------------------------------------ */

static int shutdown(struct socket *s, unsigned how)
{
    struct unix_sock *u = unix_of(s), *peer = NULL;
    unsigned other = (how & SHUTDOWN_RECV ? SHUTDOWN_SEND : 0) | (how & SHUTDOWN_SEND ? SHUTDOWN_RECV : 0);

    spin_lock(&s->lock);
    s->shutdown |= (u8)how;
    if (u->peer && !unix_is_dgram(u))
        peer = unix_get(u->peer);
    spin_unlock(&s->lock);
    socket_wake(s, POLL_STATE);
    waitqueue_wake(&u->room_wait, POLL_STATE);
    if (!peer)
        return 0;
    spin_lock(&peer->sk.lock);
    peer->sk.shutdown |= (u8)other;
    spin_unlock(&peer->sk.lock);
    socket_wake(&peer->sk, other == SHUTDOWN_SEND ? POLL_WRITE | POLLERR : POLL_STATE);
    unix_put(peer);
    return 0;
}

/* ---- poll(2) ---------------------------------------------------------------------------------- */

static unsigned poll(struct socket *s, struct poll_table *pt)
{
    struct unix_sock *u = unix_of(s);
    unsigned ready = READ_ONCE(s->error) ? POLLERR : 0;
    bool room, listening;

    poll_wait(pt, &s->wait);
    spin_lock(&s->lock);
    if (s->shutdown == SHUTDOWN_BOTH)
        ready |= POLLHUP;
    if (s->shutdown & SHUTDOWN_RECV)
        ready |= POLLRDHUP | POLL_READ;
    if (!list_empty(&u->queue) || !list_empty(&u->pending))
        ready |= POLL_READ;
    if (!unix_is_dgram(u) && u->state == UNIX_CLOSED)
        ready |= POLLHUP;
    listening = u->state == UNIX_LISTENING;
    spin_unlock(&s->lock);
    room = !listening && unix_has_room(u);
    if (room && unix_is_dgram(u) && (!pt || (pt->events & POLL_WRITE)))
        room = unix_dgram_peer_has_room(u);
    return ready | (room ? POLL_WRITE : 0);
}

/* ---- ioctl(2) --------------------------------------------------------------------------------- */

/* What one read could give at most; of datagrams the first one's size. */
static int readable(struct unix_sock *u, int *size)
{
    int err = 0;

    spin_lock(&u->sk.lock);
    if (u->state == UNIX_LISTENING)
        err = -EINVAL;
    else if (!unix_is_dgram(u))
        *size = (int)u->unread;
    else
        *size = list_empty(&u->queue) ? 0 : (int)list_first(&u->queue, struct packet, link)->size;
    spin_unlock(&u->sk.lock);
    return err;
}

static long ioctl(struct socket *s, unsigned cmd, unsigned long arg)
{
    struct unix_sock *u = unix_of(s);
    int size = 0, err = 0;

    switch (cmd) {
    case SIOCINQ:
        err = readable(u, &size);
        break;
    case SIOCOUTQ:
        size = (int)READ_ONCE(u->wmem);
        break;
    default:
        return -ENOTTY;
    }
    return err ? err : put_user(size, (int __user *)arg);
}

/* ---- The end ---------------------------------------------------------------------------------- */

/* What the socket held, out of anybody's reach. */
struct remains {
    struct list queue, pending;
    struct unix_sock *peer;
    bool unread;
};

static void take_all(struct list *from, struct list *to)
{
    list_init(to);
    while (!list_empty(from)) {
        struct list *n = from->next;

        list_del(n);
        list_add_tail(to, n);
    }
}

static void take_remains(struct unix_sock *u, struct remains *r)
{
    spin_lock(&u->sk.lock);
    u->dead = true;
    u->state = UNIX_CLOSED;
    u->sk.shutdown = SHUTDOWN_BOTH;
    u->sk.listening = false;
    r->unread = !list_empty(&u->queue);
    r->peer = u->peer;
    u->peer = NULL;
    u->queued = u->pending_count = 0;
    u->unread = 0;
    take_all(&u->queue, &r->queue);
    take_all(&u->pending, &r->pending);
    spin_unlock(&u->sk.lock);
}

/* A connection's other end hears of it; when data was lost, as an error. */
static void tell_peer(struct unix_sock *u, struct unix_sock *peer, bool lost)
{
    bool ours;

    if (unix_is_dgram(u))
        return;
    spin_lock(&peer->sk.lock);
    ours = peer->peer == u;
    if (ours) {
        peer->sk.shutdown = SHUTDOWN_BOTH;
        if (lost)
            socket_set_error(&peer->sk, ECONNRESET);
    }
    spin_unlock(&peer->sk.lock);
    if (ours)
        socket_wake(&peer->sk, POLL_STATE);
}

void unix_shut(struct unix_sock *u, bool embryo)
{
    struct remains r;

    unix_unbind(u);
    unix_table_remove(u);
    unix_relay_stop(u);
    take_remains(u, &r);
    waitqueue_wake(&u->sk.wait, POLL_STATE);
    waitqueue_wake(&u->room_wait, POLL_STATE);
    if (r.peer)
        tell_peer(u, r.peer, r.unread || embryo);
    unix_put(r.peer);
    while (!list_empty(&r.pending)) {
        struct unix_sock *child = list_first(&r.pending, struct unix_sock, pending_link);

        list_del(&child->pending_link);
        unix_shut(child, true);
        unix_put(child);
    }
    while (!list_empty(&r.queue)) {
        struct packet *p = list_first(&r.queue, struct packet, link);

        list_del(&p->link);
        packet_free(p);
    }
}

static void release(struct socket *s)
{
    unix_shut(unix_of(s), false);
    unix_collect();
}

/* ---- The family ------------------------------------------------------------------------------- */

#define UNIX_COMMON                                                                                \
    .bind = unix_bind, .pair = pair, .name = name, .shutdown = shutdown, .poll = poll, .ioctl = ioctl, \
    .release = release, .destroy = destroy

static const struct socket_ops g_stream_ops = {
    UNIX_COMMON,
    .connect = unix_connect_stream,
    .listen = unix_listen,
    .accept = unix_accept,
    .send = unix_stream_send,
    .receive = unix_stream_receive,
};

static const struct socket_ops g_seqpacket_ops = {
    UNIX_COMMON,
    .connect = unix_connect_stream,
    .listen = unix_listen,
    .accept = unix_accept,
    .send = unix_seqpacket_send,
    .receive = unix_seqpacket_receive,
};

static const struct socket_ops g_dgram_ops = {
    UNIX_COMMON,
    .connect = unix_dgram_connect,
    .send = unix_dgram_send,
    .receive = unix_dgram_receive,
};

static struct socket_family g_unix = {.family = AF_UNIX, .create = create};

void unix_init(void)
{
    socket_family_register(&g_unix);
}
