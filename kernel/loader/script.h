/* SPDX-License-Identifier: MIT */
/* `#!` lines. Source: execve(2), "Interpreter scripts". */
#ifndef LOADER_SCRIPT_H
#define LOADER_SCRIPT_H

#include <kernel/types.h>

#define SCRIPT_HEAD_SIZE 256u /* bytes of a file that exec looks at */

struct script {
    char *interp; /* both point into the head given to script_parse() and are NUL-terminated */
    char *arg;    /* NULL when there is none */
};

/*
 * Takes the first bytes of a file (zero-padded to SCRIPT_HEAD_SIZE; changed on success). 0, or
 * -ENOEXEC: no `#!` line, no interpreter's name in it, or one that may be cut off at the limit.
 */
int script_parse(char head[static SCRIPT_HEAD_SIZE], struct script *out);

#endif
