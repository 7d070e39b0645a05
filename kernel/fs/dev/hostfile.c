/* SPDX-License-Identifier: MIT */
/*
 * A regular file (or a block device) of the host as standard input or output.
 *
 * Two kinds of descriptions. The inherited one is the host's: its offset and O_APPEND are kept there and
 * shared with whoever else has it (file->pos is FILE_POS_OUTSIDE). One that is opened again through
 * /dev/stdout or /proc/self/fd/N has an offset of its own in file->pos and goes through positioned host
 * calls. Contents, size and times are the host's word: unprotected, asked for anew each time, never kept.
 *
 * There is no mmap (ENODEV), and owner, mode and times cannot be changed (EPERM). Record locks and
 * flock(2) hold among the program's own processes.
 *
 * Locking: read, write and seek at a description's offset come with pos_lock held, which makes large
 * writes of several host calls one. inode->lock guards the copied attributes.
 */
#include <kernel/alloc.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/resource.h>
#include <linux/stat.h>

#include "dev.h"

void hostfile_adopt(struct file *f) NO_LOCK_ANALYSIS
{
    f->pos = FILE_POS_OUTSIDE;
    f->seekable = true;
}

static bool is_adopted(const struct file *f)
{
    return READ_ONCE(f->pos) == FILE_POS_OUTSIDE;
}

/* ---- Attributes ----------------------------------------------------------------------------- */

static int refresh_locked(struct inode *inode)
{
    const struct console *c = inode->private;
    struct target_stat st;
    int err = target_host_stat(c->fd, &st);

    if (!err)
        console_set_attr(inode, c, &st);
    return err;
}

static int hostfile_getattr(struct inode *inode)
{
    int err;

    mutex_lock(&inode->lock);
    err = refresh_locked(inode);
    mutex_unlock(&inode->lock);
    return err;
}

/* The size, when it changes, takes the time of modification with it there as here. */
static int hostfile_setattr(struct inode *inode, const struct iattr *attr)
{
    struct console *c = console_find(inode, O_WRONLY);

    if (!(attr->valid & ATTR_SIZE))
        return -EPERM;
    return c ? target_host_truncate(c->fd, attr->size) : -EACCES;
}

static int hostfile_open(struct inode *inode, struct file *f)
{
    f->private = console_find(inode, f->flags);
    return f->private ? 0 : -EACCES;
}

const struct inode_ops hostfile_inode_ops = {
    .getattr = hostfile_getattr,
    .setattr = hostfile_setattr,
    .open = hostfile_open,
};

/* ---- Reading -------------------------------------------------------------------------------- */

/* Regular files are read and written without regard to signals, as on Linux. */
static ssize_t read_chunk(const struct console *c, void *buf, size_t size, loff_t pos)
{
    ssize_t n;

    mm_leave();
    do {
        if (pos == FILE_POS_OUTSIDE)
            n = target_host_read(c->fd, buf, size);
        else
            n = target_host_pread(c->fd, buf, size, pos);
    } while (n == -EINTR);
    return n;
}

/* Moves on by what was copied to the program, out of `got` that were read. */
static void advance(const struct console *c, loff_t *pos, size_t copied, size_t got)
{
    if (*pos != FILE_POS_OUTSIDE)
        *pos += (loff_t)copied;
    else if (copied < got)
        (void)target_host_seek(c->fd, (loff_t)copied - (loff_t)got, SEEK_CUR);
}

static ssize_t read_all(const struct console *c, struct iov_iter *to, loff_t *pos, void *buf,
                        size_t room)
{
    size_t done = 0;
    ssize_t n = 0;

    while (to->count) {
        size_t want = min(to->count, room);
        size_t copied;

        n = read_chunk(c, buf, want, *pos);
        if (n <= 0)
            break;
        copied = copy_to_iter(buf, (size_t)n, to);
        advance(c, pos, copied, (size_t)n);
        done += copied;
        if (copied < want) {
            n = copied < (size_t)n ? -EFAULT : n;
            break;
        }
    }
    return done ? (ssize_t)done : n;
}

static ssize_t hostfile_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    size_t room = min(to->count, (size_t)HOST_IO_SIZE);
    void *buf = room ? kmalloc(room) : NULL;
    ssize_t n;

    if (!room)
        return 0;
    if (!buf)
        return -ENOMEM;
    n = read_all(f->private, to, pos, buf, room);
    kfree(buf);
    return n;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static enum target_append append_mode(const struct file *f, const struct iov_iter *from)
{
    if (from->flags & RWF_APPEND)
        return TARGET_APPEND_YES;
    if (is_adopted(f))
        return TARGET_APPEND_AS_OPENED;
    return f->flags & O_APPEND ? TARGET_APPEND_YES : TARGET_APPEND_NO;
}

