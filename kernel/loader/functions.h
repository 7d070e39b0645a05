/* SPDX-License-Identifier: MIT */
/*
 * From which address to which the bytes around a suspected syscall are known to be decoded: what
 * makes a rewriting certain. In order of strength:
 *
 *   PROOF_UNWIND   the function's FDE
 *   PROOF_SYMBOL   a function symbol with a size
 *   PROOF_SWEEP    no entry of its own, but two known starts of code around it (symbols, FDEs, the
 *                  entry point, sections' ends): a linear decoding from the first must meet the
 * second
 */
#ifndef LOADER_FUNCTIONS_H
#define LOADER_FUNCTIONS_H

#include "eh_frame.h"

enum proof { PROOF_NONE, PROOF_UNWIND, PROOF_SYMBOL, PROOF_SWEEP };

struct candidate {
    u64 va; /* of the bytes 0f 05 */
    struct range range;
    enum proof proof;
    u32 refs; /* the search's own (sites.c) */
};

/* Fills range and proof of `count` candidates, sorted by address. 0 or -errno (then none is
 * proven). */
int functions_locate(const struct elf_reader *r, const struct elf_image *img,
                     struct candidate *list, size_t count);

#endif
