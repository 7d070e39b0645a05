/* SPDX-License-Identifier: MIT */
/* guest: stdin=typed */
/* poll, ppoll, select, pselect on files and the console; a blocking read across signals. */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t g_count;

static void on_signal(int sig)
{
    (void)sig;
    g_count++;
}

static void arm(int flags, long usec)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
    struct itimerval it = {{0, 0}, {0, usec}};

    g_count = 0;
    CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
}

static void test_poll(int file)
{
    struct pollfd p[3] = {{file, POLLIN | POLLOUT, 0}, {-5, POLLIN, 99}, {77, POLLIN, 0}};
    struct timespec zero = {0, 0}, bad = {0, -1};

    CHECK(poll(p, 3, -1) == 2 && p[0].revents == (POLLIN | POLLOUT));
    CHECK(p[1].revents == 0 && p[2].revents == POLLNVAL);
    CHECK(poll(NULL, 0, 0) == 0 && poll(NULL, 0, 5) == 0);
    CHECK_ERRNO(poll((void *)8, 1, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_poll, p, 1u << 30, 0), EINVAL);
    p[0].fd = 1;
    p[0].events = POLLOUT;
    CHECK(ppoll(p, 1, &zero, NULL) == 1 && p[0].revents == POLLOUT);
    CHECK_ERRNO(ppoll(p, 1, &bad, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_ppoll, p, 1, 0, p, 3), EINVAL);
}

static void test_select(int file)
{
    fd_set r, w, e;
    struct timeval zero = {0, 0}, brief = {0, 5000}, bad = {-1, 0};

    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&e);
    FD_SET(file, &r);
    FD_SET(1, &w);
    FD_SET(file, &e);
    CHECK(select(file + 1, &r, &w, &e, &zero) == 2);
    CHECK(FD_ISSET(file, &r) && FD_ISSET(1, &w) && !FD_ISSET(file, &e));
    CHECK(syscall(SYS_select, 0, NULL, NULL, NULL, &brief) == 0 && brief.tv_usec == 0);
    CHECK_ERRNO(select(0, NULL, NULL, NULL, &bad), EINVAL);
    CHECK_ERRNO(select(-1, NULL, NULL, NULL, &zero), EINVAL);
    FD_SET(50, &r);
    CHECK_ERRNO(select(51, &r, NULL, NULL, &zero), EBADF);
    CHECK_ERRNO(select(10, (void *)8, NULL, NULL, &zero), EFAULT);
}

static void test_quiet_input(void)
{
    struct pollfd p = {0, POLLIN, 0};
    struct timespec brief = {0, 20000000};
    sigset_t set, none;
    fd_set r;

    CHECK(poll(&p, 1, 0) == 0 && p.revents == 0 && poll(&p, 1, 20) == 0);
    arm(SA_RESTART, 20000);
    CHECK_ERRNO(poll(&p, 1, 10000), EINTR);
    CHECK(g_count == 1);
    /* a signal that only pselect lets in */
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    arm(0, 20000);
    FD_ZERO(&r);
    FD_SET(0, &r);
    CHECK_ERRNO(pselect(1, &r, NULL, NULL, NULL, &none), EINTR);
    CHECK(g_count == 1);
    arm(0, 1);
    nanosleep(&brief, NULL);
    CHECK(g_count == 0);
    CHECK_ERRNO(ppoll(&p, 1, NULL, &none), EINTR);
    CHECK(g_count == 1 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    FD_ZERO(&r);
    FD_SET(0, &r);
    CHECK(pselect(1, &r, NULL, NULL, &brief, NULL) == 0 && !FD_ISSET(0, &r));
}

/* A signal at any moment of a look at the input makes it neither ready nor broken. */
static void test_interrupted_look(void)
{
    struct itimerval often = {{0, 150}, {0, 150}}, off = {{0, 0}, {0, 0}};
    struct pollfd p = {0, POLLIN, 0};
    int wrong = 0;

    arm(SA_RESTART, 1);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 20000; i++)
        wrong += poll(&p, 1, 0) > 0;
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0 && wrong == 0);
}

/* The text comes half a second after the first line of output. */
static void test_read(void)
{
    char buf[64];

    arm(0, 20000);
    CHECK_ERRNO(read(0, buf, sizeof(buf)), EINTR);
    CHECK(g_count == 1);
    arm(SA_RESTART, 20000);
    CHECK(read(0, buf, 2) == 2 && !memcmp(buf, "ty", 2));
    CHECK(g_count == 1);
    struct pollfd p = {0, POLLIN, 0};
    CHECK(poll(&p, 1, -1) == 1 && (p.revents & POLLIN));
    CHECK(read(0, buf, sizeof(buf)) == 4 && !memcmp(buf, "ped\n", 4));
    CHECK(read(0, buf, sizeof(buf)) == 0);
    CHECK(poll(&p, 1, -1) == 1 && (p.revents & POLLHUP));
}

int main(void)
{
    int file = open("f", O_CREAT | O_RDWR, 0600);

    setvbuf(stdout, NULL, _IOLBF, 0);
    test_poll(file);
    test_select(file);
    test_quiet_input();
    test_interrupted_look();
    puts("ready");
    test_read();
    return guest_done();
}
