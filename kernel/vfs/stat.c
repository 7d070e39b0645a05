/* SPDX-License-Identifier: MIT */
/*
 * stat(2), statx(2), statfs(2) and access(2) with their relatives. The cached walk copies attributes
 * out under g_dcache_lock, so the common stat takes no reference and no mutex.
 */
#include <syscalls.gen.h>
#include <kernel/time.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/mount.h>
#include <linux/securebits.h>

#include "internal.h"

#define ST_VALID 0x20 /* statfs.f_flags is filled, see statfs(2)'s kernel ABI */

/* Attributes as they are reported. */
struct kstat {
    struct superblock *sb;
    u64 ino, size, blocks;
    s64 atime, mtime, ctime, btime;
    dev_t dev, rdev;
    mode_t mode;
    u32 nlink, block_size;
    uid_t uid;
    gid_t gid;
    int mnt_id;
    bool mount_root;
};

static void kstat_fill(struct kstat *k, const struct path *p)
{
    const struct inode *i = p->dentry->inode;

    k->ino = i->ino;
    k->size = READ_ONCE(i->size);
    k->blocks = i->blocks;
    k->atime = i->atime;
    k->mtime = i->mtime;
    k->ctime = i->ctime;
    k->btime = i->btime;
    k->dev = i->sb->dev;
    k->rdev = i->rdev;
    k->mode = i->mode;
    k->nlink = i->nlink;
    k->block_size = i->sb->block_size;
    k->uid = i->uid;
    k->gid = i->gid;
    k->mnt_id = p->mnt->id;
    k->mount_root = p->dentry == p->mnt->root;
}

static int kstat_path(struct kstat *k, const struct path *p)
{
    struct inode *i = p->dentry->inode;
    int err = i->ops->getattr ? i->ops->getattr(i) : 0;

    if (!err)
        kstat_fill(k, p);
    return err;
}

static int kstat_slow(struct kstat *k, int dfd, const char *name, unsigned lookup)
{
    struct path p;
    int err = path_lookup_at(dfd, name, lookup, &p);

    if (err)
        return err;
    err = kstat_path(k, &p);
    path_put(&p);
    return err;
}

static int kstat_at(struct kstat *k, int dfd, const char *name, unsigned lookup) NO_LOCK_ANALYSIS
{
    struct walk w;
    int err;

    if (unlikely(!*name && !(lookup & LOOKUP_EMPTY)))
        return -ENOENT;
    walk_init(&w, lookup, 0);
    err = walk_cached(&w, dfd, name);
    if (!err) {
        bool plain = !w.path.dentry->inode->ops->getattr;

        if (likely(plain))
            kstat_fill(k, &w.path);
        spin_unlock(&g_dcache_lock);
        if (likely(plain))
            return 0;
        err = -ECHILD;
    }
    return err == -ECHILD ? kstat_slow(k, dfd, name, lookup) : err;
}

/* By descriptor, O_PATH ones too. */
static int kstat_fd(struct kstat *k, int fd)
{
    struct fd b = fd_borrow(fd);
    struct file *f;
    int err;

    if (likely(b.file)) {
        err = kstat_path(k, &b.file->path);
        fd_release(b);
        return err;
    }
    f = fd_get_path(fd);
    if (!f)
        return -EBADF;
    err = kstat_path(k, &f->path);
    file_put(f);
    return err;
}

