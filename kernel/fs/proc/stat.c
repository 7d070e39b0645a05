/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/stat and statm: the numbers that ps and top read (proc(5) names the fields). What this
 * kernel does not count (swap, block delays) is 0, as on a Linux that does not.
 */
#include <kernel/pseudofs.h>
#include <kernel/time.h>

#include "proc.h"

#define PF_FLAGS      0x400100u /* PF_RANDOMIZE, PF_SUPERPRIV: an ordinary process of root */
#define PRIORITY_BASE 20

struct stat_signals {
    u32 pending, blocked, ignored, caught; /* standard signals only, as the fields always were */
    unsigned threads;
    int exit_status;
};

static void collect(struct task *t, struct stat_signals *out)
{
    struct task *each;

    *out = (struct stat_signals){0};
    spin_lock(&t->group->lock);
    out->pending = (u32)(t->pending.set & 0x7fffffff);
    out->blocked = (u32)(t->blocked & 0x7fffffff);
    out->exit_status = t->group->exit_status;
    list_for_each(each, &t->group->tasks, group_link)
        out->threads++;
    spin_lock(&t->sighand->lock);
    for (int sig = 1; sig <= 31; sig++) {
        u64 handler = t->sighand->action[sig - 1].handler;

        if (handler == (u64)SIG_IGN)
            out->ignored |= (u32)sigmask(sig);
        else if (handler != (u64)SIG_DFL)
            out->caught |= (u32)sigmask(sig);
    }
    spin_unlock(&t->sighand->lock);
    spin_unlock(&t->group->lock);
}

static void show_identity(struct seq *s, struct task *t)
{
    const struct group *g = t->group;
    unsigned tty;
    pid_t foreground;

    tty_ids(g, &tty, &foreground);
    seq_printf(s, "%d (", t->tid);
    seq_escape(s, t->comm, "\n\\");
    seq_printf(s, ") %c %d %d %d %u %d %u ", proc_state(t), g->ppid, g->pgid, g->sid, tty,
               foreground, PF_FLAGS);
}

static void show_times(struct seq *s, const struct pseudo_node *node, struct task *t,
                       unsigned threads)
{
    u64 cpu = node->thread ? cputime_task(t) : cputime_group(t->group);
    u64 start = node->thread ? t->start_time : t->group->start_time;
    int nice = t->sched.nice, realtime = t->sched.priority;
    struct usage children;

    spin_lock(&t->group->lock);
    children = t->group->children_usage;
    spin_unlock(&t->group->lock);
    seq_printf(s, "%lu %lu %lu %lu %lu %lu ", t->minflt, children.minflt, t->majflt,
               children.majflt, cpu / NS_PER_TICK, t->stime_ns / NS_PER_TICK);
    seq_printf(s, "%lu %lu ", children.utime_ns / NS_PER_TICK, children.stime_ns / NS_PER_TICK);
    seq_printf(s, "%d %d %u 0 %lu ", realtime ? -1 - realtime : PRIORITY_BASE + nice, nice, threads,
               start / NS_PER_TICK);
}

static void show_memory(struct seq *s, const struct mm *mm, const struct proc_vm *vm, u64 rss_limit)
{
    seq_printf(s, "%lu %lu %lu ", vm->total << PAGE_SHIFT, vm->resident, rss_limit);
    if (mm)
        seq_printf(s, "%lu %lu %lu ", mm->start_code, mm->end_code, mm->start_stack);
    else
        seq_puts(s, "0 0 0 ");
}

static void show_tail(struct seq *s, const struct mm *mm, struct task *t, int exit_status)
{
    seq_printf(s, "0 0 0 %d 0 %d %d 0 0 0 ", t->tid == t->group->tgid ? t->group->exit_signal : -1,
               t->sched.priority, t->sched.policy);
    if (mm)
        seq_printf(s, "%lu %lu %lu %lu %lu %lu %lu ", mm->start_data, mm->end_data, mm->brk_start,
                   mm->arg_start, mm->arg_end, mm->env_start, mm->env_end);
    else
        seq_puts(s, "0 0 0 0 0 0 0 ");
    seq_printf(s, "%d\n", exit_status);
}

int proc_stat(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct mm *mm = task_mm(t);
    struct stat_signals sig;
    struct proc_vm vm = {0};
    u64 rss_limit;

    spin_lock(&t->group->lock);
    rss_limit = t->group->rlimits[RLIMIT_RSS].cur;
    spin_unlock(&t->group->lock);
    if (mm)
        proc_vm_sum(mm, &vm);
    collect(t, &sig);
    show_identity(s, t);
    show_times(s, node, t, sig.threads);
    show_memory(s, mm, &vm, rss_limit);
    seq_printf(s, "0 0 %u %u %u %u ", sig.pending, sig.blocked, sig.ignored, sig.caught);
    show_tail(s, mm, t, sig.exit_status);
    if (mm)
        mm_put(mm);
    return 0;
}

int proc_statm(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct mm *mm = task_mm(t);
    struct proc_vm vm = {0};

    if (mm) {
        proc_vm_sum(mm, &vm);
        mm_put(mm);
    }
    seq_printf(s, "%lu %lu %lu %lu 0 %lu 0\n", vm.total, vm.resident, vm.shared, vm.exec,
               vm.data + vm.stack);
    return 0;
}
