/* SPDX-License-Identifier: MIT */
/*
 * The binary manifest: header, then strings in the order of the header's fields. Deterministic, as it
 * is measured; padding is zero.
 */
#include "host_manifest.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "hostcall_numbers.h"

struct writer {
    uint8_t *data;
    size_t used;
};

static size_t string_size(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

/* Adds the list's bytes to *total. -E2BIG with too many strings. */
static int list_size(const char *const *list, size_t *total)
{
    size_t count = 0;

    for (; list && list[count]; count++)
        *total += strlen(list[count]) + 1;
    return count > MANIFEST_STRINGS_MAX ? -E2BIG : 0;
}

static int total_size(const struct host_manifest *in, size_t *total)
{
    *total = sizeof(struct manifest) + string_size(in->program) + string_size(in->cwd) +
             string_size(in->hostname) + string_size(in->strace) + string_size(in->core_dump);
    if (list_size(in->argv, total) < 0 || list_size(in->env, total) < 0 ||
        list_size(in->host_env, total) < 0 || *total > MANIFEST_SIZE_MAX)
        return -E2BIG;
    return 0;
}

static struct manifest_string put_string(struct writer *w, const char *s)
{
    struct manifest_string out = {0, 0};

    if (!s)
        return out;
    out.offset = (uint32_t)w->used;
    out.size = (uint32_t)string_size(s);
    memcpy(w->data + w->used, s, out.size);
    w->used += out.size;
    return out;
}

static struct manifest_list put_list(struct writer *w, const char *const *list)
{
    struct manifest_list out = {0, 0, 0, 0};

    if (!list || !list[0])
        return out;
    out.offset = (uint32_t)w->used;
    for (; list[out.count]; out.count++)
        (void)put_string(w, list[out.count]);
    out.size = (uint32_t)w->used - out.offset;
    return out;
}

static void fill_header(struct manifest *m, const struct host_manifest *in, size_t size)
{
    m->magic = MANIFEST_MAGIC;
    m->version = MANIFEST_VERSION;
    m->size = (uint32_t)size;
    m->flags = in->flags;
    m->log_level = in->log_level;
    m->memory_size = in->memory_size;
    m->main_stack_size = in->main_stack_size;
    m->thread_stack_size = in->thread_stack_size;
    m->max_cpus = in->max_cpus;
    m->abi_digest = ABI_DIGEST;
    m->root = in->root;
}

int host_manifest_build(const struct host_manifest *in, void **out, size_t *size)
{
    struct writer w = {NULL, sizeof(struct manifest)};
    struct manifest *m;
    size_t total;

    if (!in->program || !in->argv || !in->argv[0])
        return -EINVAL;
    if (total_size(in, &total) < 0)
        return -E2BIG;
    m = calloc(1, total);
    if (!m)
        return -ENOMEM;
    w.data = (uint8_t *)m;
    fill_header(m, in, total);
    m->program = put_string(&w, in->program);
    m->cwd = put_string(&w, in->cwd);
    m->hostname = put_string(&w, in->hostname);
    m->strace = put_string(&w, in->strace);
    m->argv = put_list(&w, in->argv);
    m->env = put_list(&w, in->env);
    m->host_env = put_list(&w, in->host_env);
    m->core_dump = put_string(&w, in->core_dump);
    *out = m;
    *size = total;
    return 0;
}
