/* SPDX-License-Identifier: MIT */
/*
 * Futexes between threads of the test: no wake is lost, values are checked, waiters move, one waits
 * at several words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <linux/futex.h>
#include <linux/time.h>
#include <syscalls.gen.h>
#include "null.h"

#define PRIVATE FUTEX_PRIVATE_FLAG
#define ROUNDS  2000

static long wait_on(u32 *word, u32 value, u64 timeout_ns)
{
    struct __kernel_timespec ts = time_to_timespec(timeout_ns);

    return sys_futex(word, FUTEX_WAIT | PRIVATE, value, &ts, NULL, 0);
}

static long wake(u32 *word, unsigned count)
{
    return sys_futex(word, FUTEX_WAKE | PRIVATE, count, NULL, NULL, 0);
}

static void arguments_are_checked(void **state)
{
    u32 words[2] = {5, 0};
    struct __kernel_timespec bad = {.tv_sec = -1};
    char *odd = (char *)words + 1;

    assert_int_equal(wait_on(words, 4, NSEC_PER_SEC), -EAGAIN);
    assert_int_equal(wait_on((u32 *)odd, 5, NSEC_PER_SEC), -EINVAL);
    assert_int_equal(sys_futex(words, FUTEX_WAIT, 5, &bad, NULL, 0), -EINVAL);
    assert_int_equal(sys_futex(words, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), -EINVAL);
    assert_int_equal(sys_futex(words, 77, 5, NULL, NULL, 0), -ENOSYS);
    assert_int_equal(sys_futex((void *)8, FUTEX_WAKE, 1, NULL, NULL, 0), -EFAULT);
    assert_int_equal(wake(words, 1), 0);
}

static void timeouts_on_both_clocks(void **state)
{
    u32 word = 1;
    struct __kernel_timespec ts = time_to_timespec(time_realtime() + 2000000);

    assert_int_equal(wait_on(&word, 1, 1000000), -ETIMEDOUT);
    assert_int_equal(sys_futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &ts, NULL,
                               FUTEX_BITSET_MATCH_ANY),
                     -ETIMEDOUT);
    ts = time_to_timespec(time_monotonic() + 2000000);
    assert_int_equal(sys_futex(&word, FUTEX_WAIT_BITSET, 1, &ts, NULL, 1), -ETIMEDOUT);
}

/* Ping-pong: each side waits for the other's number. */
static u32 g_turn;

static void pong(void *arg)
{
    for (u32 i = 0; i < ROUNDS; i++) {
        while (__atomic_load_n(&g_turn, __ATOMIC_ACQUIRE) != 2 * i + 1)
            wait_on(&g_turn, 2 * i, 10 * NSEC_PER_SEC);
        __atomic_store_n(&g_turn, 2 * i + 2, __ATOMIC_RELEASE);
        wake(&g_turn, 1);
    }
}

static void no_wake_is_lost(void **state)
{
    struct null_thread *t = null_thread_start(pong, NULL);

    for (u32 i = 0; i < ROUNDS; i++) {
        __atomic_store_n(&g_turn, 2 * i + 1, __ATOMIC_RELEASE);
        wake(&g_turn, 1);
        while (__atomic_load_n(&g_turn, __ATOMIC_ACQUIRE) != 2 * i + 2)
            wait_on(&g_turn, 2 * i + 1, 10 * NSEC_PER_SEC);
    }
    null_thread_join(t);
    assert_int_equal(g_turn, 2 * ROUNDS);
}

/* Waiters that stay until they are woken, counted as they come back. */
static u32 g_word, g_other, g_back;

static void sleeper(void *arg)
{
    if (!wait_on(&g_word, 0, 20 * NSEC_PER_SEC))
        __atomic_fetch_add(&g_back, 1, __ATOMIC_RELEASE);
}

/* Wakes until `count` have been, since threads may not wait yet. */
static void wake_all(u32 *word, unsigned count)
{
    for (unsigned n = 0; n < count;)
        n += (unsigned)wake(word, count - n);
}

static void requeued_waiters_are_woken_at_the_new_word(void **state)
{
    struct null_thread *t[3];
    long moved = 0;

    g_back = 0;
    for (int i = 0; i < 3; i++)
        t[i] = null_thread_start(sleeper, NULL);
    while (moved < 3)
        moved += sys_futex(&g_word, FUTEX_CMP_REQUEUE | PRIVATE, 0, (void *)3UL, &g_other, 0);
    assert_int_equal(sys_futex(&g_word, FUTEX_CMP_REQUEUE | PRIVATE, 0, (void *)3UL, &g_other, 9),
                     -EAGAIN);
    assert_int_equal(wake(&g_word, 3), 0);
    wake_all(&g_other, 3);
    for (int i = 0; i < 3; i++)
        null_thread_join(t[i]);
    assert_int_equal(g_back, 3);
}

