/* SPDX-License-Identifier: MIT */
/*
 * devpts: a node for each pseudo-terminal, the host's terminal as number 0 when there is one, and ptmx. Every
 * mount shows the same ones. Modes and owners are those that Debian mounts with (gid=5,mode=620).
 *
 * Locking: none of its own. Inodes are made when they are looked up; a name that is kept is checked before use.
 */
#include <kernel/pseudofs.h>
#include <kernel/string.h>
#include <kernel/tty.h>
#include <linux/magic.h>
#include <linux/stat.h>

#define TTY_GID   5
#define PTS_MAJOR 136
#define PTMX_DEV  dev_make(5, 2)

#define ROOT_INO 1
#define PTMX_INO 2
#define PTS_INO  3 /* of number 0 */

static struct inode *make_node(struct superblock *sb, ino_t ino, mode_t mode, dev_t rdev)
{
    struct inode *inode = inode_create(sb, S_IFCHR | mode);

    if (!inode)
        return NULL;
    inode->ino = ino;
    inode->rdev = rdev;
    inode->flags |= INODE_STREAM;
    return inode;
}

static struct inode *make_pts(struct superblock *sb, const struct pty_info *info)
{
    struct inode *inode = make_node(sb, PTS_INO + info->index, 0620, dev_make(PTS_MAJOR, info->index));

    if (!inode)
        return NULL;
    inode->uid = info->uid;
    inode->gid = TTY_GID;
    inode->atime = inode->mtime = inode->ctime = inode->btime = info->made;
    return inode;
}

/* The first terminal with a number from `from` on, the host's among them. */
static bool next_pts(unsigned from, struct pty_info *out)
{
    if (from == 0 && tty_present()) {
        *out = (struct pty_info){.index = 0};
        return true;
    }
    return pty_next(from, out);
}

static bool find_pts(const char *name, size_t size, struct pty_info *out)
{
    unsigned index = 0;

    if (!size || size > 5 || (name[0] == '0' && size > 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        index = index * 10 + (unsigned)(name[i] - '0');
    }
    return next_pts(index, out) && out->index == index;
}

static bool is_ptmx(const char *name, size_t size)
{
    return size == 4 && !memcmp(name, "ptmx", 4);
}

static int devpts_lookup(struct inode *dir, const char *name, size_t size, struct inode **out)
{
    struct pty_info info;

    if (is_ptmx(name, size))
        *out = make_node(dir->sb, PTMX_INO, 0666, PTMX_DEV);
    else if (find_pts(name, size, &info))
        *out = make_pts(dir->sb, &info);
    else
        return -ENOENT;
    return *out ? 0 : -ENOMEM;
}

/* Numbers are used again: a kept inode must be of the terminal that has the number now. */
static bool devpts_holds(struct inode *dir, const char *name, size_t size, struct inode *inode)
{
    struct pty_info info;

    if (is_ptmx(name, size))
        return inode;
    if (!find_pts(name, size, &info))
        return !inode;
    return inode && (info.made == inode->btime || !info.made);
}

static int devpts_readdir(struct file *f, struct dir_context *ctx)
{
    struct pty_info info;
    char name[16];

    if (!dir_emit_dots(f, ctx))
        return 0;
    if (ctx->pos == 2 && !ctx->emit(ctx, "ptmx", 4, 3, PTMX_INO, S_IFCHR >> 12))
        return 0;
    ctx->pos = max(ctx->pos, (loff_t)3);
    while (next_pts((unsigned)(ctx->pos - 3), &info)) {
        size_t size = (size_t)snprintf(name, sizeof(name), "%u", info.index);
        loff_t next = (loff_t)info.index + 4;

        if (!ctx->emit(ctx, name, size, next, PTS_INO + info.index, S_IFCHR >> 12))
            return 0;
        ctx->pos = next;
    }
    return 0;
}

static const struct inode_ops g_dir_ops = {.lookup = devpts_lookup, .revalidate = devpts_holds};
static const struct file_ops g_dir_fops = {.readdir = devpts_readdir};

static int devpts_mount(const struct fs_type *type, const char *source, unsigned long flags,
                        const char *data, struct superblock **out)
{
    struct superblock *sb = sb_create(type, NULL, DEVPTS_SUPER_MAGIC);

    if (!sb)
        return -ENOMEM;
    sb->root = inode_create(sb, S_IFDIR | 0755);
    if (!sb->root) {
        sb_put(sb);
        return -ENOMEM;
    }
    sb->root->ino = ROOT_INO;
    sb->root->nlink = 2;
    sb->root->ops = &g_dir_ops;
    sb->root->fops = &g_dir_fops;
    *out = sb;
    return 0;
}

static struct fs_type g_devpts = {.name = "devpts", .mount = devpts_mount};

void devpts_init(void)
{
    fs_register(&g_devpts);
}
