/* SPDX-License-Identifier: MIT */
/*
 * The end of threads and processes: exit(2), exit_group(2), death by signal, and exec(2)'s end of the other
 * threads.
 *
 * The first thread that ends the group decides its status; others are told to end on their way out of
 * the kernel. A process ends with its last thread; with the first process the enclave ends. A leader that ends
 * before others stays in the list, dead, since the process goes by its number.
 */
#include <kernel/boot.h>
#include <kernel/files.h>
#include <kernel/mm.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include "internal.h"
#include <syscalls.gen.h>

/* Tells all threads but one to end. */
static void kill_but(struct group *g, const struct task *spared) REQUIRES(&g->lock)
{
    struct task *t;

    list_for_each(t, &g->tasks, group_link)
    {
        if (t != spared && !t->dead)
            task_interrupt(t, WORK_KILL);
    }
}

bool group_kill(struct group *g, int wait_status)
{
    assert_held(&g->lock);
    if (g->exec_task)
        return false;
    if (!g->exiting) {
        g->exiting = true;
        g->exit_status = wait_status;
        kill_but(g, NULL);
    } else if (g->core_task) {
        task_interrupt(g->core_task, WORK_KILL);
        g->core_task = NULL;
    }
    return true;
}

bool group_begin_exit(int status, bool dump)
{
    struct group *g = current->group;
    bool first;

    spin_lock(&g->lock);
    first = !g->exiting && !g->exec_task;
    if (first) {
        g->exiting = true;
        g->exit_status = status;
        g->core_task = dump ? current : NULL;
        g->core_writing = dump;
        kill_but(g, current);
    }
    spin_unlock(&g->lock);
    return first;
}

/* Takes what the thread shares with others out of others' sight, then gives it up. */
static void task_release(struct task *t)
{
    struct group *g = t->group;
    struct mm *mm;
    struct files *files;
    struct fs_context *fs;

    futex_exit(t, true);
    mm_leave();
    spin_lock(&g->lock);
    mm = t->mm;
    if (mm)
        g->ended.rss_peak = max(g->ended.rss_peak, READ_ONCE(mm->rss_peak));
    files = t->files;
    fs = t->fs;
    t->mm = NULL;
    t->files = NULL;
    t->fs = NULL;
    spin_unlock(&g->lock);
    files_put(files);
    fs_context_put(fs);
    if (mm)
        mm_put(mm);
    if (t->tid == g->tgid) /* not a thread that the child made */
        task_vfork_done(t);
}

void task_vfork_done(struct task *t)
{
    struct group *g = t->group;

    if (READ_ONCE(g->vfork_done))
        return;
    __atomic_store_n(&g->vfork_done, true, __ATOMIC_RELEASE);
    waitqueue_wake(&g->exit_wait, ~0u);
}

/* The thread is no longer one of the process'. True: it was the last. */
static bool group_leave(struct task *t)
{
    struct group *g = t->group;
    bool last, unlisted = t->tid != g->tgid;

    spin_lock(&g->lock);
    usage_task_ended(t);
    t->dead = true;
    if (unlisted)
        list_del(&t->group_link);
    g->ending--;
    last = --g->live == 0;
    __atomic_fetch_sub(&g_task_count, 1, __ATOMIC_RELAXED);
    spin_unlock(&g->lock);
    waitqueue_wake(&g->exit_wait, ~0u);
    signal_stop_settle(g);
    if (unlisted)
        task_put(t);
    return last;
}

/* The first process: its end is the enclave's, whoever else still runs. */
static _Noreturn void enclave_end(struct group *g)
{
    int status = READ_ONCE(g->exit_status);

    kernel_report();
    target_exit(status);
}

/* The last thread that begins to end decides the process' status, if nobody has. */
static void thread_exit_status(struct group *g, int status)
{
    spin_lock(&g->lock);
    if (++g->ending == g->live && !g->exiting && !g->exec_task) {
        g->exiting = true;
        g->exit_status = status;
    }
    spin_unlock(&g->lock);
}

/* `status`: of the thread alone. */
static _Noreturn void task_end(struct task *t, int status)
{
    struct group *g = t->group;

    core_rest(t);
    thread_exit_status(g, status);
    signal_task_exit(t);
    task_release(t);
    group_children_pass(g, t->tid);
    strace_end(READ_ONCE(g->exiting) ? READ_ONCE(g->exit_status) : status);
    if (group_leave(t)) {
        group_timers_exit(g);
        if (g->tgid == FIRST_PID)
            enclave_end(g);
        group_end(g);
    }
    target_thread_end();
}

_Noreturn void task_exit_group(int wait_status)
{
    (void)group_begin_exit(wait_status, false);
    task_end(current, wait_status);
}

bool task_must_end(void)
{
    struct group *g = current->group;
    struct task *exec = READ_ONCE(g->exec_task);

    if (READ_ONCE(g->exiting))
        return READ_ONCE(g->core_task) != current;
    return exec && exec != current;
}

_Noreturn void task_end_killed(void)
{
    task_end(current, 0);
}

long sys_exit_group(int status)
{
    task_exit_group((status & 0xff) << 8);
}

long sys_exit(int status)
{
    task_end(current, (status & 0xff) << 8);
}

/* ---- exec(2) ---------------------------------------------------------------------------------------- */

/* The old leader's number and place in the list go to the current thread. */
static void take_leadership(struct group *g, struct task *t) REQUIRES(&g->lock)
{
    struct task *leader;
    pid_t old = t->tid;

    list_for_each(leader, &g->tasks, group_link)
    {
        if (leader == t)
            continue;
        list_del(&leader->group_link);
        t->tid = g->tgid;
        spin_unlock(&g->lock);
        task_put(leader);
        group_children_pass(g, old);
        spin_lock(&g->lock);
        return;
    }
}

int task_become_only(void)
{
    struct task *t = current;
    struct group *g = t->group;
    int ret = 0;

    spin_lock(&g->lock);
    if (g->exiting || g->exec_task) {
        spin_unlock(&g->lock);
        return -EAGAIN;
    }
    if (g->live > 1 || t->tid != g->tgid) {
        g->exec_task = t;
        kill_but(g, t);
        spin_unlock(&g->lock);
        do
            wait_event(ret, &g->exit_wait, READ_ONCE(g->live) == 1, DEADLINE_NONE, false);
        while (ret);
        spin_lock(&g->lock);
        if (t->tid != g->tgid)
            take_leadership(g, t);
        g->exec_task = NULL;
    }
    spin_unlock(&g->lock);
    return ret;
}
