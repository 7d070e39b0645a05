/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the VFS share with each other and nobody else: dentries, the walk, permission
 * checks by explicit credentials, the state of one open.
 */
#ifndef KERNEL_VFS_INTERNAL_H
#define KERNEL_VFS_INTERNAL_H

#include <kernel/files.h>
#include <kernel/fs.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>

#define MAY_EXEC  1
#define MAY_WRITE 2
#define MAY_READ  4

#define LINK_MAX_FOLLOWED 40

/* ---- dcache.c --------------------------------------------------------------------------------- */

extern spinlock_t g_dcache_lock;

u32 name_hash(const char *name, size_t size);

/* The cached child, or NULL; no reference is taken. */
struct dentry *dcache_find(const struct dentry *parent, const char *name, size_t size, u32 hash)
    REQUIRES(&g_dcache_lock);
/* The same with a reference. */
struct dentry *dcache_lookup(struct dentry *parent, const char *name, size_t size, u32 hash);

/*
 * A new dentry with one reference that holds `parent` (NULL: a root of its own) and consumes the
 * reference on `inode` (may be NULL), on failure too. NULL: no memory.
 */
struct dentry *dentry_create(struct dentry *parent, const char *name, size_t size, u32 hash,
                             struct inode *inode);
/* Makes it findable. The parent's lock is held and no other dentry of that name is hashed. */
void dcache_insert(struct dentry *d);
/* A negative one gets its inode (consumes the reference). The parent's lock is held. */
void dentry_instantiate(struct dentry *d, struct inode *inode);
/* Takes it out of the hash: the name no longer leads to it. */
void dentry_drop(struct dentry *d);
/* A directory went away: drops what is cached below it. */
void dentry_prune_children(struct dentry *d);
/* Rename: `d` takes the name (and place) of `target`, which is unhashed, or swaps with it. */
void dentry_move(struct dentry *d, struct dentry *target, bool exchange);
void dentry_put(struct dentry *d);
static inline void dentry_get(struct dentry *d)
{
    __atomic_fetch_add(&d->ref, 1, __ATOMIC_RELAXED);
}
/* Memory is short: unused dentries go as soon as no lock is in the way. Callable with any lock. */
void dcache_note_pressure(void);
/* Frees up to `count` unused dentries, oldest first; returns how many. */
size_t dcache_shrink(size_t count);
bool dentry_is_below(struct dentry *d, const struct dentry *ancestor) REQUIRES(&g_dcache_lock);

static inline bool dentry_positive(const struct dentry *d)
{
    return __atomic_load_n(&d->inode, __ATOMIC_ACQUIRE) != NULL;
}

/* ---- mount.c ------------------------------------------------------------------------------------ */

/* The topmost mount on p's dentry: moves p there (borrowed to borrowed). */
void mount_cross(struct path *p) REQUIRES(&g_dcache_lock);
/* "..": one step up, stopping at `root`. Returns -EXDEV when `same_mount` forbids it. Borrowed. */
int mount_dotdot(struct path *p, const struct path *root, bool same_mount)
    REQUIRES(&g_dcache_lock);
void mount_get(struct mount *m);
void mount_put(struct mount *m);
/* The mount that files without a name live in. */
struct mount *mount_anon(void);
/* Boot: the first mount of all, and the anonymous one. */
int mount_root(const char *type, const char *source, unsigned long flags);
void mount_root_path(struct path *out);

/* ---- perm.c --------------------------------------------------------------------------------------- */

bool cred_capable(const struct cred *c, int cap);
bool cred_in_group(const struct cred *c, gid_t gid);
int cred_permission(const struct cred *c, const struct inode *inode, int mask);
/* Owner or CAP_FOWNER. */
bool inode_owner_or_capable(const struct inode *inode);
/* 0, -EPERM, -EACCES, -ENOTDIR, -EISDIR: may `victim` be taken out of `dir`? dir->lock held. */
int may_delete(struct inode *dir, const struct inode *victim, bool is_dir);
/* 0, -ENOENT (the directory was removed), -EACCES. dir->lock held. */
int may_create(struct inode *dir);

