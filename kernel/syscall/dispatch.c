/* SPDX-License-Identifier: MIT */
/*
 * From the entry code to a call's handler. The plain path is one test, one bounds check and one
 * indirect call; tracing and statistics share the test. Results in the ERESTART range stay in RAX
 * for signal_deliver().
 *
 * Locking: none held; the handlers take their own. g_syscall_hooks is written at boot.
 */
#include <kernel/printk.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <syscalls.gen.h>

#include "syscall_internal.h"

u32 g_syscall_hooks;

/* Numbers that were reported: those of the table, then a hash of all others. */
#define STRANGE_COUNT 512u
static u64 g_reported[(SYSCALL_COUNT + STRANGE_COUNT + 63) / 64]; /* atomic bits */

/* `nr`, or 0 when a mispredicted branch let one through that is too large. */
static inline u32 clamp_index(u32 nr)
{
    u32 mask;

    __asm__("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(nr), "i"(SYSCALL_COUNT) : "cc");
    return nr & mask;
}

static inline syscall_fn handler_of(const struct regs *r)
{
    u32 nr = (u32)r->orig_rax;

    return likely(nr < SYSCALL_COUNT) ? g_syscall_table[clamp_index(nr)] : syscall_unserved;
}

unsigned syscall_number(const struct regs *r)
{
    return min((u32)r->orig_rax, SYSCALL_COUNT);
}

static bool first_report(u32 nr)
{
    u32 bit = nr < SYSCALL_COUNT ? nr : SYSCALL_COUNT + nr % STRANGE_COUNT;
    u64 mask = 1UL << bit % 64;

    return !(__atomic_fetch_or(&g_reported[bit / 64], mask, __ATOMIC_RELAXED) & mask);
}

long syscall_unserved(const struct regs *r)
{
    u32 nr = (u32)r->orig_rax;
    const struct syscall_desc *desc = nr < SYSCALL_COUNT ? &g_syscall_descs[clamp_index(nr)] : NULL;
    int error = desc && desc->error ? desc->error : ENOSYS;

    if (g_log_level >= LOG_DEBUG && first_report(nr))
        pr_debug("system call %d (%s) is not served: %s", (int)nr,
                 desc && desc->name ? desc->name : "unknown", errno_name(error));
    return -error;
}

static __attribute__((noinline)) void dispatch_hooked(struct regs *regs)
{
    struct trace trace;
    unsigned nr = syscall_number(regs);
    u64 start = 0;
    long result;

    trace.desc = NULL;
    if (g_syscall_hooks & HOOK_STRACE)
        strace_enter(&trace, regs);
    if (g_syscall_hooks & HOOK_STATS)
        start = time_monotonic();
    result = handler_of(regs)(regs);
    regs->rax = (u64)result;
    if (g_syscall_hooks & HOOK_STATS)
        stats_count(nr, time_monotonic() - start);
    if (trace.desc)
        strace_exit(&trace, result);
}

void syscall_dispatch(struct regs *regs)
{
    current->regs = regs;
    if (unlikely(g_syscall_hooks)) {
        dispatch_hooked(regs);
        return;
    }
    regs->rax = (u64)handler_of(regs)(regs);
}
