/* SPDX-License-Identifier: MIT */
/* Lines of --strace, compared with what strace(1) prints, and its filter. */
#include "handlers.h"

#include <asm/unistd.h>
#include <kernel/printk.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/time_types.h>
#include <linux/uio.h>
#include <linux/utsname.h>
#include <kernel/time.h>
#include <null.h>

#include "../syscall_internal.h"

#include <stdarg.h>
#include <cmocka.h>

#define P(x) ((u64)(uintptr_t)(x))

unsigned task_count(void)
{
    return 1;
}

static int setup(void **state)
{
    (void)state;
    g_next_result = 0;
    null_log_clear();
    return strace_enable(NULL);
}

/* The last line is `expected`; runs of spaces before `=` count as one. */
static void line_is(const char *expected)
{
    const char *line = null_log_last();
    const char *pad = strstr(line, ")  ");
    char squeezed[2048];

    if (pad)
        snprintf(squeezed, sizeof(squeezed), "%.*s%s", (int)(pad + 1 - line), line,
                 pad + 1 + strspn(pad + 1, " ") - 1);
    else
        snprintf(squeezed, sizeof(squeezed), "%s", line);
    assert_string_equal(squeezed, expected);
}

static void test_numbers_and_errors(void **state)
{
    (void)state;
    call(__NR_getpid, 0, 0, 0, 0, 0, 0);
    line_is("getpid() = 42");
    call(__NR_brk, 0x5000, 0, 0, 0, 0, 0);
    line_is("brk(0x5000) = 0x5000");
    call(__NR_umask, 077, 0, 0, 0, 0, 0);
    line_is("umask(077) = 022");
    call(__NR_pause, 0, 0, 0, 0, 0, 0);
    line_is("pause() = ? ERESTARTNOHAND (To be restarted if no handler)");
    call(__NR_close, (u64)-1, 0, 0, 0, 0, 0);
    line_is("close(-1) = -1 ENOSYS (Function not implemented)");
    call(999, 1, 2, 3, 4, 5, 0);
    line_is("syscall_0x3e7(0x1, 0x2, 0x3, 0x4, 0x5, 0) = -1 ENOSYS (Function not implemented)");
    call(__NR_exit_group, 3, 0, 0, 0, 0, 0);
    line_is("exit_group(3) = ?");
}

static void test_column(void **state)
{
    (void)state;
    call(__NR_getpid, 0, 0, 0, 0, 0, 0);
    assert_string_equal(null_log_last(), "getpid()                                = 42");
}

static void test_paths_and_flags(void **state)
{
    (void)state;
    g_next_result = 3;
    call(__NR_openat, (u64)AT_FDCWD, P("/etc/\"x\"\n"), O_RDONLY | O_CLOEXEC, 0, 0, 0);
    line_is("openat(AT_FDCWD, \"/etc/\\\"x\\\"\\n\", O_RDONLY|O_CLOEXEC) = 3");
    call(__NR_openat, 5, P("f"), O_RDWR | O_CREAT | O_TRUNC, 0644, 0, 0);
    line_is("openat(5, \"f\", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3");
    g_next_result = -ENOENT;
    call(__NR_openat, 5, 8, O_WRONLY | 1 << 30, 0, 0, 0);
    line_is("openat(5, 0x8, O_WRONLY|0x40000000) = -1 ENOENT (No such file or directory)");
    call(__NR_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (u64)-1, 0);
    assert_non_null(strstr(null_log_last(), "mmap(NULL, 8192, PROT_READ|PROT_WRITE, "
                                            "MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "));
}

