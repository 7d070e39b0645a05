/* SPDX-License-Identifier: MIT */
/*
 * On the way back to the program: default actions, handlers, restarted calls.
 *
 * Several signals may be delivered at once: each gets its frame on top of the one before, as on Linux,
 * so the last one's handler runs first. Whether the interrupted call is made again is decided with the
 * first of them.
 *
 * Locking: group->lock for the queues, inside it sighand->lock for the actions; frames are built
 * without locks.
 */
#include <kernel/arch.h>
#include <kernel/core.h>
#include <kernel/loader.h>
#include <kernel/printk.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/wait.h>
#include <asm/unistd.h>
#include "internal.h"

_Noreturn void signal_die(const siginfo_t *info)
{
    struct task *t = current;

    if (sigmask(info->si_signo) & SIG_SYNCHRONOUS)
        pr_info("%s[%d]: signal %d code %d address %lx at ip %lx sp %lx error %lx", t->comm, t->tid,
                info->si_signo, info->si_code, (u64)info->si_addr, t->regs->rip, t->regs->rsp,
                t->fault_error);
    task_exit_group(info->si_signo | (sigmask(info->si_signo) & SIG_DUMPS ? core_dump(info) : 0));
}

/* ---- Stopping ------------------------------------------------------------------------------------------ */

/* All threads rest and nobody said so yet: the signal to tell of. */
static int stop_to_tell(struct group *g) REQUIRES(&g->lock)
{
    struct task *t;

    if (!g->stopped || g->stop_told || !g->live)
        return 0;
    list_for_each(t, &g->tasks, group_link)
    {
        if (!t->dead && !t->parked)
            return 0;
    }
    g->stop_told = true;
    return g->stop_signal;
}

void signal_stop_settle(struct group *g)
{
    int sig;

    spin_lock(&g->lock);
    sig = stop_to_tell(g);
    spin_unlock(&g->lock);
    if (!sig)
        return;
    group_tell_state(g, sig);
    signal_all_stopped();
}

void signal_all_stopped(void)
{
    struct group *first;

    if (!groups_all_stopped())
        return;
    first = group_find(FIRST_PID);
    if (!first)
        return;
    if (!__atomic_exchange_n(&first->stopping_host, true, __ATOMIC_ACQ_REL)) {
        if (!target_stop(READ_ONCE(first->stop_signal)) && READ_ONCE(first->stopped))
            pgrp_signal(READ_ONCE(first->pgid), SIGCONT, NULL); /* as the shell that continued the host's */
        __atomic_store_n(&first->stopping_host, false, __ATOMIC_RELEASE);
    }
    group_put(first);
}

static void park_begin(struct task *t)
{
    spin_lock(&t->group->lock);
    t->parked = true;
    spin_unlock(&t->group->lock);
}

/* False: the process was stopped again before the thread came away. */
static bool park_end(struct task *t)
{
    bool over;

    spin_lock(&t->group->lock);
    over = !t->group->stopped || task_must_end();
    if (over)
        t->parked = false;
    spin_unlock(&t->group->lock);
    return over;
}

/* Rests while the process is stopped. SIGKILL ends that as SIGCONT does (send.c). */
static void check_stopped(struct group *g)
{
    int ret = 0;

    if (likely(!READ_ONCE(g->stopped)))
        return;
    park_begin(current);
    signal_stop_settle(g);
    do
        wait_event(ret, &g->signal_wait, !READ_ONCE(g->stopped) || task_must_end(), DEADLINE_NONE,
                   false);
    while (!park_end(current));
}

/* All threads are to stop: each looks in signal_deliver(). False: SIGCONT came in between. */
static bool stop_begin(struct group *g, int sig)
{
    struct task *t;
    bool stops;

    spin_lock(&g->lock);
    stops = current->stop_dequeued && !g->exiting;
    current->stop_dequeued = false;
    if (stops && !g->stopped) {
        g->stopped = true;
        g->stop_told = false;
        g->stop_signal = sig;
        list_for_each(t, &g->tasks, group_link)
        {
            if (t != current && !t->dead)
                task_interrupt(t, WORK_SIGNAL);
        }
    }
    spin_unlock(&g->lock);
    return stops;
}

/* After the host's process went on; the host's SIGCONT may have done the same. */
static void stop_over(struct group *g)
{
    struct task *t;

    spin_lock(&g->lock);
    g->stopped = g->stop_told = false;
    list_for_each(t, &g->tasks, group_link)
    {
        if (!t->dead)
            task_interrupt(t, WORK_SIGNAL);
    }
    spin_unlock(&g->lock);
    waitqueue_wake(&g->signal_wait, ~0u);
}

/*
 * Whether another process inside stopped the current one alone: that one may continue it as well, which it could
 * not with the host's process stopped. But SIGTSTP and its like from the own process group are job control: a
 * program that suspends its whole job as the terminal's key would.
 */
static bool stopped_from_inside(const siginfo_t *info)
{
    struct group *self = current->group, *sender;
    bool own_job;

    if (info->si_code > 0 || !info->si_pid || info->si_pid == self->tgid)
        return false;
    sender = info->si_signo == SIGSTOP ? NULL : group_find(info->si_pid);
    own_job = sender && READ_ONCE(sender->pgid) == READ_ONCE(self->pgid);
    if (sender)
        group_put(sender);
    return !own_job;
}

