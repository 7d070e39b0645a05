/* SPDX-License-Identifier: MIT */
/*
 * The state of a pipe, shared by the files of this folder. Slots form a ring, each with a page; a write
 * fills the last page's rest only when all of it fits there, so that writes up to PIPE_BUF (a page) stay
 * whole and a pipe holds as many of them as on Linux.
 *
 * Locking: pipe->lock (mutex) guards the ring and the counts of ends. It is taken before pos_lock and
 * inode->lock of the file at a splice's other side, two pipes in the order of their addresses, and never
 * with any inode's lock held. Counts and ring positions are read without it by poll. inode->lock of the
 * pipe's own inode guards inode->pipe and `files`; both are constant for whoever holds an open file.
 */
#ifndef KERNEL_FS_PIPE_PIPE_H
#define KERNEL_FS_PIPE_PIPE_H

#include <kernel/pipe.h>
#include <kernel/task.h>

#define PIPE_SLOTS 16u /* 64 KiB, pipe(7) */

struct pipe_buf {
    u8 *page; /* owned */
    u32 offset, size;
    bool packet; /* a read takes no more than this one and drops what it leaves */
    bool merge;  /* written by write(2): the next one may go on in this page */
};

struct pipe {
    mutex_t lock;
    struct pipe_buf *bufs GUARDED_BY(&lock); /* `slots` of them, a power of two; owned */
    u8 *spare GUARDED_BY(&lock);             /* a page for the next write, or NULL */
    unsigned slots;
    unsigned head, tail;                /* filled: [tail, head), modulo slots */
    unsigned readers, writers;          /* open ends */
    unsigned reader_opens, writer_opens; /* how often one was opened: a FIFO's open waits for a change */
    unsigned files;                     /* descriptions; guarded by inode->lock */
    struct waitqueue read_wait, write_wait;
};

static inline bool pipe_empty(const struct pipe *p)
{
    return READ_ONCE(p->head) == READ_ONCE(p->tail);
}

static inline bool pipe_full(const struct pipe *p)
{
    return READ_ONCE(p->head) - READ_ONCE(p->tail) >= READ_ONCE(p->slots);
}

/* With no ends and no files. NULL: no memory. */
struct pipe *pipe_create(void);
void pipe_destroy(struct pipe *p);

static inline struct pipe_buf *pipe_slot(struct pipe *p, unsigned i) REQUIRES(&p->lock)
{
    return &p->bufs[i & (p->slots - 1)];
}

/* A page to fill, from the spare or the heap; pipe_page_put gives one back. NULL: no memory. */
u8 *pipe_page_get(struct pipe *p) REQUIRES(&p->lock);
void pipe_page_put(struct pipe *p, u8 *page) REQUIRES(&p->lock);
/* Takes `size` bytes off the oldest slot; the last one (or a packet's first) frees it. */
void pipe_consume(struct pipe *p, u32 size) REQUIRES(&p->lock);
/* Adds a filled slot; one is free. Consumes the page. */
void pipe_push(struct pipe *p, struct pipe_buf buf) REQUIRES(&p->lock);

/*
 * Waits on one of the pipe's queues with the lock given up meanwhile: whoever changes the condition
 * wakes it with the lock held or later. 0 (look again) or -ERESTARTSYS.
 */
int pipe_wait(struct pipe *p, struct waitqueue *wq) REQUIRES(&p->lock);
/* Until there is room, or data. 0, -EAGAIN, -ERESTARTSYS; no reader: -EPIPE with SIGPIPE sent. */
int pipe_wait_room(struct pipe *p, unsigned flags) REQUIRES(&p->lock);
/* 0 also when there is none and will be none: nobody writes. */
int pipe_wait_data(struct pipe *p, unsigned flags) REQUIRES(&p->lock);

void pipe_wake_readers(struct pipe *p);
void pipe_wake_writers(struct pipe *p);

ssize_t pipe_read(struct file *f, struct iov_iter *to, loff_t *pos);
ssize_t pipe_write(struct file *f, struct iov_iter *from, loff_t *pos);
unsigned pipe_poll(struct file *f, struct poll_table *pt);
long pipe_ioctl(struct file *f, unsigned cmd, unsigned long arg);

/* open(2) of a FIFO, and of a pipe through /proc/self/fd. -ENXIO, -ENOMEM, -ERESTARTSYS. */
int pipe_open(struct inode *inode, struct file *f);

#endif
