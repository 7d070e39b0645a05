/* SPDX-License-Identifier: MIT */
/*
 * devtmpfs, proc and sysfs through the whole VFS, hosted: what files contain, what directories
 * list, links to descriptors, and what may be written. Address spaces are the test's own.
 */
#include <kernel/alloc.h>
#include <kernel/boot.h>
#include <kernel/core.h>
#include <kernel/files.h>
#include <kernel/ipc.h>
#include <kernel/mm.h>
#include <kernel/pseudofs.h>
#include <kernel/signal.h>
#include <kernel/socket.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/uts.h>
#include <linux/fcntl.h>
#include <null.h>

#include "../../cpio/rootfs.h"

#include <stdarg.h>
#include <cmocka.h>

char *ipc_list_text(enum ipc_kind kind)
{
    return kstrdup("headline\n");
}

long sys_read(int fd, void __user *buf, size_t size);
long sys_write(int fd, const void __user *buf, size_t size);
long sys_lseek(int fd, off_t offset, unsigned whence);
long sys_open(const char __user *path, int flags, mode_t mode);
long sys_close(int fd);
long sys_dup(int fd);
long sys_fcntl(int fd, unsigned cmd, unsigned long arg);
long sys_readlink(const char __user *path, void __user *buf, int size);
long sys_getdents64(int fd, void __user *out, unsigned size);
long sys_memfd_create(const char __user *name, unsigned flags);
long sys_mkdir(const char __user *path, mode_t mode);

#define AT_FDCWD_ (-100)

/* ---- What the file systems ask of other parts of the kernel --------------------------------- */

static struct manifest g_no_manifest;
const struct manifest *g_manifest = &g_no_manifest;

static struct mm g_mm;
static struct vma g_vmas[3];
static char g_memory[64] = "arg0\0arg1\0NAME=value";

int rootfs_populate(struct superblock *sb, const struct manifest_root *root)
{
    return 0;
}

void sha256_init(void)
{
}

void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    memset(out, 0, 16);
    if (leaf == 0) {
        out[0] = 13;
        memcpy(&out[1], "Adyt", 4);
        memcpy(&out[3], "onAd", 4);
        memcpy(&out[2], "yton", 4);
    } else if (leaf == 1) {
        out[0] = 0xc06f2;
        out[1] = 8 << 8;
        out[3] = 1 | 1 << 4;
    } else if (leaf == 4 && subleaf == 0) {
        out[0] = 1 | 1 << 5;
        out[1] = 11u << 22 | 63;
        out[2] = 63;
    }
}

struct netlink_message *netlink_message_create(int fd, const void *data, size_t size)
{
    return ERR_PTR(-EBADF);
}

void netlink_message_send(struct netlink_message *m)
{
}

void netlink_message_drop(struct netlink_message *m)
{
}

const char *core_pattern(void)
{
    return "/tmp/core.%p";
}

u64 sigqueue_count(uid_t uid)
{
    return 0;
}

bool signal_unwanted(int sig)
{
    return false;
}

int signal_send_group(struct group *g, int sig, const siginfo_t *info)
{
    return 0;
}

u64 cputime_group(struct group *g)
{
    return 1230000000;
}

u64 cputime_gone(void)
{
    return 0;
}

u64 cputime_task(const struct task *t)
{
    return 1230000000;
}

bool mm_file_room(void)
{
    return true;
}

int mm_bound_access(uintptr_t va, unsigned access)
{
    return 0;
}

void mm_for_each_vma(struct mm *mm, bool (*fn)(const struct vma_info *info, void *arg), void *arg)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_vmas); i++) {
        struct vma_info info = {.vma = &g_vmas[i], .resident = 2};

        if (g_vmas[i].end && !fn(&info, arg))
            return;
    }
}

int mm_peek(struct mm *mm, uintptr_t addr, void *buf, size_t size)
{
    if (addr < (uintptr_t)g_memory || addr + size > (uintptr_t)g_memory + sizeof(g_memory))
        return -EFAULT;
    memcpy(buf, (void *)addr, size);
    return 0;
}

int mm_poke(struct mm *mm, uintptr_t addr, const void *buf, size_t size)
{
    if (addr < (uintptr_t)g_memory || addr + size > (uintptr_t)g_memory + sizeof(g_memory))
        return -EFAULT;
    memcpy((void *)addr, buf, size);
    return 0;
}

