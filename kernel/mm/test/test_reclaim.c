/* SPDX-License-Identifier: MIT */
/*
 * Free and idle pages when memory runs out: what goes, in which order, and what must not.
 */
#include "harness.h"

#include <syscalls.gen.h>

#define BASE  0x200000000000UL
#define CHUNK (4UL << 20)

static const unsigned g_rw = PROT_READ | PROT_WRITE;
static const unsigned g_anon = MAP_PRIVATE | MAP_ANONYMOUS;

static void map_at(struct mm *mm, uintptr_t addr, size_t size)
{
    assert_int_equal(mm_map(mm, addr, size, g_rw, g_anon | MAP_FIXED | MAP_NORESERVE, NULL, 0), addr);
}

/* Writes every page. How many until memory was used up. */
static u64 fill(uintptr_t start, size_t size, u8 value)
{
    int code;
    for (u64 i = 0; i < size / PAGE_SIZE; i++) {
        if (touch_write(start + i * PAGE_SIZE, value, &code))
            return i;
    }
    return size / PAGE_SIZE;
}

static void expect_all(uintptr_t start, size_t size, u8 value)
{
    u8 seen = 0;
    int code;
    for (uintptr_t va = start; va < start + size; va += PAGE_SIZE) {
        assert_int_equal(touch_read(va, &seen, &code), 0);
        assert_int_equal(seen, value);
    }
}

static u64 count_state(uintptr_t start, size_t size, u8 bit)
{
    u64 n = 0;
    for (uintptr_t va = start; va < start + size; va += PAGE_SIZE)
        n += (ps_get(va) & bit) != 0;
    return n;
}

/* What was freed first goes first, in bulk, and only as much as is needed. */
static void test_oldest_first(void **state)
{
    struct mm *mm = harness_mm();
    struct mm_stats s;
    (void)state;
    for (uintptr_t i = 0; i < 3; i++) {
        map_at(mm, BASE + 2 * i * CHUNK, CHUNK);
        fill(BASE + 2 * i * CHUNK, CHUNK, 1);
    }
    for (uintptr_t i = 3; i-- > 0;) /* the highest is the oldest */
        assert_int_equal(mm_unmap(mm, BASE + 2 * i * CHUNK, CHUNK), 0);
    assert_int_equal(count_state(BASE, 5 * CHUNK, PS_FREE), 3 * CHUNK / PAGE_SIZE);
    map_at(mm, BASE + 2 * CHUNK, CHUNK); /* claimed and freed again: now the youngest */
    assert_int_equal(mm_unmap(mm, BASE + 2 * CHUNK, CHUNK), 0);
    mm_stats(&s);
    u64 unused = TEST_MEMORY / PAGE_SIZE - s.used_pages - 3 * CHUNK / PAGE_SIZE;
    map_at(mm, BASE + (1UL << 40), TEST_MEMORY);
    unsigned long calls = g_target.calls;
    assert_int_equal(fill(BASE + (1UL << 40), (unused - 400) * PAGE_SIZE, 1), unused - 400);
    assert_true(g_target.calls < calls + unused + 20);
    assert_true(count_state(BASE + 4 * CHUNK, CHUNK, PS_FREE) < CHUNK / PAGE_SIZE);
    assert_int_equal(count_state(BASE, 3 * CHUNK, PS_FREE), 2 * CHUNK / PAGE_SIZE);
    assert_int_equal(fill(BASE + (1UL << 40) + (unused - 400) * PAGE_SIZE, CHUNK, 1), CHUNK / PAGE_SIZE);
    assert_true(count_state(BASE + 4 * CHUNK, CHUNK, PS_FREE) == 0);
    assert_true(count_state(BASE, CHUNK, PS_FREE) < CHUNK / PAGE_SIZE);
    assert_int_equal(count_state(BASE + 2 * CHUNK, CHUNK, PS_FREE), CHUNK / PAGE_SIZE);
    check_tree(mm);
}

/* Idle pages go when memory runs out, but for those that the program uses again without our knowing. */
static void test_idle(void **state)
{
    struct mm *mm = harness_mm();
    struct mm_stats s;
    int n = 3;
    (void)state;
    map_at(mm, BASE, n * CHUNK);
    assert_int_equal(fill(BASE, n * CHUNK, 7), n * CHUNK / PAGE_SIZE);
    for (int i = 0; i < n; i++)
        assert_int_equal(sys_madvise(BASE + i * CHUNK, CHUNK, MADV_DONTNEED), 0);
    assert_int_equal(count_state(BASE, n * CHUNK, PS_IDLE), n * CHUNK / PAGE_SIZE);
    assert_int_equal(mm->rss, 0);
    for (uintptr_t va = BASE; va < BASE + n * CHUNK; va += 2 * PAGE_SIZE)
        *(volatile u8 *)(va + 4095) = 9; /* no fault */
    mm_stats(&s);
    u64 gain = n * CHUNK / PAGE_SIZE / 2, left = s.limit_pages - s.used_pages;
    map_at(mm, BASE + (1UL << 40), TEST_MEMORY);
    u64 got = fill(BASE + (1UL << 40), TEST_MEMORY, 1);
    assert_true(got >= left + gain - 600 && got <= left + gain);
    for (uintptr_t va = BASE; va < BASE + n * CHUNK; va += 2 * PAGE_SIZE)
        assert_int_equal(*(volatile u8 *)(va + 4095), 9);
    assert_int_equal(count_state(BASE, n * CHUNK, PS_PRESENT), gain);
    check_tree(mm);
    assert_int_equal(mm_unmap(mm, BASE + (1UL << 40), TEST_MEMORY), 0);
    expect_all(BASE, n * CHUNK, 0);
    check_tree(mm);
}

