/* SPDX-License-Identifier: MIT */
/*
 * The rest of the kernel as mm sees it, just enough of it. Files, random numbers and the checks belong to
 * the first thread; locks and everything of mm work in any (harness_thread).
 */
#include "harness.h"

#include <kernel/boot.h>
#include <kernel/files.h>
#include <kernel/loader.h>
#include <kernel/task.h>
#include <kernel/thread_area.h>
#include <kernel/uaccess.h>
#include <linux/fcntl.h>

u64 g_rlimits[16];
unsigned g_manifest_flags;
static struct manifest g_test_manifest;
const struct manifest *g_manifest = &g_test_manifest;
enum log_level g_log_level = LOG_ERR;
static struct task g_task;
static u64 g_seed = 1;

/* ---- Locks, log, limits --------------------------------------------------------------------- */

void spin_lock(spinlock_t *l)
{
    ASSERT(!spin_held(l));
    while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE))
        host_yield();
    __atomic_store_n(&l->owner, current_task(), __ATOMIC_RELAXED);
}

void spin_unlock(spinlock_t *l)
{
    ASSERT(spin_held(l));
    __atomic_store_n(&l->owner, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
}

bool spin_held(const spinlock_t *l)
{
    return __atomic_load_n(&l->owner, __ATOMIC_RELAXED) == current_task();
}

bool mutex_trylock(mutex_t *m)
{
    if (__atomic_exchange_n(&m->state, 1, __ATOMIC_ACQUIRE))
        return false;
    __atomic_store_n(&m->owner, current_task(), __ATOMIC_RELAXED);
    return true;
}

void mutex_lock(mutex_t *m)
{
    ASSERT(!mutex_held(m));
    while (!mutex_trylock(m))
        host_yield();
}

void mutex_unlock(mutex_t *m)
{
    ASSERT(mutex_held(m));
    __atomic_store_n(&m->owner, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&m->state, 0, __ATOMIC_RELEASE);
}

bool mutex_held(const mutex_t *m)
{
    return __atomic_load_n(&m->owner, __ATOMIC_RELAXED) == current_task();
}

void mutex_assert_held(const mutex_t *m)
{
    ASSERT(mutex_held(m));
}

void spin_assert_held(const spinlock_t *l)
{
    ASSERT(spin_held(l));
}

void ref_get(ref_t *r)
{
    ASSERT(__atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED) > 0);
}

bool ref_put(ref_t *r)
{
    u32 old = __atomic_fetch_sub(&r->n, 1, __ATOMIC_ACQ_REL);
    ASSERT(old > 0);
    return old == 1;
}

void printk(enum log_level level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
}

void panic(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    host_die(text);
}

u64 rlimit(unsigned resource)
{
    return g_rlimits[resource];
}

bool capable(int cap)
{
    (void)cap;
    return false;
}

void harness_init(void)
{
    static struct thread_area area = {.task = &g_task};
    host_set_gs(&area);
    for (unsigned i = 0; i < 16; i++)
        g_rlimits[i] = RLIM_INFINITY_;
    g_rlimits[RLIMIT_STACK] = 8UL << 20;
    assert_int_equal(mm_init(TEST_MEMORY), 0);
}

void harness_thread(struct thread_area *area, struct task *task)
{
    task->mm = g_task.mm;
    *area = (struct thread_area){.task = task};
    host_set_gs(area);
}

struct mm *harness_mm(void)
{
    harness_mm_drop();
    g_task.mm = mm_create();
    assert_non_null(g_task.mm);
    g_task.mm->mmap_base = USER_END - (16UL << 30);
    return g_task.mm;
}

void harness_mm_drop(void)
{
    if (g_task.mm)
        mm_put(g_task.mm);
    g_task.mm = NULL;
}

u64 test_random(void)
{
    g_seed ^= g_seed << 13;
    g_seed ^= g_seed >> 7;
    g_seed ^= g_seed << 17;
    return g_seed;
}

void test_seed(u64 seed)
{
    g_seed = seed * 2 + 1;
}

/* ---- Files with a page cache ---------------------------------------------------------------- */

#define FILE_PAGES 64u
struct test_file {
    struct file file;
    struct inode inode;
    u8 *page[FILE_PAGES];
    bool bound[FILE_PAGES];
};

