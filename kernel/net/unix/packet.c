/* SPDX-License-Identifier: MIT */
/* AF_UNIX packets: room in the send buffer, making, giving, freeing. Locks: unix.h. */
#include "unix.h"

/* ---- Room ------------------------------------------------------------------------------------- */

#define SKB_OVERHEAD 256u /* what Linux charges beside the data: its descriptor, */
#define SKB_SHARED   320u /* and what ends each data area, */
#define SKB_HEAD_MAX 4096u /* which grows in powers of two up to a page; the rest is in pages */

/*
 * As many bytes as Linux charges for such a message, so that a send buffer holds as many messages: programs
 * see that number when they fill one.
 */
static u32 charge_for(size_t size)
{
    size_t head = min(size, (size_t)(SKB_HEAD_MAX - SKB_SHARED));
    size_t area = 512;

    while (area < align_up(head, 64ul) + SKB_SHARED)
        area *= 2;
    return (u32)(SKB_OVERHEAD + area + page_up(size - head));
}

/* Linux's unix_writable(): a quarter of the buffer is in use at most. */
bool unix_has_room(const struct unix_sock *u)
{
    return (u64)READ_ONCE(u->wmem) * 4 <= READ_ONCE(u->sk.sndbuf);
}

static bool may_send(void *arg)
{
    struct unix_sock *u = arg;

    return READ_ONCE(u->sk.error) || (READ_ONCE(u->sk.shutdown) & SHUTDOWN_SEND) ||
           READ_ONCE(u->wmem) < READ_ONCE(u->sk.sndbuf);
}

static int wait_room(struct unix_sock *u, const struct sock_msg *m, u64 deadline)
{
    int err;

    for (;;) {
        err = socket_take_error(&u->sk);
        if (err)
            return err;
        if (READ_ONCE(u->sk.shutdown) & SHUTDOWN_SEND)
            return -EPIPE;
        if (READ_ONCE(u->wmem) < READ_ONCE(u->sk.sndbuf))
            return 0;
        __atomic_store_n(&u->sk.no_space, 1, __ATOMIC_RELAXED);
        if (m->flags & MSG_DONTWAIT)
            return -EAGAIN;
        err = socket_wait(&u->sk.wait, POLL_WRITE, may_send, u, deadline);
        if (err)
            return err;
    }
}

/* ---- Packets ---------------------------------------------------------------------------------- */

struct packet *packet_create(struct unix_sock *u, struct sock_msg *m, struct iov_iter *from, size_t size,
                             u64 deadline)
{
    struct packet *p;
    int err = wait_room(u, m, deadline);

    if (err)
        return ERR_PTR(err);
    p = kmalloc(sizeof(*p) + size);
    if (!p)
        return ERR_PTR(-ENOMEM);
    if (copy_from_iter(p->data, size, from) < size) {
        kfree(p);
        return ERR_PTR(-EFAULT);
    }
    err = m->scm.files ? unix_take_off(m->scm.files) : 0;
    if (err) {
        kfree(p);
        return ERR_PTR(err);
    }
    list_init(&p->link);
    p->from = unix_get(u);
    p->size = (u32)size;
    p->offset = 0;
    p->charge = charge_for(size);
    p->has_cred = false;
    p->files = m->scm.files;
    m->scm.files = NULL;
    __atomic_fetch_add(&u->wmem, p->charge, __ATOMIC_RELAXED);
    return p;
}

void packet_free(struct packet *p)
{
    struct unix_sock *from = p->from;

    if (p->files) {
        unix_landed(p->files);
        scm_files_drop(p->files);
    }
    __atomic_fetch_sub(&from->wmem, p->charge, __ATOMIC_RELEASE);
    if (unix_has_room(from))
        socket_wake(&from->sk, POLL_WRITE);
    unix_put(from);
    kfree(p);
}

/* unix(7): credentials come along when given, or when one of the two sides asks for them. */
void packet_set_cred(struct packet *p, const struct sock_msg *m, const struct unix_sock *to)
{
    if (m->scm.has_cred) {
        p->cred = m->scm.cred;
        p->has_cred = true;
    } else if (((READ_ONCE(p->from->sk.options) | READ_ONCE(to->sk.options)) & SOCK_OPT_PASSCRED) ||
               !READ_ONCE(to->sk.ino)) {
        p->cred = (struct user_ucred){current->group->tgid, current_cred()->uid, current_cred()->gid};
        p->has_cred = true;
    }
}

void packet_append(struct unix_sock *to, struct packet *p)
{
    assert_held(&to->sk.lock);
    list_add_tail(&to->queue, &p->link);
    to->queued++;
    to->unread += p->size;
}

void packet_unlink(struct unix_sock *u, struct packet *p)
{
    assert_held(&u->sk.lock);
    list_del(&p->link);
    u->queued--;
    u->unread -= p->size - p->offset;
}

struct packet *packet_first(struct unix_sock *u)
{
    struct packet *p;

    spin_lock(&u->sk.lock);
    p = list_empty(&u->queue) ? NULL : list_first(&u->queue, struct packet, link);
    spin_unlock(&u->sk.lock);
    return p;
}

static int give_files(struct packet *p, struct sock_msg *m)
{
    if (m->flags & MSG_PEEK) {
        m->scm.files = unix_peek_files(p->files);
        return m->scm.files ? 0 : -ENOMEM;
    }
    unix_landed(p->files);
    m->scm.files = p->files;
    p->files = NULL;
    return 0;
}

int packet_give(struct unix_sock *u, struct packet *p, struct sock_msg *m)
{
    assert_held(&u->read_lock);
    m->scm.has_cred = p->has_cred;
    m->scm.cred = p->cred;
    if (m->name && !m->name->size)
        unix_addr_copy(p->from, m->name);
    return p->files ? give_files(p, m) : 0;
}
