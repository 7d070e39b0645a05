/* SPDX-License-Identifier: MIT */
/*
 * Page state, kernel pages and the heap: random operations against simple models.
 */
#include "harness.h"

static void test_pagestate(void **state)
{
    u8 s;
    const uintptr_t base = 0x123456789000UL, count = 20000, end = base + count * PAGE_SIZE;
    static u8 model[20000];
    (void)state;
    assert_int_equal(ps_get(base), 0);
    assert_int_equal(ps_run(USER_START, USER_END, 0xff, &s), USER_END);
    assert_int_equal(ps_reserve(base, end), 0);
    memset(model, PS_COMING, sizeof(model));
    for (int i = 0; i < 3000; i++) {
        size_t from = test_random() % count, n = test_random() % (count - from) + 1;
        u8 value = test_random() % 4 ? PS_PRESENT | (u8)(test_random() % 8) : PS_COMING;
        n = n % (i % 2 ? 40 : 6000) + 1;
        n = min(n, count - from);
        ps_set(base + from * PAGE_SIZE, base + (from + n) * PAGE_SIZE, value);
        memset(model + from, value, n);
    }
    for (uintptr_t va = base, next; va < end; va = next) {
        next = ps_run(va, end, 0xff, &s);
        for (uintptr_t p = va; p < next; p += PAGE_SIZE)
            assert_int_equal(model[(p - base) / PAGE_SIZE], s);
        if (next < end)
            assert_int_not_equal(model[(next - base) / PAGE_SIZE], s);
    }
    ps_set(base, end, 0);
    assert_int_equal(ps_run(base, end + PAGE_SIZE, 0xff, &s), end + PAGE_SIZE);
}

/* Nodes whose pages are absent again serve other addresses: a walk over many needs no more of them. */
static void test_nodes_reused(void **state)
{
    const uintptr_t base = 0x23456789a000UL;
    u64 used = ps_nodes_used(), pages;
    (void)state;
    assert_int_equal(ps_reserve(base, base + PAGE_SIZE), 0);
    pages = ps_node_pages();
    for (uintptr_t i = 1; i < 20000; i++) {
        uintptr_t va = base + i * (i % 3 ? 16UL << 20 : 1UL << 30) % (8UL << 40);
        assert_int_equal(ps_reserve(va, va + 3 * PAGE_SIZE), 0);
        ps_set(va, va + 3 * PAGE_SIZE, PS_PRESENT);
        assert_true(ps_nodes_used() <= used + 8);
        ps_set(va + PAGE_SIZE, va + 3 * PAGE_SIZE, 0);
        assert_int_equal(ps_get(va), PS_PRESENT);
        ps_set(va, va + PAGE_SIZE, 0);
    }
    assert_int_equal(ps_get(base), PS_COMING);
    ps_set(base, base + PAGE_SIZE, 0);
    assert_true(ps_node_pages() <= pages + 8);
    assert_true(ps_nodes_used() <= used + 4); /* the top ones stay */
}

#define RUNS 200
static void test_kpages(void **state)
{
    static struct {
        u64 *p;
        size_t count;
    } run[RUNS];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t k = test_random() % RUNS;
        if (run[k].p) {
            for (size_t j = 0; j < run[k].count; j++)
                assert_int_equal(run[k].p[j * 512], k * 1000 + j);
            kpages_free(run[k].p, run[k].count);
            run[k].p = NULL;
            continue;
        }
        run[k].count = test_random() % 8 ? test_random() % 5 + 1 : test_random() % 100 + 1;
        run[k].p = kpages_alloc(run[k].count);
        assert_non_null(run[k].p);
        for (size_t j = 0; j < run[k].count; j++) {
            for (size_t w = 0; w < 512; w += 73)
                assert_int_equal(run[k].p[j * 512 + w], 0);
            run[k].p[j * 512] = k * 1000 + j;
        }
    }
    for (size_t k = 0; k < RUNS; k++)
        kpages_free(run[k].p, run[k].p ? run[k].count : 0);
    memset(run, 0, sizeof(run));
    u64 before = kpage_free_count(), trimmed = kpage_trim(before);
    assert_true(trimmed > 0);
    assert_int_equal(kpage_free_count(), before - trimmed);
}

static void test_kpages_limit(void **state)
{
    struct mm_stats before, after;
    (void)state;
    mm_stats(&before);
    assert_null(kpages_alloc(TEST_MEMORY / PAGE_SIZE + 1));
    assert_null(kpages_alloc(0));
    assert_null(kmalloc(~0UL));
    assert_null(kcalloc(1UL << 40, 1UL << 40));
    size_t n = 0;
    static void *p[TEST_MEMORY / PAGE_SIZE];
    while ((p[n] = kpages_alloc(1)))
        n++;
    assert_true(n > TEST_MEMORY / PAGE_SIZE * 9 / 10);
    mm_stats(&after);
    assert_true(after.used_pages <= after.limit_pages);
    while (n)
        kpages_free(p[--n], 1);
    assert_true(kpage_trim(~0UL) > 0);
    assert_int_equal(g_target.committed <= before.used_pages + 4096, 1);
}

#define OBJECTS 3000
static void test_heap(void **state)
{
    static u8 *object[OBJECTS];
    static size_t size[OBJECTS];
    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t k = test_random() % OBJECTS;
        if (object[k] && test_random() % 4 == 0) {
            size_t bigger = test_random() % 3000;
            u8 *p = krealloc(object[k], bigger);
            assert_non_null(p);
            for (size_t j = 0; j < min(size[k], bigger); j += 97)
                assert_int_equal(p[j], (u8)k);
            memset(p, (u8)k, bigger);
            object[k] = p;
            size[k] = bigger;
        } else if (object[k]) {
            for (size_t j = 0; j < size[k]; j++)
                assert_int_equal(object[k][j], (u8)k);
            kfree(object[k]);
            object[k] = NULL;
        } else {
            size[k] = test_random() % 100 ? test_random() % 700 : test_random() % 20000;
            object[k] = i % 2 ? kmalloc(size[k]) : kzalloc(size[k]);
            assert_non_null(object[k]);
            assert_int_equal((uintptr_t)object[k] % 16, 0);
            if (size[k] >= PAGE_SIZE)
                assert_int_equal((uintptr_t)object[k] % PAGE_SIZE, 0);
            for (size_t j = 0; i % 2 == 0 && j < size[k]; j++)
                assert_int_equal(object[k][j], 0);
            memset(object[k], (u8)k, size[k]);
        }
    }
    for (size_t k = 0; k < OBJECTS; k++)
        kfree(object[k]);
    char *s = kstrndup("hello", 4);
    assert_string_equal(s, "hell");
    kfree(s);
    kfree(NULL);
}

static void test_host_refuses(void **state)
{
    (void)state;
    kpage_trim(~0UL);
    for (long n = 0; n < 4; n++) {
        g_target_fail_after = n;
        void *p = kpages_alloc(300);
        g_target_fail_after = -1;
        kpages_free(p, p ? 300 : 0);
    }
    void *p = kpages_alloc(300);
    assert_non_null(p);
    kpages_free(p, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pagestate),    cmocka_unit_test(test_nodes_reused), cmocka_unit_test(test_kpages),
        cmocka_unit_test(test_kpages_limit), cmocka_unit_test(test_heap),
        cmocka_unit_test(test_host_refuses),
    };
    harness_init();
    return cmocka_run_group_tests_name("mm-alloc", tests, NULL, NULL);
}
