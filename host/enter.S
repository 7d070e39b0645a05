/* SPDX-License-Identifier: MIT */
/*
 * The places where C's rules do not hold: entering the enclave, which gives back no register but RBX,
 * RBP and RSP; and system calls that a signal must be able to prevent up to the very instruction.
 */
#include <asm/errno.h>

        .text

/*
 * int host_enter(vdso_sgx_enter_enclave_t enter, unsigned long rdi, unsigned long rsi,
 *                unsigned int function, struct sgx_enclave_run *run)
 *
 * Calls `enter` and restores what an enclave need not preserve: callee-saved registers, MXCSR, the
 * x87 control word, DF and AC.
 */
        .globl  host_enter
        .hidden host_enter
        .type   host_enter, @function
host_enter:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        sub     $24, %rsp
        stmxcsr 8(%rsp)
        fnstcw  12(%rsp)
        mov     %r8, (%rsp)             /* run: the seventh argument */
        mov     %rdi, %rax
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        xor     %edx, %edx              /* function stays in ECX */
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        call    *%rax
        pushq   $2                      /* AC, DF and the rest as C wants them */
        popfq
        fninit
        fldcw   12(%rsp)
        ldmxcsr 8(%rsp)
        add     $24, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   host_enter, . - host_enter

/*
 * long host_syscall(const volatile int *notice, long number, long a, b, c, d, e, f)
 *
 * The system call, or -EINTR without making it when *notice is set. A signal handler that finds RIP in
 * [host_syscall_begin, host_syscall_end) moves it to host_syscall_abort: nothing was done yet (with
 * SA_RESTART the kernel has put RIP back on the instruction).
 */
        .globl  host_syscall
        .globl  host_syscall_begin
        .globl  host_syscall_end
        .globl  host_syscall_abort
        .hidden host_syscall
        .hidden host_syscall_begin
        .hidden host_syscall_end
        .hidden host_syscall_abort
        .type   host_syscall, @function
host_syscall:
        .cfi_startproc
        mov     %rdi, %r11
        mov     %rsi, %rax
        mov     %rdx, %rdi
        mov     %rcx, %rsi
        mov     %r8, %rdx
        mov     %r9, %r10
        mov     8(%rsp), %r8
        mov     16(%rsp), %r9
host_syscall_begin:
        cmpl    $0, (%r11)
        jne     host_syscall_abort
        syscall
host_syscall_end:
        ret
host_syscall_abort:
        mov     $-EINTR, %rax
        ret
        .cfi_endproc
        .size   host_syscall, . - host_syscall

/* host_vdso_enter(...): the vDSO's function, found at run time. */
        .globl  host_vdso_enter
        .hidden host_vdso_enter
        .type   host_vdso_enter, @function
host_vdso_enter:
        jmp     *host_vdso_entry(%rip)
        .size   host_vdso_enter, . - host_vdso_enter

        .bss
        .balign 8
        .globl  host_vdso_entry
        .hidden host_vdso_entry
        .type   host_vdso_entry, @object
host_vdso_entry:
        .quad   0
        .size   host_vdso_entry, 8

        .section .note.GNU-stack, "", @progbits
