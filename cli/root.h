/* SPDX-License-Identifier: MIT */
/* ROOTFS: a directory or an archive becomes an image file with its hash tree. */
#ifndef CLI_ROOT_H
#define CLI_ROOT_H

#include <stdint.h>
#include "host_verity.h"

/*
 * The image's descriptor, its tree and its size. A prepared archive is taken as it is; a plain archive
 * and a directory are copied into memory and hashed. -1 after a message.
 */
int root_open(const char *path, struct manifest_root *root, uint64_t *size);

/*
 * pack.c: writes the directory as a newc archive to fd. The bytes depend on names, contents, modes,
 * owners and times below `path` only. -1 after a message.
 */
int pack_directory(const char *path, int fd);

/* The marker that collect leaves in its directories; not packed. */
#define COLLECT_MARKER ".adyton-collect"

#endif
