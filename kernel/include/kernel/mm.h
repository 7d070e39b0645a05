/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: VMAs in a red-black tree, trusted per-page state below them.
 *
 * mm->lock (mutex) guards the VMA tree, brk and the page state of the user range. The fault path
 * takes it; copies to and from user memory therefore never run with it held.
 *
 * Page state is per enclave and target-independent: for every page of the dynamic range whether it is
 * absent or present, with which permissions, and whether it is free (present, owned by nobody, ready
 * for reuse at the same address). Only it decides whether a fault may commit a page.
 */
#ifndef KERNEL_MM_H
#define KERNEL_MM_H

#include <kernel/fs.h>
#include <kernel/lock.h>
#include <kernel/radix.h>
#include <kernel/rbtree.h>
#include <linux/mman.h>

#define VM_READ      0x1u
#define VM_WRITE     0x2u
#define VM_EXEC      0x4u
#define VM_SHARED    0x8u
#define VM_GROWSDOWN 0x10u
#define VM_LOCKED    0x20u
#define VM_NORESERVE 0x40u
#define VM_DONTFORK  0x80u
#define VM_DONTDUMP  0x100u
#define VM_WIPEONFORK 0x200u
#define VM_STACK     0x400u
#define VM_HEAP      0x800u   /* brk */
#define VM_VDSO      0x1000u
#define VM_TRAMPOLINE 0x2000u /* syscall-site trampolines: hidden from /proc/PID/maps' users */
#define VM_MAYWRITE  0x4000u
#define VM_ZERO      0x8000u  /* set by a file's mmap op: behaves as anonymous memory (/dev/zero) */
#define VM_NOEXEC    0x10000u /* may never become executable (noexec mount) */
#define VM_LOCKONFAULT 0x20000u
#define VM_SEALED    0x40000u /* mseal(2) */
#define VM_WRITTEN   0x80000u /* pages of a private file mapping may differ from the file */
#define VM_KEPT      0x100000u /* mm/kept.c: its address space ends, its pages may be of use to the next one */
#define VM_SPECIAL   (VM_VDSO | VM_TRAMPOLINE)

struct shared_object;

struct vma {
    RB_ENTRY(vma) node;
    uintptr_t start, end;
    unsigned flags;
    struct file *file;   /* owned reference, or NULL */
    u64 pgoff;           /* in pages, of `start` */
    const char *name;    /* "[heap]", "[stack]", "[vdso]"; static or owned with name_owned */
    bool name_owned;
    bool leaving;        /* being unmapped: others need not mind it; guarded by mm/shared.c's lock */
    struct mm *mm;
    /* mm's own, guarded by mm->lock: the gap below and the largest gap in this subtree, in bytes. */
    u64 gap, subtree_gap;
    uintptr_t fault_next; /* where the last batch of faults ended; and that batch's pages */
    u32 fault_batch;
    struct shared_object *object; /* of a file or shared memory; mm/shared.c */
    struct list object_link;      /* in object's list; guarded by its lock */
    struct list dead_link;        /* unmapped, waiting to be freed */
};

RB_HEAD(vma_tree, vma);

struct family;
struct kept;
struct task;

struct mm {
    ref_t ref;
    mutex_t lock;

    /* Who may use the memory now: kernel/mm/family.h. */
    struct family *family;               /* changes only while the program is loaded */
    struct list family_link;             /* guarded by family->lock */
    u32 gate, inside;                    /* atomic */
    mutex_t fork_lock;                   /* one copy of the address space at a time */
    struct task *stopper;                /* guarded by family->lock */
    unsigned membarrier;                 /* MEMBARRIER_CMD_REGISTER_* that it did; atomic */
    bool lost;                           /* pages could not be kept: the program must end; atomic */
    struct radix saved;                  /* pages that are not in place, by number; guarded by family->lock */
    uintptr_t last_chunk;                /* chunk.c: the last one that was claimed */
    struct kept *kept;                   /* what earlier users of its chunks left; with g_chunk_lock held */

