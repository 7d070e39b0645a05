/* SPDX-License-Identifier: MIT */
/*
 * Breadth first, as the dynamic linker loads. Order of search for glibc: RPATH of the asker and those
 * that asked for it (unless it has RUNPATH), LD_LIBRARY_PATH, RUNPATH, the cache, default directories.
 * musl: LD_LIBRARY_PATH, RPATH or RUNPATH of the askers, its path file or default.
 */
#include "closure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli.h"

#define CACHE_MAGIC  "glibc-ld.so.cache1.1"
#define CACHE_HEADER 48
#define CACHE_ENTRY  24
#define CACHE_X86_64 0x0303U

static const char *const g_default_dirs[] = {
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
};

/* ---- Objects ----------------------------------------------------------------------------------------- */

static struct object *new_object(struct closure *c, const char *name, int parent)
{
    struct object *o = &c->objects[c->count];

    if (c->count == CLOSURE_MAX) {
        (void)cli_error("%s needs more than %d libraries", c->objects[0].path, CLOSURE_MAX);
        return NULL;
    }
    memset(o, 0, sizeof(*o));
    o->name = strdup(name);
    if (!o->name) {
        (void)cli_no_memory();
        return NULL;
    }
    o->parent = parent;
    c->count++;
    return o;
}

/* Opens `path` for `o`. 0; -1 it is no usable ELF file, *why says what. */
static int open_object(struct closure *c, struct object *o, const char *path, const char **why)
{
    struct view_file file;
    int ret = view_walk(c->view, path, NULL, NULL, &file);

    if (ret == 0)
        ret = S_ISDIR(file.mode) ? -EISDIR : view_map(c->view, &file, &o->data, &o->size);
    if (ret < 0) {
        *why = strerror(-ret);
        return -1;
    }
    *why = "not an ELF file";
    if (!elf_is(o->data, o->size) || elf_read(o->data, o->size, &o->info, why) < 0) {
        view_unmap(c->view, o->data, o->size);
        o->data = NULL;
        return -1;
    }
    o->path = strdup(path);
    o->real = strdup(file.path);
    return o->path && o->real ? 0 : cli_no_memory();
}

/* ---- Where to look ----------------------------------------------------------------------------------- */

/* Copies a directory of a path list with $ORIGIN, $LIB and $PLATFORM replaced. 0; -1 too long. */
static int expand(const char *dir, size_t size, const struct object *asker, char out[PATH_MAX])
{
    static const struct {
        const char *name, *value;
    } tokens[] = {{"ORIGIN", NULL}, {"LIB", "lib/x86_64-linux-gnu"}, {"PLATFORM", "x86_64"}};
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        int braces = dir[i] == '$' && i + 1 < size && dir[i + 1] == '{';
        size_t at = i + 1 + (size_t)braces;
        size_t k = 0;

        for (; dir[i] == '$' && k < 3; k++)
            if (strncmp(dir + at, tokens[k].name, strlen(tokens[k].name)) == 0)
                break;
        if (dir[i] == '$' && k < 3) {
            const char *value = tokens[k].value ? tokens[k].value : asker->real;
            size_t length = tokens[k].value ? strlen(value)
                                            : (size_t)(strrchr(asker->real, '/') - asker->real);

            if (n + length >= PATH_MAX)
                return -1;
            memcpy(out + n, value, length);
            n += length;
            i = at + strlen(tokens[k].name) - 1 + (size_t)braces;
            continue;
        }
        if (n + 1 >= PATH_MAX)
            return -1;
        out[n++] = dir[i];
    }
    out[n] = '\0';
    return 0;
}

static int try_dir(struct closure *c, struct object *o, const char *dir)
{
    char path[PATH_MAX];
    const char *why;

    if (dir[0] != '/' || snprintf(path, sizeof(path), "%s/%s", dir, o->name) >= PATH_MAX)
        return -1;
    return open_object(c, o, path, &why);
}

