/* SPDX-License-Identifier: MIT */
/*
 * Fills struct boot_info. The root image is mapped shared and read-only: its pages are the page
 * cache's, so a large image costs nothing until a block is read, and the enclave checks each block.
 */
#include "boot.h"
#include <cpuid.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>
#include "internal.h"
#include "layout.h"

#define CALIBRATION_NS 1000000U /* at least this long for the TSC's rate */

static size_t strings_size(char *const *strings, uint64_t *count)
{
    size_t size = 0;

    *count = 0;
    for (; strings && *strings; strings++, (*count)++)
        size += strlen(*strings) + 1;
    return size;
}

/* One after the other, NUL-terminated, in memory of their own. */
static int copy_strings(char *const *strings, uint64_t *base, uint64_t *size, uint64_t *count)
{
    char *to;

    *size = strings_size(strings, count);
    if (*size == 0)
        return 0;
    to = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (to == MAP_FAILED)
        return -errno;
    *base = (uintptr_t)to;
    for (; *strings; strings++)
        to = stpcpy(to, *strings) + 1;
    return 0;
}

static int map_rootfs(struct host_process *process)
{
    const struct host_run *run = process->run;
    void *base;

    if (run->rootfs_fd < 0 || run->rootfs_size == 0)
        return 0;
    base = mmap(NULL, run->rootfs_size, PROT_READ, MAP_SHARED, run->rootfs_fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    process->boot.rootfs_base = (uintptr_t)base;
    process->boot.rootfs_size = run->rootfs_size;
    return 0;
}

/* The rate as CPUID tells it, in kHz; 0 if it does not. */
static uint64_t cpuid_tsc_khz(void)
{
    uint32_t denominator = 0, numerator = 0, crystal = 0, unused = 0;

    if (__get_cpuid_max(0, NULL) < 0x15)
        return 0;
    __cpuid_count(0x15, 0, denominator, numerator, crystal, unused);
    if (!denominator || !numerator || !crystal)
        return 0;
    return (uint64_t)crystal * numerator / denominator / 1000;
}

/* TSC and CLOCK_MONOTONIC of one moment: the closest of a few tries. */
static void read_pair(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 5; i++) {
        uint64_t before = __rdtsc();
        uint64_t now = host_now_ns(CLOCK_MONOTONIC);
        uint64_t after = __rdtsc();

        if (after - before >= best)
            continue;
        best = after - before;
        *tsc = before + (after - before) / 2;
        *ns = now;
    }
}

int boot_prepare(struct host_process *process)
{
    struct boot_info *boot = &process->boot;
    cpu_set_t cpus;
    int ret;

    boot->magic = BOOT_INFO_MAGIC;
    boot->size = sizeof(*boot);
    boot->cpu_count = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    boot->ignored_signals = signals_ignored(process);
    boot->tsc_khz = cpuid_tsc_khz();
    read_pair(&boot->tsc, &boot->monotonic_ns);
    ret = map_rootfs(process);
    if (ret == 0)
        ret = copy_strings(process->run->host_args, &boot->args_base, &boot->args_size,
                           &boot->args_count);
    if (ret == 0)
        ret = copy_strings(process->run->host_env, &boot->env_base, &boot->env_size,
                           &boot->env_count);
    if (ret < 0)
        host_error("cannot map the root file system: %s", strerror(-ret));
    return ret;
}

void boot_set_times(struct host_process *process)
{
    struct boot_info *boot = &process->boot;
    uint64_t tsc = boot->tsc;
    uint64_t ns = boot->monotonic_ns;

    while (!boot->tsc_khz && host_now_ns(CLOCK_MONOTONIC) - ns < CALIBRATION_NS)
        ;
    read_pair(&boot->tsc, &boot->monotonic_ns);
    boot->realtime_ns = host_now_ns(CLOCK_REALTIME);
    if (!boot->tsc_khz && boot->monotonic_ns > ns)
        boot->tsc_khz = (uint64_t)((__uint128_t)(boot->tsc - tsc) * 1000000U /
                                   (boot->monotonic_ns - ns));
    for (int i = 0; i < PHASE_COUNT; i++)
        boot->start_ns[i] = process->phase_ns[i];
}

void boot_free(struct host_process *process)
{
    struct boot_info *boot = &process->boot;

    if (boot->rootfs_base)
        (void)munmap((void *)boot->rootfs_base, boot->rootfs_size);
    if (boot->args_base)
        (void)munmap((void *)boot->args_base, boot->args_size);
    if (boot->env_base)
        (void)munmap((void *)boot->env_base, boot->env_size);
}
