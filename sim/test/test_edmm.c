/* SPDX-License-Identifier: MIT */
/*
 * Dynamic memory: EAUG, EACCEPT, EACCEPTCOPY, EMODPE and the driver's three ioctls. Every test runs with
 * the patched stub and in strict mode: results must not differ.
 */
#include "harness.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PENDING_RW (SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING)
#define PF_SGX     (SGX_PF_P | SGX_PF_U | SGX_PF_SGX)

static struct test_enclave g_e;
static const struct test_options g_patched;
static const struct test_options g_strict = {.config = {.strict = 1}};
static const struct test_options g_small = {.config = {.epc_size = 40 * TEST_PAGE}};

static uint64_t dynamic(uint64_t page)
{
    return g_e.base + TEST_DYNAMIC + page * TEST_PAGE;
}

static void accept_new(uint64_t addr)
{
    assert_int_equal(test_accept(&g_e, addr, PENDING_RW), 0);
}

static void expect_pf(const void *routine, uint64_t addr, unsigned error)
{
    test_expect_fault(&g_e, routine, addr, 0x77, 14, error, addr & ~(TEST_PAGE - 1));
}

/* Gives up the interrupted state: the next entry is at CSSA 0 again. */
static void drop_frame(uint64_t skip)
{
    assert_int_equal(test_skip(&g_e, skip), 0);
}

static int restrict_(uint64_t addr, uint64_t pages, uint64_t perm, uint64_t *count)
{
    struct sgx_enclave_restrict_permissions p = {
        .offset = addr - g_e.base, .length = pages * TEST_PAGE, .permissions = perm};
    int ret = test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &p);

    if (count != NULL) {
        *count = p.count;
    }
    return p.result != 0 ? (int)p.result : ret;
}

static int modify(uint64_t addr, uint64_t pages, uint64_t type, uint64_t *count)
{
    struct sgx_enclave_modify_types p = {
        .offset = addr - g_e.base, .length = pages * TEST_PAGE, .page_type = type};
    int ret = test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_MODIFY_TYPES, &p);

    if (count != NULL) {
        *count = p.count;
    }
    return p.result != 0 ? (int)p.result : ret;
}

static int remove_(uint64_t addr, uint64_t pages, uint64_t *count)
{
    struct sgx_enclave_remove_pages p = {.offset = addr - g_e.base, .length = pages * TEST_PAGE};
    int ret = test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_REMOVE_PAGES, &p);

    if (count != NULL) {
        *count = p.count;
    }
    return ret;
}

static void test_eaug_read(void **state)
{
    struct sgx_counters before = test_counters(&g_e), after;

    (void)state;
    expect_pf(r_load, dynamic(0), PF_SGX);
    after = test_counters(&g_e);
    assert_int_equal(after.eaug - before.eaug, 1);
    assert_int_equal(after.aex - before.aex, 2); /* the missing page, then the pending one */
    assert_int_equal(after.eresume - before.eresume, 1);
    accept_new(dynamic(0));
    assert_int_equal(test_resume(&g_e), 0);
    assert_int_equal(g_e.rdi, 0); /* new pages are zero */
}

static void test_eaug_write_exec(void **state)
{
    (void)state;
    expect_pf(r_store, dynamic(1) + 5, PF_SGX | SGX_PF_W);
    accept_new(dynamic(1));
    assert_int_equal(test_resume(&g_e), 0);
    assert_int_equal(test_call(&g_e, r_load, dynamic(1) + 5, 0), 0x77);
    /* A fetch from an EAUGed page: pending like any other access. */
    expect_pf(r_call, dynamic(2), PF_SGX | SGX_PF_I);
}