void mm_put(struct mm *mm)
{
    assert_false(ref_put(&mm->ref));
}

void mm_stats(struct mm_stats *out)
{
    *out = (struct mm_stats){.limit_pages = 1024, .used_pages = 256, .kernel_pages = 56};
}

void mm_truncate_notify(struct inode *inode, u64 new_size)
{
}

void random_bytes(void *buf, size_t size)
{
    static u8 next;

    for (size_t i = 0; i < size; i++)
        ((u8 *)buf)[i] = next++;
}

u64 random_u64(void)
{
    return 4;
}

struct sighand *sighand_create(void)
{
    struct sighand *h = kzalloc(sizeof(*h));

    spin_init(&h->lock, "sighand");
    ref_init(&h->ref);
    h->action[SIGPIPE - 1].handler = 1; /* SIG_IGN */
    h->action[SIGTERM - 1].handler = 0x1000;
    return h;
}

void sighand_put(struct sighand *s)
{
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
    return 0;
}

void sigpending_init(struct sigpending *p)
{
    list_init(&p->queue);
}

void sigpending_flush(struct sigpending *p)
{
}

/* ---- Helpers -------------------------------------------------------------------------------- */

static char g_text[65536];

/* The whole file, NUL-terminated. */
static const char *text_of(const char *path)
{
    long fd = sys_open(path, O_RDONLY, 0), n;
    size_t used = 0;

    assert_true(fd >= 0);
    while ((n = sys_read((int)fd, g_text + used, 37)) > 0)
        used += (size_t)n;
    assert_int_equal(n, 0);
    g_text[used] = 0;
    assert_int_equal(sys_close((int)fd), 0);
    return g_text;
}

static void assert_has(const char *path, const char *part)
{
    if (!strstr(text_of(path), part))
        fail_msg("%s has no \"%s\":\n%s", path, part, g_text);
}

static void assert_link(const char *path, const char *target)
{
    char buf[256];
    long n = sys_readlink(path, buf, sizeof(buf) - 1);

    assert_true(n >= 0);
    buf[n] = 0;
    assert_string_equal(buf, target);
}

/* Whether the directory lists `name`, read through a small buffer. */
static bool lists(const char *path, const char *name)
{
    long fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0), n;
    char buf[80];
    bool found = false;

    assert_true(fd >= 0);
    while ((n = sys_getdents64((int)fd, buf, sizeof(buf))) > 0) {
        for (long at = 0; at < n; at += *(u16 *)(buf + at + 16))
            found |= !strcmp(buf + at + 19, name);
    }
    assert_int_equal(n, 0);
    assert_int_equal(sys_close((int)fd), 0);
    return found;
}

static int boot(void **state)
{
    struct task *t = task_create_first();
    static char argument_name[] = "test";

    null_task_set(t);
    memcpy(t->comm, argument_name, sizeof(argument_name));
    ref_init(&g_mm.ref);
    mutex_init(&g_mm.lock, "mm");
    g_mm.arg_start = (uintptr_t)g_memory;
    g_mm.arg_end = g_mm.env_start = g_mm.arg_start + 10;
    g_mm.env_end = g_mm.env_start + 11;
    g_mm.auxv[0] = 6;
    g_mm.auxv[1] = 4096;
    t->mm = &g_mm;
    g_vmas[1] = (struct vma){.start = 0x500000, .end = 0x510000, .flags = VM_READ | VM_WRITE,
                             .name = "[heap]"};
    t->group->exe_path = kstrdup("/bin/test");
    return vfs_init() || console_install();
}

/* ---- proc ----------------------------------------------------------------------------------- */

static void test_self(void **state)
{
    assert_link("/proc/self", "1");
    assert_link("/proc/thread-self", "1/task/1");
    assert_link("/proc/mounts", "self/mounts");
    assert_link("/proc/self/exe", "/bin/test");
    assert_link("/proc/self/cwd", "/");
    assert_true(lists("/proc", "1"));
    assert_true(lists("/proc", "meminfo"));
    assert_true(lists("/proc/self", "fd"));
    assert_true(lists("/proc/self/task", "1"));
    assert_int_equal(sys_open("/proc/2", O_RDONLY, 0), -ENOENT);
    assert_int_equal(sys_open("/proc/01", O_RDONLY, 0), -ENOENT);
    assert_int_equal(sys_open("/proc/self/task/2/comm", O_RDONLY, 0), -ENOENT);
    assert_int_equal(sys_open("/sys/none", O_RDWR | O_CREAT, 0600), -EACCES);
    assert_int_equal(sys_mkdir("/sys/none", 0700), -EPERM);
}

