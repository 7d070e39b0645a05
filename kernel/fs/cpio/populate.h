/* SPDX-License-Identifier: MIT */
/*
 * Fills a ramfs from a newc archive. Headers are read now; a file's data stays in the archive and
 * comes in page by page. Nobody else may use the file system meanwhile.
 */
#ifndef KERNEL_FS_CPIO_POPULATE_H
#define KERNEL_FS_CPIO_POPULATE_H

#include "cpio.h"

struct superblock;
struct pagecache_ops;

/*
 * Builds the archive's tree below sb->root. Names are taken relative to the root ("/x", "./x" and
 * "x" are one), later entries replace earlier ones, missing directories are made with mode 0755,
 * links inside names are followed. `fill` brings file data in later; a file's archive offset is in
 * its ramfs_info. 0; -EINVAL for what the archive may not hold (a name that leads out of the root, a
 * file as a directory, an unknown type, ...) with *err filled; -ENOMEM; the reader's errors.
 */
int cpio_populate(struct superblock *sb, const struct cpio_reader *r,
                  const struct pagecache_ops *fill, struct cpio_error *err);

#endif
