/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX names: paths (found by their inode), abstract names, autobind; the table of all sockets. Source:
 * unix(7). Locks: unix.h.
 */
#include <kernel/random.h>

#include "unix.h"

#define PATH_OFFSET   offsetof(struct sockaddr_un, sun_path)
#define BUCKETS       64u
#define AUTOBIND_MASK 0xfffffu

/* Named sockets by inode or name; each is in one bucket at most. */
static spinlock_t g_names_lock = SPINLOCK_INIT("unix_names");
static struct list g_names[BUCKETS] GUARDED_BY(&g_names_lock);
static struct list g_all GUARDED_BY(&g_names_lock) = LIST_INIT(g_all);
static u32 g_next_auto; /* atomic */

/* ---- Addresses -------------------------------------------------------------------------------- */

void unix_addr_put(struct unix_addr *a)
{
    if (ref_put(&a->ref))
        kfree(a);
}

void unix_addr_copy(const struct unix_sock *u, struct sock_addr *out)
{
    const struct unix_addr *a = unix_addr_of(u);

    if (!a)
        return;
    out->size = a->size;
    memcpy(out->bytes, &a->name, min((size_t)a->size, sizeof(a->name)));
    if (a->size > sizeof(a->name)) /* a path of 108 bytes and its NUL */
        out->bytes[sizeof(a->name)] = 0;
}

static bool is_abstract(const struct sock_addr *addr)
{
    return !addr->un.sun_path[0];
}

static int check_addr(const struct sock_addr *addr)
{
    if (addr->size <= PATH_OFFSET || addr->size > sizeof(struct sockaddr_un) || addr->family != AF_UNIX)
        return -EINVAL;
    return 0;
}

static struct unix_addr *addr_create(const struct sock_addr *from)
{
    struct unix_addr *a = kzalloc(sizeof(*a));

    if (!a)
        return NULL;
    ref_init(&a->ref);
    memcpy(&a->name, &from->un, min((size_t)from->size, sizeof(a->name)));
    a->size = from->size;
    if (!is_abstract(from))
        a->size = (unsigned)(PATH_OFFSET + strnlen(from->un.sun_path, from->size - PATH_OFFSET) + 1);
    return a;
}

/* The path of a checked address as a string; `buf` has room for the longest and its NUL. */
static const char *path_of(const struct sock_addr *addr, char buf[UNIX_PATH_MAX + 1])
{
    size_t size = strnlen(addr->un.sun_path, addr->size - PATH_OFFSET);

    memcpy(buf, addr->un.sun_path, size);
    buf[size] = 0;
    return buf;
}

/* ---- Tables ----------------------------------------------------------------------------------- */

static struct list *bucket(u64 hash) REQUIRES(&g_names_lock)
{
    struct list *b = &g_names[hash % BUCKETS];

    if (!b->next)
        list_init(b);
    return b;
}

static u64 inode_hash(const struct inode *inode)
{
    return (uintptr_t)inode >> 6;
}

/* Abstract names of different types are different names. */
static u64 name_hash(const void *name, size_t size, int type)
{
    const u8 *p = name;
    u64 h = 0xcbf29ce484222325UL ^ (u64)type;

    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3UL;
    return h >> 7;
}

static struct unix_sock *find_inode(const struct inode *inode) REQUIRES(&g_names_lock)
{
    struct unix_sock *u;

    list_for_each(u, bucket(inode_hash(inode)), name_link)
    {
        if (u->path.dentry && u->path.dentry->inode == inode)
            return u;
    }
    return NULL;
}

static struct unix_sock *find_name(const void *name, size_t size, int type) REQUIRES(&g_names_lock)
{
    struct unix_sock *u;

    list_for_each(u, bucket(name_hash(name, size, type)), name_link)
    {
        const struct unix_addr *a = unix_addr_of(u);

        if (!u->path.dentry && u->sk.type == type && a->size == size && !memcmp(&a->name, name, size))
            return u;
    }
    return NULL;
}

void unix_table_add(struct unix_sock *u)
{
    spin_lock(&g_names_lock);
    list_add(&g_all, &u->all_link);
    spin_unlock(&g_names_lock);
}

void unix_table_remove(struct unix_sock *u)
{
    spin_lock(&g_names_lock);
    list_del(&u->all_link);
    spin_unlock(&g_names_lock);
}

size_t unix_snapshot(struct unix_sock **to, size_t max)
{
    struct unix_sock *u;
    size_t n = 0;

    spin_lock(&g_names_lock);
    list_for_each(u, &g_all, all_link)
    {
        if (n++ < max)
            to[n - 1] = unix_get(u);
    }
    spin_unlock(&g_names_lock);
    return n;
}

/* ---- Finding ---------------------------------------------------------------------------------- */

static struct unix_sock *find_path(const struct sock_addr *addr, int type)
{
    char buf[UNIX_PATH_MAX + 1];
    struct unix_sock *u = NULL;
    struct inode *inode;
    struct path p;
    int err = path_lookup_at(-100 /* AT_FDCWD */, path_of(addr, buf), LOOKUP_FOLLOW, &p);