static void test_eaccept_augments(void **state)
{
    struct sgx_counters before = test_counters(&g_e), after;

    (void)state;
    accept_new(dynamic(7));
    after = test_counters(&g_e);
    assert_int_equal(after.eaug - before.eaug, 1);
    assert_int_equal(after.eaccept - before.eaccept, 1);
    assert_int_equal(after.aex - before.aex, 1);
    assert_int_equal(after.eresume - before.eresume, 1);
    assert_int_equal(after.epc_pages - before.epc_pages, 1);
    test_write8(&g_e, dynamic(7), 0x1122);
    assert_int_equal(test_call(&g_e, r_load8, dynamic(7), 0), 0x1122);
}

static void leaf_fault(uint64_t leaf, uint64_t rbx, uint64_t rcx, uint64_t rdx, int vector)
{
    struct enclu_args args = {.rax = leaf, .rbx = rbx, .rcx = rcx, .rdx = rdx};

    assert_int_equal(test_leaf(&g_e, 0, &args), -EFAULT);
    assert_int_equal(g_e.run.exception_vector, vector);
    /* The interrupted ENCLU would fault again: give it a leaf that passes. */
    {
        uint64_t gpr = g_e.base + TEST_SSA(0UL) + TEST_PAGE - sizeof(struct sgx_gprsgx);

        test_write8(&g_e, gpr + offsetof(struct sgx_gprsgx, rax), SGX_EACCEPT);
        test_write8(&g_e, gpr + offsetof(struct sgx_gprsgx, rbx),
                    test_secinfo(&g_e, SECINFO_REG(PERM_RX)));
        test_write8(&g_e, g_e.base + TEST_DATA + 32, 0);
        test_write8(&g_e, gpr + offsetof(struct sgx_gprsgx, rcx), g_e.base + TEST_DATA);
    }
    assert_int_equal(test_resume(&g_e), 0);
}

static uint64_t leaf_result(uint64_t leaf, uint64_t rbx, uint64_t rcx, uint64_t rdx, int zf)
{
    struct enclu_args args = {.rax = leaf, .rbx = rbx, .rcx = rcx, .rdx = rdx};

    assert_int_equal(test_leaf(&g_e, 0, &args), 0);
    assert_int_equal((args.out_rflags & 0x40) != 0, zf);
    if (leaf != SGX_EMODPE) {
        assert_int_equal(args.out_rflags & 0x895, 0); /* CF, PF, AF, SF, OF cleared */
    } else {
        assert_int_equal(args.out_rflags & 1, 1); /* CF as it was */
    }
    return args.out_rax;
}

static void test_eaccept_failures(void **state)
{
    uint64_t good = test_secinfo(&g_e, PENDING_RW);

    (void)state;
    leaf_fault(SGX_EACCEPT, good + 8, dynamic(0), 0, 13);         /* SECINFO not aligned */
    leaf_fault(SGX_EACCEPT, 0x10000, dynamic(0), 0, 13);          /* SECINFO outside */
    leaf_fault(SGX_EACCEPT, good, dynamic(0) + 64, 0, 13);        /* page not aligned */
    leaf_fault(SGX_EACCEPT, good, g_e.base - TEST_PAGE, 0, 13);   /* page outside */
    leaf_fault(SGX_EACCEPT, dynamic(900), dynamic(0), 0, 14);     /* SECINFO on a pending page */
    test_secinfo(&g_e, PENDING_RW | 1ULL << 40);
    leaf_fault(SGX_EACCEPT, good, dynamic(0), 0, 13);             /* reserved flag */
    test_secinfo(&g_e, PENDING_RW);
    test_write8(&g_e, good + 32, 1);
    leaf_fault(SGX_EACCEPT, good, dynamic(0), 0, 13);             /* reserved field */
    test_secinfo(&g_e, SECINFO_REG(PERM_RW) | SGX_SECINFO_MODIFIED);
    leaf_fault(SGX_EACCEPT, good, dynamic(0), 0, 13);             /* REG and MODIFIED */
    test_secinfo(&g_e, SGX_SECINFO_PT(SGX_PT_TRIM));
    leaf_fault(SGX_EACCEPT, good, dynamic(0), 0, 13);             /* TRIM and not MODIFIED */
    test_secinfo(&g_e, SGX_SECINFO_PT(SGX_PT_SECS) | SGX_SECINFO_MODIFIED);
    leaf_fault(SGX_EACCEPT, good, dynamic(0), 0, 13);             /* no such type */

    test_secinfo(&g_e, SECINFO_REG(SGX_SECINFO_R) | SGX_SECINFO_PENDING);
    assert_int_equal(leaf_result(SGX_EACCEPT, good, dynamic(0), 0, 1),
                     SGX_PAGE_ATTRIBUTES_MISMATCH);
    test_secinfo(&g_e, PENDING_RW);
    assert_int_equal(leaf_result(SGX_EACCEPT, good, dynamic(0), 0, 0), 0);
    assert_int_equal(leaf_result(SGX_EACCEPT, good, dynamic(0), 0, 1), /* not pending any more */
                     SGX_PAGE_ATTRIBUTES_MISMATCH);
}

