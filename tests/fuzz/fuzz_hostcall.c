/* SPDX-License-Identifier: MIT */
/*
 * The enclave's generated stubs under a host that answers with the input's bytes: each step takes a
 * call, its arguments, a result, and what the host leaves in its block. Nothing is written beyond
 * the checked length (buffers end at unmapped memory; the stubs' copies are assembly, which ASan
 * does not see), and no result comes through that the table does not allow.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hostcall_desc.h"
#include "hostcall_stubs.h"
#include "layout.h"

#define BUFFER_MAX   65536UL
#define BUFFER_COUNT 3
#define CANARY       0x5a
#define BEFORE       64u /* bytes before a buffer that are looked at */
#define ERRNO_MAX    133

typedef int64_t (*stub_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* exit and abort do not return. */
static void *const g_stubs[HOSTCALL_COUNT] = {
#define STUB(name) [HOSTCALL_##name] = (void *)hostcall_##name,
    HOSTCALL_EACH(STUB)
#undef STUB
};

/* One step of the input. */
struct step {
    uint8_t number;
    uint8_t fill;        /* what the host leaves in the data area */
    uint8_t legal;       /* bit i: argument i is brought into its range */
    uint8_t reserved;
    int64_t result;
    uint64_t args[HOSTCALL_ARGS];
};

static struct host_thread g_block __attribute__((aligned(4096)));
static struct step g_step;
static int g_asked, g_lied;
static uint8_t *g_buffers[BUFFER_COUNT]; /* their ends: an unmapped page follows */

struct host_thread __host *hostcall_begin(void)
{
    return (struct host_thread __host *)(uintptr_t)&g_block;
}

int64_t hostcall_do(struct host_thread __host *ht, uint64_t number)
{
    (void)ht;
    if (number != g_step.number)
        abort();
    g_asked = 1;
    memset(g_block.data, g_step.fill, sizeof(g_block.data));
    return g_step.result;
}

void hostcall_lied(const char *name, int64_t result)
{
    (void)name, (void)result;
    g_lied = 1;
}

static void make_buffers(void)
{
    for (int i = 0; i < BUFFER_COUNT; i++) {
        size_t size = 4096 + BUFFER_MAX;
        uint8_t *p = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED || mprotect(p + size, 4096, PROT_NONE))
            abort();
        g_buffers[i] = p + size;
    }
}

static void make_legal(const struct hostcall_desc *desc)
{
    for (unsigned i = 0; i < HOSTCALL_ARGS; i++) {
        const struct hostcall_arg *arg = &desc->args[i];
        uint64_t span = arg->high - (uint64_t)arg->low + 1;

        if (!(g_step.legal >> i & 1))
            continue;
        if (arg->kind == HOSTCALL_ARG_ADDR)
            g_step.args[i] = g_step.args[i] % ENCLAVE_END & ~0xfffUL;
        else if (arg->kind == HOSTCALL_ARG_PAGES)
            g_step.args[i] = 1 + g_step.args[i] % 8;
        else if (arg->kind == HOSTCALL_ARG_VALUE && span)
            g_step.args[i] = (uint64_t)arg->low + g_step.args[i] % span;
    }
}

/* A buffer of the argument's size, or of none when the stub has to refuse the size. */
static uint64_t buffer_size(const struct hostcall_desc *desc, unsigned i)
{
    uint64_t size = g_step.args[desc->buffers[i].length_slot];

    return size <= BUFFER_MAX ? size : 0;
}

/* One type of call for all stubs: their arguments are registers. */
__attribute__((no_sanitize("function"))) static int64_t call_stub(const struct hostcall_desc *desc)
{
    uint64_t p[6] = {0};
    unsigned a = 0, b = 0;

    for (unsigned i = 0; desc->params[i]; i++) {
        if (desc->params[i] == 'a') {
            p[i] = g_step.args[a++];
        } else {
            uint64_t size = buffer_size(desc, b);
            uint8_t *start = g_buffers[b++] - size;

            p[i] = (uintptr_t)start;
            memset(start - BEFORE, CANARY, BEFORE + size);
        }
    }
    return ((stub_fn)g_stubs[g_step.number])(p[0], p[1], p[2], p[3], p[4], p[5]);
}

/* Beyond what the result allows, and before the buffer, everything is as it was. */
static void check_buffer(const struct hostcall_desc *desc, unsigned i, int64_t result)
{
    const struct hostcall_buffer *buf = &desc->buffers[i];
    uint64_t size = buffer_size(desc, i), changed = 0;
    const uint8_t *start = g_buffers[i] - size;

    if (g_asked && result >= 0 && buf->direction != HOSTCALL_IN)
        changed = buf->full ? size : (uint64_t)result;
    if (changed > size)
        abort();
    for (const uint8_t *p = start - BEFORE; p < g_buffers[i]; p++)
        if (*p != CANARY && (p < start || p >= start + changed))
            abort();
    for (uint64_t k = 0; k < changed; k++)
        if (start[k] != g_step.fill)
            abort();
}

static int allowed(const struct hostcall_desc *desc, int64_t result)
{
    switch (desc->result) {
    case HOSTCALL_RESULT_LEN:
        return (uint64_t)result <= g_step.args[desc->length_slot];
    case HOSTCALL_RESULT_RANGE:
        return result >= desc->low && result <= desc->high;
    case HOSTCALL_RESULT_ERRNO:
    case HOSTCALL_RESULT_NEVER:
        break;
    }
    return result == 0;
}

static void run_step(void)
{
    const struct hostcall_desc *desc = &hostcall_descs[g_step.number];
    int64_t result;

    make_legal(desc);
    g_asked = g_lied = 0;
    result = call_stub(desc);
    if (!g_asked && result != -EINVAL)
        abort();
    if (g_asked && result != g_step.result && !(g_lied && result == -EIO))
        abort();
    if (result >= 0 ? !allowed(desc, result) : result < -ERRNO_MAX)
        abort();
    for (unsigned i = 0; i < desc->buffer_count; i++)
        check_buffer(desc, i, result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!g_buffers[0])
        make_buffers();
    for (; size >= sizeof(g_step); data += sizeof(g_step), size -= sizeof(g_step)) {
        memcpy(&g_step, data, sizeof(g_step));
        g_step.number %= HOSTCALL_COUNT;
        if (g_stubs[g_step.number])
            run_step();
    }
    return 0;
}
