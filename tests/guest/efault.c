/* SPDX-License-Identifier: MIT */
/* Bad pointers, counts and descriptors: every call with every kind of bad address, and no harm done. */
#include "guest.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int g_file, g_dir;
static char *g_none, *g_readonly, *g_last; /* a page without access, a read-only one, the last bytes of a good one */

/* P stands for the bad pointer, F and D for descriptors, N for 100, S for a signal set's size, U for a path. */
struct call {
    long number;
    const char *arguments;
    char out; /* the pointer is written through: a read-only page is bad too */
};

static const struct call g_calls[] = {
    {SYS_read, "FPN", 1}, {SYS_write, "FPN", 0}, {SYS_pread64, "FPN0", 1}, {SYS_pwrite64, "FPN0", 0},
    {SYS_readv, "FP1", 0}, {SYS_writev, "FP1", 0}, {SYS_preadv, "FP10", 0}, {SYS_pwritev, "FP10", 0},
    {SYS_open, "P00", 0}, {SYS_openat, "DP00", 0}, {SYS_openat2, "DUPT", 0}, {SYS_stat, "PG", 0},
    {SYS_stat, "UP", 1}, {SYS_lstat, "UP", 1}, {SYS_fstat, "FP", 1}, {SYS_newfstatat, "DUP0", 1},
    {SYS_statx, "DU07P", 1}, {SYS_statfs, "UP", 1}, {SYS_fstatfs, "FP", 1}, {SYS_access, "P0", 0},
    {SYS_faccessat, "DP0", 0}, {SYS_getcwd, "PK", 1}, {SYS_chdir, "P", 0}, {SYS_rename, "PU", 0},
    {SYS_rename, "UP", 0}, {SYS_mkdir, "P7", 0}, {SYS_rmdir, "P", 0}, {SYS_link, "PU", 0},
    {SYS_symlink, "PU", 0}, {SYS_unlink, "P", 0}, {SYS_readlink, "PGN", 0}, {SYS_readlink, "LPN", 1},
    {SYS_chmod, "P7", 0}, {SYS_chown, "P00", 0}, {SYS_truncate, "P0", 0}, {SYS_utimensat, "DPG0", 0},
    {SYS_utimensat, "DUP0", 0}, {SYS_mknod, "P00", 0}, {SYS_getdents64, "DPK", 1}, {SYS_getdents, "DPK", 1},
    {SYS_setxattr, "UPG10", 0}, {SYS_setxattr, "UXP10", 0}, {SYS_getxattr, "UPGN", 0}, {SYS_listxattr, "PGN", 0},
    {SYS_fcntl, "F5P", 0}, {SYS_ioctl, "0YP", 1}, {SYS_sendfile, "FFP1", 1}, {SYS_copy_file_range, "FPF010", 0},
    {SYS_poll, "P10", 0}, {SYS_ppoll, "P1G", 0}, {SYS_select, "1P00G", 1}, {SYS_pselect6, "1P00G0", 1},
    {SYS_rt_sigaction, "1P0S", 0}, {SYS_rt_sigaction, "10PS", 1}, {SYS_rt_sigprocmask, "0P0S", 0},
    {SYS_rt_sigprocmask, "00PS", 1}, {SYS_rt_sigpending, "PS", 1}, {SYS_rt_sigtimedwait, "P0GS", 0},
    {SYS_rt_sigsuspend, "PS", 0}, {SYS_sigaltstack, "P0", 0}, {SYS_sigaltstack, "0P", 1},
    {SYS_clock_gettime, "1P", 1}, {SYS_clock_getres, "1P", 1}, {SYS_clock_nanosleep, "10P0", 0},
    {SYS_nanosleep, "P0", 0}, {SYS_gettimeofday, "P0", 1}, {SYS_time, "P", 1}, {SYS_times, "P", 1},
    {SYS_getitimer, "0P", 1}, {SYS_setitimer, "1P0", 0}, {SYS_timer_create, "1PG", 0}, {SYS_timer_create, "10P", 1},
    {SYS_getrusage, "0P", 1}, {SYS_getrlimit, "1P", 1}, {SYS_setrlimit, "1P", 0}, {SYS_prlimit64, "010P", 1},
    {SYS_uname, "P", 1}, {SYS_sysinfo, "P", 1}, {SYS_getrandom, "PN0", 1}, {SYS_getgroups, "NP", 2},
    {SYS_setgroups, "1P", 0}, {SYS_getresuid, "PGG", 1}, {SYS_getresgid, "GPG", 1}, {SYS_capget, "PG", 0},
    {SYS_sched_getaffinity, "0KP", 1}, {SYS_sched_setaffinity, "08P", 0}, {SYS_sched_getparam, "0P", 1},
    {SYS_sched_setparam, "0P", 0}, {SYS_getcpu, "P00", 1}, {SYS_futex, "P080", 0}, {SYS_execve, "P00", 0},
    {SYS_prctl, "ZP", 0}, {SYS_mincore, "MKP", 1}, {SYS_memfd_create, "P0", 0}, {SYS_sethostname, "P1", 0},
    {SYS_set_robust_list, "", 0}, {SYS_get_robust_list, "0PG", 1}, {SYS_chroot, "P", 0}, {SYS_adjtimex, "P", 1},
};

static long value(char c, void *pointer)
{
    static char good[65536];
    static const char path[] = "f", link[] = "l", name[] = "user.n";

    switch (c) {
    case 'P':
        return (long)pointer;
    case 'G':
        memset(good, 0, sizeof(good));
        return (long)good;
    case 'M':
        return (long)g_none;
    case 'F':
        return g_file;
    case 'D':
        return g_dir;
    case 'N':
        return 100;
    case 'K':
        return 4096;
    case 'S':
        return 8;
    case 'T':
        return 24;
    case 'U':
        return (long)path;
    case 'L':
        return (long)link;
    case 'X':
        return (long)name;
    case 'Y':
        return 0x541b; /* FIONREAD */
    case 'Z':
        return 15; /* PR_SET_NAME */
    default:
        return c - '0';
    }
}

