/* SPDX-License-Identifier: MIT */
/*
 * System V semaphores: sets, between operations (sem.c), what a process' end undoes (semundo.c), and control
 * (semctl.c). Guarded by the table's lock throughout.
 */
#ifndef KERNEL_IPC_SEM_H
#define KERNEL_IPC_SEM_H

#include <linux/sem.h>
#include "ipc.h"

struct semaphore {
    int value;
    pid_t pid; /* of the last operation */
};

/* A call that waits. Lives on its stack. */
struct sem_waiter {
    struct list link;
    unsigned number; /* the semaphore that stands in the way */
    bool for_zero;
};

/* What the end of a process adds to the semaphores. */
struct sem_undo {
    struct list link;
    struct group *group; /* only compared; goes with the process */
    short adjust[];      /* of each semaphore */
};

struct sem_set {
    struct ipc_object o;
    unsigned count;
    s64 otime; /* ns since the epoch, 0: never */
    struct waitqueue wait;
    struct list waiters, undos;
    struct semaphore sems[];
};

extern struct ipc_table g_sem;

static inline struct sem_set *as_set(struct ipc_object *o)
{
    return container_of(o, struct sem_set, o);
}

/* The current process' entry, made when there is none. NULL: no memory. */
struct sem_undo *undo_get(struct sem_set *s) REQUIRES(&g_sem.lock);
/* SETVAL and SETALL: nobody's adjustments of these count any more. */
void undo_clear(struct sem_set *s, unsigned from, unsigned count) REQUIRES(&g_sem.lock);
void undo_free_all(struct sem_set *s);

/* Values changed: those who wait look again. */
static inline void set_changed(struct sem_set *s)
{
    waitqueue_wake(&s->wait, ~0u);
}

#endif
