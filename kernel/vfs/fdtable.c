/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables. A number is taken in the `open` bitmap first and gets its file later, so that a
 * full table is noticed before a file is created. files->lock guards everything; a table that only
 * one thread uses can be read by it without the lock, because nobody else changes it.
 */
#include <kernel/alloc.h>
#include <syscalls.gen.h>
#include <linux/close_range.h>
#include <linux/resource.h>

#include "internal.h"

#define FDS_INITIAL 64u
#define FDS_MAX     (1u << 20) /* as Linux's default of fs.nr_open */

/* ---- Bitmaps ------------------------------------------------------------------------------------- */

static bool bit_test(const u64 *map, unsigned i)
{
    return map[i / 64] >> (i % 64) & 1;
}

static void bit_set(u64 *map, unsigned i, bool on)
{
    if (on)
        map[i / 64] |= 1UL << (i % 64);
    else
        map[i / 64] &= ~(1UL << (i % 64));
}

/* The first clear bit at or after `from`; `size` (a multiple of 64) when there is none. */
static unsigned bit_first_clear(const u64 *map, unsigned from, unsigned size)
{
    for (unsigned w = from / 64; w < size / 64; w++) {
        u64 taken = map[w];

        if (w == from / 64)
            taken |= (1UL << (from % 64)) - 1;
        if (~taken)
            return w * 64 + (unsigned)__builtin_ctzl(~taken);
    }
    return size;
}

/* ---- Tables ---------------------------------------------------------------------------------------- */

struct table {
    struct file **files;
    u64 *cloexec, *open;
};

static bool table_alloc(struct table *t, unsigned size)
{
    t->files = kcalloc(size, sizeof(struct file *));
    t->cloexec = kcalloc(size / 64, sizeof(u64));
    t->open = kcalloc(size / 64, sizeof(u64));
    return t->files && t->cloexec && t->open;
}

static void table_free(struct table *t)
{
    kfree(t->files);
    kfree(t->cloexec);
    kfree(t->open);
}

struct files *files_create(void) NO_LOCK_ANALYSIS /* nobody sees it yet */
{
    struct files *f = kzalloc(sizeof(*f));
    struct table t;

    if (!f)
        return NULL;
    if (!table_alloc(&t, FDS_INITIAL)) {
        table_free(&t);
        kfree(f);
        return NULL;
    }
    ref_init(&f->ref);
    spin_init(&f->lock, "files");
    f->table = t.files;
    f->cloexec = t.cloexec;
    f->open = t.open;
    f->size = FDS_INITIAL;
    return f;
}

static int file_close(struct files *files, struct file *f)
{
    int err = f->ops->flush ? f->ops->flush(f) : 0;

    if (unlikely(f->inode->locks))
        lock_close(f, files);
    file_put(f);
    return err;
}

void files_put(struct files *files) NO_LOCK_ANALYSIS /* the last user */
{
    struct table t;

    if (!ref_put(&files->ref))
        return;
    for (unsigned i = 0; i < files->size; i++) {
        if (files->table[i])
            (void)file_close(files, files->table[i]);
    }
    t = (struct table){files->table, files->cloexec, files->open};
    table_free(&t);
    kfree(files);
}

/* Swaps in the bigger table; *t is the old one afterwards. */
static void table_swap(struct files *files, struct table *t, unsigned size) REQUIRES(&files->lock)
{
    struct table old = {files->table, files->cloexec, files->open};

    memcpy(t->files, old.files, files->size * sizeof(struct file *));
    memcpy(t->cloexec, old.cloexec, files->size / 8);
    memcpy(t->open, old.open, files->size / 8);
    files->table = t->files;
    files->cloexec = t->cloexec;
    files->open = t->open;
    files->size = size;
    *t = old;
}

/* Makes room for descriptor `fd`: the memory is taken before the lock. -ENOMEM, -EMFILE. */
static int files_grow(struct files *files, unsigned fd)
{
    struct table t;
    unsigned size = FDS_INITIAL;

    if (fd >= FDS_MAX)
        return -EMFILE;
    while (size <= fd)
        size *= 2;
    if (!table_alloc(&t, size)) {
        table_free(&t);
        return -ENOMEM;
    }
    spin_lock(&files->lock);
    if (files->size < size)
        table_swap(files, &t, size);
    spin_unlock(&files->lock);
    table_free(&t);
    return 0;
}

