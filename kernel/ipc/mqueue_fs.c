/* SPDX-License-Identifier: MIT */
/*
 * The names of POSIX message queues, and the file system that shows them (mq_overview(7)): there is one, which
 * every mount of type mqueue shows.
 *
 * Locking: g_mq_names_lock guards the names; the directory's inode->lock, held by the VFS, comes before it.
 */
#include <kernel/alloc.h>
#include <kernel/ipc.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <linux/fcntl.h>
#include "mqueue.h"

struct mq_name {
    struct list link;
    struct inode *inode; /* owned */
    u64 cookie;          /* readdir's position */
    size_t size;
    char name[];
};

static mutex_t g_mq_names_lock = MUTEX_INIT("mq_names");
static struct list g_names GUARDED_BY(&g_mq_names_lock) = LIST_INIT(g_names); /* by cookie */
static u64 g_next_cookie GUARDED_BY(&g_mq_names_lock) = 2;
static unsigned g_count GUARDED_BY(&g_mq_names_lock);
static struct superblock *g_sb; /* set at boot */

static struct mq_name *find(const char *name, size_t size) REQUIRES(&g_mq_names_lock)
{
    struct mq_name *n;

    list_for_each(n, &g_names, link)
    {
        if (n->size == size && !memcmp(n->name, name, size))
            return n;
    }
    return NULL;
}

/* ---- Inodes ------------------------------------------------------------------------------------------- */

static void mq_evict(struct inode *inode)
{
    mqueue_destroy(inode->private);
}

static const struct inode_ops g_queue_inode_ops = {.evict = mq_evict};

static struct inode *queue_inode(mode_t mode, struct mqueue *q)
{
    struct inode *inode = inode_create(g_sb, S_IFREG | (mode & 07777));

    if (!inode)
        return NULL;
    inode->uid = current_cred()->fsuid;
    inode->gid = current_cred()->fsgid;
    inode->size = 80; /* as Linux shows them */
    inode->ops = &g_queue_inode_ops;
    inode->fops = &mqueue_ops;
    inode->flags |= INODE_STREAM;
    inode->private = q;
    return inode;
}

/* ---- Names ---------------------------------------------------------------------------------------------- */

/* Consumes the queue, even on failure. */
static struct inode *add(const char *name, size_t size, mode_t mode, struct mqueue *q)
    REQUIRES(&g_mq_names_lock)
{
    struct mq_name *n = kmalloc(sizeof(*n) + size);
    struct inode *inode = n ? queue_inode(mode, q) : NULL;

    if (!inode) {
        kfree(n);
        mqueue_destroy(q);
        return ERR_PTR(-ENOMEM);
    }
    n->inode = inode;
    n->cookie = g_next_cookie++;
    n->size = size;
    memcpy(n->name, name, size);
    list_add_tail(&g_names, &n->link);
    g_count++;
    inode_get(inode);
    return inode;
}

static struct inode *create(const char *name, size_t size, mode_t mode, const struct mq_attr *attr)
    REQUIRES(&g_mq_names_lock)
{
    struct mqueue *q;

    if (g_count >= MQ_QUEUES_MAX && !capable(CAP_SYS_RESOURCE))
        return ERR_PTR(-ENOSPC);
    q = mqueue_create(attr);
    return IS_ERR(q) ? ERR_PTR(PTR_ERR(q)) : add(name, size, mode, q);
}

struct inode *mqueue_lookup(const char *name, int flags, mode_t mode, const struct mq_attr *attr)
{
    size_t size = strlen(name);
    struct inode *inode;
    struct mq_name *n;

    mutex_lock(&g_mq_names_lock);
    n = find(name, size);
    if (n && (flags & O_CREAT) && (flags & O_EXCL)) {
        inode = ERR_PTR(-EEXIST);
    } else if (n) {
        inode = n->inode;
        inode_get(inode);
    } else {
        inode = flags & O_CREAT ? create(name, size, mode, attr) : ERR_PTR(-ENOENT);
    }
    mutex_unlock(&g_mq_names_lock);
    return inode;
}

static struct inode *take_away(const char *name, size_t size)
{
    struct inode *inode = NULL;
    struct mq_name *n;

    mutex_lock(&g_mq_names_lock);
    n = find(name, size);
    if (n) {
        inode = n->inode;
        list_del(&n->link);
        g_count--;
        kfree(n);
    }
    mutex_unlock(&g_mq_names_lock);
    return inode;
}

