/* SPDX-License-Identifier: MIT */
/*
 * Operations of threads and processes, timed: prints "name nanoseconds" a line. The same binary runs natively and
 * inside. Usage: procs NAME [COUNT]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KIB 1024ul

extern char **environ;

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(int good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

static void reap(pid_t pid)
{
    int status;

    must(waitpid(pid, &status, 0) == pid && status == 0, "a child");
}

/* ---- Threads ------------------------------------------------------------------------------------------------ */

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_turn;

static void mutex(long count)
{
    while (count-- > 0) {
        pthread_mutex_lock(&g_mutex);
        pthread_mutex_unlock(&g_mutex);
    }
}

static void take_turns(int mine, long count)
{
    pthread_mutex_lock(&g_mutex);
    while (count-- > 0) {
        while (g_turn != mine)
            pthread_cond_wait(&g_cond, &g_mutex);
        g_turn = !mine;
        pthread_cond_signal(&g_cond);
    }
    pthread_mutex_unlock(&g_mutex);
}

static void *other_turns(void *count)
{
    take_turns(1, *(long *)count);
    return NULL;
}

static void condvar(long count)
{
    pthread_t t;

    must(!pthread_create(&t, NULL, other_turns, &count), "pthread_create");
    take_turns(0, count);
    pthread_join(t, NULL);
}

static void *nothing(void *arg)
{
    return arg;
}

static void create_join(long count)
{
    pthread_t t;

    while (count-- > 0) {
        must(!pthread_create(&t, NULL, nothing, NULL), "pthread_create");
        pthread_join(t, NULL);
    }
}

static void *compute(void *arg)
{
    volatile unsigned long n = 0;

    for (long i = 0; i < 20000000; i++)
        n += (unsigned long)i;
    return arg;
}

/* Two at once: on two processors as long as one alone. */
static void compute_two(long count)
{
    pthread_t t;

    while (count-- > 0) {
        must(!pthread_create(&t, NULL, compute, NULL), "pthread_create");
        compute(NULL);
        pthread_join(t, NULL);
    }
}

/* ---- Pipes: a byte there and back ------------------------------------------------------------------------------ */

static int g_there[2], g_back[2];

static void echo(int in, int out)
{
    char c;

    while (read(in, &c, 1) == 1 && write(out, &c, 1) == 1)
        ;
}

static void *echo_thread(void *arg)
{
    char c;

    for (long n = *(long *)arg; n > 0; n--)
        if (read(g_there[0], &c, 1) != 1 || write(g_back[1], &c, 1) != 1)
            break;
    return NULL;
}

static void bounce(long count)
{
    char c = 'x';

    while (count-- > 0)
        must(write(g_there[1], &c, 1) == 1 && read(g_back[0], &c, 1) == 1, "bounce");
}

static void open_pipes(void)
{
    must(!pipe(g_there) && !pipe(g_back), "pipe");
}

static void close_pipes(void)
{
    close(g_there[0]);
    close(g_back[0]);
    close(g_back[1]);
}

static void pipe_threads(long count)
{
    pthread_t t;

    open_pipes();
    must(!pthread_create(&t, NULL, echo_thread, &count), "pthread_create");
    bounce(count);
    pthread_join(t, NULL);
    close(g_there[1]);
    close_pipes();
}

static void pipe_spawned(long count)
{
    char *argv[] = {"procs", "echo", NULL};
    posix_spawn_file_actions_t fa;
    pid_t pid;

    open_pipes();
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, g_there[0], 0);
    posix_spawn_file_actions_adddup2(&fa, g_back[1], 1);
    posix_spawn_file_actions_addclose(&fa, g_there[1]);
    must(!posix_spawn(&pid, "/proc/self/exe", &fa, NULL, argv, environ), "posix_spawn");
    posix_spawn_file_actions_destroy(&fa);
    bounce(count);
    close(g_there[1]);
    reap(pid);
    close_pipes();
}

