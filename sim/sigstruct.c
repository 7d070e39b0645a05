/* SPDX-License-Identifier: MIT */
/*
 * EINIT's checks of SIGSTRUCT: format, RSA-3072 signature with exponent 3 by means of Q1 and Q2,
 * measurement, ATTRIBUTES and MISCSELECT under their masks. Source: Intel SDM vol. 3D, EINIT.
 *
 * The launch key check always holds: the driver writes the signer's hash to the launch key MSRs.
 */
#include "internal.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <string.h>

#define KEY_SIZE SGX_SIG_MODULUS_SIZE

static bool format_valid(const struct sgx_sigstruct *sig)
{
    static const uint8_t header1[16] = SGX_SIG_HEADER1;
    static const uint8_t header2[16] = SGX_SIG_HEADER2;

    return memcmp(sig->header, header1, sizeof(header1)) == 0 &&
           memcmp(sig->header2, header2, sizeof(header2)) == 0 && sig->exponent == 3 &&
           sim_bytes_all_zero(sig->reserved1, sizeof(sig->reserved1)) &&
           sim_bytes_all_zero(sig->reserved2, sizeof(sig->reserved2)) &&
           sim_bytes_all_zero(sig->reserved3, sizeof(sig->reserved3)) &&
           sim_bytes_all_zero(sig->reserved4, sizeof(sig->reserved4)) &&
           sig->cet_attributes == 0 && sig->cet_attributes_mask == 0;
}

/* EMSA-PKCS1-v1_5 of SHA-256 over the two signed parts, big endian. */
static bool expected_message(const struct sgx_sigstruct *sig, uint8_t out[KEY_SIZE])
{
    static const uint8_t prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    const uint8_t *bytes = (const uint8_t *)sig;
    uint8_t part[SGX_SIG_PART1_SIZE + SGX_SIG_PART2_SIZE];
    uint8_t *tail = out + KEY_SIZE - 32 - sizeof(prefix);

    memcpy(part, bytes, SGX_SIG_PART1_SIZE);
    memcpy(part + SGX_SIG_PART1_SIZE, bytes + SGX_SIG_PART2_OFF, SGX_SIG_PART2_SIZE);
    memset(out, 0xff, KEY_SIZE);
    out[0] = 0;
    out[1] = 1;
    tail[-1] = 0;
    memcpy(tail, prefix, sizeof(prefix));
    return EVP_Digest(part, sizeof(part), tail + sizeof(prefix), NULL, EVP_sha256(), NULL) == 1;
}

struct numbers {
    BN_CTX *ctx;
    BIGNUM *m, *s, *q1, *q2, *t, *r;
};

static bool numbers_read(struct numbers *n, const struct sgx_sigstruct *sig)
{
    n->ctx = BN_CTX_new();
    n->m = BN_lebin2bn(sig->modulus, KEY_SIZE, NULL);
    n->s = BN_lebin2bn(sig->signature, KEY_SIZE, NULL);
    n->q1 = BN_lebin2bn(sig->q1, KEY_SIZE, NULL);
    n->q2 = BN_lebin2bn(sig->q2, KEY_SIZE, NULL);
    n->t = BN_new();
    n->r = BN_new();
    return n->ctx != NULL && n->m != NULL && n->s != NULL && n->q1 != NULL && n->q2 != NULL &&
           n->t != NULL && n->r != NULL;
}

static void numbers_free(struct numbers *n)
{
    BN_free(n->m);
    BN_free(n->s);
    BN_free(n->q1);
    BN_free(n->q2);
    BN_free(n->t);
    BN_free(n->r);
    BN_CTX_free(n->ctx);
}

/* r = a*b - q*m, which must lie in [0, m): so q is the true quotient. */
static bool reduce_with(struct numbers *n, const BIGNUM *a, const BIGNUM *b, const BIGNUM *q)
{
    return BN_mul(n->r, a, b, n->ctx) == 1 && BN_mul(n->t, q, n->m, n->ctx) == 1 &&
           BN_sub(n->r, n->r, n->t) == 1 && !BN_is_negative(n->r) && BN_cmp(n->r, n->m) < 0;
}

static bool signature_valid(const struct sgx_sigstruct *sig)
{
    uint8_t want[KEY_SIZE], have[KEY_SIZE];
    struct numbers n;
    bool ok = numbers_read(&n, sig) && expected_message(sig, want) && BN_cmp(n.s, n.m) < 0 &&
              reduce_with(&n, n.s, n.s, n.q1);
    BIGNUM *square = ok ? BN_dup(n.r) : NULL;

    ok = square != NULL && reduce_with(&n, square, n.s, n.q2) &&
         BN_bn2binpad(n.r, have, KEY_SIZE) == (int)KEY_SIZE && memcmp(want, have, KEY_SIZE) == 0;
    BN_free(square);
    numbers_free(&n);
    return ok;
}

static bool attributes_match(const struct sgx_sigstruct *sig, const struct sgx_secs *secs)
{
    const struct sgx_attributes *mask = &sig->attribute_mask;

    return ((secs->attributes.flags ^ sig->attributes.flags) & mask->flags & ~SGX_ATTR_INIT) == 0 &&
           ((secs->attributes.xfrm ^ sig->attributes.xfrm) & mask->xfrm) == 0 &&
           ((secs->misc_select ^ sig->misc_select) & sig->misc_mask) == 0;
}

static bool kss_consistent(const struct sgx_sigstruct *sig, const struct sgx_secs *secs)
{
    return (secs->attributes.flags & SGX_ATTR_KSS) != 0 ||
           (sim_bytes_all_zero(sig->isv_family_id, sizeof(sig->isv_family_id)) &&
            sim_bytes_all_zero(sig->isv_ext_prod_id, sizeof(sig->isv_ext_prod_id)));
}

int sigstruct_check(const struct sgx_sigstruct *sig, const struct sgx_secs *secs,
                    const uint8_t mrenclave[32], uint8_t signer[32])
{
    if (!format_valid(sig) || !kss_consistent(sig, secs)) {
        return SGX_INVALID_SIG_STRUCT;
    }
    if (!signature_valid(sig)) {
        return SGX_INVALID_SIGNATURE;
    }
    if (memcmp(sig->enclave_hash, mrenclave, 32) != 0) {
        return SGX_INVALID_MEASUREMENT;
    }
    if (!attributes_match(sig, secs)) {
        return SGX_INVALID_ATTRIBUTE;
    }
    if (EVP_Digest(sig->modulus, KEY_SIZE, signer, NULL, EVP_sha256(), NULL) != 1) {
        return SGX_INVALID_SIG_STRUCT;
    }
    return SGX_SUCCESS;
}
