/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks. The owner is written by the holder only and read by others for assertions, so a stale
 * value can name another task but never the reader itself.
 *
 * The host may preempt a holder; a waiter then spins until the host runs the holder again. Sections
 * are short, so that is rare, and leaving the enclave under a lock would only make it longer.
 */
#include <kernel/lock.h>
#include <kernel/printk.h>
#include <kernel/task.h>

static const char *lock_name(const char *name)
{
    return name ? name : "?";
}

bool spin_held(const spinlock_t *l)
{
    return __atomic_load_n(&l->locked, __ATOMIC_RELAXED) &&
           __atomic_load_n(&l->owner, __ATOMIC_RELAXED) == current_task();
}

static void spin_contend(spinlock_t *l)
{
    if (spin_held(l))
        panic("spinlock %s locked twice", lock_name(l->name));
    do {
        while (__atomic_load_n(&l->locked, __ATOMIC_RELAXED))
            __builtin_ia32_pause();
    } while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE));
}

void spin_lock(spinlock_t *l) NO_LOCK_ANALYSIS
{
    if (unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
        spin_contend(l);
    __atomic_store_n(&l->owner, current_task(), __ATOMIC_RELAXED);
}

void spin_unlock(spinlock_t *l) NO_LOCK_ANALYSIS
{
    if (unlikely(!spin_held(l)))
        panic("spinlock %s unlocked by another", lock_name(l->name));
    __atomic_store_n(&l->owner, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
}

void spin_assert_held(const spinlock_t *l) NO_LOCK_ANALYSIS
{
    if (unlikely(!spin_held(l)))
        panic("spinlock %s is not held", lock_name(l->name));
}