static int try_list(struct closure *c, struct object *o, const char *list, const char *separators,
                    const struct object *asker)
{
    while (list && *list) {
        size_t size = strcspn(list, separators);
        char dir[PATH_MAX];

        if (size > 0 && expand(list, size, asker, dir) == 0 && try_dir(c, o, dir) == 0)
            return 0;
        list += size + (list[size] != '\0');
    }
    return -1;
}

/* RPATH of the asker and of those before it. */
static int try_rpaths(struct closure *c, struct object *o, int asker)
{
    if (!c->musl && c->objects[asker].info.runpath)
        return -1;
    for (; asker >= 0; asker = c->objects[asker].parent) {
        const struct object *a = &c->objects[asker];
        const char *list = c->musl && a->info.runpath ? a->info.runpath : a->info.rpath;

        if ((c->musl || !a->info.runpath) && try_list(c, o, list, ":", a) == 0)
            return 0;
    }
    return -1;
}

static uint32_t cache_word(const struct closure *c, size_t at)
{
    uint32_t value = 0;

    if (at + sizeof(value) <= c->cache_size)
        memcpy(&value, c->cache + at, sizeof(value));
    return value;
}

static const char *cache_string(const struct closure *c, uint32_t at)
{
    if (at >= c->cache_size || !memchr(c->cache + at, 0, c->cache_size - at))
        return "";
    return (const char *)c->cache + at;
}

static int is_default_dir(const char *path)
{
    size_t size = (size_t)(strrchr(path, '/') - path);

    for (size_t i = 0; i < sizeof(g_default_dirs) / sizeof(g_default_dirs[0]); i++)
        if (strlen(g_default_dirs[i]) == size && strncmp(path, g_default_dirs[i], size) == 0)
            return 1;
    return 0;
}

/* The cache's entries for this processor that ask for no special one. */
static int try_cache(struct closure *c, struct object *o)
{
    uint32_t count;
    const char *why;

    if (c->cache_size < CACHE_HEADER || memcmp(c->cache, CACHE_MAGIC, strlen(CACHE_MAGIC)) != 0)
        return -1;
    count = cache_word(c, 20);
    for (uint32_t i = 0; i < count && i < c->cache_size / CACHE_ENTRY; i++) {
        size_t at = CACHE_HEADER + (size_t)i * CACHE_ENTRY;
        const char *path = cache_string(c, cache_word(c, at + 8));

        if (cache_word(c, at) != CACHE_X86_64 || cache_word(c, at + 16) || cache_word(c, at + 20) ||
            strcmp(cache_string(c, cache_word(c, at + 4)), o->name) != 0 || path[0] != '/')
            continue;
        if (open_object(c, o, path, &why) == 0) {
            o->by_cache = !is_default_dir(path);
            return 0;
        }
    }
    return -1;
}

static int try_defaults(struct closure *c, struct object *o)
{
    for (size_t i = 0; i < sizeof(g_default_dirs) / sizeof(g_default_dirs[0]); i++)
        if (try_dir(c, o, g_default_dirs[i]) == 0)
            return 0;
    return -1;
}

/* /etc/ld-musl-x86_64.path: next to the folder of the interpreter, separated by newlines or colons. */
static int try_musl_defaults(struct closure *c, struct object *o)
{
    struct view_file file;
    const uint8_t *data;
    char *list;
    size_t size;
    int ret = -1;

    if (view_walk(c->view, "/etc/ld-musl-x86_64.path", NULL, NULL, &file) != 0 ||
        view_map(c->view, &file, &data, &size) != 0)
        return try_list(c, o, "/lib:/usr/local/lib:/usr/lib", ":", &c->objects[0]);
    list = strndup(data ? (const char *)data : "", size);
    view_unmap(c->view, data, size);
    if (list)
        ret = try_list(c, o, list, ":\n", &c->objects[0]);
    free(list);
    return ret;
}

