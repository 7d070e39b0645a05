/* SPDX-License-Identifier: MIT */
/*
 * Calls that make and remove names: mkdir, mknod, symlink, link, unlink, rmdir; and readlink. Each
 * walks to the parent, locks it, looks the last name up and asks the file system.
 * Source: the man pages of the calls.
 */
#include <kernel/alloc.h>
#include <syscalls.gen.h>

#include "internal.h"

/* ---- Making names ----------------------------------------------------------------------------------- */

/* A creation under way: between create_begin() and create_end() the parent is locked. */
struct creation {
    struct walk w;
    struct name name;
    struct dentry *d; /* negative */
    struct inode *dir;
};

/* The last name of a path to be made must be one, and free. */
static int create_check(struct creation *c, bool is_dir)
{
    int err;

    if (dentry_positive(c->d))
        return -EEXIST;
    if (c->w.trailing && !is_dir)
        return -ENOENT;
    err = path_want_write(&c->w.path);
    return err ? err : may_create(c->dir);
}

static void create_abort(struct creation *c)
{
    walk_end(&c->w);
    name_put(&c->name);
}

static int create_locked(struct creation *c, bool is_dir) NO_LOCK_ANALYSIS
{
    int err;

    c->dir = c->w.path.dentry->inode;
    mutex_lock(&c->dir->lock);
    c->d = lookup_child_locked(c->w.path.dentry, c->w.last, c->w.last_size);
    if (IS_ERR(c->d)) {
        err = (int)PTR_ERR(c->d);
    } else {
        err = create_check(c, is_dir);
        if (err)
            dentry_put(c->d);
    }
    if (err)
        mutex_unlock(&c->dir->lock);
    return err;
}

/* c->name is filled. */
static int create_start(struct creation *c, int dfd, bool is_dir)
{
    int err = walk_to_parent(&c->w, dfd, c->name.s);

    if (!err)
        err = c->w.last_type == LAST_NORM ? create_locked(c, is_dir) : -EEXIST;
    if (err)
        create_abort(c);
    return err;
}

static int create_begin(struct creation *c, int dfd, const char __user *path, bool is_dir)
{
    int err = name_from_user(&c->name, path, false);

    return err ? err : create_start(c, dfd, is_dir);
}

/* `inode` (consumed) stands behind the name now, unless err. */
static int create_end(struct creation *c, int err, struct inode *inode) NO_LOCK_ANALYSIS
{
    if (!err)
        dentry_instantiate(c->d, inode);
    dentry_put(c->d);
    mutex_unlock(&c->dir->lock);
    create_abort(c);
    return err;
}

long sys_mkdirat(int dfd, const char __user *path, mode_t mode)
{
    struct creation c;
    struct inode *inode = NULL;
    int err = create_begin(&c, dfd, path, true);

    if (err)
        return err;
    if (c.dir->ops->mkdir)
        err = c.dir->ops->mkdir(c.dir, c.d->name, c.d->name_size,
                                S_IFDIR | (mode & 01777 & ~current_umask()), &inode);
    else
        err = -EPERM;
    return create_end(&c, err, inode);
}

long sys_mkdir(const char __user *path, mode_t mode)
{
    return sys_mkdirat(AT_FDCWD, path, mode);
}

static int mknod_check(mode_t mode)
{
    switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
        return 0;
    case S_IFCHR:
    case S_IFBLK:
        return capable(CAP_MKNOD) ? 0 : -EPERM;
    case S_IFDIR:
        return -EPERM;
    }
    return -EINVAL;
}

long sys_mknodat(int dfd, const char __user *path, mode_t mode, unsigned dev)
{
    struct creation c;
    struct inode *inode = NULL;
    int err = mknod_check(mode);

    if (err)
        return err;
    err = create_begin(&c, dfd, path, false);
    if (err)
        return err;
    if (!(mode & S_IFMT))
        mode |= S_IFREG;
    mode = (mode & S_IFMT) | (mode & 07777 & ~current_umask());
    if (c.dir->ops->create)
        err = c.dir->ops->create(c.dir, c.d->name, c.d->name_size, mode,
                                 S_ISCHR(mode) || S_ISBLK(mode) ? dev : 0, &inode);
    else
        err = -EPERM;
    return create_end(&c, err, inode);
}

