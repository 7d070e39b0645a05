/* SPDX-License-Identifier: MIT */
/* The kernel's vsnprintf against libc's. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

int k_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

static __attribute__((format(printf, 2, 3))) void same(size_t size, const char *fmt, ...)
{
    char ours[256], theirs[256];
    va_list a, b;
    int n, m;

    memset(ours, '#', sizeof(ours));
    memset(theirs, '#', sizeof(theirs));
    va_start(a, fmt);
    va_copy(b, a);
    n = k_vsnprintf(ours, size, fmt, a);
    m = vsnprintf(theirs, size, fmt, b);
    va_end(a);
    va_end(b);
    if (n != m || memcmp(ours, theirs, sizeof(ours)))
        fail_msg("\"%s\" in %zu: %d \"%s\", libc %d \"%s\"", fmt, size, n, ours, m, theirs);
}

#define SAME(...) same(256, __VA_ARGS__)

#pragma GCC diagnostic ignored "-Wformat" /* flags that cancel each other are the point */

static void test_integers(void **state)
{
    static const long values[] = {0, 1, -1, 7, 8, 255, -256, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN};

    (void)state;
    for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
        long v = values[i];
        SAME("%d|%i|%u|%x|%X|%o", (int)v, (int)v, (unsigned)v, (unsigned)v, (unsigned)v,
             (unsigned)v);
        SAME("%ld|%lu|%lx|%#lx|%#lX|%#lo", v, (unsigned long)v, (unsigned long)v, (unsigned long)v,
             (unsigned long)v, (unsigned long)v);
        SAME("%lld|%jd|%zd|%td", (long long)v, (intmax_t)v, (ssize_t)v, (ptrdiff_t)v);
        SAME("%hhd|%hd|%hhu|%hu", (signed char)v, (short)v, (unsigned char)v, (unsigned short)v);
        SAME("%5ld|%-5ld|%05ld|%+ld|% ld|%+05ld|%-+9ld|", v, v, v, v, v, v, v);
        SAME("%.3ld|%8.3ld|%-8.3ld|%08.3ld|%.0ld|", v, v, v, v, v);
        SAME("%#010lx|%#-10lx|%#.5lo|%20lx|", (unsigned long)v, (unsigned long)v, (unsigned long)v,
             (unsigned long)v);
        SAME("%*ld|%-*ld|%.*ld|%*.*ld", 7, v, 7, v, 4, v, 9, 4, v);
        SAME("%*ld|", -7, v);
    }
}

static void test_text(void **state)
{
    (void)state;
    SAME("%s|%10s|%-10s|%.2s|%10.2s|%-10.2s|", "text", "text", "text", "text", "text", "text");
    SAME("%c|%3c|%-3c|%%", 'a', 'b', 'c');
    SAME("%.*s", 3, "abcdef");
    SAME("%s", "");
    SAME("%p", (void *)0x1234);
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t size = 0; size < 20; size++) {
        same(size, "%s and %d", "hello", 12345);
        same(size, "%08x%-6d|", 0xbeefu, 17);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
