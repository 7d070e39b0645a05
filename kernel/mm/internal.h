/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/mm share and nobody else sees.
 *
 * Locks, outermost first (a thread that holds one may take those below it):
 *   inode->lock          VFS; mm_truncate_notify() comes with it held
 *   g_truncate_lock      mutex; one truncation visits mappings at a time (shared.c)
 *   mm->lock             VMAs, counters and the states of the pages inside VMAs
 *   g_shared_lock        mutex; windows and aliases of shared objects (shared.c)
 *   pagecache's own lock must never be held across a user copy; permissions of pages that are bound
 *                        to a file, since the page cache copies from and to them
 *   g_reclaim_lock       mutex; one reclaimer at a time (reclaim.c). Any thread that needs memory may
 *                        wait for it, so its holder waits for no lock above, but tries
 *   slab class lock      spinlock (heap.c)
 *   g_kpage_lock         spinlock (kpage.c)
 *   g_free_lock          spinlock; pages that become free, idle or busy, or stop being it (reclaim.c)
 *   g_ps_lock            spinlock; shape of the page state's tree (pagestate.c)
 */
#ifndef KERNEL_MM_INTERNAL_H
#define KERNEL_MM_INTERNAL_H

#include <layout.h>
#include <kernel/alloc.h>
#include <kernel/list.h>
#include <kernel/lock.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/types.h>

/* ---- Page state (pagestate.c) ------------------------------------------------------------------
 */

/*
 * One byte a page; 0 is absent. A present page has the permissions that the EPCM has (TARGET_*, 0
 * for none), or fewer while they change. Exactly one party may change a page's byte: the mm whose
 * VMA covers it (mm->lock; for pages bound to a file g_shared_lock), the kernel page allocator
 * (g_kpage_lock); for a free or an idle page whoever holds g_free_lock; for a busy one the reclaimer.
 */
#define PS_PERM    0x07u /* TARGET_READ | TARGET_WRITE | TARGET_EXEC */
#define PS_PRESENT 0x08u /* accepted */
#define PS_FREE    0x10u /* accepted, owned by nobody: may be claimed or trimmed; not PS_PRESENT: kept.c */
#define PS_IDLE    0x20u /* owned, zeroed by MADV_DONTNEED, trimmed if still zero; not counted resident */
#define PS_BUSY    0x40u /* present, being released: by the reclaimer if free or idle, else its owner */
#define PS_COMING  0x80u /* absent, its owner is committing it */
#define PS_GUARD   0x80u /* with PS_PRESENT: saved.h */

u8 ps_get(uintptr_t va);
/* Absent pages become PS_COMING, so that ps_set cannot fail. -ENOMEM: they stay absent. */
int ps_reserve(uintptr_t start, uintptr_t end);
/* The pages must not be absent. */
void ps_set(uintptr_t start, uintptr_t end, u8 state);
/*
 * The end of the run, at most `end`, whose states equal that of `va` under `mask`; *state is va's. At
 * least one page. Of pages that others may change it tells what was so a moment ago.
 */
uintptr_t ps_run(uintptr_t va, uintptr_t end, u8 mask, u8 *state);
/* Walks [va, end) by runs of equal state. */
#define ps_for_each_run(va, next, end, mask, state)                                                \
    for (; (va) < (end) && ((next) = ps_run((va), (end), (mask), &(state)), true); (va) = (next))
/* Pages that hold the tree itself. */
u64 ps_node_pages(void);
/* Those that are in use for it. */
u64 ps_nodes_used(void);

/* The tree's own nodes live at the start of the kernel zone; its largest size is 16 GiB. */
#define KPAGE_NODE_ZONE_SIZE (32UL << 30)

/* ---- MemorySize (budget.c) ---------------------------------------------------------------------
 */

void budget_init(u64 limit_pages);
u64 budget_limit(void);
enum budget_user { BUDGET_PROGRAM, BUDGET_KERNEL };
/* Counts `pages` as committed, reclaiming others when it must. -ENOMEM at the limit. */
int budget_take(u64 pages, enum budget_user who);
void budget_give(u64 pages, enum budget_user who);
/* Pages that programs could still get, free ones included. */
u64 budget_available(void);
/* Free pages became somebody's: the peak of what is in use may have moved. */
void budget_peak(void);

/* Whether a promise of `pages` can be kept as things are, with what can be given back. */
bool budget_fits(u64 pages);

/* ---- Pages between owners, and giving back (reclaim.c) ------------------------------------------
 */

