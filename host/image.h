/* SPDX-License-Identifier: MIT */
/*
 * The enclave's initial pages: what is added and measured, in order. The loader, the measurement and
 * the simulator's tests all work from this one list.
 */
#ifndef HOST_IMAGE_H
#define HOST_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "sgx.h"

/* Consecutive pages of one type and permission. `data` is page-aligned and `size` bytes long. */
struct image_run {
    uint64_t va;
    uint64_t size;
    uint64_t secinfo; /* SECINFO.FLAGS */
    const void *data;
};

#define IMAGE_RUNS_MAX 24

struct image {
    struct image_run runs[IMAGE_RUNS_MAX]; /* ascending, disjoint */
    size_t run_count;
    uint64_t entry;
    uint64_t tcs;
    uint64_t page_count;
    uint8_t *buffer; /* owns all data; from mmap */
    size_t buffer_size;
};

/*
 * Builds the list from the kernel's ELF file and the manifest. `why` gets one line on failure.
 * Errors: -ENOEXEC the file is no enclave image; -E2BIG the manifest; -ENOMEM; errno of open/read.
 */
int image_build(struct image *image, const char *kernel_path, const void *manifest,
                size_t manifest_size, char *why, size_t why_size);

/* As image_build() with the ELF file's bytes in memory. */
int image_build_from(struct image *image, const uint8_t *elf, size_t elf_size, const void *manifest,
                     size_t manifest_size, char *why, size_t why_size);

void image_free(struct image *image);

/* SECS of the enclave for this image; XFRM from this CPU. */
void image_secs(struct sgx_secs *secs, int debug);

#endif
