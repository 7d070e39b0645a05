/* SPDX-License-Identifier: MIT */
/* eventfd, timerfd, signalfd: values, waits, poll, epoll over all of them, errors. */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int events(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDNORM};

    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

static void link_is(int fd, const char *want)
{
    char name[64], text[64];
    ssize_t n;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    n = readlink(name, text, sizeof(text) - 1);
    CHECK(n > 0);
    text[n > 0 ? n : 0] = 0;
    CHECK(strcmp(text, want) == 0);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void test_eventfd(void)
{
    struct itimerval soon = {.it_value.tv_usec = 30000};
    struct sigaction sa = {.sa_handler = on_alarm};
    int e = eventfd(5, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t v = 0;

    CHECK(e >= 0 && fcntl(e, F_GETFD) == FD_CLOEXEC && fcntl(e, F_GETFL) == (O_RDWR | O_NONBLOCK));
    link_is(e, "anon_inode:[eventfd]");
    CHECK(events(e) == (POLLIN | POLLOUT));
    CHECK(read(e, &v, 8) == 8 && v == 5 && events(e) == POLLOUT);
    CHECK_ERRNO(read(e, &v, 8), EAGAIN);
    CHECK_ERRNO(read(e, &v, 7), EINVAL);
    CHECK_ERRNO(write(e, &v, 7), EINVAL);
    CHECK_ERRNO(write(e, (void *)8, 8), EFAULT);
    v = UINT64_MAX;
    CHECK_ERRNO(write(e, &v, 8), EINVAL);
    v = UINT64_MAX - 1;
    CHECK(write(e, &v, 8) == 8 && events(e) == POLLIN);
    v = 1;
    CHECK_ERRNO(write(e, &v, 8), EAGAIN);
    v = 0;
    CHECK(write(e, &v, 8) == 8 && read(e, &v, 8) == 8 && v == UINT64_MAX - 1);
    close(e);
    e = eventfd(2, EFD_SEMAPHORE);
    CHECK(read(e, &v, 8) == 8 && v == 1 && read(e, &v, 8) == 8 && v == 1 && events(e) == POLLOUT);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK_ERRNO(read(e, &v, 8), EINTR);
    close(e);
    CHECK_ERRNO(eventfd(0, 0x1000), EINVAL);
}

static void test_timerfd(void)
{
    struct itimerspec t = {.it_value.tv_nsec = 20000000}, cur;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), e = eventfd(0, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec now;
    uint64_t v = 0;

    CHECK(fd >= 0 && events(fd) == 0);
    link_is(fd, "anon_inode:[timerfd]");
    CHECK(timerfd_settime(fd, 0, &t, &cur) == 0 && cur.it_value.tv_nsec == 0);
    CHECK(timerfd_gettime(fd, &cur) == 0 && cur.it_value.tv_nsec > 0 && cur.it_value.tv_nsec <= 20000000);
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
    CHECK(timerfd_gettime(fd, &cur) == 0 && cur.it_value.tv_nsec == 0);
    CHECK(read(fd, &v, 8) == 8 && v == 1 && events(fd) == 0);
    CHECK(timerfd_settime(fd, 0, &t, NULL) == 0 && read(fd, &v, 8) == 8 && v == 1);
    t.it_interval.tv_nsec = 10000000;
    CHECK(timerfd_settime(fd, 0, &t, NULL) == 0);
    usleep(65000);
    CHECK(read(fd, &v, 8) == 8 && v >= 5);
    CHECK(read(fd, &v, 8) == 8 && v >= 1);
    CHECK(timerfd_gettime(fd, &cur) == 0 && cur.it_interval.tv_nsec == 10000000);
    CHECK(timerfd_settime(fd, 0, &(struct itimerspec){{0, 0}, {0, 0}}, NULL) == 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
    CHECK_ERRNO(read(fd, &v, 4), EINVAL);
    CHECK_ERRNO(write(fd, &v, 8), EINVAL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    t = (struct itimerspec){.it_value = now}; /* the past: at once */
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0 && events(fd) == POLLIN);
    t.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timerfd_settime(fd, 0, &t, NULL), EINVAL);
    t.it_value.tv_nsec = 0;
    CHECK_ERRNO(timerfd_settime(fd, 64, &t, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(e, 0, &t, NULL), EINVAL);
    CHECK_ERRNO(timerfd_gettime(99, &cur), EBADF);
    CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_REALTIME, 1), EINVAL);
    close(fd);
    fd = timerfd_create(CLOCK_REALTIME, 0);
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += 1;
    t = (struct itimerspec){.it_value = now};
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) == 0 && read(fd, &v, 8) == 8 && v == 1);
    clock_gettime(CLOCK_REALTIME, &cur.it_value);
    CHECK(cur.it_value.tv_sec > now.tv_sec ||
          (cur.it_value.tv_sec == now.tv_sec && cur.it_value.tv_nsec >= now.tv_nsec));
    close(fd), close(e);
}

