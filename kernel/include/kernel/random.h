/* SPDX-License-Identifier: MIT */
/* Randomness from inside: RDRAND, never the host. Panics when the CPU cannot give any. */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include <kernel/types.h>

void random_bytes(void *buf, size_t size);
u64 random_u64(void);

#endif
