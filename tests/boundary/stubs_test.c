/* SPDX-License-Identifier: MIT */
/*
 * The enclave's generated stubs against every lie, without an enclave: the stubs are compiled for
 * this program, hostcall_do() plays the host and answers with a value from the list, and the buffers
 * stand against unmapped pages. Every call of the table with every lie; nothing is written beyond the
 * checked length, and no result comes through that the table does not allow.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "hostcall_desc.h"
#include "hostcall_stubs.h"
#include "layout.h"

#define BUFFER_MAX   65536UL
#define BUFFER_COUNT 3
#define CANARY       0x5a
#define ERRNO_MAX    133

typedef int64_t (*stub_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static const struct {
    unsigned number;
    void *stub;
} g_stubs[] = {
#define STUB(name) {HOSTCALL_##name, (void *)hostcall_##name},
    HOSTCALL_EACH(STUB)
#undef STUB
};
#define STUB_COUNT (sizeof(g_stubs) / sizeof(g_stubs[0]))

static const int64_t g_lies[] = {
    0, 1, 7, 8, 15, 64, 65, 511, 512, 4096, 4097, 65535, 65536, 65537, INT32_MAX,
    (int64_t)INT32_MAX + 1, UINT32_MAX, (int64_t)UINT32_MAX + 1, INT64_MAX, -1, -2, -4, -ERRNO_MAX,
    -ERRNO_MAX - 1, -4095, INT32_MIN, INT64_MIN, INT64_MIN + 1, 0x3fff80000000, 0x7fff00000000,
};
#define LIE_COUNT (sizeof(g_lies) / sizeof(g_lies[0]))

static struct host_thread g_block __attribute__((aligned(4096)));
static int64_t g_answer;
static uint64_t g_asked;
static unsigned g_lied;
static uint8_t g_sent[16]; /* the data area's start as the host saw it */
static uint8_t *g_buffers[BUFFER_COUNT]; /* their ends: an unmapped page follows */

struct host_thread __host *hostcall_begin(void)
{
    return (struct host_thread __host *)(uintptr_t)&g_block;
}

int64_t hostcall_do(struct host_thread __host *ht, uint64_t number)
{
    assert_int_equal((uintptr_t)ht, (uintptr_t)&g_block);
    g_asked = number;
    memcpy(g_sent, g_block.data, sizeof(g_sent));
    memset(g_block.data, 0xa5, sizeof(g_block.data));
    return g_answer;
}

void hostcall_lied(const char *name, int64_t result)
{
    assert_string_equal(name, hostcall_descs[g_asked].name);
    assert_int_equal(result, g_answer);
    g_lied++;
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < BUFFER_COUNT; i++) {
        uint8_t *p = mmap(NULL, BUFFER_MAX + 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_ptr_not_equal(p, MAP_FAILED);
        assert_int_equal(mprotect(p + BUFFER_MAX, 4096, PROT_NONE), 0);
        g_buffers[i] = p + BUFFER_MAX;
    }
    return 0;
}

/* A legal value of the argument: the largest, or for `small` the least. */
static uint64_t legal_value(const struct hostcall_arg *arg, int small)
{
    switch ((enum hostcall_arg_kind)arg->kind) {
    case HOSTCALL_ARG_ADDR:
        return USER_START;
    case HOSTCALL_ARG_PAGES:
        return 1;
    case HOSTCALL_ARG_VALUE:
        return small ? (uint64_t)arg->low : arg->high;
    case HOSTCALL_ARG_NONE:
        break;
    }
    return 0;
}

static uint8_t *buffer_start(const struct hostcall_desc *desc, unsigned i, const uint64_t *args)
{
    return g_buffers[i] - args[desc->buffers[i].length_slot];
}

static int64_t call_stub(void *stub, const struct hostcall_desc *desc, const uint64_t *args)
{
    uint64_t p[6] = {0};
    unsigned a = 0, b = 0;

    for (unsigned i = 0; desc->params[i]; i++)
        p[i] = desc->params[i] == 'a' ? args[a++]
                                      : (uintptr_t)buffer_start(desc, b++, args);
    return ((stub_fn)stub)(p[0], p[1], p[2], p[3], p[4], p[5]);
}

static void fill_buffers(void)
{
    for (int i = 0; i < BUFFER_COUNT; i++)
        memset(g_buffers[i] - BUFFER_MAX, CANARY, BUFFER_MAX);
}

/* Bytes of the buffer's end region that changed, counted from its start; before it none may. */
static uint64_t written(const struct hostcall_desc *desc, unsigned i, const uint64_t *args)
{
    const uint8_t *start = buffer_start(desc, i, args);
    uint64_t n = 0;

    for (const uint8_t *p = g_buffers[i] - BUFFER_MAX; p < start; p++)
        assert_int_equal(*p, CANARY);
    while (start + n < g_buffers[i] && start[n] != CANARY)
        n++;
    for (const uint8_t *p = start + n; p < g_buffers[i]; p++)
        assert_int_equal(*p, CANARY);
    return n;
}

