/* SPDX-License-Identifier: MIT */
/*
 * open(2) and its family. Every form becomes an open_request; a descriptor number is taken before
 * anything is created. Source: open(2), openat2(2), creat(2).
 */
#include <kernel/alloc.h>
#include <syscalls.gen.h>
#include <linux/mount.h>
#include <linux/openat2.h>

#include "internal.h"
#include "rw.h"

#define TMPFILE_FLAG (O_TMPFILE & ~O_DIRECTORY)
#define VALID_OPEN_FLAGS                                                                           \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |          \
     O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |            \
     O_CLOEXEC | O_PATH | TMPFILE_FLAG)
#define O_PATH_FLAGS   (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define OPEN_HOW_SIZE_VER0 24u
#define CREATION_FLAGS (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)
#define VALID_RESOLVE                                                                              \
    (RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |             \
     RESOLVE_IN_ROOT | RESOLVE_CACHED)

/* ---- Flags --------------------------------------------------------------------------------------- */

/* The checks that openat2 and open share, on a request whose unknown bits are gone. */
static int request_check(struct open_request *r)
{
    if (r->flags & TMPFILE_FLAG) {
        if ((r->flags & O_TMPFILE) != O_TMPFILE || (r->flags & O_CREAT) ||
            !(r->flags & (O_WRONLY | O_RDWR)))
            return -EINVAL;
    }
    if ((r->flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
        return -EINVAL;
    if (r->flags & (O_SYNC & ~O_DSYNC))
        r->flags |= O_DSYNC;
    if ((r->resolve & RESOLVE_CACHED) && (r->flags & (O_TRUNC | O_CREAT | TMPFILE_FLAG)))
        return -EAGAIN;
    return 0;
}

/* open(2) ignores what it does not know. */
static struct open_request request_legacy(int flags, mode_t mode)
{
    struct open_request r = {(flags & VALID_OPEN_FLAGS) | O_LARGEFILE, 0, 0};

    if (r.flags & O_PATH)
        r.flags &= O_PATH_FLAGS;
    if (r.flags & (O_CREAT | TMPFILE_FLAG))
        r.mode = mode & 07777;
    return r;
}

static int request_from_how(const struct open_how *how, struct open_request *r)
{
    if ((how->flags & ~(u64)VALID_OPEN_FLAGS) || (how->resolve & ~(u64)VALID_RESOLVE))
        return -EINVAL;
    if ((how->resolve & RESOLVE_BENEATH) && (how->resolve & RESOLVE_IN_ROOT))
        return -EINVAL;
    if ((how->flags & O_PATH) && (how->flags & ~(u64)O_PATH_FLAGS))
        return -EINVAL;
    if (how->mode & ~07777UL)
        return -EINVAL;
    if (how->mode && !(how->flags & (O_CREAT | TMPFILE_FLAG)))
        return -EINVAL;
    r->flags = (int)how->flags | (how->flags & O_PATH ? 0 : O_LARGEFILE);
    r->mode = (mode_t)how->mode;
    r->resolve = how->resolve;
    return 0;
}

/* ---- May it be opened so? ------------------------------------------------------------------------- */

static int access_mask(int flags)
{
    static const u8 masks[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};

    return masks[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int may_open_type(const struct path *p, int flags, int mask)
{
    switch (p->dentry->inode->mode & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        return (mask & MAY_WRITE) || (flags & O_CREAT) ? -EISDIR : 0;
    case S_IFCHR:
    case S_IFBLK:
        return p->mnt->flags & MS_NODEV ? -EACCES : 0;
    case S_IFREG:
        return (mask & MAY_WRITE) ? path_want_write(p) : 0;
    case S_IFSOCK:
        return -ENXIO;
    }
    return 0;
}

static int may_open(const struct path *p, int flags)
{
    int mask = access_mask(flags);
    int err = may_open_type(p, flags, mask);

    if (err)
        return err;
    err = inode_permission(p->dentry->inode, mask);
    if (err)
        return err;
    if ((flags & O_NOATIME) && !inode_owner_or_capable(p->dentry->inode))
        return -EPERM;
    return 0;
}

/* ---- Opening ---------------------------------------------------------------------------------------- */

/* Opens what stands at `p`; `created` files are open to their creator whatever their mode says. */
static int open_existing(struct file *f, const struct path *p, int flags, bool created)
{
    struct inode *inode = p->dentry->inode;
    int err;

    if ((flags & O_DIRECTORY) && !S_ISDIR(inode->mode))
        return -ENOTDIR;
    if (!created && !(flags & O_PATH)) {
        err = may_open(p, flags);
        if (err)
            return err;
    }
    err = file_open_path(f, p);
    if (!err && (flags & O_TRUNC) && !created && S_ISREG(inode->mode))
        err = inode_truncate(inode, 0);
    return err;
}

static int create_regular(struct dentry *dir, struct dentry *d, mode_t mode)
{
    struct inode *inode, *parent = dir->inode;
    int err = may_create(parent);

    if (err)
        return err;
    if (!parent->ops->create)
        return -EACCES;
    err = parent->ops->create(parent, d->name, d->name_size,
                              S_IFREG | (mode & ~current_umask()), 0, &inode);
    if (!err)
        dentry_instantiate(d, inode);
    return err;
}

/* The last component, created when it is missing. *d: positive, with a reference. */
static int open_last(struct walk *w, const struct open_request *r, struct dentry **d, bool *created)
{
    struct dentry *dir = w->path.dentry;
    int err = 0;

    mutex_lock(&dir->inode->lock);
    *d = lookup_child_locked(dir, w->last, w->last_size);
    if (IS_ERR(*d)) {
        err = (int)PTR_ERR(*d);
    } else if (!dentry_positive(*d)) {
        err = w->trailing ? -EISDIR : path_want_write(&w->path);
        if (!err)
            err = create_regular(dir, *d, r->mode);
        *created = !err;
        if (err)
            dentry_put(*d);
    }
    mutex_unlock(&dir->inode->lock);
    return err;
}

/* Opens the positive `d` (consumes it) standing in w->path. */
static int open_found(struct walk *w, struct file *f, const struct open_request *r,
                      struct dentry *d, bool created)
{
    struct path p = {w->path.mnt, d};
    int err;

    mount_get(p.mnt);
    if (unlikely(d->flags & DENTRY_MOUNTED)) {
        struct path top = p;

        spin_lock(&g_dcache_lock);
        mount_cross(&top);
        path_get(&top);
        spin_unlock(&g_dcache_lock);
        path_put(&p);
        p = top;
    }
    if (p.mnt != w->path.mnt && (w->resolve & RESOLVE_NO_XDEV))
        err = -EXDEV;
    else
        err = open_existing(f, &p, r->flags, created);
    path_put(&p);
    return err;
}

/* From the last component on, through links, creating. */
static int open_create_last(struct walk *w, struct file *f, const struct open_request *r)
{
    for (;;) {
        bool created = false;
        struct dentry *d;
        int err;

        if (w->last_type != LAST_NORM)
            return w->last || S_ISDIR(w->path.dentry->inode->mode)
                       ? -EISDIR
                       : open_existing(f, &w->path, r->flags, false);
        err = open_last(w, r, &d, &created);
        if (err)
            return err;
        if (!created && (r->flags & O_EXCL)) {
            dentry_put(d);
            return -EEXIST;
        }
        if (!S_ISLNK(d->inode->mode))
            return open_found(w, f, r, d, created);
        if (r->flags & O_NOFOLLOW) {
            dentry_put(d);
            return -ELOOP;
        }
        w->last = NULL;
        err = walk_follow(w, d);
        if (err)
            return err;
    }
}

static int open_create(struct file *f, int dfd, const char *name, const struct open_request *r)
{
    struct walk w;
    int err;

    if (!*name)
        return -ENOENT;
    walk_init(&w, 0, r->resolve);
    err = walk_start(&w, dfd, name);
    if (!err)
        err = walk_parent(&w, name);
    if (!err)
        err = open_create_last(&w, f, r);
    walk_end(&w);
    return err;
}

/* An unnamed file in the directory `dir`; linkat(2) can name it later unless O_EXCL. */
static int open_tmpfile(struct file *f, const struct path *dir, const struct open_request *r)
{
    struct inode *inode, *parent = dir->dentry->inode;
    struct path p = {dir->mnt, NULL};
    char name[24];
    int err = path_want_write(dir);

    if (!err)
        err = inode_permission(parent, MAY_WRITE | MAY_EXEC);
    if (err)
        return err;
    if (!parent->ops->tmpfile)
        return -EOPNOTSUPP;
    mutex_lock(&parent->lock);
    err = parent->ops->tmpfile(parent, S_IFREG | (r->mode & ~current_umask()), &inode);
    mutex_unlock(&parent->lock);
    if (err)
        return err;
    if (!(r->flags & O_EXCL))
        inode->flags |= INODE_LINKABLE;
    snprintf(name, sizeof(name), "#%lu", (unsigned long)inode->ino);
    p.dentry = dentry_create(dir->dentry, name, strlen(name), 0, inode);
    if (!p.dentry)
        return -ENOMEM;
    err = file_open_path(f, &p);
    dentry_put(p.dentry);
    return err;
}

static int open_plain(struct file *f, int dfd, const char *name, const struct open_request *r)
{
    unsigned flags = (r->flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
                     (r->flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0);
    struct path p;
    int err = path_lookup_full(dfd, name, flags, r->resolve, NULL, &p);

    if (err)
        return err;
    if (r->flags & TMPFILE_FLAG)
        err = open_tmpfile(f, &p, r);
    else
        err = open_existing(f, &p, r->flags, false);
    path_put(&p);
    return err;
}

struct file *open_path_at(int dfd, const char *name, const struct open_request *r)
{
    /* O_NOCTTY is for the terminal's open op, and not kept. */
    struct file *f = file_alloc(r->flags & ~((CREATION_FLAGS & ~O_NOCTTY) | O_CLOEXEC));
    int err;

    if (!f)
        return ERR_PTR(-ENOMEM);
    if (r->flags & O_CREAT && !(r->flags & O_PATH))
        err = open_create(f, dfd, name, r);
    else
        err = open_plain(f, dfd, name, r);
    f->flags &= ~(unsigned)O_NOCTTY;
    if (likely(!err))
        return f;
    file_put(f);
    return ERR_PTR(err);
}

struct file *file_open_at(int dfd, const char *name, int flags, mode_t mode)
{
    struct open_request r = request_legacy(flags, mode);
    int err = request_check(&r);

    return err ? ERR_PTR(err) : open_path_at(dfd, name, &r);
}

/* ---- System calls ---------------------------------------------------------------------------------------- */

static long open_fd(int dfd, const char __user *path, struct open_request *r)
{
    struct file *f;
    struct name n;
    int fd, err = request_check(r);

    if (err)
        return err;
    err = name_from_user(&n, path, false);
    if (err)
        return err;
    fd = fd_reserve(0, r->flags & O_CLOEXEC);
    if (fd >= 0) {
        f = open_path_at(dfd, n.s, r);
        if (IS_ERR(f)) {
            fd_cancel(fd);
            fd = (int)PTR_ERR(f);
        } else {
            fd_commit(fd, f);
        }
    }
    name_put(&n);
    return fd;
}

long sys_openat(int dfd, const char __user *path, int flags, mode_t mode)
{
    struct open_request r = request_legacy(flags, mode);

    return open_fd(dfd, path, &r);
}

long sys_open(const char __user *path, int flags, mode_t mode)
{
    return sys_openat(AT_FDCWD, path, flags, mode);
}

long sys_creat(const char __user *path, mode_t mode)
{
    return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

long sys_openat2(int dfd, const char __user *path, const struct open_how __user *uhow, size_t size)
{
    struct open_how how;
    struct open_request r;
    int err;

    if (size < OPEN_HOW_SIZE_VER0)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    err = copy_struct_from_user(&how, sizeof(how), uhow, size);
    if (!err)
        err = request_from_how(&how, &r);
    return err ? err : open_fd(dfd, path, &r);
}
