/* SPDX-License-Identifier: MIT */
/*
 * File descriptor tables. files->lock (spinlock) guards the table; lookups take a reference on the
 * file under it. RLIMIT_NOFILE bounds descriptors.
 */
#ifndef KERNEL_FILES_H
#define KERNEL_FILES_H

#include <kernel/fs.h>

struct files {
    ref_t ref;
    spinlock_t lock;
    struct file **table GUARDED_BY(&lock);
    u64 *cloexec GUARDED_BY(&lock); /* bitmap */
    unsigned size GUARDED_BY(&lock);
    unsigned next GUARDED_BY(&lock); /* no free descriptor below */
    u64 *open GUARDED_BY(&lock);    /* bitmap of taken numbers; the file may still be coming */
};

struct files *files_create(void);
/* A table of its own with the same files; NULL: no memory. */
struct files *files_copy(struct files *from);
void files_put(struct files *f);

/* The file with a new reference, or NULL when `fd` is not open. O_PATH files only when asked. */
struct file *fd_get(int fd);
struct file *fd_get_path(int fd);

/*
 * A descriptor's file for the duration of one call, without a reference when nobody else can close it
 * (the table belongs to one thread): the fast way for read, write and the like.
 */
struct fd {
    struct file *file; /* NULL: not open */
    bool put;
};
struct fd fd_borrow(int fd);
static inline void fd_release(struct fd f)
{
    if (unlikely(f.put))
        file_put(f.file);
}

/* Takes the lowest free number >= from before its file exists, then gives it one (or it back). */
int fd_reserve(unsigned from, bool cloexec);
void fd_commit(int fd, struct file *f);
void fd_cancel(int fd);

/* Installs (consumes one reference) at the lowest free number >= from. fd, -EMFILE or -ENOMEM. */
int fd_install(struct file *f, int from, bool cloexec);
/*
 * Installs exactly at `fd` (consumes one reference), closing what was there: dup2(2), dup3(2).
 * fd, -EBADF when it lies beyond RLIMIT_NOFILE, or -ENOMEM.
 */
int fd_install_at(struct file *f, int fd, bool cloexec);
/* FD_CLOEXEC of an open descriptor: 0 or 1, 0 when set; -EBADF. */
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool cloexec);
/* close(2)'s work: 0 or -EBADF, or what flush says. */
int fd_close(int fd);
/* exec(2): closes what is marked. */
void files_close_on_exec(struct files *f);

#endif
