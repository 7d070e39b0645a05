/* SPDX-License-Identifier: MIT */
/* See harness.h. The signing key is made once per process. */
#include "harness.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define KEY_SIZE SGX_SIG_MODULUS_SIZE

const struct sgx_device_ops *const test_ops = &sgx_device_sim;

static struct {
    BIGNUM *n, *d;
} g_key;

static void key_make(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    BIGNUM *e = BN_new();
    EVP_PKEY *key = NULL;

    assert_non_null(ctx);
    BN_set_word(e, 3);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 3072), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &g_key.n);
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &g_key.d);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
    BN_free(e);
}

static void message(const struct sgx_sigstruct *sig, uint8_t out[KEY_SIZE])
{
    static const uint8_t prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    uint8_t part[256];

    memcpy(part, sig, 128);
    memcpy(part + 128, (const uint8_t *)sig + 900, 128);
    memset(out, 0xff, KEY_SIZE);
    out[0] = 0;
    out[1] = 1;
    out[KEY_SIZE - 52] = 0;
    memcpy(out + KEY_SIZE - 51, prefix, sizeof(prefix));
    EVP_Digest(part, sizeof(part), out + KEY_SIZE - 32, NULL, EVP_sha256(), NULL);
}

/* Signature, Q1 and Q2 over what the structure says now. */
void test_resign(struct sgx_sigstruct *sig)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *s = BN_new(), *t = BN_new(), *q = BN_new(), *r = BN_new(), *m;
    uint8_t text[KEY_SIZE];

    message(sig, text);
    m = BN_bin2bn(text, KEY_SIZE, NULL);
    BN_mod_exp(s, m, g_key.d, g_key.n, ctx);
    BN_bn2lebinpad(g_key.n, sig->modulus, KEY_SIZE);
    BN_bn2lebinpad(s, sig->signature, KEY_SIZE);
    BN_sqr(t, s, ctx);
    BN_div(q, r, t, g_key.n, ctx);
    BN_bn2lebinpad(q, sig->q1, KEY_SIZE);
    BN_mul(t, r, s, ctx);
    BN_div(q, r, t, g_key.n, ctx);
    BN_bn2lebinpad(q, sig->q2, KEY_SIZE);
    BN_free(s);
    BN_free(t);
    BN_free(q);
    BN_free(r);
    BN_free(m);
    BN_CTX_free(ctx);
}

void test_sign(const struct test_enclave *e, struct sgx_sigstruct *sig)
{
    static const uint8_t header1[16] = SGX_SIG_HEADER1;
    static const uint8_t header2[16] = SGX_SIG_HEADER2;

    if (g_key.n == NULL) {
        key_make();
    }
    memset(sig, 0, sizeof(*sig));
    memcpy(sig->header, header1, sizeof(header1));
    memcpy(sig->header2, header2, sizeof(header2));
    sig->date = 0x20260101;
    sig->exponent = 3;
    sig->misc_select = e->secs.misc_select;
    sig->misc_mask = ~0U;
    sig->attributes = e->secs.attributes;
    sig->attribute_mask.flags = ~0ULL;
    sig->attribute_mask.xfrm = ~0ULL;
    memcpy(sig->enclave_hash, e->mrenclave, sizeof(sig->enclave_hash));
    sig->isv_prod_id = 7;
    sig->isv_svn = 3;
    BN_bn2lebinpad(g_key.n, sig->modulus, KEY_SIZE);
    test_resign(sig);
}

int test_add(struct test_enclave *e, uint64_t offset, const void *page, uint64_t flags, int measure)
{
    static uint8_t aligned[TEST_PAGE] __attribute__((aligned(4096)));
    struct sgx_secinfo secinfo = {.flags = flags};
    struct sgx_enclave_add_pages add = {.src = (uint64_t)aligned,
                                        .offset = offset,
                                        .length = TEST_PAGE,
                                        .secinfo = (uint64_t)&secinfo,
                                        .flags = measure ? SGX_PAGE_MEASURE : 0};

    memcpy(aligned, page, TEST_PAGE);
    return test_ops->ioctl(e->dev, SGX_IOC_ENCLAVE_ADD_PAGES, &add);
}

