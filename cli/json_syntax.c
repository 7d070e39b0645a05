/* SPDX-License-Identifier: MIT */
/* Recursive descent, no deeper than JSON_DEPTH_MAX. See json_syntax.h. */
#include "json_syntax.h"
#include <stdlib.h>
#include <string.h>

struct scanner {
    const char *p;
    const char *error; /* the first one, at p */
    unsigned depth;
};

static int fail(struct scanner *s, const char *why)
{
    if (!s->error)
        s->error = *s->p ? why : "the file ends too early";
    return -1;
}

static void skip_space(struct scanner *s)
{
    s->p += strspn(s->p, " \t\r\n");
}

static size_t digits(const char *p)
{
    return strspn(p, "0123456789");
}

static int scan_number(struct scanner *s)
{
    const char *first = s->p + (*s->p == '-');

    if (digits(first) == 0 || (*first == '0' && digits(first) > 1))
        return fail(s, "not a JSON number");
    s->p = first + digits(first);
    if (*s->p == '.') {
        s->p++;
        if (digits(s->p) == 0)
            return fail(s, "digits are missing here");
        s->p += digits(s->p);
    }
    if (*s->p == 'e' || *s->p == 'E') {
        s->p++;
        s->p += *s->p == '+' || *s->p == '-';
        if (digits(s->p) == 0)
            return fail(s, "digits are missing here");
        s->p += digits(s->p);
    }
    return 0;
}

/* At the "u" of uXXXX: the number, or -1. */
static long hex_escape(const char *p)
{
    char digits[5] = {0};

    if (p[0] != 'u' || strspn(p + 1, "0123456789abcdefABCDEF") < 4)
        return -1;
    memcpy(digits, p + 1, 4);
    return strtol(digits, NULL, 16);
}

/* \uXXXX, behind the backslash; beyond 0xffff two of them make one character (RFC 8259, section 7). */
static int scan_unicode(struct scanner *s)
{
    long code = hex_escape(s->p), second;

    if (code < 0)
        return fail(s, "four hexadecimal digits are missing here");
    if (code == 0)
        return fail(s, "a string cannot hold a NUL character");
    if (code >= 0xd800 && code <= 0xdfff) {
        second = s->p[5] == '\\' ? hex_escape(s->p + 6) : -1;
        if (code >= 0xdc00 || second < 0xdc00 || second > 0xdfff)
            return fail(s, "half of a surrogate pair");
        s->p += 6;
    }
    s->p += 5;
    return 0;
}

/* Behind a backslash. */
static int scan_escape(struct scanner *s)
{
    if (*s->p == 'u')
        return scan_unicode(s);
    if (*s->p == '\0' || !strchr("\"\\/bfnrt", *s->p))
        return fail(s, "not an escape sequence of JSON");
    s->p++;
    return 0;
}

static int scan_string(struct scanner *s)
{
    if (*s->p != '"')
        return fail(s, *s->p == '}' ? "a comma before the closing bracket"
                                    : "a name in double quotes is missing here");
    for (s->p++; *s->p != '"';) {
        if ((unsigned char)*s->p < ' ')
            return fail(s, "a string must end on its line");
        if (*s->p++ == '\\' && scan_escape(s) < 0)
            return -1;
    }
    s->p++;
    return 0;
}

static int scan_value(struct scanner *s);

/* NAME : VALUE */
static int scan_member(struct scanner *s)
{
    if (scan_string(s) < 0)
        return -1;
    skip_space(s);
    if (*s->p != ':')
        return fail(s, "a colon is missing here");
    s->p++;
    return scan_value(s);
}

/* The items of an object or an array, past the closing bracket. */
static int scan_items(struct scanner *s, char close, int (*item)(struct scanner *))
{
    if (++s->depth > JSON_DEPTH_MAX)
        return fail(s, "nested too deeply");
    s->p++;
    skip_space(s);
    for (int first = 1; *s->p != close; first = 0) {
        if (!first) {
            if (*s->p != ',')
                return fail(s, "a comma or a closing bracket is missing here");
            s->p++;
            skip_space(s);
        }
        if (item(s) < 0)
            return -1;
        skip_space(s);
    }
    s->p++;
    s->depth--;
    return 0;
}

static int scan_word(struct scanner *s)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < 3; i++) {
        if (strncmp(s->p, words[i], strlen(words[i])) == 0) {
            s->p += strlen(words[i]);
            return 0;
        }
    }
    return fail(s, *s->p == ']' || *s->p == '}' ? "a value is missing here"
                                                : "not a JSON value (text needs double quotes)");
}

static int scan_value(struct scanner *s)
{
    int ret;

    skip_space(s);
    if (*s->p == '{')
        ret = scan_items(s, '}', scan_member);
    else if (*s->p == '[')
        ret = scan_items(s, ']', scan_value);
    else if (*s->p == '"')
        ret = scan_string(s);
    else if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
        ret = scan_number(s);
    else
        ret = scan_word(s);
    return ret;
}

const char *json_syntax_error(const char *text, size_t *at)
{
    struct scanner s = {.p = text};

    if (scan_value(&s) == 0) {
        skip_space(&s);
        if (*s.p != '\0')
            (void)fail(&s, "more text after the end of the value");
    }
    *at = (size_t)(s.p - text);
    return s.error;
}
