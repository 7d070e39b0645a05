/* SPDX-License-Identifier: MIT */
/*
 * The radix tree. Invariants: a node has at least one used slot; at height h the tree covers the
 * indices below 64^h. Inner slots hold child pointers, those of the lowest level the values.
 */
#include <kernel/alloc.h>

#include <kernel/radix.h>

#define BITS  6u
#define SLOTS (1u << BITS)
#define MAX_HEIGHT 11u /* 66 bits */

struct radix_node {
    u64 slot[SLOTS];
    u64 used; /* bit i: slot i is */
};

static struct radix_node *child(const struct radix_node *n, unsigned i)
{
    return (struct radix_node *)n->slot[i];
}

static unsigned digit(u64 index, unsigned level)
{
    return (unsigned)(index >> (level * BITS)) & (SLOTS - 1);
}

/* True when a tree of that height has a place for the index. */
static bool covers(unsigned height, u64 index)
{
    return height * BITS >= 64 || !(index >> (height * BITS));
}

u64 *radix_slot(const struct radix *r, u64 index)
{
    struct radix_node *n = r->root;

    if (!n || !covers(r->height, index))
        return NULL;
    for (unsigned level = r->height - 1; level; level--) {
        n = child(n, digit(index, level));
        if (!n)
            return NULL;
    }
    return &n->slot[digit(index, 0)];
}

u64 radix_get(const struct radix *r, u64 index)
{
    u64 *slot = radix_slot(r, index);

    return slot ? *slot : 0;
}

/* Frees the levels on top that only lead to index 0, and an empty tree. */
static void shrink(struct radix *r)
{
    while (r->root && r->height > 1 && r->root->used == 1) {
        struct radix_node *n = r->root;

        r->root = child(n, 0);
        r->height--;
        kfree(n);
    }
    if (r->root && !r->root->used) {
        kfree(r->root);
        r->root = NULL;
        r->height = 0;
    }
}

/* Adds levels above until the index fits; an empty tree starts with the height that it needs. */
static int grow(struct radix *r, u64 index)
{
    while (!r->root || !covers(r->height, index)) {
        struct radix_node *n = kzalloc(sizeof(*n));

        if (!n)
            return -ENOMEM;
        if (r->root) {
            n->slot[0] = (uintptr_t)r->root;
            n->used = 1;
            r->height++;
        } else {
            for (r->height = 1; !covers(r->height, index);)
                r->height++;
        }
        r->root = n;
    }
    return 0;
}

int radix_set(struct radix *r, u64 index, u64 value)
{
    struct radix_node *n;
    int err = grow(r, index);

    if (err) {
        shrink(r);
        return err;
    }
    n = r->root;
    for (unsigned level = r->height - 1; level; level--) {
        unsigned i = digit(index, level);

        if (!n->slot[i]) {
            struct radix_node *c = kzalloc(sizeof(*c));

            if (!c) {
                (void)radix_delete(r, index);
                return -ENOMEM;
            }
            n->slot[i] = (uintptr_t)c;
            n->used |= 1UL << i;
        }
        n = child(n, i);
    }
    n->slot[digit(index, 0)] = value;
    n->used |= 1UL << digit(index, 0);
    return 0;
}

u64 radix_delete(struct radix *r, u64 index)
{
    struct radix_node *path[MAX_HEIGHT], *n = r->root;
    unsigned level, i;
    u64 value = 0;

    if (!n || !covers(r->height, index))
        return 0;
    for (level = r->height - 1;; level--) {
        path[level] = n;
        i = digit(index, level);
        if (!level || !n->slot[i])
            break;
        n = child(n, i);
    }
    if (!level) {
        value = n->slot[i];
        n->slot[i] = 0;
        n->used &= ~(1UL << i);
    }
    for (; !path[level]->used && level + 1 < r->height; level++) {
        i = digit(index, level + 1);
        kfree(path[level]);
        path[level + 1]->slot[i] = 0;
        path[level + 1]->used &= ~(1UL << i);
    }
    shrink(r);
    return value;
}

/* The first used slot at or after digit `i`; SLOTS when there is none. */
static unsigned next_used(const struct radix_node *n, unsigned i)
{
    u64 rest = i < SLOTS ? n->used >> i : 0;

    return rest ? i + (unsigned)__builtin_ctzl(rest) : SLOTS;
}

/* In the subtree `n` of `level`, whose indices start at `base`: the first at or after `from`. */
static u64 next_below(const struct radix_node *n, unsigned level, u64 base, u64 from, u64 *index)
{
    unsigned i = from > base ? digit(from, level) : 0;

    for (i = next_used(n, i); i < SLOTS; i = next_used(n, i + 1)) {
        u64 start = base + ((u64)i << (level * BITS)), value;

        if (!level) {
            *index = start;
            return n->slot[i];
        }
        value = next_below(child(n, i), level - 1, start, max(from, start), index);
        if (value)
            return value;
    }
    return 0;
}

u64 radix_next(const struct radix *r, u64 *index)
{
    if (!r->root || !covers(r->height, *index))
        return 0;
    return next_below(r->root, r->height - 1, 0, *index, index);
}
