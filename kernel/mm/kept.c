/* SPDX-License-Identifier: MIT */
/*
 * What one program leaves for the next: pages of an address space that ended, in place, for a mapping of the same part
 * of the same file at the same address. Most processes run programs and libraries that ran before, and a chunk is laid
 * out for its next user as it was for the last (docs/adr/0009-kept-pages.md), so that most of them start without
 * getting a page from the host.
 *
 * A page is kept when its file is as the archive has it and nobody can write it. It is free (anybody may claim it, or
 * trim it), but looks absent (PS_FREE without PS_PRESENT), so that it may lie under a mapping: under the one that a
 * dynamic linker makes of a whole library before it maps the segments over it, and for a moment under new text. It can
 * be used there without a fault, which is why only content of that very place in the file may lie there, and why no
 * kept text stays whose system calls were rewritten otherwise.
 *
 * Locking: mm->kept is guarded by mm->lock and, while chunks are claimed, g_chunk_lock; a chunk's own list by
 * g_chunk_lock.
 */
#include "family.h"
#include <kernel/boot.h>
#include <kernel/loader.h>
#include <kernel/task.h>

#define STACK_ROOM (1UL << 30) /* how far a stack is expected to grow */

void kept_free(struct kept *list)
{
    while (list) {
        struct kept *k = list;

        list = k->next;
        kfree(k);
    }
}

/* ---- Leaving -------------------------------------------------------------------------------------------- */

static bool is_pristine(const struct vma *v, uintptr_t start, uintptr_t end)
{
    u64 first = vma_pgoff(v, start);

    return pagecache_pristine(v->file->inode, first, first + ((end - start) >> PAGE_SHIFT));
}

static bool worth_keeping(const struct mm *mm, const struct vma *v)
{
    struct rewritten text;
    bool alone;

    if ((v->flags & VM_WRITTEN) ||
        (!(v->flags & VM_SPECIAL) && (!vma_clean(v) || !is_pristine(v, v->start, v->end))))
        return false;
    rewrite_where(mm, v->start, &text);
    if (text.base && !(v->flags & VM_EXEC)) /* its content is not the file's */
        return false;
    return chunk_run(mm, v->start, v->end, &alone) == v->end && alone;
}

static void leave_record(struct mm *mm, const struct vma *v)
{
    struct kept *k = kzalloc(sizeof(*k));

    if (!k)
        return;
    k->start = v->start;
    k->end = v->end;
    if (v->file) {
        k->sb = v->file->inode->sb;
        k->ino = v->file->inode->ino;
        k->pgoff = v->pgoff;
    }
    rewrite_where(mm, v->start, &k->text);
    chunk_leave(k);
}

void kept_retire(struct mm *mm)
{
    kept_free(mm->kept);
    mm->kept = NULL;
    if (manifest_flag(MANIFEST_DEBUG)) /* there may be breakpoints in them */
        return;
    for (struct vma *v = mm_find_next(mm, 0); v && v->start < SHARED_START; v = vma_next(v)) {
        if (!worth_keeping(mm, v))
            continue;
        mm_drop_kept(mm, v->start, v->end); /* what it never took, it cannot describe */
        v->flags |= VM_KEPT;
        if (!(v->flags & VM_TRAMPOLINE)) /* those come with the text that they belong to */
            leave_record(mm, v);
    }
}

/* ---- Finding -------------------------------------------------------------------------------------------- */

static bool describes(const struct kept *k, const struct vma *v, uintptr_t va)
{
    if (!v->file)
        return !k->sb && (v->flags & VM_VDSO) && k->start == v->start;
    return k->sb == v->file->inode->sb && k->ino == v->file->inode->ino &&
           k->pgoff + ((va - k->start) >> PAGE_SHIFT) == vma_pgoff(v, va);
}

/* The record for what lies in place at the start of [va, *end), which is cut to what it says. */
static const struct kept *find(struct mm *mm, const struct vma *v, uintptr_t va, uintptr_t *end) REQUIRES(&mm->lock)
{
    if (READ_ONCE(mm->family->member_count) > 1)
        return NULL;
    for (const struct kept *k = mm->kept; k; k = k->next) {
        if (va < k->start || va >= k->end || !describes(k, v, va))
            continue;
        *end = min(*end, k->end);
        return !v->file || is_pristine(v, va, *end) ? k : NULL;
    }
    return NULL;
}

/* ---- Taking --------------------------------------------------------------------------------------------- */

/* Claims free pages [va, *next). False: *next is `va`, they have to be looked at again. */
static bool claim(uintptr_t va, uintptr_t *next)
{
    if (free_claim_or_wait(va, *next))
        return true;
    *next = va;
    return false;
}

/* They become the mapping's own. */
static void take(struct mm *mm, uintptr_t va, uintptr_t *next)
{
    if (claim(va, next))
        mm_rss_add(mm, (s64)((*next - va) >> PAGE_SHIFT));
}

static int release(uintptr_t va, uintptr_t *next)
{
    int err = claim(va, next) ? pages_release(va, *next) : 0;

    if (err)
        free_put(va, *next);
    return err;
}

/* The file's content for a page that is ours and writable. Behind the file's end a linker gets zeros, else nothing. */
static int fill(struct mm *mm, const struct vma *v, uintptr_t va, bool linker)
{
    int err = pagecache_read_page(v->file->inode, vma_pgoff(v, va), (void *)va);

    if (err && !(err == -ENXIO && linker))
        return pages_release(va, va + PAGE_SIZE);
    if (err)
        memset((void *)va, 0, PAGE_SIZE);
    mm_rss_add(mm, 1);
    return 0;
}

