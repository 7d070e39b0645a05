/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/maps, smaps, smaps_rollup. Lines are put together with mm->lock held, so that one read
 * sees one moment. The trampolines of rewritten syscall sites are not shown: no native program has
 * them.
 */
#include <linux/stat.h>

#include "proc.h"

#define NAME_COLUMN 73 /* where names start: 25 + 6 * sizeof(void *), and one */

struct maps {
    struct seq *s;
    u64 first, last;       /* rollup: the whole range */
    u64 resident, anon, locked, size;
};

static bool hidden(const struct vma *v)
{
    return v->flags & VM_TRAMPOLINE;
}

static void show_name(struct seq *s, const struct vma *v, size_t start)
{
    if (!v->file && !v->name)
        return;
    seq_pad(s, start, NAME_COLUMN);
    if (v->name)
        seq_escape(s, v->name, "\n");
    else
        (void)proc_path(s, &v->file->path, "\n"); /* a line without its name, rather than none */
}

static void show_header(struct seq *s, const struct vma *v)
{
    const struct inode *inode = v->file ? v->file->inode : NULL;
    dev_t dev = inode ? inode->sb->dev : 0;
    size_t start = s->used;

    seq_printf(s, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", v->start, v->end,
               v->flags & VM_READ ? 'r' : '-', v->flags & VM_WRITE ? 'w' : '-',
               v->flags & VM_EXEC ? 'x' : '-', v->flags & VM_SHARED ? 's' : 'p',
               inode ? v->pgoff << PAGE_SHIFT : 0, dev_major(dev), dev_minor(dev),
               inode ? (unsigned long)inode->ino : 0UL);
    show_name(s, v, start);
    seq_putc(s, '\n');
}

static bool maps_line(const struct vma_info *info, void *arg)
{
    struct maps *m = arg;

    if (!hidden(info->vma))
        show_header(m->s, info->vma);
    return !m->s->failed;
}

static int for_each(struct task *t, struct maps *m,
                    bool (*fn)(const struct vma_info *info, void *arg))
{
    struct mm *mm;

    if (proc_may_look(t))
        return -EACCES;
    mm = task_mm(t);
    if (!mm)
        return 0;
    mm_for_each_vma(mm, fn, m);
    mm_put(mm);
    return 0;
}

int proc_maps(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct maps m = {.s = s};

    return for_each(t, &m, maps_line);
}

/* ---- smaps ---------------------------------------------------------------------------------- */

static void show_kb(struct seq *s, const char *label, u64 page_count)
{
    size_t start = s->used;

    seq_puts(s, label);
    seq_pad(s, start, 16);
    seq_printf(s, "%8lu kB\n", PAGES_TO_KB(page_count));
}

static void show_flags(struct seq *s, const struct vma *v)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {
        {VM_READ, "rd "},       {VM_WRITE, "wr "},    {VM_EXEC, "ex "},      {VM_SHARED, "sh "},
        {VM_MAYWRITE, "mw "},   {VM_GROWSDOWN, "gd "}, {VM_LOCKED, "lo "},   {VM_DONTFORK, "dc "},
        {VM_NORESERVE, "nr "},  {VM_WIPEONFORK, "wf "}, {VM_DONTDUMP, "dd "}, {VM_SEALED, "sl "},
    };

    seq_puts(s, "VmFlags: ");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (v->flags & names[i].flag)
            seq_puts(s, names[i].name);
    }
    seq_putc(s, '\n');
}

/*
 * Every resident page counts as private and dirty: nothing is written back, and no page is shared
 * with another process. `size` in pages; 0: a rollup, which leaves the first lines out.
 */
