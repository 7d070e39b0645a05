/* SPDX-License-Identifier: MIT */
/*
 * execve(2)'s work. Everything that can be refused is looked at first: files, scripts, ELF headers,
 * the size of the arguments; only then the old program goes and the new one is loaded. What fails
 * after that point ends the process, as on Linux.
 *
 * Locking: the new mm is private until it becomes current; the group's fields change under its
 * lock.
 */
#include "exec.h"
#include "script.h"

#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/boot.h>
#include <kernel/files.h>
#include <kernel/loader.h>
#include <kernel/printk.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <linux/fcntl.h>
#include <linux/personality.h>

#define SCRIPT_DEPTH_MAX 5u
/* The first script replaces argv[0] by up to three strings, each further one adds at most two. */
#define SCRIPT_ARGS_MAX (1 + 2 * SCRIPT_DEPTH_MAX)

struct exec {
    char *filename;                     /* owned; AT_EXECFN and a script's own name */
    bool path_lost;                     /* filename names a descriptor that exec closes */
    char *script_argv[SCRIPT_ARGS_MAX]; /* owned; what `#!` lines put before argv[1] */
    unsigned script_argc;
    char **argv;   /* owned array, borrowed strings */
    char *cmdline; /* owned until published */
    size_t cmdline_size;
    char *exe_path; /* owned until published */
    struct program program;
    struct stack_spec stack;
};

static ssize_t read_file(void *ctx, void *buf, size_t size, u64 pos)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = file_pread(ctx, (char *)buf + done, size - done, (loff_t)(pos + done));

        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static struct elf_reader file_reader(struct file *file)
{
    return (struct elf_reader){
        .read = read_file, .ctx = file, .size = READ_ONCE(file->inode->size)};
}

/* ---- Names --------------------------------------------------------------------------------------
 */

/* The name that scripts get: as given, or below /dev/fd for a path relative to a descriptor. */
static int name_file(struct exec *x, int dfd, const char *path)
{
    size_t size;

    if (dfd == AT_FDCWD || path[0] == '/') {
        x->filename = kstrdup(path);
        return x->filename ? 0 : -ENOMEM;
    }
    size = strlen(path) + sizeof("/dev/fd/-2147483648/");
    x->filename = kmalloc(size);
    if (!x->filename)
        return -ENOMEM;
    snprintf(x->filename, size, path[0] ? "/dev/fd/%d/%s" : "/dev/fd/%d", dfd, path);
    x->path_lost = fd_get_cloexec(dfd) == 1;
    return 0;
}

/* ---- Scripts ------------------------------------------------------------------------------------
 */

/* Replaces argv[0] by interpreter, optional argument and the script's name. */
static int push_script(struct exec *x, const struct script *s, const char *script_name)
{
    const char *from[3] = {s->interp, s->arg ? s->arg : script_name, s->arg ? script_name : NULL};
    unsigned old = x->script_argc > 0 ? x->script_argc - 1 : 0;
    unsigned add = s->arg ? 3 : 2;
    char *v[3] = {NULL};

    for (unsigned i = 0; i < add; i++) {
        v[i] = kstrdup(from[i]);
        if (!v[i]) {
            while (i > 0)
                kfree(v[--i]);
            return -ENOMEM;
        }
    }
    if (x->script_argc > 0)
        kfree(x->script_argv[0]);
    ASSERT(old + add <= SCRIPT_ARGS_MAX);
    memmove(&x->script_argv[add], &x->script_argv[1], old * sizeof(char *));
    memcpy(x->script_argv, v, add * sizeof(char *));
    x->script_argc = old + add;
    return 0;
}

/* One `#!` level: opens the interpreter in place of the script. -ENOEXEC when it is no script. */
static int open_script(struct exec *x, const char *name, char head[static SCRIPT_HEAD_SIZE])
{
    struct script s;
    struct file *file;
    int err = script_parse(head, &s);

    if (err)
        return err;
    if (x->path_lost)
        return -ENOENT;
    if (s.interp[0] == '\0') /* an empty path opens the directory itself */
        return -EACCES;
    file = file_open_exec(AT_FDCWD, s.interp, LOOKUP_FOLLOW);
    if (IS_ERR(file))
        return (int)PTR_ERR(file);
    err = push_script(x, &s, name);
    if (err) {
        file_put(file);
        return err;
    }
    file_put(x->program.file);
    x->program.file = file;
    return 0;
}

