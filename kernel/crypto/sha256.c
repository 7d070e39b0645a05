/* SPDX-License-Identifier: MIT */
/*
 * SHA-256: padding and finalisation around OpenSSL's assembler core, which comes as one object file
 * out of Debian's libcrypto.a (see meson.build). The core needs OPENSSL_ia32cap_P, its picture of the
 * processor, and clobbers vector registers.
 */
#include <kernel/sha256.h>

#include <kernel/arch.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#define BLOCK 64u

/* The core: `count` blocks of 64 bytes into the state, eight words. */
void sha256_block_data_order(u32 state[8], const void *data, size_t count);

/* CPUID leaf 1 EDX and ECX, leaf 7 EBX and ECX, as OpenSSL's code reads them. Set once at boot. */
u32 OPENSSL_ia32cap_P[4];

#define CAP0_INTEL (1u << 30) /* OpenSSL's own: an Intel processor */
#define CAP1_XOP   (1u << 11) /* OpenSSL's own: AMD's XOP */

void sha256_init(void)
{
    u32 leaf[4], vendor[4];

    arch_cpuid(0, 0, vendor);
    arch_cpuid(1, 0, leaf);
    OPENSSL_ia32cap_P[0] = leaf[3] & ~CAP0_INTEL;
    OPENSSL_ia32cap_P[1] = leaf[2] & ~CAP1_XOP;
    if (vendor[1] == 0x756e6547 /* "Genu" */)
        OPENSSL_ia32cap_P[0] |= CAP0_INTEL;
    if (vendor[0] >= 7) {
        arch_cpuid(7, 0, leaf);
        OPENSSL_ia32cap_P[2] = leaf[1];
        OPENSSL_ia32cap_P[3] = leaf[2];
    }
}

static void put_be32(u8 *p, u32 v)
{
    p[0] = (u8)(v >> 24);
    p[1] = (u8)(v >> 16);
    p[2] = (u8)(v >> 8);
    p[3] = (u8)v;
}

/* The message's last `left` bytes with the padding and the length in bits. */
static void final_blocks(u32 state[8], const u8 *tail, size_t left, u64 total)
{
    u8 last[2 * BLOCK];
    size_t blocks = left + 9 > BLOCK ? 2 : 1;

    memset(last, 0, sizeof(last));
    memcpy(last, tail, left);
    last[left] = 0x80;
    put_be32(last + blocks * BLOCK - 8, (u32)(total * 8 >> 32));
    put_be32(last + blocks * BLOCK - 4, (u32)(total * 8));
    sha256_block_data_order(state, last, blocks);
}

/* A first block out of prefix and the data's start; returns the bytes of data it took. */
static size_t first_block(u32 state[8], const void *prefix, size_t prefix_size, const void *data)
{
    u8 first[BLOCK];

    memcpy(first, prefix, prefix_size);
    memcpy(first + prefix_size, data, BLOCK - prefix_size);
    sha256_block_data_order(state, first, 1);
    return BLOCK - prefix_size;
}

static void digest_all(u32 state[8], const void *prefix, size_t prefix_size, const u8 *data,
                       size_t size)
{
    u8 tail[BLOCK];
    u64 total = prefix_size + size;
    size_t left = 0;

    if (prefix_size && total >= BLOCK) {
        size_t n = first_block(state, prefix, prefix_size, data);

        data += n;
        size -= n;
    } else if (prefix_size) {
        memcpy(tail, prefix, prefix_size);
        left = prefix_size;
    }
    if (size >= BLOCK)
        sha256_block_data_order(state, data, size / BLOCK);
    if (size % BLOCK)
        memcpy(tail + left, data + size / BLOCK * BLOCK, size % BLOCK);
    final_blocks(state, tail, left + size % BLOCK, total);
}

void sha256_prefixed(const void *prefix, size_t prefix_size, const void *data, size_t size,
                     u8 digest[SHA256_SIZE])
{
    u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    ASSERT(prefix_size <= BLOCK);
    arch_vector_begin();
    digest_all(state, prefix, prefix_size, data, size);
    arch_vector_end();
    for (int i = 0; i < 8; i++)
        put_be32(digest + 4 * i, state[i]);
}
