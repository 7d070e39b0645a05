/* SPDX-License-Identifier: MIT */
/* Locks and reference counts: exclusion between threads, and a panic for every misuse. */
#include <kernel/lock.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <null.h>

#include <stdarg.h>
#include <cmocka.h>

#define THREADS 4
#define ROUNDS  20000

static spinlock_t g_spin = SPINLOCK_INIT("test-spin");
static mutex_t g_mutex = MUTEX_INIT("test-mutex");
static u64 g_count;

static void count_spin(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        spin_lock(&g_spin);
        g_count++;
        spin_unlock(&g_spin);
    }
}

static void count_mutex(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&g_mutex);
        u64 seen = g_count;
        if (i % 256 == 0)
            target_yield(); /* long sections make waiters park */
        g_count = seen + 1;
        mutex_unlock(&g_mutex);
    }
}

static void run_threads(void (*fn)(void *))
{
    struct null_thread *t[THREADS];

    g_count = 0;
    for (int i = 0; i < THREADS; i++)
        t[i] = null_thread_start(fn, NULL);
    for (int i = 0; i < THREADS; i++)
        null_thread_join(t[i]);
    assert_int_equal(g_count, THREADS * ROUNDS);
}

static void test_spin_excludes(void **state)
{
    (void)state;
    run_threads(count_spin);
    assert_false(spin_held(&g_spin));
}

static void test_mutex_excludes(void **state)
{
    (void)state;
    run_threads(count_mutex);
    assert_int_equal(g_mutex.state, 0);
}

#define NS_PER_MS 1000000u

static void hold_a_while(void *arg)
{
    u64 realtime, now;

    mutex_lock(&g_mutex);
    __atomic_store_n((u32 *)arg, 1, __ATOMIC_RELEASE);
    target_host_clock(&realtime, &now);
    for (u64 end = now + 50 * NS_PER_MS; now < end; target_host_clock(&realtime, &now))
        target_park(NULL, 0, end);
    mutex_unlock(&g_mutex);
}

static void test_mutex_parks(void **state)
{
    u32 held = 0;
    struct null_thread *t = null_thread_start(hold_a_while, &held);

    (void)state;
    while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
        target_yield();
    assert_false(mutex_trylock(&g_mutex));
    assert_false(mutex_held(&g_mutex));
    mutex_lock(&g_mutex);
    assert_true(mutex_held(&g_mutex));
    mutex_unlock(&g_mutex);
    null_thread_join(t);
}

static void expect_panic(const char *report, const char *text)
{
    assert_non_null(report);
    if (!strstr(report, text))
        fail_msg("panic says \"%s\", not \"%s\"", report, text);
}

static void test_misuse(void **state)
{
    spinlock_t s = SPINLOCK_INIT("s");
    mutex_t m = MUTEX_INIT("m");

    (void)state;
    expect_panic(NULL_PANIC(spin_unlock(&s)), "spinlock s unlocked by another");
    expect_panic(NULL_PANIC(mutex_unlock(&m)), "mutex m unlocked by another");
    expect_panic(NULL_PANIC(assert_held(&s)), "spinlock s is not held");
    expect_panic(NULL_PANIC(assert_held(&m)), "mutex m is not held");
    spin_lock(&s);
    mutex_lock(&m);
    assert_held(&s);
    assert_held(&m);
    expect_panic(NULL_PANIC(spin_lock(&s)), "spinlock s locked twice");
    expect_panic(NULL_PANIC(mutex_lock(&m)), "mutex m locked twice");
    spin_unlock(&s);
    mutex_unlock(&m);
}

static void test_refs(void **state)
{
    ref_t r;

    (void)state;
    ref_init(&r);
    ref_get(&r);
    assert_false(ref_put(&r));
    assert_true(ref_put(&r));
    expect_panic(NULL_PANIC(ref_get(&r)), "ref_get: count is 0");
    r.n = 0;
    expect_panic(NULL_PANIC(ref_put(&r)), "ref_put: count is 0");
    r.n = 0x7fffffff;
    expect_panic(NULL_PANIC(ref_get(&r)), "ref_get: count is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spin_excludes), cmocka_unit_test(test_mutex_excludes),
        cmocka_unit_test(test_mutex_parks),   cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_refs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
