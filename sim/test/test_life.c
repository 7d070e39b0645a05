/* SPDX-License-Identifier: MIT */
/* Smoke: an enclave is built, entered, left, and grows. */
#include "harness.h"

static void test_smoke(void **state)
{
    struct test_enclave e;
    uint64_t page;

    (void)state;
    test_build(&e, NULL);
    assert_int_equal(test_call(&e, r_nop, 0, 0), 0x1234);
    assert_true(sim_stub_address(e.dev) == test_code(&e, enclave_stub));
    page = e.base + TEST_DYNAMIC;
    test_expect_fault(&e, r_load, page, 0, 14, 0x8005, page);
    assert_int_equal(test_accept(&e, page, SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING), 0);
    assert_int_equal(test_resume(&e), 0);
    assert_int_equal(e.rdi, 0);
    test_write8(&e, page, 0x55);
    assert_int_equal(test_call(&e, r_load8, page, 0), 0x55);
    test_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