/* Follows `#!` lines until something else stands there. */
static int follow_scripts(struct exec *x)
{
    char head[SCRIPT_HEAD_SIZE];

    for (unsigned depth = 0;; depth++) {
        const char *name = depth == 0 ? x->filename : x->script_argv[0];
        ssize_t n;
        int err;

        memset(head, 0, sizeof(head));
        n = read_file(x->program.file, head, sizeof(head), 0);
        if (n < 0)
            return (int)n;
        if (head[0] != '#' || head[1] != '!')
            return 0;
        if (depth == SCRIPT_DEPTH_MAX)
            return -ELOOP;
        err = open_script(x, name, head);
        if (err)
            return err;
    }
}

/* ---- Preparation: nothing of the old program is touched
 * ------------------------------------------ */

static int open_interp(struct program *p)
{
    struct file *file = file_open_exec(AT_FDCWD, p->image.interp, LOOKUP_FOLLOW);
    struct elf_reader r;

    if (IS_ERR(file))
        return (int)PTR_ERR(file);
    p->interp_file = file;
    r = file_reader(file);
    return elf_parse(&r, ELF_INTERPRETER, &p->interp);
}

static int open_program(struct exec *x, int dfd, const char *path, unsigned lookup_flags)
{
    struct file *file = file_open_exec(dfd, path, lookup_flags);
    struct elf_reader r;
    int err;

    if (IS_ERR(file))
        return (int)PTR_ERR(file);
    x->program.file = file;
    err = follow_scripts(x);
    if (err)
        return err;
    r = file_reader(x->program.file);
    err = elf_parse(&r, ELF_PROGRAM, &x->program.image);
    if (!err && x->program.image.interp)
        err = open_interp(&x->program);
    return err;
}

