/* SPDX-License-Identifier: MIT */
/*
 * Several threads in one mm: what they do to memory they share must break nothing, and what each does to
 * its own must keep its content, while there is less memory than all have touched. Faults are real.
 */
#include "harness.h"

#include <kernel/thread_area.h>
#include <syscalls.gen.h>

#define THREADS      4u
#define SHARED_BASE  0x200000000000UL /* everybody's */
#define SHARED_PAGES 256u
#define OWN_BASE(n)  (0x210000000000UL + (n) * 0x1000000000UL)
#define OWN_PAGES    1850u
#define CHURN_PAGES  1700u
#define SPARSE_BASE  0x220000000000UL /* leaves of the page state that come and go */
#define ROUNDS       8000

static const unsigned g_rw = PROT_READ | PROT_WRITE;
static const unsigned g_fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;

struct actor {
    unsigned number;
    struct mm *mm;
    u64 seed;
    u8 own[OWN_PAGES]; /* what each page must hold */
};

static u64 random_of(struct actor *a)
{
    a->seed ^= a->seed << 13;
    a->seed ^= a->seed >> 7;
    a->seed ^= a->seed << 17;
    return a->seed >> 8;
}

static int on_fault(uintptr_t addr, int write)
{
    int sig = 0, code;
    return mm_fault(current->mm, addr, write ? VM_WRITE : VM_READ, &sig, &code) ? sig : 0;
}

/* ---- Memory of one's own -------------------------------------------------------------------- */

static void own_write(struct actor *a, u64 page)
{
    u8 value = (u8)(random_of(a) | 1);
    ASSERT(host_touch(OWN_BASE(a->number) + page * PAGE_SIZE + 99, 1, &value) == 0);
    a->own[page] = value;
}

static void own_check(struct actor *a, u64 page)
{
    u8 seen = 0xaa;
    ASSERT(host_touch(OWN_BASE(a->number) + page * PAGE_SIZE + 99, 0, &seen) == 0);
    ASSERT(seen == a->own[page]);
}

static void own_drop(struct actor *a, u64 page)
{
    u64 count = min(random_of(a) % 64 + 1, OWN_PAGES - page);
    uintptr_t start = OWN_BASE(a->number) + page * PAGE_SIZE;
    if (random_of(a) % 3)
        ASSERT(sys_madvise(start, count * PAGE_SIZE, MADV_DONTNEED) == 0);
    else
        ASSERT(mm_map(a->mm, start, count * PAGE_SIZE, g_rw, g_fixed, NULL, 0) == (long)start);
    memset(a->own + page, 0, count);
}

/* Touches more and gives it up, as free pages or as idle ones. */
static void own_churn(struct actor *a)
{
    uintptr_t start = OWN_BASE(a->number) + (1UL << 32) + random_of(a) % 64 * (16UL << 20);
    u64 count = CHURN_PAGES - random_of(a) % 100;
    u8 value = 1;
    ASSERT(mm_map(a->mm, start, count * PAGE_SIZE, g_rw, g_fixed, NULL, 0) == (long)start);
    for (u64 i = 0; i < count; i++)
        ASSERT(host_touch(start + i * PAGE_SIZE, 1, &value) == 0);
    if (random_of(a) % 2)
        ASSERT(sys_madvise(start, count * PAGE_SIZE, MADV_DONTNEED) == 0);
    ASSERT(mm_unmap(a->mm, start, count * PAGE_SIZE) == 0);
}

static void own_step(struct actor *a)
{
    u64 page = random_of(a) % OWN_PAGES, what = random_of(a) % 100;
    if (what < 55)
        own_write(a, page);
    else if (what < 94)
        own_check(a, page);
    else if (what < 99)
        own_drop(a, page);
    else
        own_churn(a);
}

/* ---- Memory of all -------------------------------------------------------------------------- */

static void shared_change(struct actor *a, uintptr_t start, size_t size)
{
    unsigned prot = random_of(a) % 2 ? PROT_READ : g_rw;
    switch (random_of(a) % 8) {
    case 0:
        ASSERT(mm_unmap(a->mm, start, size) == 0);
        break;
    case 1:
    case 2:
        ASSERT(mm_map(a->mm, start, size, prot, g_fixed, NULL, 0) == (long)start);
        break;
    case 3:
        (void)mm_protect(a->mm, start, size, random_of(a) % 3 ? prot : PROT_NONE);
        break;
    case 4:
        (void)sys_madvise(start, size, MADV_DONTNEED);
        break;
    case 5:
        (void)sys_mremap(start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                         SHARED_BASE + (random_of(a) % 128 + 128) * PAGE_SIZE);
        break;
    case 6:
        (void)sys_madvise(start, size, MADV_POPULATE_READ);
        break;
    case 7:
        (void)sys_mlock(start, size);
        (void)sys_munlock(start, size);
        break;
    }
}

