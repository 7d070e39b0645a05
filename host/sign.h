/* SPDX-License-Identifier: MIT */
/*
 * SIGSTRUCT: made and signed with the user's development key (RSA-3072, e = 3), which is made once
 * and kept in ${XDG_DATA_HOME:-~/.local/share}/adyton/dev-key.pem.
 */
#ifndef HOST_SIGN_H
#define HOST_SIGN_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>
#include "sgx.h"

/*
 * The development key, from its file, or made now. When the file cannot be written the key serves
 * this run only and one warning goes to stderr. NULL with one line in `why` if there is none at all.
 */
EVP_PKEY *sign_development_key(char *why, size_t why_size);

/*
 * Fills and signs a SIGSTRUCT for an enclave with this SECS and measurement. 0, -EINVAL when the key
 * is not RSA-3072 with exponent 3, -EIO when the crypto library fails.
 */
int sign_sigstruct(struct sgx_sigstruct *sig, EVP_PKEY *key, const struct sgx_secs *secs,
                   const uint8_t mrenclave[32], uint16_t product_id, uint16_t security_version);

/* MRSIGNER: SHA-256 of the modulus. 0 or -EIO. */
int sign_mrsigner(const struct sgx_sigstruct *sig, uint8_t mrsigner[32]);

#endif
