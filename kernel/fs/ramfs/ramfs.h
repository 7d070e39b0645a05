/* SPDX-License-Identifier: MIT */
/*
 * RAM file system: directories as hash tables in insertion order, file data in the page cache. What
 * fills it at boot (fs/cpio) uses these calls instead of paths; nobody else runs then, and a
 * directory's lock is not needed.
 */
#ifndef KERNEL_FS_RAMFS_H
#define KERNEL_FS_RAMFS_H

#include <kernel/fs.h>

#include <kernel/radix.h>

struct ramfs_entry {
    struct ramfs_entry *hash_next;
    struct inode *inode; /* holds a reference */
    u64 cookie;          /* readdir's position; never used twice in one directory */
    u32 hash;
    u32 size;
    char name[];
};

/* Entries of a directory; guarded by its inode's lock. */
struct ramfs_dir {
    struct ramfs_entry **buckets;
    u32 mask;
    u32 count;
    u64 next_cookie;
    struct radix order;   /* cookie -> entry */
    struct inode *parent; /* no reference: a directory's parent outlives it; a root's is itself */
};

struct ramfs_xattr {
    struct ramfs_xattr *next;
    size_t size;
    char *value; /* behind the name in the same block */
    char name[];
};

/* inode->private of every ramfs inode. */
struct ramfs_info {
    struct ramfs_xattr *xattrs; /* guarded by inode->lock */
    u64 archive_offset;         /* where an archive's file data starts; constant */
    struct ramfs_dir dir;       /* directories only */
};

static inline struct ramfs_info *ramfs_info(const struct inode *inode)
{
    return inode->private;
}

/* Registers the types "ramfs" and "tmpfs". */
void ramfs_register(void);

/* A new inode in no directory, nlink 0: by mode's type, `target` for a symlink. NULL: no memory. */
struct inode *ramfs_inode_create(struct superblock *sb, mode_t mode, dev_t rdev, const char *target);

/* entry.c: the entry of that name or NULL. */
struct ramfs_entry *ramfs_find(const struct inode *dir, const char *name, size_t size);
/* Adds a name for `inode` (takes a reference), which must not exist. Link counts and sizes follow. */
int ramfs_add(struct inode *dir, const char *name, size_t size, struct inode *inode);
/* Takes an existing name out; link counts, sizes and the reference follow. */
void ramfs_remove(struct inode *dir, struct ramfs_entry *e);
/* Frees a dying directory's table with everything below it. */
void ramfs_dir_destroy(struct inode *dir);

/* rename.c */
int ramfs_rename(struct inode *odir, const char *oname, size_t osize, struct inode *inode,
                 struct inode *ndir, const char *nname, size_t nsize, struct inode *target,
                 unsigned flags);

/* xattr.c */
ssize_t ramfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int ramfs_setxattr(struct inode *inode, const char *name, const void *buf, size_t size, int flags);
ssize_t ramfs_listxattr(struct inode *inode, char *buf, size_t size);
int ramfs_removexattr(struct inode *inode, const char *name);
void ramfs_xattr_destroy(struct inode *inode);

#endif
