/* SPDX-License-Identifier: MIT */
/*
 * The clock: the TSC, scaled. Frequency and start come from the host (CPUID, its hint, or two looks at
 * its clock), and are compared with it at growing intervals. The host may lie in all of that, so what
 * it says only bends the rate within bounds: time inside never stops, jumps back or runs more than
 * RATE_LIMIT_PPM beside the frequency found at boot, and what the host claims beyond that is logged.
 *
 * Invariant: a change of parameters takes effect at a TSC value where old and new agree, so
 * CLOCK_MONOTONIC is continuous and, as the rate is positive, never goes backwards. CLOCK_REALTIME
 * differs from it by an offset that only grows.
 *
 * Locking: readers use the sequence count in g_clock; g_checking (atomic) admits one writer.
 */
#include <kernel/arch.h>
#include <kernel/printk.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include <kernel/vdso_data.h>
#include "internal.h"

#define CLOCK_SHIFT 32
#define KHZ_MIN 100000UL
#define KHZ_MAX 20000000UL
#define NSEC_MAX (1UL << 62) /* times beyond are lies: 146 years */

#define FIRST_CHECK_NS   (1 * NSEC_PER_SEC)
#define LONGEST_CHECK_NS (64 * NSEC_PER_SEC)
#define RATE_LIMIT_PPM   10000 /* CPUID's base frequency is off by up to 0.5 % */
#define SLEW_LIMIT_PPM   500
#define REPORT_PPM       1000
#define REPORT_OFFSET_NS (100 * 1000000L)
#define REAL_STEP_NS     (10 * 1000000L) /* smaller differences are noise of the reading */

static struct vdso_data g_clock __attribute__((aligned(4096)));

/* What the checks go by: the look at the host's clock at boot, and the rate found there. */
static struct clock_sample g_boot_sample;
static u64 g_boot_mult;
static u64 g_check_interval_ns = FIRST_CHECK_NS;
static u64 g_next_check_tsc = UINT64_MAX; /* atomic */
static u32 g_checking;

/* a * b / c without the 128-bit division that only a compiler's library has; saturates. */
u64 clock_mul_div(u64 a, u64 b, u64 c)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    u64 high = (u64)(product >> 64), low = (u64)product;
    u64 quotient, rest;

    if (high >= c)
        return UINT64_MAX;
    __asm__("divq %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(high), "r"(c) : "cc");
    return quotient;
}

static u64 scale(u64 delta, u64 mult)
{
    return (u64)(((unsigned __int128)delta * mult) >> CLOCK_SHIFT);
}

static u64 mono_at(const struct vdso_data *c, u64 tsc)
{
    u64 delta = tsc > c->tsc_base ? tsc - c->tsc_base : 0;

    return c->mono_base_ns + scale(delta, c->mult);
}

static u64 clock_read(bool real)
{
    u32 seq;
    u64 ns;

    do {
        while ((seq = __atomic_load_n(&g_clock.seq, __ATOMIC_ACQUIRE)) & 1)
            __builtin_ia32_pause();
        ns = mono_at(&g_clock, arch_tsc());
        if (real)
            ns += g_clock.real_offset_ns;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&g_clock.seq, __ATOMIC_RELAXED) != seq);
    return ns;
}

u64 time_monotonic(void)
{
    return clock_read(false);
}

u64 time_realtime(void)
{
    return clock_read(true);
}

u64 time_real_to_mono(u64 realtime_ns)
{
    u64 offset = READ_ONCE(g_clock.real_offset_ns);

    if (realtime_ns >= UINT64_MAX - 1)
        return UINT64_MAX - 1;
    return realtime_ns > offset ? realtime_ns - offset : 0;
}

const struct vdso_data *time_vdso_data(void)
{
    return &g_clock;
}

