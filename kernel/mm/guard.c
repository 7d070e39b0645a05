/* SPDX-License-Identifier: MIT */
/*
 * Guarded pages: those that parent and child still have in common after many turns. Comparing them at each turn is
 * what a pair that talks would spend its time with. A page that cannot be written, or that was found equal several
 * times in a row and loses the right to be written for that, stays in place for all who have it saved in the same
 * frame, without a look at its content. A write faults and gets the right back, and with any change of a page's
 * permissions the mark goes (pages_protect()): then the page is compared again.
 *
 * By the simulator's cost model taking the right away costs about as much as comparing a page eight times
 * (docs/adr/0008-fork.md).
 *
 * While `mm` is resident, mm->saved holds the frames of guarded pages and stale entries of pages that were guarded
 * (guard_check() finds those by the pages' state); while it is not, all that it has. Locking: family->lock.
 */
#include "saved.h"

#define GUARD_AFTER 8

bool guard_worth(const struct frame *f, unsigned old, unsigned prot)
{
    return old == prot && (old & TARGET_READ) && (!(old & TARGET_WRITE) || f->equal >= GUARD_AFTER);
}

void guard_range(struct mm *to, uintptr_t start, uintptr_t end, unsigned prot)
{
    if (start >= end)
        return;
    if (!pages_protect(start, end, PS_PRESENT | prot, prot & ~TARGET_WRITE)) {
        ps_set(start, end, (u8)(PS_PRESENT | PS_GUARD | (prot & ~TARGET_WRITE)));
        return;
    }
    for (; start < end; start += PAGE_SIZE)
        saved_drop(to, start);
}

int guard_end(uintptr_t va, unsigned prot)
{
    u8 state = ps_get(va) & ~PS_GUARD;

    ps_set(va, va + PAGE_SIZE, state);
    return pages_protect(va, va + PAGE_SIZE, state, prot);
}

void guard_check(struct mm *mm)
{
    u64 index = 0;

    for (; radix_next(&mm->saved, &index); index++) {
        if (!ps_guarded(ps_get(index << PAGE_SHIFT)))
            saved_drop(mm, index << PAGE_SHIFT);
    }
}

int guard_lift(struct mm *mm)
{
    u64 index = 0, value;

    for (; (value = radix_next(&mm->saved, &index)); index++) {
        uintptr_t va = index << PAGE_SHIFT;

        if (ps_guarded(ps_get(va)) && guard_end(va, saved_prot(value)))
            return -ENOMEM;
        saved_drop(mm, va);
    }
    return 0;
}
