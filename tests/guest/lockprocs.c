/* SPDX-License-Identifier: MIT */
/* guest: runs=all,exec-child */
/* Record locks, OFD locks and flock between processes: conflicts, deadlocks, fork, exec, the end of an owner. */
#include "children.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>

static char g_self[4096];

static int lock(int fd, int cmd, short type, off_t start, off_t size)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};

    return fcntl(fd, cmd, &l);
}

static short who(int fd, int cmd, off_t start, off_t size, pid_t *pid)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = size};

    if (fcntl(fd, cmd, &l))
        return -1;
    if (pid)
        *pid = l.l_pid;
    return l.l_type;
}

static int open_file(void)
{
    int fd = open("locked", O_RDWR | O_CREAT, 0600);

    CHECK(fd >= 0);
    return fd;
}

static void test_conflicts(void)
{
    int fd = open_file(), go[2];
    pid_t pid, owner;
    char c;

    CHECK(pipe(go) == 0 && lock(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
    pid = start();
    if (pid == 0) { /* the lock is the parent's alone */
        if (who(fd, F_GETLK, 0, 10, &owner) != F_WRLCK || owner != getppid())
            _exit(1);
        if (lock(fd, F_SETLK, F_RDLCK, 5, 1) != -1 || (errno != EAGAIN && errno != EACCES))
            _exit(2);
        if (lock(fd, F_SETLK, F_UNLCK, 0, 0) || who(fd, F_GETLK, 0, 10, NULL) != F_WRLCK)
            _exit(3);
        close(fd);
        fd = open_file();
        if (who(fd, F_GETLK, 0, 10, NULL) != F_WRLCK || lock(fd, F_SETLK, F_WRLCK, 20, 5))
            _exit(4);
        if (write(go[1], "x", 1) != 1)
            _exit(5);
        _exit(lock(fd, F_SETLKW, F_WRLCK, 0, 10) ? 6 : 0); /* until the parent lets go */
    }
    CHECK(read(go[0], &c, 1) == 1 && who(fd, F_GETLK, 20, 1, &owner) == F_WRLCK && owner == pid);
    usleep(30000);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 10) == 0 && child_status(pid) == 0);
    CHECK(who(fd, F_GETLK, 0, 0, NULL) == F_UNLCK); /* its end freed all of its own */
    close(fd);
    close(go[0]);
    close(go[1]);
}

