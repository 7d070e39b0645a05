/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID and /proc/PID/task/TID: their tables, the small files, the magic links, the threads.
 * A node names its task by number only; every access looks it up again.
 */
#include <kernel/alloc.h>
#include <kernel/core.h>
#include <kernel/pseudofs.h>
#include <linux/stat.h>

#include "proc.h"

int proc_path(struct seq *s, const struct path *p, const char *special)
{
    char *buf = kmalloc(PATH_MAX_);
    char *name = buf ? path_name(p, buf, PATH_MAX_) : ERR_PTR(-ENOMEM);

    if (!IS_ERR(name))
        seq_escape(s, name, special);
    kfree(buf);
    return IS_ERR(name) ? (int)PTR_ERR(name) : 0;
}

/* ---- Small files ---------------------------------------------------------------------------- */

static int comm_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    seq_printf(s, "%s\n", t->comm);
    return 0;
}

/* Only threads of the caller's own process may be renamed (proc(5)). */
static ssize_t comm_store(const struct pseudo_node *node, char *text, size_t size)
{
    struct task *t = task_find(node->tid);
    ssize_t ret = (ssize_t)size;

    if (!t)
        return -ESRCH;
    if (t->group == current->group) {
        char *newline = strchr(text, '\n');

        if (newline)
            *newline = 0;
        spin_lock(&t->group->lock);
        (void)strlcpy_k(t->comm, text, COMM_SIZE);
        spin_unlock(&t->group->lock);
    } else {
        ret = -EINVAL;
    }
    task_put(t);
    return ret;
}

static int personality_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    seq_printf(s, "%08x\n", t->group->personality);
    return 0;
}

static int io_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    seq_printf(s, "rchar: %lu\nwchar: %lu\nsyscr: %lu\nsyscw: %lu\n", t->rchar, t->wchar, t->syscr,
               t->syscw);
    seq_puts(s, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return 0;
}

/* As Linux's oom_badness(): resident pages in thousandths of all, moved by the adjustment. */
static int oom_score_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct mm *mm = task_mm(t);
    struct mm_stats stats;
    struct proc_vm vm = {0};
    s64 points;

    mm_stats(&stats);
    if (mm) {
        proc_vm_sum(mm, &vm);
        mm_put(mm);
    }
    points = (s64)(vm.resident * 1000 / max(stats.limit_pages, (u64)1));
    points = (1000 + points + t->group->oom_score_adj) * 2 / 3;
    seq_printf(s, "%ld\n", t->group->oom_score_adj == -1000 ? 0 : max(points, (s64)0));
    return 0;
}

static int oom_score_adj_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    seq_printf(s, "%d\n", t->group->oom_score_adj);
    return 0;
}

/* A decimal number between -1000 and 1000 with blanks around it. */
static bool parse_adj(const char *text, int *out)
{
    bool negative;
    u32 n;
    size_t size = 0;

    while (*text == ' ' || *text == '\t')
        text++;
    negative = *text == '-';
    text += negative || *text == '+';
    while (text[size] >= '0' && text[size] <= '9')
        size++;
    if (!pseudo_number(text, size, 1000, &n))
        return false;
    for (text += size; *text; text++) {
        if (!strchr(" \t\n", *text))
            return false;
    }
    *out = negative ? -(int)n : (int)n;
    return true;
}

static ssize_t oom_score_adj_store(const struct pseudo_node *node, char *text, size_t size)
{
    struct task *t;
    int adj;

    if (!parse_adj(text, &adj))
        return -EINVAL;
    t = task_find(node->tid);
    if (!t)
        return -ESRCH;
    WRITE_ONCE(t->group->oom_score_adj, adj);
    task_put(t);
    return (ssize_t)size;
}

static int core_filter_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    seq_printf(s, "%08x\n", READ_ONCE(t->group->core_filter));
    return 0;
}

/* As kstrtouint(..., 0): decimal, or hexadecimal behind 0x, or octal behind 0. */
static bool parse_filter(const char *text, u32 *out)
{
    unsigned base = 10;
    u64 value = 0;
    bool any = false;

    if (*text == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    } else if (*text == '0') {
        base = 8;
    }
    for (; *text && *text != '\n'; text++) {
        unsigned digit = *text >= 'a' ? *text - 'a' + 10u : *text >= 'A' ? *text - 'A' + 10u :
                         *text <= '9' ? *text - '0' + 0u : base;

        if (digit >= base)
            return false;
        value = value * base + digit;
        any = true;
        if (value > UINT32_MAX)
            return false;
    }
    *out = (u32)value;
    return any && (!*text || !text[1]);
}

