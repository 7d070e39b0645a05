/* SPDX-License-Identifier: MIT */
/* Code made at run time, and the system call instruction where nobody expects it; registers across it. */
#include "guest.h"
#include "fault.h"
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, RX = PROT_READ | PROT_EXEC };

static char *page(int prot)
{
    return mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* mov $SYS_getpid,%eax; syscall; ret */
static const unsigned char g_getpid[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};

static long call(const void *code)
{
    return ((long (*)(void))(uintptr_t)code)();
}

/* As a just-in-time compiler does: write, make executable, run, write again. */
static void test_jit(void)
{
    char *p = page(RW);
    long pid = getpid();

    for (int i = 0; i < 20; i++) {
        char *at = p + i * 100;
        CHECK(mprotect(p, PAGE, RW) == 0);
        memcpy(at, g_getpid, sizeof(g_getpid));
        CHECK(mprotect(p, PAGE, RX) == 0 && call(at) == pid);
    }
    CHECK(call(p) == pid && call(p + 1900) == pid);
    CHECK(!memcmp(p, g_getpid, sizeof(g_getpid))); /* the code reads as it was written */
    CHECK(FAULT(poke(p)) == SIGSEGV && g_fault.code == SEGV_ACCERR);
    CHECK(munmap(p, PAGE) == 0);
}

static void test_wx(void)
{
    char *p = mmap(NULL, PAGE, RW | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char add[] = {0xb8, 0, 0, 0, 0, 0xc3};

    if (p == MAP_FAILED)
        return; /* refused by policy */
    for (int i = 0; i < 1000; i++) {
        memcpy(add + 1, &i, 4);
        memcpy(p, add, sizeof(add));
        CHECK(call(p) == i);
    }
    memcpy(p, g_getpid, sizeof(g_getpid));
    CHECK(call(p) == getpid());
    CHECK(munmap(p, PAGE) == 0);
}

/* Two mappings of the same memory, one to write and one to run. */
static void test_dual(void)
{
    int fd = memfd_create("jit", 0);

    CHECK(ftruncate(fd, PAGE) == 0);
    char *w = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), *x = mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0);
    CHECK(w != MAP_FAILED && x != MAP_FAILED);
    unsigned char mov[] = {0xb8, 0, 0, 0, 0, 0xc3};
    for (int i = 0; i < 50; i++) {
        memcpy(mov + 1, &i, 4);
        memcpy(w, mov, sizeof(mov));
        CHECK(call(x) == i);
    }
    memcpy(w, g_getpid, sizeof(g_getpid));
    CHECK(call(x) == getpid());
    close(fd);
}

static void test_not_executable(void)
{
    static const unsigned char ret[] = {0xc3};
    char *p = page(RW), *none = page(PROT_NONE);

    p[0] = (char)0xc3;
    CHECK(FAULT(call(p)) == SIGSEGV && g_fault.code == SEGV_ACCERR && g_fault.address == p);
    CHECK(FAULT(call(ret)) == SIGSEGV || g_fault.sig == 0); /* old linkers put constants beside text */
    CHECK(FAULT(call(none)) == SIGSEGV && g_fault.code == SEGV_ACCERR && g_fault.address == none);
    CHECK(FAULT(call((void *)16)) == SIGSEGV && g_fault.code == SEGV_MAPERR && g_fault.address == (void *)16);
    CHECK(FAULT(call(NULL)) == SIGSEGV && g_fault.address == NULL);
    CHECK(FAULT(call((void *)0x4141414141414141)) == SIGSEGV);
}

/* A jump right at the instruction, one into a place reached by falling through too, and one call after another. */
/* The same, and cpuid, in memory that nobody rewrites. */
static void test_prefixed(void)
{
    static const unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x48, 0x0f, 0x05, 0xc3};
    static const unsigned char cpuid[] = {0x53, 0x31, 0xc0, 0x31, 0xc9, 0x48, 0x0f, 0xa2, 0x5b, 0xc3};
    char *p = page(RW);

    memcpy(p, code, sizeof(code));
    memcpy(p + 100, cpuid, sizeof(cpuid));
    CHECK(mprotect(p, PAGE, RX) == 0 && call(p) == getpid() && call(p + 100) > 0);
    CHECK(munmap(p, PAGE) == 0);
}

