/* SPDX-License-Identifier: MIT */
/*
 * kcmp(2): whether two threads share an object. What they have is compared by address, mixed with a number that
 * nobody knows, so that the order tells nothing.
 */
#include <kernel/files.h>
#include <kernel/fs.h>
#include <kernel/random.h>
#include <kernel/syscall.h>
#include <linux/kcmp.h>
#include "internal.h"
#include <syscalls.gen.h>

static u64 g_cookie; /* odd, so that multiplication is one to one; set once, atomic */

static u64 mixed(const void *p)
{
    u64 fresh, none = 0;

    if (!READ_ONCE(g_cookie)) {
        random_bytes(&fresh, sizeof(fresh));
        __atomic_compare_exchange_n(&g_cookie, &none, fresh | 1, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }
    return (u64)p * READ_ONCE(g_cookie);
}

static long compare(const void *a, const void *b)
{
    u64 x = mixed(a), y = mixed(b);

    return (x < y) | (x > y) << 1;
}

/* The open file's address, which may be stale at once: it is only compared. NULL: not open. */
static const void *file_address(struct task *t, unsigned long fd)
{
    struct files *files = task_files(t);
    const void *f = NULL;

    if (!files)
        return NULL;
    spin_lock(&files->lock);
    if (fd < files->size)
        f = files->table[fd];
    spin_unlock(&files->lock);
    files_put(files);
    return f;
}

static long compare_files(struct task *a, struct task *b, unsigned long fd1, unsigned long fd2)
{
    const void *f1 = file_address(a, fd1), *f2 = file_address(b, fd2);

    return f1 && f2 ? compare(f1, f2) : -EBADF;
}

static long compare_tasks(struct task *a, struct task *b, int type, unsigned long idx1,
                          unsigned long idx2)
{
    switch (type) {
    case KCMP_FILE:
        return compare_files(a, b, idx1, idx2);
    case KCMP_VM:
        return compare(READ_ONCE(a->mm), READ_ONCE(b->mm));
    case KCMP_FILES:
        return compare(READ_ONCE(a->files), READ_ONCE(b->files));
    case KCMP_FS:
        return compare(READ_ONCE(a->fs), READ_ONCE(b->fs));
    case KCMP_SIGHAND:
        return compare(READ_ONCE(a->sighand), READ_ONCE(b->sighand));
    case KCMP_IO:
    case KCMP_SYSVSEM:
        return 0; /* neither has one: no I/O contexts, no System V semaphores to undo */
    }
    return -EINVAL;
}

long sys_kcmp(pid_t pid1, pid_t pid2, int type, unsigned long idx1, unsigned long idx2)
{
    struct task *a = task_find(pid1), *b = task_find(pid2);
    long ret = -ESRCH;

    if (a && b) {
        ret = task_may_access(a, ACCESS_REAL);
        if (!ret)
            ret = task_may_access(b, ACCESS_REAL);
        if (!ret)
            ret = compare_tasks(a, b, type, idx1, idx2);
    }
    if (a)
        task_put(a);
    if (b)
        task_put(b);
    return ret;
}
