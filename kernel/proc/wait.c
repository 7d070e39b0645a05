/* SPDX-License-Identifier: MIT */
/*
 * wait4(2), waitid(2): children that ended, stopped or went on. Source: wait(2), Linux's kernel/exit.c for the
 * order of checks.
 *
 * Locking: the children are looked at under g_task_list_lock; who takes a dead one off the list reaps it.
 */
#include <kernel/files.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <kernel/wait.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <linux/wait.h>
#include "internal.h"
#include <syscalls.gen.h>

#define WAIT4_OPTIONS  (WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)
#define WAITID_OPTIONS (WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)

struct wait_query {
    int which; /* P_* */
    pid_t id;
    int options;
    struct group *pidfd; /* P_PIDFD: this one; a reference */
    bool nonblock;       /* -EAGAIN instead of waiting */
};

struct wait_result {
    struct group *group; /* with a reference */
    int status;          /* wait(2) form */
    bool reap;           /* taken off its parent's list */
};

void wait_status_info(siginfo_t *info, int status)
{
    if (status == WAIT_CONTINUED) {
        info->si_code = CLD_CONTINUED;
        info->si_status = SIGCONT;
    } else if ((status & 0xff) == 0x7f) {
        info->si_code = CLD_STOPPED;
        info->si_status = status >> 8;
    } else if (status & 0x7f) {
        info->si_code = status & 0x80 ? CLD_DUMPED : CLD_KILLED;
        info->si_status = status & 0x7f;
    } else {
        info->si_code = CLD_EXITED;
        info->si_status = status >> 8 & 0xff;
    }
}

/* ---- Looking ------------------------------------------------------------------------------------------- */

static bool matches(const struct group *g, const struct wait_query *q)
{
    bool is_clone = g->exit_signal != SIGCHLD;

    if (q->which == P_PID && g->tgid != q->id)
        return false;
    if (q->which == P_PIDFD && g != q->pidfd)
        return false;
    if ((q->options & __WNOTHREAD) && g->parent_tid != current->tid)
        return false;
    if (q->which == P_PGID && READ_ONCE(g->pgid) != q->id)
        return false;
    return (q->options & __WALL) || is_clone == !!(q->options & __WCLONE);
}

/* What `g` has to tell; 0: nothing. */
static int state_of(struct group *g, const struct wait_query *q) REQUIRES(&g_task_list_lock)
{
    if (g->zombie)
        return q->options & WEXITED ? READ_ONCE(g->exit_status) | WAIT_HAS_STATUS : 0;
    if (g->state_report == SIGCONT)
        return q->options & WCONTINUED ? WAIT_CONTINUED | WAIT_HAS_STATUS : 0;
    if (g->state_report && (q->options & WSTOPPED))
        return g->state_report << 8 | 0x7f | WAIT_HAS_STATUS;
    return 0;
}

static void take(struct group *g, int status, const struct wait_query *q, struct wait_result *r)
    REQUIRES(&g_task_list_lock)
{
    ref_get(&g->ref);
    *r = (struct wait_result){.group = g, .status = status & ~WAIT_HAS_STATUS};
    if (q->options & WNOWAIT)
        return;
    if (g->zombie) {
        group_unlink(g);
        r->reap = true;
    }
    g->state_report = 0;
}

/* 1: *r holds a child; 0: there are some, with nothing to tell; -ECHILD. */
static int look(const struct wait_query *q, struct wait_result *r)
{
    struct group *g, *self = current->group;
    int found = -ECHILD;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &self->children, sibling)
    {
        int status;

        if (!matches(g, q))
            continue;
        found = 0;
        status = state_of(g, q);
        if (status) {
            take(g, status, q, r);
            found = 1;
            break;
        }
    }
    spin_unlock(&g_task_list_lock);
    return found;
}

/* ---- Waiting ------------------------------------------------------------------------------------------- */

/* The dead child's times and those of its own children become the caller's children's. */
static void account(const struct usage *u)
{
    struct group *self = current->group;

    spin_lock(&self->lock);
    usage_add(&self->children_usage, u);
    spin_unlock(&self->lock);
}

static void finish(struct wait_result *r, struct usage *usage)
{
    group_usage(r->group, usage);
    usage_add_children(usage, r->group);
    if (r->reap) {
        account(usage);
        group_reap(r->group);
    }
}

