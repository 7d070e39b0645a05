/* SPDX-License-Identifier: MIT */
/*
 * Locks with priority inheritance between threads of the test: who is next, who is told of an
 * owner's end, who is refused, and that nothing is left over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <syscalls.gen.h>
#include "../internal.h"
#include "futex_tasks.h"
#include "null.h"

#define PRIVATE FUTEX_PRIVATE_FLAG
#define ME      1
#define SEVERAL 3

static long lock(u32 *word)
{
    return sys_futex(word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0);
}

static long unlock(u32 *word)
{
    return sys_futex(word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
}

/* A thread that takes a lock, once it has it says so, and gives it back when told. */
struct locker {
    pid_t tid;
    int priority; /* real-time, 0: none */
    u32 *word;
    long ret;
    u32 turn; /* as which it got the lock, from 1; atomic */
    u32 go;   /* may give it back; atomic */
    bool ends;
    struct null_thread *thread;
};

static u32 g_turns;

static void locker_run(void *arg)
{
    struct locker *l = arg;

    tasks_number(l->tid);
    if (l->priority)
        current->sched = (struct sched_state){.policy = SCHED_FIFO, .priority = l->priority};
    l->ret = lock(l->word);
    __atomic_store_n(&l->turn, __atomic_add_fetch(&g_turns, 1, __ATOMIC_RELAXED), __ATOMIC_RELEASE);
    while (!__atomic_load_n(&l->go, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause();
    if (!l->ret && !l->ends)
        l->ret = unlock(l->word);
    futex_pi_exit(current, true);
    tasks_forget(l->tid);
}

static void locker_start(struct locker *l, u32 *word, pid_t tid, int priority)
{
    *l = (struct locker){.tid = tid, .priority = priority, .word = word};
    l->thread = null_thread_start(locker_run, l);
}

static void locker_await(struct locker *l)
{
    while (!__atomic_load_n(&l->turn, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause();
}

static void locker_end(struct locker *l)
{
    __atomic_store_n(&l->go, 1, __ATOMIC_RELEASE);
    null_thread_join(l->thread);
}

/* Until `l` waits: its task's field is set last. */
static void locker_await_blocked(struct locker *l)
{
    struct task *t;

    do
        t = task_find(l->tid);
    while (!t || !__atomic_load_n(&t->pi_blocked, __ATOMIC_ACQUIRE));
}

static void the_order_is_by_priority_then_time(void **state)
{
    static const int priorities[SEVERAL + 2] = {0, 5, 0, 9, 5};
    static const u32 turns[SEVERAL + 2] = {4, 2, 5, 1, 3};
    struct locker l[SEVERAL + 2];
    u32 word = 0;

    g_turns = 0;
    tasks_number(ME);
    assert_int_equal(lock(&word), 0);
    for (int i = 0; i < SEVERAL + 2; i++) {
        locker_start(&l[i], &word, ME + 1 + i, priorities[i]);
        locker_await_blocked(&l[i]);
        l[i].go = 1;
    }
    assert_int_equal(word, ME | FUTEX_WAITERS);
    assert_int_equal(unlock(&word), 0);
    for (int i = 0; i < SEVERAL + 2; i++) {
        locker_end(&l[i]);
        assert_int_equal(l[i].ret, 0);
        assert_int_equal(l[i].turn, turns[i]);
    }
    assert_int_equal(word, 0);
    assert_true(list_empty(&current->pi_states));
}

static void a_cycle_is_refused(void **state)
{
    u32 words[2] = {0, 0};
    struct locker l;

    tasks_number(ME);
    words[1] = ME + 1; /* the other task has it */
    assert_int_equal(lock(&words[0]), 0);
    locker_start(&l, &words[0], ME + 1, 0);
    locker_await_blocked(&l);
    assert_int_equal(lock(&words[1]), -EDEADLK);
    assert_int_equal(lock(&words[0]), -EDEADLK);
    assert_int_equal(words[1], (ME + 1) | FUTEX_WAITERS);
    assert_int_equal(unlock(&words[0]), 0);
    locker_end(&l);
    assert_int_equal(l.ret, 0);
}

static void an_end_is_told_to_the_first(void **state)
{
    struct locker owner, l[2];
    u32 word = 0;

    g_turns = 0;
    tasks_number(ME);
    locker_start(&owner, &word, ME + 1, 0);
    owner.ends = true;
    locker_await(&owner);
    for (int i = 0; i < 2; i++) {
        locker_start(&l[i], &word, ME + 2 + i, 0);
        locker_await_blocked(&l[i]);
    }
    locker_end(&owner);
    locker_await(&l[0]);
    assert_int_equal(word, (ME + 2) | FUTEX_WAITERS | FUTEX_OWNER_DIED);
    assert_int_equal(l[1].turn, 0);
    locker_end(&l[0]);
    locker_await(&l[1]);
    assert_int_equal(word, (ME + 3) | FUTEX_WAITERS);
    locker_end(&l[1]);
    assert_int_equal(word, 0);
    word = ME + 1;
    assert_int_equal(lock(&word), -ESRCH);
}

static void who_has_ended_is_found_out(void **state)
{
    struct task ended = {.futex_gone = true}, *me = current;
    u32 word = ME + 1;

    null_task_set(&ended);
    tasks_number(ME + 1);
    null_task_set(me);
    tasks_number(ME);
    assert_int_equal(lock(&word), -ESRCH);
    assert_int_equal(sys_futex(&word, FUTEX_TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), -ESRCH);
    tasks_forget(ME + 1);
}

static void a_word_that_lies_is_refused(void **state)
{
    u32 word = 0;
    struct locker l;

    tasks_number(ME);
    assert_int_equal(lock(&word), 0);
    locker_start(&l, &word, ME + 1, 0);
    locker_await_blocked(&l);
    word = ME + 5;
    assert_int_equal(sys_futex(&word, FUTEX_TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), -EINVAL);
    word = 0;
    assert_int_equal(lock(&word), -EINVAL);
    word = FUTEX_OWNER_DIED;
    assert_int_equal(sys_futex(&word, FUTEX_TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), -EAGAIN);
    word = ME | FUTEX_WAITERS;
    assert_int_equal(unlock(&word), 0);
    locker_end(&l);
}

/* Waits at g_cond for g_lock. */
static u32 g_cond, g_lock;

struct sleeper {
    pid_t tid;
    long ret;
    struct null_thread *thread;
};

static void sleeper_run(void *arg)
{
    struct sleeper *s = arg;

    tasks_number(s->tid);
    s->ret = sys_futex(&g_cond, FUTEX_WAIT_REQUEUE_PI | PRIVATE, 0, NULL, &g_lock, 0);
    if (!s->ret && (g_lock & FUTEX_TID_MASK) != (u32)s->tid)
        s->ret = -EPERM;
    if (!s->ret)
        s->ret = unlock(&g_lock);
    tasks_forget(s->tid);
}

static void requeued_waiters_come_back_with_the_lock(void **state)
{
    struct sleeper s[SEVERAL];
    long moved = 0;

    tasks_number(ME);
    for (int free = 0; free < 2; free++) {
        assert_int_equal(free ? 0 : lock(&g_lock), 0);
        for (int i = 0; i < SEVERAL; i++) {
            s[i].tid = ME + 1 + i;
            s[i].thread = null_thread_start(sleeper_run, &s[i]);
        }
        for (moved = 0; moved < SEVERAL;)
            moved += sys_futex(&g_cond, FUTEX_CMP_REQUEUE_PI | PRIVATE, 1, (void *)9UL, &g_lock, 0);
        assert_int_equal(free ? 0 : unlock(&g_lock), 0);
        for (int i = 0; i < SEVERAL; i++) {
            null_thread_join(s[i].thread);
            assert_int_equal(s[i].ret, 0);
        }
        assert_int_equal(g_lock, 0);
    }
}

/* No memory for the state: the waiter is refused and the word can still be unlocked. */
static void memory_runs_out(void **state)
{
    u32 word = ME + 1;
    struct task other = {0}, *me = current;

    null_task_set(&other);
    tasks_number(ME + 1);
    null_task_set(me);
    tasks_number(ME);
    null_alloc_fail_after(0);
    assert_int_equal(lock(&word), -ENOMEM);
    null_alloc_fail_after(UINT64_MAX);
    assert_null(me->pi_blocked);
    null_task_set(&other);
    assert_int_equal(unlock(&word), 0);
    null_task_set(me);
    tasks_forget(ME + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_by_priority_then_time),
        cmocka_unit_test(a_cycle_is_refused),
        cmocka_unit_test(an_end_is_told_to_the_first),
        cmocka_unit_test(who_has_ended_is_found_out),
        cmocka_unit_test(a_word_that_lies_is_refused),
        cmocka_unit_test(requeued_waiters_come_back_with_the_lock),
        cmocka_unit_test(memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
