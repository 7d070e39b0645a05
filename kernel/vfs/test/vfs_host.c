/* SPDX-License-Identifier: MIT */
/* What the VFS needs from proc, mm and signal, as little of it as the tests ask for. */
#include "vfs_host.h"

#include <kernel/mm.h>
#include <kernel/random.h>

#include "../../fs/ramfs/ramfs.h"
#include "../internal.h"

unsigned g_truncate_notes;
static struct cred g_cred;
static struct group g_group;
static struct task g_task;

/* ---- proc --------------------------------------------------------------------------------------- */

const struct cred *current_cred(void)
{
    return current->cred;
}

bool capable(int cap)
{
    return current->cred->cap_effective >> cap & 1;
}

void cred_put(struct cred *c)
{
    (void)ref_put(&c->ref);
}

u64 rlimit(unsigned resource)
{
    return resource == RLIMIT_NOFILE ? 1024 : RLIM_INFINITY_;
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    (void)t;
    (void)sig;
    (void)info;
    return 0;
}

void random_bytes(void *buf, size_t size)
{
    memset(buf, 42, size);
}

u64 random_u64(void)
{
    return 4242424242424242UL;
}

/* ---- mm ------------------------------------------------------------------------------------------ */

void mm_truncate_notify(struct inode *inode, u64 new_size)
{
    (void)new_size;
    assert_held(&inode->lock);
    g_truncate_notes++;
}

bool mm_file_room(void)
{
    return true;
}

int mm_bound_access(uintptr_t va, unsigned access)
{
    (void)va;
    (void)access;
    return 0;
}

void mm_stats(struct mm_stats *out)
{
    memset(out, 0, sizeof(*out));
    out->limit_pages = 1 << 20;
}

/* ---- The process ----------------------------------------------------------------------------------- */

void host_become(uid_t uid, gid_t gid)
{
    g_cred.uid = g_cred.euid = g_cred.suid = g_cred.fsuid = uid;
    g_cred.gid = g_cred.egid = g_cred.sgid = g_cred.fsgid = gid;
    g_cred.cap_effective = g_cred.cap_permitted = uid ? 0 : ~0UL;
}

void host_become_root(void)
{
    host_become(0, 0);
}

int host_vfs_start(void **state)
{
    (void)state;
    if (g_task.fs)
        return 0;
    ref_init(&g_cred.ref);
    g_task.cred = &g_cred;
    g_task.group = &g_group;
    g_group.tgid = 1;
    null_task_set(&g_task);
    host_become_root();
    ramfs_register();
    g_task.files = files_create();
    if (!g_task.files || mount_root("ramfs", "rootfs", 0))
        return -1;
    g_task.fs = fs_context_create();
    return g_task.fs ? 0 : -1;
}

/* ---- Shorthands --------------------------------------------------------------------------------------- */

int must_open(const char *path, int flags, mode_t mode)
{
    long fd = sys_open(path, flags, mode);

    assert_true(fd >= 0);
    return (int)fd;
}

void make_file(const char *path, const char *text)
{
    int fd = must_open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    struct file *f = fd_get(fd);

    assert_int_equal(file_pwrite(f, text, strlen(text), 0), strlen(text));
    file_put(f);
    ok(sys_close(fd));
}

void make_dir(const char *path)
{
    ok(sys_mkdir(path, 0755));
}

struct stat stat_of(const char *path)
{
    struct stat st;

    ok(sys_stat(path, &st));
    return st;
}

bool exists(const char *path)
{
    struct stat st;

    return sys_lstat(path, &st) == 0;
}

const char *text_of(const char *path)
{
    static char text[256];
    int fd = must_open(path, O_RDONLY, 0);
    struct file *f = fd_get(fd);
    ssize_t n = file_pread(f, text, sizeof(text) - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    file_put(f);
    ok(sys_close(fd));
    return text;
}
