/* SPDX-License-Identifier: MIT */
/*
 * What the simulator needs of this machine, tried rather than assumed; one line for what is missing.
 */
#include "internal.h"

#include <errno.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF          0
#define PR_SYS_DISPATCH_ON           1
#endif

#define ARCH_GET_CPUID   0x1011
#define ARCH_SET_CPUID   0x1012
#define HWCAP2_FSGSBASE_ (1UL << 1)

static bool g_disabled[SIM_FEATURE_COUNT];

void sim_test_disable(enum sim_feature feature, int disabled)
{
    g_disabled[feature] = disabled != 0;
}

bool sim_feature_disabled(enum sim_feature feature)
{
    return g_disabled[feature];
}

static bool has_fsgsbase(void)
{
    return (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_) != 0;
}

/*
 * A range at the top of the lower half that excludes nothing in use; undone at once. A thread that
 * already runs under user dispatch shows by itself that it works.
 */
static bool has_user_dispatch(void)
{
    if (sim_self != NULL) {
        return true;
    }
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, SIM_LOW_LIMIT,
              SIM_TASK_END - SIM_LOW_LIMIT, 0) != 0) {
        return false;
    }
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0;
}

static bool has_cpuid_fault(void)
{
    long now = syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0);

    if (now < 0 || sim_self != NULL) {
        return now >= 0;
    }
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) {
        return false;
    }
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1) == 0;
}

static bool has_xsave(void)
{
    return sim_self != NULL || sim_xsave_probe() == 0;
}

static bool has_low_memory(void)
{
    void *p = mmap((void *)SIM_LOW_LIMIT, SIM_PAGE_SIZE, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (p == MAP_FAILED) {
        return errno == EEXIST;
    }
    munmap(p, SIM_PAGE_SIZE);
    return p == (void *)SIM_LOW_LIMIT;
}

static const struct {
    enum sim_feature feature;
    bool (*present)(void);
    const char *missing;
} g_needs[] = {
    {SIM_FEATURE_FSGSBASE, has_fsgsbase,
     "the simulator needs the FSGSBASE instructions (Linux 5.9 or later on a CPU that has them, "
     "without nofsgsbase)"},
    {SIM_FEATURE_USER_DISPATCH, has_user_dispatch,
     "the simulator needs Syscall User Dispatch (Linux 5.11 or later; a container's seccomp filter "
     "must allow prctl(PR_SET_SYSCALL_USER_DISPATCH))"},
    {SIM_FEATURE_CPUID_FAULT, has_cpuid_fault,
     "the simulator needs CPUID faulting (an Intel CPU, or an AMD one with Linux 6.17 or later; a "
     "virtual machine must pass it through)"},
    {SIM_FEATURE_XSAVE, has_xsave,
     "the simulator needs XSAVE with an area of at most 11 KiB"},
    {SIM_FEATURE_LOW_MEMORY, has_low_memory,
     "the simulator needs memory from 64 KiB on (set sysctl vm.mmap_min_addr to 65536 or less)"},
};

int sim_probe(char *why, size_t why_size)
{
    for (size_t i = 0; i < sizeof(g_needs) / sizeof(g_needs[0]); i++) {
        if (g_disabled[g_needs[i].feature] || !g_needs[i].present()) {
            snprintf(why, why_size, "%s", g_needs[i].missing);
            return -ENODEV;
        }
    }
    return 0;
}
