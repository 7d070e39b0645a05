/* SPDX-License-Identifier: MIT */
/* Path walk, open, names, permissions. Expected results are path_resolution(7)'s and open(2)'s. */
#include "vfs_host.h"

#include <linux/openat2.h>

#include "../internal.h"

static struct stat g_st;

static void components(void **state)
{
    make_dir("/w");
    make_dir("/w/a");
    make_file("/w/a/f", "text");
    ok(sys_stat("/w/a/f", &g_st));
    ok(sys_stat("//w///a//.//f", &g_st));
    ok(sys_stat("/w/a/../a/f", &g_st));
    ok(sys_stat("/../../w", &g_st));
    fails(sys_stat("/w/a/f/", &g_st), ENOTDIR);
    fails(sys_stat("/w/a/f/x", &g_st), ENOTDIR);
    fails(sys_stat("/w/a/f/..", &g_st), ENOTDIR);
    fails(sys_stat("/w/none", &g_st), ENOENT);
    fails(sys_stat("/w/none", &g_st), ENOENT); /* now from the negative dentry */
    fails(sys_stat("/w/none/x", &g_st), ENOENT);
    fails(sys_stat("", &g_st), ENOENT);
    ok(sys_stat("/", &g_st));
    assert_true(S_ISDIR(g_st.st_mode));
}

static void long_names(void **state)
{
    char name[4200];

    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[256] = '\0'; /* a component of 255 */
    fails(sys_stat(name, &g_st), ENOENT);
    name[256] = 'n';
    name[257] = '\0';
    fails(sys_stat(name, &g_st), ENAMETOOLONG);
    for (size_t i = 0; i < 4095; i++)
        name[i] = i % 2 ? '.' : '/';
    name[4095] = '\0';
    ok(sys_stat(name, &g_st));
    name[4095] = '/';
    name[4096] = '\0';
    fails(sys_stat(name, &g_st), ENAMETOOLONG);
}

static void negative_becomes_positive(void **state)
{
    fails(sys_stat("/late", &g_st), ENOENT);
    make_file("/late", "x");
    ok(sys_stat("/late", &g_st));
    ok(sys_unlink("/late"));
    fails(sys_stat("/late", &g_st), ENOENT);
    make_dir("/late");
    ok(sys_stat("/late/", &g_st));
    ok(sys_rmdir("/late"));
}

static void symlinks(void **state)
{
    char buf[64];

    make_dir("/s");
    make_file("/s/target", "12345");
    ok(sys_symlink("target", "/s/rel"));
    ok(sys_symlink("/s/target", "/s/abs"));
    ok(sys_symlink("/s", "/s/dir"));
    ok(sys_symlink("nothing", "/s/dangling"));
    ok(sys_stat("/s/rel", &g_st));
    assert_int_equal(g_st.st_size, 5);
    ok(sys_stat("/s/abs", &g_st));
    assert_int_equal(g_st.st_size, 5);
    ok(sys_stat("/s/dir/dir/dir/rel", &g_st));
    ok(sys_lstat("/s/rel", &g_st));
    assert_true(S_ISLNK(g_st.st_mode));
    assert_int_equal(g_st.st_size, 6);
    ok(sys_lstat("/s/dir/", &g_st));
    assert_true(S_ISDIR(g_st.st_mode));
    fails(sys_lstat("/s/rel/", &g_st), ENOTDIR);
    fails(sys_stat("/s/dangling", &g_st), ENOENT);
    ok(sys_lstat("/s/dangling", &g_st));
    assert_int_equal(sys_readlink("/s/abs", buf, sizeof(buf)), 9);
    assert_memory_equal(buf, "/s/target", 9);
    assert_int_equal(sys_readlink("/s/abs", buf, 3), 3);
    fails(sys_readlink("/s/target", buf, 3), EINVAL);
    fails(sys_readlink("/s/abs", buf, 0), EINVAL);
    fails(sys_symlink("", "/s/empty"), ENOENT);
}

static void symlink_limits(void **state)
{
    char from[16], to[16];

    make_dir("/l");
    ok(sys_symlink("loop", "/l/loop"));
    fails(sys_stat("/l/loop", &g_st), ELOOP);
    fails(sys_stat("/l/loop/x", &g_st), ELOOP);
    make_file("/l/0", "end");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof(from), "%d", i - 1);
        snprintf(to, sizeof(to), "/l/%d", i);
        ok(sys_symlink(from, to));
    }
    ok(sys_stat("/l/40", &g_st));
    fails(sys_stat("/l/41", &g_st), ELOOP);
    fails(sys_open("/l/41", O_RDONLY, 0), ELOOP);
    fails(sys_open("/l/41", O_CREAT | O_RDWR, 0600), ELOOP);
}

