/* SPDX-License-Identifier: MIT */
/*
 * Rewritten syscall sites in address spaces.
 *
 * A module is a mapped range of a file's text with the sites in it; a block is the mapped code of
 * their trampolines, close enough for a 32-bit jump. Sites are patched when a page of the range is
 * filled (rewrite_page), each byte only where the original still stands. A site that crosses a page is
 * patched at once in both, so that never one half of a jump can be met.
 *
 * Blocks outlive their modules and are used again for later ones; they go with their own mapping.
 * Modules and blocks of all address spaces are found by mm in a small table, so that an address space
 * holds nothing of ours.
 *
 * g_rewrite_lock (spinlock) guards the table, all modules and blocks. mm->lock may be held around it.
 */
#include "rewrite.h"

#include <kernel/alloc.h>
#include <kernel/list.h>
#include <kernel/loader.h>
#include <kernel/string.h>
#include <layout.h>

#define BUCKETS 64u

/* The farthest that a jump's displacement reaches, with room for the two blocks' own sizes. */
#define REACH        (1UL << 31)
#define MAPPING_MAX  (1UL << 30)
#define BLOCK_GAP    (64UL << 10)

struct block {
    struct list link; /* in a bucket's blocks */
    struct mm *mm;
    u64 start, size;
    unsigned users;   /* modules */
    bool unmapped;    /* in no list: the last user frees it */
};

struct module {
    struct list link; /* in a bucket's modules */
    struct mm *mm;
    u64 start, end;   /* mapped text, page-aligned */
    u64 offset;       /* of `start` in the file */
    struct site_table *table; /* owned reference */
    struct block *block;
    u64 trampolines;  /* where the table's trampoline 0 would stand */
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

/* ---- Sites of a module ------------------------------------------------------------------------------ */

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

/* The module's first site whose bytes end behind `va`, as an index from *first on. */
static size_t module_site_at(const struct module *m, u64 va, size_t *last)
{
    const struct site_list *l = &m->table->list;
    size_t first, i;

    module_sites(m, &first, last);
    i = va > m->start ? sites_from(l, m->offset + (va - m->start)) : first;
    i = max(i, first);
    if (i > first && site_va(m, &l->sites[i - 1]) + site_size(&l->sites[i - 1]) > va)
        i--;
    return i;
}

/* The module whose text, or whose trampolines, hold `va`. */
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

static bool in_block(const struct block *b, u64 va)
{
    return va >= b->start && va - b->start < b->size;
}

/* ---- Pages ------------------------------------------------------------------------------------------ */

/* The part of a site's jump that lies in the page at `va`: only over original bytes. */
static void patch_page(const struct module *m, const struct site *s, u64 va, u8 *page)
{
    u8 jump[SITE_PATCH_SIZE];
    u64 at = site_va(m, s);
    u64 from = max(at, va), to = min(at + SITE_PATCH_SIZE, va + PAGE_SIZE);

    if (from >= to || memcmp(page + (from - va), s->bytes + (from - at), to - from) != 0)
        return;
    trampoline_patch(at, site_trampoline(m, s), jump);
    memcpy(page + (from - va), jump + (from - at), to - from);
}

void rewrite_page(struct mm *mm, uintptr_t va, void *page)
{
    struct module *m;

    spin_lock(&g_rewrite_lock);
    m = module_by_text(mm, va);
    if (m) {
        size_t last, i = module_site_at(m, va, &last);

        for (; i < last && site_va(m, &m->table->list.sites[i]) < va + PAGE_SIZE; i++)
            patch_page(m, &m->table->list.sites[i], va, page);
    }
    spin_unlock(&g_rewrite_lock);
}

/* ---- Addresses -------------------------------------------------------------------------------------- */

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

bool rewrite_hide(struct mm *mm, struct regs *regs)
{
    const struct site *s = NULL;
    struct bucket *b;
    struct module *m;
    bool done = false;

    spin_lock(&g_rewrite_lock);
    b = bucket_of(mm);
    list_for_each(m, &b->modules, link)
    {
        if (m->mm != mm || !in_block(m->block, regs->rip))
            continue;
        s = site_by_trampoline(m, regs->rip);
        if (!s)
            continue;
        done = trampoline_hide(s, site_va(m, s), site_trampoline(m, s), regs);
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
    if (m) {
        size_t last, i = module_site_at(m, regs->rip, &last);
        const struct site *s = &m->table->list.sites[i];

        done = i < last && site_va(m, s) <= regs->rip &&
               trampoline_show(s, site_va(m, s), site_trampoline(m, s), regs);
    }
    spin_unlock(&g_rewrite_lock);
    return done;
}

/* ---- Forgetting --------------------------------------------------------------------------------------- */

/* Ends a module that is, or never got, in the list. */
static void module_free(struct module *m) REQUIRES(&g_rewrite_lock)
{
    list_del(&m->link);
    if (m->block && --m->block->users == 0 && m->block->unmapped)
        kfree(m->block);
    site_table_put(m->table);
    kfree(m);
}

/* Cuts [start, end) out. What stands on both sides needs a second module; without memory for it the
 * upper part is given up: its sites stay patched and work, and only look odd in signal frames. */
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
        ref_get(&upper->table->ref);
        upper->block->users++;
        list_add(&m->link, &upper->link);
    }
    m->end = start;
}

