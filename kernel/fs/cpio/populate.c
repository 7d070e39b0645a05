/* SPDX-License-Identifier: MIT */
/*
 * An archive's entries become ramfs inodes. The kernel's own unpacker (init/initramfs.c) is the model
 * for what names and hard links mean; what it would skip silently is an error here.
 *
 * No locks: this runs at boot, before anybody can reach the file system.
 */
#include "populate.h"

#include <kernel/alloc.h>
#include <kernel/string.h>
#include <kernel/time.h>
#include <linux/stat.h>

#include "../../vfs/pagecache.h"
#include "../ramfs/ramfs.h"

#define LINKS_MAX       40u
#define TARGET_MAX      4095u /* a symlink's text */
#define TABLE_INITIAL   256u

/* The first name of a file with several: later ones with the same numbers are links to it. */
struct first_name {
    struct first_name *next;
    struct inode *inode; /* a reference */
    u32 dev_major, dev_minor, ino;
};

struct populate {
    struct superblock *sb;
    const struct cpio_reader *reader;
    const struct pagecache_ops *fill;
    struct first_name **table;
    u32 table_mask, table_count;
    struct inode *last_dir; /* where last_parent led; NULL: nowhere */
    size_t last_size;
    char last_parent[CPIO_NAME_MAX];
};

static int refuse(const char **why, const char *text)
{
    *why = text;
    return -EINVAL;
}

static int no_memory(const char **why)
{
    *why = "MemorySize is too small for it";
    return -ENOMEM;
}

/* ---- Hard links ------------------------------------------------------------------------------------- */

static u32 link_hash(const struct cpio_entry *e)
{
    return (e->ino * 0x9e3779b1u) ^ (e->dev_major * 31u + e->dev_minor) * 0x85ebca6bu;
}

static struct first_name *link_find(const struct populate *p, const struct cpio_entry *e)
{
    struct first_name *f = p->table ? p->table[link_hash(e) & p->table_mask] : NULL;

    while (f && (f->ino != e->ino || f->dev_major != e->dev_major ||
                 f->dev_minor != e->dev_minor || ((f->inode->mode ^ e->mode) & S_IFMT)))
        f = f->next;
    return f;
}

static bool link_table_ready(struct populate *p)
{
    u32 size = p->table ? (p->table_mask + 1) * 4 : TABLE_INITIAL;
    struct first_name **grown;

    if (p->table && p->table_count <= p->table_mask)
        return true;
    grown = kcalloc(size, sizeof(*grown));
    if (!grown)
        return false;
    for (u32 i = 0; p->table && i <= p->table_mask; i++) {
        for (struct first_name *f = p->table[i], *next; f; f = next) {
            const struct cpio_entry key = {
                .ino = f->ino, .dev_major = f->dev_major, .dev_minor = f->dev_minor};
            struct first_name **b = &grown[link_hash(&key) & (size - 1)];

            next = f->next;
            f->next = *b;
            *b = f;
        }
    }
    kfree(p->table);
    p->table = grown;
    p->table_mask = size - 1;
    return true;
}

static int link_remember(struct populate *p, const struct cpio_entry *e, struct inode *inode,
                         const char **why)
{
    struct first_name *f = kmalloc(sizeof(*f)), **b;

    if (!f || !link_table_ready(p)) {
        kfree(f);
        return no_memory(why);
    }
    inode_get(inode);
    f->inode = inode;
    f->ino = e->ino;
    f->dev_major = e->dev_major;
    f->dev_minor = e->dev_minor;
    b = &p->table[link_hash(e) & p->table_mask];
    f->next = *b;
    *b = f;
    p->table_count++;
    return 0;
}

static void links_free(struct populate *p)
{
    for (u32 i = 0; p->table && i <= p->table_mask; i++) {
        for (struct first_name *f = p->table[i], *next; f; f = next) {
            next = f->next;
            inode_put(f->inode);
            kfree(f);
        }
    }
    kfree(p->table);
}

/* ---- Names -------------------------------------------------------------------------------------------- */

/* A directory that the archive implies without listing it. */
static struct inode *implied_dir(struct inode *dir, const char *name, size_t size)
{
    struct inode *inode = ramfs_inode_create(dir->sb, S_IFDIR | 0755, 0, NULL);

    if (!inode)
        return NULL;
    if (ramfs_add(dir, name, size, inode)) {
        inode_put(inode);
        return NULL;
    }
    inode_put(inode); /* the entry holds it */
    return inode;
}

static bool is_name(const char *s, size_t size, const char *dots)
{
    return size == strlen(dots) && memcmp(s, dots, size) == 0;
}

