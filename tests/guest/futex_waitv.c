/* SPDX-License-Identifier: MIT */
/*
 * futex_waitv(2), futex_wait(2), futex_wake(2), futex_requeue(2): arguments, which word was woken, words of different
 * kinds, clocks, signals.
 */
#include "futexes.h"
#include <signal.h>

/* Not in the headers yet. */
#define NR_WAITV   449
#define NR_WAKE    454
#define NR_WAIT    455
#define NR_REQUEUE 456

#define U32     2u /* FUTEX2_SIZE_U32 */
#define ANY     0xffffffffUL
#define WORDS   128
#define OWN     (U32 | FUTEX_PRIVATE_FLAG)

static long waitv(const struct futex_waitv *v, unsigned count, unsigned flags, const struct timespec *timeout,
                  clockid_t clock)
{
    return syscall(NR_WAITV, v, count, flags, timeout, clock);
}

static long wake2(word_t *w, unsigned long mask, int count, unsigned flags)
{
    return syscall(NR_WAKE, w, mask, count, flags);
}

static long wait2(word_t *w, unsigned long value, unsigned long mask, unsigned flags, const struct timespec *timeout,
                  clockid_t clock)
{
    return syscall(NR_WAIT, w, value, mask, flags, timeout, clock);
}

static struct futex_waitv at(word_t *w, uint64_t value, uint32_t flags)
{
    return (struct futex_waitv){.uaddr = (uintptr_t)w, .val = value, .flags = flags};
}

