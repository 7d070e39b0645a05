/* SPDX-License-Identifier: MIT */
/*
 * prctl(2), arch_prctl(2), personality(2). What is not listed is -EINVAL, as on a Linux that was built
 * without it: seccomp (nothing to filter against), PR_SET_MM, speculation control, and so on.
 */
#include <kernel/arch.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/uaccess.h>
#include <asm/prctl.h>
#include <layout.h>
#include <linux/prctl.h>
#include "caps.h"
#include <syscalls.gen.h>

#define TIMER_SLACK_DEFAULT_NS 50000UL
#define XFEATURE_XTILEDATA 18 /* AMX: the one state that a program has to ask for */

/* ---- Names and attributes -------------------------------------------------------------------------------- */

static long set_name(unsigned long arg)
{
    struct task *t = current;
    char name[COMM_SIZE] = {0};
    ssize_t n = strncpy_from_user(name, (const char __user *)arg, COMM_SIZE - 1);

    if (n < 0 && n != -ENAMETOOLONG)
        return n;
    name[COMM_SIZE - 1] = 0;
    spin_lock(&t->group->lock);
    memcpy(t->comm, name, COMM_SIZE);
    spin_unlock(&t->group->lock);
    return 0;
}

static long set_dumpable(unsigned long arg)
{
    if (arg > 1)
        return -EINVAL;
    current->group->dumpable = (int)arg;
    return 0;
}

static long set_pdeath_signal(unsigned long arg)
{
    if (arg > NSIG_K)
        return -EINVAL;
    current->pdeath_signal = (int)arg;
    return 0;
}

static long set_keep_caps(unsigned long arg)
{
    if (arg > 1)
        return -EINVAL;
    current->keep_caps = arg;
    return 0;
}

static long set_no_new_privs(unsigned long arg2, bool rest)
{
    if (arg2 != 1 || rest)
        return -EINVAL;
    current->no_new_privs = true;
    return 0;
}

static long put_int(int value, unsigned long arg)
{
    return copy_to_user((void __user *)arg, &value, sizeof(value));
}

/* RDTSC cannot be taken away from a program inside. */
static long set_tsc(unsigned long arg)
{
    return arg == PR_TSC_ENABLE ? 0 : -EINVAL;
}

static long set_subreaper(unsigned long arg)
{
    WRITE_ONCE(current->group->child_subreaper, arg != 0);
    return 0;
}

static long set_timer_slack(unsigned long arg)
{
    current->timer_slack_ns = (long)arg > 0 ? arg : TIMER_SLACK_DEFAULT_NS;
    return 0;
}

static long prctl_caps(int option, unsigned long arg2, unsigned long arg3, bool rest)
{
    switch (option) {
    case PR_SET_KEEPCAPS:
        return set_keep_caps(arg2);
    case PR_GET_KEEPCAPS:
        return current->keep_caps;
    case PR_SET_SECUREBITS:
        return caps_set_securebits(arg2);
    case PR_GET_SECUREBITS:
        return current_cred()->securebits;
    case PR_CAPBSET_READ:
        return caps_bounding_read(arg2);
    case PR_CAPBSET_DROP:
        return caps_bounding_drop(arg2);
    case PR_CAP_AMBIENT:
        return rest ? -EINVAL : caps_ambient(arg2, arg3);
    }
    return -EINVAL;
}

long sys_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
               unsigned long arg5)
{
    struct task *t = current;

    switch (option) {
    case PR_SET_NAME:
        return set_name(arg2);
    case PR_GET_NAME:
        return copy_to_user((void __user *)arg2, t->comm, COMM_SIZE);
    case PR_SET_DUMPABLE:
        return set_dumpable(arg2);
    case PR_GET_DUMPABLE:
        return t->group->dumpable;
    case PR_SET_NO_NEW_PRIVS:
        return set_no_new_privs(arg2, arg3 || arg4 || arg5);
    case PR_GET_NO_NEW_PRIVS:
        return arg2 || arg3 || arg4 || arg5 ? -EINVAL : t->no_new_privs;
    case PR_SET_PDEATHSIG:
        return set_pdeath_signal(arg2);
    case PR_GET_PDEATHSIG:
        return put_int(t->pdeath_signal, arg2);
    case PR_SET_TIMERSLACK:
        return set_timer_slack(arg2);
    case PR_GET_TIMERSLACK:
        return (long)t->timer_slack_ns;
    case PR_SET_CHILD_SUBREAPER:
        return set_subreaper(arg2);
    case PR_GET_CHILD_SUBREAPER:
        return put_int(READ_ONCE(t->group->child_subreaper), arg2);
    case PR_GET_TSC:
        return put_int(PR_TSC_ENABLE, arg2);
    case PR_SET_TSC:
        return set_tsc(arg2);
    case PR_GET_TIMING:
        return PR_TIMING_STATISTICAL;
    case PR_SET_TIMING:
        return arg2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
    case PR_SET_VMA:
        if (arg2 != PR_SET_VMA_ANON_NAME)
            return -EINVAL;
        return mm_set_anon_name(t->mm, arg3, arg4, (const char __user *)arg5);
    case PR_GET_TID_ADDRESS:
        return put_user(t->clear_child_tid, (void *__user *)arg2);
    }
    return prctl_caps(option, arg2, arg3, arg4 || arg5);
}

/* ---- arch_prctl(2) ------------------------------------------------------------------------------------------ */

static long set_fs(unsigned long addr)
{
    if (addr >= UNTRUSTED_END)
        return -EPERM;
    arch_set_fs_base(addr);
    current->fs_base = addr;
    return 0;
}

/*
 * GS belongs to the kernel, whose entry goes through it: setting it is refused (no libc for x86-64
 * sets it), and reading tells what a program sees that never set it.
 */
long sys_arch_prctl(int option, unsigned long addr)
{
    u64 fs = arch_get_fs_base(), zero = 0, xfrm = target_xfrm();

    switch (option) {
    case ARCH_SET_FS:
        return set_fs(addr);
    case ARCH_GET_FS:
        return copy_to_user((void __user *)addr, &fs, sizeof(fs));
    case ARCH_SET_GS:
        return -EPERM;
    case ARCH_GET_GS:
        return copy_to_user((void __user *)addr, &zero, sizeof(zero));
    case ARCH_GET_CPUID:
        return 1; /* CPUID works: it is emulated */
    case ARCH_SET_CPUID:
        return -ENODEV;
    case ARCH_GET_XCOMP_SUPP:
    case ARCH_GET_XCOMP_PERM:
        return copy_to_user((void __user *)addr, &xfrm, sizeof(xfrm));
    case ARCH_REQ_XCOMP_PERM:
        return addr == XFEATURE_XTILEDATA && (xfrm >> XFEATURE_XTILEDATA & 1) ? 0 : -EOPNOTSUPP;
    }
    return -EINVAL;
}

/* 0xffffffff only asks. Execution domains other than Linux's have no effect. */
long sys_personality(unsigned persona)
{
    struct group *g = current->group;
    unsigned old;

    spin_lock(&g->lock);
    old = g->personality;
    if (persona != 0xffffffffu)
        g->personality = persona;
    spin_unlock(&g->lock);
    return old;
}
