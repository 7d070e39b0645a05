/* SPDX-License-Identifier: MIT */
/* What exec.c prepares and load.c turns into a running address space. */
#ifndef LOADER_EXEC_H
#define LOADER_EXEC_H

#include "elf.h"
#include "stack.h"

struct file;
struct mm;
struct regs;

/* A program whose files have been opened and checked; all owned. */
struct program {
    struct file *file; /* after `#!` lines: what is loaded */
    struct elf_image image;
    struct file *interp_file; /* NULL: static */
    struct elf_image interp;
    bool randomize; /* false with personality(ADDR_NO_RANDOMIZE) */
};

/*
 * Fills the fresh, current `mm` with the program, its stack and the vDSO, and `regs` with its first
 * registers. 0 or -errno; afterwards there is no way back, so the caller ends the process.
 */
int program_load(struct mm *mm, const struct program *p, struct stack_spec *stack,
                 struct regs *regs);

/* Maps the vDSO and sets mm->vdso_base and mm->vdso_restorer (vdso.c). 0 or -errno. */
int vdso_map(struct mm *mm);
/* The vDSO's page at `offset` from its base, into a zeroed page. */
void vdso_fill(u64 offset, u8 *page);

#endif
