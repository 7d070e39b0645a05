/* SPDX-License-Identifier: MIT */
/*
 * target.h on a plain Linux process, for unit tests. Memory is mmap's, parking is poll(2) on an
 * eventfd a thread, host descriptors are the process's own. What a plain process cannot do answers
 * -ENOSYS. Nothing here is ever linked into an enclave.
 */
#include "null.h"
#include "null_libc.h"

#include <cpuid.h>
#include <kernel/lock.h>
#include <kernel/poll.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>

struct target_thread {
    int event; /* counts unparks */
};

static __thread struct task g_own_task;
static __thread struct target_thread g_own_thread;
static __thread struct task *g_task;
static __thread jmp_buf *g_panic_to;
static __thread char g_panic_report[512];

static char g_log_last[4096]; /* racy when threads log at once: tests look when they are alone */
static unsigned g_log_count;

static u64 g_commits_left = UINT64_MAX;
static const void *g_manifest_data, *g_rootfs_data;
static size_t g_manifest_size;
static u64 g_rootfs_size;

/* ---- Tasks ---------------------------------------------------------------------------------- */

static void thread_attach(struct task *t)
{
    if (!t->target) {
        if (!g_own_thread.event)
            g_own_thread.event = null_libc_event();
        t->target = &g_own_thread;
    }
    if (!t->waiters.next)
        list_init(&t->waiters);
}

void null_task_set(struct task *t)
{
    g_task = t ? t : &g_own_task;
    thread_attach(g_task);
}

struct task *current_task(void)
{
    if (!g_task) {
        ref_init(&g_own_task.ref);
        null_task_set(NULL);
    }
    return g_task;
}

/* ---- Memory --------------------------------------------------------------------------------- */

void null_commit_fail_after(u64 count)
{
    g_commits_left = count;
}

static bool may_commit(void)
{
    if (g_commits_left && g_commits_left != UINT64_MAX)
        g_commits_left--;
    return g_commits_left;
}

int target_mem_commit(uintptr_t va, size_t page_count, unsigned prot)
{
    return may_commit() ? null_libc_map(va, page_count * PAGE_SIZE, prot) : -ENOMEM;
}

int target_mem_commit_copy(uintptr_t va, const void *src, unsigned prot)
{
    int err = target_mem_commit(va, 1, TARGET_READ | TARGET_WRITE);

    if (err)
        return err;
    memcpy((void *)va, src, PAGE_SIZE);
    return null_libc_protect(va, PAGE_SIZE, prot);
}

int target_mem_protect(uintptr_t va, size_t page_count, unsigned old, unsigned new_prot)
{
    (void)old;
    return null_libc_protect(va, page_count * PAGE_SIZE, new_prot);
}

int target_mem_release(uintptr_t va, size_t page_count)
{
    return null_libc_unmap(va, page_count * PAGE_SIZE);
}

/* ---- Parking -------------------------------------------------------------------------------- */

void target_park(struct target_pollfd *fds, unsigned count, u64 deadline)
{
    struct pollfd polled[TARGET_POLL_MAX + 1];

    polled[0] = (struct pollfd){.fd = current_task()->target->event, .events = POLLIN};
    for (unsigned i = 0; i < count; i++)
        polled[i + 1] = (struct pollfd){.fd = fds[i].fd, .events = (short)fds[i].events};
    if (null_libc_poll(polled, count + 1, deadline) <= 0)
        return;
    if (polled[0].revents)
        null_libc_event_clear(polled[0].fd);
    for (unsigned i = 0; i < count; i++)
        fds[i].revents = (u16)polled[i + 1].revents;
}

void target_unpark(struct task *task)
{
    null_libc_event_set(task->target->event);
}

void target_unpark_now(void)
{
}

void target_kick(struct task *task)
{
    task_set_work(task, WORK_INTERRUPT);
}

void target_timer_set(u64 deadline)
{
    (void)deadline; /* no program runs that would have to be interrupted */
}

void target_take_signals(void)
{
}

int target_stop(int sig)
{
    (void)sig;
    return -ENOSYS;
}

void target_yield(void)
{
    null_libc_yield();
}

/* ---- Ends ----------------------------------------------------------------------------------- */

void target_exit(int wait_status)
{
    null_libc_exit(wait_status & 0x7f ? 128 + (wait_status & 0x7f) : (wait_status >> 8) & 0xff);
}

void null_panic_to(jmp_buf *where)
{
    g_panic_to = where;
}

const char *null_panic_report(void)
{
    return g_panic_report;
}

