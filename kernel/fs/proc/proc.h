/* SPDX-License-Identifier: MIT */
/*
 * What the files of proc share. Formats are those of Linux 6.1 (proc(5) and the kernel's
 * Documentation/filesystems/proc.rst), because programs parse them to the byte.
 */
#ifndef KERNEL_FS_PROC_PROC_H
#define KERNEL_FS_PROC_PROC_H

#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/task.h>

#include "../pseudo/pseudo.h"

#define ENTRY_TEXT(n, m, fn)      {.name = (n), .mode = S_IFREG | (m), .show = (fn)}
#define ENTRY_TASK(n, m, fn)      {.name = (n), .mode = S_IFREG | (m), .show_task = (fn)}
#define ENTRY_CONST(n, t)         {.name = (n), .mode = S_IFREG | 0444, .text = (t)}
#define ENTRY_DIR(n, m, d)        {.name = (n), .mode = S_IFDIR | (m), .dir = (d)}
#define ENTRY_MAGIC(n, fn, to)                                                                     \
    {.name = (n), .mode = S_IFLNK | 0777, .show_task = (fn), .follow = (to)}

#define PAGES_TO_KB(n) ((n) * (PAGE_SIZE / 1024))
#define NS_PER_TICK    10000000UL /* USER_HZ is 100 */

/* Sums over an address space, in pages, for status, stat and statm. */
struct proc_vm {
    u64 total, total_peak, data, exec, stack, locked, lib;
    u64 resident, peak, shared, anon;
};
void proc_vm_sum(struct mm *mm, struct proc_vm *vm);

/* Appends a path's name. -ENAMETOOLONG, -ENOMEM, with nothing appended. */
int proc_path(struct seq *s, const struct path *p, const char *special);

/* maps.c */
int proc_maps(struct seq *s, const struct pseudo_node *node, struct task *t);
int proc_smaps(struct seq *s, const struct pseudo_node *node, struct task *t);
int proc_smaps_rollup(struct seq *s, const struct pseudo_node *node, struct task *t);

/* memory.c */
int proc_cmdline(struct seq *s, const struct pseudo_node *node, struct task *t);
int proc_environ(struct seq *s, const struct pseudo_node *node, struct task *t);
int proc_auxv(struct seq *s, const struct pseudo_node *node, struct task *t);
extern const struct file_ops g_proc_mem_ops;

/* status.c, stat.c */
char proc_state(struct task *t); /* R, S, D, T or Z as in proc(5) */
int proc_status(struct seq *s, const struct pseudo_node *node, struct task *t);
int proc_limits(struct seq *s, const struct pseudo_node *node, struct task *t);
int proc_stat(struct seq *s, const struct pseudo_node *node, struct task *t);
int proc_statm(struct seq *s, const struct pseudo_node *node, struct task *t);

/* fd.c */
extern const struct pseudo_dir g_proc_fd_dir, g_proc_fdinfo_dir;
u64 proc_fd_table_size(struct task *t);
/* Whether the caller may look into what `t` has open: 0 or -EACCES. */
int proc_may_look(struct task *t);

/* pid.c */
extern const struct pseudo_entry g_proc_pid_entry;

/* net.c */
extern const struct pseudo_dir g_proc_net_dir, g_proc_sys_net_dir;

/* sys.c */
extern const struct pseudo_dir g_proc_sys_dir;

/* system.c, cpuinfo.c */
int proc_meminfo(struct seq *s, const struct pseudo_node *node);
int proc_uptime(struct seq *s, const struct pseudo_node *node);
int proc_loadavg(struct seq *s, const struct pseudo_node *node);
int proc_system_stat(struct seq *s, const struct pseudo_node *node);
int proc_filesystems(struct seq *s, const struct pseudo_node *node);
int proc_mounts(struct seq *s, const struct pseudo_node *node);
int proc_mountinfo(struct seq *s, const struct pseudo_node *node);
int proc_cpuinfo(struct seq *s, const struct pseudo_node *node);

#endif
