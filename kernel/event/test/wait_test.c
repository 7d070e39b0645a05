/* SPDX-License-Identifier: MIT */
/* Wait queues and task_block(): wakes, deadlines, signals, timers, host descriptors. */
#include <kernel/poll.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <null.h>

#include <stdarg.h>
#include <cmocka.h>

#define MS 1000000u

static struct waitqueue g_wq;
static u32 g_flag; /* atomic */

static u64 soon(unsigned ms)
{
    return time_monotonic() + (u64)ms * MS;
}

static int setup(void **state)
{
    (void)state;
    waitqueue_init(&g_wq);
    g_flag = 0;
    current->work = 0;
    current->woken = 0;
    return 0;
}

static void sleep_until(u64 end)
{
    while (time_monotonic() < end)
        target_park(NULL, 0, end);
}

static void set_flag_later(void *arg)
{
    (void)arg;
    sleep_until(soon(20));
    __atomic_store_n(&g_flag, 1, __ATOMIC_RELEASE);
    waitqueue_wake(&g_wq, ~0u);
}

static void test_wake(void **state)
{
    struct null_thread *t = null_thread_start(set_flag_later, NULL);
    int ret;

    (void)state;
    wait_event(ret, &g_wq, __atomic_load_n(&g_flag, __ATOMIC_ACQUIRE), soon(5000), true);
    assert_int_equal(ret, 0);
    assert_true(g_flag);
    assert_true(list_empty(&current->waiters));
    assert_true(list_empty(&g_wq.waiters));
    null_thread_join(t);
}

static void test_deadline(void **state)
{
    u64 before = time_monotonic(), end = soon(20);
    int ret;

    (void)state;
    wait_event(ret, &g_wq, false, end, true);
    assert_int_equal(ret, -ETIMEDOUT);
    assert_true(time_monotonic() >= end && time_monotonic() < before + 2000ul * MS);
    wait_event(ret, &g_wq, false, 0, true);
    assert_int_equal(ret, -ETIMEDOUT);
}

static void test_signal(void **state)
{
    int ret;

    (void)state;
    task_set_work(current, WORK_SIGNAL);
    wait_event(ret, &g_wq, false, DEADLINE_NONE, true);
    assert_int_equal(ret, -EINTR);
    wait_event(ret, &g_wq, false, soon(10), false);
    assert_int_equal(ret, -ETIMEDOUT);
}

static void test_wake_before_block(void **state)
{
    struct waiter w;

    (void)state;
    waiter_add(&w, &g_wq, POLLIN);
    waitqueue_wake(&g_wq, POLLOUT);
    assert_int_equal(task_block(soon(5), true), -ETIMEDOUT); /* not of interest */
    waitqueue_wake(&g_wq, POLLIN);
    assert_int_equal(task_block(soon(5000), true), 0);
    waitqueue_wake(&g_wq, POLLHUP); /* always of interest */
    assert_int_equal(task_block(soon(5000), true), 0);
    waiter_remove(&w);
}

static unsigned g_woken[4];

struct counted {
    struct waiter w;
    unsigned index;
};

static void count_wake(struct waiter *w, unsigned key)
{
    (void)key;
    g_woken[container_of(w, struct counted, w)->index]++;
}

static void test_exclusive(void **state)
{
    struct counted c[4];

    (void)state;
    memset(g_woken, 0, sizeof(g_woken));
    for (unsigned i = 0; i < 4; i++) {
        c[i].index = i;
        waiter_add_fn(&c[i].w, &g_wq, ~0u, count_wake, i >= 2);
    }
    waitqueue_wake_one(&g_wq, POLLIN);
    assert_int_equal(g_woken[0] + g_woken[1], 2);
    assert_int_equal(g_woken[2], 1); /* first come, first served */
    assert_int_equal(g_woken[3], 0);
    waitqueue_wake(&g_wq, POLLIN);
    assert_int_equal(g_woken[3], 1);
    for (unsigned i = 0; i < 4; i++)
        waiter_remove(&c[i].w);
}

static int g_event;

static void ready_later(void *arg)
{
    u64 one = 1;

    (void)arg;
    sleep_until(soon(20));
    target_host_write(g_event, &one, sizeof(one));
}

int null_libc_event(void);

static void test_host_descriptor(void **state)
{
    struct null_thread *t;
    struct waiter w;

    (void)state;
    g_event = null_libc_event();
    g_wq.host_fd = g_event;
    waiter_add(&w, &g_wq, POLLIN);
    t = null_thread_start(ready_later, NULL);
    assert_int_equal(task_block(soon(5000), true), 0);
    assert_true(target_host_poll(g_event, POLLIN) & POLLIN);
    waiter_remove(&w);
    null_thread_join(t);
}

static void test_more_host_descriptors_than_fit(void **state)
{
    enum { COUNT = TARGET_POLL_MAX + 6 };
    static struct waitqueue queues[COUNT];
    static struct waiter waiters[COUNT];

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        waitqueue_init(&queues[i]);
        queues[i].host_fd = null_libc_event();
        waiter_add(&waiters[i], &queues[i], POLLIN);
    }
    assert_int_equal(task_block(soon(5000), true), 0); /* told to look at all of them */
    for (unsigned i = 0; i < COUNT; i++)
        waiter_remove(&waiters[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wake, setup),
        cmocka_unit_test_setup(test_deadline, setup),
        cmocka_unit_test_setup(test_signal, setup),
        cmocka_unit_test_setup(test_wake_before_block, setup),
        cmocka_unit_test_setup(test_exclusive, setup),
        cmocka_unit_test_setup(test_host_descriptor, setup),
        cmocka_unit_test_setup(test_more_host_descriptors_than_fit, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