/* 1 with *r, 0 for WNOHANG without a child to tell of, -ECHILD, -ERESTARTSYS. */
static int wait_for(const struct wait_query *q, struct wait_result *r)
{
    int found = 0, ret;

    if (q->options & WNOHANG) {
        found = look(q, r);
        return found ? found : q->nonblock ? -EAGAIN : 0;
    }
    wait_event(ret, &current->group->child_wait, (found = look(q, r)) != 0, DEADLINE_NONE, true);
    return ret ? -ERESTARTSYS : found;
}

static pid_t group_pid_take(struct wait_result *r)
{
    pid_t pid = r->group->tgid;

    group_put(r->group);
    return pid;
}

static struct wait_query wait4_query(pid_t pid, int options)
{
    struct wait_query q = {.which = P_ALL, .options = options | WEXITED};

    if (pid > 0) {
        q.which = P_PID;
        q.id = pid;
    } else if (pid != -1) {
        q.which = P_PGID;
        q.id = pid ? -pid : current->group->pgid;
    }
    return q;
}

long sys_wait4(pid_t pid, int __user *status, int options, struct rusage __user *usage)
{
    struct wait_query q;
    struct wait_result r;
    struct usage used;
    struct rusage ru;
    int ret;

    if ((u32)options & ~(u32)WAIT4_OPTIONS)
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    q = wait4_query(pid, options);
    ret = wait_for(&q, &r);
    if (ret <= 0)
        return ret;
    finish(&r, &used);
    pid = group_pid_take(&r);
    usage_export(&used, &ru);
    if (status && put_user(r.status, status))
        return -EFAULT;
    return usage && copy_to_user(usage, &ru, sizeof(ru)) ? -EFAULT : pid;
}

static int waitid_check(int which, pid_t id, int options)
{
    if (((u32)options & ~(u32)WAITID_OPTIONS) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    switch (which) {
    case P_ALL:
        return 0;
    case P_PID:
        return id <= 0 ? -EINVAL : 0;
    case P_PGID:
        return id < 0 ? -EINVAL : 0;
    case P_PIDFD:
        return id < 0 ? -EINVAL : 0;
    }
    return -EINVAL;
}

/* The process that a pidfd means. One with O_NONBLOCK makes the call not wait. */
static int waitid_pidfd(struct wait_query *q)
{
    struct file *f = fd_get(q->id);

    if (!f)
        return -EBADF;
    q->nonblock = f->flags & O_NONBLOCK;
    if (q->nonblock && (q->options & WNOHANG))
        q->nonblock = false;
    if (q->nonblock)
        q->options |= WNOHANG;
    file_put(f);
    q->pidfd = pidfd_group(q->id);
    if (!IS_ERR(q->pidfd))
        return 0;
    return (int)PTR_ERR(q->pidfd);
}

/* The seven fields that waitid(2) writes. Zero when there was nothing to tell. */
static int export_info(siginfo_t __user *uinfo, const siginfo_t *info)
{
    if (put_user(info->si_signo, &uinfo->si_signo) || put_user(info->si_errno, &uinfo->si_errno) ||
        put_user(info->si_code, &uinfo->si_code) || put_user(info->si_pid, &uinfo->si_pid) ||
        put_user(info->si_uid, &uinfo->si_uid) || put_user(info->si_status, &uinfo->si_status))
        return -EFAULT;
    return 0;
}

long sys_waitid(int which, pid_t id, siginfo_t __user *uinfo, int options,
                struct rusage __user *usage)
{
    struct wait_query q = {.which = which, .id = id, .options = options};
    struct wait_result r;
    struct usage used = {0};
    struct rusage ru;
    siginfo_t info;
    int ret = waitid_check(which, id, options);

    if (ret)
        return ret;
    if (which == P_PGID && id == 0)
        q.id = current->group->pgid;
    if (which == P_PIDFD)
        ret = waitid_pidfd(&q);
    if (ret)
        return ret;
    ret = wait_for(&q, &r);
    if (q.pidfd)
        group_put(q.pidfd);
    if (ret < 0)
        return ret;
    memset(&info, 0, sizeof(info));
    if (ret > 0) {
        finish(&r, &used);
        info.si_signo = SIGCHLD;
        info.si_uid = group_uid(r.group);
        wait_status_info(&info, r.status);
        info.si_pid = group_pid_take(&r);
        usage_export(&used, &ru);
        if (usage && copy_to_user(usage, &ru, sizeof(ru)))
            return -EFAULT;
    }
    return uinfo ? export_info(uinfo, &info) : 0;
}
