/* SPDX-License-Identifier: MIT */
/*
 * The slow path walk: component by component with references held, asking directories under their
 * locks. It handles everything: links of all kinds, openat2's restrictions, mounts. The fast walk
 * (walk_cached.c) answers most calls before this one is needed.
 *
 * Source: path_resolution(7), openat2(2), symlink(7).
 */
#include <kernel/alloc.h>
#include <linux/openat2.h>

#include "internal.h"

/* A link's text; what follows the link in the name it stands in, while that is being walked. */
struct link_frame {
    struct link_frame *next_text;
    struct link_frame *below;
    const char *rest;
    char text[];
};

#define LINK_TEXT_MAX 4096

/* ---- Names from programs ------------------------------------------------------------------------ */

static int name_long(struct name *n, const char __user *upath)
{
    ssize_t size;

    n->heap = kmalloc(PATH_MAX);
    if (!n->heap)
        return -ENOMEM;
    size = strncpy_from_user(n->heap, upath, PATH_MAX);
    if (size < 0) {
        kfree(n->heap);
        return (int)size;
    }
    n->s = n->heap;
    return 0;
}

int name_from_user(struct name *n, const char __user *upath, bool empty_ok)
{
    ssize_t size = strncpy_from_user(n->small, upath, sizeof(n->small));

    n->heap = NULL;
    n->s = n->small;
    if (unlikely(size == -ENAMETOOLONG))
        return name_long(n, upath);
    if (unlikely(size < 0))
        return (int)size;
    return size || empty_ok ? 0 : -ENOENT;
}

void name_put(struct name *n)
{
    if (unlikely(n->heap))
        kfree(n->heap);
}

/* ---- One name in one directory ---------------------------------------------------------------------- */

/* The cached answer while it holds, with a reference; else NULL. */
static struct dentry *lookup_valid(struct dentry *parent, const char *name, size_t size, u32 hash)
{
    struct inode *dir = parent->inode;
    struct dentry *d = dcache_lookup(parent, name, size, hash);

    if (!d || likely(!(d->flags & DENTRY_CHECK)))
        return d;
    if (d->inode && dir->ops->revalidate(dir, d->name, size, d->inode))
        return d;
    dentry_drop(d);
    dentry_put(d);
    return NULL;
}

struct dentry *lookup_child_locked(struct dentry *parent, const char *name, size_t size)
{
    struct inode *dir = parent->inode, *inode = NULL;
    u32 hash = name_hash(name, size);
    struct dentry *d = lookup_valid(parent, name, size, hash);
    int err;

    if (d)
        return d;
    if (inode_is_dead(dir))
        return ERR_PTR(-ENOENT);
    if (size > NAME_MAX_)
        return ERR_PTR(-ENAMETOOLONG);
    err = dir->ops->lookup ? dir->ops->lookup(dir, name, size, &inode) : -ENOTDIR;
    if (err && err != -ENOENT)
        return ERR_PTR(err);
    d = dentry_create(parent, name, size, hash, err ? NULL : inode);
    if (!d)
        return ERR_PTR(-ENOMEM);
    if (!err || !dir->ops->revalidate)
        dcache_insert(d);
    return d;
}

struct dentry *lookup_child(struct dentry *parent, const char *name, size_t size)
{
    struct dentry *d = lookup_valid(parent, name, size, name_hash(name, size));

    if (d)
        return d;
    mutex_lock(&parent->inode->lock);
    d = lookup_child_locked(parent, name, size);
    mutex_unlock(&parent->inode->lock);
    return d;
}

/* ---- Starting and ending ------------------------------------------------------------------------------ */

void walk_init(struct walk *w, unsigned flags, u64 resolve)
{
    w->path = (struct path){NULL, NULL};
    w->root = (struct path){NULL, NULL};
    w->cred = current_cred();
    w->last = NULL;
    w->last_size = 0;
    w->last_type = LAST_ROOT;
    w->trailing = false;
    w->flags = flags;
    w->resolve = resolve;
    w->links = 0;
    w->rests = NULL;
    w->texts = NULL;
}

