/* SPDX-License-Identifier: MIT */
/* Randomness from RDRAND, which Intel says to retry ten times before taking it for broken. */
#include <kernel/printk.h>
#include <kernel/random.h>
#include <kernel/string.h>

#define RDRAND_TRIES 10

u64 random_u64(void)
{
    u64 value;
    u8 ok;

    for (int i = 0; i < RDRAND_TRIES; i++) {
        __asm__ volatile("rdrand %0; setc %1" : "=r"(value), "=qm"(ok) : : "cc");
        if (ok)
            return value;
    }
    panic("RDRAND gives no randomness");
}

void random_bytes(void *buf, size_t size)
{
    char *p = buf;

    while (size) {
        u64 value = random_u64();
        size_t n = min(size, sizeof(value));

        memcpy(p, &value, n);
        p += n;
        size -= n;
    }
}
