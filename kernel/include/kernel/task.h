/* SPDX-License-Identifier: MIT */
/*
 * Tasks (threads), and what a process' threads share: mm, files, fs, signal handlers, the thread
 * group. One reference-counted object each, as clone(2)'s flags divide them.
 *
 * Lock order: task_list_lock, then group->lock, then sighand's lock; see ARCHITECTURE.md.
 */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H

#include <kernel/list.h>
#include <kernel/lock.h>
#include <kernel/regs.h>
#include <kernel/signal.h>
#include <kernel/thread_area.h>
#include <kernel/wait.h>
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/time_types.h>

#define COMM_SIZE    16
#define FIRST_PID    1 /* the process that boot makes; the host's signals and terminal are its own */
#define PID_MAX      4194304 /* the largest number, as on 64-bit Linux */
#define NGROUPS_MAX  65536
#ifndef RLIM_NLIMITS
#define RLIM_NLIMITS 16
#endif
#define RLIM_INFINITY_ (~0UL)
#define UNPARKS_MAX    16
#define CPU_MASK_WORDS 16 /* 1,024 processors */

struct rlimit64_k {
    u64 cur, max;
};

struct mm;
struct trace;
struct files;
struct path;

/* Credentials: immutable once published; change by replacing (cred_prepare, cred_commit). */
struct cred {
    ref_t ref;
    uid_t uid, euid, suid, fsuid;
    gid_t gid, egid, sgid, fsgid;
    u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
    unsigned securebits;
    unsigned ngroups;
    gid_t *groups; /* owned */
};

/* What getrusage(2) sums up. Times are in ns, sizes in pages. */
struct usage {
    u64 utime_ns, stime_ns, minflt, majflt, nvcsw, nivcsw;
    u64 rss_peak;
};

/* A process: what all threads of a thread group share. */
struct group {
    ref_t ref;
    spinlock_t lock;
    struct list link;                         /* all groups; guarded by g_task_list_lock */
    pid_t tgid;
    pid_t pgid, sid;                          /* written with g_task_list_lock, read without */
    struct tty_jobs *tty;                     /* controlling terminal or NULL; guarded by kernel/jobs.h's lock */
    pid_t lost_foreground;                    /* of a leader's terminal that hung up: waits for its end; atomic */

    /* The tree of processes; guarded by g_task_list_lock. A parent outlives its children or hands them on. */
    struct group *parent;                     /* NULL: the first process */
    struct list children, sibling;
    pid_t ppid;                               /* parent->tgid, for reading without the lock; 0: none */
    pid_t parent_tid;                         /* the parent's thread that made it, or took it over */
    bool zombie;                              /* ended, and not waited for */
    bool gone;                                /* waited for: no longer in the table; atomic, exit_wait is woken */
    bool execed;                              /* runs a program of its own: setpgid(2); atomic */
    int exit_signal;                          /* what the parent gets at the end; 0: nothing */
    int state_report;                         /* signal of a stop, or SIGCONT, that nobody waited for; 0: none */
    struct waitqueue child_wait;              /* woken when a child ends, stops or continues */

