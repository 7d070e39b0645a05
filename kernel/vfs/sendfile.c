/* SPDX-License-Identifier: MIT */
/*
 * Copies between descriptors inside the kernel: sendfile(2), copy_file_range(2), splice(2) and its
 * relatives. Data passes through a kernel buffer; no lock is held across the two halves except that
 * the description whose own offset moves has its pos_lock held by the half that moves it.
 *
 * Pipes of our own do not exist yet: splice works where an end is a pipe of the host (stdin,
 * stdout), and says EINVAL otherwise, as Linux does when neither end is a pipe.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "rw.h"

#define COPY_BUF_SIZE (16 * PAGE_SIZE) /* what one host write takes at most */

/* linux/fcntl.h has no SPLICE_F_*; splice(2) names them. */
#define SPLICE_F_MOVE     1u
#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_MORE     4u
#define SPLICE_F_GIFT     8u
#define SPLICE_F_ALL      (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

/* One end of a copy: at *pos, or at the description's own offset when pos is NULL. */
struct copy_end {
    struct file *file;
    loff_t *pos;
};

static ssize_t end_read(struct copy_end *in, void *buf, size_t size)
{
    struct iov_iter it;
    ssize_t n;

    iov_iter_kernel(&it, buf, size);
    if (in->pos || !in->file->seekable) {
        loff_t none = 0;

        return file_read_iter(in->file, &it, in->pos ? in->pos : &none);
    }
    mutex_lock(&in->file->pos_lock);
    n = file_read_iter(in->file, &it, &in->file->pos);
    mutex_unlock(&in->file->pos_lock);
    return n;
}

static ssize_t end_write(struct copy_end *out, void *buf, size_t size)
{
    struct iov_iter it;
    ssize_t n;

    iov_iter_kernel(&it, buf, size);
    if (out->pos || !out->file->seekable) {
        loff_t none = 0;

        return file_write_iter(out->file, &it, out->pos ? out->pos : &none);
    }
    mutex_lock(&out->file->pos_lock);
    n = file_write_iter(out->file, &it, &out->file->pos);
    mutex_unlock(&out->file->pos_lock);
    return n;
}

/* What was read but could not be written goes back: a stream's bytes are lost, as with a real pipe
 * whose other end failed. */
static void end_unread(struct copy_end *in, size_t size)
{
    if (in->pos) {
        *in->pos -= (loff_t)size;
    } else if (in->file->seekable) {
        mutex_lock(&in->file->pos_lock);
        in->file->pos -= (loff_t)size;
        mutex_unlock(&in->file->pos_lock);
    }
}

/* One buffer full. Bytes moved, 0 at the end, or -errno with nothing moved. */
static ssize_t copy_chunk(struct copy_end *in, struct copy_end *out, void *buf, size_t size)
{
    ssize_t got = end_read(in, buf, size);
    ssize_t put;

    if (got <= 0)
        return got;
    put = end_write(out, buf, (size_t)got);
    if (put < got)
        end_unread(in, (size_t)(got - max(put, (ssize_t)0)));
    return put;
}

/* Until `size` bytes, the end of the input, a short write, or a signal. `once`: one buffer only. */
static ssize_t copy_range(struct copy_end *in, struct copy_end *out, size_t size, bool once)
{
    size_t page_count = page_up(min(size, COPY_BUF_SIZE)) / PAGE_SIZE;
    void *buf = size ? kpages_alloc(page_count) : NULL;
    size_t done = 0;
    ssize_t n = size && !buf ? -ENOMEM : 0;

    while (buf && done < size) {
        size_t want = min(size - done, COPY_BUF_SIZE);

        n = copy_chunk(in, out, buf, want);
        if (n <= 0)
            break;
        done += (size_t)n;
        if (once || (size_t)n < want || signal_pending())
            break;
    }
    if (buf)
        kpages_free(buf, page_count);
    return done ? (ssize_t)done : n;
}

/* Reads an optional offset. 0, -EFAULT or -EINVAL when negative. */
static int get_offset(loff_t *pos, const loff_t __user *upos)
{
    if (get_user(*pos, upos))
        return -EFAULT;
    return *pos < 0 ? -EINVAL : 0;
}

/* ---- sendfile ------------------------------------------------------------------------------- */

static int sendfile_check(struct file *out, struct file *in, bool has_offset)
{
    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if (has_offset && !in->seekable)
        return -ESPIPE;
    if (!in->ops->read || S_ISFIFO(in->inode->mode) || (out->flags & O_APPEND))
        return -EINVAL;
    return 0;
}

static long sendfile_files(struct file *out, struct file *in, off_t __user *uoffset, size_t size)
{
    loff_t pos = 0;
    struct copy_end from = {.file = in, .pos = uoffset ? &pos : NULL};
    struct copy_end to = {.file = out};
    long ret;
    int err = sendfile_check(out, in, uoffset);

    if (!err && uoffset)
        err = get_offset(&pos, uoffset);
    if (err)
        return err;
    ret = copy_range(&from, &to, min(size, MAX_RW_COUNT), false);
    if (uoffset && put_user(pos, uoffset))
        return -EFAULT;
    return ret;
}

