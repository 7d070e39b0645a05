/* SPDX-License-Identifier: MIT */
/* System V message queues, between messages (msg.c) and control (msgctl.c). Guarded by the table's lock. */
#ifndef KERNEL_IPC_MSG_H
#define KERNEL_IPC_MSG_H

#include <linux/msg.h>
#include "ipc.h"

struct message {
    struct list link;
    long type;
    size_t size;
    u8 text[];
};

struct msg_queue {
    struct ipc_object o;
    struct list messages; /* oldest first */
    u64 bytes, count;     /* of messages */
    u64 limit;            /* msg_qbytes */
    s64 stime, rtime;     /* ns since the epoch, 0: never */
    pid_t lspid, lrpid;
    struct waitqueue send_wait, receive_wait;
};

extern struct ipc_table g_msg;

static inline struct msg_queue *as_queue(struct ipc_object *o)
{
    return container_of(o, struct msg_queue, o);
}

#endif
