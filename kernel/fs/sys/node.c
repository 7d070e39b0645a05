/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/node: one memory node with all processors, as libnuma reads it.
 */
#include <kernel/mm.h>

#include "sys.h"

static int meminfo_text(struct seq *s, const struct pseudo_node *node)
{
    struct mm_stats m;
    u64 kb = PAGE_SIZE / 1024, used;

    mm_stats(&m);
    used = min(m.used_pages, m.limit_pages);
    seq_printf(s, "Node 0 MemTotal:       %8lu kB\n", m.limit_pages * kb);
    seq_printf(s, "Node 0 MemFree:        %8lu kB\n", (m.limit_pages - used) * kb);
    seq_printf(s, "Node 0 MemUsed:        %8lu kB\n", used * kb);
    return 0;
}

static const struct pseudo_entry g_node0_entries[] = {
    ENTRY_TEXT("cpulist", sys_all_list),
    ENTRY_TEXT("cpumap", sys_all_mask),
    ENTRY_CONST("distance", "10\n"),
    ENTRY_TEXT("meminfo", meminfo_text),
};

static const struct pseudo_dir g_node0_dir = DIR_OF(g_node0_entries);

static const struct pseudo_entry g_entries[] = {
    ENTRY_CONST("has_cpu", "0\n"),
    ENTRY_CONST("has_memory", "0\n"),
    ENTRY_CONST("has_normal_memory", "0\n"),
    ENTRY_CONST("online", "0\n"),
    ENTRY_CONST("possible", "0\n"),
    ENTRY_DIR("node0", &g_node0_dir),
};

const struct pseudo_dir g_sys_node_dir = DIR_OF(g_entries);
