/* SPDX-License-Identifier: MIT */
/*
 * The page cache of one regular file: a radix tree of pages by index. A page lives in the heap, or
 * at an address that mm owns while a shared mapping shows it (bound). Pages that the file system can
 * bring in again (`fill`) may be dropped while they are clean.
 *
 * Locking: cache->lock guards everything here and inode->blocks; inode->size changes under
 * inode->lock and cache->lock both. cache->lock is taken by the fault path: nothing may touch user
 * memory under it. Data therefore moves to and from user memory with the page pinned instead.
 */
#ifndef KERNEL_VFS_PAGECACHE_H
#define KERNEL_VFS_PAGECACHE_H

#include <kernel/fs.h>

#include <kernel/radix.h>

struct pagecache_ops {
    /*
     * Brings the content of page `index` into `page`: bytes up to cache->backed_size only matter.
     * cache->lock held. -EIO, -ENOMEM.
     */
    int (*fill)(struct inode *inode, u64 index, void *page);
};

struct pagecache {
    mutex_t lock;
    struct radix pages;
    const struct pagecache_ops *ops; /* NULL: pages that are not here are holes */
    u64 backed_size;                 /* bytes from the start that `fill` can bring */
    struct list pins;                /* struct pin_batch of copies under way */
    struct list backed_link;         /* g_backed: caches that can be shrunk; g_backed_lock */
    struct inode *inode;
};

/* Radix values: a page's address with flags in the low bits. */
#define CPAGE_BOUND 1UL /* lives at an address of mm's */
#define CPAGE_CLEAN 2UL /* the same as `fill` would give */
#define CPAGE_FLAGS (PAGE_SIZE - 1)

static inline void *cpage_addr(u64 slot)
{
    return (void *)(slot & ~CPAGE_FLAGS);
}

/* Gives a new regular inode its cache. 0 or -ENOMEM. */
int pagecache_create(struct inode *inode);
/* Frees the pages and the cache; nobody uses the inode any more. */
void pagecache_destroy(struct inode *inode);
/* Names where the first `size` bytes come from; the inode is new. */
void pagecache_set_backing(struct inode *inode, const struct pagecache_ops *ops, u64 size);

/* Sets the size, dropping pages and mappings beyond it. inode->lock held. */
void pagecache_truncate(struct inode *inode, u64 size);

/* The page at `index` for reading (*slot 0: a hole). cache->lock held. -EIO, -ENOMEM. */
int pagecache_find(struct inode *inode, u64 index, u64 *slot);
/* The page at `index` for writing, made if missing. cache->lock held. -EIO, -ENOMEM. */
int pagecache_make(struct inode *inode, u64 index, u64 *slot);
/* Before the kernel touches a found page: those of mappings may be closed to it. -ENOMEM. */
int cpage_access(u64 slot, unsigned vm_access);
/* Takes pages [first, end) out; backed ones become explicit zero pages. cache->lock held. -ENOMEM. */
int pagecache_punch(struct inode *inode, u64 first, u64 end);
/* Writes zeroes to [from, to) of one page if it is there. cache->lock held. -EIO, -ENOMEM. */
int pagecache_zero_part(struct inode *inode, u64 from, u64 to);
/* Sets inode->size, zeroing what a mapping may have left behind the old end. cache->lock held. */
void pagecache_grow_size(struct inode *inode, u64 size);
/* Frees a heap page, now or when the last copy through it is done. cache->lock held. */
void pagecache_free_page(struct pagecache *c, void *page);

/* Heap pages in use by copies outside the lock. Lives on the copier's stack. */
#define PIN_MAX 16
struct pin_batch {
    struct list link;
    void *page[PIN_MAX];
    unsigned count;
    u32 orphans; /* bit i: page[i] left the cache; the batch frees it */
};
void pin_begin(struct pagecache *c, struct pin_batch *b);
void pin_end(struct pagecache *c, struct pin_batch *b);

/* Clean pages of backed caches given back; locks that are taken are skipped. */
size_t pagecache_shrink(size_t page_count);

#endif
