/* SPDX-License-Identifier: MIT */
/*
 * pidfds: pidfd_open(2), poll, waitid(2) with P_PIDFD, pidfd_send_signal(2), pidfd_getfd(2), CLONE_PIDFD;
 * process_vm_readv(2) and kcmp(2) over two processes.
 */
#include "servant.h"
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/uio.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int pidfd_open_(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int readable(int fd, int timeout)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout) == 1 && (p.revents & POLLIN);
}

/* The line of /proc/self/fdinfo/FD that begins with `name`, as a number. */
static int info_of(int fd, const char *name)
{
    char path[64], line[256];
    int value = -7777;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (!strncmp(line, name, strlen(name)))
            value = atoi(line + strlen(name));
    }
    if (f)
        fclose(f);
    return value;
}

static void life(void)
{
    struct servant a = servant_start();
    int fd = pidfd_open_(a.pid, 0);
    siginfo_t info;

    CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    CHECK(info_of(fd, "Pid:") == a.pid && info_of(fd, "NSpid:") == a.pid);
    CHECK(!readable(fd, 0));
    memset(&info, 1, sizeof(info));
    CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0);
    servant_ask(&a, OP_CATCH, SIGUSR1, 0);
    CHECK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) == 0);
    CHECK(servant_ask(&a, OP_CAUGHT, SIGUSR1, 0) == 1);
    info.si_signo = SIGUSR1;
    info.si_code = SI_USER;
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &info, 0), EPERM);
    info.si_code = SI_QUEUE;
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGUSR2, &info, 0), EINVAL);
    CHECK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &info, 0) == 0);
    CHECK(servant_ask(&a, OP_CAUGHT, SIGUSR1, 0) == 2);
    close(a.to);
    CHECK(readable(fd, 2000));
    CHECK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) == 0); /* a zombie takes it */
    memset(&info, 0, sizeof(info));
    CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == a.pid);
    CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0);
    CHECK(info.si_code == CLD_EXITED && info.si_status == 0 && info.si_signo == SIGCHLD);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
    CHECK(readable(fd, 0));
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    CHECK(info_of(fd, "Pid:") == -1);
    CHECK_ERRNO(pidfd_open_(a.pid, 0), ESRCH);
    close(fd);
    close(a.from);
}

static void refusals(void)
{
    struct servant a = servant_start();
    int fd = pidfd_open_(a.pid, O_NONBLOCK), null = open("/dev/null", O_RDONLY);
    long tid = servant_ask(&a, OP_SLEEPER, 0, 0);
    siginfo_t info;
    char c;

    CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK_ERRNO(pidfd_open_(0, 0), EINVAL);
    CHECK_ERRNO(pidfd_open_(-1, 0), EINVAL);
    CHECK_ERRNO(pidfd_open_(a.pid, 1), EINVAL);
    CHECK_ERRNO(pidfd_open_(999999, 0), ESRCH);
    CHECK(pidfd_open_((pid_t)tid, 0) == -1 && (errno == EINVAL || errno == ENOENT)); /* ENOENT since 6.15 */
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)null, &info, WEXITED), EBADF);
    CHECK_ERRNO(waitid(P_PIDFD, 12345, &info, WEXITED), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, null, 0, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 65, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, null, 0, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 999, 0), EBADF);
    CHECK_ERRNO(read(fd, &c, 1), EINVAL);
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 0), ESRCH);
    close(fd);
    close(null);
}

/* A directory of proc that is a process' serves pidfd_send_signal(2), and nothing else, as its pidfd. */
static void by_directory(void)
{
    struct servant a = servant_start();
    char path[64];
    int fd, other;
    siginfo_t info;

    snprintf(path, sizeof(path), "/proc/%d", a.pid);
    fd = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    servant_ask(&a, OP_CATCH, SIGUSR1, 0);
    CHECK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) == 0);
    CHECK(servant_ask(&a, OP_CAUGHT, SIGUSR1, 0) == 1);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 0), EBADF);
    other = open(path, O_PATH);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, other, 0, NULL, 0), EBADF);
    close(other);
    other = open("/proc", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, other, 0, NULL, 0), EBADF);
    close(other);
    snprintf(path, sizeof(path), "/proc/%d/task", a.pid);
    other = open(path, O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, other, 0, NULL, 0), EBADF);
    close(other);
    snprintf(path, sizeof(path), "/proc/%d/task/%d", a.pid, a.pid);
    other = open(path, O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, other, 0, NULL, 0), EBADF);
    close(other);
    CHECK(servant_end(&a) == 0);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    close(fd);
}

