/* SPDX-License-Identifier: MIT */
/*
 * sysfs: its root and the folders that programs look into. There are no devices: /sys/class and
 * /sys/block are empty.
 */
#include <kernel/pseudofs.h>
#include <linux/magic.h>

#include "sys.h"

static const struct pseudo_dir g_empty_dir;

static const struct pseudo_entry g_system_entries[] = {
    ENTRY_DIR("cpu", &g_sys_cpu_dir),
    ENTRY_DIR("node", &g_sys_node_dir),
};
static const struct pseudo_dir g_system_dir = DIR_OF(g_system_entries);

static const struct pseudo_entry g_devices_entries[] = {ENTRY_DIR("system", &g_system_dir)};
static const struct pseudo_dir g_devices_dir = DIR_OF(g_devices_entries);

static const struct pseudo_entry g_thp_entries[] = {
    ENTRY_CONST("enabled", "always madvise [never]\n"),
    ENTRY_CONST("defrag", "always defer defer+madvise madvise [never]\n"),
    ENTRY_CONST("hpage_pmd_size", "2097152\n"),
    ENTRY_CONST("shmem_enabled", "always within_size advise [never] deny force\n"),
};
static const struct pseudo_dir g_thp_dir = DIR_OF(g_thp_entries);

static const struct pseudo_entry g_mm_entries[] = {
    ENTRY_DIR("hugepages", &g_empty_dir),
    ENTRY_DIR("transparent_hugepage", &g_thp_dir),
};
static const struct pseudo_dir g_mm_dir = DIR_OF(g_mm_entries);

static const struct pseudo_entry g_kernel_entries[] = {ENTRY_DIR("mm", &g_mm_dir)};
static const struct pseudo_dir g_kernel_dir = DIR_OF(g_kernel_entries);

static const struct pseudo_entry g_fs_entries[] = {ENTRY_DIR("cgroup", &g_empty_dir)};
static const struct pseudo_dir g_fs_dir = DIR_OF(g_fs_entries);

static const struct pseudo_entry g_class_entries[] = {
    ENTRY_DIR("block", &g_empty_dir),
    ENTRY_DIR("net", &g_empty_dir),
    ENTRY_DIR("tty", &g_empty_dir),
};
static const struct pseudo_dir g_class_dir = DIR_OF(g_class_entries);

static const struct pseudo_entry g_entries[] = {
    ENTRY_DIR("block", &g_empty_dir), ENTRY_DIR("bus", &g_empty_dir),
    ENTRY_DIR("class", &g_class_dir), ENTRY_DIR("dev", &g_empty_dir),
    ENTRY_DIR("devices", &g_devices_dir), ENTRY_DIR("fs", &g_fs_dir),
    ENTRY_DIR("kernel", &g_kernel_dir),
};
static const struct pseudo_dir g_root_dir = DIR_OF(g_entries);
static const struct pseudo_entry g_root = ENTRY_DIR(NULL, &g_root_dir);

static int sysfs_mount(const struct fs_type *type, const char *source, unsigned long flags,
                       const char *data, struct superblock **out)
{
    return pseudo_mount(type, &g_root, SYSFS_MAGIC, out);
}

static struct fs_type g_sysfs = {.name = "sysfs", .mount = sysfs_mount};

void sysfs_init(void)
{
    fs_register(&g_sysfs);
}
