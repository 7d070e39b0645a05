/* SPDX-License-Identifier: MIT */
/*
 * Mounts: a tree of them over the dentry trees of their file systems. A path is a mount and a dentry
 * of it; walking down onto a mount point goes on in the mount's root, walking up from the root of a
 * mount goes on at its mount point.
 *
 * Locking: the tree's links and DENTRY_MOUNTED change under g_dcache_lock with g_mount_lock held;
 * readers need one of the two. A mount holds its parent, its mount point, its root and superblock.
 */
#include <kernel/alloc.h>
#include <kernel/printk.h>
#include <linux/mount.h>

#include "internal.h"

static mutex_t g_mount_lock = MUTEX_INIT("mount");
static struct list g_mounts GUARDED_BY(&g_mount_lock) = LIST_INIT(g_mounts);
static struct mount *g_root;                       /* set once at boot */
static struct mount *g_anon;                       /* set once at boot */
static int g_next_id GUARDED_BY(&g_mount_lock) = 20;

void mount_get(struct mount *m)
{
    __atomic_fetch_add(&m->ref.n, 1, __ATOMIC_RELAXED);
}

static void mount_free(struct mount *m)
{
    dentry_put(m->root);
    sb_put(m->sb);
    kfree(m->source);
    kfree(m);
}

void mount_put(struct mount *m)
{
    if (ref_put(&m->ref))
        mount_free(m);
}

void path_get(const struct path *p)
{
    mount_get(p->mnt);
    dentry_get(p->dentry);
}

void path_put(const struct path *p)
{
    dentry_put(p->dentry);
    mount_put(p->mnt);
}

struct mount *mount_anon(void)
{
    return g_anon;
}

void mount_root_path(struct path *out)
{
    out->mnt = g_root;
    out->dentry = g_root->root;
    path_get(out);
}

/* ---- Walking over mounts ------------------------------------------------------------------------ */

static struct mount *mount_on(const struct path *p) REQUIRES(&g_dcache_lock)
{
    struct mount *m;

    list_for_each(m, &p->mnt->children, child_link) {
        if (m->mountpoint == p->dentry)
            return m;
    }
    return NULL;
}

void mount_cross(struct path *p)
{
    while (unlikely(p->dentry->flags & DENTRY_MOUNTED)) {
        struct mount *m = mount_on(p);

        if (!m)
            return;
        p->mnt = m;
        p->dentry = m->root;
    }
}

int mount_dotdot(struct path *p, const struct path *root, bool same_mount)
{
    for (;;) {
        if (p->dentry == root->dentry && p->mnt == root->mnt)
            return 0;
        if (p->dentry != p->mnt->root) {
            struct mount *before = p->mnt;

            p->dentry = p->dentry->parent;
            mount_cross(p);
            return same_mount && p->mnt != before ? -EXDEV : 0;
        }
        if (p->mnt->parent == p->mnt)
            return 0;
        if (same_mount)
            return -EXDEV;
        p->dentry = p->mnt->mountpoint;
        p->mnt = p->mnt->parent;
    }
}

/* ---- Mounting -------------------------------------------------------------------------------------- */

/* A mount of `sb` (consumes the reference) in no tree yet. */
static struct mount *mount_create(struct superblock *sb, const char *source, unsigned long flags)
{
    struct mount *m = kzalloc(sizeof(*m));
    char *text = kstrdup(source ? source : "none");

    if (m && text) {
        inode_get(sb->root);
        m->root = dentry_create(NULL, "/", 1, 0, sb->root);
    }
    if (!m || !text || !m->root) {
        kfree(m);
        kfree(text);
        sb_put(sb);
        return NULL;
    }
    ref_init(&m->ref);
    m->sb = sb;
    m->source = text;
    m->flags = flags;
    m->parent = m;
    m->mountpoint = m->root;
    list_init(&m->children);
    list_init(&m->child_link);
    list_init(&m->all_link);
    return m;
}

static const struct fs_type *type_find(const char *name)
{
    const struct fs_type *t;

    for (t = fs_type_next(NULL); t; t = fs_type_next(t)) {
        if (!strcmp(t->name, name))
            return t;
    }
    return NULL;
}

static int mount_make(const char *type, const char *source, unsigned long flags, const char *data,
                      struct mount **out)
{
    const struct fs_type *t = type_find(type);
    struct superblock *sb;
    int err;

    if (!t)
        return -ENODEV;
    err = t->mount(t, source, flags, data, &sb);
    if (err)
        return err;
    *out = mount_create(sb, source, flags);
    return *out ? 0 : -ENOMEM;
}

/* Hangs `m` over the directory `at`. */
static int mount_attach(struct mount *m, const struct path *at)
{
    if (!S_ISDIR(at->dentry->inode->mode))
        return -ENOTDIR;
    if (at->dentry != at->mnt->root && !(at->dentry->flags & DENTRY_HASHED))
        return -ENOENT;
    path_get(at);
    mutex_lock(&g_mount_lock);
    m->id = g_next_id++;
    list_add_tail(&g_mounts, &m->all_link);
    spin_lock(&g_dcache_lock);
    m->parent = at->mnt;
    m->mountpoint = at->dentry;
    list_add(&at->mnt->children, &m->child_link);
    at->dentry->flags |= DENTRY_MOUNTED;
    spin_unlock(&g_dcache_lock);
    mutex_unlock(&g_mount_lock);
    return 0;
}

