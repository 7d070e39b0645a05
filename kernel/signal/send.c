/* SPDX-License-Identifier: MIT */
/*
 * Sending signals: to a thread, to a process, from the host, and by faults.
 *
 * Invariant: whenever an unblocked signal waits for a task, the task's WORK_SIGNAL is set. Sending and
 * unblocking set it; only signal_deliver() clears it.
 *
 * Locking: group->lock guards the queues, sighand->lock (inside it) the actions. The place for a signal's
 * information is made before, since memory may come from the host.
 */
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/jobs.h>
#include <kernel/wait.h>
#include "internal.h"

static bool action_ignores(struct sighand *sh, int sig)
{
    u64 handler;

    spin_lock(&sh->lock);
    handler = sh->action[sig - 1].handler;
    spin_unlock(&sh->lock);
    return handler == (u64)SIG_IGN ||
           (handler == (u64)SIG_DFL && (sigmask(sig) & SIG_IGNORED_BY_DEFAULT));
}

/* Makes `t` look at its signals soon, whether it runs, blocks in the kernel or is `current`. */
static void signal_wake(struct task *t)
{
    task_interrupt(t, WORK_SIGNAL);
}

/* The other kind's waiting signals go, and with SIGCONT also the stop that a thread is about to begin. */
static void drop_opposite(struct group *g, int sig) REQUIRES(&g->lock)
{
    sigset64_t drop = sig == SIGCONT ? SIG_STOPS : sigmask(SIGCONT);
    struct task *t;

    sigpending_drop(&g->pending, drop);
    list_for_each(t, &g->tasks, group_link)
    {
        sigpending_drop(&t->pending, drop);
        if (sig == SIGCONT)
            t->stop_dequeued = false;
    }
}

/* Ends a stop. True: the process goes on, which its parent may want to know. */
static bool go_on(struct group *g) REQUIRES(&g->lock)
{
    struct task *t;
    bool was = g->stopped;

    g->stopped = g->stop_told = false;
    list_for_each(t, &g->tasks, group_link)
    {
        if (was && !t->dead)
            signal_wake(t);
    }
    return was;
}

/* SIGCONT undoes waiting stops and the other way round; SIGCONT ends a stop: true. */
static bool stop_and_continue(struct group *g, int sig) REQUIRES(&g->lock)
{
    if (sig == SIGCONT || (sigmask(sig) & SIG_STOPS))
        drop_opposite(g, sig);
    return sig == SIGCONT && go_on(g);
}

/*
 * The thread that shall take a process' signal, or NULL: the first that does not block it, better one that has
 * no other signal to look at.
 */
static struct task *choose_task(struct group *g, int sig)
{
    struct task *t, *chosen = NULL;

    assert_held(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        if (t->dead || (t->blocked & sigmask(sig)))
            continue;
        if (!(__atomic_load_n(&t->work, __ATOMIC_RELAXED) & WORK_SIGNAL))
            return t;
        if (!chosen)
            chosen = t;
    }
    return chosen;
}

void signal_retarget(struct task *t, sigset64_t set)
{
    struct group *g = t->group;
    struct task *other;

    assert_held(&g->lock);
    if (!set)
        return;
    list_for_each(other, &g->tasks, group_link)
    {
        if (other == t || other->dead || !(set & ~other->blocked))
            continue;
        set &= other->blocked;
        signal_wake(other);
    }
}

void signal_task_exit(struct task *t)
{
    struct group *g = t->group;

    spin_lock(&g->lock);
    signal_retarget(t, g->pending.set & ~t->blocked);
    t->blocked = ~0UL;
    spin_unlock(&g->lock);
}

/* What a signal brings with it; NULL: it does without, or cannot be queued. */
static struct sigqueue *make_place(struct group *g, const siginfo_t *info)
{
    uid_t uid = g == current->group ? current->cred->uid : group_uid(g);
    bool always = info->si_code == SI_TIMER || (info->si_signo < SIGRTMIN_K && info->si_code >= 0);

    if (info->si_signo == SIGKILL)
        return NULL;
    return sigqueue_alloc(uid, always ? UINT64_MAX : READ_ONCE(g->rlimits[RLIMIT_SIGPENDING].cur));
}

/*
 * Queues for thread `t`, or with `t` NULL for the process. Ignored signals that nobody blocks are
 * dropped. The wake of a task happens under group->lock, so that the task is still there. SIGKILL ends the
 * process here, whatever its threads do.
 */
static int queue_locked(struct group *g, struct task *t, const siginfo_t *info, struct sigqueue **q)
    REQUIRES(&g->lock)
{
    int sig = info->si_signo;
    struct task *chosen = t ? t : choose_task(g, sig);
    bool open = chosen && !(chosen->blocked & sigmask(sig));

    if (!g->live || (t && t->dead) || (open && action_ignores(chosen->sighand, sig)))
        return 1;
    if (sig == SIGKILL && group_kill(g, SIGKILL))
        return 0;
    if (!sigpending_add(t ? &t->pending : &g->pending, info, q, info->si_code == SI_TIMER))
        return -EAGAIN;
    if (open)
        signal_wake(chosen);
    return 0;
}

