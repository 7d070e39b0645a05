/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous enclave exit: what the SSA frame gets, and the synthetic state outside.
 *
 * Source: Intel SDM vol. 3D, "Enclave Exiting Events" (AEX operation, synthetic state, EXITINFO) and
 * ERESUME's Operation for the checks of the XSAVE area. The vector state comes from the signal frame,
 * which holds it in XSAVE's standard format, the SSA's own: components stand at the same offsets.
 * Runs in signal handlers with the host's FS; takes the device lock.
 */
#include "internal.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XSAVE_COMPONENTS 19
#define XSAVE_HEADER_OFF SGX_XSAVE_LEGACY_SIZE
#define XSAVE_EXT_OFF    (SGX_XSAVE_LEGACY_SIZE + SGX_XSAVE_HEADER_SIZE)
#define MXCSR_OFF        24
#define MXCSR_DEFAULT    0x1f80U
#define MXCSR_RESERVED   0xffff0000U
#define FP_SW_OFF        464
#define FP_XSTATE_MAGIC1 0x46505853U
#define PKRU_COMPONENT   9
#define XFRM_KNOWN                                                                                 \
    (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512 | SGX_XFRM_TILECFG | SGX_XFRM_TILEDATA)

uint64_t g_sim_xfrm;

/*
 * Components' places in the standard format, from CPUID leaf 0xd; PKRU's too, which is not in XFRM.
 * Written once by the probe.
 */
static struct {
    uint32_t offset, size;
} g_components[XSAVE_COMPONENTS];

int sim_xsave_probe(void)
{
    uint32_t a, b, c, d, xcr0_low, xcr0_high;

    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) {
        return -1;
    }
    __asm__ volatile("xgetbv" : "=a"(xcr0_low), "=d"(xcr0_high) : "c"(0));
    g_sim_xfrm = ((uint64_t)xcr0_high << 32 | xcr0_low) & XFRM_KNOWN;
    for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
        if ((g_sim_xfrm >> i & 1) == 0 && i != PKRU_COMPONENT) {
            continue;
        }
        __cpuid_count(0xd, i, a, b, c, d);
        g_components[i].size = a;
        g_components[i].offset = b;
        if (b + a > SIM_XSAVE_MAX) {
            return -1;
        }
    }
    return (g_sim_xfrm & SGX_XFRM_LEGACY) == SGX_XFRM_LEGACY ? 0 : -1;
}

size_t sim_xsave_size(uint64_t xfrm)
{
    size_t size = XSAVE_EXT_OFF;

    for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
        size_t end = g_components[i].offset + g_components[i].size;

        if ((xfrm >> i & 1) != 0 && end > size) {
            size = end;
        }
    }
    return size;
}

/* XFRM's components as the signal frame may hold them; 512 bytes only if it has no XSAVE header. */
static uint64_t frame_features(const uint8_t *fp)
{
    uint32_t magic;
    uint64_t features;

    memcpy(&magic, fp + FP_SW_OFF, sizeof(magic));
    if (magic != FP_XSTATE_MAGIC1) {
        return SGX_XFRM_LEGACY;
    }
    memcpy(&features, fp + FP_SW_OFF + 8, sizeof(features));
    return features;
}

/* The XSAVE area of an AEX, from the signal frame into t->xsave. Returns its size. */
static size_t xsave_collect(struct sim_thread *t, const uint8_t *fp, uint64_t xfrm)
{
    uint64_t have = frame_features(fp);
    uint64_t bv = SGX_XFRM_LEGACY;
    size_t size = sim_xsave_size(xfrm);

    memset(t->xsave, 0, size);
    memcpy(t->xsave, fp, FP_SW_OFF);
    if ((have & ~SGX_XFRM_LEGACY) != 0) {
        memcpy(&bv, fp + XSAVE_HEADER_OFF, sizeof(bv));
    }
    bv &= xfrm;
    memcpy(t->xsave + XSAVE_HEADER_OFF, &bv, sizeof(bv));
    for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
        if ((xfrm & have & bv) >> i & 1) {
            memcpy(t->xsave + g_components[i].offset, fp + g_components[i].offset,
                   g_components[i].size);
        }
    }
    return size;
}

/* Puts XFRM's components into their initial state outside. */
static void xsave_synthesize(uint8_t *fp, uint64_t xfrm)
{
    const uint32_t mxcsr = MXCSR_DEFAULT;
    const uint16_t fcw = 0x37f;
    uint64_t bv;

    if ((frame_features(fp) & ~SGX_XFRM_LEGACY) != 0) {
        memcpy(&bv, fp + XSAVE_HEADER_OFF, sizeof(bv));
        bv &= ~xfrm;
        memcpy(fp + XSAVE_HEADER_OFF, &bv, sizeof(bv));
    }
    memset(fp, 0, 416);
    memcpy(fp, &fcw, sizeof(fcw));
    memcpy(fp + MXCSR_OFF, &mxcsr, sizeof(mxcsr));
}

