/* SPDX-License-Identifier: MIT */
/*
 * Resource limits: getrlimit(2), setrlimit(2), prlimit64(2). Limits are the process', guarded by
 * group->lock; a single one may be read without. What is enforced: AS, DATA and STACK by mm, FSIZE and
 * NOFILE by vfs, SIGPENDING by signals, NPROC by clone, NICE and RTPRIO by scheduling calls, CPU by time/cpulimit.c; the rest is
 * kept and told.
 */
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include "internal.h"
#include <syscalls.gen.h>

#define STACK_DEFAULT  (8UL << 20)
#define NOFILE_DEFAULT 1024UL
#define NOFILE_HARD    1048576UL
#define PENDING_DEFAULT 15000UL

/* As a login shell on Debian has them. */
void rlimits_init(struct rlimit64_k *l)
{
    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        l[i] = (struct rlimit64_k){RLIM_INFINITY_, RLIM_INFINITY_};
    l[RLIMIT_STACK].cur = STACK_DEFAULT;
    l[RLIMIT_CORE].cur = 0;
    l[RLIMIT_NOFILE] = (struct rlimit64_k){NOFILE_DEFAULT, NOFILE_HARD};
    l[RLIMIT_NPROC] = (struct rlimit64_k){PENDING_DEFAULT, PENDING_DEFAULT};
    l[RLIMIT_SIGPENDING] = (struct rlimit64_k){PENDING_DEFAULT, PENDING_DEFAULT};
    l[RLIMIT_MEMLOCK] = (struct rlimit64_k){8UL << 20, 8UL << 20};
    l[RLIMIT_MSGQUEUE] = (struct rlimit64_k){819200, 819200};
    l[RLIMIT_NICE] = (struct rlimit64_k){0, 0};
    l[RLIMIT_RTPRIO] = (struct rlimit64_k){0, 0};
}

u64 rlimit(unsigned resource)
{
    return resource < RLIM_NLIMITS ? READ_ONCE(current->group->rlimits[resource].cur) :
                                     RLIM_INFINITY_;
}

/* Raising a hard limit needs CAP_SYS_RESOURCE; descriptors are bounded in any case. */
static int rlimit_check(unsigned resource, const struct rlimit64_k *l, const struct rlimit64_k *old)
{
    if (l->cur > l->max)
        return -EINVAL;
    if (resource == RLIMIT_NOFILE && l->max > NOFILE_HARD)
        return -EPERM;
    if (l->max > old->max && !capable(CAP_SYS_RESOURCE))
        return -EPERM;
    return 0;
}

static int rlimit_swap(struct group *g, unsigned resource, const struct rlimit64_k *new_limit,
                       struct rlimit64_k *old)
{
    int ret = 0;

    spin_lock(&g->lock);
    *old = g->rlimits[resource];
    if (new_limit) {
        ret = rlimit_check(resource, new_limit, old);
        if (!ret)
            g->rlimits[resource] = *new_limit;
    }
    spin_unlock(&g->lock);
    if (!ret && new_limit && resource == RLIMIT_CPU)
        ret = cpu_limit_update(g);
    return ret;
}

long sys_getrlimit(unsigned resource, struct rlimit __user *limit)
{
    struct rlimit64_k old;

    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    (void)rlimit_swap(current->group, resource, NULL, &old);
    return copy_to_user(limit, &old, sizeof(old));
}

long sys_setrlimit(unsigned resource, const struct rlimit __user *limit)
{
    struct rlimit64_k l, old;

    if (copy_from_user(&l, limit, sizeof(l)))
        return -EFAULT;
    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    return rlimit_swap(current->group, resource, &l, &old);
}

/* prlimit(2): another process' limits are for a caller whose real ids are all of its ids. */
static int check_other(struct task *t)
{
    const struct cred *self = current_cred();
    struct cred *c;
    bool allowed;

    if (t->group == current->group || capable(CAP_SYS_RESOURCE))
        return 0;
    c = task_cred(t);
    allowed = self->uid == c->euid && self->uid == c->suid && self->uid == c->uid &&
              self->gid == c->egid && self->gid == c->sgid && self->gid == c->gid;
    cred_put(c);
    return allowed ? 0 : -EPERM;
}

long sys_prlimit64(pid_t pid, unsigned resource, const struct rlimit64 __user *new_limit,
                   struct rlimit64 __user *old_limit)
{
    struct rlimit64_k l, old;
    struct task *t;
    int ret;

    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    if (new_limit && copy_from_user(&l, new_limit, sizeof(l)))
        return -EFAULT;
    t = task_of_pid(pid);
    if (!t)
        return -ESRCH;
    ret = check_other(t);
    if (!ret)
        ret = rlimit_swap(t->group, resource, new_limit ? &l : NULL, &old);
    task_put(t);
    if (ret)
        return ret;
    return old_limit && copy_to_user(old_limit, &old, sizeof(old)) ? -EFAULT : 0;
}

_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64_k), "one layout on x86-64");
_Static_assert(sizeof(struct rlimit64) == sizeof(struct rlimit64_k), "one layout on x86-64");
