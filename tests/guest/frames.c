/* SPDX-License-Identifier: MIT */
/* Signal frames: what handlers see and may change, vector state, nesting, alternate stacks, bad frames. */
#include "guest.h"
#include "fault.h"
#include <cpuid.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static volatile int g_count;
static char g_stack[65536];

static void install(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

    CHECK(sigaction(sig, &sa, NULL) == 0);
}

/* ---- The frame's contents -------------------------------------------------------------------- */

static void look(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    uint32_t *fp = (uint32_t *)uc->uc_mcontext.fpregs;

    g_count++;
    CHECK(sig == SIGTRAP || sig == SIGUSR1);
    CHECK(info->si_signo == sig && (uintptr_t)&info % 8 == 0 && (uintptr_t)uc % 8 == 0);
    CHECK((uintptr_t)fp % 64 == 0 && !sigismember(&uc->uc_sigmask, SIGUSR1));
    CHECK((g[REG_CSGSFS] & 0xffff) == 0x33 && (g[REG_EFL] & 0x200));
    if (fp[464 / 4] == 0x46505853) { /* FP_XSTATE_MAGIC1 in sw_reserved */
        uint32_t extended = fp[468 / 4], size = fp[480 / 4];
        CHECK(extended > 512 && size >= 576 && size <= extended - 4);
        CHECK(*(uint32_t *)((char *)fp + extended - 4) == 0x46505845); /* FP_XSTATE_MAGIC2 */
        CHECK((fp[472 / 4] & 3) == 3); /* x87 and SSE at least */
    }
    if (sig != SIGTRAP)
        return;
    CHECK(g[REG_RBX] == 0x1111 && g[REG_R12] == 0x2222 && g[REG_R9] == 0x3333 && g[REG_TRAPNO] == 3);
    g[REG_RBX] = 0x4444;
    g[REG_R10] = 0x5555;
    g[REG_EFL] |= 1;
    double *xmm5 = (double *)((char *)fp + 160 + 5 * 16);
    CHECK(*xmm5 == 2.5);
    *xmm5 = 7.5;
}

static void test_contents(void)
{
    long rbx, r10, flags;
    double in = 2.5, out;

    install(SIGTRAP, look, 0);
    install(SIGUSR1, look, 0);
    __asm__ volatile("movsd %4, %%xmm5\n\tmov $0x1111, %%ebx\n\tmov $0x2222, %%r12d\n\tmov $0x3333, %%r9d\n\t"
                     "clc\n\tint3\n\tmov %%rbx, %0\n\tpushfq\n\tpop %2\n\tmov %%r10, %1\n\tmovsd %%xmm5, %3"
                     : "=m"(rbx), "=m"(r10), "=&r"(flags), "=m"(out)
                     : "m"(in)
                     : "rbx", "r12", "r9", "r10", "xmm5", "cc", "memory");
    CHECK(rbx == 0x4444 && r10 == 0x5555 && (flags & 1) && out == 7.5 && g_count == 1);
    raise(SIGUSR1);
    CHECK(g_count == 2);
}

/* ---- Vector state across everything ------------------------------------------------------------ */

static void trample(int sig, siginfo_t *info, void *context)
{
    static const double zero[8];

    (void)info;
    g_count++;
    __asm__ volatile("movups %0, %%xmm0\n\tmovups %0, %%xmm7\n\tmovups %0, %%xmm15\n\tfninit"
                     :
                     : "m"(zero)
                     : "xmm0", "xmm7", "xmm15");
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" : : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile(".byte 0x62, 0xf1, 0x75, 0x48, 0xef, 0xc9"); /* vpxord zmm1, zmm1, zmm1 */
    if (sig == SIGILL)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static __attribute__((target("avx"))) int avx_kept(const char *touch)
{
    double in[4] = {1, 2, 3, 4}, out[4];
    long pid = getpid();

    __asm__ volatile("vmovupd %1, %%ymm7\n\tmov $39, %%eax\n\tsyscall\n\t"
                     "ud2\n\t"          /* a fault with a handler */
                     "movb (%2), %%al\n\t" /* a fault without */
                     "mov $62, %%eax\n\tmov %3, %%rdi\n\tmov $10, %%esi\n\tsyscall\n\tvmovupd %%ymm7, %0\n\tvzeroupper"
                     : "=m"(out)
                     : "m"(in), "r"(touch), "r"(pid)
                     : "rax", "rcx", "r11", "rdi", "rsi", "xmm7", "memory");
    return !memcmp(in, out, sizeof(in));
}

static __attribute__((target("avx512f"))) int avx512_kept(const char *touch)
{
    uint64_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    uint16_t mask = 0;
    long pid = getpid();

    __asm__ volatile("vmovdqu64 %2, %%zmm17\n\tmov $0x5a5a, %%eax\n\tkmovw %%eax, %%k3\n\tmov $39, %%eax\n\tsyscall\n\t"
                     "ud2\n\tmovb (%3), %%al\n\t"
                     "mov $62, %%eax\n\tmov %4, %%rdi\n\tmov $10, %%esi\n\tsyscall\n\t"
                     "vmovdqu64 %%zmm17, %0\n\tkmovw %%k3, %%eax\n\tmov %%ax, %1\n\tvzeroupper"
                     : "=m"(out), "=m"(mask)
                     : "m"(in), "r"(touch), "r"(pid)
                     : "rax", "rcx", "r11", "rdi", "rsi", "memory");
    return !memcmp(in, out, sizeof(in)) && mask == 0x5a5a;
}

static void test_vectors(void)
{
    char *fresh = mmap(NULL, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned before = 0x1f80 | 0x6000, after;
    unsigned short control = 0x27f, now;

    install(SIGILL, trample, 0);
    install(SIGUSR1, trample, 0);
    g_count = 0;
    if (__builtin_cpu_supports("avx"))
        CHECK(avx_kept(fresh + (1 << 20)) && g_count == 2);
    g_count = 0;
    if (__builtin_cpu_supports("avx512f"))
        CHECK(avx512_kept(fresh + (2 << 20)) && g_count == 2);
    /* control words: rounding modes survive calls and handlers */
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(before), "m"(control));
    raise(SIGUSR1);
    syscall(SYS_getpid);
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(after), "=m"(now));
    CHECK((after & 0xffc0) == before && now == control);
    before = 0x1f80;
    __asm__ volatile("ldmxcsr %0\n\tfninit" : : "m"(before));
}

