/* SPDX-License-Identifier: MIT */
/* Members of families, entering and leaving, taking turns (family.h). */
#include "family.h"
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/wait.h>

struct waiting {
    struct list link; /* in family->queue */
    struct mm *mm;
    struct task *task;
};

/* ---- Members ---------------------------------------------------------------------------------------- */

int family_create(struct mm *mm) NO_LOCK_ANALYSIS /* nobody sees it yet */
{
    struct family *f = kzalloc(sizeof(*f));

    if (!f)
        return -ENOMEM;
    ref_init(&f->ref);
    mutex_init(&f->lock, "family");
    list_init(&f->members);
    list_init(&f->queue);
    list_init(&f->chunks);
    waitqueue_init(&f->wq);
    list_add(&f->members, &mm->family_link);
    f->member_count = 1;
    f->resident = mm;
    mm->family = f;
    return 0;
}

struct family *family_get(struct family *f)
{
    ref_get(&f->ref);
    return f;
}

void family_put(struct family *f)
{
    if (!ref_put(&f->ref))
        return;
    chunks_drop(f, NULL);
    kfree(f);
}

static void gate_set(struct mm *mm, u32 bits)
{
    __atomic_fetch_or(&mm->gate, bits, __ATOMIC_SEQ_CST);
}

static void gate_clear(struct mm *mm, u32 bits)
{
    __atomic_fetch_and(&mm->gate, ~bits, __ATOMIC_SEQ_CST);
}

void family_add(struct family *f, struct mm *mm)
{
    struct mm *other;

    assert_held(&f->lock);
    list_for_each(other, &f->members, family_link)
    {
        gate_set(other, GATE_FAMILY);
    }
    gate_set(mm, GATE_FAMILY);
    list_add_tail(&f->members, &mm->family_link);
    f->member_count++;
    mm->family = family_get(f);
}

/* The one that is left is alone again, at all addresses. */
static void last_member(struct family *f) REQUIRES(&f->lock)
{
    struct mm *mm = list_first(&f->members, struct mm, family_link);

    if (f->member_count != 1 || f->resident != mm)
        return;
    chunks_own(mm);
    saved_free(mm); /* of guarded pages; their marks mean nothing without */
    gate_clear(mm, GATE_FAMILY);
}

/* Who gets the place of a member that ends: the first that waits, or any. */
static struct mm *heir(struct family *f) REQUIRES(&f->lock)
{
    if (!list_empty(&f->queue))
        return list_first(&f->queue, struct waiting, link)->mm;
    return list_empty(&f->members) ? NULL : list_first(&f->members, struct mm, family_link);
}

void family_remove(struct mm *mm, void (*clear)(struct mm *mm, struct list *dead), struct list *dead)
{
    struct family *f = mm->family;
    struct mm *next;

    mutex_lock(&f->lock);
    list_del(&mm->family_link);
    next = heir(f);
    if (f->resident == mm && next) {
        exchange(f, mm, next, true);
        f->slice_end = time_monotonic() + SLICE_NS;
    }
    if (f->resident == mm)
        f->resident = next;
    clear(mm, dead);
    saved_free(mm);
    f->member_count--;
    if (next)
        last_member(f);
    mutex_unlock(&f->lock);
    chunks_drop(f, mm);
    waitqueue_wake(&f->wq, ~0u);
    mm->family = NULL;
    family_put(f);
}

/* ---- Leaving ------------------------------------------------------------------------------------------ */

static void leave(struct task *t)
{
    struct mm *mm = t->in_mm;

    t->in_mm = NULL;
    __atomic_fetch_sub(&mm->inside, 1, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&mm->gate, __ATOMIC_SEQ_CST)) &&
        __atomic_load_n(&mm->family->waiting, __ATOMIC_SEQ_CST))
        waitqueue_wake(&mm->family->wq, ~0u);
}

void mm_leave(void)
{
    struct task *t = current;

    if (!t->in_mm || t->mm_pins)
        return;
    leave(t);
    task_set_work(t, WORK_TURN); /* so that the way back to the program enters */
}

/* ---- Entering ----------------------------------------------------------------------------------------- */

