/* SPDX-License-Identifier: MIT */
/*
 * adyton run [--target T] [--stats[=FILE]] [--strict] ROOTFS PROGRAM [ARG...]: the least that drives
 * the runtime. ROOTFS is a directory, packed into memory, or a newc archive, with or without its hash
 * tree.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "host.h"
#include "host_manifest.h"
#include "host_verity.h"

#define COPY_SIZE 65536

static __attribute__((format(printf, 1, 2))) int complain(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)fputs("adyton: ", stderr);
    (void)vfprintf(stderr, format, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    return -1;
}

static int copy_contents(struct archive *to, const char *path)
{
    static char buf[COPY_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0)
        return -1;
    while ((n = read(fd, buf, sizeof(buf))) > 0)
        if (archive_write_data(to, buf, (size_t)n) != n)
            break;
    (void)close(fd);
    return n == 0 ? 0 : -1;
}

static int write_entry(struct archive *to, struct archive_entry *entry, const char *root)
{
    const char *path = archive_entry_sourcepath(entry);
    size_t skip = strlen(root);
    int contents = archive_entry_filetype(entry) == AE_IFREG && archive_entry_size(entry) > 0;
    char name[4096];

    (void)snprintf(name, sizeof(name), "%s", path + skip + (path[skip] == '/'));
    if (name[0] == '\0')
        return 0;
    archive_entry_set_pathname(entry, name);
    if (archive_write_header(to, entry) < ARCHIVE_WARN)
        return complain("%s: %s", path, archive_error_string(to));
    if (contents && copy_contents(to, path) < 0)
        return complain("%s: %s", path, strerror(errno));
    return 0;
}

static int pack_tree(struct archive *from, struct archive *to, const char *root)
{
    int ret = 0;

    if (archive_read_disk_open(from, root) != ARCHIVE_OK)
        return complain("%s: %s", root, archive_error_string(from));
    while (ret == 0) {
        struct archive_entry *entry = archive_entry_new();
        int r = archive_read_next_header2(from, entry);

        if (r == ARCHIVE_OK || r == ARCHIVE_WARN) {
            ret = write_entry(to, entry, root);
            (void)archive_read_disk_descend(from);
        } else if (r == ARCHIVE_EOF) {
            ret = 1;
        } else {
            ret = complain("%s: %s", root, archive_error_string(from));
        }
        archive_entry_free(entry);
    }
    return ret < 0 ? -1 : 0;
}

static int pack_directory(const char *root, int fd)
{
    struct archive *from = archive_read_disk_new();
    struct archive *to = archive_write_new();
    int ret = -1;

    if (from && to && archive_write_set_format_cpio_newc(to) == ARCHIVE_OK &&
        archive_write_set_bytes_in_last_block(to, 1) == ARCHIVE_OK &&
        archive_write_open_fd(to, fd) == ARCHIVE_OK) {
        (void)archive_read_disk_set_symlink_physical(from);
        ret = pack_tree(from, to, root);
        if (archive_write_close(to) != ARCHIVE_OK)
            ret = -1;
    }
    (void)archive_read_free(from);
    (void)archive_write_free(to);
    return ret;
}

static int copy_archive(const char *path, int from, int to)
{
    static char buf[COPY_SIZE];
    ssize_t n;

    while ((n = read(from, buf, sizeof(buf))) > 0)
        if (write(to, buf, (size_t)n) != n)
            return complain("%s: %s", path, strerror(errno));
    return n == 0 ? 0 : complain("%s: %s", path, strerror(errno));
}

/* The image file of ROOTFS; its descriptor, or -1 after a message. */
static int open_root(const char *path, struct manifest_root *root, uint64_t *size)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int fd, ret;

    if (from < 0 || fstat(from, &st) < 0)
        return complain("%s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode) && verity_read(from, root, size) == 0)
        return from;
    fd = memfd_create("adyton-root", MFD_CLOEXEC);
    if (fd < 0)
        return complain("memfd: %s", strerror(errno));
    ret = S_ISDIR(st.st_mode) ? pack_directory(path, fd) : copy_archive(path, from, fd);
    (void)close(from);
    if (ret < 0)
        return -1;
    ret = verity_append(fd, NULL, 0, root, size);
    return ret < 0 ? complain("%s: %s", path, strerror(-ret)) : fd;
}

static int parse_options(int argc, char **argv, struct host_run *run, uint32_t *flags)
{
    int i;

    for (i = 2; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--target") == 0 && i + 1 < argc) {
            i++;
            run->target = strcmp(argv[i], "sim") == 0   ? HOST_TARGET_SIM
                          : strcmp(argv[i], "sgx") == 0 ? HOST_TARGET_SGX
                                                        : HOST_TARGET_AUTO;
        } else if (strncmp(argv[i], "--stats", 7) == 0) {
            run->stats = 1;
            run->stats_path = argv[i][7] == '=' ? argv[i] + 8 : NULL;
            *flags |= MANIFEST_STATS;
        } else if (strcmp(argv[i], "--strict") == 0) {
            run->strict = 1;
        } else if (strcmp(argv[i], "--strace") == 0) {
            *flags |= MANIFEST_STRACE;
        } else if (strcmp(argv[i], "--debug") == 0) {
            run->debug = 1;
            *flags |= MANIFEST_DEBUG;
        } else if (strncmp(argv[i], "--hostile=", 10) == 0) {
            run->hostile = (int)strtol(argv[i] + 10, NULL, 0);
        } else {
            return complain("unknown option %s", argv[i]);
        }
    }
    return i;
}

int main(int argc, char **argv)
{
    static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", NULL};
    struct host_run run = {.target = HOST_TARGET_AUTO, .rootfs_fd = -1};
    struct host_manifest manifest = {
        .memory_size = 1UL << 30, .main_stack_size = 8UL << 20, .thread_stack_size = 8UL << 20};
    void *blob;
    int i, ret;

    if (argc < 4 || strcmp(argv[1], "run") != 0)
        return complain("usage: adyton run [OPTION...] ROOTFS PROGRAM [ARG...]"), HOST_EXIT_ERROR;
    if (host_init(argv) < 0)
        return HOST_EXIT_ERROR;
    i = parse_options(argc, argv, &run, &manifest.flags);
    if (i < 0 || i + 1 >= argc)
        return HOST_EXIT_ERROR;
    run.rootfs_fd = open_root(argv[i], &manifest.root, &run.rootfs_size);
    if (run.rootfs_fd < 0)
        return HOST_EXIT_ERROR;
    manifest.program = argv[i + 1];
    manifest.argv = (const char *const *)&argv[i + 1];
    manifest.env = env;
    manifest.cwd = "/";
    manifest.hostname = "adyton";
    ret = host_manifest_build(&manifest, &blob, &run.manifest_size);
    if (ret < 0)
        return complain("cannot build the manifest: %s", strerror(-ret)), HOST_EXIT_ERROR;
    run.manifest = blob;
    return host_run(&run);
}
