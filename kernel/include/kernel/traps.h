/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts as the target hands them to the kernel, and the entry code's landmarks.
 */
#ifndef KERNEL_TRAPS_H
#define KERNEL_TRAPS_H

#include <kernel/regs.h>

#define TRAP_DE 0u
#define TRAP_DB 1u
#define TRAP_BP 3u
#define TRAP_OF 4u
#define TRAP_BR 5u
#define TRAP_UD 6u
#define TRAP_SS 12u
#define TRAP_GP 13u
#define TRAP_PF 14u
#define TRAP_MF 16u
#define TRAP_AC 17u
#define TRAP_XM 19u
#define TRAP_NONE  256u /* an interrupt: no exception */
#define TRAP_STACK 257u /* a kernel fault whose stack pointer was not on the kernel's stack */

/* Page-fault error code bits. */
#define PF_PRESENT 1u
#define PF_WRITE   2u
#define PF_INSTR   16u

/* Linker script. */
extern const char kernel_text_start[], kernel_text_end[];

/* entry.S */
void arch_syscall_entry(void);
/* The same for CPUID: all registers but RAX to RDX, and the flags, are the program's again afterwards. */
void arch_cpuid_entry(void);
void arch_trap_user_entry(void);
void arch_trap_kernel_entry(void);
void arch_ret_to_user(void);
extern const char arch_ret_window_end[];
_Noreturn void arch_enter_user(struct regs *regs);

/* trap.c: stage two, on the kernel stack; the program's vector registers are live. */
void trap_user(struct regs *regs);
/* From arch_cpuid_entry: answers for RAX and RCX. */
void trap_cpuid(struct regs *regs);
void trap_kernel(struct regs *regs);
void trap_exit_work(struct regs *regs);

#endif
