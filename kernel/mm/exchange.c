/* SPDX-License-Identifier: MIT */
/*
 * Exchanging the pages of two members of a family (family.h).
 *
 * A page that is not in place lies in a frame, found by its number in mm->saved with the permissions it has in
 * place. Relatives with the same content share a frame. Pages of the program's files that were never written are not kept: they stay
 * where both members map the same, else they go and are read again.
 *
 * What both have is compared first: most pages of a parent and its child are equal, and pages that nobody may
 * write would cost the host's help to change. The choice between copying at the fork and catching the first write
 * stands in docs/adr/0008-fork.md.
 */
#include "saved.h"
#include <kernel/loader.h>
#include <kernel/printk.h>

/* ---- Saved pages --------------------------------------------------------------------------------------- */

/* A frame with one reference, its page not zeroed. NULL: no memory. */
static struct frame *frame_create(void)
{
    struct frame *f = kzalloc(sizeof(*f));

    if (!f)
        return NULL;
    f->refs = 1;
    f->page = kpages_alloc_dirty(1);
    if (f->page)
        return f;
    kfree(f);
    return NULL;
}

static void frame_put(struct frame *f)
{
    if (--f->refs)
        return;
    kpages_free(f->page, 1);
    kfree(f);
}

void saved_drop(struct mm *mm, uintptr_t va)
{
    u64 value = radix_delete(&mm->saved, va >> PAGE_SHIFT);

    if (value)
        frame_put(saved_frame(value));
}

void saved_free(struct mm *mm)
{
    u64 index = 0;

    for (; radix_next(&mm->saved, &index); index++)
        saved_drop(mm, index << PAGE_SHIFT);
}

/* ---- Contents ------------------------------------------------------------------------------------------- */

static bool page_equal(const void *a, const void *b)
{
    const u64 *x = a, *y = b;

    for (size_t i = 0; i < PAGE_SIZE / sizeof(u64); i += 4) {
        if ((x[i] ^ y[i]) | (x[i + 1] ^ y[i + 1]) | (x[i + 2] ^ y[i + 2]) | (x[i + 3] ^ y[i + 3]))
            return false;
    }
    return true;
}

static void page_swap(void *a, void *b)
{
    u64 *x = a, *y = b;

    for (size_t i = 0; i < PAGE_SIZE / sizeof(u64); i++)
        swap(x[i], y[i]);
}

#define TWINS_MAX 3 /* relatives whose saved pages are looked at */

/* A relative's frame with the content of the page in place, with a reference, or NULL. */
static struct frame *find_twin(struct mm *mm, uintptr_t va) REQUIRES(&mm->family->lock)
{
    struct family *f = mm->family;
    struct list *at = f->members.prev;

    for (int i = 0; i < TWINS_MAX && at != &f->members; i++, at = at->prev) {
        struct mm *other = list_entry(at, struct mm, family_link);
        u64 value = other == mm ? 0 : radix_get(&other->saved, va >> PAGE_SHIFT);

        if (value && page_equal((void *)va, saved_frame(value)->page)) {
            saved_frame(value)->refs++;
            return saved_frame(value);
        }
    }
    return NULL;
}

/* Saves the content of the page in place, in a new frame or (`share`) in that of a relative. */
static int save_copy(struct mm *mm, uintptr_t va, unsigned prot, bool share)
    REQUIRES(&mm->family->lock)
{
    struct frame *f = share ? find_twin(mm, va) : NULL;

    if (!f) {
        f = frame_create();
        if (!f)
            return -ENOMEM;
        f->equal = share ? 0 : EQUAL_WRITTEN;
        memcpy(f->page, (void *)va, PAGE_SIZE);
    }
    if (save(mm, va, f, prot)) {
        frame_put(f);
        return -ENOMEM;
    }
    return 0;
}

static int protect(uintptr_t va, unsigned old, unsigned prot)
{
    return old == prot ? 0 : pages_protect(va, va + PAGE_SIZE, PS_PRESENT | old, prot);
}

/* Gives a page that is in place other content and permissions. Executable ones never become writable. */
static int replace(uintptr_t va, unsigned old, const void *content, unsigned prot)
{
    int err;

    if ((old | prot) & TARGET_EXEC) {
        err = pages_release(va, va + PAGE_SIZE);
        return err ? err : pages_commit_copy(va, content, prot | TARGET_READ);
    }
    err = protect(va, old, RW);
    if (!err)
        memcpy((void *)va, content, PAGE_SIZE);
    return err ? err : protect(va, RW, prot);
}

/* ---- Putting away ----------------------------------------------------------------------------------------- */

