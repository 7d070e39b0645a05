/* SPDX-License-Identifier: MIT */
/*
 * Regular files of the host over a host that the test plays: one file of a few bytes with one
 * description whose offset and O_APPEND the host keeps.
 */
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/resource.h>
#include <linux/stat.h>
#include <null.h>

#include "../dev.h"

#include <stdarg.h>
#include <cmocka.h>

#define FILE_MAX 200000

/* ---- The host ------------------------------------------------------------------------------- */

static struct {
    char data[FILE_MAX];
    size_t size, room; /* room: the disk's */
    loff_t pos;
    bool append;
    unsigned calls, interrupts;
    int error;
} g_host;

static ssize_t host_get(void *buf, size_t size, loff_t pos)
{
    size_t n = (size_t)pos < g_host.size ? min(size, g_host.size - (size_t)pos) : 0;

    memcpy(buf, g_host.data + pos, n);
    return (ssize_t)n;
}

static ssize_t host_put(const void *buf, size_t size, loff_t pos)
{
    size_t n = (size_t)pos < g_host.room ? min(size, g_host.room - (size_t)pos) : 0;

    if (!n)
        return g_host.error;
    memcpy(g_host.data + pos, buf, n);
    g_host.size = max(g_host.size, (size_t)pos + n);
    return (ssize_t)n;
}

static bool interrupted(void)
{
    g_host.calls++;
    if (!g_host.interrupts)
        return false;
    g_host.interrupts--;
    return true;
}

ssize_t target_host_read(int fd, void *buf, size_t size)
{
    ssize_t n = interrupted() ? -EINTR : host_get(buf, min(size, 65536UL), g_host.pos);

    g_host.pos += n > 0 ? n : 0;
    return n;
}

ssize_t target_host_pread(int fd, void *buf, size_t size, loff_t offset)
{
    assert_true(offset >= 0);
    g_host.calls++;
    return host_get(buf, size, offset);
}

ssize_t target_host_pwrite(int fd, const void *buf, size_t size, loff_t offset,
                           enum target_append append)
{
    bool at_end = append == TARGET_APPEND_YES || (append == TARGET_APPEND_AS_OPENED && g_host.append);
    bool own = offset < 0;
    ssize_t n = interrupted() ? -EINTR
                              : host_put(buf, size, at_end ? (loff_t)g_host.size
                                                    : own  ? g_host.pos
                                                           : offset);

    if (own && n > 0)
        g_host.pos = at_end ? (loff_t)g_host.size : g_host.pos + n;
    return n;
}

ssize_t target_host_write(int fd, const void *buf, size_t size)
{
    return target_host_pwrite(fd, buf, size, -1, TARGET_APPEND_AS_OPENED);
}

loff_t target_host_seek(int fd, loff_t offset, int whence)
{
    loff_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? g_host.pos : (loff_t)g_host.size;

    g_host.calls++;
    if (base + offset < 0)
        return -EINVAL;
    return g_host.pos = base + offset;
}

int target_host_stat(int fd, struct target_stat *st)
{
    *st = (struct target_stat){.mode = S_IFREG | 0640, .nlink = 1, .size = g_host.size, .mtime = 5};
    return 0;
}

int target_host_truncate(int fd, u64 size)
{
    assert_int_equal(fd, 1);
    g_host.size = size;
    return 0;
}

int target_host_fallocate(int fd, int mode, loff_t offset, loff_t size)
{
    return -EOPNOTSUPP;
}

int target_host_sync(int fd, bool data_only)
{
    return data_only ? -ENOSPC : 0;
}

int target_host_set_append(int fd, bool on)
{
    g_host.append = on;
    return 0;
}

/* ---- The kernel around it ------------------------------------------------------------------- */

static struct inode g_inode;
static struct console g_console = {.fd = 1, .kind = TARGET_FD_FILE, .flags = O_RDWR};
static struct file g_file, g_again; /* inherited, and opened again */
static struct group g_group = {.tgid = 1};
static struct cred g_cred;
static u64 g_limit;
static int g_signal;

struct console *console_find(const struct inode *inode, unsigned flags)
{
    return (flags & O_ACCMODE) == O_RDONLY ? NULL : &g_console;
}

void console_set_attr(struct inode *inode, const struct console *c, const struct target_stat *st)
{
    inode->mode = st->mode;
    inode->size = st->size;
}

