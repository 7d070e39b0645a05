/* SPDX-License-Identifier: MIT */
/*
 * Mappings and faults: random operations against a model of pages, then what single cases promise.
 */
#include "harness.h"
#include <kernel/boot.h>
#include <kernel/signal.h>
#include <syscalls.gen.h>
#include <linux/fcntl.h>

#define SIGSEGV_MAP(addr)                                                                          \
    do {                                                                                           \
        u8 b_;                                                                                     \
        int c_;                                                                                    \
        assert_int_equal(touch_read((addr), &b_, &c_), SIGSEGV);                                   \
        assert_int_equal(c_, SEGV_MAPERR);                                                         \
    } while (0)

static const unsigned g_anon = MAP_PRIVATE | MAP_ANONYMOUS;
static const unsigned g_rw = PROT_READ | PROT_WRITE;

/* ---- Random operations against a model ------------------------------------------------------ */

#define PAGES 96
#define BASE  0x200000000000UL
static struct {
    bool mapped;
    unsigned prot;
    u8 byte;
} g_model[PAGES];

static void pick(size_t *from, size_t *n)
{
    *from = test_random() % PAGES;
    *n = test_random() % min((size_t)20, PAGES - *from) + 1;
}

static bool all_mapped(size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++)
        if (!g_model[i].mapped)
            return false;
    return true;
}

static void do_map(size_t from, size_t n)
{
    static const unsigned prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
                                     PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
    unsigned prot = prots[test_random() % ARRAY_COUNT(prots)];
    uintptr_t addr = BASE + from * PAGE_SIZE;
    assert_int_equal(mm_map(current->mm, addr, n * PAGE_SIZE, prot, g_anon | MAP_FIXED, NULL, 0),
                     addr);
    for (size_t i = from; i < from + n; i++) {
        g_model[i].mapped = true;
        g_model[i].prot = prot;
        g_model[i].byte = 0;
    }
}

static void do_unmap(size_t from, size_t n)
{
    assert_int_equal(mm_unmap(current->mm, BASE + from * PAGE_SIZE, n * PAGE_SIZE), 0);
    for (size_t i = from; i < from + n; i++)
        g_model[i].mapped = false;
}

static void do_protect(size_t from, size_t n)
{
    static const unsigned prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_WRITE};
    unsigned prot = prots[test_random() % ARRAY_COUNT(prots)];
    int err = mm_protect(current->mm, BASE + from * PAGE_SIZE, n * PAGE_SIZE, prot);
    assert_int_equal(err, all_mapped(from, n) ? 0 : -ENOMEM);
    for (size_t i = from; !err && i < from + n; i++)
        g_model[i].prot = prot;
}

static void do_discard(size_t from, size_t n)
{
    long err = sys_madvise(BASE + from * PAGE_SIZE, n * PAGE_SIZE, MADV_DONTNEED);
    assert_int_equal(err, all_mapped(from, n) ? 0 : -ENOMEM);
    for (size_t i = from; i < from + n; i++)
        g_model[i].byte = 0;
}

static void do_touch(size_t i)
{
    uintptr_t addr = BASE + i * PAGE_SIZE + 100;
    int code = 0;
    u8 byte;
    if (!g_model[i].mapped)
        return; /* may still be accessible: the documented window */
    int sig = touch_read(addr, &byte, &code);
    assert_int_equal(sig, g_model[i].prot ? 0 : SIGSEGV);
    if (sig)
        assert_int_equal(code, SEGV_ACCERR);
    else
        assert_int_equal(byte, g_model[i].byte);
    sig = touch_write(addr, (u8)(i + 1), &code);
    assert_int_equal(sig, g_model[i].prot & PROT_WRITE ? 0 : SIGSEGV);
    if (!sig)
        g_model[i].byte = (u8)(i + 1);
}

static void test_model(void **state)
{
    struct mm *mm = harness_mm();
    (void)state;
    memset(g_model, 0, sizeof(g_model));
    for (int i = 0; i < 30000; i++) {
        size_t from, n;
        pick(&from, &n);
        switch (test_random() % 8) {
        case 0:
        case 1:
            do_map(from, n);
            break;
        case 2:
            do_unmap(from, n);
            break;
        case 3:
            do_protect(from, n);
            break;
        case 4:
            do_discard(from, n);
            break;
        default:
            for (size_t k = from; k < from + n; k++)
                do_touch(k);
        }
        if (i % 64 == 0)
            check_tree(mm);
    }
}