static void test_buffers(void **state)
{
    char buf[64];
    struct iovec v[] = {{.iov_base = "ab", .iov_len = 2}, {.iov_base = "c\0", .iov_len = 2}};

    (void)state;
    call(__NR_read, 0, P(buf), 5, 0, 0, 0);
    line_is("read(0, \"some\\t\", 5) = 5");
    call(__NR_read, 0, P(buf), 64, 0, 0, 0);
    line_is("read(0, \"some\\ttext\\1that is longer than th\"..., 64) = 52");
    call(__NR_read, 0, 0, 64, 0, 0, 0);
    line_is("read(0, NULL, 64) = 0");
    g_next_result = 4;
    call(__NR_writev, 1, P(v), 2, 0, 0, 0);
    line_is("writev(1, [{iov_base=\"ab\", iov_len=2}, {iov_base=\"c\\0\", iov_len=2}], 2) = 4");
}

static void test_structures(void **state)
{
    struct __kernel_timespec ts = {1, 500};
    struct ksigaction act = {.handler = 0x1000,
                             .flags = SA_RESTART | SA_RESTORER,
                             .restorer = 0x2000,
                             .mask = sigmask(SIGINT) | sigmask(SIGTERM)};
    struct pollfd fds[] = {{3, POLLIN, 0}, {4, POLLIN | POLLOUT, POLLHUP}};
    struct new_utsname uts = {.sysname = "Linux", .nodename = "adyton"};

    (void)state;
    call(__NR_nanosleep, P(&ts), 0, 0, 0, 0, 0);
    line_is("nanosleep({tv_sec=1, tv_nsec=500}, NULL) = 0");
    call(__NR_rt_sigaction, SIGCHLD, P(&act), 0, 8, 0, 0);
    line_is("rt_sigaction(SIGCHLD, {sa_handler=0x1000, sa_mask=[INT TERM], "
            "sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x2000}, NULL, 8) = 0");
    call(__NR_poll, P(fds), 2, (u64)-1, 0, 0, 0);
    line_is("poll([{fd=3, events=POLLIN, revents=0}, {fd=4, events=POLLIN|POLLOUT, "
            "revents=POLLHUP}], 2, -1) = 0");
    call(__NR_uname, P(&uts), 0, 0, 0, 0, 0);
    line_is("uname({sysname=\"Linux\", nodename=\"adyton\", ...}) = 0");
    g_next_result = -EFAULT;
    call(__NR_uname, P(&uts), 0, 0, 0, 0, 0);
    assert_non_null(strstr(null_log_last(), "uname(0x"));
    call(__NR_nanosleep, 0x100, 0, 0, 0, 0, 0);
    line_is("nanosleep(0x100, NULL) = -1 EFAULT (Bad address)");
}

static void test_variants(void **state)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = 0, .l_start = 1, .l_len = 2, .l_pid = 0};

    (void)state;
    g_next_result = 0;
    call(__NR_fcntl, 3, F_SETFD, FD_CLOEXEC, 0, 0, 0);
    line_is("fcntl(3, F_SETFD, FD_CLOEXEC) = 0");
    call(__NR_fcntl, 3, F_GETFL, 99, 0, 0, 0);
    line_is("fcntl(3, F_GETFL) = 0");
    call(__NR_fcntl, 3, F_SETLK, P(&lock), 0, 0, 0);
    line_is(
        "fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=1, l_len=2, l_pid=0}) = 0");
    call(__NR_fcntl, 3, 77, 0x10, 0, 0, 0);
    line_is("fcntl(3, 77, 0x10) = 0");
}

static void test_strings(void **state)
{
    const char *argv[] = {"prog", "-x", NULL}, *envp[] = {NULL};

    (void)state;
    call(__NR_execve, P("/bin/prog"), P(argv), P(envp), 0, 0, 0);
    line_is("execve(\"/bin/prog\", [\"prog\", \"-x\"], []) = 0");
}

