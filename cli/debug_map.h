/* SPDX-License-Identifier: MIT */
/* Where gdb learns what the enclave maps (cli/gdb/adyton.py has a breakpoint on it). */
#ifndef CLI_DEBUG_MAP_H
#define CLI_DEBUG_MAP_H

#include <stdint.h>

/* `path` inside the root, or NULL, whose image stands at `base`. Called in debug enclaves only. 0. */
int debug_map(const char *path, uint64_t base);

#endif