/* The directory is sticky: queues are removed by their owner. */
static int may_unlink(const char *name, size_t size)
{
    struct mq_name *n;
    int err = -ENOENT;

    mutex_lock(&g_mq_names_lock);
    n = find(name, size);
    if (n)
        err = current_cred()->fsuid == n->inode->uid || capable(CAP_FOWNER) ? 0 : -EACCES;
    mutex_unlock(&g_mq_names_lock);
    return err;
}

static void unlinked(struct inode *inode)
{
    mutex_lock(&inode->lock);
    inode->nlink = 0;
    mutex_unlock(&inode->lock);
    inode_put(inode);
}

int mqueue_unlink(const char *name)
{
    size_t size = strlen(name);
    int err = may_unlink(name, size);
    struct inode *inode = err ? NULL : take_away(name, size);

    if (!inode)
        return err ? err : -ENOENT;
    unlinked(inode);
    return 0;
}

/* ---- The file system -------------------------------------------------------------------------------------- */

static int dir_lookup(struct inode *dir, const char *name, size_t size, struct inode **out)
{
    struct mq_name *n;

    mutex_lock(&g_mq_names_lock);
    n = find(name, size);
    if (n) {
        *out = n->inode;
        inode_get(n->inode);
    }
    mutex_unlock(&g_mq_names_lock);
    return n ? 0 : -ENOENT;
}

static int dir_create(struct inode *dir, const char *name, size_t size, mode_t mode, dev_t rdev,
                      struct inode **out)
{
    struct inode *inode;

    if (!S_ISREG(mode))
        return -EPERM;
    mutex_lock(&g_mq_names_lock);
    inode = create(name, size, mode, NULL);
    mutex_unlock(&g_mq_names_lock);
    if (IS_ERR(inode))
        return (int)PTR_ERR(inode);
    *out = inode;
    return 0;
}

static int dir_unlink(struct inode *dir, const char *name, size_t size, struct inode *inode)
{
    struct inode *gone = take_away(name, size);

    if (!gone)
        return -ENOENT;
    if (gone == inode) /* its lock is held */
        inode->nlink = 0;
    inode_put(gone);
    return 0;
}

/* Names also come and go by mq_open(2) and mq_unlink(2). */
static bool dir_holds(struct inode *dir, const char *name, size_t size, struct inode *inode)
{
    struct mq_name *n;
    bool holds;

    mutex_lock(&g_mq_names_lock);
    n = find(name, size);
    holds = n ? n->inode == inode : !inode;
    mutex_unlock(&g_mq_names_lock);
    return holds;
}

static int dir_readdir(struct file *f, struct dir_context *ctx)
{
    struct mq_name *n;

    if (!dir_emit_dots(f, ctx))
        return 0;
    mutex_lock(&g_mq_names_lock);
    list_for_each(n, &g_names, link)
    {
        loff_t next = (loff_t)n->cookie + 1;

        if ((loff_t)n->cookie < ctx->pos)
            continue;
        if (!ctx->emit(ctx, n->name, n->size, next, n->inode->ino, S_IFREG >> 12))
            break;
        ctx->pos = next;
    }
    mutex_unlock(&g_mq_names_lock);
    return 0;
}

static const struct inode_ops g_dir_ops = {
    .lookup = dir_lookup,
    .create = dir_create,
    .unlink = dir_unlink,
    .revalidate = dir_holds,
};
static const struct file_ops g_dir_fops = {.readdir = dir_readdir};

static int mqueue_mount(const struct fs_type *type, const char *source, unsigned long flags,
                        const char *data, struct superblock **out)
{
    ref_get(&g_sb->ref);
    *out = g_sb;
    return 0;
}

static struct fs_type g_mqueue = {.name = "mqueue", .mount = mqueue_mount};

void ipc_init(void)
{
    g_sb = sb_create(&g_mqueue, NULL, 0x19800202 /* MQUEUE_MAGIC */);
    if (g_sb)
        g_sb->root = inode_create(g_sb, S_IFDIR | S_ISVTX | 0777);
    if (!g_sb || !g_sb->root)
        panic("no memory for message queues: raise MemorySize");
    g_sb->root->nlink = 2;
    g_sb->root->ops = &g_dir_ops;
    g_sb->root->fops = &g_dir_fops;
    fs_register(&g_mqueue);
}
