/* SPDX-License-Identifier: MIT */
/*
 * Core files: core(5). Written inside, at the path that CoreDump of the manifest gives; without it none are.
 */
#ifndef KERNEL_CORE_H
#define KERNEL_CORE_H

#include <kernel/signal.h>

#define CORE_FILTER_DEFAULT 0x33u /* anonymous memory, private and shared; ELF headers; huge pages */
#define CORE_FILTER_ALL     0x1ffu

/* The pattern of core files' names; "": none are written. */
const char *core_pattern(void);

/*
 * The current process is about to die by the signal: ends its other threads, and writes its core file where it
 * may have one. 0x80, the bit in its status that says so, or 0. No lock may be held. All that fails only means
 * that the file is not there, or is incomplete, as on Linux.
 */
int core_dump(const siginfo_t *info);

#endif
