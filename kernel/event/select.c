/* SPDX-License-Identifier: MIT */
/*
 * select(2) and pselect6(2). The three sets come in as bitmaps of whole words; a closed descriptor
 * in any of them is EBADF, bits at or above the table's size are not looked at (as on Linux).
 * References on all files are held during the call.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/time.h>

#include "pollset.h"

#define SETS      3
#define SET_BITS  64
#define FAST_WORDS 16 /* up to 1,024 descriptors without the heap */

/*
 * What makes a descriptor ready in each set, and what it asks its file for: select(2), "poll(2)".
 */
static const unsigned g_set_ready[SETS] = {
    POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    POLLPRI,
};

struct select {
    unsigned n;               /* descriptors to look at */
    size_t words;             /* per set */
    unsigned count;           /* files */
    struct file **files;      /* the open ones of any set, in order of descriptor */
    u64 *in[SETS], *out[SETS];
};

static bool set_has(const u64 *set, unsigned fd)
{
    return set[fd / SET_BITS] >> (fd % SET_BITS) & 1;
}

static unsigned select_wanted(const struct select *s, unsigned fd)
{
    unsigned events = 0;

    for (unsigned i = 0; i < SETS; i++) {
        if (set_has(s->in[i], fd))
            events |= g_set_ready[i];
    }
    return events;
}

/* The next descriptor of any set at or above `fd`; s->n when there is none. */
static unsigned select_next(const struct select *s, unsigned fd)
{
    while (fd < s->n) {
        size_t w = fd / SET_BITS;
        u64 any = (s->in[0][w] | s->in[1][w] | s->in[2][w]) >> (fd % SET_BITS);

        if (any)
            return min(fd + (unsigned)__builtin_ctzll(any), s->n);
        fd = (unsigned)(w + 1) * SET_BITS;
    }
    return s->n;
}

/* Marks what `ready` means for descriptor `fd`; returns the number of bits set. */
static unsigned select_mark(struct select *s, unsigned fd, unsigned ready)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < SETS; i++) {
        if (!(ready & g_set_ready[i]) || !set_has(s->in[i], fd))
            continue;
        s->out[i][fd / SET_BITS] |= 1UL << (fd % SET_BITS);
        bits++;
    }
    return bits;
}

static unsigned select_pass(struct select *s, struct pollset *ps)
{
    unsigned bits = 0, i = 0;

    for (unsigned fd = select_next(s, 0); fd < s->n; fd = select_next(s, fd + 1)) {
        unsigned ready = pollset_ask(bits ? NULL : ps, s->files[i++], select_wanted(s, fd));

        bits += select_mark(s, fd, ready);
    }
    return bits;
}

static long select_wait_ready(struct select *s, u64 deadline)
{
    struct pollset ps;
    unsigned bits;
    int err = 0;

    pollset_init(&ps);
    bits = select_pass(s, deadline ? &ps : NULL);
    while (!bits && !err) {
        err = ps.error ? ps.error : task_block(deadline, true);
        bits = select_pass(s, NULL);
    }
    pollset_free(&ps);
    if (bits || err == -ETIMEDOUT)
        return bits;
    return err == -EINTR ? -ERESTARTNOHAND : err;
}

/* Takes a reference on every file. -EBADF, with none left, when one is not open. */
static int select_open(struct select *s)
{
    for (unsigned fd = select_next(s, 0); fd < s->n; fd = select_next(s, fd + 1)) {
        struct file *f = fd_get((int)fd);

        if (!f)
            return -EBADF;
        s->files[s->count++] = f;
    }
    return 0;
}

static void select_close(struct select *s)
{
    for (unsigned i = 0; i < s->count; i++)
        file_put(s->files[i]);
}

static int select_copy_in(struct select *s, unsigned long __user *const sets[SETS])
{
    size_t size = s->words * sizeof(u64);

    for (unsigned i = 0; i < SETS; i++) {
        memset(s->out[i], 0, size);
        memset(s->in[i], 0, size);
        if (sets[i] && copy_from_user(s->in[i], sets[i], size))
            return -EFAULT;
    }
    return 0;
}

