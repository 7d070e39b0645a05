/* SPDX-License-Identifier: MIT */
/* The matrix of rename(2): what moves, what stands in its place, with which flags. */
#include "vfs_host.h"

#include "../internal.h"

enum kind { NONE, REG, DIR, FULL, LINK, KINDS };

static const char *const g_names[KINDS] = {"none", "file", "empty", "full", "link"};

static void make(const char *path, enum kind k)
{
    char inner[64];

    switch (k) {
    case NONE:
        return;
    case REG:
        make_file(path, g_names[k]);
        return;
    case FULL:
        make_dir(path);
        snprintf(inner, sizeof(inner), "%s/inner", path);
        make_file(inner, "inner");
        return;
    case DIR:
        make_dir(path);
        return;
    case LINK:
        ok(sys_symlink("nowhere", path));
        return;
    case KINDS:
        fail();
    }
}

static void remove_it(const char *path)
{
    char inner[64];

    snprintf(inner, sizeof(inner), "%s/inner", path);
    (void)sys_unlink(inner);
    (void)sys_unlink(path);
    (void)sys_rmdir(path);
}

static bool is_dir(enum kind k)
{
    return k == DIR || k == FULL;
}

/* What Linux answers. */
static int expected(enum kind from, enum kind to, unsigned flags)
{
    if (from == NONE)
        return ENOENT;
    if (flags & RENAME_EXCHANGE)
        return to == NONE ? ENOENT : 0;
    if (to == NONE)
        return 0;
    if (flags & RENAME_NOREPLACE)
        return EEXIST;
    if (is_dir(from))
        return !is_dir(to) ? ENOTDIR : to == FULL ? ENOTEMPTY : 0;
    return is_dir(to) ? EISDIR : 0;
}

static u64 inode_of(const char *path)
{
    struct stat st;

    return sys_lstat(path, &st) ? 0 : st.st_ino;
}

static void one(const char *a, enum kind from, const char *b, enum kind to, unsigned flags)
{
    int want = expected(from, to, flags);
    u64 ino_a, ino_b;

    make(a, from);
    make(b, to);
    ino_a = inode_of(a);
    ino_b = inode_of(b);
    assert_int_equal(sys_renameat2(AT_FDCWD, a, AT_FDCWD, b, flags), -want);
    if (want) {
        assert_int_equal(inode_of(a), ino_a);
        assert_int_equal(inode_of(b), ino_b);
    } else {
        assert_int_equal(inode_of(b), ino_a);
        assert_int_equal(inode_of(a), flags & RENAME_EXCHANGE ? ino_b : 0);
    }
    remove_it(a);
    remove_it(b);
}

static void matrix(void **state)
{
    static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    const u64 links = stat_of("/").st_nlink;

    make_dir("/other");
    for (size_t f = 0; f < ARRAY_COUNT(flags); f++) {
        for (int from = NONE; from < KINDS; from++) {
            for (int to = NONE; to < KINDS; to++) {
                one("/a", (enum kind)from, "/b", (enum kind)to, flags[f]);
                one("/a", (enum kind)from, "/other/b", (enum kind)to, flags[f]);
                one("/other/a", (enum kind)from, "/b", (enum kind)to, flags[f]);
            }
        }
    }
    assert_int_equal(stat_of("/other").st_nlink, 2);
    ok(sys_rmdir("/other"));
    assert_int_equal(stat_of("/").st_nlink, links);
}

static void into_itself(void **state)
{
    make_dir("/d");
    make_dir("/d/e");
    make_dir("/d/e/f");
    fails(sys_rename("/d", "/d/e/x"), EINVAL);
    fails(sys_rename("/d", "/d/x"), EINVAL);
    fails(sys_rename("/d/e/f", "/d"), ENOTEMPTY);
    fails(sys_renameat2(AT_FDCWD, "/d/e/f", AT_FDCWD, "/d", RENAME_EXCHANGE), EINVAL);
    fails(sys_rename("/d/.", "/x"), EBUSY);
    fails(sys_rename("/d", "/d/e/.."), EBUSY);
    fails(sys_renameat2(AT_FDCWD, "/d", AT_FDCWD, "/", RENAME_NOREPLACE), EEXIST);
    ok(sys_rename("/d/e/f", "/f"));
    assert_int_equal(stat_of("/d/e").st_nlink, 2);
    ok(sys_rename("/f", "/d/e/f"));
    assert_int_equal(stat_of("/d/e").st_nlink, 3);
}

