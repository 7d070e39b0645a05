/* SPDX-License-Identifier: MIT */
/*
 * Many threads in one enclave: TCSes made at run time, entered at the same time under faults, leaves,
 * signals and the driver's work on pages; threads that come and go; a TCS that two want.
 *
 * Only the main thread asserts; workers stop at the first thing that is wrong and say where.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

#define WORKERS    8
#define FIRST      16UL /* TEST_TCS(FIRST) is TEST_DYNAMIC: thread blocks made at run time */
#define RUN_MS     1500
#define SIGNAL_US  100
#define PAGES_EACH 512UL

#define ZONE_PAGES(i) (0x1000000UL + (i) * PAGES_EACH * TEST_PAGE) /* each worker's own pages */
#define SHARED_PAGE   0x3000000UL
#define DRIVER_PAGE   0x3001000UL

#define ACCEPT_NEW (SECINFO_REG(PERM_RW) | SGX_SECINFO_PENDING)
#define PF_SGX     (SGX_PF_P | SGX_PF_U | SGX_PF_SGX)

static struct test_enclave g_e;
static const struct test_options g_patched;
static const struct test_options g_strict = {.config = {.strict = 1}};

struct worker {
    struct test_enclave e;
    unsigned long slot; /* its TCS */
    pthread_t thread;
    int line; /* where it went wrong, or 0 */
    uint64_t page;
    uint64_t rounds;
    uint64_t counter;
    _Atomic uint32_t signals;
    _Atomic uint32_t stop;
};

static struct worker g_workers[WORKERS];
static _Atomic uint32_t g_stop;
static __thread struct worker *t_worker;

#define EXPECT(w, condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (w)->line = __LINE__;                                                                  \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

static uint64_t tcs_address(unsigned long slot)
{
    return g_e.base + TEST_TCS(slot);
}

static int modify(uint64_t addr, uint64_t type)
{
    struct sgx_enclave_modify_types p = {
        .offset = addr - g_e.base, .length = TEST_PAGE, .page_type = type};

    return test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_MODIFY_TYPES, &p);
}

static int restrict_(uint64_t addr, uint64_t perm)
{
    struct sgx_enclave_restrict_permissions p = {
        .offset = addr - g_e.base, .length = TEST_PAGE, .permissions = perm};

    return test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &p);
}

static int remove_(uint64_t addr)
{
    struct sgx_enclave_remove_pages p = {.offset = addr - g_e.base, .length = TEST_PAGE};

    return test_ops->ioctl(g_e.dev, SGX_IOC_ENCLAVE_REMOVE_PAGES, &p);
}

/* ---- TCSes made at run time (main thread) --------------------------------------------------------- */

/* A TCS needs a mapping without X. */
static void map_blocks(void)
{
    assert_int_equal(test_ops->mprotect(g_e.dev, (void *)tcs_address(FIRST),
                                        TEST_TCS(WORKERS + 1), PROT_READ | PROT_WRITE), 0);
}

static void write_tcs(unsigned long slot, uint64_t gs_offset)
{
    uint64_t tcs = tcs_address(slot);

    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, ossa), TEST_SSA(slot));
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, cssa), 2UL << 32); /* NSSA */
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, oentry), TEST_CODE);
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, ofs_base), TEST_THREAD(slot));
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, ogs_base), gs_offset);
    test_write8(&g_e, tcs + offsetof(struct sgx_tcs, fs_limit), 0xfff00000fffUL);
}

static void finish_tcs(unsigned long slot)
{
    uint64_t tcs = tcs_address(slot);

    assert_int_equal(modify(tcs, SGX_PT_TCS), 0);
    assert_int_equal(test_accept(&g_e, tcs, SGX_SECINFO_MODIFIED | SGX_SECINFO_PT(SGX_PT_TCS)), 0);
}

static void make_tcs(unsigned long slot)
{
    assert_int_equal(test_accept(&g_e, tcs_address(slot), ACCEPT_NEW), 0);
    write_tcs(slot, TEST_THREAD(slot));
    finish_tcs(slot);
}

