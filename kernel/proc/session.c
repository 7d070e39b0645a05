/* SPDX-License-Identifier: MIT */
/*
 * Process, group and session numbers: setpgid(2), setsid(2), credentials(7). They are changed with
 * g_task_list_lock held, which also guards the tree, and read without.
 */
#include <kernel/syscall.h>
#include <kernel/jobs.h>
#include "internal.h"
#include <syscalls.gen.h>

long sys_getpid(void)
{
    return current->group->tgid;
}

long sys_gettid(void)
{
    return current->tid;
}

long sys_getppid(void)
{
    return READ_ONCE(current->group->ppid);
}

long sys_getpgrp(void)
{
    return READ_ONCE(current->group->pgid);
}

long sys_getpgid(pid_t pid)
{
    struct task *t = task_of_pid(pid);
    pid_t pgid;

    if (!t)
        return -ESRCH;
    pgid = READ_ONCE(t->group->pgid);
    task_put(t);
    return pgid;
}

long sys_getsid(pid_t pid)
{
    struct task *t = task_of_pid(pid);
    pid_t sid;

    if (!t)
        return -ESRCH;
    sid = READ_ONCE(t->group->sid);
    task_put(t);
    return sid;
}

/* Whether the process may be moved by the caller: itself or a child that has not run another program yet. */
static int check_mover(const struct group *g) REQUIRES(&g_task_list_lock)
{
    const struct group *self = current->group;

    if (g != self) {
        if (g->parent != self)
            return -ESRCH;
        if (g->sid != self->sid)
            return -EPERM;
        if (READ_ONCE(g->execed))
            return -EACCES;
    }
    return g->sid == g->tgid ? -EPERM : 0;
}

/* The new group is its own, or exists in the caller's session. */
static bool pgrp_joinable(pid_t pgid) REQUIRES(&g_task_list_lock)
{
    const struct group *g;

    list_for_each(g, &g_groups, link)
    {
        if (g->pgid == pgid)
            return g->sid == current->group->sid;
    }
    return false;
}

static int move(struct group *g, pid_t pgid)
{
    int ret;

    spin_lock(&g_task_list_lock);
    ret = check_mover(g);
    if (!ret && pgid != g->tgid && !pgrp_joinable(pgid))
        ret = -EPERM;
    if (!ret)
        WRITE_ONCE(g->pgid, pgid);
    spin_unlock(&g_task_list_lock);
    return ret;
}

long sys_setpgid(pid_t pid, pid_t pgid)
{
    struct task *t;
    long ret;

    if (!pid)
        pid = current->group->tgid;
    if (!pgid)
        pgid = pid;
    if (pgid < 0)
        return -EINVAL;
    t = task_find(pid);
    if (!t)
        return -ESRCH;
    ret = t->tid == t->group->tgid ? move(t->group, pgid) : -EINVAL;
    task_put(t);
    return ret;
}

static bool leads_pgrp(pid_t pid) REQUIRES(&g_task_list_lock)
{
    const struct group *g;

    list_for_each(g, &g_groups, link)
    {
        if (g->pgid == pid)
            return true;
    }
    return false;
}

long sys_setsid(void)
{
    struct group *g = current->group;
    long ret = -EPERM;

    spin_lock(&g_task_list_lock);
    if (g->sid != g->tgid && !leads_pgrp(g->tgid)) {
        WRITE_ONCE(g->sid, g->tgid);
        WRITE_ONCE(g->pgid, g->tgid);
        tty_forget(g);
        ret = g->tgid;
    }
    spin_unlock(&g_task_list_lock);
    return ret;
}