/*
 * What is on its way out, and whose place it is to be. exchange() holds the family's lock and both mm->lock's for
 * all that takes one of these; the analysis cannot follow locks through it.
 */
struct transit {
    struct family *family;
    struct mm *from, *to;
    bool discard;               /* from's content goes: it ends, or is lost */
    uintptr_t guard, guard_end; /* pages that are to be guarded */
    unsigned guard_prot;
};

/* It is killed when it next wants to run (mm_take_turns()). */
static void lose(struct mm *mm, uintptr_t va, int err)
{
    if (!mm->lost)
        pr_err("the page at %#lx of a forked process cannot be kept (error %d): process killed", va, -err);
    WRITE_ONCE(mm->lost, true);
}

/* No memory for from's content: it is given up, so that `to` gets its own. */
static void give_up(struct transit *t, uintptr_t va)
{
    t->discard = true;
    lose(t->from, va, -ENOMEM);
}

/* The host does not let a page be changed: both have the wrong one. */
static void give_up_both(struct transit *t, uintptr_t va, int err)
{
    if (!t->discard)
        lose(t->from, va, err);
    t->discard = true;
    lose(t->to, va, err);
}

/* from's content is kept in `frame`, which consumes the reference. */
static void keep_frame(struct transit *t, uintptr_t va, struct frame *frame, unsigned prot) NO_LOCK_ANALYSIS
{
    if (!save(t->from, va, frame, prot))
        return;
    frame_put(frame);
    give_up(t, va);
}

/* to's content comes in place; `keep`: from's goes to a frame of its own. */
static int trade(struct transit *t, uintptr_t va, unsigned old, struct frame *theirs, unsigned prot,
                 bool keep) NO_LOCK_ANALYSIS
{
    if (keep && theirs->refs == 1 && old == RW) {
        page_swap((void *)va, theirs->page);
        theirs->equal = EQUAL_WRITTEN;
        theirs->refs++;
        keep_frame(t, va, theirs, old);
        return protect(va, old, prot);
    }
    if (keep && save_copy(t->from, va, old, false))
        give_up(t, va);
    return replace(va, old, theirs->page, prot);
}

static void guard_flush(struct transit *t)
{
    guard_range(t->to, t->guard, t->guard_end, t->guard_prot);
    t->guard = t->guard_end = 0;
}

/* Both have saved the page, in the same frame: it will be guarded with its neighbours. */
static void guard_add(struct transit *t, uintptr_t va, unsigned prot)
{
    if (t->guard_end != va || t->guard_prot != prot) {
        guard_flush(t);
        t->guard = va;
        t->guard_prot = prot;
    }
    t->guard_end = va + PAGE_SIZE;
}

/* What is in place is to's too. `keep`: from's frame is the same. */
static int pass_equal(struct transit *t, uintptr_t va, unsigned old, u64 value, bool keep) NO_LOCK_ANALYSIS
{
    struct frame *theirs = saved_frame(value);
    unsigned prot = saved_prot(value);

    theirs->equal++;
    theirs->refs++;
    if (keep)
        keep_frame(t, va, theirs, old);
    else
        frame_put(theirs);
    if (keep && !t->discard && guard_worth(theirs, old, prot)) {
        guard_add(t, va, prot);
        return 0;
    }
    saved_drop(t->to, va);
    return protect(va, old | TARGET_READ, prot);
}

/*
 * Both have a page: `value` is to's. Equal content is shared. What from's file can give again (`clean`) is not kept:
 * no clean mapping ever has saved pages.
 */
static int pass_saved(struct transit *t, uintptr_t va, unsigned old, u64 value, bool clean) NO_LOCK_ANALYSIS
{
    struct frame *theirs = saved_frame(value);
    unsigned readable = old | TARGET_READ;
    bool keep = !t->discard && !clean;
    int err = protect(va, old, readable);

    if (err)
        return err;
    if (clean)
        mm_rss_add(t->from, -1);
    if (page_equal((void *)va, theirs->page))
        return pass_equal(t, va, old, value, keep);
    (void)radix_delete(&t->to->saved, va >> PAGE_SHIFT);
    err = trade(t, va, readable, theirs, saved_prot(value), keep);
    frame_put(theirs);
    return err;
}