u64 rlimit(unsigned resource)
{
    assert_int_equal(resource, RLIMIT_FSIZE);
    return g_limit;
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    g_signal = sig;
    return 0;
}

loff_t file_tell(struct file *f)
{
    return f->pos == FILE_POS_OUTSIDE ? f->ops->seek(f, 0, SEEK_CUR) : f->pos;
}

loff_t file_seek_default(struct file *f, loff_t offset, int whence)
{
    loff_t base = whence == SEEK_END ? (loff_t)f->inode->size : whence == SEEK_CUR ? f->pos : 0;

    return f->pos = base + offset;
}

static int setup(void **state)
{
    memset(&g_host, 0, sizeof(g_host));
    g_host.room = FILE_MAX;
    g_host.error = -ENOSPC;
    memcpy(g_host.data, "0123456789", 10);
    g_host.size = 10;
    g_limit = RLIM64_INFINITY;
    g_signal = 0;
    current->group = &g_group;
    current->cred = &g_cred;
    g_inode = (struct inode){.ops = &hostfile_inode_ops, .fops = &hostfile_ops,
                             .mode = S_IFREG, .private = &g_console};
    mutex_init(&g_inode.lock, "inode");
    g_file = (struct file){.ops = &hostfile_ops, .inode = &g_inode, .flags = O_RDWR,
                           .private = &g_console};
    g_again = g_file;
    hostfile_adopt(&g_file);
    return 0;
}

static ssize_t rw(struct file *f, bool write, const void *buf, size_t size, loff_t *pos, int flags)
{
    struct iov_iter it;

    iov_iter_kernel(&it, (void *)(uintptr_t)buf, size);
    it.flags = flags;
    return write ? f->ops->write(f, &it, pos) : f->ops->read(f, &it, pos);
}

static ssize_t do_read(struct file *f, void *buf, size_t size)
{
    return rw(f, false, buf, size, &f->pos, 0);
}

