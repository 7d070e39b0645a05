/* SPDX-License-Identifier: MIT */
/* What the files of kernel/signal (and time/posix_timer.c) share. */
#ifndef KERNEL_SIGNAL_INTERNAL_H
#define KERNEL_SIGNAL_INTERNAL_H

#include <kernel/signal.h>
#include <kernel/task.h>

#define SIG_KERNEL_ONLY (sigmask(SIGKILL) | sigmask(SIGSTOP))
#define SIG_STOPS (sigmask(SIGSTOP) | sigmask(SIGTSTP) | sigmask(SIGTTIN) | sigmask(SIGTTOU))
#define SIG_IGNORED_BY_DEFAULT                                                                     \
    (sigmask(SIGCONT) | sigmask(SIGCHLD) | sigmask(SIGWINCH) | sigmask(SIGURG))
/* What a fault raises: taken before all others, so that the frame shows the faulting state. */
#define SIG_SYNCHRONOUS                                                                            \
    (sigmask(SIGSEGV) | sigmask(SIGBUS) | sigmask(SIGILL) | sigmask(SIGTRAP) | sigmask(SIGFPE) |   \
     sigmask(SIGSYS))
/* Those whose default action leaves a core file: signal(7). */
#define SIG_DUMPS                                                                                  \
    (sigmask(SIGQUIT) | sigmask(SIGILL) | sigmask(SIGTRAP) | sigmask(SIGABRT) | sigmask(SIGFPE) |  \
     sigmask(SIGSEGV) | sigmask(SIGBUS) | sigmask(SIGSYS) | sigmask(SIGXCPU) | sigmask(SIGXFSZ))
#define SIGRTMIN_K 32

/* In the ABI, but missing or different in some headers. */
#define SA_RESTORER_K   0x04000000u
#define SS_AUTODISARM_K (1U << 31)

/* As signal_send_*, and 1 when the signal was dropped because it is ignored. */
int signal_queue_task(struct task *t, const siginfo_t *info);
int signal_queue_group(struct group *g, const siginfo_t *info);

/* Signals of the process that `t` will not take: other threads look at them. group->lock held. */
void signal_retarget(struct task *t, sigset64_t set);

/* The lowest (synchronous first) signal of `set`, which is not empty. */
int signal_next(sigset64_t set);

/* Takes `sig`, which is set, out of `p`; *info as sent. group->lock held. */
void sigpending_take(struct sigpending *p, int sig, siginfo_t *info);
/*
 * Adds; *q takes the information and becomes NULL when it is used. False: a real-time signal without place for
 * it. `force`: beside one that waits.
 */
bool sigpending_add(struct sigpending *p, const siginfo_t *info, struct sigqueue **q, bool force);
/* A place for one signal's information, on the user's account; NULL: over `limit`, or no memory. No spinlocks. */
struct sigqueue *sigqueue_alloc(uid_t uid, u64 limit);
void sigqueue_free(struct sigqueue *q);
/* Drops all signals of `set`. */
void sigpending_drop(struct sigpending *p, sigset64_t set);

/* A SI_TIMER signal leaves the queue: fills in the overrun, starts the next period. No locks held. */
void posix_timer_taken(struct group *g, siginfo_t *info);

/* True when the current task's stack pointer lies on its alternate stack. */
bool altstack_active(const struct altstack *a, u64 sp);
/* sigaltstack(2)'s rules with `sp` for "now"; -EPERM, -EINVAL, -ENOMEM. */
int altstack_set(struct altstack *a, const stack_t *new_stack, u64 sp);
stack_t altstack_get(const struct altstack *a, u64 sp);

/* What is delivered to a handler. */
struct ksignal {
    int sig;
    siginfo_t info;
    struct ksigaction action;
};

/* Builds the frame and points `regs` at the handler; -EFAULT: the stack cannot hold it. */
int frame_build(const struct ksignal *ks, sigset64_t mask, struct regs *regs);

/* The default action of a deadly signal, or SIGKILL. */
_Noreturn void signal_die(const siginfo_t *info);

/*
 * SIGSEGV for a frame that could not be built or restored: kills when it was SIGSEGV's own frame
 * (`failed` = SIGSEGV), as Linux's force_sigsegv().
 */
void signal_force_segv(int failed);

#endif
