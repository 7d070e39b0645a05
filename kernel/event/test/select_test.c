/* SPDX-License-Identifier: MIT */
/* poll and select: bitmaps, results, deadlines, wakes by files' queues, closed descriptors. */
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <linux/time.h>
#include <null.h>

#include <stdarg.h>
#include <cmocka.h>

#define FDS   130
#define MS_NS 1000000u

long sys_select(int n, unsigned long __user *in, unsigned long __user *out,
                unsigned long __user *ex, struct __kernel_old_timeval __user *timeout);
long sys_poll(struct pollfd __user *fds, unsigned count, int timeout);
long sys_ppoll(struct pollfd __user *fds, unsigned count, struct __kernel_timespec __user *timeout,
               const sigset64_t __user *mask, size_t size);

static struct file g_file[FDS];
static unsigned g_ready[FDS]; /* what each file's poll says; atomic */
static struct waitqueue g_queue[FDS];
static struct files g_table;
static struct group g_group;
static bool g_interrupted;

struct file *fd_get(int fd)
{
    return fd < FDS && g_file[fd].ops ? file_get(&g_file[fd]) : NULL;
}

void file_put(struct file *f)
{
    (void)ref_put(&f->ref);
}

u64 rlimit(unsigned resource)
{
    (void)resource;
    return FDS;
}

int signal_set_temp_mask(const sigset64_t __user *umask, size_t size)
{
    return umask && size != sizeof(sigset64_t) ? -EINVAL : 0;
}

void signal_restore_mask(bool interrupted)
{
    g_interrupted = interrupted;
}

static unsigned test_ready(struct file *f, struct poll_table *pt)
{
    size_t i = (size_t)(f - g_file);

    poll_wait(pt, &g_queue[i]);
    return __atomic_load_n(&g_ready[i], __ATOMIC_ACQUIRE);
}

static const struct file_ops g_ops = {.poll = test_ready};

static int setup(void **state)
{
    (void)state;
    memset(g_file, 0, sizeof(g_file));
    memset(g_ready, 0, sizeof(g_ready));
    for (int i = 0; i < FDS; i++) {
        waitqueue_init(&g_queue[i]);
        ref_init(&g_file[i].ref);
        g_file[i].ops = i % 3 == 2 ? NULL : &g_ops;
    }
    spin_init(&g_table.lock, "files");
    g_table.size = FDS;
    current->files = &g_table;
    current->group = &g_group;
    current->work = 0;
    return 0;
}

static void set(unsigned long *bits, int fd)
{
    bits[fd / 64] |= 1UL << (fd % 64);
}

static void test_bitmaps(void **state)
{
    unsigned long in[3] = {0}, out[3] = {0}, ex[3] = {0};
    struct __kernel_old_timeval zero = {0, 0};

    (void)state;
    set(in, 0);
    set(in, 63);
    set(in, 64);
    set(in, 127);
    set(out, 64);
    set(out, 1);
    set(ex, 129);
    g_ready[63] = POLLHUP;          /* readable */
    g_ready[64] = POLLIN | POLLOUT; /* twice */
    g_ready[1] = POLLIN;            /* not asked for */
    g_ready[129] = POLLPRI | POLLIN;
    assert_int_equal(sys_select(130, in, out, ex, &zero), 4);
    assert_int_equal(in[0], 1UL << 63);
    assert_int_equal(in[1], 1);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[1], 1);
    assert_int_equal(ex[2], 2);
}

static void test_closed(void **state)
{
    unsigned long in[3] = {0};
    struct __kernel_old_timeval zero = {0, 0};

    (void)state;
    set(in, 5);
    assert_int_equal(sys_select(6, in, NULL, NULL, &zero), -EBADF);
    assert_int_equal(sys_select(5, in, NULL, NULL, &zero), 0); /* not below n */
    assert_int_equal(sys_select(-1, in, NULL, NULL, &zero), -EINVAL);
    assert_int_equal(sys_select(1, (void *)8, NULL, NULL, &zero), -EFAULT);
    for (int i = 0; i < FDS; i++)
        assert_int_equal(g_file[i].ref.n, 1);
}

