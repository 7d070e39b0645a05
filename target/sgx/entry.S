/* SPDX-License-Identifier: MIT */
/*
 * EENTER lands here; EEXIT leaves from here.
 *
 * At entry the host chose every register but RIP, RAX (CSSA), RBX (TCS), RCX (return address), FS and
 * GS. Nothing of it is used before the stack is ours, DF and AC are clear, and speculation is fenced.
 *
 * CSSA 0: the enclave's or the thread's first entry (RDI, RSI: boot_info, host_thread) or the return of a
 *         host call, decided by TA_STATE alone; any other entry stops the enclave.
 * CSSA 1: stage one of the exception handler, on its own stack, without vector registers; it only
 *         rewrites the interrupted SSA frame and leaves with EXIT_RESUME.
 */
#include <kernel/thread_area.h>

#define EXIT_HOSTCALL 1
#define EXIT_RESUME   2
#define LEAF_EEXIT    4

        .text
        .globl  _start
        .hidden _start
        .type   _start, @function
_start:
        lfence
        cld
        cmp     $0, %rax
        jne     entry_exception

        /* The base is not measured: refuse to run anywhere but where this was linked to. */
        lea     _start(%rip), %rax
        movabs  $_start, %r10
        cmp     %r10, %rax
        jne     entry_refuse

        mov     %gs:TA_STATE, %rax
        cmp     $TS_HOSTCALL, %rax
        je      entry_return
        cmp     $TS_NEW, %rax
        je      entry_thread
        cmp     $TS_FRESH, %rax
        jne     entry_refuse

        movq    $TS_INSIDE, %gs:TA_STATE
        mov     %rsp, %gs:TA_HOST_RSP
        mov     %rbp, %gs:TA_HOST_RBP
        mov     %rcx, %gs:TA_HOST_RETURN
        lea     boot_kstack_top(%rip), %rax     /* the image builder's: first thread's stack */
        mov     (%rax), %rsp
        sub     $512, %rsp                      /* the program's struct regs will stand there */
        push    $2
        popfq
        xor     %ebp, %ebp
        lea     xstate_init(%rip), %r10
        mov     $-1, %eax
        mov     %eax, %edx
        push    %rdi
        push    %rsi
        fninit
        ldmxcsr 24(%r10)                        /* the rest of the vector state: sgx_boot resets it */
        pop     %rsi
        pop     %rdi
        mov     %rbx, %rdx
        call    sgx_boot
        ud2

/* The first entry of a thread that the kernel made. */
entry_thread:
        movq    $TS_INSIDE, %gs:TA_STATE
        mov     %rsp, %gs:TA_HOST_RSP
        mov     %rbp, %gs:TA_HOST_RBP
        mov     %rcx, %gs:TA_HOST_RETURN
        mov     %gs:TA_KSTACK, %rsp
        sub     $512, %rsp
        push    $2
        popfq
        xor     %ebp, %ebp
        lea     xstate_init(%rip), %rcx
        mov     %gs:TA_XFRM, %eax
        mov     %gs:TA_XFRM+4, %edx
        xrstor64 (%rcx)
        mov     %rsi, %rdi
        call    sgx_thread_main
        ud2

/* _Noreturn void sgx_thread_restart(void) */
        .globl  sgx_thread_restart
        .hidden sgx_thread_restart
sgx_thread_restart:
        mov     %gs:TA_KSTACK, %rsp
        sub     $512, %rsp
        xor     %ebp, %ebp
        call    sgx_thread_idle
        ud2

/* Back from a host call: give the kernel its stack, its vector state and the program's FS. */
entry_return:
        mov     %rsp, %gs:TA_HOST_RSP
        mov     %rbp, %gs:TA_HOST_RBP
        mov     %rcx, %gs:TA_HOST_RETURN
        mov     %gs:TA_HOSTCALL_RSP, %rsp
        push    $2
        popfq
        mov     %gs:TA_SAVED_FS, %rax
        wrfsbase %rax
        mov     %gs:TA_XSAVE, %rcx
        mov     %gs:TA_XFRM, %eax
        mov     %gs:TA_XFRM+4, %edx
        xrstor64 (%rcx)
        movq    $TS_INSIDE, %gs:TA_STATE
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/*
 * void sgx_exit_hostcall(void): leaves for a host call already written to the host thread's block and
 * returns when the host entered again. All vector state is saved and cleared, so that neither side
 * sees the other's.
 */
        .globl  sgx_exit_hostcall
        .hidden sgx_exit_hostcall
        .type   sgx_exit_hostcall, @function
sgx_exit_hostcall:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, %gs:TA_HOSTCALL_RSP
        rdfsbase %rax
        mov     %rax, %gs:TA_SAVED_FS
        mov     %gs:TA_XSAVE, %rcx
        mov     %gs:TA_XFRM, %eax
        mov     %gs:TA_XFRM+4, %edx
        xsave64 (%rcx)
        lea     xstate_init(%rip), %rcx
        xrstor64 (%rcx)
        movq    $TS_HOSTCALL, %gs:TA_STATE
        mov     $EXIT_HOSTCALL, %edi
        mov     %gs:TA_HOST_RETURN, %rbx
        mov     %gs:TA_HOST_RBP, %rbp
        mov     %gs:TA_HOST_RSP, %r10
        jmp     leave_enclave
        .size   sgx_exit_hostcall, . - sgx_exit_hostcall

/* RDI = EXIT_*, RBX = return address, RBP and R10 = the host's RBP and RSP. Clears the rest. */
leave_enclave:
        xor     %ecx, %ecx
        xor     %edx, %edx
        xor     %esi, %esi
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        xor     %r11d, %r11d
        xor     %r12d, %r12d
        xor     %r13d, %r13d
        xor     %r14d, %r14d
        xor     %r15d, %r15d
        mov     %r10, %rsp
        mov     $0, %r10d
        mov     $LEAF_EEXIT, %eax
        /* The stub is jumped to, not called: RSP is the host's now and must not be written to. */
        jmp     enclu

/* An entry that no honest host makes: leave with EXIT code 0, which is none. */
entry_refuse:
        xor     %edi, %edi
        mov     %rcx, %rbx
        mov     %rsp, %r10
        jmp     leave_enclave

/* CSSA >= 1. */
entry_exception:
        cmp     $1, %rax
        jne     entry_refuse
        mov     %rsp, %r10
        mov     %gs:TA_ESTACK, %rsp
        test    %rsp, %rsp
        jz      entry_refuse_exception
        push    $2
        popfq
        push    %r10
        push    %rbp
        push    %rcx
        xor     %ebp, %ebp
        sub     $8, %rsp
        mov     %gs:TA_SELF, %rdi
        call    sgx_exception_stage1
        add     $8, %rsp
        pop     %rbx
        pop     %rbp
        pop     %r10
        mov     $EXIT_RESUME, %edi
        jmp     leave_enclave
entry_refuse_exception:
        mov     %r10, %rsp
        jmp     entry_refuse
        .size   _start, . - _start

/* An XSAVE image with every component in its initial state; MXCSR masks all exceptions. */
        .section .rodata
        .balign 64
        .globl  xstate_init
        .hidden xstate_init
xstate_init:
        .short  0x37f
        .fill   22, 1, 0
        .long   0x1f80
        .long   0
        .fill   480, 1, 0
        .fill   64, 1, 0                        /* header: XSTATE_BV = 0 */
        .size   xstate_init, . - xstate_init

        .section .note.GNU-stack, "", @progbits
