/* SPDX-License-Identifier: MIT */
/* AF_UNIX between threads: what blocks and who wakes it, order under load, epoll's edges, select. */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS  2000
#define SENDERS 3

static int g_pair[2];
static char g_buf[1 << 20], g_other[1 << 20];

static void make_pair(int type)
{
    CHECK(socketpair(AF_UNIX, type, 0, g_pair) == 0);
}

static void close_pair(void)
{
    CHECK(close(g_pair[0]) == 0 && close(g_pair[1]) == 0);
}

static void nap(int ms)
{
    struct timespec ts = {0, ms * 1000000L};

    nanosleep(&ts, NULL);
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    CHECK(pthread_create(&t, NULL, fn, arg) == 0);
    return t;
}

static void *join(pthread_t t)
{
    void *ret = NULL;

    CHECK(pthread_join(t, &ret) == 0);
    return ret;
}

/* ---- Ping-pong and bulk ----------------------------------------------------------------------- */

static void *echo(void *arg)
{
    char c;

    while (read(g_pair[1], &c, 1) == 1)
        CHECK(write(g_pair[1], &c, 1) == 1);
    return arg;
}

static void test_ping_pong(int type)
{
    pthread_t t;

    make_pair(type);
    t = start(echo, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        char c = (char)i, d = 0;

        CHECK(write(g_pair[0], &c, 1) == 1 && read(g_pair[0], &d, 1) == 1 && c == d);
    }
    CHECK(shutdown(g_pair[0], SHUT_WR) == 0);
    join(t);
    close_pair();
}

static void *send_all(void *arg)
{
    CHECK(write(g_pair[0], g_buf, sizeof(g_buf)) == sizeof(g_buf));
    return arg;
}

/* The writer blocks for room again and again. */
static void test_bulk(void)
{
    pthread_t t;

    for (size_t i = 0; i < sizeof(g_buf); i++)
        g_buf[i] = (char)(i * 13 + i / 509);
    make_pair(SOCK_STREAM);
    t = start(send_all, NULL);
    CHECK(recv(g_pair[1], g_other, sizeof(g_other), MSG_WAITALL) == sizeof(g_other));
    join(t);
    CHECK(memcmp(g_buf, g_other, sizeof(g_buf)) == 0);
    close_pair();
}

static void *send_datagrams(void *arg)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "many"};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    unsigned msg[2] = {(unsigned)(long)arg, 0};

    CHECK(connect(fd, (void *)&a, sizeof(a)) == 0);
    for (msg[1] = 0; msg[1] < ROUNDS; msg[1]++)
        CHECK(send(fd, msg, sizeof(msg), 0) == sizeof(msg));
    close(fd);
    return NULL;
}

/* The receiver's queue holds eleven: the senders wait their turns, each one's messages stay in order. */
static void test_datagrams(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "many"};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    unsigned next[SENDERS] = {0}, msg[2];
    pthread_t t[SENDERS];

    CHECK(bind(fd, (void *)&a, sizeof(a)) == 0);
    for (long i = 0; i < SENDERS; i++)
        t[i] = start(send_datagrams, (void *)i);
    for (int i = 0; i < SENDERS * ROUNDS; i++) {
        if (recv(fd, msg, sizeof(msg), 0) != sizeof(msg) || msg[0] >= SENDERS || msg[1] != next[msg[0]]++) {
            CHECK(!"a datagram is lost or out of order");
            break;
        }
    }
    for (int i = 0; i < SENDERS; i++)
        join(t[i]);
    CHECK(unlink("many") == 0 && close(fd) == 0);
}

/* ---- What ends a wait ------------------------------------------------------------------------- */

static void *receive_one(void *arg)
{
    return (void *)recv(g_pair[0], arg, 10, 0);
}

static void *accept_one(void *arg)
{
    int fd = accept(*(int *)arg, NULL, NULL);

    return (void *)(long)(fd < 0 ? -errno : fd);
}

static void *connect_one(void *arg)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "busy"};
    int fd = *(int *)arg;

    return (void *)(long)(connect(fd, (void *)&a, sizeof(a)) ? -errno : 0);
}

