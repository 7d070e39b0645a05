/* SPDX-License-Identifier: MIT */
/*
 * The clock's parameters, shared by kernel/time/clock.c, which writes them, and the vDSO, which reads
 * them without entering the kernel. One page of the kernel's image.
 *
 * A reader takes `seq` (odd: retry), reads the fields, then the TSC (ordered, as arch_tsc()), and
 * takes all of it again when `seq` has changed since. With delta = tsc - tsc_base, 0 when that is
 * negative:
 *
 *     monotonic = mono_base_ns + (u64)(((unsigned __int128)delta * mult) >> shift)
 *     realtime  = monotonic + real_offset_ns
 *
 * The product needs 128 bits. CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW equal CLOCK_MONOTONIC, the
 * COARSE clocks equal the precise ones, CLOCK_TAI equals CLOCK_REALTIME; every other clock goes to
 * the kernel, and so does everything while mult is 0.
 */
#ifndef KERNEL_VDSO_DATA_H
#define KERNEL_VDSO_DATA_H

#include <stdint.h>

struct vdso_data {
    uint32_t seq;
    uint32_t shift;
    uint64_t tsc_base;
    uint64_t mult;
    uint64_t mono_base_ns;
    uint64_t real_offset_ns;
    uint8_t pad[4096 - 5 * 8];
};
_Static_assert(sizeof(struct vdso_data) == 4096, "one page");

#endif
