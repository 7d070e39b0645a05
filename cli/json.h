/* SPDX-License-Identifier: MIT */
/* JSON with comments, on top of cJSON, with errors that say where. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

/*
 * Parses text[0..size) with // and C comments allowed. NULL after one line
 * "NAME:LINE:COLUMN: what" on stderr. Free with cJSON_Delete().
 */
cJSON *json_parse(const char *name, const char *text, size_t size);

#endif