/* It has to wait for who makes a copy of its memory, and must not keep that one waiting. */
static bool held_up(const struct waiting *w)
{
    return w->mm->stopper && w->mm->stopper != w->task;
}

/* Whether a task that waits before `w`, and could enter, wants another member than the resident one. */
static bool other_is_first(struct family *f, const struct waiting *w) REQUIRES(&f->lock)
{
    const struct waiting *each;

    list_for_each(each, &f->queue, link)
    {
        if (each == w)
            return false;
        if (each->mm != f->resident && !held_up(each))
            return true;
    }
    return false;
}

/* Interrupts the tasks of the resident member: on their way back to the program they take turns. */
static void interrupt_resident(struct family *f) REQUIRES(&f->lock)
{
    if (f->resident)
        tasks_interrupt(f->resident, WORK_TURN);
}

/* Puts the member in place, if nobody is inside of the one that is. */
static bool try_switch(struct family *f, struct mm *mm) REQUIRES(&f->lock)
{
    struct mm *old = f->resident;

    if (old && __atomic_load_n(&old->inside, __ATOMIC_SEQ_CST))
        return false;
    exchange(f, old, mm, false);
    f->resident = mm;
    f->slice_end = time_monotonic() + SLICE_NS;
    last_member(f);
    return true;
}

/* One look: whether the task may enter `mm` now. */
static bool may_enter(struct family *f, struct mm *mm, const struct waiting *w) REQUIRES(&f->lock)
{
    bool over = time_monotonic() >= f->slice_end;

    if (mm->stopper && mm->stopper != current)
        return false;
    if (f->resident == mm)
        return !over || !other_is_first(f, w);
    if (other_is_first(f, w))
        return false;
    if (try_switch(f, mm))
        return true;
    if (over)
        interrupt_resident(f);
    return false;
}

/* How long to wait before the resident member may be interrupted, or interrupted again. */
static u64 next_look(struct family *f) REQUIRES(&f->lock)
{
    return max(f->slice_end, time_monotonic() + SLICE_NS / 4);
}

/* A wake that was meant for a wait around this one may have been taken for ours: its task_block() looks again. */
static void wake_outer(struct task *t)
{
    if (!list_empty(&t->waiters))
        __atomic_store_n(&t->woken, 1, __ATOMIC_RELAXED);
}

static void enter_slowly(struct mm *mm)
{
    struct family *f = mm->family;
    struct waiting w = {.mm = mm, .task = current};
    struct waiter waiter;
    struct task *t = current;

    __atomic_fetch_add(&f->waiting, 1, __ATOMIC_SEQ_CST);
    waiter_add(&waiter, &f->wq, ~0u);
    mutex_lock(&f->lock);
    list_add_tail(&f->queue, &w.link);
    while (!may_enter(f, mm, &w)) {
        u64 deadline = next_look(f);

        mutex_unlock(&f->lock);
        (void)task_block(deadline, false);
        mutex_lock(&f->lock);
    }
    list_del(&w.link);
    __atomic_store_n(&t->in_mm, mm, __ATOMIC_RELAXED);
    __atomic_fetch_add(&mm->inside, 1, __ATOMIC_SEQ_CST);
    mutex_unlock(&f->lock);
    waiter_remove(&waiter);
    __atomic_fetch_sub(&f->waiting, 1, __ATOMIC_SEQ_CST);
    waitqueue_wake(&f->wq, ~0u);
    wake_outer(t);
}

static void enter(struct mm *mm)
{
    struct task *t = current;

    __atomic_store_n(&t->in_mm, mm, __ATOMIC_RELAXED); /* before the barrier: proc/membarrier.c */
    __atomic_fetch_add(&mm->inside, 1, __ATOMIC_SEQ_CST);
    if (likely(!__atomic_load_n(&mm->gate, __ATOMIC_SEQ_CST)))
        return;
    leave(t);
    enter_slowly(mm);
}

void mm_enter(void)
{
    struct task *t = current;

    if (likely(t->in_mm == t->mm))
        return;
    if (t->in_mm)
        leave(t);
    if (t->mm)
        enter(t->mm);
}

