/* SPDX-License-Identifier: MIT */
/*
 * The ioctls' checks and error codes, EINIT's refusals, MRENCLAVE against measure.py (argument 1), the
 * mapping's rules.
 */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "internal.h"

/* With ASan the shadow and the allocator lie low: then the mapping keeps clear of them. */
#if defined(__SANITIZE_ADDRESS__)
#define LOW_START 0x110000000000UL
#else
#define LOW_START 0x10000UL
#endif

static struct test_enclave g_e;
static const char *g_script;
static const struct test_options g_plain;
static const struct test_options g_fresh = {.no_init = 1, .no_thread = 1};
static const struct test_options g_late = {.map_late = 1};
static const struct test_options g_kss = {.no_init = 1, .no_thread = 1, .attributes = SGX_ATTR_KSS};
static const struct test_options g_provision = {
    .no_init = 1, .no_thread = 1, .attributes = SGX_ATTR_PROVISIONKEY};

static struct sgx_device *open_device(void)
{
    struct sgx_device *dev = NULL;
    char why[200] = "";

    assert_int_equal(test_ops->open(NULL, &dev, why, sizeof(why)), 0);
    return dev;
}

static struct sgx_secs good_secs(void)
{
    return (struct sgx_secs){
        .size = TEST_SIZE,
        .base = TEST_BASE * 2,
        .ssa_frame_size = 1,
        .attributes = {.flags = SGX_ATTR_MODE64BIT, .xfrm = SGX_XFRM_LEGACY | SGX_XFRM_AVX}};
}

static int create(const struct sgx_secs *secs)
{
    struct sgx_enclave_create arg = {.src = (uint64_t)secs};
    struct sgx_device *dev = open_device();
    int ret = test_ops->ioctl(dev, SGX_IOC_ENCLAVE_CREATE, &arg);

    test_ops->close(dev);
    return ret;
}

static void test_create(void **state)
{
    struct sgx_secs secs = good_secs();
    struct sgx_enclave_create arg = {.src = (uint64_t)&secs};
    struct sgx_device *dev;

    (void)state;
    assert_int_equal(create(&secs), 0);
    assert_int_equal(create(NULL), -EFAULT);
    dev = open_device();
    assert_int_equal(test_ops->ioctl(dev, SGX_IOC_ENCLAVE_CREATE, (void *)8), -EFAULT);
    assert_int_equal(test_ops->ioctl(dev, SGX_IOC_ENCLAVE_CREATE, &arg), 0);
    assert_int_equal(test_ops->ioctl(dev, SGX_IOC_ENCLAVE_CREATE, &arg), -EINVAL); /* twice */
    assert_int_equal(test_ops->ioctl(dev, 0x1234, &arg), -ENOTTY);
    test_ops->close(dev);
}

static void test_bad_secs(void **state)
{
    struct sgx_secs secs = good_secs();

    (void)state;
    secs.size = TEST_SIZE + TEST_PAGE;
    assert_int_equal(create(&secs), -EINVAL);
    secs.size = 0;
    assert_int_equal(create(&secs), -EINVAL);
    secs = good_secs();
    secs.base += TEST_PAGE;
    assert_int_equal(create(&secs), -EIO); /* not aligned on the size */
    secs = good_secs();
    secs.size = 1UL << 50;
    secs.base = 0;
    assert_int_equal(create(&secs), -EIO);
    secs = good_secs();
    secs.ssa_frame_size = 0;
    assert_int_equal(create(&secs), -EIO);
    secs = good_secs();
    secs.attributes.xfrm = SGX_XFRM_X87;
    assert_int_equal(create(&secs), -EIO);
    secs.attributes.xfrm = SGX_XFRM_LEGACY | SGX_XFRM_OPMASK;
    assert_int_equal(create(&secs), -EIO);
    secs.attributes.xfrm = SGX_XFRM_LEGACY | 1ULL << 40;
    assert_int_equal(create(&secs), -EIO);
    secs = good_secs();
    secs.attributes.flags |= SGX_ATTR_INIT;
    assert_int_equal(create(&secs), -EIO);
    secs = good_secs();
    secs.attributes.flags = 0;
    assert_int_equal(create(&secs), -EIO);
    secs = good_secs();
    secs.misc_select = 8;
    assert_int_equal(create(&secs), -EIO);
    secs = good_secs();
    secs.reserved4[100] = 1;
    assert_int_equal(create(&secs), -EIO);
    secs = good_secs();
    secs.config_svn = 1;
    assert_int_equal(create(&secs), -EIO); /* without KSS */
    secs.attributes.flags |= SGX_ATTR_KSS;
    assert_int_equal(create(&secs), 0);
}