static int allowed(const struct hostcall_desc *desc, const uint64_t *args, int64_t result)
{
    int errors = !(desc->result == HOSTCALL_RESULT_RANGE && desc->high == INT64_MAX);

    if (result < 0)
        return errors && result >= -ERRNO_MAX;
    switch (desc->result) {
    case HOSTCALL_RESULT_ERRNO:
        return result == 0;
    case HOSTCALL_RESULT_LEN:
        return (uint64_t)result <= args[desc->length_slot];
    case HOSTCALL_RESULT_RANGE:
        return result >= desc->low && result <= desc->high;
    case HOSTCALL_RESULT_NEVER:
        break;
    }
    return 0;
}

static void check_buffers(const struct hostcall_desc *desc, const uint64_t *args, int64_t result)
{
    for (unsigned i = 0; i < desc->buffer_count; i++) {
        const struct hostcall_buffer *buf = &desc->buffers[i];
        uint64_t expected = buf->full ? args[buf->length_slot] : (uint64_t)result;

        if (result < 0 || buf->direction == HOSTCALL_IN)
            expected = 0;
        assert_int_equal(written(desc, i, args), expected);
    }
}

static void try_lie(unsigned number, void *stub, int64_t lie, int small)
{
    const struct hostcall_desc *desc = &hostcall_descs[number];
    uint64_t args[HOSTCALL_ARGS];
    int64_t result;

    for (unsigned i = 0; i < HOSTCALL_ARGS; i++)
        args[i] = legal_value(&desc->args[i], small);
    fill_buffers();
    g_answer = lie;
    g_lied = 0;
    result = call_stub(stub, desc, args);
    assert_int_equal(g_asked, number);
    assert_int_equal(g_lied, !allowed(desc, args, lie));
    assert_int_equal(result, g_lied ? -EIO : lie);
    check_buffers(desc, args, result);
}

static void test_every_lie(void **state)
{
    (void)state;
    for (size_t i = 0; i < STUB_COUNT; i++)
        for (size_t j = 0; j < LIE_COUNT; j++)
            for (int small = 0; small < 2; small++)
                try_lie(g_stubs[i].number, g_stubs[i].stub, g_lies[j], small);
}

/* Arguments out of range end inside: the host is not asked. */
static void test_own_arguments(void **state)
{
    (void)state;
    for (size_t i = 0; i < STUB_COUNT; i++) {
        const struct hostcall_desc *desc = &hostcall_descs[g_stubs[i].number];

        for (unsigned bad = 0; bad < HOSTCALL_ARGS; bad++) {
            uint64_t args[HOSTCALL_ARGS] = {0};

            if (desc->args[bad].kind == HOSTCALL_ARG_NONE || desc->args[bad].high > UINT32_MAX - 1)
                continue;
            for (unsigned k = 0; k < HOSTCALL_ARGS; k++)
                args[k] = legal_value(&desc->args[k], 1);
            args[bad] = desc->args[bad].high + 1;
            g_asked = 0;
            assert_int_equal(call_stub(g_stubs[i].stub, desc, args), -EINVAL);
            assert_int_equal(g_asked, 0);
        }
    }
}

static void expect_range_refused(uint64_t addr, uint64_t pages)
{
    g_asked = 0;
    assert_int_equal(hostcall_mem_remove(addr, pages), -EINVAL);
    assert_int_equal(g_asked, 0);
}

static void test_enclave_ranges(void **state)
{
    (void)state;
    g_answer = 0;
    assert_int_equal(hostcall_mem_remove(ENCLAVE_END - 4096, 1), 0);
    expect_range_refused(ENCLAVE_END - 4096, 2);
    expect_range_refused(ENCLAVE_END, 1);
    expect_range_refused(0x1001, 1);
    expect_range_refused(0x1000, 0);
    expect_range_refused(0x1000, UINT64_MAX);
}

/* What is not sent must not be readable outside: the last unit is padded with zeros. */
static void test_no_stale_bytes(void **state)
{
    static const uint8_t expected[16] = {0xcc, 0xcc, 0xcc};
    uint8_t secret[16];

    (void)state;
    memset(secret, 0xcc, sizeof(secret));
    memset(&g_block, 0, sizeof(g_block));
    g_answer = 0;
    assert_int_equal(hostcall_log(0, 3, secret), 0);
    assert_memory_equal(g_sent, expected, sizeof(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_lie),
        cmocka_unit_test(test_own_arguments),
        cmocka_unit_test(test_enclave_ranges),
        cmocka_unit_test(test_no_stale_bytes),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
