/* SPDX-License-Identifier: MIT */
/*
 * Changing attributes: chmod, chown, utimes, truncate. inode_change() decides whether the caller may
 * and what else changes with it (set-id bits); inode_setattr() does it. Both with inode->lock held.
 * Source: chmod(2), chown(2), utimensat(2), truncate(2).
 */
#include <kernel/mm.h>
#include <syscalls.gen.h>
#include <kernel/time.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <linux/utime.h>

#include "internal.h"
#include "pagecache.h"
#include "rw.h"

#ifndef UTIME_NOW
#define UTIME_NOW  ((1L << 30) - 1L)
#define UTIME_OMIT ((1L << 30) - 2L)
#endif

int inode_setattr(struct inode *inode, const struct iattr *attr)
{
    assert_held(&inode->lock);
    if (inode->ops->setattr) {
        int err = inode->ops->setattr(inode, attr);

        if (err)
            return err;
    }
    if ((attr->valid & ATTR_SIZE) && inode->cache)
        pagecache_truncate(inode, attr->size);
    else if (attr->valid & ATTR_SIZE)
        inode->size = attr->size;
    if (attr->valid & ATTR_MODE)
        inode->mode = (inode->mode & S_IFMT) | (attr->mode & 07777);
    if (attr->valid & ATTR_UID)
        inode->uid = attr->uid;
    if (attr->valid & ATTR_GID)
        inode->gid = attr->gid;
    if (attr->valid & ATTR_ATIME)
        inode->atime = attr->atime;
    if (attr->valid & ATTR_MTIME)
        inode->mtime = attr->mtime;
    inode->ctime = attr->valid & ATTR_CTIME ? attr->ctime : (s64)time_realtime();
    return 0;
}

static int may_chown(const struct inode *inode, const struct iattr *a)
{
    const struct cred *c = current_cred();

    if (cred_capable(c, CAP_CHOWN))
        return 0;
    if ((a->valid & ATTR_UID) && (c->fsuid != inode->uid || a->uid != inode->uid))
        return -EPERM;
    if ((a->valid & ATTR_GID) &&
        (c->fsuid != inode->uid || (a->gid != inode->gid && !cred_in_group(c, a->gid))))
        return -EPERM;
    return 0;
}

/* A setgid bit that the caller may not hand out is dropped silently. */
static void drop_foreign_setgid(const struct inode *inode, struct iattr *a)
{
    gid_t gid = a->valid & ATTR_GID ? a->gid : inode->gid;

    if (!cred_in_group(current_cred(), gid) && !capable(CAP_FSETID))
        a->mode &= ~(mode_t)S_ISGID;
}

/* chown(2): set-id bits of executables go. */
static void chown_drop_setid(const struct inode *inode, struct iattr *a)
{
    mode_t mode = inode->mode;

    if (S_ISDIR(mode) || !(mode & (S_ISUID | S_ISGID)))
        return;
    mode &= ~(mode_t)S_ISUID;
    if (mode & S_IXGRP)
        mode &= ~(mode_t)S_ISGID;
    a->mode = mode & 07777;
    a->valid |= ATTR_MODE;
}

int inode_change(struct inode *inode, struct iattr *a, bool times_now)
{
    int err;

    if (a->valid & (ATTR_UID | ATTR_GID)) {
        err = may_chown(inode, a);
        if (err)
            return err;
        chown_drop_setid(inode, a);
    } else if (a->valid & ATTR_MODE) {
        if (!inode_owner_or_capable(inode))
            return -EPERM;
        drop_foreign_setgid(inode, a);
    }
    if ((a->valid & (ATTR_ATIME | ATTR_MTIME)) && !inode_owner_or_capable(inode)) {
        if (!times_now)
            return -EPERM;
        err = inode_permission(inode, MAY_WRITE);
        if (err)
            return err;
    }
    return inode_setattr(inode, a);
}

static int path_change(const struct path *p, struct iattr *a, bool times_now)
{
    struct inode *inode = p->dentry->inode;
    int err = path_want_write(p);

    if (err)
        return err;
    mutex_lock(&inode->lock);
    err = inode_change(inode, a, times_now);
    mutex_unlock(&inode->lock);
    return err;
}

