/* SPDX-License-Identifier: MIT */
/*
 * Rewriting in address spaces: modules come and go over a fake mm whose mappings are real memory,
 * so that what a fault would fill can be run.
 */
#include "elf_make.h"
#include "hosted.h"
#include "../exec.h"

#include <kernel/alloc.h>
#include <kernel/fs.h>
#include <kernel/loader.h>
#include <kernel/string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define TEXT_PAGES 3u

static struct made g_made;
static struct inode g_inode;
static struct file g_file = {.inode = &g_inode};
static struct mm g_mm;
static struct vma g_vmas[8];
static unsigned g_reads; /* pages read by a search */

/* ---- mm and page cache, as far as the rewriter uses them
 * ---------------------------------------------- */

struct vma *mm_find(struct mm *mm, uintptr_t addr)
{
    for (unsigned i = 0; i < ARRAY_COUNT(g_vmas); i++) {
        if (addr >= g_vmas[i].start && addr < g_vmas[i].end)
            return &g_vmas[i];
    }
    return NULL;
}

static struct vma *add_vma(uintptr_t start, size_t size, unsigned flags, struct file *file)
{
    for (unsigned i = 0; i < ARRAY_COUNT(g_vmas); i++) {
        if (g_vmas[i].end == 0) {
            g_vmas[i] =
                (struct vma){.start = start, .end = start + size, .flags = flags, .file = file};
            return &g_vmas[i];
        }
    }
    fail_msg("too many mappings");
    return NULL;
}

long mm_map_special(struct mm *mm, uintptr_t addr, uintptr_t near, u64 reach, size_t size,
                    unsigned vm_flags, const char *name)
{
    void *p = mmap((void *)addr, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | (addr ? MAP_FIXED_NOREPLACE : 0), -1, 0);

    if (p == MAP_FAILED)
        return -EEXIST;
    add_vma((uintptr_t)p, size, vm_flags, NULL);
    return (long)p;
}

static void unmap(struct vma *v)
{
    rewrite_unmap(&g_mm, v->start, v->end - v->start);
    munmap((void *)v->start, v->end - v->start);
    *v = (struct vma){.end = 0};
}

int mm_unmap(struct mm *mm, uintptr_t addr, size_t size)
{
    unmap(mm_find(mm, addr));
    return 0;
}

static uintptr_t g_dropped; /* where kept pages were dropped last */

void mm_drop_kept(struct mm *mm, uintptr_t start, uintptr_t end)
{
    g_dropped = start;
}

int pagecache_read_page(struct inode *inode, u64 index, void *dst)
{
    g_reads++;
    if ((index + 1) * PAGE_SIZE > g_made.size)
        return -ENXIO;
    memcpy(dst, g_made.data + index * PAGE_SIZE, PAGE_SIZE);
    return 0;
}

void vdso_fill(u64 offset, u8 *page)
{
    page[0] = (u8)(1 + offset / PAGE_SIZE);
}

/* What the fault path does for one page. */
static void fill(uintptr_t va)
{
    struct vma *v = mm_find(&g_mm, va);
    u8 *page = kzalloc(PAGE_SIZE);

    if (v->file)
        memcpy(page, g_made.data + (v->pgoff << PAGE_SHIFT) + (va - v->start), PAGE_SIZE);
    mutex_lock(&g_mm.lock);
    rewrite_page(&g_mm, va, page);
    mutex_unlock(&g_mm.lock);
    memcpy((void *)va, page, PAGE_SIZE);
    kfree(page);
}

static void fill_all(unsigned flags)
{
    for (unsigned i = 0; i < ARRAY_COUNT(g_vmas); i++) {
        if (g_vmas[i].end == 0 || (g_vmas[i].flags & VM_TRAMPOLINE) != flags)
            continue;
        for (uintptr_t va = g_vmas[i].start; va < g_vmas[i].end; va += PAGE_SIZE)
            fill(va);
    }
}

static struct vma *map_text(void)
{
    long addr = mm_map_special(&g_mm, 0, 0, 0, TEXT_PAGES * PAGE_SIZE, VM_READ | VM_EXEC, NULL);
    struct vma *v = mm_find(&g_mm, (uintptr_t)addr);

    v->file = &g_file;
    rewrite_mapping(&g_mm, v->start, v->end - v->start, &g_file, 0);
    return v;
}

static struct vma *trampoline_vma(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(g_vmas); i++) {
        if (g_vmas[i].flags & VM_TRAMPOLINE)
            return &g_vmas[i];
    }
    return NULL;
}

