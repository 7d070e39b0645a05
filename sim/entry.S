/* SPDX-License-Identifier: MIT */
/*
 * The borders of enclave mode: sim_enter (the vDSO's convention), the code behind the patched ENCLU
 * stub, the way out of a leaf, and the signal handlers' entry.
 *
 * FS and GS belong to the enclave from the last instructions of sim_leave until the first of
 * sim_stub_saved; everything else between sim_text_start and sim_text_end is prepared for a signal
 * at any instruction (see signal.c): before sim_aep_saved it is moved back to sim_aep, in the stub's
 * part it is put off, and from sim_leave on the leaf is over and sim_thread.regs is the state.
 */
#include "asm_offsets.h"

#define EENTER  2
#define ERESUME 3
#define EEXIT   4
#define EINVAL  22
#define EFAULT  14

#define RUN_TCS          0
#define RUN_FUNCTION     8
#define RUN_VECTOR       12
#define RUN_ERROR        14
#define RUN_ADDR         16
#define RUN_USER_HANDLER 24
#define RUN_RESERVED     40
#define RUN_END          256

#define EXIT_JUMP 0
#define EXIT_RET  1
#define EXIT_TRAP 3

#define USER_CS 0x33
#define USER_SS 0x2b

#define SYS_gettid 186

        .text
        .balign 64
        .globl sim_text_start, sim_text_end
        .hidden sim_text_start, sim_text_end
sim_text_start:

/* int sim_enter(rdi, rsi, rdx, function, r8, r9, struct sgx_enclave_run *run on the stack) */
        .globl sim_enter
        .hidden sim_enter
        .type sim_enter, @function
sim_enter:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        .cfi_rel_offset %rbx, -8
        mov     %ecx, %eax

.Lenter:
        cmp     $EENTER, %eax
        jb      .Linvalid
        cmp     $ERESUME, %eax
        ja      .Linvalid
        mov     16(%rbp), %rcx
        mov     $RUN_RESERVED, %ebx
1:      cmpq    $0, (%rcx, %rbx)
        jne     .Linvalid
        add     $8, %ebx
        cmp     $RUN_END, %ebx
        jne     1b
        mov     RUN_TCS(%rcx), %rbx
        lea     sim_aep(%rip), %rcx

/* "ENCLU", both EENTER's and the AEP's. RAX is the leaf, RBX the TCS, RCX the AEP. */
        .globl sim_aep, sim_aep_saved, sim_enclu_next, sim_exception
        .hidden sim_aep_saved, sim_enclu_next, sim_exception
sim_aep:
        mov     sim_self@gottpoff(%rip), %rcx
        mov     %fs:(%rcx), %rcx
        test    %rcx, %rcx
        jz      .Lno_thread
        mov     %rax, T_RAX(%rcx)
        mov     %rdx, T_RDX(%rcx)
        mov     %rbx, T_RBX(%rcx)
        mov     %rsp, T_RSP(%rcx)
        mov     %rbp, T_RBP(%rcx)
        mov     %rsi, T_RSI(%rcx)
        mov     %rdi, T_RDI(%rcx)
        mov     %r8, T_R8(%rcx)
        mov     %r9, T_R9(%rcx)
        mov     %r10, T_R10(%rcx)
        mov     %r11, T_R11(%rcx)
        mov     %r12, T_R12(%rcx)
        mov     %r13, T_R13(%rcx)
        mov     %r14, T_R14(%rcx)
        mov     %r15, T_R15(%rcx)
        movl    $1, T_BUSY(%rcx)
sim_aep_saved:
        pushfq
        pop     T_RFLAGS(%rcx)
        lea     sim_aep(%rip), %rdx
        mov     %rdx, T_RCX(%rcx)
        mov     %rcx, %rbx
        lea     SIM_LEAF_STACK_TOP(%rcx), %rsp
        mov     %rcx, %rdi
        xor     %ebp, %ebp
        cld
        call    sim_enclu_host
        jmp     sim_leave

