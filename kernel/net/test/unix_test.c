/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX without a VFS: files are counted objects. Order between threads under a small buffer, circles and
 * long chains of descriptors, datagrams disconnected, memory that runs out at every step. ASan sees leaks.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/string.h>
#include <null.h>

#include "../unix/unix.h"

#include <stdarg.h>
#include <cmocka.h>

static struct group g_group = {.tgid = 7};
static struct cred g_cred;
static int g_files, g_signal;

/* ---- What sockets ask of the rest -------------------------------------------------------------- */

struct file *file_create_anon(const char *name, const struct file_ops *ops, void *priv, int flags)
{
    struct file *f = kzalloc(sizeof(*f));
    struct inode *inode = f ? kzalloc(sizeof(*inode)) : NULL;

    (void)name;
    if (!inode) {
        kfree(f);
        return ERR_PTR(-ENOMEM);
    }
    ref_init(&f->ref);
    f->inode = inode;
    f->ops = ops;
    f->private = priv;
    f->flags = (unsigned)flags;
    inode->ino = 1;
    __atomic_fetch_add(&g_files, 1, __ATOMIC_RELAXED);
    return f;
}

void file_name_anon(struct file *f, const char *kind)
{
    (void)f;
    (void)kind;
}

void file_put(struct file *f)
{
    if (!ref_put(&f->ref))
        return;
    f->ops->release(f);
    kfree(f->inode);
    kfree(f);
    __atomic_fetch_sub(&g_files, 1, __ATOMIC_RELAXED);
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    (void)t;
    (void)info;
    g_signal = sig;
    return 0;
}

bool capable(int cap)
{
    (void)cap;
    return false;
}

u64 rlimit(unsigned resource)
{
    (void)resource;
    return 100000;
}

const struct cred *current_cred(void)
{
    return &g_cred;
}

struct group *group_find(pid_t tgid)
{
    (void)tgid;
    return NULL;
}

struct group *group_next(pid_t from)
{
    (void)from;
    return NULL;
}

struct task *task_find(pid_t tid)
{
    (void)tid;
    return NULL;
}

void task_put(struct task *t)
{
    (void)t;
}

struct cred *task_cred(struct task *t)
{
    (void)t;
    return &g_cred;
}

void cred_put(struct cred *c)
{
    (void)c;
}

int signal_send_group(struct group *g, int sig, const siginfo_t *info)
{
    (void)g;
    (void)sig;
    (void)info;
    return 0;
}

void group_put(struct group *g)
{
    (void)g;
}

int path_lookup_at(int dfd, const char *name, unsigned flags, struct path *out)
{
    (void)dfd;
    (void)name;
    (void)flags;
    (void)out;
    return -ENOENT;
}

void path_put(const struct path *p)
{
    (void)p;
}

int vfs_make_socket(const char *name, mode_t mode, struct path *out)
{
    (void)name;
    (void)mode;
    (void)out;
    return -EROFS;
}

int inode_permission(struct inode *inode, int mask)
{
    (void)inode;
    (void)mask;
    return 0;
}

void random_bytes(void *buf, size_t size)
{
    memset(buf, 3, size);
}

struct file *fd_get_path(int fd)
{
    (void)fd;
    return NULL;
}

struct fd fd_borrow(int fd)
{
    (void)fd;
    return (struct fd){NULL, false};
}

int fd_reserve(unsigned from, bool cloexec)
{
    (void)from;
    (void)cloexec;
    return -EMFILE;
}

void fd_commit(int fd, struct file *f)
{
    (void)fd;
    (void)f;
}

void fd_cancel(int fd)
{
    (void)fd;
}

int fd_install(struct file *f, int from, bool cloexec)
{
    (void)from;
    (void)cloexec;
    file_put(f);
    return -EMFILE;
}

/* ---- Helpers ----------------------------------------------------------------------------------- */

static int setup(void **state)
{
    static bool registered;

    (void)state;
    if (!registered)
        unix_init();
    registered = true;
    current->group = &g_group;
    current->cred = &g_cred;
    null_alloc_fail_after(UINT64_MAX);
    g_signal = 0;
    return 0;
}

static struct socket *sock(struct file *f)
{
    return f->private;
}

static struct file *make(int type)
{
    struct unix_sock *u = unix_create(type);

    return u ? socket_file_create(&u->sk, 0) : ERR_PTR(-ENOMEM);
}

/* False: no memory. */
static bool make_pair(int type, struct file *p[2])
{
    p[0] = make(type);
    if (IS_ERR(p[0]))
        return false;
    p[1] = make(type);
    if (IS_ERR(p[1])) {
        file_put(p[0]);
        return false;
    }
    assert_int_equal(sock(p[0])->ops->pair(sock(p[0]), sock(p[1])), 0);
    return true;
}

static void close_pair(struct file *p[2])
{
    file_put(p[0]);
    file_put(p[1]);
}

