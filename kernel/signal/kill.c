/* SPDX-License-Identifier: MIT */
/*
 * Sending by number: kill(2), tkill(2), tgkill(2), rt_sigqueueinfo(2), pidfd_send_signal(2), and who may.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include <linux/capability.h>
#include "internal.h"
#include <syscalls.gen.h>

static bool sig_valid(int sig)
{
    return sig >= 0 && sig <= NSIG_K;
}

static siginfo_t info_from_self(int sig, int code)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = sig;
    info.si_code = code;
    info.si_pid = current->group->tgid;
    info.si_uid = current_cred()->uid;
    return info;
}

/* Signal 0 only asks whether the target exists. */
static int send_group(struct group *g, int sig, const siginfo_t *info)
{
    return sig ? signal_send_group(g, sig, info) : 0;
}

static int send_task(struct task *t, int sig, const siginfo_t *info)
{
    return sig ? signal_send_task(t, sig, info) : 0;
}

/*
 * kill(2), "Permissions": the sender's real or effective user is the target's real or saved one, or it has
 * CAP_KILL; SIGCONT may go to everybody in the session.
 */
static int check_permission(struct task *t, int sig)
{
    const struct cred *self = current_cred();
    struct cred *c;
    bool allowed;

    if (t->group == current->group || capable(CAP_KILL) ||
        (sig == SIGCONT && READ_ONCE(t->group->sid) == READ_ONCE(current->group->sid)))
        return 0;
    c = task_cred(t);
    allowed = self->euid == c->suid || self->euid == c->uid || self->uid == c->suid ||
              self->uid == c->uid;
    cred_put(c);
    return allowed ? 0 : -EPERM;
}

/* To the process that `t` is a thread of. Consumes the reference. */
static int kill_task_group(struct task *t, int sig, const siginfo_t *info)
{
    int ret = check_permission(t, sig);

    if (!ret)
        ret = send_group(t->group, sig, info);
    task_put(t);
    return ret;
}

/* A thread's number means its process. */
static int kill_process(pid_t pid, int sig, const siginfo_t *info)
{
    struct task *t = task_find(pid);

    return t ? kill_task_group(t, sig, info) : -ESRCH;
}

static int kill_group(struct group *g, int sig, const siginfo_t *info)
{
    struct task *t = task_find(g->tgid);

    if (!t)
        return -ESRCH;
    if (t->group == g)
        return kill_task_group(t, sig, info);
    task_put(t);
    return -ESRCH;
}

/* All of a process group. 0 when one of them could be sent to, else the last error. */
static int kill_pgrp(pid_t pgid, int sig, const siginfo_t *info)
{
    struct group *g;
    int ret = -ESRCH;
    bool sent = false;

    for (pid_t from = 1; (g = group_next(from));) {
        from = g->tgid + 1;
        if (READ_ONCE(g->pgid) == pgid) {
            ret = kill_group(g, sig, info);
            sent |= !ret;
        }
        group_put(g);
    }
    return sent ? 0 : ret;
}

/* Everybody but the first process and the caller's. */
static int kill_all(int sig, const siginfo_t *info)
{
    struct group *g;
    int ret = 0;
    bool any = false;

    for (pid_t from = FIRST_PID + 1; (g = group_next(from));) {
        from = g->tgid + 1;
        if (g != current->group) {
            int err = kill_group(g, sig, info);

            any = true;
            if (err != -EPERM) /* kill(2): not an error, even when all refuse */
                ret = err;
        }
        group_put(g);
    }
    return any ? ret : -ESRCH;
}

long sys_kill(pid_t pid, int sig)
{
    siginfo_t info = info_from_self(sig, SI_USER);

    if (!sig_valid(sig))
        return -EINVAL;
    if (pid > 0)
        return kill_process(pid, sig, &info);
    if (pid == -1)
        return kill_all(sig, &info);
    if (pid == INT32_MIN)
        return -ESRCH;
    return kill_pgrp(pid ? -pid : READ_ONCE(current->group->pgid), sig, &info);
}

static long send_thread(pid_t tgid, pid_t tid, int sig, const siginfo_t *info)
{
    struct task *t;
    int ret = -ESRCH;

    if (tid <= 0 || !sig_valid(sig))
        return -EINVAL;
    t = task_find(tid);
    if (!t)
        return -ESRCH;
    if (!tgid || t->group->tgid == tgid)
        ret = check_permission(t, sig);
    if (!ret)
        ret = send_task(t, sig, info);
    task_put(t);
    return ret;
}

long sys_tkill(pid_t tid, int sig)
{
    siginfo_t info = info_from_self(sig, SI_TKILL);

    return send_thread(0, tid, sig, &info);
}

long sys_tgkill(pid_t tgid, pid_t tid, int sig)
{
    siginfo_t info = info_from_self(sig, SI_TKILL);

    if (tgid <= 0)
        return -EINVAL;
    return send_thread(tgid, tid, sig, &info);
}

/* Copies a siginfo in. To others, what only the kernel or kill(2) may say is refused. */
static int import_info(siginfo_t *info, const siginfo_t __user *uinfo, int sig, bool self)
{
    if (copy_from_user(info, uinfo, sizeof(*info)))
        return -EFAULT;
    info->si_signo = sig;
    if (!self && (info->si_code >= 0 || info->si_code == SI_TKILL))
        return -EPERM;
    return 0;
}

long sys_rt_sigqueueinfo(pid_t pid, int sig, const siginfo_t __user *uinfo)
{
    siginfo_t info;
    int ret = import_info(&info, uinfo, sig, pid == current->tid);

    if (ret)
        return ret;
    return sig_valid(sig) ? kill_process(pid, sig, &info) : -EINVAL;
}

long sys_rt_tgsigqueueinfo(pid_t tgid, pid_t tid, int sig, const siginfo_t __user *uinfo)
{
    siginfo_t info;
    int ret;

    if (tgid <= 0 || tid <= 0)
        return -EINVAL;
    ret = import_info(&info, uinfo, sig, tid == current->tid);
    return ret ? ret : send_thread(tgid, tid, sig, &info);
}

long sys_pidfd_send_signal(int fd, int sig, const siginfo_t __user *uinfo, unsigned flags)
{
    siginfo_t info = info_from_self(sig, SI_USER);
    struct group *g;
    int ret = 0;

    if (flags)
        return -EINVAL;
    g = pidfd_or_proc_group(fd);
    if (IS_ERR(g))
        return PTR_ERR(g);
    if (uinfo && copy_from_user(&info, uinfo, sizeof(info)))
        ret = -EFAULT;
    else if (info.si_signo != sig || !sig_valid(sig))
        ret = -EINVAL;
    else if (uinfo && g != current->group && (info.si_code >= 0 || info.si_code == SI_TKILL))
        ret = -EPERM;
    else
        ret = kill_group(g, sig, &info);
    group_put(g);
    return ret;
}
