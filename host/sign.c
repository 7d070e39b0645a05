/* SPDX-License-Identifier: MIT */
/*
 * The development key and SIGSTRUCT.
 *
 * The key file is created under a temporary name and linked into place, so of two first runs at the
 * same time one wins and both use its key. A development key protects nothing: whoever verifies an
 * enclave must not trust it; it is kept so that MRSIGNER (and what is sealed to it) stays the same.
 */
#include "sign.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEY_BITS     3072
#define KEY_EXPONENT 3
#define DATA_MODE    0700

/* ---- The key ------------------------------------------------------------------------------------ */

/* Makes every folder of `path` but its last part. 0 or -errno. */
static int make_folders(char *path)
{
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        int ret;

        *p = '\0';
        ret = mkdir(path, DATA_MODE) < 0 && errno != EEXIST ? -errno : 0;
        *p = '/';
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int key_path(char *path, size_t size)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int n;

    if (data && data[0] == '/')
        n = snprintf(path, size, "%s/adyton/dev-key.pem", data);
    else if (home && home[0] == '/')
        n = snprintf(path, size, "%s/.local/share/adyton/dev-key.pem", home);
    else
        return -ENOENT;
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static EVP_PKEY *generate_key(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *exponent = BN_new();
    EVP_PKEY *key = NULL;

    if (ctx && exponent && BN_set_word(exponent, KEY_EXPONENT) && EVP_PKEY_keygen_init(ctx) > 0 &&
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, KEY_BITS) > 0 &&
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent) > 0)
        (void)EVP_PKEY_generate(ctx, &key);
    BN_free(exponent);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* The key in `path`; NULL with errno, EINVAL when the file holds no key that fits. */
static EVP_PKEY *read_key(const char *path)
{
    EVP_PKEY *key;
    FILE *f = fopen(path, "re");

    if (!f)
        return NULL;
    key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    if (!key || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) != KEY_BITS) {
        EVP_PKEY_free(key);
        errno = EINVAL;
        return NULL;
    }
    return key;
}

static int write_pem(int fd, EVP_PKEY *key)
{
    FILE *f = fdopen(fd, "w");
    int ok;

    if (!f) {
        (void)close(fd);
        return -errno;
    }
    ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    ok &= fflush(f) == 0 && fsync(fd) == 0;
    return fclose(f) == 0 && ok ? 0 : -EIO;
}

/* Puts the key at `path` unless somebody else was faster (-EEXIST). */
static int store_key(char *path, EVP_PKEY *key)
{
    char temporary[PATH_MAX + 8];
    int ret = make_folders(path);
    int fd;

    if (ret < 0)
        return ret;
    (void)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return -errno;
    ret = write_pem(fd, key);
    if (ret == 0 && link(temporary, path) < 0)
        ret = -errno;
    (void)unlink(temporary);
    return ret;
}

static EVP_PKEY *make_key(char *path, char *why, size_t why_size)
{
    EVP_PKEY *key = generate_key();
    int ret;

    if (!key) {
        (void)snprintf(why, why_size, "cannot make a development key");
        return NULL;
    }
    ret = path ? store_key(path, key) : -ENOENT;
    if (ret == -EEXIST) {
        EVP_PKEY *theirs = read_key(path);

        if (theirs) {
            EVP_PKEY_free(key);
            return theirs;
        }
    }
    if (ret < 0)
        (void)fprintf(stderr,
                      "adyton: warning: the development key cannot be kept (%s); "
                      "this run's MRSIGNER is its own\n",
                      path ? path : "no home directory");
    return key;
}

EVP_PKEY *sign_development_key(char *why, size_t why_size)
{
    char path[PATH_MAX];
    EVP_PKEY *key;

    if (key_path(path, sizeof(path)) < 0)
        return make_key(NULL, why, why_size);
    key = read_key(path);
    if (key)
        return key;
    if (errno == EINVAL) {
        (void)snprintf(why, why_size, "%s holds no RSA-3072 key: move it away, a new one is made",
                       path);
        return NULL;
    }
    return make_key(path, why, why_size);
}

/* ---- SIGSTRUCT ---------------------------------------------------------------------------------- */

/* PKCS#1 v1.5 over SHA-256 of the two signed parts; big-endian result. */
static int rsa_sign(const struct sgx_sigstruct *sig, EVP_PKEY *key, uint8_t out[384])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const uint8_t *bytes = (const uint8_t *)sig;
    size_t size = SGX_SIG_MODULUS_SIZE;
    int ok;

    if (!ctx)
        return -ENOMEM;
    ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) > 0 &&
         EVP_DigestSignUpdate(ctx, bytes, SGX_SIG_PART1_SIZE) > 0 &&
         EVP_DigestSignUpdate(ctx, bytes + SGX_SIG_PART2_OFF, SGX_SIG_PART2_SIZE) > 0 &&
         EVP_DigestSignFinal(ctx, out, &size) > 0 && size == SGX_SIG_MODULUS_SIZE;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -EIO;
}