static void unmake_tcs(unsigned long slot)
{
    uint64_t tcs = tcs_address(slot);

    assert_int_equal(modify(tcs, SGX_PT_TRIM), 0);
    assert_int_equal(test_accept(&g_e, tcs, SGX_SECINFO_MODIFIED | SGX_SECINFO_PT(SGX_PT_TRIM)), 0);
    assert_int_equal(remove_(tcs), 0);
}

static void make_block(unsigned long slot)
{
    for (uint64_t at = TEST_SSA(slot); at <= TEST_STACK2(slot); at += TEST_PAGE) {
        assert_int_equal(test_accept(&g_e, g_e.base + at, ACCEPT_NEW), 0);
    }
    test_write8(&g_e, g_e.base + TEST_THREAD(slot), g_e.base + TEST_STACK(slot) + TEST_PAGE);
    test_write8(&g_e, g_e.base + TEST_THREAD(slot) + 8, g_e.base + TEST_STACK2(slot) + TEST_PAGE);
    make_tcs(slot);
}

static void prepare(void)
{
    memset(g_workers, 0, sizeof(g_workers));
    atomic_store(&g_stop, 0);
    map_blocks();
    for (unsigned long i = 0; i < WORKERS; i++) {
        make_block(FIRST + i);
        g_workers[i].e = g_e;
        g_workers[i].slot = FIRST + i;
    }
}

/* ---- Workers -------------------------------------------------------------------------------------- */

static int enter(struct worker *w, const void *routine, uint64_t rdi, uint64_t rdx)
{
    return test_enter_tcs(&w->e, (int)w->slot, SGX_EENTER, routine, rdi, rdx, 0);
}

static int resume(struct worker *w)
{
    return test_enter_tcs(&w->e, (int)w->slot, SGX_ERESUME, NULL, 0, 0, 0);
}

static bool is_fault(const struct worker *w, int vector, unsigned error, uint64_t addr)
{
    return w->e.run.exception_vector == vector && w->e.run.exception_error_code == error &&
           w->e.run.exception_addr == addr;
}

/* EACCEPT with a SECINFO of the worker's own. */
static int accept_page(struct worker *w, uint64_t addr, uint64_t flags)
{
    uint64_t secinfo = g_e.base + TEST_THREAD(w->slot) + 0x100;
    struct enclu_args args = {.rax = SGX_EACCEPT, .rbx = secinfo, .rcx = addr};

    EXPECT(w, enter(w, r_store8, secinfo, flags) == 0);
    EXPECT(w, enter(w, r_enclu, (uint64_t)&args, 0) == 0);
    EXPECT(w, args.out_rax == SGX_SUCCESS);
    return 0;
}

/* A store to a missing page: fault, EACCEPT from CSSA 1, resumed. */
static int touch_page(struct worker *w)
{
    uint64_t addr = g_e.base + ZONE_PAGES(w->slot - FIRST) + w->page++ % PAGES_EACH * TEST_PAGE;

    if (w->page > PAGES_EACH) {
        return 0;
    }
    EXPECT(w, enter(w, r_store, addr, 0x5a) == -EFAULT);
    EXPECT(w, is_fault(w, 14, PF_SGX | SGX_PF_W, addr));
    if (accept_page(w, addr, ACCEPT_NEW) != 0) {
        return -1;
    }
    EXPECT(w, resume(w) == 0 && w->e.rdi == 1);
    EXPECT(w, enter(w, r_load8, addr, 0) == 0 && w->e.rdi == 0x5a);
    return 0;
}

/* The page whose rights the main thread changes all the time: it can be read, or it faults as such. */
static int read_shared(struct worker *w)
{
    uint64_t addr = g_e.base + SHARED_PAGE;
    int ret = enter(w, r_load8, addr, 0);

    if (ret == 0) {
        EXPECT(w, w->e.rdi == 0x1111);
        return 0;
    }
    EXPECT(w, ret == -EFAULT && is_fault(w, 14, PF_SGX, addr));
    for (int i = 0; i < 1000000 && ret == -EFAULT; i++) {
        ret = resume(w);
    }
    EXPECT(w, ret == 0 && w->e.rdi == 0x1111);
    return 0;
}

