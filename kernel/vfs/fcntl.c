/* SPDX-License-Identifier: MIT */
/*
 * fcntl(2), dup(2), dup2(2), dup3(2). Record locks and leases of files are vfs/lock.c's. F_SETFL
 * and owners change under file->pos_lock; readers of file->flags see old or new.
 */
#include <kernel/files.h>
#include <kernel/pipe.h>
#include <kernel/socket.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <linux/capability.h>
#include <linux/stat.h>

#include "rw.h"

/* What F_SETFL may change; O_ASYNC, which sockets know too, is ignored where files send no
 * SIGIO, as on Linux. */
#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

/* ---- Duplicates ----------------------------------------------------------------------------- */

static long dup_from(struct file *f, unsigned long from, bool cloexec)
{
    if (from >= rlimit(RLIMIT_NOFILE) || from > INT32_MAX)
        return -EINVAL;
    return fd_install(file_get(f), (int)from, cloexec);
}

long sys_dup(int fd)
{
    struct file *f = fd_get_path(fd);

    return f ? fd_install(f, 0, false) : -EBADF;
}

/* dup2 and dup3 once the numbers are known to differ. */
static long dup_onto(int oldfd, int newfd, bool cloexec)
{
    struct file *f;

    if (newfd < 0 || (u64)newfd >= rlimit(RLIMIT_NOFILE))
        return -EBADF;
    f = fd_get_path(oldfd);
    return f ? fd_install_at(f, newfd, cloexec) : -EBADF;
}

long sys_dup2(int oldfd, int newfd)
{
    struct file *f;

    if (oldfd != newfd)
        return dup_onto(oldfd, newfd, false);
    f = fd_get_path(oldfd);
    if (!f)
        return -EBADF;
    file_put(f);
    return newfd;
}

long sys_dup3(int oldfd, int newfd, int flags)
{
    if ((flags & ~O_CLOEXEC) || oldfd == newfd)
        return -EINVAL;
    return dup_onto(oldfd, newfd, flags & O_CLOEXEC);
}

/* ---- Status flags --------------------------------------------------------------------------- */

static long set_flags(int fd, struct file *f, unsigned flags)
{
    unsigned mask = SETFL_MASK | (file_socket(f) ? FASYNC : 0);
    long ret = 0;

    if ((flags & ~f->flags & O_NOATIME) && current->cred->fsuid != f->inode->uid &&
        !capable(CAP_FOWNER))
        return -EPERM;
    if ((flags & ~f->flags & O_DIRECT) && !S_ISREG(f->inode->mode) && !S_ISFIFO(f->inode->mode))
        return -EINVAL;
    mutex_lock(&f->pos_lock);
    flags = (flags & mask) | (f->flags & ~mask);
    if (f->ops->set_flags)
        ret = f->ops->set_flags(f, flags);
    if (!ret && ((flags ^ f->flags) & FASYNC))
        socket_set_async(file_socket(f), f, fd, flags & FASYNC);
    if (!ret)
        WRITE_ONCE(f->flags, flags);
    mutex_unlock(&f->pos_lock);
    return ret;
}

/* ---- Owners (SIGIO) ------------------------------------------------------------------------- */

/* As Linux: any number in use will do, whatever the type; one that does not fit it never gets a signal. */
static long set_owner(struct file *f, int type, pid_t id)
{
    if (id && !pid_in_use(id))
        return -ESRCH;
    mutex_lock(&f->pos_lock);
    f->owner_type = type;
    f->owner = id;
    f->owner_uid = current->cred->uid;
    f->owner_euid = current->cred->euid;
    mutex_unlock(&f->pos_lock);
    return 0;
}

static long set_owner_number(struct file *f, int who)
{
    if (who == INT32_MIN)
        return -EINVAL;
    return who < 0 ? set_owner(f, F_OWNER_PGRP, -who) : set_owner(f, F_OWNER_PID, who);
}

static long set_owner_ex(struct file *f, const struct f_owner_ex __user *arg)
{
    struct f_owner_ex ex;

    if (copy_from_user(&ex, arg, sizeof(ex)))
        return -EFAULT;
    if (ex.type != F_OWNER_TID && ex.type != F_OWNER_PID && ex.type != F_OWNER_PGRP)
        return -EINVAL;
    return set_owner(f, ex.type, ex.pid);
}

static long get_owner_ex(struct file *f, struct f_owner_ex __user *arg)
{
    struct f_owner_ex ex = {.type = f->owner_type, .pid = f->owner};

    return copy_to_user(arg, &ex, sizeof(ex));
}

