/* SPDX-License-Identifier: MIT */
/*
 * Stop and continue over processes and threads: waitpid(2) and waitid(2) of stopped and continued children, what
 * SIGCHLD tells, orphaned process groups, the parent's death, subreapers, children that nobody waits for.
 */
#include "children.h"
#include "servant.h"
#include <sys/resource.h>
#include <sys/times.h>

static sigset_t g_chld;

/* The next SIGCHLD within two seconds: its si_code, or 0. */
static int next_chld(siginfo_t *info)
{
    struct timespec two = {2, 0};

    memset(info, 0, sizeof(*info));
    return sigtimedwait(&g_chld, info, &two) == SIGCHLD ? info->si_code : 0;
}

static int no_chld(void)
{
    struct timespec soon = {0, 30000000};
    siginfo_t info;

    return sigtimedwait(&g_chld, &info, &soon) < 0 && errno == EAGAIN;
}

static void stop_and_go_on(void)
{
    struct servant a = servant_start();
    siginfo_t info;
    int status = 0;

    servant_ask(&a, SYS_getpid, 0, 0);
    CHECK(kill(a.pid, SIGSTOP) == 0);
    CHECK(next_chld(&info) == CLD_STOPPED && info.si_pid == a.pid && info.si_status == SIGSTOP);
    CHECK(info.si_signo == SIGCHLD && info.si_uid == getuid());
    CHECK(*status_field(a.pid, "State") == 'T');
    CHECK(waitpid(a.pid, &status, WNOHANG) == 0);
    memset(&info, 0, sizeof(info));
    CHECK(waitid(P_PID, (id_t)a.pid, &info, WSTOPPED | WNOWAIT) == 0);
    CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == a.pid);
    CHECK(waitpid(a.pid, &status, WUNTRACED) == a.pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP && status == (SIGSTOP << 8 | 0x7f));
    CHECK(waitpid(a.pid, &status, WUNTRACED | WNOHANG) == 0); /* told once */
    servant_tell(&a, SYS_getppid, 0, 0);
    usleep(20000);
    struct pollfd pfd = {.fd = a.from, .events = POLLIN};
    CHECK(poll(&pfd, 1, 0) == 0); /* it does nothing */
    CHECK(kill(a.pid, SIGCONT) == 0);
    CHECK(next_chld(&info) == CLD_CONTINUED && info.si_pid == a.pid && info.si_status == SIGCONT);
    CHECK(waitpid(a.pid, &status, WNOHANG | WUNTRACED) == 0);
    CHECK(waitpid(a.pid, &status, WCONTINUED) == a.pid && WIFCONTINUED(status) && status == 0xffff);
    CHECK(waitpid(a.pid, &status, WCONTINUED | WNOHANG) == 0);
    CHECK(servant_answer(&a) == getpid());
    CHECK(kill(a.pid, SIGCONT) == 0); /* it runs: nothing to tell */
    CHECK(no_chld());
    CHECK(kill(a.pid, SIGSTOP) == 0);
    CHECK(next_chld(&info) == CLD_STOPPED);
    CHECK(kill(a.pid, SIGTERM) == 0); /* waits for SIGCONT */
    CHECK(*status_field(a.pid, "State") == 'T');
    CHECK(kill(a.pid, SIGKILL) == 0); /* does not wait */
    CHECK(next_chld(&info) == CLD_KILLED && info.si_status == SIGKILL);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
}

static void all_threads_stop(void)
{
    struct servant a = servant_start();
    long computes = servant_ask(&a, OP_THREAD, 0, 0), sleeps = servant_ask(&a, OP_SLEEPER, 0, 0);
    siginfo_t info;
    int status;

    CHECK(atoi(status_field(a.pid, "Threads")) == 3);
    CHECK(state_becomes((pid_t)computes, "R") && state_becomes((pid_t)sleeps, "S"));
    for (int i = 0; i < 20; i++) {
        CHECK(kill(a.pid, SIGSTOP) == 0);
        CHECK(next_chld(&info) == CLD_STOPPED);
        CHECK(waitpid(a.pid, &status, WUNTRACED) == a.pid && WIFSTOPPED(status));
        CHECK(*status_field(a.pid, "State") == 'T');
        CHECK(*status_field((pid_t)computes, "State") == 'T');
        CHECK(*status_field((pid_t)sleeps, "State") == 'T');
        CHECK(kill(a.pid, SIGCONT) == 0);
        CHECK(next_chld(&info) == CLD_CONTINUED);
    }
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(next_chld(&info) == CLD_KILLED);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
}

