/* SPDX-License-Identifier: MIT */
/*
 * What the loader's unit tests share: a thread area behind GS whose syscall entry does what the
 * kernel's does (the call, RCX = return address, R11 = flags), with the host's own syscalls.
 */
#ifndef LOADER_TEST_HOSTED_H
#define LOADER_TEST_HOSTED_H

#include <stdint.h>

/* Points the calling thread's GS at the fake thread area. The host's libc does not use GS. */
void hosted_gs_install(void);

/* Calls that came through the entry so far, and the last one's number and return address. */
extern __attribute__((visibility("hidden"))) uint64_t hosted_calls, hosted_last_nr, hosted_last_rcx;
/* CPUID instructions that came through theirs. */
extern __attribute__((visibility("hidden"))) uint64_t hosted_cpuids;

#endif
