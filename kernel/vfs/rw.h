/* SPDX-License-Identifier: MIT */
/*
 * What the descriptor-level calls (read_write.c, sendfile.c, memfd.c, sync.c) share. None of these
 * takes or drops a reference on the file. Callers hold no inode lock; pos_lock is theirs to hold.
 */
#ifndef KERNEL_VFS_RW_H
#define KERNEL_VFS_RW_H

#include <kernel/fs.h>
#include <linux/fcntl.h>

static inline bool file_readable(const struct file *f)
{
    return (f->flags & O_ACCMODE) == O_RDONLY || (f->flags & O_ACCMODE) == O_RDWR;
}

static inline bool file_writable(const struct file *f)
{
    return (f->flags & O_ACCMODE) == O_WRONLY || (f->flags & O_ACCMODE) == O_RDWR;
}

/*
 * The file's read and write ops with read(2)'s checks of the file itself: -EBADF when it was not
 * opened for that, -EISDIR for a directory, -EINVAL when it has no such op. Writing through an
 * O_DSYNC or O_SYNC description syncs afterwards.
 */
ssize_t file_read_iter(struct file *f, struct iov_iter *to, loff_t *pos);
ssize_t file_write_iter(struct file *f, struct iov_iter *from, loff_t *pos);

/* One end of a copy inside the kernel: at *pos, or at the description's own offset when pos is NULL. */
struct copy_end {
    struct file *file;
    loff_t *pos;
    int flags;    /* RWF_* */
    bool blocked; /* splice.c: it had nothing, or no room, under RWF_NOWAIT */
};

/* sendfile.c: read(2) or write(2) there with a kernel buffer; takes pos_lock when the file's offset moves. */
ssize_t copy_end_read(struct copy_end *in, void *buf, size_t size);
ssize_t copy_end_write(struct copy_end *out, void *buf, size_t size);
/* Until `size` bytes, the end of the input, a short write, or a signal. `once`: one buffer only. */
ssize_t copy_range(struct copy_end *in, struct copy_end *out, size_t size, bool once);
/* Reads an offset. 0, -EFAULT or -EINVAL when negative. */
int copy_offset_from_user(loff_t *pos, const loff_t __user *upos);
/* splice.c: into a pipe of our own; `flags` are splice(2)'s. As pipe_fill(). */
ssize_t splice_to_pipe(struct copy_end *in, struct file *out, size_t size, unsigned flags);

/* memfd.c: F_ADD_SEALS and F_GET_SEALS. -EINVAL where the file cannot be sealed, -EPERM, -EBUSY. */
long memfd_add_seals(struct file *f, unsigned seals);
long memfd_get_seals(struct file *f);

#endif