void mm_lock(struct mm *mm) NO_LOCK_ANALYSIS
{
    struct task *t = current;

    ASSERT(!t->mm_pins);
    if (unlikely(t->in_mm != mm)) {
        if (t->in_mm)
            leave(t);
        enter(mm);
    }
    t->mm_pins++;
    mutex_lock(&mm->lock);
}

void mm_unlock(struct mm *mm) NO_LOCK_ANALYSIS
{
    struct task *t = current;

    mutex_unlock(&mm->lock);
    t->mm_pins--;
    if (unlikely(mm != t->mm))
        mm_leave();
}

void mm_take_turns(void)
{
    struct task *t = current;
    struct mm *mm = t->mm;

    if (t->in_mm && mm->gate) {
        struct family *f = mm->family;
        bool yield = mm->stopper || (__atomic_load_n(&f->waiting, __ATOMIC_SEQ_CST) &&
                                     time_monotonic() >= READ_ONCE(f->slice_end));

        if (yield)
            leave(t);
    }
    mm_enter();
    if (unlikely(READ_ONCE(mm->lost)))
        signal_force_fault(SIGKILL, SI_KERNEL, 0, 0, 0);
}

/* ---- Stopping an address space --------------------------------------------------------------------------- */

void mm_stop_others(struct mm *mm)
{
    struct family *f = mm->family;
    struct waiter waiter;

    mutex_lock(&f->lock);
    mm->stopper = current;
    gate_set(mm, GATE_STOPPED);
    mutex_unlock(&f->lock);
    __atomic_fetch_add(&f->waiting, 1, __ATOMIC_SEQ_CST);
    waiter_add(&waiter, &f->wq, ~0u);
    for (;;) {
        mm_enter();
        if (__atomic_load_n(&mm->inside, __ATOMIC_SEQ_CST) == 1)
            break;
        tasks_interrupt(mm, WORK_TURN);
        (void)task_block(time_monotonic() + SLICE_NS, false);
    }
    waiter_remove(&waiter);
    __atomic_fetch_sub(&f->waiting, 1, __ATOMIC_SEQ_CST);
}

void mm_continue_others(struct mm *mm)
{
    struct family *f = mm->family;

    mutex_lock(&f->lock);
    mm->stopper = NULL;
    gate_clear(mm, GATE_STOPPED);
    mutex_unlock(&f->lock);
    waitqueue_wake(&f->wq, ~0u);
}

/* ---- Programs at fixed addresses ----------------------------------------------------------------------- */

/* Leaves the family of its own, which has no addresses yet. */
static void leave_own_family(struct mm *mm)
{
    struct family *own = mm->family;

    mutex_lock(&own->lock);
    list_del(&mm->family_link);
    own->member_count--;
    own->resident = NULL;
    mutex_unlock(&own->lock);
    mm->family = NULL;
    family_put(own);
}

/*
 * Joins `f`, with whose members `mm` takes turns from then on, and shares the range with them. -EAGAIN: `f` has
 * ended meanwhile; -ENOMEM.
 */
static int join(struct mm *mm, struct family *f, uintptr_t start, uintptr_t end)
{
    int err = -EAGAIN;

    mutex_lock(&f->lock);
    if (f->member_count == 1) /* so that only what both claim is exchanged */
        chunks_own(list_first(&f->members, struct mm, family_link));
    if (READ_ONCE(mm->family->member_count) > 1)
        err = -ENOMEM; /* it has relatives already, and cannot have two families */
    else if (f->member_count)
        err = chunks_share_range(f, start, end);
    if (!err) {
        leave_own_family(mm);
        family_add(f, mm);
    }
    mutex_unlock(&f->lock);
    return err;
}

int mm_share_range(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct family *f;
    int err = -EAGAIN;

    mm_leave();
    while (err == -EAGAIN && (f = chunk_family(start, end, mm))) {
        err = join(mm, f, start, end);
        family_put(f);
    }
    return err == -EAGAIN ? 0 : err;
}

uintptr_t mm_home(struct mm *mm, u64 *seed)
{
    uintptr_t home = group_count() > 1 ? chunk_take_used(mm) : 0;

    if (home)
        *seed = chunk_seed(home);
    return home;
}
