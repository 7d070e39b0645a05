/* SPDX-License-Identifier: MIT */
/*
 * Queues of pending signals. A standard signal waits at most once, a real-time one as often as it was
 * sent, in order. `set` has a bit for each signal that waits; a signal whose information found no
 * memory has the bit alone and is told as sent by SI_USER from nobody, as Linux does.
 *
 * Locking: the caller holds the group's lock, or is alone with the queue.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include "internal.h"

void sigpending_init(struct sigpending *p)
{
    p->set = 0;
    p->count = 0;
    list_init(&p->queue);
}

static void drop_entry(struct sigpending *p, struct sigqueue *q)
{
    list_del(&q->link);
    p->count--;
    kfree(q);
}

void sigpending_drop(struct sigpending *p, sigset64_t set)
{
    struct sigqueue *q, *tmp;

    if (!(p->set & set))
        return;
    p->set &= ~set;
    list_for_each_safe(q, tmp, &p->queue, link)
    {
        if (sigmask(q->info.si_signo) & set)
            drop_entry(p, q);
    }
}

void sigpending_flush(struct sigpending *p)
{
    sigpending_drop(p, ~0UL);
}

int signal_next(sigset64_t set)
{
    if (set & SIG_SYNCHRONOUS)
        set &= SIG_SYNCHRONOUS;
    return __builtin_ctzl(set) + 1;
}

bool sigpending_add(struct sigpending *p, const siginfo_t *info, u64 limit, bool force)
{
    int sig = info->si_signo;
    struct sigqueue *q;

    if (sig < SIGRTMIN_K && (p->set & sigmask(sig)) && !force)
        return true;
    /* A signal that somebody sent by kill(2) must arrive; only its information may be lost. */
    q = p->count < limit ? kmalloc(sizeof(*q)) : NULL;
    if (!q && sig >= SIGRTMIN_K && info->si_code != SI_USER && info->si_code != SI_KERNEL)
        return false;
    p->set |= sigmask(sig);
    if (q) {
        q->info = *info;
        list_add_tail(&p->queue, &q->link);
        p->count++;
    }
    return true;
}

void sigpending_take(struct sigpending *p, int sig, siginfo_t *info)
{
    struct sigqueue *q, *tmp;
    bool found = false, more = false;

    list_for_each_safe(q, tmp, &p->queue, link)
    {
        if (q->info.si_signo != sig)
            continue;
        if (found) {
            more = true;
            break;
        }
        *info = q->info;
        found = true;
        drop_entry(p, q);
    }
    if (!found) {
        memset(info, 0, sizeof(*info));
        info->si_signo = sig;
        info->si_code = SI_USER;
    }
    if (!more)
        p->set &= ~sigmask(sig);
}
