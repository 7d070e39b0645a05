/* SPDX-License-Identifier: MIT */
/*
 * guest: link=dynamic,static,static-pie
 * What one process may ask and set of others: scheduling, nice values, I/O priorities, limits, capabilities,
 * robust lists, signals that are queued against a user's limit; and what /proc shows of others.
 */
#include "servant.h"
#include <dirent.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>

#define NOBODY (100000 + (uid_t)getpid()) /* nobody else's */

static void scheduling(void)
{
    struct servant a = servant_start(), b = servant_start();
    struct sched_param p = {.sched_priority = 7};
    long tid = servant_ask(&a, OP_SLEEPER, 0, 0);
    cpu_set_t set;

    CHECK(sched_getscheduler(a.pid) == SCHED_OTHER);
    CHECK(sched_setscheduler((pid_t)tid, SCHED_RR, &p) == 0);
    CHECK(sched_getscheduler((pid_t)tid) == SCHED_RR && sched_getscheduler(a.pid) == SCHED_OTHER);
    p.sched_priority = 0;
    CHECK(sched_getparam((pid_t)tid, &p) == 0 && p.sched_priority == 7);
    p.sched_priority = 0;
    CHECK(sched_setscheduler((pid_t)tid, SCHED_OTHER, &p) == 0);
    CHECK_ERRNO(sched_setscheduler(999999, SCHED_OTHER, &p), ESRCH);
    CHECK_ERRNO(sched_getscheduler(-1), EINVAL);
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    CHECK(sched_setaffinity(a.pid, sizeof(set), &set) == 0);
    CPU_ZERO(&set);
    CHECK(sched_getaffinity(a.pid, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1);
    CHECK_ERRNO(sched_getaffinity(999999, sizeof(set), &set), ESRCH);
    /* Users: only the same one's, and never better. */
    CHECK(servant_ask(&b, SYS_setuid, NOBODY, 0) == 0);
    CHECK(servant_ask(&b, SYS_setpriority, PRIO_PROCESS, a.pid) == -EPERM);
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL && servant_end(&b) == 0);
}

static void niceness(void)
{
    struct servant a = servant_start(), b = servant_start();

    CHECK(servant_ask(&a, SYS_setpgid, 0, 0) == 0);
    CHECK(servant_ask(&b, SYS_setpgid, 0, a.pid) == 0);
    CHECK(setpriority(PRIO_PROCESS, (id_t)a.pid, 5) == 0);
    CHECK(getpriority(PRIO_PROCESS, (id_t)a.pid) == 5 && getpriority(PRIO_PROCESS, (id_t)b.pid) == 0);
    CHECK(getpriority(PRIO_PGRP, (id_t)a.pid) == 0); /* the best of them */
    CHECK(setpriority(PRIO_PGRP, (id_t)a.pid, 9) == 0);
    CHECK(getpriority(PRIO_PROCESS, (id_t)a.pid) == 9 && getpriority(PRIO_PROCESS, (id_t)b.pid) == 9);
    CHECK(getpriority(PRIO_PGRP, (id_t)a.pid) == 9);
    CHECK_ERRNO(getpriority(PRIO_PROCESS, 999999), ESRCH);
    CHECK_ERRNO(getpriority(PRIO_PGRP, 999999), ESRCH);
    CHECK_ERRNO(getpriority(3, 0), EINVAL);
    CHECK(servant_ask(&b, SYS_setuid, NOBODY, 0) == 0);
    CHECK(getpriority(PRIO_USER, NOBODY) == 9);
    CHECK(setpriority(PRIO_USER, NOBODY, 11) == 0);
    CHECK(getpriority(PRIO_PROCESS, (id_t)b.pid) == 11 && getpriority(PRIO_PROCESS, (id_t)a.pid) == 9);
    CHECK(syscall(SYS_ioprio_set, 1, a.pid, IOPRIO_PRIO_VALUE(2, 6)) == 0);
    CHECK(syscall(SYS_ioprio_get, 1, a.pid) == IOPRIO_PRIO_VALUE(2, 6));
    CHECK_ERRNO(syscall(SYS_ioprio_get, 1, 999999), ESRCH);
    CHECK(servant_ask(&b, SYS_ioprio_set, 1, a.pid) == -EPERM || servant_ask(&b, SYS_ioprio_set, 1, a.pid) == -EINVAL);
    CHECK(servant_end(&a) == 0 && servant_end(&b) == 0);
}

