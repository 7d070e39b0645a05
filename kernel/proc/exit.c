/* SPDX-License-Identifier: MIT */
/*
 * The end of a process: exit(2), exit_group(2), and death by signal.
 *
 * The first thread that ends the group decides its status; others are told to end on their way out of
 * the kernel. With the first process the enclave ends.
 */
#include <kernel/boot.h>
#include <kernel/files.h>
#include <kernel/mm.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include "internal.h"
#include <syscalls.gen.h>

/* Publishes the status and tells the other threads. False: somebody else was first. */
static bool group_begin_exit(struct group *g, int status)
{
    struct task *t;
    bool first;

    spin_lock(&g->lock);
    first = !g->exiting;
    if (first) {
        g->exiting = true;
        g->exit_status = status;
    }
    list_for_each(t, &g->tasks, group_link)
    {
        if (t == current)
            continue;
        task_set_work(t, WORK_KILL);
        target_unpark(t);
        target_kick(t);
    }
    spin_unlock(&g->lock);
    return first;
}

/* What a thread leaves behind for others; it still runs, on its kernel stack. */
static void task_release(struct task *t)
{
    struct group *g = t->group;

    futex_exit(t);
    spin_lock(&g->lock);
    g->utime_ns += cputime_task(t);
    list_del(&t->group_link);
    spin_unlock(&g->lock);
}

_Noreturn void task_exit_group(int wait_status)
{
    struct task *t = current;
    struct group *g = t->group;

    (void)group_begin_exit(g, wait_status);
    wait_status = READ_ONCE(g->exit_status); /* the first caller's, and final */
    group_timers_exit(g);
    task_release(t);
    files_put(t->files);
    t->files = NULL;
    strace_end(wait_status);
    kernel_report();
    if (t->mm)
        mm_put(t->mm);
    t->mm = NULL;
    target_exit(wait_status);
}

long sys_exit_group(int status)
{
    task_exit_group((status & 0xff) << 8);
}

/* The only thread's end is the process' end. */
long sys_exit(int status)
{
    task_exit_group((status & 0xff) << 8);
}
