/* SPDX-License-Identifier: MIT */
/*
 * guest: args=2
 * Processes, threads and signals at random for some seconds (the argument): children that are forked, made without
 * a copy, stopped, continued, killed and looked at in /proc, while they start threads, fork and signal each other.
 * In the end nobody is left, and everybody was waited for.
 */
#include "guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WIDTH 12

static unsigned long g_random;

static unsigned pick(unsigned n)
{
    g_random ^= g_random << 13;
    g_random ^= g_random >> 7;
    g_random ^= g_random << 17;
    return (unsigned)(g_random >> 20) % n;
}

static void handler(int sig)
{
    (void)sig;
}

static void *thread(void *arg)
{
    struct timespec ts = {0, 1000000};

    switch ((long)arg) {
    case 0:
        for (volatile int i = 0; i < 300000; i++)
            ;
        return NULL;
    case 1:
        nanosleep(&ts, NULL);
        return NULL;
    case 2:
        kill(getpid(), SIGUSR1);
        return NULL;
    }
    for (;;)
        pause();
}

static void start_thread(void)
{
    pthread_attr_t attr;
    pthread_t th;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 65536);
    (void)!pthread_create(&th, &attr, thread, (void *)(long)pick(4));
    pthread_attr_destroy(&attr);
}

/* What a child does until somebody kills it, or it has enough. */
static _Noreturn void child(void)
{
    volatile int depth = 0;
    int status;
    pid_t pid;

    signal(SIGUSR1, handler);
    for (unsigned i = pick(40); i; i--) {
        switch (pick(6)) {
        case 0:
            start_thread();
            break;
        case 1:
            kill(0, SIGUSR1);
            break;
        case 2:
            usleep(pick(2000));
            break;
        case 3:
            if (depth > 1)
                break;
            g_random += 77;
            pid = fork();
            if (!pid) { /* goes on as its parent does, one deeper */
                g_random = g_random * 31 + (unsigned)getpid();
                depth++;
                break;
            }
            if (pid > 0 && pick(2))
                kill(pid, SIGKILL);
            if (pid > 0)
                waitpid(pid, &status, 0);
            break;
        case 4:
            pid = vfork();
            if (!pid)
                _exit(0);
            waitpid(pid, &status, 0);
            break;
        case 5:
            setpgid(0, 0);
            break;
        }
    }
    _exit(0);
}

static void look(void)
{
    char path[300], buf[2048];
    DIR *d = opendir("/proc");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        static const char *const names[] = {"status", "stat", "cmdline", "maps"};
        int fd;

        if (*e->d_name < '1' || *e->d_name > '9')
            continue;
        if (getppid() == 1 ? 0 : atoi(e->d_name) < getpid()) /* natively: not the machine's */
            continue;
        snprintf(path, sizeof(path), "/proc/%s/%s", e->d_name, names[pick(4)]);
        fd = open(path, O_RDONLY);
        if (fd >= 0) {
            (void)!read(fd, buf, sizeof(buf));
            close(fd);
        }
    }
    if (d)
        closedir(d);
}

static pid_t start(void)
{
    pid_t pid = fork();

    if (!pid) {
        g_random = g_random * 2654435761u + (unsigned)getpid();
        setpgid(0, 0);
        child();
    }
    return pid;
}

/* Something happens to a child. True: it was waited for. */
static int strike(pid_t pid)
{
    static const int sigs[] = {SIGSTOP, SIGCONT, SIGUSR1, SIGTSTP, SIGTERM, SIGKILL, SIGCONT, SIGCONT};
    int status, fd;

    kill(pick(4) ? pid : -pid, sigs[pick(8)]);
    if (pick(4) == 0 && (fd = (int)syscall(SYS_pidfd_open, pid, 0)) >= 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        poll(&p, 1, (int)pick(3));
        close(fd);
    }
    if (waitpid(pid, &status, WNOHANG | WUNTRACED | WCONTINUED) != pid)
        return 0;
    return WIFEXITED(status) || WIFSIGNALED(status);
}

static long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    long end = now_ms() + 1000 * (argc > 1 ? atol(argv[1]) : 1);
    pid_t pids[WIDTH] = {0};
    unsigned long count = 0;
    int status;

    g_random = argc > 2 ? strtoul(argv[2], NULL, 0) : 88172645463325252UL ^ (unsigned long)getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    while (now_ms() < end) {
        pid_t *p = &pids[pick(WIDTH)];

        if (!*p) {
            *p = start();
            CHECK(*p > 0);
            count++;
        } else if (strike(*p)) {
            *p = 0;
        }
        if (pick(50) == 0)
            look();
        if (pick(10) == 0)
            usleep(pick(500));
    }
    for (int i = 0; i < WIDTH; i++) {
        if (pids[i])
            kill(pids[i], SIGKILL);
    }
    /* Those that lost their parents are ours; they end by themselves or are stopped. */
    for (long until = now_ms() + 20000; now_ms() < until;) {
        pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED);

        if (pid < 0)
            break;
        if (pid > 0 && WIFSTOPPED(status))
            kill(pid, SIGKILL);
        if (!pid)
            usleep(2000);
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        int fd = open(path, O_RDONLY);
        char buf[4096];
        ssize_t n = read(fd, buf, sizeof(buf) - 1);
        buf[n > 0 ? n : 0] = 0;
        close(fd);
        for (char *t = strtok(buf, " "); t; t = strtok(NULL, " "))
            kill(atoi(t), SIGKILL);
    }
    CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
    CHECK(count > 20);
    if (argc > 2)
        printf("%lu children\n", count);
    return guest_done();
}
