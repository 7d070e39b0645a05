/* SPDX-License-Identifier: MIT */
/*
 * target.h's calls that are host calls. The stubs of hostcall_stubs.h (generated from
 * abi/hostcalls.tbl) check ranges in both directions; here only what a table cannot say.
 */
#include "sgx_target.h"
#include "hostcall_stubs.h"
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <manifest.h>

#define HOST_IO_MAX 65536UL

/* ---- Host calls' plumbing: used by the generated stubs ---------------------------------------- */

struct host_thread __host *hostcall_begin(void)
{
    return thread_area()->host;
}

int64_t hostcall_do(struct host_thread __host *ht, uint64_t number)
{
    volatile struct host_thread *h = (volatile struct host_thread *)(uintptr_t)ht;

    h->number = number;
    sgx_exit_hostcall();
    return h->result;
}

/* Told later: the call that was lied to is still being finished. */
void hostcall_lied(const char *name, int64_t result)
{
    thread_area()->lied_name = name;
    thread_area()->lied_result = result;
}

static void report_lie(void)
{
    struct thread_area *area = thread_area();
    const char *name = area->lied_name;

    area->lied_name = NULL;
    if (name)
        pr_warn("the host answered %s with %ld, which cannot be", name, area->lied_result);
}

/* ---- Threads ---------------------------------------------------------------------------------- */

void target_take_signals(void)
{
    struct host_thread *h = (struct host_thread *)(uintptr_t)thread_area()->host;
    u64 set = __atomic_exchange_n(&h->pending_signals, 0, __ATOMIC_ACQ_REL);

    report_lie();
    while (set) {
        int sig = __builtin_ctzl(set) + 1;

        set &= set - 1;
        signal_from_host(sig);
    }
}

void target_timer_set(u64 deadline)
{
    (void)hostcall_timer(deadline);
}

int target_stop(int sig)
{
    int err = (int)hostcall_stop(sig);

    target_take_signals();
    return err;
}

void target_yield(void)
{
    (void)hostcall_yield();
}

void target_exit(int wait_status)
{
    report_lie();
    hostcall_exit(wait_status);
}

void target_abort(const char *report)
{
    hostcall_abort(strnlen(report, 4096), report);
}

/* ---- Host descriptors --------------------------------------------------------------------------- */

ssize_t target_host_read(int fd, void *buf, size_t size)
{
    ssize_t n = hostcall_read(fd, min(size, HOST_IO_MAX), buf);

    target_take_signals();
    return n;
}

ssize_t target_host_write(int fd, const void *buf, size_t size)
{
    ssize_t n = hostcall_write(fd, min(size, HOST_IO_MAX), buf);

    target_take_signals();
    return n;
}

int target_host_poll(int fd, unsigned events)
{
    struct target_pollfd p = {.fd = fd, .events = (u16)events};
    long n = hostcall_poll(sizeof(p), &p, 0);

    return n < 0 ? (int)n : n ? p.revents : 0;
}

enum target_fd_kind target_host_fd_kind(int fd, int *flags)
{
    u64 f = 0;
    long kind = hostcall_fd_kind(fd, sizeof(f), &f);

    *flags = (int)f;
    return kind < 0 ? TARGET_FD_CLOSED : (enum target_fd_kind)kind;
}

/* What could index or overflow something later is refused, the rest cut to what a field holds. */
static bool stat_ok(const struct host_stat *h)
{
    return h->size <= 1UL << 62 && h->blocks <= 1UL << 53 && h->atime <= INT64_MAX &&
           h->mtime <= INT64_MAX && h->ctime <= INT64_MAX && h->rdev <= UINT32_MAX;
}

int target_host_stat(int fd, struct target_stat *st)
{
    struct host_stat h;
    int err = (int)hostcall_fd_stat(fd, sizeof(h), &h);

    if (err)
        return err;
    if (!stat_ok(&h))
        return -EIO;
    *st = (struct target_stat){.mode = (mode_t)(h.mode & 0177777),
                               .nlink = (u32)h.nlink,
                               .uid = (uid_t)h.uid,
                               .gid = (gid_t)h.gid,
                               .rdev = (dev_t)h.rdev,
                               .size = h.size,
                               .blocks = h.blocks,
                               .atime = h.atime,
                               .mtime = h.mtime,
                               .ctime = h.ctime,
                               .identity = h.identity};
    return 0;
}

loff_t target_host_seek(int fd, loff_t offset, int whence)
{
    return hostcall_seek(fd, offset, (u32)whence);
}

ssize_t target_host_pread(int fd, void *buf, size_t size, loff_t offset)
{
    return hostcall_pread(fd, offset, min(size, HOST_IO_MAX), buf);
}

