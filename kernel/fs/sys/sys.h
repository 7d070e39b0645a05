/* SPDX-License-Identifier: MIT */
/*
 * What the files of sysfs share. The machine that programs see is one socket and one memory node
 * with target_cpu_count() equal cores. A node's `id` holds the processor in its low 12 bits and the
 * cache's index above them.
 */
#ifndef KERNEL_FS_SYS_SYS_H
#define KERNEL_FS_SYS_SYS_H

#include <kernel/string.h>
#include <linux/stat.h>

#include "../pseudo/pseudo.h"

#define ENTRY_TEXT(n, fn) {.name = (n), .mode = S_IFREG | 0444, .show = (fn)}
#define ENTRY_CONST(n, t) {.name = (n), .mode = S_IFREG | 0444, .text = (t)}
#define ENTRY_DIR(n, d)   {.name = (n), .mode = S_IFDIR | 0755, .dir = (d)}
#define DIR_OF(table)     {.entries = (table), .count = ARRAY_COUNT(table)}

#define SYS_CPU_BITS 12
#define SYS_CPU_MAX  1024

static inline unsigned sys_cpu(const struct pseudo_node *node)
{
    return node->id & ((1u << SYS_CPU_BITS) - 1);
}

static inline unsigned sys_index(const struct pseudo_node *node)
{
    return node->id >> SYS_CPU_BITS;
}

unsigned sys_cpu_count(void);

/*
 * Texts about sets of processors: all, or the node's own one; as list or as mask, with a newline.
 */
int sys_all_list(struct seq *s, const struct pseudo_node *node);
int sys_all_mask(struct seq *s, const struct pseudo_node *node);
int sys_own_list(struct seq *s, const struct pseudo_node *node);
int sys_own_mask(struct seq *s, const struct pseudo_node *node);

/*
 * Numbered children "PREFIXn" with n < count for a directory's lookup and next ops: the number, or
 * UINT32_MAX when `name` is none; the name of one.
 */
u32 sys_numbered(const char *prefix, const char *name, size_t size, u32 count);

extern const struct pseudo_dir g_sys_cpu_dir, g_sys_cache_dir, g_sys_node_dir;

#endif