static void test_waitv_arguments(void)
{
    struct timespec past = {0, 0}, bad = {0, 1000000000};
    word_t words[2] = {0, 0};
    struct futex_waitv v[2] = {at(&words[0], 0, OWN), at(&words[1], 0, OWN)}, w[2];

    CHECK_ERRNO(waitv(v, 2, 1, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(waitv(v, 0, 0, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(waitv(v, WORDS + 1, 0, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(waitv(NULL, 2, 0, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(waitv((void *)8, 2, 0, &past, CLOCK_MONOTONIC), EFAULT);
    CHECK_ERRNO(waitv(v, 2, 0, &past, CLOCK_BOOTTIME), EINVAL);
    CHECK_ERRNO(waitv(v, 2, 0, &bad, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(waitv(v, 2, 0, (void *)8, CLOCK_MONOTONIC), EFAULT);
    CHECK_ERRNO(waitv(v, 2, 0, &past, CLOCK_MONOTONIC), ETIMEDOUT);
    CHECK_ERRNO(waitv(v, 2, 0, &past, CLOCK_REALTIME), ETIMEDOUT);
    /* Without a timeout nobody asks for the clock. */
    memcpy(w, v, sizeof(v));
    w[1].val = 1;
    CHECK_ERRNO(waitv(w, 2, 0, NULL, 77), EAGAIN);
    w[1].val = 1UL << 32;
    CHECK_ERRNO(waitv(w, 2, 0, &past, CLOCK_MONOTONIC), EINVAL);
    w[1] = v[1];
    w[1].__reserved = 1;
    CHECK_ERRNO(waitv(w, 2, 0, &past, CLOCK_MONOTONIC), EINVAL);
    for (uint32_t size = 0; size < 4; size++) {
        w[1] = at(&words[1], 0, size);
        CHECK_ERRNO(waitv(w, 2, 0, &past, CLOCK_MONOTONIC), size == U32 ? ETIMEDOUT : EINVAL);
    }
    w[1] = at(&words[1], 0, U32 | 0x40);
    CHECK_ERRNO(waitv(w, 2, 0, &past, CLOCK_MONOTONIC), EINVAL);
    w[1] = at((word_t *)((char *)words + 1), 0, OWN);
    CHECK_ERRNO(waitv(w, 2, 0, &past, CLOCK_MONOTONIC), EINVAL);
    w[1] = at((word_t *)8, 0, OWN);
    CHECK_ERRNO(waitv(w, 2, 0, &past, CLOCK_MONOTONIC), EFAULT);
    w[1] = at((word_t *)8, 0, U32);
    CHECK_ERRNO(waitv(w, 2, 0, &past, CLOCK_MONOTONIC), EFAULT);
}

static void test_other_arguments(void)
{
    struct timespec past = {0, 0};
    word_t words[2] = {0, 0};
    struct futex_waitv v[2] = {at(&words[0], 0, OWN), at(&words[1], 0, OWN)};

    CHECK_ERRNO(wake2(words, ANY, 1, U32 | 0x40), EINVAL);
    CHECK_ERRNO(wake2(words, ANY, 1, 3), EINVAL);
    CHECK_ERRNO(wake2(words, 0, 1, OWN), EINVAL);
    CHECK_ERRNO(wake2(words, ANY + 1, 1, OWN), EINVAL);
    CHECK_ERRNO(wake2((word_t *)((char *)words + 1), ANY, 1, OWN), EINVAL);
    CHECK_ERRNO(wake2((word_t *)((char *)words + 1), ANY, 0, OWN), EINVAL);
    CHECK_ERRNO(wake2((word_t *)8, ANY, 1, U32), EFAULT);
    CHECK(wake2(words, ANY, 1, OWN) == 0 && wake2(words, 1, 0, U32) == 0);
    CHECK_ERRNO(wait2(words, 0, ANY, 0, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(wait2(words, 1UL << 32, ANY, OWN, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(wait2(words, 0, 1UL << 32, OWN, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(wait2(words, 0, 0, OWN, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(wait2(words, 0, ANY, OWN, &past, CLOCK_PROCESS_CPUTIME_ID), EINVAL);
    CHECK_ERRNO(wait2(words, 1, ANY, OWN, NULL, 77), EAGAIN);
    CHECK_ERRNO(wait2(words, 0, ANY, OWN, &past, CLOCK_MONOTONIC), ETIMEDOUT);
    CHECK_ERRNO(wait2(words, 0, ANY, U32, &past, CLOCK_REALTIME), ETIMEDOUT);
    CHECK_ERRNO(wait2(NULL, 0, ANY, OWN, &past, CLOCK_MONOTONIC), EFAULT);
    CHECK_ERRNO(syscall(NR_REQUEUE, v, 1, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(NR_REQUEUE, NULL, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(NR_REQUEUE, (void *)8, 0, 0, 0), EFAULT);
    CHECK_ERRNO(syscall(NR_REQUEUE, v, 0, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(NR_REQUEUE, v, 0, 0, -1), EINVAL);
    CHECK(syscall(NR_REQUEUE, v, 0, 1, 1) == 0);
    v[0].val = 1;
    CHECK_ERRNO(syscall(NR_REQUEUE, v, 0, 1, 1), EAGAIN);
    v[0].val = 0;
    v[1].flags = 0;
    CHECK_ERRNO(syscall(NR_REQUEUE, v, 0, 1, 1), EINVAL);
}

/* ---- Which word ------------------------------------------------------------------------------------------- */

struct vector {
    word_t words[WORDS];
    struct futex_waitv v[WORDS];
    unsigned count;
};

static void vector_init(struct vector *x, unsigned count)
{
    memset(x, 0, sizeof(*x));
    x->count = count;
    for (unsigned i = 0; i < count; i++)
        x->v[i] = at(&x->words[i], 0, i % 2 ? U32 : OWN);
}

static void *wait_vector(void *arg)
{
    struct vector *x = arg;

    return (void *)waitv(x->v, x->count, 0, NULL, 0);
}

/* Each in turn, by the old call and the new one. All but the last are queued before. */
static void test_index(unsigned count)
{
    struct vector x;

    for (unsigned i = 0; i < count; i += count > 8 ? 25 : 1) {
        unsigned flags;
        pthread_t t;

        vector_init(&x, count);
        flags = x.v[i].flags;
        t = run(wait_vector, &x);
        if (i % 2) {
            while (wake2(&x.words[i], ANY, 1, flags) != 1)
                sched_yield();
        } else {
            while (futex(&x.words[i], FUTEX_WAKE | (flags & PRIVATE), 1, NULL, NULL, 0) != 1)
                sched_yield();
        }
        CHECK(result(t) == (long)i);
        for (unsigned k = 0; k < count; k++)
            CHECK(wake2(&x.words[k], ANY, 1, x.v[k].flags) == 0);
    }
}

/* One word twice: a wake of two wakes both, and the last counts. */
static void test_same_word_twice(void)
{
    struct vector x;
    pthread_t t;
    long woken = 0;

    vector_init(&x, 3);
    x.v[1] = x.v[2] = at(&x.words[1], 0, OWN);
    t = run(wait_vector, &x);
    while (!(woken = wake2(&x.words[1], ANY, 5, OWN)))
        sched_yield();
    CHECK(result(t) == (woken == 2 ? 2 : 1));
}

/* Until somebody waits, who is not woken for that. */
static void await_waiter(word_t *w, uint32_t flags)
{
    struct futex_waitv stay[2] = {at(w, 0, flags), at(w, 0, flags)};

    while (syscall(NR_REQUEUE, stay, 0, 0, 1) != 1)
        sched_yield();
}

/* A private word is none that another process, or the shared kind in shared memory, knows. */
static void test_kinds(void)
{
    struct vector *x = share(sizeof(*x));
    word_t mine = 0;
    pid_t pid;

    vector_init(x, 2);
    x->v[0] = at(&mine, 0, OWN);
    pid = start();
    if (pid == 0)
        _exit((int)waitv(x->v, 2, 0, NULL, 0));
    await_waiter(&x->words[1], U32);
    CHECK(wake2(&mine, ANY, 1, OWN) == 0 && wake2(&mine, ANY, 1, U32) == 0);
    CHECK(wake2(&x->words[1], ANY, 1, OWN) == 0 && wake2(&x->words[1], ANY, 1, U32) == 1);
    CHECK(child_status(pid) == 1 && munmap(x, sizeof(*x)) == 0);
}

/* ---- One word --------------------------------------------------------------------------------------------- */

struct one {
    word_t word, other, woken;
    unsigned long mask;
};

static void *wait_one(void *arg)
{
    struct one *o = arg;
    long ret = wait2(&o->word, 0, o->mask, OWN, NULL, 0);

    atomic_fetch_add(&o->woken, 1);
    return (void *)ret;
}

/* A shared word in memory that is not shared is another than the private one there. */
static void test_shared_at_home(void)
{
    struct one o = {.mask = ANY};
    pthread_t t = run(wait_one, &o);
    struct vector x;

    await_waiter(&o.word, OWN);
    CHECK(wake2(&o.word, ANY, 1, U32) == 0 && wake2(&o.word, ANY, 1, OWN) == 1);
    CHECK(result(t) == 0);
    vector_init(&x, 2);
    t = run(wait_vector, &x);
    await_waiter(&x.words[1], U32);
    CHECK(wake2(&x.words[1], ANY, 1, OWN) == 0 && wake2(&x.words[1], ANY, 1, U32) == 1);
    CHECK(result(t) == 1);
}

static void test_masks(void)
{
    struct one o = {.mask = 6};
    pthread_t t = run(wait_one, &o);

    while (wake2(&o.word, 4, 1, OWN) != 1) {
        CHECK(wake2(&o.word, 9, 1, OWN) == 0 && wake2(&o.word, 6, 0, OWN) == 0);
        sched_yield();
    }
    CHECK(result(t) == 0);
}

static void test_requeue(void)
{
    struct one o = {.mask = ANY};
    struct futex_waitv v[2] = {at(&o.word, 0, OWN), at(&o.other, 12345, OWN)}; /* its value does not matter */
    struct futex_waitv back[2] = {v[1], v[0]}, stay[2] = {v[1], v[1]}, mixed[2] = {v[0], at(&o.other, 0, U32)};
    pthread_t t[4];
    long moved = 0;

    back[0].val = stay[0].val = 0;
    for (int i = 0; i < 4; i++)
        t[i] = run(wait_one, &o);
    CHECK_ERRNO(syscall(NR_REQUEUE, mixed, 0, 0, 4), EINVAL);
    while (moved < 4)
        moved += syscall(NR_REQUEUE, v, 0, 0, 4);
    CHECK(wake2(&o.word, ANY, 4, OWN) == 0 && o.woken == 0);
    CHECK(syscall(NR_REQUEUE, stay, 0, 0, 9) == 4);
    CHECK(syscall(NR_REQUEUE, back, 0, 1, 2) == 3);
    CHECK(wake2(&o.other, ANY, 4, OWN) == 1 && wake2(&o.word, ANY, 4, OWN) == 2);
    for (int i = 0; i < 4; i++)
        CHECK(result(t[i]) == 0);
}

/* ---- Signals and clocks ----------------------------------------------------------------------------------- */

static word_t g_handled;

static void on_signal(int sig)
{
    (void)sig;
    g_handled++;
}

/* The errno, or the negative index. */
static void *wait_errno(void *arg)
{
    long ret = (long)wait_vector(arg);

    return (void *)(ret < 0 ? errno : -ret);
}

static void *wait_one_errno(void *arg)
{
    return (void *)(long)(wait_one(arg) ? errno : 0);
}

/* Signals until the thread ends: it may not wait yet when one comes. */
static long interrupt(pthread_t t)
{
    void *ret;

    while (pthread_tryjoin_np(t, &ret)) {
        CHECK(pthread_kill(t, SIGUSR1) == 0);
        usleep(1000);
    }
    return (long)ret;
}

static void test_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct one o = {.mask = ANY};
    struct vector x;
    pthread_t t;
    uint32_t seen;

    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    vector_init(&x, 2);
    CHECK(interrupt(run(wait_errno, &x)) == EINTR && interrupt(run(wait_one_errno, &o)) == EINTR);
    sa.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    t = run(wait_errno, &x);
    for (int i = 0; i < 3; i++) {
        seen = g_handled;
        CHECK(pthread_kill(t, SIGUSR1) == 0);
        while (g_handled == seen)
            sched_yield();
    }
    while (wake2(&x.words[1], ANY, 1, U32) != 1)
        sched_yield();
    CHECK(result(t) == -1);
}

static void test_clocks(void)
{
    struct timespec before, soon, after;
    struct vector x;
    const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};

    vector_init(&x, WORDS);
    for (int i = 0; i < 2; i++) {
        clock_gettime(CLOCK_MONOTONIC, &before);
        soon = from_now(clocks[i], 30);
        CHECK_ERRNO(waitv(x.v, WORDS, 0, &soon, clocks[i]), ETIMEDOUT);
        clock_gettime(CLOCK_MONOTONIC, &after);
        CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 28);
        soon = from_now(clocks[i], 10);
        CHECK_ERRNO(wait2(x.words, 0, ANY, OWN, &soon, clocks[i]), ETIMEDOUT);
    }
}

int main(void)
{
    test_waitv_arguments();
    test_other_arguments();
    test_index(4);
    test_index(WORDS);
    test_same_word_twice();
    test_kinds();
    test_shared_at_home();
    test_masks();
    test_requeue();
    test_signals();
    test_clocks();
    return guest_done();
}
