/* SPDX-License-Identifier: MIT */
/* statx, timestamps and who moves them, getdents64 with seeks, extended attributes. */
#include "guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* As in linux/stat.h, which clashes with the C library's. */
struct sx_time {
    int64_t sec;
    uint32_t nsec;
    int32_t pad;
};
struct sx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad;
    uint64_t ino, size, blocks, attributes_mask;
    struct sx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mnt_id, more[13];
};

static long statx_call(const char *path, int flags, unsigned mask, struct sx *sx)
{
    return syscall(SYS_statx, AT_FDCWD, path, flags, mask, sx);
}

static void test_statx(void)
{
    struct sx sx;
    struct stat st;
    int fd = open("f", O_CREAT | O_RDWR, 0600);

    CHECK(sizeof(sx) == 256 && write(fd, "12345", 5) == 5 && fstat(fd, &st) == 0);
    CHECK(statx_call("f", 0, 0xfff, &sx) == 0 && (sx.mask & 0x7ff) == 0x7ff);
    CHECK(sx.size == 5 && sx.mode == (S_IFREG | 0600) && sx.nlink == 1 && sx.uid == 0 && sx.gid == 0);
    CHECK(sx.ino == st.st_ino && sx.blksize == (uint32_t)st.st_blksize);
    CHECK(sx.blocks == (uint64_t)st.st_blocks && makedev(sx.dev_major, sx.dev_minor) == st.st_dev);
    CHECK(sx.mtime.sec == st.st_mtim.tv_sec && sx.mtime.nsec == st.st_mtim.tv_nsec);
    CHECK(sx.rdev_major == 0 && sx.rdev_minor == 0);
    CHECK(statx_call("/dev/null", 0, 0x7ff, &sx) == 0 && sx.rdev_major == 1 && sx.rdev_minor == 3);
    CHECK(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x7ff, &sx) == 0 && sx.size == 5);
    CHECK(statx_call("/", 0, 0x7ff, &sx) == 0 && (sx.attributes_mask & 0x2000));
    CHECK(sx.attributes & 0x2000); /* a mount's root */
    CHECK_ERRNO(statx_call("f", 0, 0x80000000, &sx), EINVAL);
    CHECK_ERRNO(statx_call("f", 0x6000, 0x7ff, &sx), EINVAL);
    CHECK_ERRNO(statx_call("f", 0x40000000, 0x7ff, &sx), EINVAL);
    CHECK_ERRNO(statx_call("f", 0, 0x7ff, (void *)8), EFAULT);
    CHECK_ERRNO(statx_call("", 0, 0x7ff, &sx), ENOENT);
    close(fd);
}

static int newer(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){0, 12000000}, NULL);
}

static void test_times(void)
{
    struct stat a, b;
    struct timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}}, now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    struct timespec bad[2] = {{0, 1000000000}, {0, 0}};

    CHECK(stat("f", &a) == 0);
    pause_briefly();
    int fd = open("f", O_WRONLY);
    CHECK(write(fd, "x", 1) == 1 && stat("f", &b) == 0);
    CHECK(newer(b.st_mtim, a.st_mtim) && newer(b.st_ctim, a.st_ctim));
    pause_briefly();
    CHECK(chmod("f", 0600) == 0 && stat("f", &a) == 0);
    CHECK(newer(a.st_ctim, b.st_ctim) && !newer(a.st_mtim, b.st_mtim));
    pause_briefly();
    CHECK(link("f", "g") == 0 && stat("f", &b) == 0 && newer(b.st_ctim, a.st_ctim));
    CHECK(stat(".", &a) == 0);
    pause_briefly();
    CHECK(unlink("g") == 0 && stat(".", &b) == 0 && newer(b.st_mtim, a.st_mtim));
    CHECK(futimens(fd, omit) == 0 && futimens(fd, now) == 0);
    CHECK_ERRNO(futimens(fd, bad), EINVAL);
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, NULL, now, 0), EFAULT);
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", now, 0x8000), EINVAL);
    CHECK(symlink("f", "l") == 0);
    struct timespec old[2] = {{5, 6}, {7, 8}};
    CHECK(utimensat(AT_FDCWD, "l", old, AT_SYMLINK_NOFOLLOW) == 0 && lstat("l", &a) == 0);
    CHECK(a.st_atim.tv_sec == 5 && a.st_mtim.tv_nsec == 8 && stat("l", &b) == 0 && b.st_mtim.tv_sec > 8);
    struct timespec before[2] = {{-5, 7}, {-1, 999999999}};
    CHECK(utimensat(AT_FDCWD, "f", before, 0) == 0 && stat("f", &a) == 0);
    CHECK(a.st_atim.tv_sec == -5 && a.st_atim.tv_nsec == 7);
    CHECK(a.st_mtim.tv_sec == -1 && a.st_mtim.tv_nsec == 999999999);
    CHECK(ftruncate(fd, 6) == 0);
    close(fd);
}

struct entry {
    uint64_t ino;
    int64_t off;
    uint16_t size;
    uint8_t type;
    char name[];
};