    struct vma_tree vmas GUARDED_BY(&lock);
    struct vma *found GUARDED_BY(&lock); /* the last one that mm_find() found, or NULL */
    u64 vma_count GUARDED_BY(&lock);
    unsigned lock_future GUARDED_BY(&lock); /* VM_LOCKED and VM_LOCKONFAULT for new mappings */
    bool ending GUARDED_BY(&lock);       /* mm_put() is taking it down */
    u64 truncate_mark;                   /* guarded by mm/shared.c's lock */
    u64 total_vm GUARDED_BY(&lock), data_vm GUARDED_BY(&lock), exec_vm GUARDED_BY(&lock);
    u64 stack_vm GUARDED_BY(&lock), locked_vm GUARDED_BY(&lock); /* pages, as all of these */
    u64 total_peak GUARDED_BY(&lock); /* of total_vm */
    u64 rss, rss_peak;                   /* atomic; peak: the largest that rss ever was */
    uintptr_t brk_start, brk, mmap_base;
    uintptr_t start_code, end_code, start_data, end_data, start_stack;
    uintptr_t arg_start, arg_end, env_start, env_end;
    u64 auxv[64];        /* as on the stack, for /proc/self/auxv */
    uintptr_t vdso_base;
    uintptr_t vdso_restorer; /* rt_sigreturn's restorer in the vDSO */
};

/*
 * mm->lock, with the current task inside (family.h) until mm_unlock(): whoever reads or changes pages holds it
 * so. May block; no spinlock and no other mm's lock may be held.
 */
void mm_lock(struct mm *mm) ACQUIRES(&mm->lock);
void mm_unlock(struct mm *mm) RELEASES(&mm->lock);

/* The current task needs its program's memory (blocks until it has it), or may do without. */
void mm_enter(void);
void mm_leave(void);
/* On the way back to the program: takes turns with others that want the same addresses. */
void mm_take_turns(void);

/* Before a program linked at fixed addresses is loaded into the new `mm`: shares them with others. 0, -ENOMEM. */
int mm_share_range(struct mm *mm, uintptr_t start, uintptr_t end);
/* Where a new address space should lie: the start of 4 GiB that are its own, or 0: anywhere. */
uintptr_t mm_home(struct mm *mm, u64 *seed);
/* Where a mapping of `size` bytes would go now; 0: nowhere. Nobody else uses `mm`. */
uintptr_t mm_choose(struct mm *mm, size_t size);
/* Pages in [start, end) that an earlier address space left there (mm/kept.c), and that no mapping took, go. */
void mm_drop_kept(struct mm *mm, uintptr_t start, uintptr_t end);

struct mm *mm_create(void);
/*
 * fork(2)'s copy of `mm`, whose current thread calls: private memory as it is now, shared memory shared.
 * ERR_PTR(-ENOMEM): nothing changed.
 */
struct mm *mm_fork(struct mm *mm);
void mm_put(struct mm *mm); /* the last reference unmaps everything */

/* Boot: page state over the dynamic range; MemorySize from the manifest in bytes. */
int mm_init(u64 memory_size);

/* mmap(2)'s core with kernel arguments: the address or -errno. `file` gains its own reference. */
long mm_map(struct mm *mm, uintptr_t addr, size_t size, unsigned prot, unsigned flags,
            struct file *file, u64 offset);
int mm_unmap(struct mm *mm, uintptr_t addr, size_t size);
int mm_protect(struct mm *mm, uintptr_t addr, size_t size, unsigned prot);

/*
 * Each VMA in order of addresses with the numbers that /proc/PID/maps, smaps and statm print. Called
 * with mm->lock held: `fn` must neither block on the VFS nor touch user memory. Returning false stops.
 */
struct vma_info {
    const struct vma *vma;
    u64 resident; /* pages */
};
void mm_for_each_vma(struct mm *mm, bool (*fn)(const struct vma_info *info, void *arg), void *arg);

/*
 * For core files: what is mapped, without the kernel's trampolines, in order of addresses: at most `max` of them
 * in `out`, each with its own reference on `file`. How many there are. Takes mm->lock.
 */
struct mm_segment {
    uintptr_t start, end;
    unsigned flags;      /* VM_* */
    u64 pgoff;
    struct file *file;   /* or NULL */
    bool anonymous;      /* what it holds comes from the program alone */
    bool written;        /* of private memory: the program may have written something there */
    u64 dump;            /* bytes of it that go into the file, the caller's */
};
size_t mm_segments(struct mm *mm, struct mm_segment *out, size_t max);

/*
 * The page at `addr` as a core file shows it. False, with nothing in `buf`: a hole, where nothing is mapped or was
 * ever touched, or that cannot be read. Nothing is committed for it. Takes mm->lock.
 */
