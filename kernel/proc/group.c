/* SPDX-License-Identifier: MIT */
/*
 * Processes' family: making children, telling parents, handing orphans on, and taking the dead away.
 *
 * Locking: g_task_list_lock guards the tree and what says so in struct group; it comes before group->lock.
 * A process stays in the table until its parent waited for it.
 */
#include <kernel/alloc.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/time.h>
#include "internal.h"

/* ---- Making ---------------------------------------------------------------------------------------- */

static char *copy_text(const char *text, size_t size)
{
    char *copy = text ? kmalloc(size) : NULL;

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

/* What lies under the creator's lock. cmdline and exe_path may be missing for lack of memory. */
static void copy_locked(struct group *g, struct group *from)
{
    spin_lock(&from->lock);
    memcpy(g->rlimits, from->rlimits, sizeof(g->rlimits));
    g->pgid = from->pgid;
    g->sid = from->sid;
    g->dumpable = from->dumpable;
    g->oom_score_adj = from->oom_score_adj;
    g->personality = from->personality;
    g->cmdline = copy_text(from->cmdline, from->cmdline_size);
    g->cmdline_size = g->cmdline ? from->cmdline_size : 0;
    g->exe_path = from->exe_path ? copy_text(from->exe_path, strlen(from->exe_path) + 1) : NULL;
    spin_unlock(&from->lock);
}

struct group *group_create_child(pid_t tgid, int exit_signal)
{
    struct group *g = group_create(tgid);

    if (!g)
        return NULL;
    g->exit_signal = exit_signal;
    copy_locked(g, current->group);
    return g;
}

void group_add_child(struct group *parent, struct group *g)
{
    spin_lock(&g_task_list_lock);
    g->parent = parent;
    WRITE_ONCE(g->ppid, parent->tgid);
    list_add_tail(&parent->children, &g->sibling);
    spin_unlock(&g_task_list_lock);
    group_publish(g);
}

uid_t group_uid(struct group *g)
{
    uid_t uid = 0;

    spin_lock(&g->lock);
    if (!list_empty(&g->tasks))
        uid = list_first(&g->tasks, struct task, group_link)->cred->uid;
    spin_unlock(&g->lock);
    return uid;
}

/* ---- Telling the parent ------------------------------------------------------------------------------ */

static siginfo_t child_info(struct group *g, int sig, int status)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = sig;
    info.si_pid = g->tgid;
    info.si_uid = group_uid(g);
    wait_status_info(&info, status);
    spin_lock(&g->lock);
    info.si_utime = (__kernel_clock_t)((g->utime_ns + g->children_usage.utime_ns) / 10000000);
    info.si_stime = (__kernel_clock_t)((g->stime_ns + g->children_usage.stime_ns) / 10000000);
    spin_unlock(&g->lock);
    return info;
}

/* The parent with a reference, or NULL. */
static struct group *parent_get(struct group *g)
{
    struct group *parent;

    spin_lock(&g_task_list_lock);
    parent = g->parent;
    if (parent)
        ref_get(&parent->ref);
    spin_unlock(&g_task_list_lock);
    return parent;
}

void group_tell_state(struct group *g, int sig)
{
    struct group *parent = parent_get(g);
    siginfo_t info = child_info(g, SIGCHLD, sig == SIGCONT ? WAIT_CONTINUED : sig << 8 | 0x7f);

    if (!parent)
        return;
    spin_lock(&g_task_list_lock);
    g->state_report = sig;
    spin_unlock(&g_task_list_lock);
    if (!signal_child_flags(parent, SA_NOCLDSTOP))
        signal_send_group(parent, SIGCHLD, &info);
    waitqueue_wake(&parent->child_wait, ~0u);
    group_put(parent);
}

/* ---- The end ------------------------------------------------------------------------------------------- */

/* Who takes the children of `g`: the nearest ancestor that asked for orphans, else the first process. */
static struct group *find_reaper(struct group *g) REQUIRES(&g_task_list_lock)
{
    struct group *p = g->parent;

    while (p->parent && (!READ_ONCE(p->child_subreaper) || p->zombie))
        p = p->parent;
    return p;
}

/* Hands the children on; the new parent may have dead ones to wait for. */
static void hand_children_on(struct group *g)
{
    struct group *child, *tmp, *reaper;

    spin_lock(&g_task_list_lock);
    reaper = find_reaper(g);
    list_for_each_safe(child, tmp, &g->children, sibling)
    {
        list_del(&child->sibling);
        child->parent = reaper;
        child->orphaned = true;
        child->exit_signal = SIGCHLD;
        WRITE_ONCE(child->ppid, reaper->tgid);
        list_add_tail(&reaper->children, &child->sibling);
    }
    ref_get(&reaper->ref);
    spin_unlock(&g_task_list_lock);
    waitqueue_wake(&reaper->child_wait, ~0u);
    group_put(reaper);
}

void group_reap(struct group *g)
{
    struct task *leader = NULL;

    spin_lock(&g->lock);
    if (!list_empty(&g->tasks)) {
        leader = list_first(&g->tasks, struct task, group_link);
        list_del(&leader->group_link);
    }
    spin_unlock(&g->lock);
    if (leader)
        task_put(leader);
    group_unpublish(g);
}

void group_unlink(struct group *g)
{
    assert_held(&g_task_list_lock);
    list_del(&g->sibling);
    g->parent = NULL;
}

/* Sets the zombie on show, or away at once when its parent does not want to know. True: away. */
static bool become_zombie(struct group *g, bool unwanted)
{
    spin_lock(&g_task_list_lock);
    g->zombie = true;
    if (unwanted)
        group_unlink(g);
    spin_unlock(&g_task_list_lock);
    return unwanted;
}

void group_end(struct group *g)
{
    struct group *parent;
    int sig = g->exit_signal;
    siginfo_t info = child_info(g, sig, READ_ONCE(g->exit_status));
    bool away;

    hand_children_on(g);
    parent = parent_get(g);
    away = become_zombie(g, sig == SIGCHLD && signal_child_flags(parent, SA_NOCLDWAIT));
    if (sig)
        signal_send_group(parent, sig, &info);
    waitqueue_wake(&parent->child_wait, ~0u);
    group_put(parent);
    if (away)
        group_reap(g);
}
