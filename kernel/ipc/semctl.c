/* SPDX-License-Identifier: MIT */
/* System V semaphores: semctl(2) and /proc/sysvipc/sem. Locking: g_sem.lock. */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <syscalls.gen.h>
#include "sem.h"

/* ---- What there is ------------------------------------------------------------------------------------------ */

static long sem_info(int cmd, void __user *buf)
{
    struct seminfo info = {.semmap = SEMMAP, .semmni = SEMMNI, .semmns = SEMMNS, .semmnu = SEMMNU,
                           .semmsl = SEMMSL, .semopm = SEMOPM, .semume = SEMUME, .semusz = SEMUSZ,
                           .semvmx = SEMVMX, .semaem = SEMAEM};
    int slot;

    mutex_lock(&g_sem.lock);
    if (cmd == SEM_INFO) {
        info.semusz = (int)g_sem.count;
        info.semaem = 0;
        for (u32 i = 0; i < g_sem.size; i++)
            info.semaem += g_sem.slots[i] ? (int)as_set(g_sem.slots[i])->count : 0;
    }
    slot = ipc_max_slot(&g_sem);
    mutex_unlock(&g_sem.lock);
    return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : slot;
}

static void fill(struct sem_set *s, struct semid64_ds *out)
{
    memset(out, 0, sizeof(*out));
    ipc_fill_perm(&s->o, &out->sem_perm);
    out->sem_otime = time_seconds(s->otime);
    out->sem_ctime = time_seconds(s->o.ctime);
    out->sem_nsems = s->count;
}

static long sem_stat(int id, int cmd, void __user *buf)
{
    struct semid64_ds ds;
    struct sem_set *s;
    long ret;

    mutex_lock(&g_sem.lock);
    s = cmd == IPC_STAT ? ipc_find(&g_sem, id) : ipc_find_slot(&g_sem, id);
    ret = IS_ERR(s) ? PTR_ERR(s) : cmd == SEM_STAT_ANY ? 0 : ipc_permission(&s->o, 0444);
    if (!ret) {
        fill(s, &ds);
        ret = cmd == IPC_STAT ? 0 : s->o.id;
    }
    mutex_unlock(&g_sem.lock);
    if (ret < 0)
        return ret;
    return copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : ret;
}

/* ---- One semaphore --------------------------------------------------------------------------------------------- */

static long waiters(const struct sem_set *s, unsigned number, bool for_zero)
{
    struct sem_waiter *w;
    long count = 0;

    list_for_each(w, &s->waiters, link)
    {
        count += w->number == number && w->for_zero == for_zero;
    }
    return count;
}

static long look_at(const struct sem_set *s, unsigned number, int cmd)
{
    switch (cmd) {
    case GETVAL:
        return s->sems[number].value;
    case GETPID:
        return s->sems[number].pid;
    case GETNCNT:
        return waiters(s, number, false);
    case GETZCNT:
        return waiters(s, number, true);
    }
    return -EINVAL;
}

static long set_value(struct sem_set *s, unsigned number, int value) REQUIRES(&g_sem.lock)
{
    if (value < 0 || value > SEMVMX)
        return -ERANGE;
    undo_clear(s, number, 1);
    s->sems[number].value = value;
    s->sems[number].pid = current->group->tgid;
    s->o.ctime = (s64)time_realtime();
    set_changed(s);
    return 0;
}

static long one(int id, int number, int cmd, unsigned long arg)
{
    struct sem_set *s;
    long ret;

    mutex_lock(&g_sem.lock);
    s = ipc_find(&g_sem, id);
    ret = IS_ERR(s) ? PTR_ERR(s) : 0;
    if (!ret && (number < 0 || (unsigned)number >= s->count))
        ret = -EINVAL;
    if (!ret)
        ret = ipc_permission(&s->o, cmd == SETVAL ? 0222 : 0444);
    if (!ret)
        ret = cmd == SETVAL ? set_value(s, (unsigned)number, (int)arg)
                            : look_at(s, (unsigned)number, cmd);
    mutex_unlock(&g_sem.lock);
    return ret;
}

/* ---- All semaphores --------------------------------------------------------------------------------------------- */