static int select_copy_out(const struct select *s, unsigned long __user *const sets[SETS])
{
    for (unsigned i = 0; i < SETS; i++) {
        if (sets[i] && copy_to_user(sets[i], s->out[i], s->words * sizeof(u64)))
            return -EFAULT;
    }
    return 0;
}

static long select_run(struct select *s, unsigned long __user *const sets[SETS], u64 deadline)
{
    long ret = select_copy_in(s, sets);

    if (!ret)
        ret = select_open(s);
    if (!ret)
        ret = select_wait_ready(s, deadline);
    select_close(s);
    if (ret >= 0 && select_copy_out(s, sets))
        ret = -EFAULT;
    return ret;
}

/* Descriptors that can exist at all: bits beyond are ignored, as by Linux's table size. */
static unsigned table_size(void)
{
    struct files *files = current->files;
    unsigned size;

    spin_lock(&files->lock);
    size = files->size;
    spin_unlock(&files->lock);
    return size;
}

static long do_select(int n, unsigned long __user *const sets[SETS], u64 deadline)
{
    u64 fast[2 * SETS * FAST_WORDS], *words = fast;
    struct select s;
    long ret = -ENOMEM;

    if (n < 0)
        return -EINVAL;
    s.n = min((unsigned)n, table_size());
    s.words = (s.n + SET_BITS - 1) / SET_BITS;
    s.count = 0;
    if (s.words > FAST_WORDS)
        words = kcalloc(2 * SETS * s.words, sizeof(u64));
    s.files = kcalloc(max(s.n, 1u), sizeof(struct file *));
    if (words && s.files) {
        for (unsigned i = 0; i < SETS; i++) {
            s.in[i] = words + i * s.words;
            s.out[i] = words + (SETS + i) * s.words;
        }
        ret = select_run(&s, sets, deadline);
    }
    kfree(s.files);
    if (words != fast)
        kfree(words);
    return ret;
}

/* A timeval may have any number of microseconds that is not negative. */
static int timeval_deadline(const struct __kernel_old_timeval __user *utv, u64 *deadline)
{
    struct __kernel_old_timeval tv;
    struct __kernel_timespec ts;
    u64 ns;
    int err;

    if (get_user(tv, utv))
        return -EFAULT;
    if (tv.tv_sec < 0 || tv.tv_usec < 0)
        return -EINVAL;
    if (__builtin_add_overflow(tv.tv_sec, tv.tv_usec / 1000000, &ts.tv_sec))
        return -EINVAL;
    ts.tv_nsec = tv.tv_usec % 1000000 * 1000;
    err = timespec_to_ns(&ts, &ns);
    if (!err)
        *deadline = time_deadline(ns);
    return err;
}

long sys_select(int n, unsigned long __user *in, unsigned long __user *out,
                unsigned long __user *ex, struct __kernel_old_timeval __user *timeout)
{
    unsigned long __user *const sets[SETS] = {in, out, ex};
    u64 deadline = DEADLINE_NONE;

    if (timeout) {
        int err = timeval_deadline(timeout, &deadline);

        if (err)
            return err;
    }
    return poll_finish(do_select(n, sets, deadline), deadline, NULL, timeout, false);
}

/* pselect6's sixth argument: a mask and its size behind one pointer. */
struct mask_argument {
    const sigset64_t __user *mask;
    size_t size;
};

static int pselect_arguments(const struct __kernel_timespec __user *timeout,
                             const void __user *umask, u64 *deadline, struct mask_argument *mask)
{
    if (umask && copy_from_user(mask, umask, sizeof(*mask)))
        return -EFAULT;
    return deadline_import(timeout, deadline);
}

long sys_pselect6(int n, unsigned long __user *in, unsigned long __user *out,
                  unsigned long __user *ex, struct __kernel_timespec __user *timeout,
                  const void __user *sigmask)
{
    unsigned long __user *const sets[SETS] = {in, out, ex};
    struct mask_argument mask = {0};
    u64 deadline;
    int err = pselect_arguments(timeout, sigmask, &deadline, &mask);

    if (!err)
        err = signal_set_temp_mask(mask.mask, mask.size);
    if (err)
        return err;
    return poll_finish(do_select(n, sets, deadline), deadline, timeout, NULL, mask.mask);
}
