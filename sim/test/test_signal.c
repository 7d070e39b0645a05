/* SPDX-License-Identifier: MIT */
/*
 * Signals that strike the enclave, leaves, and the ways in and out: resumed silently, redirected, put
 * off; never a register lost. Storms run with the patched stub and in strict mode.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define STORM_US 150
#define STORM_MS 600

static struct test_enclave g_e;
static const struct test_options g_patched;
static const struct test_options g_strict = {.config = {.strict = 1}};

static struct {
    volatile sig_atomic_t seen, inside, bad, redirected;
    volatile sig_atomic_t no_resume; /* the test makes none itself: all seen are after an AEX */
    volatile uint64_t counter;
    volatile uint32_t stop;
    volatile long deadline_ms;
} g;

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Everything that must be zero in the synthetic state. */
static int synthetic(const greg_t *r)
{
    greg_t or = r[REG_RDX] | r[REG_RSI] | r[REG_RDI] | r[REG_R8] | r[REG_R9] | r[REG_R10] |
                r[REG_R11] | r[REG_R12] | r[REG_R13] | r[REG_R14] | r[REG_R15];

    return or == 0 && r[REG_RCX] == (greg_t)sim_aep && r[REG_RBX] == (greg_t)g_e.base;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)r[REG_RIP];

    (void)sig;
    (void)info;
    g.seen++;
    if (rip - g_e.base < TEST_SIZE || (uint64_t)r[REG_RSP] - g_e.base < TEST_SIZE) {
        g.bad++; /* the enclave's own state showed */
    }
    if (rip == (uint64_t)sim_aep && r[REG_RAX] == SGX_ERESUME) {
        g.inside++;
        if (g.no_resume && !synthetic(r)) {
            g.bad++;
        }
    }
    if (g.deadline_ms != 0 && now_ms() > g.deadline_ms) {
        g.stop = 1;
    }
}

static void install(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction act = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};

    memset((void *)&g, 0, sizeof(g));
    assert_int_equal(test_ops->sigaction(SIGALRM, &act, NULL), 0);
}

