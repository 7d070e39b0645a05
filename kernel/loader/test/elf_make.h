/* SPDX-License-Identifier: MIT */
/* Builds small ELF files in memory, to be parsed as they are or after a change. */
#ifndef LOADER_TEST_ELF_MAKE_H
#define LOADER_TEST_ELF_MAKE_H

#include "../elf.h"

#define MADE_PHDRS    8u
#define MADE_CODE_OFF 0x1000u
#define MADE_CODE_VA  0x1000u

struct made {
    u8 data[0x6000];
    size_t size;
    Elf64_Ehdr *ehdr; /* into data */
    Elf64_Phdr *phdrs;
    struct elf_reader reader;
};

/*
 * An ET_DYN file: headers and code in a read-execute segment of three pages at 0, a data segment of
 * one page at 0x3000 with bss behind it, PT_GNU_STACK.
 */
void made_init(struct made *m);

/* Adds a program header of `type` over file bytes [offset, offset + size) at the same address. */
Elf64_Phdr *made_phdr(struct made *m, u32 type, u64 offset, u64 size);

/*
 * Puts code at MADE_CODE_OFF and a function symbol over each of its parts: sizes, 0 ends. A part
 * with MADE_NO_SYMBOL added gets none.
 */
#define MADE_NO_SYMBOL 0x10000000UL
void made_code(struct made *m, const u8 *code, size_t size, const size_t *functions);

/* A file of `size` bytes at `data` as a reader. */
struct elf_reader made_reader(struct made *m);

#endif
