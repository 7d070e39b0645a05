/* SPDX-License-Identifier: MIT */
/*
 * adyton excpio: unpacks an archive of which nothing is believed. All names stay below DIR: libarchive
 * refuses "..", absolute names and ways through symbolic links; device nodes are made only when asked
 * for; no entry may claim more bytes than the archive has.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"

static const char g_help[] =
    "Usage: adyton excpio [--devices] FILE DIR\n"
    "Unpacks FILE, a CPIO archive, into DIR, which must be empty or not exist yet. Nothing is written\n"
    "outside of DIR, whatever the archive says. As root, owners are restored.\n"
    "\n"
    "      --devices   make device nodes too; without it they are left out, with a note\n"
    "  -h, --help      this text\n"
    "\n"
    "Example:\n"
    "  adyton excpio root.cpio root\n";

#define READ_SIZE 65536

struct extraction {
    const char *file;
    struct archive *from, *to;
    struct archive_entry *entry;
    int64_t size; /* of the file */
    int devices;
};

/* libarchive's words if it has some, and the system's. Valid until the next call. */
static const char *reason(struct archive *a)
{
    static char text[512];
    const char *words = archive_error_string(a);
    int err = archive_errno(a);

    (void)snprintf(text, sizeof(text), "%s%s%s", words ? words : "damaged", err > 0 ? ": " : "",
                   err > 0 ? strerror(err) : "");
    return text;
}

static int bad_entry(const struct extraction *x, const char *why)
{
    const char *name = archive_entry_pathname(x->entry);

    return cli_error("%s: entry '%s': %s", x->file, name ? name : "?", why);
}

static int copy_data(const struct extraction *x)
{
    const void *block;
    size_t size;
    la_int64_t offset;
    int r;

    while ((r = archive_read_data_block(x->from, &block, &size, &offset)) == ARCHIVE_OK)
        if (archive_write_data_block(x->to, block, size, offset) < ARCHIVE_OK)
            return bad_entry(x, reason(x->to));
    return r == ARCHIVE_EOF ? 0 : bad_entry(x, reason(x->from));
}

/* 1: to be left out; -1 after a message. */
static int check_entry(const struct extraction *x)
{
    const char *name = archive_entry_pathname(x->entry);
    const char *link = archive_entry_hardlink(x->entry);
    mode_t type = archive_entry_filetype(x->entry);

    if (!name || name[0] == '\0')
        return bad_entry(x, "has no name");
    if (name[0] == '/' || (link && link[0] == '/'))
        return bad_entry(x, "an absolute name: refused");
    if (archive_entry_size(x->entry) > x->size)
        return bad_entry(x, "claims more bytes than the archive has");
    if ((type == AE_IFBLK || type == AE_IFCHR) && !x->devices) {
        (void)cli_error("note: %s: device node '%s' left out (see --devices)", x->file, name);
        return 1;
    }
    return 0;
}

static int extract_entry(const struct extraction *x)
{
    int ret = check_entry(x);

    if (ret != 0)
        return ret < 0 ? -1 : 0;
    if (archive_write_header(x->to, x->entry) < ARCHIVE_OK)
        return bad_entry(x, reason(x->to));
    if (archive_entry_size(x->entry) > 0 && copy_data(x) < 0)
        return -1;
    if (archive_write_finish_entry(x->to) < ARCHIVE_OK)
        return bad_entry(x, reason(x->to));
    return 0;
}

static int extract_all(struct extraction *x)
{
    int count = 0;
    int r;

    while ((r = archive_read_next_header(x->from, &x->entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
        if (extract_entry(x) < 0)
            return -1;
        count++;
    }
    if (r != ARCHIVE_EOF)
        return cli_error("%s: after %d entries: %s", x->file, count, reason(x->from));
    if (archive_write_close(x->to) != ARCHIVE_OK)
        return cli_error("%s: %s", x->file, reason(x->to));
    return 0;
}

static int open_archives(struct extraction *x, int fd)
{
    int flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_NO_OVERWRITE |
                ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;

    if (geteuid() == 0)
        flags |= ARCHIVE_EXTRACT_OWNER;
    if (!x->from || !x->to)
        return cli_no_memory();
    if (archive_read_support_format_cpio(x->from) != ARCHIVE_OK ||
        archive_write_disk_set_options(x->to, flags) != ARCHIVE_OK)
        return cli_error("libarchive: %s", reason(x->from));
    if (archive_read_open_fd(x->from, fd, READ_SIZE) != ARCHIVE_OK)
        return cli_error("%s: %s", x->file, reason(x->from));
    return 0;
}

static int extract(struct extraction *x, int fd)
{
    int ret;

    x->from = archive_read_new();
    x->to = archive_write_disk_new();
    ret = open_archives(x, fd);
    if (ret == 0)
        ret = extract_all(x);
    (void)archive_read_free(x->from);
    (void)archive_write_free(x->to);
    return ret;
}

/* Makes DIR, or finds it empty, and enters it. */
static int enter_directory(const char *path)
{
    const struct dirent *d;
    int count = 0;
    DIR *dir;

    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return cli_error("%s: %s", path, strerror(errno));
    dir = opendir(path);
    if (!dir)
        return cli_error("%s: %s", path, strerror(errno));
    while ((d = readdir(dir)) != NULL)
        count += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
    (void)closedir(dir);
    if (count > 0)
        return cli_error("%s: not empty", path);
    return chdir(path) < 0 ? cli_error("%s: %s", path, strerror(errno)) : 0;
}

static int run_extraction(struct extraction *x, const char *directory)
{
    AUTO_CLOSE int fd = open(x->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    AUTO_CLOSE int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return cli_error("%s: %s", x->file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cli_error("%s: not a file", x->file);
    x->size = st.st_size;
    if (here < 0 || enter_directory(directory) < 0)
        return -1;
    if (extract(x, fd) == 0)
        return 0;
    if (unlinkat(here, directory, AT_REMOVEDIR) < 0)
        (void)cli_error("%s is incomplete", directory);
    return -1;
}

int cmd_excpio(int argc, char **argv)
{
    static const struct option options[] = {{"devices", no_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct extraction x = {.devices = 0};
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'd')
            x.devices = 1;
        else
            return option == 'h' ? cli_help(g_help) : cli_usage("excpio", NULL);
    }
    if (argc - optind != 2)
        return cli_usage("excpio", "wants an archive and a directory");
    x.file = argv[optind];
    return run_extraction(&x, argv[optind + 1]) == 0 ? 0 : HOST_EXIT_ERROR;
}