static ssize_t put(struct file *f, const void *data, size_t size, struct scm_files *files)
{
    struct sock_msg m = {.flags = MSG_DONTWAIT, .scm.files = files};
    struct iov_iter it;
    ssize_t n;

    iov_iter_kernel(&it, (void *)(uintptr_t)data, size);
    n = sock(f)->ops->send(sock(f), &m, &it);
    scm_drop(&m.scm);
    return n;
}

static ssize_t get(struct file *f, void *buf, size_t size, unsigned flags)
{
    struct sock_msg m = {.flags = MSG_DONTWAIT | flags};
    struct iov_iter it;
    ssize_t n;

    iov_iter_kernel(&it, buf, size);
    n = sock(f)->ops->receive(sock(f), &m, &it);
    scm_drop(&m.scm);
    return n;
}

/* A list with one file, with a reference of its own. NULL: no memory. */
static struct scm_files *one_file(struct file *f)
{
    struct scm_files *fp = kmalloc(sizeof(*fp));

    if (!fp)
        return NULL;
    fp->count = 1;
    fp->files[0] = file_get(f);
    return fp;
}

/* ---- Order ------------------------------------------------------------------------------------- */

#define BYTES 400000u

static void write_numbers(void *arg)
{
    struct socket *s = arg;
    u32 next = 0;

    current->group = &g_group;
    current->cred = &g_cred;
    while (next < BYTES / sizeof(next)) {
        u32 part[500];
        struct sock_msg m = {0};
        struct iov_iter it;

        for (unsigned i = 0; i < ARRAY_COUNT(part); i++)
            part[i] = next++;
        iov_iter_kernel(&it, part, sizeof(part));
        if (s->ops->send(s, &m, &it) != sizeof(part))
            return;
    }
}

static void test_order(void **state)
{
    struct null_thread *t;
    struct file *p[2];
    u32 want = 0;

    (void)state;
    assert_true(make_pair(SOCK_STREAM, p));
    sock(p[0])->sndbuf = SOCK_SNDBUF_MIN;
    t = null_thread_start(write_numbers, sock(p[0]));
    while (want < BYTES / sizeof(want)) {
        struct sock_msg m = {.flags = MSG_WAITALL};
        struct iov_iter it;
        u32 got[125];

        iov_iter_kernel(&it, got, sizeof(got));
        assert_int_equal(sock(p[1])->ops->receive(sock(p[1]), &m, &it), sizeof(got));
        for (unsigned i = 0; i < ARRAY_COUNT(got); i++)
            assert_int_equal(got[i], want++);
    }
    null_thread_join(t);
    assert_int_equal(unix_of(sock(p[0]))->wmem, 0);
    close_pair(p);
    assert_int_equal(g_files, 0);
}

/* ---- Descriptors under way ---------------------------------------------------------------------- */

static void test_circle(void **state)
{
    struct file *a[2], *b[2], *live[2];

    (void)state;
    assert_true(make_pair(SOCK_STREAM, a) && make_pair(SOCK_DGRAM, b) && make_pair(SOCK_STREAM, live));
    assert_int_equal(put(a[0], "x", 1, one_file(b[1])), 1);
    assert_int_equal(put(b[0], "x", 1, one_file(a[1])), 1);
    assert_int_equal(put(b[0], "x", 1, one_file(live[0])), 1);
    assert_int_equal(put(live[0], "x", 1, one_file(live[0])), 1); /* in an open socket's queue */
    close_pair(a);
    assert_int_equal(g_files, 5); /* a[1] waits in b[1] */
    close_pair(b); /* releases only b[0]: the circle goes with the next socket */
    unix_collect();
    assert_int_equal(g_files, 2);
    close_pair(live);
    assert_int_equal(g_files, 0);
}

/* Reachable through a living queue: kept, and received whole. */
static void test_reachable(void **state)
{
    struct file *a[2], *live[2];
    char c;

    (void)state;
    assert_true(make_pair(SOCK_STREAM, a) && make_pair(SOCK_STREAM, live));
    assert_int_equal(put(a[0], "x", 1, one_file(a[1])), 1);
    assert_int_equal(put(live[0], "x", 1, one_file(a[1])), 1);
    close_pair(a);
    unix_collect();
    assert_int_equal(g_files, 3);
    assert_int_equal(get(live[1], &c, 1, MSG_PEEK), 1);
    assert_int_equal(g_files, 3);
    assert_int_equal(get(live[1], &c, 1, 0), 1); /* the last way to it */
    unix_collect();
    assert_int_equal(g_files, 2);
    close_pair(live);
    assert_int_equal(g_files, 0);
}

#define CHAIN 2000

/* Each in the next one's queue: the last close lets go of all. tests/guest has the small stack for it. */
static void test_chain(void **state)
{
    struct file *last[2], *next[2];

    (void)state;
    assert_true(make_pair(SOCK_STREAM, last));
    file_put(last[0]);
    for (int i = 0; i < CHAIN; i++) {
        assert_true(make_pair(SOCK_STREAM, next));
        assert_int_equal(put(next[0], "x", 1, one_file(last[1])), 1);
        file_put(last[1]);
        last[1] = next[1];
        file_put(next[0]);
    }
    file_put(last[1]);
    assert_int_equal(g_files, 0);
}

