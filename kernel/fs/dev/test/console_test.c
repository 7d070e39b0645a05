/* SPDX-License-Identifier: MIT */
/*
 * The console over a host that the test plays: one host call a write, waiting for input with
 * signals, O_NONBLOCK inside only, broken pipes, a raw terminal's reads, requests, job control, and
 * what stands behind descriptors. Regular files: hostfile_test.c.
 */
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/pseudofs.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/fcntl.h>
#include <null.h>

#include "../dev.h"

#include <stdarg.h>
#include <cmocka.h>

/* ---- The host ------------------------------------------------------------------------------- */

static struct {
    enum target_fd_kind kind[3];
    int flags[3];
    char input[64];
    size_t input_size;
    unsigned reads, writes, ioctls, blocks;
    ssize_t write_result; /* 0: all */
    size_t last_write;
    int ready_after;      /* blocks until input is there; -1: never */
    bool interrupt;       /* a signal comes instead */
    struct termios termios;
    struct target_stat stat;
} g_host;

const struct file_ops hostfile_ops;
const struct inode_ops hostfile_inode_ops;

void hostfile_adopt(struct file *f)
{
    f->pos = FILE_POS_OUTSIDE;
}

int target_host_stat(int fd, struct target_stat *st)
{
    *st = g_host.stat;
    st->identity += (u64)fd % 2; /* 0 and 2 are one file */
    return g_host.stat.mode ? 0 : -EIO;
}

enum target_fd_kind target_host_fd_kind(int fd, int *flags)
{
    *flags = g_host.flags[fd];
    return g_host.kind[fd];
}

ssize_t target_host_read(int fd, void *buf, size_t size)
{
    size_t n = min(size, g_host.input_size);

    g_host.reads++;
    memcpy(buf, g_host.input, n);
    g_host.input_size -= n;
    return (ssize_t)n;
}

ssize_t target_host_write(int fd, const void *buf, size_t size)
{
    g_host.writes++;
    g_host.last_write = size;
    return g_host.write_result ? g_host.write_result : (ssize_t)size;
}

int target_host_poll(int fd, unsigned events)
{
    unsigned ready = g_host.write_result == -EAGAIN ? 0 : POLLOUT;

    if (g_host.ready_after == 0)
        ready |= POLLIN;
    return (int)(ready & events);
}

int target_host_ioctl(int fd, unsigned request, void *arg, size_t size)
{
    g_host.ioctls++;
    if (request == TCGETS)
        memcpy(arg, &g_host.termios, size);
    else if (request == TCSETS)
        memcpy(&g_host.termios, arg, size);
    else if (request == FIONREAD)
        *(int *)arg = (int)g_host.input_size;
    else
        return -EINVAL;
    return 0;
}

/* ---- The kernel around it ------------------------------------------------------------------- */

static struct file *g_fds[3];
static struct file g_files[3];
static struct inode g_inodes[3];
static struct dentry g_dentries[3];
static unsigned g_created;
static const char *g_opened; /* by name */
static struct group g_group = {.tgid = 1, .pgid = 1, .sid = 1};
static struct cred g_cred;
static int g_signal;
static u64 g_deadline;

int task_block(u64 deadline, bool interruptible)
{
    g_host.blocks++;
    g_deadline = deadline;
    if (g_host.interrupt)
        return -EINTR;
    if (g_host.ready_after > 0)
        g_host.ready_after--;
    else if (deadline != DEADLINE_NONE)
        return -ETIMEDOUT;
    return 0;
}

void waiter_add(struct waiter *w, struct waitqueue *wq, unsigned events)
{
    assert_false(events & POLLOUT && events & POLLIN); /* or a writable terminal never waits */
    w->wq = wq;
}

void waiter_remove(struct waiter *w)
{
}

void waitqueue_init(struct waitqueue *wq)
{
    *wq = (struct waitqueue){.host_fd = -1};
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    g_signal = sig;
    return 0;
}

bool signal_pending(void)
{
    return false;
}

/* One process: ctty.c is linked, what it asks of others is played. */
spinlock_t g_task_list_lock = SPINLOCK_INIT("task_list");
struct list g_groups = LIST_INIT(g_groups);

pid_t pgrp_session(pid_t pgid)
{
    return pgid == 1 ? 1 : -ESRCH;
}

void pgrp_hang_up(pid_t pgid)
{
}

struct group *group_find(pid_t tgid)
{
    return NULL;
}

void group_put(struct group *g)
{
}

int signal_send_group(struct group *g, int sig, const siginfo_t *info)
{
    return 0;
}

