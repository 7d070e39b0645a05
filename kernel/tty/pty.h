/* SPDX-License-Identifier: MIT */
/*
 * A pseudo-terminal: the slave with its line discipline (termios(3), the kernel's N_TTY), and the master, which
 * reads what the slave prints and writes what its user types.
 *
 * What the master writes waits in `pending` until the discipline has room for it in `line`. What the slave
 * prints, and echoes, go to `out`; an echo that finds `out` full or output stopped waits in `echo`.
 *
 * Locking: pty->lock (mutex) guards everything but the job control fields; user copies are made without it.
 * g_pty_lock (spinlock) guards the list of terminals. Under pty->lock the locks of waiting, of tasks and of job
 * control may be taken; under g_pty_lock none.
 */
#ifndef KERNEL_TTY_PTY_H
#define KERNEL_TTY_PTY_H

#include <kernel/jobs.h>
#include <kernel/poll.h>
#include <kernel/pseudofs.h>
#include <kernel/tty.h>
#include <kernel/wait.h>
#include <asm/termbits.h>
#include <asm/termios.h>

#define PTY_MAJOR 136
#define PTY_MAX   4096u /* as /proc/sys/kernel/pty/max has it by default */

/* Bytes in order; head and tail run freely, the size is a power of 2. */
struct ring {
    u8 *data;
    u32 size, head, tail;
};

static inline u32 ring_used(const struct ring *r)
{
    return READ_ONCE(r->head) - READ_ONCE(r->tail);
}

static inline u32 ring_room(const struct ring *r)
{
    return r->size - ring_used(r);
}

/* There must be room, or a byte. */
static inline void ring_put(struct ring *r, u8 c)
{
    r->data[r->head & (r->size - 1)] = c;
    WRITE_ONCE(r->head, r->head + 1);
}

static inline u8 ring_get(struct ring *r)
{
    u8 c = r->data[r->tail & (r->size - 1)];

    WRITE_ONCE(r->tail, r->tail + 1);
    return c;
}

#define LINE_SIZE    4096u /* MAX_CANON and MAX_INPUT follow from it, as on Linux */
#define ECHO_SIZE    4096u
#define PENDING_SIZE 8192u
#define OUT_SIZE     8192u

struct pty {
    ref_t ref;
    unsigned index;
    uid_t uid;  /* who opened the master, and when */
    gid_t gid;
    s64 made;
    mutex_t lock;
    struct waitqueue slave_wait, master_wait; /* woken when there is something to read, write or hear */

    struct termios2 termios GUARDED_BY(&lock);
    struct winsize winsize GUARDED_BY(&lock);
    bool slave_locked GUARDED_BY(&lock);  /* TIOCSPTLCK */
    bool exclusive GUARDED_BY(&lock);     /* TIOCEXCL */
    bool stopped GUARDED_BY(&lock);       /* output, by VSTOP */
    bool stopped_tco GUARDED_BY(&lock);   /* by tcflow(TCOOFF); then `stopped` too */
    bool packet GUARDED_BY(&lock);        /* TIOCPKT */
    u8 packet_status GUARDED_BY(&lock);
    bool master_open GUARDED_BY(&lock);   /* false: hung up, for good */
    bool slave_closed GUARDED_BY(&lock);  /* was opened, and is open no more */
    unsigned slaves GUARDED_BY(&lock);    /* open descriptions */

    /* The line: [tail, canon_head) may be read, [canon_head, head) is being edited (all when not canonical). */
    u8 line[LINE_SIZE] GUARDED_BY(&lock);
    u64 ends[LINE_SIZE / 64] GUARDED_BY(&lock); /* bit: a line ends with this byte */
    u32 head GUARDED_BY(&lock), canon_head GUARDED_BY(&lock), tail GUARDED_BY(&lock);
    bool pushed GUARDED_BY(&lock);        /* canonical mode began with input there: its end is no VEOF */
    bool lnext GUARDED_BY(&lock);         /* VLNEXT: the next byte stands for itself */
    bool erasing GUARDED_BY(&lock);       /* between the \ and / of ECHOPRT */
    u32 column GUARDED_BY(&lock), canon_column GUARDED_BY(&lock); /* of the cursor; where the line began */
    struct ring pending GUARDED_BY(&lock), echo GUARDED_BY(&lock), out GUARDED_BY(&lock);