    bool vfork_done;                          /* no longer runs in its parent's memory; atomic, exit_wait is woken */
    struct list tasks GUARDED_BY(&lock);      /* task.group_link; the leader stays until the end */
    unsigned live GUARDED_BY(&lock);          /* threads that have not ended */
    unsigned ending GUARDED_BY(&lock);        /* those of them that have begun to */
    struct task *exec_task GUARDED_BY(&lock); /* the thread whose exec(2) ends the others, or NULL */
    struct waitqueue exit_wait;               /* woken at each thread's end, and by core files (proc/core.c) */
    struct sigpending pending GUARDED_BY(&lock);
    struct waitqueue signal_wait;             /* sigtimedwait, signalfd */
    struct rlimit64_k rlimits[RLIM_NLIMITS] GUARDED_BY(&lock);
    u64 start_time;                           /* monotonic ns */
    u64 utime_ns GUARDED_BY(&lock);           /* of ended threads */
    u64 stime_ns GUARDED_BY(&lock);
    struct usage ended GUARDED_BY(&lock);     /* of ended threads */
    struct usage children_usage GUARDED_BY(&lock); /* of children that were waited for, and theirs */
    struct group_timers *timers;              /* ITIMER_*, alarm, POSIX timers; owned, time/itimer.c */
    int exit_status GUARDED_BY(&lock);        /* wait(2) form */
    bool exiting GUARDED_BY(&lock);
    struct task *core_task GUARDED_BY(&lock); /* the thread that writes a core file before it ends, or NULL */
    bool core_writing GUARDED_BY(&lock);      /* a core file is being written: threads that end rest (proc/core.c) */
    unsigned resting GUARDED_BY(&lock);       /* those that do */
    bool stopped GUARDED_BY(&lock);           /* by SIGSTOP and its like; threads rest as they come by */
    bool stop_told GUARDED_BY(&lock);         /* all threads rest, and the parent heard of it */
    int stop_signal GUARDED_BY(&lock);
    bool stopping_host;                       /* first process: a thread stops the host's process for it; atomic */
    bool child_subreaper;                     /* prctl(2); atomic */
    unsigned personality;
    char *cmdline GUARDED_BY(&lock);          /* argv as exec got it, NUL-separated; owned */
    size_t cmdline_size GUARDED_BY(&lock);
    char *exe_path GUARDED_BY(&lock);         /* owned */
    int dumpable;
    u32 core_filter;                          /* /proc/PID/coredump_filter; atomic */
    int oom_score_adj;                        /* -1000 to 1000; kept for /proc */
};

/*
 * What restart_syscall(2) goes on with after an interruption that ran no handler: nanosleep's and
 * futex' absolute deadline. fn is NULL when there is nothing to go on with.
 */
struct restart_block {
    long (*fn)(struct restart_block *rb);
    u64 deadline;                             /* monotonic ns */
    struct __kernel_timespec __user *rmtp;    /* nanosleep: where the rest goes, or NULL */
    u32 __user *futex;
    void __user *pollfds;                     /* poll: its array, `value` elements */
    u32 value, bitset, flags;
};

/* sched_setscheduler(2) and its like: kept and told, the host schedules. Writers hold group->lock. */
struct sched_state {
    int policy, priority, nice;
    u32 flags;                                /* SCHED_FLAG_* of sched_setattr(2) */
    int ioprio;
    u64 cpus[CPU_MASK_WORDS];                 /* affinity, as asked for and possible */
};

struct task {
    u32 work;                                 /* WORK_* bits, atomic; entry.S looks here on the way out */
    ref_t ref;
    pid_t tid;
    struct group *group;
    struct list group_link;                   /* guarded by group->lock */
    bool dead;                                /* ended, but still the leader; guarded by group->lock */
    bool parked;                              /* rests while the process is stopped; guarded by group->lock */
    bool resting;                             /* while a core file is written; guarded by group->lock */
    bool stop_dequeued;                       /* took a stop signal that SIGCONT has not undone; likewise */
    bool uninterruptible;                     /* waits for what no signal but a deadly one ends; own thread */
    struct regs *regs;                        /* the program's registers, on the kernel stack */

    /*
     * Replaced by the task itself only, under group->lock, and NULL once it ended: others use task_mm(),
     * task_files(), task_fs().
     */
    struct mm *mm;
    struct files *files;                      /* kernel/files.h */
    struct fs_context *fs;                    /* root, cwd, umask; kernel/fs.h */
    struct sighand *sighand;                  /* kernel/signal.h */
    struct cred *cred;                        /* only the task itself replaces it; others use task_cred() */
    char comm[COMM_SIZE];                     /* guarded by group->lock for writers */

    /* Signals: only the task itself reads `blocked` (and who writes a core file, of those that rest); writers hold group->lock. */
    sigset64_t blocked, saved_blocked;
    bool restore_blocked;                     /* saved_blocked goes back after the syscall */
    struct sigpending pending;                /* guarded by group->lock */
    struct altstack altstack;                 /* own thread only */
    u64 fault_trapno, fault_error, fault_addr; /* the last fault's, for sigcontext; own thread only */
    void *xsave_buffer;                       /* one XSAVE image, 64-byte aligned; owned, own thread */
    struct restart_block restart;             /* own thread only */
    struct trace *trace;                      /* --strace: the call in progress; own thread only */

