/* SPDX-License-Identifier: MIT */
/*
 * System V message queues: msgget(2), msgsnd(2), msgrcv(2). Who waits tries again when the other side did
 * something.
 *
 * Locking: g_msg.lock. Texts are copied from and to programs without it.
 */
#include <kernel/alloc.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <syscalls.gen.h>
#include "msg.h"

static void queue_free(struct ipc_object *o)
{
    struct msg_queue *q = as_queue(o);
    struct message *m, *tmp;

    list_for_each_safe(m, tmp, &q->messages, link)
    {
        kfree(m);
    }
    kfree(q);
}

struct ipc_table g_msg = IPC_TABLE_INIT("msg", MSGMNI, queue_free);

static struct ipc_object *queue_make(const struct ipc_get *g)
{
    struct msg_queue *q = kzalloc(sizeof(*q));

    if (!q)
        return ERR_PTR(-ENOMEM);
    list_init(&q->messages);
    waitqueue_init(&q->send_wait);
    waitqueue_init(&q->receive_wait);
    q->limit = MSGMNB;
    return &q->o;
}

long sys_msgget(int key, int flags)
{
    struct ipc_get g = {.key = key, .flags = flags, .make = queue_make};

    return ipc_get(&g_msg, &g);
}

/* ---- Waiting ----------------------------------------------------------------------------------------------- */

/* Until the other side did something. g_msg.lock is dropped meanwhile. 0, -EIDRM, -ERESTARTNOHAND. */
static int await(struct msg_queue *q, struct waitqueue *wq) REQUIRES(&g_msg.lock)
{
    struct waiter w;
    int err;

    waiter_add(&w, wq, ~0u);
    mutex_unlock(&g_msg.lock);
    err = task_block(DEADLINE_NONE, true);
    mutex_lock(&g_msg.lock);
    waiter_remove(&w);
    if (q->o.removed)
        return -EIDRM;
    return err ? -ERESTARTNOHAND : 0;
}

/* The queue with a reference, which the caller puts after g_msg.lock. ERR_PTR. */
static struct msg_queue *queue_hold(int id, int want) REQUIRES(&g_msg.lock)
{
    struct msg_queue *q = ipc_find(&g_msg, id);
    int err = IS_ERR(q) ? (int)PTR_ERR(q) : ipc_permission(&q->o, want);

    if (err)
        return ERR_PTR(err);
    ref_get(&q->o.ref);
    return q;
}

/* ---- msgsnd(2) ----------------------------------------------------------------------------------------------- */

static bool has_room(const struct msg_queue *q, size_t size)
{
    return q->bytes + size <= q->limit && q->count + 1 <= q->limit;
}

static void enqueue(struct msg_queue *q, struct message *m) REQUIRES(&g_msg.lock)
{
    list_add_tail(&q->messages, &m->link);
    q->bytes += m->size;
    q->count++;
    q->stime = (s64)time_realtime();
    q->lspid = current->group->tgid;
    waitqueue_wake(&q->receive_wait, ~0u);
}

static int send_locked(struct msg_queue *q, struct message *m, bool nowait) REQUIRES(&g_msg.lock)
{
    int err = 0;

    while (!err && !has_room(q, m->size))
        err = nowait ? -EAGAIN : await(q, &q->send_wait);
    if (!err)
        enqueue(q, m);
    return err;
}

/* The program's message in memory of ours. ERR_PTR(-EFAULT), (-ENOMEM), (-EINVAL). */
static struct message *message_import(const void __user *umsg, size_t size)
{
    const struct msgbuf __user *from = umsg;
    struct message *m = kmalloc(sizeof(*m) + size);
    int err = 0;

    if (!m)
        return ERR_PTR(-ENOMEM);
    m->size = size;
    if (copy_from_user(&m->type, umsg, sizeof(m->type)) ||
        copy_from_user(m->text, (const u8 __user *)from + offsetof(struct msgbuf, mtext), size))
        err = -EFAULT;
    else if (m->type < 1)
        err = -EINVAL;
    if (!err)
        return m;
    kfree(m);
    return ERR_PTR(err);
}

