/* SPDX-License-Identifier: MIT */
/* What the test handlers saw and shall answer. */
#ifndef SYSCALL_TEST_HANDLERS_H
#define SYSCALL_TEST_HANDLERS_H

#include <kernel/regs.h>

extern struct regs *g_seen_regs; /* current->regs inside getpid */
extern long g_next_result;       /* what most handlers return */

/* Makes a call as the entry code does; what is left in RAX. */
static inline long call(long nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    void syscall_dispatch(struct regs * regs);
    struct regs r = {
        .orig_rax = nr, .rax = (u64)nr, .rdi = a, .rsi = b, .rdx = c, .r10 = d, .r8 = e, .r9 = f};

    syscall_dispatch(&r);
    return (long)r.rax;
}

#endif
