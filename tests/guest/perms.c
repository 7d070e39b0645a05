/* SPDX-License-Identifier: MIT */
/* Permissions as root and as another user: modes, sticky and set-id bits, umask, ownership, capabilities. */
#include "guest.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { USER = 1000, OTHER = 2000, GROUP = 1000, TEAM = 3000 };

static mode_t mode_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0xffff;
}

static void make(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    CHECK(fd >= 0 && write(fd, "text", 4) == 4 && close(fd) == 0);
    CHECK(chown(path, uid, gid) == 0 && chmod(path, mode) == 0);
}

static void dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    CHECK(mkdir(path, 0700) == 0 && chown(path, uid, gid) == 0 && chmod(path, mode) == 0);
}

static void prepare(void)
{
    dir("w", 0755, 0, 0);
    CHECK(chdir("w") == 0);
    make("secret", 0600, 0, 0);
    make("readable", 0644, 0, 0);
    make("team", 0640, 0, TEAM);
    make("mine", 0600, USER, GROUP);
    make("nobody", 0, USER, GROUP);
    make("suid", 06755, USER, GROUP);
    make("noexec", 0644, USER, GROUP);
    dir("closed", 0700, 0, 0);
    make("closed/f", 0644, 0, 0);
    dir("blind", 0711, 0, 0);
    make("blind/f", 0644, 0, 0);
    dir("sticky", 01777, 0, 0);
    make("sticky/root", 0666, 0, 0);
    make("sticky/mine", 0600, USER, GROUP);
    dir("sgid", 02777, 0, TEAM);
    dir("home", 0755, USER, GROUP);
    dir("home/full", 0700, USER, GROUP);
}

static void test_root(void)
{
    CHECK(access("nobody", R_OK | W_OK) == 0 && open("nobody", O_RDWR) >= 0);
    CHECK_ERRNO(access("secret", X_OK), EACCES);
    CHECK_ERRNO(access("secret", 8), EINVAL);
    CHECK(umask(0) == 022 && close(open("all", O_CREAT | O_WRONLY, 0666)) == 0 && mode_of("all") == 0666);
    CHECK(umask(0777) == 0 && close(open("none", O_CREAT | O_WRONLY, 0666)) == 0 && mode_of("none") == 0);
    CHECK(umask(022) == 0777 && mkdir("dm", 07777) == 0);
    CHECK(mode_of("dm") == 01755 && mknod("fifo", S_IFIFO | 0666, 0) == 0 && mode_of("fifo") == 0644);
    CHECK(mknod("null", S_IFCHR | 0666, (1 << 8) | 3) == 0 && mode_of("null") == 0644);
    CHECK(chown("all", 5, (gid_t)-1) == 0 && chown("all", (uid_t)-1, 6) == 0);
    struct stat st;
    CHECK(stat("all", &st) == 0 && st.st_uid == 5 && st.st_gid == 6);
    CHECK(chmod("suid", 06755) == 0 && chown("suid", USER, GROUP) == 0 && mode_of("suid") == 0755);
    CHECK(chmod("suid", 06755) == 0 && mkdir("sgid/root", 0755) == 0 && mode_of("sgid/root") == 02755);
}

static void drop(void)
{
    gid_t groups[2] = {TEAM, 7};

    CHECK(setgroups(2, groups) == 0);
    CHECK(setresgid(GROUP, GROUP, GROUP) == 0 && setresuid(USER, USER, USER) == 0);
    CHECK_ERRNO(setuid(0), EPERM);
    CHECK_ERRNO(setresuid(0, -1, -1), EPERM);
    CHECK_ERRNO(setgroups(0, NULL), EPERM);
    CHECK(getgroups(0, NULL) == 2);
    CHECK_ERRNO(getgroups(1, groups), EINVAL);
}

