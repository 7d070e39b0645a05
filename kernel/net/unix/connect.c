/* SPDX-License-Identifier: MIT */
/*
 * Connections of streams and seqpacket sockets: listen, connect, accept. connect(2) makes the server's end and
 * queues it at the listener, so that the client can go on at once. Locks: unix.h.
 */
#include "unix.h"

int unix_listen(struct socket *s, int backlog)
{
    struct unix_sock *u = unix_of(s);
    int err = 0;

    if (!unix_addr_of(u))
        return -EINVAL;
    spin_lock(&s->lock);
    if (u->state == UNIX_CONNECTED) {
        err = -EINVAL;
    } else {
        u->backlog = (unsigned)backlog;
        u->state = UNIX_LISTENING;
        s->listening = true;
        s->peercred = unix_current_cred();
    }
    spin_unlock(&s->lock);
    if (!err)
        waitqueue_wake(&u->room_wait, POLL_WRITE);
    return err;
}

/* ---- connect(2) ------------------------------------------------------------------------------- */

static bool backlog_full(const struct unix_sock *l) REQUIRES(&l->sk.lock)
{
    return l->pending_count > l->backlog;
}

static bool listener_changed(void *arg)
{
    struct unix_sock *l = arg;
    bool changed;

    spin_lock(&l->sk.lock);
    changed = l->dead || l->state != UNIX_LISTENING || !backlog_full(l);
    spin_unlock(&l->sk.lock);
    return changed;
}

/* 0, -EAGAIN: wait for room, -ESHUTDOWN: it has just been closed, look the name up again; or the error. */
static int check_both(const struct unix_sock *u, const struct unix_sock *l) REQUIRES(&u->sk.lock)
    REQUIRES(&l->sk.lock)
{
    if (l->dead)
        return -ESHUTDOWN;
    if (l->state != UNIX_LISTENING || (l->sk.shutdown & SHUTDOWN_RECV))
        return -ECONNREFUSED;
    if (backlog_full(l))
        return -EAGAIN;
    if (u->state != UNIX_CLOSED)
        return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
    return 0;
}

/* Both locks held, all checked: `child` is the server's end, whose reference goes to the queue. */
static void join(struct unix_sock *u, struct unix_sock *l, struct unix_sock *child) NO_LOCK_ANALYSIS
{
    struct unix_addr *addr = unix_addr_of(l);

    ref_get(&addr->ref);
    child->addr = addr;
    child->state = UNIX_CONNECTED;
    child->sk.peercred = unix_current_cred();
    child->sk.options = l->sk.options & SOCK_OPT_PASSCRED;
    child->peer = unix_get(u);
    u->peer = unix_get(child);
    u->sk.peercred = l->sk.peercred;
    u->state = UNIX_CONNECTED;
    list_add_tail(&l->pending, &child->pending_link);
    l->pending_count++;
}

static int try_connect(struct unix_sock *u, struct unix_sock *l, struct unix_sock *child)
{
    int err;

    unix_lock_two(u, l);
    err = check_both(u, l);
    if (!err)
        join(u, l, child);
    unix_unlock_two(u, l);
    if (!err)
        socket_wake(&l->sk, POLL_READ);
    return err;
}

static int connect_with(struct unix_sock *u, const struct sock_addr *addr, struct unix_sock *child,
                        bool nonblock)
{
    u64 deadline = nonblock ? 0 : socket_deadline(READ_ONCE(u->sk.sndtimeo));
    int err;

    do {
        struct unix_sock *l = unix_find(addr, u->sk.type);

        if (IS_ERR(l))
            return (int)PTR_ERR(l);
        err = try_connect(u, l, child);
        if (err == -EAGAIN && !nonblock) {
            err = socket_wait(&l->room_wait, POLL_STATE, listener_changed, l, deadline);
            if (!err)
                err = -ESHUTDOWN; /* once more */
        }
        unix_put(l);
    } while (err == -ESHUTDOWN);
    return err;
}

int unix_connect_stream(struct socket *s, const struct sock_addr *addr, bool nonblock)
{
    struct unix_sock *u = unix_of(s), *child;
    int err = 0;

    if ((READ_ONCE(s->options) & SOCK_OPT_PASSCRED) && !unix_addr_of(u))
        err = unix_autobind(u);
    if (err)
        return err;
    child = unix_create(s->type);
    if (!child)
        return -ENOMEM;
    err = connect_with(u, addr, child, nonblock);
    if (err) {
        unix_table_remove(child);
        unix_put(child);
    }
    return err;
}

/* ---- accept(2) -------------------------------------------------------------------------------- */

static struct unix_sock *take_pending(struct unix_sock *u)
{
    struct unix_sock *child = NULL;

    spin_lock(&u->sk.lock);
    if (!list_empty(&u->pending)) {
        child = list_first(&u->pending, struct unix_sock, pending_link);
        list_del(&child->pending_link);
        u->pending_count--;
    }
    spin_unlock(&u->sk.lock);
    if (child)
        waitqueue_wake_one(&u->room_wait, POLL_WRITE);
    return child;
}

static bool may_accept(void *arg)
{
    struct unix_sock *u = arg;
    bool ready;

    spin_lock(&u->sk.lock);
    ready = !list_empty(&u->pending) || (u->sk.shutdown & SHUTDOWN_RECV);
    spin_unlock(&u->sk.lock);
    return ready;
}

static bool is_listening(struct unix_sock *u)
{
    bool yes;

    spin_lock(&u->sk.lock);
    yes = u->state == UNIX_LISTENING;
    spin_unlock(&u->sk.lock);
    return yes;
}

int unix_accept(struct socket *s, bool nonblock, struct socket **out)
{
    struct unix_sock *u = unix_of(s), *child;
    u64 deadline = nonblock ? 0 : socket_deadline(READ_ONCE(s->rcvtimeo));
    int err;

    if (!is_listening(u))
        return -EINVAL;
    while (!(child = take_pending(u))) {
        if (READ_ONCE(s->shutdown) & SHUTDOWN_RECV)
            return -EINVAL;
        if (nonblock)
            return -EAGAIN;
        err = socket_wait(&s->wait, POLL_STATE, may_accept, u, deadline);
        if (err)
            return err;
    }
    *out = &child->sk;
    return 0;
}
