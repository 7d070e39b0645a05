/* SPDX-License-Identifier: MIT */
/*
 * The test enclave's code, copied into the enclave page by page; position independent.
 *
 * EENTER calls the routine whose enclave address is in RSI, on the stack that GS:0 (CSSA 0) or GS:8
 * (CSSA 1) names, and leaves with its RAX in RDI. Routines take RDI, RDX, R8, R9 and keep R12 to R14.
 */
#define EEXIT 4

        .section .rodata.enclave, "a"
        .balign 4096
        .globl enclave_start, enclave_end, enclave_stub
enclave_start:
        mov     %rcx, %r14
        mov     %rbx, %r12
        mov     %eax, %r13d
        cmp     $0, %eax
        jne     1f
        mov     %gs:0, %rsp
        jmp     2f
1:      mov     %gs:8, %rsp
2:      call    *%rsi
        mov     %rax, %rdi
        /* The outside's RSP and RBP of the last EENTER or ERESUME, from the frame's GPRSGX. */
        shl     $12, %r13
        lea     0x2000 - 184(%r12, %r13), %r12
        mov     152(%r12), %rbp
        mov     144(%r12), %rsp
        mov     %r14, %rbx
        mov     $EEXIT, %eax
        jmp     enclave_stub

        .balign 16
enclave_stub:
        .byte   0x0f, 0x01, 0xd7, 0xc3
        .fill   12, 1, 0xcc

        .macro  routine name
        .globl  \name
        .balign 16
\name:
        .endm

routine r_nop
        mov     $0x1234, %eax
        ret

/* RDI: struct enclu_args { rax, rbx, rcx, rdx, out_rax, out_rflags } outside. */
        .macro  enclu_body insn:vararg
        push    %rbx
        push    %rdi
        mov     0(%rdi), %rax
        mov     8(%rdi), %rbx
        mov     16(%rdi), %rcx
        mov     24(%rdi), %rdx
        stc
        \insn
        pushfq
        pop     %rcx
        pop     %rdi
        mov     %rax, 32(%rdi)
        mov     %rcx, 40(%rdi)
        pop     %rbx
        ret
        .endm

routine r_enclu
        enclu_body call enclave_stub
routine r_enclu_raw
        enclu_body .byte 0x0f, 0x01, 0xd7

/* RDI: address. */
routine r_load
        movzbl  (%rdi), %eax
        ret
routine r_store
        mov     %dl, (%rdi)
        mov     $1, %eax
        ret
routine r_load8
        mov     (%rdi), %rax
        ret
routine r_store8
        mov     %rdx, (%rdi)
        ret
routine r_call
        call    *%rdi
        ret
/* RDI: to, RDX: from, R8: size. */
routine r_copy
        mov     %rdx, %rsi
        mov     %r8, %rcx
        rep movsb
        ret
/* RDI: address of a word, RDX: what to add. */
routine r_add8
        add     %rdx, (%rdi)
        ret
routine r_bases
        rdfsbase %rax
        mov     %rax, (%rdi)
        rdgsbase %rax
        mov     %rax, 8(%rdi)
        ret

routine r_syscall
        mov     $39, %eax
        .globl  r_syscall_site
r_syscall_site:
        syscall
        ret
routine r_int80
        mov     $20, %eax
        int     $0x80
        ret
routine r_int_3
        .byte   0xcd, 3
        ret
routine r_int_4
        int     $4
        ret
routine r_int_90
        int     $0x90
        ret
routine r_rdpmc
        rdpmc
        ret
/* RDI: an address below 4 GiB; a 32-bit close() of the descriptor in RDX, if it were let. */
routine r_sysenter
        push    %rbx
        push    %rbp
        mov     $6, %eax
        mov     %edx, %ebx
        mov     %rdi, %rbp
        sysenter
/* A far return to 32-bit code. */
routine r_far
        sub     $8, %rsp
        movl    $0x23, 4(%rsp)
        movl    $0, (%rsp)
        lretl
routine r_cpuid
        push    %rbx
        xor     %eax, %eax
        xor     %ecx, %ecx
        cpuid
        pop     %rbx
        ret
routine r_rdtsc
        rdtsc
        ret
routine r_int3
        int3
        ret
routine r_hlt
        hlt
        ret
routine r_in
        in      $0x60, %al
        ret
routine r_ud2
        ud2
        ret
routine r_div
        xor     %edx, %edx
        xor     %ecx, %ecx
        mov     $1, %eax
        div     %ecx
        ret
routine r_sse_fault
        sub     $16, %rsp
        movl    $0, (%rsp)
        ldmxcsr (%rsp)
        xorps   %xmm0, %xmm0
        pcmpeqd %xmm1, %xmm1
        psrld   $25, %xmm1
        pslld   $23, %xmm1
        divss   %xmm0, %xmm1
        movl    $0x1f80, (%rsp)
        ldmxcsr (%rsp)
        add     $16, %rsp
        ret
routine r_trap_flag
        pushfq
        orq     $0x100, (%rsp)
        popfq
        nop
        nop
        mov     $7, %eax
        ret