static void show_numbers(struct seq *s, u64 size, u64 resident, u64 anon, u64 locked)
{
    if (size) {
        show_kb(s, "Size:", size);
        show_kb(s, "KernelPageSize:", 1);
        show_kb(s, "MMUPageSize:", 1);
    }
    show_kb(s, "Rss:", resident);
    show_kb(s, "Pss:", resident);
    show_kb(s, "Pss_Dirty:", resident);
    if (!size) {
        show_kb(s, "Pss_Anon:", anon);
        show_kb(s, "Pss_File:", resident - anon);
        show_kb(s, "Pss_Shmem:", 0);
    }
    show_kb(s, "Shared_Clean:", 0);
    show_kb(s, "Shared_Dirty:", 0);
    show_kb(s, "Private_Clean:", 0);
    show_kb(s, "Private_Dirty:", resident);
    show_kb(s, "Referenced:", resident);
    show_kb(s, "Anonymous:", anon);
    show_kb(s, "LazyFree:", 0);
    show_kb(s, "AnonHugePages:", 0);
    show_kb(s, "ShmemPmdMapped:", 0);
    show_kb(s, "FilePmdMapped:", 0);
    show_kb(s, "Shared_Hugetlb:", 0);
    show_kb(s, "Private_Hugetlb:", 0);
    show_kb(s, "Swap:", 0);
    show_kb(s, "SwapPss:", 0);
    show_kb(s, "Locked:", locked);
}

static u64 anonymous(const struct vma_info *info)
{
    return info->vma->file ? 0 : info->resident;
}

static u64 locked(const struct vma_info *info)
{
    return info->vma->flags & VM_LOCKED ? info->resident : 0;
}

static bool smaps_block(const struct vma_info *info, void *arg)
{
    const struct vma *v = info->vma;
    struct maps *m = arg;

    if (hidden(v))
        return true;
    show_header(m->s, v);
    show_numbers(m->s, (v->end - v->start) >> PAGE_SHIFT, info->resident, anonymous(info),
                 locked(info));
    seq_puts(m->s, "THPeligible:    0\n");
    show_flags(m->s, v);
    return !m->s->failed;
}

int proc_smaps(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct maps m = {.s = s};

    return for_each(t, &m, smaps_block);
}

static bool rollup_add(const struct vma_info *info, void *arg)
{
    struct maps *m = arg;

    if (hidden(info->vma))
        return true;
    if (!m->last)
        m->first = info->vma->start;
    m->last = info->vma->end;
    m->resident += info->resident;
    m->anon += anonymous(info);
    m->locked += locked(info);
    return true;
}

int proc_smaps_rollup(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct maps m = {.s = s};
    size_t start = s->used;

    (void)for_each(t, &m, rollup_add);
    seq_printf(s, "%08lx-%08lx ---p 00000000 00:00 0 ", m.first, m.last);
    seq_pad(s, start, NAME_COLUMN);
    seq_puts(s, "[rollup]\n");
    show_numbers(s, 0, m.resident, m.anon, m.locked);
    return 0;
}

/* ---- Sums ----------------------------------------------------------------------------------- */

static bool vm_add(const struct vma_info *info, void *arg)
{
    struct proc_vm *vm = arg;
    const struct vma *v = info->vma;
    u64 pages = (v->end - v->start) >> PAGE_SHIFT;

    if (hidden(v))
        return true;
    vm->total += pages;
    vm->resident += info->resident;
    if (v->flags & VM_LOCKED)
        vm->locked += pages;
    if (v->flags & VM_STACK)
        vm->stack += pages;
    else if ((v->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
        vm->data += pages;
    if (v->file)
        vm->shared += info->resident;
    else
        vm->anon += info->resident;
    if (v->file && (v->flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
        vm->lib += pages;
    return true;
}

void proc_vm_sum(struct mm *mm, struct proc_vm *vm)
{
    u64 text = (page_up(mm->end_code) - page_down(mm->start_code)) >> PAGE_SHIFT;

    *vm = (struct proc_vm){0};
    mm_for_each_vma(mm, vm_add, vm);
    vm->exec = text;
    vm->lib -= min(text, vm->lib);
    mutex_lock(&mm->lock);
    vm->peak = max(READ_ONCE(mm->rss_peak), vm->resident);
    vm->total_peak = max(mm->total_peak, vm->total);
    mutex_unlock(&mm->lock);
}
