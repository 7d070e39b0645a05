/* SPDX-License-Identifier: MIT */
/* The other files of /proc, /sys and /dev that programs read, parsed as they parse them. */
#include "guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <termios.h>
#include <unistd.h>

static char g_text[1 << 18];

static char *slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n, size = 0;

    if (fd < 0)
        printf("%s: %s\n", path, strerror(errno));
    CHECK(fd >= 0);
    while ((n = read(fd, g_text + size, 4096)) > 0 && size < (1 << 18) - 5000)
        size += n;
    close(fd);
    g_text[size] = 0;
    return g_text;
}

static void test_system(void)
{
    double up, idle, load[3];
    int running, all, last;
    unsigned long total, available;

    CHECK(sscanf(slurp("/proc/uptime"), "%lf %lf", &up, &idle) == 2 && up > 0 && idle >= 0);
    CHECK(sscanf(slurp("/proc/loadavg"), "%lf %lf %lf %d/%d %d", load, load + 1, load + 2, &running, &all,
                 &last) == 6);
    CHECK(running >= 1 && all >= running && !strncmp(slurp("/proc/version"), "Linux version ", 14));
    CHECK(sscanf(slurp("/proc/meminfo"), "MemTotal: %lu kB", &total) == 1);
    CHECK(sscanf(strstr(g_text, "MemAvailable:"), "MemAvailable: %lu kB", &available) == 1);
    CHECK(total > available && available > 1000 && strstr(g_text, "SwapTotal:"));
    CHECK(strstr(slurp("/proc/filesystems"), "nodev\tproc\n") && strstr(slurp("/proc/filesystems"), "sysfs"));
    CHECK(!strncmp(slurp("/proc/stat"), "cpu  ", 5) && strstr(g_text, "\nbtime ") && strstr(g_text, "cpu0 "));
    CHECK(strstr(slurp("/proc/cpuinfo"), "processor\t: 0\n") && strstr(g_text, "\nflags\t\t: "));
    CHECK(strstr(g_text, " sse2 ") && strstr(g_text, "\nmodel name\t: ") && strstr(g_text, "\ncpu MHz\t\t: "));
    CHECK(slurp("/proc/cmdline")[0] && slurp("/proc/devices")[0]);
    CHECK(atoi(slurp("/proc/sys/kernel/pid_max")) >= 32768);
    CHECK(!strcmp(slurp("/proc/sys/kernel/ostype"), "Linux\n") && atoi(slurp("/proc/sys/kernel/osrelease")) >= 5);
    CHECK(strlen(slurp("/proc/sys/kernel/random/uuid")) == 37 && g_text[8] == '-');
    CHECK(strlen(slurp("/proc/sys/kernel/random/boot_id")) == 37);
    CHECK(atoi(slurp("/proc/sys/vm/overcommit_memory")) <= 2 && atoi(slurp("/proc/sys/vm/max_map_count")) > 1000);
    CHECK(atoi(slurp("/proc/sys/fs/nr_open")) >= 1024 && atoi(slurp("/proc/sys/fs/pipe-max-size")) >= 4096);
    CHECK(atoi(slurp("/proc/sys/kernel/ngroups_max")) == 65536 && atoi(slurp("/proc/sys/kernel/cap_last_cap")) >= 37);
}

static void test_mounts(void)
{
    FILE *f = setmntent("/proc/self/mounts", "r");
    struct mntent *m;
    int root = 0, proc = 0, dev = 0;

    CHECK(f != NULL);
    while ((m = getmntent(f))) {
        CHECK(m->mnt_dir[0] == '/' && m->mnt_type[0] && hasmntopt(m, "rw") != hasmntopt(m, "ro"));
        root += !strcmp(m->mnt_dir, "/");
        proc += !strcmp(m->mnt_dir, "/proc") && !strcmp(m->mnt_type, "proc");
        dev += !strcmp(m->mnt_dir, "/dev");
    }
    endmntent(f);
    CHECK(root >= 1 && proc >= 1 && dev >= 1);
    CHECK(strstr(slurp("/proc/self/mountinfo"), " / / ") && strstr(g_text, " - proc "));
    CHECK(strstr(slurp("/proc/mounts"), " /proc proc "));
    struct statfs fs;
    CHECK(statfs("/proc/self", &fs) == 0 && fs.f_type == 0x9fa0);
    CHECK(statfs("/sys", &fs) == 0 && fs.f_type == 0x62656572);
    CHECK(strstr(slurp("/proc/self/limits"), "Max open files "));
    CHECK(!strncmp(g_text, "Limit                     Soft Limit           Hard Limit           Units", 70));
    CHECK(slurp("/proc/self/cgroup") && slurp("/proc/self/oom_score_adj") && slurp("/proc/self/io"));
}

