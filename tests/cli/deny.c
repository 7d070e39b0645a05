/* SPDX-License-Identifier: MIT */
/*
 * deny WHAT COMMAND...: runs the command as if this machine's kernel lacked something, by a seccomp
 * filter. WHAT: dispatch (prctl PR_SET_SYSCALL_USER_DISPATCH), pkeys (pkey_alloc), cpuid
 * (arch_prctl ARCH_SET_CPUID).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define ANY_ARGUMENT   0xffffffffU

static int deny(unsigned nr, unsigned argument, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument, 0, argument == ANY_ARGUMENT ? 0 : 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    int ret = -1;

    if (argc < 3)
        return 2;
    if (strcmp(argv[1], "dispatch") == 0)
        ret = deny(SYS_prctl, 59 /* PR_SET_SYSCALL_USER_DISPATCH */, EINVAL);
    else if (strcmp(argv[1], "pkeys") == 0)
        ret = deny(SYS_pkey_alloc, ANY_ARGUMENT, ENOSPC);
    else if (strcmp(argv[1], "cpuid") == 0)
        ret = deny(SYS_arch_prctl, ARCH_SET_CPUID, ENODEV);
    if (ret < 0) {
        perror("deny");
        return 2;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 2;
}
