/* SPDX-License-Identifier: MIT */
/* openat2 and its RESOLVE_ flags, O_PATH, O_TMPFILE, linkat, variants of renameat2, trailing slashes. */
#include "guest.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long openat2_call(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};

    return syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static void make(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void test_openat2(int dir)
{
    struct {
        struct open_how how;
        uint64_t more;
    } big = {.how = {.flags = O_RDONLY}};
    long fd;

    fd = openat2_call(dir, "f", O_RDONLY, 0, 0);
    CHECK(fd >= 0 && close((int)fd) == 0);
    CHECK_ERRNO(openat2_call(dir, "f", O_RDONLY, 0644, 0), EINVAL);
    CHECK_ERRNO(openat2_call(dir, "f", 1ull << 40, 0, 0), EINVAL);
    CHECK_ERRNO(openat2_call(dir, "f", O_RDONLY, 0, 1 << 20), EINVAL);
    CHECK_ERRNO(openat2_call(dir, "n", O_CREAT | O_RDWR, 010000, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_openat2, dir, "f", &big, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_openat2, dir, "f", &big, 5000), E2BIG);
    fd = syscall(SYS_openat2, dir, "f", &big, sizeof(big));
    CHECK(fd >= 0 && close((int)fd) == 0);
    big.more = 1;
    CHECK_ERRNO(syscall(SYS_openat2, dir, "f", &big, sizeof(big)), E2BIG);
    CHECK_ERRNO(syscall(SYS_openat2, dir, "f", (void *)8, sizeof(struct open_how)), EFAULT);
}

static void test_resolve(int dir)
{
    long fd;

    CHECK_ERRNO(openat2_call(dir, "../p/f", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(openat2_call(dir, "/", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(openat2_call(dir, "abs", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    fd = openat2_call(dir, "d/../f", O_RDONLY, 0, RESOLVE_BENEATH);
    CHECK(fd >= 0 && close((int)fd) == 0);
    fd = openat2_call(dir, "/../../f", O_RDONLY, 0, RESOLVE_IN_ROOT);
    CHECK(fd >= 0 && close((int)fd) == 0);
    fd = openat2_call(dir, "rootlink", O_RDONLY, 0, RESOLVE_IN_ROOT);
    CHECK(fd >= 0 && close((int)fd) == 0);
    CHECK_ERRNO(openat2_call(dir, "rootlink", O_RDONLY, 0, 0), ENOENT);
    CHECK_ERRNO(openat2_call(dir, "link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_ERRNO(openat2_call(dir, "dlink/g", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
    fd = openat2_call(dir, "dlink/g", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS);
    CHECK(fd >= 0 && close((int)fd) == 0);
    CHECK_ERRNO(openat2_call(dir, "/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS), ELOOP);
    CHECK_ERRNO(openat2_call(dir, "/proc/self/status", O_RDONLY, 0, RESOLVE_NO_XDEV), EXDEV);
    CHECK_ERRNO(openat2_call(dir, "f", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
    fd = openat2_call(dir, "link", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS);
    CHECK(fd >= 0 && close((int)fd) == 0);
}

static void test_o_path(int dir)
{
    char buf[64];
    struct stat st;
    int fd = openat(dir, "f", O_PATH | O_CLOEXEC), link, again;

    CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
    CHECK_ERRNO(read(fd, buf, 1), EBADF);
    CHECK_ERRNO(write(fd, buf, 1), EBADF);
    CHECK_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
    /* the calls themselves: musl's functions go by way of /proc */
    CHECK_ERRNO(syscall(SYS_fchmod, fd, 0600), EBADF);
    CHECK_ERRNO(syscall(SYS_fchown, fd, 0, 0), EBADF);
    CHECK_ERRNO(ftruncate(fd, 0), EBADF);
    CHECK_ERRNO(fcntl(fd, F_SETFL, O_APPEND), EBADF);
    CHECK((fcntl(fd, F_GETFL) & O_PATH) == O_PATH && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && st.st_size == 4);
    CHECK_ERRNO(fstatat(fd, "", &st, 0), ENOENT);
    CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
    link = openat(dir, "link", O_PATH | O_NOFOLLOW);
    CHECK(link >= 0 && fstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(readlinkat(link, "", buf, sizeof(buf)) == 1 && buf[0] == 'f');
    snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
    again = open(buf, O_RDONLY);
    CHECK(again >= 0 && read(again, buf, 4) == 4 && !memcmp(buf, "file", 4));
    CHECK(close(again) == 0 && close(link) == 0 && close(fd) == 0);
    fd = openat(dir, "d", O_PATH | O_DIRECTORY);
    CHECK(fd >= 0 && faccessat(fd, "g", R_OK, 0) == 0 && fchdir(fd) == 0 && fchdir(dir) == 0);
    CHECK(close(fd) == 0);
}

static void test_tmpfile(int dir)
{
    char path[64];
    struct stat st;
    int fd = openat(dir, ".", O_TMPFILE | O_RDWR, 0640);

    CHECK(fd >= 0 && write(fd, "hidden", 6) == 6 && fstat(fd, &st) == 0 && st.st_nlink == 0);
    CHECK((st.st_mode & 07777) == 0640);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, path, dir, "shown", AT_SYMLINK_FOLLOW) == 0);
    CHECK(fstatat(dir, "shown", &st, 0) == 0 && st.st_size == 6 && st.st_nlink == 1);
    CHECK(linkat(fd, "", dir, "shown2", AT_EMPTY_PATH) == 0 && unlinkat(dir, "shown2", 0) == 0);
    CHECK_ERRNO(linkat(AT_FDCWD, path, dir, "shown", AT_SYMLINK_FOLLOW), EEXIST);
    CHECK(close(fd) == 0 && unlinkat(dir, "shown", 0) == 0);
    fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_ERRNO(linkat(AT_FDCWD, path, dir, "shown", AT_SYMLINK_FOLLOW), ENOENT);
    CHECK(close(fd) == 0);
    CHECK_ERRNO(openat(dir, ".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERRNO(openat(dir, "f", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
}

static void test_links(int dir)
{
    struct stat st;

    CHECK(linkat(dir, "link", dir, "linklink", 0) == 0);
    CHECK(fstatat(dir, "linklink", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode));
    CHECK(linkat(dir, "link", dir, "filelink", AT_SYMLINK_FOLLOW) == 0);
    CHECK(fstatat(dir, "filelink", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode));
    CHECK_ERRNO(linkat(dir, "d", dir, "dirlink", 0), EPERM);
    CHECK_ERRNO(linkat(dir, "f", dir, "d", 0), EEXIST);
    CHECK_ERRNO(linkat(dir, "f", dir, "x/", 0), ENOENT);
    CHECK_ERRNO(linkat(dir, "f", dir, "x", 0x8000), EINVAL);
    CHECK_ERRNO(symlinkat("", dir, "empty"), ENOENT);
    CHECK_ERRNO(mkdirat(dir, "f/", 0755), EEXIST);
    CHECK_ERRNO(openat(dir, "f/", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(openat(dir, "new/", O_CREAT | O_RDWR, 0600), EISDIR);
    CHECK_ERRNO(openat(dir, "f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(openat(dir, "d", O_CREAT | O_RDWR, 0600), EISDIR);
    CHECK_ERRNO(openat(dir, "d", O_CREAT | O_DIRECTORY, 0600), EINVAL);
    CHECK_ERRNO(unlinkat(dir, "f", AT_REMOVEDIR), ENOTDIR);
    CHECK_ERRNO(unlinkat(dir, "d", 0), EISDIR);
    CHECK_ERRNO(unlinkat(dir, "d/.", AT_REMOVEDIR), EINVAL);
    CHECK_ERRNO(unlinkat(dir, "d/..", AT_REMOVEDIR), ENOTEMPTY);
    CHECK_ERRNO(unlinkat(dir, "f", 1), EINVAL);
    CHECK_ERRNO(rmdir("/"), EBUSY);
    CHECK(fstatat(dir, "dlink/", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));
    CHECK_ERRNO(unlinkat(dir, "dlink/", AT_REMOVEDIR), ENOTDIR);
}

static int rename2(int dir, const char *from, const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, dir, from, dir, to, flags);
}

static void test_rename(int dir)
{
    struct stat a, b;

    CHECK_ERRNO(rename2(dir, "f", "d", 1), EEXIST);
    CHECK_ERRNO(rename2(dir, "f", "none", 2), ENOENT);
    CHECK_ERRNO(rename2(dir, "f", "d", 1 | 2), EINVAL);
    CHECK_ERRNO(rename2(dir, "f", "d", 8), EINVAL);
    CHECK_ERRNO(rename2(dir, "d", "d/x", 2), ENOENT);
    CHECK_ERRNO(rename2(dir, "d", "d/g", 2), EINVAL);
    CHECK(fstatat(dir, "f", &a, 0) == 0 && rename2(dir, "f", "d", 2) == 0);
    CHECK(fstatat(dir, "d", &b, 0) == 0 && a.st_ino == b.st_ino && rename2(dir, "f", "d", 2) == 0);
    CHECK(rename2(dir, "f", "moved", 1) == 0 && rename2(dir, "moved", "f", 0) == 0);
    CHECK(rename2(dir, "f", "filelink", 0) == 0 && fstatat(dir, "f", &b, 0) == 0);
    CHECK_ERRNO(rename2(dir, "d", "f", 0), ENOTDIR);
    CHECK_ERRNO(rename2(dir, "f", "d", 0), EISDIR);
    CHECK(mkdirat(dir, "e", 0755) == 0);
    CHECK_ERRNO(rename2(dir, "e", "d", 0), ENOTEMPTY);
    CHECK(rename2(dir, "d", "e", 0) == 0 && rename2(dir, "e/", "d/", 0) == 0);
    CHECK_ERRNO(rename2(dir, "f/", "x", 0), ENOTDIR);
    CHECK_ERRNO(rename2(dir, "f", "x/", 0), ENOTDIR);
    CHECK_ERRNO(rename2(dir, ".", "x", 0), EBUSY);
    CHECK_ERRNO(rename2(dir, "d", "..", 0), EBUSY);
}

/* Deeper than PATH_MAX: relative names go on, absolute ones cannot be told. */
static void test_deep(int dir)
{
    char name[101], path[8192];
    struct stat st;
    int depth;

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    CHECK(fchdir(dir) == 0);
    for (depth = 0; depth < 50; depth++)
        CHECK(mkdir(name, 0755) == 0 && chdir(name) == 0);
    CHECK(stat(".", &st) == 0 && S_ISDIR(st.st_mode));
    CHECK_ERRNO(syscall(SYS_getcwd, path, sizeof(path)), ENAMETOOLONG);
    CHECK_ERRNO(readlink("/proc/self/cwd", path, sizeof(path)), ENAMETOOLONG);
    while (depth-- > 0)
        CHECK(chdir("..") == 0 && rmdir(name) == 0);
    CHECK(chdir("..") == 0);
}

int main(void)
{
    CHECK(mkdir("p", 0755) == 0);
    int dir = open("p", O_RDONLY | O_DIRECTORY);

    CHECK(fchdir(dir) == 0 && mkdir("d", 0755) == 0);
    make("f", "file");
    make("d/g", "g");
    CHECK(symlink("f", "link") == 0 && symlink("d", "dlink") == 0 && symlink("/etc", "abs") == 0);
    CHECK(symlink("/f", "rootlink") == 0);
    test_openat2(dir);
    test_resolve(dir);
    test_o_path(dir);
    test_tmpfile(dir);
    test_links(dir);
    test_rename(dir);
    test_deep(dir);
    return guest_done();
}
