/* SPDX-License-Identifier: MIT */
/*
 * System calls: prototypes (generated from syscall/syscalls.tbl), dispatch, tracing. A handler takes
 * its arguments with the types of the table and returns 0 or positive, or -errno.
 */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include <kernel/regs.h>
#include <kernel/types.h>

/* From the entry code: decodes, traces, dispatches; puts the result into regs->rax. */
void syscall_dispatch(struct regs *regs);

/* --strace: a list of names and %classes as strace(1) takes, NULL or "" for all. -EINVAL: unknown. */
int strace_enable(const char *list);

/* Counts of executed calls and time in them, as JSON members, for --stats. */
ssize_t syscall_stats_json(char *buf, size_t size);

/* Set when the current call came by the trap (exception) instead of a rewritten site. */
void syscall_count_trap(uintptr_t rip);

#endif
