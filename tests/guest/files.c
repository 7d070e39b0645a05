/* SPDX-License-Identifier: MIT */
/* Files of the root file system through the C library's calls: contents, names, attributes, errors. */
#include "guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

static void test_read_write(void)
{
    char buf[64];
    int fd = open("a", O_CREAT | O_RDWR | O_EXCL, 0644);

    CHECK(fd >= 0);
    CHECK(write(fd, "hello world", 11) == 11);
    CHECK(lseek(fd, 0, SEEK_CUR) == 11 && lseek(fd, 6, SEEK_SET) == 6);
    CHECK(read(fd, buf, sizeof(buf)) == 5 && !memcmp(buf, "world", 5));
    CHECK(read(fd, buf, sizeof(buf)) == 0);
    CHECK(pwrite(fd, "HELLO", 5, 0) == 5 && pread(fd, buf, 11, 0) == 11);
    CHECK(!memcmp(buf, "HELLO world", 11));
    CHECK(lseek(fd, 10000, SEEK_SET) == 10000 && write(fd, "x", 1) == 1);
    CHECK(pread(fd, buf, 4, 5000) == 4 && !memcmp(buf, "\0\0\0\0", 4));
    CHECK(ftruncate(fd, 5) == 0 && lseek(fd, 0, SEEK_END) == 5);
    CHECK(ftruncate(fd, 20) == 0 && pread(fd, buf, 20, 0) == 20 && buf[5] == 0 && buf[19] == 0);
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(open("a", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    CHECK_ERRNO(open("none", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("a/b", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
    CHECK_ERRNO(read(fd, (void *)8, 10), EFAULT);
    CHECK_ERRNO(write(fd, (void *)8, 10), EFAULT);
    CHECK(write(fd, (void *)8, 0) == 0 && pread(fd, (void *)8, 10, 1000) == 0);
    CHECK_ERRNO(pread(fd, buf, 2, INT64_MAX), EINVAL);
    CHECK_ERRNO(pwrite(fd, buf, 2, INT64_MAX), EINVAL);
    CHECK_ERRNO(read(99, buf, 1), EBADF);
    CHECK(close(fd) == 0);
    CHECK_ERRNO(close(fd), EBADF);
    fd = open("a", O_RDONLY);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    close(fd);
    fd = open("a", O_WRONLY | O_APPEND);
    CHECK(write(fd, "end", 3) == 3 && lseek(fd, 0, SEEK_CUR) == 23);
    CHECK_ERRNO(read(fd, buf, 1), EBADF);
    close(fd);
}

static void test_vectors(void)
{
    char x[4], y[8];
    struct iovec out[3] = {{"one", 3}, {"", 0}, {"two", 3}}, in[2] = {{x, 4}, {y, 8}};
    int fd = open("v", O_CREAT | O_RDWR, 0600), to = open("w", O_CREAT | O_RDWR, 0600);
    off_t off = 0, to_off = 0;

    CHECK(writev(fd, out, 3) == 6);
    CHECK(preadv(fd, in, 2, 0) == 6 && !memcmp(x, "onet", 4) && !memcmp(y, "wo", 2));
    CHECK_ERRNO(writev(fd, out, -1), EINVAL);
    CHECK_ERRNO(readv(fd, in, IOV_MAX + 1), EINVAL);
    CHECK(sendfile(to, fd, &off, 100) == 6 && off == 6 && lseek(to, 0, SEEK_END) == 6);
    off = 0;
    CHECK(copy_file_range(fd, &off, to, &to_off, 3, 0) == 3 && to_off == 3);
    CHECK(posix_fallocate(fd, 0, 5000) == 0 && lseek(fd, 0, SEEK_END) == 5000);
    close(fd);
    close(to);
}

static void test_names(void)
{
    struct stat a, b;
    char buf[PATH_MAX];

    CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0700) == 0);
    CHECK_ERRNO(mkdir("d", 0755), EEXIST);
    CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
    CHECK_ERRNO(unlink("d"), EISDIR);
    CHECK_ERRNO(rmdir("a"), ENOTDIR);
    CHECK(symlink("d/e", "s") == 0 && readlink("s", buf, sizeof(buf)) == 3);
    CHECK_ERRNO(readlink("a", buf, sizeof(buf)), EINVAL);
    CHECK(lstat("s", &a) == 0 && S_ISLNK(a.st_mode) && a.st_size == 3);
    CHECK(stat("s", &a) == 0 && S_ISDIR(a.st_mode) && (a.st_mode & 0777) == 0700);
    CHECK(symlink("loop", "loop") == 0);
    CHECK_ERRNO(open("loop", O_RDONLY), ELOOP);
    CHECK_ERRNO(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK(link("a", "d/l") == 0 && stat("a", &a) == 0 && stat("d/l", &b) == 0);
    CHECK(a.st_ino == b.st_ino && a.st_nlink == 2);
    CHECK(rename("d/l", "d/m") == 0 && stat("d/m", &b) == 0);
    CHECK_ERRNO(stat("d/l", &b), ENOENT);
    CHECK_ERRNO(rename("d", "d/e/x"), EINVAL);
    CHECK_ERRNO(rename("d", "a"), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d/m", 1), EEXIST);
    CHECK(syscall(SYS_renameat2, AT_FDCWD, "v", AT_FDCWD, "w", 2) == 0);
    CHECK(chdir("d") == 0 && getcwd(buf, sizeof(buf)) && !strcmp(strrchr(buf, '/'), "/d"));
    CHECK(stat("../a", &b) == 0 && chdir("..") == 0);
    memset(buf, 'n', 300);
    buf[300] = 0;
    CHECK_ERRNO(open(buf, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK(unlink("d/m") == 0 && rmdir("d/e") == 0 && rmdir("d/") == 0);
    int fd = openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600);
    CHECK(fd >= 0 && write(fd, "t", 1) == 1 && close(fd) == 0);
}

static void test_attributes(void)
{
    struct stat st;
    struct timespec times[2] = {{1000000000, 5}, {1000000001, 7}};
    struct statfs fs;
    char buf[16];

    CHECK(chmod("a", 0640) == 0 && stat("a", &st) == 0 && (st.st_mode & 07777) == 0640);
    CHECK(chown("a", 3, 4) == 0 && stat("a", &st) == 0 && st.st_uid == 3 && st.st_gid == 4);
    CHECK(utimensat(AT_FDCWD, "a", times, 0) == 0 && stat("a", &st) == 0);
    CHECK(st.st_atim.tv_nsec == 5 && st.st_mtim.tv_sec == 1000000001 && st.st_mtim.tv_nsec == 7);
    CHECK(access("a", R_OK | W_OK) == 0);
    CHECK_ERRNO(access("none", F_OK), ENOENT);
    CHECK(statfs("/", &fs) == 0 && fs.f_namelen == 255);
    uint64_t sx[32];
    CHECK(syscall(SYS_statx, AT_FDCWD, "a", 0, 0x7ff, sx) == 0 && sx[5] == 23); /* stx_size */
    umask(027);
    close(open("u", O_CREAT | O_WRONLY, 0666));
    CHECK(stat("u", &st) == 0 && (st.st_mode & 0777) == 0640);
    umask(022);
    CHECK(setxattr("a", "user.k", "value", 5, 0) == 0 || errno == EOPNOTSUPP);
    CHECK(getxattr("a", "user.k", buf, sizeof(buf)) == 5 || errno == EOPNOTSUPP);
    CHECK(truncate("a", 3) == 0 && stat("a", &st) == 0 && st.st_size == 3);
}

static void test_directory(void)
{
    char name[32];
    int seen = 0;
    DIR *d;

    CHECK(mkdir("many", 0755) == 0);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "many/f%03d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    d = opendir("many");
    for (struct dirent *e; (e = readdir(d));)
        seen += e->d_name[0] == 'f' && e->d_type == DT_REG;
    CHECK(seen == 500);
    rewinddir(d);
    CHECK(readdir(d) != NULL);
    closedir(d);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "many/f%03d", i);
        CHECK(unlink(name) == 0);
    }
    CHECK(rmdir("many") == 0);
}

static void test_descriptors(void)
{
    int fd = open("a", O_RDONLY | O_CLOEXEC), copy;

    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    copy = dup(fd);
    CHECK(copy > fd && fcntl(copy, F_GETFD) == 0);
    CHECK(lseek(fd, 2, SEEK_SET) == 2 && lseek(copy, 0, SEEK_CUR) == 2);
    CHECK(dup2(fd, 50) == 50 && fcntl(fd, F_DUPFD, 100) == 100);
    CHECK_ERRNO(dup2(fd, -1), EBADF);
    CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
    CHECK(syscall(SYS_close_range, 50, 100, 0) == 0);
    CHECK_ERRNO(fcntl(50, F_GETFD), EBADF);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    CHECK(fcntl(fd, F_SETLK, &lock) == 0);
    lock.l_type = F_WRLCK;
    CHECK(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
    close(copy);
    close(fd);
}

static void test_devices(void)
{
    char buf[64] = {1};
    int fd = open("/dev/zero", O_RDWR);
    struct stat st;

    CHECK(read(fd, buf, 64) == 64 && buf[0] == 0 && write(fd, buf, 64) == 64);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    CHECK(read(fd, buf, 64) == 0 && write(fd, buf, 64) == 64);
    CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
    close(fd);
    fd = open("/dev/full", O_RDWR);
    CHECK_ERRNO(write(fd, buf, 1), ENOSPC);
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    CHECK(read(fd, buf, 64) == 64);
    close(fd);
    CHECK(readlink("/proc/self/fd/0", buf, sizeof(buf)) > 0);
    fd = open("/proc/self/status", O_RDONLY);
    CHECK(fd >= 0 && read(fd, buf, 5) == 5 && !memcmp(buf, "Name:", 5));
    close(fd);
}

int main(void)
{
    test_read_write();
    test_vectors();
    test_names();
    test_attributes();
    test_directory();
    test_descriptors();
    test_devices();
    return guest_done();
}