long sys_mknod(const char __user *path, mode_t mode, unsigned dev)
{
    return sys_mknodat(AT_FDCWD, path, mode, dev);
}

int vfs_make_socket(const char *name, mode_t mode, struct path *out)
{
    struct creation c = {.name.s = name};
    struct inode *inode = NULL;
    int err = create_start(&c, AT_FDCWD, false);

    if (err)
        return err;
    mode = S_IFSOCK | (mode & 07777 & ~current_umask());
    if (c.dir->ops->create)
        err = c.dir->ops->create(c.dir, c.d->name, c.d->name_size, mode, 0, &inode);
    else
        err = -EPERM;
    *out = (struct path){c.w.path.mnt, c.d};
    if (!err)
        path_get(out);
    return create_end(&c, err, inode);
}

long sys_symlinkat(const char __user *utarget, int dfd, const char __user *path)
{
    struct creation c;
    struct name target;
    struct inode *inode = NULL;
    int err = name_from_user(&target, utarget, false);

    if (err)
        return err;
    err = create_begin(&c, dfd, path, false);
    if (!err) {
        if (c.dir->ops->symlink)
            err = c.dir->ops->symlink(c.dir, c.d->name, c.d->name_size, target.s, &inode);
        else
            err = -EPERM;
        err = create_end(&c, err, inode);
    }
    name_put(&target);
    return err;
}

long sys_symlink(const char __user *target, const char __user *path)
{
    return sys_symlinkat(target, AT_FDCWD, path);
}

/* ---- Hard links ---------------------------------------------------------------------------------------- */

static int link_check(const struct creation *c, const struct path *old)
{
    const struct inode *inode = old->dentry->inode;

    if (old->mnt != c->w.path.mnt)
        return -EXDEV;
    if (S_ISDIR(inode->mode) || !c->dir->ops->link)
        return -EPERM;
    if (inode->nlink == 0 && !(inode->flags & INODE_LINKABLE))
        return -ENOENT;
    return 0;
}

static int link_to(struct creation *c, const struct path *old)
{
    struct inode *inode = old->dentry->inode;
    int err = link_check(c, old);

    if (!err) {
        mutex_lock(&inode->lock);
        err = c->dir->ops->link(c->dir, c->d->name, c->d->name_size, inode);
        inode->flags &= ~INODE_LINKABLE;
        mutex_unlock(&inode->lock);
    }
    if (!err)
        inode_get(inode);
    return create_end(c, err, inode);
}

