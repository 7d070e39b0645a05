/* SPDX-License-Identifier: MIT */
/* Job control on a pseudo-terminal: foreground and background, stops, a leader's end, terminals that are taken. */
#include "children.h"
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

static int g_master, g_slave;
static char g_buf[256];

static int status_of(pid_t pid, int options)
{
    int status = -1;

    CHECK(waitpid(pid, &status, options) == pid);
    return status;
}

/* Runs `fn` as the leader of a new session that has the slave as its terminal. */
static void in_session(void (*fn)(void))
{
    pid_t pid;

    CHECK(openpty(&g_master, &g_slave, NULL, NULL, NULL) == 0);
    pid = start();
    if (pid == 0) {
        setsid();
        CHECK(ioctl(g_slave, TIOCSCTTY, 0) == 0);
        signal(SIGTTOU, SIG_IGN); /* as shells do, to move the foreground about */
        fn();
        fflush(stdout);
        _exit(g_guest_failures ? 1 : 0);
    }
    CHECK(WEXITSTATUS(status_of(pid, 0)) == 0);
    close(g_slave);
    close(g_master);
}

/* A job in a process group of its own. */
static pid_t job(int (*fn)(void), bool foreground)
{
    pid_t pid = start();

    if (pid == 0) {
        setpgid(0, 0);
        if (foreground)
            tcsetpgrp(g_slave, getpid());
        signal(SIGTTOU, SIG_DFL);
        _exit(fn());
    }
    setpgid(pid, pid);
    if (foreground)
        CHECK(tcsetpgrp(g_slave, pid) == 0);
    return pid;
}

static int job_read(void)
{
    ssize_t n = read(g_slave, g_buf, sizeof(g_buf));

    return n == 3 && !memcmp(g_buf, "go\n", 3) ? 0 : 1;
}

static int job_write(void)
{
    return write(g_slave, "text", 4) == 4 ? 0 : 1;
}

static int job_settings(void)
{
    struct termios t;

    if (tcgetattr(g_slave, &t))
        return 1;
    return tcsetattr(g_slave, TCSANOW, &t) == 0 ? 0 : 2;
}

static int job_ignoring(void)
{
    signal(SIGTTIN, SIG_IGN);
    return read(g_slave, g_buf, 1) == -1 && errno == EIO ? 0 : 1;
}

static int job_wait(void)
{
    while (pause())
        ;
    return 0;
}

static void background_reader(void)
{
    pid_t pid = job(job_read, false);
    int status = status_of(pid, WUNTRACED);

    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
    CHECK(tcsetpgrp(g_slave, pid) == 0 && kill(-pid, SIGCONT) == 0);
    CHECK(write(g_master, "go\n", 3) == 3);
    CHECK(status_of(pid, 0) == 0);
    CHECK(tcsetpgrp(g_slave, getpid()) == 0);
    CHECK(status_of(job(job_ignoring, false), 0) == 0);
}

static void background_writer(void)
{
    struct termios t;
    int status;
    pid_t pid;

    CHECK(status_of(job(job_write, false), 0) == 0); /* TOSTOP is off */
    CHECK(tcgetattr(g_slave, &t) == 0);
    t.c_lflag |= TOSTOP;
    CHECK(tcsetattr(g_slave, TCSANOW, &t) == 0);
    pid = job(job_write, false);
    status = status_of(pid, WUNTRACED);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    t.c_lflag &= ~TOSTOP;
    CHECK(tcsetattr(g_slave, TCSANOW, &t) == 0 && kill(pid, SIGCONT) == 0 && status_of(pid, 0) == 0);
    pid = job(job_settings, false);
    status = status_of(pid, WUNTRACED);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
    CHECK(tcsetpgrp(g_slave, pid) == 0 && kill(pid, SIGCONT) == 0 && status_of(pid, 0) == 0);
    CHECK(tcsetpgrp(g_slave, getpid()) == 0);
}

static void keys(void)
{
    pid_t pid = job(job_wait, true), other;
    int status;

    other = start(); /* a second process of the job */
    if (other == 0) {
        setpgid(0, pid);
        _exit(job_wait());
    }
    setpgid(other, pid);
    CHECK(tcgetpgrp(g_slave) == pid);
    usleep(20000);
    CHECK(write(g_master, "\x1a", 1) == 1);
    status = status_of(pid, WUNTRACED);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    status = status_of(other, WUNTRACED);
    CHECK(WIFSTOPPED(status));
    CHECK(kill(-pid, SIGCONT) == 0);
    CHECK(WIFCONTINUED(status_of(pid, WCONTINUED)));
    CHECK(write(g_master, "\x1c", 1) == 1);
    status = status_of(pid, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    status = status_of(other, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    CHECK(tcsetpgrp(g_slave, getpid()) == 0);
}

static void foreign(void)
{
    int master, slave;
    pid_t pid;

    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 0), EPERM); /* has one already */
    CHECK_ERRNO(tcgetpgrp(slave), ENOTTY);
    CHECK_ERRNO(tcsetpgrp(slave, getpid()), ENOTTY);
    CHECK_ERRNO(tcgetsid(slave), ENOTTY);
    pid = start();
    if (pid == 0) {
        CHECK_ERRNO(ioctl(g_slave, TIOCSCTTY, 0), EPERM); /* no leader */
        setsid();
        CHECK_ERRNO(ioctl(g_slave, TIOCSCTTY, 0), EPERM); /* another session's */
        CHECK_ERRNO(tcsetpgrp(g_slave, getpid()), ENOTTY);
        CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
        CHECK_ERRNO(tcsetpgrp(slave, getppid()), EPERM); /* of another session */
        _exit(g_guest_failures ? 1 : 0);
    }
    CHECK(status_of(pid, 0) == 0);
    pid = start();
    if (pid == 0) { /* the terminal of a leader that ended is free */
        setsid();
        _exit(ioctl(slave, TIOCSCTTY, 0) ? 1 : 0);
    }
    CHECK(status_of(pid, 0) == 0);
    close(slave);
    close(master);
}

static volatile sig_atomic_t g_hangups;

static void note(int sig)
{
    (void)sig;
    g_hangups++;
}

/* The leader's end hangs the foreground up, and takes the terminal away from all. */
static void leader_end(void)
{
    int out[2];
    pid_t leader, pid;
    char c = 0;

    CHECK(pipe(out) == 0 && openpty(&g_master, &g_slave, NULL, NULL, NULL) == 0);
    leader = start();
    if (leader == 0) {
        setsid();
        if (ioctl(g_slave, TIOCSCTTY, 0))
            _exit(1);
        signal(SIGTTOU, SIG_IGN);
        signal(SIGHUP, note);
        pid = fork();
        if (pid == 0) {
            setpgid(0, 0);
            tcsetpgrp(g_slave, getpid());
            if (write(out[1], "r", 1) != 1)
                _exit(1);
            while (!g_hangups)
                usleep(1000);
            c = open("/dev/tty", O_RDWR) == -1 && errno == ENXIO ? 'y' : 'n';
            _exit(write(out[1], &c, 1) == 1 ? 0 : 1);
        }
        while (tcgetpgrp(g_slave) != pid)
            usleep(1000);
        _exit(0);
    }
    CHECK(read(out[0], &c, 1) == 1 && status_of(leader, 0) == 0);
    CHECK(read(out[0], &c, 1) == 1 && c == 'y');
    close(g_slave);
    close(g_master);
    close(out[0]);
    close(out[1]);
}

int main(void)
{
    in_session(background_reader);
    in_session(background_writer);
    in_session(keys);
    in_session(foreign);
    leader_end();
    return guest_done();
}
