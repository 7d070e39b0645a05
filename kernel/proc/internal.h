/* SPDX-License-Identifier: MIT */
/* What the files of kernel/proc share. */
#ifndef KERNEL_PROC_INTERNAL_H
#define KERNEL_PROC_INTERNAL_H

#include <kernel/task.h>

#define CAP_ALL ((1UL << (CAP_LAST_CAP + 1)) - 1)

/* A process without threads, its own group and session; NULL: no memory. */
struct group *group_create(pid_t tgid);
/* A child of the current process with its own number, not yet published; NULL: no memory. */
struct group *group_create_child(pid_t tgid, int exit_signal);
/* Publishes it as a child of the current thread; `sibling`: of the current process' parent (CLONE_PARENT). */
void group_add_child(struct group *g, bool sibling);
/*
 * The current process is to end: publishes the status and tells the other threads; `dump`: the current one writes a core
 * file first. False: it was decided before.
 */
bool group_begin_exit(int status, bool dump);
/* proc/core.c: a thread that ends waits while another one writes the core file, which it is a part of. */
void core_rest(struct task *t);
/* The last thread has ended: the parent hears of it, children go to another. Not for the first process. */
void group_end(struct group *g);
/* Takes a dead process off its parent's list. g_task_list_lock held. */
void group_unlink(struct group *g) REQUIRES(&g_task_list_lock);
/* A thread ends or exec(2) gives it another number: children that it made are another thread's. */
void group_children_pass(struct group *g, pid_t from);
/* The dead process that was taken off goes away. */
void group_reap(struct group *g);
/* Every process; each with the table's reference. */
extern struct list g_groups GUARDED_BY(&g_task_list_lock);

/* proc/jobs.c: the process with the smallest number >= from in a process group, with a reference, or NULL. */
struct group *pgrp_next(pid_t pgid, pid_t from);
/*
 * Whether `g`'s process group has stopped members and nobody to continue them, now that `keeper` no longer counts
 * as g's parent, or `ignored` as a member. g_task_list_lock held.
 */
bool pgrp_left(const struct group *g, const struct group *keeper, const struct group *ignored)
    REQUIRES(&g_task_list_lock);
/* SIGHUP and SIGCONT for such a group. */
void pgrp_hang_up(pid_t pgid);

/* proc/access.c: whether the caller's effective user is the effective or real one of `c`: sched(7), setpriority(2). */
bool cred_owns(const struct cred *c);

/* proc/pidfd.c: a file for a process; ERR_PTR(-ENOMEM). `flags`: O_NONBLOCK or 0. */
struct file *pidfd_file(struct group *g, unsigned flags);

/* Statuses of wait(2). HAS_STATUS is set inside to tell "ended with 0" from "nothing". */
#define WAIT_CONTINUED  0xffff
#define WAIT_HAS_STATUS (1 << 30)
/* CLD_* and si_status for a status. */
void wait_status_info(siginfo_t *info, int status);

/* proc/resource.c */
void usage_add(struct usage *to, const struct usage *u);
/* Adds a thread that ends to its process' sums. group->lock held. */
void usage_task_ended(struct task *t);
void group_usage(struct group *g, struct usage *u);
void usage_add_children(struct usage *u, struct group *g);
void usage_export(const struct usage *u, struct rusage *ru);

/* A task that nobody sees yet; consumes the reference on `g`. NULL: no memory. */
struct task *task_create(struct group *g, pid_t tid);
/* Puts it in its group's list, which gets a reference: signals and lookups find it from now on. */
void task_publish(struct task *t);
/* Threads that were published and have not ended; atomic. */
extern unsigned g_task_count;
extern u64 g_task_total; /* and how many there ever were */

/* A number that no task, process, process group or session has. -EAGAIN when all are taken. */
pid_t pid_alloc(void);

/* Puts a new process (one reference goes to the table) and its first task where lookups find them. */
void group_publish(struct group *g);
/* Takes an ended process out of the table. */
void group_unpublish(struct group *g);

/* The credentials of pid 1: root with every capability. */
struct cred *cred_create_root(void);
/* exec(2): what permitted and effective become for a file without set-id or capabilities. */
int cred_exec(void);
/* uid changes' effect on capabilities (capabilities(7)); `c` is being prepared from `old`. */
void cred_fix_caps(struct cred *c, const struct cred *old, bool keep_caps);

#define NICE_MIN (-20)
#define NICE_MAX 19

void rlimits_init(struct rlimit64_k *limits);

/* The task for a pid argument where 0 means the caller; a reference, or NULL. */
struct task *task_of_pid(pid_t pid);

/*
 * proc/futex_pi.c: `t` ends (`ends`) or runs another program: the first who waits for a priority-inheritance lock of
 * its own takes it. After the robust list, so that who finds it gone may rely on the words.
 */
void futex_pi_exit(struct task *t, bool ends);

#endif