/* EEXIT comes back here. */
sim_enclu_next:
        mov     16(%rbp), %rbx
        movl    $EEXIT, RUN_FUNCTION(%rbx)

.Lhandle_exit:
        cmpq    $0, RUN_USER_HANDLER(%rbx)
        jne     .Luser_handler
        xor     %eax, %eax
.Lout:
        mov     -8(%rbp), %rbx
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_def_cfa %rbp, 16

.Linvalid:
        mov     $-EINVAL, %eax
        jmp     .Lout

/* The thread never called thread_start: ENCLU as on a machine without SGX. */
.Lno_thread:
        mov     $-EINVAL, %eax
        jmp     .Lout

/* EAX = leaf, RDI = vector, RSI = error code, RDX = address: as the kernel's fixup leaves them. */
sim_exception:
        mov     16(%rbp), %rbx
        mov     %eax, RUN_FUNCTION(%rbx)
        mov     %di, RUN_VECTOR(%rbx)
        mov     %si, RUN_ERROR(%rbx)
        mov     %rdx, RUN_ADDR(%rbx)
        cmpq    $0, RUN_USER_HANDLER(%rbx)
        jne     .Luser_handler
        mov     $-EFAULT, %eax
        jmp     .Lout

.Luser_handler:
        mov     %rsp, %rcx
        mov     %rbx, %rax
        mov     %rsp, %rbx
        and     $0xf, %rbx
        and     $-0x10, %rsp
        push    %rax
        push    %rax
        cld
        mov     RUN_USER_HANDLER(%rax), %rax
        call    *%rax
        lea     0x10(%rsp, %rbx), %rsp
        cmp     $0, %eax
        jle     .Lout
        jmp     .Lenter
        .cfi_endproc
        .size sim_enter, . - sim_enter

/*
 * Where the patched stub jumps: the caller's return address is on the enclave's stack, FS and GS are
 * the enclave's, and no register may change that ENCLU would keep. Below a return address nothing
 * is live, so four words of the enclave's stack hold what the search for the thread needs.
 */
        .globl sim_stub_entry, sim_stub_spilled, sim_stub_saved
        .hidden sim_stub_entry, sim_stub_spilled, sim_stub_saved
        .balign 64
sim_stub_entry:
        pushfq
        mov     %rax, -8(%rsp)
        mov     %rcx, -16(%rsp)
        mov     %r11, -24(%rsp)
sim_stub_spilled:
        mov     g_sim_only_thread(%rip), %rcx
        test    %rcx, %rcx
        jnz     2f
        rdgsbase %rax
        test    %rax, %rax
        jz      1f
        imul    $SIM_GS_FACTOR, %rax, %r11
        shr     $32, %r11
        and     $SIM_GS_SLOTS_MASK, %r11d
        lea     g_sim_gs_slots(%rip), %rcx
        mov     (%rcx, %r11, 8), %rcx
        test    %rcx, %rcx
        jz      1f
        cmp     %rax, T_ENCL_GS(%rcx)
        je      2f
1:      mov     $SYS_gettid, %eax
        syscall
        mov     %eax, %r11d
        lea     g_sim_slots(%rip), %rcx
1:      and     $SIM_THREAD_SLOTS_MASK, %r11d
        shl     $4, %r11
        cmp     %eax, (%rcx, %r11)
        je      3f
        shr     $4, %r11
        inc     %r11d
        jmp     1b
