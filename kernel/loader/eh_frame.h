/* SPDX-License-Identifier: MIT */
/*
 * Functions' bounds from unwind tables. Source: LSB 5.0 core, "Exception Frames" and "DWARF
 * Extensions" (.eh_frame, .eh_frame_hdr).
 */
#ifndef LOADER_EH_FRAME_H
#define LOADER_EH_FRAME_H

#include "elf.h"

/* A function's code, as addresses linked at. */
struct range {
    u64 start, end;
};

struct eh_table; /* .eh_frame_hdr's search table */

/* Reads at a linked address, through the PT_LOAD that holds it. 0 or -errno. */
int elf_read_va(const struct elf_reader *r, const struct elf_image *img, u64 va, void *buf,
                size_t size);

/* The image's table, or NULL when it has none that can be used. */
struct eh_table *eh_table_load(const struct elf_reader *r, const struct elf_image *img);
void eh_table_free(struct eh_table *t);

/* The function that contains `va` as its FDE says. False: none. */
bool eh_table_find(const struct eh_table *t, u64 va, struct range *out);
/* The nearest function starts around `va`: at or before, and after; 0 and UINT64_MAX for none. */
void eh_table_around(const struct eh_table *t, u64 va, u64 *before, u64 *after);

/* Without a table: calls `fn` for every FDE of the .eh_frame section at `va`. 0 or -errno. */
int eh_frame_walk(const struct elf_reader *r, const struct elf_image *img, u64 va, u64 size,
                  void (*fn)(void *ctx, struct range range), void *ctx);

#endif
