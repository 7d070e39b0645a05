/* SPDX-License-Identifier: MIT */
/*
 * Root image files: archive bytes, zero padding to 4,096, the archive's index (abi/manifest.h) with
 * padding, a dm-verity hash tree over both (format version 1, SHA-256, 4,096-byte blocks, top level
 * first, no superblock), and one block with a trailer that says where everything is. Archive tools
 * ignore what follows the archive's own end; `veritysetup verify --no-superblock` checks the tree.
 *
 * The trailer saves hashing, nothing more: what it says goes into the measured manifest, and the
 * kernel checks every block against that. A file changed since is found out inside.
 */
#ifndef HOST_HOST_VERITY_H
#define HOST_HOST_VERITY_H

#include <stdint.h>
#include "manifest.h"

#define VERITY_BLOCK_SIZE    4096U
#define VERITY_TRAILER_MAGIC 0x594c495245564441ULL /* "ADVERILY" */

/* At the start of the file's last block; the rest of the block is zero. Little-endian. */
struct verity_trailer {
    uint64_t magic;
    uint32_t version; /* 1 */
    uint32_t salt_size;
    uint64_t archive_size;
    uint64_t data_blocks;
    uint64_t hash_offset;
    uint8_t salt[32];
    uint8_t root_hash[32];
};

/*
 * Appends padding, index, tree and trailer to the archive in `fd` (open for reading and writing),
 * whose size is the archive's; bytes that are no newc archive get no index. *root describes it for a
 * manifest and *image_size is the new size. -EINVAL an empty file or a salt over 32 bytes; -ENOMEM;
 * errno of read, write.
 */
int verity_append(int fd, const uint8_t *salt, uint32_t salt_size, struct manifest_root *root,
                  uint64_t *image_size);

/* Reads the trailer. -ENODATA there is none; -EINVAL it contradicts the file's size. */
int verity_read(int fd, struct manifest_root *root, uint64_t *image_size);

#endif