3:      mov     8(%rcx, %r11), %rcx
2:      mov     %rdx, T_RDX(%rcx)
        mov     %rbx, T_RBX(%rcx)
        mov     %rbp, T_RBP(%rcx)
        mov     %rsi, T_RSI(%rcx)
        mov     %rdi, T_RDI(%rcx)
        mov     %r8, T_R8(%rcx)
        mov     %r9, T_R9(%rcx)
        mov     %r10, T_R10(%rcx)
        mov     %r12, T_R12(%rcx)
        mov     %r13, T_R13(%rcx)
        mov     %r14, T_R14(%rcx)
        mov     %r15, T_R15(%rcx)
        mov     -8(%rsp), %rax
        mov     %rax, T_RAX(%rcx)
        mov     -16(%rsp), %rax
        mov     %rax, T_RCX(%rcx)
        mov     -24(%rsp), %rax
        mov     %rax, T_R11(%rcx)
        mov     (%rsp), %rax
        mov     %rax, T_RFLAGS(%rcx)
        lea     8(%rsp), %rax
        mov     %rax, T_RSP(%rcx)
        rdfsbase %rax
        mov     %rax, T_FS(%rcx)
        rdgsbase %rax
        mov     %rax, T_GS(%rcx)
        movl    $1, T_BUSY(%rcx)
        mov     %rcx, %rbx
        lea     SIM_LEAF_STACK_TOP(%rcx), %rsp
        mov     T_HOST_FS(%rcx), %rax
        wrfsbase %rax
        mov     T_HOST_GS(%rcx), %rax
        wrgsbase %rax
sim_stub_saved:
        pushq   $2              /* no AC, no DF in host code */
        popfq
        mov     %rbx, %rdi
        xor     %ebp, %ebp
        call    sim_enclu_stub

/* RBX = thread; the state to install is in its regs, fs and gs. */
        .globl sim_leave, sim_leave_end, sim_trap
        .hidden sim_leave, sim_leave_end, sim_trap
sim_leave:
        mov     T_EXIT_MODE(%rbx), %ecx
        mov     T_DEFERRED(%rbx), %eax
        test    %eax, %eax
        jnz     .Ltrap
        cmp     $EXIT_TRAP, %ecx
        je      .Ltrap
        movl    $0, T_BUSY(%rbx)
        mov     T_FS(%rbx), %rax
        wrfsbase %rax
        mov     T_GS(%rbx), %rax
        wrgsbase %rax
        cmpl    $0, T_DO_XRSTOR(%rbx)
        je      1f
        mov     T_XFRM(%rbx), %eax
        mov     T_XFRM+4(%rbx), %edx
        xrstor64 T_XSAVE(%rbx)
        movl    $0, T_DO_XRSTOR(%rbx)
1:      cmpl    $0, T_PKEYS(%rbx)
        je      2f
        mov     %ecx, %esi
        mov     T_SET_PKRU(%rbx), %eax
        xor     %ecx, %ecx
        xor     %edx, %edx
        wrpkru
        mov     %esi, %ecx
2:      cmp     $EXIT_RET, %ecx
        je      3f
        ja      4f
        mov     T_RSP(%rbx), %rax
        mov     T_RIP(%rbx), %rdx
        mov     %rdx, -8(%rax)
3:      mov     T_RDX(%rbx), %rdx
        mov     T_RBP(%rbx), %rbp
        mov     T_RSI(%rbx), %rsi
        mov     T_RDI(%rbx), %rdi
        mov     T_R8(%rbx), %r8
        mov     T_R9(%rbx), %r9
        mov     T_R10(%rbx), %r10
        mov     T_R11(%rbx), %r11
        mov     T_R12(%rbx), %r12
        mov     T_R13(%rbx), %r13
        mov     T_R14(%rbx), %r14
        mov     T_R15(%rbx), %r15
        mov     T_RAX(%rbx), %rax
        cmp     $EXIT_RET, %ecx
        je      5f
        mov     T_RCX(%rbx), %rcx
        push    T_RFLAGS(%rbx)
        popfq
        mov     T_RSP(%rbx), %rsp
        mov     T_RBX(%rbx), %rbx
        jmp     *-8(%rsp)
5:      mov     T_RCX(%rbx), %rcx
        push    T_RFLAGS(%rbx)
        popfq
        mov     T_RSP(%rbx), %rsp
        mov     T_RBX(%rbx), %rbx
        ret
