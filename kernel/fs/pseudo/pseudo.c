/* SPDX-License-Identifier: MIT */
/*
 * Trees of generated files (pseudo.h).
 *
 * Locking: inode->private is constant. The text kept with a description has a lock of its own,
 * which is held while it is generated and copied out.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "pseudo.h"

bool (*g_pseudo_owner)(pid_t tid, uid_t *uid, gid_t *gid);

static const struct inode_ops g_dir_inode_ops;
static const struct inode_ops g_checked_dir_inode_ops;
static const struct file_ops g_dir_ops;
static const struct inode_ops g_text_inode_ops;
static const struct file_ops g_text_ops;
static const struct inode_ops g_link_inode_ops;
static const struct inode_ops g_magic_inode_ops;

#define ROOT_INO 1

bool pseudo_number(const char *name, size_t size, u32 max, u32 *out)
{
    u64 n = 0;

    if (!size || size > 10 || (name[0] == '0' && size > 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        n = n * 10 + (u64)(name[i] - '0');
    }
    *out = (u32)n;
    return n <= max;
}

/* ---- Inodes --------------------------------------------------------------------------------- */

/*
 * The same thing has the same number each time: the entry's place in the kernel's image tells the
 * kind (entries are larger than 32 bytes, the image smaller than 32 MiB), the node's numbers which
 * one.
 */
static ino_t node_ino(const struct pseudo_node *n)
{
    u64 kind = (uintptr_t)n->entry / 32 % (1u << 20);
    u64 which = (u64)(u32)n->tid << 21 | (u64)n->thread << 20 | (n->id & 0xfffff);

    return (ino_t)(which << 20 | kind);
}

static u32 dir_links(const struct pseudo_dir *dir)
{
    u32 links = 2;

    for (size_t i = 0; i < dir->count; i++)
        links += S_ISDIR(dir->entries[i].mode) != 0;
    return links;
}

static void set_ops(struct inode *inode, const struct pseudo_entry *e)
{
    inode->ops = &g_text_inode_ops;
    inode->fops = e->fops ? e->fops : &g_text_ops;
    if (S_ISDIR(e->mode)) {
        inode->ops = e->dir->holds ? &g_checked_dir_inode_ops : &g_dir_inode_ops;
        inode->fops = &g_dir_ops;
        inode->nlink = dir_links(e->dir);
    } else if (S_ISLNK(e->mode)) {
        inode->ops = e->follow ? &g_magic_inode_ops : &g_link_inode_ops;
        inode->fops = &file_default_ops;
        inode->flags |= e->follow ? INODE_MAGIC : 0;
        inode->size = e->name ? 0 : 64; /* as Linux shows links to descriptors */
    }
}

static int refresh_owner(struct inode *inode)
{
    const struct pseudo_node *n = inode->private;

    if (n->tid && g_pseudo_owner && !g_pseudo_owner(n->tid, &inode->uid, &inode->gid))
        return -ENOENT;
    return 0;
}

static int make_inode(struct superblock *sb, const struct pseudo_node *node, struct inode **out)
{
    mode_t mode = node->entry->mode;
    struct inode *inode = inode_create(sb, node->perm ? (mode & S_IFMT) | node->perm : mode);
    struct pseudo_node *copy = kmalloc(sizeof(*copy));

    if (!inode || !copy) {
        if (inode)
            inode_put(inode);
        kfree(copy);
        return -ENOMEM;
    }
    *copy = *node;
    inode->private = copy;
    inode->ino = node_ino(node);
    inode->flags |= INODE_NOATIME;
    set_ops(inode, node->entry);
    (void)refresh_owner(inode);
    *out = inode;
    return 0;
}

static void pseudo_evict(struct inode *inode)
{
    kfree(inode->private);
}

/* Opening with O_TRUNC is no error and changes nothing; modes and owners are not to be changed. */
static int pseudo_setattr(struct inode *inode, const struct iattr *attr)
{
    return attr->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -EPERM : 0;
}

/* ---- Directories ---------------------------------------------------------------------------- */

static const struct pseudo_entry *find_entry(const struct pseudo_dir *dir, const char *name,
                                             size_t size)
{
    for (size_t i = 0; i < dir->count; i++) {
        const char *s = dir->entries[i].name;

        if (!strncmp(s, name, size) && !s[size])
            return &dir->entries[i];
    }
    return NULL;
}

