/* SPDX-License-Identifier: MIT */
/*
 * mlock(2) and its family. Pages inside an enclave that are present stay so as far as the kernel is
 * concerned (the EPC's paging is the host's, encrypted, and not to be forbidden from inside), so
 * locking means: make present now, count against RLIMIT_MEMLOCK, refuse MADV_DONTNEED.
 */
#include "internal.h"
#include <kernel/task.h>
#include <syscalls.gen.h>

#define VM_LOCK_MASK (VM_LOCKED | VM_LOCKONFAULT)

static void set_lock(struct mm *mm, struct vma *v, unsigned lock) REQUIRES(&mm->lock)
{
    vma_account(mm, v->flags, vma_pages(v), -1);
    v->flags = (v->flags & ~VM_LOCK_MASK) | (v->flags & VM_SPECIAL ? 0 : lock);
    vma_account(mm, v->flags, vma_pages(v), 1);
}

/* Sets or clears the lock flags over a range that must be mapped throughout. */
static int lock_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned lock,
                      struct list *dead) REQUIRES(&mm->lock)
{
    uintptr_t at = start;
    if (mm->vma_count + 2 > MAX_MAP_COUNT)
        return -ENOMEM;
    int err = vma_isolate(mm, start, end);
    for (struct vma *v = mm_find_next(mm, start); !err && v && v->start < end; v = vma_next(v)) {
        if (v->start > at)
            return -ENOMEM;
        set_lock(mm, v, lock);
        v = vma_merge(mm, v, dead);
        at = v->end;
    }
    return err ? err : at < end ? -ENOMEM : 0;
}

/* Pages of the range that are locked already and so do not count twice. */
static u64 locked_pages(struct mm *mm, uintptr_t start, uintptr_t end) REQUIRES(&mm->lock)
{
    u64 pages = 0;
    for (struct vma *v = mm_find_next(mm, start); v && v->start < end; v = vma_next(v)) {
        if (v->flags & VM_LOCKED)
            pages += (min(v->end, end) - max(v->start, start)) >> PAGE_SHIFT;
    }
    return pages;
}

/* The errno that POSIX wants for what populating failed with. */
static int populate_error(int err)
{
    if (err == -EFAULT)
        return -ENOMEM;
    return err == -ENOMEM ? -EAGAIN : err;
}

static int lock_request(unsigned long addr, size_t size, unsigned lock)
{
    struct mm *mm = current->mm;
    struct list dead = LIST_INIT(dead);
    uintptr_t start = page_down(addr);
    size = page_up(size + (addr - start));
    if (start + size < start)
        return -EINVAL;
    if (size == 0)
        return 0;
    if (start + size > SHARED_END)
        return -ENOMEM;
    mm_lock(mm);
    int err = 0;
    if (lock && map_may_lock(mm, (size >> PAGE_SHIFT) - locked_pages(mm, start, start + size)))
        err = -ENOMEM;
    if (!err)
        err = lock_range(mm, start, start + size, lock, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    if (!err && lock == VM_LOCKED)
        err = populate_error(mm_populate(mm, start, start + size, VM_READ));
    return err;
}

static bool may_lock_at_all(void)
{
    return capable(CAP_IPC_LOCK) || rlimit(RLIMIT_MEMLOCK) != 0;
}

long sys_mlock(unsigned long addr, size_t size)
{
    return may_lock_at_all() ? lock_request(addr, size, VM_LOCKED) : -EPERM;
}

long sys_mlock2(unsigned long addr, size_t size, int flags)
{
    if (flags & ~MLOCK_ONFAULT)
        return -EINVAL;
    if (!may_lock_at_all())
        return -EPERM;
    return lock_request(addr, size, flags ? VM_LOCK_MASK : VM_LOCKED);
}

long sys_munlock(unsigned long addr, size_t size)
{
    return lock_request(addr, size, 0);
}

/* Locks or unlocks everything there is; special mappings are left out. */
static void lock_all(struct mm *mm, unsigned lock, struct list *dead) REQUIRES(&mm->lock)
{
    for (struct vma *v = mm_find_next(mm, 0); v; v = vma_next(v)) {
        set_lock(mm, v, lock);
        v = vma_merge(mm, v, dead);
    }
}

/* As Linux does it: what cannot be made present is left alone. */
static void populate_all(struct mm *mm)
{
    uintptr_t at = 0;
    for (;;) {
        mm_lock(mm);
        struct vma *v = mm_find_next(mm, at);
        uintptr_t start = v ? v->start : 0, end = v ? v->end : 0;
        mm_unlock(mm);
        if (!end)
            break;
        (void)mm_populate(mm, max(start, at), end, VM_READ);
        at = end;
    }
}

long sys_mlockall(int flags)
{
    struct mm *mm = current->mm;
    struct list dead = LIST_INIT(dead);
    const int known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if (!flags || (flags & ~known) || flags == MCL_ONFAULT)
        return -EINVAL;
    if (!may_lock_at_all())
        return -EPERM;
    unsigned lock = flags & MCL_ONFAULT ? VM_LOCK_MASK : VM_LOCKED;
    u64 limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
    mm_lock(mm);
    if ((flags & MCL_CURRENT) && !capable(CAP_IPC_LOCK) && mm->total_vm > limit) {
        mm_unlock(mm);
        return -ENOMEM;
    }
    mm->lock_future = flags & MCL_FUTURE ? lock : 0;
    if (flags & MCL_CURRENT)
        lock_all(mm, lock, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    if ((flags & MCL_CURRENT) && lock == VM_LOCKED)
        populate_all(mm);
    return 0;
}

long sys_munlockall(void)
{
    struct mm *mm = current->mm;
    struct list dead = LIST_INIT(dead);
    mm_lock(mm);
    mm->lock_future = 0;
    lock_all(mm, 0, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    return 0;
}
