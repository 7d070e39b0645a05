/* SPDX-License-Identifier: MIT */
/* The walk, and directories as a backend. See view.h. */
#include "view.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"

#define LINKS_MAX 40

struct view {
    const struct view_ops *ops;
    void *backend;
};

/* ---- Directories ------------------------------------------------------------------------------------- */

struct directory {
    int fd;
};

/* The path relative to the root, as the *at() calls want it. */
static const char *relative(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int directory_look(void *backend, struct view_file *file)
{
    const struct directory *d = backend;
    struct stat st;

    if (fstatat(d->fd, relative(file->path), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    file->mode = st.st_mode;
    file->size = (uint64_t)st.st_size;
    file->id = st.st_ino;
    return 0;
}

static int directory_link(void *backend, const struct view_file *file, char text[PATH_MAX])
{
    const struct directory *d = backend;
    ssize_t n = readlinkat(d->fd, relative(file->path), text, PATH_MAX);

    if (n < 0)
        return -errno;
    if (n == PATH_MAX)
        return -ENAMETOOLONG;
    text[n] = '\0';
    return 0;
}

static int directory_map(void *backend, const struct view_file *file, const uint8_t **data,
                         size_t *size)
{
    const struct directory *d = backend;
    AUTO_CLOSE int fd = openat(d->fd, relative(file->path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    void *map;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    *data = NULL;
    *size = (size_t)st.st_size;
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return S_ISREG(st.st_mode) ? 0 : -EINVAL;
    map = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    *data = map;
    return 0;
}

static void directory_unmap(void *backend, const uint8_t *data, size_t size)
{
    (void)backend;
    if (data)
        (void)munmap((void *)data, size);
}

static void directory_close(void *backend)
{
    struct directory *d = backend;

    (void)close(d->fd);
    free(d);
}

static const struct view_ops g_directory_ops = {directory_look, directory_link, directory_map,
                                                directory_unmap, directory_close};

/* ---- Opening ----------------------------------------------------------------------------------------- */

static int open_directory(struct view *v, const char *path, int *fd)
{
    struct directory *d = malloc(sizeof(*d));

    (void)path;
    if (!d)
        return cli_no_memory();
    d->fd = *fd;
    *fd = -1;
    v->backend = d;
    v->ops = &g_directory_ops;
    return 0;
}

static int open_archive(struct view *v, const char *path, int fd)
{
    v->ops = &archive_backend_ops;
    v->backend = archive_backend_open(path, fd);
    return v->backend ? 0 : -1;
}

struct view *view_open(const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct view *v;
    struct stat st;
    int ret;

    if (fd < 0 || fstat(fd, &st) < 0) {
        (void)cli_error("%s: %s", path, strerror(errno));
        return NULL;
    }
    v = malloc(sizeof(*v));
    if (!v) {
        (void)cli_no_memory();
        return NULL;
    }
    ret = S_ISDIR(st.st_mode) ? open_directory(v, path, &fd) : open_archive(v, path, fd);
    if (ret == 0)
        return v;
    free(v);
    return NULL;
}

void view_close(struct view *v)
{
    if (!v)
        return;
    v->ops->close(v->backend);
    free(v);
}

int view_map(struct view *v, const struct view_file *file, const uint8_t **data, size_t *size)
{
    return v->ops->map(v->backend, file, data, size);
}

void view_unmap(struct view *v, const uint8_t *data, size_t size)
{
    v->ops->unmap(v->backend, data, size);
}

/* ---- The walk ---------------------------------------------------------------------------------------- */

struct walk {
    struct view *view;
    view_visit *visit;
    void *ctx;
    unsigned links;
    char rest[2 * PATH_MAX]; /* still to go */
    struct view_file *at;
};

/* Takes the next component of w->rest into `name`. 0 at the end. */
static int next_component(struct walk *w, char name[NAME_MAX + 1])
{
    const char *start = w->rest + strspn(w->rest, "/");
    size_t size = strcspn(start, "/");

    if (size == 0)
        return 0;
    if (size > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, start, size);
    name[size] = '\0';
    memmove(w->rest, start + size, strlen(start + size) + 1);
    return 1;
}

static int enter(struct view_file *at, const char *name)
{
    size_t size = strlen(at->path);
    int slash = at->path[size - 1] != '/';

    if (size + (size_t)slash + strlen(name) >= PATH_MAX)
        return -ENAMETOOLONG;
    (void)snprintf(at->path + size, PATH_MAX - size, "%s%s", slash ? "/" : "", name);
    return 0;
}

static void leave(struct view_file *at)
{
    char *slash = strrchr(at->path, '/');

    slash[slash == at->path] = '\0';
}

/* The link's text goes before what is still to go. */
static int follow(struct walk *w, const char *text)
{
    size_t size = strlen(text), rest = strlen(w->rest);

    if (++w->links > LINKS_MAX)
        return -ELOOP;
    if (size + rest + 2 > sizeof(w->rest))
        return -ENAMETOOLONG;
    memmove(w->rest + size + 1, w->rest, rest + 1);
    memcpy(w->rest, text, size);
    w->rest[size] = '/';
    if (text[0] == '/')
        (void)strcpy(w->at->path, "/");
    else
        leave(w->at);
    return 0;
}

static int step(struct walk *w, const char *name)
{
    const struct view_ops *ops = w->view->ops;
    char text[PATH_MAX];
    int ret;

    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        leave(w->at);
        return ops->look(w->view->backend, w->at);
    }
    if (!S_ISDIR(w->at->mode))
        return -ENOTDIR;
    ret = enter(w->at, name);
    if (ret == 0)
        ret = ops->look(w->view->backend, w->at);
    if (ret < 0)
        return ret;
    if (!S_ISLNK(w->at->mode))
        return w->visit ? w->visit(w->ctx, w->at, NULL) : 0;
    ret = ops->link(w->view->backend, w->at, text);
    if (ret == 0 && w->visit)
        ret = w->visit(w->ctx, w->at, text);
    if (ret == 0)
        ret = follow(w, text);
    return ret == 0 ? ops->look(w->view->backend, w->at) : ret;
}

int view_walk(struct view *v, const char *path, view_visit *visit, void *ctx,
              struct view_file *out)
{
    struct walk w = {.view = v, .visit = visit, .ctx = ctx, .at = out};
    char name[NAME_MAX + 1];
    int ret;

    (void)strcpy(out->path, "/");
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    (void)strcpy(w.rest, path);
    ret = v->ops->look(v->backend, out);
    while (ret == 0 && (ret = next_component(&w, name)) > 0)
        ret = step(&w, name);
    return ret;
}
