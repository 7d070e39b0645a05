/* SPDX-License-Identifier: MIT */
/* Trampolines' code and the mapping of addresses in both directions. Pure; no locks. */
#include "trampoline.h"

#include <kernel/string.h>
#include <kernel/thread_area.h>

#define KEEP_SIZE 9u /* CPUID's RCX */
#define LEA_SIZE  7u
#define JUMP_SIZE 8u

static const u8 g_lea_rcx[3] = {0x48, 0x8d, 0x0d}; /* disp32 follows */
static const u8 g_jump[JUMP_SIZE] = {0x65, 0xff, 0x24, 0x25, TA_SYSCALL_ENTRY, 0, 0, 0};
static const u8 g_cpuid_jump[JUMP_SIZE] = {0x65, 0xff, 0x24, 0x25, TA_CPUID_ENTRY, 0, 0, 0};
static const u8 g_keep_rcx[KEEP_SIZE] = {0x65, 0x48, 0x89, 0x0c, 0x25, TA_CPUID_RCX, 0, 0, 0};

_Static_assert(TA_CPUID_RCX <= 0xff && TA_CPUID_ENTRY <= 0xff, "one byte of each displacement");

static size_t keep_size(const struct site *s)
{
    return s->cpuid ? KEEP_SIZE : 0;
}

/* What stands for the instruction itself. */
static size_t call_size(const struct site *s)
{
    return keep_size(s) + LEA_SIZE + JUMP_SIZE;
}

size_t trampoline_size(const struct site *s)
{
    return (size_t)s->pre + call_size(s) + (s->post ? s->post + SITE_PATCH_SIZE : 0);
}

/* The displacement from the end of an instruction at `end`; false when 32 bits cannot hold it. */
static bool put_rel32(u8 *out, u64 end, u64 target)
{
    s64 d = (s64)(target - end);
    s32 d32 = (s32)d;

    memcpy(out, &d32, sizeof(d32));
    return d == d32;
}

/* Where the kernel returns to. */
static u64 return_address(const struct site *s, u64 va, u64 at)
{
    return s->post ? at + s->pre + call_size(s) : va + s->pre + 2;
}

bool trampoline_write(const struct site *s, u64 va, u64 at, u8 *out)
{
    u8 *p = out;
    bool ok;

    memcpy(p, s->bytes, s->pre);
    p += s->pre;
    memcpy(p, g_keep_rcx, keep_size(s));
    p += keep_size(s);
    memcpy(p, g_lea_rcx, sizeof(g_lea_rcx));
    ok = put_rel32(p + sizeof(g_lea_rcx), at + (u64)(p - out) + LEA_SIZE, return_address(s, va, at));
    memcpy(p + LEA_SIZE, s->cpuid ? g_cpuid_jump : g_jump, JUMP_SIZE);
    p += LEA_SIZE + JUMP_SIZE;
    if (s->post) {
        memcpy(p, s->bytes + s->pre + 2, s->post);
        p += s->post;
        *p++ = 0xe9;
        ok = put_rel32(p, at + trampoline_size(s), va + site_size(s)) && ok;
    }
    return put_rel32((u8[4]){0}, va + SITE_PATCH_SIZE, at) && ok;
}

void trampoline_patch(u64 va, u64 at, u8 out[static SITE_PATCH_SIZE])
{
    out[0] = 0xe9;
    (void)put_rel32(out + 1, va + SITE_PATCH_SIZE, at);
}

/* RCX as the site has it, at `k` in the trampoline: dead before a syscall, which leaves it behind itself. */
static u64 site_rcx(const struct site *s, u64 k, u64 va, u64 at, u64 rcx, u64 kept)
{
    if (s->cpuid)
        return k == s->pre + KEEP_SIZE + LEA_SIZE ? kept : rcx;
    return s->post && rcx == return_address(s, va, at) ? va + s->pre + 2 : rcx;
}

bool trampoline_hide(const struct site *s, u64 va, u64 at, struct regs *regs, u64 kept_rcx)
{
    u64 k = regs->rip - at;
    u64 call = va + s->pre;

    if (k >= trampoline_size(s))
        return false;
    if (k <= s->pre)
        regs->rip = va + k;
    else if (k < s->pre + call_size(s))
        regs->rip = call;
    else /* the jump back (k beyond post's end) does nothing itself */
        regs->rip = call + 2 + min(k - s->pre - call_size(s), (u64)s->post);
    regs->rcx = site_rcx(s, k, va, at, regs->rcx, kept_rcx);
    return true;
}

bool trampoline_show(const struct site *s, u64 va, u64 at, struct regs *regs)
{
    u64 k = regs->rip - va;

    if (k == 0 || k >= site_size(s))
        return false;
    if (k <= s->pre) {
        regs->rip = at + k;
        return true;
    }
    if (s->post == 0 || k < (u64)s->pre + 2)
        return false;
    regs->rip = at + k - 2 + call_size(s);
    return true;
}
