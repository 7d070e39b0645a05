/* SPDX-License-Identifier: MIT */
/*
 * Kernel pages: contiguous runs from a zone of their own, committed on demand.
 *
 * The zone behind the page state's nodes starts with an array of descriptors (struct kpage), one
 * for every page of the pool that follows; both grow together, 128 pages (one page of descriptors)
 * at a time, first as a hole: addresses with descriptors but without memory. Allocation takes the
 * smallest fitting free run; without one it commits the front of a hole. Freed runs join their free
 * neighbours; under pressure the largest are released and become holes again.
 *
 * Invariants, under g_kpage_lock: the descriptors of a run's first and last page hold its kind and
 * count, those between are undefined; no two adjacent runs are both free or both holes. A run that
 * is being committed or released is KPAGE_RUN, so that nobody joins it.
 */
#include "internal.h"

#define META_START      (KHEAP_START + KPAGE_NODE_ZONE_SIZE)
#define META_SIZE       (64UL << 30)
#define POOL_START      (META_START + META_SIZE)
#define POOL_END        KHEAP_END

#define KPAGES_PER_META (PAGE_SIZE / sizeof(struct kpage))
#define GROW_BATCH      8u /* pages committed at once; more would save no transition */
#define EXACT_BINS      32u
#define BIN_COUNT       64u

_Static_assert(sizeof(struct kpage) == 32, "descriptors fill a page evenly");
_Static_assert((POOL_END - POOL_START) / PAGE_SIZE * sizeof(struct kpage) <= META_SIZE,
               "the descriptors fit");

struct bins {
    struct list list[BIN_COUNT]; /* of kpage.link, by size */
    u64 nonempty;                /* bit n: list[n] */
};

static spinlock_t g_kpage_lock = SPINLOCK_INIT("kpage");
static struct bins g_free_bins GUARDED_BY(&g_kpage_lock);
static struct bins g_hole_bins GUARDED_BY(&g_kpage_lock);
static size_t g_pool_count; /* pages with descriptors; written under g_kpage_lock */
static u64 g_kpage_free; /* committed pages in the bins; written under g_kpage_lock */

static struct kpage *const g_kpages = (struct kpage *)META_START;

struct kpage *kpage_of(const void *p)
{
    uintptr_t va = (uintptr_t)p;
    if (va < POOL_START || (va - POOL_START) >> PAGE_SHIFT >= READ_ONCE(g_pool_count))
        return NULL;
    return &g_kpages[(va - POOL_START) >> PAGE_SHIFT];
}

void *kpage_address(const struct kpage *kp)
{
    return (void *)(POOL_START + ((size_t)(kp - g_kpages) << PAGE_SHIFT));
}

static unsigned bin_of(size_t count)
{
    return count < EXACT_BINS ? (unsigned)count : EXACT_BINS + 58 - (unsigned)__builtin_clzl(count);
}

static void run_mark(struct kpage *kp, size_t count, enum kpage_kind kind)
{
    kp->count = kp[count - 1].count = (u32)count;
    kpage_set_kind(kp, kind);
    kpage_set_kind(&kp[count - 1], kind);
}

static void bin_remove(struct bins *bins, struct kpage *kp)
{
    unsigned bin = bin_of(kp->count);
    list_del(&kp->link);
    if (list_empty(&bins->list[bin]))
        bins->nonempty &= ~(1UL << bin);
}

/*
 * Whether the descriptor next to a run may be read. Descriptors appear a page at a time, and a page
 * that is still being committed, or never was, lies only across such a border.
 */
static bool kpage_readable(const struct kpage *kp)
{
    if (kp < g_kpages || (size_t)(kp - g_kpages) >= g_pool_count)
        return false;
    return ps_get((uintptr_t)kp) & PS_PRESENT;
}

/* Whether it is the first or last page of a run of `kind`. A slab's owner changes kinds without our lock. */
static bool kpage_is(const struct kpage *kp, enum kpage_kind kind)
{
    return kpage_readable(kp) && __atomic_load_n(&kp->kind, __ATOMIC_RELAXED) == kind;
}

