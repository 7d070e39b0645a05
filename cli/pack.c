/* SPDX-License-Identifier: MIT */
/*
 * A directory as a newc archive. Reproducible: names are sorted, inode numbers count from 1, device
 * numbers and directories' link counts are fixed; modes, owners and times are the files' own.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "root.h"
#include "tree_list.h"

#define COPY_SIZE 65536

struct packer {
    const char *root;
    struct archive *to;
    struct archive_entry *entry;
};

static void free_packer(struct packer *p)
{
    archive_entry_free(p->entry);
    (void)archive_write_free(p->to);
}

static int full_path(const struct packer *p, const struct tree_entry *e, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/%s", p->root, e->name);

    return n < PATH_MAX ? 0 : cli_error("%s/%s: %s", p->root, e->name, strerror(ENAMETOOLONG));
}

static int cannot_write(const struct packer *p)
{
    int err = archive_errno(p->to);

    return cli_error("cannot write the archive: %s",
                     err > 0 ? strerror(err) : archive_error_string(p->to));
}

static int copy_contents(const struct packer *p, const char *path, uint64_t size)
{
    static char buf[COPY_SIZE];
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint64_t done = 0;
    ssize_t n = 1;

    if (fd < 0)
        return cli_error("%s: %s", path, strerror(errno));
    while (n > 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
        done += (uint64_t)n;
        if (done > size)
            break;
        if (archive_write_data(p->to, buf, (size_t)n) != n)
            return cannot_write(p);
    }
    if (n < 0)
        return cli_error("%s: %s", path, strerror(errno));
    return done == size ? 0 : cli_error("%s: changed while it was read", path);
}

static int set_link(const struct packer *p, const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);

    if (n < 0)
        return cli_error("%s: %s", path, strerror(errno));
    target[n] = '\0';
    archive_entry_set_symlink(p->entry, target);
    archive_entry_set_size(p->entry, n);
    return 0;
}

static void set_header(struct archive_entry *entry, const struct tree_entry *e)
{
    const struct stat *st = &e->st;
    int64_t mtime = st->st_mtime < 0 ? 0 : st->st_mtime > UINT32_MAX ? UINT32_MAX : st->st_mtime;

    (void)archive_entry_clear(entry);
    archive_entry_set_pathname(entry, e->name);
    archive_entry_set_mode(entry, st->st_mode);
    archive_entry_set_uid(entry, st->st_uid);
    archive_entry_set_gid(entry, st->st_gid);
    archive_entry_set_mtime(entry, mtime, 0);
    archive_entry_set_ino64(entry, e->ino);
    archive_entry_set_nlink(entry, S_ISDIR(st->st_mode) ? 2 : e->links);
    archive_entry_set_dev(entry, 0);
    archive_entry_set_size(entry, 0);
    if (S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode))
        archive_entry_set_rdev(entry, st->st_rdev);
}

/* The data of a file with several names follows the last one, as the format wants it. */
static int pack_entry(const struct packer *p, const struct tree_entry *e, uint32_t index)
{
    int contents = S_ISREG(e->st.st_mode) && e->last == index && e->st.st_size > 0;
    char path[PATH_MAX];

    if (full_path(p, e, path) < 0)
        return -1;
    set_header(p->entry, e);
    if (contents && e->st.st_size > UINT32_MAX)
        return cli_error("%s: larger than 4 GiB: a newc archive cannot hold it", path);
    if (contents)
        archive_entry_set_size(p->entry, e->st.st_size);
    if (S_ISLNK(e->st.st_mode) && set_link(p, path) < 0)
        return -1;
    if (archive_write_header(p->to, p->entry) != ARCHIVE_OK)
        return cannot_write(p);
    return contents ? copy_contents(p, path, (uint64_t)e->st.st_size) : 0;
}

static int pack_list(const struct packer *p, const struct tree_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (pack_entry(p, &list->entries[i], (uint32_t)i) < 0)
            return -1;
    return archive_write_close(p->to) == ARCHIVE_OK ? 0 : cannot_write(p);
}

int pack_directory(const char *path, int fd)
{
    struct packer p __attribute__((cleanup(free_packer))) = {
        .root = path, .to = archive_write_new(), .entry = archive_entry_new()};
    struct tree_list list;
    int ret;

    if (!p.to || !p.entry)
        return cli_no_memory();
    if (archive_write_set_format_cpio_newc(p.to) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(p.to, COPY_SIZE) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(p.to, 1) != ARCHIVE_OK ||
        archive_write_open_fd(p.to, fd) != ARCHIVE_OK)
        return cannot_write(&p);
    ret = tree_list_read(&list, path);
    if (ret == 0)
        ret = pack_list(&p, &list);
    tree_list_free(&list);
    return ret;
}
