/* SPDX-License-Identifier: MIT */
/*
 * ioctl(2): what Linux answers for every file (descriptor flags, sizes), then the file's own op.
 * -ENOTTY for what nobody knows (ioctl(2), ERRORS). Takes file->pos_lock for flags only.
 */
#include <kernel/files.h>
#include <kernel/socket.h>
#include <kernel/syscall.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <asm/ioctls.h>

#include "rw.h"

static long ioctl_nonblock(struct file *f, const int __user *arg)
{
    int on, err = 0;
    unsigned flags;

    if (get_user(on, arg))
        return -EFAULT;
    mutex_lock(&f->pos_lock);
    flags = on ? f->flags | O_NONBLOCK : f->flags & ~(unsigned)O_NONBLOCK;
    if (f->ops->set_flags)
        err = f->ops->set_flags(f, flags);
    if (!err)
        WRITE_ONCE(f->flags, flags);
    mutex_unlock(&f->pos_lock);
    return err;
}

/* Only sockets send SIGIO: elsewhere turning it off changes nothing, turning it on is refused. */
static long ioctl_async(int fd, struct file *f, const int __user *arg)
{
    struct socket *s = file_socket(f);
    int on;

    if (get_user(on, arg))
        return -EFAULT;
    if (s) {
        mutex_lock(&f->pos_lock);
        WRITE_ONCE(f->flags, on ? f->flags | FASYNC : f->flags & ~(unsigned)FASYNC);
        socket_set_async(s, f, fd, on);
        mutex_unlock(&f->pos_lock);
        return 0;
    }
    return on ? -ENOTTY : 0;
}

static long ioctl_size(struct file *f, loff_t __user *arg)
{
    mode_t mode = f->inode->mode;

    if (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode))
        return -ENOTTY;
    return put_user((loff_t)f->inode->size, arg);
}

static long ioctl_readable(struct file *f, int __user *arg)
{
    loff_t left = (loff_t)f->inode->size - READ_ONCE(f->pos);

    return put_user((int)left, arg);
}

static long ioctl_regular(struct file *f, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case FIONREAD:
        return ioctl_readable(f, (int __user *)arg);
    case FIBMAP:
        return -EINVAL; /* no blocks */
    case FICLONE:
    case FICLONERANGE:
    case FIDEDUPERANGE:
    case FS_IOC_FIEMAP:
        return -EOPNOTSUPP;
    }
    return -ENOTTY;
}

static long ioctl_file(struct file *f, unsigned cmd, unsigned long arg)
{
    long ret = -ENOTTY;

    if (f->ops->ioctl)
        ret = f->ops->ioctl(f, cmd, arg);
    if (ret == -ENOTTY && S_ISREG(f->inode->mode))
        ret = ioctl_regular(f, cmd, arg);
    return ret;
}

static long ioctl_any(int fd, struct file *f, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case FIOCLEX:
        return fd_set_cloexec(fd, true);
    case FIONCLEX:
        return fd_set_cloexec(fd, false);
    case FIONBIO:
        return ioctl_nonblock(f, (const int __user *)arg);
    case FIOASYNC:
        return ioctl_async(fd, f, (const int __user *)arg);
    case FIOQSIZE:
        return ioctl_size(f, (loff_t __user *)arg);
    case FIGETBSZ:
        return put_user((int)f->inode->sb->block_size, (int __user *)arg);
    }
    return ioctl_file(f, cmd, arg);
}

long sys_ioctl(int fd, unsigned cmd, unsigned long arg)
{
    struct file *f = fd_get(fd);
    long ret;

    if (!f)
        return -EBADF;
    ret = ioctl_any(fd, f, cmd, arg);
    file_put(f);
    return ret;
}
