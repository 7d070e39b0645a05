/* SPDX-License-Identifier: MIT */
/* Signals in one thread: handlers, masks, queues, alternate stack, restart, timers, faults. */
#include "guest.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t g_count, g_last, g_value;
static volatile int g_code;
static void *volatile g_address;
static volatile uintptr_t g_stack;
static sigjmp_buf g_jump;

static void on_signal(int sig)
{
    g_count++;
    g_last = sig;
}

static void on_info(int sig, siginfo_t *info, void *context)
{
    volatile int here;

    (void)context;
    g_count++;
    g_last = sig;
    g_code = info->si_code;
    g_value = info->si_value.sival_int;
    g_stack = (uintptr_t)&here;
}

static void install(int sig, void *handler, int flags)
{
    struct sigaction sa = {.sa_flags = flags};

    if (flags & SA_SIGINFO)
        sa.sa_sigaction = (void (*)(int, siginfo_t *, void *))(uintptr_t)handler;
    else
        sa.sa_handler = (void (*)(int))(uintptr_t)handler;
    CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void test_basic(void)
{
    sigset_t set, old;

    install(SIGUSR1, on_signal, 0);
    CHECK(raise(SIGUSR1) == 0 && g_count == 1 && g_last == SIGUSR1);
    CHECK(kill(getpid(), SIGUSR1) == 0 && g_count == 2);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK(g_count == 2);
    CHECK(sigpending(&set) == 0 && sigismember(&set, SIGUSR1) == 1);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK(g_count == 3);
    install(SIGUSR1, SIG_IGN, 0);
    raise(SIGUSR1);
    CHECK(g_count == 3);
    install(SIGUSR1, on_signal, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction sa;
    CHECK(sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
    CHECK_ERRNO(sigaction(SIGKILL, &sa, NULL), EINVAL);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK(kill(getpid(), 0) == 0);
}

static void test_realtime(void)
{
    sigset_t set, old;
    union sigval v;

    install(SIGRTMIN + 1, on_info, SA_SIGINFO);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, &old);
    g_count = 0;
    for (v.sival_int = 1; v.sival_int <= 3; v.sival_int++)
        CHECK(sigqueue(getpid(), SIGRTMIN + 1, v) == 0);
    siginfo_t info;
    struct timespec zero = {0, 0};
    CHECK(sigtimedwait(&set, &info, &zero) == SIGRTMIN + 1 && info.si_value.sival_int == 1);
    CHECK(info.si_code == SI_QUEUE && info.si_pid == getpid());
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(g_count == 2 && g_value == 3 && g_code == SI_QUEUE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_ERRNO(sigtimedwait(&set, &info, &zero), EAGAIN);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_altstack(void)
{
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)}, old;

    CHECK(sigaltstack(&ss, NULL) == 0);
    install(SIGUSR2, on_info, SA_SIGINFO | SA_ONSTACK);
    raise(SIGUSR2);
    CHECK((char *)g_stack >= stack && (char *)g_stack < stack + sizeof(stack));
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == stack && old.ss_flags == 0);
    ss.ss_size = 100;
    CHECK_ERRNO(sigaltstack(&ss, NULL), ENOMEM);
    ss.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&ss, NULL) == 0);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    g_last = sig;
    g_code = info->si_code;
    g_address = info->si_addr;
    siglongjmp(g_jump, 1);
}

static void on_divide(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    g_last = sig;
    g_code = info->si_code;
    uc->uc_mcontext.gregs[REG_RIP] += 2; /* skips the idiv */
    uc->uc_mcontext.gregs[REG_RAX] = 77;
}

static void test_faults(void)
{
    long result;

    install(SIGSEGV, on_fault, SA_SIGINFO);
    install(SIGILL, on_fault, SA_SIGINFO);
    install(SIGTRAP, on_fault, SA_SIGINFO);
    install(SIGFPE, on_divide, SA_SIGINFO);
    if (!sigsetjmp(g_jump, 1))
        *(volatile int *)8 = 1;
    CHECK(g_last == SIGSEGV && g_code == SEGV_MAPERR && g_address == (void *)8);
    if (!sigsetjmp(g_jump, 1))
        __asm__ volatile("ud2");
    CHECK(g_last == SIGILL);
    if (!sigsetjmp(g_jump, 1))
        __asm__ volatile("int3");
    CHECK(g_last == SIGTRAP);
    if (!sigsetjmp(g_jump, 1))
        __asm__ volatile("hlt");
    CHECK(g_last == SIGSEGV);
    __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; idiv %%ecx"
                     : "=a"(result)
                     :
                     : "rcx", "rdx", "cc");
    CHECK(g_last == SIGFPE && g_code == FPE_INTDIV && result == 77);
}

static void test_vector_state(void)
{
    double before = 1.5, after;

    install(SIGUSR1, on_signal, 0);
    __asm__ volatile("movsd %1, %%xmm7\n\t"
                     "mov %2, %%rdi\n\tmov %3, %%rsi\n\tmov $62, %%eax\n\tsyscall\n\t"
                     "movsd %%xmm7, %0"
                     : "=m"(after)
                     : "m"(before), "r"((long)getpid()), "r"((long)SIGUSR1)
                     : "rax", "rcx", "r11", "rdi", "rsi", "xmm7", "memory");
    CHECK(after == before);
}

static void test_timers(void)
{
    struct itimerval it = {{0, 0}, {0, 20000}};
    struct timespec ts = {5, 0}, left;

    install(SIGALRM, on_signal, 0);
    g_count = 0;
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    while (!g_count)
        ; /* computes without system calls */
    CHECK(g_last == SIGALRM);
    g_count = 0;
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK_ERRNO(nanosleep(&ts, &left), EINTR);
    CHECK(g_count == 1 && left.tv_sec >= 3 && left.tv_sec <= 4);
    g_count = 0;
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK_ERRNO(pause(), EINTR);
    CHECK(g_count == 1);
    sigset_t none;
    sigemptyset(&none);
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK_ERRNO(sigsuspend(&none), EINTR);
    CHECK(alarm(10) == 0 && alarm(0) == 10);

    timer_t id;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
    struct itimerspec its = {{0, 0}, {0, 10000000}};
    ev.sigev_value.sival_int = 99;
    install(SIGRTMIN + 2, on_info, SA_SIGINFO);
    g_count = 0;
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &id) == 0);
    CHECK(timer_settime(id, 0, &its, NULL) == 0);
    while (!g_count)
        pause();
    CHECK(g_value == 99 && g_code == SI_TIMER);
    CHECK(timer_delete(id) == 0);
}

static void on_nested(int sig)
{
    g_count++;
    if (sig == SIGUSR1 && g_count < 5)
        raise(SIGUSR1);
}

static void test_nested(void)
{
    g_count = 0;
    install(SIGUSR1, on_nested, SA_NODEFER);
    raise(SIGUSR1);
    CHECK(g_count == 5);
    g_count = 0;
    install(SIGUSR1, on_nested, 0);
    raise(SIGUSR1);
    CHECK(g_count == 5);
}

int main(void)
{
    test_basic();
    test_realtime();
    test_altstack();
    test_faults();
    test_vector_state();
    test_timers();
    test_nested();
    return guest_done();
}