static void test_status(void **state)
{
    assert_has("/proc/self/status", "Name:\ttest\nUmask:\t0022\nState:\tR (running)\nTgid:\t1\n");
    assert_has("/proc/self/status", "\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\n");
    assert_has("/proc/self/status", "\nVmRSS:\t       8 kB\nRssAnon:\t       8 kB\n");
    assert_has("/proc/self/status", "\nThreads:\t1\n");
    assert_has("/proc/self/status", "\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004000\n");
    assert_has("/proc/self/status", "\nCpus_allowed:\t");
}

static void test_stat(void **state)
{
    const char *s = text_of("/proc/self/stat");
    unsigned fields = 1;

    assert_memory_equal(s, "1 (test) R 0 1 1 0 -1 ", 22);
    for (; *s; s++)
        fields += *s == ' ';
    assert_int_equal(fields, 52);
    assert_int_equal(s[-1], '\n');
    assert_string_equal(text_of("/proc/self/statm"), "16 2 0 0 0 16 0\n");
}

static void test_limits(void **state)
{
    assert_has("/proc/self/limits",
               "Limit                     Soft Limit           Hard Limit           Units     \n"
               "Max cpu time              unlimited            unlimited            seconds   \n");
    assert_has("/proc/self/limits",
               "Max nice priority         0                    0                    \n");
}

static void test_memory_files(void **state)
{
    long fd;
    char buf[8];

    assert_memory_equal(text_of("/proc/self/cmdline"), "arg0\0arg1", 11);
    assert_memory_equal(text_of("/proc/self/environ"), "NAME=value", 11);
    fd = sys_open("/proc/self/auxv", O_RDONLY, 0);
    assert_int_equal(sys_read((int)fd, g_text, 4096), 32);
    assert_int_equal(sys_close((int)fd), 0);
    fd = sys_open("/proc/self/mem", O_RDWR, 0);
    assert_int_equal(sys_read((int)fd, buf, 1), -EIO);
    assert_int_equal(sys_lseek((int)fd, (off_t)(uintptr_t)g_memory, 0), (off_t)(uintptr_t)g_memory);
    assert_int_equal(sys_write((int)fd, "A", 1), 1);
    assert_int_equal(sys_read((int)fd, buf, 3), 3);
    assert_memory_equal(buf, "rg0", 3);
    assert_int_equal(g_memory[0], 'A');
    g_memory[0] = 'a';
    assert_int_equal(sys_close((int)fd), 0);
}

/* A title written over the arguments that runs on into the environment. */
static void test_title(void **state)
{
    g_memory[9] = '!';
    assert_memory_equal(text_of("/proc/self/cmdline"), "arg0", 5);
    memcpy(g_memory, "postgres: writer", 17);
    assert_string_equal(text_of("/proc/self/cmdline"), "postgres: writer");
    memcpy(g_memory, "arg0\0arg1\0NAME=value", 21);
}

static void test_maps(void **state)
{
    struct file *f = file_open("/tmp/a\nb", O_RDWR | O_CREAT, 0600);
    char line[256];

    assert_false(IS_ERR(f));
    g_vmas[0] = (struct vma){.start = 0x400000, .end = 0x402000, .flags = VM_READ | VM_EXEC,
                             .file = f, .pgoff = 3};
    g_vmas[2] = (struct vma){.start = 0x600000, .end = 0x601000, .flags = VM_TRAMPOLINE};
    snprintf(line, sizeof(line), "00400000-00402000 r-xp 00003000 00:%02x %lu ",
             dev_minor(f->inode->sb->dev), f->inode->ino);
    for (size_t n = strlen(line); n < 73; n++)
        memcpy(line + n, " ", 2);
    strcat(line, "/tmp/a\\012b\n00500000-00510000 rw-p 00000000 00:00 0 ");
    strcat(line, "                                 [heap]\n");
    assert_string_equal(text_of("/proc/self/maps"), line);
    assert_has("/proc/self/smaps", "Size:                 64 kB\nKernelPageSize:        4 kB\n");
    assert_has("/proc/self/smaps_rollup",
               "00400000-00510000 ---p 00000000 00:00 0                                  [rollup]\n"
               "Rss:                  16 kB\n");
    memset(&g_vmas[0], 0, sizeof(g_vmas[0]));
    file_put(f);
}

