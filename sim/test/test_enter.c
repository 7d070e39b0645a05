/* SPDX-License-Identifier: MIT */
/* EENTER, EEXIT, ERESUME, AEX: registers, SSA frames, exceptions, what is illegal inside. */
#include "harness.h"

#include <cpuid.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EFAULT_RET (-14)
#define EINVAL_RET (-22)

static struct test_enclave g_e;

static const struct test_options g_plain;
static const struct test_options g_exinfo = {.misc_select = SGX_MISC_EXINFO};
static const struct test_options g_rdtsc = {.config = {.trap_rdtsc = 1}};

static void test_nop(void **state)
{
    struct sgx_counters c;

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
    }
    c = test_counters(&g_e);
    assert_int_equal(c.eenter, 100);
    assert_int_equal(c.eexit, 100);
    assert_int_equal(c.aex, 0);
    assert_int_equal(c.trapped_enclu, 0);
}

static void test_convention(void **state)
{
    (void)state;
    assert_int_equal(test_enter_tcs(&g_e, 0, 1, r_nop, 0, 0, 0), EINVAL_RET);
    assert_int_equal(test_enter_tcs(&g_e, 0, 4, r_nop, 0, 0, 0), EINVAL_RET);
    g_e.run.reserved[215] = 1;
    assert_int_equal(test_ops->enter(0, 0, 0, SGX_EENTER, 0, 0, &g_e.run), EINVAL_RET);
}

static void expect_eenter_fault(uint64_t tcs, unsigned function, int vector)
{
    memset(&g_e.run, 0, sizeof(g_e.run));
    g_e.run.tcs = tcs;
    assert_int_equal(test_ops->enter(0, 0, 0, function, 0, 0, &g_e.run), EFAULT_RET);
    assert_int_equal(g_e.run.function, function);
    assert_int_equal(g_e.run.exception_vector, vector);
}

static void test_bad_tcs(void **state)
{
    (void)state;
    expect_eenter_fault(g_e.base + 8, SGX_EENTER, 13);                      /* not aligned */
    expect_eenter_fault(g_e.base + TEST_DATA, SGX_EENTER, 14);              /* a REG page */
    expect_eenter_fault(g_e.base - TEST_PAGE, SGX_EENTER, 14);              /* outside */
    expect_eenter_fault(g_e.base + TEST_DYNAMIC, SGX_EENTER, 14);           /* EAUGed, no TCS */
    expect_eenter_fault(g_e.base + TEST_TCS(0), SGX_ERESUME, 13);           /* CSSA = 0 */
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
}

static void test_no_ssa_left(void **state)
{
    (void)state;
    assert_int_equal(test_enter(&g_e, r_ud2, 0, 0), EFAULT_RET);
    assert_int_equal(test_enter(&g_e, r_ud2, 0, 0), EFAULT_RET); /* at CSSA 1 */
    expect_eenter_fault(g_e.base + TEST_TCS(0), SGX_EENTER, 13); /* CSSA = NSSA */
}

static void test_not_initialized(void **state)
{
    const struct test_options options = {.no_init = 1};

    (void)state;
    test_build(&g_e, &options);
    expect_eenter_fault(g_e.base, SGX_EENTER, 13);
    test_close(&g_e);
}

static void *spin_inside(void *arg)
{
    struct test_enclave *e = arg;
    struct test_enclave mine = *e;

    assert_int_equal(test_ops->thread_start(e->dev), 0);
    test_enter_tcs(&mine, 0, SGX_EENTER, r_spin, (uint64_t)&e->exits, (uint64_t)&e->rdi, 0);
    test_ops->thread_stop(e->dev);
    return NULL;
}

static void test_busy_tcs(void **state)
{
    struct test_enclave shared = g_e;
    struct test_enclave other = g_e;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, spin_inside, &shared), 0);
    for (int i = 0; i < 5000 && *(volatile long *)&shared.rdi == 0; i++) {
        usleep(1000);
    }
    expect_eenter_fault(g_e.base + TEST_TCS(0), SGX_EENTER, 13);
    /* Another TCS is free, and two threads may be inside. */
    assert_int_equal(test_enter_tcs(&other, 1, SGX_EENTER, r_nop, 0, 0, 0), 0);
    assert_int_equal(other.rdi, 0x1234);
    *(volatile int *)&shared.exits = 1;
    pthread_join(thread, NULL);
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
}

