/* SPDX-License-Identifier: MIT */
/*
 * timerfd_create(2), timerfd_settime(2), timerfd_gettime(2). A timer is readable when its clock is past its
 * deadline; a read counts the periods that went by and moves on. The ktimer only wakes who waits, once for a
 * deadline, so that a timer nobody reads costs nothing.
 *
 * References: the file holds one, an armed ktimer one. Locking: lock (spinlock) guards deadline and
 * interval; the ktimer is set and cancelled without it, and looks at the deadline again when it fires.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <linux/fcntl.h>
#include <linux/timerfd.h>

#include "../time/timers.h"

struct timerfd {
    ref_t ref;
    spinlock_t lock;
    struct ktimer kt;
    clockid_t clock;     /* constant, as kind */
    enum clock_kind kind;
    u64 deadline;        /* on its clock, the first that was not read; 0: off */
    u64 interval;
    int set_flags;       /* for fdinfo */
    struct waitqueue wq;
};

static void timerfd_put(struct timerfd *t)
{
    if (ref_put(&t->ref))
        kfree(t);
}

/* ---- The ktimer ------------------------------------------------------------------------------- */

/* Takes the ktimer's reference back; the caller has its own. */
static void timerfd_disarm(struct timerfd *t)
{
    bool last = ktimer_cancel(&t->kt) && ref_put(&t->ref);

    ASSERT(!last);
}

static void timerfd_arm(struct timerfd *t, u64 deadline)
{
    timerfd_disarm(t);
    if (!deadline)
        return;
    ref_get(&t->ref);
    ktimer_set(&t->kt, clock_to_mono(t->kind, deadline));
}

static bool timerfd_due(struct timerfd *t)
{
    u64 now = clock_now(t->kind);
    bool due;

    spin_lock(&t->lock);
    due = t->deadline && now >= t->deadline;
    spin_unlock(&t->lock);
    return due;
}

/* A clock that was slewed may not be there yet: then once more. */
static void timerfd_expired(struct ktimer *kt)
{
    struct timerfd *t = container_of(kt, struct timerfd, kt);

    if (timerfd_due(t))
        waitqueue_wake(&t->wq, POLLIN);
    else
        timerfd_arm(t, READ_ONCE(t->deadline));
    timerfd_put(t);
}

/* ---- File ops --------------------------------------------------------------------------------- */

/* The expiries since the last read, 0 for none. */
static u64 timerfd_take(struct timerfd *t)
{
    u64 now = clock_now(t->kind), ticks = 0, again = 0;

    spin_lock(&t->lock);
    if (t->deadline && now >= t->deadline) {
        ticks = 1;
        if (t->interval)
            ticks += timer_forward(&t->deadline, t->interval, now);
        else
            t->deadline = 0;
        again = t->deadline;
    }
    spin_unlock(&t->lock);
    if (again)
        timerfd_arm(t, again);
    return ticks;
}

static ssize_t timerfd_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct timerfd *t = f->private;
    u64 ticks;
    int err = 0;

    if (to->count < sizeof(ticks))
        return -EINVAL;
    ticks = timerfd_take(t);
    if (!ticks && (READ_ONCE(f->flags) & O_NONBLOCK))
        return -EAGAIN;
    if (!ticks)
        wait_event(err, &t->wq, (ticks = timerfd_take(t)) != 0, DEADLINE_NONE, true);
    if (err)
        return -ERESTARTSYS;
    return copy_to_iter(&ticks, sizeof(ticks), to) == sizeof(ticks) ? (ssize_t)sizeof(ticks) : -EFAULT;
}

static unsigned timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *t = f->private;

    poll_wait(pt, &t->wq);
    return timerfd_due(t) ? POLLIN : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->private;

    WRITE_ONCE(t->deadline, 0); /* a ktimer that fires just now does not set itself again */
    timerfd_disarm(t);
    timerfd_put(t);
}