static int user_change(int dfd, const char __user *path, unsigned lookup, struct iattr *a,
                       bool times_now)
{
    struct path p;
    int err = path_lookup_user(dfd, path, lookup, &p);

    if (err)
        return err;
    if ((a->valid & ATTR_MODE) && S_ISLNK(p.dentry->inode->mode))
        err = -EOPNOTSUPP;
    else
        err = path_change(&p, a, times_now);
    path_put(&p);
    return err;
}

static int fd_change(int fd, struct iattr *a, bool times_now)
{
    struct file *f = fd_get(fd);
    int err;

    if (!f)
        return -EBADF;
    err = path_change(&f->path, a, times_now);
    file_put(f);
    return err;
}

static unsigned at_lookup(int flags)
{
    return (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
           (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}

/* ---- Mode and owner ----------------------------------------------------------------------------------- */

long sys_fchmodat2(int dfd, const char __user *path, mode_t mode, unsigned flags)
{
    struct iattr a = {.valid = ATTR_MODE, .mode = mode & 07777};

    if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return user_change(dfd, path, at_lookup((int)flags), &a, false);
}

long sys_fchmodat(int dfd, const char __user *path, mode_t mode)
{
    return sys_fchmodat2(dfd, path, mode, 0);
}

long sys_chmod(const char __user *path, mode_t mode)
{
    return sys_fchmodat2(AT_FDCWD, path, mode, 0);
}

long sys_fchmod(int fd, mode_t mode)
{
    struct iattr a = {.valid = ATTR_MODE, .mode = mode & 07777};

    return fd_change(fd, &a, false);
}

static struct iattr owner_attr(uid_t uid, gid_t gid)
{
    return (struct iattr){
        .valid = (uid != (uid_t)-1 ? ATTR_UID : 0) | (gid != (gid_t)-1 ? ATTR_GID : 0),
        .uid = uid,
        .gid = gid,
    };
}

long sys_fchownat(int dfd, const char __user *path, uid_t uid, gid_t gid, int flags)
{
    struct iattr a = owner_attr(uid, gid);

    if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return user_change(dfd, path, at_lookup((int)flags), &a, false);
}

long sys_chown(const char __user *path, uid_t uid, gid_t gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(const char __user *path, uid_t uid, gid_t gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, uid_t uid, gid_t gid)
{
    struct iattr a = owner_attr(uid, gid);

    return fd_change(fd, &a, false);
}

/* ---- Times ------------------------------------------------------------------------------------------------ */

#define SECONDS_MAX 9223372035LL /* what a file's time can hold; beyond, as near as it goes */

/* One time of utimensat(2) into *ns; clears `bit` for UTIME_OMIT. */
static int time_arg(const struct __kernel_timespec *ts, s64 now, s64 *ns, u32 *valid, u32 bit,
                    bool *is_now)
{
    if (ts->tv_nsec == UTIME_NOW) {
        *ns = now;
        *is_now = true;
        return 0;
    }
    if (ts->tv_nsec == UTIME_OMIT) {
        *valid &= ~bit;
        return 0;
    }
    if (ts->tv_nsec < 0 || (u64)ts->tv_nsec >= NSEC_PER_SEC)
        return -EINVAL;
    *ns = min(max(ts->tv_sec, -SECONDS_MAX), SECONDS_MAX) * (s64)NSEC_PER_SEC + ts->tv_nsec;
    return 0;
}

/* Both times; NULL means now. *times_now: the caller needs write permission only. */
static int times_attr(const struct __kernel_timespec *ts, struct iattr *a, bool *times_now)
{
    s64 now = (s64)time_realtime();
    bool a_now = false, m_now = false;
    int err;

    *a = (struct iattr){.valid = ATTR_ATIME | ATTR_MTIME, .atime = now, .mtime = now};
    *times_now = true;
    if (!ts)
        return 0;
    err = time_arg(&ts[0], now, &a->atime, &a->valid, ATTR_ATIME, &a_now);
    if (!err)
        err = time_arg(&ts[1], now, &a->mtime, &a->valid, ATTR_MTIME, &m_now);
    *times_now = a_now && m_now;
    return err;
}

static long change_times(int dfd, const char __user *path, const struct __kernel_timespec *ts,
                         int flags)
{
    struct iattr a;
    bool times_now;
    int err = times_attr(ts, &a, &times_now);

    if (err)
        return err;
    if (!path && dfd != AT_FDCWD)
        return flags ? -EINVAL : fd_change(dfd, &a, times_now);
    return user_change(dfd, path, at_lookup(flags), &a, times_now);
}

long sys_utimensat(int dfd, const char __user *path, const struct __kernel_timespec __user *uts,
                   int flags)
{
    struct __kernel_timespec ts[2];

    if (uts && copy_from_user(ts, uts, sizeof(ts)))
        return -EFAULT;
    if (uts && ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
        return 0;
    if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return change_times(dfd, path, uts ? ts : NULL, flags);
}

long sys_futimesat(int dfd, const char __user *path, const struct __kernel_old_timeval __user *utv)
{
    struct __kernel_old_timeval tv[2];
    struct __kernel_timespec ts[2];

    if (!utv)
        return change_times(dfd, path, NULL, 0);
    if (copy_from_user(tv, utv, sizeof(tv)))
        return -EFAULT;
    for (int i = 0; i < 2; i++) {
        if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
            return -EINVAL;
        ts[i].tv_sec = tv[i].tv_sec;
        ts[i].tv_nsec = tv[i].tv_usec * 1000;
    }
    return change_times(dfd, path, ts, 0);
}

long sys_utimes(const char __user *path, const struct __kernel_old_timeval __user *utv)
{
    return sys_futimesat(AT_FDCWD, path, utv);
}

long sys_utime(const char __user *path, const struct utimbuf __user *ubuf)
{
    struct utimbuf buf;
    struct __kernel_timespec ts[2] = {0};

    if (!ubuf)
        return change_times(AT_FDCWD, path, NULL, 0);
    if (copy_from_user(&buf, ubuf, sizeof(buf)))
        return -EFAULT;
    ts[0].tv_sec = buf.actime;
    ts[1].tv_sec = buf.modtime;
    return change_times(AT_FDCWD, path, ts, 0);
}

/* ---- Size ---------------------------------------------------------------------------------------------------- */

static int truncate_locked(struct inode *inode, u64 size)
{
    struct iattr a = {.valid = ATTR_SIZE | ATTR_MTIME, .size = size, .mtime = time_realtime()};
    int err = inode_newsize_ok(inode, size);

    if (err)
        return err;
    if ((inode->mode & (S_ISUID | S_ISGID)) && !capable(CAP_FSETID)) {
        a.valid |= ATTR_MODE;
        a.mode = inode->mode & (inode->mode & S_IXGRP ? 01777u : 03777u);
    }
    return inode_setattr(inode, &a);
}

int inode_truncate(struct inode *inode, u64 size)
{
    int err;

    if (S_ISDIR(inode->mode))
        return -EISDIR;
    if (!S_ISREG(inode->mode) || (loff_t)size < 0)
        return -EINVAL;
    mutex_lock(&inode->lock);
    err = truncate_locked(inode, size);
    mutex_unlock(&inode->lock);
    return err;
}

static int truncate_path(const struct path *p, u64 size)
{
    struct inode *inode = p->dentry->inode;
    int err;

    if (S_ISDIR(inode->mode))
        return -EISDIR;
    if (!S_ISREG(inode->mode))
        return -EINVAL;
    err = path_want_write(p);
    if (!err)
        err = inode_permission(inode, MAY_WRITE);
    if (!err && __atomic_load_n(&inode->writers, __ATOMIC_ACQUIRE) < 0)
        err = -ETXTBSY;
    return err ? err : inode_truncate(inode, size);
}

long sys_truncate(const char __user *path, off_t size)
{
    struct path p;
    int err;

    if (size < 0)
        return -EINVAL;
    err = path_lookup_user(AT_FDCWD, path, LOOKUP_FOLLOW, &p);
    if (err)
        return err;
    err = truncate_path(&p, (u64)size);
    path_put(&p);
    return err;
}
