/* SPDX-License-Identifier: MIT */
/* The radix tree, and files' pages: holes, bounds, binding to mappings, backing, shrinking. */
#include "vfs_host.h"

#include <kernel/alloc.h>
#include <linux/falloc.h>

#include "../internal.h"
#include "../pagecache.h"

/* ---- Radix tree --------------------------------------------------------------------------------- */

static void radix_basics(void **state)
{
    struct radix r = {0};
    u64 index = 0;

    assert_int_equal(radix_get(&r, 0), 0);
    assert_int_equal(radix_next(&r, &index), 0);
    ok(radix_set(&r, 0, 1));
    assert_int_equal(r.height, 1);
    ok(radix_set(&r, 63, 2));
    assert_int_equal(r.height, 1);
    ok(radix_set(&r, 64, 3));
    ok(radix_set(&r, UINT64_MAX, 4));
    assert_int_equal(radix_get(&r, 63), 2);
    assert_int_equal(radix_get(&r, 62), 0);
    assert_int_equal(radix_get(&r, UINT64_MAX), 4);
    index = 1;
    assert_int_equal(radix_next(&r, &index), 2);
    assert_int_equal(index, 63);
    index = 65;
    assert_int_equal(radix_next(&r, &index), 4);
    assert_true(index == UINT64_MAX);
    assert_int_equal(radix_delete(&r, UINT64_MAX), 4);
    assert_int_equal(r.height, 2);
    assert_int_equal(radix_delete(&r, 1), 0);
    assert_int_equal(radix_delete(&r, 64), 3);
    assert_int_equal(r.height, 1);
    assert_int_equal(radix_delete(&r, 0), 1);
    assert_int_equal(radix_delete(&r, 63), 2);
    assert_null(r.root);
}

static u64 next_random(u64 *seed)
{
    *seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
    return *seed >> 33;
}

/* Against a plain array. */
static void radix_random(void **state)
{
    enum { SPACE = 5000 };
    static u64 model[SPACE];
    struct radix r = {0};
    u64 seed = 1;

    for (int step = 0; step < 60000; step++) {
        u64 i = next_random(&seed) % SPACE, op = next_random(&seed) % 3;

        if (op == 0) {
            model[i] = next_random(&seed) + 1;
            ok(radix_set(&r, i * 977, model[i]));
        } else if (op == 1) {
            assert_int_equal(radix_delete(&r, i * 977), model[i]);
            model[i] = 0;
        } else {
            u64 at = i * 977, value = radix_next(&r, &at), want = i;

            while (want < SPACE && !model[want])
                want++;
            assert_int_equal(value, want < SPACE ? model[want] : 0);
            assert_true(!value || at == want * 977);
        }
    }
    for (u64 i = 0; i < SPACE; i++)
        assert_int_equal(radix_delete(&r, i * 977), model[i]);
    assert_null(r.root);
}

static void radix_no_memory(void **state)
{
    struct radix r = {0};

    for (u64 n = 0; n < 4; n++) {
        null_alloc_fail_after(n);
        fails(radix_set(&r, 1UL << 30, 1), ENOMEM);
        null_alloc_fail_after(UINT64_MAX);
        assert_null(r.root);
    }
    ok(radix_set(&r, 5, 1));
    null_alloc_fail_after(3);
    fails(radix_set(&r, 1UL << 30, 1), ENOMEM);
    null_alloc_fail_after(UINT64_MAX);
    assert_int_equal(r.height, 1);
    assert_int_equal(radix_delete(&r, 5), 1);
}

/* ---- Files --------------------------------------------------------------------------------------- */

static struct file *open_file(const char *path, int flags)
{
    int fd = must_open(path, flags, 0644);
    struct file *f = fd_get(fd);

    ok(sys_close(fd));
    return f;
}

static ssize_t write_at(struct file *f, const void *buf, size_t size, loff_t pos)
{
    return file_pwrite(f, buf, size, pos);
}

