/* SPDX-License-Identifier: MIT */
/*
 * Copies between descriptors inside the kernel: sendfile(2), copy_file_range(2). Data passes through
 * a kernel buffer; no lock is held across the two halves except that the description whose own offset
 * moves has its pos_lock held by the half that moves it. Into a pipe, sendfile is a splice (splice.c).
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/pipe.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "rw.h"

#define COPY_BUF_SIZE (16 * PAGE_SIZE) /* what one host write takes at most */

ssize_t copy_end_read(struct copy_end *in, void *buf, size_t size)
{
    struct iov_iter it;
    ssize_t n;

    iov_iter_kernel(&it, buf, size);
    it.flags = in->flags;
    if (in->pos || !in->file->seekable) {
        loff_t none = 0;

        return file_read_iter(in->file, &it, in->pos ? in->pos : &none);
    }
    mutex_lock(&in->file->pos_lock);
    n = file_read_iter(in->file, &it, &in->file->pos);
    mutex_unlock(&in->file->pos_lock);
    return n;
}

ssize_t copy_end_write(struct copy_end *out, void *buf, size_t size)
{
    struct iov_iter it;
    ssize_t n;

    iov_iter_kernel(&it, buf, size);
    it.flags = out->flags;
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
        if (in->file->pos == FILE_POS_OUTSIDE)
            (void)in->file->ops->seek(in->file, -(loff_t)size, SEEK_CUR);
        else
            in->file->pos -= (loff_t)size;
        mutex_unlock(&in->file->pos_lock);
    }
}

/* One buffer full. Bytes moved, 0 at the end, or -errno with nothing moved. */
static ssize_t copy_chunk(struct copy_end *in, struct copy_end *out, void *buf, size_t size)
{
    ssize_t got = copy_end_read(in, buf, size);
    ssize_t put;

    if (got <= 0)
        return got;
    put = copy_end_write(out, buf, (size_t)got);
    if (put < got)
        end_unread(in, (size_t)(got - max(put, (ssize_t)0)));
    return put;
}

ssize_t copy_range(struct copy_end *in, struct copy_end *out, size_t size, bool once)
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

int copy_offset_from_user(loff_t *pos, const loff_t __user *upos)
{
    if (get_user(*pos, upos))
        return -EFAULT;
    return *pos < 0 ? -EINVAL : 0;
}

/* ---- sendfile ------------------------------------------------------------------------------- */

static int sendfile_check(struct file *out, struct file *in, bool has_offset, size_t size)
{
    if (!file_readable(in) || !file_writable(out))
        return -EBADF;
    if (has_offset && !in->seekable)
        return -ESPIPE;
    if (!in->ops->read || S_ISFIFO(in->inode->mode) || S_ISSOCK(in->inode->mode) ||
        (out->flags & O_APPEND))
        return -EINVAL;
    return (ssize_t)size < 0 ? -EINVAL : 0;
}

static long sendfile_files(struct file *out, struct file *in, off_t __user *uoffset, size_t size)
{
    loff_t pos = 0;
    struct copy_end from = {.file = in, .pos = uoffset ? &pos : NULL};
    struct copy_end to = {.file = out};
    long ret;
    int err = sendfile_check(out, in, uoffset, size);

    if (!err && uoffset)
        err = copy_offset_from_user(&pos, uoffset);
    if (err)
        return err;
    if (file_pipe(out))
        ret = splice_to_pipe(&from, out, min(size, MAX_RW_COUNT), 0);
    else
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
    loff_t ipos = file_tell(in), opos = file_tell(out);
    struct copy_end from = {.file = in, .pos = uin ? &ipos : NULL};
    struct copy_end to = {.file = out, .pos = uout ? &opos : NULL};
    int err = uin ? copy_offset_from_user(&ipos, uin) : 0;
    ssize_t ret;

    if (!err && uout)
        err = copy_offset_from_user(&opos, uout);
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
