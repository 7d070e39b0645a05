/* SPDX-License-Identifier: MIT */
/*
 * Which deaths leave a core file and what is in it: core(5). For a run whose core_pattern is "core.%s", relative,
 * and whose soft limit is unlimited.
 */
#include "../guest/children.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MIB (1UL << 20)
#define ABORTED "core.6" /* by SIGABRT */

static int exists(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0;
}

/* A child runs `fn` and then dies of `sig` unless it did already. Its wait status. */
static int dies(void (*fn)(void), int sig)
{
    int status = -1;
    pid_t pid;

    unlink(ABORTED);
    pid = start();
    if (pid == 0) {
        if (fn)
            fn();
        kill(getpid(), sig);
        _exit(1);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static int dumped(int status, int sig)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == sig && WCOREDUMP(status);
}

static int only_killed(int status, int sig)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == sig && !WCOREDUMP(status);
}

/* ---- Which signals, which processes --------------------------------------------------------------------- */

static void test_signals(void)
{
    static const int core[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ};
    static const int none[] = {SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGPIPE, SIGALRM, SIGTERM, 34};
    char name[32];

    for (size_t i = 0; i < sizeof(core) / sizeof(core[0]); i++) {
        snprintf(name, sizeof(name), "core.%d", core[i]);
        CHECK(dumped(dies(NULL, core[i]), core[i]));
        CHECK(exists(name));
        unlink(name);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        snprintf(name, sizeof(name), "core.%d", none[i]);
        CHECK(only_killed(dies(NULL, none[i]), none[i]));
        CHECK(!exists(name));
    }
}

static void limit_none(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, RLIM_INFINITY});
}

static void limit_small(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){8192, RLIM_INFINITY});
}

static void not_dumpable(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}

static void other_user(void)
{
    CHECK(setuid(1000) == 0);
}

static void no_directory(void)
{
    CHECK(mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
}

static void test_permission(void)
{
    struct stat st;

    CHECK(only_killed(dies(limit_none, SIGABRT), SIGABRT) && !exists(ABORTED));
    CHECK(only_killed(dies(not_dumpable, SIGABRT), SIGABRT) && !exists(ABORTED));
    CHECK(only_killed(dies(other_user, SIGABRT), SIGABRT) && !exists(ABORTED));
    CHECK(only_killed(dies(no_directory, SIGABRT), SIGABRT) && !exists(ABORTED));
    CHECK(dumped(dies(limit_small, SIGABRT), SIGABRT)); /* a file, though cut short */
    CHECK(stat(ABORTED, &st) == 0 && st.st_size > 0 && st.st_blocks * 512 <= 8192);
}

/* A new file of the user alone, whatever had the name. */
static void test_file(void)
{
    struct stat st;
    int fd = open("target", O_CREAT | O_RDWR, 0666);

    unlink(ABORTED);
    CHECK(symlink("target", ABORTED) == 0);
    CHECK(dumped(dies(NULL, SIGABRT), SIGABRT));
    CHECK(lstat(ABORTED, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
    close(fd);
    unlink(ABORTED);
    CHECK(mkdir(ABORTED, 0700) == 0);
    CHECK(only_killed(dies(NULL, SIGABRT), SIGABRT));
    CHECK(rmdir(ABORTED) == 0);
}

static void test_told(void)
{
    siginfo_t info = {0};
    pid_t pid = start();

    if (pid == 0)
        abort();
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0);
    CHECK(info.si_code == CLD_DUMPED && info.si_status == SIGABRT);
}

/* ---- What is in it -------------------------------------------------------------------------------------- */

static char *g_plain, *g_excluded, *g_untouched, *g_shared, *g_file_shared, *g_file_private, *g_none;

/* The bytes of the page at `address` that the file has: 0 or 4,096; *byte its first, 0 for a hole. -1: not there. */
static long in_file(int fd, const void *address, char *byte)
{
    Elf64_Ehdr e;
    Elf64_Phdr p;
    uintptr_t at = (uintptr_t)address;

    if (pread(fd, &e, sizeof(e), 0) != sizeof(e) || e.e_type != ET_CORE)
        return -1;
    for (int i = 0; i < e.e_phnum; i++) {
        if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + (size_t)i * sizeof(p))) != sizeof(p))
            return -1;
        if (p.p_type != PT_LOAD || at < p.p_vaddr || at >= p.p_vaddr + p.p_memsz)
            continue;
        if (at >= p.p_vaddr + p.p_filesz)
            return 0;
        return pread(fd, byte, 1, (off_t)(p.p_offset + (at - p.p_vaddr))) == 1 ? 4096 : -1;
    }
    return -1;
}

static char *map(size_t size, int prot, int flags, int fd)
{
    /* its own VMA: nothing of the same kind beside it */
    char *room = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return mmap(room + 4096, size, prot, flags | MAP_FIXED, fd, 0);
}

