/* SPDX-License-Identifier: MIT */
/* Any bytes as a configuration file. It is refused with a message or taken, and leaks nothing. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Messages are built and go nowhere: there is one for almost every input. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    stderr = fopen("/dev/null", "w");
    return stderr ? 0 : -1;
}

static void check_list(const struct string_list *l)
{
    size_t count = 0;

    while (l->items && l->items[count])
        count++;
    if (count != l->count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s;

    if (settings_init(&s) < 0)
        return -1;
    if (config_parse("fuzz", (const char *)data, size, &s) == 0) {
        check_list(&s.parameters);
        check_list(&s.env);
        check_list(&s.host_env);
        for (size_t i = 0; i < s.env.count; i++)
            if (!strchr(s.env.items[i], '='))
                abort();
    }
    settings_free(&s);
    return 0;
}
