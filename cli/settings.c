/* SPDX-License-Identifier: MIT */
/*
 * Defaults and lists. The default environment is fixed, so that a measurement does not depend on who
 * runs the command; TERM's value comes from outside, unmeasured, and its name is.
 */
#include <stdlib.h>
#include <string.h>
#include "settings.h"

#define DEFAULT_MEMORY (1UL << 30)
#define DEFAULT_STACK  (8UL << 20)

int strings_add(struct string_list *list, const char *text)
{
    char **grown = realloc(list->items, (list->count + 2) * sizeof(*grown));

    if (!grown)
        return cli_no_memory();
    list->items = grown;
    grown[list->count] = strdup(text);
    if (!grown[list->count])
        return cli_no_memory();
    grown[++list->count] = NULL;
    return 0;
}

void strings_clear(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}

int settings_set(char **field, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return cli_no_memory();
    free(*field);
    *field = copy;
    return 0;
}

int settings_set_env(struct settings *s, const char *entry)
{
    size_t name_size = (size_t)(strchr(entry, '=') - entry) + 1;

    for (size_t i = 0; i < s->env.count; i++)
        if (strncmp(s->env.items[i], entry, name_size) == 0)
            return settings_set(&s->env.items[i], entry);
    return strings_add(&s->env, entry);
}

int settings_init(struct settings *s)
{
    memset(s, 0, sizeof(*s));
    s->target = HOST_TARGET_AUTO;
    s->memory_size = DEFAULT_MEMORY;
    s->main_stack_size = DEFAULT_STACK;
    s->thread_stack_size = DEFAULT_STACK;
    if (settings_set(&s->cwd, "/") < 0 || settings_set(&s->hostname, "adyton") < 0 ||
        strings_add(&s->env, "PATH=" DEFAULT_PATH) < 0 || strings_add(&s->env, "HOME=/root") < 0 ||
        strings_add(&s->host_env, "TERM") < 0)
        return -1;
    return 0;
}

void settings_free(struct settings *s)
{
    strings_clear(&s->parameters);
    strings_clear(&s->env);
    strings_clear(&s->host_env);
    strings_clear(&s->run_words);
    strings_clear(&s->gdb_words);
    free(s->program);
    free(s->cwd);
    free(s->hostname);
    free(s->strace);
    free(s->core_dump);
}