static void test_waits(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "busy"};
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c[3], s;
    pthread_t t;
    char buf[10];

    make_pair(SOCK_STREAM);
    t = start(receive_one, buf);
    nap(20);
    CHECK(shutdown(g_pair[0], SHUT_RD) == 0 && join(t) == (void *)0);
    close_pair();
    make_pair(SOCK_STREAM);
    t = start(receive_one, buf);
    nap(20);
    CHECK(close(g_pair[1]) == 0 && join(t) == (void *)0 && close(g_pair[0]) == 0);
    make_pair(SOCK_DGRAM);
    t = start(receive_one, buf);
    nap(20);
    CHECK(shutdown(g_pair[0], SHUT_RD) == 0 && join(t) == (void *)0);
    close_pair();

    CHECK(bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 0) == 0);
    for (int i = 0; i < 3; i++)
        c[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    t = start(accept_one, &l);
    nap(20);
    CHECK(connect(c[0], (void *)&a, sizeof(a)) == 0);
    s = (int)(long)join(t);
    CHECK(s >= 0 && close(s) == 0);
    CHECK(connect(c[1], (void *)&a, sizeof(a)) == 0);
    t = start(connect_one, &c[2]); /* the backlog is full */
    nap(20);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0 && join(t) == (void *)0 && close(s) == 0);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0 && close(s) == 0);
    t = start(accept_one, &l);
    nap(20);
    CHECK(shutdown(l, SHUT_RD) == 0 && (long)join(t) == -EINVAL);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    c[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(c[0], (void *)&a, sizeof(a)), ECONNREFUSED);
    CHECK(close(c[0]) == 0 && close(l) == 0 && unlink("busy") == 0);
}

/* ---- poll, select, epoll ---------------------------------------------------------------------- */

static int edges(int ep)
{
    struct epoll_event ev[4];
    int n = epoll_wait(ep, ev, 4, 0), all = 0;

    for (int i = 0; i < n; i++)
        all |= (int)ev[i].events;
    return all;
}

static void watch(int ep, int fd, unsigned events)
{
    struct epoll_event ev = {.events = events};

    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
}

static void test_edges(void)
{
    int ep = epoll_create1(0);
    char c;

    make_pair(SOCK_STREAM);
    watch(ep, g_pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    CHECK(edges(ep) == EPOLLOUT && edges(ep) == 0);
    CHECK(write(g_pair[1], "a", 1) == 1);
    CHECK(edges(ep) == (EPOLLIN | EPOLLOUT) && edges(ep) == 0);
    CHECK(write(g_pair[1], "b", 1) == 1); /* more data is an edge of its own */
    CHECK(edges(ep) == (EPOLLIN | EPOLLOUT) && edges(ep) == 0);
    CHECK(read(g_pair[0], &c, 1) == 1 && edges(ep) == 0);
    CHECK(read(g_pair[0], &c, 1) == 1 && edges(ep) == 0);
    while (send(g_pair[0], g_buf, 4096, MSG_DONTWAIT) > 0)
        ;
    CHECK(edges(ep) == 0);
    while (recv(g_pair[1], g_other, 65536, MSG_DONTWAIT) > 0)
        ;
    CHECK(edges(ep) == EPOLLOUT && edges(ep) == 0);
    CHECK(shutdown(g_pair[1], SHUT_WR) == 0);
    CHECK(edges(ep) == (EPOLLIN | EPOLLOUT | EPOLLRDHUP) && edges(ep) == 0);
    CHECK(close(g_pair[1]) == 0);
    CHECK(edges(ep) == (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP));
    CHECK(close(g_pair[0]) == 0 && edges(ep) == 0 && close(ep) == 0);
}

/* A connected datagram socket becomes writable when its peer's queue has room again. */
static void test_datagram_room(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "room"};
    int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0), ep = epoll_create1(0);

    CHECK(bind(x, (void *)&a, sizeof(a)) == 0 && connect(y, (void *)&a, sizeof(a)) == 0);
    watch(ep, y, EPOLLOUT | EPOLLET);
    CHECK(edges(ep) == EPOLLOUT && edges(ep) == 0);
    while (send(y, "x", 1, MSG_DONTWAIT) == 1)
        ;
    (void)edges(ep);
    CHECK(edges(ep) == 0);
    CHECK(read(x, g_other, 10) == 1 && edges(ep) == EPOLLOUT);
    CHECK(unlink("room") == 0 && close(x) == 0 && close(y) == 0 && close(ep) == 0);
}