/* Each of `count` processes holds its own byte and wants the next one's: one of them is told. */
static void test_deadlock(int count)
{
    int fd = open_file(), ready[2], told = 0, done = 0;
    pid_t pids[4];
    char c;

    CHECK(pipe(ready) == 0);
    for (int i = 0; i < count; i++) {
        pids[i] = start();
        if (pids[i] == 0) {
            int err;

            close(fd);
            fd = open_file();
            if (lock(fd, F_SETLK, F_WRLCK, i, 1) || write(ready[1], "x", 1) != 1)
                _exit(1);
            usleep(100000);
            err = lock(fd, F_SETLKW, F_WRLCK, (i + 1) % count, 1);
            _exit(err ? errno == EDEADLK ? 35 : 2 : 0);
        }
    }
    for (int i = 0; i < count; i++)
        CHECK(read(ready[0], &c, 1) == 1);
    for (int i = 0; i < count; i++) {
        int status = child_status(pids[i]);

        told += status == 35;
        done += status == 0;
    }
    CHECK(told == 1 && done == count - 1);
    close(fd);
    close(ready[0]);
    close(ready[1]);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void test_interrupted(void)
{
    struct sigaction act = {.sa_handler = on_alarm};
    struct itimerval in = {{0, 0}, {0, 50000}};
    int fd = open_file(), other = open_file();

    sigaction(SIGALRM, &act, NULL);
    CHECK(lock(other, F_OFD_SETLK, F_WRLCK, 0, 0) == 0);
    setitimer(ITIMER_REAL, &in, NULL);
    CHECK_ERRNO(lock(fd, F_SETLKW, F_RDLCK, 0, 0), EINTR);
    setitimer(ITIMER_REAL, &in, NULL);
    CHECK_ERRNO(flock(fd, LOCK_EX) || flock(other, LOCK_EX) ? -1 : 0, EINTR);
    close(fd);
    close(other);
}

/* Locks of a description are its own, in whichever process it is used. */
static void test_descriptions(void)
{
    int fd = open_file(), other = open_file(), go[2], ready[2];
    pid_t pid;
    char c;

    CHECK(pipe(go) == 0 && pipe(ready) == 0);
    CHECK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10) == 0 && flock(fd, LOCK_EX) == 0);
    pid = start();
    if (pid == 0) {
        if (lock(fd, F_OFD_SETLK, F_WRLCK, 5, 10) || lock(other, F_OFD_SETLK, F_WRLCK, 5, 1) != -1)
            _exit(1);
        if (flock(fd, LOCK_SH) || flock(other, LOCK_EX | LOCK_NB) != -1 || errno != EWOULDBLOCK)
            _exit(2);
        if (who(fd, F_GETLK, 0, 1, NULL) != F_WRLCK) /* a process' locks see it */
            _exit(3);
        if (write(ready[1], "x", 1) != 1 || read(go[0], &c, 1) != 1)
            _exit(4);
        _exit(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0) ? 5 : 0);
    }
    CHECK(read(ready[0], &c, 1) == 1);
    close(fd); /* the child still has it */
    CHECK_ERRNO(lock(other, F_OFD_SETLK, F_WRLCK, 14, 1), EAGAIN);
    CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK(write(go[1], "x", 1) == 1);
    CHECK(flock(other, LOCK_EX) == 0); /* when the last descriptor goes, with the child */
    CHECK(lock(other, F_OFD_SETLKW, F_WRLCK, 0, 0) == 0);
    CHECK(child_status(pid) == 0);
    close(other);
    for (int i = 0; i < 2; i++)
        close(go[i]), close(ready[i]);
}

/* A record lock outlives exec(2), unless its descriptor is closed by it. */
static void test_exec(void)
{
    int fd = open_file(), other = open_file(), go[2], out[2];
    pid_t pid;
    char c, arg[4][16];

    CHECK(pipe(go) == 0 && pipe(out) == 0);
    pid = start();
    if (pid == 0) {
        int gone = open("locked2", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        close(other);
        if (lock(fd, F_SETLK, F_WRLCK, 0, 10) || lock(gone, F_SETLK, F_WRLCK, 0, 10))
            _exit(1);
        snprintf(arg[0], 16, "%d", go[0]);
        snprintf(arg[1], 16, "%d", out[1]);
        execl(g_self, g_self, "held", arg[0], arg[1], (char *)NULL);
        _exit(2);
    }
    CHECK(read(out[0], &c, 1) == 1);
    CHECK(who(other, F_GETLK, 0, 1, NULL) == F_WRLCK);
    close(fd);
    fd = open("locked2", O_RDWR);
    CHECK(who(fd, F_GETLK, 0, 1, NULL) == F_UNLCK);
    CHECK(write(go[1], "x", 1) == 1 && child_status(pid) == 0);
    CHECK(who(other, F_GETLK, 0, 1, NULL) == F_UNLCK);
    close(fd);
    close(other);
}

int main(int argc, char **argv)
{
    char c;

    if (argc == 4 && !strcmp(argv[1], "held")) /* after exec */
        return write(atoi(argv[3]), "x", 1) == 1 && read(atoi(argv[2]), &c, 1) == 1 ? 0 : 1;
    CHECK(readlink("/proc/self/exe", g_self, sizeof(g_self) - 1) > 0);
    if (argc > 1 && !strcmp(argv[1], "exec-child")) {
        test_exec();
        return guest_done();
    }
    test_conflicts();
    test_deadlock(2);
    test_deadlock(4);
    test_interrupted();
    test_descriptions();
    return guest_done();
}
