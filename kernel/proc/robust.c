/* SPDX-License-Identifier: MIT */
/*
 * Robust futex lists and clear_child_tid: what a thread's end tells the others. The list lies in the
 * program's memory and may be anything: its length is bounded, every access may fail and ends it.
 */
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include "futex.h"
#include <syscalls.gen.h>

long sys_set_robust_list(void __user *head, size_t size)
{
    if (size != sizeof(struct robust_list_head))
        return -EINVAL;
    current->robust_list = head;
    current->robust_list_size = size;
    return 0;
}

long sys_get_robust_list(pid_t pid, void __user *head, void __user *size)
{
    struct task *t = task_of_pid(pid);
    void __user *list;
    size_t list_size = sizeof(struct robust_list_head);

    if (!t)
        return -ESRCH;
    if (task_may_access(t, ACCESS_REAL)) {
        task_put(t);
        return -EPERM;
    }
    list = READ_ONCE(t->robust_list);
    task_put(t);
    if (copy_to_user(size, &list_size, sizeof(list_size)))
        return -EFAULT;
    return copy_to_user(head, &list, sizeof(list));
}

/*
 * A mutex that its dead owner held: says so and wakes one waiter, but those of a
 * priority-inheritance mutex hear of it from futex_pi_exit(). `pending`: it may have been unlocked,
 * and nobody woken yet.
 */
static int release_one(u32 __user *word, pid_t owner, bool pi, bool pending)
{
    u32 v, seen;

    if ((uintptr_t)word % sizeof(u32) || get_user(seen, word))
        return -EFAULT;
    if (pending && !pi && !(seen & FUTEX_TID_MASK))
        (void)futex_do_wake(word, true, 1, FUTEX_BITSET_MATCH_ANY);
    do {
        v = seen;
        if ((v & FUTEX_TID_MASK) != (u32)owner)
            return 0;
        if (cmpxchg_user(word, v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen))
            return -EFAULT;
    } while (seen != v);
    if (!pi && (v & FUTEX_WAITERS))
        (void)futex_do_wake(word, true, 1, FUTEX_BITSET_MATCH_ANY);
    return 0;
}

/* An entry's low bit says that it is a priority-inheritance mutex. */
static bool entry_pi(uintptr_t entry)
{
    return entry & 1;
}

static u32 __user *entry_word(uintptr_t entry, long offset)
{
    return (u32 __user *)((entry & ~1UL) + (u64)offset);
}

static void robust_exit(struct task *t)
{
    struct robust_list_head head;
    uintptr_t entry, next, pending, end = (uintptr_t)t->robust_list;
    int err = 0;

    if (!end || copy_from_user(&head, t->robust_list, sizeof(head)))
        return;
    entry = (uintptr_t)head.list.next;
    pending = (uintptr_t)head.list_op_pending;
    for (unsigned i = 0; (entry & ~1UL) != end && i < ROBUST_LIST_LIMIT && !err; i++) {
        /* The entry's link is read before its owner may free it. */
        err = copy_from_user(&next, (const void __user *)(entry & ~1UL), sizeof(next));
        if (!err && (entry & ~1UL) != (pending & ~1UL))
            err = release_one(entry_word(entry, head.futex_offset), t->tid, entry_pi(entry), false);
        entry = next;
    }
    if (pending)
        (void)release_one(entry_word(pending, head.futex_offset), t->tid, entry_pi(pending), true);
}

void futex_exit(struct task *t, bool ends)
{
    u32 zero = 0;

    robust_exit(t);
    futex_pi_exit(t, ends);
    if (t->clear_child_tid && !copy_to_user(t->clear_child_tid, &zero, sizeof(zero)))
        (void)futex_do_wake(t->clear_child_tid, true, 1, FUTEX_BITSET_MATCH_ANY);
}
