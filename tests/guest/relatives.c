/* SPDX-License-Identifier: MIT */
/* guest: memory=512m */
/* guest: runs=unmapped,replaced,shared_over,parts,file_parts,unlike,lent,futexes,joins,statuses,vfork_thread,pending */
/*
 * Processes that have the same addresses after fork(2) and do different things there: what one unmaps, maps over or
 * waits for is not the other's.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "fault.h"
#include "guest.h"

#define PAGE  4096ul
#define PAGES 64

/* Two processes that take turns: each waits for the other's byte. */
struct pair {
    int to_child[2], to_parent[2];
};

static void pair_open(struct pair *p)
{
    CHECK(pipe(p->to_child) == 0 && pipe(p->to_parent) == 0);
}

static void pair_close(struct pair *p)
{
    close(p->to_child[0]);
    close(p->to_child[1]);
    close(p->to_parent[0]);
    close(p->to_parent[1]);
}

static void tell(int fd)
{
    CHECK(write(fd, "x", 1) == 1);
}

static void hear(int fd)
{
    char c;

    CHECK(read(fd, &c, 1) == 1);
}

static void expect_exit(pid_t pid, int status)
{
    int got = -1;

    CHECK(waitpid(pid, &got, 0) == pid);
    CHECK(WIFEXITED(got) && WEXITSTATUS(got) == status);
}

static int all_bytes(const volatile unsigned char *p, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i += 64)
        if (p[i] != value)
            return 0;
    return 1;
}

