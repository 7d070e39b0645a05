/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks: flock(2), fcntl(2)'s record locks (owned by the process: its descriptor table) and
 * OFD locks (owned by the description). Record locks of one owner never overlap: setting a range
 * splits and merges what was there. flock and record locks do not see each other, as on Linux.
 *
 * Locking: one mutex guards all lock lists, so that the search for deadlocks sees them stand still.
 * A file has a list only while it has locks (inode->locks).
 */
#include <kernel/alloc.h>
#include <kernel/signal.h>
#include <syscalls.gen.h>
#include <kernel/wait.h>
#include <linux/fs.h>

#include "internal.h"
#include "rw.h"

enum lock_kind { LOCK_FLOCK, LOCK_POSIX, LOCK_OFD };

struct lock {
    struct list link;    /* lock_list.locks */
    enum lock_kind kind;
    const void *owner;   /* struct files for LOCK_POSIX, struct file else */
    pid_t pid;
    bool write;
    u64 start, end;      /* inclusive */
};

struct lock_list {
    struct list locks;
    struct waitqueue wait;
    unsigned waiters;    /* tasks that use `wait` */
};

/* A blocked LOCK_POSIX request, for deadlock detection. */
struct blocked {
    struct list link;
    const void *owner, *on; /* who waits for whom */
};

static mutex_t g_lock_lock = MUTEX_INIT("file_locks");
static struct list g_blocked GUARDED_BY(&g_lock_lock) = LIST_INIT(g_blocked);

#define LOCK_END ((u64)INT64_MAX)

static bool same_class(enum lock_kind a, enum lock_kind b)
{
    return (a == LOCK_FLOCK) == (b == LOCK_FLOCK);
}

