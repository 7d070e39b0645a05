/* SPDX-License-Identifier: MIT */
/* guest: memory=512m */
/* guest: runs=basics,exact,threads,nested,many,shared,layout */
/*
 * fork(2) is exact: parent and child never see each other's writes to private memory, whichever runs, and
 * shared memory stays shared. Heap, globals, stack, thread-local storage and mappings of all kinds.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest.h"

#define HEAP (4u << 20)

static int g_global = 1;
static __thread int t_local = 2;
static uint64_t *g_heap;

static void expect_exit(pid_t pid, int status)
{
    int got = -1;

    CHECK(waitpid(pid, &got, 0) == pid);
    CHECK(WIFEXITED(got) && WEXITSTATUS(got) == status);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 29;
    return x;
}

static void fill(uint64_t seed, size_t words)
{
    for (size_t i = 0; i < words; i++)
        g_heap[i] = mix(seed + i);
}

static int holds(uint64_t seed, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (g_heap[i] != mix(seed + i))
            return 0;
    return 1;
}

static void test_basics(void)
{
    volatile int on_stack = 3;
    pid_t pid, self = getpid();
    int fds[2];
    char c;

    CHECK(pipe(fds) == 0);
    pid = fork();
    if (pid == 0) {
        int ok = g_global == 1 && t_local == 2 && on_stack == 3 && getppid() == self && holds(7, 1000);

        g_global = 11;
        t_local = 12;
        on_stack = 13;
        fill(8, 1000);
        ok = ok && write(fds[1], "x", 1) == 1;
        _exit(ok ? 21 : 1);
    }
    CHECK(pid > 0);
    CHECK(read(fds[0], &c, 1) == 1);
    CHECK(g_global == 1 && t_local == 2 && on_stack == 3 && holds(7, 1000));
    expect_exit(pid, 21);
    CHECK(g_global == 1 && t_local == 2 && on_stack == 3 && holds(7, 1000));
    CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

/* Both write all of the heap, exchange a token, and check that nothing of the other's came through. */
static void exact_rounds(int rounds, int in, int out, uint64_t base)
{
    char token;

    for (int i = 0; i < rounds; i++) {
        size_t words = i % 10 ? 4096 : HEAP / 8;

        fill(base + (uint64_t)i, words);
        g_global = (int)base + i;
        t_local = -g_global;
        CHECK(write(out, "t", 1) == 1);
        CHECK(read(in, &token, 1) == 1);
        CHECK(holds(base + (uint64_t)i, words));
        CHECK(g_global == (int)base + i && t_local == -g_global);
    }
}

static void test_exact(void)
{
    int to_child[2], to_parent[2];
    pid_t pid;

    CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        exact_rounds(60, to_child[0], to_parent[1], 1000000);
        _exit(g_guest_failures != 0);
    }
    exact_rounds(60, to_parent[0], to_child[1], 2000000);
    expect_exit(pid, 0);
}

/* ---- Threads in the parent ------------------------------------------------------------------------- */

static atomic_int g_stop;
static atomic_long g_writes;

static void *keep_writing(void *arg)
{
    volatile uint64_t *mine = g_heap + (size_t)arg * 65536;
    uint64_t n = 0;

    while (!atomic_load(&g_stop)) {
        for (int i = 0; i < 64; i++)
            mine[i * 512] = n;
        for (int i = 0; i < 64; i++)
            if (mine[i * 512] != n)
                return (void *)1;
        n++;
        atomic_fetch_add(&g_writes, 1);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[3];
    void *result;

    for (long i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, keep_writing, (void *)i) == 0);
    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            for (size_t k = 0; k < HEAP / 8; k += 512)
                g_heap[k] = 0xdead;
            _exit(5);
        }
        expect_exit(pid, 5);
    }
    atomic_store(&g_stop, 1);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], &result) == 0 && result == NULL);
    CHECK(atomic_load(&g_writes) > 0);
}

/* ---- Nested, in a handler ---------------------------------------------------------------------------- */

static int nested(int depth)
{
    volatile int here = depth;
    pid_t pid;
    int status;

    if (depth == 0)
        return 1;
    g_global = depth;
    pid = fork();
    if (pid == 0)
        _exit(nested(depth - 1));
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 100;
    return here == depth && g_global == depth ? WEXITSTATUS(status) + 1 : 101;
}

static volatile pid_t g_handler_child;

static void fork_in_handler(int sig)
{
    (void)sig;
    pid_t pid = fork();

    if (pid == 0)
        _exit(33);
    g_handler_child = pid;
}

static void test_nested(void)
{
    CHECK(nested(6) == 7);
    CHECK(signal(SIGUSR1, fork_in_handler) != SIG_ERR && raise(SIGUSR1) == 0);
    expect_exit(g_handler_child, 33);
}