/* Present pages [start, end) with one state become free; the caller owned them. */
void free_put(uintptr_t start, uintptr_t end);
/* The same, but they look absent: their content may be of use to the next mapping (kept.c). */
void free_put_kept(uintptr_t start, uintptr_t end);
/* Takes the free pages [start, end) (all of one state), present; false when a trimmer was faster. */
bool free_claim(uintptr_t start, uintptr_t end);
/* The same; false: waited until the trimmer was done. */
bool free_claim_or_wait(uintptr_t start, uintptr_t end);
/* Waits for a reclaimer that has busy pages in hand. */
void reclaim_wait(void);
/* Whether that many pages may be kept for reuse instead of being released. */
bool free_may_keep(u64 pages);
u64 free_count(void);

/* Own present pages [start, end), zeroed and of one state, become idle. */
void idle_put(uintptr_t start, uintptr_t end);
/* Idle pages in [start, end) are ordinary ones of their owner again, or absent by now. */
void idle_claim(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock);
/* Whether that many more pages may stay accepted after their content was dropped. */
bool idle_may_keep(u64 pages);
/* An idle page's content may be looked at in between, whoever owns it. */
void reclaim_hold(void);
void reclaim_unhold(void);

/*
 * Gives back about `pages` or more: free and idle pages of programs, the oldest first, then what
 * the kernel has to spare. False when there is nothing, or the caller is at it already.
 */
bool reclaim(u64 pages);
/* The same of idle pages alone. */
void reclaim_idle(u64 pages);

bool page_is_zero(uintptr_t va);

/* Page faults taken so far (fault.c). */
u64 mm_fault_count(void);

/* ---- Owned pages: state, budget and target in step (pages.c) ------------------------------------
 */

/* Absent pages become present and zeroed, from `start` on: how many. Not all: no memory for more. */
u64 pages_commit(uintptr_t start, uintptr_t end, unsigned prot);
int pages_commit_copy(uintptr_t va, const void *src, unsigned prot);
/* Present pages of one state get other permissions. -ENOMEM. */
int pages_protect(uintptr_t start, uintptr_t end, u8 state, unsigned prot);
/* Present pages of one state become absent. -ENOMEM: unchanged. */
int pages_release(uintptr_t start, uintptr_t end);

/* ---- Kernel pages (kpage.c) ----------------------------------------------------------------- */

enum kpage_kind { KPAGE_NONE, KPAGE_FREE, KPAGE_HOLE, KPAGE_RUN, KPAGE_SLAB, KPAGE_SLAB_TAIL };

/* One for every page of the kernel's zone. */
struct kpage {
    struct list link; /* free run or hole: its bin; slab: its class' partial list */
    void *freelist;   /* slab */
    u32 count; /* run: pages in it (first and last page); slab tail: pages back to the head */
    u16 used;  /* slab: objects handed out */
    u8 kind;   /* enum kpage_kind */
    u8 class;  /* slab; free run: 1 when known zero */
};

void kpage_init(void);
void heap_init(void);
/* As kpages_alloc but with old contents. */
void *kpages_alloc_dirty(size_t count);
static inline void kpage_set_kind(struct kpage *kp, enum kpage_kind kind)
{
    __atomic_store_n(&kp->kind, (u8)kind, __ATOMIC_RELAXED); /* neighbours look at it */
}
struct kpage *kpage_of(const void *p); /* NULL outside the kernel's zone */
void *kpage_address(const struct kpage *kp);
/* Gives up to `pages` free kernel pages back to the host; returns how many. */
u64 kpage_trim(u64 pages);
u64 kpage_free_count(void); /* committed but unused */

/* ---- VMAs (vma.c); all with mm->lock held --------------------------------------------------- */

#define STACK_GUARD_GAP (256 * PAGE_SIZE)
#define MAX_MAP_COUNT   65530u
#define FAULT_AROUND    8u /* pages: the least on the cost model's account that keeps faults few */

/* An address space that is in no family yet. NULL: no memory. */
struct mm *mm_alloc(void);

