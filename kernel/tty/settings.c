/* SPDX-License-Identifier: MIT */
/* A terminal's settings (settings.h). Locking: pty->lock; copies to and from programs are made without it. */
#include <kernel/string.h>
#include "settings.h"

/* Baud rates by the number in c_cflag: those below CBAUDEX, and those from there on. */
static const u32 g_rates[] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600,
                              19200, 38400};
static const u32 g_rates_extended[] = {0, 57600, 115200, 230400, 460800, 500000, 576000, 921600,
                                       1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000,
                                       4000000};

/* The rate that the bits of CBAUD name; BOTHER: `other`, as given. */
static u32 rate_of(unsigned bits, u32 other)
{
    if (bits == BOTHER)
        return other;
    return bits & CBAUDEX ? g_rates_extended[bits & 15] : g_rates[bits & 15];
}

static void set_rates(struct termios2 *t)
{
    unsigned in = (t->c_cflag >> IBSHIFT) & CBAUD;

    t->c_ospeed = rate_of(t->c_cflag & CBAUD, t->c_ospeed);
    t->c_ispeed = in ? rate_of(in, t->c_ispeed) : t->c_ospeed;
}

static bool flow_by_default(const struct termios2 *t)
{
    return (t->c_iflag & IXON) && t->c_cc[VSTOP] == CTRL_CHAR('S') && t->c_cc[VSTART] == CTRL_CHAR('Q');
}

/* The master in packet mode hears of changes that concern a remote terminal. */
static void tell_master(struct pty *p, const struct termios2 *old) REQUIRES(&p->lock)
{
    bool flow = flow_by_default(&p->termios);
    u8 status = 0;

    if (flow != flow_by_default(old)) {
        status = flow ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP;
        p->packet_status &= (u8) ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
    }
    if ((p->termios.c_lflag | old->c_lflag) & EXTPROC)
        status |= TIOCPKT_IOCTL;
    if (p->packet && status)
        pty_packet_tell(p, status);
}

long settings_get(struct pty *p, void __user *arg, size_t size)
{
    struct termios2 t;

    mutex_lock(&p->lock);
    t = p->termios;
    mutex_unlock(&p->lock);
    return copy_to_user(arg, &t, size);
}

long settings_set(struct pty *p, const void __user *arg, size_t size, enum set_when when)
{
    struct termios2 t, old;

    mutex_lock(&p->lock);
    old = p->termios;
    mutex_unlock(&p->lock);
    t = old;
    if (copy_from_user(&t, arg, size))
        return -EFAULT;
    set_rates(&t);
    t.c_cflag = (t.c_cflag & ~(unsigned)(CSIZE | PARENB)) | CS8 | CREAD;
    mutex_lock(&p->lock);
    if (when == SET_FLUSH)
        ldisc_flush_input(p);
    old = p->termios;
    p->termios = t;
    ldisc_set(p, &old);
    tell_master(p, &old);
    mutex_unlock(&p->lock);
    return 0;
}
