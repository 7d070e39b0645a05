/* SPDX-License-Identifier: MIT */
/* Mappings beyond the basics: mremap's corners, MAP_FIXED_NOREPLACE, files mapped twice, truncation, stacks. */
#include "guest.h"
#include "fault.h"
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static char *anon(size_t size)
{
    return mmap(NULL, size, RW, ANON, -1, 0);
}

static int file(const char *path, size_t size)
{
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    char page[PAGE];

    for (size_t i = 0; i < size; i += PAGE) {
        memset(page, (int)(i / PAGE + 1), PAGE);
        CHECK(write(fd, page, PAGE) == PAGE);
    }
    return fd;
}

static void test_mremap(void)
{
    char *p = anon(8 * PAGE), *q;

    memset(p, 1, 8 * PAGE);
    CHECK(munmap(p + 4 * PAGE, PAGE) == 0);
    CHECK(mremap(p, 4 * PAGE, 5 * PAGE, 0) == p); /* grows into the gap */
    CHECK(p[4 * PAGE] == 0 && p[5 * PAGE] == 1);
    CHECK_ERRNO(mremap(p, 5 * PAGE, 6 * PAGE, 0), ENOMEM);
    CHECK_ERRNO(mremap(p, PAGE, 0, 0), EINVAL);
    CHECK_ERRNO(mremap(p, PAGE, PAGE, 64), EINVAL);
    CHECK_ERRNO(mremap(p, PAGE, PAGE, MREMAP_FIXED, p), EINVAL);
    CHECK_ERRNO(mremap(p, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + 1), EINVAL);
    CHECK_ERRNO(mremap(p, 2 * PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + PAGE), EINVAL);
    CHECK_ERRNO(mremap((void *)PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    p[0] = 77;
    q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    CHECK(q != MAP_FAILED && q != p && q[0] == 77 && p[0] == 0);
    CHECK(munmap(q, PAGE) == 0 && munmap(p, 8 * PAGE) == 0);
    /* a shared mapping: size 0 makes a second one */
    int fd = memfd_create("twice", 0);
    CHECK(ftruncate(fd, 4 * PAGE) == 0);
    p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    close(fd);
    p[PAGE] = 5;
    q = mremap(p, 0, 4 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q != p && q[PAGE] == 5 && (q[2 * PAGE] = 6) && p[2 * PAGE] == 6);
    CHECK(munmap(p, 4 * PAGE) == 0 && q[PAGE] == 5 && munmap(q, 4 * PAGE) == 0);
    /* a big one moves with its contents */
    p = anon(600 * PAGE);
    for (int i = 0; i < 600; i++)
        p[i * PAGE] = (char)i;
    anon(PAGE);
    q = mremap(p, 600 * PAGE, 3000 * PAGE, MREMAP_MAYMOVE);
    int same = 0;
    for (int i = 0; i < 600; i++)
        same += q[i * PAGE] == (char)i;
    CHECK(same == 600 && q[2999 * PAGE] == 0 && munmap(q, 3000 * PAGE) == 0);
}

static void test_fixed(void)
{
    char *p = anon(4 * PAGE);

    CHECK_ERRNO(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK(munmap(p + PAGE, PAGE) == 0);
    CHECK(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + PAGE);
    CHECK_ERRNO(mmap(p + PAGE, 8 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK(munmap(p, 4 * PAGE) == 0 && mmap(p, PAGE, RW, ANON, -1, 0) == p); /* a free hint is taken */
    CHECK(mmap(p, PAGE, RW, ANON, -1, 0) != p && p[0] == 0);
    CHECK_ERRNO(mmap((void *)-PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERRNO(mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), EINVAL);
}

static void test_files(void)
{
    int fd = file("m", 64 * PAGE), ro = open("m", O_RDONLY), wo = open("m", O_WRONLY), wrong = 0;
    char *a = mmap(NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0), *b, *c;

    b = mmap(NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0);
    c = mmap(NULL, 32 * PAGE, PROT_READ, MAP_SHARED, fd, 32 * PAGE);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 64; i++) {
            (round & 1 ? a : b)[i * PAGE + round] = (char)(i + round);
            wrong += (round & 1 ? b : a)[i * PAGE + round] != (char)(i + round);
            wrong += i >= 32 && c[(i - 32) * PAGE + round] != (char)(i + round);
        }
    }
    CHECK(wrong == 0 && pread(fd, a + 1, 1, 63 * PAGE + 2) == 1 && b[1] == 65);
    CHECK_ERRNO(mprotect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0), PAGE, RW), EACCES);
    CHECK_ERRNO(mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0), EACCES);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, PAGE + 1), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0), ENODEV);
    /* a private copy, dropped by MADV_DONTNEED, shows the file again */
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, PAGE);
    p[100] = 99;
    CHECK(a[PAGE + 100] != 99 && madvise(p, PAGE, MADV_DONTNEED) == 0 && p[100] == 2);
    CHECK(mprotect(p, PAGE, PROT_READ) == 0 && FAULT(poke(p)) == SIGSEGV);
    CHECK(g_fault.code == SEGV_ACCERR && mprotect(p, PAGE, RW) == 0 && !FAULT(poke(p)));
    CHECK(msync(a, 64 * PAGE, MS_SYNC) == 0 && msync(a, PAGE, MS_ASYNC | MS_INVALIDATE) == 0);
    CHECK_ERRNO(msync(a, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK(munmap(p, 2 * PAGE) == 0 && munmap(b, 64 * PAGE) == 0 && munmap(c, 32 * PAGE) == 0);
    close(fd); /* the mapping keeps the file */
    CHECK(unlink("m") == 0 && (a[7] = 8) && munmap(a, 64 * PAGE) == 0);
    close(ro);
    close(wo);
}

static void test_truncate(void)
{
    int fd = file("t", 4 * PAGE);
    char *s = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0), *p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);

    p[3 * PAGE] = 'c';
    CHECK(s[3 * PAGE] == 4 && ftruncate(fd, PAGE + 10) == 0);
    CHECK(FAULT(peek(s + 2 * PAGE)) == SIGBUS && g_fault.code == BUS_ADRERR);
    CHECK(g_fault.address == s + 2 * PAGE && FAULT(poke(s + 3 * PAGE)) == SIGBUS);
    CHECK(FAULT(peek(p + 3 * PAGE)) == SIGBUS); /* the private copy goes too */
    CHECK(!FAULT(peek(s + PAGE + 20)) && s[PAGE + 9] == 2 && s[PAGE + 10] == 0);
    CHECK_ERRNO(read(open("/dev/zero", O_RDONLY), s + 2 * PAGE, 10), EFAULT);
    CHECK(ftruncate(fd, 4 * PAGE) == 0 && s[2 * PAGE] == 0 && s[3 * PAGE] == 0);
    s[2 * PAGE] = 'n';
    CHECK(pread(fd, p, 1, 2 * PAGE) == 1 && p[0] == 'n');
    CHECK(munmap(s, 4 * PAGE) == 0 && munmap(p, 4 * PAGE) == 0);
    close(fd);
}

