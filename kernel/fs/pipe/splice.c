/* SPDX-License-Identifier: MIT */
/*
 * Pipes: their end of splice(2), tee(2), sendfile(2). Between two pipes whole pages change hands; parts
 * and tee's duplicates are copied, since a page has one owner.
 */
#include <kernel/string.h>
#include "pipe.h"

/* ---- A file at the other side ----------------------------------------------------------------- */

static ssize_t fill_slot(struct pipe *p, size_t size, pipe_actor *fn, void *arg) REQUIRES(&p->lock)
{
    u8 *page = pipe_page_get(p);
    ssize_t n;

    if (!page)
        return -ENOMEM;
    n = fn(arg, page, size);
    if (n <= 0)
        pipe_page_put(p, page);
    else
        pipe_push(p, (struct pipe_buf){.page = page, .size = (u32)n});
    return n;
}

ssize_t pipe_fill(struct pipe *p, size_t size, unsigned flags, pipe_actor *fn, void *arg)
{
    size_t done = 0;
    ssize_t n;

    mutex_lock(&p->lock);
    n = pipe_wait_room(p, flags);
    while (n >= 0 && done < size && !pipe_full(p)) {
        size_t want = min(size - done, PAGE_SIZE);

        n = fill_slot(p, want, fn, arg);
        if (n > 0)
            done += (size_t)n;
        if (n < (ssize_t)want)
            break;
    }
    mutex_unlock(&p->lock);
    if (done)
        pipe_wake_readers(p);
    return done ? (ssize_t)done : n;
}

ssize_t pipe_drain(struct pipe *p, size_t size, unsigned flags, pipe_actor *fn, void *arg)
{
    bool freed = false;
    size_t done = 0;
    ssize_t n;

    mutex_lock(&p->lock);
    n = pipe_wait_data(p, flags);
    while (n >= 0 && done < size && !pipe_empty(p)) {
        struct pipe_buf *b = pipe_slot(p, p->tail);
        size_t want = min(size - done, (size_t)b->size);

        n = fn(arg, b->page + b->offset, want);
        if (n > 0) {
            freed |= pipe_full(p);
            pipe_consume(p, (u32)n);
            done += (size_t)n;
        }
        if (n < (ssize_t)want)
            break;
    }
    mutex_unlock(&p->lock);
    if (freed)
        pipe_wake_writers(p);
    return done ? (ssize_t)done : n;
}

/* ---- A pipe at the other side ----------------------------------------------------------------- */

/* In the order of their addresses. */
static void lock_two(struct pipe *a, struct pipe *b) ACQUIRES(&a->lock, &b->lock) NO_LOCK_ANALYSIS
{
    mutex_lock(a < b ? &a->lock : &b->lock);
    mutex_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct pipe *a, struct pipe *b) RELEASES(&a->lock, &b->lock) NO_LOCK_ANALYSIS
{
    mutex_unlock(&a->lock);
    mutex_unlock(&b->lock);
}

/* `size` bytes (of a slot of `from`) as a slot of `to`: its page itself, or a copy. -ENOMEM. */
static int transfer_slot(struct pipe *from, unsigned i, struct pipe *to, u32 size, bool keep)
    REQUIRES(&from->lock) REQUIRES(&to->lock)
{
    struct pipe_buf *b = pipe_slot(from, i), copy = *b;

    copy.merge = false;
    copy.size = size;
    if (keep || size < b->size) {
        copy.page = pipe_page_get(to);
        if (!copy.page)
            return -ENOMEM;
        copy.offset = 0;
        memcpy(copy.page, b->page + b->offset, size);
    }
    pipe_push(to, copy);
    if (keep)
        return 0;
    if (copy.page == b->page) {
        b->page = NULL;
        WRITE_ONCE(from->tail, from->tail + 1);
    } else {
        b->offset += size;
        b->size -= size;
    }
    return 0;
}

/* As much as is there and has room, both locks held. Bytes, 0, -ENOMEM. */
static ssize_t transfer_slots(struct pipe *from, struct pipe *to, size_t size, bool keep)
    REQUIRES(&from->lock) REQUIRES(&to->lock)
{
    unsigned i = from->tail;
    size_t done = 0;

    while (done < size && i != from->head && !pipe_full(to)) {
        u32 n = (u32)min(size - done, (size_t)pipe_slot(from, i)->size);
        int err = transfer_slot(from, i++, to, n, keep);

        if (err)
            return done ? (ssize_t)done : err;
        done += n;
    }
    return (ssize_t)done;
}

static int wait_both(struct pipe *from, struct pipe *to, unsigned flags)
{
    int err;

    mutex_lock(&from->lock);
    err = pipe_wait_data(from, flags);
    mutex_unlock(&from->lock);
    if (err)
        return err;
    mutex_lock(&to->lock);
    err = pipe_wait_room(to, flags);
    mutex_unlock(&to->lock);
    return err;
}

/* One attempt; *end: nothing can come any more. */
static ssize_t transfer_once(struct pipe *from, struct pipe *to, size_t size, bool keep, bool *end)
{
    bool full;
    ssize_t n;

    lock_two(from, to);
    full = pipe_full(from);
    n = transfer_slots(from, to, size, keep);
    *end = pipe_empty(from) && !from->writers;
    full = full && !pipe_full(from);
    unlock_two(from, to);
    if (n > 0)
        pipe_wake_readers(to);
    if (full)
        pipe_wake_writers(from);
    return n;
}

ssize_t pipe_transfer(struct pipe *from, struct pipe *to, size_t size, unsigned flags, bool keep)
{
    bool end = false;
    ssize_t n = 0;

    if (from == to)
        return -EINVAL;
    while (!n && !end) { /* another thread may have been faster between the waits and the locks */
        n = wait_both(from, to, flags);
        if (!n)
            n = transfer_once(from, to, size, keep, &end);
    }
    return n;
}
