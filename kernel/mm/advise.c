/* SPDX-License-Identifier: MIT */
/*
 * madvise(2) and process_madvise(2): what a program says it will or will not need.
 *
 * MADV_DONTNEED on private anonymous memory zeroes what is present and keeps the pages accepted,
 * marked idle: they no longer count as resident, and touching them again costs nothing. Ranges
 * above IDLE_MAX, what would make more than a quarter of MemorySize idle, and everything while less
 * than an eighth is left, are released instead; idle pages are given back when memory runs out.
 * MADV_FREE does the same, which Linux allows it to do at any time.
 */
#include "internal.h"
#include <syscalls.gen.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>
#include <linux/falloc.h>

#define IDLE_MAX 1024u /* pages: 4 MiB */

#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD       (-10000) /* <linux/pidfd.h> of Linux 6.15 */
#define PIDFD_SELF_THREAD_GROUP (-10001)
#endif

/* ---- Dropping content ----------------------------------------------------------------------- */

/* Zeroes a present, writable run in place. */
static void idle_run(struct mm *mm, uintptr_t start, uintptr_t end)
{
    memset((void *)start, 0, end - start);
    mm_rss_add(mm, -(s64)((end - start) >> PAGE_SHIFT));
    idle_put(start, end);
}

static int release_run(struct mm *mm, uintptr_t start, uintptr_t end, u8 state)
{
    const unsigned rw = TARGET_READ | TARGET_WRITE;
    int err = pages_release(start, end);
    if (!err) {
        mm_rss_add(mm, -(s64)((end - start) >> PAGE_SHIFT));
        return 0;
    }
    /* The host keeps them: at least their content goes. */
    err = pages_protect(start, end, state, (state & PS_PERM) | rw);
    if (err)
        return err;
    memset((void *)start, 0, end - start);
    return pages_protect(start, end, ps_get(start), state & PS_PERM);
}

