/* SPDX-License-Identifier: MIT */
/*
 * Host calls that concern the run as a whole: end, log, clocks, CPUID, threads, memory.
 *
 * The dispatch has checked sizes and ranges. Nothing here trusts the enclave's text: control
 * characters are not passed to a terminal.
 */
#include <errno.h>
#include <cpuid.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hostcall_dispatch.h"
#include "internal.h"
#include "layout.h"

#define STATS_SIZE_MAX (16UL << 20)
#define RETRIES_MAX    100000

/* ---- The end --------------------------------------------------------------------------------------- */

void host_finish(struct host_process *process, int status)
{
    int expected = 0;

    if (!atomic_compare_exchange_strong(&process->done, &expected, -1))
        return;
    process->status = status;
    atomic_store(&process->done, 1);
    threads_kick(process, NULL);
}

int64_t host_exit(struct host_context *ctx, int32_t status)
{
    host_finish(ctx->process, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    return 0;
}

/* ---- Text ------------------------------------------------------------------------------------------ */

static void write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

static void write_text(const char *prefix, const void *data, size_t size)
{
    const unsigned char *text = data;
    char line[4096 + 128];
    size_t n = (size_t)snprintf(line, 64, "%s", prefix);

    for (size_t i = 0; i < size && n < sizeof(line) - 2; i++) {
        unsigned char c = text[i];

        line[n++] = (c < ' ' && c != '\n' && c != '\t') || c == 127 ? '?' : (char)c;
    }
    if (n == 0 || line[n - 1] != '\n')
        line[n++] = '\n';
    write_all(STDERR_FILENO, line, n);
}

void host_error(const char *format, ...)
{
    char text[512];
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (n > 0)
        write_text("adyton: ", text, strnlen(text, sizeof(text)));
}

int64_t host_abort(struct host_context *ctx, uint64_t size, const void *report)
{
    terminal_restore(ctx->process);
    write_text("adyton: the enclave stopped: ", report, size);
    host_finish(ctx->process, HOST_EXIT_ERROR);
    return 0;
}

int64_t host_log(struct host_context *ctx, int32_t level, uint64_t size, const void *text)
{
    (void)ctx, (void)level;
    write_text("", text, size);
    return 0;
}

int64_t host_stats(struct host_context *ctx, uint64_t size, const void *text)
{
    struct host_process *process = ctx->process;
    int64_t ret = -ENOMEM;
    char *grown;

    pthread_mutex_lock(&process->stats_lock);
    if (process->stats_size + size < STATS_SIZE_MAX) {
        grown = realloc(process->stats, process->stats_size + size + 1);
        if (grown) {
            memcpy(grown + process->stats_size, text, size);
            process->stats = grown;
            process->stats_size += size;
            grown[process->stats_size] = '\0';
            ret = 0;
        }
    }
    pthread_mutex_unlock(&process->stats_lock);
    return ret;
}

int64_t host_debug_map(struct host_context *ctx, uint64_t base, uint64_t size, const void *path)
{
    const struct host_run *run = ctx->process->run;
    char text[4097];

    if (!run->debug || !run->debug_map)
        return 0;
    memcpy(text, path, size);
    text[size] = '\0';
    return run->debug_map(size ? text : NULL, base);
}

/* ---- Clocks, processor ------------------------------------------------------------------------------ */

uint64_t host_now_ns(clockid_t clock)
{
    struct timespec ts = {0};

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

int64_t host_clock(struct host_context *ctx, uint64_t size, void *times)
{
    uint64_t now[2] = {host_now_ns(CLOCK_REALTIME), host_now_ns(CLOCK_MONOTONIC)};

    (void)ctx;
    memcpy(times, now, size);
    return 0;
}

int64_t host_cpuid(struct host_context *ctx, uint32_t leaf, uint32_t subleaf, uint64_t size,
                   void *regs)
{
    uint32_t r[4];

    (void)ctx;
    __cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
    memcpy(regs, r, size);
    return 0;
}

int64_t host_yield(struct host_context *ctx)
{
    (void)ctx;
    (void)sched_yield();
    return 0;
}

/* ---- Threads, signals -------------------------------------------------------------------------------- */

static struct host_context *find_thread(struct host_context *ctx, uint32_t id)
{
    if (id >= HOST_THREADS_MAX)
        return NULL;
    return atomic_load(&ctx->process->threads[id]);
}

int64_t host_unpark(struct host_context *ctx, uint32_t thread)
{
    struct host_context *target = find_thread(ctx, thread);
    uint64_t one = 1;

    if (!target)
        return -ESRCH;
    return write(target->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

int64_t host_kick(struct host_context *ctx, uint32_t thread)
{
    struct host_context *target = find_thread(ctx, thread);

    if (!target)
        return -ESRCH;
    signals_kick(target);
    return 0;
}

int64_t host_timer(struct host_context *ctx, uint64_t deadline)
{
    struct itimerspec at = {0};

    if (deadline != UINT64_MAX) {
        at.it_value.tv_sec = (time_t)(deadline / 1000000000U);
        at.it_value.tv_nsec = (long)(deadline % 1000000000U);
        if (deadline == 0)
            at.it_value.tv_nsec = 1; /* zero would disarm */
    }
    return timer_settime(ctx->process->timer, TIMER_ABSTIME, &at, NULL) < 0 ? -errno : 0;
}

int64_t host_signals(struct host_context *ctx)
{
    uint64_t taken = __atomic_exchange_n(&ctx->block->pending_signals, 0, __ATOMIC_SEQ_CST);

    return (int64_t)(taken & INT64_MAX);
}

/* ---- Memory: the driver's requests, whole or not at all ----------------------------------------------- */

struct page_request {
    unsigned long ioctl;
    uint64_t offset, size;
    uint64_t argument; /* permissions or type */
};

/* One ioctl; *done grows by what it finished. */
static int page_ioctl(struct host_process *process, const struct page_request *request,
                      uint64_t *done)
{
    uint64_t offset = request->offset + *done;
    uint64_t length = request->size - *done;
    uint64_t count;
    int ret;

    if (request->ioctl == SGX_IOC_ENCLAVE_REMOVE_PAGES) {
        struct sgx_enclave_remove_pages arg = {.offset = offset, .length = length};

        ret = process->ops->ioctl(process->device, request->ioctl, &arg);
        count = arg.count;
    } else if (request->ioctl == SGX_IOC_ENCLAVE_MODIFY_TYPES) {
        struct sgx_enclave_modify_types arg = {
            .offset = offset, .length = length, .page_type = request->argument};

        ret = process->ops->ioctl(process->device, request->ioctl, &arg);
        count = arg.count;
    } else {
        struct sgx_enclave_restrict_permissions arg = {
            .offset = offset, .length = length, .permissions = request->argument};

        ret = process->ops->ioctl(process->device, request->ioctl, &arg);
        count = arg.count;
    }
    *done += count < length ? count : length;
    return ret;
}

static int64_t page_request(struct host_context *ctx, const struct page_request *request)
{
    struct host_process *process = ctx->process;
    uint64_t done = 0;
    int ret = 0;

    pthread_mutex_lock(&process->ioctl_lock);
    for (int tries = 0; done < request->size && tries < RETRIES_MAX; tries++) {
        uint64_t before = done;

        ret = page_ioctl(process, request, &done);
        if (ret < 0 && ret != -EAGAIN && ret != -EBUSY && ret != -EINTR)
            break;
        if (done == before && ret < 0)
            (void)sched_yield();
        if (done > before)
            tries = 0;
    }
    pthread_mutex_unlock(&process->ioctl_lock);
    if (done == request->size)
        return 0;
    return ret < 0 ? ret : -EIO;
}

int64_t host_mem_restrict(struct host_context *ctx, uint64_t addr, uint64_t pages, uint32_t prot)
{
    struct page_request request = {SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, addr - ENCLAVE_BASE,
                                   pages * ENCLAVE_PAGE_SIZE, prot};

    return page_request(ctx, &request);
}

int64_t host_mem_type(struct host_context *ctx, uint64_t addr, uint64_t pages, uint32_t type)
{
    struct page_request request = {SGX_IOC_ENCLAVE_MODIFY_TYPES, addr - ENCLAVE_BASE,
                                   pages * ENCLAVE_PAGE_SIZE, type};

    return page_request(ctx, &request);
}

int64_t host_mem_remove(struct host_context *ctx, uint64_t addr, uint64_t pages)
{
    struct page_request request = {SGX_IOC_ENCLAVE_REMOVE_PAGES, addr - ENCLAVE_BASE,
                                   pages * ENCLAVE_PAGE_SIZE, 0};

    return page_request(ctx, &request);
}