routine r_align_check
        pushfq
        orq     $0x40000, (%rsp)
        popfq
        mov     1(%rsp), %rax
        pushfq
        andq    $~0x40000, (%rsp)
        popfq
        ret

/* Known values everywhere, then #UD; r_regs_site is where. */
routine r_regs
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        mov     $0x101, %eax
        mov     $0x102, %ebx
        mov     $0x103, %ecx
        mov     $0x104, %edx
        mov     $0x105, %esi
        mov     $0x107, %ebp
        mov     $0x108, %r8d
        mov     $0x109, %r9d
        mov     $0x10a, %r10d
        mov     $0x10b, %r11d
        mov     $0x10c, %r12d
        mov     $0x10d, %r13d
        .globl  r_regs_site
r_regs_site:
        ud2
        /* Resumed past it: all must be as before. */
        cmp     $0x101, %eax
        jne     9f
        cmp     $0x102, %ebx
        jne     9f
        cmp     $0x103, %ecx
        jne     9f
        cmp     $0x104, %edx
        jne     9f
        cmp     $0x105, %esi
        jne     9f
        cmp     $0x107, %ebp
        jne     9f
        cmp     $0x108, %r8d
        jne     9f
        cmp     $0x10c, %r12d
        jne     9f
        cmp     $0x10d, %r13d
        jne     9f
        mov     $0x600d, %eax
        jmp     8f
9:      mov     $0xbad, %eax
8:      pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/* YMM5 = 32 bytes of RDX's byte, #UD, then counts the bytes that are still there. */
routine r_vector
        movd    %edx, %xmm5
        vpbroadcastb %xmm5, %ymm5
        ud2
        sub     $32, %rsp
        vmovdqu %ymm5, (%rsp)
        xor     %eax, %eax
        xor     %ecx, %ecx
1:      cmp     %dl, (%rsp, %rcx)
        jne     2f
        inc     %eax
2:      inc     %ecx
        cmp     $32, %ecx
        jne     1b
        add     $32, %rsp
        ret

/* YMM6 over a leaf: RDI as r_enclu, RDX the byte; returns the bytes still there. */
routine r_vector_leaf
        mov     %edx, %r9d
        movd    %edx, %xmm6
        vpbroadcastb %xmm6, %ymm6
        call    r_enclu
        sub     $32, %rsp
        vmovdqu %ymm6, (%rsp)
        xor     %eax, %eax
        xor     %ecx, %ecx
1:      cmp     %r9b, (%rsp, %rcx)
        jne     2f
        inc     %eax
2:      inc     %ecx
        cmp     $32, %ecx
        jne     1b
        add     $32, %rsp
        ret

/* Counts at RDX until the word at RDI is not zero. Both outside or inside. */
routine r_spin
1:      incq    (%rdx)
        pause
        cmpl    $0, (%rdi)
        je      1b
        mov     $0x5917, %eax
        ret

/* RDI: loops; every one an EACCEPT that fails at once (RDX = struct enclu_args). */
routine r_leaf_loop
        push    %r12
        push    %r13
        mov     %rdi, %r12
        mov     %rdx, %r13
1:      mov     %r13, %rdi
        call    r_enclu
        dec     %r12
        jnz     1b
        pop     %r13
        pop     %r12
        mov     $0x100b, %eax
        ret

/* A register pattern that a loop checks while signals strike: returns 1 if it ever broke. */
routine r_check_loop
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        mov     $0x1111, %ebx
        mov     $0x2222, %ebp
        mov     $0x3333, %r12d
        mov     $0x4444, %r13d
        mov     $0x5555, %r8d
        movq    %rbx, %xmm7
        movq    $0x7777, -64(%rsp)
1:      cmp     $0x1111, %rbx
        jne     9f
        cmp     $0x2222, %rbp
        jne     9f
        cmp     $0x3333, %r12
        jne     9f
        cmp     $0x4444, %r13
        jne     9f
        cmp     $0x5555, %r8
        jne     9f
        movq    %xmm7, %rax
        cmp     $0x1111, %rax
        jne     9f
        cmpq    $0x7777, -64(%rsp)
        jne     9f
        incq    (%rdx)
        cmpl    $0, (%rdi)
        je      1b
        xor     %eax, %eax
        jmp     8f
9:      mov     $1, %eax
8:      pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
        .balign 4096, 0xcc
enclave_end:

/*
 * int test_enter_asm(rdi, rsi, rdx, function, r8, r9, run, enter): an AEX clears R12 to R15, and
 * nobody but the caller can have kept them.
 */
        .text
        .globl  test_enter_asm
        .type   test_enter_asm, @function
test_enter_asm:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     64(%rsp), %rax
        push    56(%rsp)
        call    *%rax
        pushq   $2              /* an AEX leaves AC and DF as the enclave had them */
        popfq
        add     $8, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
        .size   test_enter_asm, . - test_enter_asm

        .section .note.GNU-stack, "", @progbits
