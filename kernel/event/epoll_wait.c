/* SPDX-License-Identifier: MIT */
/*
 * epoll_wait(2), epoll_pwait(2), epoll_pwait2(2): the ready list, looked through under ep->lock. Level-triggered
 * items go back to its end and are asked again by the next call; edge-triggered ones wait for a wake.
 * The host tells readiness by level: an edge-triggered host descriptor wakes as long as it is ready.
 */
#include "epoll.h"
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include "pollset.h"

#define EVENTS_MAX (INT32_MAX / (int)sizeof(struct epoll_event))

/* ---- One look --------------------------------------------------------------------------------- */

/* All of `from` to the front of `to`, in order. */
static void list_join(struct list *to, struct list *from)
{
    while (!list_empty(from)) {
        struct list *last = from->prev;

        list_del(last);
        list_add(to, last);
    }
}

static struct epitem *scan_next(struct eventpoll *ep, struct list *scan)
{
    struct epitem *it = NULL;

    spin_lock(&ep->ready_lock);
    if (!list_empty(scan)) {
        it = list_first(scan, struct epitem, ready_link);
        list_del(&it->ready_link);
    }
    spin_unlock(&ep->ready_lock);
    return it;
}

static void scan_return(struct eventpoll *ep, struct epitem *it)
{
    spin_lock(&ep->ready_lock);
    if (list_empty(&it->ready_link))
        list_add_tail(&ep->ready, &it->ready_link);
    spin_unlock(&ep->ready_lock);
}

/* Tells one item. 1, 0 when it is not ready, -EFAULT. */
static int tell_item(struct eventpoll *ep, struct epitem *it, struct epoll_event __user *out)
    REQUIRES(&ep->lock)
{
    struct epoll_event ev = it->event;

    ev.events = epitem_poll(ep, it);
    if (!ev.events)
        return 0;
    if (copy_to_user(out, &ev, sizeof(ev))) {
        scan_return(ep, it);
        return -EFAULT;
    }
    if (it->event.events & EPOLLONESHOT)
        WRITE_ONCE(it->event.events, it->event.events & EPOLL_PRIVATE);
    else if (!(it->event.events & EPOLLET))
        scan_return(ep, it);
    return 1;
}

/* How many events were told, or -EFAULT. */
static long scan(struct eventpoll *ep, struct epoll_event __user *out, long max)
{
    struct list todo = LIST_INIT(todo);
    struct epitem *it;
    long count = 0;
    int n = 0;

    mutex_lock(&ep->lock);
    spin_lock(&ep->ready_lock);
    list_join(&todo, &ep->ready);
    spin_unlock(&ep->ready_lock);
    while (count < max && n >= 0 && (it = scan_next(ep, &todo))) {
        n = tell_item(ep, it, out + count);
        count += max(n, 0);
    }
    spin_lock(&ep->ready_lock);
    list_join(&ep->ready, &todo);
    spin_unlock(&ep->ready_lock);
    mutex_unlock(&ep->lock);
    return count ? count : n;
}

/* ---- Waiting ---------------------------------------------------------------------------------- */

static bool has_ready(struct eventpoll *ep)
{
    bool ready;

    spin_lock(&ep->ready_lock);
    ready = !list_empty(&ep->ready);
    spin_unlock(&ep->ready_lock);
    return ready;
}

/*
 * Blocks until something may be ready. The set holds the epoll's own queue and those of host descriptors, as
 * poll on the epoll would register them. 0, -ETIMEDOUT, -EINTR, -ENOMEM.
 */
static int wait_ready(struct file *f, u64 deadline)
{
    struct eventpoll *ep = file_epoll(f);
    struct pollset ps;
    int err;

    pollset_init(&ps);
    (void)pollset_ask(&ps, f, POLLIN | POLLOUT | POLLPRI);
    err = ps.error;
    while (!err && !has_ready(ep))
        err = task_block(deadline, true);
    pollset_free(&ps);
    return err;
}

static long wait_file(struct file *f, struct epoll_event __user *out, int max, u64 deadline)
{
    struct eventpoll *ep = file_epoll(f);
    long n;
    int err = 0;

    if (!ep)
        return -EINVAL;
    n = scan(ep, out, max);
    while (!n && deadline && !err) {
        err = wait_ready(f, deadline);
        n = scan(ep, out, max);
    }
    if (n || err == -ETIMEDOUT)
        return n;
    return err;
}

static long do_wait(int epfd, void __user *events, int max, u64 deadline)
{
    struct file *f;
    long ret;

    if (max <= 0 || max > EVENTS_MAX)
        return -EINVAL;
    if (!user_range_ok(events, (size_t)max * sizeof(struct epoll_event)))
        return -EFAULT;
    f = fd_get(epfd);
    if (!f)
        return -EBADF;
    ret = wait_file(f, events, max, deadline);
    file_put(f);
    return ret;
}

static u64 deadline_ms(int timeout)
{
    return timeout < 0 ? DEADLINE_NONE : time_deadline((u64)timeout * (NSEC_PER_SEC / 1000));
}

long sys_epoll_wait(int epfd, void __user *events, int max, int timeout)
{
    return do_wait(epfd, events, max, deadline_ms(timeout));
}

static long wait_masked(int epfd, void __user *events, int max, u64 deadline,
                        const sigset64_t __user *mask, size_t size)
{
    long ret = signal_set_temp_mask(mask, size);

    if (ret)
        return ret;
    ret = do_wait(epfd, events, max, deadline);
    if (mask)
        signal_restore_mask(ret == -EINTR);
    return ret;
}

long sys_epoll_pwait(int epfd, void __user *events, int max, int timeout,
                     const sigset64_t __user *mask, size_t size)
{
    return wait_masked(epfd, events, max, deadline_ms(timeout), mask, size);
}

long sys_epoll_pwait2(int epfd, void __user *events, int max,
                      const struct __kernel_timespec __user *timeout, const sigset64_t __user *mask,
                      size_t size)
{
    u64 deadline;
    int err = deadline_import(timeout, &deadline);

    return err ? err : wait_masked(epfd, events, max, deadline, mask, size);
}
