/* SPDX-License-Identifier: MIT */
/*
 * Host calls on descriptors, and waiting.
 *
 * The enclave may name host descriptors 0, 1 and 2 only, and only those that were open when Adyton
 * started; the runtime's own lie above. Everything that may wait for another process goes through host_syscall(), so that
 * a signal, the enclave's timer or a kick ends it with -EINTR, also when it came just before.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fds.h"
#include "hostcall_dispatch.h"
#include "internal.h"

#define POLL_MAX 64

/*
 * A system call that may wait. A signal or kick that struck the enclave's kernel is only marked there: it
 * must not wait before it has looked. One that comes after these checks sets `notice`.
 */
static long wait_syscall(struct host_context *ctx, long number, long a, long b, long c, long d, long e)
{
    int struck = ctx->struck;

    ctx->struck = 0;
    if (struck || __atomic_load_n(&ctx->block->pending_signals, __ATOMIC_SEQ_CST))
        return -EINTR;
    return host_syscall(&ctx->notice, number, a, b, c, d, e, 0);
}

int64_t host_read(struct host_context *ctx, int32_t fd, uint64_t size, void *buf)
{
    if (!fds_granted(fd))
        return -EBADF;
    return wait_syscall(ctx, SYS_read, fd, (long)buf, (long)size, 0, 0);
}

int64_t host_write(struct host_context *ctx, int32_t fd, uint64_t size, const void *buf)
{
    if (!fds_granted(fd))
        return -EBADF;
    return wait_syscall(ctx, SYS_write, fd, (long)buf, (long)size, 0, 0);
}

/* Who stands behind the descriptor, as the kernel's enum target_fd_kind counts. */
static int64_t kind_of(int32_t fd, const struct stat *st)
{
    if (isatty(fd))
        return 1;
    switch (st->st_mode & S_IFMT) {
    case S_IFIFO:
        return 2;
    case S_IFREG:
    case S_IFBLK:
        return 3;
    case S_IFSOCK:
        return 5;
    }
    return 4;
}

int64_t host_fd_kind(struct host_context *ctx, int32_t fd, uint64_t size, void *flags)
{
    uint64_t told = 0;
    struct stat st;
    int mode;

    (void)ctx;
    memset(flags, 0, size);
    if (!fds_granted(fd) || fstat(fd, &st) < 0)
        return 0;
    mode = fcntl(fd, F_GETFL);
    if (mode >= 0)
        told = (uint64_t)mode;
    memcpy(flags, &told, sizeof(told));
    return kind_of(fd, &st);
}

/* ---- Regular files: the offset is the description's, shared with whoever else has it ------------------- */

static int64_t done(long ret)
{
    return ret < 0 ? -errno : ret;
}

static uint64_t stat_ns(const struct timespec *t)
{
    if (t->tv_sec < 0 || t->tv_sec > INT64_MAX / 1000000000 - 1)
        return 0;
    return (uint64_t)t->tv_sec * 1000000000U + (uint64_t)t->tv_nsec;
}

int64_t host_fd_stat(struct host_context *ctx, int32_t fd, uint64_t size, void *data)
{
    struct host_stat *out = data;
    struct stat st;

    (void)ctx;
    memset(data, 0, size);
    if (!fds_granted(fd))
        return -EBADF;
    if (fstat(fd, &st) < 0)
        return -errno;
    *out = (struct host_stat){.mode = st.st_mode,
                              .nlink = st.st_nlink,
                              .uid = st.st_uid,
                              .gid = st.st_gid,
                              .rdev = st.st_rdev,
                              .size = (uint64_t)st.st_size,
                              .blocks = (uint64_t)st.st_blocks,
                              .atime = stat_ns(&st.st_atim),
                              .mtime = stat_ns(&st.st_mtim),
                              .ctime = stat_ns(&st.st_ctim),
                              .identity = st.st_dev * 0x9e3779b97f4a7c15U ^ st.st_ino};
    return 0;
}

int64_t host_seek(struct host_context *ctx, int32_t fd, int64_t offset, uint32_t whence)
{
    (void)ctx;
    return fds_granted(fd) ? done(lseek(fd, offset, (int)whence)) : -EBADF;
}

int64_t host_pread(struct host_context *ctx, int32_t fd, int64_t offset, uint64_t size, void *buf)
{
    (void)ctx;
    return fds_granted(fd) ? done(pread(fd, buf, size, offset)) : -EBADF;
}

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20 /* Linux 6.9 */
#endif

