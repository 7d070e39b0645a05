/* SPDX-License-Identifier: MIT */
/*
 * Job control over terminals: which session has a terminal, which of its process groups is in the foreground,
 * and what others may do with it. Every kind of terminal holds a struct tty_jobs. Sources: credentials(7),
 * tty_ioctl(2), POSIX "General Terminal Interface".
 */
#ifndef KERNEL_JOBS_H
#define KERNEL_JOBS_H

#include <kernel/lock.h>
#include <kernel/types.h>

struct file;
struct group;

/* All zero: nobody's. Fields and every group->tty are guarded by g_tty_lock, which comes after g_task_list_lock. */
struct tty_jobs {
    pid_t session;    /* 0: no session's controlling terminal */
    pid_t foreground; /* process group; 0: none */
    unsigned number;  /* device number, st_rdev; set once */
};

extern spinlock_t g_tty_lock;

/* Whether it is the current process' controlling terminal. */
bool tty_is_mine(struct tty_jobs *tty);
/* The foreground process group; 0: none. */
pid_t tty_foreground(struct tty_jobs *tty);

/*
 * The current process wants to read, or to write or change settings. 0; -EIO: it may not, and nobody could
 * continue it; -ERESTARTSYS: its process group gets SIGTTIN or SIGTTOU.
 */
int tty_check_read(struct tty_jobs *tty);
int tty_check_change(struct tty_jobs *tty);
/* Whether a write has to ask for TOSTOP and then tty_check_change(): a process of the background. */
bool tty_in_background(struct tty_jobs *tty);

/* Opened without O_NOCTTY: becomes the controlling terminal of a session leader that has none. */
void tty_opened(struct tty_jobs *tty, const struct file *f);

/* TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSCTTY, TIOCNOTTY; -ENOIOCTLCMD for others. */
#define ENOIOCTLCMD 515
long tty_jobs_ioctl(struct tty_jobs *tty, const struct file *f, unsigned cmd, unsigned long arg);

/* The terminal goes away: its session has none any more. */
void tty_jobs_clear(struct tty_jobs *tty);
/* The line hung up: the same, and the session's leader gets SIGHUP and SIGCONT, the foreground at its end. */
void tty_hang_up(struct tty_jobs *tty);

/* A session leader ends: its terminal is free, the foreground process group gets SIGHUP. */
void tty_leader_ended(struct group *g);
/* setsid(2): the current process has no terminal any more. */
void tty_forget(struct group *g);
/* A child has its creator's terminal; g_task_list_lock held. */
void tty_inherit(struct group *child, struct group *from);

/* The terminal of the host, fs/dev/tty.c: its foreground process group; 0: there is none. */
pid_t console_foreground(void);

#endif
