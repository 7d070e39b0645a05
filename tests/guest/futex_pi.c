/* SPDX-License-Identifier: MIT */
/*
 * Futexes with priority inheritance, by the call itself: errors, clocks, handing over, deadlocks, the death of owners,
 * signals.
 */
#include "futexes.h"
#include <signal.h>

#define NOBODY  0x3ffffff0u /* no task has this number */
#define THREADS 6
#define ROUNDS  200

static long lock_pi(word_t *w, int flags)
{
    return futex(w, FUTEX_LOCK_PI | flags, 0, NULL, NULL, 0);
}

static long trylock_pi(word_t *w, int flags)
{
    return futex(w, FUTEX_TRYLOCK_PI | flags, 0, NULL, NULL, 0);
}

static long unlock_pi(word_t *w, int flags)
{
    return futex(w, FUTEX_UNLOCK_PI | flags, 0, NULL, NULL, 0);
}

/* Until somebody waits behind the lock: FUTEX_WAKE comes to one that does not wait for it. */
static void await_locker(word_t *w, int flags)
{
    while (futex(w, FUTEX_WAKE | flags, 1, NULL, NULL, 0) == 0)
        sched_yield();
    CHECK(errno == EINVAL);
}

static void test_words(void)
{
    uint32_t me = gettid_word();
    word_t w = 0;

    CHECK(lock_pi(&w, PRIVATE) == 0 && w == me);
    CHECK_ERRNO(lock_pi(&w, PRIVATE), EDEADLK);
    CHECK_ERRNO(trylock_pi(&w, PRIVATE), EDEADLK);
    CHECK(unlock_pi(&w, PRIVATE) == 0 && w == 0);
    CHECK_ERRNO(unlock_pi(&w, PRIVATE), EPERM);
    CHECK(trylock_pi(&w, 0) == 0 && w == me && unlock_pi(&w, 0) == 0 && w == 0);
    w = NOBODY;
    CHECK_ERRNO(lock_pi(&w, PRIVATE), ESRCH);
    CHECK(w == (NOBODY | FUTEX_WAITERS));
    CHECK_ERRNO(trylock_pi(&w, PRIVATE), ESRCH);
    CHECK_ERRNO(unlock_pi(&w, PRIVATE), EPERM);
    w = FUTEX_OWNER_DIED;
    CHECK(lock_pi(&w, PRIVATE) == 0 && w == (me | FUTEX_OWNER_DIED));
    CHECK(unlock_pi(&w, PRIVATE) == 0 && w == 0);
    w = FUTEX_WAITERS;
    CHECK(lock_pi(&w, PRIVATE) == 0 && w == me);
    w |= FUTEX_WAITERS; /* as left by one that gave up */
    CHECK(unlock_pi(&w, PRIVATE) == 0 && w == 0);
}