static void test_registers(void **state)
{
    struct sgx_gprsgx gpr;

    (void)state;
    assert_int_equal(test_enter(&g_e, r_regs, 0, 0), EFAULT_RET);
    assert_int_equal(g_e.run.exception_vector, 6);
    gpr = test_gprsgx(&g_e);
    assert_int_equal(gpr.rax, 0x101);
    assert_int_equal(gpr.rbx, 0x102);
    assert_int_equal(gpr.rcx, 0x103);
    assert_int_equal(gpr.rdx, 0x104);
    assert_int_equal(gpr.rsi, 0x105);
    assert_int_equal(gpr.rbp, 0x107);
    assert_int_equal(gpr.r8, 0x108);
    assert_int_equal(gpr.r9, 0x109);
    assert_int_equal(gpr.r10, 0x10a);
    assert_int_equal(gpr.r11, 0x10b);
    assert_int_equal(gpr.r12, 0x10c);
    assert_int_equal(gpr.r13, 0x10d);
    assert_int_equal(gpr.rip, test_code(&g_e, r_regs_site));
    assert_int_equal(gpr.exit_info, SGX_EXITINFO_VALID | 3U << 8 | 6);
    assert_true(gpr.rsp > g_e.base + TEST_STACK(0UL) &&
                gpr.rsp < g_e.base + TEST_STACK(0UL) + TEST_PAGE);
    assert_int_equal(gpr.fs_base, g_e.base + TEST_THREAD(0UL));
    assert_int_equal(gpr.gs_base, g_e.base + TEST_THREAD(0UL));
    assert_int_equal(test_skip(&g_e, 2), 0);
    assert_int_equal(g_e.rdi, 0x600d);
}

static void test_bases(void **state)
{
    uint64_t bases[2], fs_before, fs_after;

    (void)state;
    __asm__ volatile("rdfsbase %0" : "=r"(fs_before));
    test_call(&g_e, r_bases, (uint64_t)bases, 0);
    __asm__ volatile("rdfsbase %0" : "=r"(fs_after));
    assert_int_equal(bases[0], g_e.base + TEST_THREAD(0UL));
    assert_int_equal(bases[1], g_e.base + TEST_THREAD(0UL));
    assert_int_equal(fs_before, fs_after);
}

static void test_vectors(void **state)
{
    uint8_t xsave[TEST_PAGE];
    uint64_t bv;

    (void)state;
    assert_int_equal(test_enter(&g_e, r_vector, 0, 0x5a), EFAULT_RET);
    test_read(&g_e, g_e.base + TEST_SSA(0UL), xsave, sizeof(xsave) - 256);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(xsave[160 + 5 * 16 + i], 0x5a); /* XMM5 */
        assert_int_equal(xsave[576 + 5 * 16 + i], 0x5a); /* YMM5's upper half */
    }
    memcpy(&bv, xsave + 512, sizeof(bv));
    assert_int_equal(bv & SGX_XFRM_AVX, SGX_XFRM_AVX);
    assert_int_equal(bv & ~(SGX_XFRM_LEGACY | SGX_XFRM_AVX), 0);
    memcpy(&bv, xsave + 520, sizeof(bv));
    assert_int_equal(bv, 0); /* XCOMP_BV: standard format */
    assert_int_equal(test_skip(&g_e, 2), 0);
    assert_int_equal(g_e.rdi, 32);
}

/* The synthetic state outside has no trace of the enclave's vectors. */
static void test_vectors_cleared(void **state)
{
    uint8_t ymm[32];
    int ret;

    (void)state;
    memset(&g_e.run, 0, sizeof(g_e.run));
    g_e.run.tcs = g_e.base;
    ret = test_enter_tcs(&g_e, 0, SGX_EENTER, r_vector, 0, 0xa5, 0);
    __asm__ volatile("vmovdqu %%ymm5, %0" : "=m"(ymm));
    assert_int_equal(ret, EFAULT_RET);
    for (int i = 0; i < 32; i++) {
        assert_int_not_equal(ymm[i], 0xa5);
    }
}

static void resume_with(uint64_t offset, uint64_t value)
{
    assert_int_equal(test_enter(&g_e, r_vector, 0, 1), EFAULT_RET);
    test_write8(&g_e, g_e.base + TEST_SSA(0UL) + offset, value);
    expect_eenter_fault(g_e.base, SGX_ERESUME, 13);
}

