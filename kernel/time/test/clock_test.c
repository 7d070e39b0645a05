/* SPDX-License-Identifier: MIT */
/*
 * The clock against a host that lies. TSC and host are the test's: the module is included with those
 * names replaced. The TSC runs at 1 GHz, so a tick is a nanosecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <kernel/arch.h>
#include <kernel/target.h>
#include <kernel/time.h>

static u64 g_tsc;
static u64 g_host_real, g_host_mono;
static int g_host_error;
static u64 g_khz;

static u64 test_tsc(void)
{
    return g_tsc;
}

static int test_host_clock(u64 *real, u64 *mono)
{
    *real = g_host_real;
    *mono = g_host_mono;
    g_tsc += 100;
    g_host_mono += 100; /* measuring by it must come to an end */
    g_host_real += 100;
    return g_host_error;
}

static u64 test_khz(void)
{
    return g_khz;
}

static void test_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    out[0] = out[1] = out[2] = out[3] = 0;
}

#define arch_tsc          test_tsc
#define target_host_clock test_host_clock
#define target_tsc_khz    test_khz
#define target_cpuid      test_cpuid
#define time_monotonic    tested_monotonic
#define time_realtime     tested_realtime
u64 tested_monotonic(void);
u64 tested_realtime(void);
#include "../clock.c"

#define SEC 1000000000UL

static int setup(void **state)
{
    g_tsc = 5 * SEC;
    g_host_mono = 100 * SEC;
    g_host_real = 1700000000 * SEC;
    g_host_error = 0;
    g_khz = 1000000;
    g_check_interval_ns = FIRST_CHECK_NS;
    time_init();
    return 0;
}

static void pass(u64 ns)
{
    g_tsc += ns;
    g_host_mono += ns;
    g_host_real += ns;
}

static void assert_near(u64 a, u64 b, u64 slack)
{
    assert_in_range(a, b - slack, b + slack);
}

static void follows_an_honest_host(void **state)
{
    for (int i = 0; i < 100; i++) {
        pass(SEC);
        time_check();
        assert_near(tested_monotonic(), g_host_mono, 2000);
        assert_near(tested_realtime(), g_host_real, 2000);
    }
}

static void corrects_a_wrong_frequency(void **state)
{
    g_khz = 1002000; /* 0.2 % too high: time runs too slowly at first */
    time_init();
    for (int i = 0; i < 2000; i++) {
        pass(SEC);
        time_check();
    }
    assert_near(tested_monotonic(), g_host_mono, 100000);
}

static void measures_when_nobody_knows(void **state)
{
    g_khz = 0;
    time_init();
    pass(SEC);
    assert_near(tested_monotonic(), g_host_mono, 2000);
}

static void never_goes_back(void **state)
{
    u64 last_mono = 0, last_real = 0;

    for (u64 i = 0; i < 5000; i++) {
        g_tsc += SEC / 7;
        g_host_mono = i * 0x9e3779b97f4a7c15UL;
        g_host_real = i * 0xbf58476d1ce4e5b9UL;
        time_check();
        assert_true(tested_monotonic() >= last_mono);
        assert_true(tested_realtime() >= last_real);
        last_mono = tested_monotonic();
        last_real = tested_realtime();
    }
}

/* Whatever the host says, time runs within a little more than 1 % of the TSC. */
static void rate_stays_bounded(void **state)
{
    u64 start = tested_monotonic(), tsc = g_tsc, ran;

    for (int i = 0; i < 1000; i++) {
        g_tsc += SEC;
        g_host_mono += 50 * SEC;
        time_check();
    }
    ran = tested_monotonic() - start;
    assert_near(ran, g_tsc - tsc, (g_tsc - tsc) / 90);
}

static void host_without_time(void **state)
{
    g_host_error = -EIO;
    time_init();
    assert_true(tested_monotonic() < 2000);
    pass(70 * SEC);
    time_check();
    assert_near(tested_monotonic(), 70 * SEC, 2000);
}

static void realtime_deadlines(void **state)
{
    u64 in_a_second = tested_realtime() + SEC;

    assert_near(time_real_to_mono(in_a_second), tested_monotonic() + SEC, 10);
    assert_int_equal(time_real_to_mono(0), 0);
    assert_int_equal(time_real_to_mono(UINT64_MAX), UINT64_MAX - 1);
}

static void division_is_exact_or_saturates(void **state)
{
    assert_int_equal(clock_mul_div(UINT64_MAX, 10, 20), UINT64_MAX / 2);
    assert_int_equal(clock_mul_div(UINT64_MAX, 2, 1), UINT64_MAX);
    assert_int_equal(clock_mul_div(1, 1, 0), UINT64_MAX);
    assert_int_equal(clock_mul_div(7, 3, 2), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(follows_an_honest_host, setup),
        cmocka_unit_test_setup(corrects_a_wrong_frequency, setup),
        cmocka_unit_test_setup(measures_when_nobody_knows, setup),
        cmocka_unit_test_setup(never_goes_back, setup),
        cmocka_unit_test_setup(rate_stays_bounded, setup),
        cmocka_unit_test_setup(host_without_time, setup),
        cmocka_unit_test_setup(realtime_deadlines, setup),
        cmocka_unit_test_setup(division_is_exact_or_saturates, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
