/* SPDX-License-Identifier: MIT */
/* sendfile, copy_file_range, fallocate, preadv2 and pwritev2, SEEK_DATA, limits on size and descriptors. */
#include "guest.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#ifndef __GLIBC__ /* musl 1.2.3 has neither */
#include <linux/fs.h>
#include <sys/syscall.h>
#define preadv2(fd, iov, count, at, flags)                                                         \
    syscall(SYS_preadv2, (long)(fd), iov, (long)(count), (long)(at), 0L, (long)(flags))
#define pwritev2(fd, iov, count, at, flags)                                                        \
    syscall(SYS_pwritev2, (long)(fd), iov, (long)(count), (long)(at), 0L, (long)(flags))
#endif

static volatile sig_atomic_t g_signal;

static void on_signal(int sig)
{
    g_signal = sig;
}

static int make(const char *path, size_t size)
{
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    char *buf = malloc(size);

    for (size_t i = 0; i < size; i++)
        buf[i] = (char)(i * 7 + i / 4096);
    CHECK(fd >= 0 && write(fd, buf, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    free(buf);
    return fd;
}

static int equal(int a, off_t a_at, int b, off_t b_at, size_t size)
{
    char x[4096], y[4096];

    while (size) {
        size_t n = size < sizeof(x) ? size : sizeof(x);
        if (pread(a, x, n, a_at) != (ssize_t)n || pread(b, y, n, b_at) != (ssize_t)n || memcmp(x, y, n))
            return 0;
        a_at += (off_t)n;
        b_at += (off_t)n;
        size -= n;
    }
    return 1;
}

static void test_sendfile(void)
{
    int in = make("in", 300000), out = make("out", 0), append = open("out", O_WRONLY | O_APPEND);
    off_t at = 1000;

    CHECK(sendfile(out, in, NULL, 1 << 20) == 300000 && lseek(in, 0, SEEK_CUR) == 300000);
    CHECK(lseek(out, 0, SEEK_CUR) == 300000 && equal(in, 0, out, 0, 300000));
    CHECK(sendfile(out, in, &at, 5000) == 5000 && at == 6000 && equal(in, 1000, out, 300000, 5000));
    CHECK(sendfile(out, in, NULL, 10) == 0);
    CHECK_ERRNO(sendfile(append, in, &at, 10), EINVAL);
    CHECK_ERRNO(sendfile(in, append, NULL, 10), EBADF);
    at = -1;
    CHECK_ERRNO(sendfile(out, in, &at, 10), EINVAL);
    CHECK_ERRNO(sendfile(out, in, (off_t *)8, 10), EFAULT);
    CHECK_ERRNO(sendfile(out, in, NULL, (size_t)-1), EINVAL);
    CHECK_ERRNO(sendfile(out, -1, NULL, 10), EBADF);
    close(append);
    close(in);
    close(out);
}

static void test_copy_range(void)
{
    int in = make("in", 100000), out = make("out", 0), dir = open(".", O_RDONLY);
    off_t from = 5, to = 4090;

    CHECK(copy_file_range(in, &from, out, &to, 50000, 0) == 50000 && from == 50005 && to == 54090);
    CHECK(equal(in, 5, out, 4090, 50000) && lseek(in, 0, SEEK_CUR) == 0);
    from = 99999;
    CHECK(copy_file_range(in, &from, out, &to, 50, 0) == 1);
    CHECK(copy_file_range(in, &from, out, &to, 50, 0) == 0);
    from = 0;
    to = 50;
    CHECK_ERRNO(copy_file_range(in, &from, in, &to, 100, 0), EINVAL);
    to = 200;
    CHECK(copy_file_range(in, &from, in, &to, 100, 0) == 100 && equal(in, 0, in, 200, 100));
    CHECK_ERRNO(copy_file_range(in, NULL, out, NULL, 1, 1), EINVAL);
    CHECK_ERRNO(copy_file_range(dir, NULL, out, NULL, 1, 0), EISDIR);
    CHECK_ERRNO(copy_file_range(in, NULL, -1, NULL, 1, 0), EBADF);
    close(dir);
    close(in);
    close(out);
}

static void test_fallocate(void)
{
    int fd = make("fa", 20000), copy = make("fb", 20000), ro = open("fa", O_RDONLY);
    char buf[8192];
    struct stat st;

    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 40000) == 0 && fstat(fd, &st) == 0 && st.st_size == 20000);
    CHECK(fallocate(fd, 0, 10000, 20000) == 0 && fstat(fd, &st) == 0 && st.st_size == 30000);
    CHECK(equal(fd, 0, copy, 0, 20000) && pread(fd, buf, 1, 29999) == 1 && buf[0] == 0);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 5000) == 0);
    CHECK(pread(fd, buf, 5000, 4000) == 5000 && !buf[0] && !memcmp(buf, buf + 1, 4999));
    CHECK(equal(fd, 0, copy, 0, 4000) && equal(fd, 9000, copy, 9000, 11000));
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, INT64_MAX, 10), EFBIG);
    CHECK_ERRNO(fallocate(ro, 0, 0, 10), EBADF);
    CHECK_ERRNO(ftruncate(ro, 10), EINVAL);
    CHECK_ERRNO(truncate("fa", -1), EINVAL);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, 1 << 20) == 0);
    CHECK(lseek(fd, 0, SEEK_DATA) == -1 || lseek(fd, 0, SEEK_DATA) == 0);
    CHECK(lseek(fd, 1 << 20, SEEK_HOLE) == -1 && errno == ENXIO);
    CHECK(pwrite(fd, "x", 1, 600000) == 1 && lseek(fd, 600000, SEEK_DATA) == 600000);
    CHECK(lseek(fd, 600000, SEEK_HOLE) > 600000);
    close(fd);
    close(copy);
    close(ro);
}

