/* SPDX-License-Identifier: MIT */
/*
 * Touching the program's memory. Ranges outside [USER_START, SHARED_END) and bad addresses give
 * -EFAULT through the exception table; absent pages of a mapping are filled on the way. May block
 * (file-backed pages): no spinlocks, and no mutex that the fault path takes (mm->lock).
 * Nothing here keeps a user pointer.
 */
#ifndef KERNEL_UACCESS_H
#define KERNEL_UACCESS_H

#include <kernel/types.h>
#include <linux/uio.h>

/*
 * Linux's access_ok: [addr, addr+size) does not reach beyond what programs may use. Below USER_START nothing
 * is mapped, but that counts only when a copy comes to it.
 */
bool user_range_ok(const void __user *addr, size_t size);

/* All or nothing as far as the caller can rely on: 0 or -EFAULT (a prefix may have been copied). */
int copy_from_user(void *dst, const void __user *src, size_t size);
int copy_to_user(void __user *dst, const void *src, size_t size);
int clear_user(void __user *dst, size_t size);

/* As above, but returns how many bytes were copied before the first bad one. */
size_t copy_from_user_partial(void *dst, const void __user *src, size_t size);
size_t copy_to_user_partial(void __user *dst, const void *src, size_t size);

/*
 * Copies a structure that grows with the ABI: `usize` bytes of the program's version into `size` of ours. What
 * ours has more is zero, what theirs has more must be: else -E2BIG. -EFAULT.
 */
int copy_struct_from_user(void *dst, size_t size, const void __user *src, size_t usize);

/* *old gets the word; it becomes `value` if it was `expected`, in one step. 0, or -EFAULT. `word` is aligned. */
int cmpxchg_user(u32 __user *word, u32 expected, u32 value, u32 *old);

/*
 * Copies a string with its NUL into dst. Returns its length without NUL, -EFAULT, or -ENAMETOOLONG
 * when no NUL stands in the first `size` bytes.
 */
ssize_t strncpy_from_user(char *dst, const char __user *src, size_t size);

#define get_user(x, ptr) copy_from_user(&(x), (ptr), sizeof(x))
#define put_user(x, ptr)                                                                           \
    ({                                                                                             \
        __typeof__(x) pu_v_ = (x);                                                                 \
        copy_to_user((ptr), &pu_v_, sizeof(pu_v_));                                                \
    })

/*
 * Where file data goes to or comes from: a list of segments in user or kernel memory. `iov` is a
 * kernel copy of the program's vector; `count` is what is left over all segments.
 */
struct iov_iter {
    const struct iovec *iov;
    unsigned segs;
    size_t offset;  /* into iov[0] */
    size_t count;   /* bytes left */
    bool kernel;    /* the segments are kernel memory */
    int flags;      /* RWF_* of preadv2/pwritev2; the constructors set 0 */
    struct iovec one;
};

void iov_iter_user(struct iov_iter *it, const void __user *buf, size_t size);
void iov_iter_kernel(struct iov_iter *it, void *buf, size_t size);
void iov_iter_vec(struct iov_iter *it, const struct iovec *iov, unsigned segs, size_t count);

/* Copy and advance; return the number of bytes copied (short on a fault). */
size_t copy_to_iter(const void *src, size_t size, struct iov_iter *it);
size_t copy_from_iter(void *dst, size_t size, struct iov_iter *it);
size_t zero_to_iter(size_t size, struct iov_iter *it);

/*
 * Hands all of `from` to `fn`, as far as it takes it, in pieces of at most `max` bytes that were copied in. `fn` gives
 * how many of `size` (not 0) it took, or -errno. The sum, or what it gave when it took nothing; -EFAULT, -ENOMEM.
 */
typedef ssize_t iov_taker(void *arg, const u8 *buf, size_t size, bool nonblock);
ssize_t iov_hand_over(struct iov_iter *from, size_t max, iov_taker *fn, void *arg, bool nonblock);

/*
 * Copies a struct iovec array in, checks it as Linux does (count <= UIO_MAXIOV, no negative sizes,
 * total capped at MAX_RW_COUNT) and prepares `it`. `fast` may hold 8 entries; when more are needed
 * *heap is set and the caller kfree()s it. Returns the total, -EINVAL, -EFAULT, -ENOMEM.
 */
#define IOV_FAST 8
#define MAX_RW_COUNT 0x7ffff000UL
ssize_t iov_import(struct iov_iter *it, const struct iovec __user *uvec, unsigned long segs,
                   struct iovec fast[IOV_FAST], struct iovec **heap);

#endif