/* Reads and writes of random places and sizes against a plain array. */
static void random_io(void **state)
{
    enum { SIZE = 100000 };
    static u8 model[SIZE], buf[SIZE];
    struct file *f = open_file("/random", O_RDWR | O_CREAT);
    u64 seed = 7, size = 0;

    for (int step = 0; step < 3000; step++) {
        u64 pos = next_random(&seed) % SIZE, n = next_random(&seed) % 20000;

        n = min(n % 3 ? n : n % 600, SIZE - pos);
        if (next_random(&seed) % 2 && n) {
            for (u64 i = 0; i < n; i++)
                buf[i] = (u8)next_random(&seed);
            assert_int_equal(write_at(f, buf, n, (loff_t)pos), n);
            memcpy(model + pos, buf, n);
            size = max(size, pos + n);
        } else if (step % 50 == 0) {
            ok(inode_truncate(f->inode, pos));
            memset(model + pos, 0, SIZE - pos);
            size = pos;
        } else {
            u64 want = pos < size ? min(n, size - pos) : 0;

            assert_int_equal(file_pread(f, buf, n, (loff_t)pos), want);
            assert_memory_equal(buf, model + pos, want);
        }
        assert_int_equal(f->inode->size, size);
    }
    file_put(f);
    ok(sys_unlink("/random"));
}

static void sparse_gigabyte(void **state)
{
    struct file *f = open_file("/sparse", O_RDWR | O_CREAT);
    u8 buf[8192];

    assert_int_equal(write_at(f, "end", 3, (1L << 30) - 3), 3);
    assert_int_equal(f->inode->size, 1L << 30);
    assert_int_equal(f->inode->blocks, 8);
    assert_int_equal(file_pread(f, buf, sizeof(buf), 1L << 29), sizeof(buf));
    for (size_t i = 0; i < sizeof(buf); i++)
        assert_int_equal(buf[i], 0);
    assert_int_equal(pagecache_seek(f, 0, SEEK_DATA), (1L << 30) - 4096);
    assert_int_equal(pagecache_seek(f, 0, SEEK_HOLE), 0);
    assert_int_equal(pagecache_seek(f, (1L << 30) - 10, SEEK_HOLE), 1L << 30);
    fails(pagecache_seek(f, 1L << 30, SEEK_DATA), ENXIO);
    ok(inode_truncate(f->inode, 100));
    assert_int_equal(f->inode->blocks, 0);
    fails(pagecache_seek(f, 0, SEEK_DATA), ENXIO);
    file_put(f);
    ok(sys_unlink("/sparse"));
}

