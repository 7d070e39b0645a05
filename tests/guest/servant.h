/* SPDX-License-Identifier: MIT */
/*
 * Servants: other processes of a test, which make the system calls that they are told to make. A servant is the
 * test's own program again (posix_spawn of /proc/self/exe), so that tests need no other one; main() begins with
 * SERVANT_MAIN(argc, argv).
 */
#ifndef SERVANT_H
#define SERVANT_H

#include "guest.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct servant {
    pid_t pid;
    int to, from;
};

/* Beside the numbers of system calls: */
enum servant_op {
    OP_IGNORE = 10000, /* a[0]: signal */
    OP_DEFAULT,
    OP_CATCH,          /* counts it */
    OP_CAUGHT,         /* how often a[0] was caught */
    OP_SPAWN,          /* a servant's servant: its pid; a[0]: in a process group of its own */
    OP_BLOCK,
    OP_THREAD,         /* starts a thread that computes: its tid */
    OP_SLEEPER,        /* starts a thread that sleeps */
    OP_PDEATH,
    OP_VFORK,          /* a vfork child that sleeps; the answer comes when that ended */
    OP_DUPS,           /* opens /dev/null: the descriptor */
};

struct servant_cmd {
    long nr, a[5];
};

static volatile int g_servant_caught[65];
static volatile pid_t g_servant_tid;

static void servant_handler(int sig)
{
    g_servant_caught[sig]++;
}

static void *servant_thread(void *arg)
{
    g_servant_tid = (pid_t)syscall(SYS_gettid);
    while (arg)
        pause();
    for (volatile unsigned long n = 0;; n++)
        ;
    return NULL;
}

static long servant_start_thread(void *arg)
{
    pthread_t th;

    g_servant_tid = 0;
    if (pthread_create(&th, NULL, servant_thread, arg))
        return -1;
    while (!g_servant_tid)
        usleep(1000);
    return g_servant_tid;
}

static struct servant servant_start_at(int flags, pid_t *out);

static long servant_do(const struct servant_cmd *c)
{
    sigset_t set;

    switch (c->nr) {
    case OP_IGNORE:
        return signal((int)c->a[0], SIG_IGN) == SIG_ERR ? -1 : 0;
    case OP_DEFAULT:
        return signal((int)c->a[0], SIG_DFL) == SIG_ERR ? -1 : 0;
    case OP_CATCH:
        return signal((int)c->a[0], servant_handler) == SIG_ERR ? -1 : 0;
    case OP_CAUGHT:
        return g_servant_caught[c->a[0]];
    case OP_SPAWN:
        return servant_start_at(c->a[0] ? POSIX_SPAWN_SETPGROUP : 0, NULL).pid;
    case OP_BLOCK:
        sigemptyset(&set);
        sigaddset(&set, (int)c->a[0]);
        return sigprocmask(SIG_BLOCK, &set, NULL);
    case OP_THREAD:
        return servant_start_thread(NULL);
    case OP_SLEEPER:
        return servant_start_thread((void *)1);
    case OP_PDEATH:
        return prctl(PR_SET_PDEATHSIG, c->a[0]);
    case OP_VFORK:
        if (!vfork()) {
            struct timespec ts = {c->a[0], 0};

            syscall(SYS_nanosleep, &ts, NULL);
            _exit(0);
        }
        return 0;
    case OP_DUPS:
        return open("/dev/null", O_RDONLY);
    }
    return syscall(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4]);
}

/* Serves descriptor 3 until it is closed; a third argument: a servant's servant, which only waits for signals. */
static int servant_main(int argc)
{
    struct servant_cmd c;

    if (argc > 2) {
        prctl(PR_SET_PDEATHSIG, 0);
        for (;;)
            pause();
    }
    for (;;) {
        ssize_t n = read(3, &c, sizeof(c));
        long ret;

        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof(c))
            return 0;
        errno = 0;
        ret = servant_do(&c);
        if (ret < 0)
            ret = -errno;
        if (write(4, &ret, sizeof(ret)) != (ssize_t)sizeof(ret))
            return 1;
    }
}

#define SERVANT_MAIN(argc, argv)                                                                   \
    do {                                                                                           \
        if ((argc) > 1 && !strcmp((argv)[1], "servant"))                                           \
            return servant_main(argc);                                                             \
    } while (0)

/* With `out` a servant to speak to; without, one that waits for signals. */
static struct servant servant_start_at(int flags, pid_t *out)
{
    char *argv[] = {"servant", "servant", out ? NULL : "waits", NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    struct servant s = {.pid = -1};
    int down[2], up[2];

    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
        return s;
    /* Out of the way of 3 and 4, which posix_spawn's actions take. */
    int r = fcntl(down[0], F_DUPFD_CLOEXEC, 50), w = fcntl(up[1], F_DUPFD_CLOEXEC, 50);

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, r, 3);
    posix_spawn_file_actions_adddup2(&fa, w, 4);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, (short)flags);
    if (posix_spawn(&s.pid, "/proc/self/exe", &fa, &attr, argv, environ))
        s.pid = -1;
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&attr);
    close(r);
    close(w);
    close(down[0]);
    close(up[1]);
    s.to = fcntl(down[1], F_DUPFD_CLOEXEC, 60);
    s.from = fcntl(up[0], F_DUPFD_CLOEXEC, 60);
    close(down[1]);
    close(up[0]);
    return s;
}

static inline struct servant servant_start(void)
{
    pid_t pid;

    return servant_start_at(0, &pid);
}

static inline void servant_tell(const struct servant *s, long nr, long a, long b)
{
    struct servant_cmd c = {.nr = nr, .a = {a, b}};

    if (write(s->to, &c, sizeof(c)) != (ssize_t)sizeof(c))
        printf("a servant does not listen\n");
}

/* The result, -errno; -9999: it is gone. */
static inline long servant_answer(const struct servant *s)
{
    long ret;

    return read(s->from, &ret, sizeof(ret)) == (ssize_t)sizeof(ret) ? ret : -9999;
}

static inline long servant_ask(const struct servant *s, long nr, long a, long b)
{
    servant_tell(s, nr, a, b);
    return servant_answer(s);
}

/* Ends it and gives its wait status. */
static inline int servant_end(struct servant *s)
{
    int status = -1;

    close(s->to);
    close(s->from);
    if (waitpid(s->pid, &status, 0) != s->pid)
        return -1;
    return status;
}

/* A field of /proc/PID/status, or "" when there is none. Static memory. */
static inline const char *status_field(pid_t pid, const char *name)
{
    static char line[512];
    char path[64];
    size_t n = strlen(name);
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "r");
    if (!f)
        return "";
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, name, n) && line[n] == ':') {
            fclose(f);
            line[strcspn(line, "\n")] = 0;
            return line + n + 1 + strspn(line + n + 1, "\t ");
        }
    }
    fclose(f);
    return "";
}

/* Waits (two seconds at most) until the process shows one of the states. */
static inline int state_becomes(pid_t pid, const char *states)
{
    for (int i = 0; i < 2000; i++) {
        const char *s = status_field(pid, "State");

        if (*s && strchr(states, *s))
            return 1;
        usleep(1000);
    }
    printf("process is %s, not one of %s\n", status_field(pid, "State"), states);
    return 0;
}

#endif
