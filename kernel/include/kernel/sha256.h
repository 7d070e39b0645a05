/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) on the processor's best instructions. */
#ifndef KERNEL_SHA256_H
#define KERNEL_SHA256_H

#include <kernel/types.h>

#define SHA256_SIZE 32

/* Chooses the instructions by arch_cpuid(). Once at boot, before the first digest. */
void sha256_init(void);

/*
 * The digest of `prefix` (at most 64 bytes) followed by `data`. Uses vector registers between
 * arch_vector_begin() and arch_vector_end(): not callable between those.
 */
void sha256_prefixed(const void *prefix, size_t prefix_size, const void *data, size_t size,
                     u8 digest[SHA256_SIZE]);

static inline void sha256(const void *data, size_t size, u8 digest[SHA256_SIZE])
{
    sha256_prefixed(NULL, 0, data, size, digest);
}

#endif
