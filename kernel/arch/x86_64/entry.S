/* SPDX-License-Identifier: MIT */
/*
 * Into the kernel and back to the program.
 *
 * A rewritten syscall site jumps here through GS with RCX holding the address to return to; a fault
 * or an interrupt arrives from the target's exception handler with struct regs already built at the
 * top of the kernel stack. There is no privilege change: IRET is illegal in an enclave, so the way
 * back is a jump through the thread area, and the instructions from the last look at task->work to
 * that jump form a window which the exception handler restarts (arch_ret_to_user, arch_ret_window_end).
 */
#include <kernel/thread_area.h>

/* Offsets in struct regs. */
#define R_R15      0x00
#define R_R14      0x08
#define R_R13      0x10
#define R_R12      0x18
#define R_RBP      0x20
#define R_RBX      0x28
#define R_R11      0x30
#define R_R10      0x38
#define R_R9       0x40
#define R_R8       0x48
#define R_RAX      0x50
#define R_RCX      0x58
#define R_RDX      0x60
#define R_RSI      0x68
#define R_RDI      0x70
#define R_ORIG_RAX 0x78
#define R_RIP      0x80
#define R_RFLAGS   0x88
#define R_RSP      0x90
#define R_SIZE     0xb0

#define TASK_WORK 0x00 /* offset of work in struct task; asserted in trap.c */

/*
 * Unwind information for debuggers: where RSP points at struct regs, the frame is a signal's, and what
 * was interrupted has its registers there.
 */
        .cfi_sections .debug_frame

/* DWARF: an SLEB128 of two bytes; DW_OP_breg7 (RSP) plus it. */
#define SLEB2(n) ((n) & 0x7f) | 0x80, (n) >> 7
#define CFI_CFA_AT(off)      .cfi_escape 0x0f, 4, 0x77, SLEB2(off), 0x06 /* DW_OP_deref */
#define CFI_REG_AT(reg, off) .cfi_escape 0x10, reg, 3, 0x77, SLEB2(off)

        .macro  CFI_REGS_AT_RSP
        .cfi_startproc simple
        .cfi_signal_frame
        CFI_CFA_AT(R_RSP)
        CFI_REG_AT(0, R_RAX)
        CFI_REG_AT(1, R_RDX)
        CFI_REG_AT(2, R_RCX)
        CFI_REG_AT(3, R_RBX)
        CFI_REG_AT(4, R_RSI)
        CFI_REG_AT(5, R_RDI)
        CFI_REG_AT(6, R_RBP)
        CFI_REG_AT(7, R_RSP)
        CFI_REG_AT(8, R_R8)
        CFI_REG_AT(9, R_R9)
        CFI_REG_AT(10, R_R10)
        CFI_REG_AT(11, R_R11)
        CFI_REG_AT(12, R_R12)
        CFI_REG_AT(13, R_R13)
        CFI_REG_AT(14, R_R14)
        CFI_REG_AT(15, R_R15)
        CFI_REG_AT(16, R_RIP)
        .cfi_return_column 16
        .endm

/* The program's or the interrupted kernel's registers, all but RIP, RFLAGS and RSP, from struct regs. */
        .macro  load_registers
        mov     R_R15(%rsp), %r15
        mov     R_R14(%rsp), %r14
        mov     R_R13(%rsp), %r13
        mov     R_R12(%rsp), %r12
        mov     R_RBP(%rsp), %rbp
        mov     R_RBX(%rsp), %rbx
        mov     R_R11(%rsp), %r11
        mov     R_R10(%rsp), %r10
        mov     R_R9(%rsp), %r9
        mov     R_R8(%rsp), %r8
        mov     R_RAX(%rsp), %rax
        mov     R_RCX(%rsp), %rcx
        mov     R_RDX(%rsp), %rdx
        mov     R_RSI(%rsp), %rsi
        mov     R_RDI(%rsp), %rdi
        .endm

        .text

