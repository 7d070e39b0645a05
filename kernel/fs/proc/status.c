/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/status and limits. Numbers of a running task may move between two lines; sets of
 * signals are read under group->lock and sighand's lock.
 */
#include <kernel/target.h>

#include "proc.h"

struct signal_sets {
    sigset64_t own, shared, blocked, ignored, caught;
    unsigned threads;
};

static void collect_handlers(struct sighand *h, struct signal_sets *sets)
{
    spin_lock(&h->lock);
    for (int sig = 1; sig <= NSIG_K; sig++) {
        u64 handler = h->action[sig - 1].handler;

        if (handler == (u64)SIG_IGN)
            sets->ignored |= sigmask(sig);
        else if (handler != (u64)SIG_DFL)
            sets->caught |= sigmask(sig);
    }
    spin_unlock(&h->lock);
}

static void collect_signals(struct task *t, struct signal_sets *sets)
{
    struct group *g = t->group;
    struct task *each;

    *sets = (struct signal_sets){0};
    spin_lock(&g->lock);
    sets->own = t->pending.set;
    sets->shared = g->pending.set;
    sets->blocked = t->blocked;
    list_for_each(each, &g->tasks, group_link)
    {
        sets->threads++;
    }
    collect_handlers(t->sighand, sets); /* exec(2) replaces it under this lock */
    spin_unlock(&g->lock);
}

/* ---- Parts of status, in its order ---------------------------------------------------------- */

char proc_state(struct task *t)
{
    if (READ_ONCE(t->dead))
        return 'Z';
    if (READ_ONCE(t->parked))
        return READ_ONCE(t->group->stopped) ? 'T' : 'R';
    if (t == current || !READ_ONCE(t->blocked_since))
        return 'R';
    return READ_ONCE(t->uninterruptible) ? 'D' : 'S';
}

static const char *state_text(struct task *t)
{
    switch (proc_state(t)) {
    case 'Z':
        return "Z (zombie)";
    case 'T':
        return "T (stopped)";
    case 'D':
        return "D (disk sleep)";
    case 'S':
        return "S (sleeping)";
    }
    return "R (running)";
}

static void show_umask(struct seq *s, struct task *t)
{
    struct fs_context *fs = task_fs(t);

    if (fs)
        seq_printf(s, "\nUmask:\t%04o", READ_ONCE(fs->umask));
    fs_context_put(fs);
}

