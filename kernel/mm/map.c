/* SPDX-License-Identifier: MIT */
/*
 * Making mappings: mmap(2)'s core and the kernel's own mappings.
 *
 * Address policy: the highest gap below mmap_base (top-down, as Linux), which gives a program that
 * maps and unmaps the same size the same address again, so that it finds its own free pages there
 * and nothing leaves the enclave. Mappings that cannot use free pages (files, PROT_NONE) avoid
 * addresses that have some. Shared files get their object's linear address.
 *
 * Memory is promised as Linux's overcommit mode 0 does: a single writable private request is
 * refused with ENOMEM when it alone exceeds what is left of MemorySize; PROT_NONE, MAP_NORESERVE,
 * read-only and file mappings are free, and promises are not summed up. A touch that finds no page
 * left after all kills the program, as Linux's OOM killer would.
 *
 * Small writable anonymous mappings are committed at once, larger ones by faults.
 */
#include "family.h"
#include <kernel/boot.h>
#include <kernel/files.h>
#include <kernel/loader.h>
#include <syscalls.gen.h>
#include <kernel/task.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#define EAGER_PAGES  16u          /* commit at once up to 64 KiB */
#define LOW_2G_START 0x40000000UL /* MAP_32BIT, as Linux */
#define LOW_2G_END   0x80000000UL
#define AVOID_TRIES  16