static void test_getdents(void)
{
    char name[16], buf[4096];
    unsigned char seen[100] = {0};
    int64_t offs[110];
    int count = 0, fd;
    long n;

    CHECK(mkdir("d", 0755) == 0 && chdir("d") == 0);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "e%02d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    fd = open(".", O_RDONLY | O_DIRECTORY);
    while ((n = syscall(SYS_getdents64, fd, buf, 200)) > 0) {
        for (long at = 0; at < n; at += ((struct entry *)(buf + at))->size) {
            struct entry *e = (struct entry *)(buf + at);
            CHECK(e->size % 8 == 0 && count < 102);
            offs[count++] = e->off;
            if (e->name[0] == 'e')
                seen[atoi(e->name + 1)]++;
            else
                CHECK(e->name[0] == '.' && e->type == DT_DIR);
        }
    }
    CHECK(n == 0 && count == 102 && !memchr(seen, 0, 100) && !memchr(seen, 2, 100));
    CHECK(lseek(fd, offs[50], SEEK_SET) == offs[50]);
    for (count = 0; (n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0;)
        for (long at = 0; at < n; at += ((struct entry *)(buf + at))->size)
            count++;
    CHECK(count == 51);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    /* names that go while the directory is read do not hide others */
    for (count = 0; (n = syscall(SYS_getdents64, fd, buf, 64)) > 0;)
        for (long at = 0; at < n; at += ((struct entry *)(buf + at))->size) {
            struct entry *e = (struct entry *)(buf + at);
            if (e->name[0] == 'e') {
                CHECK(unlink(e->name) == 0);
                count++;
            }
        }
    CHECK(count == 100);
    CHECK_ERRNO((lseek(fd, 0, SEEK_SET), syscall(SYS_getdents64, fd, buf, 10)), EINVAL);
    CHECK_ERRNO(syscall(SYS_getdents64, fd, 8, 4096), EFAULT);
    CHECK_ERRNO(read(fd, buf, 10), EISDIR);
    CHECK(chdir("..") == 0 && rmdir("d") == 0);
    CHECK_ERRNO((lseek(fd, 0, SEEK_SET), syscall(SYS_getdents64, fd, buf, 4096)), ENOENT);
    close(fd);
}

static void test_xattr(void)
{
    char buf[256], big[5000];
    int fd = open("f", O_RDWR);

    CHECK(setxattr("f", "user.a", "1", 1, XATTR_CREATE) == 0);
    CHECK_ERRNO(setxattr("f", "user.a", "2", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(setxattr("f", "user.b", "2", 1, XATTR_REPLACE), ENODATA);
    CHECK_ERRNO(setxattr("f", "user.b", "2", 1, 4), EINVAL);
    CHECK(lsetxattr("f", "user.b", "22", 2, 0) == 0 && fsetxattr(fd, "user.c", "333", 3, 0) == 0);
    CHECK(getxattr("l", "user.a", buf, sizeof(buf)) == 1 && buf[0] == '1');
    CHECK(lgetxattr("f", "user.b", buf, sizeof(buf)) == 2 && fgetxattr(fd, "user.c", NULL, 0) == 3);
    CHECK_ERRNO(getxattr("f", "user.c", buf, 2), ERANGE);
    CHECK_ERRNO(getxattr("f", "user.none", buf, 2), ENODATA);
    CHECK_ERRNO(getxattr("f", "nonsense", buf, 2), EOPNOTSUPP);
    CHECK_ERRNO(getxattr("f", "user.", buf, 2), EINVAL);
    CHECK_ERRNO(getxattr("f", "", buf, 2), ERANGE);
    CHECK_ERRNO(lsetxattr("l", "user.x", "1", 1, 0), EPERM);
    CHECK_ERRNO(setxattr("/dev/null", "user.x", "1", 1, 0), EPERM);
    CHECK(setxattr("f", "trusted.t", "t", 1, 0) == 0 && removexattr("f", "trusted.t") == 0);
    ssize_t n = listxattr("f", buf, sizeof(buf));
    CHECK(n >= 21 && memmem(buf, (size_t)n, "user.b", 7) && memmem(buf, (size_t)n, "user.c", 7));
    CHECK(flistxattr(fd, NULL, 0) == n && llistxattr("f", buf, (size_t)n) == n);
    CHECK_ERRNO(listxattr("f", buf, 3), ERANGE);
    memset(big, 'n', sizeof(big));
    memcpy(big, "user.", 5);
    big[300] = 0;
    CHECK_ERRNO(setxattr("f", big, "1", 1, 0), ERANGE);
    CHECK_ERRNO(setxattr("f", "user.big", big, 65537, 0), E2BIG);
    CHECK(removexattr("f", "user.a") == 0 && lremovexattr("f", "user.b") == 0);
    CHECK(fremovexattr(fd, "user.c") == 0);
    CHECK_ERRNO(fremovexattr(fd, "user.c"), ENODATA);
    CHECK_ERRNO(getxattr("none", "user.a", buf, 1), ENOENT);
    close(fd);
}

int main(void)
{
    CHECK(mkdir("m", 0755) == 0 && chdir("m") == 0);
    test_statx();
    test_times();
    test_getdents();
    test_xattr();
    return guest_done();
}
