/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own reads and writes of an address space whatever its permissions say, and walking
 * its VMAs for procfs.
 *
 * A page that lacks the right gets it for the copy and loses it again, all under mm->lock; the
 * copies do not fault. The host's refusal to take rights back is reported, never ignored.
 */
#include "internal.h"

/* Copies with the right to, and leaves the page with `prot`. */
static int copy_present(uintptr_t addr, void *buf, size_t size, bool write, unsigned prot)
{
    const unsigned need = write ? TARGET_READ | TARGET_WRITE : TARGET_READ;
    uintptr_t page = page_down(addr), end = page + PAGE_SIZE;
    u8 state = ps_get(page);
    int err = pages_protect(page, end, state, (state & PS_PERM) | need);
    if (err)
        return err;
    if (write)
        memcpy((void *)addr, buf, size);
    else
        memcpy(buf, (void *)addr, size);
    return pages_protect(page, end, ps_get(page), prot);
}

/* One page's part of a copy. `write`: from buf into the program. */
static int access_page(struct mm *mm, uintptr_t addr, void *buf, size_t size, bool write)
    REQUIRES(&mm->lock)
{
    uintptr_t page = page_down(addr), end = page + PAGE_SIZE;
    struct vma *v = mm_find(mm, addr);
    if (!v)
        return -EFAULT;
    struct inode *inode = vma_shared_file(v) ? v->file->inode : NULL;
    if (write)
        v->flags |= VM_WRITTEN;
    for (;;) {
        int err = 0;
        idle_claim(mm, page, end);
        if (!(ps_get(page) & PS_PRESENT))
            err = fault_page(mm, v, page);
        if (err)
            return err == -ENOMEM ? err : -EFAULT;
        if (inode) /* its pages go to other aliases, and the page cache copies them too */
            pagecache_lock(inode);
        bool present = ps_get(page) & PS_PRESENT;
        if (present)
            err = copy_present(addr, buf, size, write, vma_prot(v->flags));
        if (inode)
            pagecache_unlock(inode);
        if (present)
            return err;
    }
}

static int access_range(struct mm *mm, uintptr_t addr, void *buf, size_t size, bool write)
{
    char *p = buf;
    int err = 0;
    if (addr >= SHARED_END || size > SHARED_END - addr)
        return -EFAULT;
    while (size && !err) {
        size_t part = min(size, PAGE_SIZE - (addr & ~PAGE_MASK));
        mm_lock(mm);
        err = access_page(mm, addr, p, part, write);
        mm_unlock(mm);
        addr += part;
        p += part;
        size -= part;
    }
    return err;
}

int mm_poke(struct mm *mm, uintptr_t addr, const void *buf, size_t size)
{
    return access_range(mm, addr, (void *)buf, size, true);
}

int mm_peek(struct mm *mm, uintptr_t addr, void *buf, size_t size)
{
    return access_range(mm, addr, buf, size, false);
}

void mm_for_each_vma(struct mm *mm, bool (*fn)(const struct vma_info *info, void *arg), void *arg)
{
    mutex_lock(&mm->lock);
    for (struct vma *v = mm_find_next(mm, 0); v; v = vma_next(v)) {
        struct vma_info info = {.vma = v, .resident = range_resident(v->start, v->end)};
        if (!fn(&info, arg))
            break;
    }
    mutex_unlock(&mm->lock);
}
