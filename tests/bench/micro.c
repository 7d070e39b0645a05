/* SPDX-License-Identifier: MIT */
/*
 * Single operations, timed: prints "name nanoseconds" a line. The same binary runs natively and
 * inside. Each operation is warmed up, then measured in rounds, of which the best counts.
 *
 *   micro [NAME]        times all, or one
 *   micro NAME COUNT    does it COUNT times and prints nothing: for counting what it costs
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int g_fd;
static char g_name[64];

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void op_getpid(void)
{
    syscall(SYS_getpid);
}

static void op_clock(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void op_pread(void)
{
    char c;

    if (pread(g_fd, &c, 1, 100) != 1)
        exit(1);
}

static void op_open_close(void)
{
    close(open(g_name, O_RDONLY));
}

static void op_stat(void)
{
    struct stat st;

    if (stat(g_name, &st))
        exit(1);
}

static void op_mmap(void)
{
    char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (int i = 0; i < 65536; i += 4096)
        p[i] = 1;
    munmap(p, 65536);
}

static void op_write(void)
{
    if (write(1, "x", 1) != 1)
        exit(1);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void op_signal(void)
{
    raise(SIGUSR1);
}

static const struct {
    const char *name;
    void (*op)(void);
    int count;
} g_ops[] = {
    {"getpid", op_getpid, 100000},
    {"clock_gettime", op_clock, 200000},
    {"pread-1", op_pread, 50000},
    {"open-close", op_open_close, 20000},
    {"stat", op_stat, 20000},
    {"mmap-64k-touch-munmap", op_mmap, 2000},
    {"signal-self", op_signal, 10000},
    {"write-stdout", op_write, 0}, /* only counted */
};

static double measure(void (*op)(void), int count)
{
    double best = 1e18;

    for (int round = 0; round < 7; round++) {
        double start = now_ns(), took;

        for (int i = 0; i < count; i++)
            op();
        took = (now_ns() - start) / count;
        if (took < best)
            best = took;
    }
    return best;
}

static void repeat(void (*op)(void), long count)
{
    while (count-- > 0)
        op();
}

int main(int argc, char **argv)
{
    char page[4096] = {0};

    snprintf(g_name, sizeof(g_name), "/tmp/adyton-micro.%d", (int)getpid());
    g_fd = open(g_name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (g_fd < 0 || write(g_fd, page, sizeof(page)) != (ssize_t)sizeof(page))
        return 1;
    signal(SIGUSR1, on_signal);
    for (size_t i = 0; i < sizeof(g_ops) / sizeof(g_ops[0]); i++) {
        if (argc > 1 && strcmp(argv[1], g_ops[i].name) != 0)
            continue;
        if (argc > 2)
            repeat(g_ops[i].op, atol(argv[2]));
        else if (g_ops[i].count)
            printf("%s %.1f\n", g_ops[i].name, measure(g_ops[i].op, g_ops[i].count));
    }
    unlink(g_name);
    return 0;
}
