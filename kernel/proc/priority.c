/* SPDX-License-Identifier: MIT */
/*
 * Nice values and I/O priorities of threads, process groups and users: getpriority(2), setpriority(2),
 * ioprio_get(2), ioprio_set(2). They are kept and told; the host schedules.
 *
 * Locking: threads are looked at with g_task_list_lock and their group->lock held (task_for_each()).
 */
#include <kernel/syscall.h>
#include <linux/ioprio.h>
#include "internal.h"
#include <syscalls.gen.h>

/* Whom a call means, and what it found or did. */
struct query {
    int which; /* PRIO_* */
    u32 id;
    int value; /* to set */
    long ret;
};

static bool meant(const struct query *q, const struct task *t)
{
    switch (q->which) {
    case PRIO_PROCESS:
        return (u32)t->tid == q->id;
    case PRIO_PGRP:
        return (u32)t->group->pgid == q->id;
    case PRIO_USER:
        return t->cred->uid == q->id;
    }
    return false;
}

/* 0 means the caller's own. -EINVAL for an unknown `which`. */
static int query_init(struct query *q, int which, int who, int value)
{
    *q = (struct query){.which = which, .id = (u32)who, .value = value, .ret = -ESRCH};
    switch (which) {
    case PRIO_PROCESS:
        q->id = who ? (u32)who : (u32)current->tid;
        return 0;
    case PRIO_PGRP:
        q->id = who ? (u32)who : (u32)READ_ONCE(current->group->pgid);
        return 0;
    case PRIO_USER:
        q->id = who ? (u32)who : current_cred()->uid;
        return 0;
    }
    return -EINVAL;
}

/* ---- Nice values ------------------------------------------------------------------------------------------- */

/* The raw call answers 20 - nice, so that it is never negative: the most favoured one's. */
static bool nice_read(struct task *t, void *arg)
{
    struct query *q = arg;

    if (meant(q, t))
        q->ret = max(q->ret, 20L - t->sched.nice);
    return true;
}

long sys_getpriority(int which, int who)
{
    struct query q;
    int err = query_init(&q, which, who, 0);

    if (err)
        return err;
    task_for_each(nice_read, &q);
    return q.ret;
}

static int nice_check(const struct task *t, int nice) NO_LOCK_ANALYSIS /* task_for_each() */
{
    u64 room = t->group->rlimits[RLIMIT_NICE].cur;

    if (capable(CAP_SYS_NICE))
        return 0;
    if (t->cred->uid != current_cred()->euid && t->cred->euid != current_cred()->euid)
        return -EPERM;
    return nice < t->sched.nice && (u64)(20 - nice) > room ? -EACCES : 0;
}

static bool nice_write(struct task *t, void *arg)
{
    struct query *q = arg;
    int err;

    if (!meant(q, t))
        return true;
    err = nice_check(t, q->value);
    if (!err)
        t->sched.nice = q->value;
    if (err || q->ret == -ESRCH)
        q->ret = err;
    return true;
}

long sys_setpriority(int which, int who, int value)
{
    struct query q;
    int err = query_init(&q, which, who, max(NICE_MIN, min(NICE_MAX, value)));

    if (err)
        return err;
    task_for_each(nice_write, &q);
    return q.ret;
}

/* ---- I/O priorities ------------------------------------------------------------------------------------------ */

static int ioprio_query(struct query *q, int which, int who, int value)
{
    if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
        return -EINVAL;
    return query_init(q, which - IOPRIO_WHO_PROCESS + PRIO_PROCESS, who, value);
}

/* The best one: a class of its own before none. */
static bool ioprio_read(struct task *t, void *arg)
{
    struct query *q = arg;
    int prio = t->sched.ioprio;

    if (meant(q, t) && (q->ret <= 0 || (prio && prio < q->ret)))
        q->ret = prio;
    return true;
}

long sys_ioprio_get(int which, int who)
{
    struct query q;
    int err = ioprio_query(&q, which, who, 0);

    if (err)
        return err;
    task_for_each(ioprio_read, &q);
    return q.ret;
}

static bool ioprio_write(struct task *t, void *arg)
{
    struct query *q = arg;
    const struct cred *self = current_cred();
    bool allowed = t->cred->uid == self->euid || t->cred->uid == self->uid || capable(CAP_SYS_NICE);

    if (!meant(q, t) || (q->ret && q->ret != -ESRCH))
        return true;
    if (allowed)
        t->sched.ioprio = q->value;
    q->ret = allowed ? 0 : -EPERM;
    return true;
}

long sys_ioprio_set(int which, int who, int ioprio)
{
    int class = IOPRIO_PRIO_CLASS(ioprio);
    int level = (int)IOPRIO_PRIO_DATA(ioprio);
    struct query q;
    int err;

    if (class < IOPRIO_CLASS_NONE || class > IOPRIO_CLASS_IDLE || level >= IOPRIO_BE_NR ||
        (class == IOPRIO_CLASS_NONE && level))
        return -EINVAL;
    if (class == IOPRIO_CLASS_RT && !capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
        return -EPERM;
    err = ioprio_query(&q, which, who, ioprio);
    if (err)
        return err;
    task_for_each(ioprio_write, &q);
    return q.ret;
}
