/* SPDX-License-Identifier: MIT */
/*
 * pidfds: pidfd_open(2), pidfd_getfd(2), and the files behind them and behind clone(2)'s CLONE_PIDFD.
 *
 * A file holds a reference on its process, which outlives its end and its number. It polls readable once the
 * process is a zombie or gone.
 */
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/pseudofs.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/wait.h>
#include <linux/fcntl.h>
#include "internal.h"
#include <syscalls.gen.h>

#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif

static unsigned pidfd_poll(struct file *f, struct poll_table *pt)
{
    struct group *g = f->private;

    poll_wait(pt, &g->exit_wait);
    return READ_ONCE(g->zombie) || READ_ONCE(g->gone) ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct file *f)
{
    group_put(f->private);
}

static ssize_t pidfd_fdinfo(struct file *f, char *buf, size_t size)
{
    const struct group *g = f->private;
    pid_t pid = READ_ONCE(g->gone) ? -1 : g->tgid;

    return snprintf(buf, size, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops g_pidfd_ops = {
    .poll = pidfd_poll,
    .release = pidfd_release,
    .fdinfo = pidfd_fdinfo,
};

struct file *pidfd_file(struct group *g, unsigned flags)
{
    struct file *f = file_create_anon("anon_inode:[pidfd]", &g_pidfd_ops, g, (int)(O_RDWR | flags));

    if (!IS_ERR(f))
        ref_get(&g->ref);
    return f;
}

struct group *pidfd_group(int fd)
{
    struct file *f = fd_get(fd);
    struct group *g = ERR_PTR(-EBADF);

    if (!f)
        return g;
    if (f->ops == &g_pidfd_ops) {
        g = f->private;
        ref_get(&g->ref);
    }
    file_put(f);
    return g;
}

struct group *pidfd_or_proc_group(int fd)
{
    struct group *g = pidfd_group(fd);
    struct file *f = g == ERR_PTR(-EBADF) ? fd_get(fd) : NULL;

    if (f) {
        g = proc_dir_group(f);
        file_put(f);
    }
    return g;
}

/* Only processes have pidfds: the number of another thread than the leader is -EINVAL. */
long sys_pidfd_open(pid_t pid, int flags)
{
    struct task *t;
    struct file *f;

    if (((unsigned)flags & ~(unsigned)PIDFD_NONBLOCK) || pid <= 0)
        return -EINVAL;
    t = task_find(pid);
    if (!t)
        return -ESRCH;
    f = t->tid == t->group->tgid ? pidfd_file(t->group, (unsigned)flags) : ERR_PTR(-EINVAL);
    task_put(t);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(f, 0, true);
}

/* A living thread of the process, with a reference, or NULL. */
static struct task *any_task(struct group *g)
{
    struct task *t, *found = NULL;

    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        if (!t->dead && !found) {
            found = t;
            ref_get(&t->ref);
        }
    }
    spin_unlock(&g->lock);
    return found;
}

static struct file *take_file(struct task *t, int fd)
{
    struct files *files = task_files(t);
    struct file *f = NULL;

    if (!files)
        return ERR_PTR(-ESRCH);
    spin_lock(&files->lock);
    if (fd >= 0 && (unsigned)fd < files->size && files->table[fd])
        f = file_get(files->table[fd]);
    spin_unlock(&files->lock);
    files_put(files);
    return f ? f : ERR_PTR(-EBADF);
}

long sys_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
    struct group *g;
    struct task *t;
    struct file *f;

    if (flags)
        return -EINVAL;
    g = pidfd_group(pidfd);
    if (IS_ERR(g))
        return PTR_ERR(g);
    t = any_task(g);
    group_put(g);
    if (!t)
        return -ESRCH;
    f = task_may_access(t, ACCESS_REAL) ? ERR_PTR(-EPERM) : take_file(t, fd);
    task_put(t);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(f, 0, true);
}
