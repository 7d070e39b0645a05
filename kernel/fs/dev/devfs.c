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
#include <kernel/tty.h>
#include <linux/stat.h>

#include "dev.h"

struct node {
    const char *name;
    mode_t mode;
    unsigned major, minor;
    const char *target; /* of a symlink */
};

static const struct node g_nodes[] = {
    {.name = "null", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 3},
    {.name = "zero", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 5},
    {.name = "full", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 7},
    {.name = "random", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 8},
    {.name = "urandom", .mode = S_IFCHR | 0666, .major = DEV_MEM_MAJOR, .minor = 9},
    {.name = "tty", .mode = S_IFCHR | 0666, .major = DEV_TTY_MAJOR, .minor = 0},
    {.name = "ptmx", .mode = S_IFCHR | 0666, .major = DEV_TTY_MAJOR, .minor = DEV_PTMX_MINOR},
    {.name = "console", .mode = S_IFCHR | 0600, .major = DEV_TTY_MAJOR, .minor = 1},
    {.name = "fd", .mode = S_IFLNK, .target = "/proc/self/fd"},
    {.name = "stdin", .mode = S_IFLNK, .target = "/proc/self/fd/0"},
    {.name = "stdout", .mode = S_IFLNK, .target = "/proc/self/fd/1"},
    {.name = "stderr", .mode = S_IFLNK, .target = "/proc/self/fd/2"},
    {.name = "core", .mode = S_IFLNK, .target = "/proc/kcore"},
    {.name = "shm", .mode = S_IFDIR | S_ISVTX | 0777},
    {.name = "mqueue", .mode = S_IFDIR | S_ISVTX | 0777},
    {.name = "pts", .mode = S_IFDIR | 0755},
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

static int populate(struct inode *dir)
{
    int err = 0;

    mutex_lock(&dir->lock);
    for (size_t i = 0; i < ARRAY_COUNT(g_nodes) && !err; i++) {
        struct inode *inode;

        err = make_node(dir, &g_nodes[i], &inode);
        if (!err)
            inode_put(inode);
    }
    mutex_unlock(&dir->lock);
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
    err = populate(sb->root);
    if (err)
        sb_put(sb);
    else
        *out = sb;
    return err;
}

static struct fs_type g_devfs = {.name = "devtmpfs", .mount = devfs_mount};

/* /dev/tty, /dev/console, /dev/ptmx. */
static int terminal_open(unsigned minor, struct file *f)
{
    if (minor == DEV_PTMX_MINOR)
        return pty_open_master(f);
    if (minor == 0) {
        int err = pty_open_controlling(f);

        if (err != -ENXIO)
            return err;
    }
    return tty_open(DEV_TTY_MAJOR, minor, f);
}

static int chardev_open(struct inode *inode, struct file *f)
{
    unsigned major = dev_major(inode->rdev), minor = dev_minor(inode->rdev);

    switch (major) {
    case DEV_MEM_MAJOR:
        return mem_open(minor, f);
    case DEV_TTY_MAJOR:
        return terminal_open(minor, f);
    case DEV_PTS_MAJOR:
        return minor == 0 && tty_present() ? tty_open(major, minor, f) : pty_open_slave(minor, f);
    }
    return -ENXIO;
}

void devfs_init(void)
{
    console_probe();
    vfs_set_special_open(S_IFCHR, chardev_open);
    fs_register(&g_devfs);
}
