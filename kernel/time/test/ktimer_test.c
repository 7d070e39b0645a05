/* SPDX-License-Identifier: MIT */
/*
 * The timer list: order, cancellation, and when the host is asked. The clock and the host's timer are
 * the test's: the module is included with those names replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <kernel/target.h>
#include <kernel/time.h>

static u64 g_now;
static u64 g_asked;
static unsigned g_ask_count;

static u64 test_now(void)
{
    return g_now;
}

static u64 g_exit_takes; /* how far the clock goes on while the host is told */

static void test_timer_set(u64 deadline)
{
    g_asked = deadline;
    g_ask_count++;
    g_now += g_exit_takes;
    assert_true(g_ask_count < 100);
}

static void test_check(void)
{
}

#define time_monotonic   test_now
#define target_timer_set test_timer_set
#define time_check       test_check
#define ktimer_run       tested_ktimer_run
#define ktimer_next      tested_ktimer_next
#include "../ktimer.c"

static struct ktimer *g_ran[8];
static unsigned g_ran_count;

static void note(struct ktimer *t)
{
    g_ran[g_ran_count++] = t;
}

static void again(struct ktimer *t)
{
    note(t);
    ktimer_set(t, g_now + 10);
}

static int setup(void **state)
{
    g_now = 1000;
    g_ran_count = g_ask_count = 0;
    g_exit_takes = 0;
    g_told = UINT64_MAX;
    assert_ptr_equal(g_head.next, &g_head);
    return 0;
}

static void runs_in_order_of_deadlines(void **state)
{
    struct ktimer t[4];
    static const u64 at[4] = {1300, 1100, 1200, 1100};

    for (int i = 0; i < 4; i++) {
        ktimer_init(&t[i], note);
        ktimer_set(&t[i], at[i]);
    }
    assert_int_equal(tested_ktimer_next(), 1100);
    tested_ktimer_run();
    assert_int_equal(g_ran_count, 0);
    g_now = 1250;
    tested_ktimer_run();
    assert_int_equal(g_ran_count, 3);
    assert_ptr_equal(g_ran[0], &t[1]);
    assert_ptr_equal(g_ran[1], &t[3]);
    assert_ptr_equal(g_ran[2], &t[2]);
    assert_int_equal(g_asked, 1300);
    assert_true(ktimer_cancel(&t[0]));
    assert_false(ktimer_cancel(&t[0]));
    assert_int_equal(tested_ktimer_next(), UINT64_MAX);
}

static void host_is_asked_for_earlier_deadlines_only(void **state)
{
    struct ktimer a, b;

    ktimer_init(&a, note);
    ktimer_init(&b, note);
    ktimer_set(&a, 2000);
    assert_int_equal(g_ask_count, 1);
    ktimer_set(&b, 3000);
    ktimer_set(&a, 2500);
    assert_int_equal(g_ask_count, 1);
    ktimer_set(&b, 1500);
    assert_int_equal(g_ask_count, 2);
    assert_int_equal(g_asked, 1500);
    ktimer_cancel(&a);
    ktimer_cancel(&b);
    assert_int_equal(g_ask_count, 2);
}

/* The host interrupts for a deadline that was put off: it must be told the new one then. */
static void put_off_deadline_is_told_at_the_old_one(void **state)
{
    struct ktimer a;

    ktimer_init(&a, note);
    ktimer_set(&a, 2000);
    ktimer_set(&a, 5000);
    assert_int_equal(g_ask_count, 1);
    g_now = 2001;
    tested_ktimer_run();
    assert_int_equal(g_ran_count, 0);
    assert_int_equal(g_asked, 5000);
    ktimer_cancel(&a);
    g_now = 6000;
    ktimer_set(&a, 7000);
    assert_int_equal(g_asked, 7000);
    ktimer_cancel(&a);
}

/* It is told once: nothing inside waits for the interrupt of a deadline that is over. */
static void past_deadline_is_told_once(void **state)
{
    struct ktimer a;

    ktimer_init(&a, note);
    ktimer_set(&a, 999);
    assert_int_equal(g_ask_count, 1);
    assert_int_equal(g_asked, 999);
    tested_ktimer_run();
    assert_int_equal(g_ran_count, 1);
}

/* The host's clock may run ahead: an interrupt that finds nothing due must not be the last. */
static void early_interrupt_is_asked_for_again(void **state)
{
    struct ktimer a;

    ktimer_init(&a, note);
    ktimer_set(&a, 100000000);
    g_now = 100000000 - 1000;
    tested_ktimer_run();
    assert_int_equal(g_ran_count, 0);
    assert_int_equal(g_ask_count, 2);
    assert_int_equal(g_asked, 100000000);
    ktimer_cancel(&a);
}

static void function_may_set_its_timer_again(void **state)
{
    struct ktimer a;

    ktimer_init(&a, again);
    ktimer_set(&a, 1005);
    g_now = 1005;
    tested_ktimer_run();
    assert_int_equal(g_ran_count, 1);
    assert_true(a.armed);
    assert_int_equal(g_asked, 1015);
    ktimer_cancel(&a);
}

/* The host interrupts at once for a deadline that is past: asking again would go on for ever. */
static void deadline_that_passes_on_the_way_is_told_once(void **state)
{
    struct ktimer a;

    g_exit_takes = 50;
    ktimer_init(&a, note);
    ktimer_set(&a, 1010);
    assert_int_equal(g_ask_count, 1);
    assert_int_equal(g_asked, 1010);
    tested_ktimer_run();
    assert_int_equal(g_ran_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(runs_in_order_of_deadlines, setup),
        cmocka_unit_test_setup(host_is_asked_for_earlier_deadlines_only, setup),
        cmocka_unit_test_setup(put_off_deadline_is_told_at_the_old_one, setup),
        cmocka_unit_test_setup(past_deadline_is_told_once, setup),
        cmocka_unit_test_setup(early_interrupt_is_asked_for_again, setup),
        cmocka_unit_test_setup(function_may_set_its_timer_again, setup),
        cmocka_unit_test_setup(deadline_that_passes_on_the_way_is_told_once, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
