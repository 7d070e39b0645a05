/* SPDX-License-Identifier: MIT */
/*
 * Mutexes with PTHREAD_PRIO_INHERIT as the C library makes them of futexes: contention, kinds, robustness, condition
 * variables; between threads and between processes.
 */
#include "futexes.h"
#include <signal.h>

#define THREADS 6
#define ROUNDS  250
#ifdef __GLIBC__
#define HEIRS 3
#else
#define HEIRS 1 /* musl's pthread_mutex_consistent() forgets that others wait */
#endif

struct shared {
    pthread_mutex_t lock, robust;
    pthread_cond_t turn;
    long count; /* with `lock` held */
    int whose, ready;
    word_t held;
};

static void mutex_init(pthread_mutex_t *m, int type, int shared, int robust)
{
    pthread_mutexattr_t a;
    int protocol;

    CHECK(pthread_mutexattr_init(&a) == 0 && pthread_mutexattr_settype(&a, type) == 0);
    CHECK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT) == 0);
    CHECK(pthread_mutexattr_getprotocol(&a, &protocol) == 0 && protocol == PTHREAD_PRIO_INHERIT);
    CHECK(pthread_mutexattr_setpshared(&a, shared) == 0 && pthread_mutexattr_setrobust(&a, robust) == 0);
    CHECK(pthread_mutex_init(m, &a) == 0 && pthread_mutexattr_destroy(&a) == 0);
}

static void shared_init(struct shared *s, int shared)
{
    pthread_condattr_t ca;

    mutex_init(&s->lock, PTHREAD_MUTEX_NORMAL, shared, PTHREAD_MUTEX_STALLED);
    mutex_init(&s->robust, PTHREAD_MUTEX_NORMAL, shared, PTHREAD_MUTEX_ROBUST);
    CHECK(pthread_condattr_init(&ca) == 0 && pthread_condattr_setpshared(&ca, shared) == 0);
    CHECK(pthread_cond_init(&s->turn, &ca) == 0);
}

/* Each way of taking it, in turn. */
static void take(pthread_mutex_t *m, int round)
{
    struct timespec soon;
    int ret;

    do {
        soon = from_now(CLOCK_REALTIME, round % 4);
        if (round % 3 == 0)
            ret = pthread_mutex_lock(m);
        else if (round % 3 == 1)
            ret = pthread_mutex_timedlock(m, &soon);
        else
            ret = pthread_mutex_trylock(m);
        CHECK(ret == 0 || (round % 3 && (ret == EBUSY || ret == ETIMEDOUT)));
    } while (ret);
}

static void compete(struct shared *s)
{
    for (int i = 0; i < ROUNDS; i++) {
        take(&s->lock, i);
        s->count++;
        if (i % 8 == 0)
            sched_yield();
        CHECK(pthread_mutex_unlock(&s->lock) == 0);
        take(&s->robust, i + 1);
        CHECK(pthread_mutex_unlock(&s->robust) == 0);
    }
}

static void *compete_thread(void *arg)
{
    compete(arg);
    return NULL;
}

static void test_threads(void)
{
    struct shared s = {0};
    pthread_t t[THREADS];

    shared_init(&s, PTHREAD_PROCESS_PRIVATE);
    for (int i = 0; i < THREADS; i++)
        t[i] = run(compete_thread, &s);
    for (int i = 0; i < THREADS; i++)
        CHECK(result(t[i]) == 0);
    CHECK(s.count == THREADS * ROUNDS);
    CHECK(pthread_mutex_destroy(&s.lock) == 0 && pthread_mutex_destroy(&s.robust) == 0);
}

static void test_types(void)
{
    pthread_mutex_t m;

    mutex_init(&m, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_STALLED);
    CHECK(pthread_mutex_lock(&m) == 0 && pthread_mutex_lock(&m) == EDEADLK);
    CHECK(pthread_mutex_unlock(&m) == 0 && pthread_mutex_unlock(&m) == EPERM);
    mutex_init(&m, PTHREAD_MUTEX_RECURSIVE, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_STALLED);
    CHECK(pthread_mutex_lock(&m) == 0 && pthread_mutex_lock(&m) == 0 && pthread_mutex_trylock(&m) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_mutex_unlock(&m) == 0);
    CHECK(pthread_mutex_unlock(&m) == EPERM);
}

/* ---- Robustness ----------------------------------------------------------------------------------------------- */

/* Until somebody waits for the mutex, whose first word is not the futex everywhere: ask each. */
static void await_locker(pthread_mutex_t *m, int flags)
{
    word_t *words = (word_t *)m;

    for (size_t i = 0;; i = (i + 1) % (sizeof(*m) / sizeof(*words))) {
        if (futex(&words[i], FUTEX_WAKE | flags, 0, NULL, NULL, 0) < 0)
            return;
        sched_yield();
    }
}

static void *lock_and_end(void *arg)
{
    struct shared *s = arg;

    CHECK(pthread_mutex_lock(&s->robust) == 0);
    s->held = 1;
    return NULL;
}

