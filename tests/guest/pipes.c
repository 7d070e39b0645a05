/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs in one process: sizes, atomicity, ends, packets, poll, splice and its relatives. */
#include "guest.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

static char g_buf[1 << 17], g_other[1 << 17];
static volatile sig_atomic_t g_signals;

static void on_signal(int sig)
{
    (void)sig;
    g_signals++;
}

static int readable(int fd)
{
    int n = -1;

    CHECK(ioctl(fd, FIONREAD, &n) == 0);
    return n;
}

static int events(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void fill_pattern(void)
{
    for (size_t i = 0; i < sizeof(g_buf); i++)
        g_buf[i] = (char)(i * 7 + i / 251);
}

/* Writes until EAGAIN; the bytes that went in. */
static long fill(int fd, size_t step)
{
    long total = 0, n;

    while ((n = write(fd, g_buf, step)) > 0)
        total += n;
    CHECK(n == -1 && errno == EAGAIN);
    return total;
}

static void close_pipe(int p[2])
{
    CHECK(close(p[0]) == 0 && close(p[1]) == 0);
}

static void test_basic(void)
{
    struct stat st, st2;
    char name[64], want[64];
    int p[2];
    ssize_t n;

    CHECK(pipe(p) == 0);
    CHECK(fcntl(p[0], F_GETFL) == O_RDONLY && fcntl(p[1], F_GETFL) == O_WRONLY);
    CHECK(fcntl(p[0], F_GETFD) == 0);
    CHECK(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0600);
    CHECK(st.st_size == 0 && st.st_nlink == 1 && st.st_blksize == 4096);
    CHECK(fstat(p[1], &st2) == 0 && st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
    n = readlink(name, want, sizeof(want) - 1);
    CHECK(n > 0);
    want[n > 0 ? n : 0] = 0;
    snprintf(name, sizeof(name), "pipe:[%lu]", (unsigned long)st.st_ino);
    CHECK(strcmp(name, want) == 0);
    CHECK(write(p[1], "hello", 5) == 5 && readable(p[0]) == 5 && readable(p[1]) == 5);
    CHECK(read(p[0], g_other, 2) == 2 && read(p[0], g_other + 2, 100) == 3);
    CHECK(memcmp(g_other, "hello", 5) == 0);
    CHECK(write(p[1], "", 0) == 0 && read(p[0], g_other, 0) == 0);
    CHECK_ERRNO(write(p[0], "x", 1), EBADF);
    CHECK_ERRNO(read(p[1], g_other, 1), EBADF);
    CHECK_ERRNO(lseek(p[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(pread(p[0], g_other, 1, 0), ESPIPE);
    CHECK_ERRNO(ftruncate(p[1], 0), EINVAL);
    CHECK_ERRNO(fsync(p[1]), EINVAL);
    CHECK_ERRNO(write(p[1], (void *)8, 5), EFAULT);
    CHECK(write(p[1], "abc", 3) == 3);
    CHECK_ERRNO(read(p[0], (void *)8, 5), EFAULT);
    CHECK(readable(p[0]) == 3);
    CHECK(close(p[1]) == 0);
    CHECK(read(p[0], g_other, 5) == 3 && read(p[0], g_other, 5) == 0);
    CHECK(close(p[0]) == 0);
}

static void test_flags(void)
{
    int p[2];

    CHECK(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
    CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[1], F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(p[0], F_GETFL) == (O_RDONLY | O_NONBLOCK));
    CHECK(fcntl(p[1], F_GETFL) == (O_WRONLY | O_NONBLOCK));
    CHECK_ERRNO(read(p[0], g_other, 1), EAGAIN);
    close_pipe(p);
    CHECK_ERRNO(pipe2(p, O_APPEND), EINVAL);
    CHECK_ERRNO(pipe2((int *)8, 0), EFAULT);
    CHECK(pipe(p) == 0 && p[0] == 3 && p[1] == 4);
    close_pipe(p);
}

static void test_capacity(void)
{
    int p[2];

    CHECK(pipe2(p, O_NONBLOCK) == 0);
    CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536 && fcntl(p[1], F_GETPIPE_SZ) == 65536);
    CHECK(fill(p[1], 65536) == 65536);
    CHECK(readable(p[0]) == 65536 && events(p[1]) == 0 && events(p[0]) == POLLIN);
    CHECK(read(p[0], g_other, 4095) == 4095 && events(p[1]) == 0);
    CHECK_ERRNO(write(p[1], "x", 1), EAGAIN);
    CHECK(read(p[0], g_other, 1) == 1 && events(p[1]) == POLLOUT);
    CHECK_ERRNO(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK(read(p[0], g_other, 65536) == 61440);
    CHECK(fill(p[1], 1) == 65536 && read(p[0], g_other, sizeof(g_other)) == 65536);
    CHECK(fill(p[1], 4095) == 16 * 4095 && read(p[0], g_other, sizeof(g_other)) == 16 * 4095);
    CHECK(fcntl(p[1], F_SETPIPE_SZ, 5000) == 8192 && fcntl(p[0], F_GETPIPE_SZ) == 8192);
    CHECK(fill(p[1], 3000) == 6000 && read(p[0], g_other, sizeof(g_other)) == 6000);
    CHECK(fcntl(p[1], F_SETPIPE_SZ, 1) == 4096);
    CHECK(fcntl(p[1], F_SETPIPE_SZ, 131072) == 131072);
    CHECK(write(p[1], g_buf, sizeof(g_buf)) == sizeof(g_buf));
    CHECK(read(p[0], g_other, sizeof(g_other)) == sizeof(g_other));
    CHECK(memcmp(g_buf, g_other, sizeof(g_buf)) == 0);
    CHECK_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 0x80000001u), EINVAL);
    CHECK_ERRNO(fcntl(0, F_SETPIPE_SZ, -1), fcntl(0, F_GETPIPE_SZ) < 0 ? EBADF : EINVAL);
    close_pipe(p);
}

/* Writes of up to PIPE_BUF go whole or not at all; longer ones as far as there is room. */
static void test_atomic(void)
{
    int p[2];

    CHECK(pipe2(p, O_NONBLOCK) == 0);
    CHECK(fill(p[1], 65536) == 65536 && read(p[0], g_other, 4096) == 4096);
    CHECK(write(p[1], g_buf, 3000) == 3000);
    CHECK_ERRNO(write(p[1], g_buf, 3000), EAGAIN);
    CHECK(write(p[1], g_buf, 1000) == 1000);
    CHECK(read(p[0], g_other, 8192) == 8192);
    CHECK(write(p[1], g_buf, 20000) == 8192);
    CHECK(readable(p[0]) == 65536 - 96);
    close_pipe(p);
}

static void test_broken(void)
{
    int p[2];

    CHECK(pipe(p) == 0 && close(p[0]) == 0);
    signal(SIGPIPE, on_signal);
    g_signals = 0;
    CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
    CHECK(g_signals == 1);
    CHECK(write(p[1], "", 0) == 0 && g_signals == 1);
    CHECK(events(p[1]) == (POLLOUT | POLLERR));
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(p[1], g_buf, 100000), EPIPE);
    CHECK(close(p[1]) == 0);
    CHECK(pipe(p) == 0);
    CHECK(events(p[0]) == 0 && events(p[1]) == POLLOUT);
    CHECK(write(p[1], "x", 1) == 1 && close(p[1]) == 0);
    CHECK(events(p[0]) == (POLLIN | POLLHUP));
    CHECK(read(p[0], g_other, 9) == 1 && events(p[0]) == POLLHUP);
    CHECK(close(p[0]) == 0);
}

static void test_packets(void)
{
    int p[2];

    CHECK(pipe2(p, O_DIRECT | O_NONBLOCK) == 0);
    CHECK((fcntl(p[1], F_GETFL) & O_DIRECT) && !(fcntl(p[0], F_GETFL) & O_DIRECT));
    CHECK(write(p[1], "one", 3) == 3 && write(p[1], "second", 6) == 6);
    CHECK(read(p[0], g_other, 100) == 3);
    CHECK(read(p[0], g_other, 3) == 3 && memcmp(g_other, "sec", 3) == 0);
    CHECK_ERRNO(read(p[0], g_other, 3), EAGAIN);
    CHECK(write(p[1], g_buf, 5000) == 5000);
    CHECK(read(p[0], g_other, 10000) == 4096 && read(p[0], g_other, 10000) == 904);
    CHECK(fill(p[1], 1) == 16);
    CHECK(fcntl(p[1], F_SETFL, O_NONBLOCK) == 0 && read(p[0], g_other, 1) == 1);
    CHECK(write(p[1], "ab", 2) == 2 && write(p[1], "cd", 2) == 2);
    for (int i = 0; i < 15; i++)
        CHECK(read(p[0], g_other, 10) == 1);
    CHECK(read(p[0], g_other, 10) == 4);
    close_pipe(p);
}

static void alarm_in(int ms)
{
    struct itimerval t = {.it_value.tv_usec = ms * 1000};

    CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static int g_fill_from, g_late[2];

/* From a handler with SA_RESTART: what the interrupted call waits for. */
static void on_alarm(int sig)
{
    (void)sig;
    g_signals++;
    if (g_fill_from)
        CHECK(write(g_late[1], "late", 4) == 4);
    else
        CHECK(read(g_late[0], g_other, 4096) == 4096);
}

static void test_interrupted(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    CHECK(pipe(g_late) == 0);
    g_signals = 0;
    sigaction(SIGALRM, &sa, NULL);
    alarm_in(30);
    CHECK_ERRNO(read(g_late[0], g_other, 1), EINTR);
    alarm_in(30);
    CHECK(write(g_late[1], g_buf, 70000) == 65536); /* partly written, then the signal */
    alarm_in(30);
    CHECK_ERRNO(write(g_late[1], g_buf, 1), EINTR);
    CHECK(g_signals == 3);
    sa.sa_handler = on_alarm;
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    alarm_in(30);
    CHECK(write(g_late[1], "more", 4) == 4); /* made room for by the handler */
    CHECK(read(g_late[0], g_other, sizeof(g_other)) == 65536 - 4096 + 4);
    g_fill_from = 1;
    alarm_in(30);
    CHECK(read(g_late[0], g_other, 100) == 4 && memcmp(g_other, "late", 4) == 0);
    CHECK(g_signals == 5);
    close_pipe(g_late);
}

static void test_vectors(void)
{
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    struct iovec in[2] = {{g_other, 1}, {g_other + 10, 50}};
    int p[2];

    CHECK(pipe2(p, O_NONBLOCK) == 0);
    CHECK(writev(p[1], out, 3) == 5 && readv(p[0], in, 2) == 5);
    CHECK(g_other[0] == 'a' && memcmp(g_other + 10, "bcde", 4) == 0);
    close_pipe(p);
}

static void test_fifo(void)
{
    struct stat st;
    int r, w, both;

    CHECK(mkfifo("fifo", 0640) == 0);
    CHECK(stat("fifo", &st) == 0 && S_ISFIFO(st.st_mode) && st.st_size == 0);
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    r = open("fifo", O_RDONLY | O_NONBLOCK);
    CHECK(r >= 0 && events(r) == 0 && read(r, g_other, 1) == 0);
    w = open("fifo", O_WRONLY);
    CHECK(w >= 0 && write(w, "abc", 3) == 3 && events(r) == POLLIN);
    CHECK_ERRNO(lseek(w, 0, SEEK_SET), ESPIPE);
    CHECK(read(r, g_other, 10) == 3);
    CHECK_ERRNO(read(r, g_other, 10), EAGAIN);
    CHECK(close(w) == 0 && events(r) == POLLHUP && read(r, g_other, 1) == 0);
    w = open("fifo", O_WRONLY | O_NONBLOCK);
    CHECK(w >= 0 && events(r) == 0);
    CHECK(write(w, "kept?", 5) == 5 && close(w) == 0 && close(r) == 0);
    both = open("fifo", O_RDWR | O_NONBLOCK);
    CHECK(both >= 0); /* data that nobody read is gone */
    CHECK_ERRNO(read(both, g_other, 1), EAGAIN);
    CHECK(write(both, "x", 1) == 1 && events(both) == (POLLIN | POLLOUT));
    r = open("fifo", O_RDONLY);
    CHECK(r >= 0 && read(r, g_other, 5) == 1);
    CHECK(unlink("fifo") == 0 && write(both, "y", 1) == 1 && read(r, g_other, 5) == 1);
    CHECK(close(both) == 0 && close(r) == 0);
}

static void test_fifo_interrupted(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    int r;

    sigaction(SIGALRM, &sa, NULL);
    CHECK(mkfifo("fifo2", 0600) == 0);
    alarm_in(30);
    CHECK_ERRNO(open("fifo2", O_RDONLY), EINTR);
    alarm_in(30);
    CHECK_ERRNO(open("fifo2", O_WRONLY), EINTR);
    r = open("fifo2", O_RDONLY | O_NONBLOCK); /* no end was left behind */
    CHECK(r >= 0 && read(r, g_other, 1) == 0 && close(r) == 0);
    CHECK_ERRNO(open("fifo2", O_WRONLY | O_NONBLOCK), ENXIO);
    CHECK(unlink("fifo2") == 0);
}

static void test_reopen(void)
{
    char name[64];
    int p[2], again;

    CHECK(pipe2(p, O_NONBLOCK) == 0);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
    again = open(name, O_WRONLY);
    CHECK(again >= 0 && write(again, "via", 3) == 3 && read(p[0], g_other, 9) == 3);
    CHECK(close(p[1]) == 0 && events(p[0]) == 0);
    CHECK(close(again) == 0 && events(p[0]) == POLLHUP && close(p[0]) == 0);
}

static void test_splice_file(void)
{
    loff_t off = 10;
    int p[2], f;

    f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(f >= 0 && write(f, g_buf, 100000) == 100000);
    CHECK(pipe(p) == 0 && fcntl(p[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(splice(f, &off, p[1], NULL, 100, 0) == 100 && off == 110 && readable(p[0]) == 100);
    CHECK(read(p[0], g_other, 200) == 100 && memcmp(g_other, g_buf + 10, 100) == 0);
    CHECK(lseek(f, 0, SEEK_CUR) == 100000);
    CHECK(splice(f, NULL, p[1], NULL, 100, 0) == 0);
    CHECK(lseek(f, 0, SEEK_SET) == 0);
    CHECK(splice(f, NULL, p[1], NULL, 100000, 0) == 65536 && lseek(f, 0, SEEK_CUR) == 65536);
    CHECK_ERRNO(splice(f, NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
    off = 200000;
    CHECK(splice(p[0], NULL, f, &off, 100000, 0) == 65536 && off == 265536);
    CHECK(pread(f, g_other, 65536, 200000) == 65536 && memcmp(g_other, g_buf, 65536) == 0);
    CHECK_ERRNO(splice(p[0], NULL, f, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(splice(p[0], &off, f, NULL, 10, 0), ESPIPE);
    CHECK_ERRNO(splice(f, NULL, f, NULL, 10, 0), EINVAL);
    CHECK_ERRNO(splice(p[1], NULL, f, NULL, 10, 0), EBADF);
    CHECK(lseek(f, 4096, SEEK_SET) == 4096);
    CHECK(sendfile(p[1], f, NULL, 70000) == 65536 && lseek(f, 0, SEEK_CUR) == 69632);
    CHECK(read(p[0], g_other, 70000) == 65536 && memcmp(g_other, g_buf + 4096, 65536) == 0);
    CHECK_ERRNO(sendfile(f, p[0], NULL, 10), EINVAL);
    CHECK(close(p[1]) == 0 && splice(p[0], NULL, f, NULL, 10, 0) == 0 && close(p[0]) == 0);
    CHECK(close(f) == 0 && unlink("data") == 0);
}

static void test_splice_pipes(void)
{
    struct iovec v = {g_buf, 100000}, in = {g_other, 20};
    int a[2], b[2];

    CHECK(pipe2(a, O_NONBLOCK) == 0 && pipe2(b, O_NONBLOCK) == 0);
    CHECK(write(a[1], g_buf, 10000) == 10000);
    CHECK(tee(a[0], b[1], 5000, 0) == 5000 && readable(a[0]) == 10000 && readable(b[0]) == 5000);
    CHECK(read(b[0], g_other, 10000) == 5000 && memcmp(g_other, g_buf, 5000) == 0);
    CHECK(splice(a[0], NULL, b[1], NULL, 4500, 0) == 4500 && readable(a[0]) == 5500);
    CHECK(splice(a[0], NULL, b[1], NULL, 100000, 0) == 5500 && readable(a[0]) == 0);
    CHECK(read(b[0], g_other, 20000) == 10000 && memcmp(g_other, g_buf, 10000) == 0);
    CHECK_ERRNO(splice(a[0], NULL, b[1], NULL, 10, 0), EAGAIN);
    CHECK_ERRNO(tee(a[0], b[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(splice(a[0], NULL, a[1], NULL, 10, 0), EINVAL);
    CHECK_ERRNO(tee(a[0], a[1], 10, 0), EINVAL);
    CHECK_ERRNO(tee(a[1], b[1], 10, 0), EBADF);
    CHECK(vmsplice(a[1], &v, 1, SPLICE_F_NONBLOCK) > 0);
    CHECK_ERRNO(vmsplice(a[1], &v, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK(vmsplice(a[0], &in, 1, 0) == 20 && memcmp(g_other, g_buf, 20) == 0);
    CHECK(close(a[1]) == 0 && tee(a[0], b[1], 100000, 0) > 0);
    while (read(a[0], g_other, sizeof(g_other)) > 0)
        ;
    CHECK(splice(a[0], NULL, b[1], NULL, 10, 0) <= 0);
    CHECK(close(a[0]) == 0);
    close_pipe(b);
}

/* A pipe that lost its writers is opened again through /proc at once, and is at its end once it is empty. */
static void test_reopen_ended(void)
{
    char name[64], c;
    int p[2], fd;

    CHECK(pipe(p) == 0 && write(p[1], "x", 1) == 1 && close(p[1]) == 0);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
    fd = open(name, O_RDONLY);
    CHECK(fd >= 0);
    CHECK(read(fd, &c, 1) == 1 && c == 'x' && read(fd, &c, 1) == 0);
    CHECK(close(fd) == 0 && close(p[0]) == 0);
}

int main(void)
{
    fill_pattern();
    test_basic();
    test_flags();
    test_capacity();
    test_atomic();
    test_broken();
    test_packets();
    test_interrupted();
    test_vectors();
    test_fifo();
    test_fifo_interrupted();
    test_reopen();
    test_reopen_ended();
    test_splice_file();
    test_splice_pipes();
    return guest_done();
}
