/* SPDX-License-Identifier: MIT */
/*
 * Condition variables whose waiters are requeued to a lock with priority inheritance, by the call itself:
 * errors, all waiters in turn, signals and timeouts before and after the requeue, death.
 */
#include "futexes.h"
#include <signal.h>

#define WAITERS 5

struct cond {
    word_t cond, lock, wrong;
    word_t handled, entered;
    long count; /* with the lock held */
    int flags;
    const struct timespec *timeout;
};

static void lock(struct cond *c)
{
    uint32_t none = 0;

    if (!atomic_compare_exchange_strong(&c->lock, &none, gettid_word()))
        CHECK(futex(&c->lock, FUTEX_LOCK_PI | c->flags, 0, NULL, NULL, 0) == 0);
}

static void unlock(struct cond *c)
{
    uint32_t me = gettid_word();

    CHECK((c->lock & FUTEX_TID_MASK) == me);
    if (!atomic_compare_exchange_strong(&c->lock, &me, 0))
        CHECK(futex(&c->lock, FUTEX_UNLOCK_PI | c->flags, 0, NULL, NULL, 0) == 0);
}

static long requeue(struct cond *c, uint32_t wake, unsigned long move, uint32_t expected)
{
    return futex(&c->cond, FUTEX_CMP_REQUEUE_PI | c->flags, wake, (void *)move, &c->lock, expected);
}

/* The errno, or 0 with the lock held and given back. */
static long wait_once(struct cond *c, int more)
{
    if (futex(&c->cond, FUTEX_WAIT_REQUEUE_PI | c->flags | more, 0, c->timeout, &c->lock, 0))
        return errno;
    c->count++;
    unlock(c);
    return 0;
}

static void *waiter(void *arg)
{
    return (void *)wait_once(arg, 0);
}

/* Until one waits to be requeued, which a plain wake does not do. */
static void await_waiter(struct cond *c)
{
    while (futex(&c->cond, FUTEX_WAKE | c->flags, 1, NULL, NULL, 0) == 0)
        sched_yield();
    CHECK(errno == EINVAL);
}

static void requeue_all(struct cond *c, long count)
{
    for (long moved = 0; moved < count;) {
        long n = requeue(c, 1, 100, 0);

        CHECK(n >= 0);
        if (n < 0)
            break;
        moved += n;
    }
}

static void test_arguments(int flags)
{
    struct timespec past = {0, 0}, bad = {0, -1};
    struct cond c = {.flags = flags};
    word_t *odd = (word_t *)((char *)&c.lock + 1);
    int wait = FUTEX_WAIT_REQUEUE_PI | flags, move = FUTEX_CMP_REQUEUE_PI | flags;

    CHECK_ERRNO(futex(&c.cond, wait, 0, NULL, &c.cond, 0), EINVAL);
    CHECK_ERRNO(futex(&c.cond, wait, 1, NULL, &c.lock, 0), EAGAIN);
    CHECK_ERRNO(futex(&c.cond, wait, 0, NULL, odd, 0), EINVAL);
    CHECK_ERRNO(futex(odd, wait, 0, NULL, &c.lock, 0), EINVAL);
    CHECK_ERRNO(futex(NULL, wait, 0, NULL, &c.lock, 0), EFAULT);
    CHECK_ERRNO(futex(&c.cond, wait, 0, &bad, &c.lock, 0), EINVAL);
    CHECK_ERRNO(futex(&c.cond, wait, 0, (void *)8, &c.lock, 0), EFAULT);
    CHECK_ERRNO(futex(&c.cond, wait, 0, &past, &c.lock, 0), ETIMEDOUT);
    CHECK_ERRNO(futex(&c.cond, wait | FUTEX_CLOCK_REALTIME, 0, &past, &c.lock, 0), ETIMEDOUT);
    CHECK_ERRNO(futex(&c.cond, move, 1, NULL, &c.cond, 0), EINVAL);
    CHECK_ERRNO(futex(&c.cond, move, 1, NULL, odd, 0), EINVAL);
    CHECK_ERRNO(requeue(&c, 0, 1, 0), EINVAL);
    CHECK_ERRNO(requeue(&c, 2, 1, 0), EINVAL);
    CHECK_ERRNO(requeue(&c, 1, -1UL, 0), EINVAL);
    CHECK_ERRNO(requeue(&c, 1, 1, 9), EAGAIN);
    CHECK_ERRNO(futex(&c.cond, move | FUTEX_CLOCK_REALTIME, 1, NULL, &c.lock, 0), ENOSYS);
    CHECK(requeue(&c, 1, 1, 0) == 0 && c.lock == 0);
}

