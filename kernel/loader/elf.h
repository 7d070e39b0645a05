/* SPDX-License-Identifier: MIT */
/*
 * ELF64 images: checked once by elf_parse(), which knows nothing of files or address spaces (so
 * that it can be fuzzed hosted), then mapped by elf_map().
 *
 * Sources: the ELF gABI 4.1, the x86-64 psABI, elf(5), execve(2).
 */
#ifndef LOADER_ELF_H
#define LOADER_ELF_H

#include <kernel/types.h>
#include <linux/elf.h>

struct file;
struct mm;

/* Where an image's bytes come from. */
struct elf_reader {
    /* As pread(2): bytes read (short only at the end), or -errno. */
    ssize_t (*read)(void *ctx, void *buf, size_t size, u64 pos);
    void *ctx;
    u64 size; /* of the whole file */
};

/* Reads exactly `size` bytes: 0, -EIO when the file ends before, or the reader's error. */
int elf_read(const struct elf_reader *r, void *buf, size_t size, u64 pos);

#define ELF_PHDRS_SIZE_MAX 65536u /* as Linux */

struct elf_image {
    u16 type; /* ET_EXEC or ET_DYN */
    u16 phdr_count;
    Elf64_Phdr *phdrs; /* owned; every PT_LOAD has been checked */
    char *interp;      /* owned; PT_INTERP's path, or NULL */
    bool has_stack;    /* PT_GNU_STACK is there ... */
    bool stack_exec;   /* ... and asks for an executable stack */
    /* Virtual addresses as linked: add the bias. */
    u64 entry;
    u64 phdr_addr; /* of the program headers in memory; 0 when no segment holds them */
    u64 low, high; /* page-aligned extent of all PT_LOADs */
    u64 align;     /* largest PT_LOAD alignment, at least PAGE_SIZE */
    u64 brk;       /* end of the last segment's memory */
    u64 start_code, end_code, start_data, end_data;
};

enum elf_role { ELF_PROGRAM, ELF_INTERPRETER };

/*
 * Reads and checks headers. 0, or with *img untouched:
 *   -ENOEXEC  no ELF file for this machine, or cut short (-ELIBBAD for ELF_INTERPRETER)
 *   -EINVAL   segments that contradict themselves or do not fit the range for programs
 *   -EPERM    a fixed address below USER_START
 *   -EIO      the interpreter's path lies beyond the end of the file
 *   -ENOMEM
 * and what the reader says. On success elf_free() later.
 */
int elf_parse(const struct elf_reader *r, enum elf_role role, struct elf_image *img);
void elf_free(struct elf_image *img);

/*
 * Maps every PT_LOAD at its address plus `bias`: private file mappings, zeroed tails, anonymous
 * memory for the rest. 0, -ENOMEM or what mm_map() gives; what was mapped stays.
 */
int elf_map(struct mm *mm, struct file *file, const struct elf_image *img, u64 bias);

#endif
