/* SPDX-License-Identifier: MIT */
/* The kernel's services that pure parts of the loader use, from the hosted C library. */
#include <kernel/alloc.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#include <stdarg.h>
#include <stdlib.h>

void *kmalloc(size_t size)
{
    return malloc(size);
}

void *kzalloc(size_t size)
{
    return calloc(1, size);
}

void *kcalloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void *krealloc(void *p, size_t size)
{
    return realloc(p, size);
}

void kfree(void *p)
{
    free(p);
}

char *kstrdup(const char *s)
{
    return strdup(s);
}

void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    abort();
}
