/* SPDX-License-Identifier: MIT */
/* guest: native=no */
/* guest: link=dynamic,static,musl */
/* guest: runs=1,2,3,4,5,6,7,8 */
/* guest: memory=256m */
/*
 * A hostile program: random system calls with random and edge arguments, from a fixed seed. Whatever it
 * asks for, the kernel must go on: the test is that the program reaches its end. Calls that would end it,
 * stop it or wait are left out; what would take its own feet away (its text, its stack, its descriptors)
 * is left out by argument.
 */
#include "guest.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { CALLS = 25000, ARENA = 64 * 4096, NUMBERS = 470 };

static uint64_t g_state;
static char *g_arena; /* memory that calls may read, write, map over and unmap */
static unsigned long g_unknown, g_known;

static uint64_t any(void)
{
    g_state ^= g_state << 13;
    g_state ^= g_state >> 7;
    g_state ^= g_state << 17;
    return g_state;
}

/* Never: ends, stops, waits, or asks for what a later line depends on. */
static const short g_never[] = {
    SYS_exit, SYS_exit_group, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
    SYS_pause, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_ppoll, SYS_pselect6, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_rt_sigreturn, SYS_rt_sigaction, SYS_execve, SYS_execveat,
    SYS_arch_prctl, SYS_brk, SYS_munmap, SYS_mmap, SYS_mremap, SYS_mprotect, SYS_pkey_mprotect, SYS_madvise,
    SYS_shmat,
    SYS_setrlimit, SYS_prlimit64, SYS_close_range, SYS_sigaltstack, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3,
    SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_alarm, SYS_chroot, SYS_wait4, SYS_waitid,
    SYS_set_robust_list, SYS_set_tid_address, SYS_rseq, SYS_restart_syscall, SYS_rt_sigprocmask,
    SYS_setuid, SYS_setreuid, SYS_setresuid, SYS_setfsuid, SYS_seccomp, SYS_getitimer, SYS_vhangup,
};

static void on_alarm(int sig)
{
    (void)sig; /* ends what waits */
}

static int wanted(long number)
{
    for (unsigned i = 0; i < sizeof(g_never) / sizeof(*g_never); i++) {
        if (g_never[i] == number)
            return 0;
    }
    return 1;
}

static const char *const g_paths[] = {"a", "b/c", "b", "/proc/self/maps", "/dev/null", "/dev/zero", "../..", "",
                                      "/proc/self/fd/5", "link", "loop", "a/", "//", ".", "/sys/devices/system/cpu",
                                      "/dev/full", "/proc/self/fd", "/dev/stdin"};

static uint64_t edge(void)
{
    static const uint64_t edges[] = {0, 1, 2, 7, 8, 4095, 4096, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
                                     0x100000000, 0x37ffffffffff, 0x380000000000, 0x3fff80000000, 0x3fffffffffff,
                                     0x400000000000, 0x7fffffffffff, 0x7ffffffff000, 0x8000000000000000,
                                     0x7fffffffffffffff, -1ull, -4096ull, -8ull, -100ull, 1ull << 62};

    return edges[any() % (sizeof(edges) / sizeof(*edges))];
}

static uint64_t argument(void)
{
    switch (any() % 10) {
    case 0:
        return edge();
    case 1:
        return any();
    case 2:
        return 3 + any() % 20; /* a descriptor */
    case 3:
        return 1ull << any() % 64;
    case 4:
        return any() % 64;
    case 5:
        return (uintptr_t)g_paths[any() % (sizeof(g_paths) / sizeof(*g_paths))];
    case 6:
        return (uintptr_t)(g_arena + ARENA - any() % 64); /* runs into what is not mapped */
    default:
        return (uintptr_t)(g_arena + any() % ARENA / 8 * 8);
    }
}

/* Structures for the calls to find: numbers that look like fields. */
static void stir(void)
{
    for (int i = 0; i < 16; i++)
        ((uint64_t *)g_arena)[any() % (ARENA / 8)] = any() % 3 ? argument() : any() % 100;
}

