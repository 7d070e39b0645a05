/* SPDX-License-Identifier: MIT */
/*
 * Signals: ours (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS when the CPU raises them) and the
 * host's own, which pass through here so that their handlers see only what hardware shows.
 *
 * A signal finds the thread in one of these places:
 *   host       host code: the host's handler gets it as it is.
 *   aep        sim_aep before it took the registers: moved back to sim_aep, then as host.
 *   busy       inside a leaf: blocked, queued again, delivered when the leaf ends (at sim_trap).
 *   leaving    entry.S is installing sim_thread.regs: that is made the state, then as next.
 *   enclave    enclave code: AEX first, then the host's handler; unchanged, it resumes at the AEP.
 *
 * All handlers run on the thread's alternate stack with every asynchronous signal blocked, narrower
 * masks that the host asks for notwithstanding, so that none finds another half way. The CPU's signals
 * cannot be blocked as such; one that somebody sent (tgkill) to a handler or a leaf is held back until its end. Host handlers must
 * return (no longjmp) and must not call enter themselves; they redirect the thread instead.
 * g_actions.lock guards the table's writers; handlers read single atomic fields.
 */
#include "internal.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012

static const int g_sync_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};

#define SYNC_COUNT (sizeof(g_sync_signals) / sizeof(g_sync_signals[0]))

static struct {
    pthread_mutex_t lock;
    unsigned users; /* open devices */
    struct {
        _Atomic(void *) handler; /* SIG_DFL, SIG_IGN or the host's function */
        _Atomic int flags;
        sigset_t mask;
    } entry[_NSIG];
} g_actions = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_sync(int sig)
{
    for (size_t i = 0; i < SYNC_COUNT; i++) {
        if (g_sync_signals[i] == sig) {
            return true;
        }
    }
    return false;
}

/* Every signal but those that the CPU raises. */
static void fill_async(sigset_t *set)
{
    sigfillset(set);
    for (size_t i = 0; i < SYNC_COUNT; i++) {
        sigdelset(set, g_sync_signals[i]);
    }
}

enum place { PLACE_HOST, PLACE_AEP, PLACE_BUSY, PLACE_LEAVING, PLACE_TRAP, PLACE_ENCLAVE };

static bool between(uint64_t rip, const char *from, const char *to)
{
    return rip >= (uint64_t)from && rip < (uint64_t)to;
}

static enum place find_place(const struct sim_thread *t, const ucontext_t *uc)
{
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

    if (t == NULL) {
        return PLACE_HOST;
    }
    if (t->inside && (sim_in_range(t->dev, rip) || sim_is_compat(uc))) {
        return PLACE_ENCLAVE;
    }
    if (rip == (uint64_t)sim_trap) {
        return PLACE_TRAP;
    }
    if (between(rip, sim_leave, sim_leave_end) && t->deferred == 0 &&
        t->exit_mode != SIM_EXIT_TRAP) {
        return PLACE_LEAVING;
    }
    if (between(rip, sim_aep + 1, sim_aep_saved) && t->busy == 0) {
        return PLACE_AEP;
    }
    return t->busy != 0 || between(rip, sim_stub_entry, sim_stub_saved) ? PLACE_BUSY : PLACE_HOST;
}

/* The leaf is over: its outcome becomes the interrupted state. */
static void complete_leaf(struct sim_thread *t, ucontext_t *uc, struct sim_sigframe *f)
{
    if (t->exit_mode == SIM_EXIT_RET && t->inside) {
        if (sim_copy(&t->regs.rip, (const void *)t->regs.rsp, sizeof(t->regs.rip)) == 0) {
            t->regs.rsp += sizeof(t->regs.rip);
        } else { /* the enclave's stack has gone: the RET is executed again, and faults */
            t->regs.rip = t->dev->stub + SIM_STUB_RET;
        }
    }
    sim_regs_to_uc(&t->regs, uc);
    if (t->do_xrstor != 0) {
        sim_uc_load_xsave(t, uc);
        t->do_xrstor = 0;
    }
    f->fs = t->fs;
    f->gs = t->gs;
    t->busy = 0;
}

/* Delivered when the handler that is running returns, if the mask there lets it. */
static void queue_to_self(int sig, siginfo_t *info)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), sig, info);
}

