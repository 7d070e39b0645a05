/* SPDX-License-Identifier: MIT */
/* Exceptions and the codes they come with; instructions that an enclave cannot run but programs do. */
#include "guest.h"
#include "fault.h"
#include <cpuid.h>
#include <fenv.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

static void test_sse(void)
{
    static const struct {
        unsigned mask; /* the exception that is let through */
        double a, b;
        int code;
    } cases[] = {{0x80, 0, 0, FPE_FLTINV}, {0x200, 1, 0, FPE_FLTDIV}, {0x400, 1e308, 1e-300, FPE_FLTOVF},
                 {0x800, 1e-308, 1e300, FPE_FLTUND}, {0x1000, 1, 3, FPE_FLTRES}};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        volatile double a = cases[i].a, b = cases[i].b;
        int sig = FAULT(_mm_setcsr(0x1f80 & ~cases[i].mask); a = a / b);
        _mm_setcsr(0x1f80);
        CHECK(sig == SIGFPE && g_fault.code == cases[i].code);
    }
}

static void test_x87(void)
{
    unsigned short control = 0x37f & ~4, invalid = 0x37f & ~1, normal = 0x37f;
    volatile double zero = 0, one = 1;

    CHECK(FAULT(__asm__ volatile("fldcw %0\n\tfldl %1\n\tfdivl %2\n\tfwait" : : "m"(control), "m"(one),
                                                                              "m"(zero))) == SIGFPE);
    CHECK(g_fault.code == FPE_FLTDIV);
    __asm__ volatile("fninit");
    CHECK(FAULT(__asm__ volatile("fldcw %0\n\tfldl %1\n\tfdivl %1\n\tfwait" : : "m"(invalid), "m"(zero))) ==
          SIGFPE);
    CHECK(g_fault.code == FPE_FLTINV);
    __asm__ volatile("fninit\n\tfldcw %0" : : "m"(normal));
}

static void test_integer(void)
{
    volatile int zero = 0, one = 1, least = INT32_MIN, minus = -1;
    volatile char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(FAULT(zero = one / zero) == SIGFPE && g_fault.code == FPE_INTDIV);
    CHECK(FAULT(zero = least / minus) == SIGFPE && g_fault.code == FPE_INTDIV);
    CHECK(FAULT(__asm__ volatile("ud2")) == SIGILL && g_fault.code == ILL_ILLOPN);
    CHECK(FAULT(__asm__ volatile("int3")) == SIGTRAP && g_fault.code == SI_KERNEL);
    CHECK(FAULT(__asm__ volatile("int $0x81")) == SIGSEGV && g_fault.code == SI_KERNEL && !g_fault.address);
    CHECK(FAULT(__asm__ volatile("hlt")) == SIGSEGV && g_fault.code == SI_KERNEL);
    CHECK(FAULT(__asm__ volatile("cli")) == SIGSEGV && FAULT(__asm__ volatile("rdmsr")) == SIGSEGV);
    CHECK(FAULT(__asm__ volatile("inb $0x60, %%al" : : : "rax")) == SIGSEGV);
    CHECK(FAULT(__asm__ volatile("mov %%cr0, %%rax" : : : "rax")) == SIGSEGV);
    CHECK(FAULT(peek((void *)0x800000000000)) == SIGSEGV && g_fault.code == SI_KERNEL);
    CHECK(FAULT(peek(none)) == SIGSEGV && g_fault.code == SEGV_ACCERR && g_fault.address == none);
    CHECK(FAULT(poke((void *)0x3fff80000000)) == SIGSEGV && g_fault.code == SEGV_MAPERR);
    CHECK(g_fault.address == (char *)0x3fff80000000);
    CHECK(FAULT(peek((void *)0x7ffffffff000)) == SIGSEGV);
    CHECK(FAULT(__asm__ volatile("movaps 1(%%rsp), %%xmm0" : : : "xmm0")) == SIGSEGV);
    CHECK(g_fault.code == SI_KERNEL);
}

static void test_processor(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0, id[4];
    uint64_t first = __rdtsc(), second = __rdtsc();
    char name[49] = {0};

    CHECK(second > first && __rdtscp(&a) > second);
    CHECK(__get_cpuid(0, &a, &b, &c, &d) && a >= 7);
    memcpy(id, (unsigned[]){b, d, c}, 12);
    CHECK(!memcmp(id, "GenuineIntel", 12) || !memcmp(id, "AuthenticAMD", 12));
    CHECK(__get_cpuid(1, &a, &b, &c, &d) && (d & bit_SSE2));
    if (c & bit_OSXSAVE) {
        unsigned lo, hi;
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        CHECK((lo & 3) == 3 && !__builtin_cpu_supports("avx") == !(lo & 4));
    }
    for (unsigned i = 0; i < 3; i++) {
        __cpuid(0x80000002 + i, a, b, c, d);
        memcpy(name + 16 * i, (unsigned[]){a, b, c, d}, 16);
    }
    CHECK(strlen(name) > 4);
    /* registers that the instruction does not name stay, whoever answers */
    uint64_t kept;
    __asm__ volatile("mov $0x123456789a, %%r8\n\txor %%eax, %%eax\n\txor %%ecx, %%ecx\n\tcpuid\n\tmov %%r8, %0"
                     : "=r"(kept)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8");
    CHECK(kept == 0x123456789a);
}

/* cpuid and syscall where a fault would be at a page's end. */
static void test_at_page_end(void)
{
    char *p = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const unsigned char getpid_ret[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};

    for (int at = 4096 - 8; at < 4096; at++) {
        CHECK(mprotect(p, 2 * 4096, PROT_READ | PROT_WRITE) == 0);
        memset(p, 0xcc, 2 * 4096);
        memcpy(p + at, getpid_ret, sizeof(getpid_ret));
        CHECK(mprotect(p, 2 * 4096, PROT_READ | PROT_EXEC) == 0);
        CHECK(((long (*)(void))(uintptr_t)(p + at))() == getpid());
    }
    /* half an instruction, then nothing */
    CHECK(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0 && (p[4095] = 0x0f));
    CHECK(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0 && mprotect(p + 4096, 4096, PROT_NONE) == 0);
    CHECK(FAULT(((void (*)(void))(uintptr_t)(p + 4095))()) == SIGSEGV && g_fault.address == p + 4096);
}

int main(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        fault_catch(signals[i]);
    test_sse();
    test_x87();
    test_integer();
    test_processor();
    test_at_page_end();
    return guest_done();
}
