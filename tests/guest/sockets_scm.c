/* SPDX-License-Identifier: MIT */
/* guest: runs=rights,garbage,credentials,fork */
/* What travels with messages on AF_UNIX sockets: descriptors, also in circles, credentials; across fork; /proc/net/unix. */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FDS 253

static char g_buf[4096];

/* The calls themselves: musl copies control data to a small place of its own. The layouts agree. */
static long raw_sendmsg(int fd, const struct msghdr *m, int flags)
{
    return syscall(SYS_sendmsg, fd, m, flags);
}

static long raw_recvmsg(int fd, struct msghdr *m, int flags)
{
    return syscall(SYS_recvmsg, fd, m, flags);
}

union control {
    char bytes[CMSG_SPACE(sizeof(int) * (MAX_FDS + 1)) + CMSG_SPACE(sizeof(struct ucred))];
    struct cmsghdr align;
};

static int send_fds(int sock, const char *text, const int *fds, int count)
{
    struct iovec v = {(void *)(unsigned long)text, strlen(text)};
    union control c;
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    struct cmsghdr *h = &c.align;

    memset(&c, 0, sizeof(c));
    m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(h), fds, sizeof(int) * (size_t)count);
    return (int)raw_sendmsg(sock, &m, MSG_DONTWAIT);
}

/* Bytes; *count descriptors in fds, *flags of the message. `room`: for how many. */
static int receive_fds(int sock, size_t size, int *fds, int room, int how, int *count, int *flags)
{
    struct iovec v = {g_buf, size};
    union control c;
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    ssize_t n;

    memset(&c, 0, sizeof(c));
    m.msg_controllen = room ? CMSG_LEN(sizeof(int) * (size_t)room) : 0;
    if (!room)
        m.msg_control = NULL;
    n = raw_recvmsg(sock, &m, how | MSG_DONTWAIT);
    *count = 0;
    *flags = m.msg_flags;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); n >= 0 && h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_type != SCM_RIGHTS)
            continue;
        *count = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(h), sizeof(int) * (size_t)*count);
    }
    return (int)n;
}

static void make_pair(int type, int p[2])
{
    CHECK(socketpair(AF_UNIX, type, 0, p) == 0);
}

static int count_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 1000; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static int g_open; /* at the start */

static void check_closed(void)
{
    CHECK(count_open() == g_open);
}

static int readable_end(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    CHECK(poll(&p, 1, 2000) >= 0);
    return p.revents;
}

/* ---- Descriptors ------------------------------------------------------------------------------ */

static void test_rights_basic(int type)
{
    int p[2], q[2], fds[8], count, flags;

    make_pair(type, p);
    CHECK(pipe(q) == 0);
    CHECK(send_fds(p[0], "x", &q[1], 1) == 1 && close(q[1]) == 0);
    CHECK(receive_fds(p[1], 10, fds, 4, 0, &count, &flags) == 1 && count == 1 && !(flags & MSG_CTRUNC));
    CHECK(fds[0] == q[1] && fcntl(fds[0], F_GETFD) == 0);
    CHECK(write(fds[0], "through", 7) == 7 && read(q[0], g_buf, 10) == 7);
    CHECK(send_fds(p[0], "x", (int[]){fds[0], q[0], p[0]}, 3) == 1);
    CHECK(receive_fds(p[1], 10, fds + 1, 4, MSG_CMSG_CLOEXEC, &count, &flags) == 1 && count == 3);
    CHECK(flags & MSG_CMSG_CLOEXEC);
    for (int i = 1; i < 4; i++)
        CHECK(fcntl(fds[i], F_GETFD) == FD_CLOEXEC && close(fds[i]) == 0);
    /* room for two of three, for none, and without control data at all */
    CHECK(send_fds(p[0], "x", (int[]){fds[0], q[0], p[0]}, 3) == 1);
    CHECK(receive_fds(p[1], 10, fds + 1, 2, 0, &count, &flags) == 1 && count == 2 && (flags & MSG_CTRUNC));
    close(fds[1]);
    close(fds[2]);
    CHECK(send_fds(p[0], "x", fds, 1) == 1);
    CHECK(receive_fds(p[1], 10, fds + 1, 0, 0, &count, &flags) == 1 && count == 0 && (flags & MSG_CTRUNC));
    CHECK(send_fds(p[0], "x", fds, 1) == 1 && close(fds[0]) == 0);
    CHECK(read(p[1], g_buf, 1) == 1 && readable_end(q[0]) == POLLHUP); /* dropped with the byte */
    CHECK_ERRNO(send_fds(p[0], "x", (int[]){99}, 1), EBADF);
    CHECK_ERRNO(send_fds(p[0], "x", (int[]){q[0], 99}, 2), EBADF);
    close(q[0]);
    close(p[0]);
    close(p[1]);
    check_closed();
}

