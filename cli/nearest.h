/* SPDX-License-Identifier: MIT */
/* Which known name a misspelt one may have meant. */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

/* One of names[0..count), or NULL when none is close (letters' case does not count). */
const char *nearest_name(const char *name, const char *const *names, size_t count);

#endif
