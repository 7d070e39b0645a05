/* SPDX-License-Identifier: MIT */
#include "script.h"
#include <stdio.h>
#include <string.h>

#define LINE_SIZE 256 /* BINPRM_BUF_SIZE */

/* The next word of the line into `word`; where it ended. */
static const char *next_word(const char *line, char *word, size_t size)
{
    size_t n;

    line += strspn(line, " \t");
    n = strcspn(line, " \t");
    (void)snprintf(word, size, "%.*s", (int)n, line);
    return line + n;
}

int script_read(const uint8_t *data, size_t size, struct script *out)
{
    char line[LINE_SIZE + 1], option[NAME_MAX + 1];
    const char *rest, *base;

    if (size < 3 || data[0] != '#' || data[1] != '!')
        return 0;
    size = size < LINE_SIZE ? size : LINE_SIZE;
    (void)snprintf(line, sizeof(line), "%.*s", (int)(size - 2), (const char *)data + 2);
    line[strcspn(line, "\n")] = '\0';
    rest = next_word(line, out->interp, sizeof(out->interp));
    base = strrchr(out->interp, '/');
    out->env_name[0] = '\0';
    if (base && strcmp(base, "/env") == 0) {
        rest = next_word(rest, option, sizeof(option));
        if (strcmp(option, "-S") == 0)
            (void)next_word(rest, option, sizeof(option));
        if (option[0] != '-' && !strchr(option, '='))
            (void)snprintf(out->env_name, sizeof(out->env_name), "%s", option);
    }
    return out->interp[0] != '\0';
}