bool pgrp_orphaned(pid_t pgid)
{
    return false;
}

unsigned pgrp_signal(pid_t pgid, int sig, const siginfo_t *info)
{
    return 1;
}

bool signal_unwanted(int sig)
{
    return false;
}

bool capable(int cap)
{
    return false;
}

struct file *file_create_anon(const char *name, const struct file_ops *ops, void *priv, int flags)
{
    struct file *f = &g_files[g_created];

    g_inodes[g_created].ino = 70 + g_created;
    g_dentries[g_created].inode = &g_inodes[g_created];
    *f = (struct file){.ops = ops, .private = priv, .flags = (unsigned)flags,
                       .inode = &g_inodes[g_created], .path.dentry = &g_dentries[g_created]};
    g_created++;
    return f;
}

void file_name_anon(struct file *f, const char *kind)
{
    f->path.dentry->name = kind;
}

struct file *file_create_on(struct inode *inode, const char *name, int flags)
{
    struct file *f = file_create_anon(name, inode->fops, NULL, flags);

    f->inode = inode;
    return f;
}

/* As mem.c's for null. */
const char *mem_path(dev_t rdev)
{
    return rdev == dev_make(DEV_MEM_MAJOR, 3) ? "/dev/null" : NULL;
}

void inode_get(struct inode *i)
{
}

struct file *file_open_at(int dfd, const char *name, int flags, mode_t mode)
{
    struct file *f = &g_files[g_created];

    g_opened = name;
    if (strcmp(name, "/dev/pts/0")) {
        g_created++;
        return f;
    }
    *f = (struct file){.flags = (unsigned)flags, .inode = &g_inodes[g_created]};
    g_created++;
    return tty_open(DEV_PTS_MAJOR, 0, f) ? ERR_PTR(-ENXIO) : f;
}

int fd_install_at(struct file *f, int fd, bool cloexec)
{
    assert_false(cloexec);
    g_fds[fd] = f;
    return fd;
}

static ssize_t do_read(int fd, void *buf, size_t size)
{
    struct iov_iter it;
    loff_t pos = 0;

    iov_iter_kernel(&it, buf, size);
    return g_fds[fd]->ops->read(g_fds[fd], &it, &pos);
}

static ssize_t do_write(int fd, const void *buf, size_t size)
{
    struct iov_iter it;
    loff_t pos = 0;

    iov_iter_kernel(&it, (void *)(uintptr_t)buf, size);
    return g_fds[fd]->ops->write(g_fds[fd], &it, &pos);
}

static long do_ioctl(int fd, unsigned cmd, void *arg)
{
    return g_fds[fd]->ops->ioctl(g_fds[fd], cmd, (unsigned long)arg);
}

/* Descriptor 2 is like 1 where the host tells attributes, and closed otherwise. */
static void start_told(enum target_fd_kind in, enum target_fd_kind out,
                       const struct target_stat *told)
{
    memset(&g_host, 0, sizeof(g_host));
    memset(g_fds, 0, sizeof(g_fds));
    memset(g_inodes, 0, sizeof(g_inodes));
    g_created = 0;
    g_signal = 0;
    current->group = &g_group;
    if (list_empty(&g_groups))
        list_add(&g_groups, &g_group.link);
    current->cred = &g_cred;
    g_host.kind[0] = in;
    g_host.kind[1] = out;
    g_host.flags[0] = in == TARGET_FD_TTY ? O_RDWR : O_RDONLY;
    g_host.flags[1] = out == TARGET_FD_TTY ? O_RDWR : O_WRONLY;
    g_host.termios.c_lflag = ICANON;
    if (told) {
        g_host.stat = *told;
        g_host.kind[2] = out;
        g_host.flags[2] = g_host.flags[1];
    }
    console_probe();
    assert_int_equal(console_install(), 0);
}

