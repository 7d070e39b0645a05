/* SPDX-License-Identifier: MIT */
/*
 * Offsets, limits and flags of the read and write calls, lseek, sendfile and getdents, over a file
 * in memory and a table of descriptors of the test's own.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <linux/fs.h>
#include <null.h>

#include "../rw.h"

#include <stdarg.h>
#include <cmocka.h>

long sys_read(int fd, void __user *buf, size_t size);
long sys_write(int fd, const void __user *buf, size_t size);
long sys_pread64(int fd, void __user *buf, size_t size, loff_t pos);
long sys_pwrite64(int fd, const void __user *buf, size_t size, loff_t pos);
long sys_readv(int fd, const struct iovec __user *vec, unsigned long segs);
long sys_pwritev2(int fd, const struct iovec __user *vec, unsigned long segs, unsigned long pos_low,
                  unsigned long pos_high, int flags);
long sys_lseek(int fd, off_t offset, unsigned whence);
long sys_sendfile(int out, int in, off_t __user *offset, size_t size);
long sys_copy_file_range(int in, loff_t __user *ipos, int out, loff_t __user *opos, size_t size,
                         unsigned flags);
long sys_getdents64(int fd, void __user *out, unsigned size);

/* ---- What stands around the calls ----------------------------------------------------------- */

#define FILES 4

static struct file g_files[FILES];
static struct inode g_inodes[FILES];
static struct superblock g_sb;
static char g_data[FILES][256];
static u64 g_fsize_limit;
static int g_signal;
static struct group g_group;
static struct cred g_cred;

struct fd fd_borrow(int fd)
{
    bool open = fd >= 0 && fd < FILES && g_files[fd].inode;

    return (struct fd){.file = open ? &g_files[fd] : NULL};
}

struct file *fd_get(int fd)
{
    struct fd f = fd_borrow(fd);

    return f.file ? file_get(f.file) : NULL;
}

void file_put(struct file *f)
{
    (void)ref_put(&f->ref);
}

void file_accessed(struct file *f)
{
    (void)f;
}

u64 rlimit(unsigned resource)
{
    return resource == RLIMIT_FSIZE ? g_fsize_limit : RLIM_INFINITY_;
}

bool capable(int cap)
{
    (void)cap;
    return false;
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    (void)t;
    (void)info;
    g_signal = sig;
    return 0;
}

static char *data_of(const struct file *f)
{
    return g_data[f->inode - g_inodes];
}

static ssize_t mem_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    size_t left = (u64)*pos < f->inode->size ? f->inode->size - (u64)*pos : 0;
    size_t n = copy_to_iter(data_of(f) + *pos, min(left, to->count), to);

    *pos += (loff_t)n;
    return (ssize_t)n;
}

static ssize_t mem_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    ssize_t n;

    mutex_lock(&f->inode->lock);
    n = file_write_checks(f, from, pos);
    if (n > 0 && *pos + n > (loff_t)sizeof(g_data[0]))
        n = -ENOSPC;
    if (n > 0) {
        n = (ssize_t)copy_from_iter(data_of(f) + *pos, (size_t)n, from);
        *pos += n;
        f->inode->size = max(f->inode->size, (u64)*pos);
    }
    mutex_unlock(&f->inode->lock);
    return n;
}

static int list_names(struct file *f, struct dir_context *ctx)
{
    static const char *const names[] = {".", "..", "a", "long-name-of-a-file", "b"};

    (void)f;
    for (; ctx->pos < (loff_t)ARRAY_COUNT(names); ctx->pos++) {
        const char *s = names[ctx->pos];

        if (!ctx->emit(ctx, s, strlen(s), ctx->pos + 1, 100 + (ino_t)ctx->pos, 8))
            return 0;
        ctx->pos--; /* emit moved it; the loop does too */
    }
    return 0;
}

static const struct file_ops g_mem_ops = {.read = mem_read, .write = mem_write};
static const struct file_ops g_dir_ops = {.readdir = list_names};

static void open_mem(int fd, unsigned flags, const char *text)
{
    struct file *f = &g_files[fd];
    struct inode *inode = &g_inodes[fd];

    *inode = (struct inode){.mode = S_IFREG | 0644, .nlink = 1, .size = strlen(text), .sb = &g_sb};
    mutex_init(&inode->lock, "inode");
    *f = (struct file){.inode = inode, .ops = &g_mem_ops, .flags = flags, .seekable = true};
    ref_init(&f->ref);
    mutex_init(&f->pos_lock, "pos");
    memcpy(g_data[fd], text, strlen(text));
}

