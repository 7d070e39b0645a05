/* SPDX-License-Identifier: MIT */
/* Queues of pending signals: once for standard ones, in order for real-time ones, and their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <kernel/string.h>
#include "../internal.h"
#include "null.h"

#define RT 40
#define NO_LIMIT UINT64_MAX
#define UID 1000

static siginfo_t info_of(int sig, int code, int value)
{
    siginfo_t i;

    memset(&i, 0, sizeof(i));
    i.si_signo = sig;
    i.si_code = code;
    i.si_value.sival_int = value;
    return i;
}

/* As send.c does: the place first. */
static bool add_info(struct sigpending *p, const siginfo_t *info, u64 limit, bool force)
{
    struct sigqueue *q = sigqueue_alloc(UID, limit);
    bool ret = sigpending_add(p, info, &q, force);

    sigqueue_free(q);
    return ret;
}

static bool add(struct sigpending *p, int sig, int value)
{
    siginfo_t i = info_of(sig, SI_QUEUE, value);

    return add_info(p, &i, NO_LIMIT, false);
}

static void standard_signal_waits_once(void **state)
{
    struct sigpending p;
    siginfo_t got;

    sigpending_init(&p);
    assert_true(add(&p, SIGUSR1, 1));
    assert_true(add(&p, SIGUSR1, 2));
    assert_int_equal(p.count, 1);
    sigpending_take(&p, SIGUSR1, &got);
    assert_int_equal(got.si_value.sival_int, 1);
    assert_int_equal(p.set, 0);
    assert_int_equal(p.count, 0);
}

static void realtime_signals_keep_their_order(void **state)
{
    struct sigpending p;
    siginfo_t got;

    sigpending_init(&p);
    for (int i = 0; i < 5; i++)
        assert_true(add(&p, RT, i));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(p.set, sigmask(RT));
        sigpending_take(&p, RT, &got);
        assert_int_equal(got.si_value.sival_int, i);
    }
    assert_int_equal(p.set, 0);
}

static void a_timer_may_wait_beside_the_same_signal(void **state)
{
    struct sigpending p;
    siginfo_t timer = info_of(SIGALRM, SI_TIMER, 7), got;

    sigpending_init(&p);
    assert_true(add(&p, SIGALRM, 1));
    assert_true(add_info(&p, &timer, NO_LIMIT, true));
    sigpending_take(&p, SIGALRM, &got);
    assert_int_equal(got.si_code, SI_QUEUE);
    assert_int_equal(p.set, sigmask(SIGALRM));
    sigpending_take(&p, SIGALRM, &got);
    assert_int_equal(got.si_code, SI_TIMER);
    assert_int_equal(p.set, 0);
}

static void full_queue_refuses_sigqueue_but_not_kill(void **state)
{
    struct sigpending p;
    siginfo_t queued = info_of(RT, SI_QUEUE, 1), killed = info_of(RT, SI_USER, 0), got;

    sigpending_init(&p);
    assert_false(add_info(&p, &queued, 0, false));
    assert_int_equal(p.set, 0);
    assert_true(add_info(&p, &killed, 0, false));
    assert_int_equal(p.set, sigmask(RT));
    sigpending_take(&p, RT, &got);
    assert_int_equal(got.si_code, SI_USER);
    assert_int_equal(got.si_pid, 0);
}

static void no_memory_loses_information_only(void **state)
{
    struct sigpending p;
    siginfo_t got;

    sigpending_init(&p);
    null_alloc_fail_after(0);
    assert_true(add(&p, SIGTERM, 3));
    null_alloc_fail_after(UINT64_MAX);
    sigpending_take(&p, SIGTERM, &got);
    assert_int_equal(got.si_signo, SIGTERM);
    assert_int_equal(got.si_code, SI_USER);
}

static void dropping_frees_what_it_names(void **state)
{
    struct sigpending p;

    sigpending_init(&p);
    add(&p, RT, 1);
    add(&p, RT, 2);
    add(&p, SIGHUP, 1);
    sigpending_drop(&p, sigmask(RT));
    assert_int_equal(p.set, sigmask(SIGHUP));
    assert_int_equal(p.count, 1);
    sigpending_flush(&p);
    assert_int_equal(p.count, 0);
}

static void a_user_has_one_account(void **state)
{
    struct sigpending p, other;
    siginfo_t i = info_of(RT, SI_QUEUE, 1);

    sigpending_init(&p);
    sigpending_init(&other);
    assert_true(add_info(&p, &i, 2, false));
    assert_true(add_info(&other, &i, 2, false));
    assert_false(add_info(&p, &i, 2, false));
    assert_int_equal(sigqueue_count(UID), 2);
    sigpending_flush(&other);
    assert_true(add_info(&p, &i, 2, false));
    sigpending_flush(&p);
    assert_int_equal(sigqueue_count(UID), 0);
}

static void faults_come_first(void **state)
{
    assert_int_equal(signal_next(sigmask(SIGHUP) | sigmask(SIGSEGV)), SIGSEGV);
    assert_int_equal(signal_next(sigmask(SIGTERM) | sigmask(SIGUSR1)), SIGUSR1);
    assert_int_equal(signal_next(sigmask(64)), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_signal_waits_once),
        cmocka_unit_test(realtime_signals_keep_their_order),
        cmocka_unit_test(a_timer_may_wait_beside_the_same_signal),
        cmocka_unit_test(full_queue_refuses_sigqueue_but_not_kill),
        cmocka_unit_test(no_memory_loses_information_only),
        cmocka_unit_test(dropping_frees_what_it_names),
        cmocka_unit_test(a_user_has_one_account),
        cmocka_unit_test(faults_come_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