/* A child from a table is about the same thing as its directory. */
static struct pseudo_node table_child(const struct pseudo_node *dir, const struct pseudo_entry *e)
{
    struct pseudo_node child = *dir;

    child.entry = e;
    return child;
}

static int pseudo_lookup(struct inode *dir, const char *name, size_t size, struct inode **out)
{
    const struct pseudo_node *node = dir->private;
    const struct pseudo_dir *d = node->entry->dir;
    const struct pseudo_entry *e = find_entry(d, name, size);
    struct pseudo_node child;
    int err = -ENOENT;

    if (e) {
        child = table_child(node, e);
        err = 0;
    } else if (d->lookup) {
        err = d->lookup(node, name, size, &child);
    }
    return err ? err : make_inode(dir->sb, &child, out);
}

static bool pseudo_revalidate(struct inode *dir, const char *name, size_t size,
                              struct inode *inode)
{
    const struct pseudo_node *node = dir->private;

    return node->entry->dir->holds(node, name, size, inode ? inode->private : NULL);
}

static bool emit_node(struct dir_context *ctx, const char *name, const struct pseudo_node *child,
                      loff_t next)
{
    if (!ctx->emit(ctx, name, strlen(name), next, node_ino(child),
                   (child->entry->mode & S_IFMT) >> 12))
        return false;
    ctx->pos = next;
    return true;
}

static bool emit_table(const struct pseudo_node *node, struct dir_context *ctx)
{
    const struct pseudo_dir *d = node->entry->dir;

    while (ctx->pos < (loff_t)d->count + 2) {
        const struct pseudo_entry *e = &d->entries[ctx->pos - 2];
        struct pseudo_node child = table_child(node, e);

        if (!emit_node(ctx, e->name, &child, ctx->pos + 1))
            return false;
    }
    return true;
}

static void emit_found(const struct pseudo_node *node, struct dir_context *ctx)
{
    const struct pseudo_dir *d = node->entry->dir;
    loff_t base = (loff_t)d->count + 2;

    while (d->next && ctx->pos - base < UINT32_MAX) {
        u32 number = (u32)(ctx->pos - base);
        struct pseudo_node child;
        char name[16];

        if (!d->next(node, &number, name, &child))
            return;
        if (!emit_node(ctx, name, &child, base + number + 1))
            return;
    }
}

static int pseudo_readdir(struct file *f, struct dir_context *ctx)
{
    const struct pseudo_node *node = f->inode->private;

    if (dir_emit_dots(f, ctx) && emit_table(node, ctx))
        emit_found(node, ctx);
    return 0;
}

static const struct inode_ops g_dir_inode_ops = {
    .lookup = pseudo_lookup,
    .setattr = pseudo_setattr,
    .getattr = refresh_owner,
    .evict = pseudo_evict,
};

static const struct inode_ops g_checked_dir_inode_ops = {
    .lookup = pseudo_lookup,
    .revalidate = pseudo_revalidate,
    .setattr = pseudo_setattr,
    .getattr = refresh_owner,
    .evict = pseudo_evict,
};

static const struct file_ops g_dir_ops = {.readdir = pseudo_readdir};

const struct pseudo_node *pseudo_dir_node(const struct file *f)
{
    return f->ops == &g_dir_ops ? pseudo_node_of(f->inode) : NULL;
}

/* ---- Content -------------------------------------------------------------------------------- */

static int show_task(struct seq *s, const struct pseudo_node *node)
{
    struct task *t = task_find(node->tid);
    int err;

    if (!t)
        return -ESRCH;
    err = node->entry->show_task(s, node, t);
    task_put(t);
    return err;
}

static int show(struct seq *s, const struct pseudo_node *node)
{
    const struct pseudo_entry *e = node->entry;
    int err = 0;

    if (e->text)
        seq_puts(s, e->text);
    else if (e->show_task)
        err = show_task(s, node);
    else
        err = e->show ? e->show(s, node) : -EINVAL;
    return !err && s->failed ? -ENOMEM : err;
}

/* ---- Text files ----------------------------------------------------------------------------- */

struct text {
    mutex_t lock;
    struct seq seq;  /* guarded by lock */
    bool filled;     /* guarded by lock */
};