static void test_eacceptcopy(void **state)
{
    uint64_t good;

    (void)state;
    accept_new(dynamic(3));
    for (uint64_t i = 0; i < TEST_PAGE; i += 8) {
        if (i % 512 == 0) {
            test_write8(&g_e, dynamic(3) + i, 0xc0de + i);
        }
    }
    good = test_secinfo(&g_e, SECINFO_REG(PERM_RX));
    assert_int_equal(leaf_result(SGX_EACCEPTCOPY, good, dynamic(4), dynamic(3), 0), 0);
    for (uint64_t i = 0; i < TEST_PAGE; i += 512) {
        assert_int_equal(test_call(&g_e, r_load8, dynamic(4) + i, 0), 0xc0de + i);
    }
    expect_pf(r_store, dynamic(4), PF_SGX | SGX_PF_W); /* R and X, not W */
    assert_int_equal(test_counters(&g_e).eacceptcopy, 1);
}

static void test_eacceptcopy_failures(void **state)
{
    uint64_t good = test_secinfo(&g_e, SECINFO_REG(PERM_RW));

    (void)state;
    leaf_fault(SGX_EACCEPTCOPY, good, dynamic(0) + 8, g_e.base + TEST_DATA, 13);
    leaf_fault(SGX_EACCEPTCOPY, good, dynamic(0), g_e.base + TEST_DATA + 8, 13);
    leaf_fault(SGX_EACCEPTCOPY, good, dynamic(0), 0x20000, 13);
    leaf_fault(SGX_EACCEPTCOPY, good, dynamic(0), dynamic(50), 14); /* source pending */
    leaf_fault(SGX_EACCEPTCOPY, good, dynamic(0), g_e.base + TEST_TCS(0), 14);
    test_secinfo(&g_e, SECINFO_REG(SGX_SECINFO_W));
    leaf_fault(SGX_EACCEPTCOPY, good, dynamic(0), g_e.base + TEST_DATA, 13);
    test_secinfo(&g_e, SGX_SECINFO_PT(SGX_PT_TCS));
    leaf_fault(SGX_EACCEPTCOPY, good, dynamic(0), g_e.base + TEST_DATA, 13);
    test_secinfo(&g_e, SECINFO_REG(PERM_RW));
    assert_int_equal(leaf_result(SGX_EACCEPTCOPY, good, g_e.base + TEST_STACK2(0UL),
                                 g_e.base + TEST_DATA, 1),
                     SGX_PAGE_ATTRIBUTES_MISMATCH); /* the destination is not pending */
}

