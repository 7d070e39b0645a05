/* SPDX-License-Identifier: MIT */
/* System V shared memory: shmctl(2) and /proc/sysvipc/shm. Locking: g_shm.lock. */
#include <kernel/mm.h>
#include <kernel/string.h>
#include <linux/shm.h>
#include <syscalls.gen.h>
#include "shm.h"

static struct segment *as_segment(struct ipc_object *o)
{
    return container_of(o, struct segment, o);
}

/* ---- What there is ------------------------------------------------------------------------------------------ */

static long shm_limits(void __user *buf)
{
    struct shminfo64 info = {.shmmax = SHM_LIMIT, .shmmin = SHMMIN, .shmmni = SHM_SEGMENTS_MAX,
                             .shmseg = SHM_SEGMENTS_MAX, .shmall = SHM_LIMIT};
    int slot;

    mutex_lock(&g_shm.lock);
    slot = ipc_max_slot(&g_shm);
    mutex_unlock(&g_shm.lock);
    return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : slot;
}

static long shm_usage(void __user *buf)
{
    struct shm_info info = {.used_ids = 0};
    int slot;

    mutex_lock(&g_shm.lock);
    for (u32 i = 0; i < g_shm.size; i++) {
        if (!g_shm.slots[i])
            continue;
        info.used_ids++;
        info.shm_tot += page_up(as_segment(g_shm.slots[i])->size) >> PAGE_SHIFT;
        info.shm_rss += as_segment(g_shm.slots[i])->inode->blocks / (PAGE_SIZE / 512);
    }
    slot = ipc_max_slot(&g_shm);
    mutex_unlock(&g_shm.lock);
    return copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : slot;
}

static void fill(struct segment *s, struct shmid64_ds *out)
{
    memset(out, 0, sizeof(*out));
    ipc_fill_perm(&s->o, &out->shm_perm);
    out->shm_segsz = s->size;
    out->shm_atime = time_seconds(s->atime);
    out->shm_dtime = time_seconds(s->dtime);
    out->shm_ctime = time_seconds(s->o.ctime);
    out->shm_cpid = s->cpid;
    out->shm_lpid = s->lpid;
    out->shm_nattch = segment_mappings(s);
}

static long shm_stat(int id, int cmd, void __user *buf)
{
    struct shmid64_ds ds;
    struct segment *s;
    long ret;

    mutex_lock(&g_shm.lock);
    s = cmd == IPC_STAT ? ipc_find(&g_shm, id) : ipc_find_slot(&g_shm, id);
    ret = IS_ERR(s) ? PTR_ERR(s) : cmd == SHM_STAT_ANY ? 0 : ipc_permission(&s->o, 0444);
    if (!ret) {
        fill(s, &ds);
        ret = cmd == IPC_STAT ? 0 : s->o.id;
    }
    mutex_unlock(&g_shm.lock);
    if (ret < 0)
        return ret;
    return copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : ret;
}

/* ---- Changing ------------------------------------------------------------------------------------------------- */

/* The key is free for others at once; the segment goes with its last mapping. */
static void segment_remove(struct segment *s) REQUIRES(&g_shm.lock)
{
    if (!s->files) {
        ipc_remove(&g_shm, &s->o);
        return;
    }
    s->o.mode |= SHM_DEST;
    s->o.key = (int)IPC_PRIVATE;
}

/* Memory is never swapped: locking is a note in the mode. */
static long shm_lock(struct segment *s, bool lock)
{
    const struct cred *c = current_cred();

    if (!capable(CAP_IPC_LOCK)) {
        if (c->euid != s->o.uid && c->euid != s->o.cuid)
            return -EPERM;
        if (lock && !rlimit(RLIMIT_MEMLOCK))
            return -EPERM;
    }
    s->o.mode = lock ? s->o.mode | SHM_LOCKED : s->o.mode & ~(mode_t)SHM_LOCKED;
    return 0;
}

static long shm_change(int id, int cmd, const struct shmid64_ds *ds)
{
    struct segment *s;
    long ret;

    mutex_lock(&g_shm.lock);
    s = ipc_find(&g_shm, id);
    ret = IS_ERR(s) ? PTR_ERR(s) : 0;
    if (!ret && (cmd == SHM_LOCK || cmd == SHM_UNLOCK)) {
        ret = shm_lock(s, cmd == SHM_LOCK);
    } else if (!ret) {
        ret = ipc_owner(&s->o);
        if (!ret && cmd == IPC_SET)
            ipc_set_perm(&s->o, &ds->shm_perm);
        else if (!ret)
            segment_remove(s);
    }
    mutex_unlock(&g_shm.lock);
    return ret;
}

long sys_shmctl(int id, int cmd, void __user *buf)
{
    struct shmid64_ds ds;

    if (id < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
        return shm_limits(buf);
    case SHM_INFO:
        return shm_usage(buf);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        return shm_stat(id, cmd, buf);
    case IPC_SET:
        if (copy_from_user(&ds, buf, sizeof(ds)))
            return -EFAULT;
        return shm_change(id, cmd, &ds);
    case IPC_RMID:
    case SHM_LOCK:
    case SHM_UNLOCK:
        return shm_change(id, cmd, NULL);
    }
    return -EINVAL;
}

/* ---- /proc/sysvipc/shm ------------------------------------------------------------------------------------------- */

static int shm_line(struct ipc_object *o, char *buf, size_t size)
{
    struct segment *s = as_segment(o);

    return snprintf(buf, size,
                    "%10d %10d  %4o %21lu %5d %5d  %5lu %5u %5u %5u %5u %10ld %10ld %10ld %21lu %21lu\n",
                    o->key, o->id, o->mode, (unsigned long)s->size, s->cpid, s->lpid,
                    (unsigned long)segment_mappings(s), o->uid, o->gid, o->cuid, o->cgid,
                    (long)time_seconds(s->atime), (long)time_seconds(s->dtime),
                    (long)time_seconds(o->ctime), (unsigned long)s->inode->blocks * 512, 0UL);
}

char *shm_list_text(void)
{
    return ipc_table_text(&g_shm,
                          "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  "
                          "cuid  cgid      atime      dtime      ctime                   rss                "
                          "  swap\n",
                          shm_line);
}
