/* SPDX-License-Identifier: MIT */
/*
 * Process, group and session numbers. The numbers are guarded by group->lock for writers and read
 * without; a process group and a session are those of the only process.
 */
#include <kernel/syscall.h>
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

/* A session leader keeps its group; without other processes one can only make a group of oneself. */
long sys_setpgid(pid_t pid, pid_t pgid)
{
    struct group *g = current->group;
    long ret = 0;

    if (pgid < 0)
        return -EINVAL;
    if (pid && pid != g->tgid)
        return -ESRCH;
    spin_lock(&g->lock);
    if (g->sid == g->tgid || (pgid && pgid != g->tgid && pgid != g->pgid))
        ret = -EPERM;
    else
        g->pgid = pgid ? pgid : g->tgid;
    spin_unlock(&g->lock);
    return ret;
}

long sys_setsid(void)
{
    struct group *g = current->group;
    long ret = -EPERM;

    spin_lock(&g->lock);
    if (g->pgid != g->tgid) {
        g->sid = g->pgid = g->tgid;
        ret = g->sid;
    }
    spin_unlock(&g->lock);
    return ret;
}
