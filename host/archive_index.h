/* SPDX-License-Identifier: MIT */
/* The index that a prepared image holds behind its archive (abi/manifest.h). */
#ifndef HOST_ARCHIVE_INDEX_H
#define HOST_ARCHIVE_INDEX_H

#include <stdint.h>

/*
 * Makes the index of the newc archive at `archive` for an image that holds it at byte `place`.
 * *index is malloc'ed, *index_size its size. -EINVAL: not an archive that can be indexed, which the
 * kernel's own walk then says better; -ENOMEM.
 */
int archive_index_build(const uint8_t *archive, uint64_t size, uint64_t place, uint8_t **index,
                        uint64_t *index_size);

#endif