/* The page in place goes, as `to` has none there. What it maps there, if anything, it has never touched. */
static int make_empty(struct transit *t, uintptr_t va, unsigned old) NO_LOCK_ANALYSIS
{
    struct vma *v = mm_find(t->to, va);

    if (old == RW && v && vma_anonymous(v) && vma_prot(v->flags) == RW) {
        memset((void *)va, 0, PAGE_SIZE);
        mm_rss_add(t->to, 1);
        return 0;
    }
    if (old == RW && !v && t->family->member_count == 2) { /* no third one has a mapping there */
        memset((void *)va, 0, PAGE_SIZE);
        free_put(va, va + PAGE_SIZE);
        return 0;
    }
    return pages_release(va, va + PAGE_SIZE);
}

/* Only `from` has a page there. */
static int pass_empty(struct transit *t, uintptr_t va, unsigned old) NO_LOCK_ANALYSIS
{
    int err = protect(va, old, old | TARGET_READ);

    if (err)
        return err;
    if (!t->discard && save_copy(t->from, va, old, false))
        give_up(t, va);
    return make_empty(t, va, old | TARGET_READ);
}

/* from's content is saved already; it is to's too, or makes way. */
static int pass_guarded(struct transit *t, uintptr_t va, u64 own, u64 value) NO_LOCK_ANALYSIS
{
    unsigned prot = saved_prot(own);
    int err;

    if (value && saved_frame(value) == saved_frame(own) && saved_prot(value) == prot)
        return 0;
    err = guard_end(va, prot);
    if (err)
        return err;
    saved_frame(own)->equal = EQUAL_UNLIKE;
    if (t->discard)
        saved_drop(t->from, va);
    if (!value)
        return make_empty(t, va, prot);
    err = replace(va, prot, saved_frame(value)->page, saved_prot(value));
    saved_drop(t->to, va);
    return err;
}

/* How far from `va` on `to` maps the same part of the same file, as unwritten as `v` of `t->from`. */
static uintptr_t same_file_run(struct transit *t, const struct vma *v, uintptr_t va, uintptr_t end) NO_LOCK_ANALYSIS
{
    struct vma *o = mm_find_next(t->to, va);

    if (!o || o->start > va)
        return va;
    if (!vma_clean(o) || o->file->inode != v->file->inode || vma_pgoff(o, va) != vma_pgoff(v, va) ||
        vma_prot(o->flags) != vma_prot(v->flags))
        return va;
    if ((v->flags & VM_EXEC) && !rewrite_alike(t->from, t->to, va))
        return va;
    return min(end, o->end);
}

/* A clean page that `to` has nothing for: its file gives it again. */
static int drop_clean(struct transit *t, uintptr_t va) NO_LOCK_ANALYSIS
{
    int err = pages_release(va, va + PAGE_SIZE);

    if (!err)
        mm_rss_add(t->from, -1);
    return err;
}

static int put_page(struct transit *t, uintptr_t va, u8 state, bool clean) NO_LOCK_ANALYSIS
{
    u64 value = saved_get(t->to, va), own = ps_guarded(state) ? saved_get(t->from, va) : 0;
    unsigned prot = state & PS_PERM;

    if (own)
        return pass_guarded(t, va, own, value);
    if (ps_guarded(state))
        ps_set(va, va + PAGE_SIZE, state & ~PS_GUARD);
    if (value)
        return pass_saved(t, va, prot, value, clean);
    return clean ? drop_clean(t, va) : pass_empty(t, va, prot);
}

/* A run of present pages of one state. */
static void put_run(struct transit *t, struct vma *v, uintptr_t va, uintptr_t end, u8 state) NO_LOCK_ANALYSIS
{
    bool clean = vma_clean(v);

    while (va < end) {
        uintptr_t same = clean ? same_file_run(t, v, va, end) : va;
        int err;

        if (same > va) {
            va = same;
            continue;
        }
        err = put_page(t, va, state, clean);
        if (err)
            give_up_both(t, va, err);
        va += PAGE_SIZE;
    }
    guard_flush(t);
}

static void put_range(struct transit *t, struct vma *v, uintptr_t start, uintptr_t end) NO_LOCK_ANALYSIS
{
    uintptr_t va = start, next;
    u8 state;

    if (vma_shared_file(v)) { /* a relative may have other memory there */
        int err = shared_unbind_all(t->from, v, start, end);

        if (err)
            give_up_both(t, start, err);
        return;
    }
    idle_claim(t->from, start, end);
    ps_for_each_run(va, next, end, 0xff, state)
    {
        if (state & PS_PRESENT)
            put_run(t, v, va, next, state);
    }
}

