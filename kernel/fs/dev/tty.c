/* SPDX-License-Identifier: MIT */
/*
 * The terminal: the host's, seen through descriptors 0, 1 and 2, /dev/tty, /dev/console and
 * /dev/pts/0. Its settings and size are the host's and are asked for there. Sessions and process
 * groups are ours: the program is alone on its terminal and in the foreground until it says
 * otherwise.
 *
 * Locking: g_lock guards what is remembered here. Requests: tty_ioctl(2), termios(3).
 */
#include <kernel/pseudofs.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/fcntl.h>

#include "dev.h"

static spinlock_t g_lock = SPINLOCK_INIT("tty");

static struct {
    bool mode_known;     /* read_mode is what the host's termios say */
    u32 generation;      /* counts changes, so that an answer that crossed one is not kept */
    struct tty_read_mode mode;
    pid_t foreground;    /* process group; 0: the first one */
    bool detached;       /* TIOCNOTTY: nobody's controlling terminal */
} g_tty GUARDED_BY(&g_lock);

/* ---- How reads wait ------------------------------------------------------------------------- */

static struct tty_read_mode mode_of(const struct termios *t)
{
    struct tty_read_mode mode = {.wait = true};

    if ((t->c_lflag & ICANON) || t->c_cc[VMIN])
        return mode;
    mode.timeout_ns = t->c_cc[VTIME] * 100000000UL;
    mode.wait = mode.timeout_ns;
    return mode;
}

struct tty_read_mode tty_read_mode(const struct console *c)
{
    struct tty_read_mode mode = {.wait = true};
    struct termios t;
    bool known;
    u32 generation;

    spin_lock(&g_lock);
    known = g_tty.mode_known;
    generation = g_tty.generation;
    if (known)
        mode = g_tty.mode;
    spin_unlock(&g_lock);
    if (known || target_host_ioctl(c->fd, TCGETS, &t, sizeof(t)) < 0)
        return mode;
    mode = mode_of(&t);
    spin_lock(&g_lock);
    if (g_tty.generation == generation) {
        g_tty.mode = mode;
        g_tty.mode_known = true;
    }
    spin_unlock(&g_lock);
    return mode;
}

static void forget_mode(void)
{
    spin_lock(&g_lock);
    g_tty.mode_known = false;
    g_tty.generation++;
    spin_unlock(&g_lock);
}

/* ---- Requests that the host serves ---------------------------------------------------------- */

enum direction { ARG_IN, ARG_OUT, ARG_VALUE };

struct request {
    unsigned cmd;
    enum direction direction;
    size_t size;
    bool settings; /* changes how reads wait */
};

static const struct request g_requests[] = {
    {TCGETS, ARG_OUT, sizeof(struct termios), false},
    {TCSETS, ARG_IN, sizeof(struct termios), true},
    {TCSETSW, ARG_IN, sizeof(struct termios), true},
    {TCSETSF, ARG_IN, sizeof(struct termios), true},
    {TCGETS2, ARG_OUT, sizeof(struct termios2), false},
    {TCSETS2, ARG_IN, sizeof(struct termios2), true},
    {TCSETSW2, ARG_IN, sizeof(struct termios2), true},
    {TCSETSF2, ARG_IN, sizeof(struct termios2), true},
    {TIOCGWINSZ, ARG_OUT, sizeof(struct winsize), false},
    {TIOCSWINSZ, ARG_IN, sizeof(struct winsize), false},
    {FIONREAD, ARG_OUT, sizeof(int), false},
    {TIOCOUTQ, ARG_OUT, sizeof(int), false},
    {TCFLSH, ARG_VALUE, sizeof(int), false},
    {TCXONC, ARG_VALUE, sizeof(int), false},
    {TCSBRK, ARG_VALUE, sizeof(int), false},
    {TCSBRKP, ARG_VALUE, sizeof(int), false},
};

#define REQUEST_ARG_MAX 64
_Static_assert(sizeof(struct termios2) <= REQUEST_ARG_MAX, "the largest of g_requests");

static const struct request *find_request(unsigned cmd)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_requests); i++) {
        if (g_requests[i].cmd == cmd)
            return &g_requests[i];
    }
    return NULL;
}

