/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys: the values that programs read. Only the names of the machine can be changed.
 */
#include <kernel/core.h>
#include <kernel/random.h>
#include <kernel/uts.h>
#include <linux/capability.h>
#include <linux/stat.h>

#include "proc.h"

#define NR_OPEN      1048576
#define MMAP_MIN     65536 /* USER_START */
#define THREADS_MAX  65536

/* ---- kernel/random -------------------------------------------------------------------------- */

/* RFC 4122, version 4. */
static void uuid_make(u8 id[16])
{
    random_bytes(id, 16);
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
}

static void uuid_show(struct seq *s, const u8 id[16])
{
    for (int i = 0; i < 16; i++)
        seq_printf(s, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
    seq_putc(s, '\n');
}

static int uuid_text(struct seq *s, const struct pseudo_node *node)
{
    u8 id[16];

    uuid_make(id);
    uuid_show(s, id);
    return 0;
}

static spinlock_t g_boot_id_lock = SPINLOCK_INIT("boot_id");
static u8 g_boot_id[16] GUARDED_BY(&g_boot_id_lock); /* version bits make it non-zero once made */

static int boot_id_text(struct seq *s, const struct pseudo_node *node)
{
    u8 fresh[16], id[16];

    uuid_make(fresh);
    spin_lock(&g_boot_id_lock);
    if (!g_boot_id[6])
        memcpy(g_boot_id, fresh, sizeof(fresh));
    memcpy(id, g_boot_id, sizeof(id));
    spin_unlock(&g_boot_id_lock);
    uuid_show(s, id);
    return 0;
}

static const struct pseudo_entry g_random_entries[] = {
    ENTRY_TEXT("boot_id", 0444, boot_id_text),
    ENTRY_TEXT("uuid", 0444, uuid_text),
    ENTRY_CONST("entropy_avail", "256\n"),
    ENTRY_CONST("poolsize", "256\n"),
};

static const struct pseudo_dir g_random_dir = {
    .entries = g_random_entries,
    .count = ARRAY_COUNT(g_random_entries),
};

/* ---- kernel --------------------------------------------------------------------------------- */

static int hostname_text(struct seq *s, const struct pseudo_node *node)
{
    char name[UTS_NODE_MAX + 1];

    uts_node_name(name);
    seq_printf(s, "%s\n", name);
    return 0;
}

static ssize_t hostname_store(const struct pseudo_node *node, char *text, size_t size)
{
    char *newline = strchr(text, '\n');

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (newline)
        *newline = 0;
    uts_set_node_name(text, strlen(text));
    return (ssize_t)size;
}

static int threads_max_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d\n", THREADS_MAX);
    return 0;
}

static int pid_max_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d\n", PID_MAX);
    return 0;
}

static int cap_last_cap_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d\n", CAP_LAST_CAP);
    return 0;
}

static int ngroups_max_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d\n", NGROUPS_MAX);
    return 0;
}

/* CoreDump of the configuration: measured, so nobody changes it. */
static int core_pattern_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%s\n", core_pattern());
    return 0;
}

static const struct pseudo_entry g_kernel_entries[] = {
    {.name = "hostname", .mode = S_IFREG | 0644, .show = hostname_text, .store = hostname_store},
    ENTRY_CONST("domainname", "(none)\n"),
    ENTRY_CONST("ostype", "Linux\n"),
    ENTRY_CONST("osrelease", UTS_RELEASE "\n"),
    ENTRY_CONST("version", UTS_VERSION "\n"),
    ENTRY_TEXT("pid_max", 0444, pid_max_text),
    ENTRY_TEXT("threads-max", 0444, threads_max_text),
    ENTRY_DIR("random", 0555, &g_random_dir),
    ENTRY_CONST("randomize_va_space", "2\n"),
    ENTRY_TEXT("core_pattern", 0444, core_pattern_text),
    ENTRY_CONST("core_uses_pid", "0\n"),
    ENTRY_TEXT("cap_last_cap", 0444, cap_last_cap_text),
    ENTRY_TEXT("ngroups_max", 0444, ngroups_max_text),
    /* System V IPC: the limits of kernel/ipc. */
    ENTRY_CONST("msgmax", "8192\n"),
    ENTRY_CONST("msgmnb", "16384\n"),
    ENTRY_CONST("msgmni", "32000\n"),
    ENTRY_CONST("sem", "32000\t1024000000\t500\t32000\n"),
    ENTRY_CONST("shm_rmid_forced", "0\n"),
    ENTRY_CONST("shmall", "18446744073692774399\n"),
    ENTRY_CONST("shmmax", "18446744073692774399\n"),
    ENTRY_CONST("shmmni", "4096\n"),
};

static const struct pseudo_dir g_kernel_dir = {
    .entries = g_kernel_entries,
    .count = ARRAY_COUNT(g_kernel_entries),
};

/* ---- vm, fs --------------------------------------------------------------------------------- */

static int mmap_min_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d\n", MMAP_MIN);
    return 0;
}

static const struct pseudo_entry g_vm_entries[] = {
    ENTRY_CONST("overcommit_memory", "0\n"),
    ENTRY_CONST("max_map_count", "65530\n"),
    ENTRY_TEXT("mmap_min_addr", 0444, mmap_min_text),
};

static const struct pseudo_dir g_vm_dir = {
    .entries = g_vm_entries,
    .count = ARRAY_COUNT(g_vm_entries),
};

static int nr_open_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d\n", NR_OPEN);
    return 0;
}

static const struct pseudo_entry g_mqueue_entries[] = {
    ENTRY_CONST("msg_default", "10\n"),
    ENTRY_CONST("msg_max", "10\n"),
    ENTRY_CONST("msgsize_default", "8192\n"),
    ENTRY_CONST("msgsize_max", "8192\n"),
    ENTRY_CONST("queues_max", "256\n"),
};

static const struct pseudo_dir g_mqueue_dir = {
    .entries = g_mqueue_entries,
    .count = ARRAY_COUNT(g_mqueue_entries),
};

static const struct pseudo_entry g_fs_entries[] = {
    ENTRY_DIR("mqueue", 0555, &g_mqueue_dir),
    ENTRY_CONST("file-max", "9223372036854775807\n"),
    ENTRY_TEXT("nr_open", 0444, nr_open_text),
    ENTRY_CONST("pipe-max-size", "1048576\n"),
};

static const struct pseudo_dir g_fs_dir = {
    .entries = g_fs_entries,
    .count = ARRAY_COUNT(g_fs_entries),
};

static const struct pseudo_entry g_sys_entries[] = {
    ENTRY_DIR("fs", 0555, &g_fs_dir),
    ENTRY_DIR("kernel", 0555, &g_kernel_dir),
    ENTRY_DIR("net", 0555, &g_proc_sys_net_dir),
    ENTRY_DIR("vm", 0555, &g_vm_dir),
};

const struct pseudo_dir g_proc_sys_dir = {
    .entries = g_sys_entries,
    .count = ARRAY_COUNT(g_sys_entries),
};
