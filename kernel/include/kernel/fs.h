/* SPDX-License-Identifier: MIT */
/*
 * The virtual file system: inodes with ops tables, dentries, mounts, path walk, open files.
 *
 * File systems never see paths: lookup gets one name in one directory. Inodes and dentries are
 * reference counted; a path holds one reference on its mount and one on its dentry.
 *
 * Locking: inode->lock (mutex) guards attributes of one inode, serialises its writers and, for a
 * directory, guards its entries. Two inodes are locked parents before children, else in address
 * order; a rename across directories holds g_rename_lock first. g_dcache_lock (spinlock) guards the
 * dentry tree's links and the mount tree's. file->pos_lock guards the offset. cache->lock (mutex)
 * guards the pages of one file. Order: pos_lock, g_rename_lock, inode->lock, mm->lock, cache->lock,
 * g_dcache_lock, files->lock and fs->lock. The fault path takes mm->lock and cache->lock only, so
 * user copies may be made with an inode's lock held but not with a cache's.
 */
#ifndef KERNEL_FS_H
#define KERNEL_FS_H

#include <kernel/list.h>
#include <kernel/lock.h>
#include <kernel/uaccess.h>
#include <kernel/stat.h>
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
struct pipe;

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
    s64 atime, mtime, ctime; /* ns since the epoch */
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

/* inode->flags; set before the inode is visible, except INODE_DEAD. */
#define INODE_NOATIME  1u /* generated files: no access times */
#define INODE_MAGIC    2u /* a magic link: ops->follow gives the object */
#define INODE_STREAM   4u /* opens are not seekable (FIFOs, sockets and terminals are so anyway) */
#define INODE_SEEKABLE 8u /* a device whose opens are seekable (mem, block) */
#define INODE_LINKABLE 16u /* made by O_TMPFILE: may be linked although nlink is 0 */

struct inode {
    ref_t ref;
    u32 flags;
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
    s64 atime, mtime, ctime, btime; /* ns since the epoch, negative before it: 1677 to 2262 */
    dev_t rdev;
    struct pagecache *cache; /* regular files with pages; vfs/pagecache.c */
    void *private;           /* the file system's */
    struct list fs_link;     /* the file system's */
    void *locks;             /* flock and record locks; vfs/lock.c */
    struct pipe *pipe;       /* a FIFO's or a pipe's while it is open; kernel/pipe.h, guarded by lock */
    u32 seals;               /* F_SEAL_*, memfd only (F_SEAL_SEAL elsewhere); guarded by lock */
    s32 writable_maps;       /* shared mappings that may write; mm counts them, atomic */
    const char *link;        /* a symlink's text in memory, constant; owned with `private`'s rules */
    s32 writers;             /* opens for writing, or below 0: runs as a program (ETXTBSY); atomic */
};

/*
 * A name in a directory, cached. inode NULL: known not to exist. Names and links are guarded by
 * g_dcache_lock; `inode` changes once, from NULL, under it and the directory's lock, so a holder of a
 * reference to a positive dentry may read it. A dentry holds its parent and its inode.
 */
struct dentry {
    u32 ref;              /* atomic; reaches and leaves zero under g_dcache_lock */
    u32 hash;
    u32 flags;            /* DENTRY_*; guarded by g_dcache_lock */
    u32 name_size;
    struct dentry *parent; /* itself for a root or an anonymous file */
    struct inode *inode;
    struct dentry *hash_next;
    const char *name;     /* `small`, or heap */
    struct list child_link; /* in parent->children */
    struct list children;
    struct list lru;      /* unused ones, oldest first */
    char small[40];
};

#define DENTRY_HASHED  1u
#define DENTRY_MOUNTED 2u /* a mount point in some mount */
#define DENTRY_CHECK   4u /* ask ops->revalidate before use */
#define DENTRY_ANON    8u /* no place in any tree: path_name() gives the bare name */

struct statfs;

struct superblock_ops {
    /* Fills what it knows; the VFS set f_type, f_bsize, f_namelen, f_fsid before. NULL: that. */
    int (*statfs)(struct superblock *sb, struct statfs *st);
    /* The last mount is gone: frees what the file system owns. sb itself is the VFS's. */
    void (*release)(struct superblock *sb);
};