static void nested_links(void **state)
{
    char from[32], to[16];

    make_dir("/n");
    make_dir("/n/d");
    make_file("/n/d/f", "deep");
    ok(sys_symlink("d", "/n/l0"));
    for (int i = 1; i <= 12; i++) { /* each has more to walk behind the next */
        snprintf(from, sizeof(from), "l%d/../d", i - 1);
        snprintf(to, sizeof(to), "/n/l%d", i);
        ok(sys_symlink(from, to));
    }
    assert_string_equal(text_of("/n/l12/f"), "deep");
    assert_string_equal(text_of("/n/l12/../l11/f"), "deep");
    assert_string_equal(text_of("/n/l12/f"), "deep");
}

static void creating(void **state)
{
    int fd;

    make_dir("/c");
    fails(sys_open("/c/x", O_RDWR, 0), ENOENT);
    fd = must_open("/c/x", O_RDWR | O_CREAT | O_EXCL, 0666);
    ok(sys_fstat(fd, &g_st));
    assert_int_equal(g_st.st_mode, S_IFREG | 0644);
    ok(sys_close(fd));
    fails(sys_open("/c/x", O_CREAT | O_EXCL, 0), EEXIST);
    fails(sys_open("/c/new/", O_CREAT | O_WRONLY, 0600), EISDIR);
    fails(sys_open("/c", O_CREAT | O_WRONLY, 0600), EISDIR);
    fails(sys_open("/c/.", O_CREAT, 0600), EISDIR);
    fails(sys_open("/c/..", O_CREAT, 0600), EISDIR);
    fails(sys_open("/c", O_WRONLY, 0), EISDIR);
    fails(sys_open("/c/x", O_DIRECTORY, 0), ENOTDIR);
    fails(sys_open("/c/x", O_CREAT | O_DIRECTORY, 0), EINVAL);
    fails(sys_open("/c/no/x", O_CREAT, 0600), ENOENT);
    ok(sys_symlink("made", "/c/dangling"));
    fails(sys_open("/c/dangling", O_CREAT | O_EXCL, 0600), EEXIST);
    fails(sys_open("/c/dangling", O_CREAT | O_NOFOLLOW, 0600), ELOOP);
    assert_false(exists("/c/made"));
    ok(sys_close(must_open("/c/dangling", O_CREAT | O_RDWR, 0600)));
    assert_true(exists("/c/made"));
    fails(sys_open("/c/dangling", O_NOFOLLOW, 0), ELOOP);
    ok(sys_close(must_open("/c/dangling", O_NOFOLLOW | O_PATH, 0)));
}

static void truncating_and_appending(void **state)
{
    int fd;

    make_file("/t", "0123456789");
    ok(sys_close(must_open("/t", O_RDWR, 0)));
    assert_int_equal(stat_of("/t").st_size, 10);
    ok(sys_close(must_open("/t", O_WRONLY | O_TRUNC, 0)));
    assert_int_equal(stat_of("/t").st_size, 0);
    make_file("/t", "abc");
    fd = must_open("/t", O_WRONLY | O_APPEND, 0);
    assert_int_equal(sys_write(fd, "de", 2), 2);
    ok(sys_close(fd));
    assert_string_equal(text_of("/t"), "abcde");
    ok(sys_truncate("/t", 2));
    assert_string_equal(text_of("/t"), "ab");
    fails(sys_truncate("/t", -1), EINVAL);
    fails(sys_truncate("/", 0), EISDIR);
    fails(sys_truncate("/nowhere", 0), ENOENT);
}

