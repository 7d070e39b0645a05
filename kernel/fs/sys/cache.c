/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/cpu/cpuN/cache, from CPUID leaf 4 (Intel SDM vol. 2A, "Deterministic Cache
 * Parameters"). Levels one and two belong to one core, the third to all.
 */
#include <kernel/arch.h>

#include "sys.h"

#define CACHE_MAX 8

struct cache {
    u32 type; /* 1 data, 2 instructions, 3 both; 0: there is no such cache */
    u32 level, line, partitions, ways, sets;
};

static struct cache read_cache(unsigned index)
{
    u32 r[4];

    arch_cpuid(4, index, r);
    return (struct cache){
        .type = r[0] & 0x1f,
        .level = r[0] >> 5 & 7,
        .line = (r[1] & 0xfff) + 1,
        .partitions = (r[1] >> 12 & 0x3ff) + 1,
        .ways = (r[1] >> 22) + 1,
        .sets = r[2] + 1,
    };
}

static unsigned cache_count(void)
{
    unsigned n = 0;

    while (n < CACHE_MAX && read_cache(n).type)
        n++;
    return n;
}

static int level_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%u\n", read_cache(sys_index(node)).level);
    return 0;
}

static int type_text(struct seq *s, const struct pseudo_node *node)
{
    static const char *const names[] = {"Unknown", "Data", "Instruction", "Unified"};
    u32 type = read_cache(sys_index(node)).type;

    seq_printf(s, "%s\n", names[type < ARRAY_COUNT(names) ? type : 0]);
    return 0;
}

static int size_text(struct seq *s, const struct pseudo_node *node)
{
    struct cache c = read_cache(sys_index(node));

    seq_printf(s, "%luK\n", (u64)c.line * c.partitions * c.ways * c.sets / 1024);
    return 0;
}

static int line_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%u\n", read_cache(sys_index(node)).line);
    return 0;
}

static int ways_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%u\n", read_cache(sys_index(node)).ways);
    return 0;
}

static int sets_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%u\n", read_cache(sys_index(node)).sets);
    return 0;
}

static int partitions_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%u\n", read_cache(sys_index(node)).partitions);
    return 0;
}

static bool is_shared(const struct pseudo_node *node)
{
    return read_cache(sys_index(node)).level > 2;
}

static int shared_list_text(struct seq *s, const struct pseudo_node *node)
{
    return is_shared(node) ? sys_all_list(s, node) : sys_own_list(s, node);
}

static int shared_map_text(struct seq *s, const struct pseudo_node *node)
{
    return is_shared(node) ? sys_all_mask(s, node) : sys_own_mask(s, node);
}

static const struct pseudo_entry g_entries[] = {
    ENTRY_TEXT("coherency_line_size", line_text),
    ENTRY_TEXT("level", level_text),
    ENTRY_TEXT("number_of_sets", sets_text),
    ENTRY_TEXT("physical_line_partition", partitions_text),
    ENTRY_TEXT("shared_cpu_list", shared_list_text),
    ENTRY_TEXT("shared_cpu_map", shared_map_text),
    ENTRY_TEXT("size", size_text),
    ENTRY_TEXT("type", type_text),
    ENTRY_TEXT("ways_of_associativity", ways_text),
};

static const struct pseudo_dir g_index_dir = DIR_OF(g_entries);
static const struct pseudo_entry g_index = ENTRY_DIR(NULL, &g_index_dir);

static void cache_child(const struct pseudo_node *dir, u32 index, struct pseudo_node *child)
{
    *child = (struct pseudo_node){.entry = &g_index, .id = sys_cpu(dir) | index << SYS_CPU_BITS};
}

static int cache_lookup(const struct pseudo_node *dir, const char *name, size_t size,
                        struct pseudo_node *child)
{
    u32 index = sys_numbered("index", name, size, cache_count());

    if (index == UINT32_MAX)
        return -ENOENT;
    cache_child(dir, index, child);
    return 0;
}

static bool cache_next(const struct pseudo_node *dir, u32 *number, char name[16],
                       struct pseudo_node *child)
{
    if (*number >= cache_count())
        return false;
    (void)snprintf(name, 16, "index%u", *number);
    cache_child(dir, *number, child);
    return true;
}

const struct pseudo_dir g_sys_cache_dir = {.lookup = cache_lookup, .next = cache_next};
