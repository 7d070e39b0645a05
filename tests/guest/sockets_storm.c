/* SPDX-License-Identifier: MIT */
/* guest: runs=1,2,3 */
/*
 * Threads do random things to the same few AF_UNIX sockets: send each other through each other, connect,
 * accept, shut down, close. Whatever comes of a call, nothing may hang, and at the end nothing may be left:
 * a pipe whose end travelled along must be at its end of file.
 */
#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOTS   12
#define THREADS 3
#define ROUNDS  6000

static int g_slot[SLOTS], g_pipe[2], g_epoll;
static unsigned g_seed;

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static void put(unsigned slot, int fd)
{
    int old = __atomic_exchange_n(&g_slot[slot], fd, __ATOMIC_ACQ_REL);

    if (old > 0)
        close(old);
}

static void make(unsigned a, unsigned b, uint64_t r)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int p[2];

    if (socketpair(AF_UNIX, types[r % 3] | SOCK_NONBLOCK, 0, p) == 0) {
        put(a, p[0]);
        put(b, p[1]);
    }
}

static void name_one(unsigned a, uint64_t r)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, (r & 1 ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);

    snprintf(sa.sun_path + 1, 20, "storm%d.%u", getpid(), (unsigned)(r >> 1) % 3);
    if (r & 16)
        bind(fd, (void *)&sa, 16);
    else
        connect(fd, (void *)&sa, 16);
    listen(fd, 2);
    put(a, fd);
}

static void send_some(int fd, int other, uint64_t r)
{
    static char data[5000];
    struct iovec v = {data, r % sizeof(data)};
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } c = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    int fds[2] = {other, g_pipe[1]};

    if (r & 0x10000) {
        m.msg_control = &c;
        m.msg_controllen = sizeof(c);
        c.align.cmsg_level = SOL_SOCKET;
        c.align.cmsg_type = SCM_RIGHTS;
        c.align.cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(&c.align), fds, sizeof(fds));
    }
    sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void receive_some(int fd, uint64_t r)
{
    static __thread char data[5000];
    struct iovec v = {data, r % sizeof(data)};
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } c = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
    int fds[2];

    if (recvmsg(fd, &m, MSG_DONTWAIT | (r & 0x10000 ? MSG_PEEK : 0)) < 0)
        return;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        unsigned count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));

        if (h->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(fds, CMSG_DATA(h), count * sizeof(int));
        if (count > 1)
            close(fds[1]);
        if (count)
            put((unsigned)(r >> 20) % SLOTS, fds[0]);
    }
}

static void step(uint64_t *state)
{
    uint64_t r = next(state), more = next(state);
    unsigned a = (unsigned)(r >> 8) % SLOTS, b = (unsigned)(r >> 16) % SLOTS;
    int fd = __atomic_load_n(&g_slot[a], __ATOMIC_ACQUIRE), other = __atomic_load_n(&g_slot[b], __ATOMIC_ACQUIRE);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET}, got[4];

    switch (r % 16) {
    case 0:
        make(a, b, more);
        break;
    case 1:
        name_one(a, more);
        break;
    case 2:
        put(a, 0);
        break;
    case 3:
        shutdown(fd, (int)(more % 3));
        break;
    case 4:
        put(b, accept4(fd, NULL, NULL, SOCK_NONBLOCK));
        break;
    case 5:
        connect(fd, (void *)&(struct sockaddr_un){.sun_family = AF_UNSPEC}, 2);
        break;
    case 6:
        epoll_ctl(g_epoll, EPOLL_CTL_ADD, fd, &ev);
        break;
    case 7:
        epoll_wait(g_epoll, got, 4, 0);
        break;
    case 8 ... 11:
        send_some(fd, other, more);
        break;
    default:
        receive_some(fd, more);
        break;
    }
}

static void *storm(void *arg)
{
    uint64_t state = 88172645463325252u * g_seed + (uintptr_t)arg * 7919;

    for (int i = 0; i < ROUNDS; i++)
        step(&state);
    return NULL;
}

int main(int argc, char **argv)
{
    struct pollfd p = {.events = POLLIN};
    pthread_t t[THREADS];
    int last[2];

    alarm(100);
    g_seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    CHECK(pipe(g_pipe) == 0);
    g_epoll = epoll_create1(0);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, storm, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    for (unsigned i = 0; i < SLOTS; i++)
        put(i, 0);
    close(g_pipe[1]);
    /* descriptors that a full slot pushed out, or that came to a number closed meanwhile */
    for (int fd = 3; fd < 1024; fd++) {
        if (fd != g_pipe[0])
            close(fd);
    }
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, last) == 0 && close(last[0]) == 0 && close(last[1]) == 0);
    p.fd = g_pipe[0];
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLHUP);
    return guest_done();
}
