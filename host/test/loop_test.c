/* SPDX-License-Identifier: MIT */
/*
 * loop.c, signals.c and the dispatch against a device whose "enclave" is a list of steps: what it
 * expects to be entered with, and how it leaves. Signals that strike inside are calls of the handler
 * with the registers that hardware would show.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>
#include "fds.h"
#include "hostcall_dispatch.h"
#include "internal.h"
#include "sgx.h"

#define TCS 0x3fff20000000UL

struct step {
    unsigned expect;    /* SGX_EENTER or SGX_ERESUME */
    unsigned exit_code; /* EXIT_*; 0: leave by an exception */
    unsigned vector;
    void (*act)(void);  /* what the enclave does while inside; may be NULL */
};

static struct host_process *g_process;
static struct host_context *g_context;
static const struct step *g_step;
static unsigned g_entries;

struct host_process *_Atomic g_host;

static int fake_enter(unsigned long rdi, unsigned long rsi, unsigned long rdx, unsigned int function,
                      unsigned long r8, unsigned long r9, struct sgx_enclave_run *run)
{
    const struct step *s = g_step++;
    sgx_enclave_user_handler_t handler = (sgx_enclave_user_handler_t)run->user_handler;

    (void)rdx, (void)r8, (void)r9;
    assert_int_equal(function, s->expect);
    assert_int_equal(run->tcs, TCS);
    if (g_entries++ == 0) {
        assert_int_equal(rdi, (uintptr_t)&g_process->boot);
        assert_int_equal(rsi, (uintptr_t)g_context->block);
    } else {
        assert_int_equal(rdi | rsi, 0);
    }
    if (s->act)
        s->act();
    if (s->exit_code) {
        run->function = SGX_EEXIT;
        return handler(s->exit_code, 0, 0, 0, 0, 0, run);
    }
    run->function = SGX_ERESUME;
    run->exception_vector = (uint16_t)s->vector;
    return 0;
}

static int fake_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    return sigaction(sig, act, old) < 0 ? -errno : 0;
}

static const struct sgx_device_ops g_fake = {.enter = fake_enter, .sigaction = fake_sigaction};

static int setup(void **state)
{
    static const struct host_run run;

    (void)state;
    assert_int_equal(fds_reserve(), 0);
    g_process = calloc(1, sizeof(*g_process));
    g_context = calloc(1, sizeof(*g_context));
    assert_non_null(g_process);
    assert_non_null(g_context);
    g_process->ops = &g_fake;
    g_process->run = &run;
    g_context->process = g_process;
    g_context->tcs = TCS;
    g_context->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_context->block = mmap(NULL, sizeof(struct host_thread), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(g_context->block, MAP_FAILED);
    atomic_store(&g_process->threads[0], g_context);
    assert_int_equal(signals_thread_start(g_context), 0);
    assert_int_equal(signals_install(g_process), 0);
    g_entries = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    signals_remove(g_process);
    signals_thread_stop(g_context);
    (void)close(g_context->wake_fd);
    (void)munmap(g_context->block, sizeof(struct host_thread));
    free(g_context);
    free(g_process);
    return 0;
}

static void call(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
    g_context->block->number = number;
    g_context->block->args[0] = a0;
    g_context->block->args[1] = a1;
    g_context->block->args[2] = a2;
}

static void ask_exit(void)
{
    call(HOSTCALL_exit, 7 << 8, 0, 0);
}

static void ask_clock(void)
{
    call(HOSTCALL_clock, 16, 0, 0);
}

static void run_steps(const struct step *steps, int expected)
{
    g_step = steps;
    assert_int_equal(loop_run(g_context), expected);
}

static void test_calls_and_exceptions(void **state)
{
    static const struct step steps[] = {
        {SGX_EENTER, EXIT_HOSTCALL, 0, ask_clock}, {SGX_EENTER, 0, 14, NULL},
        {SGX_EENTER, EXIT_RESUME, 0, NULL},        {SGX_ERESUME, 0, 6, NULL},
        {SGX_EENTER, EXIT_RESUME, 0, NULL},        {SGX_ERESUME, EXIT_HOSTCALL, 0, ask_exit},
    };
    uint64_t now;

    (void)state;
    run_steps(steps, 0);
    assert_int_equal(g_process->status, 7);
    assert_int_equal(g_context->call_counts[HOSTCALL_clock], 1);
    memcpy(&now, g_context->block->data + 8, sizeof(now));
    assert_true(now > 0 && now <= host_now_ns(CLOCK_MONOTONIC));
}

static void test_fault_in_handler_ends(void **state)
{
    static const struct step steps[] = {{SGX_EENTER, 0, 14, NULL}, {SGX_EENTER, 0, 14, NULL}};

    (void)state;
    run_steps(steps, -EIO);
}

static void test_unknown_exit_ends(void **state)
{
    static const struct step steps[] = {{SGX_EENTER, 99, 0, NULL}};

    (void)state;
    run_steps(steps, -EIO);
}

/* A signal in host code before ERESUME: the enclave is entered to look instead. */
static void raise_usr1(void)
{
    g_context->entering = 0;
    (void)raise(SIGUSR1);
}

static void test_signal_outside(void **state)
{
    static const struct step steps[] = {
        {SGX_EENTER, 0, 14, NULL},
        {SGX_EENTER, EXIT_RESUME, 0, raise_usr1},
        {SGX_EENTER, EXIT_RESUME, 0, NULL},
        {SGX_ERESUME, EXIT_HOSTCALL, 0, ask_exit},
    };

    (void)state;
    run_steps(steps, 0);
    assert_int_equal(g_context->block->pending_signals, 1ULL << (SIGUSR1 - 1));
}

/* Calls the installed handler for a signal that struck with these registers. */
static void strike(ucontext_t *uc, int sig)
{
    siginfo_t info = {.si_signo = sig};
    struct sigaction installed;

    assert_int_equal(sigaction(sig, NULL, &installed), 0);
    installed.sa_sigaction(sig, &info, uc);
}

static ucontext_t at_aep(void)
{
    ucontext_t uc = {0};

    uc.uc_mcontext.gregs[REG_RAX] = SGX_ERESUME;
    uc.uc_mcontext.gregs[REG_RBX] = (greg_t)TCS;
    uc.uc_mcontext.gregs[REG_RCX] = uc.uc_mcontext.gregs[REG_RIP] = 0x7f0000001000;
    return uc;
}

static void test_aep_redirects_once(void **state)
{
    ucontext_t uc = at_aep();

    (void)state;
    g_context->entering = 1;
    strike(&uc, SIGUSR2);
    assert_int_equal(uc.uc_mcontext.gregs[REG_RAX], SGX_EENTER);
    assert_int_equal(g_context->in_handler, 1);
    assert_int_equal(g_context->notice, 0);
    uc = at_aep();
    strike(&uc, SIGUSR1);
    assert_int_equal(uc.uc_mcontext.gregs[REG_RAX], SGX_ERESUME);
    assert_int_equal(g_context->notice, 1);
    assert_int_equal(g_context->block->pending_signals,
                     1ULL << (SIGUSR1 - 1) | 1ULL << (SIGUSR2 - 1));
}

static void test_on_the_way_in_nudges(void **state)
{
    ucontext_t uc = at_aep();
    struct itimerspec left;

    (void)state;
    uc.uc_mcontext.gregs[REG_RIP] = 0x7f0000000000;
    g_context->entering = 1;
    strike(&uc, SIGUSR1);
    assert_int_equal(uc.uc_mcontext.gregs[REG_RAX], SGX_ERESUME);
    assert_int_equal(g_context->notice, 1);
    assert_int_equal(timer_gettime(g_context->nudge, &left), 0);
    g_context->entering = 0;
    assert_true(left.it_value.tv_nsec > 0 || g_context->notice);
}

static int64_t dispatch(void)
{
    hostcall_dispatch(g_context, g_context->block);
    return g_context->block->result;
}

/* A signal that came before a waiting call ends it at once; one that comes during it, too. */
static void test_waiting_call_ends(void **state)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = 20000000}};

    (void)state;
    (void)raise(SIGUSR1);
    call(HOSTCALL_park, 0, UINT64_MAX, 0);
    assert_int_equal(dispatch(), -EINTR);
    g_context->notice = 0;
    assert_int_equal(timer_settime(g_process->timer, 0, &soon, NULL), 0);
    call(HOSTCALL_park, 0, UINT64_MAX, 0);
    assert_int_equal(dispatch(), -EINTR);
}

