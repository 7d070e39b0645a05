/* SPDX-License-Identifier: MIT */
/*
 * Scheduling parameters: policies, priorities, nice values and affinity are kept and told; the host,
 * which schedules, does not hear of them. The rules and errors are sched(7)'s. Nice values as such are
 * priority.c's.
 *
 * Locking: group->lock guards a thread's struct sched_state and its credentials.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include "internal.h"
#include <syscalls.gen.h>

#define RT_PRIORITY_MAX 99
#define RR_INTERVAL_NS 100000000UL

long sys_sched_yield(void)
{
    target_yield();
    return 0;
}

/* What is kept for a thread (0: the caller's). -EINVAL, -ESRCH. */
static int state_of(pid_t pid, struct sched_state *s)
{
    struct task *t;

    if (pid < 0)
        return -EINVAL;
    t = task_of_pid(pid);
    if (!t)
        return -ESRCH;
    spin_lock(&t->group->lock);
    *s = t->sched;
    spin_unlock(&t->group->lock);
    task_put(t);
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

/* What a thread is to have. */
struct change {
    int policy, priority, nice;
    bool reset;         /* on fork */
    bool keep_policy, keep_params;
};

static int check_change(struct change *c, const struct sched_state *s)
{
    if (c->keep_policy)
        c->policy = s->policy;
    /* SCHED_DEADLINE would be a promise that nobody can keep: -EINVAL, as for an unknown policy. */
    if (!policy_known(c->policy))
        return -EINVAL;
    if (is_realtime(c->policy) ? c->priority < 1 || c->priority > RT_PRIORITY_MAX : c->priority != 0)
        return -EINVAL;
    if (c->policy != SCHED_NORMAL && c->policy != SCHED_BATCH)
        c->nice = s->nice;
    return 0;
}

/* sched(7): what the unprivileged may do, bounded by the target's RLIMIT_RTPRIO and RLIMIT_NICE. */
static int check_rights(const struct change *c, const struct task *t) REQUIRES(&t->group->lock)
{
    const struct sched_state *s = &t->sched;
    u64 top = t->group->rlimits[RLIMIT_RTPRIO].cur;

    if (capable(CAP_SYS_NICE))
        return 0;
    if (is_realtime(c->policy) &&
        ((c->policy != s->policy && !top) || (c->priority > s->priority && (u64)c->priority > top)))
        return -EPERM;
    if (c->nice < s->nice && (u64)(20 - c->nice) > t->group->rlimits[RLIMIT_NICE].cur)
        return -EPERM;
    if (!cred_owns(t->cred) || ((s->flags & SCHED_FLAG_RESET_ON_FORK) && !c->reset))
        return -EPERM;
    return 0;
}

static int change_locked(struct change *c, struct task *t) REQUIRES(&t->group->lock)
{
    struct sched_state *s = &t->sched;
    int ret = check_change(c, s);

    if (!ret)
        ret = check_rights(c, t);
    if (ret)
        return ret;
    s->policy = c->policy;
    s->priority = c->priority;
    s->flags = c->reset ? SCHED_FLAG_RESET_ON_FORK : 0;
    if (!c->keep_params)
        s->nice = max(NICE_MIN, min(NICE_MAX, c->nice));
    return 0;
}

static long change(pid_t pid, struct change *c)
{
    struct task *t = task_of_pid(pid);
    int ret;

    if (!t)
        return -ESRCH;
    spin_lock(&t->group->lock);
    ret = change_locked(c, t);
    spin_unlock(&t->group->lock);
    task_put(t);
    return ret;
}

long sys_sched_setscheduler(pid_t pid, int policy, const struct sched_param __user *param)
{
    struct change c = {.policy = policy & ~SCHED_RESET_ON_FORK,
                       .reset = policy & SCHED_RESET_ON_FORK,
                       .nice = NICE_MAX,
                       .keep_params = true};
    struct sched_param p;

    if (pid < 0 || policy < 0 || !param)
        return -EINVAL;
    if (get_user(p, param))
        return -EFAULT;
    c.priority = p.sched_priority;
    return change(pid, &c);
}

long sys_sched_setparam(pid_t pid, const struct sched_param __user *param)
{
    struct change c = {.keep_policy = true, .keep_params = true, .nice = NICE_MAX};
    struct sched_param p;
    struct sched_state s;
    int err;

    if (pid < 0 || !param)
        return -EINVAL;
    if (get_user(p, param))
        return -EFAULT;
    err = state_of(pid, &s);
    if (err)
        return err;
    c.priority = p.sched_priority;
    c.reset = s.flags & SCHED_FLAG_RESET_ON_FORK;
    return change(pid, &c);
}

long sys_sched_getscheduler(pid_t pid)
{
    struct sched_state s;
    int err = state_of(pid, &s);

    return err ? err : s.policy | (s.flags & SCHED_FLAG_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(pid_t pid, struct sched_param __user *param)
{
    struct sched_state s;
    struct sched_param p;
    int err = param ? state_of(pid, &s) : -EINVAL;

    if (err)
        return err;
    p.sched_priority = s.priority;
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
    struct __kernel_timespec ts;
    struct sched_state s;
    int err = state_of(pid, &s);

    if (err)
        return err;
    ts = time_to_timespec(s.policy == SCHED_FIFO ? 0 : RR_INTERVAL_NS);
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
    struct change c;
    int ret;

    if (!attr || pid < 0 || flags)
        return -EINVAL;
    ret = import_attr(&a, attr);
    if (ret)
        return ret;
    if ((s32)a.sched_policy < 0 || (a.sched_flags & ~(u64)SCHED_FLAG_ALL))
        return -EINVAL;
    c = (struct change){.policy = (int)a.sched_policy,
                        .priority = (int)a.sched_priority,
                        .nice = a.sched_nice,
                        .reset = a.sched_flags & SCHED_FLAG_RESET_ON_FORK,
                        .keep_policy = a.sched_flags & SCHED_FLAG_KEEP_POLICY,
                        .keep_params = a.sched_flags & SCHED_FLAG_KEEP_PARAMS};
    return change(pid, &c);
}

long sys_sched_getattr(pid_t pid, void __user *attr, unsigned size, unsigned flags)
{
    struct sched_attr a = {0};
    struct sched_state s;
    int err;

    if (!attr || size > PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || flags)
        return -EINVAL;
    err = state_of(pid, &s);
    if (err)
        return err;
    a.size = min(size, (unsigned)sizeof(a));
    a.sched_policy = (u32)s.policy;
    a.sched_flags = s.flags;
    a.sched_priority = (u32)s.priority;
    a.sched_nice = is_realtime(s.policy) ? 0 : s.nice;
    return copy_to_user(attr, &a, a.size);
}

/* ---- Affinity --------------------------------------------------------------------------------------------- */

static unsigned cpu_count(void)
{
    return min(target_cpu_count(), CPU_MASK_WORDS * 64u);
}

long sys_sched_getaffinity(pid_t pid, size_t size, void __user *mask)
{
    size_t bytes = align_up((size_t)cpu_count(), 64) / 8;
    struct sched_state s;

    if (size * 8 < cpu_count() || size % sizeof(u64))
        return -EINVAL;
    if (state_of(pid, &s))
        return -ESRCH;
    bytes = min(bytes, size);
    return copy_to_user(mask, s.cpus, bytes) ? -EFAULT : (long)bytes;
}

/* Processors that do not exist are dropped from the mask. False: none is left. */
static bool cut_mask(u64 cpus[CPU_MASK_WORDS])
{
    unsigned count = cpu_count();
    u64 any = 0;

    for (unsigned i = 0; i < CPU_MASK_WORDS; i++) {
        unsigned first = i * 64;

        if (first >= count)
            cpus[i] = 0;
        else if (count - first < 64)
            cpus[i] &= (1UL << (count - first)) - 1;
        any |= cpus[i];
    }
    return any;
}

long sys_sched_setaffinity(pid_t pid, size_t size, const void __user *mask)
{
    u64 cpus[CPU_MASK_WORDS] = {0};
    struct task *t;
    long ret = 0;

    if (copy_from_user(cpus, mask, min(size, sizeof(cpus))))
        return -EFAULT;
    t = pid < 0 ? NULL : task_of_pid(pid);
    if (!t)
        return -ESRCH;
    spin_lock(&t->group->lock);
    if (!cred_owns(t->cred) && !capable(CAP_SYS_NICE))
        ret = -EPERM;
    else if (!cut_mask(cpus))
        ret = -EINVAL;
    else
        memcpy(t->sched.cpus, cpus, sizeof(cpus));
    spin_unlock(&t->group->lock);
    task_put(t);
    return ret;
}
