/* SPDX-License-Identifier: MIT */
/* EREPORT and EGETKEY: contents, the MAC's key, dependencies, every refusal; vectors survive them. */
#include "harness.h"

#include <openssl/evp.h>
#include <string.h>

#define BUFFER (g_e.base + TEST_DYNAMIC) /* two accepted pages */
#define TARGET BUFFER
#define DATA   (BUFFER + 512)
#define REPORT (BUFFER + 1024)
#define REQUEST (BUFFER + 2048)
#define KEY    (BUFFER + 2560)

static struct test_enclave g_e;
static const struct test_options g_patched;
static const struct test_options g_strict = {.config = {.strict = 1}};
static const struct test_options g_kss = {.attributes = SGX_ATTR_KSS};

static void write_in(uint64_t to, const void *from, size_t size)
{
    assert_int_equal(test_enter_tcs(&g_e, 0, SGX_EENTER, r_copy, to, (uint64_t)from, size), 0);
}

static void accept_buffer(void)
{
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(test_accept(&g_e, BUFFER + i * TEST_PAGE,
                                     SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING), 0);
    }
}

static void ereport(void)
{
    struct enclu_args args = {.rax = SGX_EREPORT, .rbx = TARGET, .rcx = DATA, .rdx = REPORT};

    assert_int_equal(test_leaf(&g_e, 0, &args), 0);
    assert_int_equal(args.out_rax, SGX_EREPORT); /* no register is an output */
    assert_int_equal(args.out_rflags & 1, 1);    /* nor are the flags */
}

static void leaf_fault(uint64_t number, uint64_t rbx, uint64_t rcx, uint64_t rdx, int vector)
{
    struct enclu_args args = {.rax = number, .rbx = rbx, .rcx = rcx, .rdx = rdx};

    assert_int_equal(test_leaf(&g_e, 0, &args), -14);
    assert_int_equal(g_e.run.exception_vector, vector);
    test_close(&g_e); /* the next needs CSSA 0 */
    test_build(&g_e, NULL);
    accept_buffer();
}

static void get_report(const struct sgx_targetinfo *target, struct sgx_report *report)
{
    struct sgx_report_data data;

    memset(&data, 0x3c, sizeof(data));
    write_in(TARGET, target, sizeof(*target));
    write_in(DATA, &data, sizeof(data));
    ereport();
    test_read(&g_e, REPORT, report, sizeof(*report));
}

static uint64_t get_key(const struct sgx_keyrequest *request, uint8_t key[16])
{
    uint64_t ret;

    write_in(REQUEST, request, sizeof(*request));
    {
        struct enclu_args args = {.rax = SGX_EGETKEY, .rbx = REQUEST, .rcx = KEY};

        assert_int_equal(test_leaf(&g_e, 0, &args), 0);
        ret = args.out_rax;
        assert_int_equal((args.out_rflags & 0x40) != 0, ret != 0);
    }
    test_read(&g_e, KEY, key, 16);
    return ret;
}

static struct sgx_targetinfo self_target(void)
{
    struct sgx_targetinfo t = {.attributes = g_e.secs.attributes,
                               .misc_select = g_e.secs.misc_select};

    t.attributes.flags |= SGX_ATTR_INIT;
    memcpy(t.measurement, g_e.mrenclave, sizeof(t.measurement));
    return t;
}

static void cmac(const uint8_t key[16], const void *data, size_t size, uint8_t out[16])
{
    size_t done;

    assert_non_null(EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, key, 16, data, size, out, 16,
                              &done));
}

static void test_report(void **state)
{
    struct sgx_targetinfo target = self_target();
    struct sgx_keyrequest request = {.key_name = SGX_KEY_REPORT};
    struct sgx_report report;
    uint8_t key[16], mac[16];

    (void)state;
    accept_buffer();
    get_report(&target, &report);
    assert_memory_equal(report.mrenclave, g_e.mrenclave, 32);
    assert_int_equal(report.attributes.flags, SGX_ATTR_INIT | SGX_ATTR_MODE64BIT);
    assert_int_equal(report.attributes.xfrm, g_e.secs.attributes.xfrm);
    assert_int_equal(report.isv_prod_id, 7);
    assert_int_equal(report.isv_svn, 3);
    assert_int_equal(report.report_data.data[63], 0x3c);
    /* The target, this very enclave, verifies it with its report key. */
    memcpy(request.key_id, report.key_id, sizeof(request.key_id));
    assert_int_equal(get_key(&request, key), 0);
    cmac(key, &report, SGX_REPORT_MAC_SIZE, mac);
    assert_memory_equal(mac, report.mac, 16);
    /* Not for another target. */
    target.measurement[0] ^= 1;
    get_report(&target, &report);
    cmac(key, &report, SGX_REPORT_MAC_SIZE, mac);
    assert_memory_not_equal(mac, report.mac, 16);
    assert_int_equal(test_counters(&g_e).ereport, 2);
    assert_int_equal(test_counters(&g_e).egetkey, 1);
}