/* A promise counts on what is idle, and on nothing that only looks so. */
static void test_promise(void **state)
{
    struct mm *mm = harness_mm();
    struct mm_stats s;
    (void)state;
    map_at(mm, BASE, 2 * CHUNK);
    for (int reuse = 0; reuse < 2; reuse++) {
        fill(BASE, 2 * CHUNK, 7);
        assert_int_equal(sys_madvise(BASE, CHUNK, MADV_DONTNEED), 0);
        assert_int_equal(sys_madvise(BASE + CHUNK, CHUNK, MADV_DONTNEED), 0);
        if (reuse)
            fill(BASE, 2 * CHUNK, 8);
        mm_stats(&s);
        size_t size = (s.limit_pages - s.used_pages) * PAGE_SIZE;
        assert_int_equal(mm_map(mm, 0, size, g_rw, g_anon, NULL, 0) > 0, !reuse);
    }
    expect_all(BASE, 2 * CHUNK, 8);
}

/* The EPC may be used up before MemorySize is. */
static void test_epc(void **state)
{
    struct mm *mm = harness_mm();
    (void)state;
    map_at(mm, BASE, 2 * CHUNK);
    fill(BASE, 2 * CHUNK, 1);
    assert_int_equal(mm_unmap(mm, BASE, 2 * CHUNK), 0);
    g_target.epc = g_target.committed + 64;
    map_at(mm, BASE + (1UL << 40), 2 * CHUNK);
    assert_int_equal(fill(BASE + (1UL << 40), 2 * CHUNK, 2), 2 * CHUNK / PAGE_SIZE);
    expect_all(BASE + (1UL << 40), 2 * CHUNK, 2);
    g_target.epc = 0;
    check_tree(mm);
}

/* A batch that the host ends early keeps what it got: other threads may be using it. */
static void test_partial_commit(void **state)
{
    struct mm *mm = harness_mm();
    int code;
    (void)state;
    map_at(mm, BASE, 64 * PAGE_SIZE);
    assert_int_equal(touch_write(BASE + 32 * PAGE_SIZE, 1, &code), 0);
    assert_int_equal(mm_unmap(mm, BASE, 64 * PAGE_SIZE), 0);
    map_at(mm, BASE, 64 * PAGE_SIZE);
    reclaim(~0UL);
    g_target_fail_after = 3;
    assert_int_equal(touch_write(BASE, 1, &code), 0);
    g_target_fail_after = -1;
    assert_int_equal(count_state(BASE, 8 * PAGE_SIZE, PS_PRESENT), 3);
    assert_int_equal(count_state(BASE, 8 * PAGE_SIZE, PS_COMING), 0);
    assert_int_equal(mm->rss, 3 + count_state(BASE + 8 * PAGE_SIZE, 56 * PAGE_SIZE, PS_PRESENT));
    check_tree(mm);
}

/* The host takes nothing back: pages stay what they were. */
static void test_refused(void **state)
{
    struct mm *mm = harness_mm();
    (void)state;
    map_at(mm, BASE, 2 * CHUNK);
    fill(BASE, 2 * CHUNK, 7);
    assert_int_equal(sys_madvise(BASE, CHUNK, MADV_DONTNEED), 0);
    assert_int_equal(mm_unmap(mm, BASE + CHUNK, CHUNK), 0);
    for (long n = 0; n < 6; n++) {
        g_target_fail_after = n;
        (void)reclaim(64);
        g_target_fail_after = -1;
        assert_int_equal(count_state(BASE, 2 * CHUNK, PS_BUSY), 0);
        check_tree(mm);
    }
    expect_all(BASE, CHUNK, 0);
    check_tree(mm);
}

/* A program that never comes back to an address leaves nothing behind that grows. */
static void test_fresh_addresses(void **state)
{
    struct mm *mm = harness_mm();
    struct mm_stats before, after;
    int code;
    (void)state;
    for (uintptr_t i = 0; i < 20000; i++) {
        uintptr_t at = BASE + i * (48UL << 20);
        if (i == 10000)
            mm_stats(&before);
        map_at(mm, at, 2 * PAGE_SIZE);
        assert_int_equal(touch_write(at, 1, &code), 0);
        assert_int_equal(mm_unmap(mm, at, 2 * PAGE_SIZE), 0);
    }
    mm_stats(&after);
    assert_true(after.kernel_pages <= before.kernel_pages + 8);
    assert_true(ps_node_pages() < 64 + TEST_MEMORY / PAGE_SIZE / 64 + 100);
    u64 used = ps_nodes_used();
    while (reclaim(~0UL / 2))
        ;
    assert_true(ps_nodes_used() < used / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_first),    cmocka_unit_test(test_idle),
        cmocka_unit_test(test_promise),         cmocka_unit_test(test_epc),
        cmocka_unit_test(test_partial_commit),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fresh_addresses), cmocka_unit_test(harness_nothing_left),
    };
    harness_init();
    return cmocka_run_group_tests_name("mm-reclaim", tests, NULL, NULL);
}
