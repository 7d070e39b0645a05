/* SPDX-License-Identifier: MIT */
/*
 * null(4), zero(4), full(4), random(4). No state and no locks: randomness comes from the processor,
 * so what a program writes to random is accepted and adds nothing.
 */
#include <kernel/mm.h>
#include <kernel/random.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/uaccess.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/random.h>

#include "dev.h"

#define MINOR_NULL    3
#define MINOR_ZERO    5
#define MINOR_FULL    7
#define MINOR_RANDOM  8
#define MINOR_URANDOM 9

/* Every offset is as good as any other: as Linux's null_lseek. */
static loff_t mem_seek(struct file *f, loff_t offset, int whence) REQUIRES(&f->pos_lock)
{
    return f->pos = 0;
}

static ssize_t null_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    return 0;
}

static ssize_t null_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    size_t size = from->count;

    from->count = 0;
    return (ssize_t)size;
}

static ssize_t full_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    return -ENOSPC;
}

static ssize_t zero_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    size_t done = 0;

    while (to->count) {
        size_t want = min(to->count, 16 * PAGE_SIZE);
        size_t n = zero_to_iter(want, to);

        done += n;
        if (n < want)
            return done ? (ssize_t)done : -EFAULT;
        if (signal_pending())
            break;
    }
    return (ssize_t)done;
}

static ssize_t random_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    u8 chunk[256];
    size_t done = 0;
    ssize_t err = 0;

    while (to->count) {
        size_t want = min(to->count, sizeof(chunk));
        size_t n;

        random_bytes(chunk, want);
        n = copy_to_iter(chunk, want, to);
        done += n;
        err = n < want ? -EFAULT : 0;
        if (err || (done % PAGE_SIZE == 0 && signal_pending()))
            break;
    }
    memset(chunk, 0, sizeof(chunk));
    return done ? (ssize_t)done : err;
}

/* random is ready to be read; what writers add is not asked for. urandom has no poll on Linux. */
static unsigned random_poll(struct file *f, struct poll_table *pt)
{
    return POLLIN | POLLRDNORM;
}

static long random_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    if (cmd != RNDGETENTCNT)
        return -EINVAL;
    return put_user(256, (int __user *)arg);
}

/* A mapping of zero is anonymous memory. */
static int zero_mmap(struct file *f, struct vma *vma)
{
    vma->flags |= VM_ZERO;
    return 0;
}

static const struct file_ops g_null_ops = {
    .read = null_read,
    .write = null_write,
    .seek = mem_seek,
};
static const struct file_ops g_full_ops = {
    .read = zero_read,
    .write = full_write,
    .seek = mem_seek,
};
static const struct file_ops g_zero_ops = {
    .read = zero_read,
    .write = null_write,
    .seek = mem_seek,
    .mmap = zero_mmap,
};
static const struct file_ops g_random_ops = {
    .read = random_read,
    .write = null_write,
    .seek = mem_seek,
    .poll = random_poll,
    .ioctl = random_ioctl,
};
static const struct file_ops g_urandom_ops = {
    .read = random_read,
    .write = null_write,
    .seek = mem_seek,
    .ioctl = random_ioctl,
};

static const struct {
    unsigned minor;
    const char *path;
    const struct file_ops *ops;
} g_devices[] = {
    {MINOR_NULL, "/dev/null", &g_null_ops},       {MINOR_ZERO, "/dev/zero", &g_zero_ops},
    {MINOR_FULL, "/dev/full", &g_full_ops},       {MINOR_RANDOM, "/dev/random", &g_random_ops},
    {MINOR_URANDOM, "/dev/urandom", &g_urandom_ops},
};

static const struct file_ops *mem_ops(unsigned minor)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_devices); i++) {
        if (g_devices[i].minor == minor)
            return g_devices[i].ops;
    }
    return NULL;
}

const char *mem_path(dev_t rdev)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_devices); i++) {
        if (rdev == dev_make(DEV_MEM_MAJOR, g_devices[i].minor))
            return g_devices[i].path;
    }
    return NULL;
}

int mem_open(unsigned minor, struct file *f)
{
    const struct file_ops *ops = mem_ops(minor);

    if (!ops)
        return -ENXIO;
    f->ops = ops;
    f->seekable = true;
    return 0;
}
