/* SPDX-License-Identifier: MIT */
/*
 * The terminal: the host's, seen through descriptors 0, 1 and 2, /dev/tty, /dev/console and
 * /dev/pts/0. Its settings and size are the host's and are asked for there. Sessions and process
 * groups are ours (kernel/jobs.h): the first process' session has it, and its group is in the foreground until
 * somebody says otherwise.
 *
 * Locking: g_lock guards what is remembered here. Requests: tty_ioctl(2), termios(3).
 */
#include <kernel/pseudofs.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/jobs.h>
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

/* Host and enclave have one terminal, whichever of the descriptors it is used through. */
static struct tty_jobs g_jobs;

pid_t console_foreground(void)
{
    return console_terminal(O_RDWR) ? tty_foreground(&g_jobs) : 0;
}

int tty_read_allowed(void)
{
    return tty_check_read(&g_jobs);
}

static bool stops_writers(const struct console *c)
{
    struct termios t;

    return target_host_ioctl(c->fd, TCGETS, &t, sizeof(t)) >= 0 && (t.c_lflag & TOSTOP);
}

int tty_write_allowed(const struct console *c)
{
    if (likely(!tty_in_background(&g_jobs)) || !stops_writers(c))
        return 0;
    return tty_check_change(&g_jobs);
}

static long other_request(struct file *f, unsigned cmd, unsigned long arg)
{
    long ret = tty_jobs_ioctl(&g_jobs, f, cmd, arg);

    if (ret != -ENOIOCTLCMD)
        return ret;
    switch (cmd) {
    case TIOCGETD:
        return put_user(0 /* N_TTY */, (int __user *)arg);
    case TIOCGDEV:
        return put_user((unsigned)dev_make(DEV_PTS_MAJOR, 0), (unsigned __user *)arg);
    case TIOCSTI:
        return -EIO; /* as with the sysctl dev.tty.legacy_tiocsti off */
    }
    return -ENOTTY;
}

/* Changes are for the foreground. */
static int change_allowed(const struct request *r)
{
    return r->settings || r->direction == ARG_VALUE ? tty_check_change(&g_jobs) : 0;
}

long tty_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    const struct request *r = find_request(cmd);
    int err = r ? change_allowed(r) : 0;

    if (err)
        return err;
    return r ? host_request(f->private, r, arg) : other_request(f, cmd, arg);
}

int tty_open(unsigned major, unsigned minor, struct file *f)
{
    struct console *c = console_terminal((int)f->flags);

    if (!c)
        return -ENXIO;
    if (major == DEV_TTY_MAJOR && minor == 0 && !tty_is_mine(&g_jobs))
        return -ENXIO;
    if ((major == DEV_TTY_MAJOR && minor > 1) || (major == DEV_PTS_MAJOR && minor))
        return -ENXIO;
    f->ops = &console_ops;
    f->private = c;
    f->seekable = false;
    if (major != DEV_TTY_MAJOR)
        tty_opened(&g_jobs, f);
    return 0;
}

bool tty_present(void)
{
    return console_terminal(O_RDWR);
}

/* The first process leads the session of the host's terminal, as a login shell would. */
void tty_adopt(void)
{
    struct group *g = current->group;

    if (!console_terminal(O_RDWR))
        return;
    spin_lock(&g_tty_lock);
    g->tty = &g_jobs;
    g_jobs.number = (unsigned)dev_make(DEV_PTS_MAJOR, 0);
    g_jobs.session = g->sid;
    g_jobs.foreground = g->pgid;
    spin_unlock(&g_tty_lock);
}

void tty_ids(const struct group *g, unsigned *number, pid_t *tpgid)
{
    *number = 0;
    *tpgid = -1;
    spin_lock(&g_tty_lock);
    if (g->tty) {
        *number = g->tty->number;
        *tpgid = g->tty->foreground;
    }
    spin_unlock(&g_tty_lock);
}
