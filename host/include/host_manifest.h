/* SPDX-License-Identifier: MIT */
/* Builds the binary manifest (abi/manifest.h) from plain C values. */
#ifndef HOST_HOST_MANIFEST_H
#define HOST_HOST_MANIFEST_H

#include <stddef.h>
#include <stdint.h>
#include "manifest.h"

/* Lists are NULL-terminated or NULL; strings may be NULL: absent. Nothing is kept. */
struct host_manifest {
    uint32_t flags; /* MANIFEST_* */
    uint32_t log_level;
    uint64_t memory_size;
    uint64_t main_stack_size;
    uint64_t thread_stack_size;
    uint32_t max_cpus;
    struct manifest_root root;
    const char *program;
    const char *cwd;
    const char *hostname;
    const char *strace;
    const char *core_dump;
    const char *const *argv;
    const char *const *env;
    const char *const *host_env;
};

/*
 * The manifest in *out (free(3)) and its size. -E2BIG it would exceed MANIFEST_SIZE_MAX or a list
 * MANIFEST_STRINGS_MAX; -EINVAL no program or empty argv; -ENOMEM.
 */
int host_manifest_build(const struct host_manifest *in, void **out, size_t *size);

#endif
