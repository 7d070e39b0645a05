/* SPDX-License-Identifier: MIT */
/*
 * CPUID where the kernel may have rewritten it (in the program's own text) against CPUID where it cannot have (in code made
 * at run time): the same answers, nothing else changed, whatever interrupts it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>
#include "guest.h"

struct answer {
    uint32_t r[4];
};

typedef void cpuid_fn(uint32_t leaf, uint32_t subleaf, struct answer *out);

static const uint32_t g_leaves[][2] = {{0, 0}, {4, 0}, {4, 1}, {4, 2}, {7, 0}, {0x80000000, 0}, {0x80000002, 0}};
#define LEAVES (sizeof(g_leaves) / sizeof(g_leaves[0]))

static struct answer g_want[LEAVES];
static atomic_int g_bad, g_signals, g_stop;

/* Registers that CPUID leaves alone, the carry flag, and a value below the stack pointer. */
__attribute__((noinline)) static int in_text(uint32_t leaf, uint32_t subleaf, struct answer *out)
{
    uint64_t changed;
    uint32_t a = leaf, c = subleaf, b, d;

    __asm__ volatile("mov $0x1111, %%r8\n mov $0x2222, %%r9\n mov $0x3333, %%r10\n mov $0x4444, %%r11\n"
                     "movq $0x5555, -24(%%rsp)\n"
                     "stc\n"
                     "mov %%eax, %%eax\n"
                     "mov %%ecx, %%ecx\n"
                     "cpuid\n"
                     "mov %%eax, %%eax\n"
                     "mov %%ebx, %%ebx\n"
                     "setnc %%sil\n"
                     "movzbl %%sil, %%esi\n"
                     "xor $0x1111, %%r8\n xor $0x2222, %%r9\n xor $0x3333, %%r10\n xor $0x4444, %%r11\n"
                     "xorq $0x5555, -24(%%rsp)\n"
                     "or %%r8, %%rsi\n or %%r9, %%rsi\n or %%r10, %%rsi\n or %%r11, %%rsi\n or -24(%%rsp), %%rsi\n"
                     : "+a"(a), "=b"(b), "+c"(c), "=d"(d), "=S"(changed)
                     :
                     : "r8", "r9", "r10", "r11", "cc", "memory");
    *out = (struct answer){{a, b, c, d}};
    return changed == 0;
}

static cpuid_fn *made_code(void)
{
    static const unsigned char code[] = {
        0x53, 0x89, 0xf8, 0x89, 0xf1, 0x49, 0x89, 0xd0, 0x0f, 0xa2, /* push rbx; eax, ecx, r8; cpuid */
        0x41, 0x89, 0x00, 0x41, 0x89, 0x58, 0x04, 0x41, 0x89, 0x48, 0x08, 0x41, 0x89, 0x50, 0x0c, 0x5b, 0xc3};
    unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    memcpy(p, code, sizeof(code));
    CHECK(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
    return (cpuid_fn *)(uintptr_t)p;
}

static void check_one(size_t i)
{
    struct answer got;

    if (!in_text(g_leaves[i][0], g_leaves[i][1], &got) || memcmp(&got, &g_want[i], sizeof(got)) != 0)
        atomic_fetch_add(&g_bad, 1);
}

static void on_signal(int sig)
{
    check_one((size_t)(sig + atomic_fetch_add(&g_signals, 1)) % LEAVES);
}

static void *checks(void *arg)
{
    while (!atomic_load(&g_stop))
        for (size_t i = 0; i < LEAVES; i++)
            check_one(i);
    return arg;
}

int main(void)
{
    struct itimerval often = {.it_interval = {.tv_usec = 300}, .it_value = {.tv_usec = 300}}, off = {{0, 0}, {0, 0}};
    cpuid_fn *cpuid = made_code();
    pthread_t t[2];

    for (size_t i = 0; i < LEAVES; i++) {
        cpuid(g_leaves[i][0], g_leaves[i][1], &g_want[i]);
        check_one(i);
    }
    CHECK(atomic_load(&g_bad) == 0);
    CHECK(signal(SIGALRM, on_signal) != SIG_ERR);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&t[i], NULL, checks, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (atomic_load(&g_signals) < 500)
        check_one((size_t)atomic_load(&g_signals) % LEAVES);
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    atomic_store(&g_stop, 1);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    CHECK(atomic_load(&g_bad) == 0);
    return guest_done();
}
