/* SPDX-License-Identifier: MIT */
/*
 * The loop that every enclave thread runs in: enter, look why it left, serve, enter again.
 *
 * The thread is at CSSA 0 while in the enclave, and at CSSA 1 from an exception or a signal's
 * redirected resume (in_handler) until it EXITs with EXIT_RESUME. NSSA is 2: a fault at CSSA 1 cannot
 * be entered any more and ends the run.
 */
#include <errno.h>
#include <stdio.h>
#include "hostcall_dispatch.h"
#include "internal.h"
#include "sgx.h"

#ifdef HOST_HOSTILE
#include "hostile.h"
#endif

/* Called by the vDSO at every exit with the registers as the enclave left them. */
static int on_exit(long rdi, long rsi, long rdx, long rsp, long r8, long r9,
                   struct sgx_enclave_run *run)
{
    struct host_context *ctx = (void *)(uintptr_t)run->user_data;

    (void)rsi, (void)rdx, (void)rsp, (void)r8, (void)r9;
    ctx->exit_code = (uint64_t)rdi;
    return 0;
}

static void serve(struct host_context *ctx)
{
    uint64_t number = ctx->block->number;

    if (number < HOSTCALL_COUNT)
        ctx->call_counts[number]++;
#ifdef HOST_HOSTILE
    if (ctx->process->run->hostile) {
        hostile_dispatch(ctx, ctx->block, ctx->process->run->hostile);
        return;
    }
#endif
    hostcall_dispatch(ctx, ctx->block);
}

/* Enters once. 0, or -errno when the device could not even try. */
static int enter(struct host_context *ctx, unsigned *function, uint64_t rdi, uint64_t rsi)
{
    int ret;

    ctx->entering = 1;
    if (*function == SGX_ERESUME && ctx->notice) {
        ctx->in_handler = 1;
        ctx->struck = 1;
        ctx->notice = 0;
        *function = SGX_EENTER;
    }
    if (*function == SGX_EENTER) {
        /*
         * At CSSA 0 the enclave looks by itself, but what came just now might miss its look. At CSSA 1 it looks at an
         * exception only: what came meanwhile waits for the resume.
         */
        if (ctx->notice && !ctx->in_handler) {
            ctx->notice = 0;
            signals_nudge(ctx);
        }
        ctx->entries++;
    } else {
        ctx->resumes++;
    }
    ctx->run.function = 0;
    ret = host_enter(ctx->process->ops->enter, rdi, rsi, *function, &ctx->run);
    ctx->entering = 0;
    return ret == -EFAULT ? 0 : ret;
}

/* An exception struck: decides what to enter next, or -EIO when there is no way on. */
static int after_exception(struct host_context *ctx, unsigned *function)
{
    const struct sgx_enclave_run *run = &ctx->run;

    ctx->exceptions++;
    if (run->function == SGX_ERESUME && !ctx->in_handler) {
        ctx->in_handler = 1;
        *function = SGX_EENTER;
        return 0;
    }
    if (run->function == SGX_EENTER)
        host_error("the enclave cannot be entered (exception %u, error 0x%x): it was lost, as after "
                   "suspending the machine, or a host call was answered out of turn",
                   run->exception_vector, run->exception_error_code);
    else
        host_error("the enclave faulted in its own exception handler (exception %u, error 0x%x, "
                   "address 0x%llx)",
                   run->exception_vector, run->exception_error_code,
                   (unsigned long long)run->exception_addr);
    return -EIO;
}

/* The enclave left by EEXIT. */
static int after_exit(struct host_context *ctx, unsigned *function)
{
    switch (ctx->exit_code) {
    case EXIT_HOSTCALL:
        serve(ctx);
        *function = SGX_EENTER;
        return 0;
    case EXIT_RESUME:
        ctx->in_handler = 0;
        *function = SGX_ERESUME;
        return 0;
    }
    host_error("the enclave refused to run (exit code %llu)", (unsigned long long)ctx->exit_code);
    return -EIO;
}

int loop_run(struct host_context *ctx)
{
    uint64_t rdi = (uintptr_t)&ctx->process->boot;
    uint64_t rsi = (uintptr_t)ctx->block;
    unsigned function = SGX_EENTER;
    int ret = 0;

    ctx->run.tcs = ctx->tcs;
    ctx->run.user_handler = (uintptr_t)on_exit;
    ctx->run.user_data = (uintptr_t)ctx;
    while (ret == 0 && !atomic_load(&ctx->process->done)) {
        ret = enter(ctx, &function, rdi, rsi);
        rdi = rsi = 0;
        if (ret < 0)
            host_error("cannot enter the enclave: error %d", -ret);
        else if (ctx->run.function == SGX_EEXIT)
            ret = after_exit(ctx, &function);
        else
            ret = after_exception(ctx, &function);
    }
    return ret;
}