4:      pushq   $USER_SS
        push    T_RSP(%rbx)
        push    T_RFLAGS(%rbx)
        pushq   $USER_CS
        push    T_RIP(%rbx)
        mov     T_RAX(%rbx), %rax
        mov     T_RCX(%rbx), %rcx
        mov     T_RDX(%rbx), %rdx
        mov     T_RBP(%rbx), %rbp
        mov     T_RSI(%rbx), %rsi
        mov     T_RDI(%rbx), %rdi
        mov     T_R8(%rbx), %r8
        mov     T_R9(%rbx), %r9
        mov     T_R10(%rbx), %r10
        mov     T_R11(%rbx), %r11
        mov     T_R12(%rbx), %r12
        mov     T_R13(%rbx), %r13
        mov     T_R14(%rbx), %r14
        mov     T_R15(%rbx), %r15
        mov     T_RBX(%rbx), %rbx
        iretq
sim_leave_end:
.Ltrap:
sim_trap:
        ud2
sim_text_end:

/*
 * Signal handlers' entry (rdi, rsi, rdx as the kernel passes them). FS and GS may be the enclave's, in a
 * handler that was struck too: sim_signal_thread needs neither, and then the host's are installed;
 * sim_signal() says in the frame what to leave behind.
 */
        .globl sim_signal_entry
        .hidden sim_signal_entry
        .type sim_signal_entry, @function
sim_signal_entry:
        .cfi_startproc
        pushq   $2
        popfq
        sub     $40, %rsp
        .cfi_adjust_cfa_offset 40
        mov     %edi, %r12d
        mov     %rsi, %r13
        mov     %rdx, %r14
        mov     %rdx, %rdi
        call    sim_signal_thread
        mov     %rax, 16(%rsp)
        test    %rax, %rax
        jz      1f
        rdfsbase %rcx
        mov     %rcx, (%rsp)
        rdgsbase %rcx
        mov     %rcx, 8(%rsp)
        mov     T_HOST_FS(%rax), %rcx
        wrfsbase %rcx
        mov     T_HOST_GS(%rax), %rcx
        wrgsbase %rcx
1:      mov     %r12d, %edi
        mov     %r13, %rsi
        mov     %r14, %rdx
        mov     %rsp, %rcx
        call    sim_signal
        cmpq    $0, 16(%rsp)
        je      2f
        mov     (%rsp), %rcx
        wrfsbase %rcx
        mov     8(%rsp), %rcx
        wrgsbase %rcx
2:      add     $40, %rsp
        .cfi_adjust_cfa_offset -40
        ret
        .cfi_endproc
        .size sim_signal_entry, . - sim_signal_entry

/* int sim_copy(void *dst, const void *src, size_t size): a fault moves RIP to sim_copy_fail. */
        .globl sim_copy, sim_copy_insn, sim_copy_fail
        .hidden sim_copy, sim_copy_insn, sim_copy_fail
        .type sim_copy, @function
sim_copy:
        .cfi_startproc
        mov     %rdx, %rcx
sim_copy_insn:
        rep movsb
        xor     %eax, %eax
        ret
sim_copy_fail:
        mov     $-EFAULT, %eax
        ret
        .cfi_endproc
        .size sim_copy, . - sim_copy

/*
 * void sim_call_vectors(void (*fn)(void *), void *arg, void *xsave_area, uint64_t mask): calls code
 * that may use vector registers with the enclave's ones saved in the area.
 */
        .globl sim_call_vectors
        .hidden sim_call_vectors
        .type sim_call_vectors, @function
sim_call_vectors:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        push    %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        push    %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        mov     %rdx, %rbx
        mov     %rcx, %r12
        mov     %rdi, %r13
        mov     %r12, %rax
        mov     %r12, %rdx
        shr     $32, %rdx
        xsave64 (%rbx)
        sub     $16, %rsp
        movl    $0x1f80, (%rsp)
        ldmxcsr (%rsp)
        fninit
        mov     %rsi, %rdi
        call    *%r13
        add     $16, %rsp
        mov     %r12, %rax
        mov     %r12, %rdx
        shr     $32, %rdx
        xrstor64 (%rbx)
        pop     %r13
        .cfi_adjust_cfa_offset -8
        pop     %r12
        .cfi_adjust_cfa_offset -8
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size sim_call_vectors, . - sim_call_vectors

        .section .note.GNU-stack, "", @progbits
