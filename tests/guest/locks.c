/* SPDX-License-Identifier: MIT */
/* Record locks, open file description locks, flock, memfd seals. */
#include "guest.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int lock(int fd, int cmd, short type, off_t start, off_t size)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};

    return fcntl(fd, cmd, &l);
}

static short who(int fd, int cmd, short type, off_t start, off_t size, struct flock *out)
{
    *out = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
    CHECK(fcntl(fd, cmd, out) == 0);
    return out->l_type;
}

static void test_posix(void)
{
    int a = open("l", O_CREAT | O_RDWR, 0600), b = open("l", O_RDWR), r = open("l", O_RDONLY);
    struct flock l;

    CHECK(lock(a, F_SETLK, F_WRLCK, 0, 100) == 0 && lock(b, F_SETLK, F_WRLCK, 50, 100) == 0);
    CHECK(who(b, F_GETLK, F_WRLCK, 0, 0, &l) == F_UNLCK); /* one's own locks do not conflict */
    CHECK_ERRNO(lock(r, F_SETLK, F_WRLCK, 0, 1), EBADF);
    CHECK(lock(r, F_SETLK, F_RDLCK, 0, 1) == 0 && lock(a, F_SETLKW, F_UNLCK, 0, 0) == 0);
    CHECK_ERRNO(lock(a, F_SETLK, 7, 0, 0), EINVAL);
    CHECK_ERRNO(lock(a, F_SETLK, F_WRLCK, -1, 0), EINVAL);
    CHECK_ERRNO(lock(a, F_SETLK, F_WRLCK, 10, -20), EINVAL);
    CHECK(lock(a, F_SETLK, F_WRLCK, 100, -20) == 0);
    CHECK_ERRNO(fcntl(a, F_SETLK, (void *)8), EFAULT);
    /* an OFD lock of another description conflicts with a process's */
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 90, 5), EAGAIN);
    CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 100, 5) == 0 && lock(b, F_OFD_SETLK, F_WRLCK, 0, 80) == 0);
    CHECK(who(b, F_OFD_GETLK, F_WRLCK, 0, 0, &l) == F_WRLCK && l.l_start == 80 && l.l_len == 20);
    CHECK(l.l_pid == getpid() && who(a, F_GETLK, F_RDLCK, 0, 0, &l) == F_WRLCK);
    CHECK(l.l_start == 0 && l.l_len == 80 && l.l_pid == -1);
    /* closing any descriptor of the file drops the process's locks, not the description's */
    CHECK(close(r) == 0 && who(b, F_OFD_GETLK, F_WRLCK, 80, 20, &l) == F_UNLCK);
    r = open("l", O_RDONLY);
    CHECK(who(r, F_OFD_GETLK, F_RDLCK, 0, 0, &l) == F_WRLCK && l.l_start == 0);
    CHECK(close(b) == 0 && who(r, F_OFD_GETLK, F_RDLCK, 0, 0, &l) == F_UNLCK);
    close(r);
    close(a);
}

static void test_ofd_ranges(void)
{
    int a = open("l", O_RDWR), b = open("l", O_RDWR);
    struct flock l;

    CHECK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 100) == 0 && lock(a, F_OFD_SETLK, F_UNLCK, 40, 20) == 0);
    CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 40, 20) == 0);
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 39, 1), EAGAIN);
    CHECK(lock(a, F_OFD_SETLK, F_RDLCK, 60, 20) == 0 && lock(b, F_OFD_SETLK, F_RDLCK, 60, 20) == 0);
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 60, 1), EAGAIN);
    CHECK(who(b, F_OFD_GETLK, F_RDLCK, 0, 1000, &l) == F_WRLCK && l.l_start == 0 && l.l_len == 40);
    CHECK(lock(a, F_OFD_SETLK, F_UNLCK, 0, 0) == 0 && who(b, F_OFD_GETLK, F_WRLCK, 0, 0, &l) == F_UNLCK);
    CHECK(lock(a, F_OFD_SETLK, F_WRLCK, 1000, 0) == 0);
    CHECK(who(b, F_OFD_GETLK, F_WRLCK, 1 << 30, 1, &l) == F_WRLCK && l.l_start == 1000 && l.l_len == 0);
    struct flock bad = {.l_type = F_RDLCK, .l_pid = 1};
    CHECK_ERRNO(fcntl(a, F_OFD_SETLK, &bad), EINVAL);
    CHECK(lockf(a, F_TLOCK, 10) == 0 && lockf(a, F_ULOCK, 10) == 0);
    close(a);
    close(b);
}

static void test_flock(void)
{
    int a = open("l", O_RDWR), b = open("l", O_RDONLY), c = dup(a);

    CHECK(flock(a, LOCK_EX) == 0 && flock(c, LOCK_EX | LOCK_NB) == 0);
    CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
    CHECK(flock(c, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
    CHECK_ERRNO(flock(a, LOCK_EX | LOCK_NB), EAGAIN);
    CHECK(flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0 && close(a) == 0);
    CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
    CHECK(close(c) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
    CHECK_ERRNO(flock(b, 0), EINVAL);
    CHECK_ERRNO(flock(-1, LOCK_EX), EBADF);
    close(b);
}

static void test_seals(void)
{
    char path[64], link[64];
    int fd = memfd_create("sealed", MFD_ALLOW_SEALING), ro;
    struct stat st;

    CHECK(fcntl(fd, F_GET_SEALS) == 0 && ftruncate(fd, 8192) == 0);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK(munmap(p, 8192) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK_ERRNO(ftruncate(fd, 4096), EPERM);
    CHECK(ftruncate(fd, 12288) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
    CHECK_ERRNO(ftruncate(fd, 16384), EPERM);
    CHECK_ERRNO(pwrite(fd, "x", 1, 12288), EPERM);
    CHECK_ERRNO(fallocate(fd, 0, 0, 16384), EPERM);
    CHECK(pwrite(fd, "x", 1, 0) == 1);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
    p[1] = 'y';
    char *q = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0); /* counts as one that never writes */
    CHECK(q != MAP_FAILED && q[1] == 'y' && munmap(q, 4096) == 0);
    CHECK(munmap(p, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && p[0] == 'x' && p[1] == 'y');
    CHECK_ERRNO(mprotect(p, 4096, PROT_READ | PROT_WRITE), EACCES);
    CHECK(munmap(p, 4096) == 0);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && (p[0] = 'z') && munmap(p, 4096) == 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
                                     F_SEAL_FUTURE_WRITE));
    CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 && (st.st_mode & 0777) == 0777);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(readlink(path, link, sizeof(link)) > 0 && !strncmp(link, "/memfd:sealed (deleted)", 23));
    close(fd);
    fd = memfd_create("plain", 0);
    CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL && fcntl(fd, F_GETFD) == 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ro = open(path, O_RDONLY);
    CHECK(ro >= 0 && write(fd, "abc", 3) == 3 && read(ro, path, 8) == 3);
    close(ro);
    close(fd);
    CHECK_ERRNO(memfd_create("x", 0x100), EINVAL);
    memset(path, 'n', 63);
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    CHECK_ERRNO(memfd_create(name, 0), EINVAL);
    fd = open("l", O_RDWR);
    CHECK_ERRNO(fcntl(fd, F_GET_SEALS), EINVAL);
    close(fd);
}

int main(void)
{
    test_posix();
    test_ofd_ranges();
    test_flock();
    test_seals();
    return guest_done();
}
