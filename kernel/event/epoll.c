/* SPDX-License-Identifier: MIT */
/* epoll(7): making one, the interest list, wakes, files that go away, an epoll in another. Locks: epoll.h. */
#include "epoll.h"
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <linux/fcntl.h>

#define NESTS_MAX 5 /* epolls in a row, Linux' EP_MAX_NESTS and the outermost */

#define EXCLUSIVE_OK                                                                               \
    (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

struct watch {
    struct waiter waiter;
    struct epitem *item;
    struct watch *next;
};

static spinlock_t g_watch_lock = SPINLOCK_INIT("epoll_watches");
static mutex_t g_nest_lock = MUTEX_INIT("epoll_nest"); /* outer to all: one epoll joins another at a time */

/* ---- Ready ------------------------------------------------------------------------------------ */

unsigned epitem_poll(struct eventpoll *ep, struct epitem *it)
{
    assert_held(&ep->lock);
    return it->file->ops->poll(it->file, NULL) & it->event.events;
}

void epitem_ready(struct epitem *it)
{
    struct eventpoll *ep = it->ep;

    spin_lock(&ep->ready_lock);
    if (list_empty(&it->ready_link))
        list_add_tail(&ep->ready, &it->ready_link);
    spin_unlock(&ep->ready_lock);
    waitqueue_wake(&ep->wait, POLLIN | POLLRDNORM);
}

static void watch_woken(struct waiter *w, unsigned key)
{
    struct epitem *it = container_of(w, struct watch, waiter)->item;
    unsigned events = READ_ONCE(it->event.events);

    if ((events & ~EPOLL_PRIVATE) && (key & events))
        epitem_ready(it);
}

/* ---- Items ------------------------------------------------------------------------------------ */

struct watch_table {
    struct poll_table pt;
    struct epitem *item;
};

static void watch_add(struct poll_table *pt, struct waitqueue *wq)
{
    struct epitem *it = container_of(pt, struct watch_table, pt)->item;
    struct watch *w = kmalloc(sizeof(*w));

    if (!w) {
        it->error = -ENOMEM;
        return;
    }
    w->item = it;
    w->next = it->watches;
    it->watches = w;
    it->host |= wq->host_fd >= 0;
    waiter_watch(&w->waiter, wq, watch_woken, it->event.events & EPOLLEXCLUSIVE);
}

static int item_compare(const struct epitem *a, const struct epitem *b)
{
    if (a->file != b->file)
        return (uintptr_t)a->file < (uintptr_t)b->file ? -1 : 1;
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}

RB_GENERATE_STATIC(epitem_tree, epitem, node, item_compare)

static struct epitem *item_find(struct eventpoll *ep, struct file *f, int fd) REQUIRES(&ep->lock)
{
    struct epitem key = {.file = f, .fd = fd};

    return RB_FIND(epitem_tree, &ep->items, &key);
}

static void item_remove(struct eventpoll *ep, struct epitem *it) REQUIRES(&ep->lock)
{
    while (it->watches) {
        struct watch *w = it->watches;

        waiter_unwatch(&w->waiter);
        it->watches = w->next;
        kfree(w);
    }
    spin_lock(&ep->ready_lock);
    list_del(&it->ready_link);
    spin_unlock(&ep->ready_lock);
    spin_lock(&g_watch_lock);
    list_del(&it->file_link);
    spin_unlock(&g_watch_lock);
    RB_REMOVE(epitem_tree, &ep->items, it);
    kfree(it);
}

static struct epitem *item_create(struct eventpoll *ep, struct file *f, int fd,
                                  const struct epoll_event *ev) REQUIRES(&ep->lock)
{
    struct epitem *it = kzalloc(sizeof(*it));

    if (!it)
        return NULL;
    it->ep = ep;
    it->file = f;
    it->fd = fd;
    it->event = *ev;
    list_init(&it->ready_link);
    (void)RB_INSERT(epitem_tree, &ep->items, it);
    spin_lock(&g_watch_lock);
    list_add_tail(&f->watches, &it->file_link);
    spin_unlock(&g_watch_lock);
    return it;
}

static int item_add(struct eventpoll *ep, struct file *f, int fd, const struct epoll_event *ev)
    REQUIRES(&ep->lock)
{
    struct watch_table wt = {.pt = {.add = watch_add, .events = ~0u}};
    unsigned ready;

    wt.item = item_create(ep, f, fd, ev);
    if (!wt.item)
        return -ENOMEM;
    ready = f->ops->poll(f, &wt.pt);
    if (wt.item->error) {
        item_remove(ep, wt.item);
        return -ENOMEM;
    }
    if (ready & ev->events)
        epitem_ready(wt.item);
    return 0;
}

static void item_modify(struct eventpoll *ep, struct epitem *it, const struct epoll_event *ev)
    REQUIRES(&ep->lock)
{
    it->event.data = ev->data;
    WRITE_ONCE(it->event.events, ev->events);
    /* A wake between the two sees the new events, or its cause is seen here. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (epitem_poll(ep, it))
        epitem_ready(it);
}

/* ---- The file --------------------------------------------------------------------------------- */

static void ep_put(struct eventpoll *ep)
{
    if (ref_put(&ep->ref))
        kfree(ep);
}

static void epoll_release(struct file *f)
{
    struct eventpoll *ep = f->private;
    struct epitem *it;

    mutex_lock(&ep->lock);
    while ((it = RB_ROOT(&ep->items)))
        item_remove(ep, it);
    mutex_unlock(&ep->lock);
    ep_put(ep);
}

/* An epoll that watches the file, with a reference; NULL: none. */
static struct eventpoll *watcher_of(struct file *f)
{
    struct eventpoll *ep = NULL;

    spin_lock(&g_watch_lock);
    if (!list_empty(&f->watches)) {
        ep = list_first(&f->watches, struct epitem, file_link)->ep;
        ref_get(&ep->ref); /* its own close removes the item first, under the lock */
    }
    spin_unlock(&g_watch_lock);
    return ep; /* NOLINT(clang-analyzer-unix.Malloc): it does not follow that the items are gone */
}

static void forget_items(struct eventpoll *ep, struct file *f)
{
    struct epitem key = {.file = f, .fd = 0}; /* the least descriptor */
    struct epitem *it, *next;

    mutex_lock(&ep->lock);
    for (it = RB_NFIND(epitem_tree, &ep->items, &key); it && it->file == f; it = next) {
        next = RB_NEXT(epitem_tree, &ep->items, it);
        item_remove(ep, it);
    }
    mutex_unlock(&ep->lock);
}

void epoll_forget_file(struct file *f)
{
    struct eventpoll *ep;

    while ((ep = watcher_of(f))) {
        forget_items(ep, f);
        ep_put(ep);
    }
}

/*
 * Whether something here is ready, as poll(2) on an epoll tells it. The queues that stand for host
 * descriptors are registered too: who blocks must have the host look at them.
 */
static unsigned epoll_poll(struct file *f, struct poll_table *pt)
{
    struct eventpoll *ep = f->private;
    struct epitem *it;
    unsigned ready = 0;

    poll_wait(pt, &ep->wait);
    mutex_lock(&ep->lock);
    RB_FOREACH(it, epitem_tree, &ep->items)
    {
        if (it->host && pt && pt->add)
            (void)it->file->ops->poll(it->file, pt);
        if (!ready && !list_empty(&it->ready_link) && epitem_poll(ep, it))
            ready = POLLIN | POLLRDNORM;
    }
    mutex_unlock(&ep->lock);
    return ready;
}

static ssize_t epoll_fdinfo(struct file *f, char *buf, size_t size)
{
    struct eventpoll *ep = f->private;
    struct epitem *it;
    size_t n = 0;

    mutex_lock(&ep->lock);
    RB_FOREACH(it, epitem_tree, &ep->items)
    {
        if (n >= size)
            break;
        n += (size_t)snprintf(buf + n, size - n,
                              "tfd: %8d events: %8x data: %16lx  pos:%ld ino:%lx sdev:%x\n", it->fd,
                              it->event.events, (u64)it->event.data, READ_ONCE(it->file->pos),
                              it->file->inode->ino, (u32)it->file->inode->sb->dev);
    }
    mutex_unlock(&ep->lock);
    return (ssize_t)min(n, size);
}

static const struct file_ops g_epoll_ops = {
    .poll = epoll_poll,
    .release = epoll_release,
    .fdinfo = epoll_fdinfo,
};

struct eventpoll *file_epoll(const struct file *f)
{
    return f->ops == &g_epoll_ops ? f->private : NULL;
}

/* ---- One in another --------------------------------------------------------------------------- */

/* How many epolls follow from `ep` on, itself included; more than NESTS_MAX when `outer` is among them. */
static unsigned nest_depth(struct eventpoll *ep, const struct eventpoll *outer, unsigned level)
{
    unsigned deepest = 0;
    struct epitem *it;

    if (ep == outer || level > NESTS_MAX)
        return NESTS_MAX + 1;
    mutex_lock(&ep->lock);
    RB_FOREACH(it, epitem_tree, &ep->items)
    {
        struct eventpoll *inner = file_epoll(it->file);

        if (inner)
            deepest = max(deepest, nest_depth(inner, outer, level + 1));
    }
    mutex_unlock(&ep->lock);
    return deepest + 1;
}

/* How many epolls lead to the epoll `f`, itself included. */
static unsigned nest_height(const struct file *f, unsigned level) REQUIRES(&g_watch_lock)
{
    const struct epitem *it;
    unsigned highest = 0;

    if (level > NESTS_MAX)
        return 1;
    list_for_each(it, &f->watches, file_link)
    {
        highest = max(highest, nest_height(it->ep->file, level + 1));
    }
    return highest + 1;
}

/* Whether the epoll `inner` may be watched by `outer`: no loop, no chain that is too long. */
static bool may_nest(const struct file *outer, const struct file *inner)
{
    unsigned height;

    spin_lock(&g_watch_lock);
    height = nest_height(outer, 1);
    spin_unlock(&g_watch_lock);
    return height + nest_depth(file_epoll(inner), file_epoll(outer), 1) <= NESTS_MAX;
}

/* ---- epoll_ctl(2) ----------------------------------------------------------------------------- */

static int ctl_check(struct file *epf, struct file *f, int op, struct epoll_event *ev)
{
    if (!f->ops->poll || S_ISREG(f->inode->mode))
        return -EPERM;
    if (f == epf || !file_epoll(epf))
        return -EINVAL;
    ev->events &= ~EPOLLWAKEUP; /* nothing here sleeps by itself */
    if (!(ev->events & EPOLLEXCLUSIVE) || op == EPOLL_CTL_DEL)
        return 0;
    if (op == EPOLL_CTL_MOD || file_epoll(f) || (ev->events & ~EXCLUSIVE_OK))
        return -EINVAL;
    return 0;
}

static int ctl_locked(struct eventpoll *ep, struct file *f, int fd, int op,
                      const struct epoll_event *ev) REQUIRES(&ep->lock)
{
    struct epitem *it = item_find(ep, f, fd);

    switch (op) {
    case EPOLL_CTL_ADD:
        return it ? -EEXIST : item_add(ep, f, fd, ev);
    case EPOLL_CTL_MOD:
        if (!it)
            return -ENOENT;
        if (it->event.events & EPOLLEXCLUSIVE)
            return -EINVAL;
        item_modify(ep, it, ev);
        return 0;
    case EPOLL_CTL_DEL:
        if (!it)
            return -ENOENT;
        item_remove(ep, it);
        return 0;
    }
    return -EINVAL;
}

static int ctl_items(struct eventpoll *ep, struct file *f, int fd, int op,
                     const struct epoll_event *ev)
{
    int err;

    mutex_lock(&ep->lock);
    err = ctl_locked(ep, f, fd, op, ev);
    mutex_unlock(&ep->lock);
    return err;
}

static int ctl_nest(struct file *epf, struct file *f, int fd, const struct epoll_event *ev)
{
    int err;

    mutex_lock(&g_nest_lock);
    err = may_nest(epf, f) ? ctl_items(epf->private, f, fd, EPOLL_CTL_ADD, ev) : -ELOOP;
    mutex_unlock(&g_nest_lock);
    return err;
}

static int ctl_files(struct file *epf, struct file *f, int fd, int op, struct epoll_event *ev)
{
    int err = ctl_check(epf, f, op, ev);

    if (err)
        return err;
    ev->events |= EPOLLERR | EPOLLHUP;
    if (op == EPOLL_CTL_ADD && file_epoll(f))
        return ctl_nest(epf, f, fd, ev);
    return ctl_items(epf->private, f, fd, op, ev);
}

long sys_epoll_ctl(int epfd, int op, int fd, void __user *uevent)
{
    struct epoll_event ev = {0};
    struct file *epf, *f;
    long ret = -EBADF;

    if (op != EPOLL_CTL_DEL && copy_from_user(&ev, uevent, sizeof(ev)))
        return -EFAULT;
    epf = fd_get(epfd);
    f = fd_get(fd);
    if (epf && f)
        ret = ctl_files(epf, f, fd, op, &ev);
    if (f)
        file_put(f);
    if (epf)
        file_put(epf);
    return ret;
}

/* ---- epoll_create(2) -------------------------------------------------------------------------- */

long sys_epoll_create1(int flags)
{
    struct eventpoll *ep;
    struct file *f;

    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    ep = kzalloc(sizeof(*ep));
    if (!ep)
        return -ENOMEM;
    ref_init(&ep->ref);
    mutex_init(&ep->lock, "epoll");
    spin_init(&ep->ready_lock, "epoll_ready");
    RB_INIT(&ep->items);
    list_init(&ep->ready);
    waitqueue_init(&ep->wait);
    f = file_create_anon("anon_inode:[eventpoll]", &g_epoll_ops, ep, O_RDWR);
    if (IS_ERR(f)) {
        kfree(ep);
        return PTR_ERR(f);
    }
    ep->file = f;
    return fd_install(f, 0, flags & EPOLL_CLOEXEC);
}

long sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}
