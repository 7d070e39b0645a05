/* SPDX-License-Identifier: MIT */
/*
 * Memory and string functions (kernel/string.h), also called by the compiler. Small sizes go
 * through general registers in overlapping pieces, large ones through `rep movsb`/`rep stosb`,
 * which every processor with SGX2 runs at the width of its caches. No vector register is touched:
 * they hold the program's values.
 *
 * Loops hide their pointer from the optimiser (hide()), or it would turn the loop of memcmp or
 * strlen into a call of the very function it stands in.
 */
#include <kernel/string.h>
#include <kernel/types.h>

typedef u64 __attribute__((may_alias, aligned(1))) u64_any;
typedef u32 __attribute__((may_alias, aligned(1))) u32_any;
typedef u16 __attribute__((may_alias, aligned(1))) u16_any;

#define hide(p) __asm__("" : "+r"(p))

#ifndef ADYTON_HOSTED

/* From here on the start-up of the rep instruction pays (measured; SGX2 processors have FSRM). */
#define REP_MOVS_MIN 64u
#define REP_STOS_MIN 128u

static inline void copy_up_to_16(u8 *d, const u8 *s, size_t size)
{
    if (size >= 8) {
        u64 first = *(const u64_any *)s, last = *(const u64_any *)(s + size - 8);
        *(u64_any *)d = first;
        *(u64_any *)(d + size - 8) = last;
    } else if (size >= 4) {
        u32 first = *(const u32_any *)s, last = *(const u32_any *)(s + size - 4);
        *(u32_any *)d = first;
        *(u32_any *)(d + size - 4) = last;
    } else if (size >= 2) {
        u16 first = *(const u16_any *)s, last = *(const u16_any *)(s + size - 2);
        *(u16_any *)d = first;
        *(u16_any *)(d + size - 2) = last;
    } else if (size) {
        *d = *s;
    }
}

/* Forward in 16-byte steps; the tail overlaps what was copied. size > 16. */
static inline void copy_forward(u8 *d, const u8 *s, size_t size)
{
    u64 tail0 = *(const u64_any *)(s + size - 16), tail1 = *(const u64_any *)(s + size - 8);
    u8 *end = d + size;

    while (end - d > 16) {
        u64 a = *(const u64_any *)s, b = *(const u64_any *)(s + 8);
        *(u64_any *)d = a;
        *(u64_any *)(d + 8) = b;
        d += 16;
        s += 16;
        hide(d);
    }
    *(u64_any *)(end - 16) = tail0;
    *(u64_any *)(end - 8) = tail1;
}

/* Backward, for a destination that overlaps the source's end. size > 16. */
static inline void copy_backward(u8 *d, const u8 *s, size_t size)
{
    u64 head0 = *(const u64_any *)s, head1 = *(const u64_any *)(s + 8);

    while (size > 16) {
        u64 a = *(const u64_any *)(s + size - 8), b = *(const u64_any *)(s + size - 16);
        *(u64_any *)(d + size - 8) = a;
        *(u64_any *)(d + size - 16) = b;
        size -= 16;
        hide(s);
    }
    *(u64_any *)d = head0;
    *(u64_any *)(d + 8) = head1;
}

static inline void rep_movsb(void *dst, const void *src, size_t size)
{
    __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(size) : : "memory");
}

void *memcpy(void *restrict dst, const void *restrict src, size_t size)
{
    if (size <= 16)
        copy_up_to_16(dst, src, size);
    else if (size < REP_MOVS_MIN)
        copy_forward(dst, src, size);
    else
        rep_movsb(dst, src, size);
    return dst;
}

void *memmove(void *dst, const void *src, size_t size)
{
    /* One comparison for both: below the source, or beyond its end. */
    bool forward = (uintptr_t)dst - (uintptr_t)src >= size;

    if (size <= 16)
        copy_up_to_16(dst, src, size);
    else if (!forward)
        copy_backward(dst, src, size);
    else if (size < REP_MOVS_MIN || (uintptr_t)src - (uintptr_t)dst < 64)
        copy_forward(dst, src, size);
    else
        rep_movsb(dst, src, size);
    return dst;
}