static void test_bad_xsave(void **state)
{
    (void)state;
    resume_with(512, SGX_XFRM_AVX512 | SGX_XFRM_LEGACY); /* XSTATE_BV beyond XFRM */
    test_write8(&g_e, g_e.base + TEST_SSA(0UL) + 512, 3);
    test_write8(&g_e, g_e.base + TEST_SSA(0UL) + 520, 1ULL << 63); /* compacted */
    expect_eenter_fault(g_e.base, SGX_ERESUME, 13);
    test_write8(&g_e, g_e.base + TEST_SSA(0UL) + 520, 0);
    assert_int_equal(test_skip(&g_e, 2), 0);
}

static const struct {
    const char *name;
    const char *routine;
    int vector;
    unsigned size; /* to step over */
} g_exceptions[] = {
    {"ud2", r_ud2, 6, 2},
    {"int3 is fault class and #UD after an opt-out entry", r_int3, 6, 1},
    {"hlt", r_hlt, 13, 1},
    {"in", r_in, 6, 2},
    {"cpuid", r_cpuid, 6, 2},
    {"syscall", r_syscall, 6, 2},
    {"int 0x80", r_int80, 6, 2},
    {"int 3", r_int_3, 6, 2},
    {"int 4", r_int_4, 6, 2},
    {"int 0x90", r_int_90, 6, 2},
    {"rdpmc", r_rdpmc, 6, 2},
    {"div", r_div, 0, 2},
    {"ldmxcsr, divss", r_sse_fault, 19, 4},
    {"alignment", r_align_check, 17, 5},
};

static void test_exceptions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_exceptions) / sizeof(g_exceptions[0]); i++) {
        struct sgx_gprsgx gpr;
        uint32_t info = 0;

        print_message("  %s\n", g_exceptions[i].name);
        assert_int_equal(test_enter(&g_e, g_exceptions[i].routine, 0, 0), EFAULT_RET);
        assert_int_equal(g_e.run.function, SGX_ERESUME);
        assert_int_equal(g_e.run.exception_vector, g_exceptions[i].vector);
        gpr = test_gprsgx(&g_e);
        if (g_exceptions[i].vector != 13) {
            info = SGX_EXITINFO_VALID | 3U << 8 | (uint32_t)g_exceptions[i].vector;
        }
        assert_int_equal(gpr.exit_info, info);
        assert_int_equal(test_skip(&g_e, g_exceptions[i].size), 0);
    }
}

static void test_syscall_site(void **state)
{
    (void)state;
    assert_int_equal(test_enter(&g_e, r_syscall, 0, 0), EFAULT_RET);
    assert_int_equal(test_gprsgx(&g_e).rip, test_code(&g_e, r_syscall_site));
    assert_int_equal(test_gprsgx(&g_e).rax, 39);
    assert_int_equal(test_skip(&g_e, 2), 0);
    assert_int_equal(g_e.rdi, 39); /* not a pid: the call was not made */
}

#define LOW_ADDRESS ((void *)0x10000000UL)

