/* SPDX-License-Identifier: MIT */
/*
 * Comments become blanks before cJSON sees the text, so every byte keeps its place and cJSON's
 * position of an error is a line and a column of the file. What cJSON would take silently and the
 * file's author cannot have meant is refused first: NUL bytes, raw control characters in strings.
 */
#include "json.h"
#include <stdlib.h>
#include <string.h>
#include "cli.h"

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

/* Past the string that starts at `at`. 0 after a message. */
static size_t skip_string(const struct scan *s, size_t at)
{
    size_t start = at++;

    for (; at < s->size && s->text[at] != '"'; at++) {
        if ((unsigned char)s->text[at] < ' ')
            break;
        if (s->text[at] != '\\')
            continue;
        at++;
        if (strncmp(s->text + at, "u0000", 5) == 0) {
            (void)complain_at(s, at - 1, "a string cannot hold a NUL character");
            return 0;
        }
    }
    if (at < s->size && s->text[at] == '"')
        return at + 1;
    (void)complain_at(s, start, "this string does not end on its line");
    return 0;
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

static const char *syntax_error(const struct scan *s, size_t at)
{
    size_t before = at;

    while (before > 0 && strchr(" \t\r\n", s->text[before - 1]))
        before--;
    if (at >= s->size)
        return "the file ends too early";
    if (before > 0 && s->text[before - 1] == ',')
        return strchr("}]", s->text[at]) ? "a comma before the closing bracket"
                                         : "a value or a name in quotes is missing here";
    if (s->text[at] == '"')
        return "a comma or a colon is missing here";
    return "not JSON from here on";
}

/* cJSON stops somewhere near an error: at white space before it, for one. */
static size_t error_place(const struct scan *s, const char *end)
{
    size_t at = end ? (size_t)(end - s->text) : 0;

    while (at < s->size && strchr(" \t\r\n", s->text[at]))
        at++;
    return at;
}

cJSON *json_parse(const char *name, const char *text, size_t size)
{
    struct scan s = {.name = name, .size = size, .text = malloc(size + 1)};
    const char *end = NULL;
    cJSON *json = NULL;

    if (!s.text) {
        (void)cli_no_memory();
        return NULL;
    }
    memcpy(s.text, text, size);
    s.text[size] = '\0';
    if (remove_comments(&s) == 0) {
        json = cJSON_ParseWithLengthOpts(s.text, size + 1, &end, 1);
        if (!json) {
            size_t at = error_place(&s, end);

            (void)complain_at(&s, at, syntax_error(&s, at));
        }
    }
    free(s.text);
    return json;
}