static void test_emodpe(void **state)
{
    uint64_t info;

    (void)state;
    accept_new(dynamic(5));
    test_write8(&g_e, dynamic(5), 0xc3); /* RET */
    expect_pf(r_call, dynamic(5), PF_SGX | SGX_PF_I);
    info = test_secinfo(&g_e, SECINFO_REG(SGX_SECINFO_RWX));
    assert_int_equal(leaf_result(SGX_EMODPE, info, dynamic(5), 0, 0), SGX_EMODPE);
    assert_int_equal(test_resume(&g_e), 0); /* the call now works */
    assert_int_equal(test_counters(&g_e).emodpe, 1);

    leaf_fault(SGX_EMODPE, info, dynamic(5) + 8, 0, 13);
    leaf_fault(SGX_EMODPE, info, dynamic(60), 0, 14); /* pending */
    leaf_fault(SGX_EMODPE, info, g_e.base + TEST_TCS(0), 0, 14);
    test_secinfo(&g_e, SECINFO_REG(SGX_SECINFO_W));
    leaf_fault(SGX_EMODPE, info, dynamic(5), 0, 13);
}

static void test_restrict(void **state)
{
    struct sgx_counters before, after;
    uint64_t count;

    (void)state;
    accept_new(dynamic(6));
    accept_new(dynamic(7));
    test_write8(&g_e, dynamic(6), 0x1234);
    before = test_counters(&g_e);
    assert_int_equal(restrict_(dynamic(6), 2, SGX_SECINFO_R, &count), 0);
    assert_int_equal(count, 2 * TEST_PAGE);
    after = test_counters(&g_e);
    assert_int_equal(after.emodpr - before.emodpr, 2);
    assert_int_equal(after.etrack - before.etrack, 2);
    expect_pf(r_store, dynamic(6), PF_SGX | SGX_PF_W);
    assert_int_equal(test_accept(&g_e, dynamic(6), SECINFO_REG(SGX_SECINFO_R) | SGX_SECINFO_PR), 0);
    drop_frame(2);
    assert_int_equal(test_call(&g_e, r_load8, dynamic(6), 0), 0x1234);
    /* More than there is: the CPU keeps what the page had. */
    assert_int_equal(restrict_(dynamic(6), 1, PERM_RW, NULL), 0);
    expect_pf(r_store, dynamic(6), PF_SGX | SGX_PF_W);
}

static void test_restrict_failures(void **state)
{
    uint64_t count = 99;

    (void)state;
    assert_int_equal(restrict_(dynamic(0), 1, SGX_SECINFO_R, &count), -EFAULT); /* no page */
    assert_int_equal(count, 0);
    accept_new(dynamic(0));
    assert_int_equal(restrict_(dynamic(0), 2, SGX_SECINFO_R, &count), -EFAULT); /* the second */
    assert_int_equal(count, TEST_PAGE);
    assert_int_equal(restrict_(dynamic(0) + 8, 1, SGX_SECINFO_R, NULL), -EINVAL);
    assert_int_equal(restrict_(dynamic(0), 0, SGX_SECINFO_R, NULL), -EINVAL);
    assert_int_equal(restrict_(g_e.base + TEST_SIZE, 1, SGX_SECINFO_R, NULL), -EINVAL);
    assert_int_equal(restrict_(dynamic(0), 1, SGX_SECINFO_W, NULL), -EINVAL);
    assert_int_equal(restrict_(dynamic(0), 1, 8, NULL), -EINVAL);
    assert_int_equal(restrict_(g_e.base + TEST_TCS(0), 1, SGX_SECINFO_R, NULL), -EINVAL);
    expect_pf(r_load, dynamic(9), PF_SGX); /* now pending */
    assert_int_equal(restrict_(dynamic(9), 1, SGX_SECINFO_R, NULL), SGX_PAGE_NOT_MODIFIABLE);
}

static void trim(uint64_t addr)
{
    assert_int_equal(modify(addr, 1, SGX_PT_TRIM, NULL), 0);
}