/* Thousands of VMAs: every gap is found, none overlaps, all are highest-first. */
static void test_gaps(void **state)
{
    struct mm *mm = harness_mm();
    static uintptr_t addr[4000];
    (void)state;
    for (int i = 0; i < 4000; i++) {
        unsigned prot = i % 2 ? PROT_READ : PROT_NONE;
        long a = mm_map(mm, 0, PAGE_SIZE * (i % 3 + 1), prot, g_anon, NULL, 0);
        assert_true(a > 0);
        addr[i] = (uintptr_t)a;
    }
    check_tree(mm);
    for (int i = 0; i < 4000; i += 3)
        assert_int_equal(mm_unmap(mm, addr[i], PAGE_SIZE * (i % 3 + 1)), 0);
    check_tree(mm);
    uintptr_t last = ~0UL;
    for (int i = 0; i < 1334; i++) {
        long a = mm_map(mm, 0, PAGE_SIZE, PROT_READ | PROT_EXEC, g_anon, NULL, 0);
        assert_true(a > 0 && (uintptr_t)a < last);
        last = (uintptr_t)a;
    }
    check_tree(mm);
}

/* ---- Steady states -------------------------------------------------------------------------- */

static void test_no_transitions(void **state)
{
    struct mm *mm = harness_mm();
    unsigned long calls = 0;
    int code;
    (void)state;
    for (int i = 0; i < 50; i++) {
        if (i == 2)
            calls = g_target.calls;
        long a = mm_map(mm, 0, 65536, g_rw, g_anon, NULL, 0);
        assert_true(a > 0);
        struct mm_stats before, after;
        mm_stats(&before);
        for (int k = 0; k < 16; k++) {
            assert_int_equal(*(volatile u8 *)(a + k * 4096), 0);
            assert_int_equal(touch_write((uintptr_t)a + (uintptr_t)k * 4096, 7, &code), 0);
        }
        mm_stats(&after);
        assert_int_equal(before.faults, after.faults);
        assert_int_equal(mm_unmap(mm, (uintptr_t)a, 65536), 0);
    }
    assert_int_equal(calls, g_target.calls);
}

static void test_fault_batches(void **state)
{
    struct mm *mm = harness_mm();
    struct mm_stats before, after;
    int code;
    (void)state;
    long a = mm_map(mm, 0, 8UL << 20, g_rw, g_anon, NULL, 0);
    mm_stats(&before);
    for (uintptr_t i = 0; i < 2048; i++) {
        u8 byte;
        assert_int_equal(touch_read((uintptr_t)a + i * PAGE_SIZE, &byte, &code), 0);
        assert_int_equal(byte, 0);
    }
    mm_stats(&after);
    assert_true(after.faults - before.faults <= 2048 / 128 + 8);
    assert_int_equal(mm->rss, 2048);
}

/* ---- Files ---------------------------------------------------------------------------------- */

static void test_private_file(void **state)
{
    struct mm *mm = harness_mm();
    struct file *f = file_make(5, O_RDONLY);
    u8 byte;
    int code;
    (void)state;
    long a = mm_map(mm, 0, 8 * PAGE_SIZE, g_rw, MAP_PRIVATE, f, PAGE_SIZE);
    assert_true(a > 0);
    assert_int_equal(touch_read((uintptr_t)a + 2 * PAGE_SIZE, &byte, &code), 0);
    assert_int_equal(byte, 4);
    assert_int_equal(touch_write((uintptr_t)a, 99, &code), 0);
    assert_int_equal(file_page(f, 1)[0], 2);
    assert_int_equal(touch_read((uintptr_t)a + 4 * PAGE_SIZE, &byte, &code), SIGBUS);
    assert_int_equal(code, BUS_ADRERR);
    assert_int_equal(mm_map(mm, 0, PAGE_SIZE, g_rw, MAP_SHARED, f, 0), -EACCES);
    long t = mm_map(mm, 0, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, f, 0);
    assert_int_equal(touch_read((uintptr_t)t + 1, &byte, &code), 0);
    assert_int_equal(byte, 0x90); /* patched before it was seen */
    assert_int_equal(target_page_state((uintptr_t)t), 8 | PROT_READ | PROT_EXEC);
    file_resize(f, 2 * PAGE_SIZE);
    assert_int_equal(touch_read((uintptr_t)a, &byte, &code), 0);
    assert_int_equal(byte, 99);
    assert_int_equal(touch_read((uintptr_t)a + PAGE_SIZE, &byte, &code), SIGBUS);
    file_put(f);
    assert_int_equal(mm_unmap(mm, (uintptr_t)a + PAGE_SIZE, PAGE_SIZE), 0);
    check_tree(mm);
}

