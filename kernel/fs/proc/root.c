/* SPDX-License-Identifier: MIT */
/*
 * procfs: its root, the list of processes, the small files.
 */
#include <kernel/alloc.h>
#include <kernel/ipc.h>
#include <kernel/pseudofs.h>
#include <kernel/uts.h>
#include <linux/magic.h>
#include <linux/stat.h>

#include "proc.h"

static int self_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d", current->group->tgid);
    return 0;
}

static int thread_self_text(struct seq *s, const struct pseudo_node *node)
{
    seq_printf(s, "%d/task/%d", current->group->tgid, current->tid);
    return 0;
}

static const char g_version[] =
    "Linux version " UTS_RELEASE " (adyton@adyton) (gcc (Debian) " __VERSION__ ") " UTS_VERSION
    "\n";

static const char g_devices[] = "Character devices:\n"
                                "  1 mem\n"
                                "  5 /dev/tty\n"
                                "  5 /dev/console\n"
                                "  5 /dev/ptmx\n"
                                "136 pts\n"
                                "\n"
                                "Block devices:\n";

/* ---- sysvipc -------------------------------------------------------------------------------- */

static int ipc_text(struct seq *s, enum ipc_kind kind)
{
    char *text = ipc_list_text(kind);

    if (!text)
        return -ENOMEM;
    seq_puts(s, text);
    kfree(text);
    return 0;
}

static int shm_text(struct seq *s, const struct pseudo_node *node)
{
    return ipc_text(s, IPC_SHM);
}

static int sem_text(struct seq *s, const struct pseudo_node *node)
{
    return ipc_text(s, IPC_SEM);
}

static int msg_text(struct seq *s, const struct pseudo_node *node)
{
    return ipc_text(s, IPC_MSG);
}

static const struct pseudo_entry g_sysvipc_entries[] = {
    ENTRY_TEXT("msg", 0444, msg_text),
    ENTRY_TEXT("sem", 0444, sem_text),
    ENTRY_TEXT("shm", 0444, shm_text),
};

static const struct pseudo_dir g_sysvipc_dir = {
    .entries = g_sysvipc_entries,
    .count = ARRAY_COUNT(g_sysvipc_entries),
};

/* ---- The root ------------------------------------------------------------------------------- */

static const struct pseudo_entry g_entries[] = {
    {.name = "self", .mode = S_IFLNK | 0777, .show = self_text},
    {.name = "thread-self", .mode = S_IFLNK | 0777, .show = thread_self_text},
    {.name = "mounts", .mode = S_IFLNK | 0777, .text = "self/mounts"},
    {.name = "net", .mode = S_IFLNK | 0777, .text = "self/net"},
    ENTRY_CONST("cmdline", "adyton\n"),
    ENTRY_TEXT("cpuinfo", 0444, proc_cpuinfo),
    ENTRY_CONST("devices", g_devices),
    ENTRY_TEXT("filesystems", 0444, proc_filesystems),
    ENTRY_TEXT("loadavg", 0444, proc_loadavg),
    ENTRY_TEXT("meminfo", 0444, proc_meminfo),
    ENTRY_TEXT("stat", 0444, proc_system_stat),
    ENTRY_DIR("sys", 0555, &g_proc_sys_dir),
    ENTRY_DIR("sysvipc", 0555, &g_sysvipc_dir),
    ENTRY_TEXT("uptime", 0444, proc_uptime),
    ENTRY_CONST("version", g_version),
};

/* ---- Processes ------------------------------------------------------------------------------ */

static void pid_child(pid_t pid, struct pseudo_node *child)
{
    *child = (struct pseudo_node){.entry = &g_proc_pid_entry, .tid = pid};
}

/* Threads are found by their numbers like processes, but only those are listed (proc(5)). */
static bool task_exists(pid_t tid)
{
    struct task *t = task_find(tid);

    if (t)
        task_put(t);
    return t;
}

static int pid_lookup(const struct pseudo_node *dir, const char *name, size_t size,
                      struct pseudo_node *child)
{
    u32 pid;

    if (!pseudo_number(name, size, PID_MAX, &pid) || !task_exists((pid_t)pid))
        return -ENOENT;
    pid_child((pid_t)pid, child);
    return 0;
}

static bool pid_next(const struct pseudo_node *dir, u32 *number, char name[16],
                     struct pseudo_node *child)
{
    struct group *g = *number > PID_MAX ? NULL : group_next((pid_t)*number);

    if (!g)
        return false;
    *number = (u32)g->tgid;
    (void)snprintf(name, 16, "%d", g->tgid);
    pid_child(g->tgid, child);
    group_put(g);
    return true;
}

static bool pid_holds(const struct pseudo_node *dir, const char *name, size_t size,
                      const struct pseudo_node *node)
{
    return node && (!node->tid || task_exists(node->tid));
}

static const struct pseudo_dir g_root_dir = {
    .entries = g_entries,
    .count = ARRAY_COUNT(g_entries),
    .lookup = pid_lookup,
    .next = pid_next,
    .holds = pid_holds,
};

static const struct pseudo_entry g_root = ENTRY_DIR(NULL, 0555, &g_root_dir);

static bool task_owner(pid_t tid, uid_t *uid, gid_t *gid)
{
    struct task *t = task_find(tid);
    struct cred *c;

    if (!t)
        return false;
    c = task_cred(t);
    *uid = c->euid;
    *gid = c->egid;
    cred_put(c);
    task_put(t);
    return true;
}

static int proc_mount(const struct fs_type *type, const char *source, unsigned long flags,
                      const char *data, struct superblock **out)
{
    return pseudo_mount(type, &g_root, PROC_SUPER_MAGIC, out);
}

static struct fs_type g_proc = {.name = "proc", .mount = proc_mount};

void procfs_init(void)
{
    g_pseudo_owner = task_owner;
    fs_register(&g_proc);
}
