/* SPDX-License-Identifier: MIT */
/*
 * Pipes between threads: order and atomicity under load, waits for room and data, the last end's wake,
 * transfers between two pipes in both directions at once, and memory that runs out.
 */
#include <kernel/pipe.h>
#include <kernel/poll.h>
#include <kernel/string.h>
#include <null.h>

#include "../pipe.h"

#include <stdarg.h>
#include <cmocka.h>

#define ROUNDS  2000u
#define WRITERS 3u

static int g_signal;
static struct group g_group;
static struct cred g_cred;

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    (void)t;
    (void)info;
    g_signal = sig;
    return 0;
}

bool capable(int cap)
{
    (void)cap;
    return false;
}

void file_accessed(struct file *f)
{
    (void)f;
}

static ssize_t put(struct pipe *p, const void *data, size_t size, unsigned flags)
{
    struct iov_iter it;

    iov_iter_kernel(&it, (void *)(uintptr_t)data, size);
    return pipe_write_iter(p, &it, flags);
}

static ssize_t get(struct pipe *p, void *buf, size_t size, unsigned flags)
{
    struct iov_iter it;

    iov_iter_kernel(&it, buf, size);
    return pipe_read_iter(p, &it, flags);
}

static struct pipe *make(void)
{
    struct pipe *p = pipe_create();

    assert_non_null(p);
    p->readers = p->writers = 1;
    return p;
}

static int setup(void **state)
{
    (void)state;
    g_signal = 0;
    current->group = &g_group;
    current->cred = &g_cred;
    null_alloc_fail_after(UINT64_MAX);
    return 0;
}

/* Each writer's records are whole and in its own order, whatever the others do. */
struct record {
    u32 writer, number;
    u8 fill[300];
};

struct writer {
    struct pipe *p;
    u32 index;
};

static void write_records(void *arg)
{
    struct writer *w = arg;
    struct record r = {.writer = w->index};

    for (r.number = 0; r.number < ROUNDS; r.number++) {
        memset(r.fill, (int)(r.number + w->index), sizeof(r.fill));
        if (put(w->p, &r, sizeof(r), 0) != sizeof(r))
            return;
    }
}

static void check_record(const struct record *r, u32 next[WRITERS])
{
    assert_true(r->writer < WRITERS);
    assert_int_equal(r->number, next[r->writer]++);
    for (size_t i = 0; i < sizeof(r->fill); i++)
        assert_int_equal(r->fill[i], (u8)(r->number + r->writer));
}

static void test_records(void **state)
{
    struct null_thread *threads[WRITERS];
    struct writer writers[WRITERS];
    struct pipe *p = make();
    u32 next[WRITERS] = {0};

    (void)state;
    for (u32 i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){p, i};
        threads[i] = null_thread_start(write_records, &writers[i]);
    }
    for (u32 i = 0; i < WRITERS * ROUNDS; i++) {
        struct record r;
        size_t have = 0;

        while (have < sizeof(r)) {
            ssize_t n = get(p, (u8 *)&r + have, sizeof(r) - have, 0);

            assert_true(n > 0);
            have += (size_t)n;
        }
        check_record(&r, next);
    }
    for (u32 i = 0; i < WRITERS; i++)
        null_thread_join(threads[i]);
    assert_true(pipe_empty(p));
    pipe_destroy(p);
}

/* ---- Ends ------------------------------------------------------------------------------------- */

static void close_writer(void *arg)
{
    struct pipe *p = arg;

    mutex_lock(&p->lock);
    p->writers = 0;
    mutex_unlock(&p->lock);
    waitqueue_wake(&p->read_wait, POLLIN | POLLHUP);
}

static void close_reader(void *arg)
{
    struct pipe *p = arg;

    mutex_lock(&p->lock);
    p->readers = 0;
    mutex_unlock(&p->lock);
    waitqueue_wake(&p->write_wait, POLLOUT | POLLERR);
}

static void test_ends(void **state)
{
    static u8 data[70000];
    struct pipe *p = make();
    struct null_thread *t = null_thread_start(close_writer, p);

    (void)state;
    assert_int_equal(get(p, data, 10, 0), 0);
    null_thread_join(t);
    p->writers = 1;
    t = null_thread_start(close_reader, p);
    assert_true(put(p, data, sizeof(data), 0) == 65536 || g_signal == SIGPIPE);
    assert_int_equal(g_signal, SIGPIPE);
    null_thread_join(t);
    assert_int_equal(put(p, data, 1, 0), -EPIPE);
    pipe_destroy(p);
}

static void test_interrupted(void **state)
{
    struct pipe *p = make();
    u8 byte;

    (void)state;
    task_set_work(current, WORK_SIGNAL);
    assert_int_equal(get(p, &byte, 1, 0), -ERESTARTSYS);
    current->work = 0;
    assert_false(mutex_held(&p->lock));
    assert_true(list_empty(&p->read_wait.waiters));
    pipe_destroy(p);
}

