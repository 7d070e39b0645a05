/* SPDX-License-Identifier: MIT */
/* The fake syscall entry: entered by `jmp *%gs:0x10`, must leave the red zone alone. */
        .text
        .globl  hosted_entry
        .type   hosted_entry, @function
hosted_entry:
        incq    hosted_calls(%rip)
        mov     %rax, hosted_last_nr(%rip)
        mov     %rcx, hosted_last_rcx(%rip)
        mov     %rcx, saved_rcx(%rip)
        syscall
        mov     saved_rcx(%rip), %rcx
        jmp     *%rcx
        .size   hosted_entry, . - hosted_entry

        .bss
        .balign 8
        .globl  hosted_calls, hosted_last_nr, hosted_last_rcx
hosted_calls:    .skip 8
hosted_last_nr:  .skip 8
hosted_last_rcx: .skip 8
saved_rcx:       .skip 8

        .section .note.GNU-stack, "", @progbits
