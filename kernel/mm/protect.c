/* SPDX-License-Identifier: MIT */
/*
 * mprotect(2): permissions of VMAs and of the pages under them.
 *
 * Permissions of present pages change at once (EMODPE, or EMODPR and EACCEPT). Code that a program
 * wrote itself is offered to the rewriter before it becomes executable, while mm->lock is free.
 * Everything that can be refused is checked before the first change, but for the host's refusal.
 */
#include "internal.h"
#include <kernel/boot.h>
#include <kernel/loader.h>
#include <syscalls.gen.h>
#include <kernel/task.h>

#define VM_PROT (VM_READ | VM_WRITE | VM_EXEC)

/* Whether the whole range is mapped and may get `vm`; *exec: some of it becomes executable. */
static int check_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned vm, bool *exec)
    REQUIRES(&mm->lock)
{
    u64 charge = 0;
    uintptr_t va = start;
    for (struct vma *v = mm_find(mm, start); va < end; v = vma_next(v)) {
        if (!v || v->start > va)
            return -ENOMEM;
        if ((vm & VM_WRITE) && !(v->flags & VM_MAYWRITE))
            return -EACCES;
        if ((vm & VM_EXEC) && (v->flags & VM_NOEXEC))
            return -EACCES;
        if ((vm & VM_WRITE) && !(v->flags & (VM_WRITE | VM_SHARED | VM_NORESERVE)))
            charge += (min(v->end, end) - max(v->start, start)) >> PAGE_SHIFT;
        *exec = *exec || ((vm & VM_EXEC) && !(v->flags & (VM_EXEC | VM_SHARED)));
        va = v->end;
    }
    return budget_fits(charge) ? 0 : -ENOMEM;
}

/* Pages of a shared file that nobody may touch go back to the page cache. */
static int protect_pages(struct mm *mm, struct vma *v, unsigned prot) REQUIRES(&mm->lock)
{
    if (vma_shared_file(v))
        return prot ? shared_protect(v, prot) : shared_unbind(mm, v, v->start, v->end);
    return range_protect(mm, v->start, v->end, prot);
}

static int protect_vma(struct mm *mm, struct vma *v, unsigned vm)
    REQUIRES(&mm->lock)
{
    unsigned written = v->flags & VM_WRITE ? VM_WRITTEN : 0;
    unsigned flags = (v->flags & ~VM_PROT) | vm | written;
    if (v->flags & VM_SEALED)
        return -EPERM;
    if (flags == v->flags)
        return 0;
    int err = protect_pages(mm, v, vma_prot(flags));
    if (err)
        return err;
    vma_account(mm, v->flags, vma_pages(v), -1);
    v->flags = flags;
    vma_account(mm, v->flags, vma_pages(v), 1);
    return 0;
}

static int protect_locked(struct mm *mm, uintptr_t start, uintptr_t end, unsigned vm,
                          struct list *dead) REQUIRES(&mm->lock)
{
    bool exec = false;
    int err = check_range(mm, start, end, vm, &exec);
    if (!err && mm->vma_count + 2 > MAX_MAP_COUNT)
        err = -ENOMEM;
    if (!err)
        err = vma_isolate(mm, start, end);
    if (err)
        return err;
    for (struct vma *v = mm_find(mm, start); v && v->start < end; v = vma_next(v)) {
        if (v->file)
            mm_drop_kept(mm, v->start, v->end);
        err = protect_vma(mm, v, vm);
        if (err)
            break;
        v = vma_merge(mm, v, dead);
    }
    return err;
}

/*
 * Private code of the range, piece by piece and without mm->lock: what is not executable yet is offered
 * to the rewriter; what now is, and is a file's, is brought in and told to the debugger.
 */
static void walk_code(struct mm *mm, uintptr_t start, uintptr_t end, bool tell)
{
    while (start < end) {
        struct file *file = NULL;
        mm_lock(mm);
        struct vma *v = mm_find_next(mm, start);
        bool found = v && v->start < end && !(v->flags & (VM_SHARED | VM_SPECIAL)) &&
                     ((v->flags & VM_EXEC) != 0) == tell;
        uintptr_t from = v ? max(start, v->start) : end, to = v ? min(end, v->end) : end;
        u64 offset = found ? vma_pgoff(v, from) << PAGE_SHIFT : 0;
        if (found && !vma_anonymous(v))
            file = file_get(v->file);
        mm_unlock(mm);
        if (found && !tell) {
            rewrite_mapping(mm, from, to - from, file, file ? offset : 0);
            kept_take_text(mm, from, to);
        } else if (file) {
            (void)mm_populate(mm, from, to, VM_READ);
            loader_debug_map(file, from, offset);
        }
        if (file)
            file_put(file);
        start = to;
    }
}

static int protect_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned vm)
{
    struct list dead = LIST_INIT(dead);
    bool exec = false;
    mm_lock(mm);
    int err = check_range(mm, start, end, vm, &exec);
    mm_unlock(mm);
    if (err)
        return err;
    if (exec)
        walk_code(mm, start, end, false);
    mm_lock(mm);
    err = protect_locked(mm, start, end, vm, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    if (!err && exec && manifest_flag(MANIFEST_DEBUG))
        walk_code(mm, start, end, true);
    return err;
}

int mm_protect(struct mm *mm, uintptr_t addr, size_t size, unsigned prot)
{
    unsigned vm = vm_flags_of_prot(prot);
    if (addr & ~PAGE_MASK)
        return -EINVAL;
    if (size == 0)
        return 0;
    if (addr >= SHARED_END || size > SHARED_END - addr)
        return -ENOMEM;
    if (map_wx_forbidden(vm))
        return -EACCES;
    return protect_range(mm, addr, addr + page_up(size), vm);
}

/* PROT_GROWSDOWN and PROT_GROWSUP: the range extends to the mapping's own end. */
static int grow_range(struct mm *mm, unsigned long prot, uintptr_t *start, uintptr_t end)
{
    int err = 0;
    mm_lock(mm);
    struct vma *v = mm_find_next(mm, *start);
    if (!v || v->start >= end)
        err = -ENOMEM;
    else if ((prot & PROT_GROWSUP) || !(v->flags & VM_GROWSDOWN))
        err = -EINVAL; /* x86 has no stacks that grow up */
    else
        *start = v->start;
    mm_unlock(mm);
    return err;
}

long sys_mprotect(unsigned long addr, size_t size, unsigned long prot)
{
    const unsigned long grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    struct mm *mm = current->mm;
    uintptr_t start = addr;
    if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (addr & ~PAGE_MASK))
        return -EINVAL;
    if (size == 0)
        return 0;
    if (addr >= SHARED_END || size > SHARED_END - addr)
        return -ENOMEM;
    if (prot & ~(unsigned long)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | grows))
        return -EINVAL;
    int err = grows ? grow_range(mm, prot, &start, addr + size) : 0;
    return err ? err : mm_protect(mm, start, addr + size - start, (unsigned)prot);
}

/* pkey_mprotect(2) with pkey -1 is mprotect(2); no other key was ever allocated. */
long sys_pkey_mprotect(unsigned long addr, size_t size, unsigned long prot, int pkey)
{
    return pkey == -1 ? sys_mprotect(addr, size, prot) : -EINVAL;
}
