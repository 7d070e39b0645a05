/* SPDX-License-Identifier: MIT */
/*
 * mremap, madvise, mlock, mincore and msync: random moves against a copy of the content, then what
 * single cases promise.
 */
#include "harness.h"
#include <kernel/signal.h>
#include <linux/fcntl.h>
#include <syscalls.gen.h>

static const unsigned g_anon = MAP_PRIVATE | MAP_ANONYMOUS;
static const unsigned g_rw = PROT_READ | PROT_WRITE;

static uintptr_t map_rw(size_t pages)
{
    long a = mm_map(current->mm, 0, pages << PAGE_SHIFT, g_rw, g_anon, NULL, 0);
    assert_true(a > 0);
    return (uintptr_t)a;
}

static u8 byte_at(uintptr_t addr)
{
    u8 byte = 0;
    int code;
    assert_int_equal(touch_read(addr, &byte, &code), 0);
    return byte;
}

/* ---- Random growth, shrinking and moves ----------------------------------------------------- */

#define AREAS      6
#define AREA_PAGES 80
static struct {
    uintptr_t addr;
    size_t pages;
    u8 byte[AREA_PAGES];
} g_area[AREAS];

static void area_check(unsigned k)
{
    for (size_t i = 0; i < g_area[k].pages; i++)
        assert_int_equal(byte_at(g_area[k].addr + i * PAGE_SIZE + 5), g_area[k].byte[i]);
}

static void area_remap(unsigned k, size_t pages)
{
    unsigned long flags = test_random() % 4 ? MREMAP_MAYMOVE : 0;
    uintptr_t to = 0x180000000000UL + k * (1UL << 30) + (test_random() % 64 << 24);
    if (flags && test_random() % 3 == 0 && to != g_area[k].addr)
        flags |= MREMAP_FIXED;
    long a =
        sys_mremap(g_area[k].addr, g_area[k].pages << PAGE_SHIFT, pages << PAGE_SHIFT, flags, to);
    if (!(flags & MREMAP_MAYMOVE) && a == -ENOMEM)
        return;
    if (flags & MREMAP_FIXED)
        assert_int_equal(a, to);
    assert_true(a > 0);
    for (size_t i = g_area[k].pages; i < pages; i++)
        g_area[k].byte[i] = 0;
    g_area[k].addr = (uintptr_t)a;
    g_area[k].pages = pages;
}

static void test_random_moves(void **state)
{
    struct mm *mm = harness_mm();
    (void)state;
    for (unsigned k = 0; k < AREAS; k++) {
        g_area[k].pages = 8;
        g_area[k].addr = map_rw(8);
    }
    for (int i = 0; i < 6000; i++) {
        unsigned k = (unsigned)(test_random() % AREAS);
        size_t page = test_random() % g_area[k].pages;
        int code;
        if (test_random() % 3) {
            g_area[k].byte[page] = (u8)test_random();
            assert_int_equal(
                touch_write(g_area[k].addr + page * PAGE_SIZE + 5, g_area[k].byte[page], &code), 0);
            continue;
        }
        area_remap(k, test_random() % AREA_PAGES + 1);
        area_check(k);
        if (i % 16 == 0)
            check_tree(mm);
    }
    for (unsigned k = 0; k < AREAS; k++)
        area_check(k);
}

/* A growing array finds room above itself most of the time. */
static void test_growing_array(void **state)
{
    harness_mm();
    uintptr_t a = map_rw(64);
    unsigned moves = 0;
    (void)state;
    for (size_t pages = 64; pages < 4096; pages += 64) {
        long b = sys_mremap(a, pages << PAGE_SHIFT, (pages + 64) << PAGE_SHIFT, MREMAP_MAYMOVE, 0);
        assert_true(b > 0);
        moves += (uintptr_t)b != a;
        a = (uintptr_t)b;
        map_rw(1);
    }
    assert_true(moves <= 8);
}

static void test_remap_errors(void **state)
{
    struct mm *mm = harness_mm();
    uintptr_t a = map_rw(4);
    (void)state;
    assert_int_equal(sys_mremap(a + 1, 4096, 8192, 0, 0), -EINVAL);
    assert_int_equal(sys_mremap(a, 4096, 0, 0, 0), -EINVAL);
    assert_int_equal(sys_mremap(a, 4096, 8192, 64, 0), -EINVAL);
    assert_int_equal(sys_mremap(a, 4096, 8192, MREMAP_FIXED, 0x100000), -EINVAL);
    assert_int_equal(sys_mremap(a, 8192, 8192, MREMAP_FIXED | MREMAP_MAYMOVE, a + 4096), -EINVAL);
    assert_int_equal(sys_mremap(a, 0, 4096, MREMAP_MAYMOVE, 0), -EINVAL);
    assert_int_equal(sys_mremap(0x70000000, 4096, 8192, MREMAP_MAYMOVE, 0), -EFAULT);
    assert_int_equal(sys_mremap(a, 5 * 4096, 6 * 4096, MREMAP_MAYMOVE, 0), -EFAULT);
    assert_int_equal(sys_mremap(a, 4096, 8192, 0, 0), -ENOMEM);
    assert_int_equal(sys_mremap(a, 4096, 8192, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), -EINVAL);
    assert_int_equal(sys_mremap(a, 4 * 4096, 4096, 0, 0), a);
    assert_int_equal(mm->total_vm, 1);
    check_tree(mm);
}

