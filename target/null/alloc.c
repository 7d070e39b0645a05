/* SPDX-License-Identifier: MIT */
/*
 * kernel/alloc.h on libc's heap, so that ASan sees the kernel's objects one by one. Linked only
 * when a test does not bring the kernel's own allocator (mm/).
 */
#include "null.h"

#include <kernel/alloc.h>
#include <stdlib.h>
#include <string.h>

static u64 g_left = UINT64_MAX; /* atomic */

void null_alloc_fail_after(u64 count)
{
    __atomic_store_n(&g_left, count, __ATOMIC_RELAXED);
}

static bool may_alloc(void)
{
    u64 left = __atomic_load_n(&g_left, __ATOMIC_RELAXED);

    if (left && left != UINT64_MAX)
        __atomic_store_n(&g_left, left - 1, __ATOMIC_RELAXED);
    return left;
}

void *kmalloc(size_t size)
{
    if (!may_alloc())
        return NULL;
    return size >= PAGE_SIZE ? aligned_alloc(PAGE_SIZE, page_up(size)) : malloc(size ? size : 1);
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);

    return p ? memset(p, 0, size) : NULL;
}

void *kcalloc(size_t count, size_t size)
{
    size_t total;

    return __builtin_mul_overflow(count, size, &total) ? NULL : kzalloc(total);
}

void *krealloc(void *p, size_t size)
{
    return may_alloc() ? realloc(p, size ? size : 1) : NULL;
}

void kfree(void *p)
{
    free(p);
}

char *kstrdup(const char *s)
{
    return kstrndup(s, SIZE_MAX);
}

char *kstrndup(const char *s, size_t max)
{
    size_t size = strnlen(s, max);
    char *copy = kmalloc(size + 1);

    if (copy) {
        memcpy(copy, s, size);
        copy[size] = 0;
    }
    return copy;
}

void *kpages_alloc(size_t count)
{
    return kzalloc(count * PAGE_SIZE);
}

void kpages_free(void *p, size_t count)
{
    (void)count;
    free(p);
}