static void test_rights_count(void)
{
    int p[2], fds[MAX_FDS + 1], got[MAX_FDS + 1], count, flags;

    make_pair(SOCK_STREAM, p);
    for (int i = 0; i <= MAX_FDS; i++)
        fds[i] = p[i % 2];
    CHECK_ERRNO(send_fds(p[0], "x", fds, MAX_FDS + 1), EINVAL);
    CHECK(send_fds(p[0], "x", fds, MAX_FDS) == 1);
    CHECK(receive_fds(p[1], 1, got, MAX_FDS, 0, &count, &flags) == 1 && count == MAX_FDS);
    for (int i = 0; i < count; i++)
        CHECK(close(got[i]) == 0);
    CHECK(send_fds(p[0], "x", fds, 0) == 1);
    CHECK(receive_fds(p[1], 1, got, 4, 0, &count, &flags) == 1 && count == 0 && !(flags & MSG_CTRUNC));
    close(p[0]);
    close(p[1]);
}

/* Bytes before descriptors may come with them, bytes after do not. */
static void test_barrier(void)
{
    int p[2], fd, count, flags;

    make_pair(SOCK_STREAM, p);
    CHECK(write(p[0], "abcd", 4) == 4 && send_fds(p[0], "E", &p[0], 1) == 1 && write(p[0], "fghi", 4) == 4);
    CHECK(receive_fds(p[1], 20, &fd, 1, MSG_PEEK, &count, &flags) == 5 && count == 1 && close(fd) == 0);
    CHECK(receive_fds(p[1], 20, &fd, 1, 0, &count, &flags) == 5 && count == 1 && close(fd) == 0);
    CHECK(memcmp(g_buf, "abcdE", 5) == 0);
    CHECK(receive_fds(p[1], 20, &fd, 1, 0, &count, &flags) == 4 && count == 0);
    CHECK(send_fds(p[0], "long", &p[0], 1) == 4);
    CHECK(receive_fds(p[1], 2, &fd, 1, 0, &count, &flags) == 2 && count == 1 && close(fd) == 0);
    CHECK(receive_fds(p[1], 9, &fd, 1, 0, &count, &flags) == 2 && count == 0);
    close(p[0]);
    close(p[1]);
    make_pair(SOCK_DGRAM, p);
    CHECK(send_fds(p[0], "peek", &p[0], 1) == 4);
    CHECK(receive_fds(p[1], 9, &fd, 1, MSG_PEEK, &count, &flags) == 4 && count == 1 && close(fd) == 0);
    CHECK(receive_fds(p[1], 9, &fd, 1, 0, &count, &flags) == 4 && count == 1 && close(fd) == 0);
    close(p[0]);
    close(p[1]);
    check_closed();
}

static void test_bad_control(void)
{
    struct iovec v = {g_buf, 1};
    union control c = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c.align)};
    int p[2];

    make_pair(SOCK_DGRAM, p);
    c.align = (struct cmsghdr){.cmsg_len = sizeof(c.align) - 1, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    CHECK_ERRNO(raw_sendmsg(p[0], &m, 0), EINVAL);
    c.align.cmsg_len = sizeof(c.align) + 4;
    CHECK_ERRNO(raw_sendmsg(p[0], &m, 0), EINVAL);
    c.align = (struct cmsghdr){.cmsg_len = sizeof(c.align), .cmsg_level = SOL_SOCKET, .cmsg_type = 99};
    CHECK_ERRNO(raw_sendmsg(p[0], &m, 0), EINVAL);
    c.align.cmsg_level = 99; /* for others */
    CHECK(raw_sendmsg(p[0], &m, 0) == 1);
    m.msg_controllen = 1; /* less than a header: none */
    CHECK(raw_sendmsg(p[0], &m, 0) == 1);
    m.msg_control = (void *)8;
    m.msg_controllen = 32;
    CHECK_ERRNO(raw_sendmsg(p[0], &m, 0), EFAULT);
    m.msg_iovlen = 1025;
    CHECK_ERRNO(raw_sendmsg(p[0], &m, 0), EMSGSIZE);
    close(p[0]);
    close(p[1]);
}