static void storm(int on)
{
    struct itimerval timer = {.it_interval.tv_usec = on ? STORM_US : 0,
                              .it_value.tv_usec = on ? STORM_US : 0};

    g.deadline_ms = on ? now_ms() + STORM_MS : 0;
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void test_silent_resume(void **state)
{
    struct sgx_counters c;

    (void)state;
    install(on_signal);
    g.no_resume = 1;
    storm(1);
    assert_int_equal(test_call(&g_e, r_check_loop, (uint64_t)&g.stop, (uint64_t)&g.counter), 0);
    storm(0);
    c = test_counters(&g_e);
    assert_true(g.inside > 100);
    assert_int_equal(g.bad, 0);
    assert_true(c.aex > 100); /* not every signal costs one: it may come between AEX and ERESUME */
    assert_int_equal(c.aex, c.eresume);
    assert_int_equal(g_e.exits, 1); /* the host saw one exit only */
}

/* Signals while leaves run: none is lost, none finds a leaf half way. */
static void test_leaves_under_storm(void **state)
{
    struct enclu_args args = {.rax = SGX_EACCEPT, .rcx = g_e.base + TEST_DATA};
    uint64_t rounds = 0;

    (void)state;
    args.rbx = test_secinfo(&g_e, SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING);
    install(on_signal);
    g.no_resume = 1;
    storm(1);
    while (g.stop == 0) {
        assert_int_equal(test_call(&g_e, r_leaf_loop, 100, (uint64_t)&args), 0x100b);
        assert_int_equal(args.out_rax, SGX_PAGE_ATTRIBUTES_MISMATCH);
        rounds++;
    }
    storm(0);
    assert_int_equal(g.bad, 0);
    assert_true(g.seen > 100);
    assert_true(rounds > 1);
}

/* EENTER and EEXIT in a tight loop, so that signals strike both borders. */
static void test_borders_under_storm(void **state)
{
    uint64_t calls = 0;

    (void)state;
    install(on_signal);
    storm(1);
    while (g.stop == 0) {
        assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
        calls++;
    }
    storm(0);
    assert_int_equal(g.bad, 0);
    assert_true(g.seen > 100);
    assert_int_equal(test_counters(&g_e).eenter, calls);
    assert_int_equal(test_counters(&g_e).eexit, calls);
}

/* Faults, EAUG and their resolution in the same storm. */
static void test_faults_under_storm(void **state)
{
    uint64_t page = 0;

    (void)state;
    install(on_signal);
    storm(1);
    while (g.stop == 0 && page < 10000) {
        uint64_t addr = g_e.base + TEST_DYNAMIC + page++ * TEST_PAGE;

        test_expect_fault(&g_e, r_load, addr, 0, 14, SGX_PF_P | SGX_PF_U | SGX_PF_SGX, addr);
        assert_int_equal(test_accept(&g_e, addr, SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING), 0);
        assert_int_equal(test_resume(&g_e), 0);
        test_write8(&g_e, addr, page);
        assert_int_equal(test_call(&g_e, r_load8, addr, 0), page);
    }
    storm(0);
    assert_int_equal(g.bad, 0);
    assert_true(g.seen > 50);
}

/* The handler turns a resume into an entry at CSSA 1, as the host runtime does. */
static void redirect(int sig, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

    on_signal(sig, info, context);
    if (r[REG_RIP] == (greg_t)sim_aep && r[REG_RAX] == SGX_ERESUME && !g.redirected) {
        g.redirected = 1;
        r[REG_RAX] = SGX_EENTER;
        r[REG_RSI] = (greg_t)test_code(&g_e, r_nop);
    }
}

static void test_redirect(void **state)
{
    struct itimerval once = {.it_value.tv_usec = 2000};

    (void)state;
    install(redirect);
    setitimer(ITIMER_REAL, &once, NULL);
    assert_int_equal(test_enter(&g_e, r_spin, (uint64_t)&g.stop, (uint64_t)&g.counter), 0);
    assert_int_equal(g.redirected, 1);
    assert_int_equal(g_e.rdi, 0x1234); /* r_nop's, at CSSA 1: the spin still waits in its frame */
    g.stop = 1;
    assert_int_equal(test_resume(&g_e), 0);
    assert_int_equal(g_e.rdi, 0x5917);
}

/* EINTR-like: the handler sends the thread elsewhere in the host. */
static void test_redirect_to_exception_path(void **state)
{
    struct itimerval once = {.it_value.tv_usec = 2000};

    (void)state;
    install(on_signal);
    setitimer(ITIMER_REAL, &once, NULL);
    g.deadline_ms = now_ms() + 1;
    assert_int_equal(test_call(&g_e, r_spin, (uint64_t)&g.stop, (uint64_t)&g.counter), 0x5917);
    assert_int_equal(g.seen, 1);
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

    g.seen = sig;
    g.inside = info->si_addr == (void *)8;
    r[REG_RIP] += 3; /* over the load below */
}

static void test_host_fault(void **state)
{
    struct sigaction act = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
    struct sigaction old, back;
    uint64_t v = 8;

    (void)state;
    memset((void *)&g, 0, sizeof(g));
    assert_int_equal(test_ops->sigaction(SIGSEGV, &act, &old), 0);
    __asm__ volatile(".byte 0x48, 0x8b, 0x00" : "+a"(v)); /* mov (%rax), %rax */
    assert_int_equal(g.seen, SIGSEGV);
    assert_int_equal(g.inside, 1);
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
    assert_int_equal(test_ops->sigaction(SIGSEGV, &old, &back), 0);
    assert_ptr_equal(back.sa_sigaction, on_segv);
}

static void test_sigaction_errors(void **state)
{
    struct sigaction act = {.sa_handler = SIG_IGN};

    (void)state;
    assert_int_equal(test_ops->sigaction(0, &act, NULL), -EINVAL);
    assert_int_equal(test_ops->sigaction(65, &act, NULL), -EINVAL);
    assert_int_equal(test_ops->sigaction(SIGKILL, &act, NULL), -EINVAL);
    assert_int_equal(test_ops->sigaction(SIGUSR1, &act, NULL), 0);
    raise(SIGUSR1);
}

/* Two threads inside under a storm: the stub finds each one's own state. */
static void *second_thread(void *arg)
{
    struct enclu_args args = {.rax = SGX_EACCEPT, .rbx = g_e.base + TEST_DATA,
                              .rcx = g_e.base + TEST_DATA};
    struct test_enclave mine = g_e;
    long *rounds = arg;

    if (test_ops->thread_start(g_e.dev) != 0) {
        return (void *)1;
    }
    while (g.stop == 0) {
        if (test_enter_tcs(&mine, 1, SGX_EENTER, r_leaf_loop, 50, (uint64_t)&args, 0) != 0 ||
            mine.rdi != 0x100b || args.out_rax != SGX_PAGE_ATTRIBUTES_MISMATCH) {
            return (void *)2;
        }
        ++*rounds;
    }
    test_ops->thread_stop(g_e.dev);
    return NULL;
}

static void test_two_threads(void **state)
{
    struct enclu_args args = {.rax = SGX_EACCEPT, .rcx = g_e.base + TEST_DATA};
    pthread_t thread;
    long rounds = 0;
    void *ret;

    (void)state;
    args.rbx = test_secinfo(&g_e, SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING);
    install(on_signal);
    assert_int_equal(pthread_create(&thread, NULL, second_thread, &rounds), 0);
    storm(1);
    while (g.stop == 0) {
        assert_int_equal(test_call(&g_e, r_leaf_loop, 50, (uint64_t)&args), 0x100b);
    }
    storm(0);
    pthread_join(thread, &ret);
    assert_ptr_equal(ret, NULL);
    assert_true(rounds > 1);
}

#define BOTH(f) TEST_CASE(f, &g_e, &g_patched), TEST_CASE(f, &g_e, &g_strict)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_silent_resume),
        BOTH(test_leaves_under_storm),
        BOTH(test_borders_under_storm),
        BOTH(test_faults_under_storm),
        BOTH(test_redirect),
        TEST_CASE(test_redirect_to_exception_path, &g_e, &g_patched),
        TEST_CASE(test_host_fault, &g_e, &g_patched),
        TEST_CASE(test_sigaction_errors, &g_e, &g_patched),
        BOTH(test_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
