/* SPDX-License-Identifier: MIT */
/*
 * A dm-verity (version 1, SHA-256, 4,096-byte blocks) image in untrusted memory. Every byte that
 * verity_read() gives out was copied in, hashed, and its hash followed up the tree to the root hash
 * in the measured manifest; what is read again from outside is checked again.
 * Source: the kernel's Documentation/admin-guide/device-mapper/verity.rst.
 */
#ifndef KERNEL_BLOCK_VERITY_H
#define KERNEL_BLOCK_VERITY_H

#include <kernel/types.h>

#define VERITY_BLOCK 4096u

struct verity;
struct manifest_root;

/*
 * Opens the image of `image_size` bytes at `base` as `root` describes it. Checks that data and tree
 * lie inside the image, and reads nothing else yet. 0, -EINVAL (with the reason logged), -ENOMEM.
 */
int verity_open(const struct manifest_root *root, const void __host *base, u64 image_size,
                struct verity **out);
void verity_close(struct verity *v);

/*
 * Copies [offset, offset + size) of the data into trusted memory at `buf`. -EIO: a hash does not
 * match (logged with the block's number), or the range passes the end; -ENOMEM. SMP-safe; may block.
 */
int verity_read(struct verity *v, u64 offset, void *buf, size_t size);

#endif