/* Blocked where the signal struck, and queued again. */
static void hold_back(int sig, siginfo_t *info, ucontext_t *uc)
{
    sigset_t mask;

    memcpy(&mask, &uc->uc_sigmask, _NSIG / 8);
    sigaddset(&mask, sig);
    memcpy(&uc->uc_sigmask, &mask, _NSIG / 8);
    queue_to_self(sig, info);
}

/* Signals that were put off are let in, once the handler returns. */
static void end_deferral(struct sim_thread *t, ucontext_t *uc)
{
    if (t->deferred != 0) {
        t->deferred = 0;
        memcpy(&uc->uc_sigmask, &t->saved_mask, _NSIG / 8);
    }
    if (t->has_late_ill) {
        t->has_late_ill = false;
        queue_to_self(SIGILL, &t->late_ill);
    }
}

/* sim_trap: the leaf ended in a fault, or signals wait for it. */
static void finish_trapped(struct sim_thread *t, ucontext_t *uc, struct sim_sigframe *f)
{
    if (t->has_fault) {
        struct sim_fault fault = {
            .vector = t->fault_vector, .error = t->fault_error, .addr = t->fault_addr};

        t->has_fault = false;
        t->busy = 0;
        sim_aex(t, uc, &fault, &t->regs, t->fs, t->gs);
        f->fs = t->host_fs;
        f->gs = t->host_gs;
    } else {
        complete_leaf(t, uc, f);
    }
    end_deferral(t, uc);
}

/*
 * Asynchronous signals, and this one, are blocked until the leaf has ended, and wait in the kernel's
 * queue; but a SIGILL that somebody sent waits here, since the leaf may end in one.
 */
static void put_off(struct sim_thread *t, int sig, siginfo_t *info, ucontext_t *uc)
{
    sigset_t mask, async;

    memcpy(&mask, &uc->uc_sigmask, _NSIG / 8);
    if (t->deferred == 0) {
        memcpy(&t->saved_mask, &mask, _NSIG / 8);
        t->deferred = 1;
    }
    fill_async(&async);
    sigorset(&mask, &mask, &async);
    memcpy(&uc->uc_sigmask, &mask, _NSIG / 8);
    if (sig != SIGILL) {
        hold_back(sig, info, uc);
    } else if (!t->has_late_ill) {
        t->late_ill = *info;
        t->has_late_ill = true;
    }
}

/* The signal's default action, taken by the kernel once the handler is gone and the mask restored. */
static void default_action(int sig, siginfo_t *info, const ucontext_t *uc)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};

    sigaction(sig, &dfl, NULL);
    if (info->si_code <= 0 || uc == NULL) {
        queue_to_self(sig, info);
    }
}

static void call_host_handler(int sig, siginfo_t *info, ucontext_t *uc)
{
    void *handler = atomic_load(&g_actions.entry[sig].handler);
    int flags = atomic_load(&g_actions.entry[sig].flags);

    if (handler == (void *)SIG_IGN) {
        if (is_sync(sig) && info->si_code > 0) {
            default_action(sig, info, uc); /* a fault cannot be ignored */
        }
        return;
    }
    if (handler == (void *)SIG_DFL) {
        default_action(sig, info, uc);
        return;
    }
    if ((flags & SA_RESETHAND) != 0) {
        atomic_store(&g_actions.entry[sig].handler, (void *)SIG_DFL);
    }
    if ((flags & SA_SIGINFO) != 0) {
        ((void (*)(int, siginfo_t *, void *))handler)(sig, info, uc);
    } else {
        ((void (*)(int))handler)(sig);
    }
}

static bool tsc_faults(void)
{
    int mode = PR_TSC_ENABLE;

    return prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_SIGSEGV;
}

/*
 * CPUID and RDTSC of host code while they fault for the enclave's sake, in threads that were started
 * and in those that inherited the setting from one. True: emulated.
 */
static bool emulate_for_host(ucontext_t *uc)
{
    greg_t *g = uc->uc_mcontext.gregs;
    uint8_t op[3] = {0};
    uint32_t a, b, c, d;

    if (g[REG_TRAPNO] != SIM_GP ||
        sim_copy(op, (const void *)g[REG_RIP], sizeof(op) - 1) != 0 || op[0] != 0x0f) {
        return false;
    }
    if (op[1] == 0xa2) {
        syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
        __cpuid_count((uint32_t)g[REG_RAX], (uint32_t)g[REG_RCX], a, b, c, d);
        syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
        g[REG_RAX] = a;
        g[REG_RBX] = b;
        g[REG_RCX] = c;
        g[REG_RDX] = d;
        g[REG_RIP] += 2;
        return true;
    }
    if (sim_copy(op, (const void *)g[REG_RIP], sizeof(op)) != 0 ||
        !(op[1] == 0x31 || (op[1] == 0x01 && op[2] == 0xf9)) || !tsc_faults()) {
        return false;
    }
    prctl(PR_SET_TSC, PR_TSC_ENABLE);
    __asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(c));
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
    g[REG_RAX] = a;
    g[REG_RDX] = d;
    if (op[1] == 0x01) {
        g[REG_RCX] = c;
    }
    g[REG_RIP] += op[1] == 0x01 ? 3 : 2;
    return true;
}

