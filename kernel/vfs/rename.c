/* SPDX-License-Identifier: MIT */
/*
 * rename(2), renameat2(2). A rename across directories holds g_rename_lock, so that the tree's shape
 * stands still while ancestors are compared; then both directories are locked, the ancestor first.
 * Source: rename(2).
 */
#include <syscalls.gen.h>
#include <linux/fs.h>

#include "internal.h"

static mutex_t g_rename_lock = MUTEX_INIT("rename");

/* One rename under way. */
struct renaming {
    struct walk from, to;
    struct name from_name, to_name;
    struct dentry *odir, *ndir; /* the directories, held by the walks */
    struct dentry *old, *new;   /* the names; references */
    unsigned flags;
};

/* ---- Locks --------------------------------------------------------------------------------------- */

/* Locks both directories. *trap: the child of one directory that leads down to the other, or NULL. */
static void lock_dirs(struct renaming *r, struct dentry **old_trap, struct dentry **new_trap)
    NO_LOCK_ANALYSIS
{
    struct inode *a = r->odir->inode, *b = r->ndir->inode;
    bool a_below_b, b_below_a;

    *old_trap = *new_trap = NULL;
    if (r->odir == r->ndir) {
        mutex_lock(&a->lock);
        return;
    }
    mutex_lock(&g_rename_lock);
    spin_lock(&g_dcache_lock);
    a_below_b = dentry_is_below(r->odir, r->ndir);
    b_below_a = dentry_is_below(r->ndir, r->odir);
    for (struct dentry *d = r->ndir; b_below_a && d != r->odir; d = d->parent)
        *old_trap = d;
    for (struct dentry *d = r->odir; a_below_b && d != r->ndir; d = d->parent)
        *new_trap = d;
    spin_unlock(&g_dcache_lock);
    if (a_below_b || (!b_below_a && a > b)) {
        mutex_lock(&b->lock);
        mutex_lock(&a->lock);
    } else {
        mutex_lock(&a->lock);
        mutex_lock(&b->lock);
    }
}

static void unlock_dirs(struct renaming *r) NO_LOCK_ANALYSIS
{
    mutex_unlock(&r->odir->inode->lock);
    if (r->odir == r->ndir)
        return;
    mutex_unlock(&r->ndir->inode->lock);
    mutex_unlock(&g_rename_lock);
}

