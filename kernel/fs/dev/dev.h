/* SPDX-License-Identifier: MIT */
/*
 * What the parts of devfs share. Device numbers are Linux's
 * (Documentation/admin-guide/devices.txt).
 */
#ifndef KERNEL_FS_DEV_DEV_H
#define KERNEL_FS_DEV_DEV_H

#include <kernel/fs.h>
#include <kernel/poll.h>
#include <kernel/target.h>
#include <kernel/wait.h>

#define DEV_MEM_MAJOR 1
#define DEV_TTY_MAJOR 5 /* minor 0: the controlling terminal, 1: the console */
#define DEV_PTMX_MINOR 2
#define DEV_PTS_MAJOR 136

/* mem.c: null, zero, full, random, urandom by minor number. -ENXIO for others. */
int mem_open(unsigned minor, struct file *f);

/* The usual path of such a device by its number, or NULL. */
const char *mem_path(dev_t rdev);

/* ---- console.c: a host descriptor as a stream ----------------------------------------------- */

#define CONSOLE_COUNT 3
#define HOST_IO_SIZE  65536u /* most bytes of one host call */

struct console {
    int fd;                   /* of the host: 0, 1 or 2; constant, as are the next three */
    const char *name;         /* where no better one is known */
    enum target_fd_kind kind;
    int flags;                /* O_ACCMODE, O_APPEND, O_NONBLOCK as the host opened it */
    struct waitqueue wq;      /* woken by the host's readiness */
    u64 identity;             /* kind FILE: equal for two descriptors of one file */
    struct inode *inode;      /* of the descriptor's file, referenced; NULL for the terminal */
};

/* Asks the host once what stands behind 0, 1 and 2. */
void console_probe(void);
/* The descriptor that serves the terminal for an open with these flags, or NULL without one. */
struct console *console_terminal(int flags);

/* The descriptor that serves an open of `inode` with these flags, or NULL. */
struct console *console_find(const struct inode *inode, unsigned flags);
/* Takes over what the host says of the descriptor, but for its type. inode->lock held, or nobody sees it. */
void console_set_attr(struct inode *inode, const struct console *c, const struct target_stat *st);

/* file->private is a struct console. */
extern const struct file_ops console_ops;

/*
 * Until the host says `events` (or an error), `deadline` or a signal: 0, -ETIMEDOUT, -EINTR. Holds
 * no lock.
 */
int console_wait(struct console *c, unsigned events, u64 deadline);
/* What of `events` the host says is true now, with POLLERR and POLLHUP. */
unsigned console_ready(const struct console *c, unsigned events);

/* ---- hostfile.c: a regular file or a block device of the host ------------------------------- */

/* file->private is a struct console. */
extern const struct file_ops hostfile_ops;
extern const struct inode_ops hostfile_inode_ops;
/* The file is the host's description itself, with the host's offset. Nobody sees it yet. */
void hostfile_adopt(struct file *f);

/* ---- tty.c: what makes a stream a terminal -------------------------------------------------- */

/* Whether a read waits for input first, and how long (termios(3), VMIN and VTIME). */
struct tty_read_mode {
    bool wait;
    u64 timeout_ns; /* 0: no limit */
};
struct tty_read_mode tty_read_mode(const struct console *c);

/* Of a file whose private is a terminal's struct console. */
long tty_ioctl(struct file *f, unsigned cmd, unsigned long arg);

/* Job control: 0, -EIO, or -ERESTARTSYS with a signal to the caller's process group. */
int tty_read_allowed(void);
int tty_write_allowed(const struct console *c);

/* The current (first) process gets the terminal, if there is one. */
void tty_adopt(void);

/* Opens the terminal by device number. -ENXIO when the program has none. */
int tty_open(unsigned major, unsigned minor, struct file *f);

#endif