/* ---- Circles ---------------------------------------------------------------------------------- */

/* A socket that carries both itself and a pipe's end: the pipe's reader hears when it is collected. */
static void test_circle(int length)
{
    int p[8][2], q[2];

    CHECK(pipe(q) == 0);
    for (int i = 0; i < length; i++)
        make_pair(SOCK_STREAM, p[i]);
    for (int i = 0; i < length; i++) {
        int next = (i + 1) % length;

        CHECK(send_fds(p[i][0], "c", (int[]){p[next][1], q[1]}, 2) == 1);
    }
    close(q[1]);
    for (int i = 0; i < length; i++)
        CHECK(close(p[i][0]) == 0);
    for (int i = 0; i < length; i++) {
        struct pollfd f = {.fd = q[0], .events = POLLIN};

        CHECK(poll(&f, 1, 0) == 0);
        CHECK(close(p[i][1]) == 0);
    }
    make_pair(SOCK_STREAM, p[0]); /* Linux collects at the next close at the latest */
    close(p[0][0]);
    close(p[0][1]);
    CHECK(readable_end(q[0]) == POLLHUP);
    close(q[0]);
    check_closed();
}

/* A circle that can still be reached through another socket's queue is none. */
static void test_reachable(void)
{
    int p[2], r[2], q[2], fd, got[2], count, flags;

    CHECK(pipe(q) == 0);
    make_pair(SOCK_STREAM, p);
    make_pair(SOCK_STREAM, r);
    CHECK(send_fds(p[0], "c", (int[]){p[1], q[1]}, 2) == 1 && send_fds(r[0], "r", &p[1], 1) == 1);
    close(q[1]);
    close(p[0]);
    close(p[1]);
    make_pair(SOCK_STREAM, p);
    close(p[0]);
    close(p[1]);
    CHECK(receive_fds(r[1], 1, &fd, 1, 0, &count, &flags) == 1 && count == 1);
    CHECK(receive_fds(fd, 1, got, 2, 0, &count, &flags) == 1 && count == 2);
    CHECK(write(got[1], "alive", 5) == 5 && read(q[0], g_buf, 9) == 5);
    close(got[0]);
    close(got[1]);
    close(fd);
    close(r[0]);
    close(r[1]);
    CHECK(readable_end(q[0]) == POLLHUP && close(q[0]) == 0);
    check_closed();
}

/* Each pair's end lies in the next one's queue: the last close lets go of all, however many. */
static void test_chain(int length)
{
    int q[2], last[2], p[2];

    CHECK(pipe(q) == 0);
    make_pair(SOCK_STREAM, last);
    CHECK(send_fds(last[0], "x", &q[1], 1) == 1 && close(q[1]) == 0 && close(last[0]) == 0);
    for (int i = 0; i < length; i++) {
        make_pair(SOCK_STREAM, p);
        CHECK(send_fds(p[0], "x", &last[1], 1) == 1);
        close(p[0]);
        close(last[1]);
        last[1] = p[1];
    }
    CHECK(close(last[1]) == 0);
    CHECK(readable_end(q[0]) == POLLHUP && close(q[0]) == 0);
    check_closed();
}

/* In the queue of a connection that nobody accepted, in the listener's own circle. */
static void test_backlog_circle(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "circle"};
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), q[2], p[2];

    CHECK(pipe(q) == 0 && bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 1) == 0);
    CHECK(connect(c, (void *)&a, sizeof(a)) == 0 && unlink("circle") == 0);
    CHECK(send_fds(c, "x", (int[]){l, q[1]}, 2) == 1);
    close(q[1]);
    close(c);
    close(l);
    make_pair(SOCK_STREAM, p);
    close(p[0]);
    close(p[1]);
    CHECK(readable_end(q[0]) == POLLHUP && close(q[0]) == 0);
    check_closed();
}

