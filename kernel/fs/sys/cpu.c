/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/cpu: what glibc (get_nprocs), Go, the JVM and hwloc count processors with.
 */
#include <kernel/target.h>

#include "sys.h"

#define SET_WORDS (SYS_CPU_MAX / 64)

unsigned sys_cpu_count(void)
{
    return min(target_cpu_count(), (unsigned)SYS_CPU_MAX);
}

/* The first `count` bits, or only bit `one`. */
static void set_all(u64 set[SET_WORDS], unsigned count)
{
    memset(set, 0, SET_WORDS * sizeof(u64));
    for (unsigned i = 0; i < count; i++)
        set[i / 64] |= 1UL << (i % 64);
}

static void set_one(u64 set[SET_WORDS], unsigned cpu)
{
    memset(set, 0, SET_WORDS * sizeof(u64));
    set[cpu / 64 % SET_WORDS] = 1UL << (cpu % 64);
}

static int show_list(struct seq *s, const u64 *set)
{
    seq_list(s, set, sys_cpu_count());
    seq_putc(s, '\n');
    return 0;
}

static int show_mask(struct seq *s, const u64 *set)
{
    seq_mask(s, set, sys_cpu_count());
    seq_putc(s, '\n');
    return 0;
}

int sys_all_list(struct seq *s, const struct pseudo_node *node)
{
    u64 set[SET_WORDS];

    set_all(set, sys_cpu_count());
    return show_list(s, set);
}

int sys_all_mask(struct seq *s, const struct pseudo_node *node)
{
    u64 set[SET_WORDS];

    set_all(set, sys_cpu_count());
    return show_mask(s, set);
}

int sys_own_list(struct seq *s, const struct pseudo_node *node)
{
    u64 set[SET_WORDS];

    set_one(set, sys_cpu(node));
    return show_list(s, set);
}

int sys_own_mask(struct seq *s, const struct pseudo_node *node)
{
    u64 set[SET_WORDS];

    set_one(set, sys_cpu(node));
    return show_mask(s, set);
}

/* ---- cpuN ----------------------------------------------------------------------------------- */

static int core_id_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%u\n", sys_cpu(node));
    return 0;
}

static const struct pseudo_entry g_topology_entries[] = {
    ENTRY_TEXT("core_cpus", sys_own_mask),
    ENTRY_TEXT("core_cpus_list", sys_own_list),
    ENTRY_TEXT("core_id", core_id_text),
    ENTRY_TEXT("core_siblings", sys_all_mask),
    ENTRY_TEXT("core_siblings_list", sys_all_list),
    ENTRY_TEXT("die_cpus", sys_all_mask),
    ENTRY_TEXT("die_cpus_list", sys_all_list),
    ENTRY_CONST("die_id", "0\n"),
    ENTRY_TEXT("package_cpus", sys_all_mask),
    ENTRY_TEXT("package_cpus_list", sys_all_list),
    ENTRY_CONST("physical_package_id", "0\n"),
    ENTRY_TEXT("thread_siblings", sys_own_mask),
    ENTRY_TEXT("thread_siblings_list", sys_own_list),
};

static const struct pseudo_dir g_topology_dir = DIR_OF(g_topology_entries);

static const struct pseudo_entry g_cpu_entries[] = {
    ENTRY_DIR("topology", &g_topology_dir),
    ENTRY_DIR("cache", &g_sys_cache_dir),
    {.name = "node0", .mode = S_IFLNK | 0777, .text = "../../node/node0"},
};

static const struct pseudo_dir g_one_cpu_dir = DIR_OF(g_cpu_entries);
static const struct pseudo_entry g_one_cpu = ENTRY_DIR(NULL, &g_one_cpu_dir);

u32 sys_numbered(const char *prefix, const char *name, size_t size, u32 count)
{
    size_t skip = strlen(prefix);
    u32 n;

    if (size <= skip || memcmp(name, prefix, skip) != 0 || !count ||
        !pseudo_number(name + skip, size - skip, count - 1, &n))
        return UINT32_MAX;
    return n;
}

static int cpu_lookup(const struct pseudo_node *dir, const char *name, size_t size,
                      struct pseudo_node *child)
{
    u32 cpu = sys_numbered("cpu", name, size, sys_cpu_count());

    if (cpu == UINT32_MAX)
        return -ENOENT;
    *child = (struct pseudo_node){.entry = &g_one_cpu, .id = cpu};
    return 0;
}

static bool cpu_next(const struct pseudo_node *dir, u32 *number, char name[16],
                     struct pseudo_node *child)
{
    if (*number >= sys_cpu_count())
        return false;
    (void)snprintf(name, 16, "cpu%u", *number);
    *child = (struct pseudo_node){.entry = &g_one_cpu, .id = *number};
    return true;
}

/* ---- cpu ------------------------------------------------------------------------------------ */

static const struct pseudo_entry g_entries[] = {
    ENTRY_CONST("isolated", "\n"),
    ENTRY_CONST("kernel_max", "1023\n"),
    ENTRY_CONST("offline", "\n"),
    ENTRY_TEXT("online", sys_all_list),
    ENTRY_TEXT("possible", sys_all_list),
    ENTRY_TEXT("present", sys_all_list),
};

const struct pseudo_dir g_sys_cpu_dir = {
    .entries = g_entries,
    .count = ARRAY_COUNT(g_entries),
    .lookup = cpu_lookup,
    .next = cpu_next,
};
