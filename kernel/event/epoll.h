/* SPDX-License-Identifier: MIT */
/*
 * epoll(7): what the interest list (epoll.c) and waiting (epoll_wait.c) share.
 *
 * An item stands for one descriptor in one list. It watches the queues that the file's poll op names; a
 * wake puts it on the ready list. Only epoll_wait asks the file itself, and takes an item that is not ready
 * off again: the ready list may hold more than is ready, never less.
 *
 * Locking: ep->lock (mutex) guards the items and every look at their files; an epoll's own lock comes
 * before that of one it watches. ready_lock (spinlock) guards the ready list and every item's place in it;
 * it is taken inside a watched queue's lock. g_watch_lock (spinlock) guards file->watches; nothing else is
 * taken inside it. An item keeps its file alive only through ep->lock: the file's last reference
 * removes its items before the file goes.
 */
#ifndef KERNEL_EVENT_EPOLL_H
#define KERNEL_EVENT_EPOLL_H

#include <kernel/fs.h>
#include <kernel/poll.h>
#include <kernel/rbtree.h>
#include <linux/eventpoll.h>

/* Bits that are not events: they stay when EPOLLONESHOT switches an item off. */
#define EPOLL_PRIVATE (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

RB_HEAD(epitem_tree, epitem);

struct eventpoll {
    ref_t ref;             /* the file's, and who looks from file->watches */
    struct file *file;     /* its own, constant; no reference */
    mutex_t lock;
    struct epitem_tree items GUARDED_BY(&lock);
    spinlock_t ready_lock;
    struct list ready;     /* epitem.ready_link; guarded by ready_lock */
    struct waitqueue wait; /* epoll_wait, and whoever polls this epoll */
};

struct watch;

struct epitem {
    struct eventpoll *ep;
    RB_ENTRY(epitem) node;  /* in ep->items, by file and descriptor */
    struct list ready_link; /* in ep->ready or a scan's list */
    struct list file_link;  /* in file->watches */
    struct file *file;      /* no reference */
    int fd;
    bool host;              /* the host's readiness counts: ask it while blocking */
    int error;              /* -ENOMEM while watches were made */
    struct epoll_event event; /* written under ep->lock; `events` read by wakes */
    struct watch *watches;  /* owned */
};

/* The epoll behind a file, or NULL. */
struct eventpoll *file_epoll(const struct file *f);

/* What the item's file has of what the item wants. */
unsigned epitem_poll(struct eventpoll *ep, struct epitem *it) REQUIRES(&ep->lock);

/* Puts it on the ready list unless it is there, and wakes who waits. Any context. */
void epitem_ready(struct epitem *it);

#endif
