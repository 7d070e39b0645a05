/* SPDX-License-Identifier: MIT */
/*
 * The fake syscall entry: entered by `jmp *%gs:0x10`, must leave the red zone alone. SYSCALL itself
 * destroys RCX, so the return address waits in a vector register: that is each thread's own, follows
 * clone and fork, and holds nothing a C library needs across a syscall.
 */
        .text
        .globl  hosted_entry
        .hidden hosted_entry
        .type   hosted_entry, @function
hosted_entry:
        incq    hosted_calls(%rip)
        mov     %rax, hosted_last_nr(%rip)
        mov     %rcx, hosted_last_rcx(%rip)
        movq    %rcx, %xmm15
        syscall
        movq    %xmm15, %rcx
        jmp     *%rcx
        .size   hosted_entry, . - hosted_entry

        .bss
        .balign 8
        .globl  hosted_calls, hosted_last_nr, hosted_last_rcx
        .hidden hosted_calls, hosted_last_nr, hosted_last_rcx
hosted_calls:    .skip 8
hosted_last_nr:  .skip 8
hosted_last_rcx: .skip 8

        .section .note.GNU-stack, "", @progbits
