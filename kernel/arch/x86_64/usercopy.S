/* SPDX-License-Identifier: MIT */
/*
 * Copies that survive a bad address on the program's side. Each instruction that may fault has an
 * entry in __ex_table: {address, where to go on}, which trap_kernel() searches. No vector registers.
 */
        .macro  EXTABLE from, to
#ifdef ADYTON_HOSTED
        .pushsection __ex_table, "aw"   /* relocated by the hosted loader */
#else
        .pushsection __ex_table, "a"
#endif
        .balign 8
        .quad   \from, \to
        .popsection
        .endm

        .macro  FUNCTION name
        .globl  \name
        .hidden \name
        .type   \name, @function
        .balign 16
\name:
        .endm

        .section .note.GNU-stack, "", @progbits
        .text

/* size_t user_copy(void *dst, const void *src, size_t size): bytes not copied. */
        FUNCTION user_copy
        cmp     $32, %rdx               /* SGX2 processors have fast short rep movs */
        jae     4f
        mov     %edx, %ecx
        shr     $3, %ecx
        jz      2f
1:      mov     (%rsi), %rax
10:     mov     %rax, (%rdi)
        add     $8, %rsi
        add     $8, %rdi
        sub     $8, %rdx
        dec     %ecx
        jnz     1b
2:      test    %edx, %edx
        jz      3f
20:     movzbl  (%rsi), %eax
21:     mov     %al, (%rdi)
        inc     %rsi
        inc     %rdi
        dec     %rdx
        jnz     20b
3:      mov     %rdx, %rax
        ret
4:      mov     %rdx, %rcx
40:     rep movsb
5:      mov     %rcx, %rax
        ret
        EXTABLE 1b, 20b         /* byte by byte up to the bad one */
        EXTABLE 10b, 20b
        EXTABLE 20b, 3b
        EXTABLE 21b, 3b
        EXTABLE 40b, 5b
        .size   user_copy, . - user_copy

/* size_t user_clear(void *dst, size_t size): bytes not cleared. */
        FUNCTION user_clear
        mov     %rsi, %rcx
        xor     %eax, %eax
1:      rep stosb
2:      mov     %rcx, %rax
        ret
        EXTABLE 1b, 2b
        .size   user_clear, . - user_clear

/*
 * ssize_t user_strncpy(char *dst, const char *src, size_t max): the length without NUL, `max` when no
 * NUL stands in the first `max` bytes, or -1. Reads 8 bytes at a time while 8 fit into dst.
 */
        FUNCTION user_strncpy
        xor     %eax, %eax
        mov     $0x0101010101010101, %r8
        mov     $0x8080808080808080, %r9
1:      lea     8(%rax), %rcx
        cmp     %rdx, %rcx
        ja      3f
10:     mov     (%rsi, %rax), %r10
        mov     %r10, (%rdi, %rax)
        mov     %r10, %r11
        not     %r11
        sub     %r8, %r10
        and     %r11, %r10
        and     %r9, %r10
        jnz     2f
        mov     %rcx, %rax
        jmp     1b
2:      bsf     %r10, %r10
        shr     $3, %r10d
        add     %r10, %rax
        ret
3:      cmp     %rdx, %rax
        je      4f
30:     movzbl  (%rsi, %rax), %ecx
        mov     %cl, (%rdi, %rax)
        test    %ecx, %ecx
        jz      4f
        inc     %rax
        jmp     3b
4:      ret
5:      mov     $-1, %rax
        ret
        EXTABLE 10b, 3b         /* the string may end before the bad page */
        EXTABLE 30b, 5b
        .size   user_strncpy, . - user_strncpy

/* int user_move8(void *dst, const void *src), user_move4: 0, or 1 on a bad address. */
        .macro  MOVE name, reg
        FUNCTION \name
1:      mov     (%rsi), %\reg
2:      mov     %\reg, (%rdi)
        xor     %eax, %eax
        ret
3:      mov     $1, %eax
        ret
        EXTABLE 1b, 3b
        EXTABLE 2b, 3b
        .size   \name, . - \name
        .endm

        MOVE    user_move8, rax
        MOVE    user_move4, eax

/* int user_cmpxchg(u32 *word, u32 expected, u32 value, u32 *old): 0 with *old, or 1 on a bad address. */
        FUNCTION user_cmpxchg
        mov     %esi, %eax
1:      lock cmpxchg %edx, (%rdi)
        mov     %eax, (%rcx)
        xor     %eax, %eax
        ret
2:      mov     $1, %eax
        ret
        EXTABLE 1b, 2b
        .size   user_cmpxchg, . - user_cmpxchg
