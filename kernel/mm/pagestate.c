/* SPDX-License-Identifier: MIT */
/*
 * Page state: a byte for every page of the dynamic range [0, KHEAP_END), trusted, and the only
 * ground on which a page is ever accepted.
 *
 * A radix tree of four levels over the page number (34 bits): 16, 512 and 512 pointers, then a leaf
 * of 4,096 bytes for 16 MiB of addresses. Nodes are single pages, from a zone of their own at
 * KHEAP_START that is committed front to back; what lies below the frontier is present by
 * definition, which is how the tree needs no state for itself. A leaf whose pages are all absent,
 * and then a middle node without leaves, leave the tree and are the next nodes to be used again.
 *
 * Locking. g_ps_lock guards the tree's shape; a page's byte is its owner's (internal.h). An owner
 * makes a page's byte nonzero with the lock held (ps_reserve), and a leaf is taken out only when
 * all bytes are found zero with the lock held: from then until the owner sets it to 0 again the
 * byte has its place, and changes without a lock. Lookups take no lock either. One that meets a node
 * on its way out may see what that node holds next; g_ps_gen, which moves between the two, tells
 * it to look again. Node memory stays present for ever, so such a look does no harm.
 */
#include "internal.h"

#define LEAF_BITS       12
#define MID_BITS        9
#define TOP_COUNT       16u
#define LEAF_SPAN       (1UL << (LEAF_BITS + PAGE_SHIFT))
#define MID_SPAN        (LEAF_SPAN << MID_BITS)
#define TOP_SPAN        (MID_SPAN << MID_BITS)
#define MID_COUNT       (1u << MID_BITS)

#define NODE_ZONE_START KHEAP_START
#define NODE_ZONE_END   (KHEAP_START + KPAGE_NODE_ZONE_SIZE)
#define NODE_BATCH      4u

_Static_assert(TOP_COUNT *TOP_SPAN >= KHEAP_END, "the tree spans the dynamic range");
_Static_assert(ENCLAVE_PAGE_SIZE == PAGE_SIZE, "page size");

struct ps_mid {
    u8 *leaf[MID_COUNT];
};
struct ps_top {
    struct ps_mid *mid[MID_COUNT];
};

/* A node page that is zero but for this link, and not in the tree. */
struct ps_spare {
    struct ps_spare *next;
};

static spinlock_t g_ps_lock = SPINLOCK_INIT("pagestate");
static struct ps_top *g_ps_root[TOP_COUNT]; /* entries published once, under g_ps_lock */
static struct ps_spare *g_ps_spare GUARDED_BY(&g_ps_lock);
static u64 g_ps_gen; /* nodes taken out so far; written under g_ps_lock */
static u64 g_ps_used; /* nodes in the tree; written under g_ps_lock */
static uintptr_t g_ps_frontier =
    NODE_ZONE_START; /* no node yet at or above; written under g_ps_lock */

u64 ps_node_pages(void)
{
    return (READ_ONCE(g_ps_frontier) - NODE_ZONE_START) >> PAGE_SHIFT;
}

