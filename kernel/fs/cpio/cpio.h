/* SPDX-License-Identifier: MIT */
/*
 * "newc" CPIO archives (magic 070701 and 070702): a walk over the headers. A pure function over a
 * reader: no globals, no file system. Source: cpio(5), the kernel's buffer-format.rst.
 */
#ifndef KERNEL_FS_CPIO_H
#define KERNEL_FS_CPIO_H

#include <kernel/types.h>

#define CPIO_HEADER_SIZE 110u
#define CPIO_NAME_MAX    4096u /* with its NUL */

struct cpio_reader {
    /* Fills `buf` with [offset, offset + size), which lies below `size` or `end`. 0 or -errno. */
    int (*read)(void *ctx, u64 offset, void *buf, size_t size);
    void *ctx;
    u64 size;  /* of the archive in bytes */
    u64 index; /* where its index stands, behind it; 0: there is none */
    u64 end;   /* of what can be read, with an index */
};

struct cpio_entry {
    const char *name; /* as it stands; valid during the call */
    size_t name_size; /* without NUL */
    u64 offset;       /* of the header */
    u64 data_offset;
    u64 data_size;
    u32 ino, mode, uid, gid, nlink, mtime;
    u32 dev_major, dev_minor, rdev_major, rdev_minor;
};

struct cpio_sink {
    /* One entry, in order. 0, or -errno with *why (static text) set: the walk ends with it. */
    int (*entry)(void *ctx, const struct cpio_entry *e, const char **why);
    void *ctx;
};

/* Why a walk failed. */
struct cpio_error {
    u64 offset;      /* of the entry or byte in question */
    const char *why; /* static text */
};

/*
 * Walks every entry up to the trailer, and archives that follow it, by their headers or, where there
 * is one, by the index. The data of entries is not read. 0, or -errno with *err filled: -EINVAL for
 * a malformed or truncated archive, else what the reader or the sink returned.
 */
int cpio_walk(const struct cpio_reader *r, const struct cpio_sink *sink, struct cpio_error *err);

#endif
