/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes of ramfs: a list per inode, newest first. The VFS checked names, sizes and
 * permissions and holds inode->lock.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <linux/xattr.h>

#include "ramfs.h"

static struct ramfs_xattr **xattr_find(struct inode *inode, const char *name)
{
    struct ramfs_xattr **p = &ramfs_info(inode)->xattrs;

    while (*p && strcmp((*p)->name, name) != 0)
        p = &(*p)->next;
    return p;
}

ssize_t ramfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    const struct ramfs_xattr *x = *xattr_find(inode, name);

    if (!x)
        return -ENODATA;
    if (size) {
        if (x->size > size)
            return -ERANGE;
        memcpy(buf, x->value, x->size);
    }
    return (ssize_t)x->size;
}

static void xattr_unlink(struct ramfs_xattr **p)
{
    struct ramfs_xattr *x = *p;

    *p = x->next;
    kfree(x);
}

int ramfs_setxattr(struct inode *inode, const char *name, const void *buf, size_t size, int flags)
{
    struct ramfs_xattr **p = xattr_find(inode, name), *x;
    size_t name_size = strlen(name) + 1;

    if (*p && (flags & XATTR_CREATE))
        return -EEXIST;
    if (!*p && (flags & XATTR_REPLACE))
        return -ENODATA;
    x = kmalloc(sizeof(*x) + name_size + size);
    if (!x)
        return -ENOSPC;
    memcpy(x->name, name, name_size);
    x->value = x->name + name_size;
    memcpy(x->value, buf, size);
    x->size = size;
    if (*p)
        xattr_unlink(p);
    x->next = ramfs_info(inode)->xattrs;
    ramfs_info(inode)->xattrs = x;
    return 0;
}

ssize_t ramfs_listxattr(struct inode *inode, char *buf, size_t size)
{
    size_t used = 0;

    for (struct ramfs_xattr *x = ramfs_info(inode)->xattrs; x; x = x->next) {
        size_t n = strlen(x->name) + 1;

        if (size && used + n > size)
            return -ERANGE;
        if (size)
            memcpy(buf + used, x->name, n);
        used += n;
    }
    return (ssize_t)used;
}

int ramfs_removexattr(struct inode *inode, const char *name)
{
    struct ramfs_xattr **p = xattr_find(inode, name);

    if (!*p)
        return -ENODATA;
    xattr_unlink(p);
    return 0;
}

void ramfs_xattr_destroy(struct inode *inode)
{
    while (ramfs_info(inode)->xattrs)
        xattr_unlink(&ramfs_info(inode)->xattrs);
}
