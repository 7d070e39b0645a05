/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: an inode each, found by name (mqueue_fs.c, which also shows them as files), with messages in
 * order of priority (mqueue.c). Sources: mq_overview(7) and its relatives.
 *
 * Locking: mqueue->lock (mutex) guards a queue. g_mq_names_lock (mutex) guards the names; it comes before
 * inode->lock and mqueue->lock. Programs' memory is touched without either.
 */
#ifndef KERNEL_IPC_MQUEUE_H
#define KERNEL_IPC_MQUEUE_H

#include <kernel/fs.h>
#include <kernel/poll.h>
#include <kernel/task.h>
#include <linux/mqueue.h>

#define MQ_MESSAGES_DEFAULT 10
#define MQ_SIZE_DEFAULT     8192
#define MQ_MESSAGES_MAX     10       /* /proc/sys/fs/mqueue/msg_max */
#define MQ_SIZE_MAX         8192     /* msgsize_max */
#define MQ_MESSAGES_HARD    65536    /* with CAP_SYS_RESOURCE */
#define MQ_SIZE_HARD        16777216
#define MQ_QUEUES_MAX       256      /* queues_max */

struct mq_message {
    struct list link;
    unsigned priority;
    size_t size;
    u8 text[];
};

struct mqueue {
    mutex_t lock;
    struct list messages GUARDED_BY(&lock); /* highest priority first, then oldest */
    u64 count GUARDED_BY(&lock), bytes GUARDED_BY(&lock);
    unsigned receivers GUARDED_BY(&lock);   /* that wait */
    struct waitqueue read_wait, write_wait;
    u64 count_max, size_max;                /* constant */
    u64 charge;                             /* against RLIMIT_MSGQUEUE; constant */

    /* mq_notify(3); the process, 0: none. */
    pid_t notify_pid GUARDED_BY(&lock);
    int notify_how GUARDED_BY(&lock), notify_signal GUARDED_BY(&lock);
    union sigval notify_value GUARDED_BY(&lock);
    struct netlink_message *notify_message GUARDED_BY(&lock); /* SIGEV_THREAD's, owned; else NULL */
};

extern const struct file_ops mqueue_ops;

/* The queue behind a file, or NULL: it is none. */
struct mqueue *file_mqueue(const struct file *f);

/* A queue by mq_open(3)'s attributes, NULL for the usual ones. ERR_PTR(-EINVAL), (-EMFILE), (-ENOMEM). */
struct mqueue *mqueue_create(const struct mq_attr *attr);
/* The inode's last reference is gone. */
void mqueue_destroy(struct mqueue *q);

/* The inode of a name with a reference, made when `flags` says so. ERR_PTR as mq_open(3). */
struct inode *mqueue_lookup(const char *name, int flags, mode_t mode, const struct mq_attr *attr);
/* mq_unlink(3). 0, -ENOENT, -EACCES. */
int mqueue_unlink(const char *name);

#endif
