/* SPDX-License-Identifier: MIT */
/*
 * RAM file system: inodes, directory operations, mounting. The VFS holds the directory's lock for
 * every operation on it, and the child's for those that take an inode. An entry holds its inode, so
 * an inode is freed when its last name, dentry and descriptor are gone.
 */
#include "ramfs.h"

#include <kernel/alloc.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <asm/statfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/stat.h>

#include "../../vfs/pagecache.h"

static const struct inode_ops g_dir_ops, g_file_ops;
static const struct file_ops g_dir_fops, g_file_fops;
static struct superblock *g_anon_sb; /* of files in no directory; set at boot */

/* ---- Inodes ------------------------------------------------------------------------------------- */

static void ramfs_evict(struct inode *inode)
{
    if (!inode->private)
        return;
    if (S_ISDIR(inode->mode))
        ramfs_dir_destroy(inode);
    ramfs_xattr_destroy(inode);
    kfree((void *)(uintptr_t)inode->link);
    kfree(inode->private);
}

/* What the type needs beyond the inode itself. */
static int inode_fill(struct inode *inode, const char *target)
{
    inode->ops = &g_file_ops;
    switch (inode->mode & S_IFMT) {
    case S_IFDIR:
        inode->ops = &g_dir_ops;
        inode->fops = &g_dir_fops;
        inode->size = 40;
        ramfs_info(inode)->dir.next_cookie = 2;
        ramfs_info(inode)->dir.parent = inode;
        return 0;
    case S_IFREG:
        inode->fops = &g_file_fops;
        return pagecache_create(inode);
    case S_IFLNK:
        inode->link = kstrdup(target);
        if (!inode->link)
            return -ENOMEM;
        inode->size = strlen(inode->link);
        return 0;
    }
    return 0;
}

struct inode *ramfs_inode_create(struct superblock *sb, mode_t mode, dev_t rdev, const char *target)
{
    struct inode *inode = inode_create(sb, mode);

    if (!inode)
        return NULL;
    inode->nlink = 0;
    inode->rdev = rdev;
    inode->ops = &g_file_ops;
    inode->private = kzalloc(S_ISDIR(mode) ? sizeof(struct ramfs_info)
                                           : offsetof(struct ramfs_info, dir));
    if (!inode->private || inode_fill(inode, target)) {
        inode_put(inode);
        return NULL;
    }
    return inode;
}

int ramfs_create_anon(mode_t mode, struct inode **out)
{
    struct inode *inode = ramfs_inode_create(g_anon_sb, S_IFREG | (mode & 07777), 0, NULL);

    if (!inode)
        return -ENOMEM;
    inode_init_owner(inode, NULL, inode->mode);
    *out = inode;
    return 0;
}

/* ---- Directory operations ------------------------------------------------------------------------ */

static int ramfs_lookup(struct inode *dir, const char *name, size_t size, struct inode **out)
{
    struct ramfs_entry *e = ramfs_find(dir, name, size);

    if (!e)
        return -ENOENT;
    *out = e->inode;
    inode_get(*out);
    return 0;
}

static int make(struct inode *dir, const char *name, size_t size, mode_t mode, dev_t rdev,
                const char *target, struct inode **out)
{
    struct inode *inode = ramfs_inode_create(dir->sb, mode, rdev, target);
    int err;

    if (!inode)
        return -ENOSPC;
    inode_init_owner(inode, dir, mode);
    err = ramfs_add(dir, name, size, inode);
    if (err) {
        inode_put(inode);
        return -ENOSPC;
    }
    inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
    *out = inode;
    return 0;
}

static int ramfs_create(struct inode *dir, const char *name, size_t size, mode_t mode, dev_t rdev,
                        struct inode **out)
{
    return make(dir, name, size, mode, rdev, NULL, out);
}

static int ramfs_mkdir(struct inode *dir, const char *name, size_t size, mode_t mode,
                       struct inode **out)
{
    return make(dir, name, size, mode, 0, NULL, out);
}