struct dir_walk {
    struct populate *p;
    const char **why;
    unsigned links;  /* followed so far */
    bool in_link;    /* the text of a link: ".." at the root stays there, as for programs */
};

static int walk_dirs(struct dir_walk *w, struct inode *dir, const char *s, size_t size,
                     struct inode **out);

/* One component of a directory part. */
static int walk_dir_step(struct dir_walk *w, struct inode **dir, const char *s, size_t size)
{
    struct inode *root = w->p->sb->root;
    struct ramfs_entry *e;
    bool outer = w->in_link;
    int err;

    if (is_name(s, size, "."))
        return 0;
    if (is_name(s, size, "..")) {
        if (*dir == root && !w->in_link)
            return refuse(w->why, "name leads out of the root");
        *dir = ramfs_info(*dir)->dir.parent;
        return 0;
    }
    if (size > NAME_MAX_)
        return refuse(w->why, "component of the name is too long");
    e = ramfs_find(*dir, s, size);
    if (!e) {
        *dir = implied_dir(*dir, s, size);
        return *dir ? 0 : no_memory(w->why);
    }
    if (S_ISDIR(e->inode->mode)) {
        *dir = e->inode;
        return 0;
    }
    if (!S_ISLNK(e->inode->mode))
        return refuse(w->why, "name goes through something that is no directory");
    if (++w->links > LINKS_MAX)
        return refuse(w->why, "name goes through too many symbolic links");
    w->in_link = true;
    err = walk_dirs(w, e->inode->link[0] == '/' ? root : *dir, e->inode->link,
                    strlen(e->inode->link), dir);
    w->in_link = outer;
    return err;
}

/* The directory that [s, s + size) names from `dir`. Depth: LINKS_MAX. */
static int walk_dirs(struct dir_walk *w, struct inode *dir, const char *s, size_t size,
                     struct inode **out)
{
    const char *end = s + size;

    while (s < end) {
        const char *slash = memchr(s, '/', (size_t)(end - s));
        size_t n = (size_t)((slash ? slash : end) - s);
        int err = n ? walk_dir_step(w, &dir, s, n) : 0;

        if (err)
            return err;
        s += n + (slash ? 1 : 0);
    }
    *out = dir;
    return 0;
}

/* The directory for an entry whose directory part is [s, s + size); mostly the last one again. */
static int find_parent(struct populate *p, const char *s, size_t size, struct inode **out,
                       const char **why)
{
    struct dir_walk w = {.p = p, .why = why};
    int err;

    if (p->last_dir && p->last_size == size && memcmp(p->last_parent, s, size) == 0) {
        *out = p->last_dir;
        return 0;
    }
    err = walk_dirs(&w, p->sb->root, s, size, out);
    if (err)
        return err;
    memcpy(p->last_parent, s, size);
    p->last_size = size;
    p->last_dir = *out;
    return 0;
}

/* ---- Inodes --------------------------------------------------------------------------------------------- */

static void set_attributes(struct inode *inode, const struct cpio_entry *e)
{
    inode->mode = (inode->mode & S_IFMT) | (e->mode & 07777);
    inode->uid = e->uid;
    inode->gid = e->gid;
    inode->atime = inode->mtime = e->mtime * (s64)NSEC_PER_SEC;
}

static void set_data(struct populate *p, struct inode *inode, const struct cpio_entry *e)
{
    ramfs_info(inode)->archive_offset = e->data_offset;
    pagecache_set_backing(inode, p->fill, e->data_size);
}

static int make_symlink(struct populate *p, const struct cpio_entry *e, struct inode **out,
                        const char **why)
{
    char text[TARGET_MAX + 1];
    int err;

    if (e->data_size == 0 || e->data_size > TARGET_MAX)
        return refuse(why, "symbolic link has an impossible size");
    err = p->reader->read(p->reader->ctx, e->data_offset, text, e->data_size);
    if (err) {
        *why = "symbolic link cannot be read";
        return err;
    }
    text[e->data_size] = '\0';
    if (strlen(text) != e->data_size)
        return refuse(why, "symbolic link holds a NUL byte");
    *out = ramfs_inode_create(p->sb, S_IFLNK | 0777, 0, text);
    return *out ? 0 : no_memory(why);
}

/* A new inode of the entry's type, with one reference. */
static int make_inode(struct populate *p, const struct cpio_entry *e, struct inode **out,
                      const char **why)
{
    dev_t rdev = 0;

    switch (e->mode & S_IFMT) {
    case S_IFLNK:
        return make_symlink(p, e, out, why);
    case S_IFCHR:
    case S_IFBLK:
        rdev = dev_make(e->rdev_major, e->rdev_minor);
        break;
    case S_IFREG:
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    default:
        return refuse(why, "entry has an unknown file type");
    }
    *out = ramfs_inode_create(p->sb, e->mode, rdev, NULL);
    if (!*out)
        return no_memory(why);
    if (S_ISREG(e->mode))
        set_data(p, *out, e);
    return 0;
}

