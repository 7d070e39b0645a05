/* SPDX-License-Identifier: MIT */
/* Copies paths of this machine into a root directory, at the same names, links and all. */
#ifndef CLI_REPLICA_H
#define CLI_REPLICA_H

#include "view.h"

struct replica_file; /* names of files with several names */

struct replica {
    struct view *machine; /* "/" */
    const char *path;     /* of the root directory */
    int fd;
    struct replica_file *files;
    size_t file_count;
    struct replica_directory *directories; /* whose times are set when all is in them */
    size_t directory_count;
};

/* 0, or -1 after a message. */
int replica_open(struct replica *r, const char *path);
/* Gives copied directories their times, which every file put into them has changed. */
void replica_close(struct replica *r);

/*
 * Brings `path` with every directory and link on the way. 1 when it was there already, 0 when it is
 * new; -1 after a message; -ENOENT and the like, without one, when the machine has no such path.
 * *end is where it leads. A directory comes without its contents.
 */
int replica_add(struct replica *r, const char *path, struct view_file *end);

/* True if `path`, without links on the way, exists in the root directory. */
int replica_has(const struct replica *r, const char *path);

/* Makes a directory or a file with this text, unless there is one. 0 or -1. */
int replica_make_directory(struct replica *r, const char *path, mode_t mode);
int replica_make_file(struct replica *r, const char *path, const char *text);

#endif
