/* SPDX-License-Identifier: MIT */
/*
 * Finds the syscall sites of an ELF file that can be rewritten with certainty. Pure over a reader;
 * the result depends on the file's content alone and holds file offsets.
 */
#ifndef LOADER_SITES_H
#define LOADER_SITES_H

#include "elf.h"
#include "trampoline.h"

struct site_list {
    struct site *sites; /* owned; sorted by offset, not overlapping */
    size_t count;
    u32 trampolines; /* bytes that all trampolines take */
    /* For reports. */
    size_t candidates; /* byte pairs 0f 05 and 0f a2 in executable segments */
    size_t unproven;   /* of those: in no code whose decoding is certain */
    size_t data;       /* of those: inside another instruction */
    size_t skipped;    /* syscalls and CPUIDs left to the trap: rt_sigreturn, or no room */
};

/* 0 with *out filled (perhaps with no site), or -errno: no ELF file, unreadable, -ENOMEM. */
int sites_find(const struct elf_reader *r, struct site_list *out);
void sites_free(struct site_list *l);

/* The index of the first site at or behind `offset`. */
size_t sites_from(const struct site_list *l, u64 offset);

#endif
