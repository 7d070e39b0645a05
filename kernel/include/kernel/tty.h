/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals, as the rest of the kernel sees them (kernel/tty). The terminal that the host gave the
 * program is kernel/fs/dev/tty.c's. Source: pty(7), ptmx(4), ioctl_tty(2).
 */
#ifndef KERNEL_TTY_H
#define KERNEL_TTY_H

#include <kernel/fs.h>

/* /dev/ptmx: a new pair with the master behind `f`. -ENOSPC: no numbers left, -ENOMEM. */
int pty_open_master(struct file *f);
/* The slave by number. -ENXIO: none, -EIO: still locked (unlockpt(3)), -EBUSY (TIOCEXCL). */
int pty_open_slave(unsigned index, struct file *f);
/* /dev/tty where the process' controlling terminal is a pseudo-terminal. -ENXIO: it is not. */
int pty_open_controlling(struct file *f);

/* The smallest pseudo-terminal with a number from `from` on and who made it, for listings. False: none. */
struct pty_info {
    unsigned index;
    uid_t uid;
    gid_t gid;
    s64 made; /* ns since the epoch */
};
bool pty_next(unsigned from, struct pty_info *out);

#endif