/* Registers over AEX: the routine checks its own until the handler has seen three signals more. */
static int check_registers(struct worker *w)
{
    atomic_store(&w->signals, 0);
    atomic_store(&w->stop, 0);
    if (atomic_load(&g_stop) != 0) {
        return 0;
    }
    EXPECT(w, enter(w, r_check_loop, (uint64_t)&w->stop, (uint64_t)&w->counter) == 0);
    EXPECT(w, w->e.rdi == 0);
    return 0;
}

static int check_leaves(struct worker *w)
{
    uint64_t secinfo = g_e.base + TEST_THREAD(w->slot) + 0x100;
    struct enclu_args args = {
        .rax = SGX_EACCEPT, .rbx = secinfo, .rcx = g_e.base + TEST_THREAD(w->slot)};

    EXPECT(w, enter(w, r_store8, secinfo, ACCEPT_NEW) == 0);
    EXPECT(w, enter(w, r_leaf_loop, 50, (uint64_t)&args) == 0 && w->e.rdi == 0x100b);
    EXPECT(w, args.out_rax == SGX_PAGE_ATTRIBUTES_MISMATCH);
    return 0;
}

static int check_illegal(struct worker *w)
{
    uint32_t before[1] = {0}; /* CPUID faults inside, is emulated outside: each thread for itself */

    EXPECT(w, enter(w, r_cpuid, 0, 0) == -EFAULT && is_fault(w, 6, 0, 0));
    EXPECT(w, test_enter_tcs(&w->e, (int)w->slot, SGX_EENTER, r_add8,
                             g_e.base + TEST_SSA(w->slot) + TEST_PAGE - sizeof(struct sgx_gprsgx) +
                                 offsetof(struct sgx_gprsgx, rip), 2, 0) == 0);
    EXPECT(w, resume(w) == 0);
    __asm__ volatile("cpuid" : "+a"(before[0]) : "c"(0) : "rbx", "rdx", "memory");
    EXPECT(w, before[0] >= 0xd);
    return 0;
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;

    t_worker = w;
    if (test_ops->thread_start(g_e.dev) != 0) {
        w->line = __LINE__;
        return NULL;
    }
    while (atomic_load(&g_stop) == 0) {
        if (touch_page(w) != 0 || read_shared(w) != 0 || check_leaves(w) != 0 ||
            check_illegal(w) != 0 || check_registers(w) != 0) {
            break;
        }
        w->rounds++;
    }
    t_worker = NULL;
    test_ops->thread_stop(g_e.dev);
    return NULL;
}

static void on_signal(int sig)
{
    struct worker *w = t_worker;

    (void)sig;
    if (w != NULL && (atomic_fetch_add(&w->signals, 1) >= 2 || atomic_load(&g_stop) != 0)) {
        atomic_store(&w->stop, 1);
    }
}