static ssize_t core_filter_store(const struct pseudo_node *node, char *text, size_t size)
{
    struct task *t;
    u32 filter;

    if (!parse_filter(text, &filter))
        return -EINVAL;
    t = task_find(node->tid);
    if (!t)
        return -ESRCH;
    WRITE_ONCE(t->group->core_filter, filter & CORE_FILTER_ALL);
    task_put(t);
    return (ssize_t)size;
}

static int mounts_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    return proc_mounts(s, node);
}

static int mountinfo_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    return proc_mountinfo(s, node);
}

/* ---- Magic links ---------------------------------------------------------------------------- */

static void copy_place(struct fs_context *fs, const struct path *which, struct path *out)
{
    spin_lock(&fs->lock);
    *out = *which;
    path_get(out);
    spin_unlock(&fs->lock);
}

/* A task's root or working directory; -ENOENT once it ended. */
static int task_place(struct task *t, bool root, struct path *out)
{
    struct fs_context *fs = task_fs(t);
    int err = fs ? proc_may_look(t) : -ENOENT;

    if (!err)
        copy_place(fs, root ? &fs->root : &fs->cwd, out);
    fs_context_put(fs);
    return err;
}

static int place_text(struct seq *s, struct task *t, bool root)
{
    struct path p;
    int err = task_place(t, root, &p);

    if (err)
        return err;
    err = proc_path(s, &p, "");
    path_put(&p);
    return err;
}

static int cwd_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    return place_text(s, t, false);
}

static int root_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    return place_text(s, t, true);
}

/* An ended process runs no program any more. */
static bool has_program(struct task *t)
{
    struct mm *mm = task_mm(t);

    if (mm)
        mm_put(mm);
    return mm;
}

static int exe_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    int err = has_program(t) ? proc_may_look(t) : -ENOENT;
    char *path;

    if (err)
        return err;
    spin_lock(&t->group->lock);
    path = t->group->exe_path ? kstrdup(t->group->exe_path) : NULL;
    spin_unlock(&t->group->lock);
    if (!path)
        return -ENOENT;
    seq_puts(s, path);
    kfree(path);
    return 0;
}

static int place_follow(const struct pseudo_node *node, bool root, struct path *out)
{
    struct task *t = task_find(node->tid);
    int err = t ? task_place(t, root, out) : -ENOENT;

    if (t)
        task_put(t);
    return err;
}

static int cwd_follow(const struct pseudo_node *node, struct path *out)
{
    return place_follow(node, false, out);
}

static int root_follow(const struct pseudo_node *node, struct path *out)
{
    return place_follow(node, true, out);
}

/* The program's file by its name: one that was removed or replaced since is not found again. */
static int exe_follow(const struct pseudo_node *node, struct path *out)
{
    struct task *t = task_find(node->tid);
    struct seq s;
    int err = -ENOENT;

    if (!t)
        return err;
    seq_init(&s);
    err = exe_text(&s, node, t);
    seq_putc(&s, 0);
    if (!err)
        err = s.failed ? -ENOMEM : path_lookup_at(-100 /* AT_FDCWD */, s.buf, LOOKUP_FOLLOW, out);
    seq_free(&s);
    task_put(t);
    return err;
}

/* ---- Tables --------------------------------------------------------------------------------- */

static const struct pseudo_dir g_task_dir;

/* What a process and each of its threads have. */
#define COMMON_ENTRIES                                                                             \
    ENTRY_DIR("fd", 0500, &g_proc_fd_dir), ENTRY_DIR("fdinfo", 0555, &g_proc_fdinfo_dir),          \
        ENTRY_DIR("net", 0555, &g_proc_net_dir),                                                   \
        ENTRY_TASK("environ", 0400, proc_environ), ENTRY_TASK("auxv", 0400, proc_auxv),            \
        ENTRY_TASK("status", 0444, proc_status),                                                   \
        ENTRY_TASK("personality", 0400, personality_text),                                         \
        ENTRY_TASK("limits", 0444, proc_limits),                                                   \
        {.name = "comm", .mode = S_IFREG | 0644, .show_task = comm_text, .store = comm_store},     \
        ENTRY_TASK("cmdline", 0444, proc_cmdline), ENTRY_TASK("stat", 0444, proc_stat),            \
        ENTRY_TASK("statm", 0444, proc_statm), ENTRY_TASK("maps", 0444, proc_maps),                \
        {.name = "mem", .mode = S_IFREG | 0600, .fops = &g_proc_mem_ops},                          \
        ENTRY_MAGIC("cwd", cwd_text, cwd_follow), ENTRY_MAGIC("root", root_text, root_follow),     \
        ENTRY_MAGIC("exe", exe_text, exe_follow), ENTRY_TASK("mounts", 0444, mounts_text),         \
        ENTRY_TASK("mountinfo", 0444, mountinfo_text), ENTRY_TASK("smaps", 0444, proc_smaps),      \
        ENTRY_TASK("smaps_rollup", 0444, proc_smaps_rollup), ENTRY_CONST("wchan", "0"),            \
        ENTRY_CONST("cgroup", "0::/\n"), ENTRY_TASK("oom_score", 0444, oom_score_text),            \
        {.name = "oom_score_adj", .mode = S_IFREG | 0644, .show_task = oom_score_adj_text,         \
         .store = oom_score_adj_store},                                                            \
        ENTRY_TASK("io", 0400, io_text),                                                           \
        {.name = "coredump_filter", .mode = S_IFREG | 0644, .show_task = core_filter_text,         \
         .store = core_filter_store}