/* ---- Size and memory -------------------------------------------------------------------------- */

static void test_resize(void **state)
{
    u8 page[PAGE_SIZE], back[PAGE_SIZE];
    struct pipe *p = make();

    (void)state;
    for (unsigned i = 0; i < 20; i++) { /* positions beyond the ring's size */
        memset(page, (int)i, sizeof(page));
        assert_int_equal(put(p, page, sizeof(page), PIPE_NONBLOCK), PAGE_SIZE);
        if (i >= 3)
            assert_int_equal(get(p, back, sizeof(back), 0), PAGE_SIZE);
    }
    assert_int_equal(pipe_set_size(p, 2 * PAGE_SIZE), -EBUSY);
    assert_int_equal(pipe_set_size(p, 3 * PAGE_SIZE), 4 * PAGE_SIZE);
    assert_int_equal(put(p, page, 2 * PAGE_SIZE - 1, PIPE_NONBLOCK | PIPE_PACKET), PAGE_SIZE);
    for (unsigned i = 17; i < 20; i++) {
        assert_int_equal(get(p, back, sizeof(back), 0), PAGE_SIZE);
        assert_int_equal(back[0], i);
    }
    assert_int_equal(pipe_set_size(p, PIPE_MAX_SIZE + 1), -EPERM);
    assert_int_equal(pipe_set_size(p, (1UL << 31) + 1), -EINVAL);
    assert_int_equal(pipe_set_size(p, PIPE_MAX_SIZE), PIPE_MAX_SIZE);
    pipe_destroy(p);
}

static void test_no_memory(void **state)
{
    u8 byte = 1;

    (void)state;
    for (u64 after = 0; after < 2; after++) {
        null_alloc_fail_after(after);
        assert_null(pipe_create());
    }
    null_alloc_fail_after(UINT64_MAX);
    struct pipe *p = make();
    null_alloc_fail_after(0);
    assert_int_equal(put(p, &byte, 1, 0), -ENOMEM);
    assert_int_equal(pipe_set_size(p, 1 << 17), -ENOMEM);
    null_alloc_fail_after(UINT64_MAX);
    assert_int_equal(put(p, &byte, 1, 0), 1);
    pipe_destroy(p);
}

/* ---- Two pipes -------------------------------------------------------------------------------- */

static struct pipe *g_a, *g_b;

static void transfer_back(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (pipe_transfer(g_b, g_a, 1, 0, false) != 1)
            return;
    }
}

/* One byte goes round between two pipes, moved by two threads that lock them in opposite roles. */
static void test_transfer(void **state)
{
    struct null_thread *t;
    u8 byte = 42;

    (void)state;
    g_a = make();
    g_b = make();
    assert_int_equal(pipe_transfer(g_a, g_a, 1, 0, false), -EINVAL);
    assert_int_equal(pipe_transfer(g_a, g_b, 1, PIPE_NONBLOCK, true), -EAGAIN);
    assert_int_equal(put(g_a, &byte, 1, 0), 1);
    t = null_thread_start(transfer_back, NULL);
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_int_equal(pipe_transfer(g_a, g_b, 1, 0, false), 1);
    null_thread_join(t);
    byte = 0;
    assert_int_equal(get(g_a, &byte, 1, 0), 1);
    assert_int_equal(byte, 42);
    pipe_destroy(g_a);
    pipe_destroy(g_b);
}

static ssize_t take_some(void *arg, void *buf, size_t size)
{
    size_t n = min(size, *(size_t *)arg);

    (void)buf;
    *(size_t *)arg -= n;
    return n ? (ssize_t)n : -ENOSPC;
}

static void test_short_drain(void **state)
{
    static u8 data[3 * PAGE_SIZE];
    struct pipe *p = make();
    size_t room = PAGE_SIZE + 5;

    (void)state;
    assert_int_equal(put(p, data, sizeof(data), 0), sizeof(data));
    assert_int_equal(pipe_drain(p, sizeof(data), 0, take_some, &room), PAGE_SIZE + 5);
    assert_int_equal(pipe_drain(p, sizeof(data), 0, take_some, &room), -ENOSPC);
    assert_int_equal(get(p, data, sizeof(data), 0), 2 * PAGE_SIZE - 5);
    pipe_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_records, setup),
        cmocka_unit_test_setup(test_ends, setup),
        cmocka_unit_test_setup(test_interrupted, setup),
        cmocka_unit_test_setup(test_resize, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
        cmocka_unit_test_setup(test_transfer, setup),
        cmocka_unit_test_setup(test_short_drain, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