/* SYSENTER makes no system call, whatever the stack that Linux looks for is; where it stood is lost. */
static void test_sysenter(void **state)
{
    void *low = mmap(LOW_ADDRESS, TEST_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    int fd = dup(0);

    (void)state;
    assert_ptr_equal(low, LOW_ADDRESS);
    assert_int_equal(test_enter(&g_e, r_sysenter, (uint64_t)low, (uint64_t)fd), EFAULT_RET);
    assert_int_equal(g_e.run.exception_vector, 6);
    assert_int_equal(test_gprsgx(&g_e).rip, 0);
    assert_int_equal(close(fd), 0);
    munmap(low, TEST_PAGE);
}

static void test_sysenter_no_stack(void **state)
{
    (void)state;
    assert_int_equal(test_enter(&g_e, r_sysenter, 0x10, 99), EFAULT_RET);
    assert_int_equal(g_e.run.exception_vector, 6);
    assert_int_equal(test_gprsgx(&g_e).rip, 0);
}

static void test_far_transfer(void **state)
{
    (void)state;
    assert_int_equal(test_enter(&g_e, r_far, 0, 0), EFAULT_RET);
    assert_int_equal(g_e.run.exception_vector, 6);
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
}

/* What the vDSO cannot answer itself it asks the kernel for. */
static void test_vdso_calls(void **state)
{
    struct timespec t = {0};

    (void)state;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    assert_true(t.tv_sec > 0 || t.tv_nsec > 0);
    assert_int_equal(clock_gettime((clockid_t)77, &t), -1);
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
}

static void test_trap_flag(void **state)
{
    (void)state;
    assert_int_equal(test_call(&g_e, r_trap_flag, 0, 0), 7);
}

static void test_rdtsc_allowed(void **state)
{
    (void)state;
    assert_int_not_equal(test_call(&g_e, r_rdtsc, 0, 0), 0);
}

static void test_rdtsc_trapped(void **state)
{
    (void)state;
    test_expect_fault(&g_e, r_rdtsc, 0, 0, 6, 0, 0);
    assert_true(__builtin_ia32_rdtsc() != 0); /* the host's own still works */
}

static void test_exinfo(void **state)
{
    uint64_t addr = g_e.base + TEST_DATA + 0x123;
    uint64_t where = g_e.base + TEST_SSA(0UL) + TEST_PAGE - sizeof(struct sgx_gprsgx) -
                     sizeof(struct sgx_exinfo);
    struct sgx_exinfo info;

    (void)state;
    test_expect_fault(&g_e, r_call, addr, 0, 14, SGX_PF_P | SGX_PF_U | SGX_PF_I,
                      g_e.base + TEST_DATA);
    assert_int_equal(test_gprsgx(&g_e).exit_info, SGX_EXITINFO_VALID | 3U << 8 | 14);
    test_read(&g_e, where, &info, sizeof(info));
    assert_int_equal(info.maddr, addr); /* in full: only the outside loses the low bits */
    assert_int_equal(info.errcd, SGX_PF_P | SGX_PF_U | SGX_PF_I);
}

static void test_no_exinfo(void **state)
{
    (void)state;
    assert_int_equal(test_enter(&g_e, r_load, 0x1000, 0), EFAULT_RET);
    assert_int_equal(g_e.run.exception_vector, 14);
    assert_int_equal(test_gprsgx(&g_e).exit_info, 0); /* #PF is not reported without EXINFO */
}

static void test_host_cpuid(void **state)
{
    uint32_t a, b, c, d;

    (void)state;
    __cpuid(0, a, b, c, d);
    assert_true(a >= 0xd);
    assert_memory_equal(&b, "Genu", 4);
}

static void test_enclu_enter_inside(void **state)
{
    struct enclu_args args = {.rax = SGX_EENTER, .rbx = g_e.base};

    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        for (uint64_t leaf = SGX_EENTER; leaf <= SGX_ERESUME; leaf++) {
            args.rax = leaf;
            assert_int_equal(test_leaf(&g_e, raw, &args), EFAULT_RET);
            assert_int_equal(g_e.run.exception_vector, 13);
            test_close(&g_e);
            test_build(&g_e, NULL);
        }
    }
    args.rax = SGX_EDECCSSA;
    assert_int_equal(test_leaf(&g_e, 0, &args), EFAULT_RET);
    assert_int_equal(g_e.run.exception_vector, 13);
    /* RIP stands at the ENCLU, which is the stub. */
    assert_int_equal(test_gprsgx(&g_e).rip, test_code(&g_e, enclave_stub));
}

#define T(f) TEST_CASE(f, &g_e, &g_plain)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_nop),
        T(test_convention),
        T(test_bad_tcs),
        T(test_no_ssa_left),
        cmocka_unit_test(test_not_initialized),
        T(test_busy_tcs),
        T(test_registers),
        T(test_bases),
        T(test_vectors),
        T(test_vectors_cleared),
        T(test_bad_xsave),
        T(test_exceptions),
        T(test_syscall_site),
        T(test_sysenter),
        T(test_sysenter_no_stack),
        T(test_far_transfer),
        T(test_vdso_calls),
        T(test_trap_flag),
        T(test_rdtsc_allowed),
        TEST_CASE(test_rdtsc_trapped, &g_e, &g_rdtsc),
        TEST_CASE(test_exinfo, &g_e, &g_exinfo),
        T(test_no_exinfo),
        T(test_host_cpuid),
        T(test_enclu_enter_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