/* ---- Datagrams ---------------------------------------------------------------------------------- */

static void test_disconnect(void **state)
{
    struct sock_addr none = {.size = 2, .family = AF_UNSPEC}, name = {.size = 5, .un = {AF_UNIX, "\0ab"}};
    struct file *p[2], *x;
    char c;

    (void)state;
    assert_true(make_pair(SOCK_DGRAM, p));
    x = make(SOCK_DGRAM);
    assert_int_equal(unix_bind(sock(x), &name), 0);
    assert_int_equal(put(p[1], "lost", 4, NULL), 4);
    assert_int_equal(unix_dgram_connect(sock(p[0]), &name, false), 0);
    assert_int_equal(get(p[0], &c, 1, 0), -EAGAIN);
    assert_int_equal(put(p[1], "x", 1, NULL), -ECONNRESET);
    assert_int_equal(put(p[1], "x", 1, NULL), -EPERM);
    assert_int_equal(put(p[0], "x", 1, NULL), 1);
    assert_int_equal(unix_dgram_connect(sock(p[0]), &none, false), 0);
    assert_int_equal(put(p[0], "x", 1, NULL), -ENOTCONN);
    file_put(x);
    close_pair(p);
    assert_int_equal(g_files, 0);
}

static bool g_reading;

static void read_all(void *arg)
{
    char c;

    current->group = &g_group;
    current->cred = &g_cred;
    while (__atomic_load_n(&g_reading, __ATOMIC_RELAXED))
        (void)get(arg, &c, 1, 0);
}

/* What a disconnection takes away may be in a reader's hands. */
static void test_disconnect_reader(void **state)
{
    struct sock_addr none = {.size = 2, .family = AF_UNSPEC}, name = {.size = 5, .un = {AF_UNIX, "\0rd"}};
    struct null_thread *t;
    struct file *p[2];

    (void)state;
    assert_true(make_pair(SOCK_DGRAM, p));
    assert_int_equal(unix_bind(sock(p[1]), &name), 0);
    g_reading = true;
    t = null_thread_start(read_all, p[0]);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(unix_dgram_connect(sock(p[0]), &name, false), 0);
        (void)put(p[1], "a", 1, NULL); /* or the error that the last round left */
        (void)put(p[1], "b", 1, NULL);
        assert_int_equal(unix_dgram_connect(sock(p[0]), &none, false), 0);
    }
    __atomic_store_n(&g_reading, false, __ATOMIC_RELAXED);
    null_thread_join(t);
    close_pair(p);
    assert_int_equal(g_files, 0);
}

/* ---- No memory ---------------------------------------------------------------------------------- */

static void connect_and_carry(void)
{
    struct sock_addr name = {.size = 4, .un = {AF_UNIX, "\0m"}};
    struct file *l = make(SOCK_STREAM), *c, *s;
    struct scm_files *fp;
    struct socket *new;
    char buf[8];

    if (IS_ERR(l))
        return;
    c = make(SOCK_STREAM);
    if (!IS_ERR(c) && !unix_bind(sock(l), &name) && !unix_listen(sock(l), 1) &&
        !unix_connect_stream(sock(c), &name, true)) {
        fp = one_file(l);
        (void)put(c, "carried", 7, fp);
        if (!unix_accept(sock(l), true, &new)) {
            s = socket_file_create(new, 0);
            if (!IS_ERR(s)) {
                (void)get(s, buf, 3, MSG_PEEK);
                (void)get(s, buf, 3, 0);
                (void)put(s, "back", 4, NULL);
                file_put(s);
            }
        }
    }
    if (!IS_ERR(c))
        file_put(c);
    file_put(l);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (u64 left = 0; left < 40; left++) {
        null_alloc_fail_after(left);
        connect_and_carry();
        assert_int_equal(g_files, 0);
    }
}

static void test_broken(void **state)
{
    struct file *p[2];
    char c;

    (void)state;
    assert_true(make_pair(SOCK_STREAM, p));
    assert_int_equal(put(p[0], "unread", 6, NULL), 6);
    file_put(p[1]);
    assert_int_equal(sock(p[0])->ops->poll(sock(p[0]), NULL) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    assert_int_equal(get(p[0], &c, 1, 0), -ECONNRESET);
    assert_int_equal(get(p[0], &c, 1, 0), 0);
    assert_int_equal(put(p[0], "x", 1, NULL), -EPIPE);
    assert_int_equal(g_signal, SIGPIPE);
    file_put(p[0]);
    assert_int_equal(g_files, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, setup),
        cmocka_unit_test_setup(test_circle, setup),
        cmocka_unit_test_setup(test_reachable, setup),
        cmocka_unit_test_setup(test_chain, setup),
        cmocka_unit_test_setup(test_disconnect, setup),
        cmocka_unit_test_setup(test_disconnect_reader, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
        cmocka_unit_test_setup(test_broken, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