/* `mov $39,%eax; syscall; ret` at MADE_CODE_VA and in the next page, which is a module of its own.
 */
static int setup(void **state)
{
    static const u8 code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
    u8 *all = kzalloc(0x1800);

    memset(all, 0x90, 0x1800);
    memcpy(all, code, sizeof(code));
    memcpy(all + 0x1000, code, sizeof(code));
    made_init(&g_made);
    made_code(&g_made, all, 0x1800, (size_t[]){0x1000, 0x800, 0});
    kfree(all);
    g_inode.size = g_made.size;
    g_inode.ino++; /* another file than the last test's */
    g_reads = 0;
    mutex_init(&g_mm.lock, "mm");
    hosted_gs_install();
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(g_vmas); i++) {
        if (g_vmas[i].end)
            unmap(&g_vmas[i]);
    }
    return 0;
}

static long call(uintptr_t va)
{
    long (*fn)(void) = (void *)va;

    return fn();
}

/* ---- Tests
 * -------------------------------------------------------------------------------------------- */

static void patches_and_runs(void **state)
{
    u64 before = rewrite_count(), calls = hosted_calls;
    struct vma *v = map_text();

    assert_int_equal(g_reads, 0); /* nothing is read before it is needed */
    fill(v->start);               /* headers: nothing suspect */
    assert_int_equal(g_reads, 0);
    fill_all(0);
    assert_true(g_reads > 0);
    assert_int_equal(rewrite_count(), before + 2);
    assert_int_equal(page_down(g_dropped), trampoline_vma()->start);
    fill_all(VM_TRAMPOLINE);
    assert_int_equal(*(u8 *)(v->start + MADE_CODE_VA), 0xe9);
    assert_int_equal(call(v->start + MADE_CODE_VA), getpid());
    assert_int_equal(call(v->start + MADE_CODE_VA + 0x1000), getpid());
    assert_int_equal(hosted_calls, calls + 2);
}

static void second_time_is_cached(void **state)
{
    struct vma *a = map_text(), *b;
    unsigned reads;

    fill_all(0);
    reads = g_reads;
    b = map_text();
    fill_all(0);
    assert_int_equal(g_reads, reads);
    fill_all(VM_TRAMPOLINE);
    assert_int_equal(call(a->start + MADE_CODE_VA), getpid());
    assert_int_equal(call(b->start + MADE_CODE_VA), getpid());

    g_inode.mtime++; /* written to since */
    map_text();
    fill_all(0);
    assert_true(g_reads > reads);
}

static void other_bytes_stay(void **state)
{
    struct vma *v = map_text();

    fill(v->start + MADE_CODE_VA);
    g_made.data[MADE_CODE_OFF + 0x1001] = 110; /* the page differs from what was searched */
    fill(v->start + MADE_CODE_VA + 0x1000);
    assert_int_equal(*(u8 *)(v->start + MADE_CODE_VA), 0xe9);
    assert_int_equal(*(u8 *)(v->start + MADE_CODE_VA + 0x1000), 0xb8);
}

static void hides_and_shows(void **state)
{
    struct vma *v = map_text(), *t;
    struct regs r;

    fill_all(0);
    t = trampoline_vma();
    r = (struct regs){.rip = v->start + MADE_CODE_VA + 5}; /* the syscall itself */
    assert_true(rewrite_show(&g_mm, &r));
    assert_true(r.rip >= t->start && r.rip < t->end);
    assert_true(rewrite_hide(&g_mm, &r, 0));
    assert_int_equal(r.rip, v->start + MADE_CODE_VA + 5);

    r.rip = v->start + MADE_CODE_VA; /* the jump: runs as it is */
    assert_false(rewrite_show(&g_mm, &r));
    assert_false(rewrite_hide(&g_mm, &r, 0));
    r.rip = v->start + MADE_CODE_VA + 7;
    assert_false(rewrite_show(&g_mm, &r));
    r.rip = t->end - 1; /* in the block, in no trampoline */
    assert_false(rewrite_hide(&g_mm, &r, 0));
    r.rip = 1;
    assert_false(rewrite_hide(&g_mm, &r, 0));
    assert_false(rewrite_show(&g_mm, &r));
}

