/* SPDX-License-Identifier: MIT */
/*
 * Sizes, space and durability of open files: ftruncate(2), fallocate(2), fsync(2) and its
 * relatives, posix_fadvise(2), readahead(2). The checks are Linux's in Linux's order; the work is
 * the file system's, under inode->lock where it takes it itself.
 */
#include <kernel/files.h>
#include <kernel/syscall.h>
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "rw.h"

/* ---- Size and space ------------------------------------------------------------------------- */

static long truncate_file(struct file *f, loff_t size)
{
    if (!S_ISREG(f->inode->mode) || !file_writable(f))
        return -EINVAL;
    return inode_truncate(f->inode, (u64)size);
}

long sys_ftruncate(int fd, off_t size)
{
    struct file *f;
    long ret;

    if (size < 0)
        return -EINVAL;
    f = fd_get(fd);
    if (!f)
        return -EBADF;
    ret = truncate_file(f, size);
    file_put(f);
    return ret;
}

/* Exactly one operation, with KEEP_SIZE where it is allowed or demanded. Others: -EOPNOTSUPP. */
static int fallocate_mode(int mode)
{
    switch (mode) {
    case 0:
    case FALLOC_FL_KEEP_SIZE:
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
    case FALLOC_FL_ZERO_RANGE:
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
        return 0;
    }
    return -EOPNOTSUPP;
}

static int fallocate_type(mode_t mode)
{
    if (S_ISREG(mode))
        return 0;
    if (S_ISFIFO(mode))
        return -ESPIPE;
    return S_ISDIR(mode) ? -EISDIR : -ENODEV;
}

static int fallocate_seals(const struct inode *inode, int mode, loff_t end)
{
    if ((mode & ~FALLOC_FL_KEEP_SIZE) && (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
        return -EPERM;
    if (!(mode & FALLOC_FL_KEEP_SIZE) && (u64)end > inode->size && (inode->seals & F_SEAL_GROW))
        return -EPERM;
    return 0;
}

static long fallocate_file(struct file *f, int mode, loff_t offset, loff_t size)
{
    loff_t end;
    int err = fallocate_mode(mode);

    if (err)
        return err;
    if (!file_writable(f))
        return -EBADF;
    err = fallocate_type(f->inode->mode);
    if (err)
        return err;
    if (__builtin_add_overflow(offset, size, &end))
        return -EFBIG;
    err = fallocate_seals(f->inode, mode, end);
    if (err)
        return err;
    return f->ops->fallocate ? f->ops->fallocate(f, mode, offset, size) : -EOPNOTSUPP;
}

long sys_fallocate(int fd, int mode, loff_t offset, loff_t size)
{
    struct file *f = fd_get(fd);
    long ret;

    if (!f)
        return -EBADF;
    ret = offset < 0 || size <= 0 ? -EINVAL : fallocate_file(f, mode, offset, size);
    file_put(f);
    return ret;
}

/* ---- Durability ----------------------------------------------------------------------------- */

static long sync_file(int fd, bool datasync)
{
    struct file *f = fd_get(fd);
    long ret;

    if (!f)
        return -EBADF;
    ret = f->ops->fsync ? f->ops->fsync(f, datasync) : -EINVAL;
    file_put(f);
    return ret;
}

long sys_fsync(int fd)
{
    return sync_file(fd, false);
}

long sys_fdatasync(int fd)
{
    return sync_file(fd, true);
}

/* File systems in memory have nothing to write back. */
long sys_sync(void)
{
    return 0;
}

/* Checks that a descriptor is open and hands its type out. */
static int descriptor_mode(int fd, mode_t *mode, bool *readable)
{
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    *mode = f->inode->mode;
    *readable = file_readable(f);
    file_put(f);
    return 0;
}

long sys_syncfs(int fd)
{
    mode_t mode;
    bool readable;

    return descriptor_mode(fd, &mode, &readable);
}

#define SYNC_RANGE_VALID                                                                           \
    (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

long sys_sync_file_range(int fd, loff_t offset, loff_t size, unsigned flags)
{
    mode_t mode;
    bool readable;
    loff_t end;
    int err = descriptor_mode(fd, &mode, &readable);

    if (err)
        return err;
    if (flags & ~(unsigned)SYNC_RANGE_VALID)
        return -EINVAL;
    if (offset < 0 || size < 0 || __builtin_add_overflow(offset, size, &end))
        return -EINVAL;
    if (!S_ISREG(mode) && !S_ISBLK(mode) && !S_ISDIR(mode) && !S_ISLNK(mode))
        return -ESPIPE;
    return 0;
}

/* ---- Advice: everything is in memory already ------------------------------------------------ */

long sys_fadvise64(int fd, loff_t offset, size_t size, int advice)
{
    mode_t mode;
    bool readable;
    int err = descriptor_mode(fd, &mode, &readable);

    (void)offset;
    if (err)
        return err;
    if (S_ISFIFO(mode))
        return -ESPIPE;
    if ((loff_t)size < 0)
        return -EINVAL;
    return advice >= POSIX_FADV_NORMAL && advice <= POSIX_FADV_NOREUSE ? 0 : -EINVAL;
}

long sys_readahead(int fd, loff_t offset, size_t size)
{
    mode_t mode;
    bool readable;
    int err = descriptor_mode(fd, &mode, &readable);

    (void)offset;
    (void)size;
    if (err)
        return err;
    if (!readable)
        return -EBADF;
    return S_ISREG(mode) || S_ISBLK(mode) ? 0 : -EINVAL;
}
