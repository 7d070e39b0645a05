/* SPDX-License-Identifier: MIT */
/*
 * adyton mkcpio. The archive is written without a name where the file system can do that, else
 * under a temporary one, and gets its name when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"
#include "root.h"

static const char g_help[] =
    "Usage: adyton mkcpio DIR FILE\n"
    "Makes FILE, a newc CPIO archive of DIR with a hash tree behind it. 'adyton run FILE' then starts\n"
    "at once, whatever the size, and checks each block before its first use. The same directory gives\n"
    "the same bytes. Other tools read FILE as an ordinary archive.\n"
    "\n"
    "  -h, --help   this text\n"
    "\n"
    "Example:\n"
    "  adyton mkcpio root root.cpio && adyton run root.cpio /bin/busybox echo hello\n";

struct output {
    const char *path;
    char temporary[PATH_MAX];
    char folder[PATH_MAX];
    int named; /* `temporary` exists */
    int fd;
};

static int no_room(const char *path, int err)
{
    (void)cli_error("%s: %s", path, strerror(err));
    return -1;
}

static int open_output(struct output *o)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof(copy), "%s", o->path) >= PATH_MAX ||
        snprintf(o->temporary, sizeof(o->temporary), "%s.XXXXXX", o->path) >= PATH_MAX)
        return no_room(o->path, ENAMETOOLONG);
    (void)snprintf(o->folder, sizeof(o->folder), "%s", dirname(copy));
    o->fd = open(o->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (o->fd < 0) {
        o->fd = mkostemp(o->temporary, O_CLOEXEC);
        o->named = o->fd >= 0;
    }
    return o->fd < 0 ? no_room(o->path, errno) : 0;
}

/* An unnamed file gets the temporary name first: link(2) replaces nothing. */
static int name_file(struct output *o)
{
    char from[64];

    (void)snprintf(from, sizeof(from), "/proc/self/fd/%d", o->fd);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(o->temporary + strlen(o->path), 16, ".%u", (unsigned)getpid() + i);
        if (linkat(AT_FDCWD, from, AT_FDCWD, o->temporary, AT_SYMLINK_FOLLOW) == 0) {
            o->named = 1;
            return 0;
        }
        if (errno != EEXIST)
            break;
    }
    return no_room(o->path, errno);
}

static int publish(struct output *o)
{
    mode_t mask = umask(0);

    (void)umask(mask);
    if (fchmod(o->fd, 0666 & ~mask) < 0 || fsync(o->fd) < 0)
        return no_room(o->path, errno);
    if (!o->named && name_file(o) < 0)
        return -1;
    if (rename(o->temporary, o->path) < 0)
        return no_room(o->path, errno);
    o->named = 0;
    return 0;
}

static int make_archive(struct output *o, const char *directory)
{
    struct manifest_root root;
    uint64_t size;
    int ret;

    if (open_output(o) < 0 || pack_directory(directory, o->fd) < 0)
        return -1;
    ret = verity_append(o->fd, NULL, 0, &root, &size);
    if (ret < 0)
        return no_room(o->path, -ret);
    return publish(o);
}

/* An archive inside of what it archives would hold itself. */
static int check_places(const char *directory, const char *path)
{
    AUTO_FREE char *real = realpath(directory, NULL);
    AUTO_FREE char *folder = NULL;
    char copy[PATH_MAX];
    struct stat st;
    size_t size;

    if (!real || stat(real, &st) < 0)
        return cli_error("%s: %s", directory, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return cli_error("%s: %s", directory, strerror(ENOTDIR));
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return cli_error("%s: exists and is no regular file", path);
    if (snprintf(copy, sizeof(copy), "%s", path) >= PATH_MAX)
        return cli_error("%s: %s", path, strerror(ENAMETOOLONG));
    folder = realpath(dirname(copy), NULL);
    if (!folder)
        return cli_error("%s: %s", path, strerror(errno));
    size = strlen(real);
    if (strncmp(folder, real, size) == 0 && (folder[size] == '/' || folder[size] == '\0'))
        return cli_error("%s lies inside %s: choose another place", path, directory);
    return 0;
}

int cmd_mkcpio(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct output o = {.fd = -1};
    int option, ret;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
        return option == 'h' ? cli_help(g_help) : cli_usage("mkcpio", NULL);
    if (argc - optind != 2)
        return cli_usage("mkcpio", "wants a directory and a file");
    o.path = argv[optind + 1];
    if (check_places(argv[optind], o.path) < 0)
        return HOST_EXIT_ERROR;
    ret = make_archive(&o, argv[optind]);
    if (o.named)
        (void)unlink(o.temporary);
    cli_close(&o.fd);
    return ret == 0 ? 0 : HOST_EXIT_ERROR;
}
