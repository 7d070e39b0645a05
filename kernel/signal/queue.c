/* SPDX-License-Identifier: MIT */
/*
 * Queues of pending signals. A standard signal waits at most once, a real-time one as often as it was
 * sent, in order. `set` has a bit for each signal that waits; a signal whose information found no
 * memory has the bit alone and is told as sent by SI_USER from nobody, as Linux does.
 *
 * Locking: the caller holds the group's lock, or is alone with the queue.
 */
#include <kernel/alloc.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include "internal.h"

/* ---- What a user has queued (RLIMIT_SIGPENDING is a user's, whoever's queues they wait in) --------------- */

#define USER_BUCKETS 64u

struct sig_user {
    struct sig_user *next;
    uid_t uid;
    u64 count;
};

static spinlock_t g_user_lock = SPINLOCK_INIT("signal_users");
static struct sig_user *g_users[USER_BUCKETS] GUARDED_BY(&g_user_lock);

static struct sig_user **user_slot(uid_t uid) REQUIRES(&g_user_lock)
{
    struct sig_user **p = &g_users[uid % USER_BUCKETS];

    while (*p && (*p)->uid != uid)
        p = &(*p)->next;
    return p;
}

u64 sigqueue_count(uid_t uid)
{
    const struct sig_user *u;
    u64 count;

    spin_lock(&g_user_lock);
    u = *user_slot(uid);
    count = u ? u->count : 0;
    spin_unlock(&g_user_lock);
    return count;
}

/* Counts one more; `fresh` becomes the user's account when there is none, and NULL then. */
static bool user_charge(uid_t uid, u64 limit, struct sig_user **fresh)
{
    struct sig_user **slot;
    bool ok = false;

    spin_lock(&g_user_lock);
    slot = user_slot(uid);
    if (!*slot && *fresh) {
        *slot = *fresh;
        *fresh = NULL;
    }
    if (*slot && (ok = (*slot)->count < limit))
        (*slot)->count++;
    spin_unlock(&g_user_lock);
    return ok;
}

static void user_uncharge(uid_t uid)
{
    struct sig_user **slot, *empty = NULL;

    spin_lock(&g_user_lock);
    slot = user_slot(uid);
    ASSERT(*slot); /* there is an account as long as something is charged to it */
    if (--(*slot)->count == 0) {
        empty = *slot;
        *slot = empty->next;
    }
    spin_unlock(&g_user_lock);
    kfree(empty);
}

struct sigqueue *sigqueue_alloc(uid_t uid, u64 limit)
{
    struct sigqueue *q = limit ? kmalloc(sizeof(*q)) : NULL;
    struct sig_user *fresh;
    bool ok;

    if (!q)
        return NULL;
    fresh = sigqueue_count(uid) ? NULL : kzalloc(sizeof(*fresh));
    if (fresh)
        fresh->uid = uid;
    ok = user_charge(uid, limit, &fresh);
    kfree(fresh);
    q->uid = uid;
    if (ok)
        return q;
    kfree(q);
    return NULL;
}

void sigqueue_free(struct sigqueue *q)
{
    if (!q)
        return;
    user_uncharge(q->uid);
    kfree(q);
}

/* ---- Queues ------------------------------------------------------------------------------------------- */

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
    sigqueue_free(q);
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

bool sigpending_add(struct sigpending *p, const siginfo_t *info, struct sigqueue **q, bool force)
{
    int sig = info->si_signo;

    if (sig < SIGRTMIN_K && (p->set & sigmask(sig)) && !force)
        return true;
    /* A signal that somebody sent by kill(2) must arrive; only its information may be lost. */
    if (!*q && sig >= SIGRTMIN_K && info->si_code != SI_USER && info->si_code != SI_KERNEL)
        return false;
    p->set |= sigmask(sig);
    if (*q) {
        (*q)->info = *info;
        list_add_tail(&p->queue, &(*q)->link);
        p->count++;
        *q = NULL;
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
