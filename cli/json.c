/* SPDX-License-Identifier: MIT */
/*
 * Comments become blanks, so every byte keeps its place and an error has a line and a column of the
 * file. The syntax is checked before cJSON reads the text: cJSON takes more than JSON, and says only
 * roughly where it stopped.
 */
#include "json.h"
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "json_syntax.h"

struct scan {
    const char *name;
    char *text; /* NUL-terminated copy */
    size_t size;
};

static int complain_at(const struct scan *s, size_t at, const char *what)
{
    size_t line = 1, column = 1;

    for (size_t i = 0; i < at; i++) {
        column++;
        if (s->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return cli_error("%s:%zu:%zu: %s", s->name, line, column, what);
}

static void blank(struct scan *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (s->text[i] != '\n')
            s->text[i] = ' ';
}

/* Past the string that starts at `at`; one that does not end is found later. */
static size_t skip_string(const struct scan *s, size_t at)
{
    for (at++; at < s->size && s->text[at] != '"' && s->text[at] != '\n'; at++)
        at += s->text[at] == '\\' && at + 1 < s->size;
    return at < s->size ? at + 1 : at;
}

/* Past the comment that starts at `at`, blanked. 0 after a message. */
static size_t skip_comment(struct scan *s, size_t at)
{
    const char *found = s->text[at + 1] == '/' ? strchr(s->text + at, '\n')
                                               : strstr(s->text + at + 2, "*/");
    size_t end;

    if (!found && s->text[at + 1] == '*') {
        (void)complain_at(s, at, "this comment does not end");
        return 0;
    }
    end = !found ? s->size : (size_t)(found - s->text) + (*found == '*' ? 2 : 0);
    blank(s, at, end);
    return end;
}

static int remove_comments(struct scan *s)
{
    size_t at = 0;

    if (memchr(s->text, '\0', s->size))
        return complain_at(s, strlen(s->text), "a NUL byte: this is not text");
    while (at < s->size) {
        if (s->text[at] == '"')
            at = skip_string(s, at);
        else if (s->text[at] == '/' && (s->text[at + 1] == '/' || s->text[at + 1] == '*'))
            at = skip_comment(s, at);
        else
            at++;
        if (at == 0)
            return -1;
    }
    return 0;
}

cJSON *json_parse(const char *name, const char *text, size_t size)
{
    struct scan s = {.name = name, .size = size, .text = malloc(size + 1)};
    cJSON *json = NULL;
    const char *why;
    size_t at;

    if (!s.text) {
        (void)cli_no_memory();
        return NULL;
    }
    memcpy(s.text, text, size);
    s.text[size] = '\0';
    if (remove_comments(&s) == 0) {
        why = json_syntax_error(s.text, &at);
        if (why)
            (void)complain_at(&s, at, why);
        else if (!(json = cJSON_Parse(s.text)))
            (void)cli_no_memory();
    }
    free(s.text);
    return json;
}