static void shared_look(struct actor *a, uintptr_t start, size_t size)
{
    u8 vec[64], data[100];
    switch (random_of(a) % 3) {
    case 0:
        (void)sys_mincore(start, size, (void __user *)vec);
        break;
    case 1:
        (void)mm_poke(a->mm, start, data, sizeof(data));
        break;
    case 2:
        (void)mm_peek(a->mm, start, data, sizeof(data));
        break;
    }
}

static void shared_step(struct actor *a)
{
    u64 page = random_of(a) % SHARED_PAGES, count = random_of(a) % 32 + 1, what = random_of(a) % 10;
    uintptr_t start = SHARED_BASE + page * PAGE_SIZE;
    u8 value = 3;
    if (what < 5)
        (void)host_touch(start, what & 1, &value);
    else if (what < 8)
        shared_change(a, start, count * PAGE_SIZE);
    else
        shared_look(a, start, count * PAGE_SIZE);
}

/* A page that is released when it is unmapped, and its leaf with it unless a neighbour is there. */
static void sparse_step(struct actor *a)
{
    uintptr_t start = SPARSE_BASE + random_of(a) % 3 * (16UL << 20) + a->number * 4 * PAGE_SIZE;
    u8 seen = 1;
    ASSERT(mm_map(a->mm, start, PAGE_SIZE, PROT_READ | PROT_EXEC, g_fixed, NULL, 0) == (long)start);
    ASSERT(ps_get(start) == 0);
    ASSERT(host_touch(start, 0, &seen) == 0 && seen == 0);
    ASSERT(ps_get(start) == (PS_PRESENT | TARGET_READ | TARGET_EXEC));
    ASSERT(mm_unmap(a->mm, start, PAGE_SIZE) == 0);
}

/* ---- Kernel memory -------------------------------------------------------------------------- */

static void kernel_step(struct actor *a)
{
    static u8 *stock[64]; /* handed from thread to thread */
    size_t size = random_of(a) % 50 ? random_of(a) % 3000 + 2 : random_of(a) % 100000 + 2;
    u8 *p = kmalloc(size);
    ASSERT(p);
    p[0] = p[size - 1] = (u8)size;
    kfree(__atomic_exchange_n(&stock[random_of(a) % 64], p, __ATOMIC_ACQ_REL));
    if (random_of(a) % 8)
        return;
    for (unsigned i = 0; i < 64; i++)
        kfree(__atomic_exchange_n(&stock[i], NULL, __ATOMIC_ACQ_REL));
}

/* ---- The threads ---------------------------------------------------------------------------- */

static void actor_main(unsigned number)
{
    static struct actor actors[THREADS];
    static struct thread_area areas[THREADS];
    static struct task tasks[THREADS];
    struct actor *a = &actors[number];
    harness_thread(&areas[number], &tasks[number]);
    *a = (struct actor){.number = number, .mm = current->mm, .seed = 88172645463325252UL + number};
    ASSERT(mm_map(a->mm, OWN_BASE(number), OWN_PAGES * PAGE_SIZE, g_rw, g_fixed, NULL, 0) > 0);
    for (int i = 0; i < ROUNDS; i++) {
        own_step(a);
        shared_step(a);
        sparse_step(a);
        kernel_step(a);
    }
    for (u64 page = 0; page < OWN_PAGES; page++)
        own_check(a, page);
    for (unsigned i = 0; i < 64; i++)
        kernel_step(a);
}

static void test_threads(void **state)
{
    struct mm *mm = harness_mm();
    (void)state;
    host_faults(on_fault);
    host_threads(THREADS, actor_main);
    check_tree(mm);
}

/* Two threads touch the same fresh pages: each is committed once, and no write is lost. */
#define RACE_PAGES 512u

static void race_main(unsigned number)
{
    static struct thread_area areas[THREADS];
    static struct task tasks[THREADS];
    harness_thread(&areas[number], &tasks[number]);
    for (u64 i = 0; i < RACE_PAGES; i++) {
        u8 value = (u8)(i + number);
        ASSERT(host_touch(SHARED_BASE + i * PAGE_SIZE + number, 1, &value) == 0);
    }
}

static void test_race(void **state)
{
    struct mm *mm = harness_mm();
    (void)state;
    host_faults(on_fault);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(mm_map(mm, SHARED_BASE, RACE_PAGES * PAGE_SIZE, g_rw, g_fixed, NULL, 0), SHARED_BASE);
        host_threads(THREADS, race_main);
        for (u64 i = 0; i < RACE_PAGES * THREADS; i++) {
            u64 page = i / THREADS, number = i % THREADS;
            assert_int_equal(*(u8 *)(SHARED_BASE + page * PAGE_SIZE + number), (u8)(page + number));
        }
        assert_int_equal(mm->rss, RACE_PAGES);
        check_tree(mm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(harness_nothing_left),
    };
    harness_init();
    return cmocka_run_group_tests_name("mm-smp", tests, NULL, NULL);
}