/* ---- Looking up -------------------------------------------------------------------------------------- */

static bool table_is_own(const struct files *files)
{
    return __atomic_load_n(&files->ref.n, __ATOMIC_ACQUIRE) == 1;
}

/* Under the lock, or in a table that is our own. */
static struct file *fd_find(struct files *files, int fd, bool path_too) NO_LOCK_ANALYSIS
{
    struct file *f = (unsigned)fd < files->size ? files->table[fd] : NULL;

    return f && (path_too || likely(!(f->flags & O_PATH))) ? f : NULL;
}

static struct file *fd_get_any(int fd, bool path_too)
{
    struct files *files = current->files;
    struct file *f;

    spin_lock(&files->lock);
    f = fd_find(files, fd, path_too);
    if (f)
        file_get(f);
    spin_unlock(&files->lock);
    return f;
}

struct file *fd_get(int fd)
{
    return fd_get_any(fd, false);
}

struct file *fd_get_path(int fd)
{
    return fd_get_any(fd, true);
}

struct fd fd_borrow(int fd) NO_LOCK_ANALYSIS
{
    struct files *files = current->files;

    if (likely(table_is_own(files)))
        return (struct fd){fd_find(files, fd, false), false};
    return (struct fd){fd_get(fd), true};
}

/* ---- Taking numbers ---------------------------------------------------------------------------------- */

/* -EMFILE is for numbers beyond RLIMIT_NOFILE; -EAGAIN: the table must grow to hold *need first. */
static int reserve_locked(struct files *files, unsigned from, bool cloexec, unsigned *need)
    REQUIRES(&files->lock)
{
    u64 limit = min(rlimit(RLIMIT_NOFILE), (u64)FDS_MAX);
    unsigned fd;

    fd = bit_first_clear(files->open, max(from, files->next), files->size);
    if (fd < from)
        fd = from;
    if (fd >= limit)
        return -EMFILE;
    if (unlikely(fd >= files->size)) {
        *need = fd;
        return -EAGAIN;
    }
    bit_set(files->open, fd, true);
    bit_set(files->cloexec, fd, cloexec);
    if (from <= files->next)
        files->next = fd + 1;
    return (int)fd;
}

/* Takes a number and, when there is one, gives it `f` at once. */
static int reserve(struct file *f, unsigned from, bool cloexec)
{
    struct files *files = current->files;
    unsigned need = 0;
    int fd;

    do {
        spin_lock(&files->lock);
        fd = reserve_locked(files, from, cloexec, &need);
        if (fd >= 0 && f)
            files->table[fd] = f;
        spin_unlock(&files->lock);
        if (unlikely(fd == -EAGAIN)) {
            int err = files_grow(files, need);

            if (err)
                return err;
        }
    } while (unlikely(fd == -EAGAIN));
    return fd;
}

int fd_reserve(unsigned from, bool cloexec)
{
    return reserve(NULL, from, cloexec);
}

void fd_commit(int fd, struct file *f)
{
    struct files *files = current->files;

    spin_lock(&files->lock);
    files->table[fd] = f;
    spin_unlock(&files->lock);
}

static void number_free(struct files *files, unsigned fd) REQUIRES(&files->lock)
{
    files->table[fd] = NULL;
    bit_set(files->open, fd, false);
    bit_set(files->cloexec, fd, false);
    if (fd < files->next)
        files->next = fd;
}

void fd_cancel(int fd)
{
    struct files *files = current->files;

    spin_lock(&files->lock);
    number_free(files, (unsigned)fd);
    spin_unlock(&files->lock);
}

int fd_install(struct file *f, int from, bool cloexec)
{
    int fd = reserve(f, (unsigned)from, cloexec);

    if (fd < 0)
        file_put(f);
    return fd;
}

/* Puts `f` at `fd`; the file that was there into *old. -EBUSY: the number is being opened. */
static int install_at(struct files *files, struct file *f, unsigned fd, bool cloexec,
                      struct file **old) REQUIRES(&files->lock)
{
    if (bit_test(files->open, fd) && !files->table[fd])
        return -EBUSY;
    *old = files->table[fd];
    files->table[fd] = f;
    bit_set(files->open, fd, true);
    bit_set(files->cloexec, fd, cloexec);
    return (int)fd;
}