static int ramfs_symlink(struct inode *dir, const char *name, size_t size, const char *target,
                         struct inode **out)
{
    return make(dir, name, size, S_IFLNK | 0777, 0, target, out);
}

static int ramfs_link(struct inode *dir, const char *name, size_t size, struct inode *inode)
{
    if (ramfs_add(dir, name, size, inode))
        return -ENOSPC;
    inode_touch(inode, ATTR_CTIME);
    inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
    return 0;
}

static int ramfs_unlink(struct inode *dir, const char *name, size_t size, struct inode *inode)
{
    struct ramfs_entry *e = ramfs_find(dir, name, size);

    if (!e)
        return -ENOENT;
    ramfs_remove(dir, e);
    inode_touch(inode, ATTR_CTIME);
    inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
    return 0;
}

static int ramfs_rmdir(struct inode *dir, const char *name, size_t size, struct inode *inode)
{
    if (ramfs_info(inode)->dir.count)
        return -ENOTEMPTY;
    return ramfs_unlink(dir, name, size, inode);
}

static int ramfs_tmpfile(struct inode *dir, mode_t mode, struct inode **out)
{
    struct inode *inode = ramfs_inode_create(dir->sb, mode, 0, NULL);

    if (!inode)
        return -ENOSPC;
    inode_init_owner(inode, dir, mode);
    *out = inode;
    return 0;
}

/* ---- Reading directories ---------------------------------------------------------------------------- */

static int ramfs_readdir(struct file *f, struct dir_context *ctx)
{
    struct ramfs_dir *d = &ramfs_info(f->inode)->dir;
    u64 cookie, value;

    if (!dir_emit_dots(f, ctx))
        return 0;
    mutex_lock(&f->inode->lock);
    cookie = (u64)ctx->pos;
    while ((value = radix_next(&d->order, &cookie))) {
        const struct ramfs_entry *e = (const struct ramfs_entry *)value;

        if (!ctx->emit(ctx, e->name, e->size, (loff_t)cookie + 1, e->inode->ino,
                       (e->inode->mode & S_IFMT) >> 12))
            break;
        ctx->pos = (loff_t)++cookie;
    }
    mutex_unlock(&f->inode->lock);
    return 0;
}

static loff_t ramfs_dir_seek(struct file *f, loff_t offset, int whence) REQUIRES(&f->pos_lock)
{
    if (whence == SEEK_CUR && __builtin_add_overflow(offset, f->pos, &offset))
        return -EINVAL;
    if ((whence != SEEK_SET && whence != SEEK_CUR) || offset < 0)
        return -EINVAL;
    f->pos = offset;
    return offset;
}

static int ramfs_fsync(struct file *f, bool datasync)
{
    (void)f;
    (void)datasync;
    return 0;
}

/* ---- Mounting ------------------------------------------------------------------------------------------ */

static int ramfs_statfs(struct superblock *sb, struct statfs *st)
{
    struct mm_stats m;

    (void)sb;
    mm_stats(&m);
    st->f_blocks = (long)m.limit_pages;
    st->f_bfree = st->f_bavail = (long)(m.limit_pages - min(m.used_pages, m.limit_pages));
    st->f_files = st->f_blocks;
    st->f_ffree = st->f_bfree;
    return 0;
}

static const struct superblock_ops g_sb_ops = {.statfs = ramfs_statfs};

/* Options: mode=OCTAL, uid=N, gid=N; size= and nr_inodes= are accepted: MemorySize is the bound. */
static int parse_number(const char *s, unsigned base, u64 *out)
{
    u64 n = 0;

    if (*s < '0' || *s > '9')
        return -EINVAL;
    for (; *s >= '0' && *s < (char)('0' + base); s++) {
        n = n * base + (u64)(*s - '0');
        if (n > UINT32_MAX)
            return -EINVAL;
    }
    *out = n;
    return *s && *s != ',' ? -EINVAL : 0;
}

