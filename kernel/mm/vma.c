/* SPDX-License-Identifier: MIT */
/*
 * The VMA tree: ordered by address, no overlaps, augmented for finding gaps.
 *
 * Each VMA knows the gap between the end of its predecessor and its own start (its guard gap taken
 * off when it grows down), and the largest such gap in its subtree. A mapping that needs an address
 * descends to the highest gap that is large enough, so thousands of VMAs cost a few steps. Whatever
 * changes an edge goes through vma_set_range, vma_link or vma_unlink, which keep both numbers true.
 *
 * Locking: mm->lock, held by the caller of everything here but vma_free and vma_free_list.
 */
#include "internal.h"

static u64 subtree_gap(const struct vma *v)
{
    const struct vma *left = RB_LEFT(v, node), *right = RB_RIGHT(v, node);
    u64 best = v->gap;
    if (left)
        best = max(best, left->subtree_gap);
    if (right)
        best = max(best, right->subtree_gap);
    return best;
}

#undef RB_AUGMENT
#define RB_AUGMENT(v) ((v)->subtree_gap = subtree_gap(v))

static int vma_compare(const struct vma *a, const struct vma *b)
{
    return a->start < b->start ? -1 : a->start > b->start;
}

RB_GENERATE_STATIC(vma_tree, vma, node, vma_compare)

/* ---- Gaps ----------------------------------------------------------------------------------- */

/* Where the room below a VMA ends: a stack keeps a guard gap below it. */
static uintptr_t vma_floor(const struct vma *v)
{
    if (!(v->flags & VM_GROWSDOWN))
        return v->start;
    return v->start > STACK_GUARD_GAP ? v->start - STACK_GUARD_GAP : 0;
}

static void gap_propagate(struct vma *v)
{
    for (; v; v = RB_PARENT(v, node))
        v->subtree_gap = subtree_gap(v);
}

/* Recomputes the gap below `v` after an edge of it or of its predecessor moved. */
static void gap_update(struct vma *v)
{
    if (!v)
        return;
    struct vma *prev = vma_prev(v);
    uintptr_t floor = vma_floor(v), below = prev ? prev->end : 0;
    v->gap = floor > below ? floor - below : 0;
    gap_propagate(v);
}

struct gap_query {
    size_t size;
    uintptr_t low, high;
    uintptr_t found;
};

static bool gap_visit(const struct vma *v, struct gap_query *q)
{
    if (!v || v->subtree_gap < q->size)
        return false;
    if (v->end < q->high && gap_visit(RB_RIGHT(v, node), q))
        return true;
    uintptr_t floor = vma_floor(v), below = floor - v->gap;
    uintptr_t top = min(floor, q->high), bottom = max(below, q->low);
    if (v->gap && top > bottom && top - bottom >= q->size) {
        q->found = top - q->size;
        return true;
    }
    return v->start > q->low && gap_visit(RB_LEFT(v, node), q);
}

uintptr_t vma_gap_topdown(struct mm *mm, size_t size, uintptr_t low, uintptr_t high)
{
    struct gap_query q = {.size = size, .low = low, .high = high};
    struct vma *last = RB_MAX(vma_tree, &mm->vmas);
    uintptr_t above = max(last ? last->end : 0, low);
    if (high > above && high - above >= size)
        return high - size;
    return gap_visit(RB_ROOT(&mm->vmas), &q) ? q.found : 0;
}

/* ---- Tree ----------------------------------------------------------------------------------- */

struct vma *vma_next(struct vma *v)
{
    return RB_NEXT(vma_tree, NULL, v);
}

struct vma *vma_prev(struct vma *v)
{
    return RB_PREV(vma_tree, NULL, v);
}

struct vma *mm_find_next(struct mm *mm, uintptr_t addr)
{
    struct vma *best = NULL, *v = RB_ROOT(&mm->vmas);
    if (mm->found && addr >= mm->found->start && addr < mm->found->end)
        return mm->found;
    while (v) {
        if (addr < v->end) {
            best = v;
            if (addr >= v->start)
                break;
            v = RB_LEFT(v, node);
        } else {
            v = RB_RIGHT(v, node);
        }
    }
    if (best)
        mm->found = best;
    return best;
}

struct vma *mm_find(struct mm *mm, uintptr_t addr)
{
    struct vma *v = mm_find_next(mm, addr);
    return v && addr >= v->start ? v : NULL;
}

bool vma_range_empty(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct vma *v = mm_find_next(mm, start);
    return !v || v->start >= end;
}