/* What is left until the next expiry, and the interval. A one-shot timer that nobody read shows zero. */
static struct __kernel_itimerspec timerfd_value(struct timerfd *t)
{
    u64 now = clock_now(t->kind), deadline, interval;

    spin_lock(&t->lock);
    deadline = t->deadline;
    interval = t->interval;
    spin_unlock(&t->lock);
    if (deadline && interval && now >= deadline)
        (void)timer_forward(&deadline, interval, now);
    return (struct __kernel_itimerspec){
        .it_interval = time_to_timespec(interval),
        .it_value = time_to_timespec(deadline > now ? deadline - now : 0),
    };
}

static ssize_t timerfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct timerfd *t = f->private;
    struct __kernel_itimerspec v = timerfd_value(t);

    return snprintf(buf, size,
                    "clockid: %d\nticks: %d\nsettime flags: 0%o\nit_value: (%lld, %lld)\n"
                    "it_interval: (%lld, %lld)\n",
                    t->clock, timerfd_due(t), (unsigned)t->set_flags, (long long)v.it_value.tv_sec,
                    (long long)v.it_value.tv_nsec, (long long)v.it_interval.tv_sec,
                    (long long)v.it_interval.tv_nsec);
}

static const struct file_ops g_timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
    .fdinfo = timerfd_fdinfo,
};

/* ---- System calls ----------------------------------------------------------------------------- */

long sys_timerfd_create(clockid_t clock, int flags)
{
    enum clock_kind kind;
    struct timerfd *t;
    struct file *f;

    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
        return -EINVAL;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return -EINVAL;
    if (clock_kind_of(clock, &kind))
        return -EINVAL;
    t = kzalloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    ref_init(&t->ref);
    spin_init(&t->lock, "timerfd");
    waitqueue_init(&t->wq);
    ktimer_init(&t->kt, timerfd_expired);
    t->clock = clock;
    t->kind = kind;
    f = file_create_anon("anon_inode:[timerfd]", &g_timerfd_ops, t, O_RDWR | (flags & O_NONBLOCK));
    if (IS_ERR(f)) {
        kfree(t);
        return PTR_ERR(f);
    }
    return fd_install(f, 0, flags & TFD_CLOEXEC);
}

static struct timerfd *file_timer(const struct file *f)
{
    return f->ops == &g_timerfd_ops ? f->private : NULL;
}

static void timerfd_set(struct timerfd *t, u64 deadline, u64 interval, int flags)
{
    spin_lock(&t->lock);
    t->deadline = deadline;
    t->interval = interval;
    t->set_flags = flags;
    spin_unlock(&t->lock);
    timerfd_arm(t, deadline);
}

long sys_timerfd_settime(int fd, int flags, const struct __kernel_itimerspec __user *value,
                         struct __kernel_itimerspec __user *old)
{
    struct __kernel_itimerspec v, was;
    u64 ns, interval;
    struct file *f;

    if (get_user(v, value))
        return -EFAULT;
    if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) ||
        timespec_to_ns(&v.it_value, &ns) || timespec_to_ns(&v.it_interval, &interval))
        return -EINVAL;
    f = fd_get(fd);
    if (!f)
        return -EBADF;
    if (!file_timer(f)) {
        file_put(f);
        return -EINVAL;
    }
    was = timerfd_value(file_timer(f));
    if (ns && !(flags & TFD_TIMER_ABSTIME))
        ns = time_add(clock_now(file_timer(f)->kind), ns);
    timerfd_set(file_timer(f), ns, interval, flags);
    file_put(f);
    return old && copy_to_user(old, &was, sizeof(was)) ? -EFAULT : 0;
}

long sys_timerfd_gettime(int fd, struct __kernel_itimerspec __user *value)
{
    struct __kernel_itimerspec v;
    struct file *f = fd_get(fd);
    struct timerfd *t;

    if (!f)
        return -EBADF;
    t = file_timer(f);
    if (t)
        v = timerfd_value(t);
    file_put(f);
    if (!t)
        return -EINVAL;
    return copy_to_user(value, &v, sizeof(v));
}
