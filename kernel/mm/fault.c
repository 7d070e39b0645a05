/* SPDX-License-Identifier: MIT */
/*
 * Page faults: what a touched page becomes, or which signal the touch earns.
 *
 * Only a page that the trusted state calls absent is ever committed, and only with mm->lock held from
 * the look at the state to its change, so of two threads that touch a page one commits it. A fault on
 * a page that is known present with the access allowed is spurious (the host evicted or unmapped it,
 * or another thread was faster) and is retried, before any lock is taken: kernel code that holds
 * mm->lock may meet one too. The host can make a thread spin that way, nothing more.
 *
 * Absent anonymous memory is committed in batches around the fault, twice as large each time a
 * batch is used up in ascending order, so that a long run of touches costs few transitions. Private
 * file pages are read into a kernel page first, patched when executable (rewrite_page), and appear
 * at once with their final permissions, so text is never writable. All of it runs under mm->lock;
 * the page cache's own lock comes below it.
 */
#include "family.h"
#include <kernel/loader.h>
#include <kernel/task.h>

#define FAULT_AROUND_MAX 128u /* pages: 512 KiB */

static u64 g_faults; /* atomic */

u64 mm_fault_count(void)
{
    return __atomic_load_n(&g_faults, __ATOMIC_RELAXED);
}

/* ---- Anonymous memory ----------------------------------------------------------------------- */

/* The window around `addr` to commit: aligned on its size, absent pages of the VMA only. */
static void window(const struct vma *v, uintptr_t addr, u64 pages, uintptr_t *start, uintptr_t *end)
{
    uintptr_t span = pages << PAGE_SHIFT;
    uintptr_t low = align_down(addr, span), high = low + span;
    u8 state;
    low = max(low, v->start);
    high = min(high, v->end);
    *end = ps_run(addr, high, PS_PRESENT, &state);
    *start = addr;
    while (*start > low && !(ps_get(*start - PAGE_SIZE) & PS_PRESENT))
        *start -= PAGE_SIZE;
}

static u64 batch_size(struct vma *v, uintptr_t addr)
{
    if (addr == v->fault_next && v->fault_batch)
        v->fault_batch = min(v->fault_batch * 2, FAULT_AROUND_MAX);
    else
        v->fault_batch = FAULT_AROUND;
    /* Near the limit no page is taken for a guess. */
    return budget_available() < 16 * (u64)v->fault_batch ? 1 : v->fault_batch;
}

static int fault_anonymous(struct mm *mm, struct vma *v, uintptr_t addr)
{
    uintptr_t start, end;
    window(v, addr, batch_size(v, addr), &start, &end);
    int err = range_commit(mm, v, start, end);
    if (err && (ps_get(addr) & PS_PRESENT)) {
        err = 0; /* its neighbours were only a guess */
    } else if (err && end - start > PAGE_SIZE) {
        start = addr;
        end = addr + PAGE_SIZE;
        err = range_commit(mm, v, start, end);
    }
    v->fault_next = end;
    return err;
}

/* ---- Private file pages --------------------------------------------------------------------- */

static int file_page_install(struct mm *mm, struct vma *v, uintptr_t va, void *bounce)
{
    int err = pagecache_read_page(v->file->inode, vma_pgoff(v, va), bounce);
    if (!err)
        err = kept_drop(va);
    if (err)
        return err;
    if (v->flags & VM_EXEC)
        rewrite_page(mm, va, bounce);
    err = pages_commit_copy(va, bounce, vma_prot(v->flags) | TARGET_READ);
    if (!err)
        mm_rss_add(mm, 1);
    return err;
}

/* The page at `addr` must come; its absent neighbours may. */
static int fault_file(struct mm *mm, struct vma *v, uintptr_t addr)
{
    uintptr_t start, end;
    void *bounce = kpages_alloc_dirty(1);
    if (!bounce)
        return -ENOMEM;
    window(v, addr, budget_available() > 16 * FAULT_AROUND ? FAULT_AROUND : 1, &start, &end);
    int err = file_page_install(mm, v, addr, bounce);
    for (uintptr_t va = start; !err && va < end; va += PAGE_SIZE) {
        if (va != addr && file_page_install(mm, v, va, bounce))
            break;
    }
    kpages_free(bounce, 1);
    return err;
}

/* A page of the kernel's own code for programs appears as text does: it is never writable. */
static int fault_special(struct mm *mm, struct vma *v, uintptr_t addr)
{
    void *bounce = kpages_alloc(1);
    if (!bounce)
        return -ENOMEM;
    rewrite_page(mm, addr, bounce);
    int err = kept_drop(addr);
    if (!err)
        err = pages_commit_copy(addr, bounce, vma_prot(v->flags) | TARGET_READ);
    if (!err)
        mm_rss_add(mm, 1);
    kpages_free(bounce, 1);
    return err;
}

/* ---- Stacks --------------------------------------------------------------------------------- */

