/* SPDX-License-Identifier: MIT */
/* `#!` lines, with Linux's limits: pure text work, no locks. */
#include "script.h"

#include <kernel/string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

/* The first blank or NUL, or `end`. */
static char *skip_word(char *p, const char *end)
{
    while (p < end && *p != '\0' && !is_blank(*p))
        p++;
    return p;
}

int script_parse(char head[static SCRIPT_HEAD_SIZE], struct script *out)
{
    char *last = head + (SCRIPT_HEAD_SIZE - 1);
    char *newline, *end, *name, *name_end, *arg;

    if (head[0] != '#' || head[1] != '!')
        return -ENOEXEC;
    newline = memchr(head, '\n', strnlen(head, SCRIPT_HEAD_SIZE));
    end = newline ? newline : last;
    name = skip_blanks(head + 2, end);
    name_end = skip_word(name, end);
    if (name == end && (newline || is_blank(*last)))
        return -ENOEXEC;
    /* A name that reaches the limit may go on behind it. */
    if (!newline && name_end == last && *last != '\0' && !is_blank(*last))
        return -ENOEXEC;

    while (end > name_end && is_blank(end[-1]))
        end--;
    arg = skip_blanks(name_end, end);
    out->arg = arg < end && *arg != '\0' ? arg : NULL;
    *end = '\0';
    *name_end = '\0';
    out->interp = name;
    return 0;
}
