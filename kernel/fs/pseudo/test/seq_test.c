/* SPDX-License-Identifier: MIT */
/* The text helper of generated files: growth, padding, escapes, lists and masks, lost memory. */
#include <kernel/string.h>
#include <null.h>

#include "../seq.h"

#include <stdarg.h>
#include <cmocka.h>

static void assert_text(struct seq *s, const char *expected)
{
    assert_false(s->failed);
    assert_int_equal(s->used, strlen(expected));
    assert_memory_equal(s->buf, expected, s->used);
    seq_free(s);
}

static void test_append(void **state)
{
    struct seq s;

    (void)state;
    seq_init(&s);
    seq_puts(&s, "ab");
    seq_putc(&s, 'c');
    seq_printf(&s, "%5d|%-4s|%08lx", 42, "x", 0xabcUL);
    assert_text(&s, "abc   42|x   |00000abc");
}

/* Many pieces and one piece larger than any doubling before it. */
static void test_growth(void **state)
{
    static char big[5000];
    struct seq s;

    (void)state;
    memset(big, 'z', sizeof(big) - 1);
    seq_init(&s);
    for (unsigned i = 0; i < 3000; i++)
        seq_printf(&s, "%04u\n", i);
    assert_int_equal(s.used, 15000);
    assert_memory_equal(s.buf + 14995, "2999\n", 5);
    seq_printf(&s, "%s!", big);
    assert_int_equal(s.used, 15000 + sizeof(big));
    assert_memory_equal(s.buf + s.used - 3, "zz!", 3);
    seq_reset(&s);
    seq_puts(&s, "again");
    assert_text(&s, "again");
}

static void test_pad(void **state)
{
    struct seq s;

    (void)state;
    seq_init(&s);
    seq_puts(&s, "line\nab");
    seq_pad(&s, 5, 4);
    seq_putc(&s, '|');
    seq_pad(&s, 5, 2); /* already longer */
    assert_text(&s, "line\nab  |");
}

static void test_escape(void **state)
{
    struct seq s;

    (void)state;
    seq_init(&s);
    seq_escape(&s, "a b\tc\\d\n", " \t\n\\");
    assert_text(&s, "a\\040b\\011c\\134d\\012");
}

static void list_is(const u64 *bits, unsigned count, const char *list, const char *mask)
{
    struct seq s;

    seq_init(&s);
    seq_list(&s, bits, count);
    assert_text(&s, list);
    seq_mask(&s, bits, count);
    assert_text(&s, mask);
}

static void test_sets(void **state)
{
    (void)state;
    list_is((u64[]){0x3}, 2, "0-1", "3");
    list_is((u64[]){0x1af}, 12, "0-3,5,7-8", "1af");
    list_is((u64[]){0x80000000f0000001UL, 0x5}, 67, "0,28-31,63-64,66", "5,80000000,f0000001");
    list_is((u64[]){0x1}, 1, "0", "1");
    list_is((u64[]){0xffffffff}, 32, "0-31", "ffffffff");
}

static void test_empty_list(void **state)
{
    struct seq s;

    (void)state;
    seq_init(&s);
    seq_list(&s, (u64[]){0}, 8);
    assert_int_equal(s.used, 0);
    seq_free(&s);
}

static void test_no_memory(void **state)
{
    struct seq s;

    (void)state;
    seq_init(&s);
    null_alloc_fail_after(1);
    for (unsigned i = 0; i < 200; i++)
        seq_printf(&s, "%010u", i);
    null_alloc_fail_after(UINT64_MAX);
    assert_true(s.failed);
    assert_true(s.used <= s.size);
    assert_null(seq_reserve(&s, 1));
    seq_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),     cmocka_unit_test(test_growth),
        cmocka_unit_test(test_pad),        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_sets),       cmocka_unit_test(test_empty_list),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("seq", tests, NULL, NULL);
}