/* A system call of the vDSO's, which user dispatch lets nobody make there (device.c). */
static void call_for_host(ucontext_t *uc)
{
    greg_t *g = uc->uc_mcontext.gregs;
    register greg_t r10 __asm__("r10") = g[REG_R10];
    register greg_t r8 __asm__("r8") = g[REG_R8];
    register greg_t r9 __asm__("r9") = g[REG_R9];

    __asm__ volatile("syscall"
                     : "+a"(g[REG_RAX])
                     : "D"(g[REG_RDI]), "S"(g[REG_RSI]), "d"(g[REG_RDX]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
}

/* The stub's first instructions store below the enclave's RSP: a fault there is the enclave's. */
static void stub_fault(struct sim_thread *t, ucontext_t *uc, struct sim_sigframe *f)
{
    greg_t *g = uc->uc_mcontext.gregs;
    struct sim_fault fault;
    struct sim_regs regs;

    if (sim_page_fault(t, uc, (uint64_t)g[REG_CR2], EPCM_W, &fault)) {
        return;
    }
    sim_regs_from_uc(&regs, uc);
    if (regs.rip != (uint64_t)sim_stub_entry) {
        regs.rsp += 8;
    }
    regs.rip = t->dev->stub;
    sim_aex(t, uc, &fault, &regs, f->fs, f->gs);
    f->fs = t->host_fs;
    f->gs = t->host_gs;
    end_deferral(t, uc);
}

static void on_exception(struct sim_thread *t, int sig, siginfo_t *info, ucontext_t *uc,
                         struct sim_sigframe *f)
{
    greg_t *g = uc->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)g[REG_RIP];
    enum place place;

    if (rip == (uint64_t)sim_copy_insn) {
        g[REG_RIP] = (greg_t)sim_copy_fail;
        return;
    }
    if (t != NULL && between(rip, sim_stub_entry, sim_stub_spilled) && g[REG_TRAPNO] == SIM_PF) {
        stub_fault(t, uc, f);
        return;
    }
    place = find_place(t, uc);
    if (place == PLACE_TRAP) {
        finish_trapped(t, uc, f);
        return;
    }
    if (place == PLACE_LEAVING && t->inside) {
        complete_leaf(t, uc, f);
        place = PLACE_ENCLAVE;
    }
    if (place == PLACE_ENCLAVE) {
        sim_enclave_exception(t, sig, info, uc, f);
        return;
    }
    if (sig == SIGSYS && info->si_code == SYS_USER_DISPATCH) {
        call_for_host(uc);
    } else if (!emulate_for_host(uc)) {
        call_host_handler(sig, info, uc);
    }
}

static void on_interrupt(struct sim_thread *t, int sig, siginfo_t *info, ucontext_t *uc,
                         struct sim_sigframe *f)
{
    greg_t *g = uc->uc_mcontext.gregs;
    enum place place = find_place(t, uc);
    struct sim_regs regs;

    if (place == PLACE_BUSY || place == PLACE_TRAP) {
        put_off(t, sig, info, uc);
        return;
    }
    if (place == PLACE_AEP) {
        g[REG_RIP] = (greg_t)sim_aep;
        g[REG_RCX] = (greg_t)sim_aep;
    }
    if (place == PLACE_LEAVING) {
        complete_leaf(t, uc, f);
        place = t->inside ? PLACE_ENCLAVE : PLACE_HOST;
    }
    if (place == PLACE_ENCLAVE && sim_is_compat(uc)) {
        sim_enclave_exception(t, sig, info, uc, f);
    } else if (place == PLACE_ENCLAVE) {
        sim_regs_from_uc(&regs, uc);
        sim_aex(t, uc, NULL, &regs, f->fs, f->gs);
        f->fs = t->host_fs;
        f->gs = t->host_gs;
    }
    call_host_handler(sig, info, uc);
}

/* Did the signal strike one of these handlers, at any instruction of it? */
static bool in_handler(const struct sim_thread *t, const ucontext_t *uc)
{
    uint64_t rsp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];

    return t != NULL && rsp - ((uint64_t)t + SIM_ALTSTACK_OFF) < SIM_THREAD_SIZE - SIM_ALTSTACK_OFF;
}

