/* SPDX-License-Identifier: MIT */
/*
 * Host calls on descriptors, and waiting.
 *
 * The enclave may name host descriptors 0, 1 and 2 only, and only those that were open when Adyton
 * started; the runtime's own lie above. Everything that may wait goes through host_syscall(), so that
 * a signal, the enclave's timer or a kick ends it with -EINTR, also when it came just before.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fds.h"
#include "hostcall_dispatch.h"
#include "internal.h"

#define POLL_MAX 64

int64_t host_read(struct host_context *ctx, int32_t fd, uint64_t size, void *buf)
{
    if (!fds_granted(fd))
        return -EBADF;
    return host_syscall(&ctx->notice, SYS_read, fd, (long)buf, (long)size, 0, 0, 0);
}

int64_t host_write(struct host_context *ctx, int32_t fd, uint64_t size, const void *buf)
{
    if (!fds_granted(fd))
        return -EBADF;
    return host_syscall(&ctx->notice, SYS_write, fd, (long)buf, (long)size, 0, 0, 0);
}

/* Who stands behind the descriptor, as the kernel's enum target_fd_kind counts. */
int64_t host_fd_kind(struct host_context *ctx, int32_t fd, uint64_t size, void *flags)
{
    uint64_t access = 0;
    struct stat st;
    int mode;

    (void)ctx;
    memset(flags, 0, size);
    if (!fds_granted(fd) || fstat(fd, &st) < 0)
        return 0;
    mode = fcntl(fd, F_GETFL);
    if (mode >= 0)
        access = (uint64_t)(mode & O_ACCMODE);
    memcpy(flags, &access, sizeof(access));
    if (isatty(fd))
        return 1;
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
        return 2;
    return S_ISREG(st.st_mode) ? 3 : 4;
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
    return host_syscall(&ctx->notice, SYS_ppoll, (long)list, count, (long)timeout, 0, 8, 0);
}

int64_t host_poll(struct host_context *ctx, uint64_t size, void *fds, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    struct pollfd list[POLL_MAX];
    unsigned count = copy_fds(list, fds, size);
    long ret;

    if (timeout_ns == 0)
        ret = poll(list, count, 0) < 0 ? -errno : 0;
    else
        ret = do_ppoll(ctx, list, count, timeout_ns < 0 ? NULL : &timeout);
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