/* `held`: all wait for the lock; else the first gets it at once. */
static void test_all(int flags, int held)
{
    struct cond c = {.flags = flags};
    pthread_t t[WAITERS];

    for (int i = 0; i < WAITERS; i++)
        t[i] = run(waiter, &c);
    if (held)
        lock(&c);
    requeue_all(&c, WAITERS);
    if (held) {
        CHECK(c.lock == (gettid_word() | FUTEX_WAITERS) && c.count == 0);
        unlock(&c);
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK(result(t[i]) == 0);
    CHECK(c.count == WAITERS && c.lock == 0);
    CHECK(requeue(&c, 1, 100, 0) == 0);
}

/* One by one: move 0 gives the lock to one, or puts one behind it. */
static void test_single(int flags)
{
    struct cond c = {.flags = flags};
    pthread_t t = run(waiter, &c);

    await_waiter(&c);
    CHECK_ERRNO(futex(&c.cond, FUTEX_CMP_REQUEUE_PI | flags, 1, (void *)1UL, &c.wrong, 0), EINVAL);
    CHECK_ERRNO(futex(&c.cond, FUTEX_CMP_REQUEUE | flags, 1, (void *)1UL, &c.lock, 0), EINVAL);
    CHECK_ERRNO(futex(&c.cond, FUTEX_LOCK_PI | flags, 0, NULL, NULL, 0), EINVAL);
    c.lock = 0x3ffffff0; /* nobody */
    CHECK_ERRNO(requeue(&c, 1, 0, 0), ESRCH);
    c.lock = 0;
    CHECK(requeue(&c, 1, 0, 0) == 1 && result(t) == 0 && c.count == 1 && c.lock == 0);
    t = run(waiter, &c);
    lock(&c);
    await_waiter(&c);
    CHECK(requeue(&c, 1, 0, 0) == 1 && c.lock & FUTEX_WAITERS && c.count == 1);
    unlock(&c);
    CHECK(result(t) == 0 && c.count == 2);
}

static void *plain_waiter(void *arg)
{
    struct cond *c = arg;

    return (void *)futex(&c->cond, FUTEX_WAIT | c->flags, 0, NULL, NULL, 0);
}

static void test_plain_waiter(int flags)
{
    struct cond c = {.flags = flags};
    pthread_t t = run(plain_waiter, &c);

    while (requeue(&c, 1, 0, 0) == 0)
        sched_yield();
    CHECK(errno == EINVAL);
    CHECK(futex(&c.cond, FUTEX_WAKE | flags, 1, NULL, NULL, 0) == 1 && result(t) == 0);
}

/* ---- Ends of a wait ---------------------------------------------------------------------------------------- */

static struct cond *g_signalled;

static void on_signal(int sig)
{
    (void)sig;
    g_signalled->handled++;
}

static void signal_and_await(struct cond *c, pthread_t t, uint32_t times)
{
    CHECK(pthread_kill(t, SIGUSR1) == 0);
    while (c->handled < times)
        sched_yield();
}

/* Before the requeue the wait goes on, after it the call ends without the lock. */
static void test_signals(int flags)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct cond c = {.flags = flags};
    pthread_t t;

    g_signalled = &c;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    t = run(waiter, &c);
    await_waiter(&c);
    signal_and_await(&c, t, 1);
    lock(&c);
    requeue_all(&c, 1);
    signal_and_await(&c, t, 2);
    CHECK(result(t) == EAGAIN && c.count == 0);
    unlock(&c);
    CHECK(c.lock == 0);
}

static void *timed_waiter(void *arg)
{
    struct cond *c = arg;
    struct timespec late = from_now(CLOCK_REALTIME, 300);

    c->timeout = &late;
    return (void *)wait_once(c, FUTEX_CLOCK_REALTIME);
}

/* It may end before it is requeued; or after, and without the lock all the same. */
static void test_timeout_behind_lock(int flags)
{
    struct cond c = {.flags = flags};
    pthread_t t;

    lock(&c);
    t = run(timed_waiter, &c);
    while (!c.timeout)
        sched_yield();
    for (int i = 0; i < 2000 && requeue(&c, 1, 1, 0) == 0; i++)
        usleep(100);
    CHECK(result(t) == ETIMEDOUT && c.count == 0);
    unlock(&c);
    CHECK(c.lock == 0);
}

/* Processes: the owner dies, and who was requeued behind it takes the lock. */
static void test_processes(void)
{
    struct cond *c = share(sizeof(*c));
    pid_t waits, owns;

    waits = start();
    if (waits == 0)
        _exit((int)wait_once(c, 0));
    owns = start();
    if (owns == 0) {
        lock(c);
        await_waiter(c);
        requeue_all(c, 1);
        kill(getpid(), SIGKILL);
    }
    CHECK(child_status(owns) == 1000 + SIGKILL && child_status(waits) == 0);
    CHECK(c->count == 1 && (c->lock & FUTEX_TID_MASK) == 0 && munmap(c, sizeof(*c)) == 0);
}

int main(void)
{
    for (int flags = 0; flags <= PRIVATE; flags += PRIVATE) {
        test_arguments(flags);
        test_all(flags, 0);
        test_all(flags, 1);
        test_single(flags);
        test_plain_waiter(flags);
        test_signals(flags);
        test_timeout_behind_lock(flags);
    }
    test_processes();
    return guest_done();
}
