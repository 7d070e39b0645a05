/* SPDX-License-Identifier: MIT */
/*
 * Rewritten syscall sites in address spaces.
 *
 * A module is a mapped range of a file's text; a block is a mapped range for trampolines, close enough for 32-bit
 * jumps. Everything happens when a page is filled, before anybody can execute it: the first page of a module that
 * may hold a syscall has its file searched (most libraries never get there), the module's trampolines get their
 * addresses in the block, and from then on sites are patched in the page at hand. A page of a block gets its
 * trampolines when it is filled itself. A site never crosses a page, and only bytes that still are the original
 * ones are replaced, so that a page filled earlier, or changed by the program, just keeps its syscalls.
 *
 * Addresses in a block are given out once: a page of it that is present never has to change. Modules and blocks of
 * all address spaces are found by mm in a small table, so that an address space holds nothing of ours.
 *
 * g_rewrite_lock (spinlock) guards the table, all modules and blocks. mm->lock may be held around it.
 */
#include "exec.h"
#include "rewrite.h"

#include <kernel/alloc.h>
#include <kernel/list.h>
#include <kernel/loader.h>
#include <kernel/string.h>
#include <layout.h>

#define BUCKETS       64u

#define REACH         (1UL << 31) /* of a jump's displacement */
#define MAPPING_MAX   (1UL << 30)
#define BLOCK_SIZE    (256UL << 10) /* of address space; pages come when they are used */
#define BLOCK_RESERVE (64UL << 10)  /* what a file may need: six times glibc */
#define BLOCK_GAP     (64UL << 10)

struct block {
    struct list link; /* in a bucket's blocks */
    struct mm *mm;
    u64 start, end;
    u64 free;       /* what lies from here to `end` was never given out */
    unsigned users; /* modules */
};

struct module {
    struct list link; /* in a bucket's modules */
    struct mm *mm;
    u64 start, end;            /* mapped text, page-aligned */
    u64 offset;                /* of `start` in the file */
    const struct inode *inode; /* compared only */
    bool searched;
    struct site_table *table; /* owned reference, NULL: no sites, or not searched */
    struct block *block;      /* NULL: no trampolines */
    u64 trampolines;          /* where the table's trampoline 0 would stand */
};

struct bucket {
    struct list modules, blocks;
};

static spinlock_t g_rewrite_lock = SPINLOCK_INIT("rewrite");
static struct bucket g_buckets[BUCKETS] GUARDED_BY(&g_rewrite_lock);
static u64 g_rewritten; /* atomic */

static struct bucket *bucket_of(const struct mm *mm) REQUIRES(&g_rewrite_lock)
{
    struct bucket *b = &g_buckets[(uintptr_t)mm / 64 % BUCKETS];

    if (!b->modules.next) {
        list_init(&b->modules);
        list_init(&b->blocks);
    }
    return b;
}

/* ---- Sites of a module -------------------------------------------------------------------------- */

static u64 site_va(const struct module *m, const struct site *s)
{
    return m->start + (s->offset - m->offset);
}

static u64 site_trampoline(const struct module *m, const struct site *s)
{
    return m->trampolines + s->trampoline;
}

/* The module's sites are [*first, *last) of its table: those that lie wholly inside it. */
static void module_sites(const struct module *m, size_t *first, size_t *last)
{
    const struct site_list *l = &m->table->list;
    u64 end = m->offset + (m->end - m->start);

    *first = sites_from(l, m->offset);
    *last = sites_from(l, end);
    while (*last > *first && l->sites[*last - 1].offset + site_size(&l->sites[*last - 1]) > end)
        --*last;
}

/* The index of the module's first site whose bytes end behind `va`; *last as above. */
static size_t module_site_at(const struct module *m, u64 va, size_t *last)
{
    const struct site_list *l = &m->table->list;
    size_t first, i;

    module_sites(m, &first, last);
    i = max(first, sites_from(l, m->offset + (va - m->start)));
    if (i > first && site_va(m, &l->sites[i - 1]) + site_size(&l->sites[i - 1]) > va)
        i--;
    return i;
}

static struct module *module_by_text(const struct mm *mm, u64 va) REQUIRES(&g_rewrite_lock)
{
    struct bucket *b = bucket_of(mm);
    struct module *m;

    list_for_each(m, &b->modules, link)
    {
        if (m->mm == mm && va >= m->start && va < m->end)
            return m;
    }
    return NULL;
}

/* ---- Forgetting --------------------------------------------------------------------------------- */

static void module_free(struct module *m) REQUIRES(&g_rewrite_lock)
{
    list_del(&m->link);
    if (m->block)
        m->block->users--;
    if (m->table)
        site_table_put(m->table);
    kfree(m);
}

