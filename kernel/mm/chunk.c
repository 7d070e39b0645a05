/* SPDX-License-Identifier: MIT */
/*
 * Who uses which addresses, by chunks of 4 GiB (family.h). The table has two levels; its parts appear when
 * an address in them is first used.
 *
 * Locking: g_chunk_lock guards chunks and families' lists of them. An mm's own claims change with its mm->lock
 * held too.
 */
#include "family.h"
#include <kernel/random.h>

#define CHUNK_SHIFT 32
#define TOP_SHIFT   40
#define TOP_CHUNKS  (1u << (TOP_SHIFT - CHUNK_SHIFT))
#define TOP_COUNT   (USER_END >> TOP_SHIFT)
#define HOME_TRIES  64
#define HOME_FIRST  (1UL << TOP_SHIFT) /* low addresses are left to programs that ask for them */

struct chunk {
    struct family *family; /* NULL: free */
    struct mm *only;       /* the one member that uses it; NULL: all may */
    struct list link;      /* in the family's list */
    uintptr_t start;       /* set with the first claim */
    u64 seed;              /* 0: none was drawn yet */
    struct kept *kept;     /* what its last user left; owned */
};

/* Chunks that became free last: who takes one finds pages there that need not be brought. */
#define RECENT_MAX 32u

static spinlock_t g_chunk_lock = SPINLOCK_INIT("chunks");
static struct chunk *g_top[TOP_COUNT] GUARDED_BY(&g_chunk_lock);
static uintptr_t g_recent[RECENT_MAX] GUARDED_BY(&g_chunk_lock);
static unsigned g_recent_count GUARDED_BY(&g_chunk_lock);

/* The chunk of an address, NULL when its part of the table is not there or it lies beyond USER_END. */
static struct chunk *chunk_at(uintptr_t va) REQUIRES(&g_chunk_lock)
{
    struct chunk *top = va < USER_END ? g_top[va >> TOP_SHIFT] : NULL;

    return top ? &top[va >> CHUNK_SHIFT & (TOP_CHUNKS - 1)] : NULL;
}

/* Makes the parts of the table that cover a range. -ENOMEM. */
static int table_grow(uintptr_t start, uintptr_t end)
{
    for (uintptr_t i = start >> TOP_SHIFT; i <= (end - 1) >> TOP_SHIFT && i < TOP_COUNT; i++) {
        struct chunk *part;

        if (READ_ONCE(g_top[i]))
            continue;
        part = kcalloc(TOP_CHUNKS, sizeof(*part));
        if (!part)
            return -ENOMEM;
        spin_lock(&g_chunk_lock);
        if (!g_top[i]) {
            WRITE_ONCE(g_top[i], part);
            part = NULL;
        }
        spin_unlock(&g_chunk_lock);
        kfree(part);
    }
    return 0;
}

static bool is_alone(const struct chunk *c, const struct mm *mm)
{
    return c && c->family == mm->family && c->family &&
           (c->only == mm || READ_ONCE(c->family->member_count) == 1);
}

static bool is_free(const struct chunk *c)
{
    return !c || !c->family;
}

static uintptr_t next_chunk(uintptr_t va)
{
    return align_down(va, CHUNK_SIZE) + CHUNK_SIZE;
}

/* Nobody but `mm`, or all of its family, uses the range. */
static bool claimable(const struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&g_chunk_lock)
{
    for (uintptr_t va = start; va < end; va = next_chunk(va)) {
        const struct chunk *c = chunk_at(va);

        if (!is_free(c) && (c->family != mm->family || (c->only && !is_alone(c, mm))))
            return false;
    }
    return true;
}

static void take_kept(struct chunk *c, struct kept **list) REQUIRES(&g_chunk_lock)
{
    while (c->kept) {
        struct kept *k = c->kept;

        c->kept = k->next;
        k->next = *list;
        *list = k;
    }
}

static void claim_one(uintptr_t va, struct mm *mm) REQUIRES(&g_chunk_lock)
{
    struct chunk *c = chunk_at(va);

    if (is_free(c)) {
        take_kept(c, &mm->kept);
        c->start = align_down(va, CHUNK_SIZE);
        c->family = mm->family;
        c->only = mm;
        list_add(&mm->family->chunks, &c->link);
    }
}

/* The usual case: the chunk that was used last, by a member without others. */
static bool known(const struct mm *mm, uintptr_t start, uintptr_t end)
{
    return start >= mm->last_chunk && end <= mm->last_chunk + CHUNK_SIZE &&
           READ_ONCE(mm->family->member_count) == 1;
}

int chunks_claim(struct mm *mm, uintptr_t start, uintptr_t end)
{
    bool ok;

    end = min(end, USER_END);
    if (start >= end || known(mm, start, end))
        return 0;
    if (table_grow(start, end))
        return -ENOMEM;
    spin_lock(&g_chunk_lock);
    ok = claimable(mm, start, end);
    for (uintptr_t va = start; ok && va < end; va = next_chunk(va))
        claim_one(va, mm);
    spin_unlock(&g_chunk_lock);
    if (ok)
        mm->last_chunk = align_down(end - 1, CHUNK_SIZE);
    return ok ? 0 : -ENOMEM;
}

