/* SPDX-License-Identifier: MIT */
/*
 * Text that grows: what generated files are made of. A failed allocation is remembered and
 * everything after it does nothing, so that only the end needs a check. The caller provides for
 * locking; nothing here blocks.
 */
#ifndef KERNEL_FS_PSEUDO_SEQ_H
#define KERNEL_FS_PSEUDO_SEQ_H

#include <kernel/types.h>

struct seq {
    char *buf;
    size_t used;
    size_t size;
    bool failed; /* no memory: the text is not complete */
};

void seq_init(struct seq *s);
void seq_free(struct seq *s);
/* Forgets the text, keeps the memory. */
void seq_reset(struct seq *s);

void seq_putc(struct seq *s, char c);
void seq_puts(struct seq *s, const char *text);
void seq_write(struct seq *s, const void *data, size_t size);
void seq_printf(struct seq *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Blanks until the text is `width` bytes longer than it was at `start`. */
void seq_pad(struct seq *s, size_t start, size_t width);

/* The text with each character of `special` as a backslash and three octal digits. */
void seq_escape(struct seq *s, const char *text, const char *special);

/* Room for `size` more bytes at the end, or NULL; seq_commit() says how many were written there. */
char *seq_reserve(struct seq *s, size_t size);
void seq_commit(struct seq *s, size_t size);

/* "0-3,5,7-8" of the set bits below `count`, as Linux prints lists of processors. */
void seq_list(struct seq *s, const u64 *bits, unsigned count);
/* "ffffffff,0000000f": the same as a mask of 32-bit groups. */
void seq_mask(struct seq *s, const u64 *bits, unsigned count);

#endif