/*
 * Cuts [start, end) out. What stands on both sides needs a second module; without memory for it the
 * upper part is given up: its sites stay patched and work, and only look odd in signal frames.
 */
static void module_cut(struct module *m, u64 start, u64 end) REQUIRES(&g_rewrite_lock)
{
    struct module *upper;

    if (start <= m->start && end >= m->end) {
        module_free(m);
        return;
    }
    if (start <= m->start) {
        m->offset += end - m->start;
        m->start = end;
        return;
    }
    upper = end < m->end ? kmalloc(sizeof(*upper)) : NULL;
    if (upper) {
        *upper = *m;
        upper->offset += end - m->start;
        upper->start = end;
        if (upper->table)
            ref_get(&upper->table->ref);
        if (upper->block)
            upper->block->users++;
        list_add(&m->link, &upper->link);
    }
    m->end = start;
}

/* The block's mapping goes: nothing of the modules that used it may be patched any more. */
static void block_free(struct bucket *b, struct block *block) REQUIRES(&g_rewrite_lock)
{
    struct module *m;

    list_for_each(m, &b->modules, link)
    {
        if (m->block == block)
            m->block = NULL;
    }
    list_del(&block->link);
    kfree(block);
}

static void forget(struct mm *mm, u64 start, u64 end) REQUIRES(&g_rewrite_lock)
{
    struct bucket *b = bucket_of(mm);
    struct module *m, *next_m;
    struct block *block, *next_b;

    list_for_each_safe(m, next_m, &b->modules, link)
    {
        if (m->mm == mm && m->start < end && start < m->end)
            module_cut(m, start, end);
    }
    list_for_each_safe(block, next_b, &b->blocks, link)
    {
        if (block->mm == mm && block->start < end && start < block->end)
            block_free(b, block);
    }
}

void rewrite_unmap(struct mm *mm, uintptr_t start, size_t size)
{
    spin_lock(&g_rewrite_lock);
    forget(mm, start, start + size);
    spin_unlock(&g_rewrite_lock);
}

/* ---- fork(2) ------------------------------------------------------------------------------------ */

/* The parent's modules, which refer to its blocks, and its blocks: copies in the child's name. */
struct copies {
    struct list modules, blocks;
};

static void copies_free(struct copies *c)
{
    struct module *m, *next_m;
    struct block *b, *next_b;

    list_for_each_safe(m, next_m, &c->modules, link)
        kfree(m);
    list_for_each_safe(b, next_b, &c->blocks, link)
        kfree(b);
}

static void count_entries(const struct mm *mm, unsigned *modules, unsigned *blocks)
{
    struct module *m;
    struct block *b;

    *modules = *blocks = 0;
    spin_lock(&g_rewrite_lock);
    list_for_each(m, &bucket_of(mm)->modules, link)
        *modules += m->mm == mm;
    list_for_each(b, &bucket_of(mm)->blocks, link)
        *blocks += b->mm == mm;
    spin_unlock(&g_rewrite_lock);
}

static int copies_alloc(struct copies *c, unsigned modules, unsigned blocks)
{
    for (; modules; modules--) {
        struct module *m = kzalloc(sizeof(*m));

        if (!m)
            return -ENOMEM;
        list_add(&c->modules, &m->link);
    }
    for (; blocks; blocks--) {
        struct block *b = kzalloc(sizeof(*b));

        if (!b)
            return -ENOMEM;
        list_add(&c->blocks, &b->link);
    }
    return 0;
}

static struct block *block_copy_of(struct mm *child, const struct block *block)
    REQUIRES(&g_rewrite_lock)
{
    struct block *b;

    list_for_each(b, &bucket_of(child)->blocks, link)
    {
        if (block && b->mm == child && b->start == block->start)
            return b;
    }
    return NULL;
}

static void fill_copies(struct copies *c, struct mm *mm, struct mm *child) REQUIRES(&g_rewrite_lock)
{
    struct block *b;
    struct module *m;

    list_for_each(b, &bucket_of(mm)->blocks, link)
    {
        struct block *copy = list_first(&c->blocks, struct block, link);

        if (b->mm != mm || list_empty(&c->blocks))
            continue;
        list_del(&copy->link);
        *copy = *b;
        copy->mm = child;
        list_add(&bucket_of(child)->blocks, &copy->link);
    }
    list_for_each(m, &bucket_of(mm)->modules, link)
    {
        struct module *copy = list_first(&c->modules, struct module, link);

        if (m->mm != mm || list_empty(&c->modules))
            continue;
        m->searched = true; /* from now on both must fill its pages alike */
        list_del(&copy->link);
        *copy = *m;
        copy->mm = child;
        copy->block = block_copy_of(child, m->block);
        if (copy->table)
            ref_get(&copy->table->ref);
        list_add(&bucket_of(child)->modules, &copy->link);
    }
}