/* ---- Nesting, alternate stacks, bad frames ------------------------------------------------------- */

static void nested(int sig, siginfo_t *info, void *context)
{
    volatile char here;

    (void)info;
    (void)context;
    g_count++;
    CHECK((char *)&here > g_stack && (char *)&here < g_stack + sizeof(g_stack));
    if (sig == SIGILL)
        CHECK(FAULT(peek((void *)8)) == SIGSEGV);
    if (sig == SIGUSR1)
        CHECK(FAULT(poke((void *)16)) == SIGSEGV && g_fault.address == (char *)16);
    stack_t ss;
    CHECK(sigaltstack(NULL, &ss) == 0 && ss.ss_flags == SS_ONSTACK);
    ss.ss_flags = 0;
    CHECK_ERRNO(sigaltstack(&ss, NULL), EPERM);
    if (sig == SIGILL)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void test_nested(void)
{
    stack_t ss = {.ss_sp = g_stack, .ss_size = sizeof(g_stack)}, off = {.ss_flags = SS_DISABLE};

    fault_catch(SIGSEGV);
    fault_catch(SIGBUS);
    CHECK(sigaltstack(&ss, NULL) == 0);
    install(SIGILL, nested, SA_ONSTACK);
    install(SIGUSR1, nested, SA_ONSTACK);
    g_count = 0;
    __asm__ volatile("ud2");
    raise(SIGUSR1);
    CHECK(g_count == 2);
    for (int i = 0; i < 1000; i++)
        CHECK(FAULT(poke((void *)24)) == SIGSEGV);
    CHECK(sigaltstack(NULL, &ss) == 0 && ss.ss_flags == 0);
    ss.ss_flags = 77;
    CHECK_ERRNO(sigaltstack(&ss, NULL), EINVAL);
    CHECK(sigaltstack(&off, NULL) == 0);
}

static void shift_mask(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGUSR2);
}

static void test_mask(void)
{
    sigset_t set;

    install(SIGUSR1, shift_mask, 0);
    raise(SIGUSR1);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0 && sigismember(&set, SIGUSR2));
    sigemptyset(&set);
    CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
}

/* A handler has the default floating-point environment, and what it does to its own is gone afterwards. */
static void environment(int sig, siginfo_t *info, void *context)
{
    uint32_t *fp = (uint32_t *)((ucontext_t *)context)->uc_mcontext.fpregs, mxcsr;
    uint16_t control, status;

    (void)sig, (void)info;
    g_count++;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %2" : "=m"(mxcsr), "=m"(control), "=m"(status));
    CHECK(mxcsr == 0x1f80 && control == 0x37f && status == 0);
    CHECK(fp[6] == 0x5f80 && (uint16_t)fp[0] == 0x77f);
    mxcsr = 0x3f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void test_environment(void)
{
    uint32_t mxcsr = 0x5f80, plain = 0x1f80, after;
    uint16_t control = 0x77f;

    install(SIGUSR1, environment, 0);
    g_count = 0;
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(control));
    raise(SIGUSR1);
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(after), "=m"(control));
    __asm__ volatile("ldmxcsr %0\n\tfninit" : : "m"(plain));
    CHECK(g_count == 1 && after == 0x5f80 && control == 0x77f);
}

/* rt_sigreturn with a stack of garbage, or none, is a SIGSEGV, and on the alternate stack it is caught. */
static void return_from(const void *frame)
{
    __asm__ volatile("mov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall\n\thlt" : : "r"(frame) : "memory");
    __builtin_unreachable();
}

static void test_bad_return(void)
{
    stack_t ss = {.ss_sp = g_stack, .ss_size = sizeof(g_stack)};
    static uint64_t garbage[4096];

    CHECK(sigaltstack(&ss, NULL) == 0);
    for (int i = 0; i < 4096; i++)
        garbage[i] = 0x8181818181818181u * (unsigned)i;
    garbage[100 + 37] = 0;     /* the mask: with SIGSEGV blocked the program would die */
    garbage[100 + 22] = 0x202; /* flags: with AC set the handler itself would be struck */
    CHECK(FAULT(return_from((void *)16)) == SIGSEGV);
    CHECK(FAULT(return_from((void *)0x3fff80000000)) == SIGSEGV);
    CHECK(FAULT(return_from((void *)-4096)) == SIGSEGV);
    CHECK(FAULT(return_from(garbage + 100)) != 0);
    memset(garbage, 0, sizeof(garbage));
    CHECK(FAULT(return_from(garbage + 100)) != 0);
    /* no room for a frame: the default action would follow, were there no alternate stack */
    CHECK(FAULT(({ __asm__ volatile("mov $32, %%esp\n\tpush %%rax" : : : "memory"); })) == SIGSEGV);
}

int main(void)
{
    test_contents();
    test_vectors();
    test_nested();
    test_mask();
    test_environment();
    test_bad_return();
    return guest_done();
}
