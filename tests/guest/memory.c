/* SPDX-License-Identifier: MIT */
/* mmap and its family on anonymous memory: contents, permissions, limits, errors. */
#include "guest.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigjmp_buf g_jump;
static volatile int g_signal, g_code;
static void *volatile g_address;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    g_signal = sig;
    g_code = info->si_code;
    g_address = info->si_addr;
    siglongjmp(g_jump, 1);
}

static int faults(volatile char *p, int write)
{
    g_signal = 0;
    if (!sigsetjmp(g_jump, 1)) {
        if (write)
            *p = 1;
        else
            (void)*p;
    }
    return g_signal;
}

static void test_basics(void)
{
    const size_t size = 1 << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    for (size_t i = 0; i < size; i += 4096)
        CHECK(p[i] == 0);
    memset(p, 0x5a, size);
    CHECK(p[size - 1] == 0x5a);
    CHECK(munmap(p + 4096, 4096) == 0);
    CHECK(p[0] == 0x5a && p[8192] == 0x5a);
    CHECK(mmap(p + 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) == p + 4096);
    CHECK(p[4096] == 0);
    CHECK(munmap(p, size) == 0);
    CHECK(munmap(p, size) == 0);
    CHECK_ERRNO(munmap(p + 1, 4096), EINVAL);
    CHECK_ERRNO(munmap(p, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1), EINVAL);
    CHECK_ERRNO(mmap((void *)0x1001, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                EINVAL);
    CHECK_ERRNO(mmap(NULL, SIZE_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
}

static void test_protection(void)
{
    char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    p[0] = p[4096] = 7;
    CHECK(mprotect(p, 4096, PROT_READ) == 0);
    CHECK(!faults(p, 0) && faults(p, 1) == SIGSEGV && g_code == SEGV_ACCERR);
    CHECK(g_address == (void *)p);
    CHECK(mprotect(p, 4096, PROT_NONE) == 0);
    CHECK(faults(p, 0) == SIGSEGV && g_code == SEGV_ACCERR);
    CHECK(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
    CHECK(!faults(p, 1) && p[4096] == 7);
    CHECK_ERRNO(syscall(SYS_mprotect, p + 1, 4096, PROT_READ), EINVAL);
    CHECK(faults((char *)16, 0) == SIGSEGV && g_code == SEGV_MAPERR && g_address == (void *)16);
    CHECK(faults((char *)16, 1) == SIGSEGV && g_code == SEGV_MAPERR);
    CHECK(munmap(p, 4 * 4096) == 0);
    CHECK_ERRNO(mprotect(p, 4096, PROT_READ), ENOMEM);
    p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(faults(p, 0) == SIGSEGV && g_code == SEGV_ACCERR);
    CHECK(munmap(p, 4096) == 0);
}

static void test_code(void)
{
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42,%eax; ret */
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memcpy(p, code, sizeof(code));
    CHECK(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
    CHECK(((int (*)(void))(uintptr_t)p)() == 42);
    CHECK(faults(p, 1) == SIGSEGV);
    CHECK(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
    p[1] = 43;
    CHECK(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
    CHECK(((int (*)(void))(uintptr_t)p)() == 43);
    CHECK(munmap(p, 4096) == 0);
}

static void test_mremap(void)
{
    char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;

    memset(p, 1, 3 * 4096);
    q = mremap(p, 3 * 4096, 4096, 0);
    CHECK(q == p && p[0] == 1);
    q = mremap(p, 4096, 64 * 4096, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q[0] == 1 && q[4095] == 1 && q[4096] == 0 && q[64 * 4096 - 1] == 0);
    CHECK_ERRNO(mremap(q + 1, 4096, 8192, MREMAP_MAYMOVE), EINVAL);
    p = mmap(NULL, 16 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    q[4096] = 9;
    CHECK(mremap(q, 64 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
    CHECK(p[0] == 1 && p[4096] == 9);
    CHECK(munmap(p, 16 * 4096) == 0);
}

static void test_madvise(void)
{
    char *p = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char vec[8];

    memset(p, 3, 8 * 4096);
    CHECK(madvise(p + 4096, 2 * 4096, MADV_DONTNEED) == 0);
    CHECK(p[0] == 3 && p[4096] == 0 && p[8192] == 0 && p[3 * 4096] == 3);
    CHECK(madvise(p, 8 * 4096, MADV_WILLNEED) == 0);
    CHECK_ERRNO(madvise(p + 1, 4096, MADV_DONTNEED), EINVAL);
    CHECK_ERRNO(madvise(p, 4096, 12345), EINVAL);
    CHECK(mincore(p, 8 * 4096, vec) == 0 && (vec[0] & 1) && (vec[7] & 1));
    CHECK(msync(p, 8 * 4096, MS_SYNC) == 0);
    CHECK(mlock(p, 4096) == 0 && munlock(p, 4096) == 0);
    CHECK(munmap(p, 8 * 4096) == 0);
    CHECK_ERRNO(madvise(p, 4096, MADV_DONTNEED), ENOMEM);
    CHECK_ERRNO(mincore(p, 4096, vec), ENOMEM);
}

/* The call itself: musl's sbrk() refuses. */
static char *brk_set(char *end)
{
    return (char *)syscall(SYS_brk, end);
}

static void test_brk(void)
{
    char *start = brk_set(NULL), *end = start + (1 << 20);

    CHECK(brk_set(end) == end);
    start[0] = end[-1] = 1;
    CHECK(brk_set(start) == start && brk_set(NULL) == start);
    CHECK(brk_set(start + 8192) == start + 8192 && start[4096] == 0);
    CHECK(brk_set((char *)1) == start + 8192);
    CHECK(brk_set(start) == start);
}

static void test_limits(void)
{
    struct rlimit old, small = {64 << 20, RLIM_INFINITY};

    CHECK(getrlimit(RLIMIT_AS, &old) == 0);
    small.rlim_max = old.rlim_max;
    CHECK(setrlimit(RLIMIT_AS, &small) == 0);
    CHECK_ERRNO(mmap(NULL, 256 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                ENOMEM);
    CHECK(setrlimit(RLIMIT_AS, &old) == 0);
}

static int deep(int n)
{
    volatile char frame[4096];

    frame[0] = (char)n;
    return n ? deep(n - 1) + frame[0] * 0 : 1;
}

static void test_shared(void)
{
    int fd = memfd_create("shared", MFD_CLOEXEC);
    char buf[8];

    CHECK(fd >= 0 && ftruncate(fd, 3 * 4096) == 0);
    char *a = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(a != MAP_FAILED);
    strcpy(a + 4096, "mapped");
    CHECK(pread(fd, buf, 7, 4096) == 7 && !strcmp(buf, "mapped"));
    CHECK(pwrite(fd, "written", 8, 8192) == 8 && !strcmp(a + 8192, "written"));
    char *b = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(b != MAP_FAILED && b != a);
    CHECK(!strcmp(b + 4096, "mapped"));
    for (int i = 0; i < 20; i++) {
        a[0] = (char)i;
        CHECK(b[0] == i);
        b[1] = (char)(i + 1);
        CHECK(a[1] == i + 1);
    }
    char *c = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(c != MAP_FAILED && !strcmp(c + 4096, "mapped"));
    strcpy(c + 4096, "private");
    CHECK(!strcmp(a + 4096, "mapped"));
    CHECK(munmap(a, 3 * 4096) == 0 && !strcmp(b + 4096, "mapped"));
    CHECK(munmap(b, 3 * 4096) == 0);
    CHECK(pread(fd, buf, 7, 4096) == 7 && !strcmp(buf, "mapped"));
    a = mmap(NULL, 4 * 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(!strcmp(a + 8192, "written"));
    CHECK(faults(a + 3 * 4096, 0) == SIGBUS && g_code == BUS_ADRERR);
    CHECK(munmap(a, 4 * 4096) == 0 && munmap(c, 3 * 4096) == 0 && close(fd) == 0);
    a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(a != MAP_FAILED && a[0] == 0);
    a[0] = 1;
    CHECK(munmap(a, 4096) == 0);
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    test_basics();
    test_protection();
    test_code();
    test_mremap();
    test_madvise();
    test_brk();
    test_limits();
    test_shared();
    CHECK(deep(1000) == 1);
    return guest_done();
}