static void test_grows_down(void)
{
    char *base = mmap(NULL, 256 * PAGE, PROT_NONE, ANON, -1, 0), *p;

    CHECK(munmap(base, 256 * PAGE) == 0);
    p = mmap(base + 250 * PAGE, 2 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(p == base + 250 * PAGE && !FAULT(poke(p - 8)) && !FAULT(poke(p - PAGE - 8)));
    CHECK(p[-1] == 0 && munmap(p - 2 * PAGE, 4 * PAGE) == 0);
}

static __attribute__((noinline)) int deep(int n)
{
    volatile char frame[1024];

    frame[0] = (char)n;
    return n ? deep(n - 1) + frame[0] * 0 : 1;
}

static void test_stack(void)
{
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct rlimit r = {1 << 20, RLIM_INFINITY}, old;

    CHECK(sigaltstack(&ss, NULL) == 0 && deep(5000) == 1);
    CHECK(FAULT(deep(1 << 30)) == SIGSEGV);
    CHECK(FAULT(deep(1 << 30)) == SIGSEGV && deep(5000) == 1);
    CHECK(getrlimit(RLIMIT_STACK, &old) == 0);
    r.rlim_max = old.rlim_max;
    CHECK(setrlimit(RLIMIT_STACK, &r) == 0 && setrlimit(RLIMIT_STACK, &old) == 0);
}

static void test_advice(void)
{
    int fd = file("a", 8 * PAGE);
    char *p = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0), *q = anon(16 * PAGE);
    unsigned char vec[16];

    CHECK(madvise(p, 8 * PAGE, MADV_WILLNEED) == 0 && madvise(p, 8 * PAGE, MADV_SEQUENTIAL) == 0);
    CHECK(madvise(p, 8 * PAGE, MADV_RANDOM) == 0 && madvise(p, 8 * PAGE, MADV_NORMAL) == 0);
    p[5] = 'k';
    CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0 && p[5] == 'k');
    CHECK_ERRNO(madvise(p, PAGE, MADV_FREE), EINVAL);
    CHECK(madvise(p + PAGE, PAGE, MADV_REMOVE) == 0 && p[PAGE] == 0);
    memset(q, 1, 16 * PAGE);
    CHECK(madvise(q, 16 * PAGE, MADV_FREE) == 0 && (q[0] = 3) && q[0] == 3);
    CHECK(madvise(q, 16 * PAGE, MADV_DONTFORK) == 0 && madvise(q, 16 * PAGE, MADV_DOFORK) == 0);
    CHECK(madvise(q, 16 * PAGE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    CHECK(madvise(q, 0, MADV_DONTNEED) == 0 && mincore(q, 16 * PAGE, vec) == 0 && (vec[0] & 1));
    CHECK_ERRNO(madvise(q, SIZE_MAX - 100, MADV_DONTNEED), EINVAL);
    CHECK_ERRNO(mincore(q + 1, PAGE, vec), EINVAL);
    CHECK_ERRNO(mincore(q, PAGE, (void *)8), EFAULT);
    CHECK(munmap(q + 4 * PAGE, PAGE) == 0);
    q[0] = 1;
    CHECK_ERRNO(madvise(q, 16 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK(q[0] == 0 && q[8 * PAGE] == 0); /* what is mapped was done */
    CHECK(mlockall(MCL_CURRENT) == 0 && munlockall() == 0 && mlock2(q, PAGE, MLOCK_ONFAULT) == 0);
    CHECK_ERRNO(mlock(q + 4 * PAGE, PAGE), ENOMEM);
    close(fd);
}

int main(void)
{
    fault_catch(SIGSEGV);
    fault_catch(SIGBUS);
    test_mremap();
    test_fixed();
    test_files();
    test_truncate();
    test_grows_down();
    test_stack();
    test_advice();
    return guest_done();
}
