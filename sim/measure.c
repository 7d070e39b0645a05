/* SPDX-License-Identifier: MIT */
/*
 * MRENCLAVE: SHA-256 over one 64-byte record per ECREATE, EADD and EEXTEND, the latter followed by its
 * 256 bytes of content. Source: Intel SDM vol. 3D, Operation of the three leaves.
 */
#include "internal.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct sim_measure {
    EVP_MD_CTX *ctx;
};

struct sim_measure *measure_begin(const struct sgx_secs *secs)
{
    struct sgx_measure_ecreate record = {.tag = SGX_MEASURE_ECREATE,
                                         .ssa_frame_size = secs->ssa_frame_size,
                                         .size_low = (uint32_t)secs->size,
                                         .size_high = (uint32_t)(secs->size >> 32)};
    struct sim_measure *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        return NULL;
    }
    m->ctx = EVP_MD_CTX_new();
    if (m->ctx == NULL || EVP_DigestInit_ex(m->ctx, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(m->ctx, &record, sizeof(record)) != 1) {
        measure_free(m);
        return NULL;
    }
    return m;
}

void measure_add(struct sim_measure *m, uint64_t offset, const struct sgx_secinfo *secinfo)
{
    struct sgx_measure_eadd record = {.tag = SGX_MEASURE_EADD, .offset = offset};

    memcpy(record.secinfo, secinfo, sizeof(record.secinfo));
    EVP_DigestUpdate(m->ctx, &record, sizeof(record));
}

void measure_extend(struct sim_measure *m, uint64_t offset, const void *page)
{
    struct {
        struct sgx_measure_eextend record;
        uint8_t data[SGX_EEXTEND_SIZE];
    } chunk[SIM_PAGE_SIZE / SGX_EEXTEND_SIZE];

    memset(chunk, 0, sizeof(chunk));
    for (size_t i = 0; i < SIM_PAGE_SIZE / SGX_EEXTEND_SIZE; i++) {
        chunk[i].record.tag = SGX_MEASURE_EEXTEND;
        chunk[i].record.offset = offset + i * SGX_EEXTEND_SIZE;
        memcpy(chunk[i].data, (const uint8_t *)page + i * SGX_EEXTEND_SIZE, SGX_EEXTEND_SIZE);
    }
    EVP_DigestUpdate(m->ctx, chunk, sizeof(chunk));
}

int measure_end(struct sim_measure *m, uint8_t hash[32])
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    int ret = -1;

    /* A copy: EINIT may fail and be tried again with another SIGSTRUCT. */
    if (copy != NULL && EVP_MD_CTX_copy_ex(copy, m->ctx) == 1 &&
        EVP_DigestFinal_ex(copy, hash, NULL) == 1) {
        ret = 0;
    }
    EVP_MD_CTX_free(copy);
    return ret;
}

void measure_free(struct sim_measure *m)
{
    if (m != NULL) {
        EVP_MD_CTX_free(m->ctx);
        free(m);
    }
}
