/* SPDX-License-Identifier: MIT */
/*
 * read(2), write(2), their vector and positioned forms, lseek(2).
 *
 * Every call ends in file_read_iter() or file_write_iter(): one check of the description, one op.
 * A seekable file's offset is read and moved under file->pos_lock, so that calls through one shared
 * description do not overlap (read(2), POSIX 2.9.7); streams never take it, since they may block.
 * The 1-byte pread of a cached file is a measured path: nothing here allocates for one buffer.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/socket.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/types.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "rw.h"

ssize_t file_read_iter(struct file *f, struct iov_iter *to, loff_t *pos)
{
    if (unlikely(!file_readable(f)))
        return -EBADF;
    if (unlikely(!f->ops->read))
        return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
    return f->ops->read(f, to, pos);
}

/* O_DSYNC and O_SYNC, or the RWF_ flags of the same names, after a write of some bytes. */
static int sync_written(struct file *f, int rwf)
{
    bool full = (f->flags & O_SYNC) == O_SYNC || (rwf & RWF_SYNC);

    return f->ops->fsync ? f->ops->fsync(f, !full) : 0;
}

ssize_t file_write_iter(struct file *f, struct iov_iter *from, loff_t *pos)
{
    int rwf = from->flags;
    ssize_t n;

    if (unlikely(!file_writable(f)))
        return -EBADF;
    if (unlikely(!f->ops->write))
        return -EINVAL;
    n = f->ops->write(f, from, pos);
    if (n > 0 && unlikely((f->flags & O_DSYNC) || (rwf & (RWF_DSYNC | RWF_SYNC)))) {
        int err = sync_written(f, rwf);

        if (err)
            return err;
    }
    return n;
}

typedef ssize_t rw_fn(struct file *f, struct iov_iter *it, loff_t *pos);

/* /proc/PID/io. */
static long rw_count(long n, rw_fn *fn)
{
    struct task *t = current;
    u64 bytes = n > 0 ? (u64)n : 0;

    if (fn == file_read_iter) {
        t->syscr++;
        t->rchar += bytes;
    } else {
        t->syscw++;
        t->wchar += bytes;
    }
    return n;
}

/* Linux's rw_verify_area: what would end beyond the largest offset, wherever the file's end is. */
static int rw_verify(loff_t pos, size_t count)
{
    return unlikely(pos > INT64_MAX - (loff_t)count) ? -EINVAL : 0;
}

/* At the description's own offset, which moves. */
static ssize_t rw_stream(struct file *f, struct iov_iter *it, rw_fn *fn)
{
    loff_t pos = 0;
    ssize_t n;

    if (!f->seekable)
        return fn(f, it, &pos);
    mutex_lock(&f->pos_lock);
    pos = f->pos;
    n = rw_verify(pos, it->count);
    if (!n)
        n = fn(f, it, &pos);
    if (n >= 0)
        f->pos = pos;
    mutex_unlock(&f->pos_lock);
    return n;
}

static ssize_t rw_at(struct file *f, struct iov_iter *it, loff_t pos, rw_fn *fn)
{
    int err = f->seekable ? rw_verify(pos, it->count) : -ESPIPE;

    return unlikely(err) ? err : fn(f, it, &pos);
}

/* One user buffer: the range and the size as Linux's access_ok and rw_verify_area see them. */
static int rw_buffer(struct iov_iter *it, const void __user *buf, size_t size)
{
    if (unlikely(!user_range_ok(buf, size)))
        return -EFAULT;
    iov_iter_user(it, buf, min(size, MAX_RW_COUNT));
    return 0;
}

/* Whether the description allows the direction at all: checked before the buffer, as on Linux. */
static int rw_mode(const struct file *f, rw_fn *fn)
{
    bool ok = fn == file_read_iter ? file_readable(f) : file_writable(f);

    return ok ? 0 : -EBADF;
}

static long rw_one(int fd, const void __user *buf, size_t size, rw_fn *fn)
{
    struct fd fdp = fd_borrow(fd);
    struct iov_iter it;
    long ret;

    if (unlikely(!fdp.file))
        return -EBADF;
    ret = rw_mode(fdp.file, fn);
    if (!ret)
        ret = rw_buffer(&it, buf, size);
    if (!ret)
        ret = rw_stream(fdp.file, &it, fn);
    fd_release(fdp);
    return rw_count(ret, fn);
}

