/* SPDX-License-Identifier: MIT */
/*
 * Futexes: hashed buckets of waiters.
 *
 * A waiter queues itself under its bucket's lock, then reads the futex word, then blocks: whoever
 * changes the word and wakes afterwards finds it queued, so no wake is lost, and no user memory is
 * touched under a spinlock. A waiter that finds another value but was already woken has consumed that
 * wake and says so.
 *
 * A key names the word: its address and the mm, or for a shared futex in shared memory the object and the place in
 * it. Relatives have other words at the same addresses.
 *
 * Priority-inheritance operations are -ENOSYS, as on a Linux without them (libc then answers ENOTSUP).
 *
 * Locking: bucket->lock guards the list and the waiters' `bucket`, `key` and `woken`; two buckets are
 * locked in address order.
 */
#include <kernel/mm.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <kernel/wait.h>
#include <linux/futex.h>
#include "internal.h"
#include <syscalls.gen.h>

#define BUCKET_COUNT 256u

struct futex_key {
    u64 addr;          /* or the offset in the object */
    const void *owner; /* mm or shared object */
};

struct bucket {
    spinlock_t lock;
    struct list waiters GUARDED_BY(&lock);
};

struct futex_waiter {
    struct list link;
    struct futex_key key;
    u32 bitset;
    bool woken;
    struct bucket *bucket; /* changes when requeued */
    struct waitqueue wq;   /* of this waiter alone */
};

static struct bucket g_buckets[BUCKET_COUNT];

/* Buckets start zeroed; the first locker of each makes its list. */
static void bucket_lock(struct bucket *b) ACQUIRES(&b->lock)
{
    spin_lock(&b->lock);
    if (!b->waiters.next) {
        b->lock.name = "futex";
        list_init(&b->waiters);
    }
}

static struct bucket *bucket_of(const struct futex_key *key)
{
    u64 h = (key->addr >> 2) * 0x9e3779b97f4a7c15UL;

    return &g_buckets[h >> 56];
}

/* -EINVAL: not aligned; -EFAULT: no address of a program, or a shared one that cannot be read. */
static int futex_key(const void __user *addr, bool shared, struct futex_key *key)
{
    u32 word;

    if ((uintptr_t)addr % sizeof(u32))
        return -EINVAL;
    if (!user_range_ok(addr, sizeof(u32)))
        return -EFAULT;
    if (shared && get_user(word, (const u32 __user *)addr))
        return -EFAULT;
    *key = (struct futex_key){.addr = (uintptr_t)addr, .owner = current->mm};
    if (shared)
        mm_shared_key(current->mm, (uintptr_t)addr, &key->owner, &key->addr);
    return 0;
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->addr == b->addr && a->owner == b->owner;
}

/* ---- Waking ------------------------------------------------------------------------------------------ */

static int wake_locked(struct bucket *b, const struct futex_key *key, int count, u32 bitset)
{
    struct futex_waiter *w, *tmp;
    int woken = 0;

    assert_held(&b->lock);
    list_for_each_safe(w, tmp, &b->waiters, link)
    {
        if (woken >= count)
            break;
        if (!key_equal(&w->key, key) || !(w->bitset & bitset))
            continue;
        list_del(&w->link);
        w->woken = true;
        waitqueue_wake(&w->wq, ~0u);
        woken++;
    }
    return woken;
}

static long do_wake(const void __user *addr, bool shared, int count, u32 bitset)
{
    struct futex_key key;
    struct bucket *b;
    int ret;

    if (!bitset)
        return -EINVAL;
    ret = futex_key(addr, shared, &key);
    if (ret)
        return ret;
    b = bucket_of(&key);
    bucket_lock(b);
    ret = wake_locked(b, &key, max(count, 1), bitset);
    spin_unlock(&b->lock);
    return ret;
}

int futex_wake(u32 __user *addr, bool shared, int count, u32 bitset)
{
    return (int)do_wake(addr, shared, count, bitset);
}

/* ---- Waiting ------------------------------------------------------------------------------------------ */

static void waiter_queue(struct futex_waiter *w, const struct futex_key *key, u32 bitset)
{
    struct bucket *b = bucket_of(key);

    w->key = *key;
    w->bitset = bitset;
    w->woken = false;
    w->bucket = b;
    waitqueue_init(&w->wq);
    bucket_lock(b);
    list_add_tail(&b->waiters, &w->link);
    spin_unlock(&b->lock);
}

