/* SPDX-License-Identifier: MIT */
/*
 * Remembers which files were searched for syscall sites, so that the next process that runs the
 * same library does not read its text again. An entry is good for one state of the content: size
 * and times of modification and change. It holds no reference to its inode and never follows the
 * pointer; should all of that describe another file one day, no harm is done: bytes are compared
 * before they are replaced (rewrite.c).
 *
 * g_cache_lock (spinlock) guards the entries; a search runs without it.
 */
#include "rewrite.h"

#include <kernel/alloc.h>
#include <kernel/fs.h>
#include <kernel/string.h>

#define CACHE_ENTRIES 64u

struct entry {
    const struct inode *inode; /* compared only; NULL: free */
    u64 ino, size, mtime, ctime;
    struct site_table *table; /* owned; NULL: no sites */
    u64 used;
};

static spinlock_t g_cache_lock = SPINLOCK_INIT("site cache");
static struct entry g_cache[CACHE_ENTRIES] GUARDED_BY(&g_cache_lock);
static u64 g_cache_clock GUARDED_BY(&g_cache_lock);

/* ---- Reading through the page cache
 * ----------------------------------------------------------------- */

struct page_reader {
    struct inode *inode;
    u8 *page;  /* the last page read */
    u64 index; /* its index; UINT64_MAX: none yet */
};

static ssize_t read_pages(void *ctx, void *buf, size_t size, u64 pos)
{
    struct page_reader *r = ctx;
    size_t done = 0;

    while (done < size) {
        u64 index = (pos + done) / PAGE_SIZE, offset = (pos + done) % PAGE_SIZE;
        size_t part = min(size - done, PAGE_SIZE - offset);

        if (part == PAGE_SIZE) {
            int err = pagecache_read_page(r->inode, index, (char *)buf + done);

            if (err)
                return err;
            done += part;
            continue;
        }
        if (index != r->index) {
            int err = pagecache_read_page(r->inode, index, r->page);

            r->index = err ? UINT64_MAX : index;
            if (err)
                return err;
        }
        memcpy((char *)buf + done, r->page + offset, part);
        done += part;
    }
    return (ssize_t)done;
}

/* ---- The cache
 * -------------------------------------------------------------------------------------- */

static struct entry describe(struct inode *inode)
{
    return (struct entry){.inode = inode,
                          .ino = inode->ino,
                          .size = READ_ONCE(inode->size),
                          .mtime = READ_ONCE(inode->mtime),
                          .ctime = READ_ONCE(inode->ctime)};
}

static bool same_state(const struct entry *a, const struct entry *b)
{
    return a->inode == b->inode && a->ino == b->ino && a->size == b->size && a->mtime == b->mtime &&
           a->ctime == b->ctime;
}

bool site_table_known(struct inode *inode, struct site_table **out)
{
    struct entry want = describe(inode);
    bool found = false;

    spin_lock(&g_cache_lock);
    for (unsigned i = 0; i < CACHE_ENTRIES; i++) {
        struct entry *e = &g_cache[i];

        if (!same_state(e, &want))
            continue;
        e->used = ++g_cache_clock;
        *out = e->table;
        if (e->table)
            ref_get(&e->table->ref);
        found = true;
        break;
    }
    spin_unlock(&g_cache_lock);
    return found;
}

/* Puts a new entry in the place of the same file's old one, else of the least recently used. */
static void insert(const struct entry *new)
{
    struct site_table *old;
    struct entry *place;

    if (new->table)
        ref_get(&new->table->ref);
    spin_lock(&g_cache_lock);
    place = &g_cache[0];
    for (unsigned i = 0; i < CACHE_ENTRIES; i++) {
        if (g_cache[i].inode == new->inode) {
            place = &g_cache[i];
            break;
        }
        if (g_cache[i].used < place->used)
            place = &g_cache[i];
    }
    old = place->table;
    *place = *new;
    place->used = ++g_cache_clock;
    spin_unlock(&g_cache_lock);
    if (old)
        site_table_put(old);
}

/* False: out of memory or unreadable, which may pass and is not remembered. */
static bool search(struct inode *inode, u64 size, struct site_table **out)
{
    struct page_reader pages = {.inode = inode, .page = kmalloc(PAGE_SIZE), .index = UINT64_MAX};
    struct elf_reader r = {.read = read_pages, .ctx = &pages, .size = size};
    struct site_table *t = kzalloc(sizeof(*t));
    int err = -ENOMEM;

    if (pages.page && t)
        err = sites_find(&r, &t->list);
    kfree(pages.page);
    if (err || t->list.count == 0) {
        kfree(t);
        *out = NULL;
        return err != -ENOMEM && err != -EIO;
    }
    ref_init(&t->ref);
    *out = t;
    return true;
}

struct site_table *site_table_search(struct inode *inode)
{
    struct entry e = describe(inode);

    if (search(inode, e.size, &e.table))
        insert(&e);
    return e.table;
}

void site_table_put(struct site_table *t)
{
    if (!ref_put(&t->ref))
        return;
    sites_free(&t->list);
    kfree(t);
}
