/* SPDX-License-Identifier: MIT */
/* System V message queues: msgctl(2) and /proc/sysvipc/msg. Locking: g_msg.lock. */
#include <kernel/string.h>
#include <syscalls.gen.h>
#include "msg.h"

static long msg_info(int cmd, void __user *buf)
{
    struct msginfo info = {.msgpool = MSGPOOL, .msgmap = MSGMAP, .msgmax = MSGMAX, .msgmnb = MSGMNB,
                           .msgmni = MSGMNI, .msgssz = MSGSSZ, .msgtql = MSGTQL,
                           .msgseg = (unsigned short)MSGSEG};
    int slot;

    mutex_lock(&g_msg.lock);
    if (cmd == MSG_INFO) {
        info.msgpool = (int)g_msg.count;
        info.msgmap = info.msgtql = 0;
        for (u32 i = 0; i < g_msg.size; i++) {
            if (!g_msg.slots[i])
                continue;
            info.msgmap += (int)as_queue(g_msg.slots[i])->count;
            info.msgtql += (int)as_queue(g_msg.slots[i])->bytes;
        }
    }
    slot = ipc_max_slot(&g_msg);
    mutex_unlock(&g_msg.lock);
    return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : slot;
}

static void fill(struct msg_queue *q, struct msqid64_ds *out)
{
    memset(out, 0, sizeof(*out));
    ipc_fill_perm(&q->o, &out->msg_perm);
    out->msg_stime = time_seconds(q->stime);
    out->msg_rtime = time_seconds(q->rtime);
    out->msg_ctime = time_seconds(q->o.ctime);
    out->msg_cbytes = q->bytes;
    out->msg_qnum = q->count;
    out->msg_qbytes = q->limit;
    out->msg_lspid = q->lspid;
    out->msg_lrpid = q->lrpid;
}

static long msg_stat(int id, int cmd, void __user *buf)
{
    struct msqid64_ds ds;
    struct msg_queue *q;
    long ret;

    mutex_lock(&g_msg.lock);
    q = cmd == IPC_STAT ? ipc_find(&g_msg, id) : ipc_find_slot(&g_msg, id);
    ret = IS_ERR(q) ? PTR_ERR(q) : cmd == MSG_STAT_ANY ? 0 : ipc_permission(&q->o, 0444);
    if (!ret) {
        fill(q, &ds);
        ret = cmd == IPC_STAT ? 0 : q->o.id;
    }
    mutex_unlock(&g_msg.lock);
    if (ret < 0)
        return ret;
    return copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : ret;
}

static void queue_changed(struct msg_queue *q)
{
    waitqueue_wake(&q->send_wait, ~0u);
    waitqueue_wake(&q->receive_wait, ~0u);
}

static long queue_set(struct msg_queue *q, const struct msqid64_ds *ds)
{
    if (ds->msg_qbytes > MSGMNB && !capable(CAP_SYS_RESOURCE))
        return -EPERM;
    ipc_set_perm(&q->o, &ds->msg_perm);
    q->limit = ds->msg_qbytes;
    queue_changed(q);
    return 0;
}

static long msg_change(int id, const struct msqid64_ds *ds)
{
    struct msg_queue *q;
    long ret;

    mutex_lock(&g_msg.lock);
    q = ipc_find(&g_msg, id);
    ret = IS_ERR(q) ? PTR_ERR(q) : ipc_owner(&q->o);
    if (!ret && ds) {
        ret = queue_set(q, ds);
    } else if (!ret) {
        ref_get(&q->o.ref);
        ipc_remove(&g_msg, &q->o);
        queue_changed(q);
        ipc_put(&g_msg, &q->o);
    }
    mutex_unlock(&g_msg.lock);
    return ret;
}

long sys_msgctl(int id, int cmd, void __user *buf)
{
    struct msqid64_ds ds;

    if (id < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case MSG_INFO:
        return msg_info(cmd, buf);
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        return msg_stat(id, cmd, buf);
    case IPC_SET:
        if (copy_from_user(&ds, buf, sizeof(ds)))
            return -EFAULT;
        return msg_change(id, &ds);
    case IPC_RMID:
        return msg_change(id, NULL);
    }
    return -EINVAL;
}

/* ---- /proc/sysvipc/msg ------------------------------------------------------------------------------------------- */

static int msg_line(struct ipc_object *o, char *buf, size_t size)
{
    struct msg_queue *q = as_queue(o);

    return snprintf(buf, size,
                    "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u %10ld %10ld %10ld\n", o->key,
                    o->id, o->mode, (unsigned long)q->bytes, (unsigned long)q->count, q->lspid,
                    q->lrpid, o->uid, o->gid, o->cuid, o->cgid, (long)time_seconds(q->stime),
                    (long)time_seconds(q->rtime), (long)time_seconds(o->ctime));
}

char *msg_list_text(void)
{
    return ipc_table_text(&g_msg,
                          "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  "
                          "cuid  cgid      stime      rtime      ctime\n",
                          msg_line);
}
