/* SPDX-License-Identifier: MIT */
/*
 * Open file descriptions: making them, the last reference, files without a name, kernel reads.
 * A file holds its path (which holds the inode) and the opener's credentials.
 */
#include <kernel/alloc.h>
#include <kernel/poll.h>
#include <kernel/time.h>
#include <linux/mount.h>

#include "internal.h"
#include "rw.h"

#define DAY_NS (24L * 3600 * (s64)NSEC_PER_SEC)

static const struct file_ops g_path_ops; /* O_PATH: nothing works */

struct file *file_alloc(int flags) NO_LOCK_ANALYSIS /* nobody sees it yet */
{
    struct file *f = kmalloc(sizeof(*f));
    struct cred *cred = current->cred;

    if (!f)
        return NULL;
    ref_init(&f->ref);
    f->path = (struct path){NULL, NULL};
    f->inode = NULL;
    f->ops = &g_path_ops;
    f->flags = (unsigned)flags;
    f->seekable = false;
    mutex_init(&f->pos_lock, "file_pos");
    f->pos = 0;
    ref_get(&cred->ref);
    f->cred = cred;
    f->private = NULL;
    f->internal = 0;
    list_init(&f->watches);
    f->owner_type = f->owner = f->owner_signal = 0;
    f->owner_uid = f->owner_euid = 0;
    return f;
}

/* Gives back what get_write_access() or deny_write_access() counted. */
static void file_drop_writer(struct file *f)
{
    if (f->internal & FILE_WRITER)
        __atomic_fetch_sub(&f->inode->writers, 1, __ATOMIC_RELEASE);
    if (f->internal & FILE_DENY_WRITE)
        __atomic_fetch_add(&f->inode->writers, 1, __ATOMIC_RELEASE);
}

void file_put(struct file *f)
{
    if (likely(!ref_put(&f->ref)))
        return;
    if (f->path.dentry) {
        if (unlikely(!list_empty(&f->watches)))
            epoll_forget_file(f);
        if (f->internal & FILE_LOCKED)
            lock_release(f);
        if (f->ops->release)
            f->ops->release(f);
        file_drop_writer(f);
        path_put(&f->path);
    }
    cred_put(f->cred);
    kfree(f);
}

/* ---- Opening an inode ------------------------------------------------------------------------------- */

#define SPECIAL_KINDS 16
static int (*g_special[SPECIAL_KINDS])(struct inode *, struct file *); /* set at boot */

void vfs_set_special_open(mode_t type, int (*open)(struct inode *inode, struct file *f))
{
    g_special[type >> 12 & (SPECIAL_KINDS - 1)] = open;
}

