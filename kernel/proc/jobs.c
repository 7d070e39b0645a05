/* SPDX-License-Identifier: MIT */
/*
 * Process groups: who belongs to one, signals to all of them, and groups that nobody outside could continue
 * (POSIX: orphaned).
 *
 * Locking: pgid, sid and the tree are looked at under g_task_list_lock; signals are sent without it, to one process
 * after the other by number. A process that is born meanwhile has a higher number and is met too.
 */
#include <kernel/task.h>
#include "internal.h"

struct group *pgrp_next(pid_t pgid, pid_t from)
{
    struct group *g, *found = NULL;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (g->pgid == pgid && g->tgid >= from && (!found || g->tgid < found->tgid))
            found = g;
    }
    if (found)
        ref_get(&found->ref);
    spin_unlock(&g_task_list_lock);
    return found;
}

unsigned pgrp_signal(pid_t pgid, int sig, const siginfo_t *info)
{
    struct group *g;
    unsigned count = 0;

    for (pid_t from = 1; (g = pgrp_next(pgid, from)); count++) {
        signal_send_group(g, sig, info);
        from = g->tgid + 1;
        group_put(g);
    }
    return count;
}

pid_t pgrp_session(pid_t pgid)
{
    struct group *g;
    pid_t sid = -ESRCH;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (g->pgid == pgid || (sid < 0 && g->tgid == pgid))
            sid = g->sid;
        if (g->pgid == pgid)
            break;
    }
    spin_unlock(&g_task_list_lock);
    return sid;
}

/* A living member whose parent is of the same session and another group: that parent may continue it. */
static bool has_keeper(const struct group *g)
{
    if (g->zombie)
        return false;
    if (!g->parent) /* the first process' parent is the shell outside */
        return true;
    return g->parent->pgid != g->pgid && g->parent->sid == g->sid;
}

static bool orphaned_but(pid_t pgid, const struct group *ignored)
{
    struct group *g;

    assert_held(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (g->pgid == pgid && g != ignored && has_keeper(g))
            return false;
    }
    return true;
}

static bool has_stopped(pid_t pgid)
{
    struct group *g;

    assert_held(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (g->pgid == pgid && READ_ONCE(g->stopped))
            return true;
    }
    return false;
}

bool groups_all_stopped(void)
{
    struct group *g;
    bool all = true;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (!g->zombie && !(READ_ONCE(g->stopped) && READ_ONCE(g->stop_told))) {
            all = false;
            break;
        }
    }
    spin_unlock(&g_task_list_lock);
    return all;
}

bool pgrp_orphaned(pid_t pgid)
{
    bool orphaned;

    spin_lock(&g_task_list_lock);
    orphaned = orphaned_but(pgid, NULL);
    spin_unlock(&g_task_list_lock);
    return orphaned;
}

bool pgrp_left(const struct group *g, const struct group *keeper, const struct group *ignored)
{
    assert_held(&g_task_list_lock);
    return keeper && keeper->pgid != g->pgid && keeper->sid == g->sid &&
           orphaned_but(g->pgid, ignored) && has_stopped(g->pgid);
}

void pgrp_hang_up(pid_t pgid)
{
    pgrp_signal(pgid, SIGHUP, NULL);
    pgrp_signal(pgid, SIGCONT, NULL);
}
