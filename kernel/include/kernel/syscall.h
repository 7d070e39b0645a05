/* SPDX-License-Identifier: MIT */
/*
 * System calls: prototypes (generated from syscall/syscalls.tbl), dispatch, tracing. A handler takes
 * its arguments with the types of the table and returns 0 or positive, or -errno. It finds the
 * program's registers in current->regs; the ERESTART* codes of kernel/signal.h are for
 * signal_deliver().
 */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include <kernel/regs.h>
#include <kernel/signal.h>
#include <kernel/types.h>
#include <syscalls.gen.h> /* made by scripts/gen-syscalls.py */

/* From the entry code: decodes, traces, dispatches; puts the result into regs->rax. */
void syscall_dispatch(struct regs *regs);

/*
 * --strace: a list of names and %classes as strace(1) takes, each with `!` to leave it out; NULL or
 * "" for all. -EINVAL: a name is unknown (logged).
 */
int strace_enable(const char *list);

/* What --strace shows beside calls: a signal taken by the current task, the end of its process. */
void strace_signal(const siginfo_t *info);
void strace_end(int wait_status);

/*
 * Before the current task blocks: a traced call that waits for long is shown as "<unfinished ...>" and
 * later "<... resumed>", so that a program that hangs tells where. Returns when it wants to be asked
 * again (monotonic ns), UINT64_MAX for not at all.
 */
u64 strace_block(void);

/* --stats: from now on every call is counted and timed. Costs two readings of the TSC a call. */
void syscall_stats_enable(void);

/*
 * Counts of executed calls and time in them, as JSON members without the enclosing braces, for
 * --stats. The length, or -ENOSPC when `size` is too small; nothing that was counted is cut off.
 */
ssize_t syscall_stats_json(char *buf, size_t size);

/* Set when the current call came by the trap (exception) instead of a rewritten site. */
void syscall_count_trap(uintptr_t rip);

#endif
