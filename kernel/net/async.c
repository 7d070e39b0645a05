/* SPDX-License-Identifier: MIT */
/*
 * Signal-driven I/O: SIGIO, or F_SETSIG's signal, to F_SETOWN's owner when a socket with O_ASYNC has news.
 * Source: fcntl(2), signal(7). socket->lock guards async and async_fd.
 */
#include <kernel/poll.h>
#include <kernel/socket.h>
#include <kernel/task.h>

/* A copy of what the file says, taken while it is known to live. */
struct async_owner {
    int type, sig, fd;
    pid_t id;
    uid_t uid, euid; /* of whoever named the owner */
};

void socket_set_async(struct socket *s, struct file *f, int fd, bool on)
{
    spin_lock(&s->lock);
    s->async = on ? f : NULL;
    s->async_fd = fd;
    spin_unlock(&s->lock);
}

static bool async_owner(struct socket *s, struct async_owner *o)
{
    const struct file *f;

    spin_lock(&s->lock);
    f = s->async;
    if (f)
        *o = (struct async_owner){.type = f->owner_type, .sig = f->owner_signal, .fd = s->async_fd,
                                  .id = f->owner, .uid = f->owner_uid, .euid = f->owner_euid};
    spin_unlock(&s->lock);
    return f && o->id;
}

/* Linux's sigio_perm() */
static bool may_signal(const struct async_owner *o, struct task *t)
{
    struct cred *c = task_cred(t);
    bool allowed = !o->euid || o->euid == c->suid || o->euid == c->uid || o->uid == c->suid ||
                   o->uid == c->uid;

    cred_put(c);
    return allowed;
}

/* `info` NULL: SIGIO from the kernel, also where a queue is full. */
static void send(const struct async_owner *o, struct task *t, bool thread, const siginfo_t *info)
{
    int err = 0;

    if (!may_signal(o, t))
        return;
    if (info)
        err = thread ? signal_send_task(t, o->sig, info) : signal_send_group(t->group, o->sig, info);
    if (!info || err == -EAGAIN)
        (void)(thread ? signal_send_task(t, SIGIO, NULL) : signal_send_group(t->group, SIGIO, NULL));
}

static void send_to(const struct async_owner *o, pid_t id, bool thread, const siginfo_t *info)
{
    struct task *t = task_find(id);

    if (!t)
        return;
    send(o, t, thread, info);
    task_put(t);
}

static void send_to_pgrp(const struct async_owner *o, const siginfo_t *info)
{
    struct group *g;

    for (pid_t from = 1; (g = group_next(from)); from++) {
        from = g->tgid;
        if (READ_ONCE(g->pgid) == o->id)
            send_to(o, g->tgid, false, info);
        group_put(g);
    }
}

static void signal_owner(struct socket *s, unsigned key)
{
    struct async_owner o;
    siginfo_t info = {0};
    bool in = key & POLLIN;

    if (!async_owner(s, &o))
        return;
    info.si_signo = o.sig;
    info.si_code = in ? POLL_IN : POLL_OUT;
    info.si_band = in ? POLLIN | POLLRDNORM : POLLOUT | POLLWRNORM | POLLWRBAND;
    info.si_fd = o.fd;
    if (o.type == F_OWNER_PGRP)
        send_to_pgrp(&o, o.sig ? &info : NULL);
    else
        send_to(&o, o.id, o.type == F_OWNER_TID, o.sig ? &info : NULL);
}

void socket_wake(struct socket *s, unsigned key)
{
    waitqueue_wake(&s->wait, key);
    if (likely(!READ_ONCE(s->async)))
        return;
    if ((key & POLLIN) || __atomic_exchange_n(&s->no_space, 0, __ATOMIC_RELAXED))
        signal_owner(s, key);
}