static void test_flags(void)
{
    int fd = make("rw", 100), append = open("rw", O_RDWR | O_APPEND);
    char x[10], y[10];
    struct iovec in[2] = {{x, 10}, {y, 10}}, out[1] = {{"appended", 8}};

    CHECK(preadv2(fd, in, 2, -1, 0) == 20 && lseek(fd, 0, SEEK_CUR) == 20);
    CHECK(preadv2(fd, in, 2, 90, RWF_NOWAIT) == 10 || errno == EAGAIN || errno == EOPNOTSUPP);
    CHECK(pwritev2(fd, out, 1, 0, RWF_APPEND) == 8 && lseek(fd, 0, SEEK_END) == 108);
    CHECK(pread(fd, x, 8, 100) == 8 && !memcmp(x, "appended", 8));
    CHECK(pwritev2(fd, out, 1, 0, RWF_SYNC | RWF_DSYNC) == 8);
    CHECK_ERRNO(pwritev2(fd, out, 1, 0, 0x40000000), EOPNOTSUPP);
    CHECK_ERRNO(preadv2(fd, in, 1, -2, 0), EINVAL);
    CHECK_ERRNO(pread(fd, x, 1, -1), EINVAL);
    CHECK(pwrite(append, "end", 3, 0) == 3 && lseek(fd, 0, SEEK_END) == 111);
    CHECK(fcntl(append, F_SETFL, 0) == 0 && pwrite(append, "beg", 3, 0) == 3);
    CHECK(lseek(fd, 0, SEEK_END) == 111);
    struct iovec wrap[2] = {{x, 4}, {y, SIZE_MAX}}, bad[2] = {{x, 4}, {(void *)8, 4}};
    CHECK_ERRNO(readv(fd, wrap, 2), EINVAL);
    CHECK(pwritev(fd, bad, 2, 0) == 4);
    CHECK_ERRNO(pwritev(fd, bad + 1, 1, 0), EFAULT);
    CHECK(readv(fd, in, 0) == 0);
    CHECK_ERRNO(syscall(SYS_lseek, fd, 0, 9), EINVAL);
    CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && posix_fadvise(fd, 0, 0, 99) == EINVAL);
    CHECK(readahead(fd, 0, 100) == 0 && sync_file_range(fd, 0, 0, 0) == 0 && fsync(fd) == 0);
    CHECK(fdatasync(fd) == 0 && syncfs(fd) == 0);
    close(fd);
    close(append);
}

static void test_size_limit(void)
{
    struct rlimit old, limit;
    int fd = make("lim", 0);
    char buf[100] = {0};

    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = (struct rlimit){1000, old.rlim_max};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    signal(SIGXFSZ, on_signal);
    CHECK(pwrite(fd, buf, 100, 950) == 50 && !g_signal);
    CHECK_ERRNO(pwrite(fd, buf, 100, 1000), EFBIG);
    CHECK(g_signal == SIGXFSZ);
    g_signal = 0;
    CHECK_ERRNO(ftruncate(fd, 1001), EFBIG);
    CHECK(g_signal == SIGXFSZ && ftruncate(fd, 1000) == 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_ERRNO(fallocate(fd, 0, 0, 2000), EFBIG);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0 && pwrite(fd, buf, 100, 1000) == 100);
    close(fd);
}

static void test_descriptor_limit(void)
{
    struct rlimit old, limit = {20, 20};
    int fd, last = -1;

    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    limit.rlim_max = old.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        last = fd;
    CHECK(errno == EMFILE && last == 19);
    CHECK_ERRNO(dup(0), EMFILE);
    CHECK_ERRNO(dup2(0, 20), EBADF);
    CHECK_ERRNO(fcntl(0, F_DUPFD, 20), EINVAL);
    CHECK_ERRNO(fcntl(0, F_DUPFD, 10), EMFILE);
    CHECK(dup2(0, 19) == 19 && syscall(SYS_close_range, 10, ~0u, 0) == 0);
    CHECK(fcntl(0, F_DUPFD_CLOEXEC, 15) == 15 && fcntl(15, F_GETFD) == FD_CLOEXEC);
    CHECK(syscall(SYS_close_range, 3, ~0u, 4) == 0 && fcntl(9, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
    CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0 && setrlimit(RLIMIT_NOFILE, &old) == 0);
}

int main(void)
{
    test_sendfile();
    test_copy_range();
    test_fallocate();
    test_flags();
    test_size_limit();
    test_descriptor_limit();
    return guest_done();
}