static void same_file(void **state)
{
    make_file("/one", "1");
    ok(sys_link("/one", "/two"));
    ok(sys_rename("/one", "/two")); /* nothing happens */
    assert_true(exists("/one"));
    assert_int_equal(stat_of("/two").st_nlink, 2);
    ok(sys_rename("/one", "/one"));
    ok(sys_unlink("/one"));
    assert_int_equal(stat_of("/two").st_nlink, 1);
    ok(sys_unlink("/two"));
}

static void trailing_slashes(void **state)
{
    make_file("/file", "x");
    make_dir("/dir");
    fails(sys_rename("/file/", "/new"), ENOTDIR);
    fails(sys_rename("/file", "/new/"), ENOTDIR);
    ok(sys_rename("/dir/", "/new/"));
    assert_true(exists("/new"));
    ok(sys_rmdir("/new/"));
    fails(sys_unlink("/file/"), ENOTDIR);
    ok(sys_unlink("/file"));
}

static void open_files_follow(void **state)
{
    char name[64];
    struct file *f;
    int fd;

    make_dir("/p1");
    make_file("/p1/f", "x");
    make_file("/p1/victim", "y");
    fd = must_open("/p1/f", O_RDONLY, 0);
    f = fd_get(fd);
    assert_string_equal(path_name(&f->path, name, sizeof(name)), "/p1/f");
    ok(sys_rename("/p1/f", "/p1/a-name-that-is-longer-than-the-room-inside-a-dentry"));
    assert_string_equal(path_name(&f->path, name, sizeof(name)),
                        "/p1/a-name-that-is-longer-than-the-room-inside-a-dentry");
    ok(sys_rename("/p1", "/p2"));
    ok(sys_rename("/p2/a-name-that-is-longer-than-the-room-inside-a-dentry", "/p2/victim"));
    assert_string_equal(path_name(&f->path, name, sizeof(name)), "/p2/victim");
    ok(sys_unlink("/p2/victim"));
    assert_string_equal(path_name(&f->path, name, sizeof(name)), "/p2/victim (deleted)");
    assert_true(IS_ERR(path_name(&f->path, name, 5)));
    file_put(f);
    ok(sys_close(fd));
    ok(sys_rmdir("/p2"));
}

static void flag_errors(void **state)
{
    fails(sys_renameat2(AT_FDCWD, "/a", AT_FDCWD, "/b", 8), EINVAL);
    fails(sys_renameat2(AT_FDCWD, "/a", AT_FDCWD, "/b", RENAME_NOREPLACE | RENAME_EXCHANGE),
          EINVAL);
    fails(sys_renameat2(AT_FDCWD, "/a", AT_FDCWD, "/b", RENAME_WHITEOUT), EINVAL);
}

/* unlink and rmdir beside it */
static void removing(void **state)
{
    make_dir("/rd");
    make_file("/rd/f", "x");
    fails(sys_rmdir("/rd"), ENOTEMPTY);
    fails(sys_unlink("/rd"), EISDIR);
    fails(sys_rmdir("/rd/f"), ENOTDIR);
    fails(sys_rmdir("/rd/."), EINVAL);
    fails(sys_rmdir("/rd/.."), ENOTEMPTY);
    fails(sys_rmdir("/"), EBUSY);
    fails(sys_unlink("/rd/none"), ENOENT);
    fails(sys_unlinkat(AT_FDCWD, "/rd/f", 1), EINVAL);
    ok(sys_unlink("/rd/f"));
    ok(sys_unlinkat(AT_FDCWD, "/rd", AT_REMOVEDIR));
    fails(sys_mkdir("/", 0700), EEXIST);
    fails(sys_mkdir("/no/x", 0700), ENOENT);
    ok(sys_mkdir("/rd/", 0700));
    fails(sys_mkdir("/rd", 0700), EEXIST);
    fails(sys_mknod("/rd/n/", S_IFREG, 0), ENOENT);
    fails(sys_link("/rd", "/rd2"), EPERM);
    ok(sys_mknod("/rd/fifo", S_IFIFO | 0600, 0));
    assert_true(S_ISFIFO(stat_of("/rd/fifo").st_mode));
    ok(sys_mknod("/rd/null", S_IFCHR | 0600, 0x103));
    assert_int_equal(stat_of("/rd/null").st_rdev, 0x103);
    fails(sys_open("/rd/null", O_RDONLY, 0), ENXIO);
    fails(sys_mknod("/rd/x", S_IFDIR, 0), EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix),           cmocka_unit_test(into_itself),
        cmocka_unit_test(same_file),        cmocka_unit_test(trailing_slashes),
        cmocka_unit_test(open_files_follow), cmocka_unit_test(flag_errors),
        cmocka_unit_test(removing),
    };

    return cmocka_run_group_tests_name("vfs-rename", tests, host_vfs_start, NULL);
}
