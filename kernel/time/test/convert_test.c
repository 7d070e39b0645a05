/* SPDX-License-Identifier: MIT */
/* Conversions at their borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "../internal.h"

static int to_ns(long long sec, long long nsec, u64 *ns)
{
    struct __kernel_timespec ts = {.tv_sec = sec, .tv_nsec = nsec};

    return timespec_to_ns(&ts, ns);
}

static void timespec_borders(void **state)
{
    u64 ns = 77;

    assert_int_equal(to_ns(-1, 0, &ns), -EINVAL);
    assert_int_equal(to_ns(0, -1, &ns), -EINVAL);
    assert_int_equal(to_ns(0, 1000000000, &ns), -EINVAL);
    assert_int_equal(ns, 77);
    assert_int_equal(to_ns(0, 999999999, &ns), 0);
    assert_int_equal(ns, 999999999);
    assert_int_equal(to_ns(2, 5, &ns), 0);
    assert_int_equal(ns, 2000000005);
}

static void timespec_saturates(void **state)
{
    u64 ns;

    assert_int_equal(to_ns(INT64_MAX, 999999999, &ns), 0);
    assert_int_equal(ns, INT64_MAX);
    assert_int_equal(to_ns(INT64_MAX / 1000000000, 0, &ns), 0);
    assert_int_equal(ns, INT64_MAX);
    assert_int_equal(to_ns(INT64_MAX / 1000000000 - 1, 999999999, &ns), 0);
    assert_true(ns < INT64_MAX);
}

static void timeval_borders(void **state)
{
    struct __kernel_old_timeval tv = {.tv_sec = 1, .tv_usec = 1000000};
    u64 ns;

    assert_int_equal(timeval_to_ns(&tv, &ns), -EINVAL);
    tv.tv_usec = -1;
    assert_int_equal(timeval_to_ns(&tv, &ns), -EINVAL);
    tv.tv_usec = 999999;
    assert_int_equal(timeval_to_ns(&tv, &ns), 0);
    assert_int_equal(ns, 1999999000);
    tv = time_to_timeval(1999999999);
    assert_int_equal(tv.tv_sec, 1);
    assert_int_equal(tv.tv_usec, 999999);
}

static void sums_stay_short_of_forever(void **state)
{
    assert_int_equal(time_add(1, 2), 3);
    assert_int_equal(time_add(UINT64_MAX, 1), UINT64_MAX - 1);
    assert_int_equal(time_add(UINT64_MAX - 1, 1), UINT64_MAX - 1);
    assert_int_equal(time_add(UINT64_MAX, 0), UINT64_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timespec_borders),
        cmocka_unit_test(timespec_saturates),
        cmocka_unit_test(timeval_borders),
        cmocka_unit_test(sums_stay_short_of_forever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