static void others_files(void)
{
    struct servant a = servant_start();
    long theirs = servant_ask(&a, OP_DUPS, 0, 0);
    int fd = pidfd_open_(a.pid, 0), mine;
    struct stat st, null;

    CHECK(theirs >= 0);
    mine = (int)syscall(SYS_pidfd_getfd, fd, theirs, 0);
    CHECK(mine >= 0 && (fcntl(mine, F_GETFD) & FD_CLOEXEC));
    CHECK(fstat(mine, &st) == 0 && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev);
    CHECK(syscall(SYS_kcmp, getpid(), a.pid, KCMP_FILE, mine, theirs) == 0);
    CHECK(syscall(SYS_kcmp, getpid(), a.pid, KCMP_FILE, fd, theirs) > 0);
    CHECK_ERRNO(syscall(SYS_kcmp, getpid(), a.pid, KCMP_FILE, mine, 999), EBADF);
    CHECK(syscall(SYS_kcmp, getpid(), a.pid, KCMP_VM, 0, 0) > 0);
    CHECK(syscall(SYS_kcmp, getpid(), a.pid, KCMP_FILES, 0, 0) > 0);
    CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) == 0);
    CHECK_ERRNO(syscall(SYS_kcmp, getpid(), a.pid, 99, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_kcmp, getpid(), 999999, KCMP_VM, 0, 0), ESRCH);
    close(mine);
    close(fd);
    CHECK(servant_end(&a) == 0);
}

static char g_stack[65536] __attribute__((aligned(16)));

static int quick_child(void *arg)
{
    (void)arg;
    return 5;
}

static void made_with_the_child(void)
{
    int fd = -1;
    siginfo_t info = {0};
    pid_t pid = clone(quick_child, g_stack + sizeof(g_stack), CLONE_VM | CLONE_PIDFD | SIGCHLD, NULL, &fd);

    CHECK(pid > 0 && fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    CHECK(readable(fd, 2000));
    CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0);
    CHECK(info.si_pid == pid && info.si_status == 5);
    close(fd);
    CHECK_ERRNO(clone(quick_child, g_stack + sizeof(g_stack),
                      CLONE_VM | CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &fd), EINVAL);
    CHECK_ERRNO(clone(quick_child, g_stack + sizeof(g_stack), CLONE_VM | CLONE_PIDFD | SIGCHLD, NULL,
                      (void *)8), EFAULT);
    CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
}

static void others_memory(void)
{
    struct servant a = servant_start();
    char line[256], first[64] = {0}, second[64] = {0}, path[64];
    unsigned long at = 0;
    FILE *f;

    servant_ask(&a, SYS_getpid, 0, 0);
    snprintf(path, sizeof(path), "/proc/%d/maps", a.pid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (strstr(line, "[stack]"))
            sscanf(line, "%lx-", &at);
    }
    if (f)
        fclose(f);
    CHECK(at);
    /* The top of the stack holds the program's name and environment: find ours through the stack's end. */
    snprintf(path, sizeof(path), "/proc/%d/mem", a.pid);
    struct iovec local[2] = {{first, 10}, {second, 22}}, remote = {(void *)(at), 32};
    ssize_t n = process_vm_readv(a.pid, local, 2, &remote, 1, 0);
    int fd = open(path, O_RDONLY);
    char same[32];

    CHECK(n == 32);
    CHECK(fd >= 0 && pread(fd, same, 32, (off_t)at) == 32);
    CHECK(!memcmp(same, first, 10) && !memcmp(same + 10, second, 22));
    close(fd);
    memcpy(first, "written by another", 18);
    local[0].iov_len = 18;
    CHECK(process_vm_writev(a.pid, local, 1, &remote, 1, 0) == 18);
    memset(second, 0, sizeof(second));
    local[1].iov_len = 18;
    CHECK(process_vm_readv(a.pid, &local[1], 1, &remote, 1, 0) == 18);
    CHECK(!memcmp(second, "written by another", 18));
    struct iovec nothing = {(void *)16, 8};
    CHECK_ERRNO(process_vm_readv(a.pid, local, 1, &nothing, 1, 0), EFAULT);
    CHECK_ERRNO(process_vm_readv(a.pid, local, 1, &remote, 1, 1), EINVAL);
    CHECK_ERRNO(process_vm_readv(999999, local, 1, &remote, 1, 0), ESRCH);
    CHECK(process_vm_readv(a.pid, local, 0, &remote, 1, 0) == 0);
    CHECK(servant_end(&a) == 0);
}

int main(int argc, char **argv)
{
    SERVANT_MAIN(argc, argv);
    life();
    refusals();
    by_directory();
    others_files();
    made_with_the_child();
    others_memory();
    return guest_done();
}