/* Extends the stack `v` down to the page at `addr`. False: that is not an access to a stack. */
static bool stack_grow(struct mm *mm, struct vma *v, uintptr_t addr) REQUIRES(&mm->lock)
{
    struct vma *prev = vma_prev(v);
    u64 more = (v->start - addr) >> PAGE_SHIFT;
    if (addr < USER_START || v->end - addr > rlimit(RLIMIT_STACK))
        return false;
    if (prev && !(prev->flags & VM_GROWSDOWN) && addr - min(prev->end, addr) < STACK_GUARD_GAP)
        return false;
    if (prev && prev->end > addr)
        return false;
    if (map_may_grow(mm, v->flags & ~VM_WRITE, more) || chunks_claim(mm, addr, v->start) ||
        range_prepare(mm, addr, v->start, true, v->flags))
        return false;
    vma_set_range(mm, v, addr, v->end);
    return true;
}

/* ---- The decision --------------------------------------------------------------------------- */

static bool access_allowed(unsigned vm_flags, unsigned access)
{
    if (access & VM_WRITE)
        return vm_flags & VM_WRITE;
    if (access & VM_EXEC)
        return vm_flags & VM_EXEC;
    return vm_flags & (VM_READ | VM_WRITE | VM_EXEC);
}

/* The VMA for an access, its stack grown when needed; NULL with *code. */
static struct vma *fault_vma(struct mm *mm, uintptr_t addr, unsigned access, int *code)
    REQUIRES(&mm->lock)
{
    struct vma *v = mm_find_next(mm, addr);
    *code = SEGV_MAPERR;
    if (!v)
        return NULL;
    if (addr < v->start && (!(v->flags & VM_GROWSDOWN) || !stack_grow(mm, v, addr)))
        return NULL;
    *code = SEGV_ACCERR;
    return access_allowed(v->flags, access) ? v : NULL;
}

/* Makes the page of an allowed access present with the VMA's permissions. */
int fault_page(struct mm *mm, struct vma *v, uintptr_t addr)
{
    unsigned prot = vma_prot(v->flags);
    if (vma_shared_file(v))
        return shared_fault(mm, v, addr);
    idle_claim(mm, addr, addr + PAGE_SIZE);
    u8 state = ps_get(addr);
    if (state & PS_PRESENT)
        return pages_protect(addr, addr + PAGE_SIZE, state, prot);
    if (v->flags & VM_SPECIAL)
        return fault_special(mm, v, addr);
    return vma_anonymous(v) ? fault_anonymous(mm, v, addr) : fault_file(mm, v, addr);
}

/* Of what fault_page() failed: the signal. */
static void fault_signal(int err, uintptr_t addr, int *sig, int *code)
{
    if (err == -ENOMEM) {
        struct mm_stats s;
        mm_stats(&s);
        pr_err("out of memory at %#lx: %lu of MemorySize's %lu pages in use (%lu by the kernel); "
               "process killed",
               addr, (unsigned long)s.used_pages, (unsigned long)s.limit_pages,
               (unsigned long)s.kernel_pages);
        *sig = SIGKILL;
        *code = SI_KERNEL;
    } else {
        *sig = SIGBUS;
        *code = BUS_ADRERR;
    }
}

static int fault_locked(struct mm *mm, uintptr_t addr, unsigned access, int *sig, int *code)
    REQUIRES(&mm->lock)
{
    struct vma *v = fault_vma(mm, addr, access, code);
    if (!v) {
        *sig = SIGSEGV;
        return -EFAULT;
    }
    int err = fault_page(mm, v, addr);
    if (err)
        fault_signal(err, addr, sig, code);
    return err;
}

int mm_fault(struct mm *mm, uintptr_t addr, unsigned access, int *sig, int *code)
{
    __atomic_fetch_add(&g_faults, 1, __ATOMIC_RELAXED);
    addr = page_down(addr);
    if (mm_page_known(addr, access))
        return 0;
    mm_lock(mm);
    int err = fault_locked(mm, addr, access, sig, code);
    mm_unlock(mm);
    return err;
}

bool mm_page_known(uintptr_t addr, unsigned access)
{
    u8 state = ps_get(addr);
    if (state & PS_BUSY) /* the reclaimer may have taken the right to write away */
        state &= ~(TARGET_WRITE | TARGET_EXEC);
    return (state & PS_PRESENT) && (state & vma_prot(access)) == vma_prot(access);
}

/* ---- Before the touch ----------------------------------------------------------------------- */

/* The end of what one step of mm_populate() made present, or -errno. */
static long populate_step(struct mm *mm, uintptr_t addr, uintptr_t end, unsigned access)
    REQUIRES(&mm->lock)
{
    u8 state;
    struct vma *v = mm_find(mm, addr);
    if (!v)
        return -ENOMEM;
    if (!access_allowed(v->flags, access))
        return -EFAULT;
    end = min(end, v->end);
    uintptr_t run = ps_run(addr, end, PS_PRESENT, &state);
    if (state & PS_PRESENT)
        return (long)run;
    if (vma_anonymous(v) && !(v->flags & VM_SPECIAL)) {
        run = min(run, addr + (FAULT_AROUND_MAX << PAGE_SHIFT));
        int err = range_commit(mm, v, addr, run);
        return err ? err : (long)run;
    }
    int err = fault_page(mm, v, addr);
    return err ? err : (long)(addr + PAGE_SIZE);
}

int mm_populate(struct mm *mm, uintptr_t start, uintptr_t end, unsigned access)
{
    while (start < end) {
        mm_lock(mm);
        long next = populate_step(mm, start, end, access);
        mm_unlock(mm);
        if (next < 0)
            return (int)next;
        start = (uintptr_t)next;
    }
    return 0;
}