static void test_dontunmap(void **state)
{
    struct mm *mm = harness_mm();
    uintptr_t a = map_rw(4);
    int code;
    (void)state;
    assert_int_equal(touch_write(a + 4096, 42, &code), 0);
    long b = sys_mremap(a, 4 * 4096, 4 * 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    assert_true(b > 0 && (uintptr_t)b != a);
    assert_int_equal(byte_at((uintptr_t)b + 4096), 42);
    assert_int_equal(byte_at(a + 4096), 0);
    check_tree(mm);
}

static void test_remap_files(void **state)
{
    struct mm *mm = harness_mm();
    struct file *f = file_make(8, O_RDWR);
    int code;
    (void)state;
    uintptr_t a = (uintptr_t)mm_map(mm, 0, 2 * PAGE_SIZE, g_rw, MAP_SHARED, f, PAGE_SIZE);
    assert_int_equal(touch_write(a + 4096, 50, &code), 0);
    long b = sys_mremap(a, 0, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0); /* a second view */
    assert_true(b > 0);
    assert_int_equal(byte_at((uintptr_t)b + 4096), 50);
    long c = sys_mremap(a, 2 * PAGE_SIZE, 6 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
    assert_true(c > 0);
    assert_int_equal(byte_at((uintptr_t)c + 4096), 50);
    assert_int_equal(byte_at((uintptr_t)c + 5 * PAGE_SIZE), 7);
    uintptr_t p = (uintptr_t)mm_map(mm, 0, PAGE_SIZE, g_rw, MAP_PRIVATE, f, 0);
    assert_int_equal(touch_write(p, 51, &code), 0);
    long q = sys_mremap(p, PAGE_SIZE, 3 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
    assert_int_equal(byte_at((uintptr_t)q), 51);
    assert_int_equal(byte_at((uintptr_t)q + 2 * PAGE_SIZE), 50);
    check_tree(mm);
    harness_mm_drop();
    assert_int_equal(file_page(f, 2)[0], 50);
    file_put(f);
}

/* ---- madvise -------------------------------------------------------------------------------- */

static void test_dontneed(void **state)
{
    struct mm *mm = harness_mm();
    uintptr_t a = map_rw(64);
    int code;
    u8 vec[64];
    (void)state;
    for (uintptr_t i = 0; i < 64; i++)
        assert_int_equal(touch_write(a + i * PAGE_SIZE, 9, &code), 0);
    assert_int_equal(mm->rss, 64);
    unsigned long calls = g_target.calls;
    assert_int_equal(sys_madvise(a, 32 * PAGE_SIZE, MADV_DONTNEED), 0);
    assert_int_equal(g_target.calls, calls);
    assert_int_equal(mm->rss, 32);
    assert_int_equal(touch_write(a, 1, &code), 0);
    assert_int_equal(sys_mincore(a, 64 * PAGE_SIZE, vec), 0);
    assert_int_equal(vec[0], 1);
    assert_int_equal(vec[1], 0);
    assert_int_equal(vec[32], 1);
    assert_int_equal(byte_at(a + PAGE_SIZE), 0);
    assert_int_equal(byte_at(a + 32 * PAGE_SIZE), 9);
    assert_int_equal(sys_madvise(a, 64 * PAGE_SIZE, MADV_FREE), 0);
    assert_int_equal(mm->rss, 0);
    assert_int_equal(mm_unmap(mm, a + 4 * PAGE_SIZE, PAGE_SIZE), 0);
    assert_int_equal(sys_madvise(a, 64 * PAGE_SIZE, MADV_DONTNEED), -ENOMEM);
    assert_int_equal(sys_mincore(a, 64 * PAGE_SIZE, vec), -ENOMEM);
    check_tree(mm);
}

static void test_advice(void **state)
{
    struct mm *mm = harness_mm();
    struct file *f = file_make(4, O_RDWR);
    int code;
    (void)state;
    uintptr_t a = map_rw(8);
    assert_int_equal(sys_madvise(a, 4096, 12345), -EINVAL);
    assert_int_equal(sys_madvise(a + 1, 4096, MADV_NORMAL), -EINVAL);
    assert_int_equal(sys_madvise(a, 0, MADV_DONTNEED), 0);
    assert_int_equal(sys_madvise(a, 4096, MADV_HUGEPAGE), 0);
    assert_int_equal(sys_madvise(a + 8192, 4096, MADV_DONTFORK), 0);
    assert_int_equal(mm->vma_count, 3);
    assert_int_equal(sys_madvise(a, 4 * 4096, MADV_DOFORK), 0);
    assert_int_equal(mm->vma_count, 1);
    assert_int_equal(sys_madvise(a, 8 * 4096, MADV_POPULATE_WRITE), 0);
    assert_int_equal(mm->rss, 8);
    assert_int_equal(mm_protect(mm, a, 4096, PROT_READ), 0);
    assert_int_equal(sys_madvise(a, 4096, MADV_POPULATE_WRITE), -EFAULT);
    assert_int_equal(sys_madvise(a, 8 * 4096, MADV_REMOVE), -EINVAL);
    uintptr_t s = (uintptr_t)mm_map(mm, 0, 8192, g_rw, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
    assert_int_equal(touch_write(s, 3, &code), 0);
    assert_int_equal(sys_madvise(s, 4096, MADV_DONTNEED), 0);
    assert_int_equal(byte_at(s), 3);
    assert_int_equal(sys_madvise(s, 4096, MADV_REMOVE), 0);
    assert_int_equal(byte_at(s), 0);
    uintptr_t p = (uintptr_t)mm_map(mm, 0, 4096, g_rw, MAP_PRIVATE, f, 4096);
    assert_int_equal(touch_write(p, 88, &code), 0);
    assert_int_equal(sys_madvise(p, 4096, MADV_DONTNEED), 0);
    assert_int_equal(byte_at(p), 2);
    check_tree(mm);
    harness_mm_drop();
    file_put(f);
}

/* ---- mlock, msync --------------------------------------------------------------------------- */

static void test_mlock(void **state)
{
    struct mm *mm = harness_mm();
    uintptr_t a = map_rw(64);
    (void)state;
    g_rlimits[RLIMIT_MEMLOCK] = 32 * PAGE_SIZE;
    assert_int_equal(sys_mlock(a + 5, 4096), 0);
    assert_int_equal(mm->locked_vm, 2);
    assert_int_equal(sys_mlock(a, 33 * PAGE_SIZE), -ENOMEM);
    assert_int_equal(sys_mlock(a, 32 * PAGE_SIZE), 0);
    assert_int_equal(mm->rss >= 32, 1);
    assert_int_equal(sys_madvise(a, 4096, MADV_DONTNEED), -EINVAL);
    assert_int_equal(sys_munlock(a, 64 * PAGE_SIZE), 0);
    assert_int_equal(mm->locked_vm, 0);
    assert_int_equal(sys_mlock2(a, 4096, 2), -EINVAL);
    assert_int_equal(sys_mlock2(a, 4096, MLOCK_ONFAULT), 0);
    assert_int_equal(sys_mlockall(0), -EINVAL);
    assert_int_equal(sys_mlockall(MCL_CURRENT), -ENOMEM);
    g_rlimits[RLIMIT_MEMLOCK] = 0;
    assert_int_equal(sys_mlock(a, 4096), -EPERM);
    g_rlimits[RLIMIT_MEMLOCK] = RLIM_INFINITY_;
    assert_int_equal(sys_mlockall(MCL_CURRENT | MCL_FUTURE), 0);
    map_rw(40);
    assert_int_equal(mm->locked_vm, 104);
    assert_int_equal(mm->rss, 104);
    assert_int_equal(sys_munlockall(), 0);
    check_tree(mm);
}

static void test_msync(void **state)
{
    struct mm *mm = harness_mm();
    uintptr_t a = map_rw(4);
    (void)state;
    assert_int_equal(sys_msync(a, 4 * PAGE_SIZE, MS_SYNC), 0);
    assert_int_equal(sys_msync(a + 1, 4096, MS_SYNC), -EINVAL);
    assert_int_equal(sys_msync(a, 4096, MS_SYNC | MS_ASYNC), -EINVAL);
    assert_int_equal(mm_unmap(mm, a + PAGE_SIZE, PAGE_SIZE), 0);
    assert_int_equal(sys_msync(a, 4 * PAGE_SIZE, MS_ASYNC), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_moves), cmocka_unit_test(test_growing_array),
        cmocka_unit_test(test_remap_errors), cmocka_unit_test(test_dontunmap),
        cmocka_unit_test(test_remap_files),  cmocka_unit_test(test_dontneed),
        cmocka_unit_test(test_advice),       cmocka_unit_test(test_mlock),
        cmocka_unit_test(test_msync),        cmocka_unit_test(harness_nothing_left),
    };
    harness_init();
    return cmocka_run_group_tests_name("mm-remap", tests, NULL, NULL);
}
