/* SPDX-License-Identifier: MIT */
/*
 * crash DIR: a child with three threads dies of SIGSEGV; its core file, found in DIR, goes to standard output as
 * pieces: two 64-bit words (where, how long), then the bytes; the last has no bytes and tells the file's size.
 */
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t g_ready;
static volatile int g_value = 42;

__attribute__((noinline)) static void wait_in_kernel(void)
{
    int fds[2];
    char c;

    if (pipe(fds))
        return;
    pthread_barrier_wait(&g_ready);
    (void)!read(fds[0], &c, 1);
}

__attribute__((noinline)) static void compute(volatile int *n)
{
    pthread_barrier_wait(&g_ready);
    for (;;)
        ++*n;
}

static void *kernel_thread(void *arg)
{
    wait_in_kernel();
    return arg;
}

static void *computing_thread(void *arg)
{
    volatile int n = 0;

    compute(&n);
    return arg;
}

/* Known values in general registers and, in both halves, in vector ones; then a fault. */
__attribute__((noinline)) static int fail(volatile int *p, int depth)
{
    static const uint64_t vector[2] = {0x0123456789abcdef, 0xfedcba9876543210};

    if (depth)
        return fail(p, depth - 1) + *p;
    __asm__ volatile("mov $0x1122334455667788, %%r12\n"
                     "movdqu %1, %%xmm5\n"
                     "movl $7, (%0)"
                     :
                     : "r"(p), "m"(vector)
                     : "r12", "xmm5", "memory");
    return 1;
}

__attribute__((noinline)) static int child(void)
{
    pthread_t a, b;
    char *sparse = mmap(NULL, 1UL << 34, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                        -1, 0);

    if (sparse == MAP_FAILED)
        return 1;
    sparse[1UL << 33] = 'x';
    g_value = 4711;
    pthread_barrier_init(&g_ready, NULL, 3);
    pthread_create(&a, NULL, kernel_thread, NULL);
    pthread_create(&b, NULL, computing_thread, NULL);
    pthread_barrier_wait(&g_ready);
    return fail((int *)0x10, 2);
}

static int put_file(const char *name)
{
    int fd = open(name, O_RDONLY);
    off_t end = lseek(fd, 0, SEEK_END), at = 0;
    char buf[4096];

    if (fd < 0)
        return 1;
    while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(fd, at, SEEK_HOLE);

        while (at < hole) {
            ssize_t n = pread(fd, buf, (size_t)(hole - at) < sizeof(buf) ? (size_t)(hole - at) : sizeof(buf), at);
            uint64_t head[2] = {(uint64_t)at, (uint64_t)n};

            if (n <= 0)
                return 1;
            fwrite(head, sizeof(head), 1, stdout);
            fwrite(buf, (size_t)n, 1, stdout);
            at += n;
        }
    }
    fwrite((uint64_t[2]){(uint64_t)end, 0}, 16, 1, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    char pattern[4096];
    glob_t found;
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(child());
    waitpid(pid, &status, 0);
    fprintf(stderr, "signal %d, core %d\n", WTERMSIG(status), !!WCOREDUMP(status));
    snprintf(pattern, sizeof(pattern), "%s/core.crash.*.11", argc > 1 ? argv[1] : ".");
    if (glob(pattern, 0, NULL, &found) || found.gl_pathc != 1)
        return 1;
    return put_file(found.gl_pathv[0]);
}