int rewrite_fork(struct mm *mm, struct mm *child)
{
    struct copies c = {.modules = LIST_INIT(c.modules), .blocks = LIST_INIT(c.blocks)};
    unsigned modules, blocks;
    int err;

    assert_held(&mm->lock); /* nothing is added meanwhile */
    count_entries(mm, &modules, &blocks);
    err = copies_alloc(&c, modules, blocks);
    if (!err) {
        spin_lock(&g_rewrite_lock);
        fill_copies(&c, mm, child);
        spin_unlock(&g_rewrite_lock);
    }
    copies_free(&c);
    return err;
}

/* ---- Blocks ------------------------------------------------------------------------------------- */

/* A block with room from where everything in [text, text_end) can be reached, and the reverse. */
static struct block *block_find(struct mm *mm, u64 size, u64 text, u64 text_end)
    REQUIRES(&g_rewrite_lock)
{
    struct block *b;

    list_for_each(b, &bucket_of(mm)->blocks, link)
    {
        if (b->mm == mm && b->end - b->free >= size &&
            max(b->end, text_end) - min(b->start, text) < REACH)
            return b;
    }
    return NULL;
}

/* A block that is used up, and not used any more; taken out of the table. Its range in [*start,
 * *end). */
static bool block_retire(struct mm *mm, u64 *start, u64 *end)
{
    struct block *b, *next;
    bool found = false;

    spin_lock(&g_rewrite_lock);
    list_for_each_safe(b, next, &bucket_of(mm)->blocks, link)
    {
        if (b->mm != mm || b->users > 0 || b->end - b->free >= BLOCK_RESERVE)
            continue;
        *start = b->start;
        *end = b->end;
        list_del(&b->link);
        kfree(b);
        found = true;
        break;
    }
    spin_unlock(&g_rewrite_lock);
    return found;
}

/*
 * Room for a block: below the text, where neither the heap nor the next mappings grow to, farther
 * away with each try; then wherever it is near.
 */
static long block_place(struct mm *mm, u64 text)
{
    unsigned flags = VM_READ | VM_EXEC | VM_TRAMPOLINE;

    for (u64 gap = 0; gap < MAPPING_MAX / 4; gap = gap ? 2 * gap : BLOCK_GAP) {
        long addr;

        if (text < USER_START + BLOCK_SIZE + gap)
            break;
        addr = mm_map_special(mm, text - BLOCK_SIZE - gap, 0, 0, BLOCK_SIZE, flags, "[syscall]");
        if (addr != -EEXIST)
            return addr;
    }
    return mm_map_special(mm, 0, text, MAPPING_MAX / 2, BLOCK_SIZE, flags, "[syscall]");
}

/* Sees to it that a module at [text, text_end) will find room. Without mm->lock. */
static void block_provide(struct mm *mm, u64 text, u64 text_end)
{
    struct block *b;
    u64 start, end;
    bool there;
    long addr;

    spin_lock(&g_rewrite_lock);
    there = block_find(mm, BLOCK_RESERVE, text, text_end) != NULL;
    spin_unlock(&g_rewrite_lock);
    if (there)
        return;
    if (block_retire(mm, &start, &end))
        (void)mm_unmap(mm, start, end - start);
    b = kmalloc(sizeof(*b));
    addr = b ? block_place(mm, text) : -ENOMEM;
    if (addr < 0) {
        kfree(b);
        return;
    }
    *b = (struct block){.mm = mm, .start = (u64)addr, .end = (u64)addr + BLOCK_SIZE};
    b->free = b->start;
    spin_lock(&g_rewrite_lock);
    list_add(&bucket_of(mm)->blocks, &b->link);
    spin_unlock(&g_rewrite_lock);
}

/* ---- Modules ------------------------------------------------------------------------------------ */

/* Gives a module its file's sites (consumes the reference; may be NULL) and their trampolines'
 * place. */
static void module_attach(struct module *m, struct site_table *t) REQUIRES(&g_rewrite_lock)
{
    size_t first, last;
    u64 base, size;

    m->searched = true;
    if (!t)
        return;
    m->table = t;
    module_sites(m, &first, &last);
    if (first == last)
        return;
    base = t->list.sites[first].trampoline;
    size = t->list.sites[last - 1].trampoline + trampoline_size(&t->list.sites[last - 1]) - base;
    m->block = block_find(m->mm, size, m->start, m->end);
    if (!m->block)
        return;
    m->trampolines = m->block->free - base;
    m->block->free = min(m->block->end, page_up(m->block->free + size));
    m->block->users++;
    __atomic_fetch_add(&g_rewritten, last - first, __ATOMIC_RELAXED);
}