static struct test_file *of_inode(struct inode *inode)
{
    return container_of(inode, struct test_file, inode);
}

static int test_mmap(struct file *f, struct vma *v)
{
    (void)f;
    (void)v;
    return 0;
}

static const struct file_ops g_test_ops = {.mmap = test_mmap};

struct file *file_make(u64 pages, int flags)
{
    static ino_t last;
    struct test_file *t = host_zalloc(sizeof(*t));
    assert_true(t && pages <= FILE_PAGES);
    ref_init(&t->file.ref);
    t->file.ops = &g_test_ops;
    t->file.inode = &t->inode;
    t->file.flags = (unsigned)flags;
    t->inode.size = pages << PAGE_SHIFT;
    t->inode.ino = ++last;
    for (u64 i = 0; i < pages; i++) {
        t->page[i] = host_zalloc(PAGE_SIZE);
        t->page[i][0] = (u8)(i + 1);
    }
    return &t->file;
}

void file_put(struct file *f)
{
    if (!ref_put(&f->ref))
        return;
    struct test_file *t = of_inode(f->inode);
    for (unsigned i = 0; i < FILE_PAGES; i++) {
        assert_false(t->bound[i]);
        host_free(t->page[i]);
    }
    host_free(t);
}

u8 *file_page(struct file *f, u64 index)
{
    return of_inode(f->inode)->page[index];
}

void file_resize(struct file *f, u64 size)
{
    struct test_file *t = of_inode(f->inode);
    mm_truncate_notify(f->inode, size);
    for (u64 i = page_up(size) >> PAGE_SHIFT; i < FILE_PAGES; i++) {
        assert_false(t->bound[i]);
        host_free(t->page[i]);
        t->page[i] = NULL;
    }
    for (u64 i = 0; i < page_up(size) >> PAGE_SHIFT; i++) {
        if (!t->page[i])
            t->page[i] = host_zalloc(PAGE_SIZE);
    }
    t->inode.size = size;
}

bool g_files_pristine = true;

bool pagecache_pristine(struct inode *inode, u64 first, u64 end)
{
    return g_files_pristine;
}

int pagecache_read_page(struct inode *inode, u64 index, void *dst)
{
    struct test_file *t = of_inode(inode);
    if (index >= page_up(inode->size) >> PAGE_SHIFT)
        return -ENXIO;
    memcpy(dst, t->page[index], PAGE_SIZE);
    return 0;
}

int pagecache_bind_page(struct inode *inode, u64 index, uintptr_t va)
{
    struct test_file *t = of_inode(inode);
    if (index >= page_up(inode->size) >> PAGE_SHIFT)
        return -ENXIO;
    assert_false(t->bound[index]);
    assert_int_equal(target_page_state(va), 8 | 3);
    memcpy((void *)va, t->page[index], PAGE_SIZE);
    host_free(t->page[index]);
    t->page[index] = (u8 *)va;
    t->bound[index] = true;
    return 0;
}

int pagecache_unbind_page(struct inode *inode, u64 index)
{
    struct test_file *t = of_inode(inode);
    u8 *page = host_zalloc(PAGE_SIZE);
    assert_true(t->bound[index]);
    memcpy(page, t->page[index], PAGE_SIZE);
    t->page[index] = page;
    t->bound[index] = false;
    return 0;
}

void pagecache_lock(struct inode *inode)
{
    (void)inode;
}

void pagecache_unlock(struct inode *inode)
{
    (void)inode;
}

uintptr_t pagecache_bound_at(struct inode *inode, u64 index)
{
    struct test_file *t = of_inode(inode);
    return index < FILE_PAGES && t->bound[index] ? (uintptr_t)t->page[index] : 0;
}

size_t vfs_shrink(size_t page_count)
{
    (void)page_count;
    return 0;
}

int inode_seals_map(const struct inode *inode, unsigned *vm_flags)
{
    (void)inode;
    (void)vm_flags;
    return 0;
}

bool user_range_ok(const void __user *addr, size_t size)
{
    (void)size;
    return addr != NULL;
}

int copy_to_user(void __user *dst, const void *src, size_t size)
{
    memcpy(dst, src, size);
    return 0;
}

