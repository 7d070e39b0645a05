/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX byte streams: send and receive. A connected socket's peer stays the same until its own file is
 * closed, which cannot be while a call holds the file. Locks: unix.h.
 */
#include "unix.h"

#define CHUNK_MAX (32768u - (u32)sizeof(struct packet)) /* whole pages with the packet's head */

static struct unix_sock *connected_peer(struct unix_sock *u)
{
    struct unix_sock *peer;

    spin_lock(&u->sk.lock);
    peer = u->state == UNIX_CONNECTED ? u->peer : NULL;
    spin_unlock(&u->sk.lock);
    return peer;
}

/* ---- Sending ---------------------------------------------------------------------------------- */

static bool receiver_gone(const struct unix_sock *peer) REQUIRES(&peer->sk.lock)
{
    return peer->dead || (peer->sk.shutdown & SHUTDOWN_RECV);
}

/* Consumes the packet. 0 or -EPIPE. */
static int deliver(struct unix_sock *peer, struct packet *p)
{
    bool gone;

    spin_lock(&peer->sk.lock);
    gone = receiver_gone(peer);
    if (!gone)
        packet_append(peer, p);
    spin_unlock(&peer->sk.lock);
    if (gone) {
        packet_free(p);
        return -EPIPE;
    }
    socket_wake(&peer->sk, POLL_READ);
    return 0;
}

static ssize_t send_chunks(struct unix_sock *u, struct unix_sock *peer, struct sock_msg *m,
                           struct iov_iter *from)
{
    u64 deadline = from->count ? socket_deadline(READ_ONCE(u->sk.sndtimeo)) : 0;
    size_t done = 0;
    int err = 0;

    while (!err && from->count) {
        size_t size = min(from->count, (size_t)min(CHUNK_MAX, READ_ONCE(u->sk.sndbuf) / 2 - 64));
        struct packet *p = packet_create(u, m, from, size, deadline);

        if (IS_ERR(p)) {
            err = (int)PTR_ERR(p);
        } else {
            packet_set_cred(p, m, peer);
            err = deliver(peer, p);
        }
        if (!err)
            done += size;
    }
    return done ? (ssize_t)done : err;
}

ssize_t unix_stream_send(struct socket *s, struct sock_msg *m, struct iov_iter *from)
{
    struct unix_sock *u = unix_of(s), *peer = connected_peer(u);
    ssize_t n;

    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (m->name && m->name->size)
        return peer ? -EISCONN : -EOPNOTSUPP;
    if (!peer)
        return -ENOTCONN;
    if (READ_ONCE(s->shutdown) & SHUTDOWN_SEND)
        n = -EPIPE;
    else
        n = send_chunks(u, peer, m, from);
    if (n == -EPIPE && !(m->flags & MSG_NOSIGNAL))
        signal_send_self(SIGPIPE);
    return n;
}

/* ---- Receiving -------------------------------------------------------------------------------- */

struct stream_read {
    struct unix_sock *u;
    struct sock_msg *m;
    struct iov_iter *to;
    size_t done;
    bool begun; /* m->scm holds the first packet's credentials */
    bool stop;  /* what follows belongs to another call */
};

/* The packet to go on with and how many of its bytes a peek saw already; NULL: no more yet. */
static struct packet *next_packet(struct stream_read *r, size_t *skip)
{
    struct unix_sock *u = r->u;
    struct packet *p, *found = NULL;

    *skip = r->m->flags & MSG_PEEK ? r->done : 0;
    spin_lock(&u->sk.lock);
    list_for_each(p, &u->queue, link)
    {
        if (*skip < p->size - p->offset) {
            found = p;
            break;
        }
        *skip -= p->size - p->offset;
    }
    spin_unlock(&u->sk.lock);
    return found;
}

static bool same_cred(const struct packet *p, const struct scm *scm)
{
    return p->has_cred == scm->has_cred &&
           (!p->has_cred || !memcmp(&p->cred, &scm->cred, sizeof(p->cred)));
}

static void consume(struct unix_sock *u, struct packet *p, u32 size)
{
    bool empty = p->offset + size == p->size;

    spin_lock(&u->sk.lock);
    if (empty) {
        packet_unlink(u, p);
    } else {
        p->offset += size;
        u->unread -= size;
    }
    spin_unlock(&u->sk.lock);
    if (empty)
        packet_free(p);
}

/* Some of one packet. 0, or -errno with nothing taken. */
static int read_packet(struct stream_read *r, struct packet *p, size_t skip) REQUIRES(&r->u->read_lock)
{
    bool passcred = READ_ONCE(r->u->sk.options) & SOCK_OPT_PASSCRED;
    size_t size = min((size_t)(p->size - p->offset) - skip, r->to->count);
    bool files = p->files;
    int err;

    if (r->begun && passcred && !same_cred(p, &r->m->scm)) {
        r->stop = true;
        return 0;
    }
    if (copy_to_iter(p->data + p->offset + skip, size, r->to) < size)
        return -EFAULT;
    err = r->begun && !files ? 0 : packet_give(r->u, p, r->m);
    if (err)
        return err;
    r->begun = true;
    r->done += size;
    r->stop = files;
    if (!(r->m->flags & MSG_PEEK))
        consume(r->u, p, (u32)size);
    return 0;
}

/* All that is there, as far as it goes together. */
static int read_available(struct stream_read *r) REQUIRES(&r->u->read_lock)
{
    int err = 0;

    while (!err && !r->stop && r->to->count) {
        size_t skip;
        struct packet *p = next_packet(r, &skip);

        if (!p)
            break;
        err = read_packet(r, p, skip);
    }
    return err;
}

static bool may_receive(void *arg)
{
    struct stream_read *r = arg;
    size_t skip;

    return next_packet(r, &skip) || READ_ONCE(r->u->sk.error) ||
           (READ_ONCE(r->u->sk.shutdown) & SHUTDOWN_RECV);
}

/* Nothing more is there. 0: look again; 1: the end; or -errno. read_lock is given up while this waits. */
static int wait_more(struct stream_read *r, u64 deadline) REQUIRES(&r->u->read_lock)
{
    struct socket *s = &r->u->sk;
    size_t skip;
    int err = socket_take_error(s);

    if (err)
        return err;
    if (READ_ONCE(s->shutdown) & SHUTDOWN_RECV) /* set after the last data: look once more */
        return next_packet(r, &skip) ? 0 : 1;
    if (r->m->flags & MSG_DONTWAIT)
        return -EAGAIN;
    mutex_unlock(&r->u->read_lock);
    err = socket_wait(&s->wait, POLL_STATE, may_receive, r, deadline);
    mutex_lock(&r->u->read_lock);
    return err;
}

ssize_t unix_stream_receive(struct socket *s, struct sock_msg *m, struct iov_iter *to)
{
    struct stream_read r = {.u = unix_of(s), .m = m, .to = to};
    size_t target = m->flags & MSG_WAITALL ? to->count : min((size_t)READ_ONCE(s->rcvlowat), to->count);
    u64 deadline;
    int err;

    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (!connected_peer(r.u))
        return -EINVAL;
    deadline = m->flags & MSG_DONTWAIT ? 0 : socket_deadline(READ_ONCE(s->rcvtimeo));
    mutex_lock(&r.u->read_lock);
    for (;;) {
        err = read_available(&r);
        if (err || r.stop || r.done >= target)
            break;
        err = wait_more(&r, deadline);
        if (err)
            break;
    }
    mutex_unlock(&r.u->read_lock);
    return r.done || err > 0 ? (ssize_t)r.done : err;
}
