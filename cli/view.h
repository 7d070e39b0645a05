/* SPDX-License-Identifier: MIT */
/*
 * A file tree seen from its own root, read-only: a directory or a newc archive. Symbolic links are
 * followed inside the tree only. Paths are absolute within it.
 */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct view;

struct view_file {
    char path[PATH_MAX]; /* without symbolic links */
    mode_t mode;
    uint64_t size;
    uint64_t id; /* backend's */
};

/* NULL after a message. */
struct view *view_open(const char *path);
void view_close(struct view *v);

/*
 * Called for each name on the way, links included, before it is followed: directories, symbolic links
 * with their text, and the end. Not 0 ends the walk with that value.
 */
typedef int view_visit(void *ctx, const struct view_file *file, const char *link);

/*
 * Where `path` leads; the last component is followed too. 0; -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG,
 * errno of lstat(2), or the visitor's value. `visit` may be NULL.
 */
int view_walk(struct view *v, const char *path, view_visit *visit, void *ctx,
              struct view_file *out);

/* A regular file's bytes; to be given to view_unmap(). An empty file has *data == NULL. 0 or -errno. */
int view_map(struct view *v, const struct view_file *file, const uint8_t **data, size_t *size);
void view_unmap(struct view *v, const uint8_t *data, size_t size);

/* ---- For backends ---------------------------------------------------------------------------------- */

struct view_ops {
    /* `file->path` without symbolic links before its last component; fills the rest. */
    int (*look)(void *backend, struct view_file *file);
    int (*link)(void *backend, const struct view_file *file, char text[PATH_MAX]);
    int (*map)(void *backend, const struct view_file *file, const uint8_t **data, size_t *size);
    void (*unmap)(void *backend, const uint8_t *data, size_t size);
    void (*close)(void *backend);
};

/* view_archive.c: NULL after a message. */
void *archive_backend_open(const char *path, int fd);
extern const struct view_ops archive_backend_ops;

#endif
