/* SPDX-License-Identifier: MIT */
/*
 * Locks, with clang's thread-safety annotations. A shared field names its lock with GUARDED_BY(&lock)
 * or in a comment where the annotation cannot say it; a function that needs one held says
 * REQUIRES(&lock) and calls assert_held() on entry. The lock order stands in ARCHITECTURE.md.
 *
 * spinlock: short sections that neither block nor touch user memory nor leave the enclave.
 * mutex: may be held across blocking, user copies and host calls. Neither is recursive; locking one
 * twice from one thread panics with its name.
 */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <kernel/types.h>

#ifdef __clang__
#define LOCK_ATTR(x) __attribute__((x))
#else
#define LOCK_ATTR(x)
#endif
#define CAPABILITY(name)  LOCK_ATTR(capability(name))
#define GUARDED_BY(x)     LOCK_ATTR(guarded_by(x))
#define REQUIRES(...)     LOCK_ATTR(requires_capability(__VA_ARGS__))
#define ACQUIRES(...)     LOCK_ATTR(acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRES(...) LOCK_ATTR(try_acquire_capability(true, __VA_ARGS__))
#define RELEASES(...)     LOCK_ATTR(release_capability(__VA_ARGS__))
#define EXCLUDES(...)     LOCK_ATTR(locks_excluded(__VA_ARGS__))
#define ASSERTS_HELD(...) LOCK_ATTR(assert_capability(__VA_ARGS__))
#define NO_LOCK_ANALYSIS  LOCK_ATTR(no_thread_safety_analysis)

struct task;

typedef struct CAPABILITY("spinlock") spinlock {
    u32 locked;
    struct task *owner; /* NULL when free; for assertions */
    const char *name;
} spinlock_t;

typedef struct CAPABILITY("mutex") mutex {
    u32 state;          /* 0 free, 1 held, 2 held and waited for */
    struct task *owner;
    const char *name;
} mutex_t;

#define SPINLOCK_INIT(n) {.name = (n)}
#define MUTEX_INIT(n)    {.name = (n)}

static inline void spin_init(spinlock_t *l, const char *name)
{
    *l = (spinlock_t)SPINLOCK_INIT(name);
}

static inline void mutex_init(mutex_t *m, const char *name)
{
    *m = (mutex_t)MUTEX_INIT(name);
}

void spin_lock(spinlock_t *l) ACQUIRES(l);
void spin_unlock(spinlock_t *l) RELEASES(l);
bool spin_held(const spinlock_t *l);

void mutex_lock(mutex_t *m) ACQUIRES(m);
bool mutex_trylock(mutex_t *m) TRY_ACQUIRES(m);
void mutex_unlock(mutex_t *m) RELEASES(m);
bool mutex_held(const mutex_t *m);

/* Panics with the lock's name when the current thread does not hold it. */
void spin_assert_held(const spinlock_t *l) ASSERTS_HELD(l);
void mutex_assert_held(const mutex_t *m) ASSERTS_HELD(m);

#define assert_held(l)                                                                             \
    _Generic((l), spinlock_t * : spin_assert_held, const spinlock_t * : spin_assert_held,          \
             mutex_t * : mutex_assert_held, const mutex_t * : mutex_assert_held)(l)

/* Reference counts. ref_put() returns true for the caller that dropped the last one. */
typedef struct {
    u32 n;
} ref_t;

static inline void ref_init(ref_t *r)
{
    __atomic_store_n(&r->n, 1, __ATOMIC_RELAXED);
}

void ref_get(ref_t *r); /* panics on a count of zero or on overflow */
bool ref_put(ref_t *r);

#endif
