/* SPDX-License-Identifier: MIT */
/*
 * MRENCLAVE over the image's page list: a SHA-256 of one 64-byte record for ECREATE, one for each
 * EADD and, as every page is measured, 16 EEXTEND records with 256 bytes of the page after each.
 */
#include "measure.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include "layout.h"

static int hash_page(EVP_MD_CTX *ctx, uint64_t offset, uint64_t secinfo, const uint8_t *data)
{
    struct sgx_measure_eadd add = {.tag = SGX_MEASURE_EADD, .offset = offset};
    struct sgx_measure_eextend extend = {.tag = SGX_MEASURE_EEXTEND};
    int ok;

    memcpy(add.secinfo, &secinfo, sizeof(secinfo));
    ok = EVP_DigestUpdate(ctx, &add, sizeof(add));
    for (unsigned i = 0; i < ENCLAVE_PAGE_SIZE; i += SGX_EEXTEND_SIZE) {
        extend.offset = offset + i;
        ok &= EVP_DigestUpdate(ctx, &extend, sizeof(extend));
        ok &= EVP_DigestUpdate(ctx, data + i, SGX_EEXTEND_SIZE);
    }
    return ok ? 0 : -EIO;
}

static int hash_run(EVP_MD_CTX *ctx, const struct image_run *run)
{
    for (uint64_t i = 0; i < run->size; i += ENCLAVE_PAGE_SIZE) {
        int ret = hash_page(ctx, run->va + i - ENCLAVE_BASE, run->secinfo,
                            (const uint8_t *)run->data + i);

        if (ret < 0)
            return ret;
    }
    return 0;
}

int measure_image(const struct image *image, const struct sgx_secs *secs, uint8_t mrenclave[32])
{
    struct sgx_measure_ecreate create = {
        .tag = SGX_MEASURE_ECREATE,
        .ssa_frame_size = secs->ssa_frame_size,
        .size_low = (uint32_t)secs->size,
        .size_high = (uint32_t)(secs->size >> 32),
    };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ret = 0;

    if (!ctx)
        return -ENOMEM;
    if (!EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(ctx, &create, sizeof(create)))
        ret = -EIO;
    for (size_t i = 0; i < image->run_count && ret == 0; i++)
        ret = hash_run(ctx, &image->runs[i]);
    if (ret == 0 && !EVP_DigestFinal_ex(ctx, mrenclave, NULL))
        ret = -EIO;
    EVP_MD_CTX_free(ctx);
    return ret;
}