int range_discard(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
{
    const unsigned rw = TARGET_READ | TARGET_WRITE;
    uintptr_t va = start, next;
    u8 state;
    idle_claim(mm, start, end);
    ps_for_each_run(va, next, end, 0xff, state)
    {
        u64 pages = (next - va) >> PAGE_SHIFT;
        int err = 0;
        if (!(state & PS_PRESENT))
            continue;
        if (vma_anonymous(v) && (state & rw) == rw && pages <= IDLE_MAX && idle_may_keep(pages))
            idle_run(mm, va, next);
        else
            err = release_run(mm, va, next, state);
        if (err)
            return err;
    }
    return 0;
}

static int advise_dontneed(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
    REQUIRES(&mm->lock)
{
    if (v->flags & (VM_LOCKED | VM_SPECIAL))
        return -EINVAL;
    if (v->flags & VM_SHARED) /* the object keeps its content */
        return 0;
    return range_discard(mm, v, start, end);
}

static int advise_free(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
    REQUIRES(&mm->lock)
{
    if (!vma_anonymous(v) || (v->flags & (VM_SHARED | VM_LOCKED | VM_SPECIAL)))
        return -EINVAL;
    return range_discard(mm, v, start, end);
}

/* A hole in shared memory: for a shared file its fallocate does it (advise_remove_file). */
static int advise_remove(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end)
    REQUIRES(&mm->lock)
{
    if ((v->flags & VM_LOCKED) || !(v->flags & VM_SHARED))
        return -EINVAL;
    if (!(v->flags & VM_MAYWRITE))
        return -EACCES;
    return vma_anonymous(v) ? range_discard(mm, v, start, end) : -EOPNOTSUPP;
}

/* ---- Getting pages in ----------------------------------------------------------------------- */

static int populate_error(int err)
{
    return err == -ENXIO || err == -EIO ? -EFAULT : err;
}

static long advise_populate(struct mm *mm, uintptr_t start, uintptr_t end, int advice)
{
    return populate_error(
        mm_populate(mm, start, end, advice == MADV_POPULATE_WRITE ? VM_WRITE : VM_READ));
}

/* ---- madvise(2) ----------------------------------------------------------------------------- */

enum advice_kind {
    ADVICE_UNKNOWN, /* -EINVAL */
    ADVICE_HINT,    /* accepted, nothing to do */
    ADVICE_FLAG,    /* changes a VM_* flag */
    ADVICE_PAGES,   /* acts on pages under mm->lock */
    ADVICE_POPULATE,
};

static enum advice_kind advice_kind(int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return ADVICE_HINT;
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
        return ADVICE_FLAG;
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
    case MADV_REMOVE:
        return ADVICE_PAGES;
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
        return ADVICE_POPULATE;
    }
    return ADVICE_UNKNOWN;
}

/* What a seal forbids: to drop the content of memory that the program itself may not write. */
static bool advice_sealed(const struct vma *v, int advice)
{
    if (!(v->flags & VM_SEALED) || (v->flags & (VM_WRITE | VM_SHARED)) || !vma_anonymous(v))
        return false;
    switch (advice) {
    case MADV_FREE:
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_REMOVE:
    case MADV_DONTFORK:
    case MADV_WIPEONFORK:
        return true;
    }
    return false;
}

/* The flags that an advice sets and clears. -EINVAL where the VMA's kind does not take it. */
static int advice_flags(const struct vma *v, int advice, unsigned *set, unsigned *clear)
{
    *set = *clear = 0;
    switch (advice) {
    case MADV_DONTFORK:
        *set = VM_DONTFORK;
        break;
    case MADV_DOFORK:
        *clear = VM_DONTFORK;
        break;
    case MADV_DONTDUMP:
        *set = VM_DONTDUMP;
        break;
    case MADV_DODUMP:
        *clear = VM_DONTDUMP;
        return v->flags & VM_SPECIAL ? -EINVAL : 0;
    case MADV_WIPEONFORK:
        *set = VM_WIPEONFORK;
        return v->file || (v->flags & VM_SHARED) ? -EINVAL : 0;
    case MADV_KEEPONFORK:
        *clear = VM_WIPEONFORK;
        break;
    }
    return 0;
}

static int advise_flags(struct mm *mm, uintptr_t start, uintptr_t end, int advice,
                        struct list *dead) REQUIRES(&mm->lock)
{
    unsigned set, clear;
    int err = vma_isolate(mm, start, end);
    for (struct vma *v = mm_find_next(mm, start); !err && v && v->start < end; v = vma_next(v)) {
        err = advice_sealed(v, advice) ? -EPERM : advice_flags(v, advice, &set, &clear);
        if (!err)
            v->flags = (v->flags | set) & ~clear;
        v = vma_merge(mm, v, dead);
    }
    return err;
}

static int advise_vma(struct mm *mm, struct vma *v, uintptr_t start, uintptr_t end, int advice)
    REQUIRES(&mm->lock)
{
    if (advice_sealed(v, advice))
        return -EPERM;
    switch (advice) {
    case MADV_DONTNEED:
        return advise_dontneed(mm, v, start, end);
    case MADV_DONTNEED_LOCKED:
        return v->flags & VM_SHARED ? 0 : range_discard(mm, v, start, end);
    case MADV_FREE:
        return advise_free(mm, v, start, end);
    case MADV_REMOVE:
        return advise_remove(mm, v, start, end);
    }
    return 0;
}

/* Applies to what is mapped; a hole makes it -ENOMEM in the end, as Linux does it. */
static int advise_pages(struct mm *mm, uintptr_t start, uintptr_t end, int advice)
    REQUIRES(&mm->lock)
{
    int hole = 0;
    uintptr_t at = start;
    for (struct vma *v = mm_find_next(mm, start); v && v->start < end; v = vma_next(v)) {
        if (v->start > at)
            hole = -ENOMEM;
        int err = advise_vma(mm, v, max(start, v->start), min(end, v->end), advice);
        if (err)
            return err;
        at = v->end;
    }
    return at < end ? -ENOMEM : hole;
}

static int advise_locked(struct mm *mm, uintptr_t start, uintptr_t end, int advice,
                         struct list *dead) REQUIRES(&mm->lock)
{
    int err = 0, hole;
    if (advice_kind(advice) == ADVICE_FLAG)
        err = advise_flags(mm, start, end, advice, dead);
    if (err)
        return err;
    hole = advise_pages(mm, start, end, advice);
    return hole;
}

/* MADV_REMOVE of shared files punches holes, which takes the inode's lock: outside mm->lock. */
static long advise_remove_file(struct mm *mm, uintptr_t start, uintptr_t end)
{
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    long err = 0;
    while (start < end && !err) {
        mm_lock(mm);
        struct vma *v = mm_find(mm, start);
        struct file *f =
            v && vma_shared_file(v) && (v->flags & VM_MAYWRITE) ? file_get(v->file) : NULL;
        uintptr_t to = v ? min(v->end, end) : end;
        u64 offset = v ? vma_pgoff(v, start) << PAGE_SHIFT : 0;
        mm_unlock(mm);
        err = !v ? -ENOMEM : !f ? -EINVAL : !f->ops->fallocate ? -EOPNOTSUPP : 0;
        if (!err)
            err = f->ops->fallocate(f, punch, (loff_t)offset, (loff_t)(to - start));
        if (f)
            file_put(f);
        start = to;
    }
    return err;
}

static long advise(struct mm *mm, uintptr_t addr, size_t size, int advice)
{
    struct list dead = LIST_INIT(dead);
    enum advice_kind kind = advice_kind(advice);
    if (kind == ADVICE_UNKNOWN || (addr & ~PAGE_MASK) || (size && page_up(size) == 0))
        return -EINVAL;
    uintptr_t end = addr + page_up(size);
    if (end < addr)
        return -EINVAL;
    if (end == addr)
        return 0;
    if (end > SHARED_END)
        return -ENOMEM;
    if (kind == ADVICE_POPULATE)
        return advise_populate(mm, addr, end, advice);
    mm_lock(mm);
    long err = advise_locked(mm, addr, end, advice, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    if (advice == MADV_REMOVE && err == -EOPNOTSUPP)
        err = advise_remove_file(mm, addr, end);
    return err;
}

long sys_madvise(unsigned long addr, size_t size, int advice)
{
    return advise(current->mm, addr, size, advice);
}

/* One segment after the other until one fails; the bytes before it count as done. */
static long advise_segments(struct mm *mm, const struct iov_iter *it, int advice)
{
    size_t left = it->count;
    long err = 0;
    for (unsigned i = 0; i < it->segs && left && !err; i++) {
        size_t size = min(it->iov[i].iov_len, left);
        err = advise(mm, (uintptr_t)it->iov[i].iov_base, size, advice);
        if (!err)
            left -= size;
    }
    return left < it->count ? (long)(it->count - left) : err;
}

/* Of the calling process only, by PIDFD_SELF. */
long sys_process_madvise(int pidfd, const struct iovec __user *vec, size_t count, int advice,
                         unsigned flags)
{
    struct iovec fast[IOV_FAST], *heap = NULL;
    struct iov_iter it;
    if (flags)
        return -EINVAL;
    long ret = iov_import(&it, vec, count, fast, &heap);
    if (ret >= 0 && pidfd != PIDFD_SELF_THREAD && pidfd != PIDFD_SELF_THREAD_GROUP)
        ret = -EBADF;
    if (ret > 0)
        ret = advise_segments(current->mm, &it, advice);
    kfree(heap);
    return ret;
}
