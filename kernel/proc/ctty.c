/* SPDX-License-Identifier: MIT */
/*
 * Controlling terminals (kernel/jobs.h): Linux's rules of drivers/tty/tty_jobctrl.c as its man pages tell them.
 *
 * Locking: g_tty_lock guards struct tty_jobs and group->tty. Signals are sent without it.
 */
#include <kernel/fs.h>
#include <kernel/task.h>
#include <kernel/jobs.h>
#include <kernel/uaccess.h>
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include "internal.h"

spinlock_t g_tty_lock = SPINLOCK_INIT("tty_jobs");

bool tty_is_mine(struct tty_jobs *tty)
{
    bool mine;

    spin_lock(&g_tty_lock);
    mine = current->group->tty == tty;
    spin_unlock(&g_tty_lock);
    return mine;
}

pid_t tty_foreground(struct tty_jobs *tty)
{
    pid_t pgid;

    spin_lock(&g_tty_lock);
    pgid = tty->foreground;
    spin_unlock(&g_tty_lock);
    return pgid;
}

bool tty_in_background(struct tty_jobs *tty)
{
    pid_t own = READ_ONCE(current->group->pgid);
    bool background;

    spin_lock(&g_tty_lock);
    background = current->group->tty == tty && tty->foreground && tty->foreground != own;
    spin_unlock(&g_tty_lock);
    return background;
}

/* Who ignores SIGTTOU may write; who ignores SIGTTIN may not read. */
static int check(struct tty_jobs *tty, int sig)
{
    pid_t own = READ_ONCE(current->group->pgid);

    if (likely(!tty_in_background(tty)))
        return 0;
    if (signal_unwanted(sig))
        return sig == SIGTTIN ? -EIO : 0;
    if (pgrp_orphaned(own))
        return -EIO;
    pgrp_signal(own, sig, NULL);
    return -ERESTARTSYS;
}

int tty_check_read(struct tty_jobs *tty)
{
    return check(tty, SIGTTIN);
}

int tty_check_change(struct tty_jobs *tty)
{
    return check(tty, SIGTTOU);
}

/* ---- Having one -------------------------------------------------------------------------------------- */

static void set_terminal(struct group *g, struct tty_jobs *tty)
{
    assert_held(&g_tty_lock);
    tty->session = g->sid;
    tty->foreground = g->pgid;
    g->tty = tty;
}

/* No process has the terminal any more. */
static void clear_locked(struct tty_jobs *tty)
{
    struct group *g;

    assert_held(&g_task_list_lock);
    assert_held(&g_tty_lock);
    list_for_each(g, &g_groups, link)
    {
        if (g->tty == tty)
            g->tty = NULL;
    }
    tty->session = tty->foreground = 0;
}

void tty_jobs_clear(struct tty_jobs *tty)
{
    spin_lock(&g_task_list_lock);
    spin_lock(&g_tty_lock);
    clear_locked(tty);
    spin_unlock(&g_tty_lock);
    spin_unlock(&g_task_list_lock);
}

void tty_hang_up(struct tty_jobs *tty)
{
    struct group *leader;
    pid_t session, foreground;

    spin_lock(&g_tty_lock);
    session = tty->session;
    foreground = tty->foreground;
    spin_unlock(&g_tty_lock);
    tty_jobs_clear(tty);
    leader = session ? group_find(session) : NULL;
    if (!leader)
        return;
    WRITE_ONCE(leader->lost_foreground, foreground);
    signal_send_group(leader, SIGHUP, NULL);
    signal_send_group(leader, SIGCONT, NULL);
    group_put(leader);
}

void tty_opened(struct tty_jobs *tty, const struct file *f)
{
    struct group *g = current->group;

    if ((f->flags & O_NOCTTY) || (f->flags & O_ACCMODE) == O_WRONLY || READ_ONCE(g->sid) != g->tgid)
        return;
    spin_lock(&g_tty_lock);
    if (!g->tty && !tty->session)
        set_terminal(g, tty);
    spin_unlock(&g_tty_lock);
}

void tty_inherit(struct group *child, struct group *from)
{
    assert_held(&g_task_list_lock);
    spin_lock(&g_tty_lock);
    child->tty = from->tty;
    spin_unlock(&g_tty_lock);
}