static void punching(void **state)
{
    struct file *f = open_file("/punch", O_RDWR | O_CREAT);
    u8 buf[20000], out[20000];

    memset(buf, 'x', sizeof(buf));
    assert_int_equal(write_at(f, buf, sizeof(buf), 0), sizeof(buf));
    ok(pagecache_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 10));
    ok(pagecache_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 9000));
    memset(buf + 100, 0, 10);
    memset(buf + 4000, 0, 9000);
    assert_int_equal(file_pread(f, out, sizeof(out), 0), sizeof(out));
    assert_memory_equal(out, buf, sizeof(buf));
    assert_int_equal(f->inode->blocks, 3 * 8);
    ok(pagecache_fallocate(f, 0, 30000, 1));
    assert_int_equal(f->inode->size, 30001);
    ok(pagecache_fallocate(f, FALLOC_FL_KEEP_SIZE, 50000, 1));
    assert_int_equal(f->inode->size, 30001);
    fails(pagecache_fallocate(f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
    fails(pagecache_fallocate(f, 0, -1, 4096), EINVAL);
    fails(pagecache_fallocate(f, 0, 0, 0), EINVAL);
    file_put(f);
    ok(sys_unlink("/punch"));
}

static void no_room(void **state)
{
    struct file *f = open_file("/room", O_RDWR | O_CREAT);
    static u8 buf[5 * 4096];

    null_alloc_fail_after(4); /* page, node; node and page of the second */
    assert_true(write_at(f, buf, sizeof(buf), 0) > 0);
    null_alloc_fail_after(0);
    fails(write_at(f, buf, sizeof(buf), 1 << 20), ENOSPC);
    null_alloc_fail_after(UINT64_MAX);
    assert_true(f->inode->size < sizeof(buf));
    file_put(f);
    ok(sys_unlink("/room"));
}

static void binding(void **state)
{
    struct file *f = open_file("/bound", O_RDWR | O_CREAT);
    char *va = kpages_alloc(1), *page = kpages_alloc(1), text[32];

    assert_int_equal(write_at(f, "before", 6, 4096), 6);
    ok(pagecache_bind_page(f->inode, 1, (uintptr_t)va));
    assert_string_equal(va, "before");
    assert_int_equal(pagecache_bound_at(f->inode, 1), (uintptr_t)va);
    assert_int_equal(pagecache_bound_at(f->inode, 0), 0);
    memcpy(va, "mapped", 6);
    assert_int_equal(file_pread(f, text, 6, 4096), 6);
    assert_memory_equal(text, "mapped", 6);
    assert_int_equal(write_at(f, "write!", 6, 4096), 6);
    assert_memory_equal(va, "write!", 6);
    ok(pagecache_read_page(f->inode, 1, page));
    assert_string_equal(page, "write!");
    fails(pagecache_bind_page(f->inode, 2, (uintptr_t)page), ENXIO);
    fails(pagecache_read_page(f->inode, 2, page), ENXIO);
    assert_int_equal(write_at(f, "+more", 5, 4096 + 6), 5); /* appending to a bound page */
    assert_memory_equal(va, "write!+more", 11);
    ok(inode_truncate(f->inode, 4096 + 6));
    memset(va + 6, 'j', 100);
    assert_int_equal(write_at(f, "far", 3, 4096 + 20), 3);
    assert_memory_equal(va, "write!\0\0\0\0\0\0\0\0\0\0\0\0\0\0far", 23);
    ok(inode_truncate(f->inode, 4096 + 6));
    /* a mapping may write behind the end; that must not appear when the file grows */
    memset(va + 6, 'j', 100);
    ok(inode_truncate(f->inode, 4096 + 50));
    assert_int_equal(va[6], 0);
    assert_int_equal(va[49], 0);
    ok(pagecache_unbind_page(f->inode, 1));
    memset(va, 0, 4096);
    assert_int_equal(file_pread(f, text, 6, 4096), 6);
    assert_memory_equal(text, "write!", 6);
    kpages_free(va, 1);
    kpages_free(page, 1);
    file_put(f);
    ok(sys_unlink("/bound"));
}

/* A page that moves into a mapping while a write into it is under way keeps what is written. */
static void pinned_pages(void **state)
{
    struct file *f = open_file("/pinned", O_RDWR | O_CREAT);
    struct pagecache *c = f->inode->cache;
    char *va = kpages_alloc(1);
    struct pin_batch a, b;
    u64 slot;

    assert_int_equal(write_at(f, "pinned", 6, 0), 6);
    mutex_lock(&c->lock);
    ok(pagecache_find(f->inode, 0, &slot));
    a = (struct pin_batch){.page = {cpage_addr(slot)}, .count = 1};
    b = a;
    pin_begin(c, &a);
    pin_begin(c, &b);
    mutex_unlock(&c->lock);
    ok(pagecache_bind_page(f->inode, 0, (uintptr_t)va));
    assert_string_equal(a.page[0], "pinned"); /* still there for who pinned it */
    mutex_lock(&c->lock);
    assert_true(a.orphans || b.orphans);
    pin_end(c, &b);
    assert_string_equal(a.page[0], "pinned");
    pin_end(c, &a);
    ok(pagecache_find(f->inode, 0, &slot));
    mutex_unlock(&c->lock);
    ok(pagecache_unbind_page(f->inode, 0));
    kpages_free(va, 1);
    file_put(f);
    ok(sys_unlink("/pinned"));
}

/* ---- Backing ------------------------------------------------------------------------------------------ */

static unsigned g_fills;
static int g_fill_error;

static int fill(struct inode *inode, u64 index, void *page)
{
    g_fills++;
    memset(page, (int)('a' + index % 26), 4096); /* beyond the end too: that must be cut */
    return g_fill_error;
}

static void backed_files(void **state)
{
    const struct pagecache_ops ops = {.fill = fill};
    struct file *f = open_file("/backed", O_RDWR | O_CREAT);
    char buf[100];

    pagecache_set_backing(f->inode, &ops, 3 * 4096 + 10);
    assert_int_equal(f->inode->blocks, 4 * 8);
    assert_int_equal(file_pread(f, buf, 100, 3 * 4096), 10);
    assert_memory_equal(buf, "dddddddddd", 10);
    assert_int_equal(file_pread(f, buf, 2, 4095), 2);
    assert_memory_equal(buf, "ab", 2);
    assert_int_equal(g_fills, 3);
    assert_int_equal(file_pread(f, buf, 2, 4095), 2);
    assert_int_equal(g_fills, 3);
    assert_int_equal(vfs_shrink(100), 3); /* clean ones go and come again */
    assert_int_equal(file_pread(f, buf, 2, 4095), 2);
    assert_int_equal(g_fills, 5);
    assert_int_equal(write_at(f, "X", 1, 4096), 1);
    assert_int_equal(vfs_shrink(100), 1);
    assert_int_equal(file_pread(f, buf, 2, 4096), 2);
    assert_memory_equal(buf, "Xb", 2);
    g_fill_error = -EIO;
    fails(file_pread(f, buf, 2, 2 * 4096), EIO);
    assert_int_equal(file_pread(f, buf, 100, 2 * 4096 - 50), 50); /* up to the bad page */
    g_fill_error = 0;
    ok(pagecache_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    assert_int_equal(file_pread(f, buf, 1, 0), 1);
    assert_int_equal(buf[0], 0);
    ok(inode_truncate(f->inode, 2 * 4096 + 5));
    ok(inode_truncate(f->inode, 3 * 4096));
    assert_int_equal(file_pread(f, buf, 10, 2 * 4096), 10);
    assert_memory_equal(buf, "ccccc\0\0\0\0\0", 10);
    ok(inode_truncate(f->inode, 0));
    assert_int_equal(f->inode->blocks, 0);
    ok(inode_truncate(f->inode, 4096));
    assert_int_equal(file_pread(f, buf, 1, 0), 1);
    assert_int_equal(buf[0], 0);
    file_put(f);
    ok(sys_unlink("/backed"));
}

static void running_programs(void **state)
{
    struct file *exe, *f;

    make_file("/prog", "text");
    exe = file_open_exec(AT_FDCWD, "/prog", LOOKUP_FOLLOW);
    fails(PTR_ERR(exe), EACCES); /* nobody may execute it */
    ok(sys_chmod("/prog", 0755));
    f = open_file("/prog", O_RDWR);
    exe = file_open_exec(AT_FDCWD, "/prog", LOOKUP_FOLLOW);
    fails(PTR_ERR(exe), ETXTBSY);
    file_put(f);
    exe = file_open_exec(AT_FDCWD, "/prog", LOOKUP_FOLLOW);
    assert_false(IS_ERR(exe));
    fails(sys_open("/prog", O_WRONLY, 0), ETXTBSY);
    fails(sys_truncate("/prog", 0), ETXTBSY);
    file_put(exe);
    ok(sys_close(must_open("/prog", O_WRONLY, 0)));
    exe = file_open_exec(AT_FDCWD, "/", LOOKUP_FOLLOW);
    fails(PTR_ERR(exe), EACCES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(radix_basics),  cmocka_unit_test(radix_random),
        cmocka_unit_test(radix_no_memory), cmocka_unit_test(random_io),
        cmocka_unit_test(sparse_gigabyte), cmocka_unit_test(punching),
        cmocka_unit_test(no_room),       cmocka_unit_test(binding),
        cmocka_unit_test(pinned_pages),  cmocka_unit_test(backed_files),
        cmocka_unit_test(running_programs),
    };

    return cmocka_run_group_tests_name("vfs-pagecache", tests, host_vfs_start, NULL);
}
