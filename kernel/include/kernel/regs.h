/* SPDX-License-Identifier: MIT */
/*
 * The program's general registers while the kernel runs on its behalf: pushed by the entry code
 * (kernel/arch/x86_64/entry.S) at the top of the thread's kernel stack. Offsets are known to it.
 */
#ifndef KERNEL_REGS_H
#define KERNEL_REGS_H

#include <kernel/types.h>

struct regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    s64 orig_rax; /* the syscall's number; -1 when entered by a fault or an interrupt */
    u64 rip, rflags, rsp;
    u64 trapno;   /* entered by a fault: its vector */
    u64 error;    /* its error code */
    u64 addr;     /* its address (page granular for #PF) */
};

_Static_assert(sizeof(struct regs) == 22 * 8, "entry.S knows this layout");

#endif
