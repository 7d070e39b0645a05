/* SPDX-License-Identifier: MIT */
/* guest: memory=64m */
/* Memory that was given back is there again for others: unmapped, dropped, or at addresses never used again. */
#include <stdint.h>
#include <sys/mman.h>

#include "guest.h"

#define MIB  (1UL << 20)
#define PAGE 4096UL

static const int g_rw = PROT_READ | PROT_WRITE, g_anon = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

static char *take(size_t size)
{
    char *p = mmap(NULL, size, g_rw, g_anon, -1, 0);

    CHECK(p != MAP_FAILED);
    for (size_t i = 0; i < size; i += PAGE)
        p[i] = 1;
    return p;
}

/* A program that never comes back to an address must not leave anything behind each time. */
static void test_fresh_addresses(void)
{
    const uintptr_t base = 0x200000000000;

    for (uintptr_t i = 0; i < 6000; i++) {
        char *at = (char *)(base + i * 48 * MIB);
        char *p = mmap(at, 2 * PAGE, g_rw, g_anon | MAP_FIXED_NOREPLACE, -1, 0);
        CHECK(p == at);
        p[0] = 1;
        CHECK(munmap(p, 2 * PAGE) == 0);
    }
}

/* 12 MiB are unmapped and 8 MiB dropped; half of those are used again, and must keep what is in them. */
static void test_given_back(void)
{
    char *freed = take(12 * MIB), *dropped = take(8 * MIB), *big;

    for (size_t i = 0; i < 8; i++)
        CHECK(madvise(dropped + i * MIB, MIB, MADV_DONTNEED) == 0);
    CHECK(munmap(freed, 12 * MIB) == 0);
    for (size_t i = 0; i < 8 * MIB; i += 2 * PAGE)
        dropped[i + 4000] = 7;
    big = take(36 * MIB);
    for (size_t i = 0; i < 8 * MIB; i += PAGE)
        CHECK(dropped[i + 4000] == (i % (2 * PAGE) ? 0 : 7) && dropped[i] == 0);
    CHECK(munmap(big, 36 * MIB) == 0 && munmap(dropped, 8 * MIB) == 0);
}

int main(void)
{
    for (int i = 0; i < 3; i++)
        test_given_back();
    test_fresh_addresses();
    test_given_back();
    return guest_done();
}
