/* SPDX-License-Identifier: MIT */
/*
 * The virtual file system: inodes with ops tables, dentries, mounts, path walk, open files.
 *
 * File systems never see paths: lookup gets one name in one directory. Inodes and dentries are
 * reference counted; a path holds one reference on its mount and one on its dentry.
 *
 * Locking: inode->lock (mutex) guards attributes and data of one inode and, for a directory, its
 * entries; two inodes are locked in address order, directories before their children. g_dcache_lock
 * (spinlock) guards the dentry tree's links. file->pos_lock guards the offset.
 */
#ifndef KERNEL_FS_H
#define KERNEL_FS_H

#include <kernel/list.h>
#include <kernel/lock.h>
#include <kernel/uaccess.h>
#include <kernel/wait.h>
#include <linux/time_types.h>

struct inode;
struct dentry;
struct mount;
struct file;
struct superblock;
struct poll_table;
struct vma;
struct pagecache;

struct path {
    struct mount *mnt;
    struct dentry *dentry;
};

#define NAME_MAX_ 255
#define PATH_MAX_ 4096

/* Attributes to change (notify_change): which of them in `valid`. */
#define ATTR_MODE  1u
#define ATTR_UID   2u
#define ATTR_GID   4u
#define ATTR_SIZE  8u
#define ATTR_ATIME 16u
#define ATTR_MTIME 32u
#define ATTR_CTIME 64u
struct iattr {
    u32 valid;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    u64 size;
    u64 atime, mtime, ctime; /* ns since the epoch */
};

/* One directory entry to getdents; returns false when the buffer is full. */
struct dir_context {
    bool (*emit)(struct dir_context *ctx, const char *name, size_t size, loff_t next, ino_t ino,
                 unsigned type);
    loff_t pos;
};

/*
 * Per-inode operations. NULL means the default in vfs/default.c (mostly the errno that Linux gives:
 * -EPERM for creating in a file system that cannot, -EINVAL for readlink of a non-link, ...). The
 * directory's lock is held for all that take `dir`.
 */
struct inode_ops {
    /* The child's inode with a reference in *out, or -ENOENT. */
    int (*lookup)(struct inode *dir, const char *name, size_t size, struct inode **out);
    int (*create)(struct inode *dir, const char *name, size_t size, mode_t mode, dev_t rdev,
                  struct inode **out); /* regular files, devices, FIFOs, sockets; by mode's type */
    int (*mkdir)(struct inode *dir, const char *name, size_t size, mode_t mode, struct inode **out);
    int (*symlink)(struct inode *dir, const char *name, size_t size, const char *target,
                   struct inode **out);
    int (*link)(struct inode *dir, const char *name, size_t size, struct inode *inode);
    int (*unlink)(struct inode *dir, const char *name, size_t size, struct inode *inode);
    int (*rmdir)(struct inode *dir, const char *name, size_t size, struct inode *inode);
    /* flags: RENAME_NOREPLACE checked by the VFS; RENAME_EXCHANGE passed on. target may be NULL. */
    int (*rename)(struct inode *odir, const char *oname, size_t osize, struct inode *inode,
                  struct inode *ndir, const char *nname, size_t nsize, struct inode *target,
                  unsigned flags);
    int (*tmpfile)(struct inode *dir, mode_t mode, struct inode **out);
    /* A link's text; returns its length. */
    ssize_t (*readlink)(struct inode *inode, char *buf, size_t size);
    /* Magic links (/proc/self/fd/N, exe, cwd): the object itself, instead of readlink's text. */
    int (*follow)(struct inode *inode, struct path *out);
    int (*setattr)(struct inode *inode, const struct iattr *attr);
    /* Refreshes generated attributes (procfs sizes etc.) before stat. */
    int (*getattr)(struct inode *inode);
    ssize_t (*getxattr)(struct inode *inode, const char *name, void *buf, size_t size);
    int (*setxattr)(struct inode *inode, const char *name, const void *buf, size_t size, int flags);
    ssize_t (*listxattr)(struct inode *inode, char *buf, size_t size);
    int (*removexattr)(struct inode *inode, const char *name);
    /* procfs: whether a cached dentry's answer still holds. NULL: always. */
    bool (*revalidate)(struct inode *dir, const char *name, size_t size, struct inode *inode);
    /* Last reference gone and no links: free what it owns. */
    void (*evict)(struct inode *inode);
    /* Opens: installs file->ops/private beyond inode->fops. */
    int (*open)(struct inode *inode, struct file *file);
};