    struct list link;     /* guarded by g_pty_lock */
    struct tty_jobs jobs; /* kernel/jobs.h has its lock */
};

/* ---- ldisc.c: what is typed; pty->lock held ---------------------------------------------------------- */

#define CTRL_CHAR(c) ((u8)(c) & 0x1f)

/* The settings of a new terminal. */
void ldisc_init(struct pty *p);
/* Takes from `pending` what there is room for. */
void ldisc_run(struct pty *p) REQUIRES(&p->lock);
/* Other settings are in force; `old` were it before. */
void ldisc_set(struct pty *p, const struct termios2 *old) REQUIRES(&p->lock);
/* Forgets what was typed, and what waits to be. */
void ldisc_flush_input(struct pty *p) REQUIRES(&p->lock);

/* ---- ldisc_echo.c: editing the line on the screen ----------------------------------------------------- */

void echo_char(struct pty *p, u8 c) REQUIRES(&p->lock);   /* visibly, by ECHOCTL */
void echo_finish_erasing(struct pty *p) REQUIRES(&p->lock);
/* VERASE, VWERASE, VKILL, by the character's index in c_cc. */
void ldisc_erase(struct pty *p, unsigned which) REQUIRES(&p->lock);
/* VREPRINT */
void ldisc_reprint(struct pty *p) REQUIRES(&p->lock);

/* ---- ldisc_read.c: what the slave reads ------------------------------------------------------------------ */

/* Whether a read would return something; `poll` asks for as much as VMIN says. Exact with the lock held only. */
bool ldisc_readable(const struct pty *p, bool poll) NO_LOCK_ANALYSIS;
/* Up to a line, or what is there. `*eof`: a line ended with VEOF and nothing in it. */
size_t ldisc_take(struct pty *p, u8 *buf, size_t size, bool *eof) REQUIRES(&p->lock);
/* FIONREAD */
int ldisc_count(const struct pty *p) REQUIRES(&p->lock);

/* ---- ldisc_out.c: what is printed ---------------------------------------------------------------------- */

/* Takes from `buf` what there is room for, processed by OPOST. Bytes taken. */
size_t ldisc_print(struct pty *p, const u8 *buf, size_t size) REQUIRES(&p->lock);
/* One byte of an echo; it may wait. */
void ldisc_echo(struct pty *p, u8 c) REQUIRES(&p->lock);
/* Echoes that waited for room or for VSTART. */
void ldisc_echo_run(struct pty *p) REQUIRES(&p->lock);
/* Output stops or goes on; the master in packet mode is told. */
void ldisc_stop(struct pty *p) REQUIRES(&p->lock);
void ldisc_start(struct pty *p) REQUIRES(&p->lock);
/* Drops what the master has no hold of yet. */
void ldisc_flush_output(struct pty *p) REQUIRES(&p->lock);
void pty_packet_tell(struct pty *p, u8 status) REQUIRES(&p->lock);

/* ---- ioctl.c, file.c, pty.c ----------------------------------------------------------------------------------- */

extern const struct file_ops pty_master_ops, pty_slave_ops;
long pty_master_ioctl(struct file *f, unsigned cmd, unsigned long arg);
long pty_slave_ioctl(struct file *f, unsigned cmd, unsigned long arg);

/* To the terminal's foreground process group. */
void pty_signal(struct pty *p, int sig);
void pty_put(struct pty *p);
void pty_release_master(struct file *f);
void pty_release_slave(struct file *f);
/* Waits once on `wq`, pty->lock dropped meanwhile. 0, -ETIMEDOUT, -ERESTARTSYS. */
int pty_wait(struct pty *p, struct waitqueue *wq, u64 deadline) REQUIRES(&p->lock);

static inline bool term_i(const struct pty *p, unsigned flag) NO_LOCK_ANALYSIS
{
    return (p->termios.c_iflag & flag) != 0;
}
static inline bool term_o(const struct pty *p, unsigned flag) NO_LOCK_ANALYSIS
{
    return (p->termios.c_oflag & flag) != 0;
}
static inline bool term_l(const struct pty *p, unsigned flag) NO_LOCK_ANALYSIS
{
    return (p->termios.c_lflag & flag) != 0;
}
/* Whether `c` is the special character; one that is 0 is off. */
static inline bool term_is(const struct pty *p, unsigned which, u8 c) NO_LOCK_ANALYSIS
{
    return c && p->termios.c_cc[which] == c;
}

#endif