static void show_identity(struct seq *s, struct task *t, const struct cred *c)
{
    const struct group *g = t->group;

    seq_puts(s, "Name:\t");
    seq_escape(s, t->comm, "\n\\");
    show_umask(s, t);
    seq_printf(s, "\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
               state_text(t), g->tgid, t->tid, g->ppid);
    seq_printf(s, "Uid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid);
    seq_printf(s, "Gid:\t%u\t%u\t%u\t%u\n", c->gid, c->egid, c->sgid, c->fsgid);
    seq_printf(s, "FDSize:\t%lu\nGroups:\t", proc_fd_table_size(t));
    for (unsigned i = 0; i < c->ngroups; i++)
        seq_printf(s, "%s%u", i ? " " : "", c->groups[i]);
    seq_printf(s, " \nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", g->tgid, t->tid, g->pgid,
               g->sid);
}

static void show_kb(struct seq *s, const char *label, u64 page_count)
{
    seq_printf(s, "%s\t%8lu kB\n", label, PAGES_TO_KB(page_count));
}

static void show_memory(struct seq *s, struct task *t)
{
    struct mm *mm = task_mm(t);
    struct proc_vm vm;

    if (!mm)
        return;
    proc_vm_sum(mm, &vm);
    mm_put(mm);
    show_kb(s, "VmPeak:", vm.total_peak);
    show_kb(s, "VmSize:", vm.total);
    show_kb(s, "VmLck:", vm.locked);
    show_kb(s, "VmPin:", 0);
    show_kb(s, "VmHWM:", vm.peak);
    show_kb(s, "VmRSS:", vm.resident);
    show_kb(s, "RssAnon:", vm.anon);
    show_kb(s, "RssFile:", vm.shared);
    show_kb(s, "RssShmem:", 0);
    show_kb(s, "VmData:", vm.data);
    show_kb(s, "VmStk:", vm.stack);
    show_kb(s, "VmExe:", vm.exec);
    show_kb(s, "VmLib:", vm.lib);
    show_kb(s, "VmPTE:", 0);
    show_kb(s, "VmSwap:", 0);
    show_kb(s, "HugetlbPages:", 0);
    seq_printf(s, "CoreDumping:\t%d\nTHP_enabled:\t0\n", READ_ONCE(t->group->core_writing));
}

static void show_signals(struct seq *s, struct task *t, const struct cred *c)
{
    struct signal_sets sets;
    u64 limit;

    collect_signals(t, &sets);
    spin_lock(&t->group->lock);
    limit = t->group->rlimits[RLIMIT_SIGPENDING].cur;
    spin_unlock(&t->group->lock);
    seq_printf(s, "Threads:\t%u\nSigQ:\t%lu/%lu\n", sets.threads, sigqueue_count(c->uid), limit);
    seq_printf(s, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\n", sets.own,
               sets.shared, sets.blocked, sets.ignored);
    seq_printf(s, "SigCgt:\t%016lx\n", sets.caught);
}

static void show_rights(struct seq *s, struct task *t, const struct cred *c)
{
    seq_printf(s, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\n",
               c->cap_inheritable, c->cap_permitted, c->cap_effective, c->cap_bounding);
    seq_printf(s, "CapAmb:\t%016lx\nNoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n",
               c->cap_ambient, t->no_new_privs);
    seq_puts(s, "Speculation_Store_Bypass:\tunknown\nSpeculationIndirectBranch:\tunknown\n");
}

static void show_processors(struct seq *s, struct task *t)
{
    unsigned count = target_cpu_count();

    seq_puts(s, "Cpus_allowed:\t");
    seq_mask(s, t->sched.cpus, count);
    seq_puts(s, "\nCpus_allowed_list:\t");
    seq_list(s, t->sched.cpus, count);
    seq_puts(s, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    seq_printf(s, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n", t->nvcsw,
               t->nivcsw);
}

int proc_status(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct cred *c = task_cred(t);

    show_identity(s, t, c);
    show_memory(s, t);
    show_signals(s, t, c);
    show_rights(s, t, c);
    show_processors(s, t);
    cred_put(c);
    return 0;
}

/* ---- limits --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *unit;
} g_limits[RLIM_NLIMITS] = {
    [RLIMIT_CPU] = {"Max cpu time", "seconds"},
    [RLIMIT_FSIZE] = {"Max file size", "bytes"},
    [RLIMIT_DATA] = {"Max data size", "bytes"},
    [RLIMIT_STACK] = {"Max stack size", "bytes"},
    [RLIMIT_CORE] = {"Max core file size", "bytes"},
    [RLIMIT_RSS] = {"Max resident set", "bytes"},
    [RLIMIT_NPROC] = {"Max processes", "processes"},
    [RLIMIT_NOFILE] = {"Max open files", "files"},
    [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
    [RLIMIT_AS] = {"Max address space", "bytes"},
    [RLIMIT_LOCKS] = {"Max file locks", "locks"},
    [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
    [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
    [RLIMIT_NICE] = {"Max nice priority", NULL},
    [RLIMIT_RTPRIO] = {"Max realtime priority", NULL},
    [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
};

static void show_limit(struct seq *s, u64 value)
{
    if (value == RLIM_INFINITY_)
        seq_printf(s, "%-20s ", "unlimited");
    else
        seq_printf(s, "%-20lu ", value);
}

int proc_limits(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct rlimit64_k limits[RLIM_NLIMITS];

    spin_lock(&t->group->lock);
    memcpy(limits, t->group->rlimits, sizeof(limits));
    spin_unlock(&t->group->lock);
    seq_printf(s, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
        seq_printf(s, "%-25s ", g_limits[i].name);
        show_limit(s, limits[i].cur);
        show_limit(s, limits[i].max);
        if (g_limits[i].unit)
            seq_printf(s, "%-10s", g_limits[i].unit);
        seq_putc(s, '\n');
    }
    return 0;
}