struct inode {
    ref_t ref;
    mutex_t lock;
    struct superblock *sb;
    const struct inode_ops *ops;
    const struct file_ops *fops;
    ino_t ino;
    mode_t mode;         /* the fields down to rdev: guarded by lock */
    u32 nlink;
    uid_t uid;
    gid_t gid;
    u64 size;
    u64 blocks;          /* of 512 bytes */
    u64 atime, mtime, ctime, btime; /* ns since the epoch */
    dev_t rdev;
    struct pagecache *cache; /* regular files with pages; vfs/pagecache.c */
    void *private;           /* the file system's */
    struct list fs_link;     /* the file system's */
    void *locks;             /* flock and record locks; vfs/lock.c */
    u32 seals;               /* F_SEAL_*, memfd only (F_SEAL_SEAL elsewhere); guarded by lock */
};

/*
 * Per-open-file operations. NULL: vfs/default.c's answer (-EINVAL for read of a directory is
 * -EISDIR, -ESPIPE for seek of a pipe, -ENOTTY for ioctl, always ready for poll, -ENODEV for mmap).
 */
struct file_ops {
    /* Read or write at *pos and advance it; for streams pos is ignored. Return bytes or -errno. */
    ssize_t (*read)(struct file *f, struct iov_iter *to, loff_t *pos);
    ssize_t (*write)(struct file *f, struct iov_iter *from, loff_t *pos);
    loff_t (*seek)(struct file *f, loff_t offset, int whence);
    int (*readdir)(struct file *f, struct dir_context *ctx);
    unsigned (*poll)(struct file *f, struct poll_table *pt); /* POLL* bits; kernel/poll.h */
    long (*ioctl)(struct file *f, unsigned cmd, unsigned long arg);
    int (*mmap)(struct file *f, struct vma *vma);
    int (*fsync)(struct file *f, bool datasync);
    int (*fallocate)(struct file *f, int mode, loff_t offset, loff_t size);
    int (*flush)(struct file *f);    /* each close(2) */
    void (*release)(struct file *f); /* the last one */
    int (*set_flags)(struct file *f, unsigned flags);
    /* Text for /proc/self/fdinfo beyond pos, flags, mnt_id, ino. */
    ssize_t (*fdinfo)(struct file *f, char *buf, size_t size);
};

/* An open file description. */
struct file {
    ref_t ref;
    struct path path;
    struct inode *inode;
    const struct file_ops *ops;
    unsigned flags;      /* O_*; access mode and status flags; guarded by pos_lock for writers */
    bool seekable;
    mutex_t pos_lock;
    loff_t pos GUARDED_BY(&pos_lock);
    struct cred *cred;   /* of the opener */
    void *private;
    /* F_SETOWN, F_SETOWN_EX, F_SETSIG: stored as Linux does; guarded by pos_lock. */
    int owner_type, owner, owner_signal;
};

/* ---- References ------------------------------------------------------------------------------- */

static inline struct file *file_get(struct file *f)
{
    ref_get(&f->ref);
    return f;
}
void file_put(struct file *f);
void inode_get(struct inode *i);
void inode_put(struct inode *i);
void path_get(const struct path *p);
void path_put(const struct path *p);

/* ---- Walking and opening by path (kernel strings) --------------------------------------------- */

#define LOOKUP_FOLLOW    1u  /* follow a final symlink */
#define LOOKUP_DIRECTORY 2u  /* -ENOTDIR unless a directory */
#define LOOKUP_EMPTY     4u  /* AT_EMPTY_PATH */