static void make_memory(void)
{
    int fd = open("data", O_CREAT | O_RDWR | O_TRUNC, 0600);

    CHECK(write(fd, "f", 1) == 1 && ftruncate(fd, 8192) == 0);
    g_plain = map(65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    g_excluded = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    g_untouched = map(64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    g_shared = map(4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    g_file_shared = map(4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    g_file_private = map(4096, PROT_READ, MAP_PRIVATE, fd);
    g_none = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    *g_plain = 'p';
    *g_excluded = 'x';
    *g_shared = 's';
    *g_none = 'n';
    CHECK(mprotect(g_none, 4096, PROT_NONE) == 0);
    CHECK(madvise(g_excluded, 4096, MADV_DONTDUMP) == 0);
    close(fd);
}

static void set_filter(const char *text)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY);

    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void filter_nothing(void)
{
    set_filter("0");
}

static void filter_files(void)
{
    set_filter("0xc\n");
}

static void check_memory(const char *what, void (*fn)(void), const long want[7])
{
    const char *pages[] = {g_plain, g_excluded, g_untouched, g_shared, g_file_shared, g_file_private, g_none};
    static const char bytes[] = "px\0sffn";
    int fd;

    CHECK(dumped(dies(fn, SIGABRT), SIGABRT));
    fd = open(ABORTED, O_RDONLY);
    CHECK(fd >= 0);
    for (int i = 0; i < 7; i++) {
        char byte = 0;
        long size = in_file(fd, pages[i], &byte);

        if (size != want[i] || (size && byte != bytes[i])) {
            printf("%s: page %d: %ld bytes, not %ld; first %d\n", what, i, size, want[i], byte);
            g_guest_failures++;
        }
    }
    close(fd);
}

static void test_content(void)
{
    char text[32] = {0}, byte = 1;
    int fd = open("/proc/self/coredump_filter", O_RDWR);

    CHECK(read(fd, text, sizeof(text) - 1) == 9 && strcmp(text, "00000033\n") == 0);
    CHECK_ERRNO(write(fd, "x", 1), EINVAL);
    CHECK_ERRNO(write(fd, "0x:", 3), EINVAL);
    close(fd);
    make_memory();
    check_memory("default", NULL, (long[]){4096, 0, 0, 4096, 0, 0, 4096});
    fd = open(ABORTED, O_RDONLY);
    CHECK(in_file(fd, g_plain + 32768, &byte) == 4096 && byte == 0); /* never touched: a hole */
    CHECK(in_file(fd, (void *)((uintptr_t)test_content & ~4095UL), &byte) == 0); /* text is in its file */
    close(fd);
    check_memory("nothing", filter_nothing, (long[]){0, 0, 0, 0, 0, 0, 0});
    check_memory("files", filter_files, (long[]){0, 0, 0, 0, 4096, 4096, 0});
}

/* ---- Many threads and processes ------------------------------------------------------------------------- */

static void *die_here(void *arg)
{
    pthread_barrier_wait(arg);
    raise(SIGABRT);
    return NULL;
}

static void *return_soon(void *arg)
{
    return arg;
}

static void *come_and_go(void *arg)
{
    pthread_t t;

    for (;;) {
        if (pthread_create(&t, NULL, return_soon, arg) == 0)
            pthread_join(t, NULL);
    }
    return NULL;
}

/* All of them die, are born or end at the moment when one begins to write. */
static void storm_of_threads(void)
{
    pthread_barrier_t all;
    pthread_t t;

    pthread_barrier_init(&all, NULL, 5);
    for (int i = 0; i < 2; i++)
        pthread_create(&t, NULL, come_and_go, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&t, NULL, die_here, &all);
    die_here(&all);
}

static void test_storm(void)
{
    pid_t pids[4];
    int status;

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++) {
            pids[i] = start();
            if (pids[i] == 0) {
                char name[16];

                snprintf(name, sizeof(name), "d%d", i);
                (void)mkdir(name, 0700);
                CHECK(chdir(name) == 0);
                storm_of_threads();
                _exit(1);
            }
        }
        for (int i = 0; i < 4; i++)
            CHECK(waitpid(pids[i], &status, 0) == pids[i] && dumped(status, SIGABRT));
    }
}

/* SIGKILL ends a dump: then the process is as dead as before, without a file that counts. */
static void test_killed(void)
{
    int status;

    for (int round = 0; round < 20; round++) {
        int fds[2];
        char c;
        pid_t pid;

        CHECK(pipe(fds) == 0);
        pid = start();
        if (pid == 0) {
            memset(map(8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1), 1, 8 * MIB);
            CHECK(write(fds[1], "x", 1) == 1);
            abort();
        }
        CHECK(read(fds[0], &c, 1) == 1);
        for (int i = 0; i < round * 1000; i++)
            __asm__ volatile("pause");
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGABRT || only_killed(status, SIGKILL));
        close(fds[0]);
        close(fds[1]);
    }
}

/* More memory than the file system has room for: what fits is there, and nothing else suffers. */
static void fill_memory(void)
{
    memset(map(40 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1), 1, 40 * MIB);
}

static void test_full(void)
{
    CHECK(dumped(dies(fill_memory, SIGABRT), SIGABRT));
    CHECK(unlink(ABORTED) == 0);
    CHECK(dumped(dies(NULL, SIGABRT), SIGABRT));
}

/* A child in its parent's memory: the parent goes on. */
static void test_vfork(void)
{
    int status;
    pid_t pid;

    fflush(stdout);
    unlink(ABORTED);
    pid = vfork();
    if (pid == 0) {
        kill(getpid(), SIGABRT);
        _exit(1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && dumped(status, SIGABRT) && exists(ABORTED));
}

int main(void)
{
    struct rlimit limit;
    char text[32] = {0};
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);

    CHECK(read(fd, text, sizeof(text) - 1) == 8 && strcmp(text, "core.%s\n") == 0);
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
    test_signals();
    test_permission();
    test_file();
    test_told();
    test_content();
    test_storm();
    test_killed();
    test_full();
    test_vfork();
    return guest_done();
}
