/* SPDX-License-Identifier: MIT */
/*
 * dm-verity over untrusted memory.
 *
 * Invariants: a hash block in `hashes` was checked against its parent (or the root hash) after it was
 * copied in and is never read from outside again, so that is the verified bitmap too. A data block in
 * the cache likewise. Nothing from outside is looked at before its hash was.
 *
 * Locking: v->lock guards hashes and cache. It is taken below a page cache's lock.
 */
#include "verity.h"

#include <kernel/alloc.h>
#include <kernel/lock.h>
#include <kernel/printk.h>
#include <kernel/sha256.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <manifest.h>

#define HASHES_PER_BLOCK (VERITY_BLOCK / SHA256_SIZE)
#define HASHES_SHIFT     7u
#define LEVELS_MAX       9u  /* 128^9 blocks */
#define CACHE_BLOCKS     64u /* data blocks kept, by number modulo this */

_Static_assert(HASHES_PER_BLOCK == 1u << HASHES_SHIFT, "a block of hashes");

struct level {
    u64 start;   /* its first block's number in the image */
    u64 count;   /* blocks */
    u8 **hashes; /* verified copies, NULL until needed */
};

struct cached {
    u64 block; /* valid when data is there */
    u8 *data;
    bool valid;
};

struct verity {
    mutex_t lock;
    const char __host *base;
    u64 data_blocks, data_size;
    u8 salt[32], root_hash[SHA256_SIZE];
    u32 salt_size;
    unsigned levels;                  /* 0: the root hash is the only data block's */
    struct level level[LEVELS_MAX];   /* 0 is the lowest */
    struct cached cache[CACHE_BLOCKS]; /* guarded by lock, as are the levels' hashes */
    bool changed;                      /* a block had another hash; guarded by lock */
};

/* ---- Opening --------------------------------------------------------------------------------------- */

static u64 level_blocks(u64 data_blocks, unsigned level)
{
    unsigned shift = HASHES_SHIFT * (level + 1);

    return ((data_blocks - 1) >> shift) + 1;
}

/* Where each level stands: the top one first. Returns the number of hash blocks. */
static u64 levels_place(struct verity *v, u64 first)
{
    u64 next = first;

    v->levels = 0;
    while (v->levels < LEVELS_MAX && (v->data_blocks - 1) >> (HASHES_SHIFT * v->levels))
        v->levels++;
    for (unsigned i = v->levels; i-- > 0;) {
        v->level[i].start = next;
        v->level[i].count = level_blocks(v->data_blocks, i);
        next += v->level[i].count;
    }
    return next - first;
}

static const char *root_problem(const struct manifest_root *root, u64 image_size)
{
    if (root->salt_size > sizeof(root->salt))
        return "salt too long";
    if (!root->data_blocks || root->data_blocks > image_size / VERITY_BLOCK)
        return "image shorter than its data";
    if (root->archive_size > root->data_blocks * VERITY_BLOCK)
        return "archive longer than its data blocks";
    if (root->hash_offset % VERITY_BLOCK || root->hash_offset > image_size)
        return "hash tree outside the image";
    return NULL;
}

static int tables_alloc(struct verity *v)
{
    for (unsigned i = 0; i < v->levels; i++) {
        v->level[i].hashes = kcalloc(v->level[i].count, sizeof(u8 *));
        if (!v->level[i].hashes)
            return -ENOMEM;
    }
    return 0;
}

int verity_open(const struct manifest_root *root, const void __host *base, u64 image_size,
                struct verity **out)
{
    const char *why = root_problem(root, image_size);
    struct verity *v;
    u64 hash_blocks;

    if (why)
        return pr_reason(-EINVAL, "the archive is not the manifest's: %s", why);
    v = kzalloc(sizeof(*v));
    if (!v)
        return -ENOMEM;
    mutex_init(&v->lock, "verity");
    v->base = base;
    v->data_blocks = root->data_blocks;
    v->data_size = root->data_blocks * VERITY_BLOCK;
    v->salt_size = root->salt_size;
    memcpy(v->salt, root->salt, sizeof(v->salt));
    memcpy(v->root_hash, root->root_hash, sizeof(v->root_hash));
    hash_blocks = levels_place(v, root->hash_offset / VERITY_BLOCK);
    if (hash_blocks > (image_size - root->hash_offset) / VERITY_BLOCK) {
        verity_close(v);
        return pr_reason(-EINVAL, "the archive is not the manifest's: its hash tree is cut");
    }
    if (tables_alloc(v)) {
        verity_close(v);
        return -ENOMEM;
    }
    *out = v;
    return 0;
}

