/* SPDX-License-Identifier: MIT */
/*
 * Every process, and lookups by number.
 *
 * Locking: g_task_list_lock guards the list of groups; it comes before group->lock. The table holds a
 * reference on each group, a task one on its group.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/target.h>
#include "internal.h"

spinlock_t g_task_list_lock = SPINLOCK_INIT("task_list");

struct list g_groups GUARDED_BY(&g_task_list_lock) = LIST_INIT(g_groups);
static unsigned g_group_count GUARDED_BY(&g_task_list_lock);
static pid_t g_last_pid GUARDED_BY(&g_task_list_lock) = FIRST_PID;

void group_publish(struct group *g)
{
    spin_lock(&g_task_list_lock);
    list_add_tail(&g_groups, &g->link);
    g_group_count++;
    spin_unlock(&g_task_list_lock);
}

void group_unpublish(struct group *g)
{
    spin_lock(&g_task_list_lock);
    list_del(&g->link);
    g_group_count--;
    spin_unlock(&g_task_list_lock);
    group_put(g);
}

unsigned g_task_count;
u64 g_task_total;

u64 task_total(void)
{
    return __atomic_load_n(&g_task_total, __ATOMIC_RELAXED);
}

pid_t pid_last(void)
{
    return READ_ONCE(g_last_pid);
}

unsigned task_count(void)
{
    return __atomic_load_n(&g_task_count, __ATOMIC_RELAXED);
}

unsigned group_count(void)
{
    return READ_ONCE(g_group_count);
}

/* ---- Numbers ---------------------------------------------------------------------------------------- */

#define PID_FIRST_REUSED 300 /* low numbers are for those who were first, as on Linux */

static bool g_pids_wrapped GUARDED_BY(&g_task_list_lock);

static bool number_used(struct group *g, pid_t pid)
{
    struct task *t;
    bool used = g->tgid == pid || g->pgid == pid || g->sid == pid;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        used |= t->tid == pid;
    }
    spin_unlock(&g->lock);
    return used;
}

static bool pid_used(pid_t pid) REQUIRES(&g_task_list_lock)
{
    struct group *g;

    list_for_each(g, &g_groups, link)
    {
        if (number_used(g, pid))
            return true;
    }
    return false;
}

/* Numbers are given out in a row, so that looking for their users only starts with the second round. */
pid_t pid_alloc(void)
{
    pid_t pid = -EAGAIN;

    spin_lock(&g_task_list_lock);
    for (int tries = 0; tries < PID_MAX && pid < 0; tries++) {
        if (++g_last_pid > PID_MAX) {
            g_last_pid = PID_FIRST_REUSED;
            g_pids_wrapped = true;
        }
        if (!g_pids_wrapped || !pid_used(g_last_pid))
            pid = g_last_pid;
    }
    spin_unlock(&g_task_list_lock);
    return pid;
}

bool pid_in_use(pid_t pid)
{
    bool used;

    spin_lock(&g_task_list_lock);
    used = pid_used(pid);
    spin_unlock(&g_task_list_lock);
    return used;
}

struct group *group_find(pid_t tgid)
{
    struct group *g, *found = NULL;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (g->tgid == tgid) {
            ref_get(&g->ref);
            found = g;
            break;
        }
    }
    spin_unlock(&g_task_list_lock);
    return found;
}

struct group *group_next(pid_t from)
{
    struct group *g, *found = NULL;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (g->tgid >= from && (!found || g->tgid < found->tgid))
            found = g;
    }
    if (found)
        ref_get(&found->ref);
    spin_unlock(&g_task_list_lock);
    return found;
}

static struct task *find_in_group(struct group *g, pid_t tid)
{
    struct task *t, *found = NULL;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        if (t->tid == tid) {
            ref_get(&t->ref);
            found = t;
            break;
        }
    }
    spin_unlock(&g->lock);
    return found;
}

struct task *task_find(pid_t tid)
{
    struct group *g;
    struct task *found = NULL;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        found = find_in_group(g, tid);
        if (found)
            break;
    }
    spin_unlock(&g_task_list_lock);
    return found;
}

static bool group_for_each(struct group *g, bool (*fn)(struct task *t, void *arg), void *arg)
{
    struct task *t;
    bool more = true;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        more = t->dead || fn(t, arg);
        if (!more)
            break;
    }
    spin_unlock(&g->lock);
    return more;
}

void task_for_each(bool (*fn)(struct task *t, void *arg), void *arg)
{
    struct group *g;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        if (!group_for_each(g, fn, arg))
            break;
    }
    spin_unlock(&g_task_list_lock);
}

void task_interrupt(struct task *t, u32 bits)
{
    task_set_work(t, bits);
    if (t == current)
        return;
    __atomic_store_n(&t->woken, 1, __ATOMIC_RELEASE);
    target_unpark(t);
    target_kick(t);
}

struct cred *task_cred(struct task *t)
{
    struct cred *c;

    spin_lock(&t->group->lock);
    c = t->cred;
    ref_get(&c->ref);
    spin_unlock(&t->group->lock);
    return c;
}

struct mm *task_mm(struct task *t)
{
    struct mm *mm;

    spin_lock(&t->group->lock);
    mm = t->mm;
    if (mm)
        ref_get(&mm->ref);
    spin_unlock(&t->group->lock);
    return mm;
}

struct files *task_files(struct task *t)
{
    struct files *files;

    spin_lock(&t->group->lock);
    files = t->files;
    if (files)
        ref_get(&files->ref);
    spin_unlock(&t->group->lock);
    return files;
}

struct fs_context *task_fs(struct task *t)
{
    struct fs_context *fs;

    spin_lock(&t->group->lock);
    fs = t->fs;
    if (fs)
        ref_get(&fs->ref);
    spin_unlock(&t->group->lock);
    return fs;
}

void tasks_interrupt(struct mm *mm, u32 work)
{
    struct group *g;
    struct task *t;

    spin_lock(&g_task_list_lock);
    list_for_each(g, &g_groups, link)
    {
        spin_lock(&g->lock);
        list_for_each(t, &g->tasks, group_link)
        {
            if (READ_ONCE(t->in_mm) != mm || t == current)
                continue;
            task_set_work(t, work);
            target_kick(t);
        }
        spin_unlock(&g->lock);
    }
    spin_unlock(&g_task_list_lock);
}

struct task *task_of_pid(pid_t pid)
{
    if (pid)
        return task_find(pid);
    ref_get(&current->ref);
    return current;
}

void group_put(struct group *g) NO_LOCK_ANALYSIS /* the last user */
{
    if (!ref_put(&g->ref))
        return;
    ASSERT(list_empty(&g->tasks));
    sigpending_flush(&g->pending);
    kfree(g->cmdline);
    kfree(g->exe_path);
    kfree(g->timers);
    kfree(g);
}

void task_put(struct task *t)
{
    if (!ref_put(&t->ref))
        return;
    sigpending_flush(&t->pending);
    sighand_put(t->sighand);
    cred_put(t->cred);
    kfree(t->xsave_buffer);
    group_put(t->group);
    kfree(t);
}