/* Puts a run into the bins as `kind`, joined with its neighbours of the same kind. */
static void bin_insert(struct bins *bins, struct kpage *kp, size_t count, enum kpage_kind kind,
                       bool zero) REQUIRES(&g_kpage_lock)
{
    if (kind == KPAGE_FREE)
        WRITE_ONCE(g_kpage_free, g_kpage_free + count);
    if (kpage_is(kp - 1, kind)) {
        struct kpage *prev = kp - kp[-1].count;
        bin_remove(bins, prev);
        zero = zero && prev->class;
        count += prev->count;
        kp = prev;
    }
    struct kpage *next = kp + count;
    if (kpage_is(next, kind)) {
        bin_remove(bins, next);
        zero = zero && next->class;
        count += next->count;
    }
    run_mark(kp, count, kind);
    kp->class = zero;
    unsigned bin = bin_of(count);
    list_add(&bins->list[bin], &kp->link);
    bins->nonempty |= 1UL << bin;
}

/* The smallest run of at least `count` pages, as far as the bins tell. */
static struct kpage *bin_find(struct bins *bins, size_t count)
{
    unsigned bin = bin_of(count);
    if (bin >= EXACT_BINS) {
        struct kpage *kp;
        list_for_each(kp, &bins->list[bin], link)
        {
            if (kp->count >= count)
                return kp;
        }
        bin++;
    }
    u64 mask = bins->nonempty & ~((1UL << bin) - 1);
    return mask ? list_first(&bins->list[__builtin_ctzl(mask)], struct kpage, link) : NULL;
}

/* Takes `count` pages off the front of a run; the rest goes back to the bins. */
static void bin_take(struct bins *bins, struct kpage *kp, size_t count) REQUIRES(&g_kpage_lock)
{
    size_t whole = kp->count;
    enum kpage_kind kind = kp->kind;
    bin_remove(bins, kp);
    run_mark(kp, count, KPAGE_RUN);
    if (kind == KPAGE_FREE)
        WRITE_ONCE(g_kpage_free, g_kpage_free - whole);
    if (whole > count)
        bin_insert(bins, kp + count, whole - count, kind, kp->class);
}

/* Takes the next addresses of the pool; NULL when the zone is used up. */
static struct kpage *pool_reserve(size_t count)
{
    spin_lock(&g_kpage_lock);
    size_t first = g_pool_count;
    bool room = count <= ((POOL_END - POOL_START) >> PAGE_SHIFT) - first;
    if (room)
        WRITE_ONCE(g_pool_count, first + count);
    spin_unlock(&g_kpage_lock);
    return room ? &g_kpages[first] : NULL;
}

/* Counted pages become present; the host may need some back first. */
static int kernel_commit(uintptr_t start, size_t count)
{
    const unsigned rw = TARGET_READ | TARGET_WRITE;
    uintptr_t end = start + (count << PAGE_SHIFT);
    if (ps_reserve(start, end))
        return -ENOMEM;
    int err = target_mem_commit(start, count, rw);
    if (err && reclaim(count))
        err = target_mem_commit(start, count, rw);
    ps_set(start, end, err ? 0 : PS_PRESENT | rw);
    return err;
}

/* Extends the pool by a hole of at least `count` pages. On failure only addresses are lost. */
static int pool_extend(size_t count)
{
    count = align_up(count, KPAGES_PER_META);
    size_t meta_pages = count / KPAGES_PER_META;
    if (budget_take(meta_pages, BUDGET_KERNEL))
        return -ENOMEM;
    struct kpage *kp = pool_reserve(count);
    if (!kp || kernel_commit((uintptr_t)kp, meta_pages)) {
        budget_give(meta_pages, BUDGET_KERNEL);
        return -ENOMEM;
    }
    spin_lock(&g_kpage_lock);
    bin_insert(&g_hole_bins, kp, count, KPAGE_HOLE, true);
    spin_unlock(&g_kpage_lock);
    return 0;
}

/* Takes `count` pages of a hole, and up to `*grow` when they are there. */
static struct kpage *hole_take(size_t count, size_t *grow)
{
    spin_lock(&g_kpage_lock);
    struct kpage *kp = bin_find(&g_hole_bins, count);
    if (kp) {
        *grow = min(*grow, (size_t)kp->count);
        bin_take(&g_hole_bins, kp, *grow);
    }
    spin_unlock(&g_kpage_lock);
    return kp;
}

