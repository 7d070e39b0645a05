/* SPDX-License-Identifier: MIT */
/* Syscall sites by file, kept between mappings (site_cache.c) for rewrite.c. */
#ifndef LOADER_REWRITE_H
#define LOADER_REWRITE_H

#include "sites.h"

#include <kernel/lock.h>

struct inode;

/* The sites of one state of a file's content; immutable, shared by all mappings of it. */
struct site_table {
    ref_t ref;
    struct site_list list;
};

/*
 * True when the file in its present state was searched before: its table with a reference in *out,
 * or NULL when it has no sites. Never blocks.
 */
bool site_table_known(struct inode *inode, struct site_table **out);

/*
 * Searches the file now and remembers the result; as above. Reads through the page cache, as the
 * fault path does: mm->lock may be held, spinlocks not.
 */
struct site_table *site_table_search(struct inode *inode);
void site_table_put(struct site_table *t);

#endif