/* The block's mapping goes, and with it the modules whose sites jump there. */
static void block_forget(struct bucket *b, struct block *block) REQUIRES(&g_rewrite_lock)
{
    struct module *m, *next;

    list_del(&block->link);
    block->unmapped = true;
    block->users++; /* ours, while modules drop theirs */
    list_for_each_safe(m, next, &b->modules, link)
    {
        if (m->block == block)
            module_free(m);
    }
    if (--block->users == 0)
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
        if (block->mm == mm && block->start < end && start < block->start + block->size)
            block_forget(b, block);
    }
}

void rewrite_unmap(struct mm *mm, uintptr_t start, size_t size)
{
    spin_lock(&g_rewrite_lock);
    forget(mm, start, start + size);
    spin_unlock(&g_rewrite_lock);
}

/* ---- A new mapping -------------------------------------------------------------------------------------- */

/* True when a block at `start` can be jumped to from everywhere in the text and back. */
static bool reachable(u64 start, u64 size, u64 text, u64 text_end)
{
    u64 low = min(start, text), high = max(start + size, text_end);

    return high - low < REACH;
}

/* A block without users that is large and close enough, taken into use. */
static struct block *block_reuse(struct mm *mm, u64 size, u64 text, u64 text_end)
{
    struct block *b, *found = NULL;

    spin_lock(&g_rewrite_lock);
    list_for_each(b, &bucket_of(mm)->blocks, link)
    {
        if (b->mm != mm || b->users > 0 || b->size < size ||
            !reachable(b->start, b->size, text, text_end))
            continue;
        b->users = 1;
        found = b;
        break;
    }
    spin_unlock(&g_rewrite_lock);
    return found;
}

/*
 * Room for a block: below the text, where neither the heap nor the next mappings grow to, farther
 * away with each try; then wherever it is near.
 */
static long block_place(struct mm *mm, u64 size, u64 text)
{
    unsigned flags = VM_READ | VM_EXEC | VM_TRAMPOLINE;

    for (u64 gap = 0; gap < MAPPING_MAX / 4; gap = gap ? 2 * gap : BLOCK_GAP) {
        long addr;

        if (text < USER_START + size + gap)
            break;
        addr = mm_map_special(mm, text - size - gap, 0, 0, size, flags, "[syscall]");
        if (addr != -EEXIST)
            return addr;
    }
    return mm_map_special(mm, 0, text, MAPPING_MAX / 2, size, flags, "[syscall]");
}

static struct block *block_get(struct mm *mm, u64 size, u64 text, u64 text_end)
{
    struct block *b = block_reuse(mm, size, text, text_end);
    long addr;

    if (b)
        return b;
    b = kmalloc(sizeof(*b));
    if (!b)
        return NULL;
    size = page_up(size);
    addr = block_place(mm, size, text);
    if (addr < 0 || !reachable((u64)addr, size, text, text_end)) {
        if (addr > 0)
            (void)mm_unmap(mm, (uintptr_t)addr, size);
        kfree(b);
        return NULL;
    }
    *b = (struct block){.mm = mm, .start = (u64)addr, .size = size, .users = 1};
    spin_lock(&g_rewrite_lock);
    list_add(&bucket_of(mm)->blocks, &b->link);
    spin_unlock(&g_rewrite_lock);
    return b;
}

/* Writes the trampolines of sites [first, last) to the block. -ENOMEM, -EFAULT. */
static int block_fill(const struct module *m, size_t first, size_t last)
{
    const struct site *sites = m->table->list.sites;
    size_t size = sites[last - 1].trampoline + trampoline_size(&sites[last - 1]) -
                  sites[first].trampoline;
    u8 *code = kmalloc(size);
    int err;

    if (!code)
        return -ENOMEM;
    for (size_t i = first; i < last; i++) {
        size_t at = sites[i].trampoline - sites[first].trampoline;

        if (!trampoline_write(&sites[i], site_va(m, &sites[i]), site_trampoline(m, &sites[i]),
                              code + at)) {
            kfree(code);
            return -EFAULT;
        }
    }
    err = mm_poke(m->mm, m->block->start, code, size);
    kfree(code);
    return err;
}