static void test_descriptors(void **state)
{
    long fd = sys_open("/tmp/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600), again, top;
    char path[64], buf[4];

    assert_int_equal(sys_write((int)fd, "text", 4), 4);
    snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
    assert_link(path, "/tmp/file");
    assert_true(lists("/proc/self/fd", strrchr(path, '/') + 1));
    snprintf(path, sizeof(path), "/dev/fd/%ld", fd);
    again = sys_open(path, O_RDONLY, 0);
    assert_true(again >= 0);
    assert_int_equal(sys_read((int)again, buf, 4), 4); /* an offset of its own */
    assert_int_equal(sys_close((int)again), 0);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%ld", fd);
    assert_has(path, "pos:\t4\nflags:\t02100002\nmnt_id:\t");
    top = sys_fcntl((int)fd, F_DUPFD, 50);
    assert_int_equal(top, 50);
    assert_link("/proc/self/fd/50", "/tmp/file");
    assert_int_equal(sys_close(50), 0);
    assert_int_equal(sys_readlink("/proc/self/fd/50", buf, 4), -ENOENT);
    assert_int_equal(sys_close((int)fd), 0);
}

static void test_stores(void **state)
{
    long fd = sys_open("/proc/self/comm", O_RDWR | O_TRUNC, 0);

    assert_true(fd >= 0);
    assert_int_equal(sys_write((int)fd, "renamed-thread-name\n", 20), 20);
    assert_int_equal(sys_close((int)fd), 0);
    assert_string_equal(text_of("/proc/self/comm"), "renamed-thread-\n");
    fd = sys_open("/proc/self/oom_score_adj", O_RDWR, 0);
    assert_int_equal(sys_write((int)fd, "-5\n", 3), 3);
    assert_int_equal(sys_write((int)fd, "1001", 4), -EINVAL);
    assert_int_equal(sys_close((int)fd), 0);
    assert_string_equal(text_of("/proc/self/oom_score_adj"), "-5\n");
    fd = sys_open("/proc/version", O_WRONLY, 0);
    assert_int_equal(sys_write((int)fd, "x", 1), -EINVAL);
    assert_int_equal(sys_close((int)fd), 0);
}

static void test_system(void **state)
{
    assert_has("/proc/meminfo", "MemTotal:           4096 kB\nMemFree:            3072 kB\n");
    assert_has("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: AdytonAdyton\ncpu family\t: 6\n");
    assert_has("/proc/cpuinfo", "model\t\t: 207\n");
    assert_has("/proc/cpuinfo", "flags\t\t: fpu tsc\n");
    assert_has("/proc/filesystems", "nodev\tproc\n");
    assert_has("/proc/mounts", "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n");
    assert_has("/proc/self/mountinfo", " /sys rw,nosuid,nodev,noexec,relatime");
    assert_has("/proc/stat", "\nprocs_running 1\n");
    assert_has("/proc/version", "Linux version " UTS_RELEASE " ");
    assert_string_equal(text_of("/proc/sys/kernel/osrelease"), UTS_RELEASE "\n");
    assert_string_equal(text_of("/proc/sys/kernel/cap_last_cap"), "40\n");
    assert_int_equal(strlen(text_of("/proc/sys/kernel/random/uuid")), 37);
    assert_int_equal(g_text[14], '4');
}

static void test_boot_id_stays(void **state)
{
    char first[40];

    strcpy(first, text_of("/proc/sys/kernel/random/boot_id"));
    assert_string_equal(text_of("/proc/sys/kernel/random/boot_id"), first);
}

/* One description sees one moment; from the start again it sees the next. */
static void test_snapshot(void **state)
{
    long fd = sys_open("/proc/sys/kernel/random/uuid", O_RDONLY, 0);
    char one[37], two[37];

    assert_int_equal(sys_read((int)fd, one, 10), 10);
    assert_int_equal(sys_read((int)fd, one + 10, 27), 27);
    assert_int_equal(sys_lseek((int)fd, 0, 0), 0);
    assert_int_equal(sys_read((int)fd, two, 37), 37);
    assert_memory_not_equal(one, two, 37);
    assert_int_equal(sys_lseek((int)fd, 0, 2), -EINVAL);
    assert_int_equal(sys_close((int)fd), 0);
}

/* ---- sysfs, devtmpfs ------------------------------------------------------------------------ */

static void test_sysfs(void **state)
{
    assert_true(lists("/sys/devices/system/cpu", "cpu0"));
    assert_memory_equal(text_of("/sys/devices/system/cpu/online"), "0", 1);
    assert_string_equal(text_of("/sys/devices/system/cpu/cpu0/topology/core_id"), "0\n");
    assert_string_equal(text_of("/sys/devices/system/cpu/cpu0/cache/index0/size"), "48K\n");
    assert_string_equal(text_of("/sys/devices/system/cpu/cpu0/cache/index0/type"), "Data\n");
    assert_int_equal(sys_open("/sys/devices/system/cpu/cpu0/cache/index1", 0, 0), -ENOENT);
    assert_int_equal(sys_open("/sys/devices/system/cpu/cpu4096", 0, 0), -ENOENT);
    assert_string_equal(text_of("/sys/devices/system/cpu/cpu0/node0/distance"), "10\n");
    assert_has("/sys/kernel/mm/transparent_hugepage/enabled", "[never]");
}

static void test_devices(void **state)
{
    char buf[16] = "abc";
    long fd = sys_open("/dev/null", O_RDWR, 0);

    assert_int_equal(sys_read((int)fd, buf, 4), 0);
    assert_int_equal(sys_write((int)fd, buf, 4), 4);
    assert_int_equal(sys_lseek((int)fd, 7, 0), 0);
    assert_int_equal(sys_close((int)fd), 0);
    fd = sys_open("/dev/full", O_RDWR, 0);
    assert_int_equal(sys_write((int)fd, buf, 1), -ENOSPC);
    assert_int_equal(sys_read((int)fd, buf, 4), 4);
    assert_int_equal(buf[0], 0);
    assert_int_equal(sys_close((int)fd), 0);
    fd = sys_open("/dev/urandom", O_RDONLY, 0);
    assert_int_equal(sys_read((int)fd, g_text, 1000), 1000);
    assert_int_equal(sys_close((int)fd), 0);
    assert_int_equal(sys_open("/dev/tty", O_RDWR, 0), -ENXIO); /* no terminal behind 0, 1, 2 */
    assert_link("/dev/stdin", "/proc/self/fd/0");
    assert_true(lists("/dev", "shm"));
    assert_false(lists("/dev/pts", "0"));
}

static void test_memfd(void **state)
{
    long fd = sys_memfd_create("name", 2 /* MFD_ALLOW_SEALING */);
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
    assert_link(path, "/memfd:name (deleted)");
    assert_int_equal(sys_write((int)fd, "data", 4), 4);
    assert_int_equal(sys_fcntl((int)fd, F_GET_SEALS, 0), 0);
    assert_int_equal(sys_fcntl((int)fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
    assert_int_equal(sys_write((int)fd, "data", 4), -EPERM);
    assert_int_equal(sys_fcntl((int)fd, F_ADD_SEALS, F_SEAL_GROW), -EPERM);
    assert_int_equal(sys_fcntl((int)fd, F_GET_SEALS, 0), F_SEAL_WRITE | F_SEAL_SEAL);
    assert_int_equal(sys_close((int)fd), 0);
    fd = sys_memfd_create("plain", 0);
    assert_int_equal(sys_fcntl((int)fd, F_ADD_SEALS, F_SEAL_GROW), -EPERM);
    assert_int_equal(sys_close((int)fd), 0);
    assert_int_equal(sys_memfd_create("x", 1 << 20), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self),         cmocka_unit_test(test_status),
        cmocka_unit_test(test_stat),         cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory_files), cmocka_unit_test(test_title),
        cmocka_unit_test(test_maps),         cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_stores),       cmocka_unit_test(test_system),
        cmocka_unit_test(test_boot_id_stays), cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_sysfs),        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_memfd),
    };

    return cmocka_run_group_tests_name("pseudofs", tests, boot, NULL);
}