/*
 * The harness's own account of what it added, for MRENCLAVE: the same records as the CPU's but
 * gathered here. test_mrenclave checks the simulator against a program of its own instead.
 */
static struct {
    EVP_MD_CTX *ctx;
} g_log;

static void log_page(uint64_t offset, const void *page, uint64_t flags)
{
    uint8_t record[64] = "EADD";

    memcpy(record + 8, &offset, 8);
    memcpy(record + 16, &flags, 8);
    EVP_DigestUpdate(g_log.ctx, record, sizeof(record));
    for (uint64_t i = 0; i < TEST_PAGE; i += 256) {
        uint64_t at = offset + i;

        memset(record, 0, sizeof(record));
        memcpy(record, "EEXTEND", 7);
        memcpy(record + 8, &at, 8);
        EVP_DigestUpdate(g_log.ctx, record, sizeof(record));
        EVP_DigestUpdate(g_log.ctx, (const uint8_t *)page + i, 256);
    }
}

static void log_begin(const struct sgx_secs *secs)
{
    uint8_t record[64] = "ECREATE";

    memcpy(record + 8, &secs->ssa_frame_size, 4);
    memcpy(record + 12, &secs->size, 8);
    EVP_MD_CTX_free(g_log.ctx);
    g_log.ctx = EVP_MD_CTX_new();
    EVP_DigestInit_ex(g_log.ctx, EVP_sha256(), NULL);
    EVP_DigestUpdate(g_log.ctx, record, sizeof(record));
}

void test_add_logged(struct test_enclave *e, uint64_t offset, const void *page, uint64_t flags)
{
    assert_int_equal(test_add(e, offset, page, flags, 1), 0);
    log_page(offset, page, flags);
}

static void add_thread(struct test_enclave *e, uint64_t i)
{
    static const uint8_t zero[TEST_PAGE];
    struct sgx_tcs tcs = {.ossa = TEST_SSA(i),
                          .nssa = 2,
                          .oentry = TEST_CODE,
                          .ofs_base = TEST_THREAD(i),
                          .ogs_base = TEST_THREAD(i),
                          .fs_limit = 0xfff,
                          .gs_limit = 0xfff};
    uint64_t area[TEST_PAGE / 8] = {e->base + TEST_STACK(i) + TEST_PAGE,
                                    e->base + TEST_STACK2(i) + TEST_PAGE};

    test_add_logged(e, TEST_TCS(i), &tcs, SGX_SECINFO_PT(SGX_PT_TCS));
    test_add_logged(e, TEST_SSA(i), zero, SECINFO_REG(PERM_RW));
    test_add_logged(e, TEST_SSA(i) + TEST_PAGE, zero, SECINFO_REG(PERM_RW));
    test_add_logged(e, TEST_THREAD(i), area, SECINFO_REG(PERM_RW));
    test_add_logged(e, TEST_STACK(i), zero, SECINFO_REG(PERM_RW));
    test_add_logged(e, TEST_STACK2(i), zero, SECINFO_REG(PERM_RW));
}

static void map_range(struct test_enclave *e, uint64_t from, uint64_t to, int prot)
{
    void *at = NULL;

    assert_int_equal(test_ops->mmap(e->dev, (void *)(e->base + from), to - from, prot, 1, &at), 0);
    assert_ptr_equal(at, (void *)(e->base + from));
}

