/* SPDX-License-Identifier: MIT */
/*
 * getdents(2), getdents64(2): directory entries into the program's buffer.
 *
 * Entries are put together in a kernel buffer (the file system's op holds the directory's lock
 * meanwhile) and copied out once, so that no page fault happens under it. file->pos_lock is held
 * all the time; the offset moves only when the copy succeeded, and an entry that does not fit is
 * given by the next call. Layouts: getdents(2).
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/types.h>
#include <linux/stat.h>

struct dirent_old {
    unsigned long ino;
    unsigned long off;
    unsigned short reclen;
    char name[]; /* the entry's last byte is its type */
};

struct dirent64 {
    u64 ino;
    s64 off;
    u16 reclen;
    u8 type;
    char name[];
};

/* Not sizeof: the name starts in what would be padding. */
#define DIRENT_OLD_NAME offsetof(struct dirent_old, name)
#define DIRENT64_NAME   offsetof(struct dirent64, name)
_Static_assert(DIRENT_OLD_NAME == 18 && DIRENT64_NAME == 19, "getdents' ABI");

#define GETDENTS_BUF_MAX (8 * PAGE_SIZE)

struct getdents {
    struct dir_context ctx;
    u8 *buf;
    size_t size, used;
    bool overflow; /* an entry did not fit */
};

/* Room for a record, zeroed (padding must not leak what the heap held), or NULL. */
static void *getdents_reserve(struct getdents *gd, size_t record)
{
    void *p = gd->buf + gd->used;

    if (gd->size - gd->used < record) {
        gd->overflow = true;
        return NULL;
    }
    memset(p, 0, record);
    gd->used += record;
    return p;
}

static bool emit_old(struct dir_context *ctx, const char *name, size_t size, loff_t next, ino_t ino,
                     unsigned type)
{
    struct getdents *gd = container_of(ctx, struct getdents, ctx);
    size_t record = align_up(DIRENT_OLD_NAME + size + 2, sizeof(long));
    struct dirent_old *d = getdents_reserve(gd, record);

    if (!d)
        return false;
    d->ino = ino;
    d->off = (unsigned long)next;
    d->reclen = (unsigned short)record;
    memcpy(d->name, name, size);
    ((u8 *)d)[record - 1] = (u8)type;
    ctx->pos = next;
    return true;
}

static bool emit64(struct dir_context *ctx, const char *name, size_t size, loff_t next, ino_t ino,
                   unsigned type)
{
    struct getdents *gd = container_of(ctx, struct getdents, ctx);
    size_t record = align_up(DIRENT64_NAME + size + 1, sizeof(u64));
    struct dirent64 *d = getdents_reserve(gd, record);

    if (!d)
        return false;
    d->ino = ino;
    d->off = next;
    d->reclen = (u16)record;
    d->type = (u8)type;
    memcpy(d->name, name, size);
    ctx->pos = next;
    return true;
}

static long getdents_fill(struct file *f, struct getdents *gd, void __user *out)
    REQUIRES(&f->pos_lock)
{
    int err = -ENOENT; /* a directory that was removed while open has no entries, not even "." */

    gd->ctx.pos = f->pos;
    if (READ_ONCE(f->inode->nlink))
        err = f->ops->readdir(f, &gd->ctx);
    if (gd->used) {
        if (copy_to_user(out, gd->buf, gd->used))
            return -EFAULT;
        f->pos = gd->ctx.pos;
        return (long)gd->used;
    }
    if (err)
        return err;
    if (gd->overflow)
        return -EINVAL;
    f->pos = gd->ctx.pos;
    return 0;
}

static long getdents(int fd, void __user *out, unsigned size,
                     bool (*emit)(struct dir_context *, const char *, size_t, loff_t, ino_t,
                                  unsigned))
{
    size_t room = min((size_t)size, GETDENTS_BUF_MAX);
    struct getdents gd = {.ctx.emit = emit, .size = room};
    struct file *f = fd_get(fd);
    long ret = -ENOTDIR;

    if (!f)
        return -EBADF;
    if (!f->ops->readdir || !S_ISDIR(f->inode->mode))
        goto out;
    ret = -ENOMEM;
    gd.buf = kmalloc(max(gd.size, sizeof(u64)));
    if (!gd.buf)
        goto out;
    mutex_lock(&f->pos_lock);
    ret = getdents_fill(f, &gd, out);
    mutex_unlock(&f->pos_lock);
    if (ret >= 0)
        file_accessed(f);
    kfree(gd.buf);
out:
    file_put(f);
    return ret;
}

long sys_getdents(int fd, void __user *out, unsigned size)
{
    return getdents(fd, out, size, emit_old);
}

long sys_getdents64(int fd, void __user *out, unsigned size)
{
    return getdents(fd, out, size, emit64);
}
