/* SPDX-License-Identifier: MIT */
/*
 * The fast path walk: the whole path from cached dentries under g_dcache_lock, held once, without
 * references, mutexes or allocations. What it cannot decide (a name not cached, a file system that
 * wants to be asked, a magic link) it leaves to the slow walk from the start.
 *
 * What is borrowed stays alive because dentries are freed under the lock only, and root, working
 * directory and descriptors are held by the caller's tables.
 */
#include <linux/openat2.h>

#include "internal.h"

#define NESTED_MAX 6 /* links with something behind them; deeper ones go the slow way */

struct rests {
    const char *rest[NESTED_MAX];
    unsigned count;
};

/* Where the name starts. Borrowed; g_dcache_lock held. */
static void cached_start(struct walk *w, const struct path *base, const char *name)
{
    struct fs_context *fs = current->fs;

    spin_lock(&fs->lock);
    w->root = fs->root;
    w->path = *name == '/' ? fs->root : base ? *base : fs->cwd;
    spin_unlock(&fs->lock);
}

/* One name in the current directory: 0 and moved there, or stays and *link is the symlink. */
static int cached_step(struct walk *w, const char *name, size_t size, struct inode **link)
    REQUIRES(&g_dcache_lock)
{
    struct dentry *d = dcache_find(w->path.dentry, name, size, name_hash(name, size));

    *link = NULL;
    if (!d || unlikely(d->flags & DENTRY_CHECK))
        return -ECHILD;
    if (!d->inode)
        return -ENOENT;
    if (S_ISLNK(d->inode->mode)) {
        *link = d->inode;
        if (d->inode->ops->follow)
            return -ECHILD;
    }
    w->path.dentry = d;
    mount_cross(&w->path);
    return 0;
}

static int cached_dir_check(const struct walk *w)
{
    const struct inode *dir = w->path.dentry->inode;

    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    if (likely((dir->mode & 0111) == 0111))
        return 0;
    return cred_permission(w->cred, dir, MAY_EXEC);
}

/* Goes on in the link's text; `*name` points at what follows the link. */
static int cached_link(struct walk *w, struct inode *link, struct dentry *dir, struct mount *mnt,
                       struct rests *rests, const char **name)
{
    if (!link->link)
        return -ECHILD;
    if (++w->links > LINK_MAX_FOLLOWED)
        return -ELOOP;
    if (**name) {
        if (rests->count == NESTED_MAX)
            return -ECHILD;
        rests->rest[rests->count++] = *name;
    }
    *name = link->link;
    w->path = link->link[0] == '/' ? w->root : (struct path){mnt, dir};
    return 0;
}

static bool is_dot(const char *s, size_t size)
{
    return size == 1 && s[0] == '.';
}

static bool is_dotdot(const char *s, size_t size)
{
    return size == 2 && s[0] == '.' && s[1] == '.';
}

static size_t scan_component(const char *s)
{
    size_t n = 0;

    while (s[n] && s[n] != '/')
        n++;
    return n;
}

/*
 * One component at *name. `last` when nothing follows: then a link is followed only as the walk's
 * flags say. Moves *name on.
 */
static int cached_component(struct walk *w, struct rests *rests, const char **name)
    REQUIRES(&g_dcache_lock)
{
    const char *s = *name, *rest;
    size_t size = scan_component(s);
    struct dentry *dir = w->path.dentry;
    struct mount *mnt = w->path.mnt;
    struct inode *link;
    bool last;
    int err = cached_dir_check(w);

    if (err)
        return err;
    if (unlikely(size > NAME_MAX_))
        return -ENAMETOOLONG;
    for (rest = s + size; *rest == '/'; rest++)
        ;
    last = !*rest && !rests->count;
    w->trailing |= last && s[size] == '/';
    *name = rest;
    if (unlikely(is_dot(s, size)))
        return 0;
    if (unlikely(is_dotdot(s, size)))
        return mount_dotdot(&w->path, &w->root, false);
    err = cached_step(w, s, size, &link);
    if (err || likely(!link))
        return err;
    if (last && !(w->flags & LOOKUP_FOLLOW) && !w->trailing)
        return 0;
    return cached_link(w, link, dir, mnt, rests, name);
}

static int cached_all(struct walk *w, const char *name) REQUIRES(&g_dcache_lock)
{
    struct rests rests = {.count = 0};

    for (;;) {
        int err;

        while (*name == '/')
            name++;
        if (!*name) {
            if (!rests.count)
                break;
            name = rests.rest[--rests.count];
            continue;
        }
        err = cached_component(w, &rests, &name);
        if (err)
            return err;
    }
    if ((w->trailing || (w->flags & LOOKUP_DIRECTORY)) && !S_ISDIR(w->path.dentry->inode->mode))
        return -ENOTDIR;
    return 0;
}

static int cached_from(struct walk *w, const struct path *base, const char *name)
    NO_LOCK_ANALYSIS
{
    int err;

    spin_lock(&g_dcache_lock);
    cached_start(w, base, name);
    err = cached_all(w, name);
    if (err)
        spin_unlock(&g_dcache_lock);
    return err;
}

int walk_cached(struct walk *w, int dfd, const char *name) NO_LOCK_ANALYSIS
{
    struct fd base;

    if (unlikely(w->resolve & ~(u64)RESOLVE_CACHED))
        return -ECHILD;
    if (dfd == AT_FDCWD || *name == '/')
        return cached_from(w, NULL, name);
    base = fd_borrow(dfd);
    if (!base.file)
        return -ECHILD; /* not open, or O_PATH: the slow walk tells */
    if (base.put) {
        fd_release(base);
        return -ECHILD; /* shared table: another thread may close it */
    }
    if (*name && !S_ISDIR(base.file->inode->mode))
        return -ENOTDIR;
    return cached_from(w, &base.file->path, name);
}
