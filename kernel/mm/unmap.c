/* SPDX-License-Identifier: MIT */
/*
 * Removing mappings: munmap(2)'s core, brk(2), and the end of an address space.
 *
 * VMAs leave the tree under mm->lock; what they own (files, names) is put after it is dropped,
 * since the last reference on a file runs VFS code. What can fail (splits, content of shared files
 * going back to the page cache) happens before anything is removed.
 */
#include "family.h"
#include <kernel/boot.h>
#include <kernel/loader.h>
#include <syscalls.gen.h>
#include <kernel/task.h>

static void leave_range(struct mm *mm, uintptr_t start, uintptr_t end, bool leaving) REQUIRES(&mm->lock)
{
    for (struct vma *v = mm_find_next(mm, start); v && v->start < end; v = vma_next(v))
        shared_leave(v, leaving);
}

static int unbind_range(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock)
{
    int err = 0;
    leave_range(mm, start, end, true);
    for (struct vma *v = mm_find_next(mm, start); v && v->start < end && !err; v = vma_next(v))
        err = vma_shared_file(v) ? shared_unbind(mm, v, v->start, v->end) : 0;
    if (err)
        leave_range(mm, start, end, false);
    return err;
}

static void remove_vma(struct mm *mm, struct vma *v, struct list *dead) REQUIRES(&mm->lock)
{
    if (v->flags & VM_EXEC)
        rewrite_unmap(mm, v->start, v->end - v->start);
    if ((v->flags & (VM_EXEC | VM_SHARED)) == VM_EXEC && v->file)
        target_debug_map(NULL, v->start - (vma_pgoff(v, v->start) << PAGE_SHIFT));
    range_drop(mm, v, v->start, v->end);
    vma_unlink(mm, v);
    list_add(dead, &v->dead_link);
}

/* An end of a plain VMA goes: by far the most usual case, without a split. */
static bool unmap_edge(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock)
{
    struct vma *v = mm_find(mm, start);
    if (!v || v->object || (v->flags & (VM_EXEC | VM_SHARED)) || end > v->end)
        return false;
    if (v->start == start && end < v->end) {
        range_drop(mm, v, start, end);
        vma_set_range(mm, v, end, v->end);
        return true;
    }
    if (v->start < start && end == v->end) {
        range_drop(mm, v, start, end);
        vma_set_range(mm, v, v->start, start);
        return true;
    }
    return false;
}

int unmap_locked(struct mm *mm, uintptr_t start, uintptr_t end, struct list *dead)
{
    struct vma *v = mm_find_next(mm, start), *next;
    assert_held(&mm->lock);
    if (vma_any_sealed(mm, start, end))
        return -EPERM;
    if (!v || v->start >= end || unmap_edge(mm, start, end))
        return 0;
    if (v->start < start && v->end > end && mm->vma_count >= MAX_MAP_COUNT)
        return -ENOMEM;
    int err = vma_isolate(mm, start, end);
    if (!err)
        err = unbind_range(mm, start, end);
    if (err)
        return err;
    for (v = mm_find_next(mm, start); v && v->start < end; v = next) {
        next = vma_next(v);
        remove_vma(mm, v, dead);
    }
    return 0;
}

