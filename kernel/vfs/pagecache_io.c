/* SPDX-License-Identifier: MIT */
/*
 * read, write, seek and fallocate of files whose data is their page cache.
 *
 * User memory may fault, and the fault may need the same cache: so data crosses either through a
 * small buffer on the stack (short transfers, and pages that mappings show) or straight between user
 * memory and heap pages that are pinned, never with cache->lock held. Writers hold inode->lock.
 */
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/time.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "internal.h"
#include "pagecache.h"
#include "rw.h"

#define BOUNCE_SIZE 512u

/* ---- Reading ----------------------------------------------------------------------------------------- */

/* Up to BOUNCE_SIZE bytes of one page at `pos` into `buf`. Their number, 0 at the end, -errno. */
static ssize_t fetch_small(struct inode *inode, u64 pos, void *buf, size_t size)
{
    struct pagecache *c = inode->cache;
    ssize_t n = 0;
    u64 slot;

    size = min(size, PAGE_SIZE - pos % PAGE_SIZE);
    mutex_lock(&c->lock);
    if (pos < inode->size) {
        size = min(size, inode->size - pos);
        n = pagecache_find(inode, pos / PAGE_SIZE, &slot);
        if (likely(!n))
            n = cpage_access(slot, VM_READ);
        if (likely(!n)) {
            n = (ssize_t)size;
            if (likely(slot))
                memcpy(buf, (char *)cpage_addr(slot) + pos % PAGE_SIZE, size);
            else
                memset(buf, 0, size);
        }
    }
    mutex_unlock(&c->lock);
    return n;
}

static ssize_t read_small(struct inode *inode, u64 pos, size_t size, struct iov_iter *to)
{
    u8 buf[BOUNCE_SIZE];
    ssize_t n = fetch_small(inode, pos, buf, min(size, sizeof(buf)));
    size_t done;

    if (n <= 0)
        return n;
    done = copy_to_iter(buf, (size_t)n, to);
    return done ? (ssize_t)done : -EFAULT;
}

/*
 * Pins the heap pages from `pos` on, holes as NULL, at most PIN_MAX and up to the end. The bytes that
 * they hold, 0 when the first one is bound or the file ends, -errno.
 */
static ssize_t pin_pages(struct inode *inode, u64 pos, size_t size, struct pin_batch *b)
{
    struct pagecache *c = inode->cache;
    size_t room = 0;
    int err = 0;

    b->count = 0;
    mutex_lock(&c->lock);
    pin_begin(c, b);
    size = pos < inode->size ? min(size, inode->size - pos) : 0;
    while (room < size && b->count < PIN_MAX) {
        u64 slot;

        err = pagecache_find(inode, (pos + room) / PAGE_SIZE, &slot);
        if (err || (slot & CPAGE_BOUND))
            break;
        b->page[b->count++] = cpage_addr(slot);
        room += PAGE_SIZE - (pos + room) % PAGE_SIZE;
    }
    if (!b->count)
        pin_end(c, b);
    mutex_unlock(&c->lock);
    return b->count ? (ssize_t)min(room, size) : err;
}

/* Whole pages at a time. 0 with nothing copied: the next page must go the small way. */
static ssize_t read_pinned(struct inode *inode, u64 pos, size_t size, struct iov_iter *to)
{
    struct pin_batch b;
    ssize_t room = pin_pages(inode, pos, size, &b);
    size_t done = 0;

    if (room <= 0)
        return room;
    for (unsigned i = 0; i < b.count; i++) {
        size_t off = (pos + done) % PAGE_SIZE;
        size_t n = min(PAGE_SIZE - off, (size_t)room - done), got;

        got = b.page[i] ? copy_to_iter((char *)b.page[i] + off, n, to) : zero_to_iter(n, to);
        done += got;
        if (got < n)
            break;
    }
    mutex_lock(&inode->cache->lock);
    pin_end(inode->cache, &b);
    mutex_unlock(&inode->cache->lock);
    return done ? (ssize_t)done : -EFAULT;
}

ssize_t pagecache_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct inode *inode = f->inode;
    size_t done = 0;
    ssize_t n = 0;

    while (to->count) {
        u64 at = (u64)*pos + done;
        size_t before = to->count;

        n = 0;
        if (before > BOUNCE_SIZE)
            n = read_pinned(inode, at, before, to);
        if (n == 0)
            n = read_small(inode, at, before, to);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (!done)
        return n;
    *pos += (loff_t)done;
    file_accessed(f);
    return (ssize_t)done;
}