static unsigned char *map_private(void *at, size_t size)
{
    unsigned char *p = mmap(at, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

/* What the child wrote and unmapped does not appear in the parent, which never touched it. */
static void test_unmapped(void)
{
    unsigned char *p = map_private(NULL, PAGES * PAGE);
    struct pair pair;
    pid_t pid;

    pair_open(&pair);
    pid = fork();
    if (pid == 0) {
        memset(p, 0xaa, PAGES * PAGE);
        CHECK(munmap(p, PAGES * PAGE) == 0);
        tell(pair.to_parent[1]);
        hear(pair.to_child[0]);
        CHECK(map_private(p, PAGES * PAGE) == p);
        CHECK(all_bytes(p, PAGES * PAGE, 0));
        _exit(g_guest_failures);
    }
    hear(pair.to_parent[0]);
    CHECK(all_bytes(p, PAGES * PAGE, 0));
    memset(p, 0xbb, PAGES * PAGE);
    tell(pair.to_child[1]);
    expect_exit(pid, 0);
    CHECK(all_bytes(p, PAGES * PAGE, 0xbb));
    munmap(p, PAGES * PAGE);
    pair_close(&pair);
}

static int temp_file(size_t size)
{
    int fd = memfd_create("relatives", 0);

    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    return fd;
}

static int file_byte(int fd, off_t at)
{
    unsigned char c = 0;

    CHECK(pread(fd, &c, 1, at) == 1);
    return c;
}

/* The child maps private memory over a file that its parent maps shared at a private address. */
static void test_replaced(void)
{
    unsigned char *p = map_private(NULL, 4 * PAGE);
    int fd = temp_file(4 * PAGE);
    struct pair pair;
    pid_t pid;

    p[0] = 1;
    CHECK(mmap(p, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == p);
    p[PAGE] = 0x10;
    pair_open(&pair);
    pid = fork();
    if (pid == 0) {
        CHECK(map_private(p, 4 * PAGE) == p);
        memset(p, 0xcc, 4 * PAGE);
        tell(pair.to_parent[1]);
        hear(pair.to_child[0]);
        CHECK(all_bytes(p, 4 * PAGE, 0xcc));
        _exit(g_guest_failures);
    }
    hear(pair.to_parent[0]);
    CHECK(p[0] == 0 && p[PAGE] == 0x10);
    memset(p, 0xdd, 4 * PAGE);
    tell(pair.to_child[1]);
    expect_exit(pid, 0);
    CHECK(all_bytes(p, 4 * PAGE, 0xdd));
    CHECK(file_byte(fd, 0) == 0xdd && file_byte(fd, 3 * PAGE) == 0xdd);
    munmap(p, 4 * PAGE);
    close(fd);
    pair_close(&pair);
}

/* The reverse: the child maps a file shared where its parent has private memory. */
static void test_shared_over(void)
{
    unsigned char *p = map_private(NULL, 4 * PAGE);
    int fd = temp_file(4 * PAGE);
    struct pair pair;
    pid_t pid;

    memset(p, 0x11, 2 * PAGE);
    pair_open(&pair);
    pid = fork();
    if (pid == 0) {
        CHECK(mmap(p, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == p);
        memset(p, 0xcc, 4 * PAGE);
        tell(pair.to_parent[1]);
        hear(pair.to_child[0]);
        CHECK(all_bytes(p, 4 * PAGE, 0xcc));
        memset(p, 0xee, PAGE);
        _exit(g_guest_failures);
    }
    hear(pair.to_parent[0]);
    CHECK(all_bytes(p, 2 * PAGE, 0x11) && all_bytes(p + 2 * PAGE, 2 * PAGE, 0));
    memset(p, 0x22, 4 * PAGE);
    CHECK(file_byte(fd, 0) == 0xcc && file_byte(fd, 3 * PAGE) == 0xcc);
    tell(pair.to_child[1]);
    expect_exit(pid, 0);
    CHECK(all_bytes(p, 4 * PAGE, 0x22));
    CHECK(file_byte(fd, 0) == 0xee && file_byte(fd, 3 * PAGE) == 0xcc);
    munmap(p, 4 * PAGE);
    close(fd);
    pair_close(&pair);
}

/* Parts of shared memory that each has given up are gone, and others' mappings there start with zeros. */
static void parts(int fd)
{
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;

    for (int round = 0; round < 50; round++) {
        unsigned char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
        struct pair pair;
        pid_t pid;

        CHECK(p != MAP_FAILED);
        if (fd < 0)
            CHECK(all_bytes(p, PAGES * PAGE, 0));
        memset(p, 0x33, PAGES * PAGE);
        pair_open(&pair);
        pid = fork();
        if (pid == 0) {
            CHECK(munmap(p + PAGES / 2 * PAGE, PAGES / 2 * PAGE) == 0);
            tell(pair.to_parent[1]);
            hear(pair.to_child[0]);
            CHECK(all_bytes(p, PAGES / 2 * PAGE, 0x33));
            _exit(g_guest_failures);
        }
        hear(pair.to_parent[0]);
        CHECK(munmap(p, PAGES * PAGE) == 0);
        tell(pair.to_child[1]);
        expect_exit(pid, 0);
        pair_close(&pair);
    }
}

static void test_parts(void)
{
    parts(-1);
}

static void test_file_parts(void)
{
    int fd = temp_file(PAGES * PAGE);

    parts(fd);
    CHECK(file_byte(fd, (PAGES - 1) * PAGE) == 0x33);
    close(fd);
}

/* ---- Pages in common -------------------------------------------------------------------------------- */

/* Each time `in` says so: checks the pages, then passes the turn to `out`. */
static void check_in_turn(const volatile unsigned char *p, int in, int out, int rounds)
{
    int good = 1;

    for (int i = 0; i < rounds; i++) {
        hear(in);
        good &= all_bytes(p, PAGES * PAGE, 0);
        tell(out);
    }
    hear(in);
    _exit(good ? 7 : 1);
}

/* One has a file's pages where it could have written them, two others never could. */
static void test_unlike(void)
{
    int fd = temp_file(PAGES * PAGE);
    unsigned char *p = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    struct pair a, b;
    pid_t first, second;

    CHECK(p != MAP_FAILED);
    pair_open(&a);
    pair_open(&b);
    first = fork();
    if (first == 0)
        check_in_turn(p, a.to_child[0], a.to_parent[1], 3);
    second = fork();
    if (second == 0)
        check_in_turn(p, b.to_child[0], a.to_child[1], 1);
    CHECK(mprotect(p, PAGES * PAGE, PROT_READ | PROT_WRITE) == 0 && mprotect(p, PAGES * PAGE, PROT_READ) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(all_bytes(p, PAGES * PAGE, 0));
        tell(i < 2 ? a.to_child[1] : b.to_child[1]);
        hear(a.to_parent[0]);
    }
    tell(a.to_child[1]);
    expect_exit(first, 7);
    tell(b.to_child[1]);
    expect_exit(second, 7);
    pair_close(&a);
    pair_close(&b);
    CHECK(munmap(p, PAGES * PAGE) == 0 && close(fd) == 0);
}

static int writable(volatile unsigned char *p)
{
    return FAULT(*p = 3) == 0;
}

/* What parent and child have in common for long is still each one's own to protect and to write. */
static void test_lent(void)
{
    unsigned char *p = map_private(NULL, PAGES * PAGE);
    struct pair pair;
    pid_t pid;

    fault_catch(SIGSEGV);
    memset(p, 1, PAGES * PAGE);
    pair_open(&pair);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 40; i++) {
            hear(pair.to_child[0]);
            if (i == 30)
                p[PAGE] = 2;
            tell(pair.to_parent[1]);
        }
        _exit(p[0] == 1 && p[PAGE] == 2 && p[2 * PAGE] == 1 && writable(p) && p[0] == 3 ? 0 : 1);
    }
    for (int i = 0; i < 40; i++) {
        if (i == 20)
            CHECK(mprotect(p, PAGES * PAGE, PROT_READ) == 0);
        tell(pair.to_child[1]);
        hear(pair.to_parent[0]);
        if (i == 30)
            CHECK(!writable(p) && !writable(p + PAGE) && !writable(p + 2 * PAGE));
    }
    expect_exit(pid, 0);
    pid = fork();
    if (pid == 0)
        _exit(!writable(p) && !writable(p + PAGE) && p[0] == 1 ? 0 : 1);
    expect_exit(pid, 0);
    CHECK(!writable(p) && !writable(p + PAGE) && all_bytes(p, PAGES * PAGE, 1));
    CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
    pair_close(&pair);
    CHECK(munmap(p, PAGES * PAGE) == 0);
}

/* ---- Futexes ---------------------------------------------------------------------------------------- */

static uint32_t g_word;

static long futex_wait(uint32_t *word, int ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

    return syscall(SYS_futex, word, FUTEX_WAIT, *word, &ts, NULL, 0);
}

static long futex_wake(uint32_t *word, int flag)
{
    return syscall(SYS_futex, word, FUTEX_WAKE | flag, 1, NULL, NULL, 0);
}

/* A futex in private memory is each process' own, in shared memory everybody's. */
static void test_futexes(void)
{
    uint32_t *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct timespec step = {0, 1000000};
    struct pair pair;
    long woken = 0;
    pid_t pid;

    pair_open(&pair);
    pid = fork();
    if (pid == 0) {
        tell(pair.to_parent[1]);
        CHECK_ERRNO(futex_wait(&g_word, 300), ETIMEDOUT);
        tell(pair.to_parent[1]);
        CHECK(futex_wait(shared, 10000) == 0);
        _exit(g_guest_failures);
    }
    hear(pair.to_parent[0]);
    for (int i = 0; i < 100; i++) {
        CHECK(futex_wake(&g_word, 0) == 0);
        nanosleep(&step, NULL);
    }
    hear(pair.to_parent[0]);
    for (int i = 0; i < 5000 && !woken; i++) {
        woken = futex_wake(shared, 0);
        nanosleep(&step, NULL);
    }
    CHECK(woken == 1);
    expect_exit(pid, 0);
    munmap(shared, PAGE);
    pair_close(&pair);
}

static void *nap(void *argument)
{
    struct timespec ts = {0, (long)(uintptr_t)argument};

    nanosleep(&ts, NULL);
    return NULL;
}

static void join_rounds(void)
{
    for (int i = 0; i < 100; i++) {
        pthread_t t;

        CHECK(pthread_create(&t, NULL, nap, (void *)(uintptr_t)(i % 7 * 100000)) == 0);
        CHECK(pthread_join(t, NULL) == 0);
    }
}

/* Joins wait for words at the same addresses in all of them. */
static void test_joins(void)
{
    pid_t pids[4];

    join_rounds();
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            join_rounds();
            _exit(g_guest_failures);
        }
    }
    join_rounds();
    for (int i = 0; i < 4; i++)
        expect_exit(pids[i], 0);
}

