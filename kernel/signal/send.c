/* SPDX-License-Identifier: MIT */
/*
 * Sending signals: to a thread, to a process, from the host, and by faults.
 *
 * Invariant: whenever an unblocked signal waits for a task, the task's WORK_SIGNAL is set. Sending and
 * unblocking set it; only signal_deliver() clears it.
 *
 * Locking: group->lock guards the queues, sighand->lock (inside it) the actions. Wakes happen after
 * both are released.
 */
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>
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
    task_set_work(t, WORK_SIGNAL);
    if (t == current)
        return;
    target_unpark(t);
    target_kick(t);
}

/* SIGCONT undoes waiting stops and the other way round; SIGCONT and SIGKILL end a stop. */
static void stop_and_continue(struct group *g, int sig)
{
    struct task *t;
    sigset64_t drop = 0;

    assert_held(&g->lock);
    if (sig == SIGCONT)
        drop = SIG_STOPS;
    else if (sigmask(sig) & SIG_STOPS)
        drop = sigmask(SIGCONT);
    if (sig == SIGCONT || sig == SIGKILL)
        g->stopped = false;
    if (!drop)
        return;
    sigpending_drop(&g->pending, drop);
    list_for_each(t, &g->tasks, group_link)
    {
        sigpending_drop(&t->pending, drop);
    }
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

/*
 * Queues for thread `t`, or with `t` NULL for the process. Ignored signals that nobody blocks are
 * dropped. The wake of a task happens under group->lock, so that the task is still there.
 */
static int queue_signal(struct group *g, struct task *t, const siginfo_t *info)
{
    int sig = info->si_signo;
    struct task *chosen;
    int ret = 0;

    spin_lock(&g->lock);
    stop_and_continue(g, sig);
    chosen = t ? t : choose_task(g, sig);
    if (!g->live || (t && t->dead)) {
        ret = 1;
    } else if (chosen && !(chosen->blocked & sigmask(sig)) && action_ignores(chosen->sighand, sig)) {
        ret = 1;
    } else if (!sigpending_add(t ? &t->pending : &g->pending, info,
                               g->rlimits[RLIMIT_SIGPENDING].cur, info->si_code == SI_TIMER)) {
        ret = -EAGAIN;
    } else if (chosen && !(chosen->blocked & sigmask(sig))) {
        signal_wake(chosen);
    }
    spin_unlock(&g->lock);
    waitqueue_wake(&g->signal_wait, ~0u);
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

    spin_lock(&g->lock);
    unmask_fault(t, info->si_signo, to_default);
    (void)sigpending_add(&t->pending, info, UINT64_MAX, false);
    task_set_work(t, WORK_SIGNAL);
    spin_unlock(&g->lock);
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

void signal_from_host(int sig)
{
    siginfo_t info = {.si_signo = sig};
    struct group *g;

    if (sig < 1 || sig > NSIG_K || !(HOST_SIGNALS & sigmask(sig)))
        return;
    g = group_find(FIRST_PID);
    if (!g)
        return;
    info.si_code = TERMINAL_SIGNALS & sigmask(sig) ? SI_KERNEL : SI_USER;
    signal_send_group(g, sig, &info);
    group_put(g);
}