int fd_install_at(struct file *f, int fd, bool cloexec)
{
    struct files *files = current->files;
    struct file *old = NULL;
    int ret = -EBADF;

    if ((unsigned)fd < min(rlimit(RLIMIT_NOFILE), (u64)FDS_MAX))
        ret = (unsigned)fd < READ_ONCE(files->size) ? 0 : files_grow(files, (unsigned)fd);
    if (!ret) {
        spin_lock(&files->lock);
        ret = install_at(files, f, (unsigned)fd, cloexec, &old);
        spin_unlock(&files->lock);
    }
    if (ret < 0)
        file_put(f);
    if (old)
        (void)file_close(files, old);
    return ret;
}

int fd_get_cloexec(int fd)
{
    struct files *files = current->files;
    int ret = -EBADF;

    spin_lock(&files->lock);
    if (fd_find(files, fd, true))
        ret = bit_test(files->cloexec, (unsigned)fd);
    spin_unlock(&files->lock);
    return ret;
}

int fd_set_cloexec(int fd, bool cloexec)
{
    struct files *files = current->files;
    int ret = -EBADF;

    spin_lock(&files->lock);
    if (fd_find(files, fd, true)) {
        bit_set(files->cloexec, (unsigned)fd, cloexec);
        ret = 0;
    }
    spin_unlock(&files->lock);
    return ret;
}

/* ---- Closing ------------------------------------------------------------------------------------------- */

static struct file *take(struct files *files, unsigned fd)
{
    struct file *f = NULL;

    spin_lock(&files->lock);
    if (fd < files->size && files->table[fd]) {
        f = files->table[fd];
        number_free(files, fd);
    }
    spin_unlock(&files->lock);
    return f;
}

int fd_close(int fd)
{
    struct files *files = current->files;
    struct file *f = take(files, (unsigned)fd);

    return f ? file_close(files, f) : -EBADF;
}

long sys_close(int fd)
{
    return fd_close(fd);
}

void files_close_on_exec(struct files *files)
{
    for (unsigned i = 0;; i++) {
        struct file *f = NULL;

        spin_lock(&files->lock);
        if (i >= files->size) {
            spin_unlock(&files->lock);
            return;
        }
        if (files->table[i] && bit_test(files->cloexec, i)) {
            f = files->table[i];
            number_free(files, i);
        }
        spin_unlock(&files->lock);
        if (f)
            (void)file_close(files, f);
    }
}

/* A table of our own with what the shared one holds outside [first, last] (close_range's UNSHARE). */
struct files *files_copy(struct files *from) NO_LOCK_ANALYSIS /* nobody sees the copy */
{
    struct files *copy = files_create();
    unsigned size = READ_ONCE(from->size);

    if (!copy)
        return NULL;
    if (files_grow(copy, size - 1)) {
        files_put(copy);
        return NULL;
    }
    spin_lock(&from->lock);
    for (unsigned i = 0; i < size; i++) {
        if (!from->table[i])
            continue;
        copy->table[i] = file_get(from->table[i]);
        bit_set(copy->open, i, true);
        bit_set(copy->cloexec, i, bit_test(from->cloexec, i));
    }
    spin_unlock(&from->lock);
    return copy;
}

static int files_unshare(void)
{
    struct files *own;

    if (table_is_own(current->files))
        return 0;
    own = files_copy(current->files);
    if (!own)
        return -ENOMEM;
    files_put(current->files);
    current->files = own;
    return 0;
}

static void range_set_cloexec(struct files *files, unsigned first, unsigned last)
{
    spin_lock(&files->lock);
    for (unsigned fd = first; fd <= last && fd < files->size; fd++) {
        if (files->table[fd])
            bit_set(files->cloexec, fd, true);
    }
    spin_unlock(&files->lock);
}

long sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    struct files *files;

    if (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    if (first > last)
        return -EINVAL;
    if (flags & CLOSE_RANGE_UNSHARE) {
        int err = files_unshare();

        if (err)
            return err;
    }
    files = current->files;
    if (flags & CLOSE_RANGE_CLOEXEC) {
        range_set_cloexec(files, first, last);
        return 0;
    }
    for (unsigned fd = first; fd <= last && fd < READ_ONCE(files->size); fd++) {
        struct file *f = take(files, fd);

        if (f)
            (void)file_close(files, f);
    }
    return 0;
}