void target_abort(const char *report)
{
    if (!g_panic_to) {
        null_libc_print(report);
        null_libc_abort();
    }
    snprintf(g_panic_report, sizeof(g_panic_report), "%s", report);
    longjmp(*g_panic_to, 1);
}

/* ---- Host descriptors ----------------------------------------------------------------------- */

ssize_t target_host_read(int fd, void *buf, size_t size)
{
    return null_libc_read(fd, buf, size);
}

ssize_t target_host_write(int fd, const void *buf, size_t size)
{
    return null_libc_write(fd, buf, size);
}

int target_host_poll(int fd, unsigned events)
{
    struct pollfd p = {.fd = fd, .events = (short)events};
    int n = null_libc_poll(&p, 1, 0);

    return n < 0 ? n : p.revents;
}

enum target_fd_kind target_host_fd_kind(int fd, int *flags)
{
    (void)fd;
    *flags = 0;
    return TARGET_FD_CLOSED;
}

int target_host_stat(int fd, struct target_stat *st)
{
    (void)fd, (void)st;
    return -ENOSYS;
}

loff_t target_host_seek(int fd, loff_t offset, int whence)
{
    (void)fd, (void)offset, (void)whence;
    return -ENOSYS;
}

ssize_t target_host_pread(int fd, void *buf, size_t size, loff_t offset)
{
    (void)fd, (void)buf, (void)size, (void)offset;
    return -ENOSYS;
}

ssize_t target_host_pwrite(int fd, const void *buf, size_t size, loff_t offset,
                           enum target_append append)
{
    (void)fd, (void)buf, (void)size, (void)offset, (void)append;
    return -ENOSYS;
}

int target_host_truncate(int fd, u64 size)
{
    (void)fd, (void)size;
    return -ENOSYS;
}

int target_host_fallocate(int fd, int mode, loff_t offset, loff_t size)
{
    (void)fd, (void)mode, (void)offset, (void)size;
    return -ENOSYS;
}

int target_host_sync(int fd, bool data_only)
{
    (void)fd, (void)data_only;
    return -ENOSYS;
}

int target_host_set_append(int fd, bool on)
{
    (void)fd, (void)on;
    return -ENOSYS;
}

int target_host_ioctl(int fd, unsigned request, void *arg, size_t size)
{
    (void)fd, (void)request, (void)arg, (void)size;
    return -ENOSYS;
}

/* ---- Time, processor ------------------------------------------------------------------------ */

int target_host_clock(u64 *realtime_ns, u64 *monotonic_ns)
{
    null_libc_clock(realtime_ns, monotonic_ns);
    return 0;
}

u64 target_tsc_khz(void)
{
    return 0;
}

void target_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

u64 target_xfrm(void)
{
    return 3; /* x87 and SSE: what every x86-64 processor has */
}

unsigned target_cpu_count(void)
{
    return 2;
}

/* ---- What it was started with --------------------------------------------------------------- */

void null_manifest_set(const void *data, size_t size)
{
    g_manifest_data = data;
    g_manifest_size = size;
}

const void *target_manifest(size_t *size)
{
    *size = g_manifest_size;
    return g_manifest_data;
}

void null_rootfs_set(const void *data, u64 size)
{
    g_rootfs_data = data;
    g_rootfs_size = size;
}

int target_rootfs(const void __host **base, u64 *size)
{
    if (!g_rootfs_data)
        return -ENODEV;
    *base = (const void __host *)(uintptr_t)g_rootfs_data;
    *size = g_rootfs_size;
    return 0;
}

int target_host_copy(void *dst, const void __host *src, size_t size)
{
    memcpy(dst, (const void *)(uintptr_t)src, size);
    return 0;
}

ssize_t target_host_strings(enum target_host_strings which, char *buf, size_t size, unsigned *count)
{
    (void)which, (void)buf, (void)size;
    *count = 0;
    return -ENOENT;
}

u64 target_ignored_signals(void)
{
    return 0;
}

/* ---- Seeing inside -------------------------------------------------------------------------- */

void target_log(int level, const char *text, size_t size)
{
    (void)level;
    snprintf(g_log_last, sizeof(g_log_last), "%.*s", (int)size, text);
    g_log_count++;
    null_libc_log(g_log_last);
}

const char *null_log_last(void)
{
    return g_log_last;
}

unsigned null_log_count(void)
{
    return g_log_count;
}

void null_log_clear(void)
{
    g_log_last[0] = 0;
    g_log_count = 0;
}

void target_stats(const char *json, size_t size)
{
    target_log(0, json, size);
}

void target_debug_map(const char *path, uintptr_t base)
{
    (void)path, (void)base;
}
