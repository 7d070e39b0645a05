/* SPDX-License-Identifier: MIT */
/*
 * File systems without storage: devtmpfs, proc, sysfs; and the host's descriptors 0, 1 and 2.
 */
#ifndef KERNEL_PSEUDOFS_H
#define KERNEL_PSEUDOFS_H

#include <kernel/fs.h>

/*
 * Register the types "devtmpfs", "proc" and "sysfs"; once at boot, before the first vfs_mount() of
 * one. devfs_init() also serves character devices in every file system and needs the ramfs type.
 */
void devfs_init(void);
void procfs_init(void);
void sysfs_init(void);
/* The same for "devpts". */
void devpts_init(void);

/*
 * Opens the host's descriptors 0, 1 and 2 for the current (first) process, each as a description of
 * its own; what is closed outside stays closed inside. After devtmpfs is mounted at /dev, so that a
 * terminal has its name there (/dev/pts/0). 0 or -ENOMEM.
 */
int console_install(void);

struct group;
/*
 * The process whose directory /proc/PID the file is, with a reference; ERR_PTR(-EBADF): it is none of these,
 * ERR_PTR(-ESRCH): that process is gone.
 */
struct group *proc_dir_group(const struct file *f);

/* For /proc/PID/stat: the controlling terminal's number (0: none) and its foreground group (-1). */
void tty_ids(const struct group *g, unsigned *number, pid_t *tpgid);

/* Whether the host gave the program a terminal (/dev/pts/0). */
bool tty_present(void);

#endif