/* True when the range is known already as this part of this file; forgets anything else there. */
static bool known(struct mm *mm, u64 start, u64 end, u64 offset, const struct inode *inode)
{
    const struct module *m;
    bool same;

    spin_lock(&g_rewrite_lock);
    m = module_by_text(mm, start);
    same = m && m->end >= end && m->inode == inode && m->offset + (start - m->start) == offset;
    if (!same)
        forget(mm, start, end);
    spin_unlock(&g_rewrite_lock);
    return same;
}

void rewrite_mapping(struct mm *mm, uintptr_t start, size_t size, struct file *file, u64 offset)
{
    u64 end = start + page_up(size);
    struct site_table *t = NULL;
    struct module *m;
    bool searched;

    if (!file || size == 0 || size > MAPPING_MAX || offset > UINT64_MAX - size ||
        known(mm, start, end, offset, file->inode))
        return;
    m = kzalloc(sizeof(*m));
    if (!m)
        return;
    *m = (struct module){
        .mm = mm, .start = start, .end = end, .offset = offset, .inode = file->inode};
    searched = site_table_known(file->inode, &t);
    if (!searched || t)
        block_provide(mm, start, end);
    spin_lock(&g_rewrite_lock);
    list_add(&bucket_of(mm)->modules, &m->link);
    if (searched)
        module_attach(m, t);
    spin_unlock(&g_rewrite_lock);
}

/* ---- Pages -------------------------------------------------------------------------------------- */

/*
 * Whether there may be something to patch in the page: what the search takes for a syscall, or the
 * number's load (mov $imm,%eax) before a syscall across the page's end; a syscall across its start has
 * its jump in the page before. Must be seldom wrong: a file without syscalls should not be searched.
 */
static bool page_suspect(const u8 *page)
{
    const u8 *end = page + PAGE_SIZE;

    if (end[-1] == 0x0f && end[-6] == 0xb8)
        return true;
    for (const u8 *p = page + 1; (p = memchr(p, 0x05, (size_t)(end - p))) != NULL; p++) {
        if (p[-1] == 0x0f && (p + 1 == end || p[1] != 0x00)) /* sites.c: no code goes on with 00 */
            return true;
    }
    return false;
}

static void patch_page(const struct module *m, u64 va, u8 *page)
{
    const struct site *sites = m->table->list.sites;
    size_t last, i = module_site_at(m, va, &last);

    for (; i < last && site_va(m, &sites[i]) < va + PAGE_SIZE; i++) {
        u64 at = site_va(m, &sites[i]);

        if (at >= va && memcmp(page + (at - va), sites[i].bytes, SITE_PATCH_SIZE) == 0)
            trampoline_patch(at, site_trampoline(m, &sites[i]), page + (at - va));
    }
}

/* The trampolines of one module that lie in a block's page. */
static void fill_page(const struct module *m, u64 va, u8 *page)
{
    size_t first, last;

    module_sites(m, &first, &last);
    for (size_t i = first; i < last; i++) {
        const struct site *s = &m->table->list.sites[i];
        u64 at = site_trampoline(m, s), end = at + trampoline_size(s);
        u64 from = max(at, va), to = min(end, va + PAGE_SIZE);
        u8 code[TRAMPOLINE_MAX];

        if (from < to && trampoline_write(s, site_va(m, s), at, code))
            memcpy(page + (from - va), code + (from - at), to - from);
    }
}

static void fill_trampolines(const struct mm *mm, u64 va, u8 *page)
{
    struct module *m;
    struct bucket *b;

    spin_lock(&g_rewrite_lock);
    b = bucket_of(mm);
    list_for_each(m, &b->modules, link)
    {
        if (m->mm == mm && m->block && va >= m->block->start && va < m->block->end)
            fill_page(m, va, page);
    }
    spin_unlock(&g_rewrite_lock);
}

/* The module of a page of `v`, when it still describes that mapping. */
static struct module *module_of_page(const struct mm *mm, const struct vma *v, u64 va)
    REQUIRES(&g_rewrite_lock)
{
    struct module *m = module_by_text(mm, va);
    u64 offset = (v->pgoff << PAGE_SHIFT) + (va - v->start);

    return m && m->inode == v->file->inode && m->offset + (va - m->start) == offset ? m : NULL;
}

