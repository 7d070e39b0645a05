/* SPDX-License-Identifier: MIT */
/*
 * Kernel memory: pages from the dynamic range at KHEAP_START (committed on demand, counted against
 * MemorySize together with the programs' pages) and a slab heap over them. All calls are SMP-safe
 * and never block; NULL means that MemorySize or the host's memory is exhausted, and callers
 * return -ENOMEM. They take no mutex that a caller may hold (mm->lock included), but growing the pool
 * leaves the enclave: allocate before taking a spinlock. Freeing never leaves it.
 */
#ifndef KERNEL_ALLOC_H
#define KERNEL_ALLOC_H

#include <kernel/types.h>

/* Heap objects; 16-byte aligned, page-aligned from one page up. kfree(NULL) does nothing. */
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void *kcalloc(size_t count, size_t size); /* checks the product */
void *krealloc(void *p, size_t size);     /* as realloc(3); the old block survives failure */
void kfree(void *p);
char *kstrdup(const char *s);
char *kstrndup(const char *s, size_t max);

/* `count` contiguous zeroed pages. The caller owns them until kpages_free with the same count. */
void *kpages_alloc(size_t count);
void kpages_free(void *p, size_t count);

#endif
