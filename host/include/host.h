/* SPDX-License-Identifier: MIT */
/*
 * The host runtime's interface to the command line: build, measure and run one enclave.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stddef.h>
#include <stdint.h>
#include "manifest.h"

enum host_target { HOST_TARGET_AUTO, HOST_TARGET_SGX, HOST_TARGET_SIM };

struct host_run {
    enum host_target target;
    int strict;                     /* simulator: trap every ENCLU */
    const char *kernel_path;        /* the enclave image (adyton-kernel); NULL: next to the executable */
    const void *manifest;           /* struct manifest and its strings */
    size_t manifest_size;
    int rootfs_fd;                  /* image file (archive, padding, hash tree), mapped read-only; -1 none */
    uint64_t rootfs_size;
    char *const *host_args;         /* NULL-terminated, or NULL */
    char *const *host_env;
    uint16_t product_id, security_version;
    int debug;                      /* ATTRIBUTES.DEBUG */
    int stats;                      /* --stats */
    const char *stats_path;         /* JSON to this file; NULL: text for a person to stderr */
    int (*debug_map)(const char *path, uint64_t base); /* adyton gdb; may be NULL */
    int hostile;                    /* tests/boundary: seed of the hostile host, 0 = honest; */
                                    /* honoured only in adyton-hostile */
};

/* Exit statuses of Adyton itself. */
#define HOST_EXIT_ERROR     125
#define HOST_EXIT_NOEXEC    126
#define HOST_EXIT_NOTFOUND  127

/*
 * Prepares the process; to be called first thing with main()'s argv. host_run() calls it with NULL.
 *  - Descriptors 0, 1 and 2 that are closed get /dev/null, so that nothing opened later lands there;
 *    the enclave sees them closed.
 *  - The enclave's range must be free. With an unlimited stack the kernel places libraries into it:
 *    then the program is started again with a limit, and this does not return.
 *  - libcrypto starts without its configuration file.
 * 0, or -errno after one line on stderr. Calls after the first do nothing.
 */
int host_init(char **argv);

/*
 * Runs to the end. Returns the status for exit(3): the program's, 128+N for signal N, or
 * HOST_EXIT_ERROR after one line on stderr that says what to do.
 */
int host_run(const struct host_run *run);

struct host_measurement {
    uint8_t mrenclave[32];
    uint8_t mrsigner[32];
    uint64_t pages_added, pages_measured;
    uint64_t image_size, manifest_size;
};
/* Computes the measurement without a device. 0, or -errno after one line on stderr. */
int host_measure(const struct host_run *run, struct host_measurement *out);

/* Why sim or sgx cannot be used on this machine; one line into buf. Returns 1 when usable. */
int host_target_usable(enum host_target target, char *buf, size_t size);

#endif