static void get_values(const struct sem_set *s, unsigned short *values)
{
    for (unsigned i = 0; i < s->count; i++)
        values[i] = (unsigned short)s->sems[i].value;
}

static long set_values(struct sem_set *s, const unsigned short *values) REQUIRES(&g_sem.lock)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (values[i] > SEMVMX)
            return -ERANGE;
    }
    for (unsigned i = 0; i < s->count; i++) {
        s->sems[i].value = values[i];
        s->sems[i].pid = current->group->tgid;
    }
    undo_clear(s, 0, s->count);
    s->o.ctime = (s64)time_realtime();
    set_changed(s);
    return 0;
}

/* The set with a reference; ERR_PTR. It keeps its size. */
static struct sem_set *set_hold(int id, int want)
{
    struct sem_set *s;
    int err;

    mutex_lock(&g_sem.lock);
    s = ipc_find(&g_sem, id);
    err = IS_ERR(s) ? (int)PTR_ERR(s) : ipc_permission(&s->o, want);
    if (!err)
        ref_get(&s->o.ref);
    mutex_unlock(&g_sem.lock);
    return err ? ERR_PTR(err) : s;
}

static long all(int id, int cmd, unsigned short __user *array)
{
    struct sem_set *s = set_hold(id, cmd == SETALL ? 0222 : 0444);
    unsigned short *values;
    size_t size;
    long ret = 0;

    if (IS_ERR(s))
        return PTR_ERR(s);
    size = s->count * sizeof(*values);
    values = kmalloc(size);
    if (!values)
        ret = -ENOMEM;
    else if (cmd == SETALL && copy_from_user(values, array, size))
        ret = -EFAULT;
    mutex_lock(&g_sem.lock);
    if (!ret && s->o.removed)
        ret = -EIDRM;
    else if (!ret && cmd == SETALL)
        ret = set_values(s, values);
    else if (!ret)
        get_values(s, values);
    mutex_unlock(&g_sem.lock);
    if (!ret && cmd == GETALL && copy_to_user(array, values, size))
        ret = -EFAULT;
    kfree(values);
    ipc_put(&g_sem, &s->o);
    return ret;
}

static long sem_change(int id, const struct semid64_ds *ds)
{
    struct sem_set *s;
    long ret;

    mutex_lock(&g_sem.lock);
    s = ipc_find(&g_sem, id);
    ret = IS_ERR(s) ? PTR_ERR(s) : ipc_owner(&s->o);
    if (!ret && ds) {
        ipc_set_perm(&s->o, &ds->sem_perm);
    } else if (!ret) {
        ref_get(&s->o.ref);
        ipc_remove(&g_sem, &s->o);
        set_changed(s);
        ipc_put(&g_sem, &s->o);
    }
    mutex_unlock(&g_sem.lock);
    return ret;
}

long sys_semctl(int id, int number, int cmd, unsigned long arg)
{
    struct semid64_ds ds;

    if (id < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SEM_INFO:
        return sem_info(cmd, (void __user *)arg);
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return sem_stat(id, cmd, (void __user *)arg);
    case GETALL:
    case SETALL:
        return all(id, cmd, (unsigned short __user *)arg);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
        return one(id, number, cmd, arg);
    case IPC_SET:
        if (copy_from_user(&ds, (void __user *)arg, sizeof(ds)))
            return -EFAULT;
        return sem_change(id, &ds);
    case IPC_RMID:
        return sem_change(id, NULL);
    }
    return -EINVAL;
}

/* ---- /proc/sysvipc/sem ------------------------------------------------------------------------------------------- */

static int sem_line(struct ipc_object *o, char *buf, size_t size)
{
    struct sem_set *s = as_set(o);

    return snprintf(buf, size, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n", o->key, o->id,
                    o->mode, s->count, o->uid, o->gid, o->cuid, o->cgid, (long)time_seconds(s->otime),
                    (long)time_seconds(o->ctime));
}

char *sem_list_text(void)
{
    return ipc_table_text(&g_sem,
                          "       key      semid perms      nsems   uid   gid  cuid  cgid      otime     "
                          " ctime\n",
                          sem_line);
}
