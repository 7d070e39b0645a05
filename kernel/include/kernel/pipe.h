/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs, as the rest of the kernel sees them: sizes for fcntl(2), the ends of splice(2) and its
 * relatives. Source: pipe(7), fifo(7), splice(2), tee(2), vmsplice(2).
 */
#ifndef KERNEL_PIPE_H
#define KERNEL_PIPE_H

#include <kernel/fs.h>

struct pipe;

/* How a call treats a pipe. */
#define PIPE_NONBLOCK 1u /* -EAGAIN instead of waiting */
#define PIPE_PACKET   2u /* O_DIRECT: every write is a packet of its own */
#define PIPE_ONCE     4u /* wait for the first byte's room only, then take what fits */

/* The pipe behind a file that the caller holds; NULL for all others, the host's pipes among them. */
static inline struct pipe *file_pipe(const struct file *f)
{
    return f->inode->pipe;
}

/*
 * read(2) and write(2) with PIPE_* flags. Bytes, 0 at the end of file, -EAGAIN, -EFAULT, -ENOMEM,
 * -ERESTARTSYS, -EPIPE (SIGPIPE sent). Takes pipe->lock, also across the copies to and from the program.
 */
ssize_t pipe_read_iter(struct pipe *p, struct iov_iter *to, unsigned flags);
ssize_t pipe_write_iter(struct pipe *p, struct iov_iter *from, unsigned flags);

/* The other side of a splice: takes or gives up to `size` bytes. Bytes, 0 at the end, or -errno. */
typedef ssize_t pipe_actor(void *arg, void *buf, size_t size);

/*
 * Fills free slots from `fn`, or empties filled ones into it, until `size` bytes went through, no slot is
 * left, or `fn` did less than asked. Waits (without PIPE_NONBLOCK) only before the first byte. `fn` is
 * called with pipe->lock held. What `fn` did not take stays in the pipe. Errors as above, or fn's.
 */
ssize_t pipe_fill(struct pipe *p, size_t size, unsigned flags, pipe_actor *fn, void *arg);
ssize_t pipe_drain(struct pipe *p, size_t size, unsigned flags, pipe_actor *fn, void *arg);

/* From pipe to pipe: moves, or with `keep` copies (tee). -EINVAL when both are the same one. */
ssize_t pipe_transfer(struct pipe *from, struct pipe *to, size_t size, unsigned flags, bool keep);

/* F_GETPIPE_SZ; F_SETPIPE_SZ: the new size, -EINVAL, -EPERM, -EBUSY (holds more), -ENOMEM. */
long pipe_get_size(struct pipe *p);
long pipe_set_size(struct pipe *p, unsigned long size);

#define PIPE_MAX_SIZE (1u << 20) /* without CAP_SYS_RESOURCE; /proc/sys/fs/pipe-max-size */

/* Boot: FIFOs of all file systems open through here. */
void pipe_init(void);

#endif