/* True when the page's module must be searched before anything can be said. */
static bool needs_search(const struct mm *mm, const struct vma *v, u64 va, const u8 *page)
{
    struct module *m;
    bool needs;

    spin_lock(&g_rewrite_lock);
    m = module_of_page(mm, v, va);
    needs = m && !m->searched;
    spin_unlock(&g_rewrite_lock);
    return needs && page_suspect(page);
}

void rewrite_where(const struct mm *mm, uintptr_t va, struct rewritten *out)
{
    const struct module *m;
    size_t first, last;

    *out = (struct rewritten){0};
    spin_lock(&g_rewrite_lock);
    m = module_by_text(mm, va);
    if (m && m->block) {
        module_sites(m, &first, &last);
        out->base = m->trampolines;
        out->start = site_trampoline(m, &m->table->list.sites[first]);
        out->end = page_up(site_trampoline(m, &m->table->list.sites[last - 1]) +
                           trampoline_size(&m->table->list.sites[last - 1]));
    }
    spin_unlock(&g_rewrite_lock);
}

void rewrite_page(struct mm *mm, uintptr_t va, void *page)
{
    struct site_table *t = NULL;
    const struct vma *v;
    struct module *m;
    struct rewritten places;
    bool searched = false, attached = false;

    assert_held(&mm->lock);
    v = mm_find(mm, va);
    if (v && (v->flags & VM_TRAMPOLINE))
        fill_trampolines(mm, va, page);
    else if (v && (v->flags & VM_VDSO))
        vdso_fill(va - v->start, page);
    if (!v || !v->file)
        return;
    if (needs_search(mm, v, va, page)) {
        if (!site_table_known(v->file->inode, &t))
            t = site_table_search(v->file->inode);
        searched = true;
    }
    spin_lock(&g_rewrite_lock);
    m = module_of_page(mm, v, va);
    if (m && searched && !m->searched) {
        module_attach(m, t);
        t = NULL;
        attached = true;
    }
    if (m && m->block)
        patch_page(m, va, page);
    spin_unlock(&g_rewrite_lock);
    if (attached) {
        rewrite_where(mm, va, &places);
        mm_drop_kept(mm, places.start, places.end);
    }
    if (t)
        site_table_put(t);
}

bool rewrite_alike(const struct mm *a, const struct mm *b, uintptr_t va)
{
    const struct module *of_a, *of_b;
    bool alike;

    spin_lock(&g_rewrite_lock);
    of_a = module_by_text(a, va);
    of_b = module_by_text(b, va);
    alike = (of_a && of_a->block ? of_a->trampolines : 0) == (of_b && of_b->block ? of_b->trampolines : 0);
    spin_unlock(&g_rewrite_lock);
    return alike;
}

/* ---- Addresses ---------------------------------------------------------------------------------- */

/* The module's site whose trampoline holds `va`, or NULL. */
static const struct site *site_by_trampoline(const struct module *m, u64 va)
{
    size_t low, high;

    module_sites(m, &low, &high);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct site *s = &m->table->list.sites[mid];
        u64 at = site_trampoline(m, s);

        if (va < at)
            high = mid;
        else if (va >= at + trampoline_size(s))
            low = mid + 1;
        else
            return s;
    }
    return NULL;
}

bool rewrite_hide(struct mm *mm, struct regs *regs, u64 kept_rcx)
{
    const struct site *s;
    struct bucket *b;
    struct module *m;
    bool done = false;

    spin_lock(&g_rewrite_lock);
    b = bucket_of(mm);
    list_for_each(m, &b->modules, link)
    {
        if (m->mm != mm || !m->block || regs->rip < m->block->start || regs->rip >= m->block->end)
            continue;
        s = site_by_trampoline(m, regs->rip);
        if (!s)
            continue;
        done = trampoline_hide(s, site_va(m, s), site_trampoline(m, s), regs, kept_rcx);
        break;
    }
    spin_unlock(&g_rewrite_lock);
    return done;
}

bool rewrite_show(struct mm *mm, struct regs *regs)
{
    struct module *m;
    bool done = false;

    spin_lock(&g_rewrite_lock);
    m = module_by_text(mm, regs->rip);
    if (m && m->block) {
        size_t last, i = module_site_at(m, regs->rip, &last);
        const struct site *s = &m->table->list.sites[i];

        done = i < last && site_va(m, s) <= regs->rip &&
               trampoline_show(s, site_va(m, s), site_trampoline(m, s), regs);
    }
    spin_unlock(&g_rewrite_lock);
    return done;
}

u64 rewrite_count(void)
{
    return __atomic_load_n(&g_rewritten, __ATOMIC_RELAXED);
}
