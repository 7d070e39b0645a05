/* SPDX-License-Identifier: MIT */
/*
 * Directory entries of ramfs: a hash table by name that doubles as it fills, and a radix tree by
 * cookie, which gives readdir a position that survives any change in between.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <linux/stat.h>

#include "../../vfs/internal.h"
#include "ramfs.h"

#define BUCKETS_INITIAL 8u
#define SIZE_EMPTY      40u /* st_size of directories, as tmpfs counts it */
#define SIZE_ENTRY      20u

struct ramfs_entry *ramfs_find(const struct inode *dir, const char *name, size_t size)
{
    const struct ramfs_dir *d = &ramfs_info(dir)->dir;
    u32 hash = name_hash(name, size);
    struct ramfs_entry *e = d->buckets ? d->buckets[hash & d->mask] : NULL;

    while (e && (e->hash != hash || e->size != size || memcmp(e->name, name, size) != 0))
        e = e->hash_next;
    return e;
}

/* Room for one more name. Without memory to grow, chains only get longer. */
static bool table_ready(struct ramfs_dir *d)
{
    u32 size = d->buckets ? (d->mask + 1) * 2 : BUCKETS_INITIAL;
    struct ramfs_entry **grown;

    if (d->buckets && d->count <= d->mask)
        return true;
    grown = kcalloc(size, sizeof(*grown));
    if (!grown)
        return d->buckets != NULL;
    for (u32 i = 0; d->buckets && i <= d->mask; i++) {
        for (struct ramfs_entry *e = d->buckets[i], *next; e; e = next) {
            next = e->hash_next;
            e->hash_next = grown[e->hash & (size - 1)];
            grown[e->hash & (size - 1)] = e;
        }
    }
    kfree(d->buckets);
    d->buckets = grown;
    d->mask = size - 1;
    return true;
}

static struct ramfs_entry *entry_create(const char *name, size_t size, struct inode *inode)
{
    struct ramfs_entry *e = kmalloc(sizeof(*e) + size + 1);

    if (!e)
        return NULL;
    memcpy(e->name, name, size);
    e->name[size] = '\0';
    e->size = (u32)size;
    e->hash = name_hash(name, size);
    e->inode = inode;
    return e;
}

static void count_changed(struct inode *dir)
{
    dir->size = SIZE_EMPTY + (u64)ramfs_info(dir)->dir.count * SIZE_ENTRY;
}

int ramfs_add(struct inode *dir, const char *name, size_t size, struct inode *inode)
{
    struct ramfs_dir *d = &ramfs_info(dir)->dir;
    struct ramfs_entry *e = entry_create(name, size, inode);

    if (!e || !table_ready(d) || radix_set(&d->order, d->next_cookie, (uintptr_t)e)) {
        kfree(e);
        return -ENOMEM;
    }
    e->cookie = d->next_cookie++;
    e->hash_next = d->buckets[e->hash & d->mask];
    d->buckets[e->hash & d->mask] = e;
    d->count++;
    inode_get(inode);
    inode->nlink++;
    if (S_ISDIR(inode->mode)) {
        inode->nlink++; /* its own "." */
        dir->nlink++;   /* its ".." */
        ramfs_info(inode)->dir.parent = dir;
    }
    count_changed(dir);
    return 0;
}

/* Out of table and order. */
static void entry_unlink(struct ramfs_dir *d, struct ramfs_entry *e)
{
    struct ramfs_entry **p = &d->buckets[e->hash & d->mask];

    while (*p != e)
        p = &(*p)->hash_next;
    *p = e->hash_next;
    (void)radix_delete(&d->order, e->cookie);
    d->count--;
}

void ramfs_remove(struct inode *dir, struct ramfs_entry *e)
{
    struct inode *inode = e->inode;

    entry_unlink(&ramfs_info(dir)->dir, e);
    inode->nlink--;
    if (S_ISDIR(inode->mode)) {
        inode->nlink--;
        dir->nlink--;
    }
    count_changed(dir);
    kfree(e);
    inode_put(inode);
}

/* Moves a directory's entries to the list `doomed`. */
static struct ramfs_entry *entries_take(struct ramfs_dir *d, struct ramfs_entry *doomed)
{
    u64 cookie = 0, value;

    while ((value = radix_next(&d->order, &cookie))) {
        struct ramfs_entry *e = (struct ramfs_entry *)value;

        (void)radix_delete(&d->order, cookie);
        e->hash_next = doomed;
        doomed = e;
    }
    kfree(d->buckets);
    d->buckets = NULL;
    d->count = 0;
    return doomed;
}

/* Iterative, because a tree may be deeper than the kernel's stack. */
void ramfs_dir_destroy(struct inode *dir)
{
    struct ramfs_entry *doomed = entries_take(&ramfs_info(dir)->dir, NULL), *e;

    while ((e = doomed)) {
        doomed = e->hash_next;
        if (S_ISDIR(e->inode->mode))
            doomed = entries_take(&ramfs_info(e->inode)->dir, doomed);
        inode_put(e->inode);
        kfree(e);
    }
}
