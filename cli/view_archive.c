/* SPDX-License-Identifier: MIT */
/*
 * A newc archive as a backend of view.h: mapped, its headers indexed by name. Every number is checked
 * against the file's size before use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "cli.h"
#include "view.h"

#define HEADER_SIZE 110U
#define TRAILER     "TRAILER!!!"

struct member {
    const char *name; /* in the map; without "./" or "/" before it */
    uint32_t ino, mode, links, size;
    uint64_t data; /* offset */
    uint32_t order;
};

struct archive_view {
    const char *map;
    uint64_t size;
    struct member *members; /* sorted by name; of equal names the last in the archive counts */
    size_t count;
};

static int parse_hex(const char *text, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 8; i++) {
        const char *digits = "0123456789abcdef";
        const char *found = text[i] ? strchr(digits, text[i] >= 'A' && text[i] <= 'F'
                                                          ? text[i] + 32 : text[i]) : NULL;

        if (!found)
            return -1;
        *out = *out << 4 | (uint32_t)(found - digits);
    }
    return 0;
}

/* Fields by their place in the header. */
static int field(const struct archive_view *a, uint64_t at, unsigned index, uint32_t *out)
{
    return parse_hex(a->map + at + 6 + (size_t)8 * index, out);
}

/* The member whose header is at *at; *at moves behind it. NULL name: the trailer. -1: damaged. */
static int read_member(const struct archive_view *a, uint64_t *at, struct member *m)
{
    uint32_t name_size;

    if (*at > a->size || a->size - *at < HEADER_SIZE || memcmp(a->map + *at, "07070", 5) != 0)
        return -1;
    if (field(a, *at, 0, &m->ino) < 0 || field(a, *at, 1, &m->mode) < 0 ||
        field(a, *at, 4, &m->links) < 0 || field(a, *at, 6, &m->size) < 0 ||
        field(a, *at, 11, &name_size) < 0)
        return -1;
    if (name_size == 0 || name_size > a->size - *at - HEADER_SIZE)
        return -1;
    m->name = a->map + *at + HEADER_SIZE;
    if (m->name[name_size - 1] != '\0')
        return -1;
    m->data = (*at + HEADER_SIZE + name_size + 3) & ~3ULL;
    if (m->data > a->size || m->size > a->size - m->data)
        return -1;
    *at = (m->data + m->size + 3) & ~3ULL;
    if (strcmp(m->name, TRAILER) == 0)
        m->name = NULL;
    return 0;
}

static int add_member(struct archive_view *a, const struct member *m)
{
    if ((a->count & (a->count - 1)) == 0) {
        struct member *grown =
            realloc(a->members, (a->count ? a->count * 2 : 1) * sizeof(*grown));

        if (!grown)
            return cli_no_memory();
        a->members = grown;
    }
    a->members[a->count] = *m;
    a->members[a->count].order = (uint32_t)a->count;
    a->count++;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int c = strcmp(x->name, y->name);

    return c ? c : x->order < y->order ? 1 : -1;
}

static int read_index(struct archive_view *a, const char *path)
{
    struct member m;
    uint64_t at = 0;

    for (;;) {
        uint64_t start = at;

        if (read_member(a, &at, &m) < 0)
            return cli_error("%s: damaged, or not a newc CPIO archive (at byte %llu)", path,
                             (unsigned long long)start);
        if (!m.name)
            break;
        m.name += strncmp(m.name, "./", 2) == 0 ? 2 : 0;
        m.name += strspn(m.name, "/");
        if (add_member(a, &m) < 0)
            return -1;
    }
    if (a->count > 0)
        qsort(a->members, a->count, sizeof(*a->members), compare);
    return 0;
}

static void archive_close(void *backend)
{
    struct archive_view *a = backend;

    (void)munmap((void *)a->map, a->size);
    free(a->members);
    free(a);
}

void *archive_backend_open(const char *path, int fd)
{
    struct archive_view *a = calloc(1, sizeof(*a));
    struct stat st;
    void *map;

    if (!a) {
        (void)cli_no_memory();
        return NULL;
    }
    map = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0
              ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
              : MAP_FAILED;
    if (map == MAP_FAILED) {
        free(a);
        (void)cli_error("%s: neither a directory nor an archive", path);
        return NULL;
    }
    a->map = map;
    a->size = (uint64_t)st.st_size;
    if (read_index(a, path) == 0)
        return a;
    archive_close(a);
    return NULL;
}

static const struct member *find(const struct archive_view *a, const char *name)
{
    size_t low = 0, high = a->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(a->members[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->count && strcmp(a->members[low].name, name) == 0 ? &a->members[low] : NULL;
}

/* A directory that only longer names imply. */
static int is_implied(const struct archive_view *a, const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < a->count; i++)
        if (strncmp(a->members[i].name, name, size) == 0 && a->members[i].name[size] == '/')
            return 1;
    return 0;
}

/* Of a file with several names the data lies with one of them. */
static const struct member *with_data(const struct archive_view *a, const struct member *m)
{
    if (m->links < 2 || m->size > 0 || !S_ISREG(m->mode))
        return m;
    for (size_t i = 0; i < a->count; i++)
        if (a->members[i].ino == m->ino && a->members[i].size > 0)
            return &a->members[i];
    return m;
}

static int archive_look(void *backend, struct view_file *file)
{
    const struct archive_view *a = backend;
    const struct member *m = find(a, file->path + 1);

    file->id = 0;
    file->size = 0;
    file->mode = S_IFDIR | 0755;
    if (!m)
        return file->path[1] == '\0' || is_implied(a, file->path + 1) ? 0 : -ENOENT;
    file->mode = m->mode;
    m = with_data(a, m);
    file->size = m->size;
    file->id = m->data;
    return 0;
}

static int archive_link(void *backend, const struct view_file *file, char text[PATH_MAX])
{
    const struct archive_view *a = backend;

    if (file->size >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(text, a->map + file->id, file->size);
    text[file->size] = '\0';
    return 0;
}

static int archive_map(void *backend, const struct view_file *file, const uint8_t **data,
                       size_t *size)
{
    const struct archive_view *a = backend;

    *data = file->size ? (const uint8_t *)a->map + file->id : NULL;
    *size = file->size;
    return S_ISREG(file->mode) ? 0 : -EINVAL;
}

static void archive_unmap(void *backend, const uint8_t *data, size_t size)
{
    (void)backend, (void)data, (void)size;
}

const struct view_ops archive_backend_ops = {archive_look, archive_link, archive_map,
                                             archive_unmap, archive_close};