static void test_odd_sites(void)
{
    long a, b, c;

    __asm__ volatile("mov $39, %%eax\n\t"
                     "jmp 1f\n\t"
                     "2: mov $39, %%eax\n\t"
                     "1: syscall\n\t"
                     "mov %%rax, %0\n\t"
                     "test %1, %1\n\t"
                     "jnz 3f\n\t"
                     "mov $1, %1\n\t"
                     "jmp 2b\n\t"
                     "3:"
                     : "=&r"(a), "=&r"(b)
                     : "1"(0L)
                     : "rax", "rcx", "r11", "memory", "cc");
    CHECK(a == getpid() && b == 1);
    __asm__ volatile("mov $39, %%eax; syscall; mov $39, %%eax; syscall; mov %%rax, %0; mov $186, %%eax; syscall"
                     : "=&r"(a), "=a"(c)
                     :
                     : "rcx", "r11", "memory");
    CHECK(a == getpid() && c == syscall(SYS_gettid));
    /* with prefixes, as assemblers may pad */
    __asm__ volatile("mov $39, %%eax; .byte 0x48, 0x0f, 0x05" : "=a"(a) : : "rcx", "r11", "memory");
    CHECK(a == getpid());
    __asm__ volatile("mov $39, %%rax; push %%rax; pop %%rax; syscall; nop; nop; nop"
                     : "=a"(a)
                     :
                     : "rcx", "r11", "memory");
    CHECK(a == getpid());
}

/* In: the values of eleven registers; out: what they are after the call, then flags, rcx and r11. */
void across_syscall(const uint64_t in[11], uint64_t out[14], long number);
__asm__(".text\nacross_syscall:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "push %rsi\n\tmov %rdi, %r15\n\tmov %rdx, %rax\n\t"
        "mov (%r15), %rbx\n\tmov 8(%r15), %rdx\n\tmov 16(%r15), %rsi\n\tmov 24(%r15), %rdi\n\t"
        "mov 32(%r15), %rbp\n\tmov 40(%r15), %r8\n\tmov 48(%r15), %r9\n\tmov 56(%r15), %r10\n\t"
        "mov 64(%r15), %r12\n\tmov 72(%r15), %r13\n\tmov 80(%r15), %r14\n\t"
        "stc\n\tstd\n\tsyscall\n\tacross_end: pushfq\n\tcld\n\tpop %r15\n\tpop %rax\n\t"
        "mov %rbx, (%rax)\n\tmov %rdx, 8(%rax)\n\tmov %rsi, 16(%rax)\n\tmov %rdi, 24(%rax)\n\t"
        "mov %rbp, 32(%rax)\n\tmov %r8, 40(%rax)\n\tmov %r9, 48(%rax)\n\tmov %r10, 56(%rax)\n\t"
        "mov %r12, 64(%rax)\n\tmov %r13, 72(%rax)\n\tmov %r14, 80(%rax)\n\t"
        "mov %r15, 88(%rax)\n\tmov %rcx, 96(%rax)\n\tmov %r11, 104(%rax)\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");
extern const char across_end[];

static void test_registers(void)
{
    static const long numbers[] = {SYS_getpid, SYS_sched_yield, SYS_getuid, 5000};
    uint64_t in[11], out[14];

    for (int i = 0; i < 11; i++)
        in[i] = 0x1111111111111111u * (unsigned)(i + 1);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        memset(out, 0, sizeof(out));
        across_syscall(in, out, numbers[i]);
        CHECK(!memcmp(in, out, sizeof(in)));
        CHECK((out[11] & 0x601) == 0x601); /* carry and direction kept, interrupts on */
        CHECK(out[12] == (uintptr_t)across_end && (out[13] & 0x601) == 0x601);
    }
}

static void test_red_zone(void)
{
    long a, b, c, n;

    __asm__ volatile("movq $0x1234, -8(%%rsp)\n\tmovq $0x5678, -64(%%rsp)\n\tmovq $0x9abc, -128(%%rsp)\n\t"
                     "mov $39, %%eax\n\tsyscall\n\tmov %%rax, %3\n\t"
                     "mov -8(%%rsp), %0\n\tmov -64(%%rsp), %1\n\tmov -128(%%rsp), %2"
                     : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(n)
                     :
                     : "rax", "rcx", "r11", "memory");
    CHECK(a == 0x1234 && b == 0x5678 && c == 0x9abc && n == getpid());
}

int main(void)
{
    fault_catch(SIGSEGV);
    test_jit();
    test_wx();
    test_dual();
    test_not_executable();
    test_odd_sites();
    test_prefixed();
    test_registers();
    test_red_zone();
    return guest_done();
}