static void tmpfile_and_paths(void **state)
{
    char buf[64];
    int fd = must_open("/w", O_TMPFILE | O_RDWR, 0600);

    ok(sys_fstat(fd, &g_st));
    assert_int_equal(g_st.st_nlink, 0);
    ok(sys_linkat(fd, "", AT_FDCWD, "/w/named", AT_EMPTY_PATH));
    ok(sys_fstat(fd, &g_st));
    assert_int_equal(g_st.st_nlink, 1);
    assert_true(exists("/w/named"));
    ok(sys_close(fd));
    fails(sys_open("/w", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    fd = must_open("/w", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    fails(sys_linkat(fd, "", AT_FDCWD, "/w/named2", AT_EMPTY_PATH), ENOENT);
    ok(sys_close(fd));
    fd = must_open("/w/named", O_PATH, 0);
    fails(sys_read(fd, buf, 1), EBADF);
    ok(sys_fstat(fd, &g_st));
    ok(sys_newfstatat(fd, "", &g_st, AT_EMPTY_PATH));
    fails(sys_newfstatat(fd, "", &g_st, 0), ENOENT);
    fails(sys_openat(fd, "x", O_RDONLY, 0), ENOTDIR);
    ok(sys_close(fd));
}

static long open2(int dfd, const char *path, u64 resolve)
{
    struct open_how how = {.flags = O_RDONLY, .resolve = resolve};
    long fd = sys_openat2(dfd, path, &how, sizeof(how));

    if (fd >= 0)
        ok(sys_close((int)fd));
    return fd < 0 ? fd : 0;
}

static void openat2_restrictions(void **state)
{
    int dfd;

    make_dir("/r");
    make_dir("/r/in");
    make_file("/r/in/f", "x");
    make_file("/out", "x");
    ok(sys_symlink("../../out", "/r/in/up"));
    ok(sys_symlink("/out", "/r/in/abs"));
    ok(sys_symlink("f", "/r/in/same"));
    dfd = must_open("/r/in", O_PATH | O_DIRECTORY, 0);
    ok(open2(dfd, "f", RESOLVE_BENEATH));
    ok(open2(dfd, "same", RESOLVE_BENEATH));
    ok(open2(dfd, "./../in/f", 0));
    fails(open2(dfd, "../in/f", RESOLVE_BENEATH), EXDEV);
    fails(open2(dfd, "up", RESOLVE_BENEATH), EXDEV);
    fails(open2(dfd, "abs", RESOLVE_BENEATH), EXDEV);
    fails(open2(dfd, "/out", RESOLVE_BENEATH), EXDEV);
    fails(open2(dfd, "/out", RESOLVE_IN_ROOT), ENOENT);
    fails(open2(dfd, "up", RESOLVE_IN_ROOT), ENOENT);
    ok(open2(dfd, "/f", RESOLVE_IN_ROOT));
    ok(open2(dfd, "../../f", RESOLVE_IN_ROOT));
    fails(open2(dfd, "same", RESOLVE_NO_SYMLINKS), ELOOP);
    ok(open2(dfd, "f", RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV));
    ok(open2(AT_FDCWD, "/r/in/f", RESOLVE_CACHED));
    fails(open2(AT_FDCWD, "/r/in/never-seen", RESOLVE_CACHED), EAGAIN);
    fails(open2(dfd, "f", RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
    fails(open2(dfd, "f", 0x1000), EINVAL);
    ok(sys_close(dfd));
}

static void openat2_structure(void **state)
{
    char larger[64] = {0};
    struct open_how how = {.flags = O_RDONLY};

    fails(sys_openat2(AT_FDCWD, "/out", &how, 23), EINVAL);
    fails(sys_openat2(AT_FDCWD, "/out", &how, 5000), E2BIG);
    memcpy(larger, &how, sizeof(how));
    ok(sys_close((int)sys_openat2(AT_FDCWD, "/out", (struct open_how *)larger, 64)));
    larger[63] = 1;
    fails(sys_openat2(AT_FDCWD, "/out", (struct open_how *)larger, 64), E2BIG);
    how.mode = 0600;
    fails(sys_openat2(AT_FDCWD, "/out", &how, sizeof(how)), EINVAL);
    how = (struct open_how){.flags = 1UL << 40};
    fails(sys_openat2(AT_FDCWD, "/out", &how, sizeof(how)), EINVAL);
}

static void working_directory(void **state)
{
    char buf[64];
    int fd;

    make_dir("/cwd");
    make_dir("/cwd/sub");
    ok(sys_chdir("/cwd/sub"));
    assert_int_equal(sys_getcwd(buf, sizeof(buf)), 9);
    assert_string_equal(buf, "/cwd/sub");
    fails(sys_getcwd(buf, 8), ERANGE);
    ok(sys_stat("../sub", &g_st));
    ok(sys_rename("/cwd", "/moved"));
    sys_getcwd(buf, sizeof(buf));
    assert_string_equal(buf, "/moved/sub");
    ok(sys_rmdir("/moved/sub"));
    fails(sys_getcwd(buf, sizeof(buf)), ENOENT);
    fails(sys_open("new", O_CREAT, 0600), ENOENT);
    fails(sys_mkdir("new", 0700), ENOENT);
    ok(sys_chdir(".."));
    sys_getcwd(buf, sizeof(buf));
    assert_string_equal(buf, "/moved");
    fd = must_open("/", O_RDONLY | O_DIRECTORY, 0);
    fails(sys_chdir("/out"), ENOTDIR);
    ok(sys_fchdir(fd));
    ok(sys_close(fd));
    sys_getcwd(buf, sizeof(buf));
    assert_string_equal(buf, "/");
}

static void changed_root(void **state)
{
    char buf[64];

    ok(sys_chroot("/r/in"));
    ok(sys_chdir("/"));
    ok(sys_stat("/f", &g_st));
    fails(sys_stat("/../../out", &g_st), ENOENT);
    fails(sys_stat("abs", &g_st), ENOENT);
    sys_getcwd(buf, sizeof(buf));
    assert_string_equal(buf, "/");
    /* out again, as root can: by a directory that is still open */
    mount_root_path(&current->fs->root);
    ok(sys_chdir("/"));
    assert_true(exists("/out"));
}

static void mounts(void **state)
{
    char text[512];

    make_dir("/m");
    make_dir("/m/under");
    ok(vfs_mount("tmpfs", "tmp", "/m", 0, "mode=0711,size=1m"));
    assert_false(exists("/m/under"));
    assert_int_equal(stat_of("/m").st_mode, S_IFDIR | 0711);
    make_file("/m/file", "on tmpfs");
    assert_int_not_equal(stat_of("/m").st_dev, stat_of("/").st_dev);
    assert_int_equal(stat_of("/m/..").st_ino, stat_of("/").st_ino);
    ok(sys_chdir("/m"));
    sys_getcwd(text, sizeof(text));
    assert_string_equal(text, "/m");
    assert_int_equal(stat_of("..").st_ino, stat_of("/").st_ino);
    ok(sys_chdir("/"));
    fails(sys_rename("/m/file", "/file"), EXDEV);
    fails(sys_link("/m/file", "/file"), EXDEV);
    fails(sys_rmdir("/m"), EBUSY);
    fails(sys_rename("/m", "/m2"), EBUSY);
    fails(open2(AT_FDCWD, "/m/file", RESOLVE_NO_XDEV), EXDEV);
    fails(vfs_mount("nofs", "x", "/m", 0, NULL), ENODEV);
    fails(vfs_mount("tmpfs", "x", "/out", 0, NULL), ENOTDIR);
    fails(vfs_mount("tmpfs", "x", "/m", 0, "nonsense"), EINVAL);
    mount_show(text, sizeof(text), MOUNT_TABLE);
    assert_string_equal(text, "rootfs / ramfs rw,relatime 0 0\ntmp /m tmpfs rw,relatime 0 0\n");
}

static void read_only_mount(void **state)
{
    make_dir("/ro");
    ok(vfs_mount("tmpfs", "tmp", "/ro", 1 /* MS_RDONLY */, NULL));
    fails(sys_open("/ro/f", O_CREAT | O_WRONLY, 0600), EROFS);
    fails(sys_mkdir("/ro/d", 0700), EROFS);
    fails(sys_chmod("/ro", 0700), EROFS);
    fails(sys_access("/ro", 2), EROFS);
    ok(sys_access("/ro", 5));
}

/* ---- Permissions ---------------------------------------------------------------------------------- */

static void permissions(void **state)
{
    make_dir("/p");
    make_file("/p/secret", "x");
    ok(sys_chmod("/p/secret", 0600));
    make_file("/p/group", "x");
    ok(sys_chmod("/p/group", 0640));
    ok(sys_chown("/p/group", 0, 50));
    host_become(1000, 50);
    fails(sys_open("/p/secret", O_RDONLY, 0), EACCES);
    ok(sys_close(must_open("/p/group", O_RDONLY, 0)));
    fails(sys_open("/p/group", O_WRONLY, 0), EACCES);
    fails(sys_open("/p/new", O_CREAT, 0600), EACCES);
    fails(sys_unlink("/p/group"), EACCES);
    fails(sys_chmod("/p/group", 0777), EPERM);
    fails(sys_chown("/p/group", 1000, 50), EPERM);
    fails(sys_access("/p/secret", 4), EACCES);
    host_become_root();
    ok(sys_chmod("/p", 0700));
    host_become(1000, 50);
    fails(sys_stat("/p/group", &g_st), EACCES);
    fails(sys_chdir("/p"), EACCES);
    host_become_root();
    ok(sys_stat("/p/group", &g_st));
}

static void creator_keeps_access(void **state)
{
    int fd;

    ok(sys_mkdir("/free", 0777));
    ok(sys_chmod("/free", 0777));
    host_become(1000, 50);
    fd = must_open("/free/mine", O_CREAT | O_RDWR, 0000);
    assert_int_equal(sys_write(fd, "x", 1), 1);
    ok(sys_close(fd));
    fails(sys_open("/free/mine", O_RDONLY, 0), EACCES);
    assert_int_equal(stat_of("/free/mine").st_uid, 1000);
    host_become_root();
}

static void sticky_directory(void **state)
{
    ok(sys_mkdir("/sticky", 0));
    ok(sys_chmod("/sticky", 01777));
    host_become(1000, 50);
    make_file("/sticky/a", "a");
    host_become(1001, 50);
    fails(sys_unlink("/sticky/a"), EPERM);
    fails(sys_rename("/sticky/a", "/sticky/b"), EPERM);
    make_file("/sticky/own", "b");
    fails(sys_rename("/sticky/own", "/sticky/a"), EPERM);
    ok(sys_rename("/sticky/own", "/sticky/own2"));
    ok(sys_unlink("/sticky/own2"));
    host_become_root();
}

static void setgid_directory(void **state)
{
    ok(sys_mkdir("/sg", 0));
    ok(sys_chown("/sg", 0, 77));
    ok(sys_chmod("/sg", 02777));
    host_become(1000, 50);
    make_dir("/sg/dir");
    make_file("/sg/file", "x");
    assert_int_equal(stat_of("/sg/dir").st_gid, 77);
    assert_int_equal(stat_of("/sg/dir").st_mode & 07777, 02755);
    assert_int_equal(stat_of("/sg/file").st_gid, 77);
    host_become_root();
}

static void set_id_bits(void **state)
{
    make_file("/sid", "x");
    ok(sys_chmod("/sid", 06755));
    ok(sys_chown("/sid", 1000, 50));
    assert_int_equal(stat_of("/sid").st_mode & 07777, 0755);
    ok(sys_chmod("/sid", 04755));
    host_become(1000, 50);
    ok(sys_truncate("/sid", 0));
    assert_int_equal(stat_of("/sid").st_mode & 07777, 0755);
    ok(sys_chmod("/sid", 04711));
    assert_int_equal(stat_of("/sid").st_mode & 07777, 04711);
    fails(sys_chown("/sid", 1001, 50), EPERM);
    fails(sys_chown("/sid", 1000, 51), EPERM);
    host_become_root();
}

static void times(void **state)
{
    struct __kernel_timespec ts[2] = {{11, 5}, {22, 7}};

    make_file("/time", "x");
    ok(sys_utimensat(AT_FDCWD, "/time", ts, 0));
    assert_int_equal(stat_of("/time").st_atime, 11);
    assert_int_equal(stat_of("/time").st_mtime_nsec, 7);
    ts[0].tv_nsec = (1L << 30) - 2; /* UTIME_OMIT */
    ts[1].tv_sec = 33;
    ok(sys_utimensat(AT_FDCWD, "/time", ts, 0));
    assert_int_equal(stat_of("/time").st_atime, 11);
    assert_int_equal(stat_of("/time").st_mtime, 33);
    ts[1].tv_nsec = 1000000000;
    fails(sys_utimensat(AT_FDCWD, "/time", ts, 0), EINVAL);
    ts[1].tv_nsec = 0;
    host_become(1000, 50);
    fails(sys_utimensat(AT_FDCWD, "/time", ts, 0), EPERM);
    fails(sys_utimensat(AT_FDCWD, "/time", NULL, 0), EACCES);
    host_become_root();
    ok(sys_utimensat(AT_FDCWD, "/time", NULL, 0));
    assert_true(stat_of("/time").st_atime > 1000000000);
}

static void descriptors(void **state)
{
    int a = must_open("/out", O_RDONLY | O_CLOEXEC, 0), b = must_open("/out", O_RDONLY, 0), c;
    struct file *f;

    assert_int_equal(fd_get_cloexec(a), 1);
    assert_int_equal(fd_get_cloexec(b), 0);
    ok(sys_close(a));
    c = must_open("/out", O_RDONLY, 0);
    assert_int_equal(c, a); /* the lowest free number */
    f = fd_get(b);
    assert_int_equal(fd_install_at(f, 700, true), 700);
    assert_int_equal(fd_install(file_get(f), 701, false), 701);
    fails(fd_install(file_get(f), 1024, false), EMFILE);
    files_close_on_exec(current->files);
    fails(sys_close(700), EBADF);
    ok(sys_close(701));
    fails(sys_close(-1), EBADF);
    ok(sys_close_range((unsigned)c, (unsigned)b, 0));
    fails(sys_close(b), EBADF);
    fails(sys_close(c), EBADF);
    fails(sys_close_range(5, 4, 0), EINVAL);
    for (int i = 0; i < 1024; i++)
        assert_int_equal(must_open("/out", O_RDONLY, 0) >= 0, 1);
    fails(sys_open("/not-created", O_CREAT, 0600), EMFILE);
    assert_false(exists("/not-created"));
    ok(sys_close_range(0, ~0u, 0));
}

static void many_entries(void **state)
{
    char name[32];

    make_dir("/many");
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "/many/entry-%d", i);
        ok(sys_mknod(name, S_IFREG | 0600, 0));
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "/many/entry-%d", i);
        ok(sys_unlink(name));
    }
    ok(sys_rmdir("/many"));
}

static void extended_attributes(void **state)
{
    char buf[64];

    make_file("/x", "x");
    ok(sys_symlink("x", "/xl"));
    ok(sys_setxattr("/x", "user.one", "111", 3, 0));
    fails(sys_setxattr("/x", "user.one", "1", 1, 1 /* XATTR_CREATE */), EEXIST);
    fails(sys_setxattr("/x", "user.two", "1", 1, 2 /* XATTR_REPLACE */), ENODATA);
    assert_int_equal(sys_getxattr("/xl", "user.one", buf, sizeof(buf)), 3);
    assert_int_equal(sys_getxattr("/x", "user.one", NULL, 0), 3);
    fails(sys_getxattr("/x", "user.one", buf, 2), ERANGE);
    fails(sys_lgetxattr("/xl", "user.one", buf, 2), ENODATA);
    fails(sys_lsetxattr("/xl", "user.one", buf, 2, 0), EPERM);
    fails(sys_setxattr("/x", "system.posix_acl_access", "1", 1, 0), EOPNOTSUPP);
    fails(sys_setxattr("/x", "bad", "1", 1, 0), EOPNOTSUPP);
    ok(sys_setxattr("/x", "trusted.t", "t", 1, 0));
    assert_int_equal(sys_listxattr("/x", buf, sizeof(buf)), 19);
    fails(sys_listxattr("/x", buf, 5), ERANGE);
    host_become(1000, 50);
    assert_int_equal(sys_listxattr("/x", buf, sizeof(buf)), 9);
    fails(sys_getxattr("/x", "trusted.t", buf, 9), ENODATA);
    fails(sys_setxattr("/x", "user.one", "2", 1, 0), EACCES);
    host_become_root();
    ok(sys_removexattr("/x", "user.one"));
    fails(sys_removexattr("/x", "user.one"), ENODATA);
}

static void shrinking_dentries(void **state)
{
    char name[32];

    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "/no-such-%d", i);
        fails(sys_stat(name, &g_st), ENOENT);
    }
    assert_true(dcache_shrink(100000) >= 500);
    ok(sys_stat("/w/a/f", &g_st));
    assert_string_equal(text_of("/n/l12/f"), "deep");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components),
        cmocka_unit_test(long_names),
        cmocka_unit_test(negative_becomes_positive),
        cmocka_unit_test(symlinks),
        cmocka_unit_test(symlink_limits),
        cmocka_unit_test(nested_links),
        cmocka_unit_test(creating),
        cmocka_unit_test(truncating_and_appending),
        cmocka_unit_test(tmpfile_and_paths),
        cmocka_unit_test(openat2_restrictions),
        cmocka_unit_test(openat2_structure),
        cmocka_unit_test(working_directory),
        cmocka_unit_test(changed_root),
        cmocka_unit_test(mounts),
        cmocka_unit_test(read_only_mount),
        cmocka_unit_test(permissions),
        cmocka_unit_test(creator_keeps_access),
        cmocka_unit_test(sticky_directory),
        cmocka_unit_test(setgid_directory),
        cmocka_unit_test(set_id_bits),
        cmocka_unit_test(times),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(many_entries),
        cmocka_unit_test(extended_attributes),
        cmocka_unit_test(shrinking_dentries),
    };

    return cmocka_run_group_tests_name("vfs-walk", tests, host_vfs_start, NULL);
}