/* Commits a run taken from the holes and returns it to the bins, free or as the hole it was. */
static int hole_commit(struct kpage *kp, size_t count)
{
    int err = budget_take(count, BUDGET_KERNEL);
    if (!err) {
        err = kernel_commit((uintptr_t)kpage_address(kp), count);
        if (err)
            budget_give(count, BUDGET_KERNEL);
    }
    spin_lock(&g_kpage_lock);
    bin_insert(err ? &g_hole_bins : &g_free_bins, kp, count, err ? KPAGE_HOLE : KPAGE_FREE, true);
    spin_unlock(&g_kpage_lock);
    return err;
}

/* Adds a free run of at least `count` pages, a batch when there is room for one. */
static int pool_grow(size_t count)
{
    for (;;) {
        size_t grow = max(count, (size_t)GROW_BATCH);
        struct kpage *kp = hole_take(count, &grow);
        if (kp && !hole_commit(kp, grow))
            return 0;
        if (kp && grow == count)
            return -ENOMEM;
        if (kp) { /* near the limit: no more than what is asked for */
            grow = count;
            kp = hole_take(count, &grow);
            return kp && !hole_commit(kp, grow) ? 0 : -ENOMEM;
        }
        if (pool_extend(max(count, (size_t)GROW_BATCH)))
            return -ENOMEM;
    }
}

static struct kpage *run_alloc(size_t count, bool *zero)
{
    if (count == 0 || count > (POOL_END - POOL_START) >> PAGE_SHIFT)
        return NULL;
    for (;;) {
        spin_lock(&g_kpage_lock);
        struct kpage *kp = bin_find(&g_free_bins, count);
        if (kp) {
            *zero = kp->class;
            bin_take(&g_free_bins, kp, count);
        }
        spin_unlock(&g_kpage_lock);
        if (kp)
            return kp;
        if (pool_grow(count))
            return NULL;
    }
}

void *kpages_alloc_dirty(size_t count)
{
    bool zero;
    struct kpage *kp = run_alloc(count, &zero);
    return kp ? kpage_address(kp) : NULL;
}

void *kpages_alloc(size_t count)
{
    bool zero;
    struct kpage *kp = run_alloc(count, &zero);
    if (!kp)
        return NULL;
    void *p = kpage_address(kp);
    if (!zero)
        memset(p, 0, count << PAGE_SHIFT);
    return p;
}

void kpages_free(void *p, size_t count)
{
    if (!p)
        return;
    struct kpage *kp = kpage_of(p);
    ASSERT(kp && kp->kind == KPAGE_RUN && kp->count == count);
    spin_lock(&g_kpage_lock);
    bin_insert(&g_free_bins, kp, count, KPAGE_FREE, false);
    spin_unlock(&g_kpage_lock);
}

u64 kpage_free_count(void)
{
    return READ_ONCE(g_kpage_free);
}

/* Takes up to `want` pages from the largest free run. */
static struct kpage *trim_take(u64 want, size_t *count)
{
    struct kpage *kp = NULL;
    spin_lock(&g_kpage_lock);
    if (g_free_bins.nonempty) {
        unsigned bin = 63 - (unsigned)__builtin_clzl(g_free_bins.nonempty);
        kp = list_first(&g_free_bins.list[bin], struct kpage, link);
        *count = min((size_t)kp->count, want);
        bin_take(&g_free_bins, kp, *count);
    }
    spin_unlock(&g_kpage_lock);
    return kp;
}

u64 kpage_trim(u64 pages)
{
    u64 done = 0;
    while (done < pages) {
        size_t count;
        struct kpage *kp = trim_take(pages - done, &count);
        if (!kp)
            break;
        uintptr_t va = (uintptr_t)kpage_address(kp);
        int err = target_mem_release(va, count);
        if (!err) {
            ps_set(va, va + (count << PAGE_SHIFT), 0);
            budget_give(count, BUDGET_KERNEL);
            done += count;
        }
        spin_lock(&g_kpage_lock);
        bin_insert(err ? &g_free_bins : &g_hole_bins, kp, count, err ? KPAGE_FREE : KPAGE_HOLE,
                   false);
        spin_unlock(&g_kpage_lock);
        if (err)
            break;
    }
    return done;
}

void kpage_init(void)
{
    for (unsigned i = 0; i < BIN_COUNT; i++) {
        list_init(&g_free_bins.list[i]);
        list_init(&g_hole_bins.list[i]);
    }
}
