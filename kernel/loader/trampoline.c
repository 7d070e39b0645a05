/* SPDX-License-Identifier: MIT */
/* Trampolines' code and the mapping of addresses in both directions. Pure; no locks. */
#include "trampoline.h"

#include <kernel/string.h>
#include <kernel/thread_area.h>

#define LEA_SIZE  7u
#define JUMP_SIZE 8u
#define CALL_SIZE (LEA_SIZE + JUMP_SIZE)

static const u8 g_lea_rcx[3] = {0x48, 0x8d, 0x0d}; /* disp32 follows */
static const u8 g_jump[JUMP_SIZE] = {0x65, 0xff, 0x24, 0x25, TA_SYSCALL_ENTRY, 0, 0, 0};

size_t trampoline_size(const struct site *s)
{
    return (size_t)s->pre + CALL_SIZE + (s->post ? s->post + SITE_PATCH_SIZE : 0);
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
    return s->post ? at + s->pre + CALL_SIZE : va + s->pre + 2;
}

bool trampoline_write(const struct site *s, u64 va, u64 at, u8 *out)
{
    u8 *p = out;
    bool ok;

    memcpy(p, s->bytes, s->pre);
    p += s->pre;
    memcpy(p, g_lea_rcx, sizeof(g_lea_rcx));
    ok = put_rel32(p + sizeof(g_lea_rcx), at + s->pre + LEA_SIZE, return_address(s, va, at));
    memcpy(p + LEA_SIZE, g_jump, JUMP_SIZE);
    p += CALL_SIZE;
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

bool trampoline_hide(const struct site *s, u64 va, u64 at, struct regs *regs)
{
    u64 k = regs->rip - at;
    u64 syscall = va + s->pre;

    if (k >= trampoline_size(s))
        return false;
    if (k <= s->pre)
        regs->rip = va + k;
    else if (k < (u64)s->pre + CALL_SIZE) /* RCX is dead before a syscall */
        regs->rip = syscall;
    else /* the jump back (k beyond post's end) does nothing itself */
        regs->rip = syscall + 2 + min(k - s->pre - CALL_SIZE, (u64)s->post);
    if (s->post && regs->rcx == return_address(s, va, at))
        regs->rcx = syscall + 2;
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
    regs->rip = at + k - 2 + CALL_SIZE;
    return true;
}
