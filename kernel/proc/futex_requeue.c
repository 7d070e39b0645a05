/* SPDX-License-Identifier: MIT */
/*
 * Futexes: what one call does to two words: FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP.
 * proc/futex.c has the whole.
 */
#include <kernel/uaccess.h>
#include "futex.h"

/* How many are at `key2` now, which may be `key`; -EINVAL: came to one that waits for a lock. */
static int requeue_locked(struct futex_bucket *from, const struct futex_key *key,
                          struct futex_bucket *to, const struct futex_key *key2, int count)
{
    struct futex_waiter *w, *tmp;
    int moved = 0;

    list_for_each_safe(w, tmp, &from->waiters, link)
    {
        if (moved >= count)
            break;
        if (!futex_key_equal(&w->key, key))
            continue;
        if (w->pi)
            return -EINVAL;
        moved++;
        if (futex_key_equal(key, key2))
            continue;
        list_del(&w->link);
        w->key = *key2;
        WRITE_ONCE(w->bucket, to);
        list_add_tail(&to->waiters, &w->link);
    }
    return moved;
}

static int wake_and_move(const struct futex_key *key, const struct futex_key *key2, int wake,
                         int move) NO_LOCK_ANALYSIS
{
    struct futex_bucket *a = futex_bucket_of(key);
    struct futex_bucket *b = futex_bucket_of(key2);
    int moved = 0, woken;

    futex_lock_two(a, b);
    woken = futex_wake_locked(a, key, wake, FUTEX_BITSET_MATCH_ANY);
    if (woken >= 0)
        moved = requeue_locked(a, key, b, key2, move);
    futex_unlock_two(a, b);
    if (woken < 0)
        return woken;
    return moved < 0 ? moved : woken + moved;
}

long futex_do_requeue(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int move,
                      const u32 *expected)
{
    struct futex_key key, key2;
    int ret;

    if (wake < 0 || move < 0)
        return -EINVAL;
    ret = futex_key(addr, shared, &key);
    if (!ret)
        ret = futex_key(addr2, shared, &key2);
    if (!ret && expected)
        ret = futex_check(addr, *expected);
    return ret ? ret : wake_and_move(&key, &key2, wake, move);
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

long futex_do_wake_op(u32 __user *addr, u32 __user *addr2, bool shared, int wake, int wake2, u32 op)
{
    struct futex_key key, key2;
    bool match;
    long more = 0, ret = futex_key(addr, shared, &key);

    if (!ret)
        ret = futex_key(addr2, shared, &key2);
    if (ret)
        return ret;
    ret = wake_op_apply(op, addr2, &match);
    if (ret)
        return ret;
    ret = futex_do_wake(addr, shared, wake, FUTEX_BITSET_MATCH_ANY);
    if (ret >= 0 && match)
        more = futex_do_wake(addr2, shared, wake2, FUTEX_BITSET_MATCH_ANY);
    return more < 0 ? more : ret + more;
}
