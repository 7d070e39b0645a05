/* SPDX-License-Identifier: MIT */
/* What the rewriter needs to know of one x86-64 instruction, decoded by Zydis (insn.c). */
#ifndef LOADER_INSN_H
#define LOADER_INSN_H

#include <kernel/types.h>

enum insn_kind {
    INSN_PLAIN,  /* goes on with the next one, means the same anywhere: may be moved */
    INSN_FIXED,  /* anything else without a known target */
    INSN_TARGET, /* names an address relative to itself: branches, calls, LEA of code */
    INSN_SYSCALL,
    INSN_CPUID,
};

struct insn {
    u8 size; /* 1..15 */
    enum insn_kind kind;
    s64 target; /* INSN_TARGET: relative to the instruction's start */
};

/* False when no valid instruction starts at `code`, or it does not end within `avail` bytes. */
bool insn_decode(const u8 *code, size_t avail, struct insn *out);

#endif
