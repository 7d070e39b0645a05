/* SPDX-License-Identifier: MIT */
/*
 * Processes' family: making children, telling parents, handing orphans on, and taking the dead away.
 *
 * Locking: g_task_list_lock guards the tree and what says so in struct group; it comes before group->lock.
 * A process stays in the table until its parent waited for it.
 */
#include <kernel/alloc.h>
#include <kernel/fs.h>
#include <kernel/ipc.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/time.h>
#include <kernel/jobs.h>
#include "internal.h"

/* ---- Making ---------------------------------------------------------------------------------------- */

struct text_sizes {
    size_t cmdline, exe_path;
};

static struct text_sizes text_sizes(const struct group *g) REQUIRES(&g->lock)
{
    return (struct text_sizes){.cmdline = g->cmdline ? g->cmdline_size : 0,
                               .exe_path = g->exe_path ? strlen(g->exe_path) + 1 : 0};
}

/* They may be missing for lack of memory, or where another thread ends the creator by exec(2) just now. */
static void copy_texts(struct group *g, struct group *from) NO_LOCK_ANALYSIS /* nobody sees g yet */
{
    struct text_sizes sizes, now;

    spin_lock(&from->lock);
    sizes = text_sizes(from);
    spin_unlock(&from->lock);
    g->cmdline = sizes.cmdline ? kzalloc(sizes.cmdline) : NULL;
    g->exe_path = sizes.exe_path ? kzalloc(sizes.exe_path) : NULL;
    spin_lock(&from->lock);
    now = text_sizes(from);
    if (g->cmdline && now.cmdline == sizes.cmdline) {
        memcpy(g->cmdline, from->cmdline, now.cmdline);
        g->cmdline_size = now.cmdline;
    }
    if (g->exe_path && now.exe_path == sizes.exe_path)
        memcpy(g->exe_path, from->exe_path, now.exe_path);
    spin_unlock(&from->lock);
}

static void copy_limits(struct group *g, struct group *from)
{
    spin_lock(&from->lock);
    memcpy(g->rlimits, from->rlimits, sizeof(g->rlimits));
    g->dumpable = from->dumpable;
    g->core_filter = from->core_filter;
    g->oom_score_adj = from->oom_score_adj;
    g->personality = from->personality;
    spin_unlock(&from->lock);
}

struct group *group_create_child(pid_t tgid, int exit_signal)
{
    struct group *g = group_create(tgid);

    if (!g)
        return NULL;
    g->exit_signal = exit_signal;
    copy_limits(g, current->group);
    copy_texts(g, current->group);
    return g;
}

/* Process group, session and terminal are the creator's at the moment when others see the child. */
void group_add_child(struct group *g, bool sibling)
{
    struct group *self = current->group, *parent;

    spin_lock(&g_task_list_lock);
    parent = sibling ? self->parent : self;
    g->parent = parent;
    g->parent_tid = sibling ? self->parent_tid : current->tid;
    if (sibling)
        g->exit_signal = self->exit_signal;
    WRITE_ONCE(g->ppid, parent->tgid);
    g->pgid = self->pgid;
    g->sid = self->sid;
    tty_inherit(g, self);
    list_add_tail(&parent->children, &g->sibling);
    spin_unlock(&g_task_list_lock);
    group_publish(g);
    pagecache_keep_mapped();
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

/* The signal that a process asked for when its creator ends (PR_SET_PDEATHSIG); 0: none. */
static int pdeath_signal(struct group *g)
{
    struct task *t;
    int sig = 0;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        if (!sig && !t->dead)
            sig = t->pdeath_signal;
    }
    spin_unlock(&g->lock);
    return sig;
}

/* One child that changed hands, and what follows from it. References on both. */
struct passed {
    struct group *child, *reaper;
    bool zombie;
    bool hang_up; /* its process group has lost who could continue it */
};

/* Hands the first child on. False: there is none. */
static bool pass_first(struct group *g, struct passed *p)
{
    struct group *child = NULL;

    spin_lock(&g_task_list_lock);
    if (!list_empty(&g->children)) {
        child = list_first(&g->children, struct group, sibling);
        p->child = child;
        p->reaper = find_reaper(g);
        list_del(&child->sibling);
        child->parent = p->reaper;
        child->parent_tid = p->reaper->tgid;
        child->exit_signal = SIGCHLD;
        WRITE_ONCE(child->ppid, p->reaper->tgid);
        list_add_tail(&p->reaper->children, &child->sibling);
        p->zombie = child->zombie;
        p->hang_up = !child->zombie && pgrp_left(child, g, NULL);
        ref_get(&child->ref);
        ref_get(&p->reaper->ref);
    }
    spin_unlock(&g_task_list_lock);
    return child;
}

