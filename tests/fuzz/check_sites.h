/* SPDX-License-Identifier: MIT */
/* What the search for syscall sites promises, whatever it was given. */
#ifndef TESTS_FUZZ_CHECK_SITES_H
#define TESTS_FUZZ_CHECK_SITES_H

#include "../../kernel/loader/sites.h"

/* Searches a file of `size` bytes that `r` reads and stand at `data`; aborts on a broken promise. */
void check_sites(const struct elf_reader *r, const u8 *data, size_t size);

#endif
