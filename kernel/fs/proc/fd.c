/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/fd and fdinfo: a link and a text for each open descriptor. Links are magic: following
 * one gives the file's own path, whatever its name says. Tables are looked at under files->lock,
 * files are held by reference beyond it.
 */
#include <kernel/files.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "proc.h"

#define FD_MAX 0xfffffu

static struct file *file_at(struct files *files, u32 fd)
{
    struct file *f = NULL;

    spin_lock(&files->lock);
    if (fd < files->size && files->table[fd])
        f = file_get(files->table[fd]);
    spin_unlock(&files->lock);
    return f;
}

/* The table of a task by number, with a reference, or NULL. */
static struct files *node_files(const struct pseudo_node *node)
{
    struct task *t = task_find(node->tid);
    struct files *files = t ? task_files(t) : NULL;

    if (t)
        task_put(t);
    return files;
}

static struct file *node_file(const struct pseudo_node *node)
{
    struct files *files = node_files(node);
    struct file *f = files ? file_at(files, node->id) : NULL;

    if (files)
        files_put(files);
    return f;
}

int proc_may_look(struct task *t)
{
    return task_may_access(t, ACCESS_FS) ? -EACCES : 0;
}

static int node_may_look(const struct pseudo_node *node)
{
    struct task *t = task_find(node->tid);
    int err = t ? proc_may_look(t) : -ENOENT;

    if (t)
        task_put(t);
    return err;
}

static bool next_open(struct files *files, u32 *fd)
{
    bool found = false;

    spin_lock(&files->lock);
    for (; *fd < files->size && !found; *fd += !found)
        found = files->table[*fd];
    spin_unlock(&files->lock);
    return found;
}

u64 proc_fd_table_size(struct task *t)
{
    struct files *files = task_files(t);
    u64 size;

    if (!files)
        return 0;
    spin_lock(&files->lock);
    size = files->size;
    spin_unlock(&files->lock);
    files_put(files);
    return size;
}

/* ---- The links ------------------------------------------------------------------------------ */

static int fd_text(struct seq *s, const struct pseudo_node *node)
{
    struct file *f;
    int err = node_may_look(node);

    if (err)
        return err;
    f = node_file(node);
    if (!f)
        return -ENOENT;
    err = proc_path(s, &f->path, "");
    file_put(f);
    return err;
}

static int fd_follow(const struct pseudo_node *node, struct path *out)
{
    int err = node_may_look(node);
    struct file *f;

    if (err)
        return err;
    f = node_file(node);
    if (!f)
        return -ENOENT;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

/* What the descriptor may do, as the link's permissions show it. */
static mode_t fd_perm(const struct file *f)
{
    unsigned access = f->flags & O_ACCMODE;
    mode_t perm = S_IXUSR;

    if (!(f->flags & O_PATH) && access != O_WRONLY)
        perm |= S_IRUSR;
    if (!(f->flags & O_PATH) && access != O_RDONLY)
        perm |= S_IWUSR;
    return perm;
}

static int fdinfo_text(struct seq *s, const struct pseudo_node *node);

static const struct pseudo_entry g_fd_entry = {
    .mode = S_IFLNK | 0700,
    .show = fd_text,
    .follow = fd_follow,
};

static const struct pseudo_entry g_fdinfo_entry = {.mode = S_IFREG | 0444, .show = fdinfo_text};

/* Fills *child for an open descriptor below a directory of `entry`'s kind. */
static int fd_child(const struct pseudo_node *dir, u32 fd, const struct pseudo_entry *entry,
                    struct pseudo_node *child)
{
    struct file *f;

    *child = *dir;
    child->entry = entry;
    child->id = fd;
    f = node_file(child);
    if (!f)
        return -ENOENT;
    child->perm = S_ISLNK(entry->mode) ? fd_perm(f) : 0;
    file_put(f);
    return 0;
}

static int lookup_kind(const struct pseudo_node *dir, const char *name, size_t size,
                       const struct pseudo_entry *entry, struct pseudo_node *child)
{
    u32 fd;

    if (!pseudo_number(name, size, FD_MAX, &fd))
        return -ENOENT;
    return fd_child(dir, fd, entry, child);
}

static bool next_kind(const struct pseudo_node *dir, u32 *number, char name[16],
                      const struct pseudo_entry *entry, struct pseudo_node *child)
{
    struct files *files = node_files(dir);
    bool found = false;

    while (files && *number <= FD_MAX && next_open(files, number)) {
        found = !fd_child(dir, *number, entry, child);
        if (found)
            break;
        ++*number;
    }
    if (files)
        files_put(files);
    if (found)
        (void)snprintf(name, 16, "%u", *number);
    return found;
}

static int fd_lookup(const struct pseudo_node *dir, const char *name, size_t size,
                     struct pseudo_node *child)
{
    return lookup_kind(dir, name, size, &g_fd_entry, child);
}

static bool fd_next(const struct pseudo_node *dir, u32 *number, char name[16],
                    struct pseudo_node *child)
{
    return next_kind(dir, number, name, &g_fd_entry, child);
}

static int fdinfo_lookup(const struct pseudo_node *dir, const char *name, size_t size,
                         struct pseudo_node *child)
{
    return lookup_kind(dir, name, size, &g_fdinfo_entry, child);
}

static bool fdinfo_next(const struct pseudo_node *dir, u32 *number, char name[16],
                        struct pseudo_node *child)
{
    return next_kind(dir, number, name, &g_fdinfo_entry, child);
}

/* Still open, and with the same permissions. */
static bool fd_holds(const struct pseudo_node *dir, const char *name, size_t size,
                     const struct pseudo_node *node)
{
    struct pseudo_node now;

    return node && !fd_child(dir, node->id, node->entry, &now) && now.perm == node->perm;
}

const struct pseudo_dir g_proc_fd_dir = {
    .lookup = fd_lookup,
    .next = fd_next,
    .holds = fd_holds,
};

const struct pseudo_dir g_proc_fdinfo_dir = {
    .lookup = fdinfo_lookup,
    .next = fdinfo_next,
    .holds = fd_holds,
};

/* ---- fdinfo --------------------------------------------------------------------------------- */

static bool fd_cloexec(const struct pseudo_node *node)
{
    struct files *files = node_files(node);
    bool set = false;

    if (!files)
        return false;
    spin_lock(&files->lock);
    if (node->id < files->size)
        set = files->cloexec[node->id / 64] >> (node->id % 64) & 1;
    spin_unlock(&files->lock);
    files_put(files);
    return set;
}

static void fdinfo_extra(struct seq *s, struct file *f)
{
    ssize_t n;
    char *p = f->ops->fdinfo ? seq_reserve(s, 1024) : NULL;

    if (!p)
        return;
    n = f->ops->fdinfo(f, p, 1024);
    if (n > 0)
        seq_commit(s, (size_t)min(n, (ssize_t)1024));
}

static int fdinfo_text(struct seq *s, const struct pseudo_node *node)
{
    struct file *f = node_file(node);
    unsigned flags;

    if (!f)
        return -ENOENT;
    flags = f->flags | (fd_cloexec(node) ? O_CLOEXEC : 0);
    seq_printf(s, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n", (long long)file_tell(f),
               flags, f->path.mnt->id, (unsigned long)f->inode->ino);
    fdinfo_extra(s, f);
    file_put(f);
    return 0;
}