int sim_xsave_load(struct sim_thread *t, uint64_t frame)
{
    uint64_t xfrm = t->dev->secs.attributes.xfrm;
    size_t size = sim_xsave_size(xfrm);
    uint64_t head[8];
    uint32_t mxcsr;

    for (size_t at = 0; at < size; at += SIM_PAGE_SIZE) {
        size_t part = size - at < SIM_PAGE_SIZE ? size - at : SIM_PAGE_SIZE;

        hostmap_fill(t->dev, frame + at);
        sim_bytes_copy(t->xsave + at, (const void *)(frame + at), part);
    }
    sim_bytes_copy(head, t->xsave + XSAVE_HEADER_OFF, sizeof(head));
    sim_bytes_copy(&mxcsr, t->xsave + MXCSR_OFF, sizeof(mxcsr));
    /* SDM: XSTATE_BV within XFRM, bytes 8..23 of the header zero. XRSTOR wants the rest zero too. */
    /* NOLINTNEXTLINE(clang-analyzer-core.*): sim_bytes_copy() is assembly, which it cannot follow */
    if ((head[0] & ~xfrm) != 0 || !sim_bytes_all_zero(&head[1], sizeof(head) - sizeof(head[0])) ||
        (mxcsr & MXCSR_RESERVED) != 0) {
        sim_bytes_zero(t->xsave, SIM_XSAVE_MAX);
        return -1;
    }
    t->xfrm = xfrm;
    return 0;
}

/* For a state that goes back through sigreturn instead of entry.S's XRSTOR. */
void sim_uc_load_xsave(struct sim_thread *t, ucontext_t *uc)
{
    uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
    uint64_t bv, old;

    memcpy(&bv, t->xsave + XSAVE_HEADER_OFF, sizeof(bv));
    memcpy(fp, t->xsave, FP_SW_OFF);
    if ((frame_features(fp) & ~SGX_XFRM_LEGACY) == 0) {
        return;
    }
    memcpy(&old, fp + XSAVE_HEADER_OFF, sizeof(old));
    old = (old & ~t->xfrm) | bv;
    memcpy(fp + XSAVE_HEADER_OFF, &old, sizeof(old));
    for (uint32_t i = 2; i < XSAVE_COMPONENTS; i++) {
        if ((bv & frame_features(fp)) >> i & 1) {
            memcpy(fp + g_components[i].offset, t->xsave + g_components[i].offset,
                   g_components[i].size);
        }
    }
}

void sim_uc_set_pkru(ucontext_t *uc, uint32_t pkru)
{
    uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
    uint64_t bv;

    if ((frame_features(fp) >> PKRU_COMPONENT & 1) == 0) {
        return;
    }
    memcpy(&bv, fp + XSAVE_HEADER_OFF, sizeof(bv));
    bv |= 1ULL << PKRU_COMPONENT;
    memcpy(fp + XSAVE_HEADER_OFF, &bv, sizeof(bv));
    memcpy(fp + g_components[PKRU_COMPONENT].offset, &pkru, sizeof(pkru));
}

void sim_regs_from_uc(struct sim_regs *r, const ucontext_t *uc)
{
    const greg_t *g = uc->uc_mcontext.gregs;

    r->rax = (uint64_t)g[REG_RAX];
    r->rcx = (uint64_t)g[REG_RCX];
    r->rdx = (uint64_t)g[REG_RDX];
    r->rbx = (uint64_t)g[REG_RBX];
    r->rsp = (uint64_t)g[REG_RSP];
    r->rbp = (uint64_t)g[REG_RBP];
    r->rsi = (uint64_t)g[REG_RSI];
    r->rdi = (uint64_t)g[REG_RDI];
    r->r8 = (uint64_t)g[REG_R8];
    r->r9 = (uint64_t)g[REG_R9];
    r->r10 = (uint64_t)g[REG_R10];
    r->r11 = (uint64_t)g[REG_R11];
    r->r12 = (uint64_t)g[REG_R12];
    r->r13 = (uint64_t)g[REG_R13];
    r->r14 = (uint64_t)g[REG_R14];
    r->r15 = (uint64_t)g[REG_R15];
    r->rflags = (uint64_t)g[REG_EFL];
    r->rip = (uint64_t)g[REG_RIP];
}

void sim_regs_to_uc(const struct sim_regs *r, ucontext_t *uc)
{
    greg_t *g = uc->uc_mcontext.gregs;

    g[REG_RAX] = (greg_t)r->rax;
    g[REG_RCX] = (greg_t)r->rcx;
    g[REG_RDX] = (greg_t)r->rdx;
    g[REG_RBX] = (greg_t)r->rbx;
    g[REG_RSP] = (greg_t)r->rsp;
    g[REG_RBP] = (greg_t)r->rbp;
    g[REG_RSI] = (greg_t)r->rsi;
    g[REG_RDI] = (greg_t)r->rdi;
    g[REG_R8] = (greg_t)r->r8;
    g[REG_R9] = (greg_t)r->r9;
    g[REG_R10] = (greg_t)r->r10;
    g[REG_R11] = (greg_t)r->r11;
    g[REG_R12] = (greg_t)r->r12;
    g[REG_R13] = (greg_t)r->r13;
    g[REG_R14] = (greg_t)r->r14;
    g[REG_R15] = (greg_t)r->r15;
    g[REG_EFL] = (greg_t)r->rflags;
    g[REG_RIP] = (greg_t)r->rip;
}

