/* SPDX-License-Identifier: MIT */
/*
 * The twelve calls for extended attributes: names, sizes and permissions are checked here, the file
 * system stores. Source: xattr(7), setxattr(2), getxattr(2), listxattr(2), removexattr(2).
 */
#include <kernel/alloc.h>
#include <syscalls.gen.h>
#include <linux/xattr.h>

#include "internal.h"

#define XATTR_SIZE_MAX_ 65536u
#define XATTR_LIST_MAX_ 65536u

static bool has_prefix(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

/* May the name be read or (write) changed on this inode? */
static int xattr_permission(struct inode *inode, const char *name, bool write)
{
    if (has_prefix(name, "system."))
        return -EOPNOTSUPP; /* access control lists are not kept */
    if (has_prefix(name, "security."))
        return write && !capable(CAP_SYS_ADMIN) && strcmp(name, "security.capability") != 0 ? -EPERM
                                                                                            : 0;
    if (has_prefix(name, "trusted."))
        return capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
    if (!has_prefix(name, "user."))
        return -EOPNOTSUPP;
    if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode))
        return write ? -EPERM : -ENODATA;
    if (write && S_ISDIR(inode->mode) && (inode->mode & S_ISVTX) &&
        !inode_owner_or_capable(inode))
        return -EPERM;
    return inode_permission(inode, write ? MAY_WRITE : MAY_READ);
}

static int name_in(char name[XATTR_NAME_MAX + 1], const char __user *uname)
{
    ssize_t n = strncpy_from_user(name, uname, XATTR_NAME_MAX + 1);

    if (n == -ENAMETOOLONG || n == 0)
        return -ERANGE;
    if (n > 0 && !strchr(name, '.'))
        return -EOPNOTSUPP;
    if (n > 0 && name[n - 1] == '.' && strchr(name, '.') == name + n - 1)
        return -EINVAL; /* a prefix alone */
    return n < 0 ? (int)n : 0;
}

/* ---- The work on a path -------------------------------------------------------------------------------- */

/* What one call wants; `value` and `list` are the caller's memory. */
struct request {
    const char __user *name;
    const void __user *in;
    void __user *out;
    size_t size;
    int flags;
};

static long set_value(const struct path *p, const char *name, const struct request *r,
                      const void *value)
{
    struct inode *inode = p->dentry->inode;
    int err = path_want_write(p);

    if (err)
        return err;
    mutex_lock(&inode->lock);
    err = xattr_permission(inode, name, true);
    if (!err)
        err = inode->ops->setxattr ? inode->ops->setxattr(inode, name, value, r->size, r->flags)
                                   : -EOPNOTSUPP;
    if (!err)
        inode_touch(inode, ATTR_CTIME);
    mutex_unlock(&inode->lock);
    return err;
}