/* Added ranges as declared, the rest RWX. */
static void map_all(struct test_enclave *e)
{
    map_range(e, 0, TEST_CODE, PROT_READ | PROT_WRITE);
    map_range(e, TEST_CODE, TEST_DYNAMIC, PROT_READ | PROT_EXEC);
    map_range(e, TEST_DYNAMIC, TEST_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static void add_all(struct test_enclave *e)
{
    static const uint8_t zero[TEST_PAGE];

    log_begin(&e->secs);
    add_thread(e, 0);
    add_thread(e, 1);
    test_add_logged(e, TEST_DATA, zero, SECINFO_REG(PERM_RW));
    for (const char *p = enclave_start; p < enclave_end; p += TEST_PAGE) {
        test_add_logged(e, TEST_CODE + (uint64_t)(p - enclave_start), p, SECINFO_REG(PERM_RX));
    }
}

void test_measurement(struct test_enclave *e, uint8_t out[32])
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();

    (void)e;
    EVP_MD_CTX_copy_ex(copy, g_log.ctx);
    EVP_DigestFinal_ex(copy, out, NULL);
    EVP_MD_CTX_free(copy);
}

void test_init(struct test_enclave *e)
{
    struct sgx_sigstruct sig;
    struct sgx_enclave_init init = {.sigstruct = (uint64_t)&sig};

    test_sign(e, &sig);
    assert_int_equal(test_ops->ioctl(e->dev, SGX_IOC_ENCLAVE_INIT, &init), 0);
}

void test_build(struct test_enclave *e, const struct test_options *options)
{
    static const struct test_options none;
    const struct test_options *o = options != NULL ? options : &none;
    struct sgx_enclave_create create = {.src = (uint64_t)&e->secs};
    char why[200] = "";

    memset(e, 0, sizeof(*e));
    e->base = o->base != 0 ? o->base : TEST_BASE;
    e->secs.size = TEST_SIZE;
    e->secs.base = e->base;
    e->secs.ssa_frame_size = 1;
    e->secs.misc_select = o->misc_select;
    e->secs.attributes.flags = SGX_ATTR_MODE64BIT | o->attributes;
    e->secs.attributes.xfrm = o->xfrm != 0 ? o->xfrm : SGX_XFRM_LEGACY | SGX_XFRM_AVX;
    if (test_ops->open(&o->config, &e->dev, why, sizeof(why)) != 0) {
        fail_msg("open: %s", why);
    }
    assert_int_equal(test_ops->ioctl(e->dev, SGX_IOC_ENCLAVE_CREATE, &create), 0);
    if (!o->map_late) {
        map_all(e);
    }
    add_all(e);
    if (o->map_late) {
        map_all(e);
    }
    test_measurement(e, e->mrenclave);
    if (!o->no_init) {
        test_init(e);
    }
    if (!o->no_thread) {
        assert_int_equal(test_ops->thread_start(e->dev), 0);
    }
}

void test_close(struct test_enclave *e)
{
    test_ops->thread_stop(e->dev);
    test_ops->close(e->dev);
    e->dev = NULL;
}

uint64_t test_code(const struct test_enclave *e, const void *routine)
{
    return e->base + TEST_CODE + (uint64_t)((const char *)routine - enclave_start);
}

static int on_exit_(long rdi, long rsi, long rdx, long rsp, long r8, long r9,
                    struct sgx_enclave_run *run)
{
    struct test_enclave *e = (struct test_enclave *)run->user_data;

    (void)rsi;
    (void)rdx;
    (void)rsp;
    (void)r8;
    (void)r9;
    if (run->function == SGX_EEXIT) {
        e->rdi = rdi;
        e->exits++;
        return 0;
    }
    return -14;
}

int test_enter_asm(unsigned long rdi, unsigned long rsi, unsigned long rdx, unsigned function,
                   unsigned long r8, unsigned long r9, struct sgx_enclave_run *run,
                   vdso_sgx_enter_enclave_t enter);

int test_enter_tcs(struct test_enclave *e, int i, unsigned function, const void *routine,
                   uint64_t rdi, uint64_t rdx, uint64_t r8)
{
    uint64_t rsi = routine != NULL ? test_code(e, routine) : 0;

    memset(&e->run, 0, sizeof(e->run));
    e->run.tcs = e->base + TEST_TCS((uint64_t)i);
    e->run.user_handler = (uint64_t)on_exit_;
    e->run.user_data = (uint64_t)e;
    return test_enter_asm(rdi, rsi, rdx, function, r8, 0, &e->run, test_ops->enter);
}

int test_enter(struct test_enclave *e, const void *routine, uint64_t rdi, uint64_t rdx)
{
    return test_enter_tcs(e, 0, SGX_EENTER, routine, rdi, rdx, 0);
}

int test_resume(struct test_enclave *e)
{
    return test_enter_tcs(e, 0, SGX_ERESUME, NULL, 0, 0, 0);
}

uint64_t test_call(struct test_enclave *e, const void *routine, uint64_t rdi, uint64_t rdx)
{
    int ret = test_enter(e, routine, rdi, rdx);

    if (ret != 0) {
        fail_msg("enter: %d, vector %u error %#x addr %#llx", ret, e->run.exception_vector,
                 e->run.exception_error_code, (unsigned long long)e->run.exception_addr);
    }
    return (uint64_t)e->rdi;
}

void test_expect_fault(struct test_enclave *e, const void *routine, uint64_t rdi, uint64_t rdx,
                       int vector, unsigned error, uint64_t addr)
{
    assert_int_equal(test_enter(e, routine, rdi, rdx), -14);
    assert_int_equal(e->run.function, SGX_ERESUME);
    assert_int_equal(e->run.exception_vector, vector);
    assert_int_equal(e->run.exception_error_code, error);
    assert_int_equal(e->run.exception_addr, addr);
}

void test_read(struct test_enclave *e, uint64_t addr, void *out, size_t size)
{
    assert_int_equal(test_enter_tcs(e, 0, SGX_EENTER, r_copy, (uint64_t)out, addr, size), 0);
}

void test_write8(struct test_enclave *e, uint64_t addr, uint64_t value)
{
    test_call(e, r_store8, addr, value);
}

struct sgx_gprsgx test_gprsgx(struct test_enclave *e)
{
    struct sgx_gprsgx gpr;

    test_read(e, e->base + TEST_SSA(0UL) + TEST_PAGE - sizeof(gpr), &gpr, sizeof(gpr));
    return gpr;
}

int test_skip(struct test_enclave *e, uint64_t skip)
{
    uint64_t rip = e->base + TEST_SSA(0UL) + TEST_PAGE - sizeof(struct sgx_gprsgx) +
                   offsetof(struct sgx_gprsgx, rip);

    test_call(e, r_add8, rip, skip);
    return test_resume(e);
}

int test_leaf(struct test_enclave *e, int raw, struct enclu_args *args)
{
    return test_enter(e, raw ? r_enclu_raw : r_enclu, (uint64_t)args, 0);
}

uint64_t test_secinfo(struct test_enclave *e, uint64_t flags)
{
    test_write8(e, e->base + TEST_DATA, flags);
    return e->base + TEST_DATA;
}

uint64_t test_accept(struct test_enclave *e, uint64_t addr, uint64_t flags)
{
    struct enclu_args args = {.rax = SGX_EACCEPT, .rbx = test_secinfo(e, flags), .rcx = addr};

    assert_int_equal(test_leaf(e, 0, &args), 0);
    return args.out_rax;
}

struct sgx_counters test_counters(struct test_enclave *e)
{
    struct sgx_counters c;

    test_ops->counters(e->dev, &c);
    return c;
}

/* A failed test does not come back here: what it left open is closed by the next one. */
void test_run_case(void **state)
{
    static struct test_enclave *left;
    const struct test_case *c = *state;

    if (left != NULL && left->dev != NULL) {
        test_close(left);
    }
    left = c->enclave;
    test_build(c->enclave, c->options);
    c->run(NULL);
    test_close(c->enclave);
}
