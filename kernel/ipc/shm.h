/* SPDX-License-Identifier: MIT */
/* System V shared memory: segments, between attaching (shm.c) and control (shmctl.c). */
#ifndef KERNEL_IPC_SHM_H
#define KERNEL_IPC_SHM_H

#include <kernel/fs.h>
#include "ipc.h"

#define SHM_DEST   01000 /* in the mode: removed with the last detach */
#define SHM_LOCKED 02000

#define SHM_SEGMENTS_MAX 4096u /* /proc/sys/kernel/shmmni */
#define SHM_LIMIT        (UINT64_MAX - (1UL << 24)) /* shmmax and shmall */

/* Guarded by the table's lock but for `inode`, which is constant. */
struct segment {
    struct ipc_object o;
    struct inode *inode; /* its pages; owned */
    u64 size;
    s64 atime, dtime;    /* ns since the epoch, 0: never */
    pid_t cpid, lpid;
    unsigned files;      /* attachments by shmat(2) whose mappings are not all gone, forks' copies included */
};

extern struct ipc_table g_shm;

/* Attached mappings of all processes. */
u64 segment_mappings(const struct segment *s);

#endif
