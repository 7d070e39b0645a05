/* SPDX-License-Identifier: MIT */
/* AF_UNIX in one process: pairs, names, connections, datagrams, options, poll, errors. */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char g_buf[1 << 18], g_other[1 << 18];
static volatile sig_atomic_t g_signals;

static void on_signal(int sig)
{
    (void)sig;
    g_signals++;
}

static int number(int fd, unsigned long request)
{
    int n = -1;

    CHECK(ioctl(fd, request, &n) == 0);
    return n;
}

static int events(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    CHECK(getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 && size == sizeof(value));
    return value;
}

static void set_option(int fd, int name, int value)
{
    CHECK(setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value)) == 0);
}

static socklen_t make_name(struct sockaddr_un *a, const char *path)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, path);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static socklen_t make_abstract(struct sockaddr_un *a, const char *name)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    memcpy(a->sun_path + 1, name, strlen(name));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static void close_two(const int p[2])
{
    CHECK(close(p[0]) == 0 && close(p[1]) == 0);
}

static void test_create(void)
{
    int p[2], fd;

    CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x1000, 0), EINVAL);
    CHECK_ERRNO(socket(77, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8), EFAULT);
    fd = socket(AF_UNIX, SOCK_RAW, 0);
    CHECK(fd >= 0 && option(fd, SO_TYPE) == SOCK_DGRAM && close(fd) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) == 0);
    CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[1], F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(p[0], F_GETFL) == (O_RDWR | O_NONBLOCK));
    CHECK_ERRNO(read(p[0], g_other, 1), EAGAIN);
    close_two(p);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, AF_UNIX, p) == 0 && p[0] == 3 && p[1] == 4);
    close_two(p);
}

