/* SPDX-License-Identifier: MIT */
/* Handlers for the tests of dispatch and trace. */
#include "handlers.h"

#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>

struct regs *g_seen_regs;
long g_next_result;

long sys_getpid(void)
{
    g_seen_regs = current->regs;
    return 42;
}

long sys_openat(int dirfd, const char __user *path, int flags, mode_t mode)
{
    (void)dirfd, (void)path, (void)flags, (void)mode;
    return g_next_result;
}

long sys_read(int fd, void __user *buf, size_t count)
{
    static const char text[] = "some\ttext\1that is longer than thirty-two characters\n";

    (void)fd;
    return (long)copy_to_user_partial(buf, text, min(count, sizeof(text) - 1));
}

/* All six registers, in order. */
long sys_mmap(unsigned long addr, size_t size, unsigned long prot, unsigned long flags, int fd,
              unsigned long offset)
{
    return (long)(addr << 40 | size << 32 | prot << 24 | flags << 16 | (unsigned)fd << 8 | offset);
}

long sys_pause(void)
{
    return -ERESTARTNOHAND;
}

long sys_exit_group(int status)
{
    (void)status;
    return 0;
}

long sys_nanosleep(const struct __kernel_timespec __user *req, struct __kernel_timespec __user *rem)
{
    (void)req, (void)rem;
    return g_next_result;
}

long sys_rt_sigaction(int sig, const struct ksigaction __user *act, struct ksigaction __user *old,
                      size_t sigsetsize)
{
    (void)sig, (void)act, (void)old, (void)sigsetsize;
    return g_next_result;
}

long sys_fcntl(int fd, unsigned cmd, unsigned long arg)
{
    (void)fd, (void)cmd, (void)arg;
    return g_next_result;
}

long sys_writev(int fd, const struct iovec __user *vec, unsigned long count)
{
    (void)fd, (void)vec, (void)count;
    return g_next_result;
}

long sys_poll(struct pollfd __user *fds, unsigned nfds, int timeout)
{
    (void)fds, (void)nfds, (void)timeout;
    return g_next_result;
}

long sys_execve(const char __user *path, const char __user *const __user *argv,
                const char __user *const __user *envp)
{
    (void)path, (void)argv, (void)envp;
    return g_next_result;
}

long sys_prlimit64(pid_t pid, unsigned resource, const struct rlimit64 __user *new_limit,
                   struct rlimit64 __user *old_limit)
{
    (void)pid, (void)resource, (void)new_limit, (void)old_limit;
    return g_next_result;
}

long sys_brk(unsigned long addr)
{
    return (long)addr;
}

long sys_umask(mode_t mask)
{
    (void)mask;
    return 022;
}

long sys_uname(struct new_utsname __user *buf)
{
    (void)buf;
    return g_next_result;
}