/* ---- Many at once --------------------------------------------------------------------------------------- */

static void test_many(void)
{
    pid_t pids[40];
    int go[2];
    char c;

    CHECK(pipe(go) == 0);
    for (int i = 0; i < 40; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(go[1]);
            g_global = i;
            fill((uint64_t)i, 4096);
            if (read(go[0], &c, 1) != 0)
                _exit(99);
            _exit(g_global == i && holds((uint64_t)i, 4096) ? i : 98);
        }
        CHECK(pids[i] > 0);
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < 40; i++)
        expect_exit(pids[i], i);
    for (int i = 0; i < 300; i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(i % 100);
        expect_exit(pid, i % 100);
    }
}

/* ---- Shared memory ----------------------------------------------------------------------------------------- */

static void test_shared(void)
{
    atomic_int *shared = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = memfd_create("m", 0);
    char *file, *private;
    pid_t pid;

    CHECK(shared != MAP_FAILED && ftruncate(fd, 8192) == 0 && pwrite(fd, "file", 4, 0) == 4);
    file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    private = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(file != MAP_FAILED && private != MAP_FAILED);
    private[1] = 'P';
    pid = fork();
    if (pid == 0) {
        private[1] = 'C';
        file[2] = 'S';
        atomic_store(&shared[0], 77);
        while (atomic_load(&shared[1]) != 88)
            sched_yield();
        _exit(private[1] == 'C' ? 3 : 4);
    }
    while (atomic_load(&shared[0]) != 77)
        sched_yield();
    CHECK(file[2] == 'S' && private[1] == 'P');
    atomic_store(&shared[1], 88);
    expect_exit(pid, 3);
    CHECK(private[1] == 'P' && private[0] == 'f');
}

/* ---- Mappings that differ ------------------------------------------------------------------------------------ */

static int is_mapped(void *p)
{
    unsigned char vec;

    return mincore(p, 4096, &vec) == 0;
}

/* What either unmaps, protects or maps after the fork is its own. */
static void test_layout(void)
{
    const int prot = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
    char *a = mmap(NULL, 3 * 4096, prot, anon, -1, 0), *b = mmap(NULL, 4096, prot, anon, -1, 0);
    char *wiped = mmap(NULL, 4096, prot, anon, -1, 0), *hidden = mmap(NULL, 4096, prot, anon, -1, 0);
    int fds[2], back[2];
    char c = 0;
    pid_t pid;

    memset(a, 'a', 3 * 4096);
    *b = 'b';
    *wiped = 'w';
    *hidden = 'h';
    CHECK(madvise(wiped, 4096, MADV_WIPEONFORK) == 0 && madvise(hidden, 4096, MADV_DONTFORK) == 0);
    CHECK(pipe(fds) == 0 && pipe(back) == 0);
    pid = fork();
    if (pid == 0) {
        int ok = *wiped == 0 && !is_mapped(hidden);
        char *own = mmap(NULL, 1 << 20, prot, anon, -1, 0);

        memset(own, 'o', 1 << 20);
        ok = ok && munmap(a + 4096, 4096) == 0 && mprotect(b, 4096, PROT_READ) == 0;
        ok = ok && write(fds[1], "x", 1) == 1 && read(back[0], &c, 1) == 1;
        ok = ok && *b == 'b' && !is_mapped(a + 4096) && a[0] == 'a' && own[4096] == 'o' && *wiped == 0;
        _exit(ok ? 9 : 8);
    }
    CHECK(read(fds[0], &c, 1) == 1);
    CHECK(a[4096] == 'a' && is_mapped(a + 4096));
    *b = 'B';
    a[0] = 'A';
    CHECK(munmap(a + 2 * 4096, 4096) == 0);
    CHECK(write(back[1], "y", 1) == 1);
    expect_exit(pid, 9);
    CHECK(*b == 'B' && a[0] == 'A' && a[4096] == 'a' && *wiped == 'w' && *hidden == 'h');
    CHECK(!is_mapped(a + 2 * 4096));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    g_heap = malloc(HEAP);
    fill(7, HEAP / 8);
    if (!strcmp(what, "basics"))
        test_basics();
    else if (!strcmp(what, "exact"))
        test_exact();
    else if (!strcmp(what, "threads"))
        test_threads();
    else if (!strcmp(what, "nested"))
        test_nested();
    else if (!strcmp(what, "many"))
        test_many();
    else if (!strcmp(what, "shared"))
        test_shared();
    else if (!strcmp(what, "layout"))
        test_layout();
    else
        CHECK(!"a known test");
    return guest_done();
}
