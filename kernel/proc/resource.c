/* SPDX-License-Identifier: MIT */
/* What was used and what there is: getrusage(2), sysinfo(2). */
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <linux/sysinfo.h>
#include "internal.h"
#include <syscalls.gen.h>

static void task_usage(const struct task *t, struct usage *u)
{
    u->minflt += t->minflt;
    u->majflt += t->majflt;
    u->nvcsw += t->nvcsw;
    u->nivcsw += t->nivcsw;
}

void usage_add(struct usage *to, const struct usage *u)
{
    to->utime_ns += u->utime_ns;
    to->stime_ns += u->stime_ns;
    to->minflt += u->minflt;
    to->majflt += u->majflt;
    to->nvcsw += u->nvcsw;
    to->nivcsw += u->nivcsw;
    to->rss_peak = max(to->rss_peak, u->rss_peak);
}

void usage_task_ended(struct task *t)
{
    struct group *g = t->group;

    assert_held(&g->lock);
    g->utime_ns += cputime_task(t);
    task_usage(t, &g->ended);
}

void group_usage(struct group *g, struct usage *u)
{
    struct task *t;

    u->utime_ns = cputime_group(g);
    u->stime_ns = 0;
    spin_lock(&g->lock);
    *u = (struct usage){.utime_ns = u->utime_ns,
                        .minflt = g->ended.minflt,
                        .majflt = g->ended.majflt,
                        .nvcsw = g->ended.nvcsw,
                        .nivcsw = g->ended.nivcsw,
                        .rss_peak = g->ended.rss_peak};
    list_for_each(t, &g->tasks, group_link)
    {
        if (t->dead)
            continue;
        task_usage(t, u);
        if (t->mm)
            u->rss_peak = max(u->rss_peak, READ_ONCE(t->mm->rss_peak));
    }
    spin_unlock(&g->lock);
}

void usage_add_children(struct usage *u, struct group *g)
{
    struct usage children;

    spin_lock(&g->lock);
    children = g->children_usage;
    spin_unlock(&g->lock);
    usage_add(u, &children);
}

void usage_export(const struct usage *u, struct rusage *ru)
{
    memset(ru, 0, sizeof(*ru));
    ru->ru_utime = time_to_timeval(u->utime_ns);
    ru->ru_stime = time_to_timeval(u->stime_ns);
    ru->ru_minflt = (long)u->minflt;
    ru->ru_majflt = (long)u->majflt;
    ru->ru_nvcsw = (long)u->nvcsw;
    ru->ru_nivcsw = (long)u->nivcsw;
    ru->ru_maxrss = (long)(u->rss_peak * (PAGE_SIZE / 1024));
}

long sys_getrusage(int who, struct rusage __user *usage)
{
    struct usage u = {0};
    struct rusage ru;

    switch (who) {
    case RUSAGE_SELF:
        group_usage(current->group, &u);
        break;
    case RUSAGE_THREAD:
        task_usage(current, &u);
        u.utime_ns = cputime_task(current);
        u.rss_peak = READ_ONCE(current->mm->rss_peak);
        break;
    case RUSAGE_CHILDREN:
        usage_add_children(&u, current->group);
        break;
    default:
        return -EINVAL;
    }
    usage_export(&u, &ru);
    return copy_to_user(usage, &ru, sizeof(ru));
}

long sys_sysinfo(struct sysinfo __user *info)
{
    struct mm_stats stats;
    struct sysinfo si;

    mm_stats(&stats);
    memset(&si, 0, sizeof(si));
    si.uptime = (__kernel_long_t)(time_monotonic() / NSEC_PER_SEC);
    si.totalram = stats.limit_pages * PAGE_SIZE;
    si.freeram = (stats.limit_pages - min(stats.used_pages, stats.limit_pages)) * PAGE_SIZE;
    si.procs = (u16)min(task_count(), 65535u); /* threads, as Linux counts */
    si.mem_unit = 1;
    return copy_to_user(info, &si, sizeof(si));
}
