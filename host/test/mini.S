/* SPDX-License-Identifier: MIT */
/*
 * The smallest enclave that uses all ways in and out: host calls, an exception, signals that strike
 * while it computes and while it waits. It writes one byte to descriptor 1 when it is ready and one
 * for each SIGUSR1 that it notices; after all of them it exits with status 7. Every second time it
 * waits in park, else it spins.
 *
 * GS: the thread area, zero at start.
 */
#define AREA_STATE  0x00 /* where to go on after a host call; 0: never entered */
#define AREA_BLOCK  0x08
#define AREA_RETURN 0x10
#define AREA_RSP    0x18
#define AREA_RBP    0x20
#define AREA_GOT    0x28 /* signals noticed and not yet reported */
#define AREA_DONE   0x30 /* signals reported */

#define BLOCK_NUMBER  0
#define BLOCK_RESULT  8
#define BLOCK_ARGS    16
#define BLOCK_PENDING 64

#define GPRSGX      (0x3fff20000000 + 0x1000 + 4 * 0x1000 - 184)
#define GPRSGX_RIP  136
#define GPRSGX_INFO 160

#define USR1_BIT (1 << 9)
#define ROUNDS   (1 + 600)

        .text
        .globl  _start
_start:
        cld
        cmp     $0, %rax
        jne     handler
        mov     %rsp, %gs:AREA_RSP
        mov     %rbp, %gs:AREA_RBP
        mov     %rcx, %gs:AREA_RETURN
        mov     %gs:AREA_STATE, %rax
        test    %rax, %rax
        jnz     returned
        mov     %rsi, %gs:AREA_BLOCK
        movq    $9, BLOCK_NUMBER(%rsi)          /* clock */
        movq    $16, BLOCK_ARGS(%rsi)
        lea     after_clock(%rip), %rax
        jmp     hostcall

returned:
        mov     %gs:AREA_BLOCK, %rsi
        xor     %ecx, %ecx                      /* what came with a host call's end counts too */
        xchg    %rcx, BLOCK_PENDING(%rsi)
        test    $USR1_BIT, %ecx
        jz      1f
        lock incq %gs:AREA_GOT
1:      jmp     *%rax

after_clock:
        cmpq    $0, BLOCK_RESULT(%rsi)
        jne     fail
        ud2                                     /* the handler steps over it */
        lock incq %gs:AREA_GOT                  /* the first byte says: ready */

next:
        testq   $1, %gs:AREA_DONE
        jz      spin
park:
        cmpq    $0, %gs:AREA_GOT
        jne     report
        movq    $11, BLOCK_NUMBER(%rsi)
        movq    $0, BLOCK_ARGS(%rsi)
        movq    $-1, BLOCK_ARGS + 8(%rsi)
        lea     park(%rip), %rax
        jmp     hostcall
spin:
        cmpq    $0, %gs:AREA_GOT
        je      spin
report:
        movq    $5, BLOCK_NUMBER(%rsi)          /* write */
        movq    $1, BLOCK_ARGS(%rsi)
        movq    $1, BLOCK_ARGS + 8(%rsi)
        lea     reported(%rip), %rax
        jmp     hostcall
reported:
        cmpq    $-4, BLOCK_RESULT(%rsi)         /* EINTR */
        je      report
        cmpq    $1, BLOCK_RESULT(%rsi)
        jne     fail
        lock decq %gs:AREA_GOT
        incq    %gs:AREA_DONE
        cmpq    $ROUNDS, %gs:AREA_DONE
        jne     next
        movq    $1, BLOCK_NUMBER(%rsi)          /* exit */
        movq    $0x700, BLOCK_ARGS(%rsi)
        lea     fail(%rip), %rax
        jmp     hostcall
fail:
        movq    $1, BLOCK_NUMBER(%rsi)
        movq    $0x900, BLOCK_ARGS(%rsi)
        lea     fail(%rip), %rax

/* RAX: where to go on. */
hostcall:
        mov     %rax, %gs:AREA_STATE
        mov     $1, %edi
        mov     %gs:AREA_RETURN, %rbx
        mov     %gs:AREA_RSP, %rsp
        mov     %gs:AREA_RBP, %rbp
        mov     $4, %eax
        jmp     enclu

/* CSSA 1. RCX: where to return to; RSP and RBP are the host's and stay. */
handler:
        mov     %rcx, %rbx
        movabs  $GPRSGX, %rdx
        cmpl    $0, GPRSGX_INFO(%rdx)
        jge     interrupted                     /* not valid */
        addq    $2, GPRSGX_RIP(%rdx)
        jmp     resume
interrupted:
        mov     %gs:AREA_BLOCK, %rsi
        xor     %ecx, %ecx
        xchg    %rcx, BLOCK_PENDING(%rsi)
        test    $USR1_BIT, %ecx
        jz      resume
        lock incq %gs:AREA_GOT
resume:
        mov     $2, %edi
        mov     $4, %eax
        jmp     enclu

        .balign 16
enclu:
        .byte   0x0f, 0x01, 0xd7
        ret
        .fill   12, 1, 0xcc

        .section .note.GNU-stack, "", @progbits
