/* SPDX-License-Identifier: MIT */
/*
 * Sending by number: kill(2), tkill(2), tgkill(2), rt_sigqueueinfo(2). There is one user inside, so
 * the only permission that can be missing is to forge the kernel's own siginfo.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
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

static int kill_process(pid_t pid, int sig, const siginfo_t *info)
{
    struct group *g = group_find(pid);
    int ret;

    if (!g)
        return -ESRCH;
    ret = send_group(g, sig, info);
    group_put(g);
    return ret;
}

/*
 * Process groups and "everybody" (which leaves the caller out) consist of the caller's process as long
 * as there is only one.
 */
long sys_kill(pid_t pid, int sig)
{
    siginfo_t info = info_from_self(sig, SI_USER);
    struct group *g = current->group;

    if (!sig_valid(sig))
        return -EINVAL;
    if (pid > 0)
        return kill_process(pid, sig, &info);
    if (pid == 0 || (pid != -1 && pid != INT32_MIN && -pid == g->pgid))
        return send_group(g, sig, &info);
    return -ESRCH;
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
    int ret = import_info(&info, uinfo, sig, pid == current->group->tgid);

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
