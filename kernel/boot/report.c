/* SPDX-License-Identifier: MIT */
/*
 * --stats: the kernel's counters as JSON members, handed to the host in parts when the first process
 * ends. The host adds what it counted itself and makes one report of it.
 */
#include <kernel/alloc.h>
#include <kernel/boot.h>
#include <kernel/loader.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/thread_area.h>

#define REPORT_SIZE 65536u

static void report_memory(char *buf, size_t size)
{
    struct mm_stats m;

    mm_stats(&m);
    snprintf(buf, size,
             "\"memory\":{\"limit_pages\":%lu,\"used_pages\":%lu,\"peak_pages\":%lu,"
             "\"kernel_pages\":%lu,\"free_pages\":%lu,\"faults\":%lu,\"commits\":%lu},",
             m.limit_pages, m.used_pages, m.used_peak, m.kernel_pages, m.free_pages, m.faults,
             m.commits);
    target_stats(buf, strlen(buf));
}

static void report_phases(char *buf, size_t size)
{
    u64 ns[PHASE_COUNT];

    boot_phases_ns(ns);
    snprintf(buf, size,
             "\"boot_ns\":{\"memory\":%lu,\"files\":%lu,\"exec\":%lu},\"sites_rewritten\":%lu,"
             "\"interrupts\":%lu,",
             ns[PHASE_MEMORY], ns[PHASE_FILES], ns[PHASE_USER], rewrite_count(),
             target_interrupts());
    target_stats(buf, strlen(buf));
}

void kernel_report(void)
{
    char *buf;
    ssize_t n;

    if (!manifest_flag(MANIFEST_STATS))
        return;
    buf = kmalloc(REPORT_SIZE);
    if (!buf)
        return;
    report_memory(buf, REPORT_SIZE);
    report_phases(buf, REPORT_SIZE);
    n = syscall_stats_json(buf, REPORT_SIZE);
    if (n > 0)
        target_stats(buf, (size_t)n);
    kfree(buf);
}
