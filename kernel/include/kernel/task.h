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
#include <kernel/wait.h>
#include <linux/capability.h>
#include <linux/resource.h>

#define COMM_SIZE    16
#define NGROUPS_MAX  65536
#ifndef RLIM_NLIMITS
#define RLIM_NLIMITS 16
#endif
#define RLIM_INFINITY_ (~0UL)

struct rlimit64_k {
    u64 cur, max;
};

struct mm;
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

/* A process: what all threads of a thread group share. */
struct group {
    ref_t ref;
    spinlock_t lock;
    pid_t tgid, pgid, sid, ppid;
    struct list tasks GUARDED_BY(&lock);      /* task.group_link */
    struct sigpending pending GUARDED_BY(&lock);
    struct waitqueue signal_wait;             /* sigtimedwait, signalfd */
    struct rlimit64_k rlimits[RLIM_NLIMITS] GUARDED_BY(&lock);
    u64 start_time;                           /* monotonic ns */
    u64 utime_ns, stime_ns;                   /* of ended threads; guarded by lock */
    u64 itimer_deadline, itimer_interval;     /* ITIMER_REAL, monotonic ns, 0 off; guarded by lock */
    int exit_status;                          /* wait(2) form; guarded by lock */
    bool exiting;                             /* guarded by lock */
    unsigned personality;
    char *cmdline;                            /* argv as exec got it, NUL-separated; owned, guarded by lock */
    size_t cmdline_size;
    char *exe_path;                           /* owned, guarded by lock */
    int dumpable;
};

struct task {
    ref_t ref;
    pid_t tid;
    struct group *group;
    struct list group_link;                   /* guarded by group->lock */
    struct regs *regs;                        /* the program's registers, on the kernel stack */
    struct mm *mm;
    struct files *files;                      /* kernel/files.h */
    struct fs_context *fs;                    /* root, cwd, umask; kernel/fs.h */
    struct sighand *sighand;                  /* kernel/signal.h */
    struct cred *cred;                        /* only the task itself replaces it */
    char comm[COMM_SIZE];                     /* guarded by group->lock for writers */

    /* Signals: only the task itself reads `blocked`; writers hold group->lock. */
    sigset64_t blocked, saved_blocked;
    bool restore_blocked;                     /* saved_blocked goes back after the syscall */
    struct sigpending pending;                /* guarded by group->lock */
    struct altstack altstack;                 /* own thread only */
    u32 work;                                 /* WORK_* bits, atomic; looked at on the way out */

    /* Blocking. */
    struct list waiters;                      /* waiter.task_link; own thread only */
    u32 woken;                                /* set by wakers, atomic */

    /* clone(2), set_tid_address(2), set_robust_list(2). */
    void __user *clear_child_tid;
    void __user *robust_list;
    size_t robust_list_size;

    u64 fs_base;                              /* the program's, valid while it is not running */
    u64 utime_ns, stime_ns, nvcsw, nivcsw, minflt, majflt;
    u64 timer_slack_ns;
    int pdeath_signal;
    bool no_new_privs, keep_caps;
    struct target_thread *target;             /* the target's own */
};

/* task->work bits. */
#define WORK_SIGNAL 1u /* signals may be pending */
#define WORK_KILL   2u /* the group exits */

/* The thread that runs this code. Never NULL after boot. */
struct task *current_task(void);
#define current current_task()

static inline void task_set_work(struct task *t, u32 bits)
{
    __atomic_fetch_or(&t->work, bits, __ATOMIC_RELEASE);
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

/* proc/exit.c: ends the current process as _exit(2) or by a signal (wait(2) status). */
_Noreturn void task_exit_group(int wait_status);

/* proc/init.c: makes the first task around `stack`-based boot thread and returns it. */
struct task *task_create_first(void);

#endif
