/* SPDX-License-Identifier: MIT */
/* mseal(2) and process_madvise(2). */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest.h"

#define PAGE       4096UL
#define PIDFD_SELF (-10000)

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif

static const int g_fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

static long seal(void *addr, size_t size)
{
    return syscall(SYS_mseal, addr, size, 0UL);
}

static char *map(size_t pages, int prot, int flags)
{
    char *p = mmap(NULL, pages * PAGE, prot, flags | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void test_seal_errors(char *a)
{
    CHECK_ERRNO(syscall(SYS_mseal, a, PAGE, 1UL), EINVAL);
    CHECK_ERRNO(seal(a + 1, PAGE), EINVAL);
    CHECK_ERRNO(seal(a, -1UL), EINVAL);
    CHECK_ERRNO(seal(a, ~0UL << 12), EINVAL);
    CHECK_ERRNO(seal(a + 7 * PAGE, 3 * PAGE), ENOMEM); /* a hole: nothing is sealed */
    CHECK_ERRNO(seal((void *)0x7fffffffe000, 2 * PAGE), ENOMEM);
    CHECK(seal(a, 0) == 0 && mprotect(a + 7 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
}

/* Page 2 is sealed: it stays, and so does everything in a range with it. */
static void test_sealed(char *a)
{
    const int rw = PROT_READ | PROT_WRITE;
    CHECK(seal(a + 2 * PAGE, PAGE) == 0 && seal(a + 2 * PAGE, 1) == 0);
    a[2 * PAGE] = 1;
    CHECK_ERRNO(munmap(a + 2 * PAGE, PAGE), EPERM);
    CHECK_ERRNO(munmap(a, 4 * PAGE), EPERM);
    CHECK_ERRNO(munmap(a + 2 * PAGE, 1), EPERM);
    a[0] = a[3 * PAGE] = 5; /* all still there */
    CHECK_ERRNO(mprotect(a + 2 * PAGE, PAGE, rw), EPERM);
    CHECK_ERRNO(mprotect(a + PAGE, 2 * PAGE, PROT_READ), EPERM);
    CHECK_ERRNO((long)mmap(a + 2 * PAGE, PAGE, rw, g_fixed, -1, 0), EPERM);
    CHECK_ERRNO((long)mmap(a + PAGE, 3 * PAGE, rw, g_fixed, -1, 0), EPERM);
    CHECK_ERRNO((long)mmap(a + 2 * PAGE, PAGE, rw, g_fixed | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK_ERRNO((long)mremap(a + 2 * PAGE, PAGE, PAGE, 0), EPERM);
    CHECK_ERRNO((long)mremap(a + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EPERM);
    CHECK_ERRNO((long)mremap(a + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 11 * PAGE), EPERM);
    CHECK_ERRNO((long)mremap(a + 10 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 2 * PAGE), EPERM);
    CHECK_ERRNO((long)mremap(a + PAGE, 2 * PAGE, PAGE, 0), EPERM);
    CHECK(a[2 * PAGE] == 1 && madvise(a + 2 * PAGE, PAGE, MADV_DONTNEED) == 0 && a[2 * PAGE] == 0);
    CHECK(mlock(a + 2 * PAGE, PAGE) == 0 && munlock(a + 2 * PAGE, PAGE) == 0);
}

static void test_sealed_advice(char *a)
{
    static const int refused[] = {MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_WIPEONFORK};
    static const int allowed[] = {MADV_DOFORK, MADV_KEEPONFORK, MADV_WILLNEED, MADV_DONTDUMP, MADV_COLD};
    char *r = mmap(a + 12 * PAGE, PAGE, PROT_READ, g_fixed, -1, 0), *s = map(1, PROT_READ, MAP_SHARED);
    int fd = open("/proc/self/exe", O_RDONLY);

    CHECK(r == a + 12 * PAGE && seal(r, PAGE) == 0);
    for (unsigned i = 0; i < sizeof(refused) / sizeof(int); i++)
        CHECK_ERRNO(madvise(r, PAGE, refused[i]), EPERM);
    for (unsigned i = 0; i < sizeof(allowed) / sizeof(int); i++)
        CHECK(madvise(r, PAGE, allowed[i]) == 0);
    a[11 * PAGE] = 7; /* what comes before the sealed page is dropped */
    CHECK_ERRNO(madvise(a + 11 * PAGE, 2 * PAGE, MADV_DONTNEED), EPERM);
    CHECK(a[11 * PAGE] == 0);
    CHECK(seal(s, PAGE) == 0 && madvise(s, PAGE, MADV_DONTNEED) == 0);
    s = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(s != MAP_FAILED && seal(s, PAGE) == 0 && madvise(s, PAGE, MADV_DONTNEED) == 0);
    CHECK_ERRNO(munmap(s, PAGE), EPERM);
    close(fd);
}

static void test_sealed_heap(void)
{
    uintptr_t now = (uintptr_t)syscall(SYS_brk, 0), heap = (now + PAGE - 1) & -PAGE;

    CHECK((uintptr_t)syscall(SYS_brk, heap + 2 * PAGE) == heap + 2 * PAGE);
    CHECK(seal((void *)heap, PAGE) == 0);
    CHECK((uintptr_t)syscall(SYS_brk, heap) == heap + 2 * PAGE);
    CHECK((uintptr_t)syscall(SYS_brk, heap + PAGE) == heap + PAGE);
    CHECK((uintptr_t)syscall(SYS_brk, heap + 2 * PAGE) == heap + 2 * PAGE);
}

static long pmadvise(int pidfd, const struct iovec *vec, size_t count, int advice, unsigned flags)
{
    return syscall(SYS_process_madvise, pidfd, vec, count, advice, flags);
}

static void test_process_madvise(char *a)
{
    struct iovec v[3] = {{a, PAGE}, {a + PAGE, 2 * PAGE}, {a + 4 * PAGE, PAGE}};
    struct iovec hole[3] = {{a, PAGE}, {a + 8 * PAGE, PAGE}, {a + 9 * PAGE, PAGE}};
    struct iovec odd[2] = {{a + 1, PAGE}, {a, PAGE}}, part[2] = {{a, 100}, {a + PAGE, PAGE + 1}};
    struct iovec none[2] = {{a, 0}, {a, PAGE}}, kernel = {(void *)(1UL << 63), PAGE};
    struct iovec all = {a, -1UL};

    for (int i = 0; i < 7; i++)
        a[i * PAGE] = 9;
    CHECK(pmadvise(PIDFD_SELF, v, 3, MADV_DONTNEED, 0) == 4 * PAGE);
    CHECK(!a[0] && !a[PAGE] && !a[2 * PAGE] && a[3 * PAGE] == 9 && !a[4 * PAGE] && a[5 * PAGE] == 9);
    CHECK(pmadvise(PIDFD_SELF, v, 0, MADV_DONTNEED, 0) == 0);
    CHECK(pmadvise(PIDFD_SELF, v, 0, 999, 0) == 0);
    CHECK(pmadvise(PIDFD_SELF, none, 1, MADV_DONTNEED, 0) == 0);
    CHECK(pmadvise(PIDFD_SELF, none, 2, MADV_DONTNEED, 0) == PAGE);
    CHECK(pmadvise(PIDFD_SELF, part, 2, MADV_DONTNEED, 0) == 100 + PAGE + 1);
    CHECK(pmadvise(PIDFD_SELF, v, 1, MADV_WILLNEED, 0) == PAGE && pmadvise(PIDFD_SELF, v, 3, MADV_PAGEOUT, 0) == 4 * PAGE);
    CHECK(pmadvise(PIDFD_SELF, hole, 3, MADV_DONTNEED, 0) == PAGE); /* what was done before the hole */
    CHECK_ERRNO(pmadvise(PIDFD_SELF, hole + 1, 2, MADV_DONTNEED, 0), ENOMEM);
    CHECK_ERRNO(pmadvise(PIDFD_SELF, odd, 2, MADV_DONTNEED, 0), EINVAL);
    CHECK_ERRNO(pmadvise(PIDFD_SELF, v, 1, 999, 0), EINVAL);
    CHECK_ERRNO(pmadvise(PIDFD_SELF, v, 1, MADV_COLD, 1), EINVAL);
    CHECK_ERRNO(pmadvise(PIDFD_SELF, v, 1025, MADV_COLD, 0), EINVAL);
    CHECK_ERRNO(pmadvise(PIDFD_SELF, &all, 1, MADV_DONTNEED, 0), EINVAL);
    CHECK_ERRNO(pmadvise(PIDFD_SELF, (void *)1, 1, MADV_COLD, 0), EFAULT);
    CHECK_ERRNO(pmadvise(PIDFD_SELF, &kernel, 1, MADV_COLD, 0), EFAULT);
    CHECK_ERRNO(pmadvise(-1, v, 1, MADV_COLD, 0), EBADF);
    CHECK_ERRNO(pmadvise(-1, v, 0, 999, 0), EBADF);
    CHECK_ERRNO(pmadvise(0, v, 1, MADV_COLD, 0), EBADF);
    CHECK_ERRNO(pmadvise(-1, (void *)1, 1, MADV_COLD, 0), EFAULT);
}

int main(void)
{
    char *a = map(16, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    CHECK(munmap(a + 8 * PAGE, PAGE) == 0);
    test_process_madvise(a);
    test_seal_errors(a);
    test_sealed(a);
    test_sealed_advice(a);
    test_sealed_heap();
    return guest_done();
}
