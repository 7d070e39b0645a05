/* SPDX-License-Identifier: MIT */
/*
 * Would every strong undefined symbol be found? A reference with a version matches a definition with
 * the same one, or one in an object without versions; a reference without one matches any.
 */
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "closure.h"

struct definition {
    const char *name, *version;
    int unversioned; /* its object has no versions at all */
    uint32_t next;   /* index + 1 */
};

struct table {
    struct definition *definitions;
    uint32_t *buckets; /* index + 1 */
    uint32_t mask;
    size_t count;
};

static uint32_t hash(const char *name)
{
    uint32_t h = 2166136261U;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619U;
    return h;
}

static void add_definitions(struct table *t, const struct elf_info *info)
{
    struct elf_symbol s;

    for (size_t i = 0; i < info->symbol_count; i++) {
        struct definition *d = &t->definitions[t->count];
        uint32_t *bucket;

        if (!elf_symbol(info, i, &s) || !s.defined)
            continue;
        bucket = &t->buckets[hash(s.name) & t->mask];
        d->name = s.name;
        d->version = s.version;
        d->unversioned = !info->verdef;
        d->next = *bucket;
        *bucket = (uint32_t)++t->count;
    }
}

static int is_defined(const struct table *t, const struct elf_symbol *wanted)
{
    for (uint32_t i = t->buckets[hash(wanted->name) & t->mask]; i; i = t->definitions[i - 1].next) {
        const struct definition *d = &t->definitions[i - 1];

        if (d->name && strcmp(d->name, wanted->name) == 0 &&
            (!wanted->version || d->unversioned ||
             (d->version && strcmp(d->version, wanted->version) == 0)))
            return 1;
    }
    return 0;
}

static int table_init(struct table *t, const struct closure *c)
{
    size_t total = 1;

    for (size_t i = 0; i < c->count; i++)
        total += c->objects[i].info.symbol_count;
    t->count = 0;
    for (t->mask = 1023; t->mask < total && t->mask < UINT32_MAX / 2; t->mask = t->mask * 2 + 1)
        ;
    t->definitions = calloc(total, sizeof(*t->definitions));
    t->buckets = calloc((size_t)t->mask + 1, sizeof(*t->buckets));
    if (!t->definitions || !t->buckets)
        return cli_no_memory();
    for (size_t i = 0; i < c->count; i++)
        add_definitions(t, &c->objects[i].info);
    return 0;
}

int closure_check_symbols(const struct closure *c, closure_report *report, void *ctx)
{
    struct table t;
    struct elf_symbol s;
    int missing = 0;

    if (table_init(&t, c) == 0) {
        for (size_t i = 0; i < c->count; i++) {
            const struct object *o = &c->objects[i];

            for (size_t k = 0; k < o->info.symbol_count; k++) {
                if (!elf_symbol(&o->info, k, &s) || s.defined || s.weak || is_defined(&t, &s))
                    continue;
                report(ctx, o, &s);
                missing++;
            }
        }
    }
    free(t.definitions);
    free(t.buckets);
    return missing;
}