static bool is_special(mode_t mode)
{
    return S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* Counts a writer up from zero or more, or a program down from zero or less. */
static int count_users(struct inode *inode, s32 step)
{
    s32 n = __atomic_load_n(&inode->writers, __ATOMIC_RELAXED);

    do {
        if ((s64)n * step < 0)
            return -ETXTBSY;
    } while (!__atomic_compare_exchange_n(&inode->writers, &n, n + step, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    return 0;
}

static int file_count_writer(struct file *f)
{
    int err;

    if (!file_writable(f) || !S_ISREG(f->inode->mode))
        return 0;
    err = count_users(f->inode, 1);
    if (!err)
        f->internal |= FILE_WRITER;
    return err;
}

static bool atime_old(const struct inode *inode, s64 now)
{
    return inode->atime + DAY_NS <= now;
}

/* The type's own open: the file system's, or who serves device nodes and FIFOs. */
static int file_open_ops(struct file *f, struct inode *inode)
{
    mode_t type = inode->mode & S_IFMT;

    f->ops = inode->fops;
    f->seekable = type == S_IFREG || type == S_IFDIR || type == S_IFBLK;
    if (inode->flags & INODE_SEEKABLE)
        f->seekable = true;
    if (inode->flags & INODE_STREAM)
        f->seekable = false;
    if (inode->ops->open)
        return inode->ops->open(inode, f);
    if (likely(!is_special(type)) || f->ops != &file_default_ops)
        return 0;
    if (!g_special[type >> 12])
        return -ENXIO;
    return g_special[type >> 12](inode, f);
}

int file_open_path(struct file *f, const struct path *path)
{
    struct inode *inode = path->dentry->inode;
    int err;

    f->path = *path;
    f->inode = inode;
    path_get(path);
    if (f->flags & O_PATH)
        return 0;
    err = file_count_writer(f);
    if (!err) {
        err = file_open_ops(f, inode);
        if (err)
            f->ops = &g_path_ops; /* its release must not run */
    }
    if (!err && S_ISREG(inode->mode) && !(f->flags & O_NOATIME) &&
        atime_old(inode, (s64)time_realtime()))
        f->internal |= FILE_ATIME_DUE;
    return err;
}

struct file *file_open_exec(int dfd, const char *name, unsigned lookup_flags)
{
    struct file *f;
    struct path p;
    int err = path_lookup_at(dfd, name, lookup_flags, &p);

    if (err)
        return ERR_PTR(err);
    f = file_alloc(O_RDONLY | O_LARGEFILE);
    if (!f)
        err = -ENOMEM;
    else if (S_ISLNK(p.dentry->inode->mode))
        err = -ELOOP;
    else if (!S_ISREG(p.dentry->inode->mode) || (p.mnt->flags & MS_NOEXEC))
        err = -EACCES;
    else
        err = inode_permission(p.dentry->inode, MAY_EXEC);
    if (!err)
        err = file_open_path(f, &p);
    if (!err) {
        err = count_users(f->inode, -1);
        f->internal |= err ? 0 : FILE_DENY_WRITE;
    }
    path_put(&p);
    if (!err)
        return f;
    if (f)
        file_put(f);
    return ERR_PTR(err);
}

/* ---- Files without a name ---------------------------------------------------------------------------- */

struct file *file_create_on(struct inode *inode, const char *name, int flags)
{
    struct dentry *d = dentry_create(NULL, name, strlen(name), 0, inode);
    struct file *f = d ? file_alloc(flags) : NULL;

    if (!f) {
        if (d)
            dentry_put(d);
        return ERR_PTR(-ENOMEM);
    }
    d->flags |= DENTRY_ANON;
    f->path.mnt = mount_anon();
    mount_get(f->path.mnt);
    f->path.dentry = d;
    f->inode = inode;
    f->ops = inode->fops;
    f->seekable = S_ISREG(inode->mode);
    return f;
}

struct file *file_create_anon(const char *name, const struct file_ops *ops, void *priv, int flags)
{
    struct inode *inode = inode_create(mount_anon()->sb, 0600);
    struct file *f;

    if (!inode)
        return ERR_PTR(-ENOMEM);
    inode->uid = current_cred()->fsuid;
    inode->gid = current_cred()->fsgid;
    inode->flags |= INODE_STREAM | INODE_NOATIME;
    inode->fops = ops;
    f = file_create_on(inode, name, flags);
    if (!IS_ERR(f))
        f->private = priv;
    return f;
}

void file_name_anon(struct file *f, const char *kind)
{
    struct dentry *d = f->path.dentry;
    int n = snprintf(d->small, sizeof(d->small), "%s:[%lu]", kind, (unsigned long)f->inode->ino);

    d->name = d->small;
    d->name_size = (u32)n;
}

struct file *file_create_peer(struct file *f, int flags)
{
    struct file *peer = file_alloc(flags);

    if (!peer)
        return ERR_PTR(-ENOMEM);
    path_get(&f->path);
    peer->path = f->path;
    peer->inode = f->inode;
    peer->ops = f->ops;
    peer->seekable = f->seekable;
    peer->private = f->private;
    return peer;
}

/* ---- Access times, kernel reads and writes -------------------------------------------------------------- */

/* relatime: when it is not newer than the last change, or a day old. */
void file_accessed(struct file *f)
{
    struct inode *inode = f->inode;

    if (likely(inode->atime > inode->mtime && inode->atime > inode->ctime &&
               !(f->internal & FILE_ATIME_DUE)))
        return;
    if ((inode->flags & INODE_NOATIME) || (f->flags & O_NOATIME) ||
        (f->path.mnt->flags & (MS_NOATIME | MS_RDONLY)))
        return;
    if (S_ISDIR(inode->mode) && (f->path.mnt->flags & MS_NODIRATIME))
        return;
    f->internal &= (u8)~FILE_ATIME_DUE;
    WRITE_ONCE(inode->atime, (s64)time_realtime());
}

ssize_t file_pread(struct file *f, void *buf, size_t size, loff_t pos)
{
    struct iov_iter it;

    iov_iter_kernel(&it, buf, size);
    return file_read_iter(f, &it, &pos);
}

ssize_t file_pwrite(struct file *f, const void *buf, size_t size, loff_t pos)
{
    struct iov_iter it;

    iov_iter_kernel(&it, (void *)(uintptr_t)buf, size);
    return file_write_iter(f, &it, &pos);
}