/* The bucket may change until its lock is held. */
static struct bucket *waiter_bucket_lock(struct futex_waiter *w) NO_LOCK_ANALYSIS
{
    for (;;) {
        struct bucket *b = READ_ONCE(w->bucket);

        bucket_lock(b);
        if (b == w->bucket)
            return b;
        spin_unlock(&b->lock);
    }
}

/* Leaves the queue; true when a waker had taken it off. */
static bool waiter_leave(struct futex_waiter *w) NO_LOCK_ANALYSIS
{
    struct bucket *b = waiter_bucket_lock(w);
    bool woken = w->woken;

    list_del(&w->link);
    spin_unlock(&b->lock);
    return woken;
}

/* 0: woken; -EAGAIN: another value; -ETIMEDOUT, -EINTR, -EFAULT. */
static int wait_on(u32 __user *addr, u32 value, const struct futex_key *key, u32 bitset,
                   u64 deadline)
{
    struct futex_waiter w;
    u32 now;
    int ret = 0;

    waiter_queue(&w, key, bitset);
    if (get_user(now, addr))
        ret = -EFAULT;
    else if (now != value)
        ret = -EAGAIN;
    else
        wait_event(ret, &w.wq, READ_ONCE(w.woken), deadline, true);
    return waiter_leave(&w) ? 0 : ret;
}

static long do_wait(u32 __user *addr, bool shared, u32 value, u32 bitset, u64 deadline);

static long wait_restart(struct restart_block *rb)
{
    return do_wait(rb->futex, rb->flags, rb->value, rb->bitset, rb->deadline);
}