/* Q1 = floor(S^2 / M), Q2 = floor((S^3 - Q1 * S * M) / M), which is floor(S * (S^2 mod M) / M). */
static int compute_q(struct sgx_sigstruct *sig, const BIGNUM *s, const BIGNUM *m)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *square = BN_new();
    BIGNUM *q = BN_new();
    BIGNUM *rest = BN_new();
    int ok;

    ok = ctx && square && q && rest && BN_sqr(square, s, ctx) && BN_div(q, rest, square, m, ctx) &&
         BN_bn2lebinpad(q, sig->q1, sizeof(sig->q1)) > 0 && BN_mul(square, s, rest, ctx) &&
         BN_div(q, NULL, square, m, ctx) && BN_bn2lebinpad(q, sig->q2, sizeof(sig->q2)) > 0;
    BN_free(rest);
    BN_free(q);
    BN_free(square);
    BN_CTX_free(ctx);
    return ok ? 0 : -EIO;
}

static int check_key(EVP_PKEY *key, BIGNUM **modulus)
{
    BIGNUM *exponent = NULL;
    int ok = EVP_PKEY_get_bits(key) == KEY_BITS &&
             EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) > 0 &&
             BN_is_word(exponent, KEY_EXPONENT) &&
             EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, modulus) > 0;

    BN_free(exponent);
    return ok ? 0 : -EINVAL;
}

static uint32_t bcd(unsigned value)
{
    uint32_t out = 0;

    for (unsigned shift = 0; value > 0 && shift < 32; shift += 4, value /= 10)
        out |= (value % 10) << shift;
    return out;
}

/*
 * 0xYYYYMMDD of today, UTC; gmtime() would read the time zone's files. Days are counted from 1 March
 * of year 0, so that a leap day ends its year, in eras of 400 years.
 */
static uint32_t today_bcd(void)
{
    unsigned days = (unsigned)(time(NULL) / 86400) + 719468;
    unsigned era = days / 146097;
    unsigned day = days % 146097;
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned month; /* 0: March */

    day -= 365 * year + year / 4 - year / 100;
    month = (5 * day + 2) / 153;
    day = day - (153 * month + 2) / 5 + 1;
    year += era * 400 + (month >= 10);
    month = month < 10 ? month + 3 : month - 9;
    return bcd(year * 10000 + month * 100 + day);
}

static void fill_sigstruct(struct sgx_sigstruct *sig, const struct sgx_secs *secs,
                           const uint8_t mrenclave[32], uint16_t product_id,
                           uint16_t security_version)
{
    static const uint8_t header[16] = SGX_SIG_HEADER1;
    static const uint8_t header2[16] = SGX_SIG_HEADER2;

    memset(sig, 0, sizeof(*sig));
    memcpy(sig->header, header, sizeof(header));
    memcpy(sig->header2, header2, sizeof(header2));
    sig->date = today_bcd();
    sig->exponent = KEY_EXPONENT;
    sig->misc_select = secs->misc_select;
    sig->misc_mask = UINT32_MAX;
    sig->attributes = secs->attributes;
    sig->attribute_mask.flags = UINT64_MAX;
    /* Which vector registers the CPU has is its own affair; everything else is bound. */
    sig->attribute_mask.xfrm = ~(SGX_XFRM_AVX | SGX_XFRM_AVX512);
    memcpy(sig->enclave_hash, mrenclave, 32);
    sig->isv_prod_id = product_id;
    sig->isv_svn = security_version;
}

int sign_sigstruct(struct sgx_sigstruct *sig, EVP_PKEY *key, const struct sgx_secs *secs,
                   const uint8_t mrenclave[32], uint16_t product_id, uint16_t security_version)
{
    uint8_t signature[SGX_SIG_MODULUS_SIZE];
    BIGNUM *modulus = NULL;
    BIGNUM *s = NULL;
    int ret;

    ret = check_key(key, &modulus);
    if (ret < 0)
        goto out;
    fill_sigstruct(sig, secs, mrenclave, product_id, security_version);
    ret = rsa_sign(sig, key, signature);
    if (ret < 0)
        goto out;
    ret = -EIO;
    s = BN_bin2bn(signature, sizeof(signature), NULL);
    if (!s || BN_bn2lebinpad(s, sig->signature, sizeof(sig->signature)) < 0 ||
        BN_bn2lebinpad(modulus, sig->modulus, sizeof(sig->modulus)) < 0)
        goto out;
    ret = compute_q(sig, s, modulus);
out:
    BN_free(s);
    BN_free(modulus);
    return ret;
}

int sign_mrsigner(const struct sgx_sigstruct *sig, uint8_t mrsigner[32])
{
    return EVP_Digest(sig->modulus, sizeof(sig->modulus), mrsigner, NULL, EVP_sha256(), NULL)
               ? 0
               : -EIO;
}
