/* SPDX-License-Identifier: MIT */
/* What one address space leaves for the next at the same place (kept.c). */
#include "harness.h"

#include <kernel/loader.h>

#define BASE  0x200000000000UL
#define PAGES 4UL
#define SIZE  (PAGES * PAGE_SIZE)
#define TEXT  (PROT_READ | PROT_EXEC)
#define DATA  (PROT_READ | PROT_WRITE)

static struct file *g_file;

static void map(uintptr_t addr, size_t size, unsigned prot, unsigned more, struct file *f, u64 page)
{
    assert_int_equal(
        mm_map(current->mm, addr, size, prot, MAP_PRIVATE | MAP_FIXED | more, f, page << PAGE_SHIFT), addr);
}

/* Byte 0 of each page counts up from `first`. */
static void expect(uintptr_t addr, u8 first)
{
    u8 seen = 0;
    int code;

    for (u64 i = 0; i < PAGES; i++) {
        assert_int_equal(touch_read(addr + i * PAGE_SIZE, &seen, &code), 0);
        assert_int_equal(seen, first + i);
    }
}

/* A new address space maps four pages from page 3 on and reads them: how many calls of the target it took. */
static u64 map_anew(unsigned prot)
{
    u64 before = g_target.calls;

    harness_mm();
    map(BASE, SIZE, prot, 0, g_file, 3);
    expect(BASE, 4);
    return g_target.calls - before;
}

static int setup(void **state)
{
    (void)state;
    g_files_pristine = true;
    g_rewritten = (struct rewritten){0};
    g_file = file_make(16, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_mm_drop();
    file_put(g_file);
    while (free_count() && reclaim(1)) /* so that the next test finds nothing */
        ;
    return 0;
}

static void test_same_place(void **state)
{
    (void)state;
    assert_true(map_anew(PROT_READ) > 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(map_anew(PROT_READ), 0);
        assert_int_equal(current->mm->rss, PAGES);
        assert_int_equal(target_page_state(BASE), 8 | PROT_READ);
    }
}

static void test_changed_file(void **state)
{
    u8 seen = 0;
    int code;

    (void)state;
    (void)map_anew(PROT_READ);
    harness_mm();
    g_files_pristine = false;
    file_page(g_file, 3)[0] = 200;
    map(BASE, SIZE, PROT_READ, 0, g_file, 3);
    assert_int_equal(touch_read(BASE, &seen, &code), 0);
    assert_int_equal(seen, 200);
    harness_mm(); /* what is not as the archive has it is not kept either */
    g_files_pristine = true;
    file_page(g_file, 3)[0] = 4;
    map(BASE, SIZE, PROT_READ, 0, g_file, 3);
    expect(BASE, 4);
}

static void test_other_content(void **state)
{
    struct file *other = file_make(16, 0);

    (void)state;
    file_page(other, 3)[0] = 77;
    (void)map_anew(PROT_READ);
    harness_mm();
    map(BASE, SIZE, PROT_READ, 0, g_file, 5);
    expect(BASE, 6);
    harness_mm();
    map(BASE, SIZE, PROT_READ, 0, other, 5);
    expect(BASE, 6);
    harness_mm();
    map(BASE - PAGE_SIZE, SIZE, PROT_READ, 0, g_file, 3);
    expect(BASE - PAGE_SIZE, 4);
    harness_mm_drop();
    file_put(other);
}

static void test_text(void **state)
{
    (void)state;
    g_rewritten = (struct rewritten){.base = 0x1000};
    assert_true(map_anew(TEXT) > 0);
    assert_int_equal(map_anew(TEXT), 0);
    assert_int_equal(target_page_state(BASE), 8 | TEXT);
    file_page(g_file, 3)[0] = 200;
    harness_mm();
    g_rewritten.base = 0x2000; /* its jumps lead elsewhere now: none of the old ones may stay */
    map(BASE, SIZE, TEXT, 0, g_file, 3);
    for (u64 i = 0; i < PAGES; i++)
        assert_int_equal(target_page_state(BASE + i * PAGE_SIZE), 0);
    file_page(g_file, 3)[0] = 4;
    expect(BASE, 4);
}

/* Written data is not kept, but its pages serve. */
static void test_data(void **state)
{
    int code;

    (void)state;
    (void)map_anew(DATA);
    for (int round = 0; round < 3; round++) {
        for (u64 i = 0; i < PAGES; i++)
            assert_int_equal(touch_write(BASE + i * PAGE_SIZE, 99, &code), 0);
        assert_int_equal(map_anew(DATA), 0);
    }
    assert_int_equal(current->mm->rss, PAGES);
}

/* As a dynamic linker does it: the whole library readable, then its segments over that. */
static u64 load_library(void)
{
    u64 before = g_target.committed + g_target.released;
    u8 seen = 99;
    int code;

    harness_mm();
    map(BASE, 4 * SIZE, PROT_READ, MAP_DENYWRITE, g_file, 0);
    map(BASE + SIZE, SIZE, TEXT, MAP_DENYWRITE, g_file, 4);
    map(BASE + 2 * SIZE, SIZE, DATA, MAP_DENYWRITE, g_file, 7);
    map(BASE + 3 * SIZE, SIZE, DATA, MAP_ANONYMOUS, NULL, 0);
    expect(BASE, 1);
    expect(BASE + SIZE, 5);
    expect(BASE + 2 * SIZE, 8);
    assert_int_equal(touch_read(BASE + 3 * SIZE, &seen, &code), 0);
    assert_int_equal(seen, 0);
    assert_int_equal(touch_write(BASE + 3 * SIZE, 1, &code), 0);
    assert_int_equal(touch_write(BASE + 2 * SIZE, 1, &code), 0);
    assert_int_equal(touch_write(BASE + SIZE, 1, &code), SIGSEGV);
    return g_target.committed + g_target.released - before;
}

static void test_library(void **state)
{
    (void)state;
    assert_true(load_library() > 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(load_library(), 0);
}

/* They are given back as other free pages are. */
static void test_reclaim(void **state)
{
    u64 before;

    (void)state;
    (void)map_anew(TEXT);
    harness_mm_drop();
    assert_true(free_count() >= PAGES);
    before = free_count();
    while (free_count() && reclaim(before))
        ;
    assert_int_equal(free_count(), 0);
    assert_int_equal(target_page_state(BASE), 0);
    (void)map_anew(TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changed_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_content, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_library, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reclaim, setup, teardown),
        cmocka_unit_test(harness_nothing_left),
    };

    harness_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
