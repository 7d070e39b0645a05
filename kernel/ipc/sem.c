/* SPDX-License-Identifier: MIT */
/*
 * System V semaphores: semget(2), semop(2), semtimedop(2). A call's operations happen together or not at all; who
 * cannot go on waits on the set and tries again after each change.
 *
 * Locking: g_sem.lock.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <syscalls.gen.h>
#include "sem.h"

static void set_free(struct ipc_object *o)
{
    undo_free_all(as_set(o));
    kfree(as_set(o));
}

struct ipc_table g_sem = IPC_TABLE_INIT("sem", SEMMNI, set_free);

/* ---- semget(2) ------------------------------------------------------------------------------------------- */

static int set_check(struct ipc_object *o, const struct ipc_get *g)
{
    return g->size > as_set(o)->count ? -EINVAL : 0;
}

static struct ipc_object *set_make(const struct ipc_get *g)
{
    struct sem_set *s;

    if (!g->size)
        return ERR_PTR(-EINVAL);
    s = kzalloc(sizeof(*s) + g->size * sizeof(s->sems[0]));
    if (!s)
        return ERR_PTR(-ENOMEM);
    s->count = (unsigned)g->size;
    waitqueue_init(&s->wait);
    list_init(&s->waiters);
    list_init(&s->undos);
    return &s->o;
}

long sys_semget(int key, int count, int flags)
{
    struct ipc_get g = {
        .key = key, .flags = flags, .size = (u64)count, .check = set_check, .make = set_make};

    if (count < 0 || count > SEMMSL)
        return -EINVAL;
    return ipc_get(&g_sem, &g);
}

/* ---- Operations ------------------------------------------------------------------------------------------ */

struct sem_call {
    const struct sembuf *ops;
    unsigned count;
    struct sem_set *set;
    struct sem_undo *undo; /* when an operation has SEM_UNDO */
    unsigned blocked;      /* index of the operation that has to wait */
};

/* What SEM_UNDO would make of the adjustment, or out of its range. */
static int undo_value(const struct sem_call *c, const struct sembuf *op)
{
    return c->undo->adjust[op->sem_num] - op->sem_op;
}

/* One operation. 0, -ERANGE, -EAGAIN: has to wait. */
static int apply_one(const struct sem_call *c, const struct sembuf *op)
{
    struct semaphore *sem = &c->set->sems[op->sem_num];
    int value = sem->value + op->sem_op;

    if (op->sem_op ? value < 0 : sem->value != 0)
        return -EAGAIN;
    if (value > SEMVMX)
        return -ERANGE;
    if (op->sem_flg & SEM_UNDO) {
        int undo = undo_value(c, op);

        if (undo < -SEMAEM - 1 || undo > SEMAEM)
            return -ERANGE;
        c->undo->adjust[op->sem_num] = (short)undo;
    }
    sem->value = value;
    return 0;
}

/* Takes the first `count` operations back. */
static void unapply(const struct sem_call *c, unsigned count)
{
    while (count--) {
        const struct sembuf *op = &c->ops[count];

        c->set->sems[op->sem_num].value -= op->sem_op;
        if (op->sem_flg & SEM_UNDO)
            c->undo->adjust[op->sem_num] = (short)(c->undo->adjust[op->sem_num] + op->sem_op);
    }
}

/* All operations or none. 0, -ERANGE, -EAGAIN with c->blocked set. */
static int apply(struct sem_call *c)
{
    bool changed = false;

    for (unsigned i = 0; i < c->count; i++) {
        int err = apply_one(c, &c->ops[i]);

        if (err) {
            unapply(c, i);
            c->blocked = i;
            return err;
        }
    }
    for (unsigned i = 0; i < c->count; i++) {
        c->set->sems[c->ops[i].sem_num].pid = current->group->tgid;
        changed |= c->ops[i].sem_op != 0;
    }
    c->set->otime = (s64)time_realtime();
    if (changed)
        set_changed(c->set);
    return 0;
}

/* Until the set changes. g_sem.lock is dropped meanwhile. 0, -EIDRM, -EINTR, -EAGAIN: the time is over. */
static int await_change(struct sem_call *c, u64 deadline) REQUIRES(&g_sem.lock)
{
    const struct sembuf *op = &c->ops[c->blocked];
    struct sem_waiter me = {.number = op->sem_num, .for_zero = !op->sem_op};
    struct waiter w;
    int err;

    list_add_tail(&c->set->waiters, &me.link);
    waiter_add(&w, &c->set->wait, ~0u);
    mutex_unlock(&g_sem.lock);
    err = task_block(deadline, true);
    mutex_lock(&g_sem.lock);
    waiter_remove(&w);
    list_del(&me.link);
    if (c->set->o.removed)
        return -EIDRM;
    return err == -ETIMEDOUT ? -EAGAIN : err;
}

static int perform(struct sem_call *c, u64 deadline) REQUIRES(&g_sem.lock)
{
    int err = apply(c), waited = 0;

    while (err == -EAGAIN && !(c->ops[c->blocked].sem_flg & IPC_NOWAIT) && !waited) {
        waited = await_change(c, deadline);
        if (waited == -EIDRM)
            return waited;
        err = apply(c);
    }
    return err == -EAGAIN && waited ? waited : err;
}

/* Looks at all operations before the first. */
static int check_ops(struct sem_call *c) REQUIRES(&g_sem.lock)
{
    bool alters = false, undoes = false;
    int err;

    for (unsigned i = 0; i < c->count; i++) {
        if (c->ops[i].sem_num >= c->set->count)
            return -EFBIG;
        alters |= c->ops[i].sem_op != 0;
        undoes |= (c->ops[i].sem_flg & SEM_UNDO) != 0;
    }
    err = ipc_permission(&c->set->o, alters ? 0222 : 0444);
    if (err || !undoes)
        return err;
    c->undo = undo_get(c->set);
    return c->undo ? 0 : -ENOMEM;
}

static long operate(int id, struct sem_call *c, u64 deadline)
{
    long ret;

    mutex_lock(&g_sem.lock);
    c->set = ipc_find(&g_sem, id);
    if (IS_ERR(c->set)) {
        ret = PTR_ERR(c->set);
        mutex_unlock(&g_sem.lock);
        return ret;
    }
    ref_get(&c->set->o.ref);
    ret = check_ops(c);
    if (!ret)
        ret = perform(c, deadline);
    mutex_unlock(&g_sem.lock);
    ipc_put(&g_sem, &c->set->o);
    return ret;
}

#define OPS_FAST 16

static long semop(int id, const struct sembuf __user *uops, unsigned count, u64 deadline)
{
    struct sembuf fast[OPS_FAST], *ops = fast;
    struct sem_call c = {.count = count};
    long ret = -EFAULT;

    if (!count || id < 0)
        return -EINVAL;
    if (count > SEMOPM)
        return -E2BIG;
    if (count > OPS_FAST)
        ops = kcalloc(count, sizeof(*ops));
    if (!ops)
        return -ENOMEM;
    c.ops = ops;
    if (!copy_from_user(ops, uops, count * sizeof(*ops)))
        ret = operate(id, &c, deadline);
    if (ops != fast)
        kfree(ops);
    return ret;
}

long sys_semop(int id, const struct sembuf __user *ops, unsigned count)
{
    return semop(id, ops, count, DEADLINE_NONE);
}

long sys_semtimedop(int id, const struct sembuf __user *ops, unsigned count,
                    const struct __kernel_timespec __user *timeout)
{
    u64 deadline;
    int err = deadline_import(timeout, &deadline);

    return err ? err : semop(id, ops, count, deadline);
}