static long do_set(const struct path *p, const struct request *r)
{
    char name[XATTR_NAME_MAX + 1];
    void *value;
    long err;

    if (r->flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    err = name_in(name, r->name);
    if (err)
        return err;
    if (r->size > XATTR_SIZE_MAX_)
        return -E2BIG;
    value = kmalloc(r->size ? r->size : 1);
    if (!value)
        return -ENOMEM;
    if (copy_from_user(value, r->in, r->size))
        err = -EFAULT;
    else
        err = set_value(p, name, r, value);
    kfree(value);
    return err;
}

static long get_value(struct inode *inode, const char *name, void *buf, size_t size)
{
    long n;

    mutex_lock(&inode->lock);
    n = xattr_permission(inode, name, false);
    if (!n)
        n = inode->ops->getxattr ? inode->ops->getxattr(inode, name, buf, size) : -EOPNOTSUPP;
    mutex_unlock(&inode->lock);
    return n;
}

static long do_get(const struct path *p, const struct request *r)
{
    char name[XATTR_NAME_MAX + 1];
    size_t size = min(r->size, (size_t)XATTR_SIZE_MAX_);
    void *buf = NULL;
    long n = name_in(name, r->name);

    if (n)
        return n;
    if (size) {
        buf = kmalloc(size);
        if (!buf)
            return -ENOMEM;
    }
    n = get_value(p->dentry->inode, name, buf, size);
    if (n > 0 && size && copy_to_user(r->out, buf, (size_t)n))
        n = -EFAULT;
    kfree(buf);
    return n;
}

static long list_names(struct inode *inode, char *buf, size_t size)
{
    long n;

    mutex_lock(&inode->lock);
    n = inode->ops->listxattr ? inode->ops->listxattr(inode, buf, size) : 0;
    mutex_unlock(&inode->lock);
    return n;
}

/* Trusted names are for the privileged only. Returns what is left. */
static long hide_trusted(char *buf, long size)
{
    long out = 0;

    for (long at = 0, n; at < size; at += n) {
        n = (long)strlen(buf + at) + 1;
        if (has_prefix(buf + at, "trusted."))
            continue;
        memmove(buf + out, buf + at, (size_t)n);
        out += n;
    }
    return out;
}

static long do_list(const struct path *p, const struct request *r)
{
    char *buf = kmalloc(XATTR_LIST_MAX_);
    long n;

    if (!buf)
        return -ENOMEM;
    n = list_names(p->dentry->inode, buf, XATTR_LIST_MAX_);
    if (n == -ERANGE)
        n = -E2BIG;
    if (n > 0 && !capable(CAP_SYS_ADMIN))
        n = hide_trusted(buf, n);
    if (n > 0 && r->size) {
        if ((size_t)n > r->size)
            n = -ERANGE;
        else if (copy_to_user(r->out, buf, (size_t)n))
            n = -EFAULT;
    }
    kfree(buf);
    return n;
}

static long do_remove(const struct path *p, const struct request *r)
{
    struct inode *inode = p->dentry->inode;
    char name[XATTR_NAME_MAX + 1];
    int err = name_in(name, r->name);

    if (!err)
        err = path_want_write(p);
    if (err)
        return err;
    mutex_lock(&inode->lock);
    err = xattr_permission(inode, name, true);
    if (!err)
        err = inode->ops->removexattr ? inode->ops->removexattr(inode, name) : -EOPNOTSUPP;
    if (!err)
        inode_touch(inode, ATTR_CTIME);
    mutex_unlock(&inode->lock);
    return err;
}

typedef long xattr_fn(const struct path *p, const struct request *r);

static long on_path(const char __user *path, unsigned lookup, xattr_fn *fn,
                    const struct request *r)
{
    struct path p;
    long ret = path_lookup_user(AT_FDCWD, path, lookup, &p);

    if (ret)
        return ret;
    ret = fn(&p, r);
    path_put(&p);
    return ret;
}

static long on_fd(int fd, xattr_fn *fn, const struct request *r)
{
    struct file *f = fd_get(fd);
    long ret;

    if (!f)
        return -EBADF;
    ret = fn(&f->path, r);
    file_put(f);
    return ret;
}

/* ---- System calls ------------------------------------------------------------------------------------------ */

long sys_setxattr(const char __user *path, const char __user *name, const void __user *value,
                  size_t size, int flags)
{
    struct request r = {.name = name, .in = value, .size = size, .flags = flags};

    return on_path(path, LOOKUP_FOLLOW, do_set, &r);
}

long sys_lsetxattr(const char __user *path, const char __user *name, const void __user *value,
                   size_t size, int flags)
{
    struct request r = {.name = name, .in = value, .size = size, .flags = flags};

    return on_path(path, 0, do_set, &r);
}

long sys_fsetxattr(int fd, const char __user *name, const void __user *value, size_t size,
                   int flags)
{
    struct request r = {.name = name, .in = value, .size = size, .flags = flags};

    return on_fd(fd, do_set, &r);
}

long sys_getxattr(const char __user *path, const char __user *name, void __user *value,
                  size_t size)
{
    struct request r = {.name = name, .out = value, .size = size};

    return on_path(path, LOOKUP_FOLLOW, do_get, &r);
}

long sys_lgetxattr(const char __user *path, const char __user *name, void __user *value,
                   size_t size)
{
    struct request r = {.name = name, .out = value, .size = size};

    return on_path(path, 0, do_get, &r);
}

long sys_fgetxattr(int fd, const char __user *name, void __user *value, size_t size)
{
    struct request r = {.name = name, .out = value, .size = size};

    return on_fd(fd, do_get, &r);
}

long sys_listxattr(const char __user *path, void __user *list, size_t size)
{
    struct request r = {.out = list, .size = size};

    return on_path(path, LOOKUP_FOLLOW, do_list, &r);
}

long sys_llistxattr(const char __user *path, void __user *list, size_t size)
{
    struct request r = {.out = list, .size = size};

    return on_path(path, 0, do_list, &r);
}

long sys_flistxattr(int fd, void __user *list, size_t size)
{
    struct request r = {.out = list, .size = size};

    return on_fd(fd, do_list, &r);
}

long sys_removexattr(const char __user *path, const char __user *name)
{
    struct request r = {.name = name};

    return on_path(path, LOOKUP_FOLLOW, do_remove, &r);
}

long sys_lremovexattr(const char __user *path, const char __user *name)
{
    struct request r = {.name = name};

    return on_path(path, 0, do_remove, &r);
}

long sys_fremovexattr(int fd, const char __user *name)
{
    struct request r = {.name = name};

    return on_fd(fd, do_remove, &r);
}
