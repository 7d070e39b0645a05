/* SPDX-License-Identifier: MIT */
/* What the files of kernel/time share. */
#ifndef KERNEL_TIME_INTERNAL_H
#define KERNEL_TIME_INTERNAL_H

#include <kernel/lock.h>
#include <kernel/list.h>
#include <kernel/time.h>
#include <linux/time.h>

#define NSEC_PER_USEC 1000UL
#define USEC_PER_SEC  1000000UL

/* One look at the host's clocks, and the TSC then. */
struct clock_sample {
    u64 tsc, real_ns, mono_ns;
};
u64 clock_khz_between(const struct clock_sample *a, const struct clock_sample *b);
s64 clock_clamp(s64 v, s64 limit);
u64 clock_mul_div(u64 a, u64 b, u64 c);

/* ---- Clocks by number (time/clockid.c) ---------------------------------------------------------- */

enum clock_kind { CLOCK_KIND_MONO, CLOCK_KIND_REAL, CLOCK_KIND_PROCESS, CLOCK_KIND_THREAD };

/* What stands behind a clockid. -EINVAL: no such clock, or a CPU clock of an unknown process. */
int clock_kind_of(clockid_t id, enum clock_kind *kind);
u64 clock_now(enum clock_kind kind);
/* The time of any clock, also of another process or thread. -EINVAL. */
int clock_tell(clockid_t id, u64 *now);

/*
 * The monotonic time at which a clock will show `value`; for CPU clocks the earliest possible one:
 * look again then.
 */
u64 clock_to_mono(enum clock_kind kind, u64 value);

/* a + b, or UINT64_MAX - 1 when that is too much: far away, but not DEADLINE_NONE. */
static inline u64 time_add(u64 a, u64 b)
{
    u64 sum;

    return __builtin_add_overflow(a, b, &sum) || sum == UINT64_MAX ? UINT64_MAX - 1 : sum;
}

/* -EINVAL for a negative value or 1,000,000 microseconds and more. */
int timeval_to_ns(const struct __kernel_old_timeval *tv, u64 *ns);

#endif
