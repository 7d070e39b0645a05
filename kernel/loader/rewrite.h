/* SPDX-License-Identifier: MIT */
/* Syscall sites by file, kept between mappings (site_cache.c) for rewrite.c. */
#ifndef LOADER_REWRITE_H
#define LOADER_REWRITE_H

#include "sites.h"

#include <kernel/lock.h>

struct file;

/* The sites of one state of a file's content; immutable, shared by all mappings of it. */
struct site_table {
    ref_t ref;
    struct site_list list;
};

/*
 * The file's table with a reference, from the cache or searched for now; NULL when it has no sites or
 * cannot be read. May block: no spinlocks, no mm->lock.
 */
struct site_table *site_table_get(struct file *file);
void site_table_put(struct site_table *t);

#endif
