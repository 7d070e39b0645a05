/* SPDX-License-Identifier: MIT */
/* The root archive named by the manifest. */
#ifndef KERNEL_FS_CPIO_ROOTFS_H
#define KERNEL_FS_CPIO_ROOTFS_H

struct superblock;
struct manifest_root;

/*
 * Fills the empty ramfs `sb` from the archive that the host maps. Errors are logged with the reason
 * and the byte. -ENODEV: the host gave none; -EINVAL: malformed; -EIO: changed; -ENOMEM.
 */
int rootfs_populate(struct superblock *sb, const struct manifest_root *root);

#endif