static void test_report_failures(void **state)
{
    struct sgx_targetinfo target = self_target();

    (void)state;
    accept_buffer();
    leaf_fault(SGX_EREPORT, TARGET + 256, DATA, REPORT, 13);
    leaf_fault(SGX_EREPORT, TARGET, DATA + 64, REPORT, 13);
    leaf_fault(SGX_EREPORT, TARGET, DATA, REPORT + 128, 13);
    leaf_fault(SGX_EREPORT, 0x20000, DATA, REPORT, 13);
    leaf_fault(SGX_EREPORT, BUFFER + 16 * TEST_PAGE, DATA, REPORT, 14);
    leaf_fault(SGX_EREPORT, TARGET, DATA, test_code(&g_e, enclave_start), 14);
    target.reserved3[5] = 1;
    write_in(TARGET, &target, sizeof(target));
    leaf_fault(SGX_EREPORT, TARGET, DATA, REPORT, 13);
}

static void test_seal_key(void **state)
{
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL,
                                     .key_policy = SGX_KEYPOLICY_MRENCLAVE,
                                     .isv_svn = 3};
    uint8_t first[16], again[16], other[16];

    (void)state;
    accept_buffer();
    assert_int_equal(get_key(&request, first), 0);
    assert_int_equal(get_key(&request, again), 0);
    assert_memory_equal(first, again, 16);
    request.key_policy = SGX_KEYPOLICY_MRSIGNER;
    assert_int_equal(get_key(&request, other), 0);
    assert_memory_not_equal(first, other, 16);
    request.key_id[0] = 1;
    assert_int_equal(get_key(&request, again), 0);
    assert_memory_not_equal(again, other, 16);
    request.isv_svn = 2;
    assert_int_equal(get_key(&request, other), 0);
    assert_memory_not_equal(again, other, 16);
    request.attribute_mask.xfrm = ~0ULL;
    assert_int_equal(get_key(&request, again), 0);
    assert_memory_not_equal(again, other, 16);
}

static void test_key_refusals(void **state)
{
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL, .isv_svn = 4};
    uint8_t key[16], before[16];

    (void)state;
    accept_buffer();
    test_read(&g_e, KEY, before, sizeof(before));
    assert_int_equal(get_key(&request, key), SGX_INVALID_ISVSVN);
    request.isv_svn = 3;
    request.cpu_svn[3] = 0xff;
    assert_int_equal(get_key(&request, key), SGX_INVALID_CPUSVN);
    request.cpu_svn[3] = 0;
    request.key_name = 77;
    assert_int_equal(get_key(&request, key), SGX_INVALID_KEYNAME);
    request.key_name = SGX_KEY_PROVISION;
    assert_int_equal(get_key(&request, key), SGX_INVALID_ATTRIBUTE);
    request.key_name = SGX_KEY_EINITTOKEN;
    assert_int_equal(get_key(&request, key), SGX_INVALID_ATTRIBUTE);
    assert_memory_equal(key, before, 16); /* nothing was written */
}

static void test_key_faults(void **state)
{
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL};

    (void)state;
    accept_buffer();
    leaf_fault(SGX_EGETKEY, REQUEST + 64, KEY, 0, 13);
    leaf_fault(SGX_EGETKEY, REQUEST, KEY + 8, 0, 13);
    leaf_fault(SGX_EGETKEY, REQUEST, 0x20000, 0, 13);
    leaf_fault(SGX_EGETKEY, REQUEST, test_code(&g_e, enclave_start), 0, 14);
    request.reserved2[7] = 1;
    write_in(REQUEST, &request, sizeof(request));
    leaf_fault(SGX_EGETKEY, REQUEST, KEY, 0, 13);
    request.reserved2[7] = 0;
    request.key_policy = 0x8000;
    write_in(REQUEST, &request, sizeof(request));
    leaf_fault(SGX_EGETKEY, REQUEST, KEY, 0, 13);
    request.key_policy = SGX_KEYPOLICY_CONFIGID; /* KSS is not on */
    write_in(REQUEST, &request, sizeof(request));
    leaf_fault(SGX_EGETKEY, REQUEST, KEY, 0, 13);
}

static void test_kss_key(void **state)
{
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL, .isv_svn = 3};
    uint8_t first[16], other[16];

    (void)state;
    accept_buffer();
    assert_int_equal(get_key(&request, first), 0);
    request.key_policy = SGX_KEYPOLICY_NOISVPRODID;
    assert_int_equal(get_key(&request, other), 0);
    assert_memory_not_equal(first, other, 16);
}

static void test_vectors_survive(void **state)
{
    struct sgx_targetinfo target = self_target();
    struct enclu_args args = {.rax = SGX_EREPORT, .rbx = TARGET, .rcx = DATA, .rdx = REPORT};

    (void)state;
    accept_buffer();
    write_in(TARGET, &target, sizeof(target));
    assert_int_equal(test_call(&g_e, r_vector_leaf, (uint64_t)&args, 0x6b), 32);
    args = (struct enclu_args){
        .rax = SGX_EACCEPT, .rbx = test_secinfo(&g_e, SECINFO_REG(PERM_RW)), .rcx = BUFFER};
    assert_int_equal(test_call(&g_e, r_vector_leaf, (uint64_t)&args, 0x6b), 32);
}

#define BOTH(f) TEST_CASE(f, &g_e, &g_patched), TEST_CASE(f, &g_e, &g_strict)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_report),
        TEST_CASE(test_report_failures, &g_e, &g_patched),
        BOTH(test_seal_key),
        BOTH(test_key_refusals),
        TEST_CASE(test_key_faults, &g_e, &g_patched),
        TEST_CASE(test_kss_key, &g_e, &g_kss),
        BOTH(test_vectors_survive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