/* Signals to every worker, until told to stop and then until all have noticed. */
static void *signaller_run(void *arg)
{
    _Atomic uint32_t *done = arg;
    struct timespec pause = {.tv_nsec = SIGNAL_US * 1000L};

    while (atomic_load(done) == 0) {
        for (int i = 0; i < WORKERS; i++) {
            pthread_kill(g_workers[i].thread, SIGUSR1);
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A page through all that the driver can do to it; the shared page's rights; a TCS made and unmade. */
static void drive(unsigned long spare)
{
    uint64_t page = g_e.base + DRIVER_PAGE;
    uint64_t shared = g_e.base + SHARED_PAGE;
    struct enclu_args extend = {.rax = SGX_EMODPE, .rcx = shared};

    assert_int_equal(test_accept(&g_e, page, ACCEPT_NEW), 0);
    test_write8(&g_e, page, 7);
    assert_int_equal(restrict_(page, SGX_SECINFO_R), 0);
    assert_int_equal(test_accept(&g_e, page, SECINFO_REG(SGX_SECINFO_R)), 0);
    assert_int_equal(test_call(&g_e, r_load8, page, 0), 7);
    assert_int_equal(modify(page, SGX_PT_TRIM), 0);
    assert_int_equal(test_accept(&g_e, page, SGX_SECINFO_MODIFIED | SGX_SECINFO_PT(SGX_PT_TRIM)), 0);
    assert_int_equal(remove_(page), 0);

    assert_int_equal(restrict_(shared, 0), 0);
    extend.rbx = test_secinfo(&g_e, SECINFO_REG(PERM_RW));
    assert_int_equal(test_leaf(&g_e, 0, &extend), 0);

    make_tcs(spare);
    assert_int_equal(test_enter_tcs(&g_e, (int)spare, SGX_EENTER, r_nop, 0, 0, 0), 0);
    unmake_tcs(spare);
}

static void check_workers(void)
{
    for (int i = 0; i < WORKERS; i++) {
        if (g_workers[i].line != 0) {
            fail_msg("worker %d stopped at line %d after %llu rounds: vector %u error %#x addr %#llx",
                     i, g_workers[i].line, (unsigned long long)g_workers[i].rounds,
                     g_workers[i].e.run.exception_vector, g_workers[i].e.run.exception_error_code,
                     (unsigned long long)g_workers[i].e.run.exception_addr);
        }
    }
}

/* Everybody is out: what went in came out. */
static void check_balance(void)
{
    struct sgx_counters c = test_counters(&g_e);

    assert_int_equal(c.eenter + c.eresume, c.eexit + c.aex);
}

static void test_many_threads(void **state)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    _Atomic uint32_t done = 0;
    pthread_t signaller;
    long deadline;
    uint64_t rounds = 0;

    (void)state;
    assert_int_equal(test_ops->sigaction(SIGUSR1, &act, NULL), 0);
    prepare();
    make_block(FIRST + WORKERS);
    unmake_tcs(FIRST + WORKERS);
    assert_int_equal(test_accept(&g_e, g_e.base + SHARED_PAGE, ACCEPT_NEW), 0);
    test_write8(&g_e, g_e.base + SHARED_PAGE, 0x1111);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(
            pthread_create(&g_workers[i].thread, NULL, worker_run, &g_workers[i]), 0);
    }
    assert_int_equal(pthread_create(&signaller, NULL, signaller_run, &done), 0);
    deadline = now_ms() + RUN_MS;
    while (now_ms() < deadline) {
        drive(FIRST + WORKERS);
    }
    atomic_store(&g_stop, 1);
    for (int i = 0; i < WORKERS; i++) {
        atomic_store(&g_workers[i].stop, 1);
    }
    atomic_store(&done, 1);
    pthread_join(signaller, NULL);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(g_workers[i].thread, NULL);
        rounds += g_workers[i].rounds;
    }
    check_workers();
    assert_true(rounds > WORKERS);
    check_balance();
}

/* ---- Threads that come and go --------------------------------------------------------------------- */

#define STARTS 2000

static void *visitor_run(void *arg)
{
    struct worker *w = arg;

    if (test_ops->thread_start(g_e.dev) != 0) {
        w->line = __LINE__;
        return NULL;
    }
    if (touch_page(w) == 0 && enter(w, r_nop, 0, 0) == 0 && w->e.rdi == 0x1234) {
        w->rounds++;
    } else if (w->line == 0) {
        w->line = __LINE__;
    }
    if (w->rounds % 7 != 0) { /* now and then one forgets: its end counts as its stop */
        test_ops->thread_stop(g_e.dev);
    }
    return NULL;
}