    struct mm *in_mm;                         /* whose memory it may touch, NULL: none; mm/family.h; own thread writes */
    u64 barrier;                              /* the last membarrier(2) it passed; atomic */
    unsigned mm_pins;                         /* mm_lock() is held: it may not leave; own thread only */

    /* Blocking. */
    struct list waiters;                      /* waiter.task_link; own thread only */
    u32 woken;                                /* set by wakers, atomic */

    /* clone(2), set_tid_address(2), set_robust_list(2). */
    void __user *clear_child_tid;
    pid_t __user *set_child_tid;              /* written by the new thread itself */
    void __user *robust_list;
    size_t robust_list_size;

    /* Futexes with priority inheritance; guarded by proc/futex_pi.c's lock. */
    struct list pi_states;                    /* pi_state.owned: locks of its own that others wait for; next NULL: never any */
    struct pi_waiter *pi_blocked;             /* how it waits for another's lock, or NULL */
    bool futex_gone;                          /* has ended: owns no lock from now on */

    u64 fs_base;                              /* the program's, valid while it is not running */
    u64 utime_ns, stime_ns, nvcsw, nivcsw, minflt, majflt;
    u64 rchar, wchar, syscr, syscw;           /* /proc/PID/io; own thread writes */
    u64 start_time, blocked_ns, blocked_since; /* monotonic ns; time/cputime.c, own thread writes */
    struct sched_state sched;
    u64 timer_slack_ns;
    int pdeath_signal;
    bool no_new_privs, keep_caps;
    struct target_thread *target;             /* the target's own */

    /* Spinlocks held, and threads to wake once there are none; own thread only. */
    unsigned spin_depth, unpark_count;
    struct target_thread *unparks[UNPARKS_MAX];
};

/* task->work bits. */
#define WORK_SIGNAL    1u /* signals may be pending */
#define WORK_KILL      2u /* the group exits */
#define WORK_INTERRUPT 4u /* an interrupt struck: look at timers and the host's signals */
#define WORK_TURN      8u /* not inside its memory, or others want a turn: mm_take_turns() */
#define WORK_BARRIER   16u /* membarrier(2) asks for a barrier: membarrier_pass() */

/* The thread that runs this code. Never NULL after boot. */
#ifdef ADYTON_HOSTED
struct task *current_task(void);
#else
static inline struct task *current_task(void)
{
    struct task *t;

    __asm__("mov %%gs:%c1, %0" : "=r"(t) : "i"(TA_TASK));
    return t;
}
#endif
#define current current_task()

static inline void task_set_work(struct task *t, u32 bits)
{
    __atomic_fetch_or(&t->work, bits, __ATOMIC_RELEASE);
}

/* The same, and `t` looks at it soon, wherever it is: its waits look at their conditions again. proc/pid.c */
void task_interrupt(struct task *t, u32 bits);

/* As Linux's send_sig(sig, current, 0): to this thread, as if it had sent it itself. */
static inline void signal_send_self(int sig)
{
    siginfo_t info = {.si_signo = sig, .si_code = SI_USER};

    info.si_pid = current->group->tgid;
    info.si_uid = current->cred->uid;
    signal_send_task(current, sig, &info);
}

/* proc/cred.c */
const struct cred *current_cred(void);
bool capable(int cap);
/* A private copy to change, or NULL; then cred_commit() publishes it and drops the old one. */
struct cred *cred_prepare(void);
void cred_commit(struct cred *c);
void cred_put(struct cred *c);

/* proc/rlimit.c: the soft limit of a resource of the current process. */
u64 rlimit(unsigned resource);

/*
 * proc/pid.c: every process, in the order of creation. Lookups return a reference or NULL; a task's
 * reference also keeps its group. g_task_list_lock (spinlock) comes before group->lock.
 */
