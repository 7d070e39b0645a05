/* SPDX-License-Identifier: MIT */
/*
 * One rewritten site of a syscall or CPUID instruction: what is replaced, the code that stands in for it, and how the
 * two map onto each other. Pure.
 *
 *   the program, before        after              the trampoline
 *   P: pre instructions        P: jmp T           T:        pre
 *   S: syscall                    ...                       lea  R(%rip), %rcx
 *      post instructions          ...                       jmp  *%gs:TA_SYSCALL_ENTRY
 *   E: ...                     E: ...             [R:       post
 *                                                           jmp  E]
 *
 * For CPUID, to which RCX matters: S: cpuid, and T: pre; mov %rcx, %gs:TA_CPUID_RCX; lea R(%rip), %rcx;
 * jmp *%gs:TA_CPUID_ENTRY.
 *
 * Five bytes at P, all in one page, are replaced. Without post instructions the kernel returns
 * straight to S + 2, which then lies at or behind P + 5. Either of pre and post may be empty, not
 * both.
 */
#ifndef LOADER_TRAMPOLINE_H
#define LOADER_TRAMPOLINE_H

#include <kernel/regs.h>
#include <kernel/types.h>

#define SITE_PATCH_SIZE 5u
#define SITE_PART_MAX   15u /* bytes of pre, and of post */
#define SITE_BYTES_MAX  (2 * SITE_PART_MAX + 2)
#define TRAMPOLINE_MAX  (2 * SITE_PART_MAX + 29)

struct site {
    u64 offset;               /* of P in the file */
    u32 trampoline;           /* of T in the file's block of trampolines */
    u8 pre, post;             /* bytes */
    bool cpuid;
    u8 bytes[SITE_BYTES_MAX]; /* the original ones, from P to E */
};

static inline size_t site_size(const struct site *s)
{
    return (size_t)s->pre + 2 + s->post;
}

size_t trampoline_size(const struct site *s);

/* Writes trampoline_size() bytes for P at `va` and T at `at`. False: out of reach. */
bool trampoline_write(const struct site *s, u64 va, u64 at, u8 *out);

/* The five bytes for P. */
void trampoline_patch(u64 va, u64 at, u8 out[static SITE_PATCH_SIZE]);

/*
 * regs->rip in [at, at + size): the original address, with RCX as the site would have it. The exact
 * reverse for addresses the site's own instructions have; both keep everything else. True: changed. `kept_rcx` is what the
 * thread has in TA_CPUID_RCX.
 */
bool trampoline_hide(const struct site *s, u64 va, u64 at, struct regs *regs, u64 kept_rcx);
bool trampoline_show(const struct site *s, u64 va, u64 at, struct regs *regs);

#endif
