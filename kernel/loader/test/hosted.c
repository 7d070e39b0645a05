/* SPDX-License-Identifier: MIT */
/* The fake thread area. One thread only. */
#include "hosted.h"

#include <asm/prctl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kernel/thread_area.h>

void hosted_entry(void), hosted_cpuid_entry(void);

static void *g_area[32];

void hosted_gs_install(void)
{
    g_area[TA_SELF / sizeof(void *)] = g_area;
    g_area[TA_SYSCALL_ENTRY / sizeof(void *)] = (void *)hosted_entry;
    g_area[TA_CPUID_ENTRY / sizeof(void *)] = (void *)hosted_cpuid_entry;
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, g_area) != 0)
        abort();
}