/* The process with the smallest number >= from that thread `tid` of `g` made; 0: none. */
static pid_t child_next(struct group *g, pid_t tid, pid_t from)
{
    struct group *child;
    pid_t found = 0;

    spin_lock(&g_task_list_lock);
    list_for_each(child, &g->children, sibling)
    {
        if (child->parent_tid == tid && child->tgid >= from && (!found || child->tgid < found))
            found = child->tgid;
    }
    spin_unlock(&g_task_list_lock);
    return found;
}

static int children_text(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    pid_t pid;

    for (pid_t from = 1; (pid = child_next(t->group, t->tid, from)); from = pid + 1)
        seq_printf(s, "%d ", pid);
    return 0;
}

static const struct pseudo_entry g_thread_entries[] = {
    COMMON_ENTRIES,
    ENTRY_TASK("children", 0444, children_text),
};

static const struct pseudo_dir g_thread_dir = {
    .entries = g_thread_entries,
    .count = ARRAY_COUNT(g_thread_entries),
};

static const struct pseudo_entry g_thread_entry = ENTRY_DIR(NULL, 0555, &g_thread_dir);

static const struct pseudo_entry g_pid_entries[] = {
    ENTRY_DIR("task", 0555, &g_task_dir),
    COMMON_ENTRIES,
};

static const struct pseudo_dir g_pid_dir = {
    .entries = g_pid_entries,
    .count = ARRAY_COUNT(g_pid_entries),
};

const struct pseudo_entry g_proc_pid_entry = ENTRY_DIR(NULL, 0555, &g_pid_dir);

struct group *proc_dir_group(const struct file *f)
{
    const struct pseudo_node *node = pseudo_dir_node(f);
    struct group *g;
    struct task *t;

    if (!node || node->entry != &g_proc_pid_entry)
        return ERR_PTR(-EBADF);
    t = task_find(node->tid);
    if (!t)
        return ERR_PTR(-ESRCH);
    g = t->group;
    ref_get(&g->ref);
    task_put(t);
    return g;
}

/* ---- Threads -------------------------------------------------------------------------------- */

/* The thread with the smallest number >= `from` in the process of `pid`; 0 when there is none. */
static pid_t thread_next(pid_t pid, pid_t from)
{
    struct task *t, *of = task_find(pid);
    struct group *g;
    pid_t found = 0;

    if (!of)
        return 0;
    g = of->group;
    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link) {
        if (t->tid >= from && (!found || t->tid < found))
            found = t->tid;
    }
    spin_unlock(&g->lock);
    task_put(of);
    return found;
}

static void thread_child(pid_t tid, struct pseudo_node *child)
{
    *child = (struct pseudo_node){.entry = &g_thread_entry, .tid = tid, .thread = true};
}

static int task_lookup(const struct pseudo_node *dir, const char *name, size_t size,
                       struct pseudo_node *child)
{
    u32 tid;

    if (!pseudo_number(name, size, PID_MAX, &tid) || !tid ||
        thread_next(dir->tid, (pid_t)tid) != (pid_t)tid)
        return -ENOENT;
    thread_child((pid_t)tid, child);
    return 0;
}

static bool task_next(const struct pseudo_node *dir, u32 *number, char name[16],
                      struct pseudo_node *child)
{
    pid_t tid = *number > PID_MAX ? 0 : thread_next(dir->tid, (pid_t)*number);

    if (!tid)
        return false;
    *number = (u32)tid;
    (void)snprintf(name, 16, "%d", tid);
    thread_child(tid, child);
    return true;
}

static bool task_holds(const struct pseudo_node *dir, const char *name, size_t size,
                       const struct pseudo_node *node)
{
    return node && thread_next(dir->tid, node->tid) == node->tid;
}

static const struct pseudo_dir g_task_dir = {
    .lookup = task_lookup,
    .next = task_next,
    .holds = task_holds,
};
