/* SPDX-License-Identifier: MIT */
/* Reference counts (kernel/lock.h). Atomic; the count never comes back from zero. */
#include <kernel/lock.h>
#include <kernel/printk.h>

#define REF_MAX 0x7fffffffu

void ref_get(ref_t *r)
{
    u32 old = __atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED);

    if (unlikely(old == 0 || old >= REF_MAX))
        panic("ref_get: count is %u", old);
}

bool ref_put(ref_t *r)
{
    u32 old = __atomic_fetch_sub(&r->n, 1, __ATOMIC_ACQ_REL);

    if (unlikely(old == 0 || old > REF_MAX))
        panic("ref_put: count is %u", old);
    return old == 1;
}
