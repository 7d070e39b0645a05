/* SPDX-License-Identifier: MIT */
/* What dispatch, the trace and the statistics share. */
#ifndef KERNEL_SYSCALL_INTERNAL_H
#define KERNEL_SYSCALL_INTERNAL_H

#include <kernel/signal.h>

#include "syscall_desc.h"

/* What dispatch does besides calling the handler; 0 in a plain run. Bits are only ever set. */
#define HOOK_STRACE 1u
#define HOOK_STATS  2u
extern u32 g_syscall_hooks;

/* The number in orig_rax as Linux reads it: the low 32 bits. SYSCALL_COUNT for what is no call. */
unsigned syscall_number(const struct regs *r);

/* The arguments in order. */
static inline void syscall_args(const struct regs *r, u64 args[6])
{
    args[0] = r->rdi;
    args[1] = r->rsi;
    args[2] = r->rdx;
    args[3] = r->r10;
    args[4] = r->r8;
    args[5] = r->r9;
}

/* stats.c */
void stats_count(unsigned nr, u64 ns);

/* A line of text under construction; what does not fit is dropped and marked. */
#define TRACE_LINE_SIZE 1536u
struct trace_line {
    size_t size;
    char text[TRACE_LINE_SIZE];
};

void trace_puts(struct trace_line *l, const char *s);
void trace_printf(struct trace_line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* strace.c: one call's trace, from entry to exit, on the kernel stack. */
struct trace {
    unsigned nr;
    const struct syscall_desc *desc; /* NULL: not traced */
    u64 args[6];
    unsigned next; /* the first argument that is not printed yet */
    u64 blocked;   /* when it first blocked, monotonic ns; 0: not yet */
    bool told;     /* as unfinished */
    struct trace_line line;
};
void strace_enter(struct trace *t, const struct regs *r);
void strace_exit(struct trace *t, long result);
/* From now on calls are traced. */
void strace_start(void);

/* strace_filter.c */
bool strace_wants(unsigned nr);

/* strace_value.c: prints one argument. `result`: bytes that an out buffer holds. */
struct trace_call {
    const struct syscall_desc *desc;
    const u64 *args;
    long result;
};
void trace_arg(struct trace_line *l, const struct trace_call *call, const struct arg_desc *a,
               u64 value);
void trace_signal(struct trace_line *l, const siginfo_t *info);
void trace_signal_name(struct trace_line *l, int sig);
/* A variant argument's own type; any other argument's as it stands. */
struct arg_desc trace_resolve(const struct trace_call *call, const struct arg_desc *a);

#endif
