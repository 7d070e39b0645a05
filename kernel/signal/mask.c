/* SPDX-License-Identifier: MIT */
/*
 * Masks, and the calls that wait for signals.
 *
 * Locking: a task's `blocked` is written by its own thread under group->lock.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <kernel/wait.h>
#include "internal.h"
#include <syscalls.gen.h>

static sigset64_t pending_set(const struct task *t)
{
    return READ_ONCE(t->pending.set) | READ_ONCE(t->group->pending.set);
}

/*
 * A process' signal that waits is for the thread whose WORK_SIGNAL is set, and a sender may be about to set it: who
 * is interrupted must come to signal_deliver(), which ends or restarts the call.
 */
bool signal_pending(void)
{
    struct task *t = current;

    if (unlikely(task_must_end() || READ_ONCE(t->group->stopped))) {
        task_set_work(t, WORK_SIGNAL);
        return true;
    }
    return (__atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & WORK_SIGNAL) && (pending_set(t) & ~t->blocked);
}

bool signal_unwanted(int sig)
{
    struct task *t = current;
    bool ignored;

    spin_lock(&t->sighand->lock);
    ignored = t->sighand->action[sig - 1].handler == (u64)SIG_IGN;
    spin_unlock(&t->sighand->lock);
    return ignored || (t->blocked & sigmask(sig));
}

bool signal_fatal_pending(void)
{
    struct task *t = current;
    sigset64_t set = pending_set(t) & ~t->blocked & ~(SIG_IGNORED_BY_DEFAULT | SIG_STOPS);
    bool fatal = task_must_end();

    if (likely(!set || fatal))
        return fatal;
    spin_lock(&t->sighand->lock);
    for (; set && !fatal; set &= set - 1)
        fatal = t->sighand->action[__builtin_ctzl(set)].handler == (u64)SIG_DFL;
    spin_unlock(&t->sighand->lock);
    return fatal;
}

void signal_set_blocked(sigset64_t set)
{
    struct task *t = current;

    spin_lock(&t->group->lock);
    set &= ~SIG_KERNEL_ONLY;
    signal_retarget(t, t->group->pending.set & set & ~t->blocked);
    t->blocked = set;
    if (pending_set(t) & ~t->blocked)
        task_set_work(t, WORK_SIGNAL);
    spin_unlock(&t->group->lock);
}

int signal_set_temp_mask(const sigset64_t __user *umask, size_t size)
{
    struct task *t = current;
    sigset64_t set;

    if (!umask)
        return 0;
    if (size != sizeof(set))
        return -EINVAL;
    if (get_user(set, umask))
        return -EFAULT;
    t->saved_blocked = t->blocked;
    t->restore_blocked = true;
    signal_set_blocked(set);
    return 0;
}

void signal_restore_mask(bool interrupted)
{
    struct task *t = current;

    if (!t->restore_blocked)
        return;
    if (interrupted) {
        task_set_work(t, WORK_SIGNAL); /* signal_deliver() does it */
        return;
    }
    t->restore_blocked = false;
    signal_set_blocked(t->saved_blocked);
}

long sys_rt_sigprocmask(int how, const sigset64_t __user *set, sigset64_t __user *old,
                        size_t sigsetsize)
{
    sigset64_t was = current->blocked;
    sigset64_t new_set;

    if (sigsetsize != sizeof(sigset64_t))
        return -EINVAL;
    if (set) {
        if (get_user(new_set, set))
            return -EFAULT;
        switch (how) {
        case SIG_BLOCK:
            new_set |= was;
            break;
        case SIG_UNBLOCK:
            new_set = was & ~new_set;
            break;
        case SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
        if (new_set != was)
            signal_set_blocked(new_set);
    }
    return old && copy_to_user(old, &was, sizeof(was)) ? -EFAULT : 0;
}

long sys_rt_sigpending(sigset64_t __user *set, size_t sigsetsize)
{
    sigset64_t waiting = pending_set(current) & current->blocked;

    if (sigsetsize > sizeof(sigset64_t))
        return -EINVAL;
    return copy_to_user(set, &waiting, sigsetsize);
}

/* Until a signal is there that the mask lets through. */
static long wait_for_signal(void)
{
    while (!signal_pending())
        (void)task_block(DEADLINE_NONE, true);
    return -ERESTARTNOHAND;
}

long sys_rt_sigsuspend(const sigset64_t __user *set, size_t sigsetsize)
{
    int ret;

    if (sigsetsize != sizeof(sigset64_t))
        return -EINVAL;
    if (!set)
        return -EFAULT;
    ret = signal_set_temp_mask(set, sigsetsize);
    return ret ? ret : wait_for_signal();
}

long sys_pause(void)
{
    return wait_for_signal();
}

long sys_restart_syscall(void)
{
    struct restart_block *rb = &current->restart;
    long (*fn)(struct restart_block *) = rb->fn;

    rb->fn = NULL;
    return fn ? fn(rb) : -EINTR;
}

/* ---- rt_sigtimedwait(2) ------------------------------------------------------------------------------ */

int signal_take(sigset64_t set, siginfo_t *info)
{
    struct task *t = current;
    struct group *g = t->group;
    int sig = 0;

    spin_lock(&g->lock);
    if (t->pending.set & set) {
        sig = signal_next(t->pending.set & set);
        sigpending_take(&t->pending, sig, info);
    } else if (g->pending.set & set) {
        sig = signal_next(g->pending.set & set);
        sigpending_take(&g->pending, sig, info);
    }
    if (sig && (sigmask(sig) & SIG_STOPS))
        t->stop_dequeued = true;
    spin_unlock(&g->lock);
    if (sig && info->si_code == SI_TIMER)
        posix_timer_taken(g, info);
    return sig;
}

static int wait_and_take(sigset64_t set, siginfo_t *info, u64 deadline)
{
    struct group *g = current->group;
    int sig = 0, ret;

    wait_event(ret, &g->signal_wait, (sig = signal_take(set, info)) != 0, deadline, true);
    if (sig)
        return sig;
    return ret == -ETIMEDOUT ? -EAGAIN : ret;
}

long sys_rt_sigtimedwait(const sigset64_t __user *set, siginfo_t __user *info,
                         const struct __kernel_timespec __user *timeout, size_t sigsetsize)
{
    u64 deadline;
    sigset64_t want;
    siginfo_t got;
    int sig;

    if (sigsetsize != sizeof(sigset64_t))
        return -EINVAL;
    if (get_user(want, set))
        return -EFAULT;
    sig = deadline_import(timeout, &deadline);
    if (sig)
        return sig;
    sig = wait_and_take(want & ~SIG_KERNEL_ONLY, &got, deadline);
    if (sig > 0 && info && copy_to_user(info, &got, sizeof(got)))
        return -EFAULT;
    return sig;
}