long sys_linkat(int olddfd, const char __user *oldpath, int newdfd, const char __user *newpath,
                int flags)
{
    unsigned lookup = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
                      (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct creation c;
    struct path old;
    int err;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if ((flags & AT_EMPTY_PATH) && !capable(CAP_DAC_READ_SEARCH))
        return -ENOENT;
    err = path_lookup_user(olddfd, oldpath, lookup, &old);
    if (err)
        return err;
    err = create_begin(&c, newdfd, newpath, false);
    if (!err)
        err = link_to(&c, &old);
    path_put(&old);
    return err;
}

long sys_link(const char __user *oldpath, const char __user *newpath)
{
    return sys_linkat(AT_FDCWD, oldpath, AT_FDCWD, newpath, 0);
}

/* ---- Removing names ------------------------------------------------------------------------------------- */

/* Both locks held: takes the name out. */
static int remove_locked(struct inode *dir, struct dentry *d, bool is_dir)
{
    struct inode *victim = d->inode;
    int err = may_delete(dir, victim, is_dir);

    if (err)
        return err;
    if (d->flags & DENTRY_MOUNTED)
        return -EBUSY;
    if (is_dir)
        return dir->ops->rmdir ? dir->ops->rmdir(dir, d->name, d->name_size, victim) : -EPERM;
    return dir->ops->unlink ? dir->ops->unlink(dir, d->name, d->name_size, victim) : -EPERM;
}

static int remove_name(struct walk *w, bool is_dir)
{
    struct inode *dir = w->path.dentry->inode;
    struct dentry *d;
    int err;

    mutex_lock(&dir->lock);
    d = lookup_child_locked(w->path.dentry, w->last, w->last_size);
    if (IS_ERR(d)) {
        mutex_unlock(&dir->lock);
        return (int)PTR_ERR(d);
    }
    if (!dentry_positive(d))
        err = -ENOENT;
    else if (w->trailing && !is_dir)
        err = S_ISDIR(d->inode->mode) ? -EISDIR : -ENOTDIR;
    else
        err = path_want_write(&w->path);
    if (!err) {
        mutex_lock(&d->inode->lock);
        err = remove_locked(dir, d, is_dir);
        mutex_unlock(&d->inode->lock);
    }
    if (!err)
        dentry_drop(d);
    mutex_unlock(&dir->lock);
    if (!err && is_dir)
        dentry_prune_children(d);
    dentry_put(d);
    return err;
}

static int last_type_error(enum last_type t, bool is_dir)
{
    switch (t) {
    case LAST_NORM:
        return 0;
    case LAST_DOT:
        return is_dir ? -EINVAL : -EISDIR;
    case LAST_DOTDOT:
        return is_dir ? -ENOTEMPTY : -EISDIR;
    case LAST_ROOT:
        return is_dir ? -EBUSY : -EISDIR;
    }
    return -EINVAL;
}

static int remove_named(int dfd, const char *name, bool is_dir)
{
    struct walk w;
    int err = walk_to_parent(&w, dfd, name);

    if (!err)
        err = last_type_error(w.last_type, is_dir);
    if (!err)
        err = remove_name(&w, is_dir);
    walk_end(&w);
    return err;
}

int vfs_unlink(const char *name)
{
    return remove_named(AT_FDCWD, name, false);
}

static long remove_at(int dfd, const char __user *path, bool is_dir)
{
    struct name n;
    int err = name_from_user(&n, path, false);

    if (err)
        return err;
    err = remove_named(dfd, n.s, is_dir);
    name_put(&n);
    return err;
}

long sys_unlinkat(int dfd, const char __user *path, int flags)
{
    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    return remove_at(dfd, path, flags & AT_REMOVEDIR);
}

long sys_unlink(const char __user *path)
{
    return remove_at(AT_FDCWD, path, false);
}

long sys_rmdir(const char __user *path)
{
    return remove_at(AT_FDCWD, path, true);
}

/* ---- readlink ---------------------------------------------------------------------------------------------- */

static long readlink_text(struct inode *inode, void __user *ubuf, size_t size)
{
    char *buf;
    ssize_t n;

    if (inode->link) {
        n = (ssize_t)min(strlen(inode->link), size);
        return copy_to_user(ubuf, inode->link, (size_t)n) ? -EFAULT : n;
    }
    buf = kmalloc(PATH_MAX);
    if (!buf)
        return -ENOMEM;
    n = inode->ops->readlink(inode, buf, PATH_MAX);
    if (n > 0) {
        n = min(n, (ssize_t)size);
        if (copy_to_user(ubuf, buf, (size_t)n))
            n = -EFAULT;
    }
    kfree(buf);
    return n;
}

long sys_readlinkat(int dfd, const char __user *path, void __user *ubuf, int size)
{
    struct name n;
    struct path p;
    struct inode *inode;
    long ret;
    bool empty;

    if (size <= 0)
        return -EINVAL;
    ret = name_from_user(&n, path, true);
    if (ret)
        return ret;
    empty = !*n.s;
    ret = path_lookup_at(dfd, n.s, LOOKUP_EMPTY, &p);
    name_put(&n);
    if (ret)
        return ret;
    inode = p.dentry->inode;
    if (!S_ISLNK(inode->mode) || (!inode->link && !inode->ops->readlink))
        ret = empty ? -ENOENT : -EINVAL;
    else
        ret = readlink_text(inode, ubuf, (size_t)size);
    path_put(&p);
    return ret;
}

long sys_readlink(const char __user *path, void __user *ubuf, int size)
{
    return sys_readlinkat(AT_FDCWD, path, ubuf, size);
}