static void start(enum target_fd_kind in, enum target_fd_kind out)
{
    start_told(in, out, NULL);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void test_kinds(void **state)
{
    start(TARGET_FD_CLOSED, TARGET_FD_PIPE);
    assert_null(g_fds[0]);
    assert_null(g_fds[2]);
    assert_int_equal(g_fds[1]->inode->mode, S_IFIFO | 0600);
    assert_string_equal(g_dentries[0].name, "pipe");
    assert_int_equal(g_fds[1]->flags, O_WRONLY);
    start(TARGET_FD_FILE, TARGET_FD_OTHER);
    assert_int_equal(g_fds[0]->inode->mode, S_IFREG | 0600);
    assert_ptr_equal(g_fds[0]->ops, &hostfile_ops);
    assert_int_equal(g_fds[0]->pos, FILE_POS_OUTSIDE);
    assert_true(S_ISCHR(g_fds[1]->inode->mode));
    start(TARGET_FD_TTY, TARGET_FD_TTY);
    assert_int_equal(((struct console *)g_fds[0]->private)->fd, 0);
    assert_int_equal(((struct console *)g_fds[1]->private)->fd, 1);
}

/* The host's word on type counts only where the kind leaves it open. */
static void test_attributes(void **state)
{
    start_told(TARGET_FD_FILE, TARGET_FD_FILE,
               &(struct target_stat){.mode = S_IFDIR | 04751, .size = 12, .uid = 7, .rdev = 9});
    assert_int_equal(g_fds[0]->inode->mode, S_IFREG | 04751);
    assert_int_equal(g_fds[0]->inode->size, 12);
    assert_int_equal(g_fds[0]->inode->uid, 7);
    assert_int_equal(g_fds[0]->inode->rdev, 0);
    assert_ptr_not_equal(g_fds[0]->inode, g_fds[1]->inode);
    assert_ptr_equal(g_fds[0]->inode, g_fds[2]->inode);
    assert_int_equal(((struct console *)g_fds[2]->private)->fd, 2);
    assert_ptr_equal(console_find(g_fds[0]->inode, O_WRONLY), g_fds[2]->private);
    assert_ptr_equal(console_find(g_fds[0]->inode, O_RDONLY), g_fds[0]->private);
    assert_null(console_find(g_fds[1]->inode, O_RDWR));
    start_told(TARGET_FD_FILE, TARGET_FD_FILE, &(struct target_stat){.mode = S_IFBLK, .rdev = 9});
    assert_int_equal(g_fds[0]->inode->mode, S_IFBLK);
    assert_int_equal(g_fds[0]->inode->rdev, 9);
}

static void test_devices_and_sockets(void **state)
{
    struct target_stat null = {.mode = S_IFCHR | 0666, .rdev = dev_make(DEV_MEM_MAJOR, 3)};
    struct target_stat other = {.mode = S_IFCHR | 0600, .rdev = dev_make(10, 200)};

    start_told(TARGET_FD_PIPE, TARGET_FD_OTHER, &null);
    assert_string_equal(g_opened, "/dev/null");
    assert_ptr_not_equal(g_fds[1]->ops, &console_ops);
    g_opened = NULL;
    null.mode = S_IFREG; /* not the device of that number */
    start_told(TARGET_FD_PIPE, TARGET_FD_OTHER, &null);
    assert_null(g_opened);
    start_told(TARGET_FD_PIPE, TARGET_FD_OTHER, &other);
    assert_null(g_opened);
    assert_ptr_equal(g_fds[1]->ops, &console_ops);
    assert_int_equal(g_fds[1]->inode->mode, other.mode);
    assert_int_equal(g_fds[1]->inode->rdev, other.rdev);
    start(TARGET_FD_SOCKET, TARGET_FD_PIPE);
    assert_int_equal(g_fds[0]->inode->mode, S_IFSOCK | 0777);
    assert_string_equal(g_dentries[0].name, "socket");
    assert_int_equal(g_fds[0]->flags, O_RDONLY);
}

static void test_one_host_call(void **state)
{
    static char big[200000];

    start(TARGET_FD_PIPE, TARGET_FD_PIPE);
    assert_int_equal(do_write(1, "hello\n", 6), 6);
    assert_int_equal(g_host.writes, 1);
    assert_int_equal(do_write(1, big, 65536), 65536);
    assert_int_equal(g_host.writes, 2);
    assert_int_equal(do_write(1, big, sizeof(big)), sizeof(big));
    assert_int_equal(g_host.writes, 6);
    assert_int_equal(g_host.blocks + g_host.reads + g_host.ioctls, 0);
}

static void test_write_errors(void **state)
{
    start(TARGET_FD_PIPE, TARGET_FD_PIPE);
    g_host.write_result = -EPIPE;
    assert_int_equal(do_write(1, "x", 1), -EPIPE);
    assert_int_equal(g_signal, SIGPIPE);
    g_host.write_result = 3; /* the host takes a part at a time */
    assert_int_equal(do_write(1, "abcdef", 6), 6);
    g_host.write_result = -EAGAIN;
    g_host.interrupt = true;
    assert_int_equal(do_write(1, "x", 1), -ERESTARTSYS);
    g_fds[1]->flags |= O_NONBLOCK;
    assert_int_equal(do_write(1, "x", 1), -EAGAIN);
}

static void test_nonblocking_write_is_small(void **state)
{
    static char big[20000];

    start(TARGET_FD_PIPE, TARGET_FD_PIPE);
    g_fds[1]->flags |= O_NONBLOCK;
    assert_int_equal(do_write(1, big, sizeof(big)), sizeof(big));
    assert_int_equal(g_host.writes, 5);
    assert_true(g_host.last_write <= 4096);
}

static void test_read_waits(void **state)
{
    char buf[8];

    start(TARGET_FD_PIPE, TARGET_FD_PIPE);
    memcpy(g_host.input, "line\n", 5);
    g_host.input_size = 5;
    g_host.ready_after = 2;
    assert_int_equal(do_read(0, buf, 8), 5);
    assert_memory_equal(buf, "line\n", 5);
    assert_int_equal(g_host.blocks, 2);
    assert_int_equal(g_host.reads, 1);
    g_host.ready_after = 1;
    g_host.interrupt = true;
    assert_int_equal(do_read(0, buf, 8), -ERESTARTSYS);
    g_fds[0]->flags |= O_NONBLOCK;
    assert_int_equal(do_read(0, buf, 8), -EAGAIN);
    assert_int_equal(g_host.reads, 1);
}

static void test_raw_terminal(void **state)
{
    struct termios raw;
    char c;

    start(TARGET_FD_TTY, TARGET_FD_TTY);
    g_host.ready_after = -1;
    assert_int_equal(do_ioctl(0, TCGETS, &raw), 0);
    raw.c_lflag &= ~(unsigned)ICANON;
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    assert_int_equal(do_ioctl(1, TCSETS, &raw), 0);
    assert_int_equal(do_read(0, &c, 1), 0); /* polls */
    assert_int_equal(g_host.blocks, 0);
    raw.c_cc[VTIME] = 5;
    assert_int_equal(do_ioctl(0, TCSETS, &raw), 0);
    assert_int_equal(do_read(0, &c, 1), 0); /* half a second */
    assert_int_equal(g_host.blocks, 1);
    assert_in_range(g_deadline - time_monotonic(), 1, 500000000);
}

static void test_requests(void **state)
{
    struct termios t;
    int n;

    start(TARGET_FD_PIPE, TARGET_FD_TTY);
    assert_int_equal(do_ioctl(0, TCGETS, &t), -ENOTTY);
    g_host.input_size = 9;
    assert_int_equal(do_ioctl(0, FIONREAD, &n), 0);
    assert_int_equal(n, 9);
    assert_int_equal(do_ioctl(1, TCGETS, &t), 0);
    assert_int_equal(do_ioctl(1, TCGETS, (void *)8), -EFAULT);
    assert_int_equal(do_ioctl(1, 0xdead, &t), -ENOTTY);
    assert_int_equal(do_ioctl(1, TIOCSTI, &t), -EIO);
}

static void test_job_control(void **state)
{
    pid_t pid = 0;
    unsigned number;

    start(TARGET_FD_TTY, TARGET_FD_TTY);
    g_host.ioctls = 0;
    assert_int_equal(do_ioctl(0, TIOCGPGRP, &pid), 0);
    assert_int_equal(pid, 1);
    assert_int_equal(do_ioctl(0, TIOCGSID, &pid), 0);
    assert_int_equal(pid, 1);
    pid = 77;
    assert_int_equal(do_ioctl(0, TIOCSPGRP, &pid), -ESRCH);
    tty_ids(&g_group, &number, &pid);
    assert_int_equal(number, 136 << 8);
    assert_int_equal(pid, 1);
    assert_int_equal(do_ioctl(0, TIOCNOTTY, NULL), 0);
    assert_int_equal(do_ioctl(0, TIOCGPGRP, &pid), -ENOTTY);
    assert_int_equal(tty_open(DEV_TTY_MAJOR, 0, &g_files[2]), -ENXIO);
    assert_int_equal(do_ioctl(0, TIOCSCTTY, NULL), 0);
    assert_int_equal(tty_open(DEV_TTY_MAJOR, 0, &g_files[2]), 0);
    assert_int_equal(g_host.ioctls, 0); /* none of the host's business */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),        cmocka_unit_test(test_one_host_call),
        cmocka_unit_test(test_write_errors), cmocka_unit_test(test_nonblocking_write_is_small),
        cmocka_unit_test(test_read_waits),   cmocka_unit_test(test_raw_terminal),
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_job_control),
        cmocka_unit_test(test_attributes),   cmocka_unit_test(test_devices_and_sockets),
    };

    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