uintptr_t chunks_skip(const struct mm *mm, uintptr_t start, uintptr_t end)
{
    uintptr_t skip = end;

    if (known(mm, start, end))
        return end;
    spin_lock(&g_chunk_lock);
    for (uintptr_t va = start; va < min(end, USER_END); va = next_chunk(va)) {
        const struct chunk *c = chunk_at(va);

        if (!is_free(c) && !is_alone(c, mm))
            skip = align_down(va, CHUNK_SIZE);
    }
    spin_unlock(&g_chunk_lock);
    return skip;
}

uintptr_t chunk_run(const struct mm *mm, uintptr_t va, uintptr_t end, bool *alone)
{
    uintptr_t run = va;

    spin_lock(&g_chunk_lock);
    *alone = is_alone(chunk_at(va), mm);
    while (run < end && is_alone(chunk_at(run), mm) == *alone)
        run = next_chunk(run);
    spin_unlock(&g_chunk_lock);
    return min(run, end);
}

void chunks_share(struct mm *mm)
{
    struct chunk *c;

    spin_lock(&g_chunk_lock);
    list_for_each(c, &mm->family->chunks, link)
    {
        if (c->only == mm)
            c->only = NULL;
    }
    spin_unlock(&g_chunk_lock);
}

int chunks_share_range(struct family *f, uintptr_t start, uintptr_t end)
{
    bool ok = true;

    spin_lock(&g_chunk_lock);
    for (uintptr_t va = start; va < end; va = next_chunk(va)) {
        const struct chunk *c = chunk_at(va);

        if (c && c->family == f && c->only && c->only != f->resident)
            ok = false;
    }
    for (uintptr_t va = start; ok && va < end; va = next_chunk(va)) {
        struct chunk *c = chunk_at(va);

        if (c && c->family == f)
            c->only = NULL;
    }
    spin_unlock(&g_chunk_lock);
    return ok ? 0 : -ENOMEM;
}

void chunks_own(struct mm *mm)
{
    struct chunk *c;

    spin_lock(&g_chunk_lock);
    list_for_each(c, &mm->family->chunks, link)
    {
        c->only = mm;
    }
    spin_unlock(&g_chunk_lock);
}

void chunks_drop(struct family *f, const struct mm *only)
{
    struct kept *forgotten = NULL;
    struct chunk *c, *tmp;

    spin_lock(&g_chunk_lock);
    list_for_each_safe(c, tmp, &f->chunks, link)
    {
        if (only && c->only != only)
            continue;
        list_del(&c->link);
        c->family = NULL;
        c->only = NULL;
        if (g_recent_count < RECENT_MAX)
            g_recent[g_recent_count++] = c->start;
        else
            take_kept(c, &forgotten);
    }
    spin_unlock(&g_chunk_lock);
    kept_free(forgotten);
}

struct family *chunk_family(uintptr_t start, uintptr_t end, const struct mm *mm)
{
    struct family *found = NULL;

    spin_lock(&g_chunk_lock);
    for (uintptr_t va = start; va < end && !found; va = next_chunk(va)) {
        const struct chunk *c = chunk_at(va);

        if (!is_free(c) && c->family != mm->family)
            found = family_get(c->family);
    }
    spin_unlock(&g_chunk_lock);
    return found;
}

/* The chunk that became free last and still is; 0: none. */
static uintptr_t take_recent(struct mm *mm)
{
    uintptr_t found = 0;

    spin_lock(&g_chunk_lock);
    while (g_recent_count && !found) {
        uintptr_t va = g_recent[--g_recent_count];

        if (va >= HOME_FIRST && is_free(chunk_at(va)))
            found = va;
    }
    if (found)
        claim_one(found, mm);
    spin_unlock(&g_chunk_lock);
    return found;
}

uintptr_t chunk_take_used(struct mm *mm)
{
    uintptr_t va = take_recent(mm);

    return va ? va : chunk_take(mm);
}

u64 chunk_seed(uintptr_t va)
{
    u64 random = random_u64() | 1, seed;

    spin_lock(&g_chunk_lock);
    seed = chunk_at(va)->seed;
    if (!seed)
        seed = chunk_at(va)->seed = random;
    spin_unlock(&g_chunk_lock);
    return seed;
}

void chunk_leave(struct kept *k)
{
    struct chunk *c;

    spin_lock(&g_chunk_lock);
    c = chunk_at(k->start);
    k->next = c->kept;
    c->kept = k;
    spin_unlock(&g_chunk_lock);
}

uintptr_t chunk_take(struct mm *mm)
{
    for (int i = 0; i < HOME_TRIES; i++) {
        uintptr_t va = HOME_FIRST + align_down(random_u64() % (USER_END - HOME_FIRST), CHUNK_SIZE);
        bool taken;

        if (table_grow(va, va + CHUNK_SIZE))
            return 0;
        spin_lock(&g_chunk_lock);
        taken = is_free(chunk_at(va));
        if (taken)
            claim_one(va, mm);
        spin_unlock(&g_chunk_lock);
        if (taken)
            return va;
    }
    return 0;
}