static void make_ready(void *arg)
{
    (void)arg;
    target_park(NULL, 0, time_monotonic() + 20 * MS_NS);
    __atomic_store_n(&g_ready[127], POLLIN, __ATOMIC_RELEASE);
    waitqueue_wake(&g_queue[127], POLLIN);
}

static void test_wakes(void **state)
{
    unsigned long in[3] = {0};
    struct __kernel_old_timeval long_time = {20, 0};
    struct null_thread *t = null_thread_start(make_ready, NULL);

    (void)state;
    for (int fd = 0; fd < 130; fd++) { /* more waiters than fit on the stack */
        if (fd % 3 != 2)
            set(in, fd);
    }
    assert_int_equal(sys_select(130, in, NULL, NULL, &long_time), 1);
    assert_int_equal(in[1], 1UL << 63);
    assert_in_range(long_time.tv_sec, 1, 19); /* what was left */
    null_thread_join(t);
    for (int i = 0; i < FDS; i++)
        assert_true(list_empty(&g_queue[i].waiters));
}

static void test_times_out(void **state)
{
    struct __kernel_old_timeval tv = {0, 15000};
    struct __kernel_timespec ts = {0, 15 * MS_NS};
    u64 start = time_monotonic();

    (void)state;
    assert_int_equal(sys_select(0, NULL, NULL, NULL, &tv), 0);
    assert_int_equal(tv.tv_sec, 0);
    assert_int_equal(tv.tv_usec, 0);
    assert_int_equal(sys_ppoll(NULL, 0, &ts, NULL, 0), 0);
    assert_true(time_monotonic() - start >= 30 * MS_NS);
    tv.tv_usec = -1;
    assert_int_equal(sys_select(0, NULL, NULL, NULL, &tv), -EINVAL);
    ts.tv_nsec = 1000000000;
    assert_int_equal(sys_ppoll(NULL, 0, &ts, NULL, 0), -EINVAL);
}

static void test_poll_results(void **state)
{
    struct pollfd fds[] = {
        {.fd = 0, .events = POLLIN, .revents = -1},
        {.fd = 5, .events = POLLIN},
        {.fd = -1, .events = POLLIN, .revents = -1},
        {.fd = 1, .events = POLLOUT},
    };

    (void)state;
    g_ready[0] = POLLIN | POLLOUT;
    g_ready[1] = POLLERR;
    assert_int_equal(sys_poll(fds, 4, 0), 3);
    assert_int_equal(fds[0].revents, POLLIN);
    assert_int_equal(fds[1].revents, POLLNVAL);
    assert_int_equal(fds[2].revents, 0);
    assert_int_equal(fds[3].revents, POLLERR);
    assert_int_equal(sys_poll(fds, FDS + 1, 0), -EINVAL);
}

static void test_signal(void **state)
{
    struct pollfd fd = {.fd = 0, .events = POLLIN};
    struct __kernel_timespec ts = {20, 0};
    sigset64_t mask = 0;

    (void)state;
    current->work = WORK_SIGNAL;
    assert_int_equal(sys_ppoll(&fd, 1, &ts, &mask, 8), -ERESTARTNOHAND);
    assert_true(g_interrupted);
    assert_in_range(ts.tv_sec, 1, 19);
    assert_int_equal(sys_poll(&fd, 1, 20000), -ERESTART_RESTARTBLOCK);
    assert_non_null(current->restart.fn);
    g_ready[0] = POLLIN;
    assert_int_equal(current->restart.fn(&current->restart), 1);
    assert_int_equal(sys_ppoll(&fd, 1, &ts, &mask, 4), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bitmaps, setup),
        cmocka_unit_test_setup(test_closed, setup),
        cmocka_unit_test_setup(test_wakes, setup),
        cmocka_unit_test_setup(test_times_out, setup),
        cmocka_unit_test_setup(test_poll_results, setup),
        cmocka_unit_test_setup(test_signal, setup),
    };

    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