long sys_sendfile(int out_fd, int in_fd, off_t __user *offset, size_t size)
{
    struct file *in = fd_get(in_fd);
    struct file *out = fd_get(out_fd);
    long ret = in && out ? sendfile_files(out, in, offset, size) : -EBADF;

    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return ret;
}

/* ---- copy_file_range ------------------------------------------------------------------------ */

static int copy_file_range_check(struct file *in, struct file *out, unsigned flags)
{
    if (flags)
        return -EINVAL;
    if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
        return -EISDIR;
    if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
        return -EINVAL;
    if (!file_readable(in) || !file_writable(out) || (out->flags & O_APPEND))
        return -EBADF;
    return in->inode->sb == out->inode->sb ? 0 : -EXDEV;
}

static int copy_file_range_span(struct file *in, loff_t ipos, struct file *out, loff_t opos,
                                size_t size)
{
    loff_t iend, oend;

    if (__builtin_add_overflow(ipos, (loff_t)size, &iend) ||
        __builtin_add_overflow(opos, (loff_t)size, &oend))
        return -EOVERFLOW;
    if (in->inode == out->inode && ipos < oend && opos < iend)
        return -EINVAL;
    return 0;
}

static long copy_file_range_at(struct file *in, loff_t __user *uin, struct file *out,
                               loff_t __user *uout, size_t size)
{
    loff_t ipos = READ_ONCE(in->pos), opos = READ_ONCE(out->pos);
    struct copy_end from = {.file = in, .pos = uin ? &ipos : NULL};
    struct copy_end to = {.file = out, .pos = uout ? &opos : NULL};
    int err = uin ? get_offset(&ipos, uin) : 0;
    ssize_t ret;

    if (!err && uout)
        err = get_offset(&opos, uout);
    if (!err)
        err = copy_file_range_span(in, ipos, out, opos, size);
    if (err)
        return err;
    ret = copy_range(&from, &to, size, false);
    if (ret > 0 && ((uin && put_user(ipos, uin)) || (uout && put_user(opos, uout))))
        return -EFAULT;
    return ret;
}

long sys_copy_file_range(int fd_in, loff_t __user *off_in, int fd_out, loff_t __user *off_out,
                         size_t size, unsigned flags)
{
    struct file *in = fd_get(fd_in);
    struct file *out = fd_get(fd_out);
    long ret = in && out ? 0 : -EBADF;

    if (!ret)
        ret = copy_file_range_check(in, out, flags);
    if (!ret)
        ret = copy_file_range_at(in, off_in, out, off_out, min(size, MAX_RW_COUNT));
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return ret;
}

/* ---- splice --------------------------------------------------------------------------------- */

static int splice_check(struct file *in, const void __user *off_in, struct file *out,
                        const void __user *off_out)
{
    bool ipipe = S_ISFIFO(in->inode->mode), opipe = S_ISFIFO(out->inode->mode);

    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if ((ipipe && off_in) || (opipe && off_out))
        return -ESPIPE;
    if (!ipipe && !opipe)
        return -EINVAL;
    if ((off_in && !in->seekable) || (off_out && !out->seekable) || (out->flags & O_APPEND))
        return -EINVAL;
    return 0;
}

static long splice_files(struct file *in, loff_t __user *uin, struct file *out,
                         loff_t __user *uout, size_t size)
{
    loff_t ipos = 0, opos = 0;
    struct copy_end from = {.file = in, .pos = uin ? &ipos : NULL};
    struct copy_end to = {.file = out, .pos = uout ? &opos : NULL};
    int err = splice_check(in, uin, out, uout);
    ssize_t ret;

    if (!err && uin)
        err = get_offset(&ipos, uin);
    if (!err && uout)
        err = get_offset(&opos, uout);
    if (err)
        return err;
    ret = copy_range(&from, &to, min(size, MAX_RW_COUNT), true);
    if ((uin && put_user(ipos, uin)) || (uout && put_user(opos, uout)))
        return -EFAULT;
    return ret;
}

long sys_splice(int fd_in, loff_t __user *off_in, int fd_out, loff_t __user *off_out, size_t size,
                unsigned flags)
{
    struct file *in, *out;
    long ret;

    if (!size)
        return 0;
    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    in = fd_get(fd_in);
    out = fd_get(fd_out);
    ret = in && out ? splice_files(in, off_in, out, off_out, size) : -EBADF;
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return ret;
}

/* A host's pipe cannot be read without consuming: EINVAL, as for what is no pipe. */
long sys_tee(int fd_in, int fd_out, size_t size, unsigned flags)
{
    struct file *in, *out;
    long ret = -EBADF;

    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    if (!size)
        return 0;
    in = fd_get(fd_in);
    out = fd_get(fd_out);
    if (in && out && file_readable(in) && file_writable(out))
        ret = -EINVAL;
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return ret;
}

/*
 * vmsplice(2) on a pipe is writev(2) or, on its reading end, readv(2); no page is ever given away.
 */
long sys_vmsplice(int fd, const struct iovec __user *vec, unsigned long segs, unsigned flags)
{
    struct file *f;
    long ret = -EBADF;

    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    f = fd_get(fd);
    if (!f)
        return -EBADF;
    if (S_ISFIFO(f->inode->mode))
        ret = file_writable(f) ? sys_writev(fd, vec, segs) : sys_readv(fd, vec, segs);
    file_put(f);
    return ret;
}
