/* SPDX-License-Identifier: MIT */
/*
 * The vDSO image, run in this process with a clock page that copies the host's clock: results agree
 * with the host's, unknown clocks reach the kernel's entry, and unwinding passes through the
 * restorer. With VDSO_BENCH set, prints its cost beside the native vDSO's.
 */
#include "hosted.h"
#include "../vdso/params.h"

#include <kernel/vdso_data.h>

#include <elf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>
#include <cmocka.h>

extern const uint8_t vdso_image[];
extern const uint64_t vdso_image_size, vdso_restorer, vdso_params;

static uint8_t *g_image;
static struct vdso_data g_data;

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static uint64_t host_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Fits the page to the host's clock over 50 ms. */
static void fit_clock(void)
{
    uint64_t t0 = read_tsc(), n0 = host_ns(CLOCK_MONOTONIC), t1, n1;

    usleep(50000);
    t1 = read_tsc();
    n1 = host_ns(CLOCK_MONOTONIC);
    g_data.shift = 32;
    g_data.mult = (uint64_t)(((unsigned __int128)(n1 - n0) << 32) / (t1 - t0));
    g_data.tsc_base = t1;
    g_data.mono_base_ns = n1;
    g_data.real_offset_ns = host_ns(CLOCK_REALTIME) - host_ns(CLOCK_MONOTONIC);
}

/* Finds an exported function as a libc would: DT_HASH gives the count, names decide. */
static void *find(const char *want)
{
    const Elf64_Ehdr *e = (void *)g_image;
    const Elf64_Phdr *p = (void *)(g_image + e->e_phoff);
    const Elf64_Dyn *dyn = NULL;
    const Elf64_Sym *syms = NULL;
    const char *strings = NULL;
    const uint32_t *hash = NULL;

    for (int i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type == PT_DYNAMIC)
            dyn = (void *)(g_image + p[i].p_vaddr);
    }
    for (; dyn->d_tag != DT_NULL; dyn++) {
        void *at = g_image + dyn->d_un.d_ptr;

        if (dyn->d_tag == DT_SYMTAB)
            syms = at;
        else if (dyn->d_tag == DT_STRTAB)
            strings = at;
        else if (dyn->d_tag == DT_HASH)
            hash = at;
    }
    for (uint32_t i = 0; i < hash[1]; i++) {
        if (strcmp(strings + syms[i].st_name, want) == 0)
            return g_image + syms[i].st_value;
    }
    return NULL;
}

static int setup(void **state)
{
    struct vdso_params params = {.data = &g_data, .cpu_count = 4096};

    (void)state;
    g_image = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g_image == MAP_FAILED)
        return -1;
    memcpy(g_image, vdso_image, vdso_image_size);
    memcpy(g_image + vdso_params, &params, sizeof(params));
    if (mprotect(g_image, 4096, PROT_READ | PROT_EXEC) != 0)
        return -1;
    fit_clock();
    hosted_gs_install();
    return 0;
}

static void agrees_with_host(void **state)
{
    static const clockid_t clocks[] = {
        CLOCK_MONOTONIC,       CLOCK_REALTIME, CLOCK_MONOTONIC_COARSE,
        CLOCK_REALTIME_COARSE, CLOCK_TAI,      CLOCK_BOOTTIME};
    int (*gettime)(clockid_t, struct timespec *) = find("__vdso_clock_gettime");
    uint64_t calls = hosted_calls;

    (void)state;
    assert_non_null(gettime);
    for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        clockid_t like = clocks[i] == CLOCK_REALTIME || clocks[i] == CLOCK_REALTIME_COARSE ||
                                 clocks[i] == CLOCK_TAI
                             ? CLOCK_REALTIME
                             : CLOCK_MONOTONIC;
        struct timespec ts;
        int64_t off;

        assert_int_equal(gettime(clocks[i], &ts), 0);
        assert_in_range(ts.tv_nsec, 0, 999999999);
        off = (int64_t)((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec - host_ns(like));
        assert_true(off > -20000000 && off < 20000000);
    }
    assert_int_equal(hosted_calls, calls);
}

static void never_backwards(void **state)
{
    int (*gettime)(clockid_t, struct timespec *) = find("clock_gettime");
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct timespec ts;
        uint64_t now;

        gettime(CLOCK_MONOTONIC, &ts);
        now = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
        assert_true(now >= last);
        last = now;
    }
}