bool mm_dump_page(struct mm *mm, uintptr_t addr, void *buf);
/* Where from `addr` on, in one mapping up to `end`, the next page may be that is no hole. Takes mm->lock. */
uintptr_t mm_dump_next(struct mm *mm, uintptr_t addr, uintptr_t end);

/* Pages of [start, end) that are present; for smaps, mincore and core dumps. mm->lock held. */
u64 mm_resident_pages(uintptr_t start, uintptr_t end);

/*
 * What the trusted page state says of one page of the dynamic range, kernel's included: whether it
 * is known present with `access` (VM_*) allowed. For exception entries: such a fault is spurious.
 */
bool mm_page_known(uintptr_t addr, unsigned access);

/*
 * Pages of the THREADS zone, which the target shares out: absent ones become present, zeroed, readable and
 * writable, counted as the kernel's (-ENOMEM), and absent again. The caller alone knows of them.
 */
int mm_kernel_commit(uintptr_t start, uintptr_t end);
void mm_kernel_release(uintptr_t start, uintptr_t end);

/*
 * As mm_map, for the kernel's own mappings (vDSO, trampolines, stacks) with VM_* flags and a name.
 * `addr` 0: anywhere; else exactly there or -EEXIST. `near`/`reach`: within that distance (0: any).
 */
long mm_map_special(struct mm *mm, uintptr_t addr, uintptr_t near, u64 reach, size_t size,
                    unsigned vm_flags, const char *name);

/*
 * Writes into a mapping whatever its permissions (loader's patches, trampolines, debugger), with
 * pages made present. -EFAULT outside mappings, -ENOMEM.
 */
int mm_poke(struct mm *mm, uintptr_t addr, const void *buf, size_t size);
int mm_peek(struct mm *mm, uintptr_t addr, void *buf, size_t size);

/*
 * A page fault of the current thread at `addr` (page granular is enough), from the program or from a
 * kernel copy. `access`: VM_READ, VM_WRITE or VM_EXEC. 0: resolved or spurious, retry. Else the
 * signal to raise: fills *sig (SIGSEGV, SIGBUS, SIGKILL for no memory) and *code (SEGV_MAPERR...).
 * Takes mm->lock; must not be held.
 */
int mm_fault(struct mm *mm, uintptr_t addr, unsigned access, int *sig, int *code);

/*
 * prctl(2), PR_SET_VMA_ANON_NAME: anonymous memory in the range is shown as [anon:NAME]; `name` NULL: no more.
 * -EINVAL, -EFAULT, -ENOMEM (a hole; the rest is done), -EBADF (a file), -EAGAIN (no memory).
 */
long mm_set_anon_name(struct mm *mm, uintptr_t addr, size_t size, const char __user *name);

/*
 * What all who share the word at `addr` know it by: *owner and *offset become the shared object's and the place
 * in it; they stay as they are in private memory. Takes mm->lock.
 */
void mm_shared_key(struct mm *mm, uintptr_t addr, const void **owner, u64 *offset);

/* The VMA containing addr, or NULL. mm->lock held. */
struct vma *mm_find(struct mm *mm, uintptr_t addr) REQUIRES(&mm->lock);
/* The first VMA that ends above addr. mm->lock held. */
struct vma *mm_find_next(struct mm *mm, uintptr_t addr) REQUIRES(&mm->lock);

/*
 * Pages of a file bound into mappings (pagecache_bind_page) carry the mapping's permissions, and the
 * kernel is held to them too. The page cache calls this before it reads (VM_READ) or writes
 * (VM_WRITE) a bound page directly. 0, or -ENOMEM when the host refused. Takes no lock.
 */
int mm_bound_access(uintptr_t va, unsigned access);

/* How many mappings of a file there are in all address spaces. */
u64 mm_file_mappings(const struct inode *inode);

/*
 * Whether a file may take one more page for what a program writes. The last ones are kept for programs to touch:
 * a write can fail with ENOSPC, a touch can only kill.
 */
bool mm_file_room(void);

struct mm_stats {
    u64 limit_pages;     /* MemorySize */
    u64 used_pages;      /* programs and kernel */
    u64 used_peak;
    u64 free_pages;      /* present, ready for reuse */
    u64 kernel_pages;
    u64 faults, commits;
};
void mm_stats(struct mm_stats *out);

#endif