static void forgets_what_is_unmapped(void **state)
{
    struct vma *v = map_text();
    struct regs r;

    fill_all(0);
    /* The middle page goes: the last one is still known. */
    rewrite_unmap(&g_mm, v->start + MADE_CODE_VA, PAGE_SIZE);
    r = (struct regs){.rip = v->start + MADE_CODE_VA + 5};
    assert_false(rewrite_show(&g_mm, &r));
    fill(v->start + MADE_CODE_VA);
    assert_int_equal(*(u8 *)(v->start + MADE_CODE_VA), 0xb8);
    r.rip = v->start + MADE_CODE_VA + 0x1000 + 5;
    assert_true(rewrite_show(&g_mm, &r));
    assert_true(rewrite_hide(&g_mm, &r, 0));
    assert_int_equal(r.rip, v->start + MADE_CODE_VA + 0x1000 + 5);

    /* Without trampolines nothing may jump there any more. */
    unmap(trampoline_vma());
    r.rip = v->start + MADE_CODE_VA + 0x1000 + 5;
    assert_false(rewrite_show(&g_mm, &r));
    fill(v->start + MADE_CODE_VA + 0x1000);
    assert_int_equal(*(u8 *)(v->start + MADE_CODE_VA + 0x1000), 0xb8);
}

static void replaced_mapping(void **state)
{
    struct vma *v = map_text();
    u64 before;

    fill_all(0);
    before = rewrite_count();
    /* The same again, as mprotect() says it: nothing new. */
    rewrite_mapping(&g_mm, v->start, v->end - v->start, &g_file, 0);
    fill_all(0);
    assert_int_equal(rewrite_count(), before);
    /* Another part of the file at the same place. */
    v->pgoff = 1;
    rewrite_mapping(&g_mm, v->start, PAGE_SIZE, &g_file, PAGE_SIZE);
    fill(v->start);
    fill_all(VM_TRAMPOLINE);
    assert_int_equal(rewrite_count(), before + 1);
    assert_int_equal(call(v->start), getpid());
}

static void blocks_are_replaced(void **state)
{
    uintptr_t first = 0;

    for (unsigned i = 0; i < 200; i++) {
        struct vma *v = map_text();
        unsigned blocks = 0;

        fill_all(0);
        for (unsigned k = 0; k < ARRAY_COUNT(g_vmas); k++)
            blocks += g_vmas[k].end && (g_vmas[k].flags & VM_TRAMPOLINE);
        assert_in_range(blocks, 1, 2);
        if (i == 0)
            first = trampoline_vma()->start;
        unmap(v);
    }
    assert_true(first != 0);
}

static void vdso_pages(void **state)
{
    long addr = mm_map_special(&g_mm, 0, 0, 0, PAGE_SIZE, VM_READ | VM_EXEC | VM_VDSO, NULL);

    fill((uintptr_t)addr);
    assert_int_equal(*(u8 *)addr, 1);
}

static void no_file_no_sites(void **state)
{
    struct vma *v;

    rewrite_mapping(&g_mm, 0x10000, PAGE_SIZE, NULL, 0);
    memcpy(g_made.data, "no ELF", 6);
    v = map_text();
    fill_all(0);
    assert_int_equal(*(u8 *)(v->start + MADE_CODE_VA), 0xb8);
}

static void alike_in_a_fork(void **state)
{
    static struct mm child;
    struct vma *v = map_text();

    fill_all(0);
    assert_true(rewrite_alike(&g_mm, &g_mm, v->start));
    assert_false(rewrite_alike(&g_mm, &child, v->start)); /* it knows no trampolines there */
    mutex_lock(&g_mm.lock);
    assert_int_equal(rewrite_fork(&g_mm, &child), 0);
    mutex_unlock(&g_mm.lock);
    assert_true(rewrite_alike(&g_mm, &child, v->start));
    rewrite_unmap(&child, v->start, v->end - v->start);
    assert_false(rewrite_alike(&child, &g_mm, v->start));
    rewrite_unmap(&child, trampoline_vma()->start, trampoline_vma()->end - trampoline_vma()->start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(patches_and_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(second_time_is_cached, setup, teardown),
        cmocka_unit_test_setup_teardown(other_bytes_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(hides_and_shows, setup, teardown),
        cmocka_unit_test_setup_teardown(forgets_what_is_unmapped, setup, teardown),
        cmocka_unit_test_setup_teardown(replaced_mapping, setup, teardown),
        cmocka_unit_test_setup_teardown(blocks_are_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(alike_in_a_fork, setup, teardown),
        cmocka_unit_test_setup_teardown(vdso_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(no_file_no_sites, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
