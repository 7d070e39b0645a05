/* SPDX-License-Identifier: MIT */
/*
 * Page state: a byte for every page of the dynamic range [0, KHEAP_END), trusted, and the only
 * ground on which a page is ever accepted.
 *
 * A radix tree of four levels over the page number (34 bits): 16, 512 and 512 pointers, then a leaf
 * of 4,096 bytes for 16 MiB of addresses. Nodes are single pages, never freed (a leaf costs 1/4096
 * of what it describes), so lookups need no lock: a node is published with a release store once it
 * is zeroed, and g_ps_lock only serialises growth. Nodes come from a zone of their own at
 * KHEAP_START, committed front to back; what lies below the frontier is present by definition,
 * which is how the tree needs no state for itself.
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

/* A node page that is committed and zeroed but not in the tree yet. */
struct ps_spare {
    struct ps_spare *next;
};

static spinlock_t g_ps_lock = SPINLOCK_INIT("pagestate");
static struct ps_top *g_ps_root[TOP_COUNT]; /* entries published once, under g_ps_lock */
static struct ps_spare *g_ps_spare GUARDED_BY(&g_ps_lock);
static uintptr_t g_ps_frontier =
    NODE_ZONE_START; /* no node yet at or above; written under g_ps_lock */

u64 ps_node_pages(void)
{
    return (READ_ONCE(g_ps_frontier) - NODE_ZONE_START) >> PAGE_SHIFT;
}

/* The leaf for va, or NULL; *skip is the end of the span that has no leaf. */
static u8 *leaf_find(uintptr_t va, uintptr_t *skip)
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

static inline size_t leaf_index(uintptr_t va)
{
    return va >> PAGE_SHIFT & ((1u << LEAF_BITS) - 1);
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
    for (unsigned i = 0; i < NODE_BATCH; i++) {
        struct ps_spare *node = (struct ps_spare *)(start + i * PAGE_SIZE);
        node->next = g_ps_spare;
        g_ps_spare = node;
    }
    spin_unlock(&g_ps_lock);
    return 0;
}

/* Publishes a new node in *slot unless another thread did first. -ENOMEM. */
static int node_add(void **slot)
{
    for (;;) {
        spin_lock(&g_ps_lock);
        struct ps_spare *node = g_ps_spare;
        bool have = *slot != NULL;
        if (node && !have) {
            g_ps_spare = node->next;
            node->next = NULL; /* all of it is zero again */
            __atomic_store_n(slot, (void *)node, __ATOMIC_RELEASE);
            have = true;
        }
        spin_unlock(&g_ps_lock);
        if (have)
            return 0;
        if (nodes_commit())
            return -ENOMEM;
    }
}

static int leaf_reserve(uintptr_t va)
{
    void **slot = (void **)&g_ps_root[va / TOP_SPAN];
    if (!__atomic_load_n(slot, __ATOMIC_ACQUIRE) && node_add(slot))
        return -ENOMEM;
    slot = (void **)&((struct ps_top *)*slot)->mid[va / MID_SPAN % MID_COUNT];
    if (!__atomic_load_n(slot, __ATOMIC_ACQUIRE) && node_add(slot))
        return -ENOMEM;
    slot = (void **)&((struct ps_mid *)*slot)->leaf[va / LEAF_SPAN % MID_COUNT];
    if (!__atomic_load_n(slot, __ATOMIC_ACQUIRE) && node_add(slot))
        return -ENOMEM;
    return 0;
}

int ps_reserve(uintptr_t start, uintptr_t end)
{
    ASSERT(end <= KHEAP_END);
    for (uintptr_t va = align_down(start, LEAF_SPAN); va < end; va += LEAF_SPAN) {
        int err = leaf_reserve(va);
        if (err)
            return err;
    }
    return 0;
}

u8 ps_get(uintptr_t va)
{
    uintptr_t skip;
    if (va >= KHEAP_END)
        return 0;
    if (va >= NODE_ZONE_START && va < NODE_ZONE_END)
        return va < READ_ONCE(g_ps_frontier) ? PS_PRESENT | TARGET_READ | TARGET_WRITE : 0;
    const u8 *leaf = leaf_find(va, &skip);
    return leaf ? __atomic_load_n(&leaf[leaf_index(va)], __ATOMIC_RELAXED) : 0;
}

void ps_set(uintptr_t start, uintptr_t end, u8 state)
{
    uintptr_t skip;
    for (uintptr_t va = start; va < end; va = skip) {
        u8 *leaf = leaf_find(va, &skip);
        skip = min(skip, end);
        if (leaf)
            memset(leaf + leaf_index(va), state, (skip - va) >> PAGE_SHIFT);
        else
            ASSERT(state == 0);
    }
}

/* How many of `count` bytes at `p` equal `want` under `mask`: eight at a time where they all do. */
static size_t bytes_equal(const u8 *p, size_t count, u8 mask, u8 want)
{
    const u64 ones = 0x0101010101010101UL;
    size_t i = 0;
    while (i < count) {
        u64 word;
        if (count - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if ((word & mask * ones) == want * ones) {
                i += sizeof(word);
                continue;
            }
        }
        if ((p[i] & mask) != want)
            break;
        i++;
    }
    return i;
}

uintptr_t ps_run(uintptr_t va, uintptr_t end, u8 mask, u8 *state)
{
    u8 first = ps_get(va), want = first & mask;
    uintptr_t skip;
    *state = first;
    while (va < end) {
        const u8 *leaf = leaf_find(va, &skip);
        skip = min(skip, end);
        if (!leaf && want)
            break;
        if (leaf) {
            size_t count = (skip - va) >> PAGE_SHIFT;
            size_t equal = bytes_equal(leaf + leaf_index(va), count, mask, want);
            if (equal < count)
                return va + (equal << PAGE_SHIFT);
        }
        va = skip;
    }
    return va;
}
