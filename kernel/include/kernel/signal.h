/* SPDX-License-Identifier: MIT */
/*
 * Signals: dispositions, queues, delivery, frames. Source: signal(7), sigaction(2), and the x86-64
 * signal frame of <asm/sigcontext.h>.
 */
#ifndef KERNEL_SIGNAL_H
#define KERNEL_SIGNAL_H

#include <kernel/list.h>
#include <kernel/lock.h>
#include <kernel/types.h>
#include <linux/signal.h>

#define NSIG_K 64
typedef u64 sigset64_t; /* bit n-1 is signal n */
#define sigmask(sig) (1UL << ((sig)-1))

/*
 * Kernel-internal results of an interrupted call, never seen by programs: restart unless a handler
 * without SA_RESTART runs (SYS), restart only if no handler runs (NOHAND), always restart (NOINTR).
 */
#define ERESTARTSYS    512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
/* Restart through restart_syscall(2) and task->restart; -EINTR when a handler runs. */
#define ERESTART_RESTARTBLOCK 516

/* sigaction as the kernel's ABI has it (rt_sigaction(2)). */
struct ksigaction {
    u64 handler; /* SIG_DFL, SIG_IGN or an address */
    u64 flags;
    u64 restorer;
    sigset64_t mask;
};

struct sighand {
    ref_t ref;
    spinlock_t lock;
    struct ksigaction action[NSIG_K] GUARDED_BY(&lock);
};

struct sigqueue {
    struct list link;
    uid_t uid; /* on whose account */
    siginfo_t info;
};

/* Pending signals; standard ones at most once, real-time ones in order. */
struct sigpending {
    sigset64_t set;
    struct list queue;  /* struct sigqueue */
    unsigned count;     /* of the queue's entries */
};

struct altstack {
    u64 sp, size;
    u32 flags;
};

struct task;
struct group;
struct regs;

/*
 * Sends to a thread or to a process. `info` may be NULL (SI_KERNEL). 0, or -EAGAIN when a real-time
 * signal finds the queue full.
 */
int signal_send_task(struct task *t, int sig, const siginfo_t *info);
int signal_send_group(struct group *g, int sig, const siginfo_t *info);

/*
 * A synchronous fault of the current task: delivered even if blocked or ignored (then with the
 * default action), as Linux's force_sig_fault.
 */
void signal_force_fault(int sig, int code, u64 addr, int trapno, u64 error);

/* True when the current task has to leave its call: an unblocked signal waits, or it must end or stop. */
bool signal_pending(void);
/* The same for waits that only death ends ("killable"): an unblocked signal will end the process. */
bool signal_fatal_pending(void);
/* Whether the current task blocks or ignores `sig`. */
bool signal_unwanted(int sig);
/* How many signals of a user wait with their information, against RLIMIT_SIGPENDING. */
u64 sigqueue_count(uid_t uid);
/* A thread of a process that stops has ended: perhaps all others rest already. No lock may be held. */
void signal_stop_settle(struct group *g);
/*
 * A process stopped or ended: if no other one runs any more, nobody inside can continue the first process, and the
 * host's process stops, so that the shell outside sees it. Returns when it goes on. No lock may be held.
 */
void signal_all_stopped(void);

/*
 * On the way back to the program: handles WORK_SIGNAL, restarts calls, builds frames, or ends the
 * process. Called by the entry code with task->regs complete.
 */
void signal_deliver(struct regs *regs);

/* Whether the process ignores SIGCHLD or asked, by SA_NOCLDSTOP or SA_NOCLDWAIT, not to hear of its children so. */
bool signal_child_flags(struct group *g, u64 flag);

/* The current thread ends: signals of the process that it was to take go to another. */
void signal_task_exit(struct task *t);

/* exec(2): handlers to default, keep ignored; drops the alternate stack. */
void signal_exec(struct task *t);

/*
 * The first process: ignores those of `set` that a process can inherit so; never SIGKILL, SIGSTOP or
 * the signals of faults.
 */
void signal_inherit_ignored(struct task *t, sigset64_t set);

struct sighand *sighand_create(void);
/* The same actions in a table of its own; with `reset` handlers become SIG_DFL. NULL: no memory. */
struct sighand *sighand_copy(struct sighand *from, bool reset);

/*
 * For ppoll, pselect6, epoll_pwait: installs a mask until the call ends. `umask` NULL: nothing to do.
 * -EINVAL for a size other than 8, -EFAULT. The old mask comes back by itself when the call ends
 * with -EINTR or -ERESTART* (after the handler's frame was built); on every other end the caller says
 * so with signal_restore_mask(false).
 */
int signal_set_temp_mask(const sigset64_t __user *umask, size_t size);
void signal_restore_mask(bool interrupted);

/* Replaces the current task's blocked set (SIGKILL and SIGSTOP stay unblocked). */
void signal_set_blocked(sigset64_t set);

/*
 * signalfd, sigtimedwait: takes the next pending signal of `set` for the current task. Returns its
 * number with *info filled, or 0. Signals that come later wake group->signal_wait.
 */
int signal_take(sigset64_t set, siginfo_t *info);

/* Frees what is queued. Nobody else refers to the queue. */
void sigpending_flush(struct sigpending *p);
void sigpending_init(struct sigpending *p);
void sighand_put(struct sighand *s);

/* The current thread's vector state now, in its own buffer (task->xsave_buffer). NULL: no memory. */
u8 *signal_save_vectors(void);

/* Bytes that a signal frame takes at most, for AT_MINSIGSTKSZ. */
size_t signal_frame_size(void);

/*
 * A signal that the host forwarded (SIGINT, SIGTERM, SIGWINCH, ...): a terminal's goes to the foreground process
 * group, SIGCONT to the first process' group, others to the first process.
 */
void signal_from_host(int sig);

#endif
