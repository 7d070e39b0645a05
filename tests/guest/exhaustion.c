/* SPDX-License-Identifier: MIT */
/* guest: native=no */
/* guest: memory=96m */
/* Memory runs out, is given back, and the program goes on: malloc, mmap, files, then malloc again. */
#include "guest.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, MOST = 400 };

static void *g_block[MOST];
static char g_untouched[MIB];

/* Takes and touches blocks until there are no more. */
static int take(size_t size)
{
    int n;

    for (n = 0; n < MOST && (g_block[n] = malloc(size)); n++)
        memset(g_block[n], n + 1, size);
    return n;
}

static void give(int n)
{
    while (n-- > 0)
        free(g_block[n]);
}

static void test_malloc(void)
{
    int n = take(MIB), again;

    CHECK(n > 40 && n < 96);
    CHECK_ERRNO(mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    for (int i = 0; i < n; i++)
        CHECK(((unsigned char *)g_block[i])[MIB / 2] == (unsigned char)(i + 1));
    give(n);
    again = take(MIB);
    CHECK(again >= n - 2);
    give(again);
}

static void test_file(void)
{
    static char buf[MIB];
    int fd = open("big", O_CREAT | O_RDWR, 0600), n = 0;
    ssize_t r;

    while ((r = write(fd, buf, sizeof(buf))) == MIB && n < MOST)
        n++;
    CHECK(n > 30 && n < 96 && (r >= 0 || errno == ENOSPC || errno == ENOMEM));
    memset(g_untouched, 1, sizeof(g_untouched)); /* a full file system leaves memory to go on with */
    CHECK(ftruncate(fd, 0) == 0 && write(fd, buf, sizeof(buf)) == MIB);
    CHECK(close(fd) == 0 && unlink("big") == 0);
    n = take(MIB);
    CHECK(n > 40);
    give(n);
}

static void test_reservation(void)
{
    char *p = mmap(NULL, 64ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED && mprotect(p, MIB, PROT_READ | PROT_WRITE) == 0 && (p[5] = 1));
    CHECK_ERRNO(mprotect(p, 1ul << 30, PROT_READ | PROT_WRITE), ENOMEM);
    CHECK(munmap(p, 64ul << 30) == 0);
}

int main(void)
{
    test_malloc();
    test_file();
    test_reservation();
    return guest_done();
}
