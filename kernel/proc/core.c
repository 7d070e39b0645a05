/* SPDX-License-Identifier: MIT */
/*
 * When a process leaves a core file, and what its threads do meanwhile. Source: core(5), signal(7), and Linux's
 * fs/coredump.c for the checks and their order.
 *
 * The thread that dies by the signal decides the process' status and tells all others to end. Each of those
 * saves its vector state and rests at the start of its end (core_rest()); a thread that has begun to end before is not
 * in the file. When all others rest or have gone the writer writes, then lets them go on. SIGKILL meanwhile
 * (group_kill()) takes g->core_task away: from then on the writer must end like any other thread, which stops the
 * writing at the next page and every wait in it.
 *
 * Locking: group->lock guards who rests. What a resting thread's task holds is read without it.
 */
#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/printk.h>
#include <kernel/wait.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include "core.h"

#define STATUS_DUMPED 0x80 /* wait(2): WCOREDUMP */
#define FILE_MODE     0600

/* ---- Threads ---------------------------------------------------------------------------------------- */

/* What the file tells of the current thread and its registers do not hold. */
static void save_state(struct task *t)
{
    t->fs_base = arch_get_fs_base();
    (void)signal_save_vectors();
}

void core_rest(struct task *t)
{
    struct group *g = t->group;
    int ret;

    if (likely(!READ_ONCE(g->core_writing)))
        return;
    save_state(t);
    spin_lock(&g->lock);
    t->resting = g->core_writing;
    g->resting += t->resting;
    spin_unlock(&g->lock);
    waitqueue_wake(&g->exit_wait, ~0u);
    wait_event(ret, &g->exit_wait, !READ_ONCE(g->core_writing), DEADLINE_NONE, false);
    (void)ret; /* nothing interrupts it */
    spin_lock(&g->lock);
    g->resting -= t->resting;
    t->resting = false;
    spin_unlock(&g->lock);
}

static bool others_rest(struct group *g)
{
    bool rest;

    spin_lock(&g->lock);
    rest = g->live == 1 + g->ending + g->resting;
    spin_unlock(&g->lock);
    return rest;
}

/* The current thread is to write. False: somebody else has decided how the process ends. */
static bool begin(struct core *c)
{
    struct task *t = current;
    struct group *g = t->group;
    int ret;

    if (!group_begin_exit(c->info->si_signo, true))
        return false;
    spin_lock(&g->lock);
    c->blocked = t->blocked;
    t->blocked = ~0UL; /* signals that come now have nobody to take them */
    spin_unlock(&g->lock);
    wait_event(ret, &g->exit_wait, others_rest(g), DEADLINE_NONE, false);
    (void)ret;
    save_state(t);
    return true;
}

/* The others go on. Whether the file counts: not when SIGKILL came in between. */
static bool finish(bool written)
{
    struct group *g = current->group;

    spin_lock(&g->lock);
    written = written && g->core_task == current;
    if (written)
        g->exit_status |= STATUS_DUMPED;
    g->core_task = NULL;
    g->core_writing = false;
    spin_unlock(&g->lock);
    waitqueue_wake(&g->exit_wait, ~0u);
    return written;
}

/* The writer and who rests. -ENOMEM. */
static int collect_threads(struct core *c)
{
    struct group *g = current->group;
    struct task *t;
    size_t room = READ_ONCE(g->resting) + 1; /* stays as it is until finish() */

    c->threads = kcalloc(room, sizeof(struct task *));
    if (!c->threads)
        return -ENOMEM;
    c->threads[0] = current;
    c->thread_count = 1;
    spin_lock(&g->lock);
    list_for_each(t, &g->tasks, group_link)
    {
        if (t->resting && c->thread_count < room)
            c->threads[c->thread_count++] = t;
    }
    spin_unlock(&g->lock);
    return 0;
}

/* What is mapped; the writer is the only thread, but relatives in the same memory (vfork) may change it. */
static int collect_segments(struct core *c)
{
    struct mm *mm = current->mm;
    size_t room = mm_segments(mm, NULL, 0);

    if (room >= PN_XNUM - 1)
        return -E2BIG;
    c->segments = kcalloc(room, sizeof(struct mm_segment));
    if (!c->segments)
        return -ENOMEM;
    c->segment_count = min(mm_segments(mm, c->segments, room), room);
    return 0;
}

/* ---- The file --------------------------------------------------------------------------------------- */

/* A regular file that this open made, of the process' user alone (fs/coredump.c). */
static bool file_fit(const struct file *f)
{
    const struct inode *i = f->inode;

    return S_ISREG(i->mode) && i->nlink == 1 && (i->mode & 0677) == FILE_MODE &&
           i->uid == current_cred()->fsuid;
}

static struct file *open_file(const char *name)
{
    struct file *f;

    (void)vfs_unlink(name); /* an old one is not written into: others may have it open */
    f = file_open(name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_LARGEFILE, FILE_MODE);
    if (IS_ERR(f) || file_fit(f))
        return f;
    file_put(f);
    return ERR_PTR(-EPERM);
}

/* Whether there is a file. */
static bool write_file(struct core *c, const char *name)
{
    int err = collect_threads(c);

    if (!err)
        err = collect_segments(c);
    if (!err)
        err = core_notes(c);
    if (!err) {
        c->file = open_file(name);
        err = IS_ERR(c->file) ? (int)PTR_ERR(c->file) : 0;
    }
    if (err) {
        pr_warn("%s[%d]: no core file %s: %s", current->comm, current->tid, name, pr_reason_for(err));
        return false;
    }
    core_write(c);
    file_put(c->file);
    return true;
}

static void release(struct core *c)
{
    for (size_t i = 0; i < c->segment_count; i++) {
        if (c->segments[i].file)
            file_put(c->segments[i].file);
    }
    kfree(c->segments);
    kfree(c->threads);
    kfree(c->notes);
}

/* RLIMIT_CORE below a page: none (Linux's min_coredump). */
static bool wanted(void)
{
    return core_pattern()[0] && READ_ONCE(current->group->dumpable) == 1 && rlimit(RLIMIT_CORE) >= PAGE_SIZE;
}

int core_dump(const siginfo_t *info)
{
    struct core c = {.info = info, .limit = rlimit(RLIMIT_CORE)};
    char *name = wanted() ? kmalloc(PATH_MAX_) : NULL;
    bool written = false;

    if (name && !core_name(info->si_signo, name, PATH_MAX_) && begin(&c))
        written = finish(write_file(&c, name));
    release(&c);
    kfree(name);
    return written ? STATUS_DUMPED : 0;
}