static void wake_op_changes_and_compares(void **state)
{
    u32 a = 0, b = 5;
    unsigned op = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5);

    assert_int_equal(sys_futex(&a, FUTEX_WAKE_OP | PRIVATE, 1, (void *)1UL, &b, op), 0);
    assert_int_equal(b, 8);
    op = FUTEX_OP((unsigned)(FUTEX_OP_ANDN | FUTEX_OP_OPARG_SHIFT), 3, FUTEX_OP_CMP_NE, 0);
    assert_int_equal(sys_futex(&a, FUTEX_WAKE_OP | PRIVATE, 1, (void *)1UL, &b, op), 0);
    assert_int_equal(b, 0);
    assert_int_equal(sys_futex(&a, FUTEX_WAKE_OP | PRIVATE, 1, (void *)1UL, &b, 7u << 28), -ENOSYS);
}

/* ---- Several words -------------------------------------------------------------------------- */

#define OWN     (FUTEX_32 | PRIVATE)
#define SEVERAL 3

static u32 g_words[SEVERAL];

static void several(struct futex_waitv v[SEVERAL], u32 *words)
{
    for (int i = 0; i < SEVERAL; i++)
        v[i] = (struct futex_waitv){.uaddr = (uintptr_t)&words[i], .flags = OWN};
}

static void vector_waiter(void *arg)
{
    struct futex_waitv v[SEVERAL];
    struct __kernel_timespec ts = time_to_timespec(time_monotonic() + 20 * NSEC_PER_SEC);

    several(v, g_words);
    *(long *)arg = sys_futex_waitv(v, SEVERAL, 0, &ts, CLOCK_MONOTONIC);
}

static void the_word_that_was_woken_is_told(void **state)
{
    for (long i = 0; i < SEVERAL; i++) {
        long got = -1;
        struct null_thread *t = null_thread_start(vector_waiter, &got);

        while (sys_futex_wake(&g_words[i], FUTEX_BITSET_MATCH_ANY, 1, OWN) != 1)
            ;
        null_thread_join(t);
        assert_int_equal(got, i);
        for (int k = 0; k < SEVERAL; k++)
            assert_int_equal(wake(&g_words[k], 1), 0);
    }
}

/* Whatever ends the wait, nobody is left in a queue. */
static void several_words_are_left_again(void **state)
{
    u32 words[SEVERAL] = {0, 0, 0};
    struct futex_waitv v[SEVERAL];
    struct __kernel_timespec past = {0};

    several(v, words);
    assert_int_equal(sys_futex_waitv(v, SEVERAL, 0, &past, CLOCK_MONOTONIC), -ETIMEDOUT);
    assert_int_equal(sys_futex_waitv(v, SEVERAL, 0, &past, CLOCK_BOOTTIME), -EINVAL);
    assert_int_equal(sys_futex_waitv(v, FUTEX_WAITV_MAX + 1, 0, NULL, 0), -EINVAL);
    v[2].val = 1;
    assert_int_equal(sys_futex_waitv(v, SEVERAL, 0, NULL, 0), -EAGAIN);
    v[2].val = 1UL << 32;
    assert_int_equal(sys_futex_waitv(v, SEVERAL, 0, NULL, 0), -EINVAL);
    v[2] = (struct futex_waitv){.uaddr = 8, .flags = FUTEX_32};
    assert_int_equal(sys_futex_waitv(v, SEVERAL, 0, NULL, 0), -EFAULT);
    null_alloc_fail_after(0);
    assert_int_equal(sys_futex_waitv(v, SEVERAL, 0, NULL, 0), -ENOMEM);
    null_alloc_fail_after(UINT64_MAX);
    for (int i = 0; i < SEVERAL; i++)
        assert_int_equal(wake(&words[i], 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(timeouts_on_both_clocks),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(requeued_waiters_are_woken_at_the_new_word),
        cmocka_unit_test(wake_op_changes_and_compares),
        cmocka_unit_test(the_word_that_was_woken_is_told),
        cmocka_unit_test(several_words_are_left_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
