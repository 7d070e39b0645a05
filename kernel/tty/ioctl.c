/* SPDX-License-Identifier: MIT */
/*
 * Requests to pseudo-terminals (ioctl_tty(2)). Most made of the master concern the slave; a few differ by side.
 *
 * Locking: pty->lock where the terminal is changed or more than a flag is looked at.
 */
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include "settings.h"

/* ---- Both sides ------------------------------------------------------------------------------------------- */

static long winsize_get(struct pty *p, struct winsize __user *arg)
{
    struct winsize w;

    mutex_lock(&p->lock);
    w = p->winsize;
    mutex_unlock(&p->lock);
    return put_user(w, arg);
}

static long winsize_set(struct pty *p, const struct winsize __user *arg)
{
    struct winsize w;
    bool changed;

    if (get_user(w, arg))
        return -EFAULT;
    mutex_lock(&p->lock);
    changed = memcmp(&w, &p->winsize, sizeof(w)) != 0;
    p->winsize = w;
    mutex_unlock(&p->lock);
    if (changed)
        pty_signal(p, SIGWINCH);
    return 0;
}

static long exclusive_set(struct pty *p, bool on)
{
    mutex_lock(&p->lock);
    p->exclusive = on;
    mutex_unlock(&p->lock);
    return 0;
}

/* One of the terminal's flags, as a number. */
static long flag_get(const bool *flag, int __user *arg)
{
    return put_user(READ_ONCE(*flag) ? 1 : 0, arg);
}

static long discipline_set(const int __user *arg)
{
    int n;

    if (get_user(n, arg))
        return -EFAULT;
    return n == 0 /* N_TTY */ ? 0 : -EINVAL;
}

/* tcflow(3) on the slave. */
static long flow(struct pty *p, unsigned long arg)
{
    long ret = 0;
    u8 c = 0;

    mutex_lock(&p->lock);
    switch (arg) {
    case TCOOFF:
        p->stopped_tco = true;
        ldisc_stop(p);
        break;
    case TCOON:
        p->stopped_tco = false;
        ldisc_start(p);
        break;
    case TCIOFF:
        c = p->termios.c_cc[VSTOP];
        break;
    case TCION:
        c = p->termios.c_cc[VSTART];
        break;
    default:
        ret = -EINVAL;
    }
    if (c && ring_room(&p->out)) {
        ring_put(&p->out, c);
        waitqueue_wake(&p->master_wait, POLLIN | POLLRDNORM);
    }
    mutex_unlock(&p->lock);
    return ret;
}

/* tcflush(3) on the slave. */
static long flush(struct pty *p, unsigned long arg)
{
    if (arg > TCIOFLUSH)
        return -EINVAL;
    mutex_lock(&p->lock);
    if (arg != TCOFLUSH)
        ldisc_flush_input(p);
    if (arg != TCIFLUSH)
        ldisc_flush_output(p);
    mutex_unlock(&p->lock);
    return 0;
}

/* tcflush(3) on the master: its input is what the slave printed. */
static long flush_master(struct pty *p, unsigned long arg)
{
    if (arg > TCIOFLUSH)
        return -EINVAL;
    mutex_lock(&p->lock);
    if (arg != TCOFLUSH) {
        WRITE_ONCE(p->out.tail, p->out.head);
        waitqueue_wake(&p->slave_wait, POLLOUT | POLLWRNORM);
    }
    if (arg != TCIFLUSH)
        WRITE_ONCE(p->pending.tail, p->pending.head);
    mutex_unlock(&p->lock);
    return 0;
}

static long readable(struct pty *p, int __user *arg)
{
    int count;

    mutex_lock(&p->lock);
    count = ldisc_count(p);
    mutex_unlock(&p->lock);
    return put_user(count, arg);
}

/* TIOCSTI: as if it had been typed. */
static long type(struct pty *p, const char __user *arg)
{
    char c;

    if (!capable(CAP_SYS_ADMIN))
        return tty_is_mine(&p->jobs) ? -EIO : -EPERM; /* dev.tty.legacy_tiocsti is off */
    if (get_user(c, arg))
        return -EFAULT;
    mutex_lock(&p->lock);
    if (ring_room(&p->pending))
        ring_put(&p->pending, (u8)c);
    ldisc_run(p);
    mutex_unlock(&p->lock);
    return 0;
}

static long settings_ioctl(struct pty *p, unsigned cmd, unsigned long arg)
{
    void __user *to = (void __user *)arg;

    switch (cmd) {
    case TCGETS:
        return settings_get(p, to, sizeof(struct termios));
    case TCGETS2:
        return settings_get(p, to, sizeof(struct termios2));
    case TCSETS:
        return settings_set(p, to, sizeof(struct termios), SET_NOW);
    case TCSETSW:
        return settings_set(p, to, sizeof(struct termios), SET_DRAIN);
    case TCSETSF:
        return settings_set(p, to, sizeof(struct termios), SET_FLUSH);
    case TCSETS2:
        return settings_set(p, to, sizeof(struct termios2), SET_NOW);
    case TCSETSW2:
        return settings_set(p, to, sizeof(struct termios2), SET_DRAIN);
    case TCSETSF2:
        return settings_set(p, to, sizeof(struct termios2), SET_FLUSH);
    }
    return -ENOTTY;
}

