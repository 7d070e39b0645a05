/* SPDX-License-Identifier: MIT */
/*
 * See replica.h. What is there already is left alone if size and time are the source's, else replaced:
 * collecting again brings a directory up to date.
 */
#include "replica.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include "cli.h"

#define ERROR_SAID (-1000) /* from the visitor: a message was printed */
#define TEMPORARY  ".adyton-collect.part"

struct replica_file {
    dev_t dev;
    ino_t ino;
    char *path;
};

struct replica_directory {
    char *path;
    struct timespec mtime;
};

static const char *relative(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int cannot_write(const struct replica *r, const char *path)
{
    return cli_error("%s%s: %s", r->path, path, strerror(errno));
}

/* ---- Contents ---------------------------------------------------------------------------------------- */

static int copy_bytes(int from, int to, off_t size)
{
    static char buf[65536];
    ssize_t n;

    while (size > 0) {
        n = copy_file_range(from, NULL, to, NULL, (size_t)size, 0);
        if (n <= 0)
            break;
        size -= n;
    }
    while ((n = read(from, buf, sizeof(buf))) > 0) {
        errno = ENOSPC; /* what a short write means */
        if (write(to, buf, (size_t)n) != n)
            return -1;
    }
    return n < 0 ? -1 : 0;
}

/*
 * Only root can give a copy its owner. Without it the copy is no set-user-id program: it would hand out the
 * rights of whoever collects.
 */
static mode_t mode_for(const struct stat *st, int chown_result)
{
    return st->st_mode & (chown_result < 0 ? 01777 : 07777);
}

static void copy_owner_and_times(int fd, const struct stat *st)
{
    const struct timespec times[2] = {st->st_mtim, st->st_mtim};

    (void)fchmod(fd, mode_for(st, fchown(fd, st->st_uid, st->st_gid)));
    (void)futimens(fd, times);
}

static int is_current(const struct replica *r, const char *path, const struct stat *st)
{
    struct stat mine;

    return fstatat(r->fd, relative(path), &mine, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(mine.st_mode) && mine.st_size == st->st_size &&
           mine.st_mtim.tv_sec == st->st_mtim.tv_sec &&
           mine.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

static int write_copy(struct replica *r, const char *path, int from, const struct stat *st)
{
    AUTO_CLOSE int to = openat(r->fd, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (to < 0)
        return cannot_write(r, path);
    if (copy_bytes(from, to, st->st_size) < 0) {
        (void)cannot_write(r, path);
        (void)unlinkat(r->fd, TEMPORARY, 0);
        return -1;
    }
    copy_owner_and_times(to, st);
    if (renameat(r->fd, TEMPORARY, r->fd, relative(path)) < 0)
        return cannot_write(r, path);
    return 0;
}

/* ---- Files with several names ------------------------------------------------------------------------ */

static const char *find_name(const struct replica *r, const struct stat *st)
{
    for (size_t i = 0; i < r->file_count; i++)
        if (r->files[i].ino == st->st_ino && r->files[i].dev == st->st_dev)
            return r->files[i].path;
    return NULL;
}

static int remember_name(struct replica *r, const char *path, const struct stat *st)
{
    struct replica_file *grown = realloc(r->files, (r->file_count + 1) * sizeof(*grown));

    if (!grown)
        return cli_no_memory();
    r->files = grown;
    grown[r->file_count] = (struct replica_file){st->st_dev, st->st_ino, strdup(path)};
    if (!grown[r->file_count].path)
        return cli_no_memory();
    r->file_count++;
    return 0;
}

static int copy_file(struct replica *r, const char *path)
{
    AUTO_CLOSE int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *other;
    struct stat st;

    if (from < 0 || fstat(from, &st) < 0)
        return cli_error("%s: %s", path, strerror(errno));
    other = st.st_nlink > 1 ? find_name(r, &st) : NULL;
    if (other && strcmp(other, path) != 0) {
        (void)unlinkat(r->fd, relative(path), 0);
        return linkat(r->fd, relative(other), r->fd, relative(path), 0) == 0
                   ? 0 : cannot_write(r, path);
    }
    if (st.st_nlink > 1 && !other && remember_name(r, path, &st) < 0)
        return -1;
    return is_current(r, path, &st) ? 1 : write_copy(r, path, from, &st);
}

/* ---- Directories, links ------------------------------------------------------------------------------ */

static int remember_directory(struct replica *r, const char *path, const struct stat *st)
{
    struct replica_directory *grown =
        realloc(r->directories, (r->directory_count + 1) * sizeof(*grown));

    if (!grown)
        return cli_no_memory();
    r->directories = grown;
    grown[r->directory_count] = (struct replica_directory){strdup(path), st->st_mtim};
    if (!grown[r->directory_count].path)
        return cli_no_memory();
    r->directory_count++;
    return 0;
}

static void set_directory_times(struct replica *r)
{
    for (size_t i = 0; i < r->directory_count; i++) {
        struct replica_directory *d = &r->directories[i];
        const struct timespec times[2] = {d->mtime, d->mtime};

        (void)utimensat(r->fd, relative(d->path), times, 0);
        free(d->path);
    }
    free(r->directories);
}

static int copy_directory(struct replica *r, const char *path)
{
    struct stat st;
    int owned;

    if (mkdirat(r->fd, relative(path), 0755) < 0)
        return errno == EEXIST ? 1 : cannot_write(r, path);
    if (stat(path, &st) < 0)
        return cli_error("%s: %s", path, strerror(errno));
    if (remember_directory(r, path, &st) < 0)
        return -1;
    owned = fchownat(r->fd, relative(path), st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
    (void)fchmodat(r->fd, relative(path), mode_for(&st, owned), 0);
    return 0;
}

static int copy_link(struct replica *r, const char *path, const char *target)
{
    struct timespec times[2];
    char mine[PATH_MAX];
    struct stat st;
    ssize_t n = readlinkat(r->fd, relative(path), mine, sizeof(mine));

    if (n == (ssize_t)strlen(target) && memcmp(mine, target, (size_t)n) == 0)
        return 1;
    if (n >= 0)
        (void)unlinkat(r->fd, relative(path), 0);
    if (symlinkat(target, r->fd, relative(path)) < 0)
        return cannot_write(r, path);
    if (lstat(path, &st) == 0) {
        times[0] = times[1] = st.st_mtim;
        (void)fchownat(r->fd, relative(path), st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
        (void)utimensat(r->fd, relative(path), times, AT_SYMLINK_NOFOLLOW);
    }
    return 0;
}

struct adding {
    struct replica *replica;
    int was_there;
};

static int visit(void *ctx, const struct view_file *file, const char *link)
{
    struct adding *a = ctx;
    int ret = 1;

    if (link)
        ret = copy_link(a->replica, file->path, link);
    else if (S_ISDIR(file->mode))
        ret = copy_directory(a->replica, file->path);
    else if (S_ISREG(file->mode))
        ret = copy_file(a->replica, file->path);
    else
        (void)cli_error("note: %s: neither a file nor a directory: left out", file->path);
    if (ret < 0)
        return ERROR_SAID;
    a->was_there = ret;
    return 0;
}

int replica_add(struct replica *r, const char *path, struct view_file *end)
{
    struct adding a = {.replica = r, .was_there = 1};
    int ret = view_walk(r->machine, path, visit, &a, end);

    if (ret == ERROR_SAID)
        return -1;
    if (ret == -EPERM)
        ret = -EACCES; /* -1 means that a message was printed */
    return ret < 0 ? ret : a.was_there;
}

/* ---- The root itself --------------------------------------------------------------------------------- */

int replica_has(const struct replica *r, const char *path)
{
    struct stat st;

    return fstatat(r->fd, relative(path), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int replica_make_directory(struct replica *r, const char *path, mode_t mode)
{
    if (mkdirat(r->fd, relative(path), mode) < 0)
        return errno == EEXIST ? 0 : cannot_write(r, path);
    return fchmodat(r->fd, relative(path), mode, 0) < 0 ? cannot_write(r, path) : 0;
}

int replica_make_file(struct replica *r, const char *path, const char *text)
{
    AUTO_CLOSE int fd = -1;
    ssize_t size = (ssize_t)strlen(text);

    if (replica_has(r, path))
        return 0;
    fd = openat(r->fd, relative(path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)size) != size)
        return cannot_write(r, path);
    return 0;
}

int replica_open(struct replica *r, const char *path)
{
    memset(r, 0, sizeof(*r));
    r->path = path;
    r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->fd < 0)
        return cli_error("%s: %s", path, strerror(errno));
    r->machine = view_open("/");
    return r->machine ? 0 : -1;
}

void replica_close(struct replica *r)
{
    view_close(r->machine);
    set_directory_times(r);
    cli_close(&r->fd);
    for (size_t i = 0; i < r->file_count; i++)
        free(r->files[i].path);
    free(r->files);
}
