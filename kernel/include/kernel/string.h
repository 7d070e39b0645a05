/* SPDX-License-Identifier: MIT */
/*
 * Memory and string functions with the C standard's meaning (kernel/lib/string.c). memcpy, memmove,
 * memset and memcmp are also what the compiler calls. No vector registers are touched.
 */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#ifdef ADYTON_HOSTED
#include <string.h>
#include <stdio.h>
#else
#include <stdarg.h>
#include <kernel/types.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t size);
void *memmove(void *dst, const void *src, size_t size);
void *memset(void *dst, int c, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *s, int c, size_t size);
void *memmem(const void *h, size_t hsize, const void *n, size_t nsize);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *h, const char *n);

/*
 * printf's %d %i %u %x %X %o %c %s %p %% with flags, width, precision and h hh l ll z j t. No
 * floating point. Returns the length the whole text would have, as C99.
 */
int snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
#endif

/* Copies at most size-1 bytes and terminates. Returns strlen(src); >= size means truncated. */
size_t strlcpy_k(char *dst, const char *src, size_t size);

#endif