/* What stands at the name now makes room. 1: the directory there is the one meant. */
static int clear_name(struct populate *p, struct inode *dir, const char *name, size_t size,
                      const struct cpio_entry *e, const char **why)
{
    struct ramfs_entry *old = ramfs_find(dir, name, size);

    if (!old)
        return 0;
    if (S_ISDIR(old->inode->mode)) {
        if (S_ISDIR(e->mode)) {
            set_attributes(old->inode, e);
            return 1;
        }
        if (ramfs_info(old->inode)->dir.count)
            return refuse(why, "entry would replace a directory that is not empty");
    }
    p->last_dir = NULL;
    ramfs_remove(dir, old);
    return 0;
}

/* A further name of a file seen before. `data` may come with any of its names. */
static int add_link(struct populate *p, struct inode *dir, const char *name, size_t size,
                    const struct cpio_entry *e, struct inode *inode, const char **why)
{
    if (ramfs_add(dir, name, size, inode))
        return no_memory(why);
    if (S_ISREG(inode->mode) && e->data_size)
        set_data(p, inode, e);
    set_attributes(inode, e);
    return 0;
}

static int add_new(struct populate *p, struct inode *dir, const char *name, size_t size,
                   const struct cpio_entry *e, const char **why)
{
    struct inode *inode;
    int err = make_inode(p, e, &inode, why);

    if (err)
        return err;
    set_attributes(inode, e);
    err = ramfs_add(dir, name, size, inode) ? no_memory(why) : 0;
    if (!err && e->nlink > 1 && !S_ISDIR(e->mode))
        err = link_remember(p, e, inode, why);
    inode_put(inode);
    return err;
}

static int add_at(struct populate *p, struct inode *dir, const char *name, size_t size,
                  const struct cpio_entry *e, const char **why)
{
    struct first_name *first = NULL;
    int ret;

    if (e->nlink > 1 && !S_ISDIR(e->mode))
        first = link_find(p, e);
    if (first && ramfs_find(dir, name, size) &&
        ramfs_find(dir, name, size)->inode == first->inode)
        return 0; /* the same name of the same file again */
    ret = clear_name(p, dir, name, size, e, why);
    if (ret)
        return ret < 0 ? ret : 0;
    if (first)
        return add_link(p, dir, name, size, e, first->inode, why);
    return add_new(p, dir, name, size, e, why);
}

/* The last component of a name and what is before it. Slashes at the end are dropped. */
static void split_name(const char *s, size_t size, size_t *parent, const char **last,
                       size_t *last_size)
{
    size_t start;

    while (size && s[size - 1] == '/')
        size--;
    for (start = size; start && s[start - 1] != '/'; start--)
        ;
    *parent = start;
    *last = s + start;
    *last_size = size - start;
}

static int populate_entry(void *ctx, const struct cpio_entry *e, const char **why)
{
    struct populate *p = ctx;
    const char *last;
    size_t parent, last_size;
    struct inode *dir;
    int err;

    if (!e->name_size)
        return refuse(why, "entry has no name");
    split_name(e->name, e->name_size, &parent, &last, &last_size);
    err = find_parent(p, e->name, parent, &dir, why);
    if (err)
        return err;
    if (is_name(last, last_size, "..")) {
        p->last_dir = NULL;
        return find_parent(p, e->name, e->name_size, &dir, why);
    }
    if (!last_size || is_name(last, last_size, ".")) {
        if (!S_ISDIR(e->mode))
            return refuse(why, "entry would replace the root directory");
        set_attributes(dir, e);
        return 0;
    }
    if (last_size > NAME_MAX_)
        return refuse(why, "component of the name is too long");
    return add_at(p, dir, last, last_size, e, why);
}

int cpio_populate(struct superblock *sb, const struct cpio_reader *r,
                  const struct pagecache_ops *fill, struct cpio_error *err)
{
    struct populate *p = kzalloc(sizeof(*p));
    struct cpio_sink sink = {.entry = populate_entry, .ctx = p};
    int ret;

    if (!p) {
        err->offset = 0;
        err->why = "MemorySize is too small for it";
        return -ENOMEM;
    }
    p->sb = sb;
    p->reader = r;
    p->fill = fill;
    ret = cpio_walk(r, &sink, err);
    links_free(p);
    kfree(p);
    return ret;
}