_Static_assert((int)TARGET_APPEND_YES == HOST_APPEND_YES && (int)TARGET_APPEND_NO == HOST_APPEND_NO,
               "passed on as they are");

ssize_t target_host_pwrite(int fd, const void *buf, size_t size, loff_t offset,
                           enum target_append append)
{
    return hostcall_pwrite(fd, offset, append, min(size, HOST_IO_MAX), buf);
}

int target_host_truncate(int fd, u64 size)
{
    return (int)hostcall_truncate(fd, size);
}

int target_host_fallocate(int fd, int mode, loff_t offset, loff_t size)
{
    return (int)hostcall_fallocate(fd, (u32)mode, offset, size);
}

int target_host_sync(int fd, bool data_only)
{
    return (int)hostcall_sync(fd, data_only);
}

int target_host_set_append(int fd, bool on)
{
    return (int)hostcall_set_append(fd, on);
}

int target_host_ioctl(int fd, unsigned request, void *arg, size_t size)
{
    return (int)hostcall_ioctl(fd, request, size, arg);
}

/* ---- Time, processor ------------------------------------------------------------------------------ */

int target_host_clock(u64 *realtime_ns, u64 *monotonic_ns)
{
    u64 t[2];
    long ret = hostcall_clock(sizeof(t), t);

    if (ret)
        return (int)ret;
    *realtime_ns = t[0];
    *monotonic_ns = t[1];
    return 0;
}

u64 target_tsc_khz(void)
{
    return g_boot_info.tsc_khz;
}

void target_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    if (hostcall_cpuid(leaf, subleaf, 4 * sizeof(u32), out))
        memset(out, 0, 4 * sizeof(u32));
}

/* ---- What the enclave was started with -------------------------------------------------------------- */

const void *target_manifest(size_t *size)
{
    const struct manifest *m = (const void *)MANIFEST_START;

    *size = m->size;
    return m;
}

unsigned target_cpu_count(void)
{
    const struct manifest *m = (const void *)MANIFEST_START;
    u64 count = g_boot_info.cpu_count;

    if (m->max_cpus && count > m->max_cpus)
        count = m->max_cpus;
    return count < 1 ? 1 : count > 1024 ? 1024 : (unsigned)count;
}

int target_rootfs(const void __host **base, u64 *size)
{
    if (!g_boot_info.rootfs_base)
        return -ENODEV;
    *base = (const void __host *)g_boot_info.rootfs_base;
    *size = g_boot_info.rootfs_size;
    return 0;
}

static u64 host_load(uintptr_t from)
{
    u64 value;

    __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(from) : "memory");
    return value;
}

/* Loads of aligned 8 bytes only: others may bring along stale data of the processor's buffers. */
int target_host_copy(void *dst, const void __host *src, size_t size)
{
    uintptr_t from = (uintptr_t)src;
    char *to = dst;

    if (!outside_ok(from, size))
        return -EFAULT;
    while (size) {
        size_t skip = from % sizeof(u64);
        size_t n = min(sizeof(u64) - skip, size);

        if (!skip && size >= sizeof(u64)) {
            size_t count = size / sizeof(u64);

            n = count * sizeof(u64);
            __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        } else {
            u64 value = host_load(from - skip);

            memcpy(to, (const char *)&value + skip, n);
            to += n;
            from += n;
        }
        size -= n;
    }
    return 0;
}

ssize_t target_host_strings(enum target_host_strings which, char *buf, size_t size, unsigned *count)
{
    bool args = which == TARGET_HOST_ARGS;
    u64 base = args ? g_boot_info.args_base : g_boot_info.env_base;
    u64 told = args ? g_boot_info.args_size : g_boot_info.env_size;
    u64 n = args ? g_boot_info.args_count : g_boot_info.env_count;

    if (!base)
        return -ENOENT;
    if (told > size || n > told)
        return -E2BIG;
    if (target_host_copy(buf, (const void __host *)base, told))
        return -EFAULT;
    *count = (unsigned)n;
    return (ssize_t)told;
}

u64 target_ignored_signals(void)
{
    return g_boot_info.ignored_signals;
}

/* ---- Seeing inside -------------------------------------------------------------------------------- */

void target_log(int level, const char *text, size_t size)
{
    (void)hostcall_log(level, min(size, (size_t)4096), text);
}

void target_stats(const char *json, size_t size)
{
    (void)hostcall_stats(min(size, HOST_IO_MAX), json);
}

void target_debug_map(const char *path, uintptr_t base)
{
    const struct manifest *m = (const void *)MANIFEST_START;

    if (m->flags & MANIFEST_DEBUG)
        (void)hostcall_debug_map(base, path ? strnlen(path, 4096) : 0, path ? path : "");
}
