/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 against published vectors, and the hash tree: a good image, every block and every level
 * corrupted in turn, images that change after they were read, impossible parameters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/printk.h>
#include <kernel/sha256.h>
#include <kernel/string.h>
#include <cpuid.h>
#include <manifest.h>

#include "null.h"

#include "../verity.h"

void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

static int g_vector_depth;

void arch_vector_begin(void)
{
    assert_int_equal(g_vector_depth++, 0);
}

void arch_vector_end(void)
{
    assert_int_equal(--g_vector_depth, 0);
}

/* ---- SHA-256 ------------------------------------------------------------------------------------- */

static void check_digest(const u8 digest[32], const char *hex)
{
    char text[65];

    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, hex);
}

static void sha256_vectors(void **state)
{
    static char million[1000000];
    u8 d[32];

    sha256("", 0, d);
    check_digest(d, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256("abc", 3, d);
    check_digest(d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, d);
    check_digest(d, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', sizeof(million));
    sha256(million, sizeof(million), d);
    check_digest(d, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Every split into prefix and data gives what the whole gives. */
static void sha256_prefixes(void **state)
{
    u8 data[300], whole[32], split[32];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (u8)(i * 7);
    for (size_t size = 0; size < sizeof(data); size++) {
        sha256(data, size, whole);
        for (size_t p = 0; p <= 64 && p <= size; p++) {
            sha256_prefixed(data, p, data + p, size - p, split);
            assert_memory_equal(split, whole, 32);
        }
    }
}

static void sha256_without_extensions(void **state)
{
    extern u32 OPENSSL_ia32cap_P[4];
    u32 saved[4];
    u8 a[32], b[32], data[1000] = {1, 2, 3};

    sha256(data, sizeof(data), a);
    memcpy(saved, OPENSSL_ia32cap_P, sizeof(saved));
    memset(OPENSSL_ia32cap_P, 0, sizeof(saved));
    sha256(data, sizeof(data), b);
    memcpy(OPENSSL_ia32cap_P, saved, sizeof(saved));
    assert_memory_equal(a, b, 32);
}

/* ---- An image ------------------------------------------------------------------------------------- */

struct image {
    struct manifest_root root;
    u8 *data;
    u64 blocks, hash_blocks; /* of data, of the tree behind it */
};

static void hash_block(const struct image *im, const u8 *block, u8 out[32])
{
    sha256_prefixed(im->root.salt, im->root.salt_size, block, VERITY_BLOCK, out);
}

static u8 *block_at(const struct image *im, u64 n)
{
    return im->data + n * VERITY_BLOCK;
}

/* An independent builder: level by level, from the leaves. */
static void image_make(struct image *im, u64 blocks)
{
    u64 counts[8], starts[8], n = blocks, next;
    unsigned levels = 0;

    *im = (struct image){.blocks = blocks};
    im->root = (struct manifest_root){.kind = MANIFEST_ROOT_CPIO,
                                      .salt_size = 32,
                                      .data_blocks = blocks,
                                      .hash_offset = blocks * VERITY_BLOCK,
                                      .archive_size = blocks * VERITY_BLOCK};
    memset(im->root.salt, 0x5a, 32);
    while (n > 1) {
        n = (n + 127) / 128;
        counts[levels++] = n;
        im->hash_blocks += n;
    }
    im->data = kpages_alloc(blocks + im->hash_blocks);
    for (u64 i = 0; i < blocks * VERITY_BLOCK; i++)
        im->data[i] = (u8)(i ^ i >> 9);
    next = blocks;
    for (unsigned l = levels; l-- > 0; next += counts[l])
        starts[l] = next;
    for (unsigned l = 0; l < levels; l++) {
        u64 below = l ? counts[l - 1] : blocks, from = l ? starts[l - 1] : 0;

        for (u64 i = 0; i < below; i++)
            hash_block(im, block_at(im, from + i), block_at(im, starts[l]) + i * 32);
    }
    hash_block(im, levels ? block_at(im, blocks) : im->data, im->root.root_hash);
}

static u64 image_size(const struct image *im)
{
    return (im->blocks + im->hash_blocks) * VERITY_BLOCK;
}

static struct verity *image_open(const struct image *im)
{
    struct verity *v = NULL;

    assert_int_equal(verity_open(&im->root, im->data, image_size(im), &v), 0);
    return v;
}

static void image_free(struct image *im)
{
    kpages_free(im->data, im->blocks + im->hash_blocks);
}

static int read_block(struct verity *v, u64 n, u8 *buf)
{
    return verity_read(v, n * VERITY_BLOCK, buf, VERITY_BLOCK);
}

static void good_images(void **state)
{
    static const u64 sizes[] = {1, 2, 127, 128, 129, 1000, 16384, 16385};
    u8 buf[3 * VERITY_BLOCK];

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct image im;
        struct verity *v;

        image_make(&im, sizes[s]);
        v = image_open(&im);
        for (u64 i = 0; i < im.blocks; i++) {
            assert_int_equal(read_block(v, i, buf), 0);
            assert_memory_equal(buf, block_at(&im, i), VERITY_BLOCK);
        }
        if (im.blocks > 3) {
            assert_int_equal(verity_read(v, 5000, buf, 10000), 0);
            assert_memory_equal(buf, im.data + 5000, 10000);
        }
        assert_int_equal(verity_read(v, im.blocks * VERITY_BLOCK - 1, buf, 1), 0);
        assert_int_equal(verity_read(v, im.blocks * VERITY_BLOCK, buf, 1), -EIO);
        assert_int_equal(verity_read(v, im.blocks * VERITY_BLOCK - 1, buf, 2), -EIO);
        assert_int_equal(verity_read(v, UINT64_MAX, buf, 2), -EIO);
        verity_close(v);
        image_free(&im);
    }
}

/* Each block of data and tree spoilt in turn: what depends on it fails, nothing else does. */
static void corrupted_blocks(void **state)
{
    struct image im;
    u8 buf[VERITY_BLOCK];

    image_make(&im, 300); /* 300 data, 1 top, 3 leaf blocks */
    assert_int_equal(im.hash_blocks, 4);
    for (u64 bad = 0; bad < im.blocks + im.hash_blocks; bad++) {
        struct verity *v = image_open(&im);
        u8 *byte = block_at(&im, bad) + bad % (bad == 303 ? 44 * 32 : VERITY_BLOCK);

        *byte ^= 0x10;
        for (u64 i = 0; i < im.blocks; i += bad < im.blocks ? 1 : 37) {
            bool hit = bad == i || bad == im.blocks || bad == im.blocks + 1 + i / 128;

            assert_int_equal(read_block(v, i, buf), hit ? -EIO : 0);
        }
        *byte ^= 0x10;
        assert_int_equal(read_block(v, 0, buf), 0); /* nothing bad was kept */
        verity_close(v);
    }
    im.root.root_hash[31] ^= 1;
    struct verity *v = image_open(&im);
    pr_started();
    null_log_clear();
    assert_int_equal(read_block(v, 0, buf), -EIO);
    assert_int_equal(read_block(v, 200, buf), -EIO);
    assert_int_equal(null_log_count(), 1); /* told once */
    assert_non_null(strstr(null_log_last(), "block 300"));
    verity_close(v);
    image_free(&im);
}

/* Content that changes after it was verified is not believed when it is read again. */
static void changing_image(void **state)
{
    struct image im;
    struct verity *v;
    u8 buf[VERITY_BLOCK];

    image_make(&im, 200);
    v = image_open(&im);
    for (u64 i = 0; i < 200; i++)
        assert_int_equal(read_block(v, i, buf), 0);
    memset(block_at(&im, 3), 0xff, VERITY_BLOCK);
    memset(block_at(&im, 200), 0xff, 3 * VERITY_BLOCK); /* the tree: trusted copies are used */
    assert_int_equal(read_block(v, 3, buf), -EIO);
    assert_int_equal(read_block(v, 4, buf), 0);
    verity_close(v);
    image_free(&im);
}

static int try_open(const struct manifest_root *root, u64 size)
{
    struct verity *v = NULL;
    int err = verity_open(root, (const void *)0x1000, size, &v);

    if (!err)
        verity_close(v);
    return err;
}

static void impossible_parameters(void **state)
{
    struct image im;
    struct manifest_root r;
    u64 size;

    image_make(&im, 300);
    size = image_size(&im);
    assert_int_equal(try_open(&im.root, size), 0);
    assert_int_equal(try_open(&im.root, size - 1), -EINVAL);
    assert_int_equal(try_open(&im.root, 0), -EINVAL);
    r = im.root;
    r.data_blocks = 0;
    assert_int_equal(try_open(&r, size), -EINVAL);
    r.data_blocks = UINT64_MAX;
    assert_int_equal(try_open(&r, size), -EINVAL);
    r = im.root;
    r.salt_size = 33;
    assert_int_equal(try_open(&r, size), -EINVAL);
    r = im.root;
    r.hash_offset++;
    assert_int_equal(try_open(&r, size), -EINVAL);
    r.hash_offset = UINT64_MAX - 4095;
    assert_int_equal(try_open(&r, size), -EINVAL);
    r = im.root;
    r.archive_size++;
    assert_int_equal(try_open(&r, size), -EINVAL);
    image_free(&im);
}

static void no_memory(void **state)
{
    struct image im;
    struct verity *v;
    u8 buf[VERITY_BLOCK];

    image_make(&im, 300);
    v = image_open(&im);
    for (u64 n = 0; n < 3; n++) {
        null_alloc_fail_after(n ? 1 : 0); /* what was verified is kept: one block more each time */
        assert_int_equal(read_block(v, 0, buf), -ENOMEM);
    }
    null_alloc_fail_after(UINT64_MAX);
    assert_int_equal(read_block(v, 0, buf), 0);
    verity_close(v);
    image_free(&im);
}

static int start(void **state)
{
    (void)state;
    sha256_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_vectors),
        cmocka_unit_test(sha256_prefixes),
        cmocka_unit_test(sha256_without_extensions),
        cmocka_unit_test(good_images),
        cmocka_unit_test(corrupted_blocks),
        cmocka_unit_test(changing_image),
        cmocka_unit_test(impossible_parameters),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests_name("verity", tests, start, NULL);
}
