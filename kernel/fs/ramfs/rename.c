/* SPDX-License-Identifier: MIT */
/* Renames and exchanges in ramfs. The VFS holds both directories' and both children's locks. */
#include <linux/fs.h>
#include <linux/stat.h>

#include "ramfs.h"

/* The ".." of a directory that moved from one parent to another. */
static void moved_dir(struct inode *inode, struct inode *odir, struct inode *ndir)
{
    if (!S_ISDIR(inode->mode) || odir == ndir)
        return;
    odir->nlink--;
    ndir->nlink++;
    ramfs_info(inode)->dir.parent = ndir;
}

static void touch_all(struct inode *odir, struct inode *ndir, struct inode *inode,
                      struct inode *target)
{
    inode_touch(odir, ATTR_MTIME | ATTR_CTIME);
    inode_touch(ndir, ATTR_MTIME | ATTR_CTIME);
    inode_touch(inode, ATTR_CTIME);
    if (target)
        inode_touch(target, ATTR_CTIME);
}

static int exchange(struct inode *odir, struct ramfs_entry *from, struct inode *ndir,
                    struct ramfs_entry *to)
{
    struct inode *inode = from->inode;

    from->inode = to->inode;
    to->inode = inode;
    moved_dir(inode, odir, ndir);
    moved_dir(from->inode, ndir, odir);
    touch_all(odir, ndir, inode, from->inode);
    return 0;
}

/* Over an existing name: its entry takes the new inode, the old one loses a link. */
static void replace(struct inode *odir, struct ramfs_entry *from, struct inode *ndir,
                    struct ramfs_entry *to)
{
    struct inode *inode = from->inode, *target = to->inode;

    to->inode = inode;
    from->inode = target;
    moved_dir(inode, odir, ndir);
    moved_dir(target, ndir, odir);
    ramfs_remove(odir, from);
}

int ramfs_rename(struct inode *odir, const char *oname, size_t osize, struct inode *inode,
                 struct inode *ndir, const char *nname, size_t nsize, struct inode *target,
                 unsigned flags)
{
    struct ramfs_entry *from = ramfs_find(odir, oname, osize);
    struct ramfs_entry *to = target ? ramfs_find(ndir, nname, nsize) : NULL;
    int err;

    if (!from || ((target || flags & RENAME_EXCHANGE) && !to))
        return -ENOENT;
    if (flags & RENAME_EXCHANGE)
        return exchange(odir, from, ndir, to);
    if (target && S_ISDIR(target->mode) && ramfs_info(target)->dir.count)
        return -ENOTEMPTY;
    if (to) {
        replace(odir, from, ndir, to);
    } else {
        err = ramfs_add(ndir, nname, nsize, inode);
        if (err)
            return -ENOSPC;
        ramfs_remove(odir, from);
    }
    touch_all(odir, ndir, inode, target);
    return 0;
}
