/* SPDX-License-Identifier: MIT */
/*
 * Remembers which files were searched for syscall sites, so that the next exec of the same program
 * does not read its text again. An entry is good for one state of the content: size and times of
 * modification and change. Even a stale table does no harm: bytes are compared before they are
 * replaced (rewrite.c).
 *
 * g_cache_lock (spinlock) guards the entries; a search runs without it.
 */
#include "rewrite.h"

#include <kernel/alloc.h>
#include <kernel/fs.h>

#define CACHE_ENTRIES 64u

struct entry {
    struct inode *inode; /* owned reference; NULL: free */
    u64 size, mtime, ctime;
    struct site_table *table; /* owned; NULL: no sites */
    u64 used;
};

static spinlock_t g_cache_lock = SPINLOCK_INIT("site cache");
static struct entry g_cache[CACHE_ENTRIES];
static u64 g_cache_clock;

static ssize_t read_file(void *ctx, void *buf, size_t size, u64 pos)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = file_pread(ctx, (char *)buf + done, size - done, (loff_t)(pos + done));

        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static struct entry describe(struct inode *inode)
{
    return (struct entry){.inode = inode,
                          .size = READ_ONCE(inode->size),
                          .mtime = READ_ONCE(inode->mtime),
                          .ctime = READ_ONCE(inode->ctime)};
}

/* True with a reference in *out (which may be NULL) when the cache knows this state. */
static bool lookup(const struct entry *want, struct site_table **out)
{
    bool found = false;

    spin_lock(&g_cache_lock);
    for (unsigned i = 0; i < CACHE_ENTRIES; i++) {
        struct entry *e = &g_cache[i];

        if (e->inode != want->inode || e->size != want->size || e->mtime != want->mtime ||
            e->ctime != want->ctime)
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
    struct entry *place = &g_cache[0], old;

    inode_get(new->inode);
    if (new->table)
        ref_get(&new->table->ref);
    spin_lock(&g_cache_lock);
    for (unsigned i = 0; i < CACHE_ENTRIES; i++) {
        if (g_cache[i].inode == new->inode) {
            place = &g_cache[i];
            break;
        }
        if (g_cache[i].used < place->used)
            place = &g_cache[i];
    }
    old = *place;
    *place = *new;
    place->used = ++g_cache_clock;
    spin_unlock(&g_cache_lock);
    if (old.inode)
        inode_put(old.inode);
    if (old.table)
        site_table_put(old.table);
}

static struct site_table *search(struct file *file)
{
    struct elf_reader r = {.read = read_file, .ctx = file, .size = READ_ONCE(file->inode->size)};
    struct site_table *t = kzalloc(sizeof(*t));

    if (!t)
        return NULL;
    ref_init(&t->ref);
    if (sites_find(&r, &t->list) == 0 && t->list.count > 0)
        return t;
    site_table_put(t);
    return NULL;
}

struct site_table *site_table_get(struct file *file)
{
    struct entry e = describe(file->inode);
    struct site_table *t;

    if (lookup(&e, &t))
        return t;
    t = e.table = search(file);
    insert(&e);
    return t;
}

void site_table_put(struct site_table *t)
{
    if (!ref_put(&t->ref))
        return;
    sites_free(&t->list);
    kfree(t);
}