static long get_owner_uids(struct file *f, uid_t __user *arg)
{
    uid_t ids[2] = {0, 0};

    if (f->owner) {
        ids[0] = f->owner_uid;
        ids[1] = f->owner_euid;
    }
    return copy_to_user(arg, ids, sizeof(ids));
}

static long set_signal(struct file *f, unsigned long sig)
{
    if (sig > NSIG_K)
        return -EINVAL;
    f->owner_signal = (int)sig;
    return 0;
}

/* ---- Record locks --------------------------------------------------------------------------- */

static bool is_lock_command(unsigned cmd)
{
    return (cmd >= F_GETLK && cmd <= F_SETLKW) || (cmd >= F_OFD_GETLK && cmd <= F_OFD_SETLKW);
}

static long fcntl_lock(struct file *f, unsigned cmd, struct flock __user *arg)
{
    bool ofd = cmd >= F_OFD_GETLK;
    struct flock fl;
    long ret;

    if (copy_from_user(&fl, arg, sizeof(fl)))
        return -EFAULT;
    if (cmd != F_GETLK && cmd != F_OFD_GETLK)
        return lock_record_set(f, &fl, ofd, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
    ret = lock_record_get(f, &fl, ofd);
    return ret ? ret : copy_to_user(arg, &fl, sizeof(fl));
}

/* ---- Leases and notification: not provided; the errno of a file system without them --------- */

static long set_lease(struct file *f, unsigned long type)
{
    if (current->cred->fsuid != f->inode->uid && !capable(CAP_LEASE))
        return -EACCES;
    return type == F_UNLCK && S_ISREG(f->inode->mode) ? -EAGAIN : -EINVAL;
}

/* ---- The call ------------------------------------------------------------------------------- */

static long fcntl_owner(struct file *f, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case F_SETOWN:
        return set_owner_number(f, (int)arg);
    case F_GETOWN:
        return f->owner_type == F_OWNER_PGRP ? -f->owner : f->owner;
    case F_SETOWN_EX:
        return set_owner_ex(f, (const struct f_owner_ex __user *)arg);
    case F_GETOWN_EX:
        return get_owner_ex(f, (struct f_owner_ex __user *)arg);
    case F_GETOWNER_UIDS:
        return get_owner_uids(f, (uid_t __user *)arg);
    case F_SETSIG:
        return set_signal(f, arg);
    case F_GETSIG:
        return f->owner_signal;
    }
    return -EINVAL;
}

static long fcntl_file(int fd, struct file *f, unsigned cmd, unsigned long arg)
{
    if (is_lock_command(cmd))
        return fcntl_lock(f, cmd, (struct flock __user *)arg);
    switch (cmd) {
    case F_SETFL:
        return set_flags(fd, f, (unsigned)arg);
    case F_GETPIPE_SZ:
        return file_pipe(f) ? pipe_get_size(file_pipe(f)) : -EBADF;
    case F_SETPIPE_SZ:
        return file_pipe(f) ? pipe_set_size(file_pipe(f), arg) : -EBADF;
    case F_ADD_SEALS:
        return memfd_add_seals(f, (unsigned)arg);
    case F_GET_SEALS:
        return memfd_get_seals(f);
    case F_GETLEASE:
        return F_UNLCK;
    case F_SETLEASE:
        return set_lease(f, arg);
    case F_NOTIFY:
        return S_ISDIR(f->inode->mode) ? -EINVAL : -ENOTDIR;
    }
    return fcntl_owner(f, cmd, arg);
}

/* Commands about the descriptor: the only ones for O_PATH. */
static bool is_path_command(unsigned cmd)
{
    return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFD || cmd == F_SETFD ||
           cmd == F_GETFL;
}

static long fcntl_descriptor(int fd, struct file *f, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case F_DUPFD:
        return dup_from(f, arg, false);
    case F_DUPFD_CLOEXEC:
        return dup_from(f, arg, true);
    case F_GETFD:
        return fd_get_cloexec(fd);
    case F_SETFD:
        return fd_set_cloexec(fd, arg & FD_CLOEXEC);
    }
    return (long)f->flags;
}

long sys_fcntl(int fd, unsigned cmd, unsigned long arg)
{
    struct file *f = fd_get_path(fd);
    long ret;

    if (!f)
        return -EBADF;
    if (is_path_command(cmd))
        ret = fcntl_descriptor(fd, f, cmd, arg);
    else if (f->flags & O_PATH)
        ret = -EBADF;
    else
        ret = fcntl_file(fd, f, cmd, arg);
    file_put(f);
    return ret;
}