static void test_signalfd(void)
{
    struct signalfd_siginfo si[4];
    union sigval value = {.sival_int = 77};
    sigset_t set, old;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 2);
    sigaddset(&set, SIGKILL);
    sigprocmask(SIG_BLOCK, &set, &old);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(fd >= 0 && events(fd) == 0);
    link_is(fd, "anon_inode:[signalfd]");
    CHECK_ERRNO(read(fd, si, sizeof(si)), EAGAIN);
    CHECK(kill(getpid(), SIGUSR1) == 0 && events(fd) == POLLIN);
    CHECK_ERRNO(read(fd, si, sizeof(si[0]) - 1), EINVAL);
    CHECK(read(fd, si, sizeof(si)) == sizeof(si[0]) && si[0].ssi_signo == SIGUSR1);
    CHECK(si[0].ssi_pid == (uint32_t)getpid() && si[0].ssi_uid == getuid() && si[0].ssi_code == SI_USER);
    CHECK(events(fd) == 0);
    CHECK(sigqueue(getpid(), SIGRTMIN + 2, value) == 0 && raise(SIGUSR1) == 0);
    value.sival_int = 78;
    CHECK(sigqueue(getpid(), SIGRTMIN + 2, value) == 0);
    CHECK(read(fd, si, sizeof(si)) == 3 * sizeof(si[0]));
    CHECK(si[0].ssi_signo == SIGUSR1 && si[1].ssi_int == 77 && si[2].ssi_int == 78);
    CHECK(si[1].ssi_code == SI_QUEUE && si[0].ssi_code == SI_TKILL);
    sigdelset(&set, SIGUSR1);
    CHECK(signalfd(fd, &set, 0) == fd && raise(SIGUSR1) == 0 && events(fd) == 0);
    CHECK_ERRNO(signalfd(0, &set, 0), EINVAL);
    CHECK_ERRNO(signalfd(99, &set, 0), EBADF);
    CHECK_ERRNO(signalfd(-1, &set, 1), EINVAL);
    signal(SIGUSR1, SIG_IGN);
    sigprocmask(SIG_SETMASK, &old, NULL);
    close(fd);
}

/* One loop over all of them, woken by time alone. */
static void test_together(void)
{
    struct itimerspec t = {.it_value.tv_nsec = 20000000};
    struct itimerval soon = {.it_value.tv_usec = 60000};
    int ep = epoll_create1(0), tfd = timerfd_create(CLOCK_MONOTONIC, 0), sfd;
    struct epoll_event ev = {.events = EPOLLIN};
    struct signalfd_siginfo si;
    sigset_t set;
    uint64_t v;

    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sfd = signalfd(-1, &set, 0);
    ev.data.fd = tfd;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &ev) == 0);
    ev.data.fd = sfd;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, sfd, &ev) == 0);
    CHECK(timerfd_settime(tfd, 0, &t, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
    CHECK(epoll_wait(ep, &ev, 1, 5000) == 1 && ev.data.fd == tfd && read(tfd, &v, 8) == 8);
    CHECK(epoll_wait(ep, &ev, 1, 5000) == 1 && ev.data.fd == sfd);
    CHECK(read(sfd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGALRM);
    CHECK(epoll_wait(ep, &ev, 1, 10) == 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(read(sfd, &si, sizeof(si)) == sizeof(si)); /* blocks until it comes */
    close(ep), close(tfd), close(sfd);
}

int main(void)
{
    test_eventfd();
    test_timerfd();
    test_signalfd();
    test_together();
    return guest_done();
}
