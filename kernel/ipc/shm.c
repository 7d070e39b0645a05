/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory: shmget(2), shmat(2), shmdt(2). A segment's pages are those of a RAM file without a name,
 * mapped MAP_SHARED like any other file. Each shmat(2) opens a description of its own, which lives as long as
 * mappings made from it (and copies of these by fork(2)): the last one's release is the segment's last detach.
 *
 * Locking: g_shm.lock, never held while mm works.
 */
#include <kernel/alloc.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <linux/fcntl.h>
#include <linux/shm.h>
#include <syscalls.gen.h>
#include "shm.h"

static void segment_free(struct ipc_object *o)
{
    struct segment *s = container_of(o, struct segment, o);

    inode_put(s->inode);
    kfree(s);
}

struct ipc_table g_shm = IPC_TABLE_INIT("shm", SHM_SEGMENTS_MAX, segment_free);

u64 segment_mappings(const struct segment *s)
{
    return mm_file_mappings(s->inode);
}

/* ---- shmget(2) ------------------------------------------------------------------------------------------ */

static int segment_check(struct ipc_object *o, const struct ipc_get *g)
{
    return container_of(o, struct segment, o)->size < g->size ? -EINVAL : 0;
}

static int segment_inode(u64 size, int flags, struct inode **out)
{
    struct mm_stats stats;
    int err;

    mm_stats(&stats);
    if (!(flags & SHM_NORESERVE) && size >> PAGE_SHIFT > stats.limit_pages)
        return -ENOMEM;
    err = ramfs_create_anon(0600, out);
    if (!err)
        err = inode_truncate(*out, size);
    if (err && *out)
        inode_put(*out);
    return err;
}

static struct ipc_object *segment_make(const struct ipc_get *g)
{
    struct segment *s;
    int err;

    if (g->size < SHMMIN || g->size > SHM_LIMIT)
        return ERR_PTR(-EINVAL);
    if (g->flags & SHM_HUGETLB)
        return ERR_PTR(-ENOMEM); /* as a machine without huge pages set aside */
    s = kzalloc(sizeof(*s));
    if (!s)
        return ERR_PTR(-ENOMEM);
    err = segment_inode(g->size, g->flags, &s->inode);
    if (err) {
        kfree(s);
        return ERR_PTR(err);
    }
    s->size = g->size;
    s->cpid = current->group->tgid;
    return &s->o;
}

long sys_shmget(int key, size_t size, int flags)
{
    struct ipc_get g = {
        .key = key, .flags = flags, .size = size, .check = segment_check, .make = segment_make};

    return ipc_get(&g_shm, &g);
}

/* ---- Attachments ------------------------------------------------------------------------------------------ */

/* A mapping's last reference is gone. */
static void shm_release(struct file *f)
{
    struct segment *s = f->private;

    mutex_lock(&g_shm.lock);
    s->dtime = (s64)time_realtime();
    s->lpid = current->group->tgid;
    s->files--;
    if (!s->files && (s->o.mode & SHM_DEST) && !s->o.removed)
        ipc_remove(&g_shm, &s->o);
    mutex_unlock(&g_shm.lock);
    ipc_put(&g_shm, &s->o);
}

static const struct file_ops g_shm_ops = {.mmap = pagecache_mmap, .release = shm_release};

static struct segment *segment_of(const struct file *f)
{
    return f && f->ops == &g_shm_ops ? f->private : NULL;
}

static struct file *segment_file(struct segment *s, bool writable)
{
    char name[40];
    struct file *f;

    (void)snprintf(name, sizeof(name), "/SYSV%08x (deleted)", (unsigned)s->o.key);
    inode_get(s->inode);
    f = file_create_on(s->inode, name, writable ? O_RDWR : O_RDONLY);
    if (!IS_ERR(f)) {
        f->ops = &g_shm_ops;
        f->private = s;
    }
    return f;
}

/* Counts an attachment: its file, with references on the segment. ERR_PTR. */
static struct file *segment_open(int id, int flags)
{
    int want = (flags & SHM_RDONLY ? 0444 : 0666) | (flags & SHM_EXEC ? 0111 : 0);
    struct segment *s;
    struct file *f;
    int err;

    mutex_lock(&g_shm.lock);
    s = ipc_find(&g_shm, id);
    err = IS_ERR(s) ? (int)PTR_ERR(s) : ipc_permission(&s->o, want);
    f = err ? ERR_PTR(err) : segment_file(s, !(flags & SHM_RDONLY));
    if (!IS_ERR(f)) {
        ref_get(&s->o.ref);
        s->files++;
        s->atime = (s64)time_realtime();
        s->lpid = current->group->tgid;
    }
    mutex_unlock(&g_shm.lock);
    return f;
}

static unsigned attach_prot(int flags)
{
    unsigned prot = PROT_READ;

    if (!(flags & SHM_RDONLY))
        prot |= PROT_WRITE;
    if (flags & SHM_EXEC)
        prot |= PROT_EXEC;
    return prot;
}

static unsigned attach_map_flags(uintptr_t addr, int flags)
{
    if (!addr)
        return MAP_SHARED;
    return MAP_SHARED | (flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE);
}

long sys_shmat(int id, unsigned long addr, int flags)
{
    struct segment *s;
    struct file *f;
    long ret;

    if (id < 0 || (!addr && (flags & SHM_REMAP)))
        return -EINVAL;
    if (addr & ~PAGE_MASK) {
        if (!(flags & SHM_RND))
            return -EINVAL;
        addr &= PAGE_MASK;
        if (!addr && (flags & SHM_REMAP))
            return -EINVAL;
    }
    f = segment_open(id, flags);
    if (IS_ERR(f))
        return PTR_ERR(f);
    s = segment_of(f);
    ret = mm_map(current->mm, addr, s->size, attach_prot(flags), attach_map_flags(addr, flags), f, 0);
    file_put(f);
    return ret == -EEXIST ? -EINVAL : ret;
}

/* A piece of an attachment that began at `addr`, from `from` on: its range and segment. False: none. */
struct piece {
    uintptr_t start, end;
    const struct segment *segment;
};

static bool find_piece(struct mm *mm, uintptr_t addr, uintptr_t from, struct piece *out)
{
    bool found = false;

    mm_lock(mm);
    for (struct vma *v = mm_find_next(mm, from); v && !found; v = mm_find_next(mm, v->end)) {
        const struct segment *s = segment_of(v->file);

        if (out->segment && v->start >= addr + page_up(out->segment->size))
            break;
        if (!s || (out->segment && s != out->segment) || v->start - addr != v->pgoff << PAGE_SHIFT)
            continue;
        *out = (struct piece){v->start, v->end, s};
        found = true;
    }
    mm_unlock(mm);
    return found;
}

long sys_shmdt(unsigned long addr)
{
    struct mm *mm = current->mm;
    struct piece p = {.segment = NULL};
    long ret = -EINVAL;

    if (addr & ~PAGE_MASK)
        return -EINVAL;
    for (uintptr_t from = addr; find_piece(mm, addr, from, &p); from = p.end) {
        ret = mm_unmap(mm, p.start, p.end - p.start);
        if (ret)
            break;
    }
    return ret;
}