static void test_cpus(void)
{
    int first = -1, last = -1, n = 0;
    struct dirent *e;
    DIR *d = opendir("/sys/devices/system/cpu");

    CHECK(d != NULL);
    while (d && (e = readdir(d)))
        n += !strncmp(e->d_name, "cpu", 3) && e->d_name[3] >= '0' && e->d_name[3] <= '9';
    closedir(d);
    CHECK(n >= 1);
    CHECK(sscanf(slurp("/sys/devices/system/cpu/online"), "%d-%d", &first, &last) >= 1 && first == 0);
    CHECK(sscanf(slurp("/sys/devices/system/cpu/possible"), "%d", &first) == 1 && first == 0);
    CHECK(sscanf(slurp("/sys/devices/system/cpu/present"), "%d", &first) == 1);
    CHECK(access("/sys/devices/system/cpu/cpu0/topology/core_id", R_OK) == 0);
    CHECK(atoi(slurp("/sys/devices/system/cpu/cpu0/cache/index0/coherency_line_size")) == 64);
    CHECK(slurp("/sys/devices/system/cpu/cpu0/cache/index0/size")[0]);
    CHECK_ERRNO(open("/sys/devices/system/cpu/online", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
}

static void test_devices(void)
{
    struct stat st;
    struct winsize ws;
    struct termios t;
    unsigned char a[32], b[32];
    int fd = open("/dev/zero", O_RDWR), n;

    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && p[5000] == 0 && (p[5000] = 1) && munmap(p, 8192) == 0);
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && p[5000] == 0 && (p[5000] = 1) && munmap(p, 8192) == 0 && close(fd) == 0);
    fd = open("/dev/null", O_RDWR | O_APPEND);
    CHECK(lseek(fd, 100, SEEK_SET) == 0 && ftruncate(fd, 0) == -1 && errno == EINVAL);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
    CHECK_ERRNO(ioctl(fd, TCGETS, &t), ENOTTY);
    CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, &ws), ENOTTY);
    CHECK_ERRNO(ioctl(-1, TCGETS, &t), EBADF);
    close(fd);
    fd = open("/dev/full", O_RDWR);
    CHECK(read(fd, a, 32) == 32 && !a[0] && !memcmp(a, a + 1, 31));
    CHECK_ERRNO(write(fd, a, 1), ENOSPC);
    close(fd);
    fd = open("/dev/random", O_RDWR);
    CHECK(read(fd, a, 32) == 32 && read(fd, b, 32) == 32 && memcmp(a, b, 32) && write(fd, a, 32) == 32);
    close(fd);
    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    CHECK(!isatty(0) && !isatty(1) && fstat(1, &st) == 0);
    CHECK(readlink("/dev/fd", (char *)a, 32) == 13 && !memcmp(a, "/proc/self/fd", 13));
    CHECK(stat("/dev/fd/1", &st) == 0 && stat("/dev/stdout", &st) == 0 && stat("/dev/stdin", &st) == 0);
    fd = open("/dev/stdout", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "through /dev/stdout\n", 20) == 20 && close(fd) == 0);
    fd = open("/dev/shm/guest-test", O_CREAT | O_RDWR | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && unlink("/dev/shm/guest-test") == 0 && close(fd) == 0);
    CHECK(stat("/dev/shm", &st) == 0 && (st.st_mode & 07777) == 01777);
    n = 0;
    CHECK(ioctl(0, FIONREAD, &n) == 0 && n == 0);
}

int main(void)
{
    test_system();
    test_mounts();
    test_cpus();
    test_devices();
    return guest_done();
}