static bool overlap(const struct lock *a, const struct lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

static bool same_owner(const struct lock *a, const struct lock *b)
{
    return a->kind == b->kind && a->owner == b->owner;
}

/* The lock that stands in the way of `want`: of several, the one that starts first. */
static struct lock *conflict(struct lock_list *l, const struct lock *want)
{
    struct lock *k, *first = NULL;

    if (!l)
        return NULL;
    list_for_each(k, &l->locks, link) {
        if (same_class(k->kind, want->kind) && !same_owner(k, want) && overlap(k, want) &&
            (k->write || want->write) && (!first || k->start < first->start))
            first = k;
    }
    return first;
}

static struct lock_list *list_of(struct inode *inode)
{
    struct lock_list *l = inode->locks;

    if (l)
        return l;
    l = kzalloc(sizeof(*l));
    if (l) {
        list_init(&l->locks);
        waitqueue_init(&l->wait);
        inode->locks = l;
    }
    return l;
}

/* Frees the list when nothing is left in it. */
static void list_settle(struct inode *inode)
{
    struct lock_list *l = inode->locks;

    if (l && list_empty(&l->locks) && !l->waiters) {
        inode->locks = NULL;
        kfree(l);
    }
}

/* ---- Changing a range --------------------------------------------------------------------------------- */

static void lock_free(struct lock *k)
{
    list_del(&k->link);
    kfree(k);
}

/* Cuts [start, end] out of the owner's lock `k`; `spare` is used when it splits. True if it was. */
static bool lock_cut(struct lock *k, const struct lock *by, struct lock *spare)
{
    if (k->start < by->start && k->end > by->end) {
        *spare = *k;
        spare->start = by->end + 1;
        k->end = by->start - 1;
        list_add(&k->link, &spare->link);
        return true;
    }
    if (k->start < by->start)
        k->end = by->start - 1;
    else if (k->end > by->end)
        k->start = by->end + 1;
    else
        lock_free(k);
    return false;
}

/* The owner's locks in the range of `by` go. Returns true when `spare` was used. */
static bool range_clear(struct lock_list *l, const struct lock *by, struct lock *spare)
{
    struct lock *k, *tmp;
    bool used = false;

    list_for_each_safe(k, tmp, &l->locks, link) {
        if (same_owner(k, by) && overlap(k, by))
            used |= lock_cut(k, by, spare);
    }
    return used;
}

/* Joins `k` with the owner's neighbours of the same type. */
static void range_merge(struct lock_list *l, struct lock *k)
{
    struct lock *n, *tmp;

    list_for_each_safe(n, tmp, &l->locks, link) {
        if (n == k || !same_owner(n, k) || n->write != k->write)
            continue;
        if (n->end + 1 == k->start)
            k->start = n->start;
        else if (k->end + 1 == n->start)
            k->end = n->end;
        else
            continue;
        lock_free(n);
    }
}

/* Sets the range; `set` NULL only clears. Cannot fail: the memory is there. */
static void range_apply(struct lock_list *l, const struct lock *want, struct lock *set,
                        struct lock *spare)
{
    if (!range_clear(l, want, spare))
        kfree(spare);
    if (set) {
        list_add_tail(&l->locks, &set->link);
        range_merge(l, set);
    }
    waitqueue_wake(&l->wait, ~0u);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

/* Would `owner` wait for itself through what `on` waits for? */
static bool would_deadlock(const void *owner, const void *on)
{
    struct blocked *b;

    for (unsigned hops = 0; hops < 64; hops++) {
        const void *next = NULL;

        if (on == owner)
            return true;
        list_for_each(b, &g_blocked, link) {
            if (b->owner == on)
                next = b->on;
        }
        if (!next)
            return false;
        on = next;
    }
    return false;
}

/* Blocks until the list changes. g_lock_lock is dropped meanwhile. */
static int wait_for_change(struct inode *inode, const struct lock *want, const struct lock *holder)
    NO_LOCK_ANALYSIS
{
    struct lock_list *l = inode->locks;
    struct blocked b = {.owner = want->owner, .on = holder->owner};
    struct waiter w;
    int err;

    if (want->kind == LOCK_POSIX && holder->kind == LOCK_POSIX &&
        would_deadlock(b.owner, b.on))
        return -EDEADLK;
    list_init(&b.link);
    if (want->kind == LOCK_POSIX)
        list_add(&g_blocked, &b.link);
    l->waiters++;
    waiter_add(&w, &l->wait, ~0u);
    mutex_unlock(&g_lock_lock);
    err = task_block(DEADLINE_NONE, true);
    mutex_lock(&g_lock_lock);
    waiter_remove(&w);
    l->waiters--;
    list_del(&b.link);
    return err == -EINTR ? -ERESTARTSYS : 0;
}

/* Waits (or not) until nothing conflicts. */
static int await_free(struct inode *inode, const struct lock *want, bool wait)
{
    struct lock *k;

    while ((k = conflict(inode->locks, want))) {
        int err = wait ? wait_for_change(inode, want, k) : -EAGAIN;

        if (err)
            return err;
    }
    return 0;
}

/* Sets or (unlock) clears the range of `want`. */
static int lock_apply(struct inode *inode, const struct lock *want, bool unlock, bool wait)
{
    struct lock *set = unlock ? NULL : kmalloc(sizeof(*set)), *spare = kmalloc(sizeof(*spare));
    struct lock_list *l = NULL;
    int err = 0;

    mutex_lock(&g_lock_lock);
    if (!unlock)
        err = await_free(inode, want, wait);
    if (!err) {
        l = list_of(inode);
        err = l && spare && (set || unlock) ? 0 : -ENOLCK;
    }
    if (!err) {
        if (set)
            *set = *want;
        range_apply(l, want, set, spare);
    }
    list_settle(inode);
    mutex_unlock(&g_lock_lock);
    if (err) {
        kfree(set);
        kfree(spare);
    }
    return err;
}

/* ---- fcntl(2) -------------------------------------------------------------------------------------------------- */

/* The range of a struct flock, which may count from the offset or the end and go backwards. */
static int flock_range(struct file *f, const struct flock *fl, struct lock *out)
{
    loff_t start = 0, end;

    switch (fl->l_whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        start = file_tell(f);
        break;
    case SEEK_END:
        start = (loff_t)READ_ONCE(f->inode->size);
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(start, fl->l_start, &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    if (fl->l_len > 0) {
        if (__builtin_add_overflow(start, fl->l_len - 1, &end))
            return -EOVERFLOW;
    } else if (fl->l_len < 0) {
        end = start - 1;
        start += fl->l_len;
        if (start < 0)
            return -EINVAL;
    } else {
        end = INT64_MAX;
    }
    out->start = (u64)start;
    out->end = (u64)end;
    return 0;
}

static int lock_from_flock(struct file *f, const struct flock *fl, bool ofd, struct lock *out)
{
    *out = (struct lock){
        .kind = ofd ? LOCK_OFD : LOCK_POSIX,
        .owner = ofd ? (void *)f : (void *)current->files,
        .pid = ofd ? -1 : current->group->tgid,
        .write = fl->l_type == F_WRLCK,
    };
    if (ofd && fl->l_pid)
        return -EINVAL;
    if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK && fl->l_type != F_UNLCK)
        return -EINVAL;
    return flock_range(f, fl, out);
}

int lock_record_get(struct file *f, struct flock *fl, bool ofd)
{
    struct lock want, *k;
    int err = lock_from_flock(f, fl, ofd, &want);

    if (err || fl->l_type == F_UNLCK)
        return err ? err : -EINVAL;
    mutex_lock(&g_lock_lock);
    k = conflict(f->inode->locks, &want);
    if (!k) {
        fl->l_type = F_UNLCK;
    } else {
        fl->l_type = k->write ? F_WRLCK : F_RDLCK;
        fl->l_whence = SEEK_SET;
        fl->l_start = (loff_t)k->start;
        fl->l_len = k->end == LOCK_END ? 0 : (loff_t)(k->end - k->start + 1);
        fl->l_pid = k->pid;
    }
    mutex_unlock(&g_lock_lock);
    return 0;
}

int lock_record_set(struct file *f, const struct flock *fl, bool ofd, bool wait)
{
    struct lock want;
    int err = lock_from_flock(f, fl, ofd, &want);

    if (err)
        return err;
    if (fl->l_type == F_RDLCK && !file_readable(f))
        return -EBADF;
    if (fl->l_type == F_WRLCK && !file_writable(f))
        return -EBADF;
    if (ofd)
        f->internal |= FILE_LOCKED;
    return lock_apply(f->inode, &want, fl->l_type == F_UNLCK, wait);
}

/* ---- flock(2) ---------------------------------------------------------------------------------------------------- */

static int flock_file(struct file *f, int op)
{
    struct lock want = {
        .kind = LOCK_FLOCK,
        .owner = f,
        .pid = current->group->tgid,
        .write = (op & ~LOCK_NB) == LOCK_EX,
        .end = LOCK_END,
    };

    switch (op & ~LOCK_NB) {
    case LOCK_UN:
        return lock_apply(f->inode, &want, true, false);
    case LOCK_SH:
    case LOCK_EX:
        f->internal |= FILE_LOCKED;
        return lock_apply(f->inode, &want, false, !(op & LOCK_NB));
    default:
        return -EINVAL;
    }
}

long sys_flock(int fd, int op)
{
    struct file *f = fd_get(fd);
    int err;

    if (!f)
        return -EBADF;
    err = flock_file(f, op);
    file_put(f);
    return err;
}

/* ---- Closing ------------------------------------------------------------------------------------------------------ */

static void drop_owned(struct inode *inode, enum lock_kind kind, const void *owner)
{
    struct lock_list *l;
    struct lock *k, *tmp;

    mutex_lock(&g_lock_lock);
    l = inode->locks;
    if (l) {
        list_for_each_safe(k, tmp, &l->locks, link) {
            if (k->kind == kind && k->owner == owner)
                lock_free(k);
        }
        waitqueue_wake(&l->wait, ~0u);
        list_settle(inode);
    }
    mutex_unlock(&g_lock_lock);
}

void lock_close(struct file *f, struct files *owner)
{
    drop_owned(f->inode, LOCK_POSIX, owner);
}

void lock_release(struct file *f)
{
    drop_owned(f->inode, LOCK_FLOCK, f);
    drop_owned(f->inode, LOCK_OFD, f);
}
