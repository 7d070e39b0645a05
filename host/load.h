/* SPDX-License-Identifier: MIT */
/* Brings an image into a device: CREATE, ADD_PAGES, the mappings, INIT. */
#ifndef HOST_LOAD_H
#define HOST_LOAD_H

#include "image.h"
#include "sgx_device.h"

/*
 * Creates the enclave and adds the image's pages. Errors (one line in `why`): -ENOMEM no EPC or host
 * memory, -EINVAL the CPU does not take this SECS, -EACCES, -EPERM the address range.
 */
int load_pages(const struct sgx_device_ops *ops, struct sgx_device *dev, const struct image *image,
               const struct sgx_secs *secs, char *why, size_t why_size);

/* Maps the enclave's range and initialises it. Errors as above; -EPERM the CPU refused SIGSTRUCT. */
int load_init(const struct sgx_device_ops *ops, struct sgx_device *dev, const struct image *image,
              const struct sgx_sigstruct *sigstruct, char *why, size_t why_size);

#endif