/* ---- Writing ------------------------------------------------------------------------------------------ */

/* The file reaches to `end` now, with data up to there. cache->lock held. */
static void size_reached(struct inode *inode, u64 end)
{
    if (end > inode->size)
        WRITE_ONCE(inode->size, end);
}

/* Puts `size` bytes of one page at `pos`. */
static int store_small(struct inode *inode, u64 pos, const void *buf, size_t size)
{
    struct pagecache *c = inode->cache;
    u64 slot;
    int err;

    mutex_lock(&c->lock);
    pagecache_grow_size(inode, pos);
    err = pagecache_make(inode, pos / PAGE_SIZE, &slot);
    if (!err)
        err = cpage_access(slot, VM_WRITE);
    if (!err) {
        memcpy((char *)cpage_addr(slot) + pos % PAGE_SIZE, buf, size);
        size_reached(inode, pos + size);
    }
    mutex_unlock(&c->lock);
    return err;
}

static ssize_t write_small(struct inode *inode, u64 pos, size_t size, struct iov_iter *from)
{
    u8 buf[BOUNCE_SIZE];
    size_t n = copy_from_iter(buf, min(size, sizeof(buf)), from);
    int err;

    if (!n)
        return -EFAULT;
    err = store_small(inode, pos, buf, n);
    return err ? err : (ssize_t)n;
}

/* Pins one heap page for writing. 1, 0 when it is bound, -errno. */
static int pin_for_write(struct inode *inode, u64 pos, struct pin_batch *b)
{
    struct pagecache *c = inode->cache;
    bool pinned = false;
    u64 slot;
    int err;

    mutex_lock(&c->lock);
    err = pagecache_make(inode, pos / PAGE_SIZE, &slot);
    if (!err && !(slot & CPAGE_BOUND)) {
        b->page[0] = cpage_addr(slot);
        b->count = 1;
        pin_begin(c, b);
        pinned = true;
    }
    mutex_unlock(&c->lock);
    return err < 0 ? err : pinned;
}

/* What was written into a page that moved meanwhile follows it. cache->lock held. */
static void write_again(struct inode *inode, u64 pos, const char *data, size_t size)
{
    u64 slot = radix_get(&inode->cache->pages, pos / PAGE_SIZE);

    if (slot && !cpage_access(slot, VM_WRITE))
        memcpy((char *)cpage_addr(slot) + pos % PAGE_SIZE, data, size);
}

static ssize_t write_pinned(struct inode *inode, u64 pos, size_t size, struct iov_iter *from)
{
    struct pin_batch b;
    char *at;
    size_t n;
    int err = pin_for_write(inode, pos, &b);

    if (err <= 0)
        return err;
    at = (char *)b.page[0] + pos % PAGE_SIZE;
    n = copy_from_iter(at, size, from);
    mutex_lock(&inode->cache->lock);
    if (n) {
        pagecache_grow_size(inode, pos);
        if (unlikely(b.orphans))
            write_again(inode, pos, at, n);
        size_reached(inode, pos + n);
    }
    pin_end(inode->cache, &b);
    mutex_unlock(&inode->cache->lock);
    return n ? (ssize_t)n : -EFAULT;
}

/* One page's share. */
static ssize_t write_part(struct inode *inode, u64 pos, size_t size, struct iov_iter *from)
{
    ssize_t n = 0;

    size = min(size, PAGE_SIZE - pos % PAGE_SIZE);
    if (size > BOUNCE_SIZE)
        n = write_pinned(inode, pos, size, from);
    if (n == 0)
        n = write_small(inode, pos, size, from);
    return n == -ENOMEM ? -ENOSPC : n;
}

ssize_t pagecache_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    struct inode *inode = f->inode;
    size_t done = 0;
    ssize_t n, room;

    mutex_lock(&inode->lock);
    n = room = file_write_checks(f, from, pos);
    while (room > 0 && done < (size_t)room) {
        n = write_part(inode, (u64)*pos + done, (size_t)room - done, from);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (done) {
        *pos += (loff_t)done;
        inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
    }
    mutex_unlock(&inode->lock);
    return done ? (ssize_t)done : n;
}

/* ---- Holes ------------------------------------------------------------------------------------------------ */

