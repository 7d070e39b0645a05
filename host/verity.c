/* SPDX-License-Identifier: MIT */
/*
 * dm-verity hash trees. Each block's digest is SHA-256(salt || block); a hash block holds 128 of them,
 * zero-filled; levels are stored from the top (one block) to the leaves. With a single data block
 * there is no tree and its digest is the root hash, as the kernel's dm-verity has it.
 */
#include "host_verity.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "archive_index.h"

#define BLOCK            VERITY_BLOCK_SIZE
#define DIGEST_SIZE      32U
#define DIGESTS_A_BLOCK  (BLOCK / DIGEST_SIZE)
#define LEVELS_MAX       10
#define TRAILER_VERSION  1

struct hasher {
    EVP_MD *md;
    EVP_MD_CTX *salted; /* state after the salt */
    EVP_MD_CTX *ctx;
};

static void hasher_free(struct hasher *h)
{
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_CTX_free(h->salted);
    EVP_MD_free(h->md);
}

static int hasher_init(struct hasher *h, const uint8_t *salt, uint32_t salt_size)
{
    h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->salted = EVP_MD_CTX_new();
    h->ctx = EVP_MD_CTX_new();
    if (h->md && h->salted && h->ctx && EVP_DigestInit_ex2(h->salted, h->md, NULL) &&
        EVP_DigestUpdate(h->salted, salt, salt_size))
        return 0;
    hasher_free(h);
    return -ENOMEM;
}

static int hash_block(struct hasher *h, const uint8_t *block, uint8_t *digest)
{
    if (!EVP_MD_CTX_copy_ex(h->ctx, h->salted) || !EVP_DigestUpdate(h->ctx, block, BLOCK) ||
        !EVP_DigestFinal_ex(h->ctx, digest, NULL))
        return -EIO;
    return 0;
}

/* ---- The tree's shape -------------------------------------------------------------------------------- */

struct tree {
    unsigned levels;
    uint64_t blocks[LEVELS_MAX]; /* [0]: leaves */
    uint64_t first[LEVELS_MAX];  /* block index within the tree */
    uint64_t total;
};

static void tree_shape(struct tree *t, uint64_t data_blocks)
{
    uint64_t below = data_blocks;

    memset(t, 0, sizeof(*t));
    while (below > 1 && t->levels < LEVELS_MAX) {
        below = (below + DIGESTS_A_BLOCK - 1) / DIGESTS_A_BLOCK;
        t->blocks[t->levels++] = below;
    }
    for (unsigned i = t->levels; i-- > 0; t->total += t->blocks[i])
        t->first[i] = t->total;
}

static int hash_level(struct hasher *h, const uint8_t *below, uint64_t below_blocks, uint8_t *out)
{
    int ret = 0;

    for (uint64_t i = 0; i < below_blocks && ret == 0; i++)
        ret = hash_block(h, below + i * BLOCK, out + i * DIGEST_SIZE);
    return ret;
}

/* Builds the tree over `data` into `tree` (zeroed, t->total blocks) and the root hash. */
static int build_tree(struct hasher *h, const struct tree *t, const uint8_t *data,
                      uint64_t data_blocks, uint8_t *tree, uint8_t root_hash[32])
{
    const uint8_t *below = data;
    uint64_t below_blocks = data_blocks;
    int ret = 0;

    for (unsigned i = 0; i < t->levels && ret == 0; i++) {
        uint8_t *level = tree + t->first[i] * BLOCK;

        ret = hash_level(h, below, below_blocks, level);
        below = level;
        below_blocks = t->blocks[i];
    }
    return ret == 0 ? hash_block(h, below, root_hash) : ret;
}

/* ---- The file ------------------------------------------------------------------------------------------ */