/* One writer at a time: boot, or the holder of g_checking. */
static void clock_publish(u64 tsc, u64 mono, u64 real_offset, u64 mult)
{
    __atomic_store_n(&g_clock.seq, g_clock.seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    g_clock.shift = CLOCK_SHIFT;
    g_clock.tsc_base = tsc;
    g_clock.mult = mult;
    g_clock.mono_base_ns = mono;
    g_clock.real_offset_ns = real_offset;
    __atomic_store_n(&g_clock.seq, g_clock.seq + 1, __ATOMIC_RELEASE);
}

/* ---- The host's clock ----------------------------------------------------------------------------- */

/* Best of three looks: the one whose two TSC readings lie closest. False: the host gave none. */
static bool host_sample(struct clock_sample *best)
{
    u64 best_width = UINT64_MAX;

    for (int i = 0; i < 3; i++) {
        struct clock_sample s;
        u64 before = arch_tsc();
        u64 after;

        if (target_host_clock(&s.real_ns, &s.mono_ns))
            continue;
        after = arch_tsc();
        if (s.real_ns > NSEC_MAX || s.mono_ns > NSEC_MAX || after - before >= best_width)
            continue;
        s.tsc = before + (after - before) / 2;
        best_width = after - before;
        *best = s;
    }
    return best_width != UINT64_MAX;
}

static bool khz_plausible(u64 khz)
{
    return khz >= KHZ_MIN && khz <= KHZ_MAX;
}

/* CPUID 15h: the TSC's exact ratio to the crystal. 0 when the processor does not tell all of it. */
static u64 khz_from_crystal(void)
{
    u32 r[4];

    target_cpuid(0x15, 0, r);
    if (!r[0] || !r[1] || !r[2])
        return 0;
    return (u64)r[2] / 1000 * r[1] / r[0];
}

static u64 khz_from_base(void)
{
    u32 r[4];

    target_cpuid(0x16, 0, r);
    return (u64)(r[0] & 0xffff) * 1000;
}

u64 clock_khz_between(const struct clock_sample *a, const struct clock_sample *b)
{
    if (b->mono_ns <= a->mono_ns || b->tsc <= a->tsc)
        return 0;
    return clock_mul_div(b->tsc - a->tsc, 1000000, b->mono_ns - a->mono_ns);
}

/* Nobody knows the frequency: watch the host's clock for a few milliseconds. */
static u64 khz_measured(const struct clock_sample *start)
{
    struct clock_sample now;

    for (int i = 0; i < 100000; i++) {
        if (!host_sample(&now))
            return 0;
        if (now.mono_ns >= start->mono_ns + 5000000)
            return clock_khz_between(start, &now);
    }
    return 0;
}

static u64 find_khz(const struct clock_sample *start)
{
    u64 khz = khz_from_crystal();

    if (!khz_plausible(khz))
        khz = target_tsc_khz();
    if (!khz_plausible(khz))
        khz = khz_from_base();
    if (!khz_plausible(khz))
        khz = khz_measured(start);
    return khz;
}

static u64 ns_to_tsc(u64 ns)
{
    return clock_mul_div(ns, 1UL << CLOCK_SHIFT, g_boot_mult);
}

void time_init(void)
{
    struct clock_sample s;
    u64 khz;

    if (!host_sample(&s)) {
        pr_warn("the host gives no time: clocks start at the epoch");
        s = (struct clock_sample){.tsc = arch_tsc()};
    }
    khz = find_khz(&s);
    if (!khz_plausible(khz)) {
        pr_warn("frequency of the TSC unknown: 1 GHz assumed");
        khz = 1000000;
    }
    g_boot_sample = s;
    g_boot_mult = (1000000UL << CLOCK_SHIFT) / khz;
    clock_publish(s.tsc, s.mono_ns, s.real_ns > s.mono_ns ? s.real_ns - s.mono_ns : 0, g_boot_mult);
    g_next_check_tsc = s.tsc + ns_to_tsc(FIRST_CHECK_NS);
    pr_debug("clock: TSC at %lu kHz", khz);
}

/* ---- Comparing with the host ---------------------------------------------------------------------- */

s64 clock_clamp(s64 v, s64 limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

/* v / per in parts per million; `per` is positive. Saturates far beyond any limit here. */
static s64 ppm(s64 v, s64 per)
{
    u64 size = v < 0 ? -(u64)v : (u64)v;
    s64 parts = (s64)min(clock_mul_div(size, 1000000, (u64)per), (u64)INT64_MAX);

    return v < 0 ? -parts : parts;
}

/* The rate that the host's clock shows since boot, beside the one found at boot, in ppm. */
static s64 rate_skew(const struct clock_sample *s)
{
    u64 by_tsc = scale(s->tsc - g_boot_sample.tsc, g_boot_mult);
    s64 by_host = (s64)(s->mono_ns - g_boot_sample.mono_ns);

    return by_tsc ? ppm(by_host - (s64)by_tsc, (s64)by_tsc) : 0;
}

static u64 real_offset_after(const struct clock_sample *s, u64 elapsed_ns)
{
    u64 offset = g_clock.real_offset_ns;
    s64 off = (s64)(s->real_ns - s->mono_ns) - (s64)offset;

    if (off > -REAL_STEP_NS && off < REAL_STEP_NS)
        return offset;
    pr_info("clock: the host's CLOCK_REALTIME stepped by %ld ms", off / 1000000);
    if (off < 0)
        return offset;
    return offset + min((u64)off, elapsed_ns / 1000000 * SLEW_LIMIT_PPM);
}

/* Bends the rate so that host's and own time meet at the next check, as far as the limits allow. */
static void clock_fit(const struct clock_sample *s)
{
    u64 now_tsc = arch_tsc();
    u64 now = mono_at(&g_clock, now_tsc);
    s64 off = (s64)(s->mono_ns - mono_at(&g_clock, s->tsc));
    s64 rate = rate_skew(s);
    s64 bend = clock_clamp(rate, RATE_LIMIT_PPM) +
               clock_clamp(ppm(off, (s64)g_check_interval_ns), SLEW_LIMIT_PPM);
    u64 mult = g_boot_mult + (u64)((s64)g_boot_mult * bend / 1000000);

    if (rate > REPORT_PPM || rate < -REPORT_PPM || off > REPORT_OFFSET_NS ||
        off < -REPORT_OFFSET_NS)
        pr_info("clock: the host's clock is %ld us off, its rate %ld ppm", off / 1000, rate);
    clock_publish(now_tsc, now, real_offset_after(s, now - g_boot_sample.mono_ns), mult);
}

void time_check(void)
{
    struct clock_sample s;

    if (likely(arch_tsc() < __atomic_load_n(&g_next_check_tsc, __ATOMIC_RELAXED)))
        return;
    if (__atomic_exchange_n(&g_checking, 1, __ATOMIC_ACQUIRE))
        return;
    if (g_check_interval_ns < LONGEST_CHECK_NS)
        g_check_interval_ns *= 2;
    if (host_sample(&s) && s.tsc > g_boot_sample.tsc)
        clock_fit(&s);
    __atomic_store_n(&g_next_check_tsc, arch_tsc() + ns_to_tsc(g_check_interval_ns),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&g_checking, 0, __ATOMIC_RELEASE);
}
