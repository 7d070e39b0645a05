/* SPDX-License-Identifier: MIT */
/* Futexes: waiting for a plain wake at one word. proc/futex.c has the whole. */
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include "futex.h"

void futex_queue(struct futex_waiter *w, const struct futex_key *key, u32 bitset)
{
    struct futex_bucket *b = futex_bucket_of(key);

    w->key = *key;
    w->bitset = bitset;
    w->woken = false;
    w->bucket = b;
    futex_bucket_lock(b);
    list_add_tail(&b->waiters, &w->link);
    spin_unlock(&b->lock);
}

/* The bucket may change until its lock is held. */
static struct futex_bucket *waiter_bucket_lock(struct futex_waiter *w) NO_LOCK_ANALYSIS
{
    for (;;) {
        struct futex_bucket *b = READ_ONCE(w->bucket);

        futex_bucket_lock(b);
        if (b == w->bucket)
            return b;
        spin_unlock(&b->lock);
    }
}

bool futex_leave(struct futex_waiter *w) NO_LOCK_ANALYSIS
{
    struct futex_bucket *b = waiter_bucket_lock(w);
    bool woken = w->woken;

    list_del(&w->link);
    spin_unlock(&b->lock);
    return woken;
}

int futex_wait_once(u32 __user *addr, bool shared, u32 value, u32 bitset, u64 deadline)
{
    struct waitqueue wq;
    struct futex_waiter w = {.wq = &wq};
    struct futex_key key;
    int ret;

    if (!bitset)
        return -EINVAL;
    ret = futex_key(addr, shared, &key);
    if (ret)
        return ret;
    waitqueue_init(&wq);
    futex_queue(&w, &key, bitset);
    ret = futex_check(addr, value);
    if (!ret)
        wait_event(ret, &wq, READ_ONCE(w.woken), deadline, true);
    return futex_leave(&w) ? 0 : ret;
}

static long wait_restart(struct restart_block *rb)
{
    return futex_do_wait(rb->futex, rb->flags, rb->value, rb->bitset, rb->deadline);
}

long futex_do_wait(u32 __user *addr, bool shared, u32 value, u32 bitset, u64 deadline)
{
    struct restart_block *rb = &current->restart;
    int ret = futex_wait_once(addr, shared, value, bitset, deadline);

    if (ret != -EINTR)
        return ret;
    if (deadline == DEADLINE_NONE)
        return -ERESTARTSYS;
    *rb = (struct restart_block){.fn = wait_restart,
                                 .deadline = deadline,
                                 .futex = addr,
                                 .value = value,
                                 .bitset = bitset,
                                 .flags = shared};
    return -ERESTART_RESTARTBLOCK;
}