static void test_starts_and_stops(void **state)
{
    uint64_t before, rounds = 0;

    (void)state;
    prepare();
    before = test_counters(&g_e).eenter;
    for (int n = 0; n < STARTS; n++) {
        struct worker *w = &g_workers[n % WORKERS];

        if (n >= WORKERS) {
            pthread_join(w->thread, NULL);
        }
        assert_int_equal(pthread_create(&w->thread, NULL, visitor_run, w), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(g_workers[i].thread, NULL);
        rounds += g_workers[i].rounds;
    }
    check_workers();
    assert_int_equal(rounds, STARTS);
    /* Five entries each: none of a thread's counts is lost. */
    assert_int_equal(test_counters(&g_e).eenter - before, STARTS * 5);
    check_balance();
    assert_ptr_equal(atomic_load(&g_sim_only_thread), sim_self); /* nobody else is left */
    assert_int_equal(test_call(&g_e, r_nop, 0, 0), 0x1234);
}

/* ---- One TCS, two threads ------------------------------------------------------------------------- */

static void *spinner_run(void *arg)
{
    struct worker *w = arg;

    if (test_ops->thread_start(g_e.dev) != 0 ||
        enter(w, r_spin, (uint64_t)&w->stop, (uint64_t)&w->counter) != 0 || w->e.rdi != 0x5917) {
        w->line = __LINE__;
    }
    if (w->line == 0 && w->rounds != 0 && enter(w, r_nop, 0, 0) != -EFAULT) {
        w->line = __LINE__;
    }
    test_ops->thread_stop(g_e.dev);
    return NULL;
}

static void start_spinner(struct worker *w)
{
    long deadline = now_ms() + 5000;

    assert_int_equal(pthread_create(&w->thread, NULL, spinner_run, w), 0);
    while (*(volatile uint64_t *)&w->counter == 0) {
        assert_true(now_ms() < deadline);
    }
}

static void stop_spinner(struct worker *w)
{
    atomic_store(&w->stop, 1);
    pthread_join(w->thread, NULL);
    check_workers();
}

static void expect_busy(unsigned long slot, unsigned function)
{
    assert_int_equal(test_enter_tcs(&g_e, (int)slot, function, r_nop, 0, 0, 0), -EFAULT);
    assert_int_equal(g_e.run.function, function);
    assert_int_equal(g_e.run.exception_vector, 13);
    assert_int_equal(g_e.run.exception_error_code, 0);
}

/* SDM, EENTER and ERESUME: #GP(0) if the TCS is in use. */
static void test_same_tcs(void **state)
{
    struct worker *w = &g_workers[0];

    (void)state;
    prepare();
    start_spinner(w);
    for (int i = 0; i < 100; i++) {
        expect_busy(w->slot, SGX_EENTER);
        expect_busy(w->slot, SGX_ERESUME);
    }
    stop_spinner(w);
    assert_int_equal(test_enter_tcs(&g_e, (int)w->slot, SGX_EENTER, r_nop, 0, 0, 0), 0);
    check_balance();
}

struct racer {
    struct worker w;
    uint64_t in, refused;
};

static void *racer_run(void *arg)
{
    struct racer *r = arg;

    if (test_ops->thread_start(g_e.dev) != 0) {
        r->w.line = __LINE__;
        return NULL;
    }
    for (int i = 0; i < 20000 && r->w.line == 0; i++) {
        int ret = enter(&r->w, r_nop, 0, 0);

        if (ret == 0 && r->w.e.rdi == 0x1234) {
            r->in++;
        } else if (ret == -EFAULT && is_fault(&r->w, 13, 0, 0)) {
            r->refused++;
        } else {
            r->w.line = __LINE__;
        }
    }
    test_ops->thread_stop(g_e.dev);
    return NULL;
}

/* Both want it all the time: each entry is one thread's or refused. */
static void test_race_for_tcs(void **state)
{
    static struct racer racers[2];
    uint64_t before, in = 0;

    (void)state;
    prepare();
    memset(racers, 0, sizeof(racers));
    before = test_counters(&g_e).eenter;
    for (int i = 0; i < 2; i++) {
        racers[i].w.e = g_e;
        racers[i].w.slot = FIRST;
        assert_int_equal(pthread_create(&racers[i].w.thread, NULL, racer_run, &racers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(racers[i].w.thread, NULL);
        assert_int_equal(racers[i].w.line, 0);
        in += racers[i].in;
        assert_int_equal(racers[i].in + racers[i].refused, 20000);
    }
    assert_int_equal(test_counters(&g_e).eenter - before, in);
    check_balance();
}

/*
 * Two TCSes with the same GS base: it tells the threads on them no more from each other, even those that
 * came in before the second TCS was made.
 */
static void test_same_gs(void **state)
{
    static struct racer racers[2];
    struct worker *w = &g_workers[0];
    uint64_t tcs = tcs_address(FIRST + 1);

    (void)state;
    prepare();
    memset(racers, 0, sizeof(racers));
    racers[0].w.e = g_e;
    racers[0].w.slot = FIRST + 2;
    start_spinner(w);
    unmake_tcs(FIRST + 1);
    assert_int_equal(test_accept(&g_e, tcs, ACCEPT_NEW), 0);
    write_tcs(FIRST + 1, TEST_THREAD(w->slot));
    finish_tcs(FIRST + 1);
    racers[1].w.e = g_e;
    racers[1].w.slot = FIRST + 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&racers[i].w.thread, NULL, racer_run, &racers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(racers[i].w.thread, NULL);
        assert_int_equal(racers[i].w.line, 0);
        assert_int_equal(racers[i].in, 20000);
    }
    stop_spinner(w);
    check_balance();
}

/* A TCS trimmed and removed under the thread that uses it: it gets out, and never in again. */
static void test_remove_busy_tcs(void **state)
{
    struct worker *w = &g_workers[0];

    (void)state;
    prepare();
    w->rounds = 1; /* enters once more, and must fail */
    start_spinner(w);
    unmake_tcs(w->slot);
    stop_spinner(w);
    make_tcs(w->slot);
    assert_int_equal(test_enter_tcs(&g_e, (int)w->slot, SGX_EENTER, r_nop, 0, 0, 0), 0);
}

/* ---- Signals that somebody sends but that the CPU raises too -------------------------------------- */

static _Atomic uint32_t g_seen;

static void on_trap(int sig)
{
    (void)sig;
    atomic_fetch_add(&g_seen, 1);
}

static void *leaves_run(void *arg)
{
    struct worker *w = arg;

    if (test_ops->thread_start(g_e.dev) != 0) {
        w->line = __LINE__;
        return NULL;
    }
    while (w->line == 0 && atomic_load(&w->stop) == 0) {
        check_leaves(w);
        w->rounds++;
    }
    test_ops->thread_stop(g_e.dev);
    return NULL;
}

/* SIGTRAP and SIGSEGV by tgkill: a leaf that they strike ends first, then they are delivered. */
static void test_sent_sync_signals(void **state)
{
    struct sigaction act = {.sa_handler = on_trap, .sa_flags = SA_RESTART};
    struct timespec pause = {.tv_nsec = 50000};
    struct worker *w = &g_workers[0];
    struct sigaction old_segv, old_trap;

    (void)state;
    prepare();
    atomic_store(&g_seen, 0);
    assert_int_equal(test_ops->sigaction(SIGTRAP, &act, &old_trap), 0);
    assert_int_equal(test_ops->sigaction(SIGSEGV, &act, &old_segv), 0);
    assert_int_equal(pthread_create(&w->thread, NULL, leaves_run, w), 0);
    /* Those that come before the last one was taken count once. */
    for (int i = 0; i < 4000 || (atomic_load(&g_seen) <= 1000 && i < 200000); i++) {
        pthread_kill(w->thread, i % 2 != 0 ? SIGTRAP : SIGSEGV);
        nanosleep(&pause, NULL);
    }
    stop_spinner(w);
    assert_true(w->rounds > 1);
    assert_true(atomic_load(&g_seen) > 1000);
    assert_int_equal(test_ops->sigaction(SIGSEGV, &old_segv, NULL), 0);
    assert_int_equal(test_ops->sigaction(SIGTRAP, &old_trap, NULL), 0);
    check_balance();
}

#define BOTH(f) TEST_CASE(f, &g_e, &g_patched), TEST_CASE(f, &g_e, &g_strict)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_sent_sync_signals),
        BOTH(test_many_threads),
        BOTH(test_starts_and_stops),
        BOTH(test_same_tcs),
        BOTH(test_race_for_tcs),
        BOTH(test_same_gs),
        BOTH(test_remove_busy_tcs),
        BOTH(test_sent_sync_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