static void test_signals(void **state)
{
    siginfo_t fault = {.si_signo = SIGSEGV, .si_code = SEGV_MAPERR};
    siginfo_t sent = {.si_signo = SIGALRM, .si_code = SI_KERNEL};
    siginfo_t queued = {.si_signo = 34, .si_code = SI_QUEUE};

    (void)state;
    fault.si_addr = (void *)8;
    strace_signal(&fault);
    assert_string_equal(null_log_last(),
                        "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8} ---");
    strace_signal(&sent);
    assert_string_equal(null_log_last(), "--- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---");
    queued.si_pid = 5;
    queued.si_uid = 7;
    strace_signal(&queued);
    assert_string_equal(null_log_last(), "--- SIGRT_2 {si_signo=SIGRT_2, si_code=SI_QUEUE, "
                                         "si_pid=5, si_uid=7} ---");
    strace_end(3 << 8);
    assert_string_equal(null_log_last(), "+++ exited with 3 +++");
    strace_end(SIGSEGV);
    assert_string_equal(null_log_last(), "+++ killed by SIGSEGV +++");
}

static void test_limits(void **state)
{
    u64 limit[2] = {8192 * 1024, UINT64_MAX};

    (void)state;
    call(__NR_prlimit64, 0, 3, 0, P(limit), 0, 0);
    line_is("prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0");
}

static void test_long_lines(void **state)
{
    static char text[40][40];
    const char *argv[41];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        memset(text[i], '\1', sizeof(text[i]) - 1);
        argv[i] = text[i];
    }
    argv[40] = NULL;
    call(__NR_execve, P("/bin/prog"), P(argv), P(argv), 0, 0, 0);
    assert_true(strlen(null_log_last()) < 1536);
    assert_non_null(strstr(null_log_last(), "...) = 0"));
}

static void test_filter(void **state)
{
    (void)state;
    assert_int_equal(strace_enable("openat,%memory,!brk"), 0);
    call(__NR_getpid, 0, 0, 0, 0, 0, 0);
    call(__NR_brk, 0, 0, 0, 0, 0, 0);
    call(999, 0, 0, 0, 0, 0, 0);
    assert_int_equal(null_log_count(), 0);
    call(__NR_mmap, 0, 0, 0, 0, 0, 0);
    call(__NR_openat, 0, 0, 0, 0, 0, 0);
    assert_int_equal(null_log_count(), 2);
    assert_int_equal(strace_enable("!getpid"), 0);
    call(__NR_getpid, 0, 0, 0, 0, 0, 0);
    assert_int_equal(null_log_count(), 2);
    call(999, 0, 0, 0, 0, 0, 0);
    assert_int_equal(null_log_count(), 3);
    assert_int_equal(strace_enable("openat,nonsense"), -EINVAL);
    assert_string_equal(null_log_last(), "adyton: --strace: there is no system call or class \"nonsense\"");
    assert_int_equal(strace_enable("%nonsense"), -EINVAL);
}

/* A call in which the kernel panics, and one that waits. */
static void test_unfinished(void **state)
{
    struct regs r = {.orig_rax = __NR_getpid};
    struct trace t;
    u64 later;

    (void)state;
    strace_enter(&t, &r);
    assert_non_null(NULL_PANIC(panic("broken")));
    assert_int_equal(null_log_count(), 2);
    assert_true(t.told);
    strace_exit(&t, 42);
    line_is("<... getpid resumed>) = 42");
    assert_int_equal(strace_block(), UINT64_MAX);
    strace_enter(&t, &r);
    later = strace_block();
    assert_true(later > time_monotonic() && later != UINT64_MAX);
    t.blocked = 1;
    assert_int_equal(strace_block(), UINT64_MAX);
    line_is("getpid( <unfinished ...>");
    strace_exit(&t, 42);
    line_is("<... getpid resumed>) = 42");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_unfinished, setup),
        cmocka_unit_test_setup(test_numbers_and_errors, setup),
        cmocka_unit_test_setup(test_column, setup),
        cmocka_unit_test_setup(test_paths_and_flags, setup),
        cmocka_unit_test_setup(test_buffers, setup),
        cmocka_unit_test_setup(test_structures, setup),
        cmocka_unit_test_setup(test_variants, setup),
        cmocka_unit_test_setup(test_strings, setup),
        cmocka_unit_test_setup(test_signals, setup),
        cmocka_unit_test_setup(test_limits, setup),
        cmocka_unit_test_setup(test_long_lines, setup),
        cmocka_unit_test_setup(test_filter, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