/* Fits an int, as main() takes it. */
static size_t count_strings(char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

/* The final argv: what scripts put in front, then the caller's; an empty one gets one ""
 * (Linux 5.18). */
static int join_args(struct exec *x, char *const argv[])
{
    static char empty[1];
    size_t skip = x->script_argc > 0 && argv[0] ? 1 : 0;
    size_t given = count_strings(argv) - skip;
    size_t total = x->script_argc + given;

    x->argv = kcalloc(total + 1, sizeof(char *));
    if (!x->argv)
        return -ENOMEM;
    memcpy(x->argv, x->script_argv, x->script_argc * sizeof(char *));
    memcpy(x->argv + x->script_argc, argv + skip, given * sizeof(char *));
    if (total == 0) {
        x->argv[0] = empty;
        total = 1;
    }
    x->stack.argv = x->argv;
    x->stack.argc = total;
    return 0;
}

static int copy_cmdline(struct exec *x)
{
    char *p;

    for (size_t i = 0; i < x->stack.argc; i++)
        x->cmdline_size += strlen(x->argv[i]) + 1;
    x->cmdline = p = kmalloc(x->cmdline_size);
    if (!p)
        return -ENOMEM;
    for (size_t i = 0; i < x->stack.argc; i++) {
        size_t size = strlen(x->argv[i]) + 1;

        memcpy(p, x->argv[i], size);
        p += size;
    }
    return 0;
}

static int copy_exe_path(struct exec *x)
{
    char *buf = kmalloc(PATH_MAX_);
    char *name;

    if (!buf)
        return -ENOMEM;
    name = path_name(&x->program.file->path, buf, PATH_MAX_);
    if (!IS_ERR(name))
        x->exe_path = kstrdup(name);
    kfree(buf);
    return IS_ERR(name) ? (int)PTR_ERR(name) : x->exe_path ? 0 : -ENOMEM;
}

static int prepare(struct exec *x, char *const argv[], char *const envp[])
{
    int err = join_args(x, argv);

    if (err)
        return err;
    x->stack.envp = envp;
    x->stack.envc = count_strings(envp);
    x->stack.execfn = x->filename;
    err = stack_check(&x->stack, rlimit(RLIMIT_STACK));
    if (!err)
        err = copy_cmdline(x);
    if (!err)
        err = copy_exe_path(x);
    x->program.randomize = !(current->group->personality & ADDR_NO_RANDOMIZE);
    random_bytes(x->stack.random, sizeof(x->stack.random));
    if (x->program.randomize)
        x->stack.jitter = random_u64() & 0x1ff0;
    return err;
}

/* ---- The point of no return
 * ------------------------------------------------------------------------ */

/* The task's own name, from the file's. */
static void set_comm(struct task *t, const char *filename)
{
    const char *slash = strrchr(filename, '/');

    memset(t->comm, 0, sizeof(t->comm));
    strlcpy_k(t->comm, slash ? slash + 1 : filename, sizeof(t->comm));
}

static void publish(struct exec *x)
{
    struct task *t = current;
    struct group *g = t->group;
    char *old_cmdline, *old_exe_path;

    spin_lock(&g->lock);
    set_comm(t, x->filename);
    old_cmdline = g->cmdline;
    old_exe_path = g->exe_path;
    g->cmdline = x->cmdline;
    g->cmdline_size = x->cmdline_size;
    g->exe_path = x->exe_path;
    g->dumpable = 1;
    spin_unlock(&g->lock);
    x->cmdline = x->exe_path = NULL;
    kfree(old_cmdline);
    kfree(old_exe_path);
}

/* The old program's state goes; the new, empty mm becomes current. */
static void flush_old(struct exec *x, struct mm *mm)
{
    struct task *t = current;
    struct mm *old = t->mm;

    publish(x);
    futex_exit(t, false);
    signal_exec(t);
    files_close_on_exec(t->files);
    t->clear_child_tid = NULL;
    t->robust_list = NULL;
    t->robust_list_size = 0;
    t->keep_caps = false;
    t->restart.fn = NULL;
    mm_leave();
    spin_lock(&t->group->lock);
    if (old)
        t->group->ended.rss_peak = max(t->group->ended.rss_peak, READ_ONCE(old->rss_peak));
    t->mm = mm;
    spin_unlock(&t->group->lock);
    if (old)
        mm_put(old);
    task_vfork_done(t);
    arch_xreset();
    arch_set_fs_base(0);
    t->fs_base = 0;
}

static void add_auxv(struct stack_spec *s)
{
    const struct cred *c = current_cred();

    auxv_set(s, AT_MINSIGSTKSZ, signal_frame_size());
    auxv_set(s, AT_HWCAP, arch_hwcap());
    auxv_set(s, AT_PAGESZ, PAGE_SIZE);
    auxv_set(s, AT_CLKTCK, 100);
    auxv_set(s, AT_FLAGS, 0);
    auxv_set(s, AT_UID, c->uid);
    auxv_set(s, AT_EUID, c->euid);
    auxv_set(s, AT_GID, c->gid);
    auxv_set(s, AT_EGID, c->egid);
    auxv_set(s, AT_SECURE, 0); /* set-id bits of files are ignored */
    auxv_set(s, AT_HWCAP2, arch_hwcap2());
}

static void exec_free(struct exec *x)
{
    if (x->program.file)
        file_put(x->program.file);
    if (x->program.interp_file)
        file_put(x->program.interp_file);
    elf_free(&x->program.image);
    elf_free(&x->program.interp);
    for (unsigned i = 0; i < x->script_argc; i++)
        kfree(x->script_argv[i]);
    kfree(x->argv);
    kfree(x->filename);
    kfree(x->cmdline);
    kfree(x->exe_path);
    kfree(x);
}

static int exec_checked(struct exec *x, struct regs *regs)
{
    struct mm *mm = mm_create();
    int err;

    if (!mm)
        return -ENOMEM;
    err = task_become_only();
    if (!err)
        err = task_unshare_exec();
    if (err) {
        mm_put(mm);
        return err;
    }
    flush_old(x, mm);
    add_auxv(&x->stack);
    err = program_load(mm, &x->program, &x->stack, regs);
    if (err) {
        pr_warn("exec: %s: cannot be loaded (error %d)", x->filename, -err);
        exec_free(x);
        task_exit_group(SIGSEGV);
    }
    return 0;
}

int exec_file(int dfd, const char *path, unsigned lookup_flags, char *const argv[],
              char *const envp[], struct regs *regs)
{
    struct exec *x = kzalloc(sizeof(*x));
    int err;

    if (!x)
        return -ENOMEM;
    err = name_file(x, dfd, path);
    if (!err)
        err = open_program(x, dfd, path, lookup_flags);
    if (!err)
        err = prepare(x, argv, envp);
    if (!err)
        err = exec_checked(x, regs);
    exec_free(x);
    return err;
}
