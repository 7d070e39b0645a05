/* SPDX-License-Identifier: MIT */
/*
 * SEM_UNDO: each set knows what the processes that asked for it would have to give back, and a process' end goes
 * through all sets. Threads of a process share their adjustments (CLONE_SYSVSEM, as pthreads have it); a child of
 * fork(2) has none, exec(2) keeps them.
 *
 * Locking: g_sem.lock.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include "sem.h"

static unsigned g_undo_count; /* entries in all sets, atomic: most processes have none */

static struct sem_undo *undo_find(struct sem_set *s, const struct group *g)
{
    struct sem_undo *u;

    list_for_each(u, &s->undos, link)
    {
        if (u->group == g)
            return u;
    }
    return NULL;
}

struct sem_undo *undo_get(struct sem_set *s)
{
    struct sem_undo *u = undo_find(s, current->group);

    assert_held(&g_sem.lock);
    if (u)
        return u;
    u = kzalloc(sizeof(*u) + s->count * sizeof(u->adjust[0]));
    if (!u)
        return NULL;
    u->group = current->group;
    list_add_tail(&s->undos, &u->link);
    __atomic_fetch_add(&g_undo_count, 1, __ATOMIC_RELAXED);
    return u;
}

void undo_clear(struct sem_set *s, unsigned from, unsigned count)
{
    struct sem_undo *u;

    assert_held(&g_sem.lock);
    list_for_each(u, &s->undos, link)
    {
        memset(u->adjust + from, 0, count * sizeof(u->adjust[0]));
    }
}

/* Whoever removed the set holds g_sem.lock, or nobody else knows of it. */
void undo_free_all(struct sem_set *s)
{
    struct sem_undo *u, *tmp;

    list_for_each_safe(u, tmp, &s->undos, link)
    {
        list_del(&u->link);
        kfree(u);
        __atomic_fetch_sub(&g_undo_count, 1, __ATOMIC_RELAXED);
    }
}

static void undo_apply(struct sem_set *s, const struct sem_undo *u, pid_t pid)
{
    for (unsigned i = 0; i < s->count; i++) {
        int value = s->sems[i].value + u->adjust[i];

        if (!u->adjust[i])
            continue;
        s->sems[i].value = value < 0 ? 0 : min(value, SEMVMX);
        s->sems[i].pid = pid;
    }
    s->otime = (s64)time_realtime();
    set_changed(s);
}

void ipc_process_exit(struct group *g)
{
    if (!READ_ONCE(g_undo_count))
        return;
    mutex_lock(&g_sem.lock);
    for (u32 i = 0; i < g_sem.size; i++) {
        struct sem_set *s = g_sem.slots[i] ? as_set(g_sem.slots[i]) : NULL;
        struct sem_undo *u = s ? undo_find(s, g) : NULL;

        if (!u)
            continue;
        undo_apply(s, u, g->tgid);
        list_del(&u->link);
        kfree(u);
        __atomic_fetch_sub(&g_undo_count, 1, __ATOMIC_RELAXED);
    }
    mutex_unlock(&g_sem.lock);
}
