/* SPDX-License-Identifier: MIT */
/*
 * A tiny enclave for the simulator's tests: built, signed and entered through sgx_device_sim only.
 *
 * Offsets from the base: two TCSs with two SSA frames each, a thread page each, one page of data, two
 * stacks each, code, and from TEST_DYNAMIC on nothing: pages come by EAUG.
 */
#ifndef SIM_TEST_HARNESS_H
#define SIM_TEST_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sgx.h"
#include "sim.h"

#define TEST_BASE 0x200000000000UL /* above what a sanitizer keeps for itself */
#define TEST_SIZE 0x4000000UL

#define TEST_TCS(i)     (0x0000UL + (i) * 0x10000UL)
#define TEST_SSA(i)     (0x1000UL + (i) * 0x10000UL) /* two frames of one page */
#define TEST_THREAD(i)  (0x3000UL + (i) * 0x10000UL)
#define TEST_STACK(i)   (0x4000UL + (i) * 0x10000UL)
#define TEST_STACK2(i)  (0x5000UL + (i) * 0x10000UL)
#define TEST_DATA       0x6000UL
#define TEST_CODE       0x20000UL
#define TEST_DYNAMIC    0x100000UL
#define TEST_PAGE       4096UL

struct test_options {
    uint64_t base; /* 0: TEST_BASE */
    struct sgx_device_config config;
    uint32_t misc_select;
    uint64_t attributes; /* added to MODE64BIT */
    uint64_t xfrm;       /* 0: X87 | SSE | AVX */
    int map_late;        /* map after ADD_PAGES */
    int no_init;
    int no_thread;
};

struct test_enclave {
    struct sgx_device *dev;
    uint64_t base;
    struct sgx_secs secs;
    uint8_t mrenclave[32];
    struct sgx_enclave_run run;
    long rdi; /* at the last exit */
    int exits;
};

struct enclu_args {
    uint64_t rax, rbx, rcx, rdx, out_rax, out_rflags;
};

extern const struct sgx_device_ops *const test_ops;

void test_build(struct test_enclave *e, const struct test_options *options);
void test_close(struct test_enclave *e);
void test_init(struct test_enclave *e);
int test_add(struct test_enclave *e, uint64_t offset, const void *page, uint64_t flags, int measure);
/* Must succeed, measured, and goes into test_measurement(). */
void test_add_logged(struct test_enclave *e, uint64_t offset, const void *page, uint64_t flags);
void test_sign(const struct test_enclave *e, struct sgx_sigstruct *sig);
void test_resign(struct sgx_sigstruct *sig);
void test_measurement(struct test_enclave *e, uint8_t out[32]);

/* The enclave address of a routine or label of enclave.S. */
uint64_t test_code(const struct test_enclave *e, const void *routine);

/* EENTER (or ERESUME) on TCS `i`: returns what enter returned. */
int test_enter_tcs(struct test_enclave *e, int i, unsigned function, const void *routine,
                   uint64_t rdi, uint64_t rdx, uint64_t r8);
int test_enter(struct test_enclave *e, const void *routine, uint64_t rdi, uint64_t rdx);
int test_resume(struct test_enclave *e);

/* A routine that must come back; its result. */
uint64_t test_call(struct test_enclave *e, const void *routine, uint64_t rdi, uint64_t rdx);

/* A routine that must end in this exception. */
void test_expect_fault(struct test_enclave *e, const void *routine, uint64_t rdi, uint64_t rdx,
                       int vector, unsigned error, uint64_t addr);

/* Reads enclave memory through the enclave, at CSSA 0 or 1. */
void test_read(struct test_enclave *e, uint64_t addr, void *out, size_t size);
void test_write8(struct test_enclave *e, uint64_t addr, uint64_t value);
struct sgx_gprsgx test_gprsgx(struct test_enclave *e);
/* Leaves the interrupted state behind: RIP += skip, then ERESUME. */
int test_skip(struct test_enclave *e, uint64_t skip);

/* One ENCLU leaf through the stub or, if raw, by trap. Returns RAX; *flags gets RFLAGS. */
int test_leaf(struct test_enclave *e, int raw, struct enclu_args *args);
uint64_t test_secinfo(struct test_enclave *e, uint64_t flags);
uint64_t test_accept(struct test_enclave *e, uint64_t addr, uint64_t flags);
struct sgx_counters test_counters(struct test_enclave *e);

/*
 * A test with its own enclave, built inside the test: cmocka takes over SIGSEGV between a setup and
 * its test.
 */
struct test_case {
    void (*run)(void **state);
    struct test_enclave *enclave;
    const struct test_options *options;
};

void test_run_case(void **state);

#define TEST_CASE(f, e, o)                                                                         \
    {                                                                                              \
        .name = #f, .test_func = test_run_case,                                                    \
        .initial_state = &(struct test_case){.run = f, .enclave = e, .options = o}                 \
    }

#define DECLARE_ROUTINE(name) extern const char name[]
DECLARE_ROUTINE(enclave_start);
DECLARE_ROUTINE(enclave_end);
DECLARE_ROUTINE(enclave_stub);
DECLARE_ROUTINE(r_nop);
DECLARE_ROUTINE(r_enclu);
DECLARE_ROUTINE(r_enclu_raw);
DECLARE_ROUTINE(r_load);
DECLARE_ROUTINE(r_store);
DECLARE_ROUTINE(r_load8);
DECLARE_ROUTINE(r_store8);
DECLARE_ROUTINE(r_call);
DECLARE_ROUTINE(r_copy);
DECLARE_ROUTINE(r_add8);
DECLARE_ROUTINE(r_bases);
DECLARE_ROUTINE(r_syscall);
DECLARE_ROUTINE(r_syscall_site);
DECLARE_ROUTINE(r_int80);
DECLARE_ROUTINE(r_int_3);
DECLARE_ROUTINE(r_int_4);
DECLARE_ROUTINE(r_int_90);
DECLARE_ROUTINE(r_rdpmc);
DECLARE_ROUTINE(r_sysenter);
DECLARE_ROUTINE(r_far);
DECLARE_ROUTINE(r_cpuid);
DECLARE_ROUTINE(r_rdtsc);
DECLARE_ROUTINE(r_int3);
DECLARE_ROUTINE(r_hlt);
DECLARE_ROUTINE(r_in);
DECLARE_ROUTINE(r_ud2);
DECLARE_ROUTINE(r_div);
DECLARE_ROUTINE(r_sse_fault);
DECLARE_ROUTINE(r_trap_flag);
DECLARE_ROUTINE(r_align_check);
DECLARE_ROUTINE(r_regs);
DECLARE_ROUTINE(r_regs_site);
DECLARE_ROUTINE(r_vector);
DECLARE_ROUTINE(r_vector_leaf);
DECLARE_ROUTINE(r_spin);
DECLARE_ROUTINE(r_leaf_loop);
DECLARE_ROUTINE(r_check_loop);

#define SECINFO_REG(perm) ((perm) | SGX_SECINFO_PT(SGX_PT_REG))
#define PERM_RW           (SGX_SECINFO_R | SGX_SECINFO_W)
#define PERM_RX           (SGX_SECINFO_R | SGX_SECINFO_X)

#endif