static void fs_path_get(const struct path *p, struct path *out)
{
    struct fs_context *fs = current->fs;

    spin_lock(&fs->lock);
    *out = *p;
    path_get(out);
    spin_unlock(&fs->lock);
}

/* Where relative names start. */
static int walk_base(int dfd, bool need_dir, struct path *out)
{
    struct file *f;

    if (dfd == AT_FDCWD) {
        fs_path_get(&current->fs->cwd, out);
        return 0;
    }
    f = fd_get_path(dfd);
    if (!f)
        return -EBADF;
    if (need_dir && !S_ISDIR(f->inode->mode)) {
        file_put(f);
        return -ENOTDIR;
    }
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

static void path_replace(struct path *p, const struct path *by)
{
    struct path old = *p;

    *p = *by;
    path_put(&old);
}

int walk_start(struct walk *w, int dfd, const char *name)
{
    bool confined = w->resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH);
    int err;

    if (*name == '/' && !(w->resolve & RESOLVE_IN_ROOT)) {
        if (w->resolve & RESOLVE_BENEATH)
            return -EXDEV;
        fs_path_get(&current->fs->root, &w->root);
        w->path = w->root;
        path_get(&w->path);
        return 0;
    }
    err = walk_base(dfd, *name || confined, &w->path);
    if (err)
        return err;
    if (confined) {
        w->root = w->path;
        path_get(&w->root);
    } else {
        fs_path_get(&current->fs->root, &w->root);
    }
    return 0;
}

void walk_end(struct walk *w)
{
    struct link_frame *f, *next;

    if (w->path.mnt)
        path_put(&w->path);
    if (w->root.mnt)
        path_put(&w->root);
    for (f = w->texts; f; f = next) {
        next = f->next_text;
        kfree(f);
    }
    w->path.mnt = w->root.mnt = NULL;
    w->texts = NULL;
}

/* ---- Steps --------------------------------------------------------------------------------------------- */

static int step_dotdot(struct walk *w)
{
    struct path p;
    int err;

    if ((w->resolve & RESOLVE_BENEATH) && w->path.dentry == w->root.dentry &&
        w->path.mnt == w->root.mnt)
        return -EXDEV;
    spin_lock(&g_dcache_lock);
    p = w->path;
    err = mount_dotdot(&p, &w->root, w->resolve & RESOLVE_NO_XDEV);
    path_get(&p);
    spin_unlock(&g_dcache_lock);
    path_replace(&w->path, &p);
    return err;
}

/* Moves onto the positive dentry `d` (consumes it) and over mounts on it. */
static int step_onto(struct walk *w, struct dentry *d)
{
    struct path p = {w->path.mnt, d};

    mount_get(p.mnt);
    path_replace(&w->path, &p);
    if (likely(!(d->flags & DENTRY_MOUNTED)))
        return 0;
    spin_lock(&g_dcache_lock);
    mount_cross(&p);
    path_get(&p);
    spin_unlock(&g_dcache_lock);
    if (p.mnt != w->path.mnt && (w->resolve & RESOLVE_NO_XDEV)) {
        path_put(&p);
        return -EXDEV;
    }
    path_replace(&w->path, &p);
    return 0;
}