static void tell_end(struct group *g, struct group *parent, int sig);

static void hand_children_on(struct group *g)
{
    struct passed p;

    while (pass_first(g, &p)) {
        int sig = p.zombie ? 0 : pdeath_signal(p.child);

        if (sig)
            signal_send_group(p.child, sig, NULL);
        if (p.hang_up)
            pgrp_hang_up(READ_ONCE(p.child->pgid));
        if (p.zombie)
            tell_end(p.child, p.reaper, SIGCHLD);
        waitqueue_wake(&p.reaper->child_wait, ~0u);
        group_put(p.child);
        group_put(p.reaper);
    }
}

/* The thread that is to stand for `from` as its children's creator: any that lives, the leader's number else. */
static pid_t heir(struct group *g, pid_t from)
{
    struct task *t;
    pid_t tid = g->tgid;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        if (!t->dead && t->tid != from) {
            tid = t->tid;
            break;
        }
    }
    spin_unlock(&g->lock);
    return tid;
}

/* The next child that thread `from` made, now `to`'s; with a reference, or NULL. */
static struct group *pass_made(struct group *g, pid_t from, pid_t to)
{
    struct group *child, *found = NULL;

    spin_lock(&g_task_list_lock);
    list_for_each(child, &g->children, sibling)
    {
        if (child->parent_tid == from) {
            child->parent_tid = to;
            ref_get(&child->ref);
            found = child;
            break;
        }
    }
    spin_unlock(&g_task_list_lock);
    return found;
}

void group_children_pass(struct group *g, pid_t from)
{
    struct group *child;
    pid_t to = heir(g, from);

    while (to != from && (child = pass_made(g, from, to))) {
        int sig = READ_ONCE(child->zombie) || to == current->tid ? 0 : pdeath_signal(child);

        if (sig)
            signal_send_group(child, sig, NULL);
        group_put(child);
    }
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
    cputime_group_gone(g);
    __atomic_store_n(&g->gone, true, __ATOMIC_RELEASE);
    waitqueue_wake(&g->exit_wait, ~0u);
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

/* Takes the zombie off its parent's list, unless somebody has. */
static bool unlink_zombie(struct group *g)
{
    bool mine;

    spin_lock(&g_task_list_lock);
    mine = g->parent;
    if (mine)
        group_unlink(g);
    spin_unlock(&g_task_list_lock);
    return mine;
}

/* Tells the parent of a zombie, which goes away at once when the parent does not want to know. */
static void tell_end(struct group *g, struct group *parent, int sig)
{
    bool unwanted = sig == SIGCHLD && signal_child_flags(parent, SA_NOCLDWAIT);
    siginfo_t info = child_info(g, sig, READ_ONCE(g->exit_status));

    if (unwanted && unlink_zombie(g))
        group_reap(g);
    if (sig)
        signal_send_group(parent, sig, &info);
    waitqueue_wake(&parent->child_wait, ~0u);
}

/* From here on the parent sees that it ended. */
static struct group *become_zombie(struct group *g, bool *hang_up)
{
    struct group *parent;

    spin_lock(&g_task_list_lock);
    parent = g->parent;
    ref_get(&parent->ref);
    ref_get(&g->ref); /* the parent may take it away at once */
    *hang_up = pgrp_left(g, parent, g);
    g->zombie = true;
    spin_unlock(&g_task_list_lock);
    waitqueue_wake(&g->exit_wait, ~0u);
    return parent;
}

void group_end(struct group *g)
{
    struct group *parent;
    pid_t pgid = READ_ONCE(g->pgid);
    bool hang_up;

    ipc_process_exit(g);
    tty_leader_ended(g);
    hand_children_on(g);
    parent = become_zombie(g, &hang_up);
    if (hang_up)
        pgrp_hang_up(pgid);
    tell_end(g, parent, READ_ONCE(g->exit_signal));
    group_put(parent);
    group_put(g);
    signal_all_stopped();
}