static int parse_option(struct inode *root, const char *s)
{
    u64 n;
    int err = -EINVAL;

    if (!strncmp(s, "mode=", 5)) {
        err = parse_number(s + 5, 8, &n);
        root->mode = err ? root->mode : (S_IFDIR | ((mode_t)n & 07777));
    } else if (!strncmp(s, "uid=", 4)) {
        err = parse_number(s + 4, 10, &n);
        root->uid = err ? 0 : (uid_t)n;
    } else if (!strncmp(s, "gid=", 4)) {
        err = parse_number(s + 4, 10, &n);
        root->gid = err ? 0 : (gid_t)n;
    } else if (!strncmp(s, "size=", 5) || !strncmp(s, "nr_inodes=", 10)) {
        err = 0;
    }
    return err;
}

static int parse_options(struct inode *root, const char *s)
{
    while (s && *s) {
        int err = parse_option(root, s);

        if (err)
            return err;
        s = strchr(s, ',');
        s = s ? s + 1 : NULL;
    }
    return 0;
}

static int mount_with(const struct fs_type *type, u32 magic, mode_t mode, const char *data,
                      struct superblock **out)
{
    struct superblock *sb = sb_create(type, &g_sb_ops, magic);
    int err;

    if (!sb)
        return -ENOMEM;
    sb->root = ramfs_inode_create(sb, S_IFDIR | mode, 0, NULL);
    err = sb->root ? parse_options(sb->root, data) : -ENOMEM;
    if (err) {
        sb_put(sb);
        return err;
    }
    sb->root->nlink = 2;
    *out = sb;
    return 0;
}

static int ramfs_mount(const struct fs_type *type, const char *source, unsigned long flags,
                       const char *data, struct superblock **out)
{
    (void)source;
    (void)flags;
    return mount_with(type, RAMFS_MAGIC, 0755, data, out);
}

static int tmpfs_mount(const struct fs_type *type, const char *source, unsigned long flags,
                       const char *data, struct superblock **out)
{
    (void)source;
    (void)flags;
    return mount_with(type, TMPFS_MAGIC, 01777, data, out);
}

static struct fs_type g_ramfs = {.name = "ramfs", .mount = ramfs_mount};
static struct fs_type g_tmpfs = {.name = "tmpfs", .mount = tmpfs_mount};

void ramfs_register(void)
{
    fs_register(&g_ramfs);
    fs_register(&g_tmpfs);
    g_anon_sb = sb_create(&g_tmpfs, &g_sb_ops, TMPFS_MAGIC);
}

/* ---- Tables --------------------------------------------------------------------------------------------- */

static const struct inode_ops g_dir_ops = {
    .lookup = ramfs_lookup,
    .create = ramfs_create,
    .mkdir = ramfs_mkdir,
    .symlink = ramfs_symlink,
    .link = ramfs_link,
    .unlink = ramfs_unlink,
    .rmdir = ramfs_rmdir,
    .rename = ramfs_rename,
    .tmpfile = ramfs_tmpfile,
    .getxattr = ramfs_getxattr,
    .setxattr = ramfs_setxattr,
    .listxattr = ramfs_listxattr,
    .removexattr = ramfs_removexattr,
    .evict = ramfs_evict,
};

static const struct inode_ops g_file_ops = {
    .getxattr = ramfs_getxattr,
    .setxattr = ramfs_setxattr,
    .listxattr = ramfs_listxattr,
    .removexattr = ramfs_removexattr,
    .evict = ramfs_evict,
};

static const struct file_ops g_dir_fops = {
    .readdir = ramfs_readdir,
    .seek = ramfs_dir_seek,
    .fsync = ramfs_fsync,
};

static const struct file_ops g_file_fops = {
    .read = pagecache_read,
    .write = pagecache_write,
    .seek = pagecache_seek,
    .mmap = pagecache_mmap,
    .fsync = ramfs_fsync,
    .fallocate = pagecache_fallocate,
};
