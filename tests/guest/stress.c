/* SPDX-License-Identifier: MIT */
/* guest: memory=1g */
/* guest: args=4 */
/*
 * A random mix of processes, threads and signals for some seconds: every thread forks, spawns, maps, signals,
 * and checks that its memory and its children are as they must be. Ends with nothing left behind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "guest.h"

#define THREADS 6
#define HEAP    (256u << 10)

extern char **environ;

static atomic_int g_stop, g_bad, g_signals;
static atomic_long g_forks, g_spawns, g_joins, g_maps;
static pthread_t g_threads[THREADS];
static const char *g_self;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bad(const char *what)
{
    if (atomic_fetch_add(&g_bad, 1) < 5)
        printf("%s (errno %d)\n", what, errno);
}

static void bad_status(const char *what, int status)
{
    if (atomic_fetch_add(&g_bad, 1) < 5)
        printf("%s: status %#x\n", what, status);
}

static void on_signal(int sig)
{
    (void)sig;
    atomic_fetch_add(&g_signals, 1);
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(uint32_t *heap, uint32_t seed)
{
    for (size_t i = 0; i < HEAP / 4; i += 64)
        heap[i] = seed + (uint32_t)i;
}

static int holds(const uint32_t *heap, uint32_t seed)
{
    for (size_t i = 0; i < HEAP / 4; i += 64)
        if (heap[i] != seed + (uint32_t)i)
            return 0;
    return 1;
}

static int wait_exact(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

/* A child with memory of its own, at times with a child and a thread of its own. */
static void *in_child(void *arg)
{
    *(uint32_t *)arg += 1;
    return NULL;
}

static void child(uint32_t *heap, uint32_t mark, uint32_t what)
{
    pthread_t t;
    uint32_t count = 0;

    if (!holds(heap, mark))
        _exit(101);
    fill(heap, mark + 7);
    if (what % 3 == 0) {
        if (pthread_create(&t, NULL, in_child, &count) || pthread_join(t, NULL) || count != 1)
            _exit(102);
    }
    if (what % 4 == 0) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(holds(heap, mark + 7) ? 5 : 6);
        if (pid > 0 && wait_exact(pid) != 5 << 8)
            _exit(103);
    }
    if (what % 5 == 0)
        sched_yield();
    if (!holds(heap, mark + 7))
        _exit(104);
    if (what % 7 == 0)
        raise(SIGKILL);
    _exit((int)(what % 100));
}

static void do_fork(uint32_t *heap, uint32_t mark, uint32_t what)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        child(heap, mark, what);
    if (pid < 0) {
        if (errno != EAGAIN)
            bad("fork");
        return;
    }
    status = wait_exact(pid);
    if (what % 7 ? status != (int)(what % 100) << 8 : status != SIGKILL)
        bad_status("a child ended otherwise", status);
    if (!holds(heap, mark))
        bad("the child's writes came through");
    atomic_fetch_add(&g_forks, 1);
}

static void do_spawn(void)
{
    char *argv[] = {(char *)g_self, "child", NULL};
    pid_t pid;
    int err = posix_spawn(&pid, g_self, NULL, NULL, argv, environ);
    int status = err ? 0 : wait_exact(pid);

    if (err)
        bad("posix_spawn");
    else if (status != 42 << 8)
        bad_status("what was spawned ended otherwise", status);
    atomic_fetch_add(&g_spawns, 1);
}

static void do_map(uint32_t what)
{
    size_t size = 4096u << (what % 8);
    unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || p[0] || p[size - 1] || p[size / 2])
        bad("mmap");
    memset(p, 0x5a, size);
    sched_yield();
    if (p[size - 1] != 0x5a || munmap(p, size))
        bad("munmap");
    atomic_fetch_add(&g_maps, 1);
}

static void do_thread(void)
{
    uint32_t count = 0;
    pthread_t t;

    if (pthread_create(&t, NULL, in_child, &count) || pthread_join(t, NULL) || count != 1)
        bad("a thread");
    atomic_fetch_add(&g_joins, 1);
}

static void do_pipe(void)
{
    int p[2];
    char c = 'p';

    if (pipe2(p, O_CLOEXEC) || write(p[1], &c, 1) != 1 || read(p[0], &c, 1) != 1 || close(p[0]) || close(p[1]))
        bad("a pipe");
}

static void *work(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg * 7919u + 17u, mark = seed;
    uint32_t *heap = malloc(HEAP);

    fill(heap, mark);
    while (!atomic_load(&g_stop)) {
        uint32_t what = next(&seed);

        switch (next(&seed) % 8) {
        case 0:
        case 1:
            do_fork(heap, mark, what);
            break;
        case 2:
            if (what % 4 == 0)
                do_spawn();
            break;
        case 3:
            do_thread();
            break;
        case 4:
            do_map(what);
            break;
        case 5:
            pthread_kill(g_threads[what % THREADS], SIGUSR1);
            break;
        case 6:
            do_pipe();
            break;
        default:
            if (!holds(heap, mark))
                bad("memory changed");
            mark = what;
            fill(heap, mark);
        }
    }
    free(heap);
    return NULL;
}

static int count_entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    double end;
    int fds;

    if (argc > 1 && !strcmp(argv[1], "child"))
        return 42;
    g_self = "/proc/self/exe";
    end = now() + (argc > 1 ? atof(argv[1]) : 8);
    CHECK(sigaction(SIGUSR1, &act, NULL) == 0);
    fds = count_entries("/proc/self/fd");
    for (uintptr_t i = 0; i < THREADS; i++)
        g_threads[i] = pthread_self();
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&g_threads[i], NULL, work, (void *)i) == 0);
    while (now() < end)
        usleep(20000);
    atomic_store(&g_stop, 1);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(g_threads[i], NULL) == 0);
    CHECK(atomic_load(&g_bad) == 0);
    CHECK(g_forks > 0 && g_spawns > 0 && g_joins > 0 && g_maps > 0 && g_signals > 0);
    CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
    /* A joiner is woken a moment before the thread is gone. */
    for (int i = 0; i < 1000 && count_entries("/proc/self/task") != 3; i++)
        usleep(1000);
    CHECK(count_entries("/proc/self/task") == 3);
    CHECK(count_entries("/proc/self/fd") == fds);
    if (argc > 2)
        fprintf(stderr, "forks %ld spawns %ld joins %ld maps %ld signals %d\n", g_forks, g_spawns, g_joins,
                g_maps, g_signals);
    return guest_done();
}