static void test_access(void)
{
    CHECK_ERRNO(open("secret", O_RDONLY), EACCES);
    CHECK_ERRNO(open("readable", O_WRONLY), EACCES);
    CHECK_ERRNO(open("readable", O_RDONLY | O_TRUNC), EACCES);
    CHECK_ERRNO(open("readable", O_RDONLY | O_NOATIME), EPERM);
    CHECK(close(open("readable", O_RDONLY)) == 0 && close(open("team", O_RDONLY)) == 0);
    CHECK_ERRNO(open("team", O_RDWR), EACCES);
    CHECK_ERRNO(open("nobody", O_RDONLY), EACCES);
    CHECK(close(open("secret", O_PATH)) == 0);
    CHECK_ERRNO(open("closed/f", O_PATH), EACCES);
    CHECK_ERRNO(open("closed", O_RDONLY), EACCES);
    CHECK_ERRNO(chdir("closed"), EACCES);
    CHECK_ERRNO(open("blind", O_RDONLY), EACCES);
    CHECK(close(open("blind/f", O_RDONLY)) == 0 && chdir("blind") == 0 && chdir("..") == 0);
    CHECK_ERRNO(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
    CHECK_ERRNO(mkdir("new", 0700), EACCES);
    CHECK_ERRNO(symlink("x", "new"), EACCES);
    CHECK_ERRNO(link("mine", "new"), EACCES);
    CHECK_ERRNO(unlink("mine"), EACCES);
    CHECK_ERRNO(rename("mine", "home/mine"), EACCES);
    CHECK_ERRNO(rename("home/full", "full"), EACCES);
    CHECK_ERRNO(truncate("readable", 0), EACCES);
    CHECK_ERRNO(access("secret", R_OK), EACCES);
    CHECK(access("secret", F_OK) == 0 && faccessat(AT_FDCWD, "mine", R_OK | W_OK, AT_EACCESS) == 0);
    CHECK_ERRNO(execl("noexec", "noexec", NULL), EACCES);
    CHECK_ERRNO(execl("home", "home", NULL), EACCES);
    CHECK_ERRNO(chroot("home"), EPERM);
    CHECK_ERRNO(mknod("home/dev", S_IFCHR | 0600, 0x103), EPERM);
    CHECK(mknod("home/fifo", S_IFIFO | 0600, 0) == 0 && mknod("home/reg", S_IFREG | 0600, 0) == 0);
}

static void test_ownership(void)
{
    struct timespec times[2] = {{1, 0}, {2, 0}};

    CHECK_ERRNO(chmod("readable", 0666), EPERM);
    CHECK_ERRNO(chown("readable", USER, -1), EPERM);
    CHECK_ERRNO(chown("mine", OTHER, -1), EPERM);
    CHECK_ERRNO(chown("mine", -1, OTHER), EPERM);
    CHECK(chown("mine", -1, TEAM) == 0 && chown("mine", USER, GROUP) == 0 && chmod("mine", 0640) == 0);
    CHECK_ERRNO(utimensat(AT_FDCWD, "readable", times, 0), EPERM);
    CHECK_ERRNO(utimensat(AT_FDCWD, "readable", NULL, 0), EACCES);
    CHECK(utimensat(AT_FDCWD, "mine", times, 0) == 0 && utimensat(AT_FDCWD, "mine", NULL, 0) == 0);
    CHECK(chmod("mine", 02640) == 0 && mode_of("mine") == 02640);
    CHECK(chown("mine", -1, TEAM) == 0 && chmod("mine", 02750) == 0 && mode_of("mine") == 02750);
    CHECK(chmod("suid", 06755) == 0 && mode_of("suid") == 06755);
    int fd = open("suid", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && mode_of("suid") == 0755 && close(fd) == 0);
    CHECK(chmod("suid", 06755) == 0 && truncate("suid", 1) == 0 && mode_of("suid") == 0755);
    CHECK(mknod("home/g", S_IFREG | 0600, 0) == 0);
    CHECK_ERRNO(chown("home/g", -1, OTHER), EPERM);
}

static void test_special_directories(void)
{
    struct stat st;

    CHECK_ERRNO(unlink("sticky/root"), EPERM);
    CHECK_ERRNO(rename("sticky/root", "sticky/x"), EPERM);
    CHECK_ERRNO(rename("sticky/mine", "sticky/root"), EPERM);
    CHECK(close(open("sticky/root", O_RDWR)) == 0);
    CHECK(rename("sticky/mine", "sticky/mine2") == 0 && unlink("sticky/mine2") == 0);
    CHECK(close(open("sgid/f", O_CREAT | O_WRONLY, 02755)) == 0 && stat("sgid/f", &st) == 0);
    CHECK(st.st_uid == USER && st.st_gid == TEAM && (st.st_mode & 07777) == 02755);
    CHECK(mkdir("sgid/d", 0755) == 0 && stat("sgid/d", &st) == 0 && st.st_gid == TEAM);
    CHECK((st.st_mode & 07777) == 02755);
    CHECK(symlink("x", "sgid/l") == 0 && lstat("sgid/l", &st) == 0 && st.st_gid == TEAM);
    CHECK(mkdir("home/d", 0755) == 0 && stat("home/d", &st) == 0 && st.st_gid == GROUP);
}

static void test_capabilities(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{1, 1, 1}, {0, 0, 0}};

    CHECK(syscall(SYS_capget, &h, d) == 0 && !d[0].effective && !d[0].permitted && !d[1].effective);
    d[0].effective = d[0].permitted = 1;
    CHECK_ERRNO(syscall(SYS_capset, &h, d), EPERM);
    h.version = 7;
    CHECK_ERRNO(syscall(SYS_capget, &h, d), EINVAL);
    CHECK(h.version == _LINUX_CAPABILITY_VERSION_3);
}

int main(void)
{
    umask(022);
    prepare();
    test_root();
    drop();
    test_access();
    test_ownership();
    test_special_directories();
    test_capabilities();
    return guest_done();
}
