/* SPDX-License-Identifier: MIT */
/*
 * The image's one ENCLU. Callers put the leaf into RAX and its operands into RBX, RCX, RDX and call
 * it; EEXIT does not come back. Sixteen aligned bytes, so that a debugger, a tracer or a simulator
 * can hook exactly this place; nothing inside asks whether one did.
 */
        .text
        .balign 16
        .globl  enclu
        .hidden enclu
        .type   enclu, @function
enclu:
        .byte   0x0f, 0x01, 0xd7
        ret
        .fill   12, 1, 0xcc
        .size   enclu, . - enclu

        .section .note.GNU-stack, "", @progbits