/* What is the same for both sides. */
static long any_ioctl(struct pty *p, unsigned cmd, unsigned long arg, const struct file *f)
{
    long ret = tty_jobs_ioctl(&p->jobs, f, cmd, arg);

    if (ret != -ENOIOCTLCMD)
        return ret;
    switch (cmd) {
    case TIOCGWINSZ:
        return winsize_get(p, (struct winsize __user *)arg);
    case TIOCSWINSZ:
        return winsize_set(p, (const struct winsize __user *)arg);
    case TIOCEXCL:
    case TIOCNXCL:
        return exclusive_set(p, cmd == TIOCEXCL);
    case TIOCGEXCL:
        return flag_get(&p->exclusive, (int __user *)arg);
    case TIOCGETD:
        return put_user(0 /* N_TTY */, (int __user *)arg);
    case TIOCSETD:
        return discipline_set((const int __user *)arg);
    case TIOCOUTQ:
        return put_user(0, (int __user *)arg); /* what is printed is with the master at once */
    case TIOCGDEV:
        return put_user((unsigned)dev_make(PTY_MAJOR, p->index), (unsigned __user *)arg);
    case TCSBRK:
    case TCSBRKP:
    case TIOCSBRK:
    case TIOCCBRK:
        return 0; /* no line to break; what is printed is sent */
    case TIOCSTI:
        return type(p, (const char __user *)arg);
    }
    return settings_ioctl(p, cmd, arg);
}

/* Those that a background process may not make (tcsetattr(3), "TOSTOP"). */
static bool changes_terminal(unsigned cmd)
{
    switch (cmd) {
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
    case TCSBRK:
    case TCSBRKP:
    case TIOCSBRK:
    case TIOCCBRK:
    case TCFLSH:
    case TCXONC:
    case TIOCSETD:
        return true;
    }
    return false;
}

/* ---- The slave ---------------------------------------------------------------------------------------------- */

long pty_slave_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct pty *p = f->private;
    long err;

    if (!READ_ONCE(p->master_open))
        return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
    err = changes_terminal(cmd) ? tty_check_change(&p->jobs) : 0;
    if (err)
        return err;
    switch (cmd) {
    case FIONREAD:
        return readable(p, (int __user *)arg);
    case TCFLSH:
        return flush(p, arg);
    case TCXONC:
        return flow(p, arg);
    }
    return any_ioctl(p, cmd, arg, f);
}

/* ---- The master --------------------------------------------------------------------------------------------- */

static long lock_set(struct pty *p, const int __user *arg)
{
    int on;

    if (get_user(on, arg))
        return -EFAULT;
    mutex_lock(&p->lock);
    p->slave_locked = on;
    mutex_unlock(&p->lock);
    return 0;
}

static long packet_set(struct pty *p, const int __user *arg)
{
    int on;

    if (get_user(on, arg))
        return -EFAULT;
    mutex_lock(&p->lock);
    if (on && !p->packet)
        p->packet_status = 0;
    p->packet = on;
    mutex_unlock(&p->lock);
    return 0;
}

static long send_signal(struct pty *p, unsigned long sig)
{
    if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
        return -EINVAL;
    pty_signal(p, (int)sig);
    return 0;
}

/* The slave, by its name. */
static long open_peer(const struct pty *p, unsigned long flags)
{
    char name[32];
    struct file *f;

    (void)snprintf(name, sizeof(name), "/dev/pts/%u", p->index);
    f = file_open(name, (int)flags, 0);
    if (IS_ERR(f))
        return PTR_ERR(f);
    return fd_install(f, 0, flags & O_CLOEXEC);
}

/* The master need not be anybody's terminal for these. */
static long session_get(struct pty *p, pid_t __user *arg)
{
    pid_t sid;

    spin_lock(&g_tty_lock);
    sid = p->jobs.session;
    spin_unlock(&g_tty_lock);
    return sid ? put_user(sid, arg) : -ENOTTY;
}

static long pair_ioctl(struct pty *p, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case TIOCGPGRP:
        return put_user(tty_foreground(&p->jobs), (pid_t __user *)arg);
    case TIOCGSID:
        return session_get(p, (pid_t __user *)arg);
    case TIOCGPTN:
        return put_user(p->index, (unsigned __user *)arg);
    case TIOCSPTLCK:
        return lock_set(p, (const int __user *)arg);
    case TIOCGPTLCK:
        return flag_get(&p->slave_locked, (int __user *)arg);
    case TIOCPKT:
        return packet_set(p, (const int __user *)arg);
    case TIOCGPKT:
        return flag_get(&p->packet, (int __user *)arg);
    case TIOCSIG:
        return send_signal(p, arg);
    case TIOCGPTPEER:
        return open_peer(p, arg);
    case FIONREAD:
        return put_user((int)ring_used(&p->out), (int __user *)arg);
    case TCFLSH:
        return flush_master(p, arg);
    }
    return -ENOTTY;
}

long pty_master_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct pty *p = f->private;
    long ret = pair_ioctl(p, cmd, arg);

    return ret != -ENOTTY || cmd == TIOCGSID || cmd == TIOCNOTTY ? ret : any_ioctl(p, cmd, arg, f);
}