/* ---- Credentials ------------------------------------------------------------------------------ */

/* Bytes; *cred has pid -1 when none came. */
static int receive_cred(int sock, struct ucred *cred, size_t size)
{
    struct iovec v = {g_buf, size};
    union control c;
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
    int n = (int)raw_recvmsg(sock, &m, MSG_DONTWAIT);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    cred->pid = -1;
    if (n >= 0 && h && h->cmsg_type == SCM_CREDENTIALS) {
        CHECK(h->cmsg_len == CMSG_LEN(sizeof(*cred)));
        memcpy(cred, CMSG_DATA(h), sizeof(*cred));
    }
    return n;
}

static int send_cred(int sock, const struct ucred *cred)
{
    struct iovec v = {"c", 1};
    union control c = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};

    m.msg_controllen = CMSG_SPACE(sizeof(*cred));
    c.align.cmsg_level = SOL_SOCKET;
    c.align.cmsg_type = SCM_CREDENTIALS;
    c.align.cmsg_len = CMSG_LEN(sizeof(*cred));
    memcpy(CMSG_DATA(&c.align), cred, sizeof(*cred));
    return (int)raw_sendmsg(sock, &m, MSG_DONTWAIT);
}

static void test_credentials(int type)
{
    struct ucred cred, own = {getpid(), getuid(), getgid()};
    int p[2], on = 1;

    make_pair(type, p);
    CHECK(write(p[0], "before", 6) == 6);
    CHECK(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
    CHECK(write(p[0], "after", 5) == 5);
    CHECK(receive_cred(p[1], &cred, 20) == 6);
    CHECK(cred.pid == 0 && cred.uid == 65534 && cred.gid == 65534);
    CHECK(receive_cred(p[1], &cred, 20) == 5 && memcmp(&cred, &own, sizeof(own)) == 0);
    CHECK(send_cred(p[0], &own) == 1 && receive_cred(p[1], &cred, 20) == 1);
    CHECK(memcmp(&cred, &own, sizeof(own)) == 0);
    own.pid = 4000000; /* nobody has that number; root may claim what exists */
    CHECK_ERRNO(send_cred(p[0], &own), ESRCH);
    own.pid = getppid() > 0 ? getppid() : getpid();
    own.uid = 12;
    CHECK(send_cred(p[0], &own) == 1 && receive_cred(p[1], &cred, 20) == 1 && cred.uid == 12);
    CHECK(receive_cred(p[0], &cred, 20) == -1 && write(p[1], "x", 1) == 1);
    CHECK(receive_cred(p[0], &cred, 20) == 1 && cred.pid == -1);
    close(p[0]);
    close(p[1]);
}

static void test_forging(void)
{
    struct ucred own = {getpid(), 1000, 1000};
    int p[2], status;
    pid_t pid = fork();

    if (!pid) {
        make_pair(SOCK_STREAM, p);
        CHECK(setresgid(1000, 1001, 1002) == 0 && setresuid(1000, 1001, 1002) == 0);
        own.pid = getpid();
        CHECK(send_cred(p[0], &own) == 1);
        own.uid = own.gid = 1002;
        CHECK(send_cred(p[0], &own) == 1);
        own.uid = 0;
        CHECK_ERRNO(send_cred(p[0], &own), EPERM);
        own.uid = 1000;
        own.gid = 0;
        CHECK_ERRNO(send_cred(p[0], &own), EPERM);
        own.gid = 1001;
        own.pid = getppid();
        CHECK_ERRNO(send_cred(p[0], &own), EPERM);
        fflush(stdout);
        _exit(g_guest_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- Across fork ------------------------------------------------------------------------------ */

static void child_opens(int sock)
{
    int fd = open("from-child", O_RDWR | O_CREAT, 0600);
    int ok = fd >= 0 && write(fd, "written by the child", 20) == 20 && lseek(fd, 11, SEEK_SET) == 11;

    ok = ok && send_fds(sock, "f", &fd, 1) == 1;
    _exit(!ok);
}

static void test_fork_rights(void)
{
    int p[2], fd, count, flags, status;
    pid_t pid;

    make_pair(SOCK_SEQPACKET, p);
    pid = fork();
    if (!pid)
        child_opens(p[1]);
    CHECK(close(p[1]) == 0 && readable_end(p[0]) & POLLIN);
    CHECK(receive_fds(p[0], 9, &fd, 1, 0, &count, &flags) == 1 && count == 1);
    CHECK(read(fd, g_buf, 99) == 9 && memcmp(g_buf, "the child", 9) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(read(p[0], g_buf, 9) == 0);
    CHECK(close(fd) == 0 && unlink("from-child") == 0 && close(p[0]) == 0);
}

static void serve(int l)
{
    for (int i = 0; i < 20; i++) {
        struct ucred cred;
        socklen_t size = sizeof(cred);
        int c = accept(l, NULL, NULL);
        ssize_t n = read(c, g_buf, sizeof(g_buf));

        if (c < 0 || getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &size) || cred.pid != getppid())
            _exit(2);
        while (n > 0 && write(c, g_buf, (size_t)n) == n)
            n = read(c, g_buf, sizeof(g_buf));
        close(c);
    }
    _exit(0);
}

/* A server in a child, 20 clients one after another; the parent's copy of the listener is closed. */
static void test_server(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "server"};
    int l = socket(AF_UNIX, SOCK_STREAM, 0), status;
    pid_t pid;

    CHECK(bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 3) == 0);
    pid = fork();
    if (!pid)
        serve(l);
    close(l);
    for (int i = 0; i < 20; i++) {
        int c = socket(AF_UNIX, SOCK_STREAM, 0);

        CHECK(connect(c, (void *)&a, sizeof(a)) == 0);
        for (int j = 0; j < 10; j++) {
            char text[16];
            int n = snprintf(text, sizeof(text), "%d.%d", i, j);

            CHECK(write(c, text, (size_t)n) == n && read(c, g_buf, 99) == n && !memcmp(text, g_buf, (size_t)n));
        }
        CHECK(shutdown(c, SHUT_WR) == 0 && read(c, g_buf, 9) == 0 && close(c) == 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    l = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(l, (void *)&a, sizeof(a)), ECONNREFUSED);
    CHECK(close(l) == 0 && unlink("server") == 0);
}

/* The child's end as the process ends. */
static void test_death(void)
{
    int p[2], status;
    pid_t pid;

    make_pair(SOCK_STREAM, p);
    pid = fork();
    if (!pid) {
        close(p[0]);
        pause();
    }
    close(p[1]);
    CHECK(kill(pid, 9) == 0 && read(p[0], g_buf, 9) == 0 && close(p[0]) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

static int in_proc_net(const char *name)
{
    char line[256];
    FILE *f = fopen("/proc/net/unix", "r");
    int found = 0;

    CHECK(f && fgets(line, sizeof(line), f));
    CHECK(strcmp(line, "Num       RefCount Protocol Flags    Type St Inode Path\n") == 0);
    while (f && fgets(line, sizeof(line), f))
        found += strstr(line, name) != NULL;
    if (f)
        fclose(f);
    return found;
}

static void test_proc(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char shown[sizeof(a.sun_path) + 3];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    /* Its own name: natively others may run the same test. */
    snprintf(a.sun_path, sizeof(a.sun_path), "shown-%d", getpid());
    snprintf(shown, sizeof(shown), " %s\n", a.sun_path);
    CHECK(in_proc_net(shown) == 0);
    CHECK(bind(fd, (void *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0);
    CHECK(in_proc_net(shown) == 1 && in_proc_net("00010000 0001 01") >= 1);
    CHECK(unlink(a.sun_path) == 0 && close(fd) == 0);
    CHECK(in_proc_net(shown) == 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    g_open = count_open();
    if (!strcmp(what, "rights")) {
        test_rights_basic(SOCK_STREAM);
        test_rights_basic(SOCK_DGRAM);
        test_rights_basic(SOCK_SEQPACKET);
        test_rights_count();
        test_barrier();
        test_bad_control();
    } else if (!strcmp(what, "garbage")) {
        test_circle(1);
        test_circle(2);
        test_circle(5);
        test_reachable();
        test_chain(300);
        test_backlog_circle();
    } else if (!strcmp(what, "credentials")) {
        test_credentials(SOCK_STREAM);
        test_credentials(SOCK_DGRAM);
        test_forging();
    } else {
        test_fork_rights();
        test_server();
        test_death();
        test_proc();
    }
    return guest_done();
}