void vma_account(struct mm *mm, unsigned flags, u64 pages, int sign)
{
    u64 delta = sign > 0 ? pages : -pages;
    mm->total_vm += delta;
    mm->total_peak = max(mm->total_peak, mm->total_vm);
    if (flags & (VM_STACK | VM_GROWSDOWN))
        mm->stack_vm += delta;
    else if ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
        mm->data_vm += delta;
    if ((flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
        mm->exec_vm += delta;
    if (flags & VM_LOCKED)
        mm->locked_vm += delta;
}

void vma_link(struct mm *mm, struct vma *v)
{
    ASSERT(v->start < v->end);
    v->gap = v->subtree_gap = 0;
    ASSERT(!RB_INSERT(vma_tree, &mm->vmas, v));
    gap_update(v);
    gap_update(vma_next(v));
    mm->vma_count++;
    vma_account(mm, v->flags, vma_pages(v), 1);
}

void vma_unlink(struct mm *mm, struct vma *v)
{
    struct vma *next = vma_next(v), *parent = RB_PARENT(v, node);
    RB_REMOVE(vma_tree, &mm->vmas, v);
    gap_propagate(parent);
    gap_update(next);
    if (mm->found == v)
        mm->found = NULL;
    mm->vma_count--;
    vma_account(mm, v->flags, vma_pages(v), -1);
}

void vma_set_range(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
{
    ASSERT(start < end);
    vma_account(mm, v->flags, vma_pages(v), -1);
    if (start > v->start)
        v->pgoff += (start - v->start) >> PAGE_SHIFT;
    else
        v->pgoff -= (v->start - start) >> PAGE_SHIFT;
    v->start = start;
    v->end = end;
    vma_account(mm, v->flags, vma_pages(v), 1);
    gap_update(v);
    gap_update(vma_next(v));
}

/* ---- Making, splitting, joining ------------------------------------------------------------- */

struct vma *vma_alloc(struct mm *mm, uintptr_t start, uintptr_t end, unsigned flags)
{
    struct vma *v = kzalloc(sizeof(*v));
    if (!v)
        return NULL;
    v->mm = mm;
    v->start = start;
    v->end = end;
    v->flags = flags;
    list_init(&v->object_link);
    list_init(&v->dead_link);
    return v;
}

void vma_free(struct vma *v)
{
    shared_detach(v);
    if (v->file)
        file_put(v->file);
    if (v->name_owned)
        kfree((void *)v->name);
    kfree(v);
}

void vma_free_list(struct list *dead)
{
    struct vma *v, *tmp;
    list_for_each_safe(v, tmp, dead, dead_link)
    {
        list_del(&v->dead_link);
        vma_free(v);
    }
}

int vma_split(struct mm *mm, struct vma *v, uintptr_t addr, struct vma **upper)
{
    struct vma *u = vma_alloc(mm, addr, v->end, v->flags);
    char *name = v->name_owned ? kstrdup(v->name) : NULL;
    if (!u || (v->name_owned && !name))
        goto fail;
    u->pgoff = vma_pgoff(v, addr);
    if (v->object)
        shared_join(u, v->object);
    u->name = name ? name : v->name;
    u->name_owned = name != NULL;
    u->file = v->file ? file_get(v->file) : NULL;
    vma_set_range(mm, v, v->start, addr);
    /* The lower part of a stack grows; what is cut off above it does not. */
    u->flags &= ~VM_GROWSDOWN;
    vma_link(mm, u);
    if (upper)
        *upper = u;
    return 0;
fail:
    kfree(u);
    kfree(name);
    return -ENOMEM;
}

static bool same_name(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/*
 * Whether `b`, right behind `a`, may become part of it. What was written stays apart from what was not (Linux looks at
 * their anon_vma): a library's read-only data is shared by relatives and kept, its relocated data is not.
 */
static bool vma_joins(const struct vma *a, const struct vma *b)
{
    if (a->end != b->start || a->flags != b->flags || a->file != b->file)
        return false;
    if ((a->flags & VM_SPECIAL) || a->object != b->object || !same_name(a->name, b->name))
        return false;
    return !a->file || a->pgoff + vma_pages(a) == b->pgoff;
}

struct vma *vma_merge(struct mm *mm, struct vma *v, struct list *dead)
{
    struct vma *prev = vma_prev(v), *next = vma_next(v);
    for (; next && vma_joins(v, next); next = vma_next(v)) {
        uintptr_t end = next->end;
        vma_unlink(mm, next);
        list_add(dead, &next->dead_link);
        vma_set_range(mm, v, v->start, end);
    }
    if (prev && vma_joins(prev, v)) {
        uintptr_t end = v->end;
        vma_unlink(mm, v);
        list_add(dead, &v->dead_link);
        vma_set_range(mm, prev, prev->start, end);
        v = prev;
    }
    return v;
}

int vma_isolate(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct vma *v = mm_find(mm, start);
    if (v && v->start < start && vma_split(mm, v, start, NULL))
        return -ENOMEM;
    v = mm_find(mm, end - 1);
    if (v && v->end > end && vma_split(mm, v, end, NULL))
        return -ENOMEM;
    return 0;
}