/* Memory calls, in a zone of their own. */
static void map_something(void)
{
    static char *zone;
    const size_t size = 64 << 20;

    if (!zone)
        zone = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *at = zone + any() % (size / 4096 / 2) * 4096;
    size_t length = (any() % 50 + 1) * 4096 - any() % 2 * 100;
    int fd = (int)(any() % 23);
    switch (any() % 8) {
    case 0:
    case 1:
        syscall(SYS_mmap, at, length, any() % 8, (any() % 2 ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, fd,
                any() % 4 * 4096);
        break;
    case 2:
        syscall(SYS_mmap, at, length, any() % 8, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        break;
    case 3:
        syscall(SYS_mprotect, at, length, any() % 8);
        break;
    case 4:
        syscall(SYS_mremap, at, length, (any() % 50 + 1) * 4096, any() % 2 ? 3 : any() % 8,
                zone + size / 2 + any() % (size / 4096 / 4) * 4096);
        break;
    case 5:
        syscall(SYS_madvise, at, length, any() % 26);
        break;
    case 6:
        syscall(SYS_munmap, at, length);
        break;
    default:
        /* calls touch what is there, whatever it is */
        syscall(any() % 2 ? SYS_pread64 : SYS_pwrite64, 3 + any() % 20, at + any() % 4096, any() % 9000,
                any() % 20000);
    }
}

/* The descriptors 0-2 and the limits on files stay as they are. */
static int harmless(long number, const uint64_t a[6])
{
    int first = (int)a[0];

    switch (number) {
    case SYS_close:
    case SYS_fcntl:
    case SYS_ioctl:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
        return first > 2;
    case SYS_dup2:
    case SYS_dup3:
        return (unsigned)a[1] > 2;
    case SYS_sendfile:
    case SYS_splice:
    case SYS_copy_file_range:
        return first > 2 && (int)a[1] > 2 && (int)a[2] > 2;
    case SYS_shmat:
        return !(a[2] & 040000); /* SHM_REMAP: in place of anything, the stack too */
    case SYS_flock:
        return (a[1] & 4) != 0; /* LOCK_NB */
    default:
        return 1;
    }
}

static void call_something(void)
{
    long number = any() % 20 ? (long)(any() % NUMBERS) : (long)edge();
    uint64_t a[6];

    for (int i = 0; i < 6; i++)
        a[i] = argument();
    if (!wanted(number) || !harmless(number, a) || (number == SYS_fcntl && (a[1] == F_SETLKW || a[1] == 38)))
        return;
    if (syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 && errno == ENOSYS)
        g_unknown++;
    else
        g_known++;
}

static void fresh_arena(void)
{
    mmap(g_arena, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

int main(int argc, char **argv)
{
    struct rlimit files = {40, 40}, size = {1 << 20, 1 << 20};

    g_state = 88172645463325252u * (unsigned)(argc > 1 ? atoi(argv[1]) : 1);
    for (int sig = 1; sig < 65; sig++)
        signal(sig, sig == SIGSEGV || sig == SIGBUS ? SIG_DFL : SIG_IGN);
    struct sigaction sa = {.sa_handler = on_alarm};
    struct itimerval it = {{0, 10000}, {0, 10000}};
    CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_FSIZE, &size) == 0);
    char *around = mmap(NULL, ARENA + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_arena = around + 4096;
    fresh_arena();
    mkdir("b", 0755);
    CHECK(symlink("loop", "loop") == 0 && symlink("a", "link") == 0);
    for (int i = 0; i < 10; i++)
        open(i % 2 ? "a" : g_paths[i], O_CREAT | O_RDWR | (i & 4 ? O_APPEND : 0), 0600);
    for (int i = 0; i < CALLS; i++) {
        if (i % 64 == 0)
            fresh_arena();
        stir();
        if (any() % 4)
            call_something();
        else
            map_something();
    }
    printf("%lu calls known\n", g_known > CALLS / 4 ? 1ul : g_known);
    return guest_done();
}