static void test_pair(void)
{
    struct sockaddr_un a;
    struct stat st;
    char name[64], want[64];
    socklen_t size;
    int p[2];
    ssize_t n;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK(fstat(p[0], &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0777 && st.st_nlink == 1);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
    n = readlink(name, want, sizeof(want) - 1);
    CHECK(n > 0);
    want[n > 0 ? n : 0] = 0;
    CHECK_ERRNO(open(name, O_RDWR), ENXIO);
    snprintf(name, sizeof(name), "socket:[%lu]", (unsigned long)st.st_ino);
    CHECK(strcmp(name, want) == 0);
    CHECK(events(p[0]) == POLLOUT);
    CHECK(write(p[0], "hello", 5) == 5 && write(p[0], "world", 5) == 5);
    CHECK(number(p[1], FIONREAD) == 10 && number(p[0], FIONREAD) == 0);
    CHECK(number(p[0], TIOCOUTQ) > 0 && number(p[1], TIOCOUTQ) == 0);
    CHECK(events(p[1]) == (POLLIN | POLLOUT));
    CHECK(read(p[1], g_other, 7) == 7 && memcmp(g_other, "hellowo", 7) == 0);
    CHECK(read(p[1], g_other, 7) == 3 && number(p[0], TIOCOUTQ) == 0);
    CHECK(write(p[0], "", 0) == 0 && read(p[0], g_other, 0) == 0);
    CHECK_ERRNO(lseek(p[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(pread(p[0], g_other, 1, 0), ESPIPE);
    CHECK_ERRNO(fsync(p[0]), EINVAL);
    CHECK_ERRNO(ftruncate(p[0], 0), EINVAL);
    CHECK_ERRNO(write(p[0], (void *)8, 5), EFAULT);
    CHECK(write(p[0], "abc", 3) == 3);
    CHECK_ERRNO(read(p[1], (void *)8, 5), EFAULT);
    CHECK(number(p[1], FIONREAD) == 3);
    size = sizeof(a);
    CHECK(getsockname(p[0], (void *)&a, &size) == 0 && size == 2 && a.sun_family == AF_UNIX);
    size = sizeof(a);
    CHECK(getpeername(p[0], (void *)&a, &size) == 0 && size == 2);
    CHECK(close(p[0]) == 0);
    CHECK(events(p[1]) == (POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
    CHECK(read(p[1], g_other, 9) == 3 && read(p[1], g_other, 9) == 0);
    size = sizeof(a);
    CHECK(getpeername(p[1], (void *)&a, &size) == 0 && size == 2);
    CHECK(close(p[1]) == 0);
}

static void test_broken(void)
{
    int p[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && close(p[0]) == 0);
    signal(SIGPIPE, on_signal);
    g_signals = 0;
    CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
    CHECK(g_signals == 1);
    CHECK_ERRNO(send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(g_signals == 1);
    CHECK(close(p[1]) == 0);
    /* data that was never read: the other end hears of it */
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK(write(p[1], "lost", 4) == 4 && close(p[0]) == 0);
    CHECK(events(p[1]) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
    CHECK_ERRNO(read(p[1], g_other, 9), ECONNRESET);
    CHECK(read(p[1], g_other, 9) == 0);
    CHECK(close(p[1]) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK(write(p[1], "lost", 4) == 4 && close(p[0]) == 0);
    CHECK(option(p[1], SO_ERROR) == ECONNRESET && option(p[1], SO_ERROR) == 0);
    CHECK(close(p[1]) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0 && close(p[0]) == 0);
    g_signals = 0;
    CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
    CHECK(read(p[1], g_other, 9) == 0 && close(p[1]) == 0);
    signal(SIGPIPE, SIG_IGN);
}

static void test_shutdown(void)
{
    int p[2], fd;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK_ERRNO(shutdown(p[0], 3), EINVAL);
    CHECK(write(p[0], "last", 4) == 4 && shutdown(p[0], SHUT_WR) == 0);
    CHECK_ERRNO(write(p[0], "x", 1), EPIPE);
    CHECK(events(p[1]) == (POLLIN | POLLOUT | POLLRDHUP) && events(p[0]) == POLLOUT);
    CHECK(read(p[1], g_other, 9) == 4 && read(p[1], g_other, 9) == 0);
    CHECK(write(p[1], "back", 4) == 4 && read(p[0], g_other, 9) == 4);
    CHECK(shutdown(p[0], SHUT_RD) == 0 && read(p[0], g_other, 1) == 0);
    CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
    CHECK(events(p[0]) == (POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
    close_two(p);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(events(fd) == (POLLOUT | POLLHUP));
    CHECK(shutdown(fd, SHUT_RDWR) == 0 && close(fd) == 0);
    CHECK_ERRNO(shutdown(0, SHUT_RD), ENOTSOCK);
    CHECK_ERRNO(shutdown(99, SHUT_RD), EBADF);
}

/* Writes until EAGAIN: how many. */
static long fill(int fd, size_t step)
{
    long count = 0;
    ssize_t n;

    while ((n = send(fd, g_buf, step, MSG_DONTWAIT)) == (ssize_t)step)
        count++;
    CHECK(n < (ssize_t)step && (n >= 0 || errno == EAGAIN));
    return count;
}

static void test_room(void)
{
    int p[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK(option(p[0], SO_SNDBUF) == 212992 && option(p[0], SO_RCVBUF) == 212992);
    CHECK(fill(p[0], 1) == 278 && events(p[0]) == 0);
    CHECK(read(p[1], g_other, sizeof(g_other)) == 278 && events(p[0]) == POLLOUT);
    set_option(p[0], SO_SNDBUF, 1);
    CHECK(option(p[0], SO_SNDBUF) == 4608);
    CHECK(fill(p[0], 1) == 6 && read(p[1], g_other, 100) == 6);
    set_option(p[0], SO_SNDBUF, 65536);
    CHECK(option(p[0], SO_SNDBUF) == 131072);
    close_two(p);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
    CHECK_ERRNO(send(p[0], g_buf, 212992, 0), EMSGSIZE);
    CHECK(send(p[0], g_buf, 100000, 0) == 100000 && recv(p[1], g_other, sizeof(g_other), 0) == 100000);
    close_two(p);
}

static void test_large(void)
{
    size_t in = 0, out = 0;
    int p[2];

    for (size_t i = 0; i < sizeof(g_buf); i++)
        g_buf[i] = (char)(i * 7 + i / 251);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0);
    while (out < sizeof(g_buf)) {
        ssize_t n = write(p[0], g_buf + in, sizeof(g_buf) - in);

        in += n > 0 ? (size_t)n : 0;
        n = read(p[1], g_other + out, 10007);
        CHECK(n > 0);
        if (n <= 0)
            break;
        out += (size_t)n;
    }
    CHECK(in == out && memcmp(g_buf, g_other, sizeof(g_buf)) == 0);
    close_two(p);
}

/* A full queue of connections, and its end. */
static void listener_ends(int l, const struct sockaddr_un *a, socklen_t size)
{
    int c, c2, s;

    c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    c2 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(connect(c, (void *)a, size) == 0 && connect(c2, (void *)a, size) == 0);
    CHECK_ERRNO(connect(s, (void *)a, size), EAGAIN);
    CHECK(write(c, "x", 1) == 1 && close(l) == 0);
    CHECK_ERRNO(read(c, g_other, 1), ECONNRESET);
    CHECK(read(c, g_other, 1) == 0);
    CHECK_ERRNO(connect(s, (void *)a, size), ECONNREFUSED);
    close(c);
    close(c2);
    close(s);
}

/* What a path can lead to. */
static void listener_paths(const struct sockaddr_un *a, socklen_t size)
{
    struct sockaddr_un b;
    int l, c2, s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    c2 = socket(AF_UNIX, SOCK_DGRAM, 0);
    l = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(unlink("listener") == 0 && bind(l, (void *)a, size) == 0 && listen(l, 5) == 0);
    CHECK_ERRNO(connect(c2, (void *)a, size), EPROTOTYPE);
    CHECK_ERRNO(listen(c2, 5), EOPNOTSUPP);
    CHECK_ERRNO(accept(c2, NULL, NULL), EOPNOTSUPP);
    CHECK(symlink("listener", "link") == 0);
    make_name(&b, "link");
    CHECK(connect(c2, (void *)&b, sizeof(b)) == -1 && errno == EPROTOTYPE);
    CHECK(connect(s, (void *)&b, sizeof(b)) == 0);
    make_name(&b, "link/x");
    CHECK_ERRNO(connect(c2, (void *)&b, sizeof(b)), ENOTDIR);
    CHECK_ERRNO(bind(c2, (void *)&b, sizeof(b)), ENOTDIR);
    make_name(&b, "no/x");
    CHECK_ERRNO(bind(c2, (void *)&b, sizeof(b)), ENOENT);
    make_name(&b, "plain");
    close(open("plain", O_CREAT | O_WRONLY, 0644));
    CHECK_ERRNO(connect(s, (void *)&b, sizeof(b)), ECONNREFUSED);
    CHECK(unlink("listener") == 0 && unlink("link") == 0 && unlink("plain") == 0);
    close(l);
    close(c2);
    close(s);
}

static void test_listen(void)
{
    struct sockaddr_un a, b;
    socklen_t size = make_name(&a, "listener"), got;
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), s;
    struct stat st;

    CHECK_ERRNO(listen(l, 5), EINVAL);
    CHECK_ERRNO(accept(l, NULL, NULL), EINVAL);
    CHECK_ERRNO(connect(c, (void *)&a, size), ENOENT);
    CHECK_ERRNO(bind(l, (void *)&a, 2000), EINVAL);
    CHECK_ERRNO(bind(l, (void *)8, size), EFAULT);
    umask(027);
    CHECK(bind(l, (void *)&a, size) == 0);
    CHECK(stat("listener", &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0750);
    CHECK_ERRNO(open("listener", O_RDWR), ENXIO);
    CHECK(stat("listener", &st) == 0 && st.st_size == 0);
    s = socket(AF_UNIX, SOCK_DGRAM, 0); /* its mode is the name's */
    make_name(&b, "mode");
    CHECK(fchmod(s, 0666) == 0 && bind(s, (void *)&b, sizeof(b)) == 0);
    CHECK(stat("mode", &st) == 0 && (st.st_mode & 0777) == 0640 && unlink("mode") == 0 && close(s) == 0);
    CHECK_ERRNO(bind(l, (void *)&a, size), EADDRINUSE);
    make_name(&b, "another");
    CHECK_ERRNO(bind(l, (void *)&b, size), EINVAL);
    CHECK_ERRNO(stat("another", &st), ENOENT);
    CHECK_ERRNO(bind(c, (void *)&a, size), EADDRINUSE);
    CHECK_ERRNO(connect(c, (void *)&a, size), ECONNREFUSED);
    CHECK(option(l, SO_ACCEPTCONN) == 0 && listen(l, 1) == 0 && option(l, SO_ACCEPTCONN) == 1);
    CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
    CHECK(events(l) == 0);
    CHECK(connect(c, (void *)&a, size) == 0 && events(l) == POLLIN);
    CHECK_ERRNO(connect(c, (void *)&a, size), EISCONN);
    CHECK_ERRNO(connect(l, (void *)&a, size), EINVAL);
    CHECK(write(c, "early", 5) == 5);
    got = sizeof(b);
    s = accept4(l, (void *)&b, &got, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(s >= 0 && got == 2 && fcntl(s, F_GETFD) == FD_CLOEXEC && (fcntl(s, F_GETFL) & O_NONBLOCK));
    CHECK(read(s, g_other, 9) == 5);
    got = sizeof(b);
    CHECK(getsockname(s, (void *)&b, &got) == 0 && got == size && memcmp(&a, &b, size) == 0);
    got = sizeof(b);
    CHECK(getpeername(c, (void *)&b, &got) == 0 && got == size && memcmp(&a, &b, size) == 0);
    got = 4;
    memset(&b, 'x', sizeof(b));
    CHECK(getpeername(c, (void *)&b, &got) == 0 && got == size && b.sun_path[1] == 'i' && b.sun_path[2] == 'x');
    got = (socklen_t)-1;
    CHECK_ERRNO(getpeername(c, (void *)&b, &got), EINVAL);
    CHECK_ERRNO(getpeername(l, (void *)&b, &got), ENOTCONN);
    CHECK_ERRNO(syscall(SYS_accept4, l, NULL, NULL, O_APPEND), EINVAL); /* musl has ideas of its own */
    CHECK_ERRNO(send(l, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(recv(l, g_other, 1, 0), EINVAL);
    CHECK_ERRNO(ioctl(l, FIONREAD, &got), EINVAL);
    close(s);
    close(c);
    listener_ends(l, &a, size);
    listener_paths(&a, size);
}

static void test_names(void)
{
    struct sockaddr_un a, b;
    socklen_t size = make_abstract(&a, "guest test"), got = sizeof(b);
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0), z;

    CHECK_ERRNO(connect(y, (void *)&a, size), ECONNREFUSED);
    CHECK(bind(x, (void *)&a, size) == 0);
    CHECK_ERRNO(bind(y, (void *)&a, size), EADDRINUSE);
    CHECK(getsockname(x, (void *)&b, &got) == 0 && got == size && memcmp(&a, &b, size) == 0);
    CHECK_ERRNO(connect(y, (void *)&a, size - 1), ECONNREFUSED);
    z = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(z, (void *)&a, size) == 0); /* another type: another name */
    CHECK(connect(y, (void *)&a, size) == 0);
    got = sizeof(b);
    CHECK(getpeername(y, (void *)&b, &got) == 0 && got == size);
    a.sun_family = AF_UNIX;
    CHECK(bind(y, (void *)&a, 2) == 0); /* autobind */
    got = sizeof(b);
    CHECK(getsockname(y, (void *)&b, &got) == 0 && got == 2 + 6 && b.sun_path[0] == 0);
    for (int i = 1; i < 6; i++)
        CHECK(strchr("0123456789abcdef", b.sun_path[i]) != NULL);
    CHECK(write(y, "hi", 2) == 2);
    got = sizeof(a);
    CHECK(recvfrom(x, g_other, 9, 0, (void *)&a, &got) == 2 && got == 8 && memcmp(&a, &b, 8) == 0);
    CHECK(sendto(x, "back", 4, 0, (void *)&b, 8) == 4 && read(y, g_other, 9) == 4);
    a.sun_family = AF_INET;
    CHECK_ERRNO(sendto(x, "x", 1, 0, (void *)&a, 8), EINVAL);
    a.sun_family = AF_UNIX;
    CHECK_ERRNO(sendto(x, "x", 1, 0, (void *)&a, 2), EINVAL);
    CHECK_ERRNO(sendto(x, "x", 1, 0, (void *)&a, 200), EINVAL);
    close(x);
    close(y);
    close(z);
}

static void test_long_path(void)
{
    struct sockaddr_un a, b[2];
    socklen_t got = sizeof(b);
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0);

    memset(&a, 'n', sizeof(a));
    a.sun_family = AF_UNIX;
    CHECK(bind(x, (void *)&a, sizeof(a)) == 0);
    CHECK(getsockname(x, (void *)b, &got) == 0 && got == sizeof(a) + 1);
    CHECK(connect(y, (void *)&a, sizeof(a)) == 0);
    memcpy(g_other, a.sun_path, 108);
    g_other[108] = 0;
    CHECK(unlink(g_other) == 0);
    close(x);
    close(y);
}

static void test_dgram(void)
{
    struct sockaddr_un a, none = {.sun_family = AF_UNSPEC};
    socklen_t size = make_name(&a, "dgram");
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0), z, p[2];
    long n;

    CHECK_ERRNO(send(y, "x", 1, 0), ENOTCONN);
    CHECK(bind(x, (void *)&a, size) == 0 && connect(y, (void *)&a, size) == 0);
    CHECK(write(y, "one", 3) == 3 && write(y, "second", 6) == 6 && write(y, "", 0) == 0);
    CHECK(number(x, FIONREAD) == 3);
    CHECK(recv(x, g_other, 2, MSG_PEEK) == 2 && recv(x, g_other, 2, MSG_PEEK | MSG_TRUNC) == 3);
    CHECK(recv(x, g_other, 2, 0) == 2 && recv(x, g_other, 2, MSG_TRUNC) == 6);
    CHECK(recv(x, g_other, 2, 0) == 0);
    CHECK_ERRNO(recv(x, g_other, 2, MSG_DONTWAIT), EAGAIN);
    n = fill(y, 10);
    CHECK(n == 11 && events(y) == 0);
    z = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERRNO(sendto(z, "x", 1, MSG_DONTWAIT, (void *)&a, size), EAGAIN);
    CHECK(events(z) == POLLOUT && read(x, g_other, 20) == 10 && events(y) == POLLOUT);
    CHECK(connect(y, (void *)&none, sizeof(none.sun_family)) == 0);
    CHECK_ERRNO(send(y, "x", 1, 0), ENOTCONN);
    while (recv(x, g_other, 20, MSG_DONTWAIT) > 0)
        ;
    CHECK(connect(y, (void *)&a, size) == 0 && close(x) == 0);
    CHECK_ERRNO(send(y, "x", 1, 0), ECONNREFUSED);
    CHECK_ERRNO(send(y, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(sendto(y, "x", 1, 0, (void *)&a, size), ECONNREFUSED);
    CHECK(unlink("dgram") == 0);
    CHECK_ERRNO(sendto(y, "x", 1, 0, (void *)&a, size), ENOENT);
    x = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(bind(x, (void *)&a, size) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
    CHECK(connect(p[0], (void *)&a, size) == 0); /* p[1] loses its peer's ear */
    CHECK_ERRNO(write(p[1], "x", 1), EPERM);
    close_two(p);
    CHECK(unlink("dgram") == 0);
    CHECK(shutdown(x, SHUT_RD) == 0 && recv(x, g_other, 1, 0) == 0);
    CHECK_ERRNO(recv(x, g_other, 1, MSG_DONTWAIT), EAGAIN);
    close(x);
    close(y);
    close(z);
}

static void test_seqpacket(void)
{
    struct iovec v = {g_other, 4};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    int p[2], fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    CHECK_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(recv(fd, g_other, 1, 0), ENOTCONN);
    CHECK(close(fd) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
    CHECK(write(p[0], "longer", 6) == 6 && write(p[0], "abc", 3) == 3);
    CHECK(recvmsg(p[1], &m, 0) == 4 && (m.msg_flags & MSG_TRUNC));
    CHECK(recvmsg(p[1], &m, 0) == 3 && !(m.msg_flags & MSG_TRUNC));
    CHECK(write(p[0], "z", 1) == 1 && shutdown(p[0], SHUT_WR) == 0);
    CHECK(read(p[1], g_other, 9) == 1 && read(p[1], g_other, 9) == 0);
    CHECK(recv(p[1], g_other, 9, MSG_DONTWAIT) == 0);
    close_two(p);
}

static void test_flags(void)
{
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    struct iovec in[2] = {{g_other, 1}, {g_other + 10, 50}};
    int p[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK(writev(p[0], v, 3) == 5 && readv(p[1], in, 2) == 5);
    CHECK(g_other[0] == 'a' && memcmp(g_other + 10, "bcde", 4) == 0);
    CHECK(write(p[0], "one", 3) == 3 && write(p[0], "two", 3) == 3);
    CHECK(recv(p[1], g_other, 5, MSG_PEEK) == 5 && memcmp(g_other, "onetw", 5) == 0);
    CHECK(recv(p[1], g_other, 6, MSG_WAITALL) == 6 && memcmp(g_other, "onetwo", 6) == 0);
    CHECK_ERRNO(recv(p[1], g_other, 5, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
    CHECK(write(p[0], "xyz", 3) == 3);
    CHECK(recv(p[1], g_other, 10, MSG_WAITALL | MSG_DONTWAIT) == 3);
    CHECK_ERRNO(sendto(p[0], "x", 1, 0, (void *)&(struct sockaddr_un){.sun_family = AF_UNIX}, 3), EISCONN);
    CHECK_ERRNO(syscall(SYS_sendmsg, p[0], 8, 0), EFAULT); /* musl looks into it first */
    CHECK_ERRNO(syscall(SYS_recvmsg, p[0], 8, 0), EFAULT);
    CHECK_ERRNO(recv(99, g_other, 1, 0), EBADF);
    CHECK_ERRNO(recv(0, g_other, 1, 0), ENOTSOCK);
    CHECK_ERRNO(bind(0, (void *)g_other, 1), ENOTSOCK);
    close_two(p);
}

static void test_mmsg(void)
{
    struct iovec v[3] = {{"a", 1}, {"bb", 2}, {"ccc", 3}}, in[4];
    struct mmsghdr m[4] = {0};
    struct timespec ts = {5, 0};
    int p[2];

    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
    for (int i = 0; i < 3; i++)
        m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
    CHECK(sendmmsg(p[0], m, 3, 0) == 3 && m[0].msg_len == 1 && m[2].msg_len == 3);
    for (int i = 0; i < 4; i++) {
        in[i] = (struct iovec){g_other + i * 16, 16};
        m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &in[i], .msg_iovlen = 1}};
    }
    CHECK(recvmmsg(p[1], m, 4, MSG_WAITFORONE, &ts) == 3);
    CHECK(m[0].msg_len == 1 && m[1].msg_len == 2 && m[2].msg_len == 3 && memcmp(g_other + 32, "ccc", 3) == 0);
    CHECK_ERRNO(recvmmsg(p[1], m, 4, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_ERRNO(sendmmsg(99, m, 1, 0), EBADF);
    CHECK(sendmmsg(p[0], m, 0, 0) == 0);
    close_two(p);
}

static long elapsed_ms(const struct timespec *from)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - from->tv_sec) * 1000 + (now.tv_nsec - from->tv_nsec) / 1000000;
}

static void alarm_in(int ms)
{
    struct itimerval t = {.it_value.tv_usec = ms * 1000};

    CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void test_timeouts(void)
{
    struct timeval tv = {0, 30000};
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct timespec start;
    socklen_t size;
    int p[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    tv.tv_usec = 0;
    size = sizeof(tv);
    CHECK(getsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &size) == 0 && size == 16 && tv.tv_usec >= 30000);
    clock_gettime(CLOCK_MONOTONIC, &start);
    CHECK_ERRNO(read(p[0], g_other, 1), EAGAIN);
    CHECK(elapsed_ms(&start) >= 29);
    tv.tv_usec = 5000000;
    CHECK_ERRNO(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), EDOM);
    /* a call with a timeout is not restarted, one without is */
    tv = (struct timeval){5, 0};
    CHECK(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    g_signals = 0;
    sigaction(SIGALRM, &sa, NULL);
    alarm_in(20);
    CHECK_ERRNO(read(p[0], g_other, 1), EINTR);
    tv = (struct timeval){0, 30000};
    CHECK(setsockopt(p[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
    fill(p[0], 1000);
    CHECK_ERRNO(write(p[0], "x", 1), EAGAIN);
    sa.sa_flags = 0;
    sigaction(SIGALRM, &sa, NULL);
    alarm_in(20);
    CHECK_ERRNO(recv(p[0], g_other, 1, MSG_WAITALL), EINTR);
    CHECK(write(p[1], "12", 2) == 2);
    alarm_in(20);
    CHECK(recv(p[0], g_other, 3, MSG_WAITALL) == 2);
    CHECK(g_signals == 3);
    close_two(p);
}

static void test_options(void)
{
    struct linger lg = {1, 7};
    struct ucred cred;
    socklen_t size;
    int p[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    CHECK(option(p[0], SO_TYPE) == SOCK_STREAM && option(p[0], SO_DOMAIN) == AF_UNIX);
    CHECK(option(p[0], SO_PROTOCOL) == 0 && option(p[0], SO_ERROR) == 0 && option(p[0], SO_REUSEADDR) == 0);
    set_option(p[0], SO_REUSEADDR, 5);
    set_option(p[0], SO_KEEPALIVE, 1);
    CHECK(option(p[0], SO_REUSEADDR) == 1 && option(p[0], SO_KEEPALIVE) == 1 && option(p[1], SO_KEEPALIVE) == 0);
    CHECK(setsockopt(p[0], SOL_SOCKET, SO_LINGER, &lg, sizeof(lg)) == 0);
    lg = (struct linger){0, 0};
    size = sizeof(lg);
    CHECK(getsockopt(p[0], SOL_SOCKET, SO_LINGER, &lg, &size) == 0 && lg.l_onoff == 1 && lg.l_linger == 7);
    size = sizeof(cred);
    CHECK(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 && size == sizeof(cred));
    CHECK(cred.pid == getpid() && cred.uid == geteuid() && cred.gid == getegid());
    CHECK_ERRNO(setsockopt(p[0], SOL_SOCKET, SO_TYPE, &size, sizeof(size)), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &size, 2), EINVAL);
    CHECK_ERRNO(setsockopt(p[0], SOL_SOCKET, 9999, &size, 4), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, (void *)8, 4), EFAULT);
    CHECK_ERRNO(getsockopt(p[0], SOL_SOCKET, 9999, g_other, &size), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(p[0], 6, 1, &size, 4), EOPNOTSUPP);
    CHECK_ERRNO(setsockopt(0, SOL_SOCKET, SO_SNDBUF, &size, 4), ENOTSOCK);
    close_two(p);
    p[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    size = sizeof(cred);
    CHECK(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 && cred.pid == 0);
    CHECK(cred.uid == (uid_t)-1 && cred.gid == (gid_t)-1 && close(p[0]) == 0);
}

static void test_splice(void)
{
    int p[2], q[2], fd = open("source", O_RDWR | O_CREAT, 0600);

    CHECK(write(fd, g_buf, 100000) == 100000);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && pipe(q) == 0);
    CHECK(sendfile(p[0], fd, &(off_t){5}, 50000) == 50000);
    CHECK(recv(p[1], g_other, 50000, MSG_WAITALL) == 50000 && memcmp(g_other, g_buf + 5, 50000) == 0);
    CHECK_ERRNO(sendfile(p[0], p[1], NULL, 10), EINVAL);
    CHECK(write(p[0], "spliced", 7) == 7);
    CHECK(splice(p[1], NULL, q[1], NULL, 100, 0) == 7 && read(q[0], g_other, 100) == 7);
    CHECK(write(p[0], g_buf, 4096) == 4096);
    CHECK(splice(p[1], NULL, q[1], NULL, 4096, 0) == 4096 && read(q[0], g_other, 5000) == 4096);
    CHECK(write(p[0], g_buf, 4096) == 4096); /* as much as a slot holds, and no more comes */
    CHECK(splice(p[1], NULL, q[1], NULL, 65536, 0) == 4096 && read(q[0], g_other, 5000) == 4096);
    CHECK_ERRNO(splice(p[1], NULL, q[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK(write(q[1], "to a socket", 11) == 11);
    CHECK(splice(q[0], NULL, p[0], NULL, 100, 0) == 11 && read(p[1], g_other, 100) == 11);
    CHECK(close(p[0]) == 0 && splice(p[1], NULL, q[1], NULL, 100, 0) == 0);
    close(p[1]);
    close_two(q);
    CHECK(close(fd) == 0 && unlink("source") == 0);
}

static siginfo_t g_info;

static void on_info(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    g_info = *info;
    g_signals++;
}

static void test_async(void)
{
    struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    int p[2], on = 1, off = 0;

    sigaction(SIGIO, &sa, NULL);
    sigaction(SIGRTMIN, &sa, NULL);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0);
    g_signals = 0;
    CHECK(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0 && fcntl(p[0], F_GETFL) == (O_RDWR | O_ASYNC | O_NONBLOCK));
    CHECK(write(p[1], "x", 1) == 1 && g_signals == 0); /* no owner */
    CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0 && fcntl(p[0], F_GETOWN) == getpid());
    CHECK(write(p[1], "x", 1) == 1 && g_signals == 1 && g_info.si_signo == SIGIO && g_info.si_code == SI_KERNEL);
    CHECK(fcntl(p[0], F_SETSIG, SIGRTMIN) == 0 && write(p[1], "x", 1) == 1 && g_signals == 2);
    CHECK(g_info.si_signo == SIGRTMIN && g_info.si_code == POLL_IN && g_info.si_fd == p[0] && (g_info.si_band & POLLIN));
    CHECK(read(p[0], g_other, 9) == 3 && write(p[0], "x", 1) == 1 && read(p[1], g_other, 9) == 1 && g_signals == 2);
    fill(p[0], 1000); /* room after a lack of it */
    while (read(p[1], g_other, sizeof(g_other)) > 0)
        ;
    CHECK(g_signals == 3 && g_info.si_code == POLL_OUT && (g_info.si_band & POLLOUT));
    CHECK(ioctl(p[0], FIOASYNC, &off) == 0 && fcntl(p[0], F_GETFL) == (O_RDWR | O_NONBLOCK));
    CHECK(write(p[1], "x", 1) == 1 && g_signals == 3);
    CHECK(ioctl(p[0], FIOASYNC, &on) == 0 && write(p[1], "x", 1) == 1 && g_signals == 4);
    CHECK(fcntl(p[0], F_SETOWN, -getpgrp()) == 0 && fcntl(p[0], F_SETSIG, 0) == 0);
    close_two(p);
    CHECK(g_signals == 4);
}

int main(void)
{
    test_create();
    test_pair();
    test_broken();
    test_shutdown();
    test_room();
    test_large();
    test_listen();
    test_names();
    test_long_path();
    test_dgram();
    test_seqpacket();
    test_flags();
    test_mmsg();
    test_options();
    test_timeouts();
    test_splice();
    test_async();
    return guest_done();
}