/* EXITINFO for an exception, 0 for one that is not reported (or for an interrupt). */
static uint32_t exit_info(const struct sim_fault *fault, bool exinfo)
{
    switch (fault->vector) {
    case SIM_GP:
    case SIM_PF:
        if (!exinfo) {
            return 0;
        }
        break;
    case SIM_DE:
    case SIM_DB:
    case SIM_BP:
    case SIM_UD:
    case SIM_MF:
    case SIM_AC:
    case SIM_XM:
        break;
    default:
        return 0;
    }
    return SGX_EXITINFO_VALID | SGX_EXIT_TYPE_HARDWARE << 8 | (uint32_t)fault->vector;
}

/* The frame was checked at entry, and hardware holds its translation; so this write must not fail. */
static void ssa_write(struct sgx_device *dev, uint64_t addr, const void *src, size_t size)
{
    const uint8_t *from = src;

    while (size > 0) {
        size_t part = SIM_PAGE_SIZE - (addr & SIM_PAGE_MASK);

        part = part < size ? part : size;
        hostmap_fill(dev, addr);
        if (sim_copy((void *)addr, from, part) != 0) {
            static const char message[] = "sim: an SSA frame in use became unwritable\n";

            (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
            abort();
        }
        addr += part;
        from += part;
        size -= part;
    }
}

static void ssa_fill(struct sim_thread *t, const ucontext_t *uc, const struct sim_fault *fault,
                     const struct sim_regs *regs, struct sgx_gprsgx *gpr)
{
    struct sgx_device *dev = t->dev;
    uint64_t frame = sim_ssa_address(dev, t->tcs, t->tcs->cssa);
    uint64_t top = sim_ssa_address(dev, t->tcs, t->tcs->cssa + 1) - sizeof(*gpr);
    bool exinfo = (dev->secs.misc_select & SGX_MISC_EXINFO) != 0;
    size_t size = xsave_collect(t, (const uint8_t *)uc->uc_mcontext.fpregs,
                                dev->secs.attributes.xfrm);

    ssa_write(dev, frame, t->xsave, size);
    if (exinfo && fault != NULL && (fault->vector == SIM_PF || fault->vector == SIM_GP)) {
        struct sgx_exinfo info = {.maddr = fault->addr, .errcd = fault->error};

        ssa_write(dev, top - sizeof(info), &info, sizeof(info));
    }
    hostmap_fill(dev, top);
    memcpy(gpr, (const void *)top, sizeof(*gpr)); /* URSP, URBP */
    memcpy(gpr, regs, sizeof(*regs));
    gpr->exit_info = fault == NULL ? 0 : exit_info(fault, exinfo);
    memset(gpr->reserved, 0, sizeof(gpr->reserved));
    gpr->aex_notify = 0;
}

/*
 * Leaves the enclave: `regs` go to the SSA frame, `uc` becomes the synthetic state. With a fault it
 * goes on in sim_enter's exception path, as the kernel's vDSO fixup arranges it; without, at the AEP.
 */
void sim_aex(struct sim_thread *t, ucontext_t *uc, const struct sim_fault *fault,
             const struct sim_regs *regs, uint64_t encl_fs, uint64_t encl_gs)
{
    struct sgx_device *dev = t->dev;
    struct sim_tcs *tcs = t->tcs;
    uint64_t xfrm = dev->secs.attributes.xfrm;
    struct sgx_gprsgx gpr;
    struct sim_regs out;

    sim_lock(dev);
    ssa_fill(t, uc, fault, regs, &gpr);
    gpr.fs_base = encl_fs;
    gpr.gs_base = encl_gs;
    ssa_write(dev, sim_ssa_address(dev, tcs, tcs->cssa + 1) - sizeof(gpr), &gpr, sizeof(gpr));
    tcs->cssa++;
    sim_unlock(dev);

    memset(&out, 0, sizeof(out));
    out.rax = SGX_ERESUME;
    out.rbx = tcs->addr;
    out.rcx = tcs->aep;
    out.rsp = gpr.ursp;
    out.rbp = gpr.urbp;
    out.rip = tcs->aep;
    out.rflags = regs->rflags & ~(RFLAGS_ARITH | RFLAGS_RF | RFLAGS_TF);
    if (fault != NULL) {
        out.rip = (uint64_t)sim_exception;
        out.rdi = (uint64_t)fault->vector;
        out.rsi = fault->error;
        out.rdx = fault->vector == SIM_PF ? fault->addr & ~SIM_PAGE_MASK : fault->addr;
    }
    sim_regs_to_uc(&out, uc);
    xsave_synthesize((uint8_t *)uc->uc_mcontext.fpregs, xfrm);
    t->cnt.aex++;
    sim_leave_enclave(t);
}
