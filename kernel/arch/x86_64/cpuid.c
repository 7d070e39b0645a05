/* SPDX-License-Identifier: MIT */
/*
 * CPUID for programs and for the kernel. The instruction faults in an enclave and only the host can
 * execute it, so its answers are hints: cached once, and what matters for safety (which vector state
 * exists) is cut down to what this enclave's REPORT says. A lie about the rest can at worst make a
 * program take an instruction that does not exist, and die of it.
 *
 * g_lock guards the cache; entries never change once in.
 */
#include <kernel/arch.h>
#include <kernel/lock.h>
#include <kernel/target.h>
#include <kernel/thread_area.h>

#define CACHE_MAX 96

#define XFRM_AVX    0x04u
#define XFRM_AVX512 0xe0u
#define XFRM_PKRU   0x200u
#define XFRM_AMX    0x60000u

struct cpuid_entry {
    u32 leaf, subleaf;
    u32 regs[4];
};

static spinlock_t g_lock = SPINLOCK_INIT("cpuid");
static struct cpuid_entry g_cache[CACHE_MAX] GUARDED_BY(&g_lock);
static unsigned g_count GUARDED_BY(&g_lock);

enum { EAX, EBX, ECX, EDX };

/* Leaf 1: features whose use needs something that is not there. */
static void clean_features(u32 r[4], u64 xfrm)
{
    r[ECX] &= ~(1u << 3 | 1u << 5 | 1u << 6); /* MONITOR, VMX, SMX */
    r[ECX] |= 1u << 31;                       /* under a hypervisor of sorts */
    r[EBX] &= 0x00ffffffu;                    /* initial APIC id: where we run is not told */
    if (!(xfrm & XFRM_AVX))
        r[ECX] &= ~(1u << 28 | 1u << 12 | 1u << 29); /* AVX, FMA, F16C */
}

static void clean_extended_features(u32 r[4], u64 xfrm)
{
    r[EBX] &= ~(1u << 2 | 1u << 4 | 1u << 11); /* SGX, HLE, RTM */
    r[ECX] &= ~(1u << 3 | 1u << 4 | 1u << 7 | 1u << 30); /* PKU, OSPKE, SHSTK, SGX_LC */
    r[EDX] &= ~(1u << 20);                               /* IBT */
    if (!(xfrm & XFRM_AVX))
        r[EBX] &= ~(1u << 5); /* AVX2 */
    if ((xfrm & XFRM_AVX512) != XFRM_AVX512) {
        r[EBX] &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 |
                    1u << 31);
        r[ECX] &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
        r[EDX] &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 23);
    }
    if (!(xfrm & XFRM_AMX))
        r[EDX] &= ~(1u << 22 | 1u << 24 | 1u << 25);
}

/* Leaf 0xd: sizes of the state that XFRM leaves. */
static void clean_xsave(u32 subleaf, u32 r[4], u64 xfrm)
{
    if (subleaf == 0) {
        r[EAX] = (u32)xfrm;
        r[EDX] = (u32)(xfrm >> 32);
        r[EBX] = r[ECX] = (u32)arch_xsave_size();
    } else if (subleaf == 1) {
        r[EAX] &= 0x7; /* XSAVEOPT, XSAVEC, XGETBV1; no supervisor state */
        r[EBX] = r[ECX] = r[EDX] = 0;
    } else if (subleaf >= 64 || !(xfrm & (1UL << subleaf))) {
        r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
    }
}

static void cpuid_clean(u32 leaf, u32 subleaf, u32 r[4])
{
    u64 xfrm = target_xfrm();

    if (leaf == 1)
        clean_features(r, xfrm);
    else if (leaf == 7 && subleaf == 0)
        clean_extended_features(r, xfrm);
    else if (leaf == 7 && subleaf == 1 && !(xfrm & XFRM_AVX))
        r[EAX] &= ~(1u << 4 | 1u << 5 | 1u << 23);
    else if (leaf == 0xd)
        clean_xsave(subleaf, r, xfrm);
    else if (leaf == 0x12 || leaf == 0xa || leaf == 0x14 || leaf == 0x1d || leaf == 0x1e)
        r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0; /* SGX, performance counters, PT, AMX */
}

static struct cpuid_entry *cache_find(u32 leaf, u32 subleaf) REQUIRES(&g_lock)
{
    for (unsigned i = 0; i < g_count; i++)
        if (g_cache[i].leaf == leaf && g_cache[i].subleaf == subleaf)
            return &g_cache[i];
    return NULL;
}

static bool cache_get(u32 leaf, u32 subleaf, u32 out[4])
{
    const struct cpuid_entry *e;

    spin_lock(&g_lock);
    e = cache_find(leaf, subleaf);
    for (unsigned i = 0; e && i < 4; i++)
        out[i] = e->regs[i];
    spin_unlock(&g_lock);
    return e;
}

/* A full cache only costs further host calls. */
static void cache_put(u32 leaf, u32 subleaf, const u32 regs[4])
{
    spin_lock(&g_lock);
    if (g_count < CACHE_MAX && !cache_find(leaf, subleaf))
        g_cache[g_count++] =
            (struct cpuid_entry){leaf, subleaf, {regs[0], regs[1], regs[2], regs[3]}};
    spin_unlock(&g_lock);
}

/* Leaves whose answer depends on ECX; for others every ECX is one entry. */
static bool has_subleaves(u32 leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0xf || leaf == 0x10 ||
           leaf == 0x12 || leaf == 0x14 || leaf == 0x17 || leaf == 0x18 || leaf == 0x1d ||
           leaf == 0x1f || leaf == 0x20;
}

void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    if (!has_subleaves(leaf))
        subleaf = 0;
    if (cache_get(leaf, subleaf, out))
        return;
    target_cpuid(leaf, subleaf, out);
    cpuid_clean(leaf, subleaf, out);
    cache_put(leaf, subleaf, out);
}