long sys_msgsnd(int id, const void __user *msg, size_t size, int flags)
{
    struct msg_queue *q;
    struct message *m;
    long ret;

    if (id < 0 || size > MSGMAX)
        return -EINVAL;
    m = message_import(msg, size);
    if (IS_ERR(m))
        return PTR_ERR(m);
    mutex_lock(&g_msg.lock);
    q = queue_hold(id, 0222);
    ret = IS_ERR(q) ? PTR_ERR(q) : send_locked(q, m, flags & IPC_NOWAIT);
    mutex_unlock(&g_msg.lock);
    if (!IS_ERR(q))
        ipc_put(&g_msg, &q->o);
    if (ret)
        kfree(m);
    return ret;
}

/* ---- msgrcv(2) ----------------------------------------------------------------------------------------------- */

struct receive {
    size_t size;
    long type;
    int flags;
};

/* The `index`th message. NULL: not that many. */
static struct message *nth_message(struct msg_queue *q, long index)
{
    struct message *m;

    list_for_each(m, &q->messages, link)
    {
        if (!index--)
            return m;
    }
    return NULL;
}

/* The first message of the lowest type up to `most`. */
static struct message *lowest_message(struct msg_queue *q, u64 most)
{
    struct message *m, *found = NULL;

    list_for_each(m, &q->messages, link)
    {
        if ((u64)m->type <= most && (!found || m->type < found->type))
            found = m;
    }
    return found;
}

static struct message *choose(struct msg_queue *q, const struct receive *r)
{
    bool except = r->flags & MSG_EXCEPT;
    struct message *m;

    if (r->flags & MSG_COPY)
        return nth_message(q, r->type);
    if (r->type < 0)
        return lowest_message(q, -(u64)r->type);
    list_for_each(m, &q->messages, link)
    {
        if (!r->type || (m->type == r->type) != except)
            return m;
    }
    return NULL;
}

static void dequeue(struct msg_queue *q, struct message *m) REQUIRES(&g_msg.lock)
{
    list_del(&m->link);
    q->bytes -= m->size;
    q->count--;
    q->rtime = (s64)time_realtime();
    q->lrpid = current->group->tgid;
    waitqueue_wake(&q->send_wait, ~0u);
}

/* MSG_COPY: the message stays, the caller gets one of its own. */
static struct message *duplicate(const struct message *m)
{
    struct message *copy = kmalloc(sizeof(*copy) + m->size);

    if (!copy)
        return ERR_PTR(-ENOMEM);
    memcpy(copy, m, sizeof(*m) + m->size);
    return copy;
}

/* A message that is the caller's now, or ERR_PTR. */
static struct message *receive_locked(struct msg_queue *q, const struct receive *r)
    REQUIRES(&g_msg.lock)
{
    struct message *m;
    int err = 0;

    while (!err && !(m = choose(q, r)))
        err = r->flags & IPC_NOWAIT ? -ENOMSG : await(q, &q->receive_wait);
    if (err)
        return ERR_PTR(err);
    if (m->size > r->size && !(r->flags & MSG_NOERROR))
        return ERR_PTR(-E2BIG);
    if (r->flags & MSG_COPY)
        return duplicate(m);
    dequeue(q, m);
    return m;
}

static long message_export(const struct message *m, void __user *umsg, size_t size)
{
    u8 __user *to = umsg;

    size = min(size, m->size);
    if (copy_to_user(to, &m->type, sizeof(m->type)) ||
        copy_to_user(to + offsetof(struct msgbuf, mtext), m->text, size))
        return -EFAULT;
    return (long)size;
}

static bool flags_valid(int flags)
{
    return !(flags & MSG_COPY) || (!(flags & MSG_EXCEPT) && (flags & IPC_NOWAIT));
}

long sys_msgrcv(int id, void __user *msg, size_t size, long type, int flags)
{
    struct receive r = {.size = size, .type = type, .flags = flags};
    struct msg_queue *q;
    struct message *m;
    long ret;

    if (id < 0 || (long)size < 0 || !flags_valid(flags))
        return -EINVAL;
    mutex_lock(&g_msg.lock);
    q = queue_hold(id, 0444);
    m = IS_ERR(q) ? ERR_PTR(PTR_ERR(q)) : receive_locked(q, &r);
    mutex_unlock(&g_msg.lock);
    if (!IS_ERR(q))
        ipc_put(&g_msg, &q->o);
    if (IS_ERR(m))
        return PTR_ERR(m);
    ret = message_export(m, msg, size);
    kfree(m);
    return ret;
}