static void check(const struct call *c, void *pointer, const char *what)
{
    long a[6] = {0}, r;

    for (int i = 0; c->arguments[i]; i++)
        a[i] = value(c->arguments[i], pointer);
    lseek(g_file, 0, SEEK_SET);
    lseek(g_dir, 0, SEEK_SET);
    errno = 0;
    r = syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (r != -1 || errno != EFAULT)
        g_guest_failures++,
            printf("call %ld(%s) with %s: %ld, errno %d\n", c->number, c->arguments, what, r, errno);
}

static void test_pointers(void)
{
    for (unsigned i = 0; i < sizeof(g_calls) / sizeof(*g_calls); i++) {
        const struct call *c = &g_calls[i];
        if (!c->arguments[0] || c->out == 2)
            continue;
        check(c, (void *)8, "8");
        check(c, g_none, "PROT_NONE");
        check(c, (void *)0x7fffffffe000, "no mapping");
        check(c, (void *)0x8000000000000000, "not canonical");
        check(c, (void *)-8l, "the last bytes");
        if (c->out)
            check(c, g_readonly, "read-only");
    }
}

/* Addresses that belong to the kernel inside, and to nobody natively. */
static void test_kernel_addresses(void)
{
    static const unsigned long addresses[] = {0x380000000000, 0x3fff80000000, 0x3ffffffff000, 0x3fffffffffff,
                                              0x400000000000, 0x37fffffff000};

    for (unsigned k = 0; k < sizeof(addresses) / sizeof(*addresses); k++) {
        char *p = (char *)addresses[k];
        CHECK_ERRNO(syscall(SYS_read, open("/dev/zero", O_RDONLY), p, PAGE), EFAULT);
        CHECK_ERRNO(syscall(SYS_write, g_file, p, PAGE), EFAULT);
        CHECK_ERRNO(syscall(SYS_open, p, O_RDONLY), EFAULT);
        CHECK_ERRNO(syscall(SYS_getrandom, p, 8, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_clock_gettime, 1, p), EFAULT);
        CHECK_ERRNO(syscall(SYS_uname, p), EFAULT);
    }
}

static void test_counts(void)
{
    char *page = g_last - PAGE + 16;
    struct iovec v[2] = {{page, PAGE}, {g_none, 100}};

    CHECK(syscall(SYS_getrandom, g_last, 100, 0) == 16 || errno == EFAULT);
    CHECK(pread(open("/dev/zero", O_RDONLY), g_last, 100, 0) == 16 || errno == EFAULT);
    CHECK(preadv(open("/dev/zero", O_RDONLY), v, 2, 0) == PAGE);
    CHECK_ERRNO(read(g_file, (void *)-4096l, SIZE_MAX), EFAULT);
    CHECK_ERRNO(syscall(SYS_readv, g_file, v, 1025ul), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, g_file, v, -1l), EINVAL);
    CHECK(lseek(g_file, 0, SEEK_SET) == 0 && read(g_file, page, 1 << 20) == 5);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 0, page, 0, 7), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, 0, 0, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, -1, 0, 0, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_setgroups, 65537, page), EINVAL);
    CHECK_ERRNO(syscall(SYS_setgroups, -1, page), EINVAL);
    CHECK_ERRNO(syscall(SYS_poll, page, 0xffffffffu, 0), EINVAL);
    /* a path that ends exactly where its page ends, and one that does not end */
    strcpy(g_last + 14, "f");
    CHECK(access(g_last + 14, F_OK) == 0);
    g_last[15] = 'x';
    CHECK_ERRNO(access(g_last + 14, F_OK), EFAULT);
    memset(page, 'a', PAGE);
    CHECK_ERRNO(access(page, F_OK), ENAMETOOLONG);
}

static void test_descriptors(void)
{
    static const long calls[] = {SYS_read, SYS_write, SYS_lseek, SYS_fstat, SYS_close, SYS_fcntl, SYS_ioctl,
                                 SYS_fsync, SYS_ftruncate, SYS_getdents64, SYS_fchdir, SYS_fchmod, SYS_dup,
                                 SYS_fallocate, SYS_readv, SYS_syncfs};
    static const int bad[] = {-1, 77, 1 << 20, INT32_MAX, INT32_MIN};
    char buf[200];

    for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        for (unsigned k = 0; k < sizeof(bad) / sizeof(*bad); k++)
            CHECK_ERRNO(syscall(calls[i], bad[k], buf, 1, 1, 0), EBADF);
    }
    for (long n = 470; n < 520; n++)
        CHECK_ERRNO(syscall(n, 0, 0, 0), ENOSYS);
    CHECK_ERRNO(syscall(-1), ENOSYS);
    CHECK_ERRNO(syscall(0x7fffffff), ENOSYS);
    CHECK_ERRNO(syscall(0x4000003b), ENOSYS); /* x32 */
    CHECK_ERRNO(syscall(340), ENOSYS);
}

int main(void)
{
    g_file = open("f", O_CREAT | O_RDWR, 0600);
    g_dir = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(write(g_file, "hello", 5) == 5 && symlink("f", "l") == 0);
    g_none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mprotect(two + PAGE, PAGE, PROT_NONE) == 0);
    g_last = two + PAGE - 16;
    test_pointers();
    test_kernel_addresses();
    test_counts();
    test_descriptors();
    return guest_done();
}