static void test_trim(void **state)
{
    const uint64_t accepted = SGX_SECINFO_PT(SGX_PT_TRIM) | SGX_SECINFO_MODIFIED;
    struct sgx_counters before;

    (void)state;
    accept_new(dynamic(8));
    test_write8(&g_e, dynamic(8), 0xabcd);
    before = test_counters(&g_e);
    assert_int_equal(remove_(dynamic(8), 1, NULL), -EPERM); /* not trimmed */
    trim(dynamic(8));
    expect_pf(r_load, dynamic(8), PF_SGX);
    assert_int_equal(remove_(dynamic(8), 1, NULL), -EPERM); /* not accepted */
    assert_int_equal(modify(dynamic(8), 1, SGX_PT_TCS, NULL), -EINVAL);
    assert_int_equal(test_accept(&g_e, dynamic(8), accepted), 0);
    drop_frame(3);
    expect_pf(r_load, dynamic(8), PF_SGX); /* trimmed pages stay closed */
    drop_frame(3);
    assert_int_equal(remove_(dynamic(8), 1, NULL), 0);
    assert_int_equal(test_counters(&g_e).epc_pages, before.epc_pages - 1);
    assert_int_equal(test_counters(&g_e).eremove, 1);
    accept_new(dynamic(8)); /* comes back by EAUG, zero */
    assert_int_equal(test_call(&g_e, r_load8, dynamic(8), 0), 0);
    assert_int_equal(remove_(dynamic(500), 1, NULL), -EFAULT);
}

static void test_modify_failures(void **state)
{
    (void)state;
    accept_new(dynamic(0));
    assert_int_equal(modify(dynamic(0), 1, SGX_PT_REG, NULL), -EINVAL);
    assert_int_equal(modify(dynamic(0), 1, 0x100, NULL), -EINVAL);
    assert_int_equal(modify(dynamic(1), 1, SGX_PT_TRIM, NULL), -EFAULT);
    expect_pf(r_load, dynamic(1), PF_SGX);
    assert_int_equal(modify(dynamic(1), 1, SGX_PT_TRIM, NULL), SGX_PAGE_NOT_MODIFIABLE);
    /* A page that was added read-only cannot become a TCS. */
    assert_int_equal(modify(g_e.base + TEST_CODE, 1, SGX_PT_TCS, NULL), -EPERM);
    assert_int_equal(modify(g_e.base + TEST_TCS(1UL), 1, SGX_PT_TCS, NULL), -EINVAL);
    assert_int_equal(modify(g_e.base + TEST_TCS(1UL), 1, SGX_PT_TRIM, NULL), 0);
}

/* A TCS made at run time, in a zone mapped RW. */
static void test_new_tcs(void **state)
{
    uint64_t tcs = dynamic(0x200), ssa = dynamic(0x201), area = dynamic(0x203);
    struct test_enclave other = g_e;
    void *out;

    (void)state;
    assert_int_equal(test_ops->mmap(g_e.dev, (void *)tcs, 16 * TEST_PAGE, 3, 1, &out), 0);
    for (uint64_t i = 0; i < 6; i++) {
        accept_new(tcs + i * TEST_PAGE);
    }
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, ossa), ssa - g_e.base);
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, cssa), 2ULL << 32); /* CSSA 0, NSSA 2 */
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, oentry), TEST_CODE);
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, ofs_base), area - g_e.base);
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, ogs_base), area - g_e.base);
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, fs_limit), 0xfff00000fffULL);
    test_write8(&g_e, area, dynamic(0x204) + TEST_PAGE);
    test_write8(&g_e, area + 8, dynamic(0x205) + TEST_PAGE);
    assert_int_equal(modify(tcs, 1, SGX_PT_TCS, NULL), 0);

    memset(&other.run, 0, sizeof(other.run));
    other.run.tcs = tcs;
    assert_int_equal(test_ops->enter(0, 0, 0, SGX_EENTER, 0, 0, &other.run), -EFAULT);
    assert_int_equal(other.run.exception_vector, 14); /* not accepted yet */
    assert_int_equal(test_accept(&g_e, tcs,
                                 SGX_SECINFO_PT(SGX_PT_TCS) | SGX_SECINFO_MODIFIED), 0);
    expect_pf(r_load, tcs, PF_SGX); /* software never sees a TCS */
    drop_frame(3);
    assert_int_equal(test_enter_tcs(&other, (int)((tcs - g_e.base) / 0x10000), SGX_EENTER, r_nop, 0,
                                    0, 0),
                     0);
    assert_int_equal(other.rdi, 0x1234);
}