/*
 * Fills struct regs at the top of the kernel stack. RCX is the return address, `saved_rcx` what the program has in it
 * afterwards; the caller's RSP is in the thread area. Destroys R11 and the flags, which stand in struct regs:
 * AC and DF, where the program had set them, are off.
 */
        .macro  enter_from_user saved_rcx
        mov     %rsp, %gs:TA_USER_RSP
        mov     %gs:TA_KSTACK, %rsp
        lea     -24(%rsp), %rsp                 /* trapno, error, addr */
        push    %gs:TA_USER_RSP
        pushfq
        push    %rcx                            /* rip */
        push    %rax                            /* orig_rax */
        push    %rdi
        push    %rsi
        push    %rdx
        push    \saved_rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        mov     R_RFLAGS-R_R11(%rsp), %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        test    $0x40400, %r11d                 /* AC or DF */
        jz      1f
        push    $2
        popfq
1:
        .endm

        .globl  arch_syscall_entry
        .hidden arch_syscall_entry
        .type   arch_syscall_entry, @function
arch_syscall_entry:
        enter_from_user %rcx
        CFI_REGS_AT_RSP
        mov     %r11, R_R11(%rsp)
        mov     %rsp, %rdi
        call    syscall_dispatch
        jmp     arch_ret_to_user
        .cfi_endproc
        .size   arch_syscall_entry, . - arch_syscall_entry

        .globl  arch_cpuid_entry
        .hidden arch_cpuid_entry
        .type   arch_cpuid_entry, @function
arch_cpuid_entry:
        enter_from_user %gs:TA_CPUID_RCX
        CFI_REGS_AT_RSP
        mov     %rsp, %rdi
        call    trap_cpuid
        jmp     arch_ret_to_user
        .cfi_endproc
        .size   arch_cpuid_entry, . - arch_cpuid_entry

/* From the exception handler's first stage: RSP = struct regs at the top of the kernel stack. */
        .globl  arch_trap_user_entry
        .hidden arch_trap_user_entry
        .type   arch_trap_user_entry, @function
arch_trap_user_entry:
        CFI_REGS_AT_RSP
        mov     %rsp, %rdi
        call    trap_user
        /* fall through */

/*
 * Back to the program. RSP = struct regs at the top of the kernel stack; nothing below it is needed.
 * From here to arch_ret_window_end an interrupt restarts the whole: the look at the work included, so
 * that no work is overlooked which comes right after it.
 */
        .globl  arch_ret_to_user
        .hidden arch_ret_to_user
arch_ret_to_user:
        mov     %gs:TA_TASK, %rax
        cmpl    $0, TASK_WORK(%rax)
        jne     9f
        mov     R_RIP(%rsp), %rax
        mov     %rax, %gs:TA_RET_RIP
        load_registers
        push    R_RFLAGS(%rsp)
        popfq
        mov     R_RSP(%rsp), %rsp
        jmp     *%gs:TA_RET_RIP
        .globl  arch_ret_window_end
        .hidden arch_ret_window_end
arch_ret_window_end:
9:      mov     %rsp, %rdi
        call    trap_exit_work
        jmp     arch_ret_to_user
        .cfi_endproc
        .size   arch_trap_user_entry, . - arch_trap_user_entry

/*
 * A fault in kernel code: RSP = struct regs below the interrupted stack. Returns to the interrupted
 * (or fixed-up) place; the kernel keeps nothing below its own RSP (no red zone).
 */
        .globl  arch_trap_kernel_entry
        .hidden arch_trap_kernel_entry
        .type   arch_trap_kernel_entry, @function
arch_trap_kernel_entry:
        CFI_REGS_AT_RSP
        mov     %rsp, %rdi
        call    trap_kernel
        mov     R_RSP(%rsp), %rax
        mov     R_RIP(%rsp), %rcx
        mov     %rcx, -8(%rax)
        mov     R_RFLAGS(%rsp), %rcx
        mov     %rcx, -16(%rax)
        load_registers
        mov     R_RSP(%rsp), %rsp
        lea     -16(%rsp), %rsp
        popfq
        ret
        .cfi_endproc
        .size   arch_trap_kernel_entry, . - arch_trap_kernel_entry

/* _Noreturn void arch_enter_user(struct regs *): the first way to the program. */
        .globl  arch_enter_user
        .hidden arch_enter_user
        .type   arch_enter_user, @function
arch_enter_user:
        mov     %rdi, %rsp
        jmp     arch_ret_to_user
        .size   arch_enter_user, . - arch_enter_user

        .section .note.GNU-stack, "", @progbits