/* Pages that can be written get the file's content: no call of the host, and data is mostly touched. */
static int refill(struct mm *mm, const struct vma *v, uintptr_t va, uintptr_t *next, bool linker)
    REQUIRES(&mm->lock)
{
    const unsigned rw = TARGET_READ | TARGET_WRITE;
    uintptr_t at = va;
    int err;

    if (!claim(va, next))
        return 0;
    err = pages_protect(va, *next, ps_get(va), rw);
    for (; !err && at < *next; at += PAGE_SIZE)
        err = fill(mm, v, at, linker);
    if (!err)
        err = range_protect(mm, va, *next, vma_prot(v->flags));
    if (err) {
        range_abandon(mm, va, at);
        free_put(at, *next);
    }
    return err;
}

static bool may_refill(const struct vma *v, u8 state, bool linker)
{
    return !((v->flags | state) & VM_EXEC) && (linker || vma_prot(v->flags) == (TARGET_READ | TARGET_WRITE));
}

_Static_assert(VM_EXEC == TARGET_EXEC, "one bit for both");

static int prepare_run(struct mm *mm, const struct vma *v, uintptr_t va, uintptr_t *next, u8 state, bool linker)
    REQUIRES(&mm->lock)
{
    const struct kept *k = state & PS_PRESENT ? NULL : find(mm, v, va, next);
    bool same = k && (state & PS_PERM) == vma_prot(v->flags);

    if (same && (!(v->flags & VM_EXEC) || (v->flags & VM_VDSO))) {
        take(mm, va, next);
        return 0;
    }
    if (same || (k && linker))
        return 0; /* text: until kept_take_text(), or until the linker maps that */
    if (v->file && may_refill(v, state, linker))
        return refill(mm, v, va, next, linker);
    return release(va, next);
}

int kept_prepare(struct mm *mm, const struct vma *v, bool linker)
{
    uintptr_t va = v->start, next;
    u8 state;

    ps_for_each_run(va, next, v->end, 0xff, state)
    {
        int err;

        if (!(state & PS_FREE) || ((v->flags & VM_TRAMPOLINE) && !(state & PS_PRESENT)))
            continue;
        err = prepare_run(mm, v, va, &next, state, linker);
        if (err) {
            range_abandon(mm, v->start, next);
            return err;
        }
    }
    return 0;
}

/* ---- Text ----------------------------------------------------------------------------------------------- */

static bool same_places(const struct rewritten *a, const struct rewritten *b)
{
    return a->base == b->base && a->start == b->start && a->end == b->end;
}

/* The host does not take a page back that would run, or be read, as it is: the program must not go on. */
static void give_up(struct mm *mm, uintptr_t va, int err)
{
    pr_err("the page at %#lx of an earlier process cannot be released (error %d): process killed", va, -err);
    WRITE_ONCE(mm->lost, true);
    task_set_work(current, WORK_TURN);
    tasks_interrupt(mm, WORK_TURN);
}

/* The kept pages of [va, end): ours, or (`wanted` false) released. */
static void resolve(struct mm *mm, uintptr_t va, uintptr_t end, bool wanted)
{
    uintptr_t next;
    u8 state;

    ps_for_each_run(va, next, end, 0xff, state)
    {
        int err = 0;

        if ((state & (PS_FREE | PS_PRESENT)) != PS_FREE)
            continue;
        if (wanted)
            take(mm, va, &next);
        else
            err = release(va, &next);
        if (err)
            give_up(mm, va, err);
    }
}

void mm_drop_kept(struct mm *mm, uintptr_t start, uintptr_t end)
{
    assert_held(&mm->lock);
    resolve(mm, start, end, false);
}

/*
 * Text of a file that nobody can write may find what it needs; code that comes otherwise cannot: what is kept there, and
 * where its trampolines are to be, would run as it is.
 */
static void take_text(struct mm *mm, const struct vma *v, uintptr_t va, uintptr_t end) REQUIRES(&mm->lock)
{
    bool may = (v->flags & VM_EXEC) && vma_clean(v), any = false;
    struct rewritten now;
    uintptr_t next;

    rewrite_where(mm, va, &now);
    for (; va < end; va = next) {
        const struct kept *k;
        bool wanted;

        next = end;
        k = may ? find(mm, v, va, &next) : NULL;
        wanted = k && same_places(&k->text, &now);
        resolve(mm, va, next, wanted);
        any |= wanted;
    }
    resolve(mm, now.start, now.end, any);
}

void kept_take_text(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct vma *v;

    mm_lock(mm);
    v = mm_find(mm, start);
    if (v)
        take_text(mm, v, start, min(end, v->end));
    mm_unlock(mm);
}

int kept_clear_below(struct mm *mm, uintptr_t start)
{
    struct vma *v = mm_find_next(mm, 0);
    uintptr_t va = start - min(start, STACK_ROOM), next;
    u8 state;

    for (; v && v->start < start; v = vma_next(v))
        va = max(va, v->end);
    ps_for_each_run(va, next, start, 0xff, state)
    {
        int err = state & PS_FREE ? release(va, &next) : 0;

        if (err)
            return err;
    }
    return 0;
}

int kept_drop(uintptr_t va)
{
    uintptr_t next = va + PAGE_SIZE;
    int err = 0;

    while (!err && (ps_get(va) & PS_FREE)) {
        next = va + PAGE_SIZE;
        err = release(va, &next);
    }
    return err;
}
