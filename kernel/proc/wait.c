/* SPDX-License-Identifier: MIT */
/* wait4(2), waitid(2): checked as Linux checks them; there are no children yet to wait for. */
#include <kernel/syscall.h>
#include <linux/wait.h>
#include "internal.h"
#include <syscalls.gen.h>

#define WAIT4_OPTIONS  (WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)
#define WAITID_OPTIONS (WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)

long sys_wait4(pid_t pid, int __user *status, int options, struct rusage __user *usage)
{
    if ((u32)options & ~(u32)WAIT4_OPTIONS)
        return -EINVAL;
    return pid == INT32_MIN ? -ESRCH : -ECHILD;
}

long sys_waitid(int which, pid_t pid, siginfo_t __user *info, int options,
                struct rusage __user *usage)
{
    if (((u32)options & ~(u32)WAITID_OPTIONS) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    switch (which) {
    case P_ALL:
        return -ECHILD;
    case P_PID:
        return pid <= 0 ? -EINVAL : -ECHILD;
    case P_PGID:
        return pid < 0 ? -EINVAL : -ECHILD;
    case P_PIDFD:
        return pid < 0 ? -EINVAL : -EBADF; /* nothing makes pidfds yet */
    }
    return -EINVAL;
}