/* The inodes that are renamed and replaced, neither of them one of the directories. */
static void lock_victims(struct inode *a, struct inode *b) NO_LOCK_ANALYSIS
{
    if (!b || a == b) {
        mutex_lock(&a->lock);
        return;
    }
    mutex_lock(a < b ? &a->lock : &b->lock);
    mutex_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_victims(struct inode *a, struct inode *b) NO_LOCK_ANALYSIS
{
    mutex_unlock(&a->lock);
    if (b && a != b)
        mutex_unlock(&b->lock);
}

/* ---- Checks ---------------------------------------------------------------------------------------- */

/* A name that ends in slashes must be a directory (or become one). */
static int check_trailing(const struct renaming *r)
{
    if (r->flags & RENAME_EXCHANGE && r->to.trailing && !S_ISDIR(r->new->inode->mode))
        return -ENOTDIR;
    if (S_ISDIR(r->old->inode->mode))
        return 0;
    if (r->from.trailing || (!(r->flags & RENAME_EXCHANGE) && r->to.trailing))
        return -ENOTDIR;
    return 0;
}

static int check_target(const struct renaming *r)
{
    bool is_dir = S_ISDIR(r->old->inode->mode);

    if (!dentry_positive(r->new))
        return may_create(r->ndir->inode);
    if (r->flags & RENAME_EXCHANGE)
        return may_delete(r->ndir->inode, r->new->inode, S_ISDIR(r->new->inode->mode));
    return may_delete(r->ndir->inode, r->new->inode, is_dir);
}

static int check_names(const struct renaming *r, const struct dentry *old_trap,
                       const struct dentry *new_trap)
{
    bool exchange = r->flags & RENAME_EXCHANGE;
    int err;

    if (!dentry_positive(r->old))
        return -ENOENT;
    if (dentry_positive(r->new) && (r->flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (!dentry_positive(r->new) && exchange)
        return -ENOENT;
    err = check_trailing(r);
    if (err)
        return err;
    if (r->old == old_trap)
        return -EINVAL;
    if (r->new == new_trap)
        return exchange ? -EINVAL : -ENOTEMPTY;
    err = may_delete(r->odir->inode, r->old->inode, S_ISDIR(r->old->inode->mode));
    if (!err)
        err = check_target(r);
    if (err)
        return err;
    if ((r->old->flags | r->new->flags) & DENTRY_MOUNTED)
        return -EBUSY;
    /* a directory that moves gets a new "..": that writes to it */
    if (S_ISDIR(r->old->inode->mode) && r->odir != r->ndir)
        err = inode_permission(r->old->inode, MAY_WRITE);
    if (!err && exchange && S_ISDIR(r->new->inode->mode) && r->odir != r->ndir)
        err = inode_permission(r->new->inode, MAY_WRITE);
    return err;
}

/* ---- The rename ------------------------------------------------------------------------------------- */

static int rename_entries(struct renaming *r)
{
    struct inode *odir = r->odir->inode, *ndir = r->ndir->inode;
    struct inode *inode = r->old->inode, *target = r->new->inode;
    int err;

    if (inode == target)
        return 0;
    if (!odir->ops->rename)
        return -EPERM;
    lock_victims(inode, target);
    err = odir->ops->rename(odir, r->old->name, r->old->name_size, inode, ndir, r->new->name,
                            r->new->name_size, target, r->flags);
    unlock_victims(inode, target);
    if (!err)
        dentry_move(r->old, r->new, r->flags & RENAME_EXCHANGE);
    return err;
}

static int lookup_both(struct renaming *r)
{
    r->old = lookup_child_locked(r->odir, r->from.last, r->from.last_size);
    if (IS_ERR(r->old))
        return (int)PTR_ERR(r->old);
    r->new = lookup_child_locked(r->ndir, r->to.last, r->to.last_size);
    if (!IS_ERR(r->new))
        return 0;
    dentry_put(r->old);
    return (int)PTR_ERR(r->new);
}

static int rename_between(struct renaming *r)
{
    struct dentry *old_trap, *new_trap;
    bool replaced_dir = false;
    int err;

    r->odir = r->from.path.dentry;
    r->ndir = r->to.path.dentry;
    lock_dirs(r, &old_trap, &new_trap);
    err = lookup_both(r);
    if (err) {
        unlock_dirs(r);
        return err;
    }
    err = check_names(r, old_trap, new_trap);
    if (!err) {
        replaced_dir = r->new->inode && S_ISDIR(r->new->inode->mode);
        err = rename_entries(r);
    }
    unlock_dirs(r);
    if (!err && replaced_dir && !(r->flags & RENAME_EXCHANGE))
        dentry_prune_children(r->new);
    dentry_put(r->old);
    dentry_put(r->new);
    return err;
}

static int rename_walk(struct renaming *r, int olddfd, int newdfd)
{
    int err = walk_to_parent(&r->from, olddfd, r->from_name.s);

    if (!err) {
        err = walk_to_parent(&r->to, newdfd, r->to_name.s);
        if (!err && r->from.path.mnt != r->to.path.mnt)
            err = -EXDEV;
        if (!err && r->from.last_type != LAST_NORM)
            err = -EBUSY;
        if (!err && r->to.last_type != LAST_NORM)
            err = r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
        if (!err)
            err = path_want_write(&r->from.path);
        if (!err)
            err = rename_between(r);
        walk_end(&r->to);
    }
    walk_end(&r->from);
    return err;
}

long sys_renameat2(int olddfd, const char __user *oldpath, int newdfd, const char __user *newpath,
                   unsigned flags)
{
    struct renaming r = {.flags = flags};
    int err;

    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
        return -EINVAL;
    if ((flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) && (flags & RENAME_EXCHANGE))
        return -EINVAL;
    if (flags & RENAME_WHITEOUT)
        return -EINVAL; /* no file system here has whiteouts */
    err = name_from_user(&r.from_name, oldpath, false);
    if (err)
        return err;
    err = name_from_user(&r.to_name, newpath, false);
    if (!err) {
        err = rename_walk(&r, olddfd, newdfd);
        name_put(&r.to_name);
    }
    name_put(&r.from_name);
    return err;
}

long sys_renameat(int olddfd, const char __user *oldpath, int newdfd, const char __user *newpath)
{
    return sys_renameat2(olddfd, oldpath, newdfd, newpath, 0);
}

long sys_rename(const char __user *oldpath, const char __user *newpath)
{
    return sys_renameat2(AT_FDCWD, oldpath, AT_FDCWD, newpath, 0);
}