static int queue_signal(struct group *g, struct task *t, const siginfo_t *info)
{
    struct sigqueue *q = make_place(g, info);
    bool continued;
    int ret;

    spin_lock(&g->lock);
    continued = stop_and_continue(g, info->si_signo);
    ret = queue_locked(g, t, info, &q);
    spin_unlock(&g->lock);
    sigqueue_free(q);
    waitqueue_wake(&g->signal_wait, ~0u);
    if (continued)
        group_tell_state(g, SIGCONT);
    return ret;
}

int signal_queue_task(struct task *t, const siginfo_t *info)
{
    return queue_signal(t->group, t, info);
}

int signal_queue_group(struct group *g, const siginfo_t *info)
{
    return queue_signal(g, NULL, info);
}

static int send(struct group *g, struct task *t, int sig, const siginfo_t *info)
{
    siginfo_t kernel = {.si_signo = sig, .si_code = SI_KERNEL};
    siginfo_t told;
    int ret;

    if (info) {
        told = *info;
        told.si_signo = sig;
    }
    ret = queue_signal(g, t, info ? &told : &kernel);
    return ret < 0 ? ret : 0;
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    return send(t->group, t, sig, info);
}

int signal_send_group(struct group *g, int sig, const siginfo_t *info)
{
    return send(g, NULL, sig, info);
}

bool signal_child_flags(struct group *g, u64 flag)
{
    struct task *t;
    bool set = false;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        const struct ksigaction *a = &t->sighand->action[SIGCHLD - 1];

        spin_lock(&t->sighand->lock);
        set = (a->flags & flag) || (flag == SA_NOCLDWAIT && a->handler == (u64)SIG_IGN);
        spin_unlock(&t->sighand->lock);
        break;
    }
    spin_unlock(&g->lock);
    return set;
}

/* ---- Faults ----------------------------------------------------------------------------------------- */

/* Nobody may block or ignore a fault: what does loses its handler. */
static void unmask_fault(struct task *t, int sig, bool to_default)
{
    struct sighand *sh = t->sighand;
    struct ksigaction *a = &sh->action[sig - 1];

    assert_held(&t->group->lock);
    spin_lock(&sh->lock);
    if (to_default || (t->blocked & sigmask(sig)) || a->handler == (u64)SIG_IGN)
        a->handler = (u64)SIG_DFL;
    spin_unlock(&sh->lock);
    t->blocked &= ~sigmask(sig);
}

static void force(const siginfo_t *info, bool to_default)
{
    struct task *t = current;
    struct group *g = t->group;
    struct sigqueue *q = sigqueue_alloc(t->cred->uid, UINT64_MAX);

    spin_lock(&g->lock);
    unmask_fault(t, info->si_signo, to_default);
    (void)sigpending_add(&t->pending, info, &q, false);
    task_set_work(t, WORK_SIGNAL);
    spin_unlock(&g->lock);
    sigqueue_free(q);
}

void signal_force_fault(int sig, int code, u64 addr, int trapno, u64 error)
{
    siginfo_t info = {.si_signo = sig, .si_code = code};
    struct task *t = current;

    info.si_addr = (void *)addr;
    t->fault_trapno = (u64)trapno;
    t->fault_error = error;
    if (trapno == 14)
        t->fault_addr = addr;
    force(&info, false);
}

void signal_force_segv(int failed)
{
    siginfo_t info = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};

    force(&info, failed == SIGSEGV);
}

/* ---- The host ---------------------------------------------------------------------------------------- */

/*
 * What the host may send: what a terminal or an operator sends a process. The rest would let it fake
 * faults, timers and children.
 */
#define HOST_SIGNALS                                                                               \
    (sigmask(SIGHUP) | sigmask(SIGINT) | sigmask(SIGQUIT) | sigmask(SIGTERM) | sigmask(SIGUSR1) |  \
     sigmask(SIGUSR2) | sigmask(SIGWINCH) | sigmask(SIGCONT) | sigmask(SIGTSTP) |                  \
     sigmask(SIGTTIN) | sigmask(SIGTTOU))
/* Those that come from a terminal have no sender. */
#define TERMINAL_SIGNALS                                                                           \
    (sigmask(SIGINT) | sigmask(SIGQUIT) | sigmask(SIGTSTP) | sigmask(SIGWINCH) |                   \
     sigmask(SIGTTIN) | sigmask(SIGTTOU))

static void send_first(int sig, const siginfo_t *info, bool whole_group)
{
    struct group *g = group_find(FIRST_PID);
    pid_t pgid;

    if (!g)
        return;
    pgid = READ_ONCE(g->pgid);
    if (!whole_group || !pgrp_signal(pgid, sig, info))
        signal_send_group(g, sig, info);
    group_put(g);
}

void signal_from_host(int sig)
{
    siginfo_t info = {.si_signo = sig};
    pid_t foreground;

    if (sig < 1 || sig > NSIG_K || !(HOST_SIGNALS & sigmask(sig)))
        return;
    info.si_code = TERMINAL_SIGNALS & sigmask(sig) ? SI_KERNEL : SI_USER;
    foreground = TERMINAL_SIGNALS & sigmask(sig) ? console_foreground() : 0;
    if (!foreground || !pgrp_signal(foreground, sig, &info))
        send_first(sig, &info, sig == SIGCONT);
}
