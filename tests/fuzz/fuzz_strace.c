/* SPDX-License-Identifier: MIT */
/*
 * Any call with any arguments through --strace: a line comes out, and nothing is read but through
 * the user copies. The first bytes are the registers and the result; what is left stands at ARENA,
 * where arguments (and pointers in it) may lead, with nothing mapped behind.
 */
#include <kernel/printk.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/target.h>
#include <null.h>

#include "syscall_internal.h"

#define ARENA      0x200000000000UL
#define ARENA_SIZE PAGE_SIZE

struct call {
    u64 args[6];
    long result;
    u32 nr;
    u32 in_arena; /* bit i: argument i counts from the bytes' place in the arena */
};

static void prepare(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    null_catch_faults();
    ASSERT(!target_mem_commit(ARENA, 1, TARGET_READ | TARGET_WRITE));
    ASSERT(!strace_enable(NULL));
}

static void trace_one(const struct call *c, u64 base)
{
    u64 a[6];
    struct regs r = {.orig_rax = (long)c->nr};
    struct trace t = {.desc = NULL};

    for (unsigned i = 0; i < 6; i++)
        a[i] = c->in_arena >> i & 1 ? base + c->args[i] % ARENA_SIZE : c->args[i];
    r.rdi = a[0], r.rsi = a[1], r.rdx = a[2], r.r10 = a[3], r.r8 = a[4], r.r9 = a[5];
    strace_enter(&t, &r);
    ASSERT(t.line.size < sizeof(t.line.text));
    if (t.desc)
        strace_exit(&t, c->result);
    ASSERT(strlen(null_log_last()) < sizeof(t.line.text));
}

/* One task: no lines begin with a number. */
unsigned task_count(void)
{
    return 1;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct call c;
    siginfo_t info = {0};
    u64 base;

    if (size < sizeof(c) || size - sizeof(c) > ARENA_SIZE)
        return -1;
    prepare();
    memcpy(&c, data, sizeof(c));
    data += sizeof(c);
    size -= sizeof(c);
    base = ARENA + ARENA_SIZE - size;
    memset((void *)ARENA, 0xff, ARENA_SIZE - size);
    memcpy((void *)base, data, size);
    trace_one(&c, base);
    memcpy(&info, data, min(size, sizeof(info)));
    strace_signal(&info);
    strace_end((int)c.result);
    return 0;
}
