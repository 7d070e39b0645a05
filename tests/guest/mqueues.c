/* SPDX-License-Identifier: MIT */
/* POSIX message queues: order, limits, waiting, notification, the file system that shows them. */
#include "children.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

int main(void)
{
    snprintf(g_name, sizeof(g_name), "/guest-%d", (int)getpid());
    test_names();
    test_messages();
    test_waits();
    test_notify();
    return guest_done();
}