/* A magic link: to the object itself. */
static int link_jump(struct walk *w, struct inode *inode)
{
    struct path p;
    int err;

    if (w->resolve & RESOLVE_NO_MAGICLINKS)
        return -ELOOP;
    if (w->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
        return -EXDEV;
    err = inode->ops->follow(inode, &p);
    if (err)
        return err;
    if ((w->resolve & RESOLVE_NO_XDEV) && p.mnt != w->path.mnt) {
        path_put(&p);
        return -EXDEV;
    }
    path_replace(&w->path, &p);
    return 0;
}

/* The text of a link as a new frame. ERR_PTR. */
static struct link_frame *link_read(struct inode *inode)
{
    struct link_frame *f;
    size_t room = inode->link ? strlen(inode->link) : LINK_TEXT_MAX - 1;
    ssize_t size;

    if (!inode->link && !inode->ops->readlink)
        return ERR_PTR(-EINVAL);
    f = kmalloc(sizeof(*f) + room + 1);
    if (!f)
        return ERR_PTR(-ENOMEM);
    if (inode->link) {
        memcpy(f->text, inode->link, room);
        size = (ssize_t)room;
    } else {
        size = inode->ops->readlink(inode, f->text, room);
    }
    if (size <= 0) {
        kfree(f);
        return ERR_PTR(size ? size : -ENOENT);
    }
    f->text[size] = '\0';
    return f;
}

/* An absolute link goes back to the root. */
static int link_to_root(struct walk *w)
{
    struct path p = w->root;

    if (w->resolve & RESOLVE_BENEATH)
        return -EXDEV;
    if ((w->resolve & RESOLVE_NO_XDEV) && p.mnt != w->path.mnt)
        return -EXDEV;
    path_get(&p);
    path_replace(&w->path, &p);
    return 0;
}

/*
 * Follows the link `inode` with `rest` of the name behind it. 0 with the name to go on with in *name;
 * NULL there after a jump.
 */
static int link_enter(struct walk *w, struct inode *inode, const char *rest, const char **name)
{
    struct link_frame *f;

    if (++w->links > LINK_MAX_FOLLOWED || (w->resolve & RESOLVE_NO_SYMLINKS))
        return -ELOOP;
    if (inode->ops->follow) {
        *name = NULL;
        return link_jump(w, inode);
    }
    f = link_read(inode);
    if (IS_ERR(f))
        return (int)PTR_ERR(f);
    f->next_text = w->texts;
    w->texts = f;
    if (*rest) {
        f->rest = rest;
        f->below = w->rests;
        w->rests = f;
    }
    *name = f->text;
    return f->text[0] == '/' ? link_to_root(w) : 0;
}

/* What follows once a name is used up; "" at the very end. */
static const char *rest_pop(struct walk *w)
{
    struct link_frame *f = w->rests;

    if (!f)
        return "";
    w->rests = f->below;
    return f->rest;
}

static const char *skip_slashes(const char *s)
{
    while (*s == '/')
        s++;
    return s;
}

static size_t component_size(const char *s)
{
    size_t n = 0;

    while (s[n] && s[n] != '/')
        n++;
    return n;
}

static enum last_type component_type(const char *s, size_t size)
{
    if (s[0] == '.' && size == 1)
        return LAST_DOT;
    if (s[0] == '.' && s[1] == '.' && size == 2)
        return LAST_DOTDOT;
    return LAST_NORM;
}

/* One component that is not the last. *name: what to go on with. */
static int step_inner(struct walk *w, size_t size, const char *rest, const char **name)
{
    struct dentry *d;
    int err;

    switch (component_type(*name, size)) {
    case LAST_DOT:
    case LAST_ROOT:
        *name = rest;
        return 0;
    case LAST_DOTDOT:
        *name = rest;
        return step_dotdot(w);
    case LAST_NORM:
        break;
    }
    d = lookup_child(w->path.dentry, *name, size);
    if (IS_ERR(d))
        return (int)PTR_ERR(d);
    if (!dentry_positive(d)) {
        dentry_put(d);
        return -ENOENT;
    }
    if (!S_ISLNK(d->inode->mode)) {
        *name = rest;
        return step_onto(w, d);
    }
    err = link_enter(w, d->inode, rest, name);
    dentry_put(d);
    if (!*name)
        *name = rest;
    return err;
}

static int walk_check_dir(struct walk *w)
{
    struct inode *dir = w->path.dentry->inode;

    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    return cred_permission(w->cred, dir, MAY_EXEC);
}

int walk_parent(struct walk *w, const char *name)
{
    for (;;) {
        const char *rest;
        size_t size;
        int err;

        name = skip_slashes(name);
        if (!*name) {
            if (!w->rests) {
                w->last_type = LAST_ROOT;
                return 0;
            }
            name = rest_pop(w);
            continue;
        }
        err = walk_check_dir(w);
        if (err)
            return err;
        size = component_size(name);
        if (size > NAME_MAX_)
            return -ENAMETOOLONG;
        rest = skip_slashes(name + size);
        if (!*rest && !w->rests) {
            w->trailing |= name[size] == '/';
            w->last = name;
            w->last_size = (u32)size;
            w->last_type = component_type(name, size);
            return 0;
        }
        err = step_inner(w, size, *rest ? rest : rest_pop(w), &name);
        if (err)
            return err;
    }
}

int walk_follow(struct walk *w, struct dentry *d)
{
    const char *name;
    int err = link_enter(w, d->inode, "", &name);

    dentry_put(d);
    if (err)
        return err;
    if (!name) {
        w->last_type = LAST_ROOT; /* w->path is the object */
        return 0;
    }
    return walk_parent(w, name);
}

/* The last component, not a link to follow: onto it. */
static int walk_arrive(struct walk *w)
{
    bool dir = w->trailing || (w->flags & LOOKUP_DIRECTORY);

    return dir && !S_ISDIR(w->path.dentry->inode->mode) ? -ENOTDIR : 0;
}

int walk_last(struct walk *w)
{
    for (;;) {
        struct dentry *d;
        int err;

        if (w->last_type == LAST_DOTDOT) {
            err = step_dotdot(w);
            return err ? err : walk_arrive(w);
        }
        if (w->last_type != LAST_NORM)
            return walk_arrive(w);
        d = lookup_child(w->path.dentry, w->last, w->last_size);
        if (IS_ERR(d))
            return (int)PTR_ERR(d);
        if (!dentry_positive(d)) {
            dentry_put(d);
            return -ENOENT;
        }
        if (!S_ISLNK(d->inode->mode) || !((w->flags & LOOKUP_FOLLOW) || w->trailing)) {
            err = step_onto(w, d);
            return err ? err : walk_arrive(w);
        }
        err = walk_follow(w, d);
        if (err)
            return err;
    }
}

/* ---- Whole lookups --------------------------------------------------------------------------------------- */

static int lookup_slow(struct walk *w, int dfd, const char *name, struct path *out)
{
    int err = walk_start(w, dfd, name);

    if (!err && *name) {
        err = walk_parent(w, name);
        if (!err)
            err = walk_last(w);
    } else if (!err) {
        err = walk_arrive(w);
    }
    if (!err) {
        *out = w->path;
        path_get(out);
    }
    walk_end(w);
    return err;
}

int path_lookup_full(int dfd, const char *name, unsigned flags, u64 resolve,
                     const struct cred *cred, struct path *out) NO_LOCK_ANALYSIS
{
    struct walk w;
    int err;

    if (!*name && !(flags & LOOKUP_EMPTY))
        return -ENOENT;
    walk_init(&w, flags, resolve);
    if (cred)
        w.cred = cred;
    err = walk_cached(&w, dfd, name);
    if (!err) {
        *out = w.path;
        path_get(out);
        spin_unlock(&g_dcache_lock);
    }
    if (err != -ECHILD)
        return err;
    if (resolve & RESOLVE_CACHED)
        return -EAGAIN;
    walk_init(&w, flags, resolve);
    if (cred)
        w.cred = cred;
    return lookup_slow(&w, dfd, name, out);
}

int path_lookup_at(int dfd, const char *name, unsigned flags, struct path *out)
{
    return path_lookup_full(dfd, name, flags, 0, NULL, out);
}

int path_lookup_user(int dfd, const char __user *upath, unsigned flags, struct path *out)
{
    struct name n;
    int err = name_from_user(&n, upath, flags & LOOKUP_EMPTY);

    if (err)
        return err;
    err = path_lookup_at(dfd, n.s, flags, out);
    name_put(&n);
    return err;
}

int walk_to_parent(struct walk *w, int dfd, const char *name)
{
    int err;

    walk_init(w, 0, 0);
    err = walk_start(w, dfd, name);
    return err ? err : walk_parent(w, name);
}