ssize_t strncpy_from_user(char *dst, const char __user *src, size_t size)
{
    size_t n = strnlen((const char *)src, size);
    memcpy(dst, src, min(n + 1, size));
    return n < size ? (ssize_t)n : -ENAMETOOLONG;
}

ssize_t iov_import(struct iov_iter *it, const struct iovec __user *uvec, unsigned long segs,
                   struct iovec fast[IOV_FAST], struct iovec **heap)
{
    (void)it, (void)uvec, (void)segs, (void)fast, (void)heap;
    return -EFAULT;
}

struct file *fd_get(int fd)
{
    (void)fd;
    return NULL;
}

/* ---- Loader --------------------------------------------------------------------------------- */

void rewrite_mapping(struct mm *mm, uintptr_t start, size_t size, struct file *file, u64 offset)
{
    ASSERT(!mutex_held(&mm->lock));
    (void)start;
    (void)size;
    (void)file;
    (void)offset;
}

void loader_debug_map(const struct file *file, uintptr_t start, u64 offset)
{
    (void)file, (void)start, (void)offset;
}

void target_debug_map(const char *path, uintptr_t base)
{
    (void)path, (void)base;
}

void rewrite_page(struct mm *mm, uintptr_t va, void *page)
{
    (void)mm;
    (void)va;
    ((u8 *)page)[1] = 0x90; /* a patch to be seen */
}

void rewrite_unmap(struct mm *mm, uintptr_t start, size_t size)
{
    (void)mm;
    (void)start;
    (void)size;
}

/* ---- The program ---------------------------------------------------------------------------- */

static int touch(uintptr_t addr, unsigned access, int *code)
{
    const unsigned need = vma_prot(access);
    for (int tries = 0; tries < 3; tries++) {
        int sig = 0;
        unsigned state = target_page_state(addr);
        if ((state & 8) && (state & need) == need)
            return 0;
        if (mm_fault(current->mm, addr, access, &sig, code))
            return sig;
    }
    fail_msg("fault at %#lx is not resolved", addr);
    return -1;
}

int touch_read(uintptr_t addr, u8 *seen, int *code)
{
    int sig = touch(addr, VM_READ, code);
    if (!sig)
        *seen = *(volatile u8 *)addr;
    return sig;
}

int touch_write(uintptr_t addr, u8 value, int *code)
{
    int sig = touch(addr, VM_WRITE, code);
    if (!sig)
        *(volatile u8 *)addr = value;
    return sig;
}

/* ---- Invariants of the tree ----------------------------------------------------------------- */

void check_tree(struct mm *mm)
{
    u64 total = 0, count = 0, locked = 0, rss = 0;
    uintptr_t below = 0;
    mutex_lock(&mm->lock);
    for (struct vma *v = mm_find_next(mm, 0); v; v = vma_next(v)) {
        assert_true(v->start < v->end && v->start >= below);
        assert_int_equal(mm_find(mm, v->start), v);
        assert_int_equal(mm_find(mm, v->end - 1), v);
        uintptr_t floor = v->start;
        if (v->flags & VM_GROWSDOWN)
            floor -= STACK_GUARD_GAP;
        assert_int_equal(v->gap, floor > below ? floor - below : 0);
        u64 best = v->gap;
        if (RB_LEFT(v, node))
            best = max(best, RB_LEFT(v, node)->subtree_gap);
        if (RB_RIGHT(v, node))
            best = max(best, RB_RIGHT(v, node)->subtree_gap);
        assert_int_equal(v->subtree_gap, best);
        assert_false(range_has_free(v->start, v->end));
        below = v->end;
        total += vma_pages(v);
        locked += v->flags & VM_LOCKED ? vma_pages(v) : 0;
        rss += range_resident(v->start, v->end);
        count++;
    }
    mutex_unlock(&mm->lock);
    assert_int_equal(mm->total_vm, total);
    assert_int_equal(mm->vma_count, count);
    assert_int_equal(mm->locked_vm, locked);
    assert_int_equal(mm->rss, rss);
}

void harness_nothing_left(void **state)
{
    struct mm_stats s;
    (void)state;
    harness_mm_drop();
    mm_stats(&s);
    assert_int_equal(s.used_pages, s.kernel_pages);
    assert_int_equal(s.used_pages + s.free_pages, g_target.committed);
}