static long rw_one_at(int fd, const void __user *buf, size_t size, loff_t pos, rw_fn *fn)
{
    struct fd fdp;
    struct iov_iter it;
    long ret;

    if (unlikely(pos < 0))
        return -EINVAL;
    fdp = fd_borrow(fd);
    if (unlikely(!fdp.file))
        return -EBADF;
    ret = fdp.file->seekable ? rw_mode(fdp.file, fn) : -ESPIPE;
    if (!ret)
        ret = rw_buffer(&it, buf, size);
    if (!ret)
        ret = rw_at(fdp.file, &it, pos, fn);
    fd_release(fdp);
    return rw_count(ret, fn);
}

long sys_read(int fd, void __user *buf, size_t size)
{
    return rw_one(fd, buf, size, file_read_iter);
}

long sys_write(int fd, const void __user *buf, size_t size)
{
    return rw_one(fd, buf, size, file_write_iter);
}

long sys_pread64(int fd, void __user *buf, size_t size, loff_t pos)
{
    return rw_one_at(fd, buf, size, pos, file_read_iter);
}

long sys_pwrite64(int fd, const void __user *buf, size_t size, loff_t pos)
{
    return rw_one_at(fd, buf, size, pos, file_write_iter);
}

/* RWF_NOWAIT: files with pages in memory never wait, pipes and sockets know it; others would have to say so. */
static int rwf_check(const struct file *f, int flags)
{
    if (flags & ~RWF_SUPPORTED)
        return -EOPNOTSUPP;
    if ((flags & RWF_NOWAIT) && !S_ISREG(f->inode->mode) && !S_ISFIFO(f->inode->mode) &&
        !file_socket(f))
        return -EOPNOTSUPP;
    return 0;
}

#define POS_CURRENT (-1) /* readv, writev, and preadv2's own -1 */

static long rw_vector_file(struct file *f, const struct iovec __user *uvec, unsigned long segs,
                           loff_t pos, int flags, rw_fn *fn)
{
    struct iovec fast[IOV_FAST];
    struct iovec *heap = NULL;
    struct iov_iter it;
    ssize_t ret;

    if (pos != POS_CURRENT && !f->seekable)
        return -ESPIPE;
    ret = rw_mode(f, fn);
    if (ret)
        return ret;
    ret = iov_import(&it, uvec, segs, fast, &heap);
    if (ret <= 0)
        goto out;
    it.flags = flags;
    ret = rwf_check(f, flags);
    if (ret)
        goto out;
    ret = pos == POS_CURRENT ? rw_stream(f, &it, fn) : rw_at(f, &it, pos, fn);
out:
    kfree(heap);
    return ret;
}

static long rw_vector(int fd, const struct iovec __user *uvec, unsigned long segs, loff_t pos,
                      int flags, rw_fn *fn)
{
    struct fd fdp = fd_borrow(fd);
    long ret;

    if (!fdp.file)
        return -EBADF;
    ret = rw_vector_file(fdp.file, uvec, segs, pos, flags, fn);
    fd_release(fdp);
    return rw_count(ret, fn);
}

long sys_readv(int fd, const struct iovec __user *vec, unsigned long segs)
{
    return rw_vector(fd, vec, segs, POS_CURRENT, 0, file_read_iter);
}

long sys_writev(int fd, const struct iovec __user *vec, unsigned long segs)
{
    return rw_vector(fd, vec, segs, POS_CURRENT, 0, file_write_iter);
}

/* On 64-bit machines the low half carries the whole offset (preadv(2), "C library/kernel"). */
long sys_preadv(int fd, const struct iovec __user *vec, unsigned long segs, unsigned long pos_low,
                unsigned long pos_high)
{
    (void)pos_high;
    if ((loff_t)pos_low < 0)
        return -EINVAL;
    return rw_vector(fd, vec, segs, (loff_t)pos_low, 0, file_read_iter);
}

long sys_pwritev(int fd, const struct iovec __user *vec, unsigned long segs, unsigned long pos_low,
                 unsigned long pos_high)
{
    (void)pos_high;
    if ((loff_t)pos_low < 0)
        return -EINVAL;
    return rw_vector(fd, vec, segs, (loff_t)pos_low, 0, file_write_iter);
}

long sys_preadv2(int fd, const struct iovec __user *vec, unsigned long segs, unsigned long pos_low,
                 unsigned long pos_high, int flags)
{
    (void)pos_high;
    if ((loff_t)pos_low < POS_CURRENT)
        return -EINVAL;
    return rw_vector(fd, vec, segs, (loff_t)pos_low, flags, file_read_iter);
}