unsigned vm_flags_of_prot(unsigned prot)
{
    return (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
           (prot & PROT_EXEC ? VM_EXEC : 0);
}

bool map_wx_forbidden(unsigned vm_flags)
{
    return (vm_flags & (VM_WRITE | VM_EXEC)) == (VM_WRITE | VM_EXEC) &&
           manifest_flag(MANIFEST_FORBID_WX);
}

/* ---- Limits --------------------------------------------------------------------------------- */

int map_may_grow(struct mm *mm, unsigned vm_flags, u64 pages)
{
    bool data = (vm_flags & (VM_WRITE | VM_SHARED | VM_STACK)) == VM_WRITE;
    u64 limit = rlimit(RLIMIT_AS) >> PAGE_SHIFT;
    if (pages > limit || mm->total_vm > limit - pages)
        return -ENOMEM;
    limit = rlimit(RLIMIT_DATA) >> PAGE_SHIFT;
    if (data && (pages > limit || mm->data_vm > limit - pages))
        return -ENOMEM;
    if ((vm_flags & VM_WRITE) && !(vm_flags & VM_NORESERVE) && !budget_fits(pages))
        return -ENOMEM;
    return 0;
}

int map_may_lock(const struct mm *mm, u64 pages)
{
    u64 limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
    if (capable(CAP_IPC_LOCK) || (pages <= limit && mm->locked_vm <= limit - pages))
        return 0;
    return -EAGAIN;
}

/* ---- Addresses ------------------------------------------------------------------------------ */

bool map_range_owned(uintptr_t start, uintptr_t end)
{
    uintptr_t va = start, next;
    u8 state;
    ps_for_each_run(va, next, end, PS_PRESENT | PS_FREE, state)
    {
        if ((state & (PS_PRESENT | PS_FREE)) == PS_PRESENT)
            return true;
    }
    return false;
}

/* The highest usable gap in [low, high); those with free pages only if `anonymous` or none is left.
 */
static uintptr_t choose_in(struct mm *mm, size_t size, uintptr_t low, uintptr_t high,
                           bool anonymous) REQUIRES(&mm->lock)
{
    uintptr_t fallback = 0;
    for (int i = 0; i < AVOID_TRIES && high > low; i++) {
        uintptr_t addr = vma_gap_topdown(mm, size, low, high);
        if (!addr)
            break;
        uintptr_t others = chunks_skip(mm, addr, addr + size);
        if (others < addr + size) {
            high = others;
            i--;
            continue;
        }
        if (!map_range_owned(addr, addr + size)) {
            if (anonymous || !range_has_free(addr, addr + size))
                return addr;
            if (!fallback)
                fallback = addr;
        }
        /* Twice as far each time: what lies there is usually as large as the one before. */
        high = addr + size - min(size << i, addr);
    }
    return fallback;
}

/* After a fork new mappings go where no relative has any: they are never exchanged. */
static void choose_base(struct mm *mm) REQUIRES(&mm->lock)
{
    uintptr_t base = mm->mmap_base - PAGE_SIZE, home;
    if (chunks_skip(mm, base, mm->mmap_base) == mm->mmap_base)
        return;
    home = chunk_take_used(mm);
    if (home)
        mm->mmap_base = home + CHUNK_SIZE;
}

uintptr_t map_choose(struct mm *mm, size_t size, bool anonymous, unsigned flags)
{
    if (flags & MAP_32BIT)
        return choose_in(mm, size, LOW_2G_START, LOW_2G_END, anonymous);
    choose_base(mm);
    uintptr_t addr = choose_in(mm, size, USER_START, mm->mmap_base, anonymous);
    return addr ? addr : choose_in(mm, size, mm->mmap_base, USER_END, anonymous);
}

/* ---- One request ---------------------------------------------------------------------------- */

struct map_request {
    uintptr_t addr;
    size_t size;
    unsigned flags; /* MAP_* */
    unsigned vm_flags;
    struct file *file; /* borrowed */
    u64 pgoff;
    bool plain; /* anonymous and private: may use free pages */
    bool linker; /* other mappings will follow over it, which may too */
};

static bool in_program_range(uintptr_t addr, size_t size)
{
    return addr >= USER_START && size <= SHARED_END - USER_START && addr <= SHARED_END - size;
}

/* Decides r->addr for a request without MAP_FIXED; the hint counts when the range is free. */
static int choose_address(struct mm *mm, struct map_request *r, struct vma *v) REQUIRES(&mm->lock)
{
    uintptr_t hint = page_down(r->addr);
    if (hint && in_program_range(hint, r->size) && vma_range_empty(mm, hint, hint + r->size) &&
        chunks_skip(mm, hint, hint + r->size) == hint + r->size &&
        !map_range_owned(hint, hint + r->size)) {
        r->addr = hint;
        return chunks_claim(mm, hint, hint + r->size);
    }
    r->addr = 0;
    if (v && (r->vm_flags & VM_SHARED) && !(r->flags & MAP_32BIT))
        r->addr = shared_choose(mm, v, r->size);
    if (!r->addr)
        r->addr = map_choose(mm, r->size, r->plain || r->linker, r->flags);
    return r->addr ? chunks_claim(mm, r->addr, r->addr + r->size) : -ENOMEM;
}

static int place(struct mm *mm, struct map_request *r, struct vma *v, struct list *dead)
    REQUIRES(&mm->lock)
{
    if (!(r->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
        return choose_address(mm, r, v);
    if (r->addr & ~PAGE_MASK)
        return -EINVAL;
    if (!in_program_range(r->addr, r->size))
        return r->addr < USER_START && r->addr + r->size > r->addr ? -EPERM : -ENOMEM;
    if ((r->flags & MAP_FIXED_NOREPLACE) && !vma_range_empty(mm, r->addr, r->addr + r->size))
        return -EEXIST;
    int err = chunks_claim(mm, r->addr, r->addr + r->size);
    if (!err)
        err = unmap_locked(mm, r->addr, r->addr + r->size, dead);
    if (!err && map_range_owned(r->addr, r->addr + r->size))
        err = -ENOMEM;
    return err;
}

static bool extends(const struct vma *v, unsigned vm_flags, const char *name)
{
    return !v->file && !v->object && v->flags == vm_flags && v->name == name;
}

/* Extends a neighbour over [start, end) instead of a new VMA: the common case of malloc and brk. */
static bool extend_neighbour(struct mm *mm, uintptr_t start, uintptr_t end, unsigned vm_flags,
                             const char *name, struct list *dead) REQUIRES(&mm->lock)
{
    struct vma *prev = mm_find(mm, start - 1), *next = mm_find(mm, end), *v = NULL;
    if (prev && extends(prev, vm_flags, name))
        v = prev;
    else if (next && extends(next, vm_flags, name))
        v = next;
    if (!v || (vm_flags & (VM_SPECIAL | VM_GROWSDOWN)))
        return false;
    vma_set_range(mm, v, min(start, v->start), max(end, v->end));
    vma_merge(mm, v, dead);
    return true;
}

/* Links a VMA whose range and file are set, over an empty range. -ENOMEM: nothing changed. */
static int insert(struct mm *mm, struct vma *v, bool linker, struct list *dead) REQUIRES(&mm->lock)
{
    if (mm->vma_count >= MAX_MAP_COUNT)
        return -ENOMEM;
    int err = vma_anonymous(v) || (v->flags & VM_SHARED) ?
                  range_prepare(mm, v->start, v->end, vma_anonymous(v), v->flags) :
                  kept_prepare(mm, v, linker);
    if (err)
        return err;
    vma_link(mm, v);
    vma_merge(mm, v, dead);
    return 0;
}

/* What is free there; the kernel's own code for programs may be what it shall be. */
static int prepare_anonymous(struct mm *mm, uintptr_t start, uintptr_t end, unsigned vm_flags) REQUIRES(&mm->lock)
{
    const struct vma v = {.start = start, .end = end, .flags = vm_flags};
    int err = vm_flags & VM_GROWSDOWN ? kept_clear_below(mm, start) : 0;

    if (err)
        return err;
    return vm_flags & VM_SPECIAL ? kept_prepare(mm, &v, false) : range_prepare(mm, start, end, true, vm_flags);
}

int map_insert_anonymous(struct mm *mm, uintptr_t start, uintptr_t end, unsigned vm_flags,
                         const char *name, struct list *dead)
{
    int err = prepare_anonymous(mm, start, end, vm_flags);
    if (err || extend_neighbour(mm, start, end, vm_flags, name, dead))
        return err;
    struct vma *v = mm->vma_count < MAX_MAP_COUNT ? vma_alloc(mm, start, end, vm_flags) : NULL;
    if (!v) {
        range_abandon(mm, start, end);
        return -ENOMEM;
    }
    v->name = name;
    vma_link(mm, v);
    return 0;
}

/* What a file allows: -EACCES, -EPERM, -ENODEV; adds the VM_* flags that follow from it. */
static int file_flags(const struct file *f, unsigned *vm_flags)
{
    unsigned mode = f->flags & O_ACCMODE;
    bool noexec = f->path.mnt && (f->path.mnt->flags & MS_NOEXEC);
    if (mode == O_WRONLY || (f->flags & O_PATH))
        return -EACCES;
    if ((*vm_flags & VM_SHARED) && mode != O_RDWR) {
        if (*vm_flags & VM_WRITE)
            return -EACCES;
        *vm_flags &= ~VM_MAYWRITE;
    }
    if (noexec && (*vm_flags & VM_EXEC))
        return -EPERM;
    if (noexec)
        *vm_flags |= VM_NOEXEC;
    return f->ops->mmap ? 0 : -ENODEV;
}

/*
 * The VMA joins its object. What a seal forbids is looked up in one step with that: whoever adds a seal
 * under the inode's lock either finds a writable mapping counted or is seen here.
 */
static int object_join(struct vma *v)
{
    if (!v->file || !vma_shared_file(v))
        return shared_attach(v);
    struct inode *inode = v->file->inode;
    mutex_lock(&inode->lock);
    int err = inode_seals_map(inode, &v->flags);
    if (!err)
        err = shared_attach(v);
    mutex_unlock(&inode->lock);
    return err;
}

/* A VMA for a file, or shared memory, with an address still to come. ERR_PTR. */
static struct vma *object_vma(struct mm *mm, struct map_request *r)
{
    struct vma *v = vma_alloc(mm, 0, r->size, r->vm_flags);
    int err = 0;
    if (!v)
        return ERR_PTR(-ENOMEM);
    v->pgoff = r->pgoff;
    v->file = r->file ? file_get(r->file) : NULL;
    if (r->file)
        err = r->file->ops->mmap(r->file, v);
    if (!err)
        err = object_join(v);
    if (err) {
        vma_free(v);
        return ERR_PTR(err);
    }
    r->vm_flags = v->flags;
    r->plain = vma_anonymous(v) && (v->flags & (VM_SHARED | VM_WRITE)) == VM_WRITE;
    return v;
}

/* Finds the place and inserts; `v` NULL for plain memory. */
static int map_locked(struct mm *mm, struct map_request *r, struct vma *v, struct list *dead)
    REQUIRES(&mm->lock)
{
    u64 pages = r->size >> PAGE_SHIFT;
    if (mm->vma_count >= MAX_MAP_COUNT)
        return -ENOMEM;
    if ((r->vm_flags & VM_LOCKED) && map_may_lock(mm, pages))
        return -EAGAIN;
    int err = place(mm, r, v, dead);
    if (!err)
        err = map_may_grow(mm, r->vm_flags, pages);
    if (err)
        return err;
    if (!v) {
        err = map_insert_anonymous(mm, r->addr, r->addr + r->size, r->vm_flags, NULL, dead);
    } else {
        v->start = r->addr;
        v->end = r->addr + r->size;
        err = insert(mm, v, r->linker, dead);
    }
    return err;
}

/* What follows a new mapping, outside mm->lock: patches before the first fill, then the pages. */
static void map_finish(struct mm *mm, const struct map_request *r)
{
    uintptr_t end = r->addr + r->size;
    bool populate = (r->flags & MAP_POPULATE) && !(r->flags & MAP_NONBLOCK);
    bool locked = (r->vm_flags & VM_LOCKED) && !(r->vm_flags & VM_LOCKONFAULT);
    bool text = r->file && (r->vm_flags & (VM_EXEC | VM_SHARED | VM_ZERO)) == VM_EXEC;
    if (text) {
        rewrite_mapping(mm, r->addr, r->size, r->file, r->pgoff << PAGE_SHIFT);
        kept_take_text(mm, r->addr, end);
        populate |= manifest_flag(MANIFEST_DEBUG);
    }
    if (r->plain && r->size <= EAGER_PAGES << PAGE_SHIFT)
        populate = true;
    /* As on Linux, a mapping succeeds even when not all of it can be made present. */
    if ((populate || locked) && (r->vm_flags & (VM_READ | VM_WRITE | VM_EXEC)))
        (void)mm_populate(mm, r->addr, end, r->vm_flags & VM_WRITE ? VM_WRITE : VM_READ);
    if (text)
        loader_debug_map(r->file, r->addr, r->pgoff << PAGE_SHIFT);
}

static long map_request(struct mm *mm, struct map_request *r)
{
    struct list dead = LIST_INIT(dead);
    struct vma *v = NULL;
    int err = r->file ? file_flags(r->file, &r->vm_flags) : 0;
    if (!err && map_wx_forbidden(r->vm_flags))
        err = -EACCES;
    if (err)
        return err;
    r->plain = !r->file && (r->vm_flags & (VM_SHARED | VM_WRITE)) == VM_WRITE;
    if (r->file || (r->vm_flags & VM_SHARED)) {
        v = object_vma(mm, r);
        if (IS_ERR(v))
            return PTR_ERR(v);
    }
    mm_lock(mm);
    r->vm_flags |= mm->lock_future;
    if (v)
        v->flags |= mm->lock_future;
    err = map_locked(mm, r, v, &dead);
    mm_unlock(mm);
    if (err && v)
        list_add(&dead, &v->dead_link);
    vma_free_list(&dead);
    if (err)
        return err;
    map_finish(mm, r);
    return (long)r->addr;
}

static unsigned request_vm_flags(unsigned prot, unsigned flags)
{
    unsigned vm = vm_flags_of_prot(prot) | VM_MAYWRITE;
    if ((flags & MAP_TYPE) != MAP_PRIVATE)
        vm |= VM_SHARED;
    if (flags & MAP_NORESERVE)
        vm |= VM_NORESERVE;
    if (flags & MAP_GROWSDOWN)
        vm |= VM_GROWSDOWN;
    if (flags & MAP_LOCKED)
        vm |= VM_LOCKED;
    return vm;
}

long mm_map(struct mm *mm, uintptr_t addr, size_t size, unsigned prot, unsigned flags,
            struct file *file, u64 offset)
{
    if (size == 0 || (offset & ~PAGE_MASK))
        return -EINVAL;
    if (size > SHARED_END)
        return -ENOMEM;
    size = page_up(size);
    if (file && (offset >> PAGE_SHIFT) + (size >> PAGE_SHIFT) > (u64)INT64_MAX >> PAGE_SHIFT)
        return -EOVERFLOW;
    if ((flags & MAP_GROWSDOWN) && (file || (flags & MAP_TYPE) != MAP_PRIVATE))
        return -EINVAL;
    struct map_request r = {
        .addr = addr,
        .size = size,
        .flags = flags,
        .vm_flags = request_vm_flags(prot, flags),
        .file = file,
        .pgoff = file ? offset >> PAGE_SHIFT : 0,
        .linker = file && prot == PROT_READ && (flags & MAP_TYPE) == MAP_PRIVATE && (flags & MAP_DENYWRITE),
    };
    return map_request(mm, &r);
}

/* ---- The kernel's own mappings -------------------------------------------------------------- */

/* The free range closest to `near` within `reach`, 0 for none. */
static uintptr_t choose_near(struct mm *mm, size_t size, uintptr_t near, u64 reach)
    REQUIRES(&mm->lock)
{
    uintptr_t low = near > reach + USER_START ? near - reach : USER_START;
    uintptr_t high = near < USER_END - reach ? near + reach : USER_END;
    uintptr_t below = choose_in(mm, size, page_up(low), page_down(near), false);
    uintptr_t above = choose_in(mm, size, page_up(near), page_down(high), false);
    if (!below || !above)
        return below ? below : above;
    return near - below <= above + size - near ? below : above;
}

static int place_special(struct mm *mm, uintptr_t *addr, uintptr_t near, u64 reach, size_t size)
    REQUIRES(&mm->lock)
{
    if (*addr) {
        if ((*addr & ~PAGE_MASK) || !in_program_range(*addr, size))
            return -EINVAL;
        if (!vma_range_empty(mm, *addr, *addr + size) || map_range_owned(*addr, *addr + size))
            return -EEXIST;
        return chunks_claim(mm, *addr, *addr + size);
    }
    *addr = reach ? choose_near(mm, size, near, reach) : map_choose(mm, size, true, 0);
    return *addr ? chunks_claim(mm, *addr, *addr + size) : -ENOMEM;
}

uintptr_t mm_choose(struct mm *mm, size_t size)
{
    mm_lock(mm);
    uintptr_t addr = map_choose(mm, size, true, 0);
    mm_unlock(mm);
    return addr;
}

long mm_map_special(struct mm *mm, uintptr_t addr, uintptr_t near, u64 reach, size_t size,
                    unsigned vm_flags, const char *name)
{
    struct list dead = LIST_INIT(dead);
    if (size == 0 || size > USER_END)
        return -EINVAL;
    size = page_up(size);
    mm_lock(mm);
    int err = place_special(mm, &addr, near, reach, size);
    if (!err)
        err = map_may_grow(mm, vm_flags, size >> PAGE_SHIFT);
    if (!err)
        err = map_insert_anonymous(mm, addr, addr + size, vm_flags, name, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    return err ? err : (long)addr;
}

/* ---- mmap(2) -------------------------------------------------------------------------------- */

#define MAP_LEGACY                                                                                 \
    (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |       \
     MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |               \
     MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | HUGETLB_BITS)
#define HUGETLB_BITS ((unsigned)MAP_HUGE_MASK << MAP_HUGE_SHIFT)

/* The sharing type and what it allows. 0, -EINVAL or -EOPNOTSUPP. */
static int check_flags(unsigned long flags)
{
    switch (flags & MAP_TYPE) {
    case MAP_PRIVATE:
        return 0;
    case MAP_SHARED:
        return 0;
    case MAP_SHARED_VALIDATE:
        if (flags & MAP_ANONYMOUS)
            return -EINVAL;
        return flags & ~(unsigned long)MAP_LEGACY ? -EOPNOTSUPP : 0;
    }
    return -EINVAL;
}

long sys_mmap(unsigned long addr, size_t size, unsigned long prot, unsigned long flags, int fd,
              unsigned long offset)
{
    struct file *file = NULL;
    if (offset & ~PAGE_MASK)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS)) {
        file = fd_get(fd);
        if (!file)
            return -EBADF;
    }
    long ret = size ? check_flags(flags) : -EINVAL;
    if (!ret && (flags & MAP_HUGETLB))
        ret = file ? -EINVAL : -ENOMEM; /* as a machine without huge pages set aside */
    if (!ret && (flags & MAP_LOCKED) && !capable(CAP_IPC_LOCK) && !rlimit(RLIMIT_MEMLOCK))
        ret = -EPERM;
    if (!ret)
        ret = mm_map(current->mm, addr, size, (unsigned)prot, (unsigned)flags, file, offset);
    if (file)
        file_put(file);
    return ret;
}
