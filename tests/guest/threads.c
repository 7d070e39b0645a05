/* SPDX-License-Identifier: MIT */
/* guest: memory=512m */
/*
 * Threads: making and joining, thread-local storage, contention, condition variables, signals to threads,
 * exit of single threads and of all, the errors of clone(2) and clone3(2), many threads at once.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "guest.h"

#define MANY 200

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static long g_counter;
static __thread long t_value = 5;

static void *count(void *arg)
{
    t_value += (long)arg;
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&g_mutex);
        g_counter++;
        pthread_mutex_unlock(&g_mutex);
    }
    return (void *)t_value;
}

static void test_contention(void)
{
    pthread_t threads[8];
    void *result;

    for (long i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, count, (void *)i) == 0);
    for (long i = 0; i < 8; i++) {
        CHECK(pthread_join(threads[i], &result) == 0);
        CHECK((long)result == 5 + i);
    }
    CHECK(g_counter == 8 * 20000);
    CHECK(t_value == 5);
}

static int g_turn;

static void *take_turns(void *arg)
{
    int me = (int)(long)arg;

    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&g_mutex);
        while (g_turn != me)
            pthread_cond_wait(&g_cond, &g_mutex);
        g_turn = !me;
        pthread_cond_signal(&g_cond);
        pthread_mutex_unlock(&g_mutex);
    }
    return NULL;
}

static void test_condition(void)
{
    pthread_t a, b;

    CHECK(pthread_create(&a, NULL, take_turns, (void *)0L) == 0);
    CHECK(pthread_create(&b, NULL, take_turns, (void *)1L) == 0);
    CHECK(pthread_join(a, NULL) == 0 && pthread_join(b, NULL) == 0);
}

/* ---- Signals ----------------------------------------------------------------------------------- */

static atomic_int g_handled_by;
static sem_t g_sem;

static void on_signal(int sig)
{
    (void)sig;
    atomic_store(&g_handled_by, (int)syscall(SYS_gettid));
    sem_post(&g_sem);
}

static atomic_int g_spinner_tid, g_stop;

static void *spin(void *arg)
{
    (void)arg;
    atomic_store(&g_spinner_tid, (int)syscall(SYS_gettid));
    while (!atomic_load(&g_stop))
        ;
    return NULL;
}

/* A thread that computes takes a signal that is sent to it, and one that only it does not block. */
static void test_signal_to_spinner(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    sigset_t set, old;
    pthread_t t;

    CHECK(sem_init(&g_sem, 0, 0) == 0);
    CHECK(sigaction(SIGUSR1, &act, NULL) == 0);
    CHECK(pthread_create(&t, NULL, spin, NULL) == 0);
    while (!atomic_load(&g_spinner_tid))
        sched_yield();
    CHECK(pthread_kill(t, SIGUSR1) == 0);
    CHECK(sem_wait(&g_sem) == 0);
    CHECK(atomic_load(&g_handled_by) == atomic_load(&g_spinner_tid));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, &old) == 0);
    atomic_store(&g_handled_by, 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    while (sem_wait(&g_sem) < 0)
        ;
    CHECK(atomic_load(&g_handled_by) == atomic_load(&g_spinner_tid));
    CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    atomic_store(&g_stop, 1);
    CHECK(pthread_join(t, NULL) == 0);
    /* A joiner is woken a moment before the thread's number is free. */
    while (syscall(SYS_tgkill, getpid(), atomic_load(&g_spinner_tid), 0) == 0)
        sched_yield();
    CHECK(errno == ESRCH);
}

static void *wait_for_signal(void *arg)
{
    struct timespec limit = {.tv_sec = 20};
    siginfo_t info;
    sigset_t set;

    (void)arg;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return (void *)(long)sigtimedwait(&set, &info, &limit);
}

static void test_sigwait(void)
{
    sigset_t set;
    pthread_t t;
    void *got;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(pthread_create(&t, NULL, wait_for_signal, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR2) == 0);
    CHECK(pthread_join(t, &got) == 0);
    CHECK((long)got == SIGUSR2);
}

/* ---- clone(2) ------------------------------------------------------------------------------------ */

static void test_errors(void)
{
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, rest[4];
    } args = {.flags = CLONE_THREAD | CLONE_VM};

    CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone3, &args, 64), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone3, &args, 63), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone3, &args, 8192), E2BIG);
    CHECK_ERRNO(syscall(SYS_clone3, (void *)8, 88), EFAULT);
    args.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    args.exit_signal = SIGCHLD;
    CHECK_ERRNO(syscall(SYS_clone3, &args, 88), EINVAL);
    args.flags = CLONE_VM | 0xff;
    CHECK_ERRNO(syscall(SYS_clone3, &args, 88), EINVAL);
    args.flags = CLONE_VM;
    args.stack = 4096;
    CHECK_ERRNO(syscall(SYS_clone3, &args, 88), EINVAL);
    CHECK_ERRNO(syscall(SYS_set_robust_list, NULL, 7), EINVAL);
}

/* ---- Many ------------------------------------------------------------------------------------------ */

static pthread_barrier_t g_barrier;

static void *meet(void *arg)
{
    pthread_barrier_wait(&g_barrier);
    return arg;
}

static void test_many(void)
{
    static pthread_t threads[MANY];
    pthread_attr_t attr;
    void *result;

    CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 65536) == 0);
    CHECK(pthread_barrier_init(&g_barrier, NULL, MANY + 1) == 0);
    for (long i = 0; i < MANY; i++)
        CHECK(pthread_create(&threads[i], &attr, meet, (void *)i) == 0);
    pthread_barrier_wait(&g_barrier);
    for (long i = 0; i < MANY; i++)
        CHECK(pthread_join(threads[i], &result) == 0 && (long)result == i);
    for (long i = 0; i < 1000; i++) {
        CHECK(pthread_barrier_init(&g_barrier, NULL, 1) == 0);
        CHECK(pthread_create(&threads[0], &attr, meet, (void *)i) == 0);
        CHECK(pthread_join(threads[0], &result) == 0 && (long)result == i);
    }
}

/* ---- Memory and the end ------------------------------------------------------------------------------- */

static atomic_int g_mapping;

/* Two threads map, touch, protect and unmap at once; each sees zeros in what it gets. */
static void *map_and_unmap(void *arg)
{
    for (int i = 0; i < 300; i++) {
        size_t size = 4096u << (i % 6);
        char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED || p[0] || p[size - 1])
            atomic_fetch_add(&g_mapping, 1);
        memset(p, (int)(long)arg, size);
        if (mprotect(p, 4096, PROT_READ) || p[100] != (char)(long)arg || munmap(p, size))
            atomic_fetch_add(&g_mapping, 1);
    }
    return NULL;
}

static void test_mappings(void)
{
    pthread_t threads[4];

    for (long i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, map_and_unmap, (void *)(i + 1)) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(atomic_load(&g_mapping) == 0);
}

static void *end_process(void *arg)
{
    (void)arg;
    exit(guest_done());
}

int main(void)
{
    pthread_t t;

    test_contention();
    test_condition();
    test_signal_to_spinner();
    test_sigwait();
    test_errors();
    test_many();
    test_mappings();
    /* The leader ends first; another thread's exit is the process'. */
    CHECK(pthread_create(&t, NULL, end_process, NULL) == 0);
    syscall(SYS_exit, 0); /* not pthread_exit(), which needs libgcc_s */
}