/* The first offset at or after `pos` that is data (or a hole); the size when there is none. */
static u64 find_data(struct inode *inode, u64 pos, bool data)
{
    struct pagecache *c = inode->cache;
    u64 size = inode->size, index = pos / PAGE_SIZE;
    u64 backed_end = c->backed_size / PAGE_SIZE + (c->backed_size % PAGE_SIZE != 0);

    if (data) {
        if (index < backed_end)
            return pos;
        if (!radix_next(&c->pages, &index))
            return size;
    } else {
        index = max(index, backed_end);
        while (index * PAGE_SIZE < size && radix_get(&c->pages, index))
            index++;
    }
    return min(max(pos, index * PAGE_SIZE), size);
}

static loff_t seek_data(struct inode *inode, loff_t offset, bool data)
{
    struct pagecache *c = inode->cache;
    loff_t found = -ENXIO;

    mutex_lock(&c->lock);
    if (offset >= 0 && (u64)offset < inode->size) {
        found = (loff_t)find_data(inode, (u64)offset, data);
        if (data && (u64)found == inode->size)
            found = -ENXIO;
    }
    mutex_unlock(&c->lock);
    return found;
}

loff_t pagecache_seek(struct file *f, loff_t offset, int whence)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return file_seek_default(f, offset, whence);
    offset = seek_data(f->inode, offset, whence == SEEK_DATA);
    if (offset >= 0)
        f->pos = offset;
    return offset;
}

/* ---- fallocate --------------------------------------------------------------------------------------------- */

static int punch(struct inode *inode, u64 start, u64 end)
{
    struct pagecache *c = inode->cache;
    u64 first = page_up(start), last = page_down(end);
    int err = 0;

    mutex_lock(&c->lock);
    if (first > last) {
        err = pagecache_zero_part(inode, start, end);
    } else {
        if (start < first)
            err = pagecache_zero_part(inode, start, first);
        if (!err && last < end)
            err = pagecache_zero_part(inode, last, end);
        if (!err)
            err = pagecache_punch(inode, first / PAGE_SIZE, last / PAGE_SIZE);
    }
    mutex_unlock(&c->lock);
    return err;
}

static int preallocate(struct inode *inode, u64 start, u64 end, bool grow)
{
    struct pagecache *c = inode->cache;
    int err = 0;
    u64 slot;

    for (u64 i = start / PAGE_SIZE; !err && i * PAGE_SIZE < end; i++) {
        mutex_lock(&c->lock);
        err = radix_get(&c->pages, i) ? 0 : pagecache_make(inode, i, &slot);
        mutex_unlock(&c->lock);
    }
    if (err)
        return err == -ENOMEM ? -ENOSPC : err;
    mutex_lock(&c->lock);
    if (grow)
        pagecache_grow_size(inode, end);
    mutex_unlock(&c->lock);
    return 0;
}

static int fallocate_locked(struct inode *inode, int mode, u64 start, u64 end)
{
    bool grow = !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size;
    int err;

    if ((mode & ~FALLOC_FL_KEEP_SIZE) && (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
        return -EPERM;
    err = grow ? inode_newsize_ok(inode, end) : 0;
    if (!err && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
        err = punch(inode, start, end);
    if (!err && !(mode & FALLOC_FL_PUNCH_HOLE))
        err = preallocate(inode, start, end, grow);
    if (!err)
        inode_touch(inode, ATTR_MTIME | ATTR_CTIME);
    return err;
}

int pagecache_fallocate(struct file *f, int mode, loff_t offset, loff_t size)
{
    struct inode *inode = f->inode;
    loff_t end;
    int err;

    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        return -EOPNOTSUPP;
    if ((mode & FALLOC_FL_PUNCH_HOLE) && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
        return -EOPNOTSUPP;
    if (offset < 0 || size <= 0)
        return -EINVAL;
    if (__builtin_add_overflow(offset, size, &end))
        return -EFBIG;
    mutex_lock(&inode->lock);
    err = fallocate_locked(inode, mode, (u64)offset, (u64)end);
    mutex_unlock(&inode->lock);
    return err;
}

int pagecache_mmap(struct file *f, struct vma *vma)
{
    (void)f;
    (void)vma;
    return 0;
}

size_t vfs_shrink(size_t page_count)
{
    size_t freed = pagecache_shrink(page_count);

    if (freed < page_count)
        dcache_note_pressure();
    return freed;
}