void tty_forget(struct group *g)
{
    spin_lock(&g_tty_lock);
    g->tty = NULL;
    spin_unlock(&g_tty_lock);
}

/* The leader gives it up for its whole session; who worked in the foreground is told. */
static void leader_gives_up(struct group *g, bool ending)
{
    struct tty_jobs *tty;
    pid_t foreground = 0;

    spin_lock(&g_task_list_lock);
    spin_lock(&g_tty_lock);
    tty = g->tty;
    if (tty) {
        foreground = tty->foreground;
        clear_locked(tty);
    }
    spin_unlock(&g_tty_lock);
    spin_unlock(&g_task_list_lock);
    if (!foreground)
        return;
    pgrp_signal(foreground, SIGHUP, NULL);
    if (!ending)
        pgrp_signal(foreground, SIGCONT, NULL);
}

void tty_leader_ended(struct group *g)
{
    if (READ_ONCE(g->sid) != g->tgid)
        return;
    leader_gives_up(g, true);
    if (g->lost_foreground)
        pgrp_hang_up(g->lost_foreground);
}

/* ---- Requests ------------------------------------------------------------------------------------------ */

/* TIOCSCTTY: a session leader without a terminal takes it; root may take another session's. */
static long take(struct tty_jobs *tty, const struct file *f, unsigned long force)
{
    struct group *g = current->group;
    bool leader = READ_ONCE(g->sid) == g->tgid;
    bool readable = (f->flags & O_ACCMODE) != O_WRONLY || capable(CAP_SYS_ADMIN);
    bool steals = force == 1 && capable(CAP_SYS_ADMIN);
    long ret = 0;

    spin_lock(&g_task_list_lock);
    spin_lock(&g_tty_lock);
    if (leader && tty->session == g->sid) {
        ret = 0;
    } else if (!leader || g->tty || (tty->session && !steals) || !readable) {
        ret = -EPERM;
    } else {
        if (tty->session)
            clear_locked(tty);
        set_terminal(g, tty);
    }
    spin_unlock(&g_tty_lock);
    spin_unlock(&g_task_list_lock);
    return ret;
}

static long give_up(struct tty_jobs *tty)
{
    struct group *g = current->group;

    if (!tty_is_mine(tty))
        return -ENOTTY;
    if (READ_ONCE(g->sid) == g->tgid)
        leader_gives_up(g, false);
    else
        tty_forget(g);
    return 0;
}

static long get_foreground(struct tty_jobs *tty, pid_t __user *arg)
{
    if (!tty_is_mine(tty))
        return -ENOTTY;
    return put_user(tty_foreground(tty), arg);
}

static long set_foreground(struct tty_jobs *tty, const pid_t __user *arg)
{
    pid_t pgrp, session;
    int err = tty_check_change(tty);

    if (err)
        return err == -EIO ? -ENOTTY : err;
    if (!tty_is_mine(tty))
        return -ENOTTY;
    if (get_user(pgrp, arg))
        return -EFAULT;
    if (pgrp < 0)
        return -EINVAL;
    session = pgrp_session(pgrp);
    if (session < 0)
        return session;
    if (session != READ_ONCE(current->group->sid))
        return -EPERM;
    spin_lock(&g_tty_lock);
    tty->foreground = pgrp;
    spin_unlock(&g_tty_lock);
    return 0;
}

static long get_session(struct tty_jobs *tty, pid_t __user *arg)
{
    pid_t sid;

    spin_lock(&g_tty_lock);
    sid = current->group->tty == tty ? tty->session : 0;
    spin_unlock(&g_tty_lock);
    return sid ? put_user(sid, arg) : -ENOTTY;
}

long tty_jobs_ioctl(struct tty_jobs *tty, const struct file *f, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case TIOCGPGRP:
        return get_foreground(tty, (pid_t __user *)arg);
    case TIOCSPGRP:
        return set_foreground(tty, (const pid_t __user *)arg);
    case TIOCGSID:
        return get_session(tty, (pid_t __user *)arg);
    case TIOCSCTTY:
        return take(tty, f, arg);
    case TIOCNOTTY:
        return give_up(tty);
    }
    return -ENOIOCTLCMD;
}