static void others_reach_kernel(void **state)
{
    int (*gettime)(clockid_t, struct timespec *) = find("__vdso_clock_gettime");
    int (*getres)(clockid_t, struct timespec *) = find("__vdso_clock_getres");
    uint64_t calls = hosted_calls, mult = g_data.mult;
    struct timespec ts;

    (void)state;
    assert_int_equal(gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
    assert_int_equal(hosted_calls, ++calls);
    assert_int_equal(hosted_last_nr, SYS_clock_gettime);
    assert_int_equal(gettime(12345, &ts), -22);
    assert_int_equal(gettime(-1, &ts), -22);
    assert_int_equal(hosted_calls, calls += 2);
    assert_int_equal(getres(CLOCK_MONOTONIC, &ts), 0);
    assert_int_equal(hosted_last_nr, SYS_clock_getres);
    assert_int_equal(hosted_calls, ++calls);
    g_data.mult = 0; /* the kernel's clock is not fitted yet */
    assert_int_equal(gettime(CLOCK_MONOTONIC, &ts), 0);
    g_data.mult = mult;
    assert_int_equal(hosted_calls, ++calls);
}

static void small_functions(void **state)
{
    int (*gettod)(struct timeval *, void *) = find("gettimeofday");
    time_t (*get_time)(time_t *) = find("time");
    int (*get_cpu)(unsigned *, unsigned *, void *) = find("getcpu");
    struct timeval tv;
    unsigned cpu = ~0u, node = ~0u;
    time_t t = 0, returned;

    (void)state;
    assert_int_equal(gettod(&tv, NULL), 0);
    assert_in_range(tv.tv_usec, 0, 999999);
    assert_true(labs(tv.tv_sec - time(NULL)) <= 1);
    assert_int_equal(gettod(NULL, NULL), 0);
    returned = get_time(&t);
    assert_int_equal(returned, t);
    assert_true(labs(t - time(NULL)) <= 1);
    assert_int_equal(get_cpu(&cpu, &node, NULL), 0);
    assert_true(cpu < (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    assert_int_equal(node, 0);
    assert_int_equal(get_cpu(NULL, NULL, NULL), 0);
}

/* ---- The restorer -----------------------------------------------------------------------------
 */

extern void __register_frame(void *eh_frame);

struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static volatile int g_handled;
static uintptr_t g_frames[32];
static volatile unsigned g_frame_count;

static _Unwind_Reason_Code keep_frame(struct _Unwind_Context *context, void *arg)
{
    (void)arg;
    if (g_frame_count == 32)
        return _URC_END_OF_STACK;
    g_frames[g_frame_count++] = _Unwind_GetIP(context);
    return _URC_NO_REASON;
}

static void handler(int sig)
{
    (void)sig;
    g_handled++;
    _Unwind_Backtrace(keep_frame, NULL);
}

/* Its own frame, so that the unwound addresses can be told apart. */
static __attribute__((noinline)) uint64_t raise_here(void)
{
    register uint64_t kept __asm__("rbx") = 0x1234567;

    syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), SIGUSR1);
    __asm__ volatile("" : "+r"(kept));
    return kept;
}

static void *image_eh_frame(void)
{
    const Elf64_Ehdr *e = (void *)g_image;
    const Elf64_Phdr *p = (void *)(g_image + e->e_phoff);

    for (int i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type == PT_GNU_EH_FRAME) {
            uint8_t *hdr = g_image + p[i].p_vaddr;
            int32_t off;

            memcpy(&off, hdr + 4, sizeof(off)); /* DW_EH_PE_pcrel | sdata4 */
            return hdr + 4 + off;
        }
    }
    return NULL;
}

static void restorer_returns_and_unwinds(void **state)
{
    struct kernel_sigaction sa = {.handler = handler,
                                  .flags = 0x04000000 /* SA_RESTORER */,
                                  .restorer = g_image + vdso_restorer};
    uint64_t calls = hosted_calls;
    bool seen_restorer = false, seen_origin = false;

    (void)state;
    assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR1, &sa, NULL, 8), 0);
    __register_frame(image_eh_frame());
    assert_int_equal(raise_here(), 0x1234567);
    assert_int_equal(g_handled, 1);
    assert_int_equal(hosted_calls, calls + 1);
    assert_int_equal(hosted_last_nr, SYS_rt_sigreturn);
    for (unsigned i = 0; i < g_frame_count; i++) {
        if (g_frames[i] == (uintptr_t)g_image + vdso_restorer)
            seen_restorer = true;
        if (g_frames[i] - (uintptr_t)raise_here < 256)
            seen_origin = true;
    }
    assert_true(seen_restorer);
    assert_true(seen_origin);
}

static double cost_ns(int (*gettime)(clockid_t, struct timespec *))
{
    enum { ROUNDS = 2000000 };
    struct timespec ts;
    uint64_t start = host_ns(CLOCK_MONOTONIC);

    for (int i = 0; i < ROUNDS; i++)
        gettime(CLOCK_MONOTONIC, &ts);
    return (double)(host_ns(CLOCK_MONOTONIC) - start) / ROUNDS;
}

static void bench(void)
{
    for (int i = 0; i < 5; i++)
        printf("clock_gettime: native %.1f ns, ours %.1f ns\n", cost_ns(clock_gettime),
               cost_ns(find("__vdso_clock_gettime")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_host),
        cmocka_unit_test(never_backwards),
        cmocka_unit_test(others_reach_kernel),
        cmocka_unit_test(small_functions),
        cmocka_unit_test(restorer_returns_and_unwinds),
    };

    if (getenv("VDSO_BENCH")) {
        setup(NULL);
        bench();
        return 0;
    }
    return cmocka_run_group_tests(tests, setup, NULL);
}
