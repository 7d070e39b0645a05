/* SPDX-License-Identifier: MIT */
/* Pipes: the ring of pages, its size, waiting for room and for data (pipe.h has the rules). */
#include <kernel/alloc.h>
#include <kernel/poll.h>
#include <kernel/string.h>
#include "pipe.h"

struct pipe *pipe_create(void) NO_LOCK_ANALYSIS /* nobody else knows it */
{
    struct pipe *p = kzalloc(sizeof(*p));

    if (!p)
        return NULL;
    p->bufs = kcalloc(PIPE_SLOTS, sizeof(*p->bufs));
    if (!p->bufs) {
        kfree(p);
        return NULL;
    }
    p->slots = PIPE_SLOTS;
    mutex_init(&p->lock, "pipe");
    waitqueue_init(&p->read_wait);
    waitqueue_init(&p->write_wait);
    return p;
}

void pipe_destroy(struct pipe *p) NO_LOCK_ANALYSIS /* the last one to know it */
{
    for (unsigned i = p->tail; i != p->head; i++)
        kfree(p->bufs[i & (p->slots - 1)].page);
    kfree(p->spare);
    kfree(p->bufs);
    kfree(p);
}

u8 *pipe_page_get(struct pipe *p)
{
    u8 *page = p->spare;

    assert_held(&p->lock);
    p->spare = NULL;
    return page ? page : kmalloc(PAGE_SIZE);
}

void pipe_page_put(struct pipe *p, u8 *page)
{
    assert_held(&p->lock);
    if (p->spare)
        kfree(page);
    else
        p->spare = page;
}

void pipe_push(struct pipe *p, struct pipe_buf buf)
{
    assert_held(&p->lock);
    *pipe_slot(p, p->head) = buf;
    WRITE_ONCE(p->head, p->head + 1);
}

void pipe_consume(struct pipe *p, u32 size)
{
    struct pipe_buf *b = pipe_slot(p, p->tail);

    assert_held(&p->lock);
    b->offset += size;
    b->size -= size;
    if (b->size && !b->packet)
        return;
    pipe_page_put(p, b->page);
    b->page = NULL;
    WRITE_ONCE(p->tail, p->tail + 1);
}

/* ---- Waiting ---------------------------------------------------------------------------------- */

int pipe_wait(struct pipe *p, struct waitqueue *wq)
{
    struct waiter w;
    int err;

    assert_held(&p->lock);
    waiter_add(&w, wq, ~0u);
    mutex_unlock(&p->lock);
    err = task_block(DEADLINE_NONE, true);
    mutex_lock(&p->lock);
    waiter_remove(&w);
    return err ? -ERESTARTSYS : 0;
}

int pipe_wait_room(struct pipe *p, unsigned flags)
{
    int err = 0;

    while (!err) {
        if (!p->readers) {
            signal_send_self(SIGPIPE);
            return -EPIPE;
        }
        if (!pipe_full(p))
            return 0;
        err = flags & PIPE_NONBLOCK ? -EAGAIN : pipe_wait(p, &p->write_wait);
    }
    return err;
}

int pipe_wait_data(struct pipe *p, unsigned flags)
{
    int err = 0;

    while (!err && pipe_empty(p)) {
        if (!p->writers)
            return 0;
        err = flags & PIPE_NONBLOCK ? -EAGAIN : pipe_wait(p, &p->read_wait);
    }
    return err;
}

void pipe_wake_readers(struct pipe *p)
{
    waitqueue_wake(&p->read_wait, POLLIN | POLLRDNORM);
}

void pipe_wake_writers(struct pipe *p)
{
    waitqueue_wake(&p->write_wait, POLLOUT | POLLWRNORM);
}

/* ---- Size ------------------------------------------------------------------------------------- */

long pipe_get_size(struct pipe *p)
{
    return (long)READ_ONCE(p->slots) * (long)PAGE_SIZE;
}

/* The ring in an array of another size. -EBUSY: more is filled than that. */
static int pipe_resize(struct pipe *p, struct pipe_buf *bufs, unsigned slots) REQUIRES(&p->lock)
{
    unsigned used = p->head - p->tail;

    if (used > slots)
        return -EBUSY;
    for (unsigned i = 0; i < used; i++)
        bufs[i] = *pipe_slot(p, p->tail + i);
    kfree(p->bufs);
    p->bufs = bufs;
    WRITE_ONCE(p->slots, slots);
    WRITE_ONCE(p->tail, 0);
    WRITE_ONCE(p->head, used);
    return 0;
}

long pipe_set_size(struct pipe *p, unsigned long size)
{
    struct pipe_buf *bufs;
    unsigned slots = 1;
    bool grows;
    int err;

    if (size > 1UL << 31)
        return -EINVAL;
    while (slots * PAGE_SIZE < size)
        slots *= 2;
    if (slots > READ_ONCE(p->slots) && size > PIPE_MAX_SIZE && !capable(CAP_SYS_RESOURCE))
        return -EPERM;
    bufs = kcalloc(slots, sizeof(*bufs));
    if (!bufs)
        return -ENOMEM;
    mutex_lock(&p->lock);
    grows = slots > p->slots;
    err = pipe_resize(p, bufs, slots);
    mutex_unlock(&p->lock);
    if (err) {
        kfree(bufs);
        return err;
    }
    if (grows)
        pipe_wake_writers(p);
    return pipe_get_size(p);
}