long sys_pwritev2(int fd, const struct iovec __user *vec, unsigned long segs, unsigned long pos_low,
                  unsigned long pos_high, int flags)
{
    (void)pos_high;
    if ((loff_t)pos_low < POS_CURRENT)
        return -EINVAL;
    return rw_vector(fd, vec, segs, (loff_t)pos_low, flags, file_write_iter);
}

/* ---- What regular files check before they change -------------------------------------------- */

int inode_newsize_ok(struct inode *inode, u64 size)
{
    u64 limit;

    assert_held(&inode->lock);
    if (size > INT64_MAX)
        return -EFBIG;
    if (size < inode->size)
        return inode->seals & F_SEAL_SHRINK ? -EPERM : 0;
    if (size == inode->size)
        return 0;
    limit = rlimit(RLIMIT_FSIZE);
    if (size > limit) {
        signal_send_self(SIGXFSZ);
        return -EFBIG;
    }
    return inode->seals & F_SEAL_GROW ? -EPERM : 0;
}

/* How far a write at `pos` may go: RLIMIT_FSIZE and the largest offset (write(2), EFBIG). */
static ssize_t write_limit(loff_t pos, size_t count)
{
    u64 limit = rlimit(RLIMIT_FSIZE);

    if ((u64)pos >= limit) {
        signal_send_self(SIGXFSZ);
        return -EFBIG;
    }
    if (pos == INT64_MAX)
        return -EFBIG;
    count = min(count, limit - (u64)pos);
    return (ssize_t)min(count, (size_t)(INT64_MAX - pos));
}

/* memfd: nothing may be written, or nothing beyond the end. */
static int write_seals(const struct inode *inode, loff_t pos, size_t count)
{
    if (likely(!(inode->seals & ~(u32)F_SEAL_SEAL)))
        return 0;
    if (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if ((inode->seals & F_SEAL_GROW) && (u64)pos + count > inode->size)
        return -EPERM;
    return 0;
}

/* A write by one who may not set them takes set-user-id and an effective set-group-id away. */
static void write_drops_setid(struct inode *inode)
{
    mode_t drop = inode->mode & S_ISUID;

    if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        drop |= S_ISGID;
    if (unlikely(drop) && !capable(CAP_FSETID))
        inode->mode &= ~drop;
}

ssize_t file_write_checks(struct file *f, struct iov_iter *from, loff_t *pos)
{
    struct inode *inode = f->inode;
    ssize_t count;
    int err;

    assert_held(&inode->lock);
    if (!from->count)
        return 0;
    if ((f->flags & O_APPEND) || (from->flags & RWF_APPEND))
        *pos = (loff_t)inode->size;
    count = write_limit(*pos, from->count);
    if (count < 0)
        return count;
    err = write_seals(inode, *pos, (size_t)count);
    if (err)
        return err;
    write_drops_setid(inode);
    from->count = (size_t)count;
    return count;
}

/* ---- lseek ---------------------------------------------------------------------------------- */

loff_t file_seek_default(struct file *f, loff_t offset, int whence)
{
    loff_t size = (loff_t)f->inode->size;
    loff_t base = 0;

    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = f->pos;
        break;
    case SEEK_END:
        base = size;
        break;
    case SEEK_DATA:
        return offset < 0 || offset >= size ? -ENXIO : (f->pos = offset);
    case SEEK_HOLE:
        return offset < 0 || offset >= size ? -ENXIO : (f->pos = size);
    }
    if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
        return -EINVAL;
    return f->pos = offset;
}

loff_t file_tell(struct file *f)
{
    loff_t pos = READ_ONCE(f->pos);

    if (likely(pos != FILE_POS_OUTSIDE))
        return pos;
    mutex_lock(&f->pos_lock);
    pos = f->ops->seek(f, 0, SEEK_CUR);
    mutex_unlock(&f->pos_lock);
    return max(pos, (loff_t)0);
}

static loff_t file_seek(struct file *f, loff_t offset, int whence)
{
    loff_t ret;

    mutex_lock(&f->pos_lock);
    ret = f->ops->seek ? f->ops->seek(f, offset, whence) : file_seek_default(f, offset, whence);
    mutex_unlock(&f->pos_lock);
    return ret;
}

long sys_lseek(int fd, off_t offset, unsigned whence)
{
    struct fd fdp = fd_borrow(fd);
    loff_t ret = -ESPIPE;

    if (!fdp.file)
        return -EBADF;
    if (whence > SEEK_MAX)
        ret = -EINVAL;
    else if (fdp.file->seekable)
        ret = file_seek(fdp.file, offset, (int)whence);
    fd_release(fdp);
    return ret;
}