/* Before and after the owner's end, and when nobody makes the mutex consistent. */
static void test_dead_threads(void)
{
    struct shared s = {0};

    shared_init(&s, PTHREAD_PROCESS_PRIVATE);
    for (int i = 0; i < 20; i++) {
        pthread_t t = run(lock_and_end, &s);

        while (!s.held)
            sched_yield();
        CHECK((i % 2 ? result(t) : 0) == 0);
        CHECK(pthread_mutex_lock(&s.robust) == EOWNERDEAD);
        CHECK(pthread_mutex_consistent(&s.robust) == 0 && pthread_mutex_unlock(&s.robust) == 0);
        CHECK((i % 2 ? 0 : result(t)) == 0);
        s.held = 0;
    }
    CHECK(result(run(lock_and_end, &s)) == 0);
    CHECK(pthread_mutex_trylock(&s.robust) == EOWNERDEAD && pthread_mutex_unlock(&s.robust) == 0);
    CHECK(pthread_mutex_lock(&s.robust) == ENOTRECOVERABLE);
    CHECK(pthread_mutex_trylock(&s.robust) == ENOTRECOVERABLE);
}

static int recover(struct shared *s)
{
    int ret = pthread_mutex_lock(&s->robust);

    if (ret == EOWNERDEAD)
        CHECK(pthread_mutex_consistent(&s->robust) == 0);
    CHECK(pthread_mutex_unlock(&s->robust) == 0);
    return ret;
}

/* Of those who wait when the owner is killed, one is told. */
static void test_dead_process(void)
{
    struct shared *s = share(sizeof(*s));
    pid_t owner, waiters[HEIRS];
    int told = 0;

    shared_init(s, PTHREAD_PROCESS_SHARED);
    for (int round = 0; round < 3; round++) {
        owner = start();
        if (owner == 0) {
            lock_and_end(s);
            await_locker(&s->robust, 0);
            kill(getpid(), SIGKILL);
        }
        while (!s->held)
            usleep(100);
        for (int i = 0; i < HEIRS; i++) {
            waiters[i] = start();
            if (waiters[i] == 0)
                _exit(recover(s));
        }
        for (int i = 0; i < HEIRS; i++) {
            int status = child_status(waiters[i]);

            CHECK(status == 0 || status == EOWNERDEAD);
            told += status == EOWNERDEAD;
        }
        CHECK(child_status(owner) == 1000 + SIGKILL);
        s->held = 0;
    }
    CHECK(told == 3 && pthread_mutex_lock(&s->robust) == 0 && pthread_mutex_unlock(&s->robust) == 0);
    CHECK(munmap(s, sizeof(*s)) == 0);
}

/* ---- Condition variables -------------------------------------------------------------------------------------- */

static void play(struct shared *s, int me)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&s->lock) == 0);
        while (s->whose != me)
            CHECK(pthread_cond_wait(&s->turn, &s->lock) == 0);
        s->whose = !me;
        s->count++;
        CHECK(pthread_cond_broadcast(&s->turn) == 0 && pthread_mutex_unlock(&s->lock) == 0);
    }
}

static void *play_thread(void *arg)
{
    play(arg, 1);
    return NULL;
}

static void *wait_ready(void *arg)
{
    struct shared *s = arg;

    CHECK(pthread_mutex_lock(&s->lock) == 0);
    while (!s->ready)
        CHECK(pthread_cond_wait(&s->turn, &s->lock) == 0);
    s->count++;
    CHECK(pthread_mutex_unlock(&s->lock) == 0);
    return NULL;
}

static void test_condition(void)
{
    struct timespec soon = from_now(CLOCK_REALTIME, 20);
    struct shared s = {0};
    pthread_t t[THREADS];

    shared_init(&s, PTHREAD_PROCESS_PRIVATE);
    t[0] = run(play_thread, &s);
    play(&s, 0);
    CHECK(result(t[0]) == 0 && s.count == 2 * ROUNDS);
    for (int i = 0; i < THREADS; i++)
        t[i] = run(wait_ready, &s);
    CHECK(pthread_mutex_lock(&s.lock) == 0);
    CHECK(pthread_cond_timedwait(&s.turn, &s.lock, &soon) == ETIMEDOUT);
    s.ready = 1;
    CHECK(pthread_cond_broadcast(&s.turn) == 0 && pthread_mutex_unlock(&s.lock) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(result(t[i]) == 0);
    CHECK(s.count == 2 * ROUNDS + THREADS && pthread_cond_destroy(&s.turn) == 0);
}

static void test_processes(void)
{
    struct shared *s = share(sizeof(*s));
    pid_t pid;

    shared_init(s, PTHREAD_PROCESS_SHARED);
    pid = start();
    if (pid == 0) {
        play(s, 1);
        compete(s);
        _exit(g_guest_failures);
    }
    play(s, 0);
    compete(s);
    CHECK(child_status(pid) == 0 && s->count == 4 * ROUNDS && munmap(s, sizeof(*s)) == 0);
}

int main(void)
{
    test_threads();
    test_types();
    test_dead_threads();
    test_dead_process();
    test_condition();
    test_processes();
    return guest_done();
}
