/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks. The owner is written by the holder only and read by others for assertions, so a stale
 * value can name another task but never the reader itself.
 *
 * Threads that are woken under a lock are woken by the host once no lock is held: nobody waits for a lock whose
 * holder is outside. The host may still preempt a holder; a waiter that has spun for long gives up the processor.
 */
#include <kernel/lock.h>
#include <kernel/printk.h>
#include <kernel/target.h>
#include <kernel/task.h>

#define SPINS 2000u /* before a waiter yields: some 50 us */

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
        for (unsigned n = 1; __atomic_load_n(&l->locked, __ATOMIC_RELAXED); n++) {
            __builtin_ia32_pause();
            if (n % SPINS == 0)
                target_yield();
        }
    } while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE));
}

void spin_lock(spinlock_t *l) NO_LOCK_ANALYSIS
{
    if (unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
        spin_contend(l);
    __atomic_store_n(&l->owner, current_task(), __ATOMIC_RELAXED);
    if (likely(current_task()))
        current_task()->spin_depth++;
}

void spin_unlock(spinlock_t *l) NO_LOCK_ANALYSIS
{
    struct task *t = current_task();

    if (unlikely(!spin_held(l)))
        panic("spinlock %s unlocked by another", lock_name(l->name));
    __atomic_store_n(&l->owner, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
    if (likely(t) && --t->spin_depth == 0 && unlikely(t->unpark_count))
        target_unpark_now();
}

void spin_assert_held(const spinlock_t *l) NO_LOCK_ANALYSIS
{
    if (unlikely(!spin_held(l)))
        panic("spinlock %s is not held", lock_name(l->name));
}
