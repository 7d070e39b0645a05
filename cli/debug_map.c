/* SPDX-License-Identifier: MIT */
#include "debug_map.h"

__attribute__((noinline, noclone, used)) int debug_map(const char *path, uint64_t base)
{
    __asm__ volatile("" : : "r"(path), "r"(base) : "memory");
    return 0;
}