/* Resolves `name` from `dfd` (AT_FDCWD or a descriptor). 0 with a reference in *out, or -errno. */
int path_lookup_at(int dfd, const char *name, unsigned flags, struct path *out);

/* open(2) with kernel strings. ERR_PTR on failure. */
struct file *file_open_at(int dfd, const char *name, int flags, mode_t mode);
static inline struct file *file_open(const char *name, int flags, mode_t mode)
{
    return file_open_at(-100 /* AT_FDCWD */, name, flags, mode);
}
/* For exec and interpreters: regular, executable for the caller, not on a noexec mount. -EACCES... */
struct file *file_open_exec(int dfd, const char *name, unsigned lookup_flags);

/* Reads into / writes from kernel memory at `pos` without moving the file's offset. */
ssize_t file_pread(struct file *f, void *buf, size_t size, loff_t pos);
ssize_t file_pwrite(struct file *f, const void *buf, size_t size, loff_t pos);

/* The absolute path of `p` below the current root, as d_path: into buf, returns a pointer in it. */
char *path_name(const struct path *p, char *buf, size_t size);

/* A file that has no name in any directory (memfd, pipes, sockets): "pipe:[N]" etc. */
struct file *file_create_anon(const char *name, const struct file_ops *ops, void *priv, int flags);

/*
 * What every regular file's write op checks first, inode->lock held (vfs/read_write.c): O_APPEND and
 * RWF_APPEND move *pos to the end, RLIMIT_FSIZE and seals bound it, set-id bits fall. Cuts `from` and
 * returns the bytes that may be written, 0, -EFBIG (SIGXFSZ sent where Linux does) or -EPERM.
 */
ssize_t file_write_checks(struct file *f, struct iov_iter *from, loff_t *pos);

/* 0 or -errno (-EFBIG with SIGXFSZ, -EPERM by a seal): may this regular file get that size? */
int inode_newsize_ok(struct inode *inode, u64 size);

/* 0 or -EACCES: may the current credentials do MAY_READ(4)/MAY_WRITE(2)/MAY_EXEC(1) to the inode? */
int inode_permission(struct inode *inode, int mask);

/* ---- Regular files' pages (vfs/pagecache.c) ---------------------------------------------------- */

/*
 * One page of a file, for mappings. The content of page `index` (of PAGE_SIZE) is copied to the
 * kernel or user page at `dst`, zero-filled past the end. -EIO: verification failed. -ENXIO: the
 * page lies wholly beyond the end (a mapping gives SIGBUS there).
 */
int pagecache_read_page(struct inode *inode, u64 index, void *dst);

/*
 * Shared mappings: makes page `index` live at `va` (an address in the shared zone or a user mapping,
 * committed and writable by the caller) from now on: content is copied there, the old page is freed.
 * reads and writes of the file use that address. -ENXIO as above, -ENOMEM.
 */
int pagecache_bind_page(struct inode *inode, u64 index, uintptr_t va);
/* The reverse: content goes back to a heap page of the cache (last mapping gone). -ENOMEM. */
int pagecache_unbind_page(struct inode *inode, u64 index);
/* Where a bound page lives now; 0 when it lives in the heap. */
uintptr_t pagecache_bound_at(struct inode *inode, u64 index);

/* Registered by mm: called (inode->lock held) when a file shrinks, to drop mapped pages beyond. */
void mm_truncate_notify(struct inode *inode, u64 new_size);

/* ---- Boot -------------------------------------------------------------------------------------- */

/* Mounts the root (manifest) and devfs, procfs, sysfs; -errno with the reason logged. */
int vfs_init(void);

/* Per-process root, working directory and umask. */
struct fs_context {
    ref_t ref;
    spinlock_t lock;
    struct path root, cwd;
    mode_t umask;
};
struct fs_context *fs_context_create(void); /* root and cwd at the root mount, umask 022 */

#endif