static void limits(void)
{
    struct servant a = servant_start();
    struct rlimit set = {64, 128}, got;
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, a.pid};
    struct __user_cap_data_struct d[2], mine[2];
    void *head;
    size_t size;

    CHECK(prlimit(a.pid, RLIMIT_NOFILE, &set, NULL) == 0);
    CHECK(prlimit(a.pid, RLIMIT_NOFILE, NULL, &got) == 0 && got.rlim_cur == 64 && got.rlim_max == 128);
    CHECK(getrlimit(RLIMIT_NOFILE, &got) == 0 && got.rlim_cur != 64);
    CHECK_ERRNO(prlimit(999999, RLIMIT_NOFILE, NULL, &got), ESRCH);
    CHECK(syscall(SYS_capget, &h, d) == 0);
    h.pid = 0;
    CHECK(syscall(SYS_capget, &h, mine) == 0);
    CHECK(!memcmp(d, mine, sizeof(d)));
    h.pid = a.pid;
    CHECK_ERRNO(syscall(SYS_capset, &h, d), EPERM);
    CHECK(syscall(SYS_get_robust_list, a.pid, &head, &size) == 0 && size == 24);
    CHECK_ERRNO(syscall(SYS_get_robust_list, 999999, &head, &size), ESRCH);
    CHECK(servant_end(&a) == 0);
}

/* RLIMIT_NPROC and RLIMIT_SIGPENDING are a user's, whoever of its processes has them. */
static void users_limits(void)
{
    struct servant a = servant_start(), b = servant_start();
    struct rlimit few = {2, 2}, three = {3, 3};
    union sigval v = {.sival_int = 1};

    CHECK(servant_ask(&a, OP_BLOCK, SIGRTMIN, 0) == 0 && servant_ask(&b, OP_BLOCK, SIGRTMIN, 0) == 0);
    CHECK(prlimit(a.pid, RLIMIT_SIGPENDING, &three, NULL) == 0);
    CHECK(prlimit(b.pid, RLIMIT_SIGPENDING, &three, NULL) == 0);
    CHECK(prlimit(a.pid, RLIMIT_NPROC, &few, NULL) == 0);
    CHECK(servant_ask(&a, SYS_setuid, NOBODY, 0) == 0 && servant_ask(&b, SYS_setuid, NOBODY, 0) == 0);
    CHECK(sigqueue(a.pid, SIGRTMIN, v) == 0 && sigqueue(b.pid, SIGRTMIN, v) == 0);
    CHECK(atoi(status_field(a.pid, "SigQ")) == 2 && atoi(status_field(b.pid, "SigQ")) == 2);
    CHECK(sigqueue(a.pid, SIGRTMIN, v) == 0);
    CHECK_ERRNO(sigqueue(b.pid, SIGRTMIN, v), EAGAIN);
    CHECK(kill(b.pid, SIGRTMIN) == 0); /* arrives without its information */
    CHECK(servant_ask(&a, OP_SPAWN, 0, 0) < 0);
    CHECK(kill(a.pid, SIGKILL) == 0 && kill(b.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL && WTERMSIG(servant_end(&b)) == SIGKILL);
}

/* ---- /proc --------------------------------------------------------------------------------------------- */

static int listed(const char *dir, pid_t pid)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int found = 0;

    while (d && (e = readdir(d)))
        found |= atoi(e->d_name) == pid;
    if (d)
        closedir(d);
    return found;
}

static ssize_t read_of(pid_t pid, const char *name, char *buf, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY);
    if (fd < 0)
        return -errno;
    n = read(fd, buf, size - 1);
    close(fd);
    buf[n > 0 ? n : 0] = 0;
    return n;
}