/* A file system type; registered once at boot, never removed. */
struct fs_type {
    const char *name;
    bool needs_device;   /* without it: "nodev" in /proc/filesystems */
    /*
     * Makes a superblock with sb_create() and a root directory in sb->root (one reference, owned by
     * sb). `data`: options of mount(2), may be NULL. 0 with *out, or -errno.
     */
    int (*mount)(const struct fs_type *type, const char *source, unsigned long flags,
                 const char *data, struct superblock **out);
    struct fs_type *next; /* the registry's */
};

struct superblock {
    ref_t ref;
    const struct fs_type *type;
    const struct superblock_ops *ops;
    dev_t dev;           /* anonymous device number, as stat(2) shows it */
    u32 magic;           /* <linux/magic.h> */
    u32 block_size;
    struct inode *root;
    u64 next_ino;        /* atomic */
    void *private;
};

struct mount {
    ref_t ref;           /* paths into it, and mounts on it */
    struct superblock *sb;
    struct dentry *root;
    struct mount *parent;      /* itself for the root mount; guarded by g_dcache_lock, as below */
    struct dentry *mountpoint; /* in parent */
    struct list children, child_link;
    struct list all_link;      /* g_mounts, in the order of mounting */
    unsigned long flags;       /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME... */
    char *source;              /* as given to mount(2) */
    int id;
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

/*
 * As file->pos, and as the *pos of its reads and writes: the offset is kept by whom the ops speak for
 * (a regular file of the host). Such files have ops->seek, which leaves file->pos alone.
 */
#define FILE_POS_OUTSIDE ((loff_t)-1)

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
    u8 internal;         /* FILE_*; vfs/ only */
    struct list watches; /* epoll's items; guarded by g_watch_lock in event/epoll.c */
    /* F_SETOWN, F_SETOWN_EX, F_SETSIG: stored as Linux does; guarded by pos_lock. */
    int owner_type, owner, owner_signal;
    uid_t owner_uid, owner_euid; /* of who set the owner */
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

/*
 * The description's offset, wherever it is kept; 0 when that cannot be told. Takes pos_lock where
 * that is outside. */
loff_t file_tell(struct file *f);
/* lseek(2) by inode->size, without holes before the end: for files whose ops have no seek. */
loff_t file_seek_default(struct file *f, loff_t offset, int whence) REQUIRES(&f->pos_lock);

/* The absolute path of `p` below the current root, as d_path: into buf, returns a pointer in it. */
char *path_name(const struct path *p, char *buf, size_t size);

/*
 * A file that has no name in any directory (pipes, sockets, eventfds): "pipe:[N]" etc., on an inode of
 * its own, mode 0600 without a type (S_IFIFO or S_IFSOCK may be set in f->inode->mode before the file
 * is installed). O_* in flags. ERR_PTR(-ENOMEM).
 */
struct file *file_create_anon(const char *name, const struct file_ops *ops, void *priv, int flags);

/* Calls it "KIND:[INODE]", as /proc/self/fd shows pipes and sockets. Not yet installed. */
void file_name_anon(struct file *f, const char *kind);
/* Another description of its inode, with the same ops and private. ERR_PTR(-ENOMEM). */
struct file *file_create_peer(struct file *f, int flags);

/*
 * What every regular file's write op checks first, inode->lock held (vfs/read_write.c): O_APPEND and
 * RWF_APPEND move *pos to the end, RLIMIT_FSIZE and seals bound it, set-id bits fall. Cuts `from` and
 * returns the bytes that may be written, 0, -EFBIG (SIGXFSZ sent where Linux does) or -EPERM.
 */
ssize_t file_write_checks(struct file *f, struct iov_iter *from, loff_t *pos);

/*
 * For mm, before it maps a file MAP_SHARED: -EPERM when a seal forbids a mapping with these VM_* flags;
 * takes VM_MAYWRITE out of *vm_flags when a seal forbids to make it writable later (vfs/memfd.c).
 * inode->lock held, until the mapping is counted in inode->writable_maps.
 */
int inode_seals_map(const struct inode *inode, unsigned *vm_flags);

/* 0 or -errno (-EFBIG with SIGXFSZ, -EPERM by a seal): may this regular file get that size? */
int inode_newsize_ok(struct inode *inode, u64 size);

/* The same over an inode that the caller made (memfd: "memfd:NAME"); consumes it, even on failure. */
struct file *file_create_on(struct inode *inode, const char *name, int flags);

/* 0 or -EACCES: may the current credentials do MAY_READ(4)/MAY_WRITE(2)/MAY_EXEC(1) to the inode? */
int inode_permission(struct inode *inode, int mask);

/*
 * bind(2) of a local socket: makes the name (mode less the umask, its type added). 0 with a reference in *out;
 * -EEXIST, or what walking and mknod(2) say.
 */
int vfs_make_socket(const char *name, mode_t mode, struct path *out);
/* unlink(2) with a kernel string. */
int vfs_unlink(const char *name);

/* ---- Changing inodes (vfs/attr.c) -------------------------------------------------------------- */

/* Sets what attr->valid names, without permission checks; ops->setattr or plain. lock held. */
int inode_setattr(struct inode *inode, const struct iattr *attr);
/*
 * truncate(2)'s work with the file already known writable: limits, seals, set-id bits, the pages, the
 * mappings (mm_truncate_notify). Takes inode->lock. -EISDIR, -EINVAL, -EFBIG, -EPERM, -ETXTBSY.
 */
int inode_truncate(struct inode *inode, u64 size);
/* Sets mtime and ctime (or only ctime) to now. lock held. */
void inode_touch(struct inode *inode, u32 attr_times);
/* After a read through `f`: relatime. Cheap when nothing is due. No lock needed. */
void file_accessed(struct file *f);
/* mnt_want_write: 0 or -EROFS. */
int path_want_write(const struct path *p);

/* ---- For file systems --------------------------------------------------------------------------- */

void fs_register(struct fs_type *type);
/* /proc/filesystems: the registered types in order; NULL starts, NULL ends. */
const struct fs_type *fs_type_next(const struct fs_type *type);

struct superblock *sb_create(const struct fs_type *type, const struct superblock_ops *ops, u32 magic);
void sb_put(struct superblock *sb);

/*
 * A new inode with one reference: number from sb, all times now, nlink 1, owner root; ops and fops
 * answer with vfs/default.c's errors until they are set. NULL: no memory.
 */
struct inode *inode_create(struct superblock *sb, mode_t mode);
/* Owner and mode of a new child of `dir` by the current credentials (setgid directories). */
void inode_init_owner(struct inode *inode, const struct inode *dir, mode_t mode);

/*
 * For file_ops.readdir, called with f->pos_lock held; takes inode->lock itself where it needs it.
 * ctx->pos 0 and 1 are "." and "..": emits what is due, false when the buffer is full.
 */
bool dir_emit_dots(struct file *f, struct dir_context *ctx);

/* Directories of file systems that keep no data of their own to list use this for `read`: -EISDIR. */
extern const struct inode_ops inode_default_ops;
extern const struct file_ops file_default_ops;

/*
 * Opens of device nodes (mknod works in every file system) and FIFOs go to who serves that type:
 * `open` sets file->ops and file->private. Without one: -ENXIO.
 */
void vfs_set_special_open(mode_t type, int (*open)(struct inode *inode, struct file *f));

/* A device number in stat(2)'s form. */
static inline dev_t dev_make(unsigned major, unsigned minor)
{
    return (minor & 0xff) | ((dev_t)major << 8) | ((dev_t)(minor & ~0xffu) << 12);
}
static inline unsigned dev_major(dev_t dev)
{
    return (dev >> 8) & 0xfff;
}
static inline unsigned dev_minor(dev_t dev)
{
    return (dev & 0xff) | ((dev >> 12) & 0xfff00);
}

/* ---- Mounts (vfs/mount.c) ------------------------------------------------------------------------ */

/*
 * Mounts a registered type at the directory `at` (kernel path). -ENODEV: no such type, -ENOTDIR,
 * -ENOENT, -ENOMEM, or what the type's mount says.
 */
int vfs_mount(const char *type, const char *source, const char *at, unsigned long flags,
              const char *data);

/* Text of /proc/mounts (MOUNT_TABLE) or /proc/self/mountinfo (MOUNT_INFO); as snprintf. */
enum mount_format { MOUNT_TABLE, MOUNT_INFO };
size_t mount_show(char *buf, size_t size, enum mount_format format);

/* ---- Advisory locks (vfs/lock.c) ----------------------------------------------------------------- */

struct flock;
struct files;
/*
 * fcntl(2)'s F_GETLK/F_SETLK(W) on a kernel copy of the caller's flock; `ofd`: F_OFD_*, owned by the
 * description instead of the process. -EAGAIN, -EINTR (-ERESTARTSYS), -EDEADLK, -EINVAL, -EOVERFLOW,
 * -EBADF (access mode), -ENOLCK.
 */
int lock_record_get(struct file *f, struct flock *fl, bool ofd);
int lock_record_set(struct file *f, const struct flock *fl, bool ofd, bool wait);
/* close(2) of any descriptor: drops the process' record locks on the file. */
void lock_close(struct file *f, struct files *owner);
/* The description's last reference: drops its flock and OFD locks. */
void lock_release(struct file *f);

/* ---- RAM files (fs/ramfs) ------------------------------------------------------------------------ */

/* A regular file in no directory (memfd): nlink 0, pages in the cache, mode as given. */
int ramfs_create_anon(mode_t mode, struct inode **out);

/* ---- Regular files' pages (vfs/pagecache.c) ---------------------------------------------------- */

/*
 * One page of a file, for mappings. The content of page `index` (of PAGE_SIZE) is copied to the
 * kernel or user page at `dst`, zero-filled past the end. -EIO: verification failed. -ENXIO: the
 * page lies wholly beyond the end (a mapping gives SIGBUS there).
 */
int pagecache_read_page(struct inode *inode, u64 index, void *dst);
/* Whether pages [first, end) are as the file system brought them, and always were. */
bool pagecache_pristine(struct inode *inode, u64 first, u64 end);
/* From now on it also keeps what it reads: there are several processes, which may run the same programs. */
void pagecache_keep_mapped(void);

/*
 * Shared mappings: makes page `index` live at `va` (an address in the shared zone or a user mapping,
 * committed and writable by the caller) from now on: content is copied there, the old page is freed.
 * reads and writes of the file use that address. -ENXIO as above, -ENOMEM.
 */
int pagecache_bind_page(struct inode *inode, u64 index, uintptr_t va);
/*
 * The reverse: content goes back to a heap page of the cache (last mapping gone). Content wholly
 * beyond the end is forgotten. -ENOMEM.
 */
int pagecache_unbind_page(struct inode *inode, u64 index);
/* Where a bound page lives now; 0 when it lives in the heap. */
uintptr_t pagecache_bound_at(struct inode *inode, u64 index);
/* Holds off the cache's own copies from and to bound pages while mm changes their permissions. */
void pagecache_lock(struct inode *inode);
void pagecache_unlock(struct inode *inode);

/*
 * file_ops of a regular file whose data is its page cache. fallocate: KEEP_SIZE, PUNCH_HOLE and
 * ZERO_RANGE; others -EOPNOTSUPP. seek: SEEK_DATA and SEEK_HOLE too.
 */
ssize_t pagecache_read(struct file *f, struct iov_iter *to, loff_t *pos);
ssize_t pagecache_write(struct file *f, struct iov_iter *from, loff_t *pos);
loff_t pagecache_seek(struct file *f, loff_t offset, int whence) REQUIRES(&f->pos_lock);
int pagecache_fallocate(struct file *f, int mode, loff_t offset, loff_t size);
/* 0: the mapping's pages come from the functions above. */
int pagecache_mmap(struct file *f, struct vma *vma);

/*
 * Frees memory that can be had again: clean archive-backed pages, unused dentries. Takes only locks
 * that are free. Returns the pages given back. For mm, when MemorySize is exhausted.
 */
size_t vfs_shrink(size_t page_count);

/* Registered by mm: called (inode->lock held) when a file shrinks, to drop mapped pages beyond. */
void mm_truncate_notify(struct inode *inode, u64 new_size);

/* file->internal */
#define FILE_ATIME_DUE  1u /* the access time was over a day old at open */
#define FILE_WRITER     2u /* counted in inode->writers */
#define FILE_DENY_WRITE 4u /* opened for exec: counted below zero there */
#define FILE_LOCKED     8u /* may own locks (lock.c) */

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
struct fs_context *fs_context_copy(struct fs_context *from); /* NULL: no memory */
void fs_context_put(struct fs_context *fs);

#endif
