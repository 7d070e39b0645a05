/* SPDX-License-Identifier: MIT */
/* Dispatch by number, what unserved numbers answer, and the statistics. */
#include "handlers.h"

#include <asm/unistd.h>
#include <kernel/printk.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <null.h>

#include <stdarg.h>
#include <cmocka.h>

#define CALL0(nr) call((nr), 0, 0, 0, 0, 0, 0)

unsigned task_count(void)
{
    return 1;
}

static void test_served(void **state)
{
    struct regs r = {.orig_rax = __NR_getpid};

    (void)state;
    syscall_dispatch(&r);
    assert_int_equal(r.rax, 42);
    assert_ptr_equal(g_seen_regs, &r);
    assert_int_equal(call(__NR_mmap, 1, 2, 3, 4, 5, 6), 0x010203040506);
    assert_int_equal(CALL0(__NR_pause), -ERESTARTNOHAND);
}

static void test_numbers_are_32_bits(void **state)
{
    (void)state;
    assert_int_equal(CALL0(__NR_getpid | 5L << 32), 42);
    assert_int_equal(CALL0(__NR_getpid | 0x40000000), -ENOSYS); /* x32 */
}

static void test_unserved(void **state)
{
    static const long strange[] = {335, 400, 423, SYSCALL_COUNT, 1000, -1, -4096, 1L << 31};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(strange); i++)
        assert_int_equal(CALL0(strange[i]), -ENOSYS);
    assert_int_equal(CALL0(__NR_clone), -ENOSYS); /* planned */
    assert_int_equal(CALL0(__NR_reboot), -EPERM); /* refused */
    assert_int_equal(CALL0(__NR_pkey_alloc), -ENOSPC);
    assert_int_equal(CALL0(__NR_close), -ENOSYS); /* served, not in this partial build */
}

static void test_logged_once(void **state)
{
    (void)state;
    g_log_level = LOG_DEBUG;
    null_log_clear();
    for (int i = 0; i < 3; i++) {
        CALL0(__NR_rseq);
        CALL0(7777);
        CALL0(336);
    }
    g_log_level = LOG_WARN;
    assert_int_equal(null_log_count(), 3);
    assert_string_equal(null_log_last(), "system call 336 (unknown) is not served: ENOSYS");
}

static void test_stats(void **state)
{
    char json[8192], small[64];

    (void)state;
    syscall_stats_enable();
    for (int i = 0; i < 3; i++)
        CALL0(__NR_getpid);
    CALL0(9999);
    syscall_count_trap(0x1234);
    syscall_count_trap(0x5678);
    syscall_count_trap(0x5678);
    assert_true(syscall_stats_json(json, sizeof(json)) > 0);
    assert_non_null(strstr(json, "\"syscalls_total\": 4,"));
    assert_non_null(strstr(json, "\"getpid\": {\"count\": 3, \"ns\": "));
    assert_non_null(strstr(json, "\"unknown\": {\"count\": 1, \"ns\": "));
    assert_non_null(strstr(json, "\"syscalls_trapped\": 3"));
    assert_non_null(strstr(json, "[{\"rip\": \"0x5678\", \"count\": 2}, {\"rip\": \"0x1234\", "
                                 "\"count\": 1}]"));
    assert_int_equal(syscall_stats_json(small, sizeof(small)), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_served),   cmocka_unit_test(test_numbers_are_32_bits),
        cmocka_unit_test(test_unserved), cmocka_unit_test(test_logged_once),
        cmocka_unit_test(test_stats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