static int add_with(uint64_t offset, uint64_t length, uint64_t flags, uint64_t *count)
{
    static uint8_t pages[8 * TEST_PAGE] __attribute__((aligned(4096)));
    struct sgx_secinfo secinfo = {.flags = flags};
    struct sgx_enclave_add_pages add = {.src = (uint64_t)pages,
                                        .offset = offset,
                                        .length = length,
                                        .secinfo = (uint64_t)&secinfo,
                                        .flags = SGX_PAGE_MEASURE};
    int ret = test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_ADD_PAGES, &add);

    if (count != NULL) {
        *count = add.count;
    }
    return ret;
}

static void test_add_pages(void **state)
{
    const uint64_t free_ = TEST_DYNAMIC;
    struct sgx_secinfo secinfo = {.flags = SECINFO_REG(PERM_RW)};
    struct sgx_enclave_add_pages add = {.offset = free_, .length = TEST_PAGE};
    uint64_t count = 1;

    (void)state;
    assert_int_equal(add_with(free_ + 8, TEST_PAGE, SECINFO_REG(PERM_RW), NULL), -EINVAL);
    assert_int_equal(add_with(free_, 0, SECINFO_REG(PERM_RW), NULL), -EINVAL);
    assert_int_equal(add_with(free_, 100, SECINFO_REG(PERM_RW), NULL), -EINVAL);
    assert_int_equal(add_with(TEST_SIZE, TEST_PAGE, SECINFO_REG(PERM_RW), NULL), -EINVAL);
    assert_int_equal(add_with(-TEST_PAGE, 2 * TEST_PAGE, SECINFO_REG(PERM_RW), NULL), -EINVAL);
    assert_int_equal(add_with(free_, TEST_PAGE, SECINFO_REG(SGX_SECINFO_W), NULL), -EINVAL);
    assert_int_equal(add_with(free_, TEST_PAGE, SGX_SECINFO_PT(SGX_PT_TCS) | 1, NULL), -EINVAL);
    assert_int_equal(add_with(free_, TEST_PAGE, SGX_SECINFO_PT(SGX_PT_TRIM), NULL), -EINVAL);
    assert_int_equal(
        add_with(free_, TEST_PAGE, SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING, NULL), -EINVAL);
    assert_int_equal(add_with(TEST_DATA, TEST_PAGE, SECINFO_REG(PERM_RW), &count), -EBUSY);
    assert_int_equal(count, 0);
    assert_int_equal(add_with(free_, TEST_PAGE, SGX_SECINFO_PT(SGX_PT_TCS), NULL), -EIO);
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -EFAULT);
    add.secinfo = (uint64_t)&secinfo;
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -EFAULT);
    add.src = 8;
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_ADD_PAGES, &add), -EINVAL);
    sim_set_early_stop(g_e.dev, 3);
    assert_int_equal(add_with(free_, 8 * TEST_PAGE, SECINFO_REG(PERM_RW), &count), 0);
    assert_int_equal(count, 3 * TEST_PAGE);
}

static void test_after_init(void **state)
{
    struct sgx_enclave_init init = {0};

    (void)state;
    assert_int_equal(add_with(TEST_DYNAMIC, TEST_PAGE, SECINFO_REG(PERM_RW), NULL), -EINVAL);
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_INIT, &init), -EINVAL);
}

static void test_before_init(void **state)
{
    struct sgx_enclave_modify_types p = {.length = TEST_PAGE, .page_type = SGX_PT_TRIM};
    struct sgx_enclave_provision provision = {.fd = 0};

    (void)state;
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_MODIFY_TYPES, &p), -EINVAL);
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_REMOVE_PAGES, &p), -EINVAL);
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &p), -EINVAL);
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_PROVISION, &provision), -EINVAL);
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_PROVISION, NULL), -EFAULT);
}

static int init_with(struct sgx_sigstruct *sig)
{
    struct sgx_enclave_init init = {.sigstruct = (uint64_t)sig};

    return test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_INIT, &init);
}

