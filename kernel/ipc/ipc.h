/* SPDX-License-Identifier: MIT */
/*
 * What the three kinds of System V IPC share: objects with a number, a key and an owner, in a table of their kind.
 *
 * Locking: table->lock (mutex) guards the table and all objects in it. It is dropped while a call waits; whoever
 * waits holds a reference and looks at object->removed when it comes back. Programs' memory is touched without
 * it. Order: table->lock, then inode->lock (a segment's) and the locks of waiting; mm->lock is never taken under it.
 */
#ifndef KERNEL_IPC_IPC_H
#define KERNEL_IPC_IPC_H

#include <kernel/ipc.h>
#include <kernel/lock.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <linux/ipc.h>

#define IPC_INDEX_BITS 15
#define IPC_SEQ_MAX    0xffffu

/* The first member of a segment, a set and a queue. All but `ref` is guarded by the table's lock. */
struct ipc_object {
    ref_t ref;    /* the table's, and of who waits or is attached */
    int id, key;
    uid_t uid, cuid;
    gid_t gid, cgid;
    mode_t mode;
    u32 seq;
    bool removed; /* not in the table any more */
    s64 ctime;    /* ns since the epoch */
};

struct ipc_table {
    mutex_t lock;
    struct ipc_object **slots GUARDED_BY(&lock);
    u32 size GUARDED_BY(&lock);   /* of slots, all that was ever needed */
    u32 count GUARDED_BY(&lock), limit;
    u32 seq GUARDED_BY(&lock);
    u32 used GUARDED_BY(&lock); /* slots up to the one that was given out last */
    void (*free)(struct ipc_object *o);
};

#define IPC_TABLE_INIT(name_, limit_, free_)                                                       \
    {.lock = MUTEX_INIT(name_), .limit = (limit_), .free = (free_)}

/* The object by number. ERR_PTR(-EINVAL): none; -EIDRM: the number was another's that is gone. */
void *ipc_find(struct ipc_table *t, int id) REQUIRES(&t->lock);
/* The same by slot, for IPC's *_STAT commands. ERR_PTR(-EINVAL). */
void *ipc_find_slot(struct ipc_table *t, int slot) REQUIRES(&t->lock);
/* NULL: none. */
void *ipc_find_key(struct ipc_table *t, int key) REQUIRES(&t->lock);
/* With owner and mode by the current credentials: its number. -ENOSPC at the limit, -ENOMEM. */
int ipc_add(struct ipc_table *t, struct ipc_object *o, int key, int flags) REQUIRES(&t->lock);
/* Out of the table, whose reference goes. */
void ipc_remove(struct ipc_table *t, struct ipc_object *o) REQUIRES(&t->lock);
void ipc_put(struct ipc_table *t, struct ipc_object *o);
/* The highest slot in use; 0 when there is none, as *_INFO give it. */
int ipc_max_slot(struct ipc_table *t) REQUIRES(&t->lock);

/*
 * What *get(2) do: finds by key or makes. `check` looks at the one that is there (size), `make` creates one that
 * is not yet in the table, as ERR_PTR on failure. The number or -errno.
 */
struct ipc_get {
    int key, flags;
    u64 size;
    int (*check)(struct ipc_object *o, const struct ipc_get *g);
    struct ipc_object *(*make)(const struct ipc_get *g);
};
long ipc_get(struct ipc_table *t, const struct ipc_get *g);

/* 0 or -EACCES; `want` as in a mode: 0444 read, 0222 write. Of a caller that holds the table's lock. */
int ipc_permission(const struct ipc_object *o, int want);
/* IPC_SET and IPC_RMID are for the owner. 0 or -EPERM. */
int ipc_owner(const struct ipc_object *o);
void ipc_fill_perm(const struct ipc_object *o, struct ipc64_perm *out);
/* IPC_SET. */
void ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *in);

/* ---- /proc/sysvipc, a line each; NULL: no memory --------------------------------------------------------------- */

char *shm_list_text(void);
char *sem_list_text(void);
char *msg_list_text(void);

/* Builds such a text. `line` writes one object's line; the most that it may be is IPC_LINE_MAX. */
#define IPC_LINE_MAX 256
char *ipc_table_text(struct ipc_table *t, const char *head,
                     int (*line)(struct ipc_object *o, char *buf, size_t size));

#endif
