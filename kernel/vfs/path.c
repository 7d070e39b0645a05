/* SPDX-License-Identifier: MIT */
/* Names of paths, and the process' root, working directory and umask. */
#include <kernel/alloc.h>
#include <syscalls.gen.h>

#include "internal.h"

/* ---- Names --------------------------------------------------------------------------------------- */

#define DELETED " (deleted)"

/* Puts `size` bytes before `end`. NULL: no room. */
static char *prepend(const char *buf, char *end, const char *s, size_t size)
{
    if (!end || (size_t)(end - buf) < size)
        return NULL;
    end -= size;
    memcpy(end, s, size);
    return end;
}

static bool path_is_deleted(const struct path *p)
{
    return p->dentry != p->mnt->root && p->dentry->parent != p->dentry &&
           !(p->dentry->flags & DENTRY_HASHED);
}

/* Upwards from `p` until `root`; *reached tells whether it was met. */
static char *prepend_path(const char *buf, char *end, struct path p, const struct path *root,
                          bool *reached) REQUIRES(&g_dcache_lock)
{
    char *start = end;

    while (end) {
        *reached = p.dentry == root->dentry && p.mnt == root->mnt;
        if (*reached)
            break;
        if (p.dentry == p.mnt->root || p.dentry->parent == p.dentry) {
            if (p.mnt->parent == p.mnt)
                break;
            p.dentry = p.mnt->mountpoint;
            p.mnt = p.mnt->parent;
            continue;
        }
        end = prepend(buf, end, p.dentry->name, p.dentry->name_size);
        end = prepend(buf, end, "/", 1);
        p.dentry = p.dentry->parent;
    }
    return end == start ? prepend(buf, end, "/", 1) : end;
}

static char *path_text(const struct path *p, char *buf, size_t size, bool *reached)
    REQUIRES(&g_dcache_lock)
{
    struct fs_context *fs = current->fs;
    char *end = prepend(buf, buf + size, "", 1);
    struct path root;

    *reached = true;
    if (p->dentry->flags & DENTRY_ANON)
        return prepend(buf, end, p->dentry->name, p->dentry->name_size);
    if (path_is_deleted(p))
        end = prepend(buf, end, DELETED, sizeof(DELETED) - 1);
    spin_lock(&fs->lock);
    root = fs->root;
    spin_unlock(&fs->lock);
    return prepend_path(buf, end, *p, &root, reached);
}

static char *path_name_reached(const struct path *p, char *buf, size_t size, bool *reached)
{
    char *s;

    spin_lock(&g_dcache_lock);
    s = path_text(p, buf, size, reached);
    spin_unlock(&g_dcache_lock);
    return s ? s : ERR_PTR(-ENAMETOOLONG);
}

char *path_name(const struct path *p, char *buf, size_t size)
{
    bool reached;

    return path_name_reached(p, buf, size, &reached);
}

/* ---- The process' context ---------------------------------------------------------------------------- */

struct fs_context *fs_context_create(void)
{
    struct fs_context *fs = kzalloc(sizeof(*fs));

    if (!fs)
        return NULL;
    ref_init(&fs->ref);
    spin_init(&fs->lock, "fs");
    mount_root_path(&fs->root);
    fs->cwd = fs->root;
    path_get(&fs->cwd);
    fs->umask = 022;
    return fs;
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
    struct fs_context *fs = kzalloc(sizeof(*fs));

    if (!fs)
        return NULL;
    ref_init(&fs->ref);
    spin_init(&fs->lock, "fs");
    spin_lock(&from->lock);
    fs->root = from->root;
    fs->cwd = from->cwd;
    fs->umask = from->umask;
    path_get(&fs->root);
    path_get(&fs->cwd);
    spin_unlock(&from->lock);
    return fs;
}

void fs_context_put(struct fs_context *fs)
{
    if (!fs || !ref_put(&fs->ref))
        return;
    path_put(&fs->root);
    path_put(&fs->cwd);
    kfree(fs);
}

mode_t current_umask(void)
{
    return READ_ONCE(current->fs->umask);
}

/* Takes over the reference in *to. */
static void fs_set(struct path *which, const struct path *to)
{
    struct fs_context *fs = current->fs;
    struct path old;

    spin_lock(&fs->lock);
    old = *which;
    *which = *to;
    spin_unlock(&fs->lock);
    path_put(&old);
}

/* Consumes `p`. */
static long chdir_to(struct path *p)
{
    int err = inode_permission(p->dentry->inode, MAY_EXEC);

    if (err)
        path_put(p);
    else
        fs_set(&current->fs->cwd, p);
    return err;
}

long sys_chdir(const char __user *path)
{
    struct path p;
    int err = path_lookup_user(AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

    return err ? err : chdir_to(&p);
}

long sys_fchdir(int fd)
{
    struct file *f = fd_get_path(fd);
    struct path p;

    if (!f)
        return -EBADF;
    if (!S_ISDIR(f->inode->mode)) {
        file_put(f);
        return -ENOTDIR;
    }
    p = f->path;
    path_get(&p);
    file_put(f);
    return chdir_to(&p);
}

long sys_chroot(const char __user *path)
{
    struct path p;
    int err = path_lookup_user(AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

    if (err)
        return err;
    err = inode_permission(p.dentry->inode, MAY_EXEC);
    if (!err && !capable(CAP_SYS_CHROOT))
        err = -EPERM;
    if (err)
        path_put(&p);
    else
        fs_set(&current->fs->root, &p);
    return err;
}

long sys_umask(mode_t mask)
{
    struct fs_context *fs = current->fs;
    mode_t old;

    spin_lock(&fs->lock);
    old = fs->umask;
    fs->umask = mask & 0777;
    spin_unlock(&fs->lock);
    return (long)old;
}

#define UNREACHABLE "(unreachable)"

/* The working directory's name in `buf`: -ENOENT when it was removed. */
static char *cwd_text(char *buf, size_t size)
{
    struct fs_context *fs = current->fs;
    bool reached, deleted;
    struct path cwd;
    char *s;

    spin_lock(&fs->lock);
    cwd = fs->cwd;
    path_get(&cwd);
    spin_unlock(&fs->lock);
    s = path_name_reached(&cwd, buf, size, &reached);
    deleted = path_is_deleted(&cwd);
    path_put(&cwd);
    if (IS_ERR(s) || deleted)
        return deleted ? ERR_PTR(-ENOENT) : s;
    if (!reached)
        s = prepend(buf, s, UNREACHABLE, sizeof(UNREACHABLE) - 1);
    return s ? s : ERR_PTR(-ENAMETOOLONG);
}

long sys_getcwd(void __user *ubuf, size_t size)
{
    char *buf = kmalloc(PATH_MAX), *s;
    long ret;

    if (!buf)
        return -ENOMEM;
    s = cwd_text(buf, PATH_MAX);
    if (IS_ERR(s)) {
        ret = PTR_ERR(s);
    } else {
        ret = (long)strlen(s) + 1;
        if ((size_t)ret > size)
            ret = -ERANGE;
        else if (copy_to_user(ubuf, s, (size_t)ret))
            ret = -EFAULT;
    }
    kfree(buf);
    return ret; /* NOLINT(clang-analyzer-unix.Malloc): an error that came as a pointer, not into buf */
}
