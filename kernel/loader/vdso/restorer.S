/* SPDX-License-Identifier: MIT */
/*
 * Where signal handlers return to, with unwind information that says so: every register of the
 * interrupted code stands in the ucontext that RSP points at (augmentation "S": a signal frame, whose
 * return address is exact). And the slot that the kernel fills in when it maps the image.
 */
#include <asm/unistd.h>
#include <kernel/thread_area.h>

/* Offsets in struct ucontext: uc_mcontext at 40, then struct sigcontext. */
#define UC_R8  40
#define UC_R9  48
#define UC_R10 56
#define UC_R11 64
#define UC_R12 72
#define UC_R13 80
#define UC_R14 88
#define UC_R15 96
#define UC_RDI 104
#define UC_RSI 112
#define UC_RBP 120
#define UC_RBX 128
#define UC_RDX 136
#define UC_RAX 144
#define UC_RCX 152
#define UC_RSP 160
#define UC_RIP 168

/* DWARF: an SLEB128 of two bytes; DW_OP_breg7 (RSP) plus it. */
#define SLEB2(n) ((n) & 0x7f) | 0x80, (n) >> 7
#define CFI_CFA_AT(off)      .cfi_escape 0x0f, 4, 0x77, SLEB2(off), 0x06 /* DW_OP_deref */
#define CFI_REG_AT(reg, off) .cfi_escape 0x10, reg, 3, 0x77, SLEB2(off)

        .text
        .balign 16
        .cfi_startproc simple
        .cfi_signal_frame
        CFI_CFA_AT(UC_RSP)
        CFI_REG_AT(0, UC_RAX)
        CFI_REG_AT(1, UC_RDX)
        CFI_REG_AT(2, UC_RCX)
        CFI_REG_AT(3, UC_RBX)
        CFI_REG_AT(4, UC_RSI)
        CFI_REG_AT(5, UC_RDI)
        CFI_REG_AT(6, UC_RBP)
        CFI_REG_AT(7, UC_RSP)
        CFI_REG_AT(8, UC_R8)
        CFI_REG_AT(9, UC_R9)
        CFI_REG_AT(10, UC_R10)
        CFI_REG_AT(11, UC_R11)
        CFI_REG_AT(12, UC_R12)
        CFI_REG_AT(13, UC_R13)
        CFI_REG_AT(14, UC_R14)
        CFI_REG_AT(15, UC_R15)
        CFI_REG_AT(16, UC_RIP)
        .cfi_return_column 16
        nop     /* unwinders that know no signal frames look one byte before the return address */
        .globl  __kernel_rt_sigreturn
        .type   __kernel_rt_sigreturn, @function
__kernel_rt_sigreturn:
        mov     $__NR_rt_sigreturn, %eax
        lea     1f(%rip), %rcx
        jmp     *%gs:TA_SYSCALL_ENTRY
1:      ud2
        .cfi_endproc
        .size   __kernel_rt_sigreturn, . - __kernel_rt_sigreturn

        .section .rodata, "a"
        .balign 16
        .globl  g_vdso_params
        .hidden g_vdso_params
        .type   g_vdso_params, @object
g_vdso_params:
        .quad   0, 0
        .size   g_vdso_params, . - g_vdso_params

        .section .note.GNU-stack, "", @progbits