int vfs_mount(const char *type, const char *source, const char *at, unsigned long flags,
              const char *data)
{
    struct mount *m;
    struct path where;
    int err = path_lookup_at(AT_FDCWD, at, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &where);

    if (err)
        return err;
    err = mount_make(type, source, flags, data, &m);
    if (!err) {
        err = mount_attach(m, &where);
        if (err)
            mount_put(m);
    }
    path_put(&where);
    return err;
}

static int anon_mount(const struct fs_type *type, const char *source, unsigned long flags,
                      const char *data, struct superblock **out)
{
    struct superblock *sb = sb_create(type, NULL, 0x09041934 /* ANON_INODE_FS_MAGIC */);

    (void)source;
    (void)flags;
    (void)data;
    if (!sb)
        return -ENOMEM;
    sb->root = inode_create(sb, S_IFDIR | 0700);
    if (!sb->root) {
        sb_put(sb);
        return -ENOMEM;
    }
    *out = sb;
    return 0;
}

static const struct fs_type g_anon_type = {.name = "anon_inodefs", .mount = anon_mount};

int mount_root(const char *type, const char *source, unsigned long flags)
{
    struct superblock *sb;
    int err = anon_mount(&g_anon_type, NULL, 0, NULL, &sb);

    if (err)
        return err;
    g_anon = mount_create(sb, "anon_inodefs", 0);
    if (!g_anon)
        return -ENOMEM;
    err = mount_make(type, source, flags, NULL, &g_root);
    if (err)
        return err;
    mutex_lock(&g_mount_lock);
    g_root->id = g_next_id++;
    list_add_tail(&g_mounts, &g_root->all_link);
    mutex_unlock(&g_mount_lock);
    return 0;
}

int path_want_write(const struct path *p)
{
    return p->mnt->flags & MS_RDONLY ? -EROFS : 0;
}

/* ---- The tables in /proc ----------------------------------------------------------------------------- */

struct text {
    char *buf;
    size_t size, used;
};

static void text_char(struct text *t, char c)
{
    if (t->used + 1 < t->size)
        t->buf[t->used] = c;
    t->used++;
}

/* As Linux's mangle(): blanks and backslashes as octal escapes. */
static void text_field(struct text *t, const char *s)
{
    for (; *s; s++) {
        if (strchr(" \t\n\\#", *s)) {
            text_char(t, '\\');
            text_char(t, (char)('0' + ((u8)*s >> 6)));
            text_char(t, (char)('0' + ((u8)*s >> 3 & 7)));
            text_char(t, (char)('0' + ((u8)*s & 7)));
        } else {
            text_char(t, *s);
        }
    }
}

static void text_plain(struct text *t, const char *s)
{
    while (*s)
        text_char(t, *s++);
}

static void text_number(struct text *t, u64 n)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%lu", n);
    text_plain(t, digits);
}

static void text_flags(struct text *t, unsigned long flags)
{
    static const struct {
        unsigned long flag;
        const char *name;
    } names[] = {
        {MS_NOSUID, ",nosuid"}, {MS_NODEV, ",nodev"},           {MS_NOEXEC, ",noexec"},
        {MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"},
    };

    text_plain(t, flags & MS_RDONLY ? "ro" : "rw");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (flags & names[i].flag)
            text_plain(t, names[i].name);
    }
    if (!(flags & MS_NOATIME))
        text_plain(t, ",relatime");
}

static void text_place(struct text *t, struct mount *m)
{
    char buf[512];
    struct path p = {m, m->root};
    char *name = path_name(&p, buf, sizeof(buf));

    text_field(t, IS_ERR(name) ? "?" : name);
}

static void show_table_line(struct text *t, struct mount *m)
{
    text_field(t, m->source);
    text_char(t, ' ');
    text_place(t, m);
    text_char(t, ' ');
    text_plain(t, m->sb->type->name);
    text_char(t, ' ');
    text_flags(t, m->flags);
    text_plain(t, " 0 0\n");
}

static void show_info_line(struct text *t, struct mount *m)
{
    text_number(t, (u64)m->id);
    text_char(t, ' ');
    text_number(t, (u64)(m->parent == m ? 1 : m->parent->id));
    text_char(t, ' ');
    text_number(t, dev_major(m->sb->dev));
    text_char(t, ':');
    text_number(t, dev_minor(m->sb->dev));
    text_plain(t, " / ");
    text_place(t, m);
    text_char(t, ' ');
    text_flags(t, m->flags);
    text_plain(t, " - ");
    text_plain(t, m->sb->type->name);
    text_char(t, ' ');
    text_field(t, m->source);
    text_plain(t, m->flags & MS_RDONLY ? " ro\n" : " rw\n");
}

size_t mount_show(char *buf, size_t size, enum mount_format format)
{
    struct text t = {buf, size, 0};
    struct mount *m;

    mutex_lock(&g_mount_lock);
    list_for_each(m, &g_mounts, all_link) {
        if (format == MOUNT_TABLE)
            show_table_line(&t, m);
        else
            show_info_line(&t, m);
    }
    mutex_unlock(&g_mount_lock);
    if (size)
        buf[min(t.used, size - 1)] = '\0';
    return t.used;
}
