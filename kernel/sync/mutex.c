/* SPDX-License-Identifier: MIT */
/*
 * Mutexes. A waiter spins a bounded while, because leaving the enclave costs more than most
 * sections last, then queues itself in a table of buckets hashed by the mutex's address and parks.
 *
 * State 2 ("held and waited for") makes the unlocker look into the bucket. A waiter sets it with
 * the bucket's lock held, and the unlocker takes that lock before it looks for waiters, so none is
 * missed. The waiter's record lives on its stack and its task may end right after: the waiter
 * therefore takes the bucket's lock once more after it was woken, behind the waker's last use of
 * both.
 *
 * Waiting does not use task->woken nor the task's waiters: a task may lock a mutex between
 * waiter_add() and task_block().
 */
#include <kernel/lock.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/target.h>
#include <kernel/task.h>

#define SPINS        200
#define BUCKET_COUNT 64u

struct mutex_wait {
    struct mutex_wait *next; /* guarded by the bucket's lock */
    mutex_t *mutex;
    struct task *task;
    u32 woken; /* atomic */
};

static struct bucket {
    spinlock_t lock;
    struct mutex_wait *first GUARDED_BY(&lock);
} g_buckets[BUCKET_COUNT];

static struct bucket *bucket_of(const mutex_t *m)
{
    return &g_buckets[((uintptr_t)m * 0x9e3779b97f4a7c15UL) >> 58];
}

static const char *mutex_name(const mutex_t *m)
{
    return m->name ? m->name : "?";
}

bool mutex_held(const mutex_t *m)
{
    return __atomic_load_n(&m->state, __ATOMIC_RELAXED) &&
           __atomic_load_n(&m->owner, __ATOMIC_RELAXED) == current_task();
}

bool mutex_trylock(mutex_t *m) NO_LOCK_ANALYSIS
{
    u32 free = 0;

    if (!__atomic_compare_exchange_n(&m->state, &free, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(&m->owner, current_task(), __ATOMIC_RELAXED);
    return true;
}

/* Queues `w` behind the others unless the mutex turns out free, which is then ours. */
static bool mutex_lock_or_queue(mutex_t *m, struct mutex_wait *w)
{
    struct bucket *b = bucket_of(m);
    struct mutex_wait **link;
    bool ours;

    spin_lock(&b->lock);
    ours = __atomic_exchange_n(&m->state, 2, __ATOMIC_ACQUIRE) == 0;
    if (!ours) {
        w->woken = 0;
        w->next = NULL;
        for (link = &b->first; *link; link = &(*link)->next)
            ;
        *link = w;
    }
    spin_unlock(&b->lock);
    return ours;
}

static void mutex_lock_slow(mutex_t *m) NO_LOCK_ANALYSIS
{
    struct mutex_wait w = {.mutex = m, .task = current_task()};

    if (mutex_held(m))
        panic("mutex %s locked twice", mutex_name(m));
    for (unsigned i = 0; i < SPINS; i++) {
        if (!__atomic_load_n(&m->state, __ATOMIC_RELAXED) && mutex_trylock(m))
            return;
        __builtin_ia32_pause();
    }
    mm_leave(); /* whoever holds the mutex may need its turn to go on */
    while (!mutex_lock_or_queue(m, &w)) {
        while (!__atomic_load_n(&w.woken, __ATOMIC_ACQUIRE))
            target_park(NULL, 0, UINT64_MAX);
    }
    __atomic_store_n(&m->owner, w.task, __ATOMIC_RELAXED);
}

void mutex_lock(mutex_t *m) NO_LOCK_ANALYSIS
{
    if (unlikely(!mutex_trylock(m)))
        mutex_lock_slow(m);
}

static void mutex_wake_one(mutex_t *m)
{
    struct bucket *b = bucket_of(m);
    struct mutex_wait **link;

    spin_lock(&b->lock);
    for (link = &b->first; *link; link = &(*link)->next) {
        struct mutex_wait *w = *link;
        if (w->mutex != m)
            continue;
        *link = w->next;
        __atomic_store_n(&w->woken, 1, __ATOMIC_RELEASE);
        target_unpark(w->task);
        break;
    }
    spin_unlock(&b->lock);
}

void mutex_unlock(mutex_t *m) NO_LOCK_ANALYSIS
{
    if (unlikely(!mutex_held(m)))
        panic("mutex %s unlocked by another", mutex_name(m));
    __atomic_store_n(&m->owner, NULL, __ATOMIC_RELAXED);
    if (unlikely(__atomic_exchange_n(&m->state, 0, __ATOMIC_RELEASE) == 2))
        mutex_wake_one(m);
}

void mutex_assert_held(const mutex_t *m) NO_LOCK_ANALYSIS
{
    if (unlikely(!mutex_held(m)))
        panic("mutex %s is not held", mutex_name(m));
}
