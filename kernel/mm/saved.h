/* SPDX-License-Identifier: MIT */
/*
 * Pages of members of a family that are not in place (family.h), for exchange.c and guard.c. All of it is guarded by
 * the family's lock.
 */
#ifndef KERNEL_MM_SAVED_H
#define KERNEL_MM_SAVED_H

#include "family.h"

#define RW (TARGET_READ | TARGET_WRITE)

/* Content that several members may have saved. */
struct frame {
    void *page;
    u32 refs;
    s32 equal; /* how many times in a row what was in place was the same; starts lower where that seldom lasts */
};

/* What mm->saved holds for a page: its frame and its permissions in place. */
static inline struct frame *saved_frame(u64 value)
{
    return (struct frame *)(value & ~(u64)(PS_PERM | PS_PRESENT));
}

static inline unsigned saved_prot(u64 value)
{
    return value & PS_PERM;
}

static inline u64 saved_get(const struct mm *mm, uintptr_t va)
{
    return radix_get(&mm->saved, va >> PAGE_SHIFT);
}

/* Takes the reference. -ENOMEM. */
static inline int save(struct mm *mm, uintptr_t va, struct frame *f, unsigned prot)
{
    return radix_set(&mm->saved, va >> PAGE_SHIFT, (u64)f | PS_PRESENT | prot);
}

/* Forgets what is saved of a page, if anything. */
void saved_drop(struct mm *mm, uintptr_t va);

/* ---- Guarded pages (guard.c) --------------------------------------------------------------------------------- */

/*
 * A page in place that the resident member has saved too, with the same content: nobody has written it since that
 * was found, as the right to write was taken away.
 */
static inline bool ps_guarded(u8 state)
{
    return (state & (PS_PRESENT | PS_GUARD)) == (PS_PRESENT | PS_GUARD);
}

#define EQUAL_WRITTEN (-56)  /* for content that one member wrote after they had it in common */
#define EQUAL_UNLIKE  (-500) /* for content that some members share and others in between do not */

/* Whether what was equal for the `equal`th time is worth being guarded. */
bool guard_worth(const struct frame *f, unsigned old, unsigned prot);
/*
 * Pages [start, end) with `prot` that both have saved in the same frames become guarded. Where the host refuses, `to`
 * has them in place only.
 */
void guard_range(struct mm *to, uintptr_t start, uintptr_t end, unsigned prot);
/* A guarded page becomes a plain one with `prot`. -ENOMEM. */
int guard_end(uintptr_t va, unsigned prot);
/* Forgets what `mm`, which is resident, has saved of pages that are not guarded any more. */
void guard_check(struct mm *mm);
/* All guarded pages of `mm`, which is resident, are plain ones again. mm->lock held. -ENOMEM: some are. */
int guard_lift(struct mm *mm);

#endif
