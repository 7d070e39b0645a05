/* SPDX-License-Identifier: MIT */
/*
 * iov_iter: where file data goes to or comes from (kernel/uaccess.h). An iterator made from one
 * buffer points into itself, so it is passed by pointer and never copied.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <kernel/uaccess.h>
#include <layout.h>

static void iov_iter_one(struct iov_iter *it, void *base, size_t size, bool kernel)
{
    it->one = (struct iovec){.iov_base = base, .iov_len = size};
    it->iov = &it->one;
    it->segs = 1;
    it->offset = 0;
    it->count = size;
    it->kernel = kernel;
    it->flags = 0;
}

void iov_iter_user(struct iov_iter *it, const void __user *buf, size_t size)
{
    iov_iter_one(it, (void *)(uintptr_t)buf, size, false);
}

void iov_iter_kernel(struct iov_iter *it, void *buf, size_t size)
{
    iov_iter_one(it, buf, size, true);
}

void iov_iter_vec(struct iov_iter *it, const struct iovec *iov, unsigned segs, size_t count)
{
    it->iov = iov;
    it->segs = segs;
    it->offset = 0;
    it->count = count;
    it->kernel = false;
    it->flags = 0;
}

static void iov_iter_advance(struct iov_iter *it, size_t size)
{
    it->offset += size;
    it->count -= size;
    while (it->segs && it->offset >= it->iov->iov_len) {
        it->offset -= it->iov->iov_len;
        it->iov++;
        it->segs--;
    }
}

/* The piece at the front: its address and at most `size` bytes. 0: the end. */
static size_t iov_iter_front(struct iov_iter *it, size_t size, uintptr_t *addr)
{
    size = min(size, it->count);
    if (!size)
        return 0;
    iov_iter_advance(it, 0); /* past empty segments */
    if (!it->segs)
        return 0;
    *addr = (uintptr_t)it->iov->iov_base + it->offset;
    return min(size, it->iov->iov_len - it->offset);
}

size_t copy_to_iter(const void *src, size_t size, struct iov_iter *it)
{
    size_t done = 0, piece, copied;
    uintptr_t addr;

    while ((piece = iov_iter_front(it, size - done, &addr))) {
        const char *from = (const char *)src + done;
        if (it->kernel) {
            memcpy((void *)addr, from, piece);
            copied = piece;
        } else {
            copied = copy_to_user_partial((void __user *)addr, from, piece);
        }
        iov_iter_advance(it, copied);
        done += copied;
        if (copied < piece)
            break;
    }
    return done;
}

size_t copy_from_iter(void *dst, size_t size, struct iov_iter *it)
{
    size_t done = 0, piece, copied;
    uintptr_t addr;

    while ((piece = iov_iter_front(it, size - done, &addr))) {
        char *to = (char *)dst + done;
        if (it->kernel) {
            memcpy(to, (const void *)addr, piece);
            copied = piece;
        } else {
            copied = copy_from_user_partial(to, (const void __user *)addr, piece);
        }
        iov_iter_advance(it, copied);
        done += copied;
        if (copied < piece)
            break;
    }
    return done;
}

size_t zero_to_iter(size_t size, struct iov_iter *it)
{
    static const char zeros[512];
    size_t done = 0;

    while (done < size) {
        size_t piece = min(size - done, sizeof(zeros));
        size_t copied = copy_to_iter(zeros, piece, it);
        done += copied;
        if (copied < piece)
            break;
    }
    return done;
}

/* Checks a copied vector as Linux does; the total, capped by shortening the vector. */
static ssize_t iov_check(struct iovec *iov, unsigned long segs)
{
    size_t total = 0;

    for (unsigned long i = 0; i < segs; i++) {
        if ((ssize_t)iov[i].iov_len < 0)
            return -EINVAL;
    }
    for (unsigned long i = 0; i < segs; i++) {
        if (iov[i].iov_len && !user_range_ok((void __user *)iov[i].iov_base, iov[i].iov_len))
            return -EFAULT;
        iov[i].iov_len = min((size_t)iov[i].iov_len, MAX_RW_COUNT - total);
        total += iov[i].iov_len;
    }
    return (ssize_t)total;
}

ssize_t iov_import(struct iov_iter *it, const struct iovec __user *uvec, unsigned long segs,
                   struct iovec fast[IOV_FAST], struct iovec **heap)
{
    struct iovec *iov = fast;
    ssize_t total;

    *heap = NULL;
    if (segs > UIO_MAXIOV)
        return -EINVAL;
    if (segs > IOV_FAST) {
        iov = kmalloc(segs * sizeof(*iov));
        if (!iov)
            return -ENOMEM;
    }
    total = copy_from_user(iov, uvec, segs * sizeof(*iov));
    if (!total)
        total = iov_check(iov, segs);
    if (total < 0) {
        if (iov != fast)
            kfree(iov);
        return total;
    }
    *heap = iov != fast ? iov : NULL;
    iov_iter_vec(it, iov, (unsigned)segs, (size_t)total);
    return total;
}

ssize_t iov_hand_over(struct iov_iter *from, size_t max, iov_taker *fn, void *arg, bool nonblock)
{
    size_t room = min(from->count, max), done = 0;
    ssize_t n = 0;
    u8 *buf;

    if (!room)
        return 0;
    buf = kmalloc(room);
    if (!buf)
        return -ENOMEM;
    while (from->count) {
        size_t want = min(from->count, room), got = copy_from_iter(buf, want, from);

        n = got ? fn(arg, buf, got, nonblock) : -EFAULT;
        if (n > 0)
            done += (size_t)n;
        if (n < (ssize_t)want)
            break;
    }
    kfree(buf);
    return done ? (ssize_t)done : n;
}
