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

static void add_counts(struct rusage *ru, const struct task *t)
{
    ru->ru_minflt += (long)t->minflt;
    ru->ru_majflt += (long)t->majflt;
    ru->ru_nvcsw += (long)t->nvcsw;
    ru->ru_nivcsw += (long)t->nivcsw;
}

static void rusage_group(struct group *g, struct rusage *ru)
{
    struct task *t;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        add_counts(ru, t);
    }
    spin_unlock(&g->lock);
}

static struct __kernel_old_timeval to_timeval(u64 ns)
{
    return (struct __kernel_old_timeval){.tv_sec = (long)(ns / NSEC_PER_SEC),
                                         .tv_usec = (long)(ns % NSEC_PER_SEC / 1000)};
}

long sys_getrusage(int who, struct rusage __user *usage)
{
    struct rusage ru;

    memset(&ru, 0, sizeof(ru));
    switch (who) {
    case RUSAGE_SELF:
        rusage_group(current->group, &ru);
        ru.ru_utime = to_timeval(cputime_group(current->group));
        break;
    case RUSAGE_THREAD:
        add_counts(&ru, current);
        ru.ru_utime = to_timeval(cputime_task(current));
        break;
    case RUSAGE_CHILDREN:
        break; /* none yet */
    default:
        return -EINVAL;
    }
    if (who != RUSAGE_CHILDREN)
        ru.ru_maxrss = (long)(READ_ONCE(current->mm->rss_peak) * (PAGE_SIZE / 1024));
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
    si.procs = (u16)min(group_count(), 65535u);
    si.mem_unit = 1;
    return copy_to_user(info, &si, sizeof(si));
}
