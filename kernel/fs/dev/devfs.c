/* SPDX-License-Identifier: MIT */
/*
 * devtmpfs: a RAM file system that starts with the usual nodes, and the opening of character
 * devices wherever their nodes are. Programs may add and remove names as on Linux. Nodes and modes
 * follow what devtmpfs and udev make on Debian.
 *
 * Locking: populate() runs before the superblock is visible; it holds each directory's lock because
 * the ops demand it.
 */
#include <kernel/pseudofs.h>
#include <kernel/string.h>
#include <linux/stat.h>

#include "dev.h"

struct node {
    const char *name;
    mode_t mode;
    unsigned major, minor;
    const char *target; /* of a symlink */
    bool terminal;      /* only when the program has one */
};

static const struct node g_nodes[] = {
    {.name = "null", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 3},
    {.name = "zero", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 5},
    {.name = "full", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 7},
    {.name = "random", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 8},
    {.name = "urandom", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 9},
    {.name = "tty", .mode = S_IFCHR | 0666, .major = DEV_TTY_MAJOR, .minor = 0},
    {.name = "console", .mode = S_IFCHR | 0600, .major = DEV_TTY_MAJOR, .minor = 1},
    {.name = "fd", .mode = S_IFLNK, .target = "/proc/self/fd"},
    {.name = "stdin", .mode = S_IFLNK, .target = "/proc/self/fd/0"},
    {.name = "stdout", .mode = S_IFLNK, .target = "/proc/self/fd/1"},
    {.name = "stderr", .mode = S_IFLNK, .target = "/proc/self/fd/2"},
    {.name = "core", .mode = S_IFLNK, .target = "/proc/kcore"},
    {.name = "shm", .mode = S_IFDIR | S_ISVTX | 0777},
    {.name = "pts", .mode = S_IFDIR | 0755},
};

static const struct node g_pts_nodes[] = {
    {.name = "0", .mode = S_IFCHR | 0620, .major = DEV_PTS_MAJOR, .minor = 0, .terminal = true},
};

static int make_node(struct inode *dir, const struct node *n, struct inode **out)
{
    const struct inode_ops *ops = dir->ops;
    size_t size = strlen(n->name);

    if (S_ISLNK(n->mode))
        return ops->symlink(dir, n->name, size, n->target, out);
    if (S_ISDIR(n->mode))
        return ops->mkdir(dir, n->name, size, n->mode, out);
    return ops->create(dir, n->name, size, n->mode, dev_make(n->major, n->minor), out);
}

static int populate(struct inode *dir, const struct node *nodes, size_t count)
{
    int err = 0;

    mutex_lock(&dir->lock);
    for (size_t i = 0; i < count && !err; i++) {
        struct inode *inode;

        if (nodes[i].terminal && !console_terminal(0))
            continue;
        err = make_node(dir, &nodes[i], &inode);
        if (!err)
            inode_put(inode);
    }
    mutex_unlock(&dir->lock);
    return err;
}

static int populate_all(struct inode *root)
{
    struct inode *pts;
    int err = populate(root, g_nodes, ARRAY_COUNT(g_nodes));

    if (err)
        return err;
    mutex_lock(&root->lock);
    err = root->ops->lookup(root, "pts", 3, &pts);
    mutex_unlock(&root->lock);
    if (err)
        return err;
    err = populate(pts, g_pts_nodes, ARRAY_COUNT(g_pts_nodes));
    inode_put(pts);
    return err;
}

static const struct fs_type *ram_type(void)
{
    const struct fs_type *t;

    for (t = fs_type_next(NULL); t; t = fs_type_next(t)) {
        if (!strcmp(t->name, "tmpfs"))
            return t;
    }
    return NULL;
}

static int devfs_mount(const struct fs_type *type, const char *source, unsigned long flags,
                       const char *data, struct superblock **out)
{
    const struct fs_type *ram = ram_type();
    struct superblock *sb;
    int err = ram ? ram->mount(ram, source, flags, NULL, &sb) : -ENODEV;

    if (err)
        return err;
    sb->type = type;
    sb->root->mode = S_IFDIR | 0755;
    err = populate_all(sb->root);
    if (err)
        sb_put(sb);
    else
        *out = sb;
    return err;
}

static struct fs_type g_devfs = {.name = "devtmpfs", .mount = devfs_mount};

static int chardev_open(struct inode *inode, struct file *f)
{
    unsigned major = dev_major(inode->rdev), minor = dev_minor(inode->rdev);

    switch (major) {
    case DEV_MEM_MAJOR:
        return mem_open(minor, f);
    case DEV_TTY_MAJOR:
    case DEV_PTS_MAJOR:
        return tty_open(major, minor, f);
    }
    return -ENXIO;
}

void devfs_init(void)
{
    console_probe();
    vfs_set_special_open(S_IFCHR, chardev_open);
    fs_register(&g_devfs);
}