static ssize_t write_chunk(const struct console *c, const void *buf, size_t size, loff_t pos,
                           enum target_append append)
{
    ssize_t n;

    mm_leave();
    do {
        if (pos == FILE_POS_OUTSIDE && append == TARGET_APPEND_AS_OPENED)
            n = target_host_write(c->fd, buf, size);
        else
            n = target_host_pwrite(c->fd, buf, size, pos, append);
    } while (n == -EINTR);
    if (n == -EFBIG)
        signal_send_self(SIGXFSZ);
    return n ? n : -EIO; /* the host took nothing of something and named no error */
}

static u64 size_now(struct inode *inode)
{
    (void)hostfile_getattr(inode);
    return READ_ONCE(inode->size);
}

static u64 write_start(struct file *f, const struct iov_iter *from, loff_t pos)
{
    const struct console *c = f->private;
    loff_t at = pos;

    if ((f->flags & O_APPEND) || (from->flags & RWF_APPEND))
        return size_now(f->inode);
    if (at == FILE_POS_OUTSIDE)
        at = target_host_seek(c->fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (u64)at;
}

/* RLIMIT_FSIZE of the program; the host's own comes back as -EFBIG. */
static int limit_size(struct file *f, struct iov_iter *from, loff_t pos)
{
    u64 limit = rlimit(RLIMIT_FSIZE);
    u64 at;

    if (limit == RLIM64_INFINITY || !S_ISREG(f->inode->mode))
        return 0;
    at = write_start(f, from, pos);
    if (at >= limit) {
        signal_send_self(SIGXFSZ);
        return -EFBIG;
    }
    from->count = min(from->count, limit - at);
    return 0;
}

static ssize_t write_all(struct file *f, struct iov_iter *from, loff_t *pos, void *buf, size_t room)
{
    enum target_append append = append_mode(f, from);
    const struct console *c = f->private;
    size_t done = 0;
    ssize_t n = 0;

    while (from->count) {
        size_t want = min(from->count, room);
        size_t got = copy_from_iter(buf, want, from);

        n = got ? write_chunk(c, buf, got, *pos, append) : -EFAULT;
        if (n < 0)
            break;
        if (*pos != FILE_POS_OUTSIDE)
            *pos += n;
        done += (size_t)n;
        if ((size_t)n < want)
            break; /* no room, a limit, or a bad address: the next call says which */
    }
    if (done && *pos != FILE_POS_OUTSIDE && append == TARGET_APPEND_YES)
        *pos = (loff_t)size_now(f->inode);
    return done ? (ssize_t)done : n;
}

static ssize_t hostfile_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    size_t room = min(from->count, (size_t)HOST_IO_SIZE);
    void *buf;
    ssize_t n;

    if (!room)
        return 0;
    n = limit_size(f, from, *pos);
    if (n)
        return n;
    buf = kmalloc(room);
    if (!buf)
        return -ENOMEM;
    n = write_all(f, from, pos, buf, room);
    kfree(buf);
    return n;
}

/* ---- The rest ------------------------------------------------------------------------------- */

static loff_t hostfile_seek(struct file *f, loff_t offset, int whence) REQUIRES(&f->pos_lock)
{
    const struct console *c = f->private;

    if (is_adopted(f))
        return target_host_seek(c->fd, offset, whence);
    if (whence != SEEK_SET && whence != SEEK_CUR) {
        int err = hostfile_getattr(f->inode);

        if (err)
            return err;
    }
    return file_seek_default(f, offset, whence);
}

static int hostfile_fsync(struct file *f, bool datasync)
{
    const struct console *c = f->private;

    return target_host_sync(c->fd, datasync);
}

static int hostfile_fallocate(struct file *f, int mode, loff_t offset, loff_t size)
{
    const struct console *c = f->private;

    return target_host_fallocate(c->fd, mode, offset, size);
}

/* O_APPEND of the inherited description is everybody's who has it. */
static int hostfile_set_flags(struct file *f, unsigned flags)
{
    const struct console *c = f->private;

    if (!is_adopted(f) || !((flags ^ f->flags) & O_APPEND))
        return 0;
    return target_host_set_append(c->fd, flags & O_APPEND);
}

static long hostfile_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    u64 size, pos;

    if (cmd != FIONREAD || !S_ISREG(f->inode->mode))
        return -ENOTTY;
    size = size_now(f->inode);
    pos = (u64)file_tell(f);
    return put_user((int)(size - pos), (int __user *)arg);
}

const struct file_ops hostfile_ops = {
    .read = hostfile_read,
    .write = hostfile_write,
    .seek = hostfile_seek,
    .ioctl = hostfile_ioctl,
    .fsync = hostfile_fsync,
    .fallocate = hostfile_fallocate,
    .set_flags = hostfile_set_flags,
};
