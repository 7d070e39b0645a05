/* SPDX-License-Identifier: MIT */
/*
 * The fake syscall entry: entered by `jmp *%gs:0x10`, must leave the red zone alone. SYSCALL itself
 * destroys RCX, so the return address waits in a vector register: that is each thread's own, follows
 * clone and fork, and holds nothing a C library needs across a syscall.
 */
#include <kernel/thread_area.h>

#define HOSTED_RETURN 0xf0 /* behind the thread area */

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

/* The fake CPUID entry: the instruction, with the RCX that was kept. */
        .globl  hosted_cpuid_entry
        .hidden hosted_cpuid_entry
        .type   hosted_cpuid_entry, @function
hosted_cpuid_entry:
        mov     %rcx, %gs:HOSTED_RETURN
        mov     %gs:TA_CPUID_RCX, %rcx
        cpuid
        incq    hosted_cpuids(%rip)
        jmp     *%gs:HOSTED_RETURN
        .size   hosted_cpuid_entry, . - hosted_cpuid_entry

        .bss
        .balign 8
        .globl  hosted_calls, hosted_cpuids, hosted_last_nr, hosted_last_rcx
        .hidden hosted_calls, hosted_cpuids, hosted_last_nr, hosted_last_rcx
hosted_calls:    .skip 8
hosted_cpuids:   .skip 8
hosted_last_nr:  .skip 8
hosted_last_rcx: .skip 8

        .section .note.GNU-stack, "", @progbits