/* ---- Ends ------------------------------------------------------------------------------------------- */

static void *exit_late(void *argument)
{
    nap((void *)20000000ul);
    syscall(SYS_exit, (int)(intptr_t)argument);
    return NULL;
}

static void *exit_now(void *argument)
{
    syscall(SYS_exit, (int)(intptr_t)argument);
    return NULL;
}

/* Without exit_group() the status is that of the thread that ends last. */
static void test_statuses(void)
{
    pid_t pid = fork();
    pthread_t t;

    if (pid == 0) {
        CHECK(pthread_create(&t, NULL, exit_late, (void *)5) == 0);
        syscall(SYS_exit, 3);
    }
    expect_exit(pid, 5);
    pid = fork();
    if (pid == 0) {
        CHECK(pthread_create(&t, NULL, exit_late, (void *)5) == 0);
        nap((void *)60000000ul);
        syscall(SYS_exit, 4);
    }
    expect_exit(pid, 4);
    for (int i = 0; i < 100; i++) { /* both at once */
        pid = fork();
        if (pid == 0) {
            CHECK(pthread_create(&t, NULL, exit_now, (void *)6) == 0);
            syscall(SYS_exit, 6);
        }
        expect_exit(pid, 6);
    }
}

static _Atomic int g_stage;
static char g_stack[65536] __attribute__((aligned(16)));