static void test_shared_alias(void **state)
{
    struct mm *mm = harness_mm();
    struct file *f = file_make(4, O_RDWR);
    u8 byte;
    int code;
    (void)state;
    uintptr_t a = (uintptr_t)mm_map(mm, 0, 4 * PAGE_SIZE, g_rw, MAP_SHARED, f, 0);
    uintptr_t b = (uintptr_t)mm_map(mm, 0, 4 * PAGE_SIZE, g_rw, MAP_SHARED, f, 0);
    uintptr_t c = BASE;
    assert_int_equal(mm_map(mm, c, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, f, 2 * PAGE_SIZE),
                     c);
    assert_true(a >= SHARED_START && a != b);
    for (int i = 0; i < 20; i++) {
        uintptr_t off = test_random() % 4 * PAGE_SIZE;
        assert_int_equal(touch_write((i % 2 ? a : b) + off, (u8)i, &code), 0);
        assert_int_equal(touch_read((i % 3 ? a : b) + off, &byte, &code), 0);
        assert_int_equal(byte, (u8)i);
        assert_int_equal(file_page(f, off / PAGE_SIZE)[0], (u8)i);
        check_tree(mm);
    }
    assert_int_equal(touch_write(b + 2 * PAGE_SIZE, 77, &code), 0);
    assert_int_equal(touch_read(c, &byte, &code), 0);
    assert_int_equal(byte, 77);
    assert_int_equal(touch_write(c, 1, &code), SIGSEGV);
    assert_int_equal(mm_protect(mm, a, 4 * PAGE_SIZE, PROT_NONE), 0);
    assert_int_equal(touch_read(a, &byte, &code), SIGSEGV);
    assert_int_equal(mm_unmap(mm, b, 4 * PAGE_SIZE), 0);
    assert_int_equal(mm_unmap(mm, c, PAGE_SIZE), 0);
    assert_int_equal(file_page(f, 2)[0], 77);
    SIGSEGV_MAP(b);
    assert_int_equal(mm_protect(mm, a, 4 * PAGE_SIZE, g_rw), 0);
    assert_int_equal(touch_read(a + 2 * PAGE_SIZE, &byte, &code), 0);
    assert_int_equal(byte, 77);
    file_resize(f, PAGE_SIZE);
    assert_int_equal(touch_read(a + 2 * PAGE_SIZE, &byte, &code), SIGBUS);
    assert_int_equal(touch_read(a, &byte, &code), 0);
    check_tree(mm);
    harness_mm_drop();
    assert_int_equal(f->inode->writable_maps, 0);
    file_put(f);
}

/* ---- Stack, limits, poking ------------------------------------------------------------------ */

static void test_stack(void **state)
{
    struct mm *mm = harness_mm();
    uintptr_t top = USER_END - (1UL << 30);
    int code;
    (void)state;
    assert_int_equal(mm_map_special(mm, top - 32 * PAGE_SIZE, 0, 0, 32 * PAGE_SIZE,
                                    VM_READ | VM_WRITE | VM_GROWSDOWN | VM_STACK, "[stack]"),
                     (long)(top - 32 * PAGE_SIZE));
    assert_int_equal(touch_write(top - (1UL << 20), 1, &code), 0);
    assert_int_equal(touch_write(top - (8UL << 20), 1, &code), 0);
    assert_int_equal(touch_write(top - (8UL << 20) - 1, 1, &code), SIGSEGV);
    assert_int_equal(code, SEGV_MAPERR);
    check_tree(mm);
    mm = harness_mm();
    top -= 1UL << 30; /* where no page is left accessible */
    mm_map_special(mm, top - 32 * PAGE_SIZE, 0, 0, 32 * PAGE_SIZE,
                   VM_READ | VM_WRITE | VM_GROWSDOWN | VM_STACK, "[stack]");
    uintptr_t wall = top - (2UL << 20);
    assert_int_equal(mm_map(mm, wall, PAGE_SIZE, g_rw, g_anon | MAP_FIXED, NULL, 0), wall);
    assert_int_equal(touch_write(wall + PAGE_SIZE + STACK_GUARD_GAP - PAGE_SIZE, 1, &code),
                     SIGSEGV);
    assert_int_equal(touch_write(wall + PAGE_SIZE + STACK_GUARD_GAP, 1, &code), 0);
    check_tree(mm);
}

