/* SPDX-License-Identifier: MIT */
/* open()'s probes, thread_start's errors, the structures inside (EPCM, segments), the cost model. */
#include "harness.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

static struct test_enclave g_e;
static const struct test_options g_plain;

static void test_probes(void **state)
{
    static const char *const words[SIM_FEATURE_COUNT] = {"FSGSBASE", "Syscall User Dispatch",
                                                         "CPUID faulting", "XSAVE",
                                                         "mmap_min_addr", NULL};

    (void)state;
    for (int i = 0; i < SIM_FEATURE_COUNT; i++) {
        struct sgx_device *dev = NULL;
        char why[256] = "";

        sim_test_disable((enum sim_feature)i, 1);
        if (words[i] != NULL) {
            assert_int_equal(test_ops->open(NULL, &dev, why, sizeof(why)), -ENODEV);
            assert_non_null(strstr(why, words[i]));
            assert_null(strchr(why, '\n'));
        } else {
            assert_int_equal(test_ops->open(NULL, &dev, why, sizeof(why)), 0);
            assert_string_equal(sim_isolation(), "none");
            test_ops->close(dev);
        }
        sim_test_disable((enum sim_feature)i, 0);
    }
}

static void *stopped_thread(void *arg)
{
    struct test_enclave mine = g_e;
    uint32_t a, b, c, d;

    (void)arg;
    __cpuid(0, a, b, c, d); /* faulting is inherited from the thread that made this one */
    if (a < 0xd) {
        return (void *)3;
    }
    /* Never started: ENCLU as on a machine without SGX. */
    if (test_enter_tcs(&mine, 1, SGX_EENTER, r_nop, 0, 0, 0) != -EINVAL) {
        return (void *)1;
    }
    for (int i = 0; i < 50; i++) {
        if (test_ops->thread_start(g_e.dev) != 0 ||
            test_enter_tcs(&mine, 1, SGX_EENTER, r_nop, 0, 0, 0) != 0 || mine.rdi != 0x1234) {
            return (void *)2;
        }
        test_ops->thread_stop(g_e.dev);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t thread;
    void *ret;

    (void)state;
    assert_int_equal(test_ops->thread_start(g_e.dev), -EBUSY);
    assert_int_equal(pthread_create(&thread, NULL, stopped_thread, NULL), 0);
    pthread_join(thread, &ret);
    assert_ptr_equal(ret, NULL);
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
    assert_int_equal(test_counters(&g_e).eenter, 51); /* the other thread's are kept */
}

/* A range above the host's own code: no thread can be started for it. */
static void test_host_below(void **state)
{
    struct sgx_secs secs = {.size = 1UL << 20,
                            .base = 0x7e0000000000UL,
                            .ssa_frame_size = 1,
                            .attributes = {.flags = SGX_ATTR_MODE64BIT, .xfrm = SGX_XFRM_LEGACY}};
    struct sgx_enclave_create create = {.src = (uint64_t)&secs};
    struct sgx_device *dev;
    char why[200];

    (void)state;
    assert_int_equal(test_ops->open(NULL, &dev, why, sizeof(why)), 0);
    assert_int_equal(test_ops->ioctl(dev, SGX_IOC_ENCLAVE_CREATE, &create), 0);
    assert_int_equal(test_ops->thread_start(dev), -EADDRNOTAVAIL);
    test_ops->close(dev);
}

static void test_epcm(void **state)
{
    static const uint64_t addrs[] = {0, 0x1000, 0x7ff000, 0x800000, 0x3ffffffff000, 0x7fffffffe000};
    struct sgx_device dev;
    uint32_t *entry;
    uint64_t at;

    (void)state;
    memset(&dev, 0, sizeof(dev));
    assert_int_equal(epcm_init(&dev), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_null(epcm_find(&dev, addrs[i]));
        *epcm_insert(&dev, addrs[i]) = EPCM_VALID | (uint32_t)i;
    }
    at = epcm_next(&dev, 0, 1UL << 47, &entry);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(at, addrs[i]);
        assert_int_equal(*entry, EPCM_VALID | i);
        assert_ptr_equal(entry, epcm_find(&dev, addrs[i] + 0xfff));
        at = epcm_next(&dev, at + 0x1000, 1UL << 47, &entry);
    }
    assert_null(entry);
    assert_int_equal(at, 1UL << 47);
    epcm_destroy(&dev);
}

/* Against a plain array of pages, with every kind of overlap. */
static void test_segments(void **state)
{
    enum { PAGES = 64 };
    uint32_t model[PAGES];
    struct sgx_device dev;
    unsigned seed = 12345;

    (void)state;
    memset(&dev, 0, sizeof(dev));
    memset(model, 0xff, sizeof(model));
    for (int round = 0; round < 5000; round++) {
        unsigned a, b, prot;

        seed = seed * 1103515245 + 12345;
        a = seed >> 16 & 63;
        b = a + 1 + (seed >> 8 & 15);
        b = b > PAGES ? PAGES : b;
        prot = seed >> 24 & 7;
        if ((seed >> 28 & 3) == 0) {
            assert_int_equal(segment_clear(&dev, a * 0x1000UL, b * 0x1000UL), 0);
            prot = ~0U;
        } else {
            assert_int_equal(segment_set(&dev, a * 0x1000UL, b * 0x1000UL, prot, false), 0);
        }
        for (unsigned i = a; i < b; i++) {
            model[i] = prot;
        }
        for (unsigned i = 0; i < PAGES; i++) {
            const struct sim_segment *seg = segment_find(&dev, i * 0x1000UL);

            assert_int_equal(seg == NULL ? ~0U : seg->prot, model[i]);
        }
        for (size_t i = 1; i < dev.seg_count; i++) {
            assert_true(dev.segs[i - 1].end <= dev.segs[i].start);
            assert_false(dev.segs[i - 1].end == dev.segs[i].start &&
                         dev.segs[i - 1].prot == dev.segs[i].prot);
        }
    }
    free(dev.segs);
}

static void test_cost(void **state)
{
    struct sgx_counters c = {.eenter = 1000, .eexit = 1000};
    struct sim_cost cost, more;

    (void)state;
    sim_estimate_cost(&c, 0, &cost);
    assert_int_equal(cost.total_cycles, cost.transition_cycles);
    assert_in_range(cost.total_cycles / 1000, 8000, 14000); /* what is published for a round trip */
    assert_int_equal(cost.total_ns, cost.total_cycles / 3);
    c.eaug = c.eaccept = 10;
    sim_estimate_cost(&c, 1000000000, &more);
    assert_true(more.paging_cycles > 0 && more.leaf_cycles > 0);
    assert_int_equal(more.total_ns, more.total_cycles);
    assert_int_equal(more.total_cycles, more.transition_cycles + more.paging_cycles +
                                            more.leaf_cycles + more.build_cycles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes),
        TEST_CASE(test_threads, &g_e, &g_plain),
        cmocka_unit_test(test_host_below),
        cmocka_unit_test(test_epcm),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