static void test_arguments(void)
{
    struct timespec bad = {0, 1000000000}, past = {0, 0};
    word_t *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    word_t words[2] = {0, 0};
    word_t *odd = (word_t *)((char *)words + 1);

    CHECK(page != MAP_FAILED && munmap((char *)page + 4096, 4096) == 0);
    for (int flags = 0; flags <= PRIVATE; flags += PRIVATE) {
        CHECK_ERRNO(lock_pi(odd, flags), EINVAL);
        CHECK_ERRNO(trylock_pi(odd, flags), EINVAL);
        CHECK_ERRNO(lock_pi(NULL, flags), EFAULT);
        CHECK_ERRNO(unlock_pi(NULL, flags), EFAULT);
        CHECK_ERRNO(lock_pi(page, flags), EFAULT);
        CHECK_ERRNO(trylock_pi(page, flags), EFAULT);
        CHECK_ERRNO(unlock_pi(page, flags), EPERM);
        CHECK_ERRNO(lock_pi(page + 1024, flags), EFAULT);
    }
    CHECK_ERRNO(futex(words, FUTEX_LOCK_PI, 0, &bad, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(words, FUTEX_LOCK_PI2, 0, (void *)8, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(words, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex(words, FUTEX_UNLOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
    /* A lock that is free does not look at the clock. */
    CHECK(futex(words, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 0) == 0);
    CHECK(unlock_pi(words, 0) == 0 && words[0] == 0);
    CHECK(futex(words, FUTEX_LOCK_PI, 0, &past, NULL, 0) == 0 && unlock_pi(words, 0) == 0);
    CHECK(munmap(page, 4096) == 0);
}

/* ---- Two threads -------------------------------------------------------------------------------------------- */

struct pair {
    word_t lock, other;
    int flags;
    pthread_barrier_t held, free;
};

static void *hold(void *arg)
{
    struct pair *p = arg;

    CHECK(lock_pi(&p->lock, p->flags) == 0);
    pthread_barrier_wait(&p->held);
    pthread_barrier_wait(&p->free);
    return (void *)unlock_pi(&p->lock, p->flags);
}

static void pair_init(struct pair *p, int flags)
{
    memset(p, 0, sizeof(*p));
    p->flags = flags;
    pthread_barrier_init(&p->held, NULL, 2);
    pthread_barrier_init(&p->free, NULL, 2);
}

static void test_clocks(int flags)
{
    struct timespec past = {0, 0}, soon;
    struct pair p;
    pthread_t t;

    pair_init(&p, flags);
    t = run(hold, &p);
    pthread_barrier_wait(&p.held);
    CHECK_ERRNO(trylock_pi(&p.lock, flags), EAGAIN);
    CHECK_ERRNO(unlock_pi(&p.lock, flags), EPERM);
    CHECK_ERRNO(futex(&p.lock, FUTEX_LOCK_PI | flags, 0, &past, NULL, 0), ETIMEDOUT);
    CHECK(p.lock & FUTEX_WAITERS);
    soon = from_now(CLOCK_REALTIME, 20);
    CHECK_ERRNO(futex(&p.lock, FUTEX_LOCK_PI | flags, 0, &soon, NULL, 0), ETIMEDOUT);
    soon = from_now(CLOCK_MONOTONIC, 20);
    CHECK_ERRNO(futex(&p.lock, FUTEX_LOCK_PI2 | flags, 0, &soon, NULL, 0), ETIMEDOUT);
    soon = from_now(CLOCK_REALTIME, 20);
    CHECK_ERRNO(futex(&p.lock, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME | flags, 0, &soon, NULL, 0), ETIMEDOUT);
    pthread_barrier_wait(&p.free);
    CHECK(result(t) == 0 && p.lock == 0);
}

static void *take(void *arg)
{
    struct pair *p = arg;
    struct timespec late = from_now(CLOCK_MONOTONIC, 100000);

    CHECK(futex(&p->lock, FUTEX_LOCK_PI2 | p->flags, 0, &late, NULL, 0) == 0);
    CHECK((p->lock & FUTEX_TID_MASK) == gettid_word());
    return (void *)unlock_pi(&p->lock, p->flags);
}

/* The next owner stands in the word as soon as the old one comes back. */
static void test_handing_over(int flags)
{
    uint32_t me = gettid_word(), seen;
    pthread_t t[THREADS];
    struct pair p;

    pair_init(&p, flags);
    CHECK(lock_pi(&p.lock, flags) == 0);
    for (int i = 0; i < THREADS; i++)
        t[i] = run(take, &p);
    await_locker(&p.lock, flags);
    CHECK(p.lock == (me | FUTEX_WAITERS));
    CHECK(unlock_pi(&p.lock, flags) == 0);
    seen = p.lock;
    CHECK((seen & FUTEX_TID_MASK) != me);
    for (int i = 0; i < THREADS; i++)
        CHECK(result(t[i]) == 0);
    CHECK(p.lock == 0);
}

/* What waits for a wake and what waits for a lock do not mix. */
static void *wait_plainly(void *arg)
{
    struct pair *p = arg;

    return (void *)futex(&p->other, FUTEX_WAIT | p->flags, 0, NULL, NULL, 0);
}

static void test_mixing(int flags)
{
    struct pair p;
    pthread_t t;

    pair_init(&p, flags);
    CHECK(lock_pi(&p.lock, flags) == 0);
    t = run(take, &p);
    await_locker(&p.lock, flags);
    CHECK_ERRNO(futex(&p.lock, FUTEX_REQUEUE | flags, 1, (void *)1UL, &p.other, 0), EINVAL);
    CHECK_ERRNO(futex(&p.lock, FUTEX_REQUEUE | flags, 0, (void *)1UL, &p.other, 0), EINVAL);
    CHECK_ERRNO(futex(&p.other, FUTEX_WAKE_OP | flags, 0, (void *)1UL, &p.lock,
                      FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_NE, 0)), EINVAL);
    CHECK_ERRNO(futex(&p.lock, FUTEX_CMP_REQUEUE_PI | flags, 1, NULL, &p.other, p.lock), EINVAL);
    CHECK(unlock_pi(&p.lock, flags) == 0 && result(t) == 0);
    t = run(wait_plainly, &p);
    while (futex(&p.other, FUTEX_REQUEUE | flags, 0, (void *)1UL, &p.lock, 0) != 1)
        sched_yield();
    CHECK_ERRNO(lock_pi(&p.lock, flags), EINVAL);
    CHECK_ERRNO(trylock_pi(&p.lock, flags), EINVAL);
    p.lock = gettid_word();
    CHECK_ERRNO(unlock_pi(&p.lock, flags), EINVAL);
    CHECK(futex(&p.lock, FUTEX_WAKE | flags, 1, NULL, NULL, 0) == 1 && result(t) == 0);
}

/* ---- Many ---------------------------------------------------------------------------------------------------- */

struct crowd {
    word_t lock;
    int flags;
    long count; /* with the lock held */
};

static void acquire(struct crowd *c, int round)
{
    struct timespec soon;
    uint32_t none = 0;
    long ret;

    if (atomic_compare_exchange_strong(&c->lock, &none, gettid_word()))
        return;
    do {
        soon = from_now(CLOCK_MONOTONIC, round % 3);
        if (round % 3 == 0)
            ret = lock_pi(&c->lock, c->flags);
        else if (round % 3 == 1)
            ret = futex(&c->lock, FUTEX_LOCK_PI2 | c->flags, 0, &soon, NULL, 0);
        else
            ret = trylock_pi(&c->lock, c->flags);
        CHECK(ret == 0 || errno == EAGAIN || errno == ETIMEDOUT);
    } while (ret);
}

static void crowd_run(struct crowd *c)
{
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t me = gettid_word();

        acquire(c, i);
        CHECK((c->lock & FUTEX_TID_MASK) == me);
        c->count++;
        if (i % 8 == 0)
            sched_yield();
        if (!atomic_compare_exchange_strong(&c->lock, &me, 0))
            CHECK(unlock_pi(&c->lock, c->flags) == 0);
    }
}

static void *crowd_thread(void *arg)
{
    crowd_run(arg);
    return NULL;
}

static void test_threads(int flags)
{
    struct crowd c = {.flags = flags};
    pthread_t t[THREADS];

    for (int i = 0; i < THREADS; i++)
        t[i] = run(crowd_thread, &c);
    for (int i = 0; i < THREADS; i++)
        CHECK(result(t[i]) == 0);
    CHECK(c.count == THREADS * ROUNDS && c.lock == 0);
}

static void test_processes(void)
{
    struct crowd *c = share(sizeof(*c));
    pid_t pids[3];

    for (int i = 0; i < 3; i++) {
        pids[i] = start();
        if (pids[i] == 0) {
            crowd_run(c);
            _exit(g_guest_failures);
        }
    }
    crowd_run(c);
    for (int i = 0; i < 3; i++)
        CHECK(child_status(pids[i]) == 0);
    CHECK(c->count == 4 * ROUNDS && c->lock == 0 && munmap(c, sizeof(*c)) == 0);
}

/* ---- Deadlocks ----------------------------------------------------------------------------------------------- */

#define RING 3

struct ring {
    word_t locks[RING], next, refused;
    pthread_barrier_t all;
};

/* Each has one lock and wants the next one's: the last to ask is told, and lets go. */
static void *ring_thread(void *arg)
{
    struct ring *r = arg;
    unsigned me = atomic_fetch_add(&r->next, 1);
    word_t *own = &r->locks[me], *wanted = &r->locks[(me + 1) % RING];

    CHECK(lock_pi(own, PRIVATE) == 0);
    pthread_barrier_wait(&r->all);
    if (lock_pi(wanted, PRIVATE)) {
        CHECK(errno == EDEADLK);
        atomic_fetch_add(&r->refused, 1);
    } else {
        CHECK(unlock_pi(wanted, PRIVATE) == 0);
    }
    return (void *)unlock_pi(own, PRIVATE);
}

static void test_deadlock(void)
{
    struct ring r = {0};
    pthread_t t[RING];

    pthread_barrier_init(&r.all, NULL, RING);
    for (int i = 0; i < RING; i++)
        t[i] = run(ring_thread, &r);
    for (int i = 0; i < RING; i++)
        CHECK(result(t[i]) == 0);
    CHECK(r.refused == 1);
}

/* ---- Death ----------------------------------------------------------------------------------------------------- */

static void *die_with_lock(void *arg)
{
    struct pair *p = arg;

    CHECK(lock_pi(&p->lock, p->flags) == 0);
    pthread_barrier_wait(&p->held);
    await_locker(&p->lock, p->flags);
    return NULL;
}

/* Without a robust list: who waits gets the lock, and is told; who comes later is not. */
static void test_thread_dies(int flags)
{
    struct pair p;
    pthread_t t;

    pair_init(&p, flags);
    t = run(die_with_lock, &p);
    pthread_barrier_wait(&p.held);
    CHECK(lock_pi(&p.lock, flags) == 0);
    CHECK(p.lock == (gettid_word() | FUTEX_OWNER_DIED | FUTEX_WAITERS));
    CHECK(unlock_pi(&p.lock, flags) == 0 && p.lock == 0 && result(t) == 0);
}

struct processes {
    word_t lock, held;
};

/* The word is at another address here. */
static void own_and_end(int fd, char *const argv[])
{
    struct processes *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    CHECK(s != MAP_FAILED && lock_pi(&s->lock, 0) == 0);
    s->held = 1;
    await_locker(&s->lock, 0);
    if (argv)
        execv("/proc/self/exe", argv);
    else
        kill(getpid(), SIGKILL);
    _exit(99);
}

/* Linux says EINVAL to one that comes between an owner's end and the next one's start. */
static int lock_after(word_t *w)
{
    while (lock_pi(w, 0)) {
        if (errno != EINVAL)
            return -1;
        sched_yield();
    }
    return 0;
}

/* Two wait; the first takes what the owner leaves, the second gets it by the usual way. */
static void test_process_ends(char *const argv[], int status)
{
    int fd = (int)syscall(SYS_memfd_create, "lock", 0);
    struct processes *s;
    uint32_t got;
    pid_t pid, second;

    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(s != MAP_FAILED);
    pid = start();
    if (pid == 0)
        own_and_end(fd, argv);
    while (!s->held)
        usleep(100);
    second = start();
    if (second == 0)
        _exit(lock_after(&s->lock) || unlock_pi(&s->lock, 0) ? 1 : 0);
    CHECK(lock_after(&s->lock) == 0);
    got = s->lock;
    CHECK((got & FUTEX_TID_MASK) == gettid_word());
    CHECK(unlock_pi(&s->lock, 0) == 0);
    CHECK(child_status(pid) == status && child_status(second) == 0);
    CHECK((s->lock & FUTEX_TID_MASK) == 0 && munmap(s, 4096) == 0 && close(fd) == 0);
}

static void test_nobody_waits(void)
{
    struct processes *s = share(4096);
    pid_t pid = start();

    if (pid == 0)
        _exit(lock_pi(&s->lock, 0) ? 1 : 0);
    CHECK(child_status(pid) == 0 && s->lock == (uint32_t)pid);
    CHECK_ERRNO(lock_pi(&s->lock, 0), ESRCH);
    CHECK(munmap(s, 4096) == 0);
}

/* A waiter is killed: the others do not notice. */
static void test_waiter_dies(void)
{
    struct processes *s = share(4096);
    pid_t pid;

    CHECK(lock_pi(&s->lock, 0) == 0);
    pid = start();
    if (pid == 0)
        _exit(lock_pi(&s->lock, 0) ? 1 : 2);
    await_locker(&s->lock, 0);
    CHECK(kill(pid, SIGKILL) == 0 && child_status(pid) == 1000 + SIGKILL);
    CHECK(futex(&s->lock, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    CHECK(unlock_pi(&s->lock, 0) == 0 && s->lock == 0 && munmap(s, 4096) == 0);
}

static void *lock_errno(void *arg)
{
    return (void *)(long)(lock_pi(arg, 0) ? errno : 0);
}

/* Who is to take a dead owner's lock may not touch the word any more. */
static void test_word_gone(void)
{
    struct processes *s = share(4096);
    pid_t pid = start();
    pthread_t t;

    if (pid == 0) {
        CHECK(lock_pi(&s->lock, 0) == 0);
        s->held = 1;
        for (;;)
            pause();
    }
    while (!s->held)
        usleep(100);
    t = run(lock_errno, &s->lock);
    await_locker(&s->lock, 0);
    CHECK(mprotect(s, 4096, PROT_NONE) == 0 && kill(pid, SIGKILL) == 0 && child_status(pid) == 1000 + SIGKILL);
    CHECK(result(t) == EFAULT && munmap(s, 4096) == 0);
}

/* ---- Signals ---------------------------------------------------------------------------------------------------- */

static word_t g_handled;

static void on_signal(int sig)
{
    (void)sig;
    g_handled++;
}

/* A handler runs and the wait goes on, even without SA_RESTART. */
static void test_signal(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct pair p;
    pthread_t t;

    pair_init(&p, PRIVATE);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && lock_pi(&p.lock, PRIVATE) == 0);
    t = run(take, &p);
    for (uint32_t i = 1; i <= 3; i++) {
        await_locker(&p.lock, PRIVATE);
        CHECK(pthread_kill(t, SIGUSR1) == 0);
        while (g_handled < i)
            sched_yield();
    }
    await_locker(&p.lock, PRIVATE);
    CHECK(unlock_pi(&p.lock, PRIVATE) == 0 && result(t) == 0 && g_handled == 3);
}

int main(int argc, char **argv)
{
    char *again[] = {argv[0], "ran", NULL};

    if (argc > 1)
        return 7;
    test_words();
    test_arguments();
    for (int flags = 0; flags <= PRIVATE; flags += PRIVATE) {
        test_clocks(flags);
        test_handing_over(flags);
        test_mixing(flags);
        test_threads(flags);
        test_thread_dies(flags);
    }
    test_processes();
    test_deadlock();
    test_process_ends(NULL, 1000 + SIGKILL);
    test_process_ends(again, 7);
    test_nobody_waits();
    test_waiter_dies();
    test_word_gone();
    test_signal();
    return guest_done();
}
