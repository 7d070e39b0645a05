/* SPDX-License-Identifier: MIT */
/*
 * CPU time. The enclave sees its threads stop only when they block through task_block(), so a task's
 * CPU time is the time since its start without the time blocked. That counts the host's preemption
 * as running and is exact on an idle machine; kernel/time.h says why all of it is user time.
 *
 * Locking: a task's fields are written by its own thread only; readers of other tasks may see a value
 * that is one blocking period old.
 */
#include <kernel/task.h>
#include <kernel/time.h>

void cputime_block_begin(void)
{
    WRITE_ONCE(current->blocked_since, time_monotonic());
}

void cputime_block_end(void)
{
    struct task *t = current;

    WRITE_ONCE(t->blocked_ns, t->blocked_ns + (time_monotonic() - t->blocked_since));
    WRITE_ONCE(t->blocked_since, 0);
}

u64 cputime_task(const struct task *t)
{
    u64 now = time_monotonic();
    u64 since = READ_ONCE(t->blocked_since);
    u64 gone = READ_ONCE(t->blocked_ns) + (since && now > since ? now - since : 0);
    u64 age = now > t->start_time ? now - t->start_time : 0;

    return age > gone ? age - gone : 0;
}

u64 cputime_group(struct group *g)
{
    struct task *t;
    u64 sum;

    spin_lock(&g->lock);
    sum = g->utime_ns + g->stime_ns;
    list_for_each(t, &g->tasks, group_link)
    {
        if (!t->dead)
            sum += cputime_task(t);
    }
    spin_unlock(&g->lock);
    return sum;
}

static u64 g_gone_ns; /* atomic */

void cputime_group_gone(struct group *g)
{
    __atomic_fetch_add(&g_gone_ns, cputime_group(g), __ATOMIC_RELAXED);
}

u64 cputime_gone(void)
{
    return __atomic_load_n(&g_gone_ns, __ATOMIC_RELAXED);
}