struct vma *vma_alloc(struct mm *mm, uintptr_t start, uintptr_t end, unsigned flags);
/* Drops the references of a VMA that is in no tree. May take VFS locks: without mm->lock. */
void vma_free(struct vma *v);
void vma_link(struct mm *mm, struct vma *v) REQUIRES(&mm->lock);
void vma_unlink(struct mm *mm, struct vma *v) REQUIRES(&mm->lock);
struct vma *vma_next(struct vma *v);
struct vma *vma_prev(struct vma *v);
/* Splits at `addr`, strictly inside; the upper part is new and returned in *upper. -ENOMEM. */
int vma_split(struct mm *mm, struct vma *v, uintptr_t addr, struct vma **upper) REQUIRES(&mm->lock);
/* Joins `v` with what fits on either side; returns the VMA that now covers it. */
struct vma *vma_merge(struct mm *mm, struct vma *v, struct list *dead) REQUIRES(&mm->lock);
/* Moves an edge of a linked VMA; no neighbour may be crossed. */
void vma_set_range(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
    REQUIRES(&mm->lock);
/* Splits at both ends so that whole VMAs cover [start, end) where anything does. -ENOMEM. */
int vma_isolate(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock);
/* The highest gap of `size` bytes inside [low, high); 0 when there is none. */
uintptr_t vma_gap_topdown(struct mm *mm, size_t size, uintptr_t low, uintptr_t high)
    REQUIRES(&mm->lock);
/* True when nothing is mapped in [start, end). */
bool vma_range_empty(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock);
/* Adds (sign 1) or takes away (-1) a VMA's pages in mm's counters. */
void vma_account(struct mm *mm, unsigned flags, u64 pages, int sign) REQUIRES(&mm->lock);
/* Frees the VMAs on a list made by unmapping or merging. Without mm->lock. */
void vma_free_list(struct list *dead);

static inline u64 vma_pages(const struct vma *v)
{
    return (v->end - v->start) >> PAGE_SHIFT;
}

/* The permissions that a VMA's pages have in the EPCM; any access implies reading. */
static inline unsigned vma_prot(unsigned vm_flags)
{
    unsigned prot = 0;
    if (vm_flags & VM_WRITE)
        prot |= TARGET_WRITE | TARGET_READ;
    if (vm_flags & VM_EXEC)
        prot |= TARGET_EXEC | TARGET_READ;
    if (vm_flags & VM_READ)
        prot |= TARGET_READ;
    return prot;
}

/* Anonymous for our purposes: contents come from nowhere but the program. */
static inline bool vma_anonymous(const struct vma *v)
{
    return !v->file || (v->flags & VM_ZERO);
}

static inline bool vma_shared_file(const struct vma *v)
{
    return (v->flags & VM_SHARED) && !vma_anonymous(v);
}

static inline u64 vma_pgoff(const struct vma *v, uintptr_t addr)
{
    return v->pgoff + ((addr - v->start) >> PAGE_SHIFT);
}

/* ---- Pages of a mapping (range.c); mm->lock held -------------------------------------------- */

/*
 * Nothing may be mapped in [start, end). Free pages there become the new mapping's, zeroed, when it
 * is plain writable memory; else they are released. -ENOMEM: the host refused to take them.
 */
int range_prepare(struct mm *mm, uintptr_t start, uintptr_t end, bool anonymous, unsigned vm_flags);
/* Undoes range_prepare: what it took is free again. */
void range_abandon(struct mm *mm, uintptr_t start, uintptr_t end);
/* Whether a free page lies in [start, end). */
bool range_has_free(uintptr_t start, uintptr_t end);
/* The pages of [start, end), all of VMA `v`, go: kept free or released. Those of shared files were
 * unbound, and are left alone where that failed. */
void range_drop(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock);
/* The pages of [start, end) go back to the host, but for those that it refuses to take. */
void range_release(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock);
/* The content of private memory goes; file pages are read again when touched. -ENOMEM. (advise.c)
 */
int range_discard(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock);
/* Brings the pages that are present to `prot`. -ENOMEM: done in part. */
int range_protect(struct mm *mm, uintptr_t start, uintptr_t end, unsigned prot)
    REQUIRES(&mm->lock);
/* Commits what is absent in [start, end) of an anonymous VMA. -ENOMEM. */
int range_commit(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end);
/* Pages that are present and not idle. */
u64 range_resident(uintptr_t start, uintptr_t end);
void mm_rss_add(struct mm *mm, s64 pages);
/* Pages that are counted again because their mark goes, and not because somebody touched them. */
void mm_rss_restore(struct mm *mm, u64 pages);

/* ---- What one program leaves for the next (kept.c) ------------------------------------------- */

/* The pages of a mapping that no program can have changed. */
static inline bool vma_clean(const struct vma *v)
{
    return !vma_anonymous(v) && !(v->flags & (VM_WRITE | VM_WRITTEN | VM_SHARED));
}

/* `mm` ends: marks the mappings whose pages may be of use (VM_KEPT) and leaves records of them. */
void kept_retire(struct mm *mm) REQUIRES(&mm->lock);
/*
 * As range_prepare() for a private mapping of a file or a VM_SPECIAL one. `linker`: others will be mapped over it
 * (MAP_DENYWRITE). Text that fits stays free until kept_take_text().
 */
int kept_prepare(struct mm *mm, const struct vma *v, bool linker) REQUIRES(&mm->lock);
/*
 * The text mapped at [start, end), or that is about to be text, whose system calls have their places now: takes what
 * fits, releases the rest. No lock of `mm` held.
 */
void kept_take_text(struct mm *mm, uintptr_t start, uintptr_t end);
/* Before a VM_GROWSDOWN mapping is made: what is free where it may grow would serve without a fault. -ENOMEM. */
int kept_clear_below(struct mm *mm, uintptr_t start) REQUIRES(&mm->lock);
/* Before a page under a mapping is committed: releases it when it was kept. -ENOMEM. */
int kept_drop(uintptr_t va);

/* ---- Mapping and unmapping (map.c, unmap.c) ------------------------------------------------- */

int unmap_locked(struct mm *mm, uintptr_t start, uintptr_t end, struct list *dead)
    REQUIRES(&mm->lock);
/* Whether something in [start, end) is sealed against being unmapped or changed. */
bool vma_any_sealed(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock);
/* Where a mapping of `size` may go by the address policy, 0 for nowhere. */
uintptr_t map_choose(struct mm *mm, size_t size, bool anonymous, unsigned flags)
    REQUIRES(&mm->lock);
/* RLIMIT_AS, RLIMIT_DATA, max_map_count and the commit check for `pages` more. 0 or -ENOMEM. */
int map_may_grow(struct mm *mm, unsigned vm_flags, u64 pages) REQUIRES(&mm->lock);
/* RLIMIT_MEMLOCK for `pages` more locked ones. 0 or -EAGAIN. */
int map_may_lock(const struct mm *mm, u64 pages) REQUIRES(&mm->lock);
/* True when pages of another owner lie in an unmapped range: an mm that is being taken down. */
bool map_range_owned(uintptr_t start, uintptr_t end);
/* Inserts and merges a new private anonymous VMA over an empty range. -ENOMEM. */
int map_insert_anonymous(struct mm *mm, uintptr_t start, uintptr_t end, unsigned vm_flags,
                         const char *name, struct list *dead) REQUIRES(&mm->lock);
unsigned vm_flags_of_prot(unsigned prot);
/* Whether the program may have writable and executable pages (manifest). */
bool map_wx_forbidden(unsigned vm_flags);
/* Makes [start, end) present as by reading each page; no locks held. 0 or -errno of the first
 * fault. */
int mm_populate(struct mm *mm, uintptr_t start, uintptr_t end, unsigned access);

/*
 * Makes the page at `addr` of VMA `v` present with the VMA's permissions (at least readable where
 * it was absent). -ENOMEM, -ENXIO beyond the file's end, -EIO. mm->lock held.
 */
int fault_page(struct mm *mm, struct vma *v, uintptr_t addr) REQUIRES(&mm->lock);

/* ---- Shared objects and file users (shared.c) ----------------------------------------------- */

/*
 * Registers a new VMA with its object: its file's, or a new one of anonymous shared memory. Private
 * anonymous VMAs have none. -ENOMEM.
 */
int shared_attach(struct vma *v);
/* The same for an object that another VMA keeps alive. */
void shared_join(struct vma *v, struct shared_object *o);
void shared_detach(struct vma *v);
/* The linear address of a new VM_SHARED mapping `v`, 0 when it must be an alias elsewhere.
 * mm->lock. */
uintptr_t shared_choose(struct mm *mm, struct vma *v, size_t size) REQUIRES(&mm->lock);
/* Whether a VMA may grow up to `end` without leaving its object's window or its zone. */
bool shared_may_extend(const struct vma *v, uintptr_t end);
/* The end of the part of [va, end) of which all or (*keep false) nothing is mapped there by another mm too. */
uintptr_t shared_keep_run(const struct vma *v, uintptr_t va, uintptr_t end, bool *keep);
/* Says that all of `v` is about to be unmapped, or is not after all: other mms need not keep pages for it. */
void shared_leave(struct vma *v, bool leaving);
/* Makes the page at `addr` the object's live one with the VMA's permissions. mm->lock held. */
int shared_fault(struct mm *mm, struct vma *v, uintptr_t addr);
/* Present pages of a shared file's VMA get the permissions `prot`. -ENOMEM: done in part. */
int shared_protect(struct vma *v, unsigned prot);
/*
 * Content of bound pages that no other mm has at the same addresses goes back to the page cache; they are absent
 * afterwards. -ENOMEM: done in part.
 */
int shared_unbind(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end);
/* The same of all pages, whoever has them: who touches one binds it again. */
int shared_unbind_all(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end);

#endif