void sim_signal(int sig, siginfo_t *info, ucontext_t *uc, struct sim_sigframe *f)
{
    struct sim_thread *t = f->thread != NULL ? f->thread : sim_self;
    bool exception = is_sync(sig) && info->si_code > 0;
    int saved = errno;

    if (!exception && in_handler(f->thread, uc)) {
        hold_back(sig, info, uc); /* until that handler returns */
        return;
    }
    sim_pkru_open(); /* the kernel has closed all keys; sigreturn takes back what the frame says */
    if (exception) {
        on_exception(t, sig, info, uc, f);
    } else {
        on_interrupt(t, sig, info, uc, f);
    }
    if (t != NULL && t->pkeys != 0 && t->busy == 0) {
        sim_uc_set_pkru(uc, t->inside ? t->pkru_encl : t->pkru_host);
    }
    errno = saved;
}

static int install(int sig, int flags)
{
    struct sigaction act;

    memset(&act, 0, sizeof(act));
    act.sa_sigaction = (void (*)(int, siginfo_t *, void *))sim_signal_entry;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK | flags;
    fill_async(&act.sa_mask);
    return sigaction(sig, &act, NULL) != 0 ? -errno : 0;
}

static void record(int sig, const struct sigaction *act)
{
    g_actions.entry[sig].mask = act->sa_mask;
    atomic_store(&g_actions.entry[sig].flags, act->sa_flags);
    atomic_store(&g_actions.entry[sig].handler, (void *)act->sa_sigaction);
}

static int change_action(int sig, const struct sigaction *act)
{
    const int kept = SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT;

    if (is_sync(sig)) {
        record(sig, act);
        return 0;
    }
    if (act->sa_handler == SIG_DFL || act->sa_handler == SIG_IGN) {
        int ret = sigaction(sig, act, NULL) != 0 ? -errno : 0;

        if (ret == 0) {
            record(sig, act);
        }
        return ret;
    }
    record(sig, act);
    return install(sig, act->sa_flags & kept);
}

int sim_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    int ret = 0;

    if (sig <= 0 || sig >= _NSIG || sig == SIGKILL || sig == SIGSTOP) {
        return -EINVAL;
    }
    pthread_mutex_lock(&g_actions.lock);
    if (old != NULL) {
        memset(old, 0, sizeof(*old));
        old->sa_sigaction = (void (*)(int, siginfo_t *, void *))g_actions.entry[sig].handler;
        old->sa_flags = g_actions.entry[sig].flags;
        old->sa_mask = g_actions.entry[sig].mask;
    }
    if (act != NULL) {
        ret = change_action(sig, act);
    }
    pthread_mutex_unlock(&g_actions.lock);
    return ret;
}

int sim_signals_install(void)
{
    int ret = 0;

    pthread_mutex_lock(&g_actions.lock);
    if (g_actions.users++ == 0) {
        for (int sig = 1; sig < _NSIG; sig++) {
            struct sigaction old;

            if (sigaction(sig, NULL, &old) == 0) {
                record(sig, &old);
            }
        }
        for (size_t i = 0; i < SYNC_COUNT && ret == 0; i++) {
            ret = install(g_sync_signals[i], SA_NODEFER);
        }
    }
    pthread_mutex_unlock(&g_actions.lock);
    return ret;
}

void sim_signals_remove(void)
{
    pthread_mutex_lock(&g_actions.lock);
    if (--g_actions.users == 0) {
        for (size_t i = 0; i < SYNC_COUNT; i++) {
            int sig = g_sync_signals[i];
            struct sigaction act;

            memset(&act, 0, sizeof(act));
            act.sa_sigaction = (void (*)(int, siginfo_t *, void *))g_actions.entry[sig].handler;
            act.sa_flags = g_actions.entry[sig].flags;
            act.sa_mask = g_actions.entry[sig].mask;
            sigaction(sig, &act, NULL);
        }
    }
    pthread_mutex_unlock(&g_actions.lock);
}
