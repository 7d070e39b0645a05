/* SPDX-License-Identifier: MIT */
/* guest: native=no */
/* prctl(PR_SET_VMA_ANON_NAME), which not every Linux is built with: expectations are mm/madvise.c's of 6.18. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define PAGE 4096UL

static long named(void *addr, size_t size, const char *name)
{
    return prctl(0x53564d41 /* PR_SET_VMA */, 0UL, addr, size, name);
}

/* What /proc/self/maps shows behind the inode of the mapping that starts at `addr`; NULL: none starts there. */
static const char *shown(const char *addr)
{
    static char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    const char *name = NULL;

    while (f && !name && fgets(line, sizeof(line), f)) {
        if (strtoul(line, NULL, 16) != (uintptr_t)addr)
            continue;
        line[strcspn(line, "\n")] = 0;
        name = strlen(line) > 73 ? line + 73 : "";
    }
    fclose(f);
    return name;
}

#define SHOWN(addr, text) CHECK(shown(addr) && !strcmp(shown(addr), text))

static void test_names(char *a)
{
    char name[100];

    CHECK(named(a, 2 * PAGE, "hello") == 0);
    SHOWN(a, "[anon:hello]");
    SHOWN(a + 2 * PAGE, "");
    CHECK(named(a + PAGE, PAGE, "sp ace/") == 0);
    SHOWN(a + PAGE, "[anon:sp ace/]");
    CHECK(named(a + PAGE, PAGE, "hello") == 0 && !shown(a + PAGE)); /* one again */
    CHECK(named(a, PAGE, "") == 0);
    SHOWN(a, "[anon:]");
    CHECK(named(a, 2 * PAGE, NULL) == 0 && !shown(a + PAGE) && !shown(a + 2 * PAGE));
    SHOWN(a, "");
    memset(name, 'n', sizeof(name));
    name[79] = 0;
    CHECK(named(a, 1, name) == 0 && shown(a) && strlen(shown(a)) == 79 + strlen("[anon:]"));
    a[0] = 1; /* moves with the memory */
    char *to = mremap(a, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 12 * PAGE);
    CHECK(to == a + 12 * PAGE && shown(to) && strlen(shown(to)) == 79 + strlen("[anon:]") && to[0] == 1);
}

static void test_errors(char *a)
{
    char name[100];
    int fd = open("/proc/self/exe", O_RDONLY), zero = open("/dev/zero", O_RDWR);
    char *f = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    char *z = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, zero, 0);

    memset(name, 'n', sizeof(name));
    name[80] = 0;
    CHECK_ERRNO(named(a + PAGE, PAGE, name), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "a[b"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "a]"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "$a"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "`"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "\\"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "\x1f"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "\x7f"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, "\xc3\xa9"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, PAGE, (char *)1), EFAULT);
    CHECK_ERRNO(named(a + PAGE + 1, PAGE, "x"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, ~0UL, "x"), EINVAL);
    CHECK_ERRNO(named(a + PAGE, ~0UL << 12, "x"), EINVAL);
    CHECK(named(a + PAGE, 0, "x") == 0);
    CHECK_ERRNO(named(f, PAGE, "file"), EBADF);
    CHECK_ERRNO(named(z, PAGE, "zero"), EBADF);
    CHECK_ERRNO(prctl(0x53564d41, 1UL, a, PAGE, "x"), EINVAL);
    CHECK_ERRNO(named(a + 7 * PAGE, 3 * PAGE, "edge"), ENOMEM); /* but both sides of the hole have it */
    SHOWN(a + 7 * PAGE, "[anon:edge]");
    SHOWN(a + 9 * PAGE, "[anon:edge]");
}

static void test_kinds(void)
{
    char *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uintptr_t heap = ((uintptr_t)syscall(SYS_brk, 0) + PAGE - 1) & -PAGE;

    CHECK((uintptr_t)syscall(SYS_brk, heap + 2 * PAGE) == heap + 2 * PAGE);
    CHECK(named(s, PAGE, "shm") == 0);
    SHOWN(s, "[anon_shmem:shm]");
    CHECK(named((void *)heap, PAGE, "heap") == 0); /* still shown as [heap] */
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    while (fgets(line, sizeof(line), f))
        CHECK(!strstr(line, "[anon:heap]"));
    fclose(f);
}

int main(void)
{
    char *a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(mmap(a + 15 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    CHECK(munmap(a + 8 * PAGE, PAGE) == 0);
    test_names(a);
    test_errors(a);
    test_kinds();
    return guest_done();
}