static void test_brk(void **state)
{
    struct mm *mm = harness_mm();
    int code;
    (void)state;
    mm->brk_start = mm->brk = 0x5000000 + 0x123;
    assert_int_equal(sys_brk(0), mm->brk);
    assert_int_equal(sys_brk(0x5040010), 0x5040010);
    assert_int_equal(touch_write(0x504000f, 5, &code), 0);
    assert_int_equal(sys_brk(0x5001000), 0x5001000);
    assert_int_equal(sys_brk(0x5041000), 0x5041000);
    u8 byte;
    assert_int_equal(touch_read(0x504000f, &byte, &code), 0);
    assert_int_equal(byte, 0);
    assert_int_equal(sys_brk(0x4000000), 0x5041000);
    assert_int_equal(mm_map(mm, 0x5100000, 4096, g_rw, g_anon | MAP_FIXED, NULL, 0), 0x5100000);
    assert_int_equal(sys_brk(0x5200000), 0x5041000);
    g_rlimits[RLIMIT_DATA] = 0x50000;
    assert_int_equal(sys_brk(0x5060000), 0x5041000);
    g_rlimits[RLIMIT_DATA] = RLIM_INFINITY_;
    check_tree(mm);
}

static void test_limits(void **state)
{
    struct mm *mm = harness_mm();
    int code;
    (void)state;
    assert_int_equal(mm_map(mm, 0, TEST_MEMORY, g_rw, g_anon, NULL, 0), -ENOMEM);
    assert_true(mm_map(mm, 0, TEST_MEMORY * 16, PROT_NONE, g_anon, NULL, 0) > 0);
    assert_true(mm_map(mm, 0, TEST_MEMORY * 16, g_rw, g_anon | MAP_NORESERVE, NULL, 0) > 0);
    g_rlimits[RLIMIT_AS] = (mm->total_vm << PAGE_SHIFT) + 8192;
    assert_int_equal(mm_map(mm, 0, 12288, PROT_READ, g_anon, NULL, 0), -ENOMEM);
    assert_true(mm_map(mm, 0, 8192, PROT_READ, g_anon, NULL, 0) > 0);
    g_rlimits[RLIMIT_AS] = RLIM_INFINITY_;
    uintptr_t a = (uintptr_t)mm_map(mm, 0, TEST_MEMORY * 2, g_rw, g_anon | MAP_NORESERVE, NULL, 0);
    int sig = 0;
    for (u64 i = 0; !sig && i < TEST_MEMORY * 2 / PAGE_SIZE; i++)
        sig = touch_write(a + i * PAGE_SIZE, 1, &code);
    assert_int_equal(sig, SIGKILL);
    assert_int_equal(mm_map(mm, 0, 1UL << 20, g_rw, g_anon, NULL, 0), -ENOMEM);
    void *p = kmalloc(100); /* the kernel still has some */
    assert_non_null(p);
    kfree(p);
    assert_int_equal(mm_unmap(mm, a, TEST_MEMORY * 2), 0);
    assert_true(mm_map(mm, 0, 16UL << 20, g_rw, g_anon | MAP_POPULATE, NULL, 0) > 0);
    check_tree(mm);
}

/* Growing touches until mmap says no must end with ENOMEM, not with a kill. */
static void test_exhaust_politely(void **state)
{
    struct mm *mm = harness_mm();
    int code, n = 0;
    (void)state;
    for (;; n++) {
        long a = mm_map(mm, 0, 1UL << 20, g_rw, g_anon, NULL, 0);
        if (a == -ENOMEM)
            break;
        assert_true(a > 0);
        for (uintptr_t i = 0; i < 256; i++)
            assert_int_equal(touch_write((uintptr_t)a + i * PAGE_SIZE, 1, &code), 0);
    }
    assert_true(n > 50);
    check_tree(mm);
}

static void test_poke(void **state)
{
    struct mm *mm = harness_mm();
    char buf[16] = "", text[] = "over the border";
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        static const unsigned prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC,
                                         PROT_READ | PROT_WRITE};
        uintptr_t a = (uintptr_t)mm_map(mm, 0, 2 * PAGE_SIZE, prots[i], g_anon, NULL, 0);
        assert_int_equal(mm_poke(mm, a + PAGE_SIZE - 8, text, sizeof(text)), 0);
        assert_int_equal(mm_peek(mm, a + PAGE_SIZE - 8, buf, sizeof(text)), 0);
        assert_string_equal(buf, text);
        assert_int_equal(target_page_state(a) & 7, prots[i]);
        assert_int_equal(mm_poke(mm, a + 2 * PAGE_SIZE - 8, text, sizeof(text)), -EFAULT);
        assert_int_equal(mm_unmap(mm, a, 2 * PAGE_SIZE), 0);
    }
    long near =
        mm_map_special(mm, 0, 0x500000000000 - 0x300000000000, 1UL << 30, 4096, VM_READ, "[x]");
    assert_true(near > 0);
}

