/* SPDX-License-Identifier: MIT */
/*
 * /proc/cpuinfo from CPUID as programs may see it (arch_cpuid). The names of flags are Linux's, in
 * the order of its feature words; a bit without a name here is not shown. Topology and frequency
 * are what one socket of equal cores would say, because the host's word on them is worth nothing.
 */
#include <kernel/arch.h>
#include <kernel/target.h>

#include "proc.h"

enum { EAX, EBX, ECX, EDX };

/* One CPUID register with the names of its bits. */
struct feature_word {
    u32 leaf, subleaf;
    unsigned reg;
    const char *names[32];
};

static const struct feature_word g_words[] = {
    {1, 0, EDX,
     {"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", [11] = "sep", "mtrr",
      "pge", "mca", "cmov", "pat", "pse36", "pn", "clflush", [21] = "dts", "acpi", "mmx", "fxsr",
      "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe"}},
    {0x80000001, 0, EDX,
     {[11] = "syscall", [19] = "mp", "nx", [22] = "mmxext", [25] = "fxsr_opt", "pdpe1gb", "rdtscp",
      [29] = "lm", "3dnowext", "3dnow"}},
    {1, 0, ECX,
     {"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid",
      "sdbg", "fma", "cx16", "xtpr", "pdcm", [17] = "pcid", "dca", "sse4_1", "sse4_2", "x2apic",
      "movbe", "popcnt", "tsc_deadline_timer", "aes", "xsave", [28] = "avx", "f16c", "rdrand",
      "hypervisor"}},
    {0x80000001, 0, ECX,
     {"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse",
      "3dnowprefetch", "osvw", "ibs", "xop", "skinit", "wdt", [15] = "lwp", "fma4", "tce"}},
    {7, 0, EBX,
     {"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", [7] = "smep", "bmi2", "erms",
      "invpcid", "rtm", [14] = "mpx", [16] = "avx512f", "avx512dq", "rdseed", "adx", "smap",
      "avx512ifma", [23] = "clflushopt", "clwb", "intel_pt", "avx512pf", "avx512er", "avx512cd",
      "sha_ni", "avx512bw", "avx512vl"}},
    {0xd, 1, EAX, {"xsaveopt", "xsavec", "xgetbv1", "xsaves"}},
    {7, 1, EAX, {[4] = "avx_vnni", "avx512_bf16", [23] = "avx_ifma"}},
    {7, 0, ECX,
     {[1] = "avx512vbmi", "umip", "pku", "ospke", "waitpkg", "avx512_vbmi2", [8] = "gfni", "vaes",
      "vpclmulqdq", "avx512_vnni", "avx512_bitalg", [14] = "avx512_vpopcntdq", [16] = "la57",
      [22] = "rdpid", [24] = "bus_lock_detect", "cldemote", [27] = "movdiri", "movdir64b"}},
    {7, 0, EDX,
     {[2] = "avx512_4vnniw", "avx512_4fmaps", "fsrm", [8] = "avx512_vp2intersect",
      [10] = "md_clear", [14] = "serialize", [16] = "tsxldtrk", [22] = "amx_bf16", "avx512_fp16",
      "amx_tile", "amx_int8", [28] = "flush_l1d", "arch_capabilities"}},
};

static void show_flags(struct seq *s)
{
    seq_puts(s, "flags\t\t:");
    for (size_t i = 0; i < ARRAY_COUNT(g_words); i++) {
        const struct feature_word *w = &g_words[i];
        u32 r[4];

        arch_cpuid(w->leaf, w->subleaf, r);
        for (unsigned bit = 0; bit < 32; bit++) {
            if ((r[w->reg] >> bit & 1) && w->names[bit])
                seq_printf(s, " %s", w->names[bit]);
        }
    }
    seq_putc(s, '\n');
}

struct model {
    char vendor[13];
    char name[49];
    u32 level, family, model, stepping, clflush;
    u32 physical_bits, virtual_bits;
};

static void read_vendor(struct model *m)
{
    u32 r[4];

    arch_cpuid(0, 0, r);
    m->level = r[EAX];
    memcpy(m->vendor, &r[EBX], 4);
    memcpy(m->vendor + 4, &r[EDX], 4);
    memcpy(m->vendor + 8, &r[ECX], 4);
    m->vendor[12] = 0;
}

/* Intel SDM vol. 2A, CPUID, "Version Information". */
static void read_version(struct model *m)
{
    u32 r[4];

    arch_cpuid(1, 0, r);
    m->stepping = r[EAX] & 0xf;
    m->model = r[EAX] >> 4 & 0xf;
    m->family = r[EAX] >> 8 & 0xf;
    m->clflush = (r[EBX] >> 8 & 0xff) * 8;
    if (m->family >= 6)
        m->model |= (r[EAX] >> 16 & 0xf) << 4;
    if (m->family == 15)
        m->family += r[EAX] >> 20 & 0xff;
}

static void read_name(struct model *m)
{
    u32 r[4];
    char *p = m->name;

    for (u32 leaf = 0x80000002; leaf <= 0x80000004; leaf++, p += sizeof(r)) {
        arch_cpuid(leaf, 0, r);
        memcpy(p, r, sizeof(r));
    }
    *p = 0;
    for (p = m->name; *p == ' ';)
        memmove(p, p + 1, strlen(p));
    arch_cpuid(0x80000008, 0, r);
    m->physical_bits = r[EAX] & 0xff;
    m->virtual_bits = r[EAX] >> 8 & 0xff;
}

static void show_processor(struct seq *s, const struct model *m, unsigned cpu, unsigned count)
{
    u64 khz = target_tsc_khz();

    seq_printf(s, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", cpu,
               m->vendor, m->family, m->model);
    seq_printf(s, "model name\t: %s\nstepping\t: %u\n", m->name[0] ? m->name : "unknown",
               m->stepping);
    seq_printf(s, "cpu MHz\t\t: %lu.%03lu\n", khz / 1000, khz % 1000);
    seq_printf(s, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n", count,
               cpu, count);
    seq_printf(s, "apicid\t\t: %u\ninitial apicid\t: %u\n", cpu, cpu);
    seq_printf(s, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n", m->level);
    show_flags(s);
    seq_printf(s, "bugs\t\t:\nbogomips\t: %lu.%02lu\n", khz / 500, khz / 5 % 100);
    seq_printf(s, "clflush size\t: %u\ncache_alignment\t: %u\n", m->clflush, m->clflush);
    seq_printf(s, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
               m->physical_bits, m->virtual_bits);
}

int proc_cpuinfo(struct seq *s, const struct pseudo_node *node)
{
    unsigned count = target_cpu_count();
    struct model m;

    read_vendor(&m);
    read_version(&m);
    read_name(&m);
    for (unsigned cpu = 0; cpu < count; cpu++)
        show_processor(s, &m, cpu, count);
    return 0;
}
