/* SPDX-License-Identifier: MIT */
/* Clocks, sleeping, interval timers, process times; what the vDSO says and what the kernel says. */
#include "guest.h"
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t g_count;

static void on_signal(int sig)
{
    (void)sig;
    g_count++;
}

static int64_t nsec(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t vdso(clockid_t clock)
{
    struct timespec t;

    CHECK(clock_gettime(clock, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return nsec(t);
}

static int64_t kernel(clockid_t clock)
{
    struct timespec t;

    CHECK(syscall(SYS_clock_gettime, clock, &t) == 0);
    return nsec(t);
}

static void test_monotonic(void)
{
    int64_t last = 0, now;
    int backwards = 0, disagree = 0;

    for (int i = 0; i < 1000000; i++) {
        now = vdso(CLOCK_MONOTONIC);
        backwards += now < last;
        last = now;
    }
    CHECK(backwards == 0);
    for (int i = 0; i < 10000; i++) {
        int64_t a = vdso(CLOCK_MONOTONIC), b = kernel(CLOCK_MONOTONIC), c = vdso(CLOCK_MONOTONIC);
        disagree += b < a || c < b;
        a = vdso(CLOCK_REALTIME);
        b = kernel(CLOCK_REALTIME);
        c = vdso(CLOCK_REALTIME);
        disagree += b < a || c < b;
    }
    CHECK(disagree == 0);
}

static void test_clocks(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
                                       CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    struct timespec t;
    struct timeval tv;
    clockid_t own;

    for (unsigned i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
        int64_t a = vdso(clocks[i]);
        CHECK(vdso(clocks[i]) >= a && clock_getres(clocks[i], &t) == 0 && nsec(t) == 1);
    }
    CHECK(clock_getres(CLOCK_REALTIME_COARSE, &t) == 0 && nsec(t) >= 1 && nsec(t) <= 10000000);
    CHECK(vdso(CLOCK_REALTIME_COARSE) <= vdso(CLOCK_REALTIME));
    CHECK(vdso(CLOCK_REALTIME) - vdso(CLOCK_MONOTONIC_COARSE) > 0 && vdso(CLOCK_TAI) > 0);
    CHECK_ERRNO(clock_gettime(99, &t), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
    CHECK(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL) == 0);
    CHECK(gettimeofday(&tv, NULL) == 0 && syscall(SYS_gettimeofday, NULL, NULL) == 0);
    int64_t real = vdso(CLOCK_REALTIME) / 1000 - ((int64_t)tv.tv_sec * 1000000 + tv.tv_usec);
    CHECK(real >= 0 && real < 2000000);
    time_t now = time(NULL);
    CHECK(now - tv.tv_sec >= 0 && now - tv.tv_sec <= 2 && syscall(SYS_time, &now) == now);
    CHECK(clock_getcpuclockid(0, &own) == 0 && vdso(own) > 0);
    struct timex tx = {0};
    CHECK(adjtimex(&tx) >= 0 && tx.tick == 10000);
}

static void test_sleep(void)
{
    struct timespec t = {0, 30000000}, left = {9, 9}, bad = {0, 1000000000}, negative = {-1, 0};
    int64_t start = vdso(CLOCK_MONOTONIC), took;

    CHECK(nanosleep(&t, &left) == 0 && left.tv_sec == 9);
    took = vdso(CLOCK_MONOTONIC) - start;
    CHECK(took >= 30000000 && took < 10000000000);
    CHECK_ERRNO(nanosleep(&bad, NULL), EINVAL);
    CHECK_ERRNO(nanosleep(&negative, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_nanosleep, 8, 0), EFAULT);
    t = (struct timespec){(start + 50000000) / 1000000000, (start + 50000000) % 1000000000};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(vdso(CLOCK_MONOTONIC) >= start + 50000000);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL) == EINVAL);
    t = (struct timespec){vdso(CLOCK_REALTIME) / 1000000000 - 5, 0};
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(clock_nanosleep(99, 0, &t, NULL) == EINVAL);
    t = (struct timespec){0, 0};
    CHECK(nanosleep(&t, NULL) == 0);
}

static void test_interrupted(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct itimerval it = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}}, was;
    struct timespec t = {0, 100000000}, left;
    int64_t start = vdso(CLOCK_MONOTONIC), end;

    CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
    CHECK_ERRNO(nanosleep(&t, &left), EINTR);
    CHECK(nsec(left) > 0 && nsec(left) < 100000000 && g_count >= 1);
    while (nanosleep(&left, &left) < 0)
        CHECK(errno == EINTR);
    end = start + 200000000;
    t = (struct timespec){end / 1000000000, end % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
    CHECK(vdso(CLOCK_MONOTONIC) >= end && g_count >= 2);
    CHECK(getitimer(ITIMER_REAL, &was) == 0 && was.it_interval.tv_usec == 10000);
    CHECK(setitimer(ITIMER_REAL, &off, &was) == 0 && was.it_interval.tv_usec == 10000);
    it.it_value.tv_usec = 1000000;
    CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    CHECK_ERRNO(setitimer(7, &off, NULL), EINVAL);
    /* an ignored signal does not end a sleep */
    signal(SIGALRM, SIG_IGN);
    it = (struct itimerval){{0, 0}, {0, 5000}};
    t = (struct timespec){0, 20000000};
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0 && nanosleep(&t, NULL) == 0);
}

