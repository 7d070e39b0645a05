/* SPDX-License-Identifier: MIT */
/*
 * Inodes, superblocks and the registry of file system types. An inode lives as long as somebody holds
 * a reference: a dentry, or the file system that keeps it (ramfs' directory entries do).
 */
#include <kernel/alloc.h>
#include <kernel/printk.h>
#include <kernel/time.h>
#include <linux/magic.h>

#include "internal.h"
#include "pagecache.h"

const struct inode_ops inode_default_ops;
const struct file_ops file_default_ops;

static spinlock_t g_types_lock = SPINLOCK_INIT("fs_types");
static struct fs_type *g_types GUARDED_BY(&g_types_lock); /* only grows, at its end */
static u32 g_next_minor = 20;    /* atomic */

void fs_register(struct fs_type *type)
{
    struct fs_type **p;

    spin_lock(&g_types_lock);
    for (p = &g_types; *p; p = &(*p)->next)
        ;
    type->next = NULL;
    *p = type;
    spin_unlock(&g_types_lock);
}

const struct fs_type *fs_type_next(const struct fs_type *type)
{
    struct fs_type *next;

    spin_lock(&g_types_lock);
    next = type ? type->next : g_types;
    spin_unlock(&g_types_lock);
    return next;
}

struct superblock *sb_create(const struct fs_type *type, const struct superblock_ops *ops, u32 magic)
{
    struct superblock *sb = kzalloc(sizeof(*sb));

    if (!sb)
        return NULL;
    ref_init(&sb->ref);
    sb->type = type;
    sb->ops = ops;
    sb->magic = magic;
    sb->block_size = PAGE_SIZE;
    sb->dev = dev_make(0, __atomic_fetch_add(&g_next_minor, 1, __ATOMIC_RELAXED));
    return sb;
}

void sb_put(struct superblock *sb)
{
    if (!ref_put(&sb->ref))
        return;
    if (sb->root)
        inode_put(sb->root);
    if (sb->ops && sb->ops->release)
        sb->ops->release(sb);
    kfree(sb);
}

struct inode *inode_create(struct superblock *sb, mode_t mode)
{
    struct inode *inode = kzalloc(sizeof(*inode));

    if (!inode)
        return NULL;
    ref_init(&inode->ref);
    mutex_init(&inode->lock, "inode");
    inode->sb = sb;
    inode->ops = &inode_default_ops;
    inode->fops = &file_default_ops;
    inode->ino = __atomic_add_fetch(&sb->next_ino, 1, __ATOMIC_RELAXED);
    inode->mode = mode;
    inode->nlink = 1;
    inode->atime = inode->mtime = inode->ctime = inode->btime = (s64)time_realtime();
    list_init(&inode->fs_link);
    return inode;
}

void inode_get(struct inode *inode)
{
    ref_get(&inode->ref);
}

void inode_put(struct inode *inode)
{
    if (!ref_put(&inode->ref))
        return;
    if (inode->ops->evict)
        inode->ops->evict(inode);
    if (inode->cache)
        pagecache_destroy(inode);
    ASSERT(!inode->locks);
    kfree(inode);
}

void inode_init_owner(struct inode *inode, const struct inode *dir, mode_t mode)
{
    const struct cred *c = current_cred();

    inode->uid = c->fsuid;
    inode->gid = c->fsgid;
    if (dir && (dir->mode & S_ISGID)) {
        inode->gid = dir->gid;
        if (S_ISDIR(mode))
            mode |= S_ISGID;
        else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
                 !cred_in_group(c, dir->gid) && !cred_capable(c, CAP_FSETID))
            mode &= ~(mode_t)S_ISGID;
    }
    inode->mode = mode;
}

void inode_touch(struct inode *inode, u32 attr_times)
{
    s64 now = (s64)time_realtime();

    if (attr_times & ATTR_ATIME)
        inode->atime = now;
    if (attr_times & ATTR_MTIME)
        inode->mtime = now;
    if (attr_times & ATTR_CTIME)
        inode->ctime = now;
}

/* ---- Names of file systems' defaults ---------------------------------------------------------------- */

bool dir_emit_dots(struct file *f, struct dir_context *ctx)
{
    if (ctx->pos == 0) {
        if (!ctx->emit(ctx, ".", 1, 1, f->inode->ino, S_IFDIR >> 12))
            return false;
        ctx->pos = 1;
    }
    if (ctx->pos == 1) {
        struct path up = f->path, root = {NULL, NULL};
        ino_t ino;

        spin_lock(&g_dcache_lock);
        (void)mount_dotdot(&up, &root, false);
        ino = up.dentry->inode->ino;
        spin_unlock(&g_dcache_lock);
        if (!ctx->emit(ctx, "..", 2, 2, ino, S_IFDIR >> 12))
            return false;
        ctx->pos = 2;
    }
    return true;
}
