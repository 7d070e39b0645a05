/* SPDX-License-Identifier: MIT */
/* Advisory locks: ranges that split and merge, owners, kinds, waiting, deadlock. */
#include "vfs_host.h"

#include "../internal.h"

static struct file *g_a, *g_b; /* two descriptions of one file */

static int set(struct file *f, short type, loff_t start, loff_t size, bool ofd)
{
    struct flock fl = {.l_type = type, .l_start = start, .l_len = size};

    return lock_record_set(f, &fl, ofd, false);
}

/* The type of the lock that stands in the way of a write lock on the byte. */
static int at(struct file *f, loff_t byte)
{
    struct flock fl = {.l_type = F_WRLCK, .l_start = byte, .l_len = 1};

    ok(lock_record_get(f, &fl, true));
    return fl.l_type;
}

static void open_both(void)
{
    make_file("/locked", "0123456789");
    g_a = fd_get(must_open("/locked", O_RDWR, 0));
    g_b = fd_get(must_open("/locked", O_RDWR, 0));
}

static void ranges(void **state)
{
    struct flock fl = {.l_type = F_WRLCK};

    open_both();
    ok(set(g_a, F_WRLCK, 0, 100, true));
    ok(set(g_a, F_RDLCK, 20, 10, true));
    ok(set(g_a, F_UNLCK, 50, 10, true));
    assert_int_equal(at(g_b, 10), F_WRLCK);
    assert_int_equal(at(g_b, 20), F_RDLCK);
    assert_int_equal(at(g_b, 29), F_RDLCK);
    assert_int_equal(at(g_b, 30), F_WRLCK);
    assert_int_equal(at(g_b, 55), F_UNLCK);
    assert_int_equal(at(g_b, 60), F_WRLCK);
    assert_int_equal(at(g_b, 100), F_UNLCK);
    assert_int_equal(at(g_a, 0), F_UNLCK); /* one's own do not count */
    fails(set(g_b, F_RDLCK, 0, 1, true), EAGAIN);
    ok(set(g_b, F_RDLCK, 20, 10, true));
    fails(set(g_a, F_WRLCK, 0, 100, true), EAGAIN);
    ok(set(g_b, F_UNLCK, 0, 0, true));
    ok(set(g_a, F_WRLCK, 0, 50, true)); /* merges back */
    ok(lock_record_get(g_b, &fl, true));
    assert_int_equal(fl.l_start, 0);
    assert_int_equal(fl.l_len, 50);
    assert_int_equal(fl.l_pid, -1);
    ok(set(g_a, F_UNLCK, 0, 0, true));
    assert_null(g_a->inode->locks);
}

static void arguments(void **state)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -4};

    ok(lock_record_set(g_a, &fl, true, false)); /* bytes 6 to 9 */
    assert_int_equal(at(g_b, 5), F_UNLCK);
    assert_int_equal(at(g_b, 6), F_WRLCK);
    assert_int_equal(at(g_b, 10), F_UNLCK);
    ok(set(g_a, F_UNLCK, 0, 0, true));
    fails(set(g_a, F_WRLCK, -1, 1, true), EINVAL);
    fails(set(g_a, F_WRLCK, 5, -6, true), EINVAL);
    fails(set(g_a, F_WRLCK, 5, INT64_MAX, true), EOVERFLOW);
    fails(set(g_a, 9, 0, 1, true), EINVAL);
    fl = (struct flock){.l_type = F_WRLCK, .l_pid = 5};
    fails(lock_record_set(g_a, &fl, true, false), EINVAL);
    fl = (struct flock){.l_type = F_UNLCK};
    fails(lock_record_get(g_a, &fl, true), EINVAL);
}

static void access_modes(void **state)
{
    int rd = must_open("/locked", O_RDONLY, 0), wr = must_open("/locked", O_WRONLY, 0);
    struct file *r = fd_get(rd), *w = fd_get(wr);

    fails(set(r, F_WRLCK, 0, 1, false), EBADF);
    fails(set(w, F_RDLCK, 0, 1, false), EBADF);
    ok(set(r, F_RDLCK, 0, 1, false));
    file_put(r);
    file_put(w);
    ok(sys_close(wr)); /* any close drops the process' locks */
    assert_int_equal(at(g_a, 0), F_UNLCK);
    ok(sys_close(rd));
}

static void kinds(void **state)
{
    int fd = must_open("/locked", O_RDWR, 0), other = must_open("/locked", O_RDWR, 0);

    ok(sys_flock(fd, LOCK_EX));
    fails(sys_flock(other, LOCK_SH | LOCK_NB), EAGAIN);
    ok(set(g_a, F_WRLCK, 0, 0, false)); /* the kinds do not see each other */
    fails(set(g_a, F_WRLCK, 0, 0, true), EAGAIN); /* record and OFD locks do */
    ok(set(g_a, F_UNLCK, 0, 0, false));
    ok(sys_flock(fd, LOCK_SH));
    ok(sys_flock(other, LOCK_SH | LOCK_NB));
    fails(sys_flock(other, LOCK_EX | LOCK_NB), EAGAIN);
    ok(sys_close(fd)); /* releases */
    ok(sys_flock(other, LOCK_EX | LOCK_NB));
    ok(sys_flock(other, LOCK_UN));
    fails(sys_flock(other, 77), EINVAL);
    ok(sys_close(other));
    assert_null(g_a->inode->locks);
}

/* ---- Waiting: another thread with a description of its own ------------------------------------------ */

static void take_and_release(void *arg)
{
    struct flock fl = {.l_type = F_WRLCK};

    ok(lock_record_set(g_b, &fl, true, true));
    *(int *)arg = 1;
    fl.l_type = F_UNLCK;
    ok(lock_record_set(g_b, &fl, true, false));
}

static void waiting(void **state)
{
    struct group group = {.tgid = 2};
    static int done;
    struct null_thread *t;

    (void)group;
    ok(set(g_a, F_WRLCK, 0, 0, true));
    t = null_thread_start(take_and_release, &done);
    for (volatile int i = 0; i < 20000000; i++)
        ;
    assert_int_equal(__atomic_load_n(&done, __ATOMIC_ACQUIRE), 0);
    ok(set(g_a, F_UNLCK, 0, 0, true));
    null_thread_join(t);
    assert_int_equal(done, 1);
    assert_null(g_a->inode->locks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),       cmocka_unit_test(arguments),
        cmocka_unit_test(access_modes), cmocka_unit_test(kinds),
        cmocka_unit_test(waiting),
    };

    return cmocka_run_group_tests_name("vfs-lock", tests, host_vfs_start, NULL);
}