/* A timer whose time is over at once, and one that counts the process's own time. */
static void test_timers(void)
{
    struct itimerval it = {{0, 0}, {0, 1}};
    struct sigaction sa = {.sa_handler = on_signal};
    timer_t id;
    struct itimerspec its = {{0, 1000000}, {0, 1}}, now;

    g_count = 0;
    CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && sigaction(SIGPROF, &sa, NULL) == 0);
    CHECK(sigaction(SIGVTALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
    while (g_count < 1)
        ;
    it.it_value.tv_usec = 20000;
    CHECK(setitimer(ITIMER_PROF, &it, NULL) == 0);
    while (g_count < 2)
        ;
    CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
    while (g_count < 3)
        ;
    CHECK(timer_create(CLOCK_MONOTONIC, NULL, &id) == 0 && timer_settime(id, 0, &its, NULL) == 0);
    while (g_count < 10)
        ;
    CHECK(timer_gettime(id, &now) == 0 && now.it_interval.tv_nsec == 1000000);
    CHECK(nsec(now.it_value) > 0 && nsec(now.it_value) <= 1000000);
    CHECK(timer_getoverrun(id) >= 0 && timer_delete(id) == 0);
    CHECK_ERRNO(syscall(SYS_timer_delete, 12345), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, 99, NULL, &id), EINVAL);
}

static void test_usage(void)
{
    struct rusage ru;
    struct tms tms;
    clock_t clk = clock(); /* first: the time to `start` counts too */
    int64_t start = vdso(CLOCK_PROCESS_CPUTIME_ID);

    while (vdso(CLOCK_PROCESS_CPUTIME_ID) < start + 30000000)
        ;
    CHECK(clock() - clk >= 29000);
    CHECK(getrusage(RUSAGE_SELF, &ru) == 0 && getrusage(RUSAGE_THREAD, &ru) == 0);
    CHECK((int64_t)ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_sec * 1000000 +
              ru.ru_stime.tv_usec >= 30000);
    CHECK(getrusage(RUSAGE_CHILDREN, &ru) == 0 && ru.ru_utime.tv_usec == 0);
    CHECK_ERRNO(getrusage(5, &ru), EINVAL);
    CHECK(times(&tms) != (clock_t)-1 && tms.tms_utime + tms.tms_stime >= 2 && tms.tms_cutime == 0);
}

static long status_kb(const char *label)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kb = -1;

    while (f && kb < 0 && fgets(line, sizeof(line), f)) {
        if (!strncmp(line, label, strlen(label)))
            kb = strtol(line + strlen(label), NULL, 10);
    }
    fclose(f);
    return kb;
}

/* What was touched and given back stays in the peaks. Linux may be off by some pages for each processor. */
static void test_peaks(void)
{
    const size_t size = 66 << 20;
    const long kb = 64 << 10;
    struct rusage ru;
    char *p;

    CHECK(getrusage(RUSAGE_SELF, &ru) == 0 && ru.ru_maxrss > 0 && ru.ru_maxrss < kb);
    CHECK(status_kb("VmHWM:") < kb);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    CHECK(status_kb("VmRSS:") >= kb && munmap(p, size) == 0);
    CHECK(getrusage(RUSAGE_SELF, &ru) == 0 && ru.ru_maxrss >= kb && ru.ru_maxrss < 2 * kb);
    CHECK(getrusage(RUSAGE_THREAD, &ru) == 0 && ru.ru_maxrss >= kb);
    CHECK(status_kb("VmHWM:") >= kb && status_kb("VmHWM:") < 2 * kb && status_kb("VmRSS:") < kb / 2);
    CHECK(status_kb("VmPeak:") >= status_kb("VmSize:") + kb);
}

int main(void)
{
    test_monotonic();
    test_clocks();
    test_sleep();
    test_interrupted();
    test_timers();
    test_usage();
    test_peaks();
    return guest_done();
}