static int setup(void **state)
{
    (void)state;
    memset(g_files, 0, sizeof(g_files));
    memset(g_data, 0, sizeof(g_data));
    g_fsize_limit = RLIM_INFINITY_;
    g_signal = 0;
    current->group = &g_group;
    current->cred = &g_cred;
    open_mem(0, O_RDWR, "0123456789");
    return 0;
}

/* ---- read and write ------------------------------------------------------------------------- */

static void test_offsets(void **state)
{
    char buf[16] = "";

    (void)state;
    assert_int_equal(sys_read(0, buf, 4), 4);
    assert_memory_equal(buf, "0123", 4);
    assert_int_equal(sys_pread64(0, buf, 3, 7), 3);
    assert_memory_equal(buf, "789", 3);
    assert_int_equal(sys_read(0, buf, 2), 2); /* pread did not move it */
    assert_memory_equal(buf, "45", 2);
    assert_int_equal(sys_write(0, "xy", 2), 2);
    assert_int_equal(sys_pwrite64(0, "A", 1, 0), 1);
    assert_int_equal(sys_read(0, buf, 16), 2);
    assert_int_equal(sys_read(0, buf, 16), 0);
    assert_memory_equal(g_data[0], "A12345xy89", 10);
}

static void test_refusals(void **state)
{
    char c;

    (void)state;
    open_mem(1, O_RDONLY, "r");
    open_mem(2, O_WRONLY, "w");
    assert_int_equal(sys_read(3, &c, 1), -EBADF);
    assert_int_equal(sys_read(2, &c, 1), -EBADF);
    assert_int_equal(sys_write(1, &c, 1), -EBADF);
    assert_int_equal(sys_pread64(0, &c, 1, -1), -EINVAL);
    assert_int_equal(sys_read(0, (void *)8, 1), 0); /* at the end no copy comes to it */
    assert_int_equal(sys_read(0, (void *)(UINTPTR_MAX - 1), 1), -EFAULT);
    assert_int_equal(sys_read(0, &c, SIZE_MAX), -EFAULT);
    g_files[0].seekable = false;
    assert_int_equal(sys_pread64(0, &c, 1, 0), -ESPIPE);
    assert_int_equal(sys_lseek(0, 0, SEEK_SET), -ESPIPE);
    g_files[0].ops = &g_dir_ops;
    assert_int_equal(sys_read(0, &c, 1), -EINVAL);
    g_inodes[0].mode = S_IFDIR | 0755;
    assert_int_equal(sys_read(0, &c, 1), -EISDIR);
}

static void test_append(void **state)
{
    struct iovec v = {(void *)(uintptr_t)"Z", 1};

    (void)state;
    g_files[0].flags |= O_APPEND;
    assert_int_equal(sys_write(0, "ab", 2), 2);
    assert_int_equal(g_files[0].pos, 12);
    assert_int_equal(sys_pwrite64(0, "c", 1, 0), 1); /* Linux appends here too (pwrite(2), BUGS) */
    assert_memory_equal(g_data[0], "0123456789abc", 13);
    assert_int_equal(g_files[0].pos, 12);
    g_files[0].flags &= ~(unsigned)O_APPEND;
    assert_int_equal(sys_pwritev2(0, &v, 1, 0, 0, RWF_APPEND), 1);
    assert_memory_equal(g_data[0], "0123456789abcZ", 14);
    assert_int_equal(sys_pwritev2(0, &v, 1, 0, 0, 1 << 20), -EOPNOTSUPP);
}

static void test_size_limit(void **state)
{
    (void)state;
    g_fsize_limit = 12;
    g_files[0].pos = 10;
    assert_int_equal(sys_write(0, "abcd", 4), 2); /* what fits */
    assert_int_equal(g_signal, 0);
    assert_int_equal(sys_write(0, "e", 1), -EFBIG);
    assert_int_equal(g_signal, SIGXFSZ);
    assert_int_equal(g_inodes[0].size, 12);
}

static void test_setid_falls(void **state)
{
    (void)state;
    g_inodes[0].mode = S_IFREG | 06755;
    assert_int_equal(sys_write(0, "x", 1), 1);
    assert_int_equal(g_inodes[0].mode, S_IFREG | 0755);
}

static void test_seals(void **state)
{
    (void)state;
    g_inodes[0].seals = F_SEAL_GROW;
    assert_int_equal(sys_pwrite64(0, "x", 1, 9), 1);
    assert_int_equal(sys_pwrite64(0, "xy", 2, 9), -EPERM);
    g_inodes[0].seals = F_SEAL_WRITE;
    assert_int_equal(sys_pwrite64(0, "x", 1, 0), -EPERM);
}

