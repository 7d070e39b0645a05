/* SPDX-License-Identifier: MIT */
/* POSIX message queues: order, limits, waiting, notification, the file system that shows them. */
#include "children.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static char g_name[64], g_buf[8192];

static mqd_t make(int flags, long count, long size)
{
    struct mq_attr a = {.mq_maxmsg = count, .mq_msgsize = size};
    mqd_t q = mq_open(g_name, O_CREAT | flags, 0600, &a);

    CHECK(q >= 0);
    return q;
}

static void test_names(void)
{
    struct mq_attr a = {.mq_maxmsg = 0, .mq_msgsize = 1};
    char path[80];
    struct stat st;
    mqd_t q, r;

    CHECK_ERRNO(mq_open(g_name, O_RDWR), ENOENT);
    CHECK((q = mq_open(g_name, O_CREAT | O_EXCL | O_RDWR, 0640, NULL)) >= 0);
    CHECK_ERRNO(mq_open(g_name, O_CREAT | O_EXCL | O_RDWR, 0640, NULL), EEXIST);
    CHECK((r = mq_open(g_name, O_RDONLY | O_NONBLOCK)) >= 0);
    CHECK(mq_getattr(r, &a) == 0 && a.mq_flags == O_NONBLOCK && a.mq_maxmsg == 10 && a.mq_msgsize == 8192);
    CHECK(fstat(q, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0640);
    CHECK_ERRNO(mq_open("/a/b", O_RDWR), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, "", O_RDWR, 0, NULL), ENOENT);
    CHECK(mq_close(r) == 0 && mq_unlink(g_name) == 0);
    CHECK_ERRNO(mq_unlink(g_name), ENOENT);
    CHECK(mq_send(q, "still", 5, 1) == 0 && mq_close(q) == 0);
    CHECK_ERRNO(mq_close(q), EBADF);
    a.mq_maxmsg = 0;
    CHECK_ERRNO(mq_open(g_name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
    a.mq_maxmsg = 4;
    a.mq_msgsize = LONG_MAX;
    CHECK_ERRNO(mq_open(g_name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
    q = make(O_RDWR, 4, 100);
    snprintf(path, sizeof(path), "/dev/mqueue%s", g_name);
    if (stat("/dev/mqueue", &st) == 0 && stat(path, &st) == 0) { /* mounted, natively too? */
        CHECK(S_ISREG(st.st_mode) && unlink(path) == 0);
        CHECK_ERRNO(mq_open(g_name, O_RDWR), ENOENT);
    } else {
        CHECK(mq_unlink(g_name) == 0);
    }
    CHECK(mq_close(q) == 0);
}

static void test_messages(void)
{
    mqd_t q = make(O_RDWR | O_NONBLOCK, 5, 16);
    struct mq_attr a, none = {.mq_flags = 0};
    unsigned prio;
    char got[16];

    CHECK(mq_send(q, "low", 3, 1) == 0 && mq_send(q, "high", 4, 9) == 0 && mq_send(q, "low2", 4, 1) == 0 &&
          mq_send(q, "", 0, 5) == 0 && mq_send(q, "high2", 5, 9) == 0);
    CHECK_ERRNO(mq_send(q, "full", 4, 1), EAGAIN);
    CHECK(mq_getattr(q, &a) == 0 && a.mq_curmsgs == 5 && a.mq_maxmsg == 5 && a.mq_msgsize == 16);
    CHECK_ERRNO(mq_receive(q, got, 15, NULL), EMSGSIZE);
    CHECK(mq_receive(q, got, 16, &prio) == 4 && prio == 9 && memcmp(got, "high", 4) == 0);
    CHECK(mq_receive(q, got, 16, &prio) == 5 && prio == 9);
    CHECK(mq_receive(q, got, 16, &prio) == 0 && prio == 5);
    CHECK(mq_receive(q, got, 16, NULL) == 3 && mq_receive(q, got, 16, &prio) == 4 && prio == 1);
    CHECK_ERRNO(mq_receive(q, got, 16, &prio), EAGAIN);
    CHECK_ERRNO(mq_send(q, g_buf, 17, 0), EMSGSIZE);
    CHECK_ERRNO(mq_send(q, "x", 1, 32768), EINVAL);
    CHECK(mq_send(q, "x", 1, 32767) == 0);
    CHECK_ERRNO(syscall(SYS_mq_timedsend, q, (void *)8, 1, 0, NULL), EFAULT);
    CHECK_ERRNO(write(q, "x", 1), EINVAL);
    CHECK(mq_setattr(q, &none, &a) == 0 && a.mq_flags == O_NONBLOCK && mq_getattr(q, &a) == 0 && a.mq_flags == 0);
    CHECK(mq_close(q) == 0);
    q = mq_open(g_name, O_WRONLY);
    CHECK_ERRNO(mq_receive(q, got, 16, NULL), EBADF);
    CHECK(mq_close(q) == 0 && (q = mq_open(g_name, O_RDONLY)) >= 0);
    CHECK_ERRNO(mq_send(q, "x", 1, 0), EBADF);
    CHECK(mq_receive(q, got, 16, NULL) == 1 && mq_close(q) == 0 && mq_unlink(g_name) == 0);
    CHECK_ERRNO(mq_send(0, "x", 1, 0), EBADF);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void test_waits(void)
{
    mqd_t q = make(O_RDWR, 2, 64);
    struct timespec when, bad = {0, 1000000000};
    struct sigaction act = {.sa_handler = on_signal};
    struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};
    pid_t pid;

    clock_gettime(CLOCK_REALTIME, &when);
    CHECK_ERRNO(mq_timedreceive(q, g_buf, 64, NULL, &when), ETIMEDOUT);
    CHECK_ERRNO(mq_timedreceive(q, g_buf, 64, NULL, &bad), EINVAL);
    when.tv_nsec += 20000000;
    if (when.tv_nsec >= 1000000000)
        when.tv_sec++, when.tv_nsec -= 1000000000;
    CHECK_ERRNO(mq_timedreceive(q, g_buf, 64, NULL, &when), ETIMEDOUT);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
    CHECK(mq_send(q, "1", 1, 0) == 0 && poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
    CHECK(mq_send(q, "2", 1, 0) == 0 && poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    CHECK_ERRNO(mq_timedsend(q, "3", 1, 0, &when), ETIMEDOUT);
    CHECK(mq_receive(q, g_buf, 64, NULL) == 1 && mq_receive(q, g_buf, 64, NULL) == 1);
    pid = start();
    if (pid == 0) {
        for (int i = 0; i < 100; i++) {
            snprintf(g_buf, 64, "%d", i);
            if (mq_send(q, g_buf, strlen(g_buf), 0))
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < 100; i++) {
        ssize_t n = mq_receive(q, g_buf, 64, NULL);

        CHECK(n > 0);
        g_buf[n > 0 ? n : 0] = 0;
        CHECK(atoi(g_buf) == i);
    }
    CHECK(child_status(pid) == 0);
    sigaction(SIGALRM, &act, NULL);
    ualarm(30000, 0);
    CHECK_ERRNO(mq_receive(q, g_buf, 64, NULL), EINTR);
    CHECK(mq_close(q) == 0 && mq_unlink(g_name) == 0);
}

static volatile sig_atomic_t g_notified;

static void on_notify(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    g_notified += info->si_code == SI_MESGQ ? info->si_value.sival_int : 1000;
}

static void test_notify(void)
{
    mqd_t q = make(O_RDWR | O_NONBLOCK, 5, 16);
    struct sigaction act = {.sa_sigaction = on_notify, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 3};
    pid_t pid;

    sigaction(SIGUSR1, &act, NULL);
    CHECK(mq_notify(q, &e) == 0);
    CHECK_ERRNO(mq_notify(q, &e), EBUSY);
    CHECK(mq_send(q, "a", 1, 0) == 0 && g_notified == 3);
    CHECK(mq_send(q, "b", 1, 0) == 0 && g_notified == 3); /* once */
    CHECK(mq_notify(q, &e) == 0 && mq_send(q, "c", 1, 0) == 0 && g_notified == 3); /* was not empty */
    while (mq_receive(q, g_buf, 16, NULL) > 0)
        ;
    pid = start();
    if (pid == 0)
        _exit(mq_notify(q, &e) == -1 && errno == EBUSY && mq_send(q, "d", 1, 0) == 0 ? 0 : 1);
    CHECK(child_status(pid) == 0 && g_notified == 6);
    CHECK(mq_notify(q, &e) == 0 && mq_notify(q, NULL) == 0 && mq_notify(q, &e) == 0);
    e.sigev_notify = 77;
    CHECK_ERRNO(mq_notify(q, &e), EINVAL);
    CHECK(mq_close(q) == 0 && (q = mq_open(g_name, O_RDWR)) >= 0); /* closing took it away */
    e.sigev_notify = SIGEV_NONE;
    CHECK(mq_notify(q, &e) == 0);
    CHECK_ERRNO(mq_notify(0, NULL), EBADF);
    CHECK(mq_close(q) == 0 && mq_unlink(g_name) == 0);
}

/* ---- SIGEV_THREAD: by libc's thread, and what libc builds it on ----------------------------------------- */

static sem_t g_ran;

static void on_thread(union sigval value)
{
    CHECK(*(int *)value.sival_ptr == 7);
    sem_post(&g_ran);
}

static void test_notify_thread(void)
{
    int value = 7;
    struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_ptr = &value};
    mqd_t q = make(O_RDWR | O_NONBLOCK, 5, 16);

    e.sigev_notify_function = on_thread;
    sem_init(&g_ran, 0, 0);
    for (int i = 0; i < 3; i++) {
        CHECK(mq_notify(q, &e) == 0);
        CHECK_ERRNO(mq_notify(q, &e), EBUSY);
        CHECK(mq_send(q, "a", 1, 0) == 0);
        while (sem_wait(&g_ran) && errno == EINTR)
            ;
        CHECK(mq_receive(q, g_buf, 16, NULL) == 1);
    }
    CHECK(mq_notify(q, &e) == 0 && mq_notify(q, NULL) == 0);
    CHECK(mq_send(q, "a", 1, 0) == 0 && sem_trywait(&g_ran) == -1);
    CHECK(mq_close(q) == 0 && mq_unlink(g_name) == 0);
}

/* libc's mq_notify() would make a thread of it. */
static int notify_raw(mqd_t q, int fd, const void *cookie)
{
    struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_signo = fd, .sigev_value.sival_ptr = (void *)cookie};

    return (int)syscall(SYS_mq_notify, q, &e);
}

/* The cookie comes, with `why` at its end. */
static void check_cookie(int fd, int why)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct sockaddr_nl from = {0};
    socklen_t size = sizeof(from);
    char cookie[64] = {0};

    CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
    CHECK(recv(fd, cookie, 8, MSG_PEEK | MSG_TRUNC) == 32);
    CHECK(recvfrom(fd, cookie, sizeof(cookie), MSG_WAITALL, (struct sockaddr *)&from, &size) == 32);
    CHECK(memcmp(cookie, "abcdefghijklmnopqrstuvwxyz01234", 31) == 0 && cookie[31] == why);
    CHECK(size == sizeof(from) && from.nl_family == AF_NETLINK && from.nl_pid == 0 && from.nl_groups == 0);
    CHECK_ERRNO(recv(fd, cookie, sizeof(cookie), MSG_DONTWAIT), EAGAIN);
    CHECK(poll(&p, 1, 0) == 0);
}

static void test_notify_socket(void)
{
    static const char cookie[] = "abcdefghijklmnopqrstuvwxyz01234?";
    mqd_t q = make(O_RDWR | O_NONBLOCK, 5, 16);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), other = socket(AF_UNIX, SOCK_DGRAM, 0);
    int gone = dup(other);

    CHECK(fd >= 0 && close(gone) == 0);
    CHECK_ERRNO(notify_raw(q, gone, cookie), EBADF);
    CHECK_ERRNO(notify_raw(q, q, cookie), ENOTSOCK);
    CHECK_ERRNO(notify_raw(q, other, cookie), EINVAL);
    CHECK_ERRNO(notify_raw(q, fd, (void *)16), EFAULT);
    CHECK_ERRNO(notify_raw(gone, fd, cookie), EBADF);
    CHECK(notify_raw(q, fd, cookie) == 0);
    CHECK_ERRNO(notify_raw(q, fd, cookie), EBUSY);
    CHECK_ERRNO(recv(fd, g_buf, 64, MSG_DONTWAIT), EAGAIN);
    CHECK(mq_send(q, "a", 1, 0) == 0);
    check_cookie(fd, 1);
    CHECK(notify_raw(q, fd, cookie) == 0 && mq_notify(q, NULL) == 0);
    check_cookie(fd, 2);
    CHECK(notify_raw(q, fd, cookie) == 0 && mq_close(q) == 0);
    check_cookie(fd, 2);
    CHECK((q = mq_open(g_name, O_RDWR)) >= 0 && mq_receive(q, g_buf, 16, NULL) == 1);
    CHECK(notify_raw(q, fd, cookie) == 0 && close(fd) == 0); /* nobody is there to read it */
    CHECK(mq_send(q, "a", 1, 0) == 0);
    CHECK(mq_close(q) == 0 && mq_unlink(g_name) == 0);
    close(other);
}

/* Notifications that nobody reads fill the socket; then who registers waits. */
static void test_notify_full(void)
{
    static const char cookie[32];
    struct sigaction act = {.sa_handler = on_signal};
    const struct itimerval often = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
    mqd_t q = make(O_RDWR | O_NONBLOCK, 5, 16);
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), count = 0, unread = 0;

    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while (count < 100000 && notify_raw(q, fd, cookie) == 0) {
        CHECK(mq_notify(q, NULL) == 0);
        count++;
    }
    CHECK(errno == EINTR && count > 50 && count < 100000);
    setitimer(ITIMER_REAL, &never, NULL);
    while (recv(fd, g_buf, 64, MSG_DONTWAIT) == 32)
        unread++;
    CHECK(unread == count);
    CHECK(notify_raw(q, fd, cookie) == 0 && mq_notify(q, NULL) == 0);
    CHECK(mq_close(q) == 0 && mq_unlink(g_name) == 0);
    close(fd);
}

static void test_netlink(void)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK};
    socklen_t size = sizeof(name);
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), second = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);

    CHECK_ERRNO(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 99), EPROTONOSUPPORT);
    CHECK(getsockname(fd, (struct sockaddr *)&name, &size) == 0 && size == sizeof(name) && name.nl_pid == 0);
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&name, sizeof(name) - 1), EINVAL);
    CHECK(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&name, &size) == 0 && name.nl_pid != 0);
    CHECK(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0); /* where it is */
    CHECK_ERRNO(bind(second, (struct sockaddr *)&name, sizeof(name)), EADDRINUSE);
    name.nl_pid++;
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&name, sizeof(name)), EINVAL);
    name = (struct sockaddr_nl){.nl_family = AF_NETLINK};
    CHECK(bind(second, (struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(getpeername(fd, (struct sockaddr *)&name, &size) == 0 && name.nl_pid == 0);
    CHECK_ERRNO(setsockopt(fd, 270 /* SOL_NETLINK */, 9999, &size, sizeof(size)), ENOPROTOOPT);
    CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
    CHECK_ERRNO(shutdown(fd, SHUT_RD), EOPNOTSUPP);
    CHECK_ERRNO(send(fd, "x", 1, MSG_OOB), EOPNOTSUPP);
    close(fd);
    close(second);
}

int main(void)
{
    snprintf(g_name, sizeof(g_name), "/guest-%d", (int)getpid());
    test_names();
    test_messages();
    test_waits();
    test_notify();
    test_notify_thread();
    test_notify_socket();
    test_notify_full();
    test_netlink();
    return guest_done();
}