/* The flag is needed only where the description would do otherwise; older kernels lack it. */
static int append_flag(int32_t fd, uint32_t append)
{
    if (append == HOST_APPEND_YES)
        return RWF_APPEND;
    return append == HOST_APPEND_NO && (fcntl(fd, F_GETFL) & O_APPEND) ? RWF_NOAPPEND : 0;
}

int64_t host_pwrite(struct host_context *ctx, int32_t fd, int64_t offset, uint32_t append,
                    uint64_t size, const void *buf)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)buf, .iov_len = size};

    (void)ctx;
    return fds_granted(fd) ? done(pwritev2(fd, &part, 1, offset, append_flag(fd, append))) : -EBADF;
}

int64_t host_truncate(struct host_context *ctx, int32_t fd, uint64_t length)
{
    (void)ctx;
    return fds_granted(fd) ? done(ftruncate(fd, (off_t)length)) : -EBADF;
}

int64_t host_fallocate(struct host_context *ctx, int32_t fd, uint32_t mode, int64_t offset,
                       int64_t length)
{
    (void)ctx;
    return fds_granted(fd) ? done(fallocate(fd, (int)mode, offset, length)) : -EBADF;
}

int64_t host_sync(struct host_context *ctx, int32_t fd, uint32_t data_only)
{
    (void)ctx;
    if (!fds_granted(fd))
        return -EBADF;
    return done(data_only ? fdatasync(fd) : fsync(fd));
}

int64_t host_set_append(struct host_context *ctx, int32_t fd, uint32_t on)
{
    int flags;

    (void)ctx;
    if (!fds_granted(fd))
        return -EBADF;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    return done(fcntl(fd, F_SETFL, on ? flags | O_APPEND : flags & ~O_APPEND));
}

/* ---- Waiting ------------------------------------------------------------------------------------------ */

/* Copies the enclave's list; what it may not name becomes a closed descriptor. */
static unsigned copy_fds(struct pollfd *list, const void *data, uint64_t size)
{
    unsigned count = (unsigned)(size / sizeof(struct pollfd));

    memcpy(list, data, count * sizeof(struct pollfd));
    for (unsigned i = 0; i < count; i++) {
        list[i].revents = 0;
        if (!fds_granted(list[i].fd))
            list[i].fd = -1;
    }
    return count;
}

/* Copies readiness back; the number of ready descriptors. */
static int64_t return_fds(const struct pollfd *list, unsigned count, void *data)
{
    struct pollfd *out = data;
    int64_t ready = 0;

    for (unsigned i = 0; i < count; i++) {
        out[i].revents = list[i].fd < 0 ? POLLNVAL : list[i].revents;
        ready += out[i].revents != 0;
    }
    return ready;
}

static long do_ppoll(struct host_context *ctx, struct pollfd *list, unsigned count,
                     struct timespec *timeout)
{
    return wait_syscall(ctx, SYS_ppoll, (long)list, count, (long)timeout, 0, 8);
}

int64_t host_poll(struct host_context *ctx, uint64_t size, void *fds, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    struct pollfd list[POLL_MAX];
    unsigned count = copy_fds(list, fds, size);
    long ret;

    if (timeout_ns == 0) {
        /* does not wait, so a signal that strikes it has nothing to end */
        do {
            ret = poll(list, count, 0) < 0 ? -errno : 0;
        } while (ret == -EINTR);
    } else {
        ret = do_ppoll(ctx, list, count, timeout_ns < 0 ? NULL : &timeout);
    }
    return ret < 0 ? ret : return_fds(list, count, fds);
}

static struct timespec *remaining(uint64_t deadline, struct timespec *timeout)
{
    uint64_t now = host_now_ns(CLOCK_MONOTONIC);
    uint64_t left = deadline > now ? deadline - now : 0;

    if (deadline == UINT64_MAX)
        return NULL;
    timeout->tv_sec = (time_t)(left / 1000000000U);
    timeout->tv_nsec = (long)(left % 1000000000U);
    return timeout;
}

int64_t host_park(struct host_context *ctx, uint64_t size, void *fds, uint64_t deadline)
{
    struct pollfd list[POLL_MAX + 1];
    unsigned count = copy_fds(list, fds, size);
    struct timespec timeout;
    uint64_t wakes;
    long ret;

    list[count] = (struct pollfd){.fd = ctx->wake_fd, .events = POLLIN};
    ret = do_ppoll(ctx, list, count + 1, remaining(deadline, &timeout));
    if (ret < 0)
        return ret;
    if (list[count].revents)
        (void)!read(ctx->wake_fd, &wakes, sizeof(wakes));
    return return_fds(list, count, fds);
}