static char *touched(size_t size)
{
    char *p = malloc(size);

    must(p != NULL, "malloc");
    memset(p, 1, size);
    return p;
}

/* A forked pair that differs by `size` bytes and what each has done besides. */
static void pipe_forked_by(long count, size_t size)
{
    char *p = touched(size + 1);
    pid_t pid;

    open_pipes();
    pid = fork();
    if (pid == 0) {
        memset(p, 2, size);
        close(g_there[1]);
        echo(g_there[0], g_back[1]);
        _exit(0);
    }
    must(pid > 0, "fork");
    bounce(count);
    close(g_there[1]);
    reap(pid);
    close_pipes();
    free(p);
}

static void pipe_forked(long count)
{
    pipe_forked_by(count, 0);
}

static void pipe_forked_256k(long count)
{
    pipe_forked_by(count, 256 * KIB);
}

/* ---- Processes ---------------------------------------------------------------------------------------------------- */

static void spawn_wait(long count)
{
    char *argv[] = {"procs", "nothing", NULL};
    pid_t pid;

    while (count-- > 0) {
        must(!posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), "posix_spawn");
        reap(pid);
    }
}

static void fork_wait_with(long count, size_t size)
{
    char *p = touched(size);
    pid_t pid;

    while (count-- > 0) {
        pid = fork();
        if (pid == 0)
            _exit(0);
        must(pid > 0, "fork");
        reap(pid);
    }
    free(p);
}

static void fork_wait_512k(long count)
{
    fork_wait_with(count, 400 * KIB); /* the rest is the program's own */
}

static void fork_wait_2m(long count)
{
    fork_wait_with(count, 1936 * KIB);
}

static void fork_wait_16m(long count)
{
    fork_wait_with(count, 16 * 1024 * KIB);
}

static void fork_exec_wait(long count)
{
    char *argv[] = {"procs", "nothing", NULL};
    pid_t pid;

    while (count-- > 0) {
        pid = fork();
        if (pid == 0) {
            execv("/proc/self/exe", argv);
            _exit(127);
        }
        must(pid > 0, "fork");
        reap(pid);
    }
}

static const struct {
    const char *name;
    void (*run)(long count);
    long count;
} g_ops[] = {
    {"mutex", mutex, 1000000},
    {"condvar-pingpong", condvar, 5000},
    {"thread-create-join", create_join, 1000},
    {"compute-two-threads", compute_two, 3},
    {"pipe-threads", pipe_threads, 5000},
    {"pipe-spawned", pipe_spawned, 5000},
    {"pipe-forked", pipe_forked, 1000},
    {"pipe-forked-256k", pipe_forked_256k, 300},
    {"spawn-wait", spawn_wait, 100},
    {"fork-wait-512k", fork_wait_512k, 200},
    {"fork-wait-2m", fork_wait_2m, 100},
    {"fork-wait-16m", fork_wait_16m, 30},
    {"fork-exec-wait", fork_exec_wait, 100},
};

/* The best of some rounds. */
static double measure(void (*run)(long), long count)
{
    double best = 1e18;

    for (int round = 0; round < 5; round++) {
        double start = now_ns(), took;

        run(count);
        took = (now_ns() - start) / (double)count;
        if (took < best)
            best = took;
    }
    return best;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "nothing"))
        return 0;
    if (argc > 1 && !strcmp(argv[1], "echo")) {
        echo(0, 1);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < sizeof(g_ops) / sizeof(g_ops[0]); i++) {
        if (strcmp(argv[1], g_ops[i].name) != 0)
            continue;
        if (argc > 2)
            g_ops[i].run(atol(argv[2]));
        else
            printf("%s %.1f\n", argv[1], measure(g_ops[i].run, g_ops[i].count));
        return 0;
    }
    fprintf(stderr, "usage: procs NAME [COUNT]\n");
    return 2;
}
