/* SPDX-License-Identifier: MIT */
/* The log, panics (also with a spinlock held), and error names. */
#include <kernel/lock.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <null.h>

#include <stdarg.h>
#include <cmocka.h>

static void test_levels(void **state)
{
    (void)state;
    g_log_level = LOG_WARN;
    null_log_clear();
    pr_info("not shown");
    pr_debug("%s", "not shown");
    assert_int_equal(null_log_count(), 0);
    pr_warn("%d of %s", 3, "these");
    assert_string_equal(null_log_last(), "adyton: 3 of these");
    g_log_level = LOG_INFO;
    pr_info("a call");
    assert_string_equal(null_log_last(), "a call");
    g_log_level = LOG_WARN;
}

/* One line for a start that fails; a line of its own for what stopped nothing, and later. */
static void test_reasons(void **state)
{
    (void)state;
    null_log_clear();
    assert_int_equal(pr_reason(-EIO, "block %d is bad", 3), -EIO);
    assert_int_equal(pr_reason(-EINVAL, "what follows from it"), -EINVAL);
    assert_int_equal(null_log_count(), 0);
    assert_string_equal(pr_reason_for(-EIO), "block 3 is bad");
    assert_string_equal(pr_reason_for(-ENOENT), "No such file or directory");
    pr_started();
    assert_int_equal(null_log_count(), 1);
    assert_string_equal(null_log_last(), "adyton: block 3 is bad");
    assert_int_equal(pr_reason(-EIO, "another"), -EIO);
    assert_string_equal(null_log_last(), "adyton: another");
}

static void test_long_line(void **state)
{
    static char text[2000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    pr_err("%s", text);
    assert_int_equal(strlen(null_log_last()), 511);
}

static void test_panic(void **state)
{
    spinlock_t lock = SPINLOCK_INIT("held");
    const char *report;

    (void)state;
    spin_lock(&lock);
    report = NULL_PANIC(panic("broken: %d", 7));
    assert_string_equal(report, "panic: broken: 7");
    spin_unlock(&lock);
    report = NULL_PANIC(ASSERT(1 + 1 == 3));
    assert_non_null(strstr(report, "printk_test.c:"));
    assert_non_null(strstr(report, "1 + 1 == 3"));
}

static void test_errno(void **state)
{
    (void)state;
    for (int e = 1; e <= 133; e++)
        assert_true(e == 41 || e == 58 || errno_name(e));
    assert_string_equal(errno_name(ENOENT), "ENOENT");
    assert_string_equal(errno_text(ENOENT), "No such file or directory");
    assert_null(errno_name(0));
    assert_null(errno_name(134));
    assert_null(errno_name(-1));
    assert_string_equal(errno_text(4000), "Unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_panic),
        cmocka_unit_test(test_errno),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
