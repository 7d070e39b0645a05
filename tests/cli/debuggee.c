/* SPDX-License-Identifier: MIT */
/* What the tests of `adyton gdb` debug: frames, locals, a signal handler, a system call, a crash. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile int seen;

static void handler(int sig)
{
    seen = sig;
}

static int work(int depth)
{
    int local = depth * 10;

    if (depth == 3)
        raise(SIGUSR1);
    return depth == 0 ? local : local + work(depth - 1);
}

int main(int argc, char **argv)
{
    char text[32];
    int sum;

    signal(SIGUSR1, handler);
    snprintf(text, sizeof(text), "%d arguments", argc);
    sum = work(4);
    printf("%s, sum %d, seen %d\n", text, sum, seen);
    fflush(stdout);
    if (argc > 1 && strcmp(argv[1], "crash") == 0)
        *(volatile int *)8 = 1;
    return 0;
}
