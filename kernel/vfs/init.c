/* SPDX-License-Identifier: MIT */
/*
 * The file systems at boot: the root from the manifest's archive, then /dev, /proc and /sys. Missing
 * mount points and /tmp are made. The first task gets its root and working directory here, because
 * everything after the root mount goes by path.
 */
#include <kernel/boot.h>
#include <kernel/ipc.h>
#include <kernel/pipe.h>
#include <kernel/printk.h>
#include <kernel/pseudofs.h>
#include <kernel/sha256.h>
#include <linux/mount.h>

#include "../fs/cpio/rootfs.h"
#include "../fs/ramfs/ramfs.h"
#include "internal.h"

/*
 * A directory below the root, made when it is missing. -ENOTDIR for anything else there: a link would
 * lead elsewhere.
 */
static int ensure_dir(struct superblock *sb, const char *name, mode_t mode)
{
    struct inode *root = sb->root, *dir;
    size_t size = strlen(name);
    const struct ramfs_entry *there = ramfs_find(root, name, size);
    int err;

    if (there)
        return S_ISDIR(there->inode->mode) ? 0 : -ENOTDIR;
    dir = ramfs_inode_create(sb, S_IFDIR | mode, 0, NULL);
    if (!dir)
        return -ENOMEM;
    err = ramfs_add(root, name, size, dir);
    inode_put(dir);
    return err;
}

static const struct {
    const char *dir, *path, *type;
    unsigned long flags;
    mode_t mode;
} g_boot_mounts[] = {
    {"dev", "/dev", "devtmpfs", MS_NOSUID, 0755},
    {NULL, "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, 0},
    {NULL, "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0},
    {"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555},
    {"sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555},
    {"tmp", NULL, NULL, 0, 01777},
};

static int mount_boot(struct superblock *sb)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_boot_mounts); i++) {
        const char *dir = g_boot_mounts[i].dir; /* NULL: devtmpfs has it */
        int err = dir ? ensure_dir(sb, dir, g_boot_mounts[i].mode) : 0;

        if (err == -ENOTDIR && !g_boot_mounts[i].path)
            continue; /* /tmp may be anything */
        if (!err && g_boot_mounts[i].path)
            err = vfs_mount(g_boot_mounts[i].type, g_boot_mounts[i].type, g_boot_mounts[i].path,
                            g_boot_mounts[i].flags, NULL);
        if (err)
            return pr_reason(err, "cannot mount /%s: %s", g_boot_mounts[i].path ? g_boot_mounts[i].path + 1 : dir,
                             errno_text(-err));
    }
    return 0;
}

int vfs_init(void)
{
    struct path root;
    int err;

    sha256_init();
    ramfs_register();
    pipe_init();
    devfs_init();
    devpts_init();
    ipc_init();
    procfs_init();
    sysfs_init();
    err = mount_root("ramfs", "rootfs", 0);
    if (err)
        return err;
    mount_root_path(&root);
    err = rootfs_populate(root.mnt->sb, &g_manifest->root);
    if (!err && !current->fs) {
        current->fs = fs_context_create();
        err = current->fs ? 0 : -ENOMEM;
    }
    if (!err)
        err = mount_boot(root.mnt->sb);
    path_put(&root);
    return err;
}