static int text_open(struct inode *inode, struct file *f)
{
    const struct pseudo_node *node = inode->private;
    struct text *t;

    if (node->entry->fops)
        return 0;
    t = kzalloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    mutex_init(&t->lock, "pseudo_text");
    seq_init(&t->seq);
    f->private = t;
    return 0;
}

static void text_release(struct file *f)
{
    struct text *t = f->private;

    seq_free(&t->seq);
    kfree(t);
}

static int text_fill(struct text *t, const struct pseudo_node *node)
{
    int err;

    seq_reset(&t->seq);
    err = show(&t->seq, node);
    t->filled = !err;
    return err;
}

static ssize_t text_copy(const struct text *t, struct iov_iter *to, loff_t *pos)
{
    size_t left, done;

    if (*pos < 0 || (u64)*pos >= t->seq.used || !to->count)
        return 0;
    left = min(t->seq.used - (size_t)*pos, to->count);
    done = copy_to_iter(t->seq.buf + *pos, left, to);
    *pos += (loff_t)done;
    return done ? (ssize_t)done : -EFAULT;
}

static ssize_t text_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct text *t = f->private;
    ssize_t ret = 0;

    mutex_lock(&t->lock);
    if (!*pos || !t->filled)
        ret = text_fill(t, f->inode->private);
    if (!ret)
        ret = text_copy(t, to, pos);
    mutex_unlock(&t->lock);
    return ret;
}

#define STORE_MAX PAGE_SIZE

static ssize_t text_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    const struct pseudo_node *node = f->inode->private;
    size_t size = min(from->count, STORE_MAX - 1);
    ssize_t ret = -EFAULT;
    char *text;

    if (!node->entry->store)
        return -EINVAL;
    text = kmalloc(size + 1);
    if (!text)
        return -ENOMEM;
    if (copy_from_iter(text, size, from) == size) {
        text[size] = 0;
        ret = node->entry->store(node, text, size);
        if (ret > 0)
            *pos += ret;
    }
    kfree(text);
    return ret;
}

/* As Linux's seq_lseek: from the start or from here; there is no end before it was read. */
static loff_t text_seek(struct file *f, loff_t offset, int whence) REQUIRES(&f->pos_lock)
{
    if (whence == SEEK_CUR && __builtin_add_overflow(f->pos, offset, &offset))
        return -EINVAL;
    if ((whence != SEEK_SET && whence != SEEK_CUR) || offset < 0)
        return -EINVAL;
    return f->pos = offset;
}

static const struct inode_ops g_text_inode_ops = {
    .open = text_open,
    .setattr = pseudo_setattr,
    .getattr = refresh_owner,
    .evict = pseudo_evict,
};

static const struct file_ops g_text_ops = {
    .read = text_read,
    .write = text_write,
    .seek = text_seek,
    .release = text_release,
};

/* ---- Links ---------------------------------------------------------------------------------- */

static ssize_t link_read(struct inode *inode, char *buf, size_t size)
{
    struct seq s;
    ssize_t ret;

    seq_init(&s);
    ret = show(&s, inode->private);
    if (!ret) {
        ret = (ssize_t)min(size, s.used);
        memcpy(buf, s.buf, (size_t)ret);
    }
    seq_free(&s);
    return ret;
}

static int link_follow(struct inode *inode, struct path *out)
{
    const struct pseudo_node *node = inode->private;

    return node->entry->follow(node, out);
}

static const struct inode_ops g_link_inode_ops = {
    .readlink = link_read,
    .setattr = pseudo_setattr,
    .getattr = refresh_owner,
    .evict = pseudo_evict,
};

static const struct inode_ops g_magic_inode_ops = {
    .readlink = link_read,
    .follow = link_follow,
    .setattr = pseudo_setattr,
    .getattr = refresh_owner,
    .evict = pseudo_evict,
};

/* ---- The superblock ------------------------------------------------------------------------- */

int pseudo_mount(const struct fs_type *type, const struct pseudo_entry *root, u32 magic,
                 struct superblock **out)
{
    struct pseudo_node node = {.entry = root};
    struct superblock *sb = sb_create(type, NULL, magic);
    int err = sb ? make_inode(sb, &node, &sb->root) : -ENOMEM;

    if (err) {
        if (sb)
            sb_put(sb);
        return err;
    }
    sb->root->ino = ROOT_INO;
    *out = sb;
    return 0;
}