static int search_musl(struct closure *c, struct object *o, int asker)
{
    if (try_list(c, o, c->library_path, ":", &c->objects[asker]) == 0 ||
        try_rpaths(c, o, asker) == 0)
        return 0;
    return try_musl_defaults(c, o);
}

static int search(struct closure *c, struct object *o, int asker)
{
    const struct elf_info *info = &c->objects[asker].info;
    const char *why;

    if (strchr(o->name, '/'))
        return open_object(c, o, o->name, &why);
    if (c->musl)
        return search_musl(c, o, asker);
    if (try_rpaths(c, o, asker) == 0 ||
        try_list(c, o, c->library_path, ":;", &c->objects[asker]) == 0 ||
        try_list(c, o, info->runpath, ":", &c->objects[asker]) == 0)
        return 0;
    if (info->no_default_dirs)
        return -1;
    return try_cache(c, o) == 0 ? 0 : try_defaults(c, o);
}

/* ---- The closure ------------------------------------------------------------------------------------- */

/* musl's interpreter serves these names itself. */
static int is_musl_own(const char *name)
{
    static const char *const own[] = {"libc.", "libpthread.", "librt.", "libm.",
                                      "libdl.", "libutil.", "libxnet."};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strncmp(name, own[i], strlen(own[i])) == 0)
            return 1;
    return 0;
}

static int is_there(const struct closure *c, const char *name)
{
    if (c->musl && is_musl_own(name))
        return 1;
    for (size_t i = 1; i < c->count; i++) {
        const struct object *o = &c->objects[i];

        if (strcmp(o->name, name) == 0 || (o->info.soname && strcmp(o->info.soname, name) == 0))
            return 1;
    }
    return 0;
}

/* Two names may lead to one file: then the later object is dropped. */
static void drop_duplicate(struct closure *c)
{
    struct object *o = &c->objects[c->count - 1];

    for (size_t i = 1; o->real && i + 1 < c->count; i++) {
        if (!c->objects[i].real || strcmp(c->objects[i].real, o->real) != 0)
            continue;
        view_unmap(c->view, o->data, o->size);
        free(o->name);
        free(o->path);
        free(o->real);
        c->count--;
        return;
    }
}

static int load_needed(struct closure *c)
{
    for (size_t i = 0; i < c->count; i++) {
        for (size_t k = 0; k < c->objects[i].info.needed_count; k++) {
            const char *name = c->objects[i].info.needed[k];
            struct object *o;

            if (is_there(c, name))
                continue;
            o = new_object(c, name, (int)i);
            if (!o)
                return -1;
            if (search(c, o, (int)i) == 0)
                drop_duplicate(c);
        }
    }
    return 0;
}

static void read_cache(struct closure *c)
{
    struct view_file file;

    if (view_walk(c->view, "/etc/ld.so.cache", NULL, NULL, &file) != 0 ||
        view_map(c->view, &file, &c->cache, &c->cache_size) != 0)
        c->cache_size = 0;
}

int closure_read(struct closure *c, struct view *view, const char *path, const char *library_path)
{
    struct object *program, *interp;
    const char *why;

    c->view = view;
    c->library_path = library_path;
    c->count = 0;
    c->cache = NULL;
    c->cache_size = 0;
    c->musl = 0;
    program = new_object(c, path, -1);
    if (!program)
        return -1;
    if (open_object(c, program, path, &why) < 0)
        return cli_error("%s: %s", path, why);
    if (program->info.interp) {
        c->musl = strstr(program->info.interp, "/ld-musl-") != NULL;
        interp = new_object(c, program->info.interp, 0);
        if (!interp)
            return -1;
        if (open_object(c, interp, program->info.interp, &why) < 0)
            interp->why = why;
    }
    read_cache(c);
    return load_needed(c);
}

void closure_free(struct closure *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct object *o = &c->objects[i];

        if (o->data)
            view_unmap(c->view, o->data, o->size);
        free(o->name);
        free(o->path);
        free(o->real);
    }
    if (c->cache)
        view_unmap(c->view, c->cache, c->cache_size);
    c->count = 0;
}