static void stop_signals(void)
{
    static const int sigs[] = {SIGTSTP, SIGTTIN, SIGTTOU};
    struct servant a = servant_start(), b = servant_start();
    int status;

    /* A group of this session with a parent outside it: stops. */
    CHECK(servant_ask(&a, SYS_setpgid, 0, 0) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(kill(a.pid, sigs[i]) == 0);
        CHECK(waitpid(a.pid, &status, WUNTRACED) == a.pid && WSTOPSIG(status) == sigs[i]);
        CHECK(kill(a.pid, SIGCONT) == 0);
        CHECK(waitpid(a.pid, &status, WCONTINUED) == a.pid && WIFCONTINUED(status));
    }
    /* A session of its own is an orphaned group: only SIGSTOP stops it. */
    CHECK(servant_ask(&b, SYS_setsid, 0, 0) == b.pid);
    for (int i = 0; i < 3; i++) {
        CHECK(kill(b.pid, sigs[i]) == 0);
        CHECK(servant_ask(&b, SYS_getpid, 0, 0) == b.pid);
    }
    CHECK(kill(b.pid, SIGSTOP) == 0);
    CHECK(waitpid(b.pid, &status, WUNTRACED) == b.pid && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(b.pid, SIGCONT) == 0);
    /* SIGCONT undoes a stop that waits, and the other way round. */
    CHECK(servant_ask(&a, OP_BLOCK, SIGTSTP, 0) == 0);
    CHECK(kill(a.pid, SIGTSTP) == 0);
    CHECK(strtoul(status_field(a.pid, "ShdPnd"), NULL, 16) == 1UL << (SIGTSTP - 1));
    CHECK(kill(a.pid, SIGCONT) == 0);
    CHECK(strtoul(status_field(a.pid, "ShdPnd"), NULL, 16) == 0);
    CHECK(servant_end(&a) == 0 && servant_end(&b) == 0);
    while (!no_chld())
        ;
}

static void quiet_parents(void)
{
    struct sigaction sa = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
    struct servant a = servant_start();
    siginfo_t info;
    int status;

    servant_ask(&a, SYS_getpid, 0, 0);
    CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
    CHECK(kill(a.pid, SIGSTOP) == 0);
    CHECK(waitpid(a.pid, &status, WUNTRACED) == a.pid);
    CHECK(no_chld());
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(next_chld(&info) == CLD_KILLED);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
    /* Children that nobody wants to wait for leave no zombies. */
    sa.sa_flags = SA_NOCLDWAIT;
    CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
    a = servant_start();
    close(a.to);
    CHECK_ERRNO(waitpid(a.pid, &status, 0), ECHILD);
    CHECK_ERRNO(kill(a.pid, 0), ESRCH);
    CHECK(next_chld(&info) == CLD_EXITED);
    close(a.from);
    sa = (struct sigaction){.sa_handler = SIG_DFL};
    CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
}

/* A servant's servant becomes ours when its parent ends; what it then hears. */
static void orphans(void)
{
    struct servant mid;
    pid_t grand;
    int status = 0;

    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    mid = servant_start();
    grand = (pid_t)servant_ask(&mid, OP_SPAWN, 0, 0);
    CHECK(grand > 0 && atoi(status_field(grand, "PPid")) == mid.pid);
    CHECK_ERRNO(waitpid(grand, &status, WNOHANG), ECHILD);
    CHECK(servant_end(&mid) == 0);
    CHECK(atoi(status_field(grand, "PPid")) == getpid());
    CHECK(kill(grand, SIGKILL) == 0);
    CHECK(waitpid(grand, &status, 0) == grand && WTERMSIG(status) == SIGKILL);
    /* A stopped group that nobody could continue any more hears SIGHUP and SIGCONT. */
    mid = servant_start();
    CHECK(servant_ask(&mid, SYS_setsid, 0, 0) == mid.pid);
    grand = (pid_t)servant_ask(&mid, OP_SPAWN, 1, 0);
    CHECK(getsid(grand) == mid.pid && getpgid(grand) == grand);
    CHECK(kill(grand, SIGTSTP) == 0); /* its parent is in the session: may stop it */
    CHECK(state_becomes(grand, "T"));
    CHECK(servant_end(&mid) == 0);
    CHECK(waitpid(grand, &status, 0) == grand && WTERMSIG(status) == SIGHUP);
    /* A zombie is handed on as well. */
    mid = servant_start();
    grand = (pid_t)servant_ask(&mid, OP_SPAWN, 0, 0);
    CHECK(kill(grand, SIGKILL) == 0);
    CHECK(state_becomes(grand, "Z"));
    CHECK(servant_end(&mid) == 0);
    CHECK(waitpid(grand, &status, 0) == grand && WTERMSIG(status) == SIGKILL);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
    while (!no_chld())
        ;
}