static int kstat_user(struct kstat *k, int dfd, const char __user *path, int flags)
{
    unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                      (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct name n;
    int err;

    if ((flags & AT_EMPTY_PATH) && !path && dfd >= 0)
        return kstat_fd(k, dfd);
    err = name_from_user(&n, path, flags & AT_EMPTY_PATH);
    if (err)
        return err;
    if (unlikely(!*n.s) && dfd >= 0)
        err = kstat_fd(k, dfd);
    else
        err = kstat_at(k, dfd, n.s, lookup);
    name_put(&n);
    return err;
}

/* ---- stat(2) -------------------------------------------------------------------------------------- */

static int stat_copy(const struct kstat *k, struct stat __user *ubuf)
{
    struct stat st = {
        .st_dev = k->dev,
        .st_ino = k->ino,
        .st_nlink = k->nlink,
        .st_mode = k->mode,
        .st_uid = k->uid,
        .st_gid = k->gid,
        .st_rdev = k->rdev,
        .st_size = (long)k->size,
        .st_blksize = k->block_size,
        .st_blocks = (long)k->blocks,
        .st_atime = (unsigned long)time_seconds(k->atime),
        .st_atime_nsec = time_rest(k->atime),
        .st_mtime = (unsigned long)time_seconds(k->mtime),
        .st_mtime_nsec = time_rest(k->mtime),
        .st_ctime = (unsigned long)time_seconds(k->ctime),
        .st_ctime_nsec = time_rest(k->ctime),
    };

    return copy_to_user(ubuf, &st, sizeof(st));
}

long sys_newfstatat(int dfd, const char __user *path, struct stat __user *ubuf, int flags)
{
    struct kstat k;
    int err;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
        return -EINVAL;
    err = kstat_user(&k, dfd, path, flags);
    return err ? err : stat_copy(&k, ubuf);
}

long sys_stat(const char __user *path, struct stat __user *ubuf)
{
    return sys_newfstatat(AT_FDCWD, path, ubuf, 0);
}

long sys_lstat(const char __user *path, struct stat __user *ubuf)
{
    return sys_newfstatat(AT_FDCWD, path, ubuf, AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(int fd, struct stat __user *ubuf)
{
    struct kstat k;
    int err = kstat_fd(&k, fd);

    return err ? err : stat_copy(&k, ubuf);
}

/* ---- statx(2) --------------------------------------------------------------------------------------- */

static struct statx_timestamp statx_time(s64 ns)
{
    return (struct statx_timestamp){.tv_sec = time_seconds(ns), .tv_nsec = time_rest(ns)};
}

static void statx_fill(struct statx *x, const struct kstat *k)
{
    memset(x, 0, sizeof(*x));
    x->stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
    x->stx_blksize = k->block_size;
    x->stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
    x->stx_attributes = k->mount_root ? STATX_ATTR_MOUNT_ROOT : 0;
    x->stx_nlink = k->nlink;
    x->stx_uid = k->uid;
    x->stx_gid = k->gid;
    x->stx_mode = (u16)k->mode;
    x->stx_ino = k->ino;
    x->stx_size = k->size;
    x->stx_blocks = k->blocks;
    x->stx_atime = statx_time(k->atime);
    x->stx_btime = statx_time(k->btime);
    x->stx_ctime = statx_time(k->ctime);
    x->stx_mtime = statx_time(k->mtime);
    x->stx_rdev_major = dev_major(k->rdev);
    x->stx_rdev_minor = dev_minor(k->rdev);
    x->stx_dev_major = dev_major(k->dev);
    x->stx_dev_minor = dev_minor(k->dev);
    x->stx_mnt_id = (u64)k->mnt_id;
}

long sys_statx(int dfd, const char __user *path, unsigned flags, unsigned mask,
               struct statx __user *ubuf)
{
    const unsigned known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH |
                           AT_STATX_SYNC_TYPE;
    struct kstat k;
    struct statx x;
    int err;

    if (mask & STATX__RESERVED)
        return -EINVAL;
    if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (flags & ~known))
        return -EINVAL;
    err = kstat_user(&k, dfd, path, (int)flags);
    if (err)
        return err;
    statx_fill(&x, &k);
    return copy_to_user(ubuf, &x, sizeof(x));
}

/* ---- statfs(2) ---------------------------------------------------------------------------------------- */

static long statfs_flags(const struct mount *m)
{
    static const struct {
        unsigned long ms;
        long st;
    } map[] = {{MS_RDONLY, 1},   {MS_NOSUID, 2},     {MS_NODEV, 4},
               {MS_NOEXEC, 8},   {MS_NOATIME, 1024}, {MS_NODIRATIME, 2048}};
    long flags = ST_VALID | (m->flags & MS_NOATIME ? 0 : 4096 /* ST_RELATIME */);

    for (size_t i = 0; i < ARRAY_COUNT(map); i++)
        flags |= m->flags & map[i].ms ? map[i].st : 0;
    return flags;
}

static int statfs_path(const struct path *p, struct statfs __user *ubuf)
{
    struct superblock *sb = p->dentry->inode->sb;
    struct statfs st;
    int err = 0;

    memset(&st, 0, sizeof(st));
    st.f_type = sb->magic;
    st.f_bsize = st.f_frsize = sb->block_size;
    st.f_namelen = NAME_MAX_;
    st.f_fsid.val[0] = (int)sb->dev;
    st.f_flags = statfs_flags(p->mnt);
    if (sb->ops && sb->ops->statfs)
        err = sb->ops->statfs(sb, &st);
    return err ? err : copy_to_user(ubuf, &st, sizeof(st));
}

long sys_statfs(const char __user *path, struct statfs __user *ubuf)
{
    struct path p;
    int err = path_lookup_user(AT_FDCWD, path, LOOKUP_FOLLOW, &p);

    if (err)
        return err;
    err = statfs_path(&p, ubuf);
    path_put(&p);
    return err;
}

long sys_fstatfs(int fd, struct statfs __user *ubuf)
{
    struct file *f = fd_get_path(fd);
    int err;

    if (!f)
        return -EBADF;
    err = statfs_path(&f->path, ubuf);
    file_put(f);
    return err;
}

/* ---- access(2) ------------------------------------------------------------------------------------------ */

/* The real ids' view: capabilities only for root (unless securebits say otherwise). */
static struct cred access_cred(bool effective)
{
    struct cred c = *current_cred();

    if (effective)
        return c;
    c.fsuid = c.uid;
    c.fsgid = c.gid;
    if (!(c.securebits & SECBIT_NO_SETUID_FIXUP))
        c.cap_effective = c.uid ? 0 : c.cap_permitted;
    return c;
}

static int access_path(const struct path *p, const struct cred *c, int mode)
{
    struct inode *inode = p->dentry->inode;
    int err;

    if ((mode & MAY_EXEC) && S_ISREG(inode->mode) && (p->mnt->flags & MS_NOEXEC))
        return -EACCES;
    err = cred_permission(c, inode, mode);
    if (err || !(mode & MAY_WRITE))
        return err;
    return S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode)
               ? path_want_write(p)
               : 0;
}

long sys_faccessat2(int dfd, const char __user *path, int mode, int flags)
{
    unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                      (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct cred c;
    struct name n;
    struct path p;
    int err;

    if ((mode & ~7) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        return -EINVAL;
    err = name_from_user(&n, path, flags & AT_EMPTY_PATH);
    if (err)
        return err;
    c = access_cred(flags & AT_EACCESS);
    err = path_lookup_full(dfd, n.s, lookup, 0, &c, &p);
    name_put(&n);
    if (err)
        return err;
    err = access_path(&p, &c, mode);
    path_put(&p);
    return err;
}

long sys_faccessat(int dfd, const char __user *path, int mode)
{
    return sys_faccessat2(dfd, path, mode, 0);
}

long sys_access(const char __user *path, int mode)
{
    return sys_faccessat2(AT_FDCWD, path, mode, 0);
}
