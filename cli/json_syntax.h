/* SPDX-License-Identifier: MIT */
/* Is this JSON (RFC 8259)? If not, where and why. */
#ifndef CLI_JSON_SYNTAX_H
#define CLI_JSON_SYNTAX_H

#include <stddef.h>

#define JSON_DEPTH_MAX 64

/* NULL when text, NUL-terminated, is one JSON value; else what is wrong at *at. */
const char *json_syntax_error(const char *text, size_t *at);

#endif