static pid_t g_starter;

static void *start_one(void *arg)
{
    g_starter = (pid_t)syscall(SYS_gettid);
    *(struct servant *)arg = servant_start();
    return NULL;
}

/* A thread that was joined may still have to hand its children on. */
static void await_end(pid_t tid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%d", tid);
    for (int i = 0; i < 10000 && access(path, F_OK) == 0; i++)
        usleep(1000);
}

/* PR_SET_PDEATHSIG speaks of the thread that made the child. */
static void parents_death(void)
{
    struct servant a;
    pthread_t th;
    siginfo_t info;

    CHECK(pthread_create(&th, NULL, start_one, &a) == 0);
    CHECK(pthread_join(th, NULL) == 0);
    await_end(g_starter);
    CHECK(servant_ask(&a, OP_PDEATH, SIGTERM, 0) == 0); /* too late: that thread is gone */
    CHECK(servant_ask(&a, SYS_getppid, 0, 0) == getpid());
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
    CHECK(next_chld(&info) == CLD_KILLED);
}

static void times_of_children(void)
{
    struct servant a = servant_start();
    struct rusage before, after;
    struct timespec used;
    clockid_t clock;
    struct tms tms;
    siginfo_t info;

    getrusage(RUSAGE_CHILDREN, &before);
    servant_ask(&a, OP_THREAD, 0, 0);
    CHECK(clock_getcpuclockid(a.pid, &clock) == 0);
    for (int i = 0; i < 2000 && !clock_gettime(clock, &used) && !used.tv_sec && used.tv_nsec < 150000000; i++)
        usleep(10000);
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
    CHECK(next_chld(&info) == CLD_KILLED);
    getrusage(RUSAGE_CHILDREN, &after);
    CHECK((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
              before.ru_utime.tv_usec > 30000);
    times(&tms);
    CHECK(tms.tms_cutime + tms.tms_cstime >= 3);
}

/* vfork's parent waits for the child, but not in the face of death. */
static void killed_in_vfork(void)
{
    struct servant a = servant_start();
    siginfo_t info;

    servant_tell(&a, OP_VFORK, 1, 0);
    CHECK(state_becomes(a.pid, "D"));
    CHECK(kill(a.pid, SIGTERM) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGTERM);
    CHECK(next_chld(&info) == CLD_KILLED && info.si_status == SIGTERM);
    a = servant_start();
    servant_tell(&a, OP_VFORK, 1, 0);
    CHECK(state_becomes(a.pid, "D"));
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
    CHECK(next_chld(&info) == CLD_KILLED && info.si_status == SIGKILL);
}

/* A child stops this process, which is the first one inside, does something, and lets it go on. */
static void stopped_by_child(int sig, int own_group)
{
    pid_t pid, parent = getpid();
    int fds[2];
    char c;

    CHECK(pipe(fds) == 0);
    pid = start();
    if (pid == 0) {
        if (own_group)
            CHECK(setpgid(0, 0) == 0);
        CHECK(kill(parent, sig) == 0);
        if (sig == SIGSTOP) /* an orphaned group natively ignores the others */
            CHECK(state_becomes(parent, "T"));
        CHECK(write(fds[1], "x", 1) == 1);
        if (sig == SIGSTOP)
            CHECK(*status_field(parent, "State") == 'T');
        CHECK(kill(parent, SIGCONT) == 0);
        _exit(g_guest_failures != 0);
    }
    CHECK(read(fds[0], &c, 1) == 1);
    CHECK(child_status(pid) == 0);
    close(fds[0]);
    close(fds[1]);
}

int main(int argc, char **argv)
{
    SERVANT_MAIN(argc, argv);
    sigemptyset(&g_chld);
    sigaddset(&g_chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &g_chld, NULL);
    stop_and_go_on();
    all_threads_stop();
    stop_signals();
    quiet_parents();
    orphans();
    parents_death();
    times_of_children();
    killed_in_vfork();
    stopped_by_child(SIGSTOP, 0);
    stopped_by_child(SIGSTOP, 1);
    stopped_by_child(SIGTSTP, 1);
    return guest_done();
}
