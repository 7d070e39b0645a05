/* SPDX-License-Identifier: MIT */
/*
 * What an ELF file asks for and offers, read from its bytes. Nothing in the file is believed; data
 * that lies outside of it is as if absent.
 */
#ifndef CLI_ELF_INFO_H
#define CLI_ELF_INFO_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_NEEDED_MAX 256

struct elf_info {
    const uint8_t *data;
    size_t size;
    uint16_t type;
    const char *interp; /* NULL: none */
    const char *soname, *rpath, *runpath;
    const char *needed[ELF_NEEDED_MAX];
    size_t needed_count;
    int no_default_dirs; /* DF_1_NODEFLIB */

    const char *strings;
    uint64_t strings_size;
    const uint8_t *symbols; /* Elf64_Sym, unaligned */
    size_t symbol_count;
    const uint8_t *versions; /* uint16_t each, or NULL */
    uint64_t verneed, verneed_count, verdef, verdef_count; /* file offsets; 0: none */
};

/* True for a file that starts as ELF does. */
int elf_is(const uint8_t *data, size_t size);

/* 0; -1 with the reason in *why: not for x86-64 Linux, or damaged. */
int elf_read(const uint8_t *data, size_t size, struct elf_info *info, const char **why);

struct elf_symbol {
    const char *name;
    const char *version; /* NULL: none */
    int defined, weak;
};

/* The symbol at `index`; 0 if it is of no interest (local, nameless, damaged). */
int elf_symbol(const struct elf_info *info, size_t index, struct elf_symbol *out);

#endif
