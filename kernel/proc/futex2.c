/* SPDX-License-Identifier: MIT */
/*
 * futex_waitv(2), futex_wait(2), futex_wake(2), futex_requeue(2): futexes whose size and scope are
 * told word by word. Words of 32 bits are all there is. proc/futex.c has the whole.
 */
#include <kernel/alloc.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <linux/time.h>
#include "futex.h"
#include <syscalls.gen.h>

/* Linux has named them since 6.7. */
#define SIZE_MASK    3u
#define SIZE_U32     FUTEX_32
#define FLAG_PRIVATE ((u32)FUTEX_PRIVATE_FLAG)

/* A word to wait at, and the waiter. */
struct word {
    u32 __user *addr;
    u32 value, flags;
    struct futex_key key;
    struct futex_waiter w;
};

static bool flags_ok(u32 flags)
{
    return !(flags & ~(SIZE_MASK | FLAG_PRIVATE)) && (flags & SIZE_MASK) == SIZE_U32;
}

static bool fits(u64 value)
{
    return value <= UINT32_MAX;
}

static int import_deadline(const struct __kernel_timespec __user *timeout, clockid_t clock,
                           u64 *deadline)
{
    if (timeout && clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return -EINVAL;
    return deadline_import_at(timeout, clock == CLOCK_REALTIME, deadline);
}

/* -EFAULT, -EINVAL */
static int import_words(const struct futex_waitv __user *from, unsigned count, struct word *words)
{
    struct futex_waitv v;

    for (unsigned i = 0; i < count; i++) {
        if (get_user(v, &from[i]))
            return -EFAULT;
        if (!flags_ok(v.flags) || v.__reserved || !fits(v.val))
            return -EINVAL;
        words[i].addr = (u32 __user *)v.uaddr;
        words[i].flags = v.flags;
        words[i].value = (u32)v.val;
    }
    return 0;
}

/* ---- Waiting at several words --------------------------------------------------------------- */

static bool any_woken(const struct word *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (READ_ONCE(words[i].w.woken))
            return true;
    }
    return false;
}

/* The last that was woken, as on Linux, or -1. */
static int leave_all(struct word *words, unsigned count)
{
    int woken = -1;

    for (unsigned i = 0; i < count; i++) {
        if (futex_leave(&words[i].w))
            woken = (int)i;
    }
    return woken;
}

/* Queues at all words that hold their values; *count: at how many, also when it fails. -EAGAIN, -EFAULT. */
static int queue_all(struct word *words, unsigned *count, struct waitqueue *wq)
{
    unsigned all = *count;
    int err = 0;

    for (*count = 0; !err && *count < all;) {
        struct word *word = &words[(*count)++];

        word->w.wq = wq;
        futex_queue(&word->w, &word->key, FUTEX_BITSET_MATCH_ANY);
        err = futex_check(word->addr, word->value);
    }
    return err;
}

static int wait_multiple(struct word *words, unsigned count, u64 deadline)
{
    struct waitqueue wq;
    int woken, ret;

    for (unsigned i = 0; i < count; i++) {
        ret = futex_key(words[i].addr, !(words[i].flags & FLAG_PRIVATE), &words[i].key);
        if (ret)
            return ret;
    }
    waitqueue_init(&wq);
    ret = queue_all(words, &count, &wq);
    if (!ret)
        wait_event(ret, &wq, any_woken(words, count), deadline, true);
    woken = leave_all(words, count);
    if (woken >= 0)
        return woken;
    return ret == -EINTR ? -ERESTARTSYS : ret;
}

long sys_futex_waitv(const struct futex_waitv __user *waiters, unsigned count, unsigned flags,
                     const struct __kernel_timespec __user *timeout, clockid_t clock)
{
    struct word *words;
    u64 deadline;
    int ret;

    if (flags || !count || count > FUTEX_WAITV_MAX || !waiters)
        return -EINVAL;
    ret = import_deadline(timeout, clock, &deadline);
    if (ret)
        return ret;
    words = kcalloc(count, sizeof(*words));
    if (!words)
        return -ENOMEM;
    ret = import_words(waiters, count, words);
    if (!ret)
        ret = wait_multiple(words, count, deadline);
    kfree(words);
    return ret;
}

/* ---- One word ------------------------------------------------------------------------------- */

long sys_futex_wait(void __user *addr, unsigned long val, unsigned long mask, unsigned flags,
                    const struct __kernel_timespec __user *timeout, clockid_t clock)
{
    u64 deadline;
    int ret;

    if (!flags_ok(flags) || !fits(val) || !fits(mask))
        return -EINVAL;
    ret = import_deadline(timeout, clock, &deadline);
    if (!ret)
        ret = futex_wait_once(addr, !(flags & FLAG_PRIVATE), (u32)val, (u32)mask, deadline);
    return ret == -EINTR ? -ERESTARTSYS : ret;
}

/* Other than FUTEX_WAKE, it wakes nobody when `count` is 0. */
long sys_futex_wake(void __user *addr, unsigned long mask, int count, unsigned flags)
{
    bool shared = !(flags & FLAG_PRIVATE);
    struct futex_key key;

    if (!flags_ok(flags) || !fits(mask) || !mask)
        return -EINVAL;
    return count ? futex_do_wake(addr, shared, count, (u32)mask) : futex_key(addr, shared, &key);
}

/* Both words are of one kind, for now, on Linux too. */
long sys_futex_requeue(const struct futex_waitv __user *waiters, unsigned flags, int wake,
                       int requeue)
{
    struct word w[2] = {0};
    int ret;

    if (flags || !waiters)
        return -EINVAL;
    ret = import_words(waiters, 2, w);
    if (ret)
        return ret;
    if (w[0].flags != w[1].flags)
        return -EINVAL;
    return futex_do_requeue(w[0].addr, w[1].addr, !(w[0].flags & FLAG_PRIVATE), wake, requeue,
                            &w[0].value);
}
