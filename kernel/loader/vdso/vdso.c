/* SPDX-License-Identifier: MIT */
/*
 * The vDSO's functions, as programs see them (vdso(7)): clocks without entering the kernel. Built
 * as a shared object of its own and mapped into each process; it runs as the program, on its stack.
 *
 * One enclave has one linear address space, so the clock's page is read where the kernel keeps it;
 * the address comes in g_vdso_params, which the kernel fills in when it maps the image.
 */
#include "params.h"

#include <kernel/thread_area.h>
#include <kernel/vdso_data.h>
#include <asm/unistd.h>
#include <linux/time.h>
#include <linux/time_types.h>

#define NSEC_PER_SEC 1000000000UL
#define NODE_SHIFT   12

#define EXPORT       __attribute__((visibility("default")))

/* restorer.S; constant to the program, but not known to the compiler. */
extern const volatile struct vdso_params g_vdso_params;

#define MASK(clock) (1u << (clock))
#define CLOCKS_MONOTONIC                                                                           \
    (MASK(CLOCK_MONOTONIC) | MASK(CLOCK_MONOTONIC_RAW) | MASK(CLOCK_MONOTONIC_COARSE) |            \
     MASK(CLOCK_BOOTTIME))
#define CLOCKS_REALTIME (MASK(CLOCK_REALTIME) | MASK(CLOCK_REALTIME_COARSE) | MASK(CLOCK_TAI))

int __vdso_clock_gettime(__kernel_clockid_t clock, struct __kernel_timespec *ts);
int __vdso_clock_getres(__kernel_clockid_t clock, struct __kernel_timespec *ts);
int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz);
__kernel_old_time_t __vdso_time(__kernel_old_time_t *t);
long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

/* Enters the kernel as a rewritten syscall site does. */
static inline long kernel_call(long nr, uint64_t a, uint64_t b, uint64_t c)
{
    long ret;

    __asm__ volatile("lea 1f(%%rip), %%rcx\n\t"
                     "jmp *%%gs:%c5\n"
                     "1:"
                     : "=a"(ret), "+D"(a), "+S"(b), "+d"(c)
                     : "0"(nr), "i"(TA_SYSCALL_ENTRY)
                     : "rcx", "r11", "memory");
    return ret;
}

/* Ordered after the loads before it, as a clock that must not go backwards needs. */
static inline uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint32_t load_seq(const struct vdso_data *d)
{
    return __atomic_load_n(&d->seq, __ATOMIC_ACQUIRE);
}

/* Monotonic time, plus the offset to real time when `real`. False: only the kernel can tell. */
static inline bool read_clock(bool real, uint64_t *ns)
{
    const struct vdso_data *d = g_vdso_params.data;
    uint64_t delta, mult, now;
    uint32_t seq;

    if (!d)
        return false;
    do {
        uint64_t tsc;

        while (__builtin_expect((seq = load_seq(d)) & 1, 0))
            __builtin_ia32_pause();
        mult = d->mult;
        tsc = read_tsc();
        delta = tsc > d->tsc_base ? tsc - d->tsc_base : 0;
        now = (uint64_t)(((unsigned __int128)delta * mult) >> d->shift) + d->mono_base_ns;
        if (real)
            now += d->real_offset_ns;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__builtin_expect(__atomic_load_n(&d->seq, __ATOMIC_RELAXED) != seq, 0));
    *ns = now;
    return mult != 0;
}

EXPORT int __vdso_clock_gettime(__kernel_clockid_t clock, struct __kernel_timespec *ts)
{
    uint32_t bit = (uint32_t)clock < 32 ? MASK(clock) : 0;
    uint64_t ns;

    if (!(bit & (CLOCKS_MONOTONIC | CLOCKS_REALTIME)) || !read_clock(bit & CLOCKS_REALTIME, &ns))
        return (int)kernel_call(__NR_clock_gettime, (uint64_t)clock, (uint64_t)ts, 0);
    ts->tv_sec = (int64_t)(ns / NSEC_PER_SEC);
    ts->tv_nsec = (int64_t)(ns % NSEC_PER_SEC);
    return 0;
}

EXPORT int __vdso_clock_getres(__kernel_clockid_t clock, struct __kernel_timespec *ts)
{
    return (int)kernel_call(__NR_clock_getres, (uint64_t)clock, (uint64_t)ts, 0);
}

EXPORT int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
    uint64_t ns;

    if (tz || !read_clock(true, &ns))
        return (int)kernel_call(__NR_gettimeofday, (uint64_t)tv, (uint64_t)tz, 0);
    if (tv) {
        tv->tv_sec = (int64_t)(ns / NSEC_PER_SEC);
        tv->tv_usec = (int64_t)(ns % NSEC_PER_SEC / 1000);
    }
    return 0;
}

EXPORT __kernel_old_time_t __vdso_time(__kernel_old_time_t *t)
{
    uint64_t ns;
    __kernel_old_time_t seconds;

    if (!read_clock(true, &ns))
        return kernel_call(__NR_time, (uint64_t)t, 0, 0);
    seconds = (__kernel_old_time_t)(ns / NSEC_PER_SEC);
    if (t)
        *t = seconds;
    return seconds;
}

/* IA32_TSC_AUX comes from the host: believed only as far as it names a processor we show. */
EXPORT long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    uint32_t low, high, aux;

    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
    aux &= (1u << NODE_SHIFT) - 1;
    if (aux >= g_vdso_params.cpu_count)
        return kernel_call(__NR_getcpu, (uint64_t)cpu, (uint64_t)node, (uint64_t)unused);
    if (cpu)
        *cpu = aux;
    if (node)
        *node = 0;
    return 0;
}

#define ALIAS(name, type) EXPORT extern __typeof__(type) name __attribute__((weak, alias(#type)))
ALIAS(clock_gettime, __vdso_clock_gettime);
ALIAS(clock_getres, __vdso_clock_getres);
ALIAS(gettimeofday, __vdso_gettimeofday);
ALIAS(time, __vdso_time);
ALIAS(getcpu, __vdso_getcpu);
