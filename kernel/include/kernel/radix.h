/* SPDX-License-Identifier: MIT */
/*
 * A radix tree from 64-bit indices to non-zero 64-bit values, six bits a level, as deep as the
 * highest index needs. Sparse files and directories' readdir positions use it. Locking is the
 * caller's.
 */
#ifndef KERNEL_RADIX_H
#define KERNEL_RADIX_H

#include <kernel/types.h>

struct radix_node;

struct radix {
    struct radix_node *root;
    unsigned height; /* levels; 0: empty */
};

/* The value at `index`, 0 when there is none. */
u64 radix_get(const struct radix *r, u64 index);

/* Stores `value` (not 0) and returns 0, or -ENOMEM with nothing changed. */
int radix_set(struct radix *r, u64 index, u64 value);

/* Takes the value out and returns it, 0 when there was none. Empty nodes are freed. */
u64 radix_delete(struct radix *r, u64 index);

/* Where the value at `index` is stored, or NULL: to change an existing value in place. */
u64 *radix_slot(const struct radix *r, u64 index);

/* The first value at or after *index: its value with *index set, 0 when there is none. */
u64 radix_next(const struct radix *r, u64 *index);

#endif