static void test_sigstruct(void **state)
{
    struct sgx_sigstruct good, sig;

    (void)state;
    test_sign(&g_e, &good);
    assert_int_equal(init_with(NULL), -EFAULT);

#define REFUSED(change, resign, error)                                                             \
    do {                                                                                           \
        sig = good;                                                                                \
        change;                                                                                    \
        if (resign) {                                                                              \
            test_resign(&sig);                                                                     \
        }                                                                                          \
        assert_int_equal(init_with(&sig), error);                                                  \
    } while (0)

    REFUSED(sig.vendor = 1, 1, -EINVAL);
    REFUSED(sig.header[0] ^= 1, 1, -EPERM);
    REFUSED(sig.header2[0] ^= 1, 1, -EPERM);
    REFUSED(sig.exponent = 65537, 0, -EPERM);
    REFUSED(sig.reserved4[0] = 1, 0, -EPERM);
    REFUSED(sig.signature[17] ^= 1, 0, -EPERM);
    REFUSED(sig.modulus[17] ^= 1, 0, -EPERM);
    REFUSED(sig.q1[0] ^= 1, 0, -EPERM);
    REFUSED(sig.q2[0] ^= 1, 0, -EPERM);
    REFUSED(sig.date ^= 1, 0, -EPERM);
    REFUSED(sig.enclave_hash[0] ^= 1, 1, -EPERM);
    REFUSED(sig.attributes.flags ^= SGX_ATTR_DEBUG, 1, -EPERM);
    REFUSED(sig.attributes.xfrm &= ~SGX_XFRM_AVX, 1, -EPERM);
    REFUSED(sig.misc_select ^= SGX_MISC_EXINFO, 1, -EPERM);
    REFUSED(sig.isv_family_id[0] = 1, 1, -EPERM); /* without KSS */
    REFUSED(sig.attributes.flags |= 1ULL << 30, 1, -EINVAL);
    /* What the mask leaves out does not matter. */
    sig = good;
    sig.attributes.flags ^= SGX_ATTR_DEBUG;
    sig.attribute_mask.flags &= ~SGX_ATTR_DEBUG;
    test_resign(&sig);
    assert_int_equal(init_with(&sig), 0);
}

static void test_kss(void **state)
{
    struct sgx_sigstruct sig;

    (void)state;
    test_sign(&g_e, &sig);
    sig.isv_family_id[0] = 1;
    test_resign(&sig);
    assert_int_equal(init_with(&sig), 0);
}

static void test_privileged_attributes(void **state)
{
    struct sgx_sigstruct sig;

    (void)state;
    test_sign(&g_e, &sig);
    assert_int_equal(init_with(&sig), -EACCES);
}

static void print_page(FILE *out, uint64_t offset, uint64_t flags, int measured, const uint8_t *page)
{
    fprintf(out, "page %lx %lx %x ", offset, flags, measured);
    for (size_t i = 0; i < TEST_PAGE; i++) {
        fprintf(out, "%02x", page[i]);
    }
    fputc('\n', out);
}

/* Pages with and without content measured; the program's answer is what EINIT must accept. */
static void test_mrenclave(void **state)
{
    static uint8_t page[TEST_PAGE] __attribute__((aligned(4096)));
    const struct sgx_secs secs = good_secs();
    struct sgx_enclave_create arg = {.src = (uint64_t)&secs};
    char command[512], hex[80] = "", path[] = "/tmp/sim-measure-XXXXXX";
    int fd = mkstemp(path);
    FILE *out = fdopen(fd, "w");

    (void)state;
    assert_non_null(g_script);
    memset(&g_e, 0, sizeof(g_e));
    g_e.secs = secs;
    g_e.base = secs.base;
    g_e.dev = open_device();
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_CREATE, &arg), 0);
    fprintf(out, "create %x %lx\n", secs.ssa_frame_size, secs.size);
    for (uint64_t i = 0; i < 6; i++) {
        uint64_t flags = SECINFO_REG(i % 2 != 0 ? PERM_RX : PERM_RW);

        for (size_t j = 0; j < sizeof(page); j++) {
            page[j] = (uint8_t)(j * 7 + i * 31 + j / 256);
        }
        assert_int_equal(test_add(&g_e, i * 3 * TEST_PAGE, page, flags, i != 3), 0);
        print_page(out, i * 3 * TEST_PAGE, flags, i != 3, page);
    }
    fclose(out);
    snprintf(command, sizeof(command), "/usr/bin/python3 %s < %s", g_script, path);
    out = popen(command, "r");
    assert_non_null(out);
    assert_non_null(fgets(hex, sizeof(hex), out));
    assert_int_equal(pclose(out), 0);
    unlink(path);
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        g_e.mrenclave[i] = (uint8_t)byte;
    }
    test_init(&g_e);
    test_ops->close(g_e.dev);
    g_e.dev = NULL;
}