u64 ps_nodes_used(void)
{
    return READ_ONCE(g_ps_used);
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

#define ONES 0x0101010101010101UL

/* Stores each byte once: one that is zero may be somebody else's a moment later. */
static void bytes_store(u8 *p, size_t count, u8 state)
{
    for (; count && (uintptr_t)p % sizeof(u64); p++, count--)
        __atomic_store_n(p, state, __ATOMIC_RELEASE);
    for (; count >= sizeof(u64); p += sizeof(u64), count -= sizeof(u64))
        __atomic_store_n((u64 *)p, state * ONES, __ATOMIC_RELEASE);
    for (; count; p++, count--)
        __atomic_store_n(p, state, __ATOMIC_RELEASE);
}

/* How many of `count` bytes at `p` equal `want` under `mask`: eight at a time where they all do. */
static size_t bytes_equal(const u8 *p, size_t count, u8 mask, u8 want)
{
    size_t i = 0;
    while (i < count) {
        if ((uintptr_t)(p + i) % sizeof(u64) == 0 && count - i >= sizeof(u64) &&
            (__atomic_load_n((const u64 *)(p + i), __ATOMIC_ACQUIRE) & mask * ONES) ==
                want * ONES) {
            i += sizeof(u64);
            continue;
        }
        if ((__atomic_load_n(p + i, __ATOMIC_ACQUIRE) & mask) != want)
            break;
        i++;
    }
    return i;
}

/* ---- Lookup --------------------------------------------------------------------------------- */

static u64 look_begin(void)
{
    return __atomic_load_n(&g_ps_gen, __ATOMIC_ACQUIRE);
}

/* Whether what was seen since look_begin() may be of a node that was taken out. */
static bool look_again(u64 gen)
{
    return __atomic_load_n(&g_ps_gen, __ATOMIC_ACQUIRE) != gen;
}

/* One look for leaf_find(). */
static u8 *leaf_look(uintptr_t va, uintptr_t *skip)
{
    struct ps_top *top = __atomic_load_n(&g_ps_root[va / TOP_SPAN], __ATOMIC_ACQUIRE);
    if (!top) {
        *skip = align_down(va, TOP_SPAN) + TOP_SPAN;
        return NULL;
    }
    struct ps_mid *mid = __atomic_load_n(&top->mid[va / MID_SPAN % MID_COUNT], __ATOMIC_ACQUIRE);
    if (!mid) {
        *skip = align_down(va, MID_SPAN) + MID_SPAN;
        return NULL;
    }
    *skip = align_down(va, LEAF_SPAN) + LEAF_SPAN;
    return __atomic_load_n(&mid->leaf[va / LEAF_SPAN % MID_COUNT], __ATOMIC_ACQUIRE);
}

/* The leaf for va, or NULL; *skip is the end of the span that has no leaf. */
static u8 *leaf_find(uintptr_t va, uintptr_t *skip)
{
    u8 *leaf;
    u64 gen;
    do {
        gen = look_begin();
        leaf = leaf_look(va, skip);
    } while (look_again(gen));
    return leaf;
}

static inline size_t leaf_index(uintptr_t va)
{
    return va >> PAGE_SHIFT & ((1u << LEAF_BITS) - 1);
}

u8 ps_get(uintptr_t va)
{
    uintptr_t skip;
    u64 gen;
    u8 state;
    if (va >= KHEAP_END)
        return 0;
    if (va >= NODE_ZONE_START && va < NODE_ZONE_END)
        return va < READ_ONCE(g_ps_frontier) ? PS_PRESENT | TARGET_READ | TARGET_WRITE : 0;
    do {
        gen = look_begin();
        const u8 *leaf = leaf_find(va, &skip);
        state = leaf ? __atomic_load_n(&leaf[leaf_index(va)], __ATOMIC_ACQUIRE) : 0;
    } while (look_again(gen));
    return state;
}

/* How many pages from va to *skip or `end` have the state `want` under `mask`. */
static size_t leaf_equal(uintptr_t va, uintptr_t end, uintptr_t *skip, u8 mask, u8 want)
{
    size_t equal;
    u64 gen;
    do {
        gen = look_begin();
        const u8 *leaf = leaf_find(va, skip);
        *skip = min(*skip, end);
        size_t count = (*skip - va) >> PAGE_SHIFT;
        if (leaf)
            equal = bytes_equal(leaf + leaf_index(va), count, mask, want);
        else
            equal = want ? 0 : count;
    } while (look_again(gen));
    return equal;
}

uintptr_t ps_run(uintptr_t va, uintptr_t end, u8 mask, u8 *state)
{
    u8 first = ps_get(va), want = first & mask;
    uintptr_t start = va, skip;
    *state = first;
    for (; va < end; va = skip) {
        size_t equal = leaf_equal(va, end, &skip, mask, want);
        uintptr_t stop = va + (equal << PAGE_SHIFT);
        if (stop < skip)
            return max(stop, start + PAGE_SIZE);
    }
    return va;
}

/* ---- Growing and shrinking ------------------------------------------------------------------ */

static void spare_put(void *page) REQUIRES(&g_ps_lock)
{
    struct ps_spare *node = page;
    __atomic_store_n(&node->next, g_ps_spare, __ATOMIC_RELEASE);
    g_ps_spare = node;
}

/* Commits a batch of nodes. Leaves the enclave, so the lock only guards the choice of addresses. */
static int nodes_commit(void)
{
    const size_t size = NODE_BATCH * PAGE_SIZE;
    spin_lock(&g_ps_lock);
    uintptr_t start = g_ps_frontier;
    bool room = start + size <= NODE_ZONE_END;
    if (room)
        WRITE_ONCE(g_ps_frontier, start + size);
    spin_unlock(&g_ps_lock);
    if (!room || budget_take(NODE_BATCH, BUDGET_KERNEL))
        return -ENOMEM; /* the addresses are lost, which the zone's size allows for */
    if (target_mem_commit(start, NODE_BATCH, TARGET_READ | TARGET_WRITE)) {
        budget_give(NODE_BATCH, BUDGET_KERNEL);
        return -ENOMEM;
    }
    spin_lock(&g_ps_lock);
    for (unsigned i = 0; i < NODE_BATCH; i++)
        spare_put((void *)(start + i * PAGE_SIZE));
    spin_unlock(&g_ps_lock);
    return 0;
}

/* The node in *slot, a new one where there is none; NULL when no spare is left. */
static void *node_get(void **slot) REQUIRES(&g_ps_lock)
{
    struct ps_spare *node = g_ps_spare;
    if (*slot || !node)
        return *slot;
    g_ps_spare = node->next;
    __atomic_store_n(&node->next, NULL, __ATOMIC_RELEASE); /* all of it is zero again */
    WRITE_ONCE(g_ps_used, g_ps_used + 1);
    __atomic_store_n(slot, (void *)node, __ATOMIC_RELEASE);
    return node;
}

static u8 *leaf_get(uintptr_t va) REQUIRES(&g_ps_lock)
{
    struct ps_top *top = node_get((void **)&g_ps_root[va / TOP_SPAN]);
    struct ps_mid *mid = top ? node_get((void **)&top->mid[va / MID_SPAN % MID_COUNT]) : NULL;
    return mid ? node_get((void **)&mid->leaf[va / LEAF_SPAN % MID_COUNT]) : NULL;
}

/* Takes a node out of the tree. Its content is zero. */
static void node_remove(void **slot) REQUIRES(&g_ps_lock)
{
    void *node = *slot;
    __atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
    __atomic_store_n(&g_ps_gen, g_ps_gen + 1, __ATOMIC_RELEASE);
    WRITE_ONCE(g_ps_used, g_ps_used - 1);
    spare_put(node);
}

static bool node_empty(const void *node)
{
    return bytes_equal(node, PAGE_SIZE, 0xff, 0) == PAGE_SIZE;
}

/* Takes va's leaf out of the tree if none of its pages is present or coming. */
static void leaf_put(uintptr_t va)
{
    spin_lock(&g_ps_lock);
    struct ps_top *top = g_ps_root[va / TOP_SPAN];
    void **mid_slot = top ? (void **)&top->mid[va / MID_SPAN % MID_COUNT] : NULL;
    struct ps_mid *mid = mid_slot ? *mid_slot : NULL;
    void **slot = mid ? (void **)&mid->leaf[va / LEAF_SPAN % MID_COUNT] : NULL;
    if (slot && *slot && node_empty(*slot)) {
        node_remove(slot);
        if (node_empty(mid))
            node_remove(mid_slot);
    }
    spin_unlock(&g_ps_lock);
}

/* The part of ps_reserve() in one leaf. */
static int leaf_reserve(uintptr_t start, uintptr_t end)
{
    for (;;) {
        spin_lock(&g_ps_lock);
        u8 *leaf = leaf_get(start);
        if (leaf) {
            size_t count = (end - start) >> PAGE_SHIFT;
            ASSERT(bytes_equal(leaf + leaf_index(start), count, 0xff, 0) == count);
            bytes_store(leaf + leaf_index(start), count, PS_COMING);
        }
        spin_unlock(&g_ps_lock);
        if (leaf)
            return 0;
        if (nodes_commit())
            return -ENOMEM;
    }
}

int ps_reserve(uintptr_t start, uintptr_t end)
{
    ASSERT(end <= KHEAP_END);
    for (uintptr_t va = start, next; va < end; va = next) {
        next = min(align_down(va, LEAF_SPAN) + LEAF_SPAN, end);
        if (leaf_reserve(va, next)) {
            ps_set(start, va, 0);
            return -ENOMEM;
        }
    }
    return 0;
}

void ps_set(uintptr_t start, uintptr_t end, u8 state)
{
    uintptr_t skip;
    for (uintptr_t va = start; va < end; va = skip) {
        u8 *leaf = leaf_find(va, &skip);
        ASSERT(leaf);
        skip = min(skip, end);
        bytes_store(leaf + leaf_index(va), (skip - va) >> PAGE_SHIFT, state);
        if (!state)
            leaf_put(va);
    }
}
