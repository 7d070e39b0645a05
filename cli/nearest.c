/* SPDX-License-Identifier: MIT */
/* Levenshtein's distance, by rows. */
#include "nearest.h"
#include <ctype.h>
#include <string.h>

#define NAME_SIZE_MAX 64

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

static size_t distance(const char *a, const char *b)
{
    size_t size = strlen(b);
    size_t row[NAME_SIZE_MAX + 1];

    if (size > NAME_SIZE_MAX)
        return NAME_SIZE_MAX;
    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < size; j++) {
            size_t cost = tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]);
            size_t above = row[j + 1];

            row[j + 1] = least(above + 1, row[j] + 1, diagonal + cost);
            diagonal = above;
        }
    }
    return row[size];
}

const char *nearest_name(const char *name, const char *const *names, size_t count)
{
    size_t best = strlen(name) / 3 + 2;
    const char *found = NULL;

    if (strlen(name) > NAME_SIZE_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(name, names[i]);

        if (d < best) {
            best = d;
            found = names[i];
        }
    }
    return found;
}
