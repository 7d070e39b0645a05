/* SPDX-License-Identifier: MIT */
/* The kernel's string functions against libc's: all small sizes, all alignments, overlaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *k_memcpy(void *dst, const void *src, size_t size);
void *k_memmove(void *dst, const void *src, size_t size);
void *k_memset(void *dst, int c, size_t size);
int k_memcmp(const void *a, const void *b, size_t size);
void *k_memchr(const void *s, int c, size_t size);
void *k_memmem(const void *h, size_t hsize, const void *n, size_t nsize);
size_t k_strlen(const char *s);
size_t k_strnlen(const char *s, size_t max);
int k_strcmp(const char *a, const char *b);
int k_strncmp(const char *a, const char *b, size_t n);
char *k_strchr(const char *s, int c);
char *k_strrchr(const char *s, int c);
char *k_strstr(const char *h, const char *n);
size_t k_strlcpy(char *dst, const char *src, size_t size);

#define AREA 2048u

static unsigned char g_pattern[AREA], g_ours[AREA], g_theirs[AREA];

static void fill(void)
{
    for (unsigned i = 0; i < AREA; i++)
        g_pattern[i] = (unsigned char)(i * 151 + i / 256 * 7);
}

static void start(void)
{
    memcpy(g_ours, g_pattern, AREA);
    memcpy(g_theirs, g_pattern, AREA);
}

/* Sizes around every border in string.c. */
static const unsigned g_sizes[] = {0,   1,   2,   3,   4,   5,   7,   8,   9,   12,  15,  16,
                                   17,  23,  24,  31,  32,  33,  48,  63,  64,  65,  100, 127,
                                   128, 129, 191, 192, 255, 256, 257, 300, 511, 512, 700};
#define EACH_SIZE(n)                                                                               \
    for (unsigned s_ = 0, n; s_ < sizeof(g_sizes) / sizeof(*g_sizes) && (n = g_sizes[s_], 1); s_++)

static void test_memcpy(void **state)
{
    (void)state;
    EACH_SIZE(n)
    {
        for (unsigned at = 0; at < 16; at++) {
            start();
            assert_ptr_equal(k_memcpy(g_ours + at, g_pattern + 1024 + at / 3, n), g_ours + at);
            memcpy(g_theirs + at, g_pattern + 1024 + at / 3, n);
            assert_memory_equal(g_ours, g_theirs, AREA);
        }
    }
}

static void test_memmove_overlaps(void **state)
{
    (void)state;
    EACH_SIZE(n)
    {
        for (int shift = -80; shift <= 80; shift++) {
            start();
            assert_ptr_equal(k_memmove(g_ours + 600 + shift, g_ours + 600, n),
                             g_ours + 600 + shift);
            memmove(g_theirs + 600 + shift, g_theirs + 600, n);
            assert_memory_equal(g_ours, g_theirs, AREA);
        }
    }
}

static void test_memset(void **state)
{
    (void)state;
    EACH_SIZE(n)
    {
        for (unsigned at = 0; at < 9; at++) {
            start();
            assert_ptr_equal(k_memset(g_ours + at, 0x1a5, n), g_ours + at);
            memset(g_theirs + at, 0x1a5, n);
            assert_memory_equal(g_ours, g_theirs, AREA);
        }
    }
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void test_memcmp(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 100; n++) {
        start();
        assert_int_equal(k_memcmp(g_ours, g_theirs, n), 0);
        for (unsigned at = 0; at < n; at++) {
            for (int delta = -1; delta <= 1; delta += 2) {
                start();
                g_ours[at] = (unsigned char)(g_ours[at] + delta);
                assert_int_equal(sign(k_memcmp(g_ours, g_theirs, n)),
                                 sign(memcmp(g_ours, g_theirs, n)));
            }
        }
    }
}

static void test_searches(void **state)
{
    static const char text[] = "a needle in a haystack of needles";

    (void)state;
    for (int c = 0; c < 256; c++) {
        assert_ptr_equal(k_memchr(text, c, sizeof(text)), memchr(text, c, sizeof(text)));
        assert_ptr_equal(k_strchr(text, c), strchr(text, c));
        assert_ptr_equal(k_strrchr(text, c), strrchr(text, c));
    }
    assert_null(k_memchr(text, 'a', 0));
    for (unsigned n = 0; n < 40; n++) {
        for (unsigned hit = 0; hit < 50; hit++) {
            memset(g_ours, 0x80, 64);
            g_ours[3 + hit] = 0x81;
            assert_ptr_equal(k_memchr(g_ours + 3, 0x81, n), hit < n ? g_ours + 3 + hit : NULL);
        }
    }
    assert_ptr_equal(k_strstr(text, "needles"), strstr(text, "needles"));
    assert_ptr_equal(k_strstr(text, ""), text);
    assert_null(k_strstr(text, "needless"));
    assert_ptr_equal(k_memmem(text, 8, "needle", 6), text + 2);
    assert_null(k_memmem(text, 7, "needle", 6));
    assert_null(k_memmem(text, 3, "needle", 6));
}

static void test_strings(void **state)
{
    char buf[8];

    (void)state;
    assert_int_equal(k_strlen(""), 0);
    for (unsigned n = 0; n < 40; n++) {
        for (unsigned at = 0; at < 8; at++) {
            memset(g_ours, 0x80, 64);
            g_ours[at + n] = 0;
            assert_int_equal(k_strlen((char *)g_ours + at), n);
        }
    }
    assert_int_equal(k_strnlen("abc", 2), 2);
    assert_int_equal(k_strnlen("abc", 9), 3);
    assert_int_equal(k_strcmp("abc", "abc"), 0);
    assert_true(k_strcmp("abc", "abd") < 0 && k_strcmp("abc", "ab") > 0);
    assert_true(k_strcmp("\xff", "a") > 0);
    assert_int_equal(k_strncmp("abcX", "abcY", 3), 0);
    assert_int_equal(k_strncmp("ab", "ab", 100), 0);
    assert_int_equal(k_strlcpy(buf, "1234567", sizeof(buf)), 7);
    assert_string_equal(buf, "1234567");
    assert_int_equal(k_strlcpy(buf, "123456789", sizeof(buf)), 9);
    assert_string_equal(buf, "1234567");
    assert_int_equal(k_strlcpy(NULL, "12", 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcpy),   cmocka_unit_test(test_memmove_overlaps),
        cmocka_unit_test(test_memset),   cmocka_unit_test(test_memcmp),
        cmocka_unit_test(test_searches), cmocka_unit_test(test_strings),
    };

    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
