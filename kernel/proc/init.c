/* SPDX-License-Identifier: MIT */
/*
 * Making processes and threads, and the first one: pid 1, as in a container, but without the protection that init
 * has on Linux.
 */
#include <kernel/alloc.h>
#include <kernel/core.h>
#include <kernel/files.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include "internal.h"

struct group *group_create(pid_t tgid)
{
    struct group *g = kzalloc(sizeof(*g));

    if (!g)
        return NULL;
    ref_init(&g->ref);
    spin_init(&g->lock, "group");
    list_init(&g->link);
    list_init(&g->tasks);
    sigpending_init(&g->pending);
    waitqueue_init(&g->signal_wait);
    waitqueue_init(&g->exit_wait);
    waitqueue_init(&g->child_wait);
    list_init(&g->children);
    list_init(&g->sibling);
    g->exit_signal = SIGCHLD;
    g->tgid = g->pgid = g->sid = tgid;
    g->start_time = time_monotonic();
    g->dumpable = 1;
    g->core_filter = CORE_FILTER_DEFAULT;
    rlimits_init(g->rlimits);
    return g;
}

static void sched_init(struct sched_state *s)
{
    unsigned cpus = min(target_cpu_count(), CPU_MASK_WORDS * 64u);

    for (unsigned i = 0; i < cpus; i++)
        s->cpus[i / 64] |= 1UL << i % 64;
}

struct task *task_create(struct group *g, pid_t tid)
{
    struct task *t = kzalloc(sizeof(*t));

    if (!t)
        return NULL;
    ref_init(&t->ref);
    t->tid = tid;
    t->group = g;
    list_init(&t->group_link);
    list_init(&t->waiters);
    sigpending_init(&t->pending);
    t->altstack.flags = SS_DISABLE;
    t->work = WORK_TURN; /* outside its memory so far */
    t->start_time = time_monotonic();
    t->timer_slack_ns = 50000;
    sched_init(&t->sched);
    return t;
}

void task_publish(struct task *t)
{
    struct group *g = t->group;

    ref_get(&t->ref);
    __atomic_fetch_add(&g_task_count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&g_task_total, 1, __ATOMIC_RELAXED);
    spin_lock(&g->lock);
    list_add_tail(&g->tasks, &t->group_link);
    g->live++;
    if (g->exiting || g->exec_task || g->stopped) /* what the others were told already */
        task_set_work(t, WORK_SIGNAL | WORK_KILL);
    spin_unlock(&g->lock);
}

/* Without its first process the enclave has nothing to do. */
static void *must_have(void *p)
{
    if (!p)
        panic("no memory for the first process: raise MemorySize");
    return p;
}

struct task *task_create_first(void)
{
    struct group *g = must_have(group_create(FIRST_PID));
    struct task *t = must_have(task_create(g, FIRST_PID));

    t->sighand = must_have(sighand_create());
    t->cred = must_have(cred_create_root());
    t->files = must_have(files_create());
    ref_get(&g->ref); /* the table's; the first one is the task's */
    task_publish(t);
    group_publish(g);
    return t;
}
