/* SPDX-License-Identifier: MIT */
/* epoll over pipes and eventfds: triggers, one-shot, nesting, files that go away, waits and masks. */
#include "guest.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct epoll_event g_ev[16];

static int ctl(int ep, int op, int fd, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.u64 = 0x1122334400000000u + (unsigned)fd};

    return epoll_ctl(ep, op, fd, &ev);
}

static int ready(int ep)
{
    memset(g_ev, 0, sizeof(g_ev));
    return epoll_wait(ep, g_ev, 16, 0);
}

static void test_errors(void)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int ep = epoll_create1(EPOLL_CLOEXEC), f = open("file", O_CREAT | O_RDWR, 0600), p[2];
    struct stat st;

    CHECK(ep >= 0 && f >= 0 && pipe(p) == 0 && fcntl(ep, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(ep, F_GETFL) == O_RDWR && fstat(ep, &st) == 0);
    CHECK_ERRNO(epoll_create1(1), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
    CHECK_ERRNO(ctl(ep, EPOLL_CTL_ADD, f, EPOLLIN), EPERM);
    CHECK_ERRNO(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN), EINVAL);
    CHECK_ERRNO(ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN), EINVAL);
    CHECK_ERRNO(ctl(ep, EPOLL_CTL_ADD, 99, EPOLLIN), EBADF);
    CHECK_ERRNO(ctl(99, EPOLL_CTL_ADD, p[0], EPOLLIN), EBADF);
    CHECK_ERRNO(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN), ENOENT);
    CHECK_ERRNO(ctl(ep, EPOLL_CTL_DEL, p[0], EPOLLIN), ENOENT);
    CHECK_ERRNO(ctl(ep, 7, p[0], EPOLLIN), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], NULL), EFAULT);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev) == 0);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev), EEXIST);
    CHECK_ERRNO(epoll_wait(ep, g_ev, 0, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(p[0], g_ev, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(99, g_ev, 1, 0), EBADF);
    CHECK(write(p[1], "x", 1) == 1);
    CHECK_ERRNO(epoll_wait(ep, (void *)8, 1, 0), EFAULT);
    CHECK(ready(ep) == 1); /* not lost */
    CHECK_ERRNO(ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    CHECK(ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLEXCLUSIVE) == 0 && ready(ep) == 2);
    CHECK_ERRNO(ctl(ep, EPOLL_CTL_MOD, p[1], EPOLLOUT), EINVAL);
    CHECK_ERRNO(read(ep, g_ev, 8), EINVAL);
    close(p[0]), close(p[1]), close(ep), close(f), unlink("file");
}

static void test_level(void)
{
    int ep = epoll_create1(0), p[2];
    char c;

    CHECK(pipe(p) == 0 && ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLRDHUP) == 0);
    CHECK(ready(ep) == 0 && write(p[1], "ab", 2) == 2);
    CHECK(ready(ep) == 1 && g_ev[0].events == EPOLLIN);
    CHECK(g_ev[0].data.u64 == 0x1122334400000000u + (unsigned)p[0]);
    CHECK(ready(ep) == 1 && read(p[0], &c, 1) == 1 && ready(ep) == 1);
    CHECK(read(p[0], &c, 1) == 1 && ready(ep) == 0);
    CHECK(ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT) == 0 && ready(ep) == 1);
    CHECK(g_ev[0].events == EPOLLOUT && ctl(ep, EPOLL_CTL_MOD, p[1], 0) == 0 && ready(ep) == 0);
    CHECK(ctl(ep, EPOLL_CTL_DEL, p[1], 0) == 0);
    CHECK(write(p[1], "c", 1) == 1 && close(p[1]) == 0);
    CHECK(ready(ep) == 1 && g_ev[0].events == (EPOLLIN | EPOLLHUP));
    CHECK(ctl(ep, EPOLL_CTL_MOD, p[0], 0) == 0 && ready(ep) == 1 && g_ev[0].events == EPOLLHUP);
    CHECK(close(p[0]) == 0 && ready(ep) == 0); /* the last descriptor: gone from the list */
    close(ep);
}

static void test_edge(void)
{
    int ep = epoll_create1(0), p[2];
    char buf[8];

    CHECK(pipe2(p, O_NONBLOCK) == 0 && ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET) == 0);
    CHECK(write(p[1], "a", 1) == 1 && ready(ep) == 1 && ready(ep) == 0);
    CHECK(write(p[1], "b", 1) == 1 && ready(ep) == 1 && ready(ep) == 0);
    CHECK(read(p[0], buf, 8) == 2 && ready(ep) == 0);
    CHECK(write(p[1], "c", 1) == 1 && read(p[0], buf, 8) == 1 && ready(ep) == 0);
    CHECK(write(p[1], "d", 1) == 1 && ready(ep) == 1);
    CHECK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET) == 0 && ready(ep) == 1); /* armed again */
    CHECK(ready(ep) == 0);
    CHECK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT) == 0);
    CHECK(ready(ep) == 1 && ready(ep) == 0 && write(p[1], "e", 1) == 1 && ready(ep) == 0);
    CHECK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT) == 0 && ready(ep) == 1);
    CHECK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN) == 0 && ready(ep) == 1 && ready(ep) == 1);
    close(p[0]), close(p[1]), close(ep);
}

/* More are ready than asked for: all get their turn. */
static void test_fair(void)
{
    int ep = epoll_create1(0), fds[6], seen = 0;

    for (int i = 0; i < 6; i++) {
        fds[i] = eventfd(1, 0);
        CHECK(ctl(ep, EPOLL_CTL_ADD, fds[i], EPOLLIN) == 0);
    }
    for (int round = 0; round < 3; round++) {
        CHECK(epoll_wait(ep, g_ev, 2, -1) == 2);
        for (int i = 0; i < 2; i++)
            seen |= 1 << (g_ev[i].data.fd - fds[0]);
    }
    CHECK(seen == 63);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    close(ep);
}

