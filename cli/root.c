/* SPDX-License-Identifier: MIT */
/* See root.h. */
#include "root.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"

#define COPY_SIZE  (1UL << 20)
#define MAGIC_SIZE 6

static int copy_file(const char *path, int from, int to, uint64_t size)
{
    uint64_t done = 0;

    while (done < size) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, size - done, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (uint64_t)n;
    }
    while (done < size) {
        static char buf[COPY_SIZE];
        ssize_t n = pread(from, buf, sizeof(buf), (off_t)done);

        if (n <= 0)
            return cli_error("%s: %s", path, n < 0 ? strerror(errno) : "ends while it is read");
        errno = ENOSPC; /* what a short write means */
        if (pwrite(to, buf, (size_t)n, (off_t)done) != n)
            return cli_error("%s: no memory for a copy: %s", path, strerror(errno));
        done += (uint64_t)n;
    }
    return 0;
}

/* A first look, for a message that helps; the kernel reads the archive itself. */
static int check_magic(const char *path, int fd)
{
    char magic[MAGIC_SIZE] = "";
    ssize_t n = pread(fd, magic, sizeof(magic), 0);

    if (n < 0)
        return cli_error("%s: %s", path, strerror(errno));
    if (n == 0)
        return cli_error("%s: the file is empty", path);
    if (memcmp(magic, "\037\213", 2) == 0 || memcmp(magic, "\3757zXZ", 6) == 0 ||
        memcmp(magic, "\050\265\057\375", 4) == 0)
        return cli_error("%s: a compressed archive: decompress it first", path);
    if (memcmp(magic, "070707", 6) == 0)
        return cli_error("%s: a CPIO archive of the old kind: make it with 'cpio -H newc'", path);
    if (memcmp(magic, "070701", 6) != 0 && memcmp(magic, "070702", 6) != 0)
        return cli_error("%s: neither a directory nor a newc CPIO archive", path);
    return 0;
}

static int prepare(const char *path, int from, const struct stat *st, struct manifest_root *root,
                   uint64_t *size)
{
    int fd = memfd_create("adyton-root", MFD_CLOEXEC);
    int ret;

    if (fd < 0)
        return cli_error("%s: no memory for it: %s", path, strerror(errno));
    ret = S_ISDIR(st->st_mode) ? pack_directory(path, fd)
                               : copy_file(path, from, fd, (uint64_t)st->st_size);
    if (ret == 0) {
        ret = verity_append(fd, NULL, 0, root, size);
        if (ret < 0)
            ret = cli_error("%s: cannot be hashed: %s", path, strerror(-ret));
    }
    if (ret == 0)
        return fd;
    (void)close(fd);
    return -1;
}

int root_open(const char *path, struct manifest_root *root, uint64_t *size)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    int ret;

    if (fd < 0 || fstat(fd, &st) < 0)
        return cli_error("%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return prepare(path, fd, &st, root, size);
    if (!S_ISREG(st.st_mode))
        return cli_error("%s: neither a directory nor a file", path);
    if (check_magic(path, fd) < 0)
        return -1;
    ret = verity_read(fd, root, size);
    if (ret == -ENODATA)
        return prepare(path, fd, &st, root, size);
    if (ret < 0)
        return cli_error("%s: a prepared archive, but damaged: prepare it again with 'adyton mkcpio'",
                         path);
    ret = fd;
    fd = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): AUTO_CLOSE reads it */
    return ret;
}