int mm_unmap(struct mm *mm, uintptr_t addr, size_t size)
{
    struct list dead = LIST_INIT(dead);
    if ((addr & ~PAGE_MASK) || size == 0 || addr >= SHARED_END || size > SHARED_END - addr)
        return -EINVAL;
    mm_lock(mm);
    int err = unmap_locked(mm, addr, addr + page_up(size), &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    return err;
}

long sys_munmap(unsigned long addr, size_t size)
{
    return mm_unmap(current->mm, addr, size);
}

/* ---- brk(2) --------------------------------------------------------------------------------- */

static bool brk_grow(struct mm *mm, uintptr_t old, uintptr_t new, struct list *dead)
    REQUIRES(&mm->lock)
{
    const unsigned flags = VM_READ | VM_WRITE | VM_MAYWRITE | VM_HEAP | mm->lock_future;
    struct vma *next = mm_find_next(mm, old);
    uintptr_t room = next ? next->start : USER_END;
    if (next && (next->flags & VM_GROWSDOWN))
        room -= min(room, STACK_GUARD_GAP);
    if (new > room || map_may_grow(mm, flags, (new - old) >> PAGE_SHIFT) ||
        chunks_claim(mm, old, new))
        return false;
    return map_insert_anonymous(mm, old, new, flags, "[heap]", dead) == 0;
}

/* Whether the break may become `brk`, as to RLIMIT_DATA and the manifest. */
static bool brk_allowed(const struct mm *mm, uintptr_t brk)
{
    u64 limit = rlimit(RLIMIT_DATA);
    if (brk < mm->brk_start || brk >= USER_END || manifest_flag(MANIFEST_NO_BRK))
        return false;
    return brk - mm->brk_start + (mm->end_data - mm->start_data) <= limit;
}

/* Returns the break, unchanged where it cannot be moved: brk(2) of the kernel never gives an errno.
 */
long sys_brk(unsigned long brk)
{
    struct mm *mm = current->mm;
    struct list dead = LIST_INIT(dead);
    mm_lock(mm);
    uintptr_t old = page_up(mm->brk), new = page_up(brk);
    bool ok = brk_allowed(mm, brk);
    if (ok && new > old)
        ok = brk_grow(mm, old, new, &dead);
    else if (ok && new < old)
        ok = unmap_locked(mm, new, old, &dead) == 0;
    if (ok)
        mm->brk = brk;
    long ret = (long)mm->brk;
    bool locked = mm->lock_future & VM_LOCKED;
    mm_unlock(mm);
    vma_free_list(&dead);
    if (ok && locked && new > old)
        (void)mm_populate(mm, old, new, VM_WRITE);
    return ret;
}

/* ---- Address spaces ------------------------------------------------------------------------- */

/* The pages of a VMA go, but for those at addresses of others, which have their place now. */
static void drop_own(struct mm *mm, struct vma *v) REQUIRES(&mm->lock)
{
    uintptr_t va = v->start, next;
    bool alone;

    if (v->flags & VM_SHARED)
        range_drop(mm, v, v->start, v->end);
    else
        for (; va < v->end; va = next) {
            next = chunk_run(mm, va, v->end, &alone);
            if (alone)
                range_drop(mm, v, va, next);
        }
}

/* All mappings go to the list `dead`: files are put when no lock is held. */
static void mm_clear(struct mm *mm, struct list *dead)
{
    struct vma *v, *next;
    mutex_lock(&mm->lock);
    mm->ending = true;
    kept_retire(mm);
    /* Private memory first: it makes room for the content that shared files take back. */
    for (int shared = 0; shared < 2; shared++) {
        for (v = mm_find_next(mm, 0); v; v = next) {
            next = vma_next(v);
            if (vma_shared_file(v) != (shared != 0))
                continue;
            shared_leave(v, true);
            if (shared && shared_unbind(mm, v, v->start, v->end))
                pr_err("out of memory: the shared mapping at %#lx keeps its file's pages", v->start);
            drop_own(mm, v);
            vma_unlink(mm, v);
            list_add(dead, &v->dead_link);
        }
    }
    mutex_unlock(&mm->lock);
    rewrite_unmap(mm, 0, SHARED_END);
}

struct mm *mm_alloc(void)
{
    struct mm *mm = kzalloc(sizeof(*mm));
    if (!mm)
        return NULL;
    ref_init(&mm->ref);
    mutex_init(&mm->lock, "mm");
    mutex_init(&mm->fork_lock, "fork");
    list_init(&mm->family_link);
    RB_INIT(&mm->vmas);
    mm->mmap_base = USER_END;
    mm->last_chunk = USER_END; /* none */
    return mm;
}

struct mm *mm_create(void)
{
    struct mm *mm = mm_alloc();
    if (mm && family_create(mm)) {
        kfree(mm);
        return NULL;
    }
    return mm;
}

void mm_put(struct mm *mm)
{
    struct list dead = LIST_INIT(dead);
    if (!mm || !ref_put(&mm->ref))
        return;
    family_remove(mm, mm_clear, &dead);
    vma_free_list(&dead);
    kept_free(mm->kept);
    kfree(mm);
}

int mm_init(u64 memory_size)
{
    if (memory_size < 256 * PAGE_SIZE)
        return -ENOMEM;
    budget_init(memory_size >> PAGE_SHIFT);
    kpage_init();
    heap_init();
    return 0;
}
