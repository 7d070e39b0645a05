/* SPDX-License-Identifier: MIT */
/*
 * The root archive: the manifest's CPIO image behind its hash tree, as the content of the root ramfs.
 * Headers, or their index, are verified and walked at boot; a page of file data is verified when it is
 * first needed.
 */
#include "rootfs.h"

#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <manifest.h>

#include "../../block/verity.h"
#include "../../vfs/pagecache.h"
#include "../ramfs/ramfs.h"
#include "populate.h"

static struct verity *g_image; /* set once at boot; lives as long as the root */

/* cache->lock held. */
static int fill_page(struct inode *inode, u64 index, void *page)
{
    u64 start = index * PAGE_SIZE;
    u64 size = min(inode->cache->backed_size - start, PAGE_SIZE);

    return verity_read(g_image, ramfs_info(inode)->archive_offset + start, page, size);
}

static const struct pagecache_ops g_archive_ops = {.fill = fill_page};

static int read_image(void *ctx, u64 offset, void *buf, size_t size)
{
    return verity_read(ctx, offset, buf, size);
}

static int root_open(const struct manifest_root *root)
{
    const void __host *base;
    u64 size;
    int err = target_rootfs(&base, &size);

    if (err)
        return pr_reason(err, "the manifest names a root archive, but the host gave none");
    return verity_open(root, base, size, &g_image);
}

int rootfs_populate(struct superblock *sb, const struct manifest_root *root)
{
    struct cpio_reader reader = {.read = read_image, .size = root->archive_size};
    struct cpio_error why;
    int err;

    if (root->kind == MANIFEST_ROOT_NONE)
        return 0;
    if (root->kind != MANIFEST_ROOT_CPIO)
        return pr_reason(-EINVAL, "the manifest names a root of an unknown kind, %u", root->kind);
    err = root_open(root);
    if (err)
        return err;
    reader.ctx = g_image;
    reader.end = root->data_blocks * VERITY_BLOCK;
    if (reader.end > align_up(root->archive_size, VERITY_BLOCK))
        reader.index = align_up(root->archive_size, VERITY_BLOCK);
    err = cpio_populate(sb, &reader, &g_archive_ops, &why);
    if (err)
        pr_reason(err,
                  "at byte %lu of the archive: %s; make it again with 'adyton mkcpio'",
                  (unsigned long)why.offset, why.why);
    return err;
}