/* All of from's pages at addresses that are not its alone, but for memory that is shared and has no file. */
static void put_away(struct transit *t) NO_LOCK_ANALYSIS
{
    for (struct vma *v = mm_find_next(t->from, 0); v && v->start < SHARED_START; v = vma_next(v)) {
        uintptr_t va = v->start, next;
        bool alone;

        if ((v->flags & VM_SHARED) && vma_anonymous(v))
            continue;
        for (; va < v->end; va = next) {
            next = chunk_run(t->from, va, v->end, &alone);
            if (!alone)
                put_range(t, v, va, next);
        }
    }
}

/* ---- Bringing back ------------------------------------------------------------------------------------------ */

static int bring_page(uintptr_t va, const void *content, unsigned prot)
{
    u8 state = ps_get(va);

    if ((state & PS_FREE) && !free_claim_or_wait(va, va + PAGE_SIZE))
        return bring_page(va, content, prot);
    if (state & PS_FREE)
        return replace(va, state & PS_PERM, content, prot);
    if (state & PS_PRESENT) /* a relative's shared memory that has no other place */
        return -ENOMEM;
    return pages_commit_copy(va, content, prot | TARGET_READ);
}

/* What is still saved has no counterpart in place, or is guarded there. */
static void bring(struct mm *to)
{
    u64 index = 0, value;

    for (; (value = radix_next(&to->saved, &index)); index++) {
        uintptr_t va = index << PAGE_SHIFT;
        int err;

        if (ps_guarded(ps_get(va)))
            continue;
        err = bring_page(va, saved_frame(value)->page, saved_prot(value));
        if (err) {
            lose(to, va, err);
            break;
        }
        saved_drop(to, va);
    }
}

static void lock_both(struct mm *a, struct mm *b) NO_LOCK_ANALYSIS
{
    if (a && b && a > b)
        swap(a, b);
    if (a)
        mutex_lock(&a->lock);
    if (b)
        mutex_lock(&b->lock);
}

static void unlock_both(struct mm *a, struct mm *b) NO_LOCK_ANALYSIS
{
    if (a)
        mutex_unlock(&a->lock);
    if (b)
        mutex_unlock(&b->lock);
}

void exchange(struct family *f, struct mm *from, struct mm *to, bool discard)
{
    struct transit t = {.family = f, .from = from, .to = to, .discard = discard};

    assert_held(&f->lock);
    lock_both(from, to);
    if (from) {
        guard_check(from);
        put_away(&t);
    }
    bring(to);
    unlock_both(from, to);
}

/* ---- Copying ------------------------------------------------------------------------------------------------- */

static int copy_run(struct mm *mm, uintptr_t va, uintptr_t end, u8 state)
    REQUIRES(&mm->family->lock)
{
    unsigned prot = state & PS_PERM;
    int err = prot & TARGET_READ ? 0 : pages_protect(va, end, state, prot | TARGET_READ);

    for (uintptr_t at = va; at < end && !err; at += PAGE_SIZE)
        err = save_copy(mm, at, prot, true);
    if (!(prot & TARGET_READ))
        (void)pages_protect(va, end, ps_get(va), prot);
    return err;
}

static int copy_vma(struct mm *mm, struct vma *v) REQUIRES(&mm->lock, &mm->family->lock)
{
    uintptr_t va = v->start, next;
    int err = 0;
    u8 state;

    idle_claim(mm, v->start, v->end);
    ps_for_each_run(va, next, v->end, 0xff, state)
    {
        if (state & PS_PRESENT)
            err = copy_run(mm, va, next, state);
        if (err)
            break;
    }
    return err;
}

int exchange_copy(struct mm *mm) NO_LOCK_ANALYSIS /* f is mm->family */
{
    struct family *f = mm->family;
    int err = 0;

    mutex_lock(&f->lock);
    err = guard_lift(mm);
    for (struct vma *v = mm_find_next(mm, 0); v && !err; v = vma_next(v)) {
        if (!(v->flags & VM_SHARED) && !vma_clean(v))
            err = copy_vma(mm, v);
    }
    if (err)
        saved_free(mm);
    mutex_unlock(&f->lock);
    return err;
}

void exchange_undo(struct mm *mm) NO_LOCK_ANALYSIS /* f is mm->family */
{
    struct family *f = mm->family;
    u64 index = 0, value;

    mutex_lock(&f->lock);
    while ((value = radix_next(&mm->saved, &index))) {
        uintptr_t va = index << PAGE_SHIFT;

        (void)radix_delete(&mm->saved, index);
        int err = ps_get(va) & PS_PRESENT
                      ? 0
                      : pages_commit_copy(va, saved_frame(value)->page, saved_prot(value) | TARGET_READ);

        if (err)
            lose(mm, va, err);
        frame_put(saved_frame(value));
    }
    mutex_unlock(&f->lock);
}
