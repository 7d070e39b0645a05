/* SPDX-License-Identifier: MIT */
/*
 * execve(2), execveat(2): copies the arguments in under Linux's limits, then lets the loader replace
 * the program. Nothing of the old program has changed when an error comes back.
 */
#include <kernel/alloc.h>
#include <kernel/loader.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <linux/fcntl.h>
#include "internal.h"
#include <syscalls.gen.h>

#define ARG_STRLEN_MAX (32 * PAGE_SIZE) /* one string with its NUL */
#define ARG_TOTAL_MAX  (6UL << 20)      /* three quarters of Linux's _STK_LIM */
#define ARG_TOTAL_MIN  131072UL         /* ARG_MAX */
#define ARG_COUNT_MAX  0x7fffffffUL

/* argv or envp on its way in; `room` is what both may still take, pointers and strings. */
struct arg_list {
    char **v; /* owned, NULL-terminated, strings owned */
    size_t count;
};

/* What arguments and environment may take together: a quarter of the stack, within bounds. */
static u64 arg_room(void)
{
    return max(ARG_TOTAL_MIN, min(ARG_TOTAL_MAX, rlimit(RLIMIT_STACK) / 4));
}

static void arg_free(struct arg_list *l)
{
    for (size_t i = 0; l->v && i < l->count; i++)
        kfree(l->v[i]);
    kfree(l->v);
}

/* How many strings there are. A NULL vector is an empty one. */
static int arg_count(const char __user *const __user *uv, u64 room, size_t *count)
{
    const char __user *p;
    size_t n = 0;

    for (; uv; n++) {
        if (get_user(p, uv + n))
            return -EFAULT;
        if (!p)
            break;
        if (n >= room / sizeof(p) || n >= ARG_COUNT_MAX)
            return -E2BIG;
    }
    *count = n;
    return 0;
}

static int arg_copy_one(const char __user *const __user *uv, char **out, char *scratch, u64 *room)
{
    const char __user *p;
    ssize_t n;

    if (get_user(p, uv))
        return -EFAULT;
    if (!p)
        return -EFAULT; /* it was there when they were counted */
    n = strncpy_from_user(scratch, p, ARG_STRLEN_MAX);
    if (n == -ENAMETOOLONG)
        return -E2BIG;
    if (n < 0)
        return (int)n;
    if ((u64)n + 1 > *room)
        return -E2BIG;
    *room -= (u64)n + 1;
    *out = kstrndup(scratch, (size_t)n);
    return *out ? 0 : -ENOMEM;
}

static int arg_copy(const char __user *const __user *uv, struct arg_list *l, char *scratch,
                    u64 *room)
{
    size_t count;
    int ret = arg_count(uv, *room, &count);

    if (ret)
        return ret;
    if (count * sizeof(char *) > *room)
        return -E2BIG;
    *room -= count * sizeof(char *);
    l->v = kcalloc(count + 2, sizeof(*l->v)); /* room for an argv[0] when there is none */
    if (!l->v)
        return -ENOMEM;
    while (l->count < count) {
        ret = arg_copy_one(uv + l->count, &l->v[l->count], scratch, room);
        if (ret)
            return ret;
        l->count++;
    }
    return 0;
}

/* Linux runs a program that was given no argv at all with one empty string. */
static int arg_ensure_first(struct arg_list *argv)
{
    if (argv->count)
        return 0;
    argv->v[0] = kstrdup("");
    if (!argv->v[0])
        return -ENOMEM;
    argv->count = 1;
    return 0;
}

static int exec_run(int dfd, const char *path, unsigned lookup, char *const argv[],
                    char *const envp[])
{
    struct task *t = current;
    int ret = exec_file(dfd, path, lookup, argv, envp, t->regs);

    if (ret)
        return ret;
    group_timers_exec(t->group);
    WRITE_ONCE(t->group->execed, true);
    t->group->dumpable = 1;
    t->regs->orig_rax = -1;
    return cred_exec();
}

static long exec_copy_and_run(int dfd, const char *path, const char __user *const __user *uargv,
                              const char __user *const __user *uenvp, unsigned lookup)
{
    struct arg_list argv = {0}, envp = {0};
    char *scratch = kmalloc(ARG_STRLEN_MAX);
    u64 room = arg_room();
    int ret = scratch ? 0 : -ENOMEM;

    if (!ret)
        ret = arg_copy(uargv, &argv, scratch, &room);
    if (!ret)
        ret = arg_copy(uenvp, &envp, scratch, &room);
    kfree(scratch);
    if (!ret)
        ret = arg_ensure_first(&argv);
    if (!ret)
        ret = exec_run(dfd, path, lookup, argv.v, envp.v);
    arg_free(&argv);
    arg_free(&envp);
    return ret;
}

static long exec_at(int dfd, const char __user *upath, const char __user *const __user *argv,
                    const char __user *const __user *envp, unsigned lookup)
{
    char *path = kmalloc(PATH_MAX_);
    ssize_t n;
    long ret;

    if (!path)
        return -ENOMEM;
    n = strncpy_from_user(path, upath, PATH_MAX_);
    if (n < 0)
        ret = n;
    else if (!n && !(lookup & LOOKUP_EMPTY))
        ret = -ENOENT;
    else
        ret = exec_copy_and_run(dfd, path, argv, envp, lookup);
    kfree(path);
    return ret;
}

long sys_execve(const char __user *path, const char __user *const __user *argv,
                const char __user *const __user *envp)
{
    return exec_at(AT_FDCWD, path, argv, envp, LOOKUP_FOLLOW);
}

long sys_execveat(int dirfd, const char __user *path, const char __user *const __user *argv,
                  const char __user *const __user *envp, int flags)
{
    unsigned lookup = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;

    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    if (flags & AT_EMPTY_PATH)
        lookup |= LOOKUP_EMPTY;
    return exec_at(dirfd, path, argv, envp, lookup);
}