static void test_unpark_before_park(void **state)
{
    (void)state;
    call(HOSTCALL_unpark, 0, 0, 0);
    assert_int_equal(dispatch(), 0);
    call(HOSTCALL_park, 0, UINT64_MAX, 0);
    assert_int_equal(dispatch(), 0);
    call(HOSTCALL_park, 0, host_now_ns(CLOCK_MONOTONIC) + 1000000, 0);
    assert_int_equal(dispatch(), 0);
}

/* Requests outside the table's ranges never reach a handler. */
static void test_dispatch_refuses(void **state)
{
    (void)state;
    call(0, 0, 0, 0);
    assert_int_equal(dispatch(), -ENOSYS);
    call(HOSTCALL_COUNT, 0, 0, 0);
    assert_int_equal(dispatch(), -ENOSYS);
    call(UINT64_MAX, 0, 0, 0);
    assert_int_equal(dispatch(), -ENOSYS);
    call(HOSTCALL_read, 0, 65537, 0);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_read, 1ULL << 32, 1, 0);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_write, (uint64_t)-1, 1, 0);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_write, 77, 1, 0);
    assert_int_equal(dispatch(), -EBADF);
    call(HOSTCALL_log, 0, 4097, 0);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_poll, 520, 0, 0);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_poll, 8, (uint64_t)-2, 0);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_mem_type, 0x1001, 1, 4);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_mem_type, 0x1000, UINT64_MAX / 2, 4);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_mem_type, 1ULL << 46, 1, 4);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_unpark, 9, 0, 0);
    assert_int_equal(dispatch(), -ESRCH);
}

static void test_ioctl_allow_list(void **state)
{
    (void)state;
    call(HOSTCALL_ioctl, 0, 0x5412 /* TIOCSTI */, 1);
    assert_int_equal(dispatch(), -ENOTTY);
    call(HOSTCALL_ioctl, 0, 0x5413 /* TIOCGWINSZ */, 4);
    assert_int_equal(dispatch(), -EINVAL);
    call(HOSTCALL_ioctl, 5, 0x5413, 8);
    assert_int_equal(dispatch(), -EBADF);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls_and_exceptions), TEST(test_fault_in_handler_ends),
        TEST(test_unknown_exit_ends),    TEST(test_signal_outside),
        TEST(test_aep_redirects_once),   TEST(test_on_the_way_in_nudges),
        TEST(test_waiting_call_ends),
        TEST(test_unpark_before_park),   TEST(test_dispatch_refuses),
        TEST(test_ioctl_allow_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
