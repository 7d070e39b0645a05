/* SPDX-License-Identifier: MIT */
/*
 * Families: address spaces that overlap, of which one at a time is resident (its pages in place).
 *
 * All processes live in one enclave, and a page has one address. Address spaces that do not overlap are all
 * in place at once; those that do (after fork, or two programs linked at the same address) form a family. A
 * switch from one member to another exchanges the pages at addresses that both may use (exchange.c).
 *
 * Who uses which addresses is kept by chunks of 4 GiB: a chunk belongs to one family, either to one member
 * (`only`) or to all. New mappings go where their member is alone, so what is mapped after a fork is never
 * exchanged.
 *
 * Being inside: a task that touches its program's memory, runs the program, or changes its pages is inside its
 * address space (task->in_mm, counted in mm->inside). It leaves when it blocks and comes back when it next needs
 * the memory: uaccess, mm_lock() and the way back to the program see to that. While mm->gate is 0, entering is
 * one atomic addition; else mm_enter() takes its turn under family->lock.
 *
 * Fairness: tasks that want another member queue in order. Whoever is inside keeps it until it leaves or its
 * time slice is over and somebody waits; then the first in the queue interrupts it.
 *
 * Locking: family->lock (mutex) comes before mm->lock; two mm->lock's by address. It guards the members, who is
 * resident, the queue and the saved pages of members that are not resident. g_chunk_lock (spinlock, a leaf)
 * guards the chunks. Nobody waits for family->lock while inside.
 */
#ifndef KERNEL_MM_FAMILY_H
#define KERNEL_MM_FAMILY_H

#include "internal.h"
#include <kernel/loader.h>

#define SLICE_NS 4000000UL /* how long a member may keep the place while others wait */

struct family {
    ref_t ref; /* one for each member, and for who looks */
    mutex_t lock;
    struct list members GUARDED_BY(&lock);    /* mm.family_link */
    unsigned member_count GUARDED_BY(&lock);  /* read without for hints */
    struct mm *resident GUARDED_BY(&lock);    /* whose pages are in place; NULL: nobody's */
    struct list queue GUARDED_BY(&lock);      /* those that wait to enter, first come first */
    u32 waiting;                              /* atomic; how many of them */
    u64 slice_end GUARDED_BY(&lock);          /* monotonic ns */
    struct waitqueue wq;                      /* woken when somebody left */
    struct list chunks;                       /* chunk.link; guarded by g_chunk_lock */
};

/* mm->gate: entering needs a look under family->lock. */
#define GATE_FAMILY  1u /* others overlap */
#define GATE_STOPPED 2u /* mm->stopper makes a copy */

/* A family of `mm` alone. 0 or -ENOMEM. */
int family_create(struct mm *mm);
struct family *family_get(struct family *f);
void family_put(struct family *f);
/* Adds `mm`, which has no family and no pages. */
void family_add(struct family *f, struct mm *mm) REQUIRES(&f->lock);
/*
 * `mm` ends: others get its place. `clear` takes its mappings down, to the list `dead`, but for what it has at
 * addresses that are not its alone. Nobody is inside, nobody else refers to it.
 */
void family_remove(struct mm *mm, void (*clear)(struct mm *mm, struct list *dead), struct list *dead);

/* Makes a range usable by `mm`: 0, or -ENOMEM when another family, or a relative alone, has it. mm->lock held. */
int chunks_claim(struct mm *mm, uintptr_t start, uintptr_t end);
/* The start of the highest chunk in [start, end) that others use, or `end`. */
uintptr_t chunks_skip(const struct mm *mm, uintptr_t start, uintptr_t end);
/* Chunks that were `mm`'s alone become the family's: before a copy is made of `mm`. */
void chunks_share(struct mm *mm);
/*
 * Chunks of [start, end) that were the resident member's alone become the family's. -ENOMEM: another one has
 * pages there.
 */
int chunks_share_range(struct family *f, uintptr_t start, uintptr_t end) REQUIRES(&f->lock);
/* All chunks of the family become those of its only member. */
void chunks_own(struct mm *mm);
/* The chunks of a family, or of one member, become free. */
void chunks_drop(struct family *f, const struct mm *only);
/* The end of the part of [va, end) that lies in chunks of one kind; *alone: `mm` alone uses it. */
uintptr_t chunk_run(const struct mm *mm, uintptr_t va, uintptr_t end, bool *alone);
/* Another family that has part of the range, with a reference, or NULL. */
struct family *chunk_family(uintptr_t start, uintptr_t end, const struct mm *mm);
/* The start of a random free chunk, which is mm's from now on; 0: none was found. */
uintptr_t chunk_take(struct mm *mm);
/* The same, but rather one that was used before. */
uintptr_t chunk_take_used(struct mm *mm);
/* A random number that stays the same as long as the enclave runs. */
u64 chunk_seed(uintptr_t va);
/* A range whose pages an ended address space left (kept.c); some may be gone. */
struct kept {
    struct kept *next;
    uintptr_t start, end;
    const struct superblock *sb; /* compared only; NULL: the vDSO's */
    ino_t ino;
    u64 pgoff;
    struct rewritten text;
};
/* A record for the next user of its chunk; taken. */
void chunk_leave(struct kept *k);
void kept_free(struct kept *list);
#define CHUNK_SIZE (1UL << 32)

/* All other tasks leave `mm` and stay out until mm_continue_others(). Returns inside. mm->fork_lock held. */
void mm_stop_others(struct mm *mm) REQUIRES(&mm->fork_lock);
void mm_continue_others(struct mm *mm) REQUIRES(&mm->fork_lock);

/*
 * The pages of `from` (resident, nobody inside; may be NULL) are put away and those of `to` in place. `discard`:
 * `from` ends, its content need not be kept. One whose pages could not be kept, or not be brought, is `lost`.
 */
void exchange(struct family *f, struct mm *from, struct mm *to, bool discard) REQUIRES(&f->lock);
/* Copies what `mm` has in place at shared addresses to its saved pages. -ENOMEM: nothing is saved. */
int exchange_copy(struct mm *mm) REQUIRES(&mm->lock);
/* Undoes that: what is no longer in place comes back. */
void exchange_undo(struct mm *mm) REQUIRES(&mm->lock);
/* Frees the saved pages of `mm`. */
void saved_free(struct mm *mm);

#endif