static int map(uint64_t from, uint64_t size, int prot)
{
    void *out;

    return test_ops->mmap(g_e.dev, (void *)(g_e.base + from), size, prot, 1, &out);
}

static void test_mapping_caps(void **state)
{
    (void)state;
    /* Added pages cap the mapping; what is not there yet does not. */
    assert_int_equal(map(TEST_DATA, TEST_PAGE, 7), -EACCES);
    assert_int_equal(map(TEST_CODE, TEST_PAGE, 3), -EACCES);
    assert_int_equal(map(TEST_TCS(0UL), TEST_PAGE, 5), -EACCES);
    assert_int_equal(map(TEST_TCS(0UL), TEST_PAGE, 3), 0);
    assert_int_equal(map(TEST_DATA, TEST_PAGE, 1), 0);
    assert_int_equal(map(TEST_SIZE, TEST_PAGE, 1), -EACCES); /* outside, once initialised */
    assert_int_equal(map(TEST_DYNAMIC, TEST_PAGE, 7), 0);
    assert_int_equal(map(TEST_DATA + 8, TEST_PAGE, 1), -EINVAL);
    assert_int_equal(map(TEST_DATA, 0, 1), -EINVAL);
    assert_int_equal(
        test_ops->mprotect(g_e.dev, (void *)(g_e.base + TEST_CODE), TEST_PAGE, 7), -EACCES);
    assert_int_equal(
        test_ops->mprotect(g_e.dev, (void *)(g_e.base + TEST_SIZE), TEST_PAGE, 1), -ENOMEM);
}

static void test_mapping_eaug(void **state)
{
    uint64_t page = g_e.base + TEST_DYNAMIC;

    (void)state;
    assert_int_equal(test_accept(&g_e, page, SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING), 0);
    test_write8(&g_e, page, 5);
    assert_int_equal(test_ops->mprotect(g_e.dev, (void *)page, TEST_PAGE, 1), 0);
    test_expect_fault(&g_e, r_store, page, 1, 14, SGX_PF_P | SGX_PF_U | SGX_PF_W, page);
    assert_int_equal(test_ops->mprotect(g_e.dev, (void *)page, TEST_PAGE, 7), 0);
    assert_int_equal(test_resume(&g_e), 0);
    assert_int_equal(test_call(&g_e, r_load, page, 0), 1);
}

/* A mapping that allows more than the page declared: the driver's fault handler refuses the page. */
static void test_mapping_too_wide(void **state)
{
    static const uint8_t zero[TEST_PAGE];
    uint64_t page = g_e.base + TEST_DYNAMIC;

    (void)state;
    test_add_logged(&g_e, TEST_DYNAMIC, zero, SECINFO_REG(PERM_RW)); /* mapped RWX before */
    test_measurement(&g_e, g_e.mrenclave);
    test_init(&g_e);
    assert_int_equal(test_ops->thread_start(g_e.dev), 0);
    test_expect_fault(&g_e, r_load, page, 0, 14, SGX_PF_U, page);
    assert_int_equal(test_ops->mprotect(g_e.dev, (void *)page, TEST_PAGE, 3), 0);
    assert_int_equal(test_resume(&g_e), 0);
}

static void test_contents_survive(void **state)
{
    uint64_t data = g_e.base + TEST_DATA;

    (void)state;
    test_write8(&g_e, data, 0x1357);
    assert_int_equal(test_ops->munmap(g_e.dev, (void *)data, TEST_PAGE), 0);
    test_expect_fault(&g_e, r_load, data, 0, 14, SGX_PF_U, data);
    assert_int_equal(map(TEST_DATA, TEST_PAGE, 3), 0);
    assert_int_equal(test_call(&g_e, r_load8, data, 0), 0x1357);
    assert_int_equal(test_ops->munmap(g_e.dev, (void *)(g_e.base + TEST_SIZE), TEST_PAGE),
                     -EINVAL);
}

static void test_late_mapping(void **state)
{
    (void)state;
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
    assert_true(sim_stub_address(g_e.dev) != 0);
}

