/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2): with it on one side, a plain compiler barrier on the other is enough (the store buffering test);
 * registration, errors, threads that block and threads that compute.
 */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include "children.h"

#define ROUNDS 5000

static long membarrier(int cmd, unsigned flags)
{
    return syscall(SYS_membarrier, cmd, flags, 0);
}

/* Both start a round when `round` says so, store to their own word and load the other's. */
static _Alignas(64) atomic_int g_round;
static _Alignas(64) volatile int g_x;
static _Alignas(64) volatile int g_y;
static _Alignas(64) atomic_int g_done;
static int g_fast_saw;

/* Both write these lines: what one stores after them stays in its store buffer for a while. */
#define LINES 48
static _Alignas(64) volatile int g_lines[LINES][16];

static void dirty_lines(int value)
{
    for (int i = 0; i < LINES; i++)
        g_lines[i][0] = value;
}

static void wait_for(atomic_int *word, int value)
{
    for (int n = 1; atomic_load(word) < value; n++)
        if (n % 20000 == 0)
            sched_yield();
}

static void *fast_side(void *arg)
{
    for (int i = 1; i <= ROUNDS; i++) {
        wait_for(&g_round, i);
        dirty_lines(i);
        g_x = i;
        atomic_signal_fence(memory_order_seq_cst);
        g_fast_saw = g_y;
        atomic_store(&g_done, i);
    }
    return arg;
}

/* Not with MEMBARRIER_CMD_GLOBAL_EXPEDITED: Linux 6.18 was seen to miss threads with it. */
static void test_store_buffering(void)
{
    pthread_t t;
    int both_missed = 0;

    g_x = g_y = 0;
    atomic_store(&g_round, 0);
    atomic_store(&g_done, 0);
    CHECK(pthread_create(&t, NULL, fast_side, NULL) == 0);
    for (int i = 1; i <= ROUNDS; i++) {
        int saw;

        dirty_lines(-i);
        atomic_store(&g_round, i);
        for (volatile int spin = 0; spin < i % 256; spin++)
            ;
        g_y = i;
        CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
        saw = g_x;
        wait_for(&g_done, i);
        both_missed += saw != i && g_fast_saw != i;
    }
    CHECK(pthread_join(t, NULL) == 0);
    CHECK(both_missed == 0);
}

static void test_errors(void)
{
    pid_t pid;

    CHECK((membarrier(MEMBARRIER_CMD_QUERY, 0) & 0x1f) == 0x1f);
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_QUERY, 2), EINVAL);
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_GLOBAL, 1), EINVAL);
    CHECK_ERRNO(membarrier(3, 0), EINVAL);
    CHECK_ERRNO(membarrier(-1, 0), EINVAL);
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0), EPERM);
    CHECK(membarrier(MEMBARRIER_CMD_GLOBAL, 0) == 0 && membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
    pid = start();
    if (pid == 0) /* a child is registered as its parent is */
        _exit(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) ? 1 : 7);
    CHECK(child_status(pid) == 7);
}

/* Several callers at once, beside threads that sleep, compute and end. */
static atomic_int g_stop;

static void *caller(void *arg)
{
    for (int i = 0; i < 300; i++)
        CHECK(membarrier(i % 3 ? MEMBARRIER_CMD_PRIVATE_EXPEDITED : MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) == 0);
    return arg;
}

static void *sleeper(void *arg)
{
    while (!atomic_load(&g_stop))
        usleep(1000);
    return arg;
}

static void *computer(void *arg)
{
    while (!atomic_load_explicit(&g_stop, memory_order_relaxed))
        ;
    return arg;
}

static void test_many(void)
{
    void *(*const bodies[])(void *) = {caller, caller, caller, sleeper, computer};
    pthread_t t[5];
    int i;

    for (i = 0; i < 5; i++)
        CHECK(pthread_create(&t[i], NULL, bodies[i], NULL) == 0);
    for (i = 0; i < 3; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    atomic_store(&g_stop, 1);
    for (; i < 5; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
}

int main(void)
{
    test_errors();
    test_store_buffering();
    test_many();
    return guest_done();
}
