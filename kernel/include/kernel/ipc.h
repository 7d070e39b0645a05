/* SPDX-License-Identifier: MIT */
/*
 * System V IPC and POSIX message queues (kernel/ipc), as the rest of the kernel sees them. Sources: sysvipc(7),
 * mq_overview(7), proc(5).
 */
#ifndef KERNEL_IPC_H
#define KERNEL_IPC_H

#include <kernel/types.h>

struct group;

/* A process ends: its semaphore adjustments (SEM_UNDO) are applied. No lock is held. */
void ipc_process_exit(struct group *g);

/* Boot: the file system type "mqueue"; panics without memory. */
void ipc_init(void);

/*
 * /proc/sysvipc: the lines of one kind in a heap string that the caller frees, headline first. NULL: no memory.
 */
enum ipc_kind { IPC_SHM, IPC_SEM, IPC_MSG };
char *ipc_list_text(enum ipc_kind kind);

#endif