/*
 * The process rests until SIGCONT or SIGKILL. With the first one the host's process stops, so that
 * the shell outside sees it, unless a process inside stopped it; where the target cannot do that, it waits for the
 * host's SIGCONT. Nobody could continue an orphaned process group: only SIGSTOP stops it (POSIX).
 */
static void signal_stop(const siginfo_t *info)
{
    struct group *g = current->group;
    int sig = info->si_signo;

    if ((sig != SIGSTOP && pgrp_orphaned(READ_ONCE(g->pgid))) || !stop_begin(g, sig))
        return;
    if (g->tgid == FIRST_PID && !stopped_from_inside(info) && target_stop(sig) == 0)
        stop_over(g);
    else
        check_stopped(g);
}

/* What a signal without handler does. Does not return when it kills. */
static void default_action(const siginfo_t *info)
{
    sigset64_t bit = sigmask(info->si_signo);

    if (bit & SIG_IGNORED_BY_DEFAULT)
        return;
    if (bit & SIG_STOPS)
        signal_stop(info);
    else
        signal_die(info);
}

/* The action at the moment of delivery; SA_RESETHAND takes effect here. */
static struct ksigaction action_take(int sig)
{
    struct sighand *sh = current->sighand;
    struct ksigaction a;

    spin_lock(&sh->lock);
    a = sh->action[sig - 1];
    if ((a.flags & SA_RESETHAND) && a.handler != (u64)SIG_IGN && a.handler != (u64)SIG_DFL)
        sh->action[sig - 1].handler = (u64)SIG_DFL;
    spin_unlock(&sh->lock);
    return a;
}

/* The next signal that has a handler; others get their default action on the way. False: none. */
static bool next_handled(struct ksignal *ks)
{
    for (;;) {
        ks->sig = signal_take(~current->blocked, &ks->info);
        if (!ks->sig)
            return false;
        strace_signal(&ks->info);
        ks->action = action_take(ks->sig);
        if (ks->action.handler == (u64)SIG_IGN)
            continue;
        if (ks->action.handler != (u64)SIG_DFL)
            return true;
        default_action(&ks->info);
    }
}

/* ---- Restart ------------------------------------------------------------------------------------------ */

static bool call_interrupted(const struct regs *regs)
{
    if (regs->orig_rax < 0)
        return false;
    switch (-(s64)regs->rax) {
    case ERESTARTSYS:
    case ERESTARTNOINTR:
    case ERESTARTNOHAND:
    case ERESTART_RESTARTBLOCK:
        return true;
    }
    return false;
}

/*
 * A handler runs: -EINTR, or the call is made again after it. The frame then shows the `syscall`
 * instruction and the call's number, as Linux's; rt_sigreturn finds the way back to a rewritten site.
 * `regs` already shows the program's own code.
 */
static void restart_for_handler(struct regs *regs, u64 sa_flags)
{
    s64 err = -(s64)regs->rax;

    if (!call_interrupted(regs))
        return;
    if (err == ERESTARTNOINTR || (err == ERESTARTSYS && (sa_flags & SA_RESTART))) {
        regs->rax = (u64)regs->orig_rax;
        regs->rip -= 2;
    } else {
        regs->rax = (u64)-EINTR;
    }
    regs->orig_rax = -1;
}

/* ---- Handlers ------------------------------------------------------------------------------------------ */

static sigset64_t mask_to_save(struct task *t)
{
    if (!t->restore_blocked)
        return t->blocked;
    t->restore_blocked = false;
    return t->saved_blocked;
}

static void deliver_one(struct ksignal *ks, struct regs *regs)
{
    struct task *t = current;
    sigset64_t blocked = t->blocked | ks->action.mask;
    sigset64_t saved = mask_to_save(t);

    rewrite_hide(t->mm, regs, arch_cpuid_rcx());
    restart_for_handler(regs, ks->action.flags);
    regs->orig_rax = -1;
    if (frame_build(ks, saved, regs)) {
        pr_warn("%s[%d]: no room on the stack at %lx for signal %d", t->comm, t->tid, regs->rsp,
                ks->sig);
        signal_force_segv(ks->sig);
        return;
    }
    if (!(ks->action.flags & SA_NODEFER))
        blocked |= sigmask(ks->sig);
    signal_set_blocked(blocked);
}

/* The call in `regs` again, after a signal that ran no handler. True: it was made. */
static bool restart_call(struct regs *regs)
{
    if (!call_interrupted(regs))
        return false;
    if (-(s64)regs->rax == ERESTART_RESTARTBLOCK)
        regs->orig_rax = __NR_restart_syscall;
    regs->rax = (u64)regs->orig_rax;
    arch_restart_syscall(regs);
    return true;
}

static bool deliver_all(struct regs *regs)
{
    struct ksignal ks;
    bool handled = false;

    __atomic_fetch_and(&current->work, ~WORK_SIGNAL, __ATOMIC_ACQUIRE);
    while (next_handled(&ks)) {
        deliver_one(&ks, regs);
        handled = true;
    }
    return handled;
}

void signal_deliver(struct regs *regs)
{
    do {
        check_stopped(current->group);
        if (unlikely(task_must_end())) /* the entry code has cleared WORK_KILL: the group knows */
            task_end_killed();
        if (!deliver_all(regs)) {
            signal_restore_mask(false);
            if (!restart_call(regs))
                return;
        }
    } while (__atomic_load_n(&current->work, __ATOMIC_ACQUIRE) & (WORK_SIGNAL | WORK_KILL));
}