/* ---- namei.c -------------------------------------------------------------------------------------- */

/* A program's path, copied in; short ones need no allocation. */
struct name {
    const char *s;
    char *heap;
    char small[240];
};
/* 0, -EFAULT, -ENAMETOOLONG, -ENOMEM, -ENOENT for an empty one unless `empty_ok`. */
int name_from_user(struct name *n, const char __user *upath, bool empty_ok);
void name_put(struct name *n);

enum last_type { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

struct link_frame;

/*
 * A walk. Between walk_start() and walk_end() it owns `path` and `root` (slow walk), or borrows them
 * under g_dcache_lock (walk_cached).
 */
struct walk {
    struct path path;        /* so far: after walk_parent the directory of the last component */
    struct path root;        /* where "/" leads and ".." stops */
    const struct cred *cred;
    const char *last;        /* the final component, not terminated */
    u32 last_size;
    enum last_type last_type;
    bool trailing;           /* slashes follow it: it must be a directory */
    unsigned flags;          /* LOOKUP_* */
    u64 resolve;             /* RESOLVE_* */
    int links;
    struct link_frame *rests; /* what follows the links being walked */
    struct link_frame *texts; /* all link texts, freed by walk_end */
};

void walk_init(struct walk *w, unsigned flags, u64 resolve);

/*
 * The whole path from cached dentries, without a reference or a mutex taken. 0: w->path is the
 * object, borrowed, and g_dcache_lock is HELD. -ECHILD: the cache cannot tell, walk slowly. Other
 * errors are the answer. No lock is held then.
 */
int walk_cached(struct walk *w, int dfd, const char *name);

/* The slow walk. Each returns 0 or -errno; walk_end() always follows walk_start(). */
int walk_start(struct walk *w, int dfd, const char *name);
int walk_parent(struct walk *w, const char *name);
/* The last component's object into w->path, links followed as w->flags say. */
int walk_last(struct walk *w);
/* Goes on through the link `d` (consumes it) standing as last component: as walk_parent. */
int walk_follow(struct walk *w, struct dentry *d);
void walk_end(struct walk *w);

/* One name in the directory w->path, cached or asked; negative ones too. ERR_PTR. */
struct dentry *lookup_child(struct dentry *parent, const char *name, size_t size);
/* The same with the directory's lock held by the caller. */
struct dentry *lookup_child_locked(struct dentry *parent, const char *name, size_t size);

/* path_lookup_at with RESOLVE_* and other credentials (NULL: the current ones). */
int path_lookup_full(int dfd, const char *name, unsigned flags, u64 resolve,
                     const struct cred *cred, struct path *out);
/* The same from user memory. */
int path_lookup_user(int dfd, const char __user *upath, unsigned flags, struct path *out);

/*
 * The directory and the final name of a path that is about to change: 0 with *w holding both, -EEXIST,
 * -EBUSY, -EINVAL, ... are for the caller to tell from w->last_type. Ends with walk_end().
 */
int walk_to_parent(struct walk *w, int dfd, const char *name);

/* ---- file.c, open.c --------------------------------------------------------------------------------- */

struct file *file_alloc(int flags);
/* Opens `path` (a reference is taken) into f by f->flags. Permissions are the caller's. */
int file_open_path(struct file *f, const struct path *path);

/* openat2's request after checks, all forms of open end here. */
struct open_request {
    int flags;
    mode_t mode;
    u64 resolve;
};
struct file *open_path_at(int dfd, const char *name, const struct open_request *req);

/* ---- inode.c ----------------------------------------------------------------------------------------- */

void inode_set_size(struct inode *inode, u64 size);
mode_t current_umask(void);
struct superblock *sb_find(dev_t dev);

/* attr.c */
/* notify_change: permissions, then inode_setattr. lock held. */
int inode_change(struct inode *inode, struct iattr *attr, bool times_now);

/* xattr.c */
bool xattr_is_acl(const char *name);

/* ops with a default when the file system has none */
static inline bool inode_is_dead(const struct inode *dir)
{
    return dir->nlink == 0;
}

#endif
