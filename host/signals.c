/* SPDX-License-Identifier: MIT */
/*
 * Signals of the host, forwarded into the enclave.
 *
 * Policy. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT and SIGTSTP
 * become bits in the first thread's pending_signals, and the program's dispositions decide; it starts
 * with those ignored that were ignored when Adyton started (boot_info.ignored_signals). A program that
 * stops (Ctrl-Z and no handler) asks for the `stop` host call, and SIGCONT tells it of its end. SIGTTIN
 * and SIGTTOU strike this process when it uses a terminal in the background and keep their default
 * action: the whole process stops, enclave included. SIGPIPE and SIGXFSZ are
 * ignored: writes give EPIPE and EFBIG, and the kernel inside raises the signals. Everything else keeps
 * its default action.
 *
 * Where the signal strikes decides how the enclave gets to look:
 *  - inside: the handler sees the AEP (RAX = ERESUME) and turns the resume into an entry at CSSA 1;
 *  - inside, but the thread is at CSSA 1 already: `notice` makes the loop enter once more;
 *  - in a host call that waits: host_syscall() gives -EINTR, without a race;
 *  - on the way in, where the instruction that enters cannot be told from here: `notice`, and a timer
 *    signal a moment later finds the thread inside (or again, until it does), or in the next host call
 *    that waits, which it ends: the enclave may not have looked in between.
 * The handlers touch only the fields named for them and call only async-signal-safe functions.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "internal.h"
#include "sgx.h"

#define NUDGE_NS 20000

extern const char host_syscall_begin[], host_syscall_end[], host_syscall_abort[];

static const int g_forwarded[] = {SIGINT,  SIGTERM, SIGHUP,   SIGQUIT, SIGUSR1,
                                  SIGUSR2, SIGALRM, SIGWINCH, SIGCONT, SIGTSTP};
#define FORWARDED_COUNT (sizeof(g_forwarded) / sizeof(g_forwarded[0]))

static struct sigaction g_old_forwarded[FORWARDED_COUNT];
static struct sigaction g_old_kick, g_old_pipe, g_old_size;
static __thread struct host_context *t_context;

/* The signal that only interrupts: kicks, the enclave's timer, nudges. */
static int kick_signal(void)
{
    return SIGRTMIN;
}

/* Reads where this thread was struck and sees to it that the enclave looks. */
static void notice_thread(struct host_context *ctx, ucontext_t *uc, int nudged)
{
    greg_t *regs = uc->uc_mcontext.gregs;
    uintptr_t rip = (uintptr_t)regs[REG_RIP];

    if (rip >= (uintptr_t)host_syscall_begin && rip < (uintptr_t)host_syscall_end) {
        if (!nudged)
            ctx->notice = 1;
        regs[REG_RIP] = (greg_t)(uintptr_t)host_syscall_abort;
        return;
    }
    if (!ctx->entering) {
        ctx->notice = 1;
        return;
    }
    if (regs[REG_RAX] == SGX_ERESUME && (uint64_t)regs[REG_RBX] == ctx->tcs &&
        regs[REG_RCX] == regs[REG_RIP] && !ctx->in_handler) {
        ctx->in_handler = 1;
        ctx->struck = 1;
        ctx->notice = 0;
        regs[REG_RAX] = SGX_EENTER;
        return;
    }
    ctx->notice = 1;
    if (!ctx->in_handler)
        signals_nudge(ctx);
}

static void on_kick(int sig, siginfo_t *info, void *uc)
{
    int saved_errno = errno;
    struct host_context *ctx = t_context;
    int nudged = info->si_code == SI_TIMER && info->si_value.sival_int == 1;

    (void)sig;
    if (ctx)
        notice_thread(ctx, uc, nudged);
    errno = saved_errno;
}

