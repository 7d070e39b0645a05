/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the root archive: the walk and the building of the tree must end with an answer,
 * inside the bytes, and what was built must come apart again without a leak.
 *
 * libFuzzer's entry point; built with gcc it is a program that runs the files named on its command
 * line, and each of them with random changes for -max_total_time=SECONDS.
 */
#include <kernel/fs.h>
#include <kernel/printk.h>
#include <kernel/string.h>

#include "../../kernel/fs/cpio/populate.h"
#include "../../kernel/fs/ramfs/ramfs.h"
#include "../../kernel/vfs/pagecache.h"
#include "../../kernel/vfs/test/vfs_host.h"

struct bytes {
    const u8 *data;
    size_t size;
};

static int read_bytes(void *ctx, u64 offset, void *buf, size_t size)
{
    const struct bytes *b = ctx;

    ASSERT(offset <= b->size && size <= b->size - offset);
    memcpy(buf, b->data + offset, size);
    return 0;
}

static int fill_nothing(struct inode *inode, u64 index, void *page)
{
    return -EIO;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const struct pagecache_ops ops = {.fill = fill_nothing};
    static struct fs_type type = {.name = "fuzz"};
    struct bytes b = {data, size};
    struct cpio_reader r = {.read = read_bytes, .ctx = &b, .size = size};
    struct cpio_error err = {0};
    struct superblock *sb;

    if (size > 8 && memcmp(data, "0INDEX", 6) == 0) { /* the rest is an archive's index */
        r.index = 8;
        r.end = size;
    }
    if (host_vfs_start(NULL))
        return -1;
    sb = sb_create(&type, NULL, 0);
    sb->root = ramfs_inode_create(sb, S_IFDIR | 0755, 0, NULL);
    sb->root->nlink = 2;
    if (cpio_populate(sb, &r, &ops, &err))
        ASSERT(err.why && err.offset <= size);
    sb_put(sb);
    return 0;
}