static void test_duplicates(void)
{
    int ep = epoll_create1(0), p[2], d;

    CHECK(pipe(p) == 0);
    d = dup(p[0]);
    CHECK(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN) == 0 && ctl(ep, EPOLL_CTL_ADD, d, EPOLLIN) == 0);
    CHECK(write(p[1], "x", 1) == 1 && ready(ep) == 2);
    CHECK(close(d) == 0 && ready(ep) == 2); /* the description is still open */
    CHECK(close(p[0]) == 0 && ready(ep) == 0);
    close(p[1]), close(ep);
}

#define MANY 300

/* Each file is watched by two descriptors; items are found, changed and forgotten one by one. */
static void test_many(void)
{
    int ep = epoll_create1(0), fd[MANY], copy[MANY], told = 0, found = 0;

    for (int i = 0; i < MANY; i++) {
        fd[i] = eventfd(1, 0);
        copy[i] = dup(fd[i]);
        CHECK(fd[i] >= 0 && copy[i] >= 0);
        CHECK(ctl(ep, EPOLL_CTL_ADD, copy[i], EPOLLIN) == 0 && ctl(ep, EPOLL_CTL_ADD, fd[i], EPOLLIN) == 0);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_ERRNO(ctl(ep, EPOLL_CTL_ADD, fd[i], EPOLLIN), EEXIST);
        CHECK(ctl(ep, EPOLL_CTL_MOD, copy[i], EPOLLIN | EPOLLONESHOT) == 0);
        CHECK(i % 3 || ctl(ep, EPOLL_CTL_DEL, fd[i], 0) == 0);
        CHECK(i % 3 != 1 || (close(fd[i]) == 0 && close(copy[i]) == 0));
    }
    for (int n; told < MANY * 4 && (n = ready(ep)) > 0; told += n) {
        for (int i = 0; i < n; i++) {
            int at = (int)(unsigned)g_ev[i].data.u64;

            found++;
            CHECK(ctl(ep, EPOLL_CTL_DEL, at, 0) == 0);
            CHECK_ERRNO(ctl(ep, EPOLL_CTL_MOD, at, EPOLLIN), ENOENT);
        }
    }
    CHECK(found == MANY / 3 + MANY / 3 * 2); /* of every three: one copy; none; both */
    for (int i = 0; i < MANY; i++)
        CHECK(i % 3 == 1 || (close(fd[i]) == 0 && close(copy[i]) == 0));
    close(ep);
}

static void test_nested(void)
{
    int ep[8], e = eventfd(0, 0), n;
    struct pollfd p;
    fd_set set;

    for (n = 0; n < 8; n++)
        ep[n] = epoll_create1(0);
    CHECK(ctl(ep[0], EPOLL_CTL_ADD, e, EPOLLIN) == 0);
    CHECK(ctl(ep[1], EPOLL_CTL_ADD, ep[0], EPOLLIN) == 0);
    CHECK_ERRNO(ctl(ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN), ELOOP);
    CHECK(ready(ep[1]) == 0);
    CHECK(eventfd_write(e, 1) == 0 && ready(ep[1]) == 1 && g_ev[0].data.fd == ep[0]);
    p = (struct pollfd){.fd = ep[1], .events = POLLIN};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    FD_ZERO(&set);
    FD_SET(ep[0], &set);
    CHECK(select(ep[0] + 1, &set, NULL, NULL, NULL) == 1);
    eventfd_t v;
    CHECK(eventfd_read(e, &v) == 0 && ready(ep[1]) == 0 && poll(&p, 1, 0) == 0);
    for (n = 2; n < 8 && ctl(ep[n], EPOLL_CTL_ADD, ep[n - 1], EPOLLIN) == 0; n++)
        ;
    printf("epolls in a row: %d, errno %d\n", n, errno);
    for (n = 0; n < 8; n++)
        close(ep[n]);
    close(e);
}

static volatile sig_atomic_t g_signals;
static int g_wake = -1;

static void on_alarm(int sig)
{
    (void)sig;
    g_signals++;
    if (g_wake >= 0)
        CHECK(eventfd_write(g_wake, 1) == 0);
}

static long elapsed_ms(const struct timespec *since)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void test_waits(void)
{
    struct itimerval soon = {.it_value.tv_usec = 30000};
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    int ep = epoll_create1(0), e = eventfd(0, 0);
    struct timespec t0, ts = {.tv_nsec = 20000000};
    sigset_t block, none, old;

    CHECK(ctl(ep, EPOLL_CTL_ADD, e, EPOLLIN) == 0);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK(epoll_wait(ep, g_ev, 1, 40) == 0 && elapsed_ms(&t0) >= 40);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(epoll_wait(ep, g_ev, 1, -1), EINTR); /* never restarted */
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, &old);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(epoll_pwait(ep, g_ev, 1, -1, &none), EINTR);
    CHECK(g_signals == 2);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &none) == 0 && sigismember(&none, SIGALRM));
    CHECK(syscall(SYS_epoll_pwait2, ep, g_ev, 1, &ts, NULL, 0) == 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    g_wake = e; /* the handler makes it ready: the call still ends with EINTR */
    setitimer(ITIMER_REAL, &soon, NULL);
    int n = epoll_wait(ep, g_ev, 1, -1);
    CHECK(n == 1 || (n == -1 && errno == EINTR));
    CHECK(ready(ep) == 1);
    close(e), close(ep);
}

int main(void)
{
    test_errors();
    test_level();
    test_edge();
    test_fair();
    test_duplicates();
    test_many();
    test_nested();
    test_waits();
    return guest_done();
}