/* Bytes [from, to) of a site's jump in place: the jump already, the original, or the program's own? */
static bool part_is_ours(const u8 *now, const u8 *jump, const struct site *s, size_t from, size_t to)
{
    return memcmp(now + from, jump + from, to - from) == 0 ||
           memcmp(now + from, s->bytes + from, to - from) == 0;
}

/*
 * A site whose jump crosses a page: both parts now, whether or not they were filled before. Where the
 * program put other bytes in one, the other goes back to the original.
 */
static void patch_crossing(const struct module *m, const struct site *s)
{
    u64 at = site_va(m, s);
    size_t border = page_up(at) - at;
    u8 jump[SITE_PATCH_SIZE], now[SITE_PATCH_SIZE];
    bool low, high;

    if (border == 0 || border >= SITE_PATCH_SIZE || mm_peek(m->mm, at, now, sizeof(now)))
        return;
    trampoline_patch(at, site_trampoline(m, s), jump);
    low = part_is_ours(now, jump, s, 0, border);
    high = part_is_ours(now, jump, s, border, SITE_PATCH_SIZE);
    if (memcmp(now, jump, sizeof(jump)) == 0)
        return; /* both were filled just now */
    if (low && high)
        (void)mm_poke(m->mm, at, jump, sizeof(jump));
    else if (low)
        (void)mm_poke(m->mm, at, s->bytes, border);
    else if (high)
        (void)mm_poke(m->mm, at + border, s->bytes + border, SITE_PATCH_SIZE - border);
}

/* Makes a module known, in place of what was known of its range. */
static void module_publish(struct module *m)
{
    spin_lock(&g_rewrite_lock);
    list_add(&bucket_of(m->mm)->modules, &m->link);
    spin_unlock(&g_rewrite_lock);
}

/* True when the range is known already as this part of this file; forgets anything else there. */
static bool known(struct mm *mm, u64 start, u64 end, u64 offset, const struct site_table *t)
{
    const struct module *m;
    bool same;

    spin_lock(&g_rewrite_lock);
    m = module_by_text(mm, start);
    same = m && m->end >= end && m->table == t && m->offset + (start - m->start) == offset;
    if (!same)
        forget(mm, start, end);
    spin_unlock(&g_rewrite_lock);
    return same;
}

static void module_drop(struct module *m)
{
    spin_lock(&g_rewrite_lock);
    module_free(m);
    spin_unlock(&g_rewrite_lock);
}

/* Gives the module its trampolines. False: it has no sites, or there is no room. */
static bool module_prepare(struct module *m, size_t first, size_t last)
{
    const struct site *sites = m->table->list.sites;
    u64 base, size;

    if (first == last)
        return false;
    base = sites[first].trampoline;
    size = sites[last - 1].trampoline + trampoline_size(&sites[last - 1]) - base;
    m->block = block_get(m->mm, size, m->start, m->end);
    if (!m->block)
        return false;
    m->trampolines = m->block->start - base;
    return block_fill(m, first, last) == 0;
}

void rewrite_mapping(struct mm *mm, uintptr_t start, size_t size, struct file *file, u64 offset)
{
    struct site_table *t;
    struct module *m;
    size_t first, last;

    if (!file || size == 0 || size > MAPPING_MAX || offset > UINT64_MAX - size)
        return;
    t = site_table_get(file);
    if (!t)
        return;
    m = known(mm, start, start + size, offset, t) ? NULL : kzalloc(sizeof(*m));
    if (!m) {
        site_table_put(t);
        return;
    }
    *m = (struct module){.mm = mm, .start = start, .end = start + size, .offset = offset, .table = t};
    list_init(&m->link);
    module_sites(m, &first, &last);
    if (!module_prepare(m, first, last)) {
        module_drop(m);
        return;
    }
    module_publish(m);
    for (size_t i = first; i < last; i++)
        patch_crossing(m, &t->list.sites[i]);
    __atomic_fetch_add(&g_rewritten, last - first, __ATOMIC_RELAXED);
}

u64 rewrite_count(void)
{
    return __atomic_load_n(&g_rewritten, __ATOMIC_RELAXED);
}