static ssize_t link_of(pid_t pid, const char *name, char *buf, size_t size)
{
    char path[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    n = readlink(path, buf, size - 1);
    buf[n > 0 ? n : 0] = 0;
    return n;
}

/* The numbers of /proc/PID/stat behind the name: [0] is field 3. */
static int stat_fields(pid_t pid, char *state, long *f, int count)
{
    char buf[1024], *p;
    int i = 0;

    if (read_of(pid, "stat", buf, sizeof(buf)) <= 0 || !(p = strrchr(buf, ')')))
        return 0;
    *state = p[2];
    for (p = strtok(p + 4, " "); p && i < count; p = strtok(NULL, " "))
        f[i++] = strtol(p, NULL, 10);
    return i;
}

static void seen_in_proc(void)
{
    struct servant a = servant_start();
    char buf[4096], path[64], mine[256], theirs[256], state;
    long f[60], tid = servant_ask(&a, OP_SLEEPER, 0, 0);

    CHECK(listed("/proc", a.pid) && listed("/proc", getpid()) && !listed("/proc", (pid_t)tid));
    snprintf(path, sizeof(path), "/proc/%d/task", a.pid);
    CHECK(listed(path, a.pid) && listed(path, (pid_t)tid));
    CHECK(atoi(status_field(a.pid, "PPid")) == getpid() && atoi(status_field(a.pid, "Pid")) == a.pid);
    CHECK(atoi(status_field((pid_t)tid, "Tgid")) == a.pid && atoi(status_field((pid_t)tid, "Pid")) == tid);
    CHECK(state_becomes(a.pid, "S"));
    CHECK(stat_fields(a.pid, &state, f, 52) >= 49 && state == 'S');
    CHECK(f[0] == getpid() && f[1] == getpgrp() && f[2] == getsid(0) && f[16] == 2);
    CHECK(f[34] == SIGCHLD);
    CHECK(read_of(a.pid, "cmdline", buf, sizeof(buf)) == 16 && !memcmp(buf, "servant\0servant", 16));
    CHECK(read_of(a.pid, "environ", buf, sizeof(buf)) > 0);
    CHECK(link_of(a.pid, "exe", theirs, sizeof(theirs)) > 0 && link_of(getpid(), "exe", mine, sizeof(mine)) > 0);
    CHECK(!strcmp(mine, theirs));
    CHECK(link_of(a.pid, "cwd", theirs, sizeof(theirs)) > 0 && link_of(a.pid, "root", theirs, sizeof(theirs)) == 1);
    CHECK(link_of(a.pid, "fd/3", theirs, sizeof(theirs)) > 0 && !strncmp(theirs, "pipe:[", 6));
    CHECK(link_of(a.pid, "fd/77", theirs, sizeof(theirs)) < 0 && errno == ENOENT);
    CHECK(read_of(a.pid, "fdinfo/3", buf, sizeof(buf)) > 0 && strstr(buf, "flags:"));
    CHECK(read_of(a.pid, "maps", buf, sizeof(buf)) > 0);
    snprintf(path, sizeof(path), "task/%d/children", getpid());
    CHECK(read_of(getpid(), path, buf, sizeof(buf)) > 0 && atoi(buf) == a.pid);
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(state_becomes(a.pid, "Z"));
    CHECK(!strcmp(status_field(a.pid, "State"), "Z (zombie)") && !*status_field(a.pid, "VmSize"));
    CHECK(listed("/proc", a.pid));
    CHECK(read_of(a.pid, "cmdline", buf, sizeof(buf)) == 0);
    CHECK(read_of(a.pid, "maps", buf, sizeof(buf)) == 0);
    CHECK(link_of(a.pid, "exe", theirs, sizeof(theirs)) < 0 && errno == ENOENT);
    CHECK(link_of(a.pid, "cwd", theirs, sizeof(theirs)) < 0 && errno == ENOENT);
    CHECK(stat_fields(a.pid, &state, f, 52) >= 49 && state == 'Z' && f[19] == 0 && f[48] == SIGKILL);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
    CHECK(!listed("/proc", a.pid) && read_of(a.pid, "stat", buf, sizeof(buf)) == -ENOENT);
}

static void hidden_in_proc(void)
{
    struct servant a = servant_start();
    char buf[256], path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/environ", a.pid);
    CHECK(seteuid(NOBODY) == 0);
    CHECK_ERRNO(open(path, O_RDONLY), EACCES);
    CHECK(link_of(a.pid, "exe", buf, sizeof(buf)) < 0 && errno == EACCES);
    CHECK(link_of(a.pid, "cwd", buf, sizeof(buf)) < 0 && errno == EACCES);
    CHECK(*status_field(a.pid, "State"));
    CHECK(seteuid(0) == 0);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    close(fd);
    CHECK(servant_end(&a) == 0);
}

static void counted(void)
{
    struct sysinfo before, after;
    struct servant a;
    char buf[4096], *p;

    sysinfo(&before);
    a = servant_start();
    servant_ask(&a, OP_SLEEPER, 0, 0);
    sysinfo(&after);
    CHECK(after.procs >= 3 && before.procs >= 1);
    CHECK(read_of(a.pid, "../loadavg", buf, sizeof(buf)) > 0 && (p = strchr(buf, '/')) && atoi(p + 1) >= 3);
    CHECK(read_of(a.pid, "../stat", buf, sizeof(buf)) > 0);
    CHECK(kill(a.pid, SIGKILL) == 0);
    CHECK(WTERMSIG(servant_end(&a)) == SIGKILL);
}

int main(int argc, char **argv)
{
    SERVANT_MAIN(argc, argv);
    scheduling();
    niceness();
    limits();
    users_limits();
    seen_in_proc();
    hidden_in_proc();
    counted();
    return guest_done();
}