static void test_mmap_errors(void **state)
{
    struct mm *mm = harness_mm();
    const unsigned long fixed = MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS;
    (void)state;
    assert_int_equal(sys_mmap(0, 0, g_rw, g_anon, -1, 0), -EINVAL);
    assert_int_equal(sys_mmap(0, 4096, g_rw, MAP_ANONYMOUS, -1, 0), -EINVAL);
    assert_int_equal(sys_mmap(0, 4096, g_rw, g_anon, -1, 1), -EINVAL);
    assert_int_equal(sys_mmap(0, 4096, g_rw, MAP_PRIVATE, 99, 0), -EBADF);
    assert_int_equal(sys_mmap(0, ~0UL, g_rw, g_anon, -1, 0), -ENOMEM);
    assert_int_equal(sys_mmap(0, 4096, g_rw, g_anon | MAP_HUGETLB, -1, 0), -ENOMEM);
    assert_int_equal(sys_mmap(0x1234, 4096, g_rw, g_anon | MAP_FIXED, -1, 0), -EINVAL);
    assert_int_equal(sys_mmap(0, 4096, g_rw, g_anon | MAP_FIXED, -1, 0), -EPERM);
    assert_int_equal(sys_mmap(SHARED_END, 4096, g_rw, g_anon | MAP_FIXED, -1, 0), -ENOMEM);
    assert_int_equal(sys_mmap(BASE, 4096, g_rw, fixed, -1, 0), BASE);
    assert_int_equal(sys_mmap(BASE, 4096, g_rw, fixed, -1, 0), -EEXIST);
    long low = sys_mmap(0, 4096, g_rw, g_anon | MAP_32BIT, -1, 0);
    assert_true(low > 0 && low < 0x80000000L);
    assert_int_equal(sys_munmap(BASE + 1, 4096), -EINVAL);
    assert_int_equal(sys_munmap(BASE, 0), -EINVAL);
    assert_int_equal(sys_munmap(BASE + 4096, 4096), 0);
    assert_int_equal(sys_mprotect(BASE + 4096, 4096, PROT_READ), -ENOMEM);
    assert_int_equal(sys_mprotect(BASE, 4096, 0x100), -EINVAL);
    assert_int_equal(sys_mprotect(BASE, 4096, PROT_READ | PROT_GROWSDOWN), -EINVAL);
    struct manifest *m = (struct manifest *)g_manifest;
    m->flags = MANIFEST_FORBID_WX;
    assert_int_equal(sys_mprotect(BASE, 4096, g_rw | PROT_EXEC), -EACCES);
    assert_int_equal(sys_mmap(0, 4096, g_rw | PROT_EXEC, g_anon, -1, 0), -EACCES);
    m->flags = 0;
    assert_int_equal(sys_mprotect(BASE, 4096, g_rw | PROT_EXEC), 0);
    check_tree(mm);
}

/* The host refuses the Nth request: errors come back, nothing breaks. */
static void test_host_refuses(void **state)
{
    int code;
    (void)state;
    for (long n = 0; n < 12; n++) {
        struct mm *mm = harness_mm();
        long a = mm_map(mm, 0, 64 * PAGE_SIZE, g_rw, g_anon, NULL, 0);
        g_target_fail_after = n;
        for (uintptr_t i = 0; i < 64; i += 7)
            (void)touch_write((uintptr_t)a + i * PAGE_SIZE, 1, &code);
        (void)mm_protect(mm, (uintptr_t)a, 8 * PAGE_SIZE, PROT_READ);
        (void)mm_unmap(mm, (uintptr_t)a + 16 * PAGE_SIZE, 8 * PAGE_SIZE);
        (void)mm_map(mm, (uintptr_t)a + 16 * PAGE_SIZE, 8 * PAGE_SIZE, PROT_NONE,
                     g_anon | MAP_FIXED, NULL, 0);
        g_target_fail_after = -1;
        check_tree(mm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),          cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_no_transitions), cmocka_unit_test(test_fault_batches),
        cmocka_unit_test(test_private_file),   cmocka_unit_test(test_shared_alias),
        cmocka_unit_test(test_stack),          cmocka_unit_test(test_brk),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_exhaust_politely),
        cmocka_unit_test(test_poke),           cmocka_unit_test(test_mmap_errors),
        cmocka_unit_test(test_host_refuses),   cmocka_unit_test(harness_nothing_left),
    };
    harness_init();
    return cmocka_run_group_tests_name("mm-map", tests, NULL, NULL);
}