/* A TCS needs a mapping of at most RW: the driver's fault handler refuses it otherwise. */
static void test_tcs_mapped_wide(void **state)
{
    uint64_t tcs = dynamic(0x200);

    (void)state;
    accept_new(tcs);
    assert_int_equal(modify(tcs, 1, SGX_PT_TCS, NULL), 0);
    memset(&g_e.run, 0, sizeof(g_e.run));
    g_e.run.tcs = tcs;
    assert_int_equal(test_ops->enter(0, 0, 0, SGX_EENTER, 0, 0, &g_e.run), -EFAULT);
    assert_int_equal(g_e.run.exception_vector, 14);
    assert_int_equal(g_e.run.exception_error_code & SGX_PF_P, 0); /* no page table entry */
    assert_int_equal(test_ops->mprotect(g_e.dev, (void *)tcs, TEST_PAGE, 7), -EACCES);
}

static void test_early_stop(void **state)
{
    uint64_t count;

    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        accept_new(dynamic(i));
    }
    sim_set_early_stop(g_e.dev, 2);
    assert_int_equal(restrict_(dynamic(0), 5, SGX_SECINFO_R, &count), -EAGAIN);
    assert_int_equal(count, 2 * TEST_PAGE);
    assert_int_equal(modify(dynamic(0), 5, SGX_PT_TRIM, &count), -EAGAIN);
    assert_int_equal(count, 2 * TEST_PAGE);
    assert_int_equal(modify(dynamic(2), 1, SGX_PT_TRIM, &count), 0);
    assert_int_equal(count, TEST_PAGE);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(test_accept(&g_e, dynamic(i),
                                     SGX_SECINFO_PT(SGX_PT_TRIM) | SGX_SECINFO_MODIFIED), 0);
    }
    assert_int_equal(remove_(dynamic(0), 3, &count), -EAGAIN);
    assert_int_equal(count, 2 * TEST_PAGE);
    sim_set_early_stop(g_e.dev, 0);
}

/* A long run, in both directions, with holes: every page is what it should be. */
static void test_runs(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 300; i++) {
        accept_new(dynamic(1000 + i));
    }
    for (uint64_t i = 300; i > 0; i--) {
        accept_new(dynamic(3000 + i));
    }
    for (uint64_t i = 0; i < 300; i += 7) {
        test_write8(&g_e, dynamic(1000 + i), i);
        test_write8(&g_e, dynamic(3001 + i), i);
    }
    assert_int_equal(restrict_(dynamic(1100), 10, SGX_SECINFO_R, NULL), 0);
    expect_pf(r_store, dynamic(1105), PF_SGX | SGX_PF_W);
    drop_frame(2);
    for (uint64_t i = 0; i < 300; i += 7) {
        assert_int_equal(test_call(&g_e, r_load8, dynamic(1000 + i), 0), i);
        assert_int_equal(test_call(&g_e, r_load8, dynamic(3001 + i), 0), i);
    }
    expect_pf(r_load, dynamic(1300), PF_SGX); /* one past the run */
    drop_frame(3);
    test_write8(&g_e, dynamic(1111), 1);
}