static void on_forwarded(int sig, siginfo_t *info, void *uc)
{
    int saved_errno = errno;
    struct host_process *process = atomic_load(&g_host);
    struct host_context *first = process ? atomic_load(&process->threads[0]) : NULL;

    (void)info;
    if (first) {
        __atomic_fetch_or(&first->block->pending_signals, 1ULL << (sig - 1), __ATOMIC_SEQ_CST);
        if (t_context == first)
            notice_thread(first, uc, 0);
        else
            signals_kick(first);
    }
    errno = saved_errno;
}

void signals_nudge(struct host_context *ctx)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = NUDGE_NS}};

    (void)timer_settime(ctx->nudge, 0, &soon, NULL);
}

void signals_kick(struct host_context *ctx)
{
    (void)syscall(SYS_tgkill, getpid(), ctx->tid, kick_signal());
}

/* ---- Setting up ----------------------------------------------------------------------------------- */

static int install(struct host_process *process, int sig, void (*handler)(int, siginfo_t *, void *),
                   struct sigaction *old)
{
    struct sigaction act = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};

    /* One handler at a time: each reads and changes the interrupted state. */
    for (size_t i = 0; i < FORWARDED_COUNT; i++)
        (void)sigaddset(&act.sa_mask, g_forwarded[i]);
    (void)sigaddset(&act.sa_mask, kick_signal());
    return process->ops->sigaction(sig, &act, old);
}

uint64_t signals_ignored(struct host_process *process)
{
    struct sigaction old;
    uint64_t set = 0;

    for (int sig = 1; sig < _NSIG; sig++)
        if (process->ops->sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
            set |= 1ULL << (sig - 1);
    return set;
}

int signals_install(struct host_process *process)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int ret;

    atomic_store(&g_host, process);
    ret = process->ops->sigaction(SIGPIPE, &ignore, &g_old_pipe);
    if (ret == 0)
        ret = process->ops->sigaction(SIGXFSZ, &ignore, &g_old_size);
    if (ret == 0)
        ret = install(process, kick_signal(), on_kick, &g_old_kick);
    for (size_t i = 0; i < FORWARDED_COUNT && ret == 0; i++)
        ret = install(process, g_forwarded[i], on_forwarded, &g_old_forwarded[i]);
    return ret;
}

void signals_remove(struct host_process *process)
{
    for (size_t i = 0; i < FORWARDED_COUNT; i++)
        (void)process->ops->sigaction(g_forwarded[i], &g_old_forwarded[i], NULL);
    /* A late timer signal must not kill. */
    (void)process->ops->sigaction(SIGPIPE, &g_old_pipe, NULL);
    (void)process->ops->sigaction(SIGXFSZ, &g_old_size, NULL);
    atomic_store(&g_host, NULL);
}

int signals_stop(struct host_process *process, int sig)
{
    struct sigaction act = {.sa_handler = SIG_DFL}, old;
    int ret;

    if (sig == SIGSTOP)
        return kill(getpid(), SIGSTOP) < 0 ? -errno : 0;
    ret = process->ops->sigaction(sig, &act, &old);
    if (ret < 0)
        return ret;
    /* As the terminal sent it: an orphaned process group does not stop. */
    (void)kill(getpid(), sig);
    (void)process->ops->sigaction(sig, &old, NULL);
    return 0;
}

static int make_timer(struct host_context *ctx, int value, timer_t *timer)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = kick_signal()};

    ev._sigev_un._tid = ctx->tid;
    ev.sigev_value.sival_int = value;
    return timer_create(CLOCK_MONOTONIC, &ev, timer) < 0 ? -errno : 0;
}

int signals_thread_start(struct host_context *ctx)
{
    int ret;

    ctx->tid = (pid_t)syscall(SYS_gettid);
    ret = make_timer(ctx, 1, &ctx->nudge);
    if (ret == 0 && ctx->id == 0)
        ret = make_timer(ctx, 0, &ctx->process->timer);
    t_context = ctx;
    return ret;
}

void signals_thread_stop(struct host_context *ctx)
{
    t_context = NULL;
    (void)timer_delete(ctx->nudge);
    if (ctx->id == 0)
        (void)timer_delete(ctx->process->timer);
}
