/* SPDX-License-Identifier: MIT */
/* User copies at the border of mapped memory, and iterators over several segments. */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/uaccess.h>
#include <null.h>

#include <stdarg.h>
#include <cmocka.h>

#define BASE 0x200000000000UL
#define END  (BASE + PAGE_SIZE) /* the next page is absent */

static char *at(long offset)
{
    return (char *)(END + (u64)offset);
}

static int setup(void **state)
{
    (void)state;
    return target_mem_commit(BASE, 1, TARGET_READ | TARGET_WRITE);
}

static void test_ranges(void **state)
{
    u64 v = 1;

    (void)state;
    assert_int_equal(get_user(v, (const u64 *)NULL), -EFAULT);
    assert_int_equal(get_user(v, (const u64 *)0xfff8), -EFAULT);
    assert_int_equal(get_user(v, (const u64 *)~7UL), -EFAULT);
    assert_int_equal(put_user(v, (u64 *)(1UL << 63)), -EFAULT);
    assert_int_equal(copy_from_user(&v, (void *)BASE, SIZE_MAX), -EFAULT);
    assert_int_equal(copy_from_user(&v, NULL, 0), 0);
    assert_true(user_range_ok((void *)BASE, PAGE_SIZE));
    assert_false(user_range_ok((void *)BASE, SIZE_MAX - 8));
    assert_int_equal(copy_from_user_partial(&v, NULL, 8), 0);
}

static void test_copies_at_the_border(void **state)
{
    char buf[600];

    (void)state;
    null_catch_faults();
    for (size_t size = 1; size < sizeof(buf); size += size < 40 ? 1 : 37) {
        for (size_t present = 0; present <= size; present += present < 20 ? 1 : 29) {
            bool whole = present == size;
            memset(at(-(long)size), 'x', size);
            memset(buf, 0, sizeof(buf));
            assert_int_equal(copy_from_user_partial(buf, at(-(long)present), size), present);
            assert_int_equal(strnlen(buf, sizeof(buf)), present);
            assert_int_equal(copy_from_user(buf, at(-(long)present), size), whole ? 0 : -EFAULT);
            memset(buf, 'y', sizeof(buf));
            assert_int_equal(copy_to_user_partial(at(-(long)present), buf, size), present);
            assert_true(!present || (*at(-1) == 'y' && *at(-(long)present) == 'y'));
            assert_int_equal(copy_to_user(at(-(long)present), buf, size), whole ? 0 : -EFAULT);
            assert_int_equal(clear_user(at(-(long)present), size), whole ? 0 : -EFAULT);
            assert_true(!present || (!*at(-1) && !*at(-(long)present)));
        }
    }
}

static void test_strings(void **state)
{
    char buf[64];

    (void)state;
    null_catch_faults();
    for (size_t length = 0; length < 40; length++) {
        char *s = at(-(long)length - 1);
        memset(s, 'a', length);
        s[length] = 0;
        memset(buf, '#', sizeof(buf));
        assert_int_equal(strncpy_from_user(buf, s, sizeof(buf)), length);
        assert_int_equal(strlen(buf), length);
        assert_int_equal(strncpy_from_user(buf, s, length + 1), length);
        if (length)
            assert_int_equal(strncpy_from_user(buf, s, length), -ENAMETOOLONG);
        *at(-1) = 'a'; /* runs into the absent page */
        assert_int_equal(strncpy_from_user(buf, s, sizeof(buf)), -EFAULT);
    }
    assert_int_equal(strncpy_from_user(buf, NULL, sizeof(buf)), -EFAULT);
    assert_int_equal(strncpy_from_user(buf, at(0), sizeof(buf)), -EFAULT);
}

static void test_iter(void **state)
{
    struct iov_iter it;
    struct iovec v[] = {{at(-100), 5}, {NULL, 0}, {at(-50), 3}, {at(-2), 8}};
    char buf[32] = "abcdefghijklmnop";

    (void)state;
    null_catch_faults();
    iov_iter_vec(&it, v, 4, 16);
    assert_int_equal(copy_to_iter(buf, 4, &it), 4);
    assert_int_equal(copy_to_iter(buf + 4, 12, &it), 6); /* 1, 3, and 2 of 8 */
    assert_memory_equal(at(-100), "abcde", 5);
    assert_memory_equal(at(-50), "fgh", 3);
    assert_memory_equal(at(-2), "ij", 2);
    assert_int_equal(it.count, 6);

    iov_iter_vec(&it, v, 4, 10);
    memset(buf, 0, sizeof(buf));
    assert_int_equal(copy_from_iter(buf, sizeof(buf), &it), 10);
    assert_string_equal(buf, "abcdefghij");
    assert_int_equal(it.count, 0);
    assert_int_equal(copy_from_iter(buf, 1, &it), 0);

    iov_iter_kernel(&it, buf, 6);
    assert_int_equal(zero_to_iter(100, &it), 6);
    assert_memory_equal(buf, "\0\0\0\0\0\0ghij", 10);
    iov_iter_user(&it, at(-3), 10);
    assert_int_equal(zero_to_iter(10, &it), 3);
}

static void test_import(void **state)
{
    struct iovec fast[IOV_FAST], *heap, *user = (struct iovec *)BASE;
    struct iov_iter it;

    (void)state;
    null_catch_faults();
    for (unsigned i = 0; i < 20; i++)
        user[i] = (struct iovec){(void *)BASE, i};
    assert_int_equal(iov_import(&it, user, 0, fast, &heap), 0);
    assert_int_equal(iov_import(&it, user, 8, fast, &heap), 28);
    assert_null(heap);
    assert_int_equal(iov_import(&it, user, 20, fast, &heap), 190);
    assert_non_null(heap);
    assert_int_equal(it.segs, 20);
    kfree(heap);
    assert_int_equal(iov_import(&it, user, UIO_MAXIOV + 1, fast, &heap), -EINVAL);
    assert_int_equal(iov_import(&it, (struct iovec *)at(-16), 2, fast, &heap), -EFAULT);
    user[1].iov_len = (size_t)-1;
    assert_int_equal(iov_import(&it, user, 2, fast, &heap), -EINVAL);
    user[1] = (struct iovec){(void *)(1UL << 47), 1};
    assert_int_equal(iov_import(&it, user, 2, fast, &heap), -EFAULT);
    user[1].iov_base = (void *)8; /* the copy fails there, not the import */
    assert_int_equal(iov_import(&it, user, 2, fast, &heap), 1);
    user[0].iov_len = user[1].iov_len = 0x50000000;
    user[1].iov_base = user[0].iov_base;
    assert_int_equal(iov_import(&it, user, 2, fast, &heap), MAX_RW_COUNT);
    null_alloc_fail_after(0);
    assert_int_equal(iov_import(&it, user, 9, fast, &heap), -ENOMEM);
    null_alloc_fail_after(UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),  cmocka_unit_test(test_copies_at_the_border),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_iter),
        cmocka_unit_test(test_import),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