static void test_vectors(void **state)
{
    char a[3] = "", b[4] = "";
    struct iovec v[] = {{a, 2}, {NULL, 0}, {b, 3}};

    (void)state;
    assert_int_equal(sys_readv(0, v, 3), 5);
    assert_string_equal(a, "01");
    assert_string_equal(b, "234");
    assert_int_equal(g_files[0].pos, 5);
    assert_int_equal(sys_readv(0, v, 1025), -EINVAL);
}

static void test_seek(void **state)
{
    (void)state;
    assert_int_equal(sys_lseek(0, 3, SEEK_SET), 3);
    assert_int_equal(sys_lseek(0, 2, SEEK_CUR), 5);
    assert_int_equal(sys_lseek(0, -1, SEEK_END), 9);
    assert_int_equal(sys_lseek(0, 100, SEEK_END), 110);
    assert_int_equal(sys_lseek(0, -1, SEEK_SET), -EINVAL);
    assert_int_equal(sys_lseek(0, INT64_MAX, SEEK_END), -EINVAL);
    assert_int_equal(sys_lseek(0, 4, SEEK_DATA), 4);
    assert_int_equal(sys_lseek(0, 4, SEEK_HOLE), 10);
    assert_int_equal(sys_lseek(0, 10, SEEK_DATA), -ENXIO);
    assert_int_equal(sys_lseek(0, 0, 5), -EINVAL);
    assert_int_equal(g_files[0].pos, 10);
}

/* ---- Copies --------------------------------------------------------------------------------- */

static void test_sendfile(void **state)
{
    off_t at = 4;

    (void)state;
    open_mem(1, O_RDWR, "");
    assert_int_equal(sys_sendfile(1, 0, &at, 100), 6);
    assert_int_equal(at, 10);
    assert_int_equal(g_files[0].pos, 0);
    assert_int_equal(sys_sendfile(1, 0, NULL, 3), 3);
    assert_int_equal(g_files[0].pos, 3);
    assert_memory_equal(g_data[1], "456789012", 9);
    g_fsize_limit = 10; /* a short write: the rest was not read */
    assert_int_equal(sys_sendfile(1, 0, NULL, 5), 1);
    assert_int_equal(g_files[0].pos, 4);
    g_files[1].flags |= O_APPEND;
    assert_int_equal(sys_sendfile(1, 0, NULL, 1), -EINVAL);
}

static void test_copy_file_range(void **state)
{
    loff_t from = 2, to = 5;

    (void)state;
    open_mem(1, O_RDWR, "");
    assert_int_equal(sys_copy_file_range(0, &from, 1, NULL, 3, 0), 3);
    assert_int_equal(from, 5);
    assert_memory_equal(g_data[1], "234", 3);
    from = 4;
    assert_int_equal(sys_copy_file_range(0, &from, 0, &to, 3, 0), -EINVAL); /* overlap */
    assert_int_equal(sys_copy_file_range(0, &from, 0, &to, 1, 0), 1);
    assert_memory_equal(g_data[0], "0123446789", 10);
    assert_int_equal(sys_copy_file_range(0, NULL, 1, NULL, 1, 1), -EINVAL);
}

/* ---- getdents64: the next call goes on where the buffer was full ---------------------------- */

static void test_getdents_resumes(void **state)
{
    char all[512], buf[64];
    long n, size = 0;

    (void)state;
    g_files[0].ops = &g_dir_ops;
    g_inodes[0].mode = S_IFDIR | 0755;
    assert_int_equal(sys_getdents64(0, buf, 20), -EINVAL); /* not even one */
    while ((n = sys_getdents64(0, buf, sizeof(buf))) > 0) {
        memcpy(all + size, buf, (size_t)n);
        size += n;
    }
    assert_int_equal(n, 0);
    g_files[0].pos = 0;
    assert_int_equal(sys_getdents64(0, all + 256, 256), size);
    assert_memory_equal(all, all + 256, (size_t)size);
    assert_string_equal(all + 24 * 3 + 19, "long-name-of-a-file");
    assert_int_equal(sys_getdents64(0, buf, sizeof(buf)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_offsets, setup),
        cmocka_unit_test_setup(test_refusals, setup),
        cmocka_unit_test_setup(test_append, setup),
        cmocka_unit_test_setup(test_size_limit, setup),
        cmocka_unit_test_setup(test_setid_falls, setup),
        cmocka_unit_test_setup(test_seals, setup),
        cmocka_unit_test_setup(test_vectors, setup),
        cmocka_unit_test_setup(test_seek, setup),
        cmocka_unit_test_setup(test_sendfile, setup),
        cmocka_unit_test_setup(test_copy_file_range, setup),
        cmocka_unit_test_setup(test_getdents_resumes, setup),
    };

    return cmocka_run_group_tests_name("read_write", tests, NULL, NULL);
}