static int write_at(int fd, const void *data, uint64_t size, uint64_t offset)
{
    const uint8_t *p = data;

    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        size -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int write_trailer(int fd, const struct manifest_root *root, uint64_t offset)
{
    uint8_t block[BLOCK] = {0};
    struct verity_trailer trailer = {
        .magic = VERITY_TRAILER_MAGIC,
        .version = TRAILER_VERSION,
        .salt_size = root->salt_size,
        .archive_size = root->archive_size,
        .data_blocks = root->data_blocks,
        .hash_offset = root->hash_offset,
    };

    memcpy(trailer.salt, root->salt, sizeof(trailer.salt));
    memcpy(trailer.root_hash, root->root_hash, sizeof(trailer.root_hash));
    memcpy(block, &trailer, sizeof(trailer));
    return write_at(fd, block, sizeof(block), offset);
}

/* Hashes the padded archive, mapped, and writes tree and trailer after it. */
static int append_tree(int fd, const uint8_t *data, struct manifest_root *root)
{
    uint8_t *tree_data = NULL;
    struct hasher hasher;
    struct tree tree;
    int ret;

    tree_shape(&tree, root->data_blocks);
    ret = hasher_init(&hasher, root->salt, root->salt_size);
    if (ret < 0)
        return ret;
    if (tree.total > 0) {
        tree_data = calloc(tree.total, BLOCK);
        if (!tree_data)
            ret = -ENOMEM;
    }
    if (ret == 0)
        ret = build_tree(&hasher, &tree, data, root->data_blocks, tree_data, root->root_hash);
    if (ret == 0 && tree.total > 0)
        ret = write_at(fd, tree_data, tree.total * BLOCK, root->hash_offset);
    if (ret == 0)
        ret = write_trailer(fd, root, root->hash_offset + tree.total * BLOCK);
    free(tree_data);
    hasher_free(&hasher);
    return ret;
}

/* Maps the file's first `size` bytes, which are made to be there. */
static int map_data(int fd, uint64_t size, void **out)
{
    if (ftruncate(fd, (off_t)size) < 0)
        return -errno;
    *out = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (*out == MAP_FAILED)
        return -errno;
    (void)madvise(*out, size, MADV_SEQUENTIAL);
    return 0;
}

/* Writes the archive's index behind it and counts its blocks. What has none is left as it is. */
static int append_index(int fd, struct manifest_root *root)
{
    uint64_t place = root->data_blocks * BLOCK, size = 0;
    uint8_t *index = NULL;
    void *data = NULL;
    int ret = map_data(fd, place, &data);

    if (ret < 0)
        return ret;
    ret = archive_index_build(data, root->archive_size, place, &index, &size);
    (void)munmap(data, place);
    if (ret == -EINVAL)
        return 0;
    if (ret == 0)
        ret = write_at(fd, index, size, place);
    free(index);
    root->data_blocks += (size + BLOCK - 1) / BLOCK;
    root->hash_offset = root->data_blocks * BLOCK;
    return ret;
}

int verity_append(int fd, const uint8_t *salt, uint32_t salt_size, struct manifest_root *root,
                  uint64_t *image_size)
{
    struct stat st;
    void *data = NULL;
    int ret;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size <= 0 || salt_size > sizeof(root->salt))
        return -EINVAL;
    memset(root, 0, sizeof(*root));
    root->kind = MANIFEST_ROOT_CPIO;
    root->salt_size = salt_size;
    if (salt_size)
        memcpy(root->salt, salt, salt_size);
    root->archive_size = (uint64_t)st.st_size;
    root->data_blocks = (root->archive_size + BLOCK - 1) / BLOCK;
    root->hash_offset = root->data_blocks * BLOCK;
    ret = append_index(fd, root);
    if (ret == 0)
        ret = map_data(fd, root->hash_offset, &data);
    if (ret < 0)
        return ret;
    ret = append_tree(fd, data, root);
    (void)munmap(data, root->hash_offset);
    if (ret == 0 && fstat(fd, &st) < 0)
        ret = -errno;
    *image_size = ret == 0 ? (uint64_t)st.st_size : 0;
    return ret;
}

static int check_trailer(const struct verity_trailer *t, uint64_t size)
{
    struct tree tree;

    if (t->magic != VERITY_TRAILER_MAGIC || t->version != TRAILER_VERSION)
        return -ENODATA;
    if (t->salt_size > sizeof(t->salt) || t->archive_size == 0 || t->archive_size > size ||
        t->data_blocks < (t->archive_size + BLOCK - 1) / BLOCK || t->data_blocks > size / BLOCK ||
        t->hash_offset != t->data_blocks * BLOCK)
        return -EINVAL;
    tree_shape(&tree, t->data_blocks);
    return t->hash_offset + (tree.total + 1) * BLOCK == size ? 0 : -EINVAL;
}

int verity_read(int fd, struct manifest_root *root, uint64_t *image_size)
{
    struct verity_trailer trailer;
    struct stat st;
    int ret;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)(2 * BLOCK) || st.st_size % BLOCK != 0)
        return -ENODATA;
    if (pread(fd, &trailer, sizeof(trailer), st.st_size - (off_t)BLOCK) != sizeof(trailer))
        return -EIO;
    ret = check_trailer(&trailer, (uint64_t)st.st_size);
    if (ret < 0)
        return ret;
    memset(root, 0, sizeof(*root));
    root->kind = MANIFEST_ROOT_CPIO;
    root->salt_size = trailer.salt_size;
    memcpy(root->salt, trailer.salt, sizeof(root->salt));
    memcpy(root->root_hash, trailer.root_hash, sizeof(root->root_hash));
    root->data_blocks = trailer.data_blocks;
    root->hash_offset = trailer.hash_offset;
    root->archive_size = trailer.archive_size;
    *image_size = (uint64_t)st.st_size;
    return 0;
}