static long host_request(struct console *c, const struct request *r, unsigned long arg)
{
    u8 buf[REQUEST_ARG_MAX] = {0};
    int value = (int)arg;
    int ret;

    if (r->direction == ARG_IN && copy_from_user(buf, (const void __user *)arg, r->size))
        return -EFAULT;
    if (r->direction == ARG_VALUE)
        memcpy(buf, &value, sizeof(value));
    ret = target_host_ioctl(c->fd, r->cmd, buf, r->size);
    if (r->settings)
        forget_mode();
    if (ret < 0 || r->direction != ARG_OUT)
        return ret;
    return copy_to_user((void __user *)arg, buf, r->size);
}

/* ---- Job control ---------------------------------------------------------------------------- */

static pid_t foreground(void)
{
    pid_t pgrp;

    spin_lock(&g_lock);
    pgrp = g_tty.foreground;
    spin_unlock(&g_lock);
    return pgrp ? pgrp : current->group->pgid;
}

/* A process group of the caller's session, named by its leader or being the caller's own. */
static int check_group(pid_t pgrp)
{
    struct group *g;
    int err;

    if (pgrp < 0)
        return -EINVAL;
    if (pgrp == current->group->pgid)
        return 0;
    g = group_find(pgrp);
    if (!g)
        return -ESRCH;
    err = g->sid == current->group->sid && g->pgid == pgrp ? 0 : -EPERM;
    group_put(g);
    return err;
}

static long set_foreground(const pid_t __user *arg)
{
    pid_t pgrp;
    int err;

    if (get_user(pgrp, arg))
        return -EFAULT;
    err = check_group(pgrp);
    if (err)
        return err;
    spin_lock(&g_lock);
    g_tty.foreground = pgrp;
    spin_unlock(&g_lock);
    return 0;
}

static bool is_detached(void)
{
    bool detached;

    spin_lock(&g_lock);
    detached = g_tty.detached;
    spin_unlock(&g_lock);
    return detached;
}

static void set_detached(bool detached)
{
    spin_lock(&g_lock);
    g_tty.detached = detached;
    g_tty.foreground = 0;
    spin_unlock(&g_lock);
}

/* TIOCSCTTY: a session leader without a terminal takes it; who has it already keeps it. */
static long take_terminal(void)
{
    const struct group *g = current->group;

    if (!is_detached())
        return 0;
    if (g->sid != g->tgid)
        return -EPERM;
    set_detached(false);
    return 0;
}

static long give_terminal_up(void)
{
    if (is_detached())
        return -ENOTTY;
    set_detached(true);
    return 0;
}

static long job_request(unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case TIOCGPGRP:
        return is_detached() ? -ENOTTY : put_user(foreground(), (pid_t __user *)arg);
    case TIOCSPGRP:
        return is_detached() ? -ENOTTY : set_foreground((const pid_t __user *)arg);
    case TIOCGSID:
        return is_detached() ? -ENOTTY : put_user(current->group->sid, (pid_t __user *)arg);
    case TIOCSCTTY:
        return take_terminal();
    case TIOCNOTTY:
        return give_terminal_up();
    case TIOCGETD:
        return put_user(0 /* N_TTY */, (int __user *)arg);
    case TIOCGDEV:
        return put_user((unsigned)dev_make(DEV_PTS_MAJOR, 0), (unsigned __user *)arg);
    case TIOCSTI:
        return -EIO; /* as with the sysctl dev.tty.legacy_tiocsti off */
    }
    return -ENOTTY;
}

long tty_ioctl(struct console *c, unsigned cmd, unsigned long arg)
{
    const struct request *r = find_request(cmd);

    return r ? host_request(c, r, arg) : job_request(cmd, arg);
}

int tty_open(unsigned major, unsigned minor, struct file *f)
{
    struct console *c = console_terminal((int)f->flags);

    if (!c)
        return -ENXIO;
    if (major == DEV_TTY_MAJOR && minor == 0 && is_detached())
        return -ENXIO;
    if ((major == DEV_TTY_MAJOR && minor > 1) || (major == DEV_PTS_MAJOR && minor))
        return -ENXIO;
    f->ops = &console_ops;
    f->private = c;
    f->seekable = false;
    return 0;
}

void tty_ids(unsigned *number, pid_t *tpgid)
{
    bool has = console_terminal(O_RDWR) && !is_detached();

    *number = has ? (unsigned)dev_make(DEV_PTS_MAJOR, 0) : 0;
    *tpgid = has ? foreground() : -1;
}
