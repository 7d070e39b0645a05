/* SPDX-License-Identifier: MIT */
/*
 * Vector state: which components exist (XFRM), how large their XSAVE image is, and saving it aside.
 * Source: Intel SDM vol. 1 chapter 13. The standard format is used everywhere, since signal frames
 * show it to programs.
 */
#include <kernel/arch.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/thread_area.h>

#define XSAVE_MAX        2752u /* AVX-512's last component ends at 2,688 */
#define XSAVE_LEGACY     512u
#define XSAVE_HEADER     64u
#define MXCSR_OFFSET     24u
#define XSTATE_BV_OFFSET 512u
#define MXCSR_VALID      0xffffu /* every CPU with SGX has MXCSR_MASK 0xffff */

static u64 g_xfeatures;
static size_t g_xsave_size;

static u8 g_reset_area[XSAVE_MAX] __attribute__((aligned(64)));

/* CPUID.0DH's standard-format end of the highest component in XFRM. */
static size_t xsave_size_of(u64 features)
{
    if (features & 0x80)
        return 2688;
    if (features & 0x40)
        return 1664;
    if (features & 0x20)
        return 1152;
    if (features & 0x04)
        return 832;
    return XSAVE_LEGACY + XSAVE_HEADER;
}

static void xsave(void *area)
{
    __asm__ volatile("xsave64 (%0)"
                     :
                     : "r"(area), "a"((u32)g_xfeatures), "d"((u32)(g_xfeatures >> 32))
                     : "memory");
}

static void xrstor(const void *area)
{
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(area), "a"((u32)g_xfeatures), "d"((u32)(g_xfeatures >> 32))
                     : "memory");
}

void arch_init(void)
{
    u32 mxcsr = 0x1f80;
    u16 control = 0x37f;

    g_xfeatures = target_xfrm();
    g_xsave_size = xsave_size_of(g_xfeatures);
    memcpy(g_reset_area, &control, sizeof(control));
    memcpy(g_reset_area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    arch_xreset();
}

size_t arch_xsave_size(void)
{
    return g_xsave_size;
}

u64 arch_xfeatures(void)
{
    return g_xfeatures;
}

void arch_xsave(void *area)
{
    memset((char *)area + XSTATE_BV_OFFSET, 0, XSAVE_HEADER);
    xsave(area);
}

int arch_xrstor_checked(const void *area, size_t size)
{
    const u8 *image = area;
    u64 header[8];
    u32 mxcsr;

    if ((uintptr_t)area % 64 || size < XSAVE_LEGACY + XSAVE_HEADER)
        return -EINVAL;
    memcpy(&mxcsr, image + MXCSR_OFFSET, sizeof(mxcsr));
    memcpy(header, image + XSTATE_BV_OFFSET, sizeof(header));
    if ((mxcsr & ~MXCSR_VALID) || (header[0] & ~g_xfeatures) || size < xsave_size_of(header[0]))
        return -EINVAL;
    for (unsigned i = 1; i < ARRAY_COUNT(header); i++)
        if (header[i])
            return -EINVAL;
    xrstor(image);
    return 0;
}

void arch_xrstor(const void *area)
{
    xrstor(area);
}

void arch_xreset(void)
{
    xrstor(g_reset_area);
}

void arch_vector_begin(void)
{
    ASSERT(thread_area()->vector_depth == 0);
    thread_area()->vector_depth = 1;
    xsave(thread_area()->vector);
}

void arch_vector_end(void)
{
    ASSERT(thread_area()->vector_depth == 1);
    xrstor(thread_area()->vector);
    thread_area()->vector_depth = 0;
}

void arch_set_fs_base(u64 base)
{
    __asm__ volatile("wrfsbase %0" : : "r"(base));
}

u64 arch_get_fs_base(void)
{
    u64 base;

    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

void arch_restart_syscall(struct regs *regs)
{
    regs->rax = (u64)regs->orig_rax;
    syscall_dispatch(regs);
}

/* The frame's fixed parts (ucontext, siginfo, return address: 128 + 304 + 8 rounded) and alignment. */
size_t arch_min_sigstack(void)
{
    return 128 + 440 + 64 + align_up(g_xsave_size + 4, 64);
}

u64 arch_hwcap(void)
{
    u32 r[4];

    arch_cpuid(1, 0, r);
    return r[3];
}

u64 arch_hwcap2(void)
{
    return 2; /* FSGSBASE; no ring 3 MWAIT */
}