static int thread_of_child(void *argument)
{
    (void)argument;
    syscall(SYS_exit, 0);
    return 0;
}

/* A thread that ends in a child of vfork(2) does not let the parent go on. */
static void test_vfork_thread(void)
{
    pid_t pid = vfork();

    if (pid == 0) {
        (void)clone(thread_of_child, g_stack + sizeof(g_stack),
                    CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES, NULL);
        nap((void *)50000000ul);
        atomic_store(&g_stage, 1);
        _exit(0);
    }
    CHECK(atomic_load(&g_stage) == 1);
    expect_exit(pid, 0);
}

/* ---- Robust lists ------------------------------------------------------------------------------------- */

static struct robust_list_head g_head;
static _Alignas(8) struct {
    struct robust_list link;
    uint32_t word;
} g_entry;

static void *die_unlocking(void *argument)
{
    (void)argument;
    g_head.list.next = &g_head.list;
    g_head.futex_offset = (char *)&g_entry.word - (char *)&g_entry.link;
    g_head.list_op_pending = &g_entry.link;
    CHECK(syscall(SYS_set_robust_list, &g_head, sizeof(g_head)) == 0);
    nap((void *)50000000ul);
    syscall(SYS_exit, 0); /* has set the word to 0, and has not woken yet */
    return NULL;
}

/* Who dies between unlocking a robust mutex and waking is done the waking for. */
static void test_pending(void)
{
    pid_t pid = fork();
    pthread_t t;

    if (pid == 0) {
        CHECK(pthread_create(&t, NULL, die_unlocking, NULL) == 0);
        CHECK(futex_wait(&g_entry.word, 5000) == 0);
        _exit(g_guest_failures);
    }
    expect_exit(pid, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {{"unmapped", test_unmapped},       {"replaced", test_replaced},
                 {"shared_over", test_shared_over}, {"parts", test_parts},
                 {"file_parts", test_file_parts},   {"unlike", test_unlike},
                 {"lent", test_lent},
                 {"futexes", test_futexes},
                 {"joins", test_joins},             {"statuses", test_statuses},
                 {"vfork_thread", test_vfork_thread}, {"pending", test_pending}};

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (argc < 2 || !strcmp(argv[1], tests[i].name))
            tests[i].run();
    return guest_done();
}
