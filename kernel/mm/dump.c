/* SPDX-License-Identifier: MIT */
/*
 * What core files need of an address space: a list of what is mapped, and single pages. Reading commits nothing:
 * memory that was never touched is a hole, and what a file still holds unchanged is read from the file, which
 * also shows text without the jumps at rewritten syscall sites.
 */
#include "internal.h"

/* Whether something of private memory may differ from what it started as. */
static bool may_be_written(const struct vma *v)
{
    return (vma_anonymous(v) || (v->flags & (VM_WRITE | VM_WRITTEN))) && range_resident(v->start, v->end);
}

size_t mm_segments(struct mm *mm, struct mm_segment *out, size_t max)
{
    size_t count = 0;

    mm_lock(mm);
    for (struct vma *v = mm_find_next(mm, 0); v; v = vma_next(v)) {
        if (v->flags & VM_TRAMPOLINE)
            continue;
        if (count < max)
            out[count] = (struct mm_segment){.start = v->start,
                                             .end = v->end,
                                             .flags = v->flags,
                                             .pgoff = v->pgoff,
                                             .file = v->file ? file_get(v->file) : NULL,
                                             .anonymous = vma_anonymous(v),
                                             .written = may_be_written(v)};
        count++;
    }
    mm_unlock(mm);
    return count;
}

enum source { SOURCE_NONE, SOURCE_MEMORY, SOURCE_FILE };

static enum source page_source(const struct vma *v, uintptr_t addr)
{
    u8 state = ps_get(addr);

    if (v->flags & VM_SPECIAL)
        return v->flags & VM_TRAMPOLINE ? SOURCE_NONE : SOURCE_MEMORY;
    if (vma_clean(v))
        return SOURCE_FILE;
    if ((state & (PS_PRESENT | PS_IDLE)) == PS_PRESENT)
        return SOURCE_MEMORY;
    return vma_anonymous(v) ? SOURCE_NONE : SOURCE_FILE;
}

uintptr_t mm_dump_next(struct mm *mm, uintptr_t addr, uintptr_t end)
{
    uintptr_t next;
    u8 state;

    mm_lock(mm);
    const struct vma *v = mm_find(mm, addr);
    if (v && vma_anonymous(v) && !(v->flags & VM_SPECIAL)) {
        ps_for_each_run(addr, next, end, PS_PRESENT | PS_IDLE, state)
        {
            if ((state & (PS_PRESENT | PS_IDLE)) == PS_PRESENT)
                break;
        }
    }
    mm_unlock(mm);
    return addr;
}

bool mm_dump_page(struct mm *mm, uintptr_t addr, void *buf)
{
    enum source source = SOURCE_NONE;
    struct file *file = NULL;
    u64 index = 0;
    bool ok = false;

    mm_lock(mm);
    const struct vma *v = mm_find(mm, addr);
    if (v)
        source = page_source(v, addr);
    if (source == SOURCE_FILE) {
        file = file_get(v->file);
        index = vma_pgoff(v, addr);
    }
    mm_unlock(mm);
    if (source == SOURCE_MEMORY)
        ok = !mm_peek(mm, addr, buf, PAGE_SIZE);
    if (file) {
        ok = !pagecache_read_page(file->inode, index, buf);
        file_put(file);
    }
    return ok;
}