static void test_epc_full(void **state)
{
    uint64_t i;

    (void)state;
    for (i = 0; i < 100; i++) {
        struct enclu_args args = {
            .rax = SGX_EACCEPT, .rbx = test_secinfo(&g_e, PENDING_RW), .rcx = dynamic(i)};

        if (test_leaf(&g_e, 0, &args) != 0) {
            break;
        }
    }
    assert_in_range(i, 10, 39);
    assert_int_equal(g_e.run.exception_vector, 14); /* as VM_FAULT_SIGBUS: no page */
    assert_int_equal(g_e.run.exception_error_code & (SGX_PF_P | SGX_PF_SGX), 0);
    assert_in_range(test_counters(&g_e).epc_pages, 30, 40);
}

static void test_outside_mapping(void **state)
{
    assert_int_equal(test_ops->munmap(g_e.dev, (void *)dynamic(0x300), 4 * TEST_PAGE), 0);
    (void)state;
    test_expect_fault(&g_e, r_load, dynamic(0x301), 0, 14, SGX_PF_U, dynamic(0x301));
    assert_int_equal(test_counters(&g_e).eaug, 0);
}

#define HOG_SIZE    (80000UL * TEST_PAGE)
#define HOG_LEFT    60UL
#define MIXED_PAGES 256UL

/* Takes all but a few of the mappings that the kernel gives a process. */
static char *hog_mappings(void)
{
    char *hog = mmap(NULL, HOG_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t at = TEST_PAGE;

    assert_ptr_not_equal(hog, MAP_FAILED);
    while (at < HOG_SIZE && mprotect(hog + at, TEST_PAGE, PROT_READ) == 0) {
        at += 2 * TEST_PAGE;
    }
    if (at >= HOG_SIZE) {
        munmap(hog, HOG_SIZE);
        return NULL;
    }
    assert_int_equal(munmap(hog + at - HOG_LEFT * TEST_PAGE, HOG_LEFT * TEST_PAGE), 0);
    return hog;
}

/* Rights that change from page to page, and no mapping left to show them all: slower, never wrong. */
static void test_few_mappings(void **state)
{
    char *hog;

    (void)state;
    hog = hog_mappings();
    if (hog == NULL) {
        skip();
    }
    for (uint64_t i = 0; i < MIXED_PAGES; i++) {
        accept_new(dynamic(i));
        test_write8(&g_e, dynamic(i), i);
        if (i % 2 == 0) {
            assert_int_equal(restrict_(dynamic(i), 1, SGX_SECINFO_R, NULL), 0);
            assert_int_equal(test_accept(&g_e, dynamic(i), SECINFO_REG(SGX_SECINFO_R)), 0);
        }
    }
    for (uint64_t i = 0; i < MIXED_PAGES; i++) {
        assert_int_equal(test_call(&g_e, r_load8, dynamic(i), 0), i);
        if (i % 2 == 0) {
            expect_pf(r_store, dynamic(i), PF_SGX | SGX_PF_W);
            drop_frame(2); /* mov %dl, (%rdi) */
        } else {
            test_write8(&g_e, dynamic(i), ~i);
        }
    }
    munmap(hog, HOG_SIZE);
}

#define BOTH(f) TEST_CASE(f, &g_e, &g_patched), TEST_CASE(f, &g_e, &g_strict)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_eaug_read),
        BOTH(test_eaug_write_exec),
        TEST_CASE(test_eaccept_augments, &g_e, &g_patched),
        BOTH(test_eaccept_failures),
        BOTH(test_eacceptcopy),
        BOTH(test_eacceptcopy_failures),
        BOTH(test_emodpe),
        BOTH(test_restrict),
        BOTH(test_restrict_failures),
        BOTH(test_trim),
        BOTH(test_modify_failures),
        BOTH(test_new_tcs),
        BOTH(test_tcs_mapped_wide),
        BOTH(test_early_stop),
        BOTH(test_runs),
        BOTH(test_outside_mapping),
        BOTH(test_few_mappings),
        TEST_CASE(test_epc_full, &g_e, &g_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