void *memset(void *dst, int c, size_t size)
{
    u8 *d = dst;
    u64 v = (u8)c * 0x0101010101010101UL;

    if (size >= REP_STOS_MIN) {
        void *p = dst;
        __asm__ volatile("rep stosb" : "+D"(p), "+c"(size) : "a"(c) : "memory");
        return dst;
    }
    if (size >= 8) {
        u8 *last = d + size - 8;
        for (; d < last; d += 8) {
            *(u64_any *)d = v;
            hide(d);
        }
        *(u64_any *)last = v;
        return dst;
    }
    for (u8 *end = d + size; d < end; d++) {
        *d = (u8)c;
        hide(d);
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const u8 *x = a, *y = b;

    for (; size >= 32; size -= 32, x += 32, y += 32) {
        const u64_any *p = (const u64_any *)x, *q = (const u64_any *)y;
        if ((p[0] ^ q[0]) | (p[1] ^ q[1]) | (p[2] ^ q[2]) | (p[3] ^ q[3]))
            break;
        hide(x);
    }
    for (; size >= 8; size -= 8, x += 8, y += 8) {
        u64 p = *(const u64_any *)x, q = *(const u64_any *)y;
        if (p != q)
            return __builtin_bswap64(p) < __builtin_bswap64(q) ? -1 : 1;
        hide(x);
    }
    for (; size; size--, x++, y++) {
        if (*x != *y)
            return *x - *y;
        hide(x);
    }
    return 0;
}

/* Not zero when a byte of `v` is; the lowest bit set lies in the first such byte. */
static inline u64 zero_bytes(u64 v)
{
    return (v - 0x0101010101010101UL) & ~v & 0x8080808080808080UL;
}

/*
 * memchr and strlen read whole aligned words: up to 7 bytes behind what they were asked for, but
 * never on another page. memchr stops at its hit, so `size` may reach beyond the object (strnlen).
 */
__attribute__((no_sanitize("address"))) void *memchr(const void *s, int c, size_t size)
{
    const u8 *p = s;
    u64 pattern = (u8)c * 0x0101010101010101UL;

    for (; size && ((uintptr_t)p % 8 || size < 8); size--, p++) {
        if (*p == (u8)c)
            return (void *)p;
        hide(p);
    }
    for (; size >= 8; size -= 8, p += 8) {
        u64 hits = zero_bytes(*(const u64_any *)p ^ pattern);
        if (hits)
            return (void *)(p + __builtin_ctzl(hits) / 8);
    }
    for (; size; size--, p++) {
        if (*p == (u8)c)
            return (void *)p;
        hide(p);
    }
    return NULL;
}

void *memmem(const void *h, size_t hsize, const void *n, size_t nsize)
{
    const u8 *p = h;

    if (!nsize)
        return (void *)h;
    while (hsize >= nsize) {
        const u8 *hit = memchr(p, *(const u8 *)n, hsize - nsize + 1);
        if (!hit)
            return NULL;
        if (!memcmp(hit, n, nsize))
            return (void *)hit;
        hsize -= (size_t)(hit + 1 - p);
        p = hit + 1;
    }
    return NULL;
}

__attribute__((no_sanitize("address"))) size_t strlen(const char *s)
{
    const char *p = s;
    u64 hits;

    for (; (uintptr_t)p % 8; p++) {
        if (!*p)
            return (size_t)(p - s);
        hide(p);
    }
    while (!(hits = zero_bytes(*(const u64_any *)p)))
        p += 8;
    return (size_t)(p - s) + (size_t)__builtin_ctzl(hits) / 8;
}

size_t strnlen(const char *s, size_t max)
{
    const char *end = memchr(s, 0, max);

    return end ? (size_t)(end - s) : max;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++) {
        if (*a != *b || !*a)
            return (u8)*a - (u8)*b;
        hide(a);
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
        hide(s);
    }
}

char *strrchr(const char *s, int c)
{
    const char *found = NULL;

    for (;; s++) {
        if (*s == (char)c)
            found = s;
        if (!*s)
            return (char *)found;
        hide(s);
    }
}

char *strstr(const char *h, const char *n)
{
    return memmem(h, strlen(h), n, strlen(n));
}

#endif /* !ADYTON_HOSTED */

size_t strlcpy_k(char *dst, const char *src, size_t size)
{
    size_t length = strlen(src);

    if (size) {
        size_t copied = min(length, size - 1);
        memcpy(dst, src, copied);
        dst[copied] = 0;
    }
    return length;
}
