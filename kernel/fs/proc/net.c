/* SPDX-License-Identifier: MIT */
/* /proc/PID/net: one network namespace for all. /proc/sys/net: what holds for sockets, not to be changed. */
#include <kernel/socket.h>

#include "proc.h"

/* As snprintf; grows until it fits. */
static int text_of(struct seq *s, size_t (*show)(char *buf, size_t size))
{
    size_t room = 1024, size;

    for (;;) {
        char *p = seq_reserve(s, room);

        if (!p)
            return -ENOMEM;
        size = show(p, room);
        if (size <= room)
            break;
        room = size;
    }
    seq_commit(s, size);
    return 0;
}

static int net_unix(struct seq *s, const struct pseudo_node *node)
{
    return text_of(s, unix_show);
}

static const struct pseudo_entry g_entries[] = {ENTRY_TEXT("unix", 0444, net_unix)};

const struct pseudo_dir g_proc_net_dir = {.entries = g_entries, .count = ARRAY_COUNT(g_entries)};

/* ---- /proc/sys/net: kernel/socket.h and kernel/net/unix have the values ------------------------- */

static const struct pseudo_entry g_core_entries[] = {
    ENTRY_CONST("optmem_max", "20480\n"),    ENTRY_CONST("rmem_default", "212992\n"),
    ENTRY_CONST("rmem_max", "212992\n"),     ENTRY_CONST("somaxconn", "4096\n"),
    ENTRY_CONST("wmem_default", "212992\n"), ENTRY_CONST("wmem_max", "212992\n"),
};

static const struct pseudo_dir g_core_dir = {.entries = g_core_entries, .count = ARRAY_COUNT(g_core_entries)};

static const struct pseudo_entry g_unix_entries[] = {ENTRY_CONST("max_dgram_qlen", "10\n")};

static const struct pseudo_dir g_unix_dir = {.entries = g_unix_entries, .count = ARRAY_COUNT(g_unix_entries)};

static const struct pseudo_entry g_sys_net_entries[] = {
    ENTRY_DIR("core", 0555, &g_core_dir),
    ENTRY_DIR("unix", 0555, &g_unix_dir),
};

const struct pseudo_dir g_proc_sys_net_dir = {
    .entries = g_sys_net_entries,
    .count = ARRAY_COUNT(g_sys_net_entries),
};
