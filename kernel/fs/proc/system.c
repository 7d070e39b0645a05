/* SPDX-License-Identifier: MIT */
/*
 * The files of /proc about the whole system. It has the memory that MemorySize gives, and the time
 * its processes used; what the host does beside it is not known inside.
 */
#include <kernel/target.h>
#include <kernel/time.h>

#include "proc.h"

/* ---- meminfo -------------------------------------------------------------------------------- */

static void show_kb(struct seq *s, const char *label, u64 kb)
{
    size_t start = s->used;

    seq_puts(s, label);
    seq_pad(s, start, 16);
    seq_printf(s, "%8lu kB\n", kb);
}

/* Lines whose value is always 0 here, in Linux's order from `first`. */
static void show_zeros(struct seq *s, const char *const *labels)
{
    for (; *labels; labels++)
        show_kb(s, *labels, 0);
}

static const char *const g_lru_labels[] = {
    "Buffers:",      "Cached:",         "SwapCached:",   "Active:",         "Inactive:",
    "Active(anon):", "Inactive(anon):", "Active(file):", "Inactive(file):", "Unevictable:",
    "Mlocked:",      "SwapTotal:",      "SwapFree:",     "Zswap:",          "Zswapped:",
    "Dirty:",        "Writeback:",      NULL,
};
static const char *const g_mapped_labels[] = {"Mapped:", "Shmem:", "KReclaimable:", NULL};
static const char *const g_slab_labels[] = {
    "SReclaimable:", "SUnreclaim:",   "KernelStack:",  "PageTables:",
    "SecPageTables:", "NFS_Unstable:", "Bounce:",       "WritebackTmp:", NULL,
};
static const char *const g_tail_labels[] = {
    "Percpu:",        "HardwareCorrupted:", "AnonHugePages:", "ShmemHugePages:",
    "ShmemPmdMapped:", "FileHugePages:",     "FilePmdMapped:", NULL,
};

int proc_meminfo(struct seq *s, const struct pseudo_node *node)
{
    struct mm_stats m;
    u64 used, available, programs;

    mm_stats(&m);
    used = min(m.used_pages, m.limit_pages);
    available = m.limit_pages - used;
    programs = used - min(m.kernel_pages, used);
    show_kb(s, "MemTotal:", PAGES_TO_KB(m.limit_pages));
    show_kb(s, "MemFree:", PAGES_TO_KB(available));
    show_kb(s, "MemAvailable:", PAGES_TO_KB(available));
    show_zeros(s, g_lru_labels);
    show_kb(s, "AnonPages:", PAGES_TO_KB(programs));
    show_zeros(s, g_mapped_labels);
    show_kb(s, "Slab:", PAGES_TO_KB(m.kernel_pages));
    show_zeros(s, g_slab_labels);
    show_kb(s, "CommitLimit:", PAGES_TO_KB(m.limit_pages));
    show_kb(s, "Committed_AS:", PAGES_TO_KB(used));
    show_kb(s, "VmallocTotal:", PAGES_TO_KB(m.limit_pages));
    show_kb(s, "VmallocUsed:", PAGES_TO_KB(m.kernel_pages));
    show_kb(s, "VmallocChunk:", 0);
    show_zeros(s, g_tail_labels);
    seq_puts(s, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
                "HugePages_Surp:        0\nHugepagesize:       2048 kB\n"
                "Hugetlb:               0 kB\n");
    return 0;
}

/* ---- Time ----------------------------------------------------------------------------------- */

/* All processes' CPU time, also of those that are gone, ns. */
static u64 busy_time(void)
{
    u64 ns = cputime_gone();
    struct group *g;

    for (pid_t from = 1; (g = group_next(from)); from++) {
        ns += cputime_group(g);
        from = g->tgid;
        group_put(g);
    }
    return ns;
}

static u64 idle_time(u64 up, u64 busy)
{
    u64 all = up * target_cpu_count();

    return all > busy ? all - busy : 0;
}

static void show_seconds(struct seq *s, u64 ns, char end)
{
    seq_printf(s, "%lu.%02lu%c", ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / 10000000, end);
}

int proc_uptime(struct seq *s, const struct pseudo_node *node)
{
    u64 up = time_monotonic();

    show_seconds(s, up, ' ');
    show_seconds(s, idle_time(up, busy_time()), '\n');
    return 0;
}

/* Threads that run, and that wait for what no signal ends. */
struct running {
    unsigned running, blocked;
};

static bool count_state(struct task *t, void *arg)
{
    struct running *r = arg;
    char state = proc_state(t);

    r->running += state == 'R';
    r->blocked += state == 'D';
    return true;
}

/* No averages are kept: a load of the enclave alone would say nothing about the machine. */
int proc_loadavg(struct seq *s, const struct pseudo_node *node)
{
    struct running r = {0};

    task_for_each(count_state, &r);
    seq_printf(s, "0.00 0.00 0.00 %u/%u %d\n", r.running, task_count(), pid_last());
    return 0;
}

static void show_cpu(struct seq *s, const char *name, u64 user, u64 idle)
{
    seq_printf(s, "%s %lu 0 0 %lu 0 0 0 0 0 0\n", name, user / NS_PER_TICK, idle / NS_PER_TICK);
}

int proc_system_stat(struct seq *s, const struct pseudo_node *node)
{
    unsigned cpus = target_cpu_count();
    u64 up = time_monotonic(), busy = busy_time(), idle = idle_time(up, busy);
    u64 boot = time_realtime() - up;
    struct running r = {0};

    task_for_each(count_state, &r);
    show_cpu(s, "cpu ", busy, idle);
    for (unsigned i = 0; i < cpus; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "cpu%u", i);
        show_cpu(s, name, busy / cpus, idle / cpus);
    }
    seq_printf(s, "intr 0\nctxt %lu\nbtime %lu\nprocesses %lu\n", current->nvcsw + current->nivcsw,
               boot / NSEC_PER_SEC, task_total());
    seq_printf(s, "procs_running %u\nprocs_blocked %u\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n", r.running,
               r.blocked);
    return 0;
}

/* ---- File systems --------------------------------------------------------------------------- */

int proc_filesystems(struct seq *s, const struct pseudo_node *node)
{
    const struct fs_type *t;

    for (t = fs_type_next(NULL); t; t = fs_type_next(t))
        seq_printf(s, "%s\t%s\n", t->needs_device ? "" : "nodev", t->name);
    return 0;
}

static int mount_text(struct seq *s, enum mount_format format)
{
    size_t room = 1024, size;

    for (;;) {
        char *p = seq_reserve(s, room);

        if (!p)
            return -ENOMEM;
        size = mount_show(p, room, format);
        if (size < room)
            break;
        room = size + 1;
    }
    seq_commit(s, size);
    return 0;
}

int proc_mounts(struct seq *s, const struct pseudo_node *node)
{
    return mount_text(s, MOUNT_TABLE);
}

int proc_mountinfo(struct seq *s, const struct pseudo_node *node)
{
    return mount_text(s, MOUNT_INFO);
}