static void *write_late(void *arg)
{
    nap(20);
    CHECK(write(g_pair[1], "late", 4) == 4);
    return arg;
}

static void *drain_late(void *arg)
{
    nap(20);
    while (recv(g_pair[1], g_other, 65536, MSG_DONTWAIT) > 0)
        ;
    return arg;
}

static void test_ready(void)
{
    struct pollfd p = {.events = POLLIN};
    struct timeval tv = {5, 0};
    struct epoll_event ev;
    pthread_t t;
    fd_set in, out;
    int ep = epoll_create1(0);

    make_pair(SOCK_STREAM);
    p.fd = g_pair[0];
    t = start(write_late, NULL);
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN && read(g_pair[0], g_other, 9) == 4);
    join(t);
    t = start(write_late, NULL);
    FD_ZERO(&in);
    FD_SET(g_pair[0], &in);
    CHECK(select(g_pair[0] + 1, &in, NULL, NULL, &tv) == 1 && FD_ISSET(g_pair[0], &in));
    CHECK(read(g_pair[0], g_other, 9) == 4);
    join(t);
    watch(ep, g_pair[0], EPOLLIN);
    t = start(write_late, NULL);
    CHECK(epoll_wait(ep, &ev, 1, 5000) == 1 && ev.events == EPOLLIN && read(g_pair[0], g_other, 9) == 4);
    join(t);
    while (send(g_pair[0], g_buf, 4096, MSG_DONTWAIT) > 0)
        ;
    t = start(drain_late, NULL);
    FD_ZERO(&out);
    FD_SET(g_pair[0], &out);
    tv.tv_sec = 5;
    CHECK(select(g_pair[0] + 1, NULL, &out, NULL, &tv) == 1 && FD_ISSET(g_pair[0], &out));
    join(t);
    close_pair();
    close(ep);
}

/* ---- Connections under load ------------------------------------------------------------------- */

static void *clients(void *arg)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "load"};

    for (int i = 0; i < 200; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        char c = 0;

        CHECK(connect(fd, (void *)&a, sizeof(a)) == 0 && write(fd, "q", 1) == 1);
        CHECK(read(fd, &c, 1) == 1 && c == 'r' && read(fd, &c, 1) == 0 && close(fd) == 0);
    }
    return arg;
}

static void *server(void *arg)
{
    for (int i = 0; i < 200 * SENDERS / 2; i++) {
        int fd = accept(*(int *)arg, NULL, NULL);
        char c = 0;

        CHECK(fd >= 0 && read(fd, &c, 1) == 1 && c == 'q' && write(fd, "r", 1) == 1 && close(fd) == 0);
    }
    return NULL;
}

static void test_load(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "load"};
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    pthread_t c[SENDERS], s[2];

    CHECK(bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 2) == 0);
    for (int i = 0; i < 2; i++)
        s[i] = start(server, &l);
    for (int i = 0; i < SENDERS; i++)
        c[i] = start(clients, NULL);
    for (int i = 0; i < SENDERS; i++)
        join(c[i]);
    for (int i = 0; i < 2; i++)
        join(s[i]);
    CHECK(close(l) == 0 && unlink("load") == 0);
}

int main(void)
{
    alarm(60);
    signal(SIGPIPE, SIG_IGN);
    test_ping_pong(SOCK_STREAM);
    test_ping_pong(SOCK_SEQPACKET);
    test_bulk();
    test_datagrams();
    test_waits();
    test_edges();
    test_datagram_room();
    test_ready();
    test_load();
    return guest_done();
}
