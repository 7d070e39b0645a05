/* SPDX-License-Identifier: MIT */
/*
 * Scheduling parameters: policies, priorities, nice values and affinity are kept and told; the host,
 * which schedules, does not hear of them. The rules and errors are sched(7)'s. Own task only: the
 * numbers of others give ESRCH while there are none.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include "internal.h"
#include <syscalls.gen.h>

#define RT_PRIORITY_MAX 99
#define NICE_MIN (-20)
#define NICE_MAX 19
#define RR_INTERVAL_NS 100000000UL

/* The task for `pid` (0: the caller). Only the caller's own thread can be meant yet. */
static struct sched_state *sched_of(pid_t pid)
{
    if (pid && pid != current->tid)
        return NULL;
    return &current->sched;
}

long sys_sched_yield(void)
{
    target_yield();
    return 0;
}

/* ---- Policies ---------------------------------------------------------------------------------------- */

static bool is_realtime(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool policy_known(int policy)
{
    return is_realtime(policy) || policy == SCHED_NORMAL || policy == SCHED_BATCH ||
           policy == SCHED_IDLE;
}

/* SCHED_DEADLINE would be a promise that nobody can keep: -EINVAL, as for an unknown policy. */
static long set_policy(struct sched_state *s, int policy, int priority)
{
    bool reset = policy & SCHED_RESET_ON_FORK;

    policy &= ~SCHED_RESET_ON_FORK;
    if (!policy_known(policy))
        return -EINVAL;
    if (is_realtime(policy) ? priority < 1 || priority > RT_PRIORITY_MAX : priority != 0)
        return -EINVAL;
    if (is_realtime(policy) && !capable(CAP_SYS_NICE) && (u64)priority > rlimit(RLIMIT_RTPRIO))
        return -EPERM;
    s->policy = policy;
    s->priority = priority;
    s->flags = reset ? SCHED_FLAG_RESET_ON_FORK : 0;
    return 0;
}

long sys_sched_setscheduler(pid_t pid, int policy, const struct sched_param __user *param)
{
    struct sched_param p;

    if (pid < 0 || policy < 0 || !param)
        return -EINVAL;
    if (get_user(p, param))
        return -EFAULT;
    if (!sched_of(pid))
        return -ESRCH;
    return set_policy(sched_of(pid), policy, p.sched_priority);
}

long sys_sched_setparam(pid_t pid, const struct sched_param __user *param)
{
    struct sched_param p;
    struct sched_state *s = sched_of(pid);

    if (pid < 0 || !param)
        return -EINVAL;
    if (get_user(p, param))
        return -EFAULT;
    if (!s)
        return -ESRCH;
    return set_policy(s, s->policy | (s->flags & SCHED_FLAG_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0),
                      p.sched_priority);
}

long sys_sched_getscheduler(pid_t pid)
{
    const struct sched_state *s = sched_of(pid);

    if (pid < 0)
        return -EINVAL;
    if (!s)
        return -ESRCH;
    return s->policy | (s->flags & SCHED_FLAG_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(pid_t pid, struct sched_param __user *param)
{
    const struct sched_state *s = sched_of(pid);
    struct sched_param p;

    if (pid < 0 || !param)
        return -EINVAL;
    if (!s)
        return -ESRCH;
    p.sched_priority = s->priority;
    return copy_to_user(param, &p, sizeof(p));
}

long sys_sched_get_priority_max(int policy)
{
    if (is_realtime(policy))
        return RT_PRIORITY_MAX;
    return policy_known(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

long sys_sched_get_priority_min(int policy)
{
    if (is_realtime(policy))
        return 1;
    return policy_known(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

long sys_sched_rr_get_interval(pid_t pid, struct __kernel_timespec __user *interval)
{
    const struct sched_state *s = sched_of(pid);
    struct __kernel_timespec ts;

    if (pid < 0)
        return -EINVAL;
    if (!s)
        return -ESRCH;
    ts = time_to_timespec(s->policy == SCHED_FIFO ? 0 : RR_INTERVAL_NS);
    return copy_to_user(interval, &ts, sizeof(ts));
}

/* ---- sched_setattr(2) ----------------------------------------------------------------------------------- */

/* Copies a structure of any version in: what this one does not know must be zero. */
static int import_attr(struct sched_attr *attr, const void __user *uattr)
{
    u32 size = 0;
    int err;

    memset(attr, 0, sizeof(*attr));
    if (copy_from_user(&size, uattr, sizeof(size)))
        return -EFAULT;
    if (!size)
        size = SCHED_ATTR_SIZE_VER0;
    if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
        goto too_big;
    err = copy_struct_from_user(attr, sizeof(*attr), uattr, size);
    if (err != -E2BIG)
        return err;

too_big:
    size = sizeof(*attr);
    (void)copy_to_user((void __user *)(uintptr_t)uattr, &size, sizeof(size));
    return -E2BIG;
}

long sys_sched_setattr(pid_t pid, void __user *attr, unsigned flags)
{
    struct sched_attr a;
    struct sched_state *s = sched_of(pid);
    int policy, ret;

    if (!attr || pid < 0 || flags)
        return -EINVAL;
    ret = import_attr(&a, attr);
    if (ret)
        return ret;
    if ((s32)a.sched_policy < 0 || (a.sched_flags & ~(u64)SCHED_FLAG_ALL))
        return -EINVAL;
    if (!s)
        return -ESRCH;
    policy = a.sched_flags & SCHED_FLAG_KEEP_POLICY ? s->policy : (int)a.sched_policy;
    if (policy != SCHED_NORMAL && policy != SCHED_BATCH)
        a.sched_nice = s->nice;
    if (a.sched_nice < s->nice && !capable(CAP_SYS_NICE))
        return -EPERM;
    if (a.sched_flags & SCHED_FLAG_RESET_ON_FORK)
        policy |= SCHED_RESET_ON_FORK;
    ret = (int)set_policy(s, policy, (int)a.sched_priority);
    if (!ret && !(a.sched_flags & SCHED_FLAG_KEEP_PARAMS))
        s->nice = max(NICE_MIN, min(NICE_MAX, a.sched_nice));
    return ret;
}

long sys_sched_getattr(pid_t pid, void __user *attr, unsigned size, unsigned flags)
{
    const struct sched_state *s = sched_of(pid);
    struct sched_attr a = {0};

    if (!attr || pid < 0 || size > PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || flags)
        return -EINVAL;
    if (!s)
        return -ESRCH;
    a.size = min(size, (unsigned)sizeof(a));
    a.sched_policy = (u32)s->policy;
    a.sched_flags = s->flags;
    a.sched_priority = (u32)s->priority;
    a.sched_nice = is_realtime(s->policy) ? 0 : s->nice;
    return copy_to_user(attr, &a, a.size);
}

/* ---- Affinity --------------------------------------------------------------------------------------------- */

static unsigned cpu_count(void)
{
    return min(target_cpu_count(), CPU_MASK_WORDS * 64u);
}

long sys_sched_getaffinity(pid_t pid, size_t size, void __user *mask)
{
    const struct sched_state *s = sched_of(pid);
    size_t bytes = align_up((size_t)cpu_count(), 64) / 8;

    if (size * 8 < cpu_count() || size % sizeof(u64))
        return -EINVAL;
    if (!s)
        return -ESRCH;
    bytes = min(bytes, size);
    return copy_to_user(mask, s->cpus, bytes) ? -EFAULT : (long)bytes;
}

/* Processors that do not exist are dropped from the mask; none left is -EINVAL. */
long sys_sched_setaffinity(pid_t pid, size_t size, const void __user *mask)
{
    struct sched_state *s = sched_of(pid);
    u64 cpus[CPU_MASK_WORDS] = {0};
    unsigned count = cpu_count();
    u64 any = 0;

    if (copy_from_user(cpus, mask, min(size, sizeof(cpus))))
        return -EFAULT;
    if (!s)
        return -ESRCH;
    for (unsigned i = 0; i < CPU_MASK_WORDS; i++) {
        unsigned first = i * 64;

        if (first >= count)
            cpus[i] = 0;
        else if (count - first < 64)
            cpus[i] &= (1UL << (count - first)) - 1;
        any |= cpus[i];
    }
    if (!any)
        return -EINVAL;
    memcpy(s->cpus, cpus, sizeof(cpus));
    return 0;
}

/* ---- Nice values ------------------------------------------------------------------------------------------- */

/* Whether (which, who) means the caller: its process, group, or user. */
static int who_is_self(int which, int who)
{
    const struct group *g = current->group;

    switch (which) {
    case PRIO_PROCESS:
        return !who || who == current->tid || who == g->tgid ? 0 : -ESRCH;
    case PRIO_PGRP:
        return !who || who == g->pgid ? 0 : -ESRCH;
    case PRIO_USER:
        return !who || (uid_t)who == current_cred()->uid ? 0 : -ESRCH;
    }
    return -EINVAL;
}

/* The raw call answers 20 - nice, so that it is never negative. */
long sys_getpriority(int which, int who)
{
    int ret = who_is_self(which, who);

    return ret ? ret : 20 - current->sched.nice;
}

long sys_setpriority(int which, int who, int value)
{
    struct sched_state *s = &current->sched;
    int nice = max(NICE_MIN, min(NICE_MAX, value));
    int ret = who_is_self(which, who);

    if (ret)
        return ret;
    if (nice < s->nice && !capable(CAP_SYS_NICE) && (u64)(20 - nice) > rlimit(RLIMIT_NICE))
        return -EACCES;
    s->nice = nice;
    return 0;
}

/* ---- I/O priority ------------------------------------------------------------------------------------------- */

static int ioprio_who(int which, int who)
{
    if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
        return -EINVAL;
    return who_is_self(which - IOPRIO_WHO_PROCESS + PRIO_PROCESS, who);
}

long sys_ioprio_get(int which, int who)
{
    int ret = ioprio_who(which, who);

    return ret ? ret : current->sched.ioprio;
}

long sys_ioprio_set(int which, int who, int ioprio)
{
    int class = IOPRIO_PRIO_CLASS(ioprio);
    int level = (int)IOPRIO_PRIO_DATA(ioprio);
    int ret;

    if (class < IOPRIO_CLASS_NONE || class > IOPRIO_CLASS_IDLE || level >= IOPRIO_BE_NR ||
        (class == IOPRIO_CLASS_NONE && level))
        return -EINVAL;
    if (class == IOPRIO_CLASS_RT && !capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
        return -EPERM;
    ret = ioprio_who(which, who);
    if (!ret)
        current->sched.ioprio = ioprio;
    return ret;
}