void verity_close(struct verity *v)
{
    for (unsigned i = 0; i < v->levels; i++) {
        for (u64 b = 0; v->level[i].hashes && b < v->level[i].count; b++) {
            if (v->level[i].hashes[b])
                kpages_free(v->level[i].hashes[b], 1);
        }
        kfree(v->level[i].hashes);
    }
    for (unsigned i = 0; i < CACHE_BLOCKS; i++) {
        if (v->cache[i].data)
            kpages_free(v->cache[i].data, 1);
    }
    kfree(v);
}

/* ---- Checking --------------------------------------------------------------------------------------- */

/* Told once: a program that goes on reading would repeat it for every block. */
static int changed(struct verity *v, u64 block)
{
    if (v->changed)
        return -EIO;
    v->changed = true;
    return pr_reason(-EIO,
                     "the root archive was changed after it was measured (block %lu): what was "
                     "changed is not used; make it again with 'adyton mkcpio'",
                     (unsigned long)block);
}

/* Copies an image block in and compares its hash. */
static int block_load(struct verity *v, u64 block, const u8 expected[SHA256_SIZE], u8 *dst)
{
    u8 digest[SHA256_SIZE];
    int err = target_host_copy(dst, v->base + block * VERITY_BLOCK, VERITY_BLOCK);

    if (err)
        return -EIO;
    sha256_prefixed(v->salt, v->salt_size, dst, VERITY_BLOCK, digest);
    if (memcmp(digest, expected, sizeof(digest)) == 0)
        return 0;
    return changed(v, block);
}

/* The verified hash of block `index` of the level below `level`; NULL with *err. Depth: LEVELS_MAX. */
static const u8 *hash_of(struct verity *v, unsigned level, u64 index, int *err)
{
    struct level *l = &v->level[level];
    u64 at = index >> HASHES_SHIFT;
    const u8 *expected;
    u8 *page;

    if (level == v->levels)
        return v->root_hash;
    if (!l->hashes[at]) {
        expected = hash_of(v, level + 1, at, err);
        page = expected ? kpages_alloc(1) : NULL;
        if (!page) {
            *err = expected ? -ENOMEM : *err;
            return NULL;
        }
        *err = block_load(v, l->start + at, expected, page);
        if (*err) {
            kpages_free(page, 1);
            return NULL;
        }
        l->hashes[at] = page;
    }
    return l->hashes[at] + (index & (HASHES_PER_BLOCK - 1)) * SHA256_SIZE;
}

/* A data block, verified, in the cache; NULL with *err. */
static const u8 *data_block(struct verity *v, u64 block, int *err)
{
    struct cached *c = &v->cache[block % CACHE_BLOCKS];
    const u8 *expected;

    if (c->valid && c->block == block)
        return c->data;
    expected = hash_of(v, 0, block, err);
    if (!expected)
        return NULL;
    if (!c->data)
        c->data = kpages_alloc(1);
    if (!c->data) {
        *err = -ENOMEM;
        return NULL;
    }
    c->valid = false;
    *err = block_load(v, block, expected, c->data);
    if (*err)
        return NULL;
    c->block = block;
    c->valid = true;
    return c->data;
}

int verity_read(struct verity *v, u64 offset, void *buf, size_t size)
{
    char *dst = buf;
    int err = 0;

    if (offset > v->data_size || size > v->data_size - offset)
        return -EIO;
    mutex_lock(&v->lock);
    while (size) {
        size_t in = offset % VERITY_BLOCK, n = min(size, VERITY_BLOCK - in);
        const u8 *data = data_block(v, offset / VERITY_BLOCK, &err);

        if (!data)
            break;
        memcpy(dst, data + in, n);
        dst += n;
        offset += n;
        size -= n;
    }
    mutex_unlock(&v->lock);
    return err;
}
