/* SPDX-License-Identifier: MIT */
/*
 * The host threads that run enclave threads, found by their numbers.
 *
 * The first is the process' own; each other one is made by the host call `thread_start` and stays until the
 * enclave ends. process->threads[] only gains entries while the enclave runs, so that signal handlers and
 * other threads may use what they find there.
 */
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hostcall_dispatch.h"
#include "internal.h"
#include "layout.h"

#define STACK_SIZE   (256UL << 10)
#define JOIN_STEP_NS 1000000L
#define JOIN_STEPS   20000 /* 20 s */

_Static_assert(HOST_THREADS_MAX == THREAD_IDS, "one table");

static void context_free(struct host_context *ctx)
{
    if (ctx->wake_fd >= 0)
        (void)close(ctx->wake_fd);
    if (ctx->block)
        (void)munmap(ctx->block, sizeof(*ctx->block));
    free(ctx);
}

static struct host_context *context_new(struct host_process *process, uint64_t id, uint64_t tcs)
{
    struct host_context *ctx = calloc(1, sizeof(*ctx));
    void *block;

    if (!ctx)
        return NULL;
    ctx->process = process;
    ctx->id = id;
    ctx->tcs = tcs;
    ctx->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    block = mmap(NULL, sizeof(*ctx->block), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0);
    if (block != MAP_FAILED)
        ctx->block = block;
    if (ctx->wake_fd < 0 || !ctx->block) {
        context_free(ctx);
        return NULL;
    }
    ctx->block->thread_id = id;
    return ctx;
}

struct host_context *threads_add(struct host_process *process, uint64_t id, uint64_t tcs)
{
    struct host_context *ctx = context_new(process, id, tcs);

    if (!ctx)
        return NULL;
    pthread_mutex_lock(&process->threads_lock);
    if (atomic_load(&process->threads[id])) {
        pthread_mutex_unlock(&process->threads_lock);
        context_free(ctx);
        return NULL;
    }
    atomic_store(&process->threads[id], ctx);
    if (atomic_load(&process->thread_count) <= id)
        atomic_store(&process->thread_count, id + 1);
    pthread_mutex_unlock(&process->threads_lock);
    return ctx;
}

/* Nobody has used it yet. */
static void context_forget(struct host_context *ctx)
{
    struct host_process *process = ctx->process;

    pthread_mutex_lock(&process->threads_lock);
    atomic_store(&process->threads[ctx->id], NULL);
    pthread_mutex_unlock(&process->threads_lock);
    context_free(ctx);
}

/* ---- Starting ---------------------------------------------------------------------------------- */

struct starting {
    struct host_context *ctx;
    sigset_t mask; /* the new thread's */
    sem_t ready;
    int result;
};

static int thread_prepare(struct host_context *ctx)
{
    struct host_process *process = ctx->process;
    int ret = process->ops->thread_start(process->device);

    if (ret < 0)
        return ret;
    ret = signals_thread_start(ctx);
    if (ret < 0)
        process->ops->thread_stop(process->device);
    return ret;
}

/* Runs with all signals blocked until it can take them. */
static void *thread_main(void *argument)
{
    struct starting *s = argument;
    struct host_context *ctx = s->ctx;
    sigset_t mask = s->mask;
    int ret = thread_prepare(ctx);

    s->result = ret;
    (void)sem_post(&s->ready); /* `s` is gone from here on */
    if (ret < 0)
        return NULL;
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (loop_run(ctx) < 0)
        host_finish(ctx->process, HOST_EXIT_ERROR);
    (void)sigfillset(&mask);
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    signals_thread_stop(ctx);
    ctx->process->ops->thread_stop(ctx->process->device);
    atomic_store(&ctx->ended, 1);
    return NULL;
}

static int thread_create(struct starting *s)
{
    pthread_attr_t attr;
    sigset_t all;
    int ret;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
    (void)pthread_sigmask(SIG_SETMASK, &all, &s->mask);
    ret = pthread_create(&s->ctx->thread, &attr, thread_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
    (void)pthread_attr_destroy(&attr);
    if (ret != 0)
        return -ret;
    while (sem_wait(&s->ready) < 0)
        ;
    if (s->result < 0)
        (void)pthread_join(s->ctx->thread, NULL);
    return s->result;
}

int64_t host_thread_start(struct host_context *ctx, uint32_t thread)
{
    struct starting s = {
        .ctx = threads_add(ctx->process, thread,
                           ENCLAVE_BASE + THREAD_BLOCK((uint64_t)thread) + THREAD_TCS_OFF)};
    int ret;

    if (!s.ctx)
        return -EAGAIN;
    (void)sem_init(&s.ready, 0, 0);
    ret = thread_create(&s);
    (void)sem_destroy(&s.ready);
    if (ret < 0)
        context_forget(s.ctx);
    return ret;
}

/* ---- Ending ------------------------------------------------------------------------------------ */

void threads_kick(struct host_process *process, const struct host_context *self)
{
    uint64_t count = atomic_load(&process->thread_count);

    for (uint64_t i = 0; i < count; i++) {
        struct host_context *ctx = atomic_load(&process->threads[i]);

        if (ctx && ctx != self && ctx->tid && !atomic_load(&ctx->ended))
            signals_kick(ctx);
    }
}

static int all_ended(struct host_process *process)
{
    uint64_t count = atomic_load(&process->thread_count);

    for (uint64_t i = 1; i < count; i++) {
        struct host_context *ctx = atomic_load(&process->threads[i]);

        if (ctx && !atomic_load(&ctx->ended))
            return 0;
    }
    return 1;
}

/* A kick may come while a thread cannot use it: ask again until all have seen the end. */
void threads_join(struct host_process *process)
{
    const struct timespec step = {.tv_nsec = JOIN_STEP_NS};
    uint64_t count;

    for (int i = 0; i < JOIN_STEPS && !all_ended(process); i++) {
        threads_kick(process, atomic_load(&process->threads[0]));
        if (!all_ended(process))
            (void)nanosleep(&step, NULL);
    }
    if (!all_ended(process)) {
        host_error("a thread of the enclave does not end: giving up");
        _exit(process->status ? process->status : HOST_EXIT_ERROR);
    }
    count = atomic_load(&process->thread_count);
    for (uint64_t i = 1; i < count; i++) {
        struct host_context *ctx = atomic_load(&process->threads[i]);

        if (ctx)
            (void)pthread_join(ctx->thread, NULL);
    }
}

void threads_free(struct host_process *process)
{
    uint64_t count = atomic_load(&process->thread_count);

    for (uint64_t i = 0; i < count; i++) {
        struct host_context *ctx = atomic_load(&process->threads[i]);

        atomic_store(&process->threads[i], NULL);
        if (ctx)
            context_free(ctx);
    }
    atomic_store(&process->thread_count, 0);
}
