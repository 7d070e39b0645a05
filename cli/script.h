/* SPDX-License-Identifier: MIT */
/* The "#!" line of a script, as execve(2) reads it. */
#ifndef CLI_SCRIPT_H
#define CLI_SCRIPT_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct script {
    char interp[PATH_MAX];
    char env_name[NAME_MAX + 1]; /* of "#!/usr/bin/env NAME"; else empty */
};

/* 1 when the file is a script with an interpreter's name. */
int script_read(const uint8_t *data, size_t size, struct script *out);

#endif