extern spinlock_t g_task_list_lock;
struct group *group_find(pid_t tgid);
/* The process with the smallest number that is at least `from`, for listing /proc. */
struct group *group_next(pid_t from);
struct task *task_find(pid_t tid);
void group_put(struct group *g);
void task_put(struct task *t);
unsigned group_count(void);
unsigned task_count(void);
/* Sets work bits of all tasks that are inside `mm`, and interrupts them. */
void tasks_interrupt(struct mm *mm, u32 work);
/* membarrier(2): at boot, and for WORK_BARRIER (which was taken by an atomic exchange, a full barrier). */
void membarrier_init(void);
void membarrier_pass(void);
/* The number given out last, and how many processes and threads there ever were. */
pid_t pid_last(void);
u64 task_total(void);
/* Whether a process, thread, process group or session has the number. */
bool pid_in_use(pid_t pid);
/* Calls `fn` with each task that has not ended until it gives false: spinlocks are held. */
void task_for_each(bool (*fn)(struct task *t, void *arg), void *arg);

/* What another task uses, with a reference, or NULL when it has ended. group->lock may not be held. */
struct mm *task_mm(struct task *t);
struct files *task_files(struct task *t);
struct fs_context *task_fs(struct task *t);
struct cred *task_cred(struct task *t); /* never NULL */
/* The process of a pidfd with a reference; ERR_PTR(-EBADF): none of these. (proc/pidfd.c) */
struct group *pidfd_group(int fd);
/* The same for pidfd_send_signal(2), which takes /proc/PID too; ERR_PTR(-ESRCH) when that process is gone. */
struct group *pidfd_or_proc_group(int fd);
/* The real user of a process, dead or alive. */
uid_t group_uid(struct group *g);

/*
 * proc/access.c: ptrace(2)'s "access mode checking": may the caller look into `t`, by its real or its file system
 * ids? 0 or -EPERM.
 */
enum access_ids { ACCESS_REAL, ACCESS_FS };
int task_may_access(struct task *t, enum access_ids ids);

/*
 * proc/group.c: the process stopped by `sig`, or goes on (SIGCONT): its parent may want to know. No lock may be
 * held.
 */
void group_tell_state(struct group *g, int sig);

/* proc/jobs.c: whether every process that has not ended is stopped, all its threads at rest. */
bool groups_all_stopped(void);
/* Whether no parent outside a process group is there to continue it (POSIX: orphaned). */
bool pgrp_orphaned(pid_t pgid);
/* The session of a process group; -ESRCH when it has no process. */
pid_t pgrp_session(pid_t pgid);
/* Sends to all its processes, from the kernel when `info` is NULL. Their number. No lock may be held. */
unsigned pgrp_signal(pid_t pgid, int sig, const siginfo_t *info);

/*
 * proc/exit.c: SIGKILL, from wherever: the process ends with this status. False when exec(2) ends its other
 * threads just now: then the signal has to wait for it.
 */
bool group_kill(struct group *g, int wait_status) REQUIRES(&g->lock);

/* Ends the current process as _exit(2) or by a signal (wait(2) status). */
_Noreturn void task_exit_group(int wait_status);
/* Whether the process, or exec(2) by another thread, wants the current thread to end. */
bool task_must_end(void);
/* A child of vfork(2) has memory of its own now, or needs none: its parent goes on. */
void task_vfork_done(struct task *t);
/*
 * A thread's futexes at its end (`ends`) or exec: robust list, locks that others wait for, clear_child_tid.
 * (proc/robust.c)
 */
void futex_exit(struct task *t, bool ends);

/* Ends the current thread, which task_must_end(). */
_Noreturn void task_end_killed(void);
/*
 * exec(2): ends the other threads of the process, waits for them and takes the process' number. 0, or -EAGAIN
 * when another thread does the same or the process ends.
 */
int task_become_only(void);

/* exec(2), once the thread is the only one: open files and signal actions of its own. 0 or -ENOMEM. */
int task_unshare_exec(void);
/* proc/clone.c: where a thread of the target starts with its task. */
_Noreturn void task_main(struct task *t);

/*
 * proc/init.c: makes the first task (pid 1, root, all capabilities, Linux's default limits) for the
 * boot thread and returns it; the caller publishes it as `current`. It has open-file and signal
 * tables, but no mm (exec_file makes it) and no fs: the caller sets task->fs = fs_context_create()
 * after vfs_init(). Panics when there is no memory.
 */
struct task *task_create_first(void);

#endif