static ssize_t do_write(struct file *f, const void *buf, size_t size)
{
    return rw(f, true, buf, size, &f->pos, 0);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void test_offset_is_the_hosts(void **state)
{
    char buf[16];

    assert_true(g_file.seekable);
    assert_int_equal(do_read(&g_file, buf, 3), 3);
    assert_int_equal(g_host.pos, 3);
    g_host.pos = 7; /* another process moved it */
    assert_int_equal(do_read(&g_file, buf, 16), 3);
    assert_memory_equal(buf, "789", 3);
    assert_int_equal(do_read(&g_file, buf, 16), 0);
    assert_int_equal(g_file.ops->seek(&g_file, -4, SEEK_END), 6);
    assert_int_equal(do_write(&g_file, "xy", 2), 2);
    assert_memory_equal(g_host.data, "012345xy89", 10);
    assert_int_equal(g_file.ops->seek(&g_file, -9, SEEK_CUR), -EINVAL);
    assert_int_equal(g_file.pos, FILE_POS_OUTSIDE);
}

static void test_positioned(void **state)
{
    loff_t pos = 4;
    char buf[4] = "";

    assert_int_equal(rw(&g_file, false, buf, 2, &pos, 0), 2);
    assert_memory_equal(buf, "45", 2);
    assert_int_equal(rw(&g_file, true, "Z", 1, &pos, 0), 1);
    assert_int_equal(g_host.data[6], 'Z');
    assert_int_equal(g_host.pos, 0);
}

static void test_opened_again(void **state)
{
    char buf[16];

    g_host.pos = 9;
    assert_int_equal(do_read(&g_again, buf, 4), 4);
    assert_memory_equal(buf, "0123", 4);
    assert_int_equal(g_again.pos, 4);
    assert_int_equal(g_host.pos, 9);
    g_host.append = true; /* not of this description */
    assert_int_equal(do_write(&g_again, "x", 1), 1);
    assert_int_equal(g_host.data[4], 'x');
    g_again.flags |= O_APPEND;
    assert_int_equal(do_write(&g_again, "end", 3), 3);
    assert_int_equal(g_host.size, 13);
    assert_int_equal(g_again.pos, 13);
    assert_int_equal(g_again.ops->seek(&g_again, -1, SEEK_END), 12);
}

static void test_large(void **state)
{
    static char big[FILE_MAX];

    memset(big, 'b', sizeof(big));
    assert_int_equal(do_write(&g_file, big, 150000), 150000);
    assert_int_equal(g_host.size, 150000);
    g_host.pos = 0;
    g_host.calls = 0;
    assert_int_equal(do_read(&g_file, big, FILE_MAX), 150000);
    assert_int_equal(g_host.calls, 3); /* the last was short: nobody asks again */
}

static void test_interrupts_are_not_seen(void **state)
{
    char buf[4];

    g_host.interrupts = 3;
    assert_int_equal(do_read(&g_file, buf, 4), 4);
    g_host.interrupts = 3;
    assert_int_equal(do_write(&g_file, "abcd", 4), 4);
}

static void test_append(void **state)
{
    assert_int_equal(g_file.ops->set_flags(&g_file, O_RDWR | O_APPEND), 0);
    assert_true(g_host.append);
    g_file.flags |= O_APPEND;
    assert_int_equal(do_write(&g_file, "A", 1), 1);
    assert_int_equal(g_host.data[10], 'A');
    assert_int_equal(g_host.pos, 11);
    assert_int_equal(g_file.ops->set_flags(&g_file, O_RDWR), 0);
    assert_false(g_host.append);
    g_file.flags = O_RDWR;
    g_host.pos = 0;
    assert_int_equal(rw(&g_file, true, "B", 1, &g_file.pos, RWF_APPEND), 1);
    assert_int_equal(g_host.data[11], 'B');
    assert_int_equal(g_again.ops->set_flags(&g_again, O_RDWR | O_APPEND), 0);
    assert_false(g_host.append);
}

static void test_limits(void **state)
{
    static char big[200];

    g_host.room = 100;
    assert_int_equal(do_write(&g_file, big, 200), 100);
    assert_int_equal(do_write(&g_file, big, 200), -ENOSPC);
    assert_int_equal(g_signal, 0);
    g_host.error = -EFBIG; /* the host's own limit */
    assert_int_equal(do_write(&g_file, big, 200), -EFBIG);
    assert_int_equal(g_signal, SIGXFSZ);
    g_host.error = 0; /* a host that takes nothing */
    assert_int_equal(do_write(&g_file, big, 200), -EIO);
    g_signal = 0;
    g_host.pos = 20;
    g_limit = 50;
    assert_int_equal(do_write(&g_file, big, 200), 30);
    assert_int_equal(do_write(&g_file, big, 200), -EFBIG);
    assert_int_equal(g_signal, SIGXFSZ);
}

static void test_bad_address(void **state)
{
    struct iov_iter it;
    char buf[4];
    struct iovec parts[2] = {{buf, 4}, {(void *)8, 4}};

    null_catch_faults();
    iov_iter_user(&it, (void *)8, 4);
    assert_int_equal(g_file.ops->read(&g_file, &it, &g_file.pos), -EFAULT);
    assert_int_equal(g_host.pos, 0);
    iov_iter_user(&it, (void *)8, 4);
    assert_int_equal(g_file.ops->write(&g_file, &it, &g_file.pos), -EFAULT);
    iov_iter_vec(&it, parts, 2, 8);
    assert_int_equal(g_file.ops->read(&g_file, &it, &g_file.pos), 4);
    assert_int_equal(g_host.pos, 4);
}

static void test_attributes(void **state)
{
    struct iattr attr = {.valid = ATTR_SIZE | ATTR_MTIME, .size = 3};

    assert_int_equal(hostfile_inode_ops.getattr(&g_inode), 0);
    assert_int_equal(g_inode.size, 10);
    assert_int_equal(hostfile_inode_ops.setattr(&g_inode, &attr), 0);
    assert_int_equal(g_host.size, 3);
    attr.valid = ATTR_MODE;
    assert_int_equal(hostfile_inode_ops.setattr(&g_inode, &attr), -EPERM);
    assert_int_equal(g_file.ops->fsync(&g_file, false), 0);
    assert_int_equal(g_file.ops->fsync(&g_file, true), -ENOSPC);
    g_again.flags = O_RDONLY;
    assert_int_equal(hostfile_inode_ops.open(&g_inode, &g_again), -EACCES);
    g_again.flags = O_WRONLY;
    assert_int_equal(hostfile_inode_ops.open(&g_inode, &g_again), 0);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_offset_is_the_hosts), T(test_positioned),  T(test_opened_again), T(test_large),
        T(test_interrupts_are_not_seen), T(test_append),  T(test_limits),       T(test_bad_address),
        T(test_attributes),
    };

    return cmocka_run_group_tests_name("hostfile", tests, NULL, NULL);
}
