/* SPDX-License-Identifier: MIT */
/* /proc/PID/net: one network namespace for all. */
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