/* A reservation of the host's own stands in the way until it maps the device over it. */
static void test_late_mapping_over_reservation(void **state)
{
    const struct test_options options = {.map_late = 1};
    void *reserved = mmap((void *)TEST_BASE, TEST_SIZE, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    (void)state;
    assert_ptr_equal(reserved, (void *)TEST_BASE);
    test_build(&g_e, &options);
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
    test_close(&g_e);
}

/* One ioctl at a time: while one holds the enclave, another gets EBUSY and changes nothing. */
static void test_concurrent(void **state)
{
    struct sgx_enclave_provision provision = {.fd = 0};
    uint64_t count = 1;

    (void)state;
    assert_int_equal(atomic_exchange(&g_e.dev->ioctl_busy, 1), 0);
    assert_int_equal(test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_PROVISION, &provision), -EBUSY);
    assert_int_equal(add_with(TEST_DYNAMIC, TEST_PAGE, SECINFO_REG(PERM_RW), &count), -EBUSY);
    assert_int_equal(count, 0);
    atomic_store(&g_e.dev->ioctl_busy, 0);
    assert_int_equal(add_with(TEST_DYNAMIC, TEST_PAGE, SECINFO_REG(PERM_RW), &count), 0);
    assert_int_equal(g_e.dev->ioctl_busy, 0);
    assert_int_equal(add_with(TEST_DYNAMIC, TEST_PAGE, 0, &count), -EINVAL);
    assert_int_equal(g_e.dev->ioctl_busy, 0); /* released on errors too */
}

static volatile sig_atomic_t g_host_faults;

static void on_host_access(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    g_host_faults++;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 3; /* over the load below */
}

static void test_host_access(void **state)
{
    struct sigaction act = {.sa_sigaction = on_host_access, .sa_flags = SA_SIGINFO}, old;
    uint64_t value = g_e.base + TEST_DATA;

    (void)state;
    if (strcmp(sim_isolation(), "protection keys") != 0) {
        print_message("  no protection keys here: host accesses cannot be told from the enclave's\n");
        skip();
    }
    test_write8(&g_e, g_e.base + TEST_DATA, 1);
    assert_int_equal(test_ops->sigaction(SIGSEGV, &act, &old), 0);
    __asm__ volatile(".byte 0x48, 0x8b, 0x00" : "+a"(value)); /* mov (%rax), %rax */
    assert_int_equal(g_host_faults, 1);
    assert_int_equal(test_call(&g_e, r_load8, g_e.base + TEST_DATA, 0), 1);
    test_ops->sigaction(SIGSEGV, &old, NULL);
}

/* The whole lower part, as the real image has it. */
static void test_zero_base(void **state)
{
    struct sgx_secs secs = good_secs();
    struct sgx_enclave_create arg = {.src = (uint64_t)&secs};
    struct sgx_device *dev = open_device();
    void *out;

    (void)state;
    secs.base = 0;
    secs.size = 1UL << 46;
    assert_int_equal(test_ops->ioctl(dev, SGX_IOC_ENCLAVE_CREATE, &arg), 0);
    assert_int_equal(
        test_ops->mmap(dev, (void *)LOW_START, secs.size - LOW_START, 7, 1, &out), 0);
    assert_int_equal(test_ops->thread_start(dev), 0);
    test_ops->thread_stop(dev);
    test_ops->close(dev);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_bad_secs),
        TEST_CASE(test_add_pages, &g_e, &g_fresh),
        TEST_CASE(test_after_init, &g_e, &g_plain),
        TEST_CASE(test_before_init, &g_e, &g_fresh),
        TEST_CASE(test_sigstruct, &g_e, &g_fresh),
        TEST_CASE(test_kss, &g_e, &g_kss),
        TEST_CASE(test_privileged_attributes, &g_e, &g_provision),
        cmocka_unit_test(test_mrenclave),
        TEST_CASE(test_mapping_caps, &g_e, &g_plain),
        TEST_CASE(test_mapping_eaug, &g_e, &g_plain),
        TEST_CASE(test_mapping_too_wide, &g_e, &g_fresh),
        TEST_CASE(test_contents_survive, &g_e, &g_plain),
        TEST_CASE(test_late_mapping, &g_e, &g_late),
        cmocka_unit_test(test_late_mapping_over_reservation),
        TEST_CASE(test_concurrent, &g_e, &g_fresh),
        cmocka_unit_test(test_zero_base),
        TEST_CASE(test_host_access, &g_e, &g_plain),
    };

    g_script = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
