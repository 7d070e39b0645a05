/* SPDX-License-Identifier: MIT */
/*
 * Dispositions: rt_sigaction(2), exec's reset, and the tables that hold them.
 *
 * Locking: sighand->lock guards the actions; group->lock is taken first where queues change too.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include "internal.h"
#include <syscalls.gen.h>

/* The flags that the ABI has; others are cleared, so that programs can probe for them. */
#define SA_EXPOSE_TAGBITS_K 0x00000800u
#define SA_KNOWN                                                                                   \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |             \
     SA_RESETHAND | SA_EXPOSE_TAGBITS_K | SA_RESTORER_K)

struct sighand *sighand_create(void)
{
    struct sighand *sh = kzalloc(sizeof(*sh));

    if (!sh)
        return NULL;
    ref_init(&sh->ref);
    spin_init(&sh->lock, "sighand");
    return sh;
}

struct sighand *sighand_copy(struct sighand *from, bool reset)
    NO_LOCK_ANALYSIS /* nobody else sees the copy */
{
    struct sighand *sh = sighand_create();

    if (!sh)
        return NULL;
    spin_lock(&from->lock);
    memcpy(sh->action, from->action, sizeof(sh->action));
    spin_unlock(&from->lock);
    for (int i = 0; reset && i < NSIG_K; i++)
        if (sh->action[i].handler != (u64)SIG_IGN)
            sh->action[i] = (struct ksigaction){0};
    return sh;
}

void sighand_put(struct sighand *sh)
{
    if (sh && ref_put(&sh->ref))
        kfree(sh);
}

void signal_exec(struct task *t)
{
    struct sighand *sh = t->sighand;

    spin_lock(&sh->lock);
    for (int i = 0; i < NSIG_K; i++) {
        bool ignored = sh->action[i].handler == (u64)SIG_IGN;

        sh->action[i] = (struct ksigaction){.handler = ignored ? (u64)SIG_IGN : (u64)SIG_DFL};
    }
    spin_unlock(&sh->lock);
    t->altstack = (struct altstack){.flags = SS_DISABLE};
}

#define FAULT_SIGNALS                                                                              \
    (sigmask(SIGILL) | sigmask(SIGTRAP) | sigmask(SIGBUS) | sigmask(SIGFPE) | sigmask(SIGSEGV) |   \
     sigmask(SIGSYS))

void signal_inherit_ignored(struct task *t, sigset64_t set)
{
    set &= ~(FAULT_SIGNALS | sigmask(SIGKILL) | sigmask(SIGSTOP));
    spin_lock(&t->sighand->lock);
    for (int i = 0; i < NSIG_K; i++) {
        if (set & (1UL << i))
            t->sighand->action[i].handler = (u64)SIG_IGN;
    }
    spin_unlock(&t->sighand->lock);
}

static bool ignores(const struct ksigaction *a, int sig)
{
    return a->handler == (u64)SIG_IGN ||
           (a->handler == (u64)SIG_DFL && (sigmask(sig) & SIG_IGNORED_BY_DEFAULT));
}

/* POSIX: a pending signal that becomes ignored is discarded, blocked or not. */
static void drop_ignored(struct group *g, int sig)
{
    struct task *t;

    assert_held(&g->lock);
    sigpending_drop(&g->pending, sigmask(sig));
    list_for_each(t, &g->tasks, group_link)
    {
        sigpending_drop(&t->pending, sigmask(sig));
    }
}

static void action_swap(int sig, const struct ksigaction *act, struct ksigaction *old)
{
    struct task *t = current;

    spin_lock(&t->group->lock);
    spin_lock(&t->sighand->lock);
    *old = t->sighand->action[sig - 1];
    if (act)
        t->sighand->action[sig - 1] = *act;
    spin_unlock(&t->sighand->lock);
    if (act && ignores(act, sig))
        drop_ignored(t->group, sig);
    spin_unlock(&t->group->lock);
}

long sys_rt_sigaction(int sig, const struct ksigaction __user *act, struct ksigaction __user *old,
                      size_t sigsetsize)
{
    struct ksigaction new_action = {0}, old_action;

    if (sigsetsize != sizeof(sigset64_t))
        return -EINVAL;
    if (act && copy_from_user(&new_action, act, sizeof(new_action)))
        return -EFAULT;
    if (sig < 1 || sig > NSIG_K || (act && (sigmask(sig) & SIG_KERNEL_ONLY)))
        return -EINVAL;
    new_action.flags &= SA_KNOWN;
    new_action.mask &= ~SIG_KERNEL_ONLY;
    action_swap(sig, act ? &new_action : NULL, &old_action);
    if (old && copy_to_user(old, &old_action, sizeof(old_action)))
        return -EFAULT;
    return 0;
}
