/* SPDX-License-Identifier: MIT */
/*
 * Growing text (seq.h). The buffer doubles, starting with what most files in /proc need.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <stdarg.h>

#include "seq.h"

#define SEQ_FIRST 512u
#define SEQ_MAX   (1u << 28) /* no generated file comes near */

void seq_init(struct seq *s)
{
    *s = (struct seq){0};
}

void seq_free(struct seq *s)
{
    kfree(s->buf);
    seq_init(s);
}

void seq_reset(struct seq *s)
{
    s->used = 0;
    s->failed = false;
}

char *seq_reserve(struct seq *s, size_t size)
{
    size_t want = max(s->size, (size_t)SEQ_FIRST);
    char *p;

    if (s->failed)
        return NULL;
    if (s->size - s->used >= size && s->buf)
        return s->buf + s->used;
    while (want - s->used < size && want < SEQ_MAX)
        want *= 2;
    p = want - s->used < size ? NULL : krealloc(s->buf, want);
    if (!p) {
        s->failed = true;
        return NULL;
    }
    s->buf = p;
    s->size = want;
    return p + s->used;
}

void seq_commit(struct seq *s, size_t size)
{
    s->used += size;
}

void seq_write(struct seq *s, const void *data, size_t size)
{
    char *p = seq_reserve(s, size);

    if (!p)
        return;
    memcpy(p, data, size);
    s->used += size;
}

void seq_putc(struct seq *s, char c)
{
    seq_write(s, &c, 1);
}

void seq_puts(struct seq *s, const char *text)
{
    seq_write(s, text, strlen(text));
}

void seq_printf(struct seq *s, const char *fmt, ...)
{
    char *p = seq_reserve(s, 128);
    va_list ap, again;
    int n;

    if (!p)
        return;
    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(p, s->size - s->used, fmt, ap);
    if (n >= 0 && (size_t)n >= s->size - s->used) {
        p = seq_reserve(s, (size_t)n + 1);
        if (p)
            (void)vsnprintf(p, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(ap);
    if (p && n > 0)
        s->used += (size_t)n;
}

void seq_pad(struct seq *s, size_t start, size_t width)
{
    while (!s->failed && s->used - start < width)
        seq_putc(s, ' ');
}

void seq_escape(struct seq *s, const char *text, const char *special)
{
    for (; *text; text++) {
        if (strchr(special, *text))
            seq_printf(s, "\\%03o", (unsigned)(u8)*text);
        else
            seq_putc(s, *text);
    }
}

static bool bit(const u64 *bits, unsigned i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

void seq_list(struct seq *s, const u64 *bits, unsigned count)
{
    const char *comma = "";

    for (unsigned i = 0; i < count; i++) {
        unsigned first = i;

        if (!bit(bits, i))
            continue;
        while (i + 1 < count && bit(bits, i + 1))
            i++;
        if (i == first)
            seq_printf(s, "%s%u", comma, i);
        else
            seq_printf(s, "%s%u-%u", comma, first, i);
        comma = ",";
    }
}

void seq_mask(struct seq *s, const u64 *bits, unsigned count)
{
    unsigned groups = (count + 31) / 32;
    unsigned digits = ((count - 1) % 32) / 4 + 1; /* of the first group */

    for (unsigned g = groups; g-- > 0; digits = 8) {
        u32 value = (u32)(bits[g / 2] >> (g % 2 * 32));
        char text[9];

        (void)snprintf(text, sizeof(text), "%08x", value);
        seq_puts(s, text + 8 - digits);
        if (g)
            seq_putc(s, ',');
    }
}