static long do_wait(u32 __user *addr, bool shared, u32 value, u32 bitset, u64 deadline)
{
    struct restart_block *rb = &current->restart;
    struct futex_key key;
    int ret;

    if (!bitset)
        return -EINVAL;
    ret = futex_key(addr, shared, &key);
    if (ret)
        return ret;
    ret = wait_on(addr, value, &key, bitset, deadline);
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

/* ---- Requeue, WAKE_OP ------------------------------------------------------------------------------------- */

static void lock_two(struct bucket *a, struct bucket *b) NO_LOCK_ANALYSIS
{
    bucket_lock(min(a, b));
    if (a != b)
        bucket_lock(max(a, b));
}

static void unlock_two(struct bucket *a, struct bucket *b) NO_LOCK_ANALYSIS
{
    spin_unlock(&a->lock);
    if (a != b)
        spin_unlock(&b->lock);
}

static int requeue_locked(struct bucket *from, const struct futex_key *key, struct bucket *to,
                          const struct futex_key *key2, int count)
{
    struct futex_waiter *w, *tmp;
    int moved = 0;

    list_for_each_safe(w, tmp, &from->waiters, link)
    {
        if (moved >= count)
            break;
        if (!key_equal(&w->key, key))
            continue;
        moved++;
        list_del(&w->link);
        w->key = *key2;
        WRITE_ONCE(w->bucket, to);
        list_add_tail(&to->waiters, &w->link);
    }
    return moved;
}

/* `expected` NULL: FUTEX_REQUEUE. Returns how many were woken or moved. */
static long do_requeue(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int move,
                       const u32 *expected) NO_LOCK_ANALYSIS
{
    struct futex_key key, key2;
    struct bucket *a, *b;
    u32 now;
    int ret;

    if (wake < 0 || move < 0)
        return -EINVAL;
    ret = futex_key(addr, shared, &key);
    if (!ret)
        ret = futex_key(addr2, shared, &key2);
    if (ret)
        return ret;
    if (expected && get_user(now, addr))
        return -EFAULT;
    if (expected && now != *expected)
        return -EAGAIN;
    a = bucket_of(&key);
    b = bucket_of(&key2);
    lock_two(a, b);
    ret = wake_locked(a, &key, wake, FUTEX_BITSET_MATCH_ANY);
    if (!key_equal(&key, &key2))
        ret += requeue_locked(a, &key, b, &key2, move);
    unlock_two(a, b);
    return ret;
}

/* FUTEX_WAKE_OP's encoded operation: new value and comparison. -ENOSYS: an unknown one. */
static int wake_op_eval(u32 op, u32 old, u32 *new_value, bool *match)
{
    u32 arg = (u32)((s32)(op << 8) >> 20);
    s32 cmp = (s32)(op << 20) >> 20;

    if ((op >> 28) & FUTEX_OP_OPARG_SHIFT)
        arg = 1u << (arg & 31);
    switch (op >> 28 & 7) {
    case FUTEX_OP_SET:
        *new_value = arg;
        break;
    case FUTEX_OP_ADD:
        *new_value = old + arg;
        break;
    case FUTEX_OP_OR:
        *new_value = old | arg;
        break;
    case FUTEX_OP_ANDN:
        *new_value = old & ~arg;
        break;
    case FUTEX_OP_XOR:
        *new_value = old ^ arg;
        break;
    default:
        return -ENOSYS;
    }
    switch (op >> 24 & 15) {
    case FUTEX_OP_CMP_EQ:
        *match = (s32)old == cmp;
        return 0;
    case FUTEX_OP_CMP_NE:
        *match = (s32)old != cmp;
        return 0;
    case FUTEX_OP_CMP_LT:
        *match = (s32)old < cmp;
        return 0;
    case FUTEX_OP_CMP_LE:
        *match = (s32)old <= cmp;
        return 0;
    case FUTEX_OP_CMP_GT:
        *match = (s32)old > cmp;
        return 0;
    case FUTEX_OP_CMP_GE:
        *match = (s32)old >= cmp;
        return 0;
    }
    return -ENOSYS;
}

/* Changes the word in one step; -EFAULT, -ENOSYS. */
static int wake_op_apply(u32 op, u32 __user *word, bool *match)
{
    u32 expected, old, new_value;
    int ret;

    if (get_user(old, word))
        return -EFAULT;
    do {
        expected = old;
        ret = wake_op_eval(op, expected, &new_value, match);
        if (!ret)
            ret = cmpxchg_user(word, expected, new_value, &old);
    } while (!ret && old != expected);
    return ret;
}

static long do_wake_op(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int wake2, u32 op)
{
    struct futex_key key, key2;
    bool match;
    long ret = futex_key(addr, shared, &key);

    if (!ret)
        ret = futex_key(addr2, shared, &key2);
    if (ret)
        return ret;
    ret = wake_op_apply(op, addr2, &match);
    if (ret)
        return ret;
    ret = do_wake(addr, shared, wake, FUTEX_BITSET_MATCH_ANY);
    if (ret >= 0 && match)
        ret += do_wake(addr2, shared, wake2, FUTEX_BITSET_MATCH_ANY);
    return ret;
}

/* ---- The call ------------------------------------------------------------------------------------------------ */

/* FUTEX_WAIT counts from now, FUTEX_WAIT_BITSET names a point on the clock that `op` says. */
static int import_deadline(const void __user *timeout, int op, u64 *deadline)
{
    if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT)
        return deadline_import(timeout, deadline);
    return deadline_import_at(timeout, op & FUTEX_CLOCK_REALTIME, deadline);
}

static long futex_wait_call(u32 __user *addr, int op, u32 value, const void __user *timeout,
                            u32 bitset)
{
    u64 deadline;
    int ret = import_deadline(timeout, op, &deadline);

    return ret ? ret : do_wait(addr, !(op & FUTEX_PRIVATE_FLAG), value, bitset, deadline);
}

long sys_futex(void __user *addr, int op, unsigned val, const void __user *timeout,
               void __user *addr2, unsigned val3)
{
    bool shared = !(op & FUTEX_PRIVATE_FLAG);
    int val2 = (int)(uintptr_t)timeout;
    int cmd = op & FUTEX_CMD_MASK;

    if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET)
        return -ENOSYS;
    switch (cmd) {
    case FUTEX_WAIT:
        return futex_wait_call(addr, op, val, timeout, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return futex_wait_call(addr, op, val, timeout, val3);
    case FUTEX_WAKE:
        return do_wake(addr, shared, (int)val, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        return do_wake(addr, shared, (int)val, val3);
    case FUTEX_REQUEUE:
        return do_requeue(addr, addr2, shared, (int)val, val2, NULL);
    case FUTEX_CMP_REQUEUE:
        return do_requeue(addr, addr2, shared, (int)val, val2, &val3);
    case FUTEX_WAKE_OP:
        return do_wake_op(addr, addr2, shared, (int)val, val2, val3);
    }
    return -ENOSYS;
}