    if (err)
        return ERR_PTR(err);
    inode = p.dentry->inode;
    err = inode_permission(inode, 2 /* MAY_WRITE */);
    if (!err && !S_ISSOCK(inode->mode))
        err = -ECONNREFUSED;
    if (!err) {
        spin_lock(&g_names_lock);
        u = find_inode(inode);
        if (u && u->sk.type == type)
            unix_get(u);
        else
            err = u ? -EPROTOTYPE : -ECONNREFUSED;
        spin_unlock(&g_names_lock);
    }
    path_put(&p);
    return err ? ERR_PTR(err) : u;
}

struct unix_sock *unix_find(const struct sock_addr *addr, int type)
{
    struct unix_sock *u;
    int err = check_addr(addr);

    if (err)
        return ERR_PTR(err);
    if (!is_abstract(addr))
        return find_path(addr, type);
    spin_lock(&g_names_lock);
    u = find_name(addr->bytes, addr->size, type);
    if (u)
        unix_get(u);
    spin_unlock(&g_names_lock);
    return u ? u : ERR_PTR(-ECONNREFUSED);
}

/* ---- Binding ---------------------------------------------------------------------------------- */

/* bind_lock held. The address becomes visible last. */
static void publish(struct unix_sock *u, struct unix_addr *a, u64 hash) REQUIRES(&g_names_lock)
{
    __atomic_store_n(&u->addr, a, __ATOMIC_RELEASE);
    list_add(bucket(hash), &u->name_link);
}

static int bind_abstract(struct unix_sock *u, struct unix_addr *a)
{
    int err = 0;

    spin_lock(&g_names_lock);
    if (find_name(&a->name, a->size, u->sk.type))
        err = -EADDRINUSE;
    else
        publish(u, a, name_hash(&a->name, a->size, u->sk.type));
    spin_unlock(&g_names_lock);
    return err;
}

static int bind_path(struct unix_sock *u, struct unix_addr *a, const char *path)
{
    struct path p;
    int err = vfs_make_socket(path, u->sk.inode->mode, &p);

    if (err)
        return err == -EEXIST ? -EADDRINUSE : err;
    spin_lock(&g_names_lock);
    u->path = p;
    publish(u, a, inode_hash(p.dentry->inode));
    spin_unlock(&g_names_lock);
    return 0;
}

/* A bound socket stays as it is. Linux sees a name that exists before that. */
static int bind_again(const struct sock_addr *addr)
{
    char buf[UNIX_PATH_MAX + 1];
    struct path p;

    if (is_abstract(addr) || path_lookup_at(-100 /* AT_FDCWD */, path_of(addr, buf), 0, &p))
        return -EINVAL;
    path_put(&p);
    return -EADDRINUSE;
}

static int bind_locked(struct unix_sock *u, const struct sock_addr *addr)
{
    char buf[UNIX_PATH_MAX + 1];
    struct unix_addr *a;
    int err;

    assert_held(&u->bind_lock);
    if (u->addr)
        return bind_again(addr);
    a = addr_create(addr);
    if (!a)
        return -ENOMEM;
    err = is_abstract(addr) ? bind_abstract(u, a) : bind_path(u, a, path_of(addr, buf));
    if (err)
        unix_addr_put(a);
    return err;
}

int unix_bind(struct socket *s, const struct sock_addr *addr)
{
    struct unix_sock *u = unix_of(s);
    int err;

    if (addr->size == PATH_OFFSET && addr->family == AF_UNIX)
        return unix_autobind(u);
    err = check_addr(addr);
    if (err)
        return err;
    mutex_lock(&u->bind_lock);
    err = bind_locked(u, addr);
    mutex_unlock(&u->bind_lock);
    return err;
}

/* "\0" and five hexadecimal digits, from a random place on. */
static int autobind_locked(struct unix_sock *u)
{
    struct sock_addr addr = {.size = PATH_OFFSET + 6, .un.sun_family = AF_UNIX};
    u32 first = __atomic_load_n(&g_next_auto, __ATOMIC_RELAXED);
    int err = -EADDRINUSE;

    if (!first) {
        random_bytes(&first, sizeof(first));
        __atomic_store_n(&g_next_auto, first | 1, __ATOMIC_RELAXED);
    }
    for (u32 i = 0; i <= AUTOBIND_MASK && err == -EADDRINUSE; i++) {
        u32 n = __atomic_fetch_add(&g_next_auto, 1, __ATOMIC_RELAXED) & AUTOBIND_MASK;

        (void)snprintf(addr.un.sun_path + 1, 6, "%05x", n);
        err = bind_locked(u, &addr);
    }
    return err == -EADDRINUSE ? -ENOSPC : err;
}

int unix_autobind(struct unix_sock *u)
{
    int err;

    mutex_lock(&u->bind_lock);
    err = u->addr ? 0 : autobind_locked(u);
    mutex_unlock(&u->bind_lock);
    return err;
}

/* The name leads nowhere any more; a path's inode stays for unlink(2). */
void unix_unbind(struct unix_sock *u)
{
    struct path p;

    spin_lock(&g_names_lock);
    list_del(&u->name_link);
    p = u->path;
    u->path = (struct path){NULL, NULL};
    spin_unlock(&g_names_lock);
    if (p.dentry)
        path_put(&p);
}
