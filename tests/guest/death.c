/* SPDX-License-Identifier: MIT */
/* guest: native=fail */
/* guest: runs=exit 0,exit 1,exit 255,exit 256,_exit 7,main,abort,assert,kill 1,kill 2,kill 3,kill 4,kill 5,kill 6,kill 7,kill 8,kill 9,kill 10,kill 11,kill 12,kill 13,kill 14,kill 15,kill 16,kill 24,kill 25,kill 26,kill 27,kill 29,kill 30,kill 31,kill 34,kill 64,kill 17,kill 18,kill 23,kill 28,segv,null,write,ill,trap,int80,div,overflow,priv,align,stack,bus,blocked,altstack,execfault,cpu,alarm,closed,thread */
/* How programs end: exit statuses, each signal's default action, faults, abort and assert. */
#include "guest.h"
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static void fault_while_blocked(void)
{
    sigset_t set;

    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    *(volatile int *)8 = 1;
}

static void on_segv(int sig)
{
    (void)sig;
    *(volatile int *)8 = 1; /* again, on the alternate stack, while it is blocked */
}

static void fault_in_handler(void)
{
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction sa = {.sa_handler = on_segv, .sa_flags = SA_ONSTACK};

    sigaltstack(&ss, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    *(volatile int *)8 = 1;
}

static void past_the_end_of_a_file(void)
{
    int fd = open("short", O_CREAT | O_RDWR, 0600);
    volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    (void)p[0];
}

static void misalign(void)
{
    static char data[16];

    __asm__ volatile("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmov %0, %%eax\n\t"
                     "pushfq\n\tandl $~0x40000, (%%rsp)\n\tpopfq"
                     :
                     : "m"(*(volatile int *)(data + 1))
                     : "rax", "cc", "memory");
}

static __attribute__((noinline)) int endless(int n)
{
    volatile char frame[4096];

    frame[0] = (char)n;
    return n < 0 ? 0 : endless(n + 1) + frame[0];
}

static void run_data(void)
{
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    p[0] = (char)0xc3;
    ((void (*)(void))(uintptr_t)p)();
}

static void burn(void)
{
    struct rlimit limit = {1, 2};

    setrlimit(RLIMIT_CPU, &limit);
    for (;;)
        ;
}

static void wait_for_alarm(void)
{
    struct itimerval it = {{0, 0}, {0, 10000}};

    setitimer(ITIMER_REAL, &it, NULL);
    for (;;)
        pause();
}

static void fault(const char *how)
{
    volatile uintptr_t text = (uintptr_t)endless;
    volatile int zero = 0, one = 1, least = INT32_MIN, minus = -1;
    void (*volatile null)(void) = NULL;

    if (!strcmp(how, "segv"))
        *(volatile int *)0x12345678 = zero;
    else if (!strcmp(how, "null"))
        null();
    else if (!strcmp(how, "write"))
        *(volatile char *)text = 1;
    else if (!strcmp(how, "ill"))
        __asm__ volatile("ud2");
    else if (!strcmp(how, "trap"))
        __asm__ volatile("int3");
    else if (!strcmp(how, "int80"))
        __asm__ volatile("int $0x81");
    else if (!strcmp(how, "div"))
        zero = one / zero;
    else if (!strcmp(how, "overflow"))
        zero = least / minus;
    else if (!strcmp(how, "priv"))
        __asm__ volatile("cli");
    else if (!strcmp(how, "align"))
        misalign();
    else if (!strcmp(how, "stack"))
        endless(zero);
    else if (!strcmp(how, "bus"))
        past_the_end_of_a_file();
    else if (!strcmp(how, "blocked"))
        fault_while_blocked();
    else if (!strcmp(how, "altstack"))
        fault_in_handler();
    else if (!strcmp(how, "execfault"))
        run_data();
    else if (!strcmp(how, "cpu"))
        burn();
    else if (!strcmp(how, "alarm"))
        wait_for_alarm();
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;

    puts(how);
    fflush(stdout);
    if (!strcmp(how, "exit"))
        exit(number);
    if (!strcmp(how, "_exit"))
        _exit(number);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "assert"))
        assert(argc == 77);
    if (!strcmp(how, "kill"))
        kill(getpid(), number);
    if (!strcmp(how, "closed")) {
        close(0);
        close(1);
        close(2);
        return 5;
    }
    if (!strcmp(how, "thread"))
        syscall(SYS_exit, 9);
    fault(how);
    puts("went on");
    return 3;
}
