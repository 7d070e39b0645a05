/* SPDX-License-Identifier: MIT */
/* Who and where: ids, capabilities, prctl, personality, limits, scheduling, uname, sysinfo, random numbers. */
#include "guest.h"
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

static void test_prctl(void)
{
    char name[16];
    int value = -1;

    CHECK(prctl(PR_SET_NAME, "a name that is too long") == 0 && prctl(PR_GET_NAME, name) == 0);
    CHECK(!strcmp(name, "a name that is "));
    CHECK_ERRNO(prctl(PR_SET_NAME, 8), EFAULT);
    CHECK(prctl(PR_GET_DUMPABLE) == 1 && prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
    CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && prctl(PR_GET_PDEATHSIG, &value) == 0 && value == SIGUSR1);
    CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
    CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1 && prctl(PR_SET_KEEPCAPS, 0) == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, 12345) == 0 && prctl(PR_GET_TIMERSLACK) == 12345);
    CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
    CHECK_ERRNO(prctl(PR_CAPBSET_READ, 500), EINVAL);
    CHECK(prctl(PR_GET_SECUREBITS) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    CHECK(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1);
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK_ERRNO(prctl(123456), EINVAL);
}

static void test_machine(void)
{
    struct utsname u;
    struct sysinfo s;
    cpu_set_t set;
    unsigned cpu = 9999, node = 9999;

    CHECK(uname(&u) == 0 && !strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64"));
    CHECK(atoi(u.release) >= 5 && u.nodename[0] && u.version[0]);
    CHECK_ERRNO(syscall(SYS_uname, 8), EFAULT);
    CHECK(sysinfo(&s) == 0 && s.mem_unit >= 1 && s.totalram >= s.freeram && s.procs >= 1);
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 1);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
    CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
    CPU_ZERO(&set);
    CHECK_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
    CHECK(syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && cpu < 1024 && node < 64);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1 && sysconf(_SC_PHYS_PAGES) > 1000 && getpagesize() == 4096);
    CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER && sched_get_priority_max(SCHED_FIFO) == 99);
    CHECK(sched_get_priority_min(SCHED_RR) == 1 && sched_yield() == 0);
    CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
    CHECK(getpriority(PRIO_PROCESS, 0) == 0 && setpriority(PRIO_PROCESS, 0, 5) == 0);
    CHECK(getpriority(PRIO_PROCESS, 0) == 5 && nice(20) == 19);
}

static void test_limits(void)
{
    struct rlimit r, all;

    CHECK(getrlimit(RLIMIT_STACK, &r) == 0 && r.rlim_cur == 8 << 20);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        CHECK(getrlimit(i, &r) == 0 && r.rlim_cur <= r.rlim_max);
    CHECK_ERRNO(syscall(SYS_getrlimit, 16, &r), EINVAL);
    CHECK(getrlimit(RLIMIT_CPU, &all) == 0);
    r = (struct rlimit){10, 5};
    CHECK_ERRNO(setrlimit(RLIMIT_CPU, &r), EINVAL);
    CHECK(syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, NULL, &r) == 0);
    CHECK(syscall(SYS_prlimit64, getpid(), RLIMIT_MEMLOCK, &r, NULL) == 0);
    CHECK_ERRNO(syscall(SYS_prlimit64, 999999999, RLIMIT_MEMLOCK, NULL, &r), ESRCH);
    r = (struct rlimit){100, 1000};
    CHECK(setrlimit(RLIMIT_CORE, &r) == 0 || errno == EPERM);
}

static void test_random(void)
{
    unsigned char a[600], b[600];
    int same = 0;

    CHECK(getrandom(a, sizeof(a), 0) == sizeof(a) && getrandom(b, sizeof(b), GRND_NONBLOCK) == sizeof(b));
    for (unsigned i = 0; i < sizeof(a); i++)
        same += a[i] == b[i];
    CHECK(same < 30);
    CHECK(getrandom(a, 0, 0) == 0 && getrandom(a, 256, GRND_RANDOM) == 256);
    CHECK(getrandom(a, 16, GRND_INSECURE) == 16);
    CHECK_ERRNO(getrandom(a, 16, 99), EINVAL);
    CHECK_ERRNO(getrandom(a, 16, GRND_RANDOM | GRND_INSECURE), EINVAL);
    CHECK_ERRNO(getrandom((void *)8, 16, 0), EFAULT);
}

static void test_process(void)
{
    pid_t pid = getpid();

    CHECK(gettid() == pid && syscall(SYS_getpid) == pid && syscall(SYS_gettid) == pid);
    CHECK(getpgid(0) == getpgrp() && getpgid(pid) == getpgrp() && getsid(0) == getsid(pid));
    CHECK_ERRNO(getpgid(999999999), ESRCH);
    CHECK_ERRNO(getpgid(-1), ESRCH);
    CHECK_ERRNO(setpgid(0, -1), EINVAL);
    CHECK_ERRNO(setpgid(999999999, 0), ESRCH);
    CHECK_ERRNO(kill(999999999, 0), ESRCH);
    CHECK(syscall(SYS_tgkill, pid, pid, 0) == 0 && syscall(SYS_tkill, pid, 0) == 0);
    CHECK_ERRNO(syscall(SYS_tgkill, pid, 999999999, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, -1, pid, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_wait4, -1, NULL, 0, NULL), ECHILD);
    CHECK_ERRNO(syscall(SYS_waitid, 0, 0, NULL, 4, NULL), ECHILD);
    CHECK((int)syscall(SYS_set_tid_address, NULL) == pid);
    long old = personality(0xffffffff);
    CHECK(old == PER_LINUX && personality(ADDR_NO_RANDOMIZE) == PER_LINUX);
    CHECK(personality(PER_LINUX) == ADDR_NO_RANDOMIZE);
    CHECK(syscall(SYS_membarrier, 0, 0, 0) >= 0);
}

static void test_ids(void)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;

    CHECK(getresuid(&r, &e, &s) == 0 && !r && !e && !s && getresgid(&rg, &eg, &sg) == 0 && !rg);
    CHECK(setresuid(-1, -1, -1) == 0 && setreuid(-1, -1) == 0 && setuid(0) == 0);
    CHECK_ERRNO(setuid(-1), EINVAL);
}

static void test_drop(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    uid_t r, e, s;

    CHECK(syscall(SYS_capget, &h, d) == 0 && (d[0].effective & (1 << CAP_SETUID)));
    CHECK(setfsuid(7) == 0 && setfsuid(-1) == 7 && setfsuid(0) == 7);
    CHECK(setfsgid(7) == 0 && setfsgid(0) == 7);
    CHECK(setresgid(100, 101, 102) == 0 && setresuid(200, 201, 202) == 0);
    CHECK(getuid() == 200 && geteuid() == 201 && getgid() == 100 && getegid() == 101);
    CHECK(getresuid(&r, &e, &s) == 0 && r == 200 && e == 201 && s == 202);
    CHECK(syscall(SYS_capget, &h, d) == 0 && !d[0].effective && !d[0].permitted);
    CHECK_ERRNO(setuid(203), EPERM);
    CHECK(seteuid(202) == 0 && geteuid() == 202 && setreuid(-1, 200) == 0 && geteuid() == 200);
    CHECK_ERRNO(setreuid(-1, 0), EPERM);
    CHECK(setuid(202) == 0 && geteuid() == 202 && getuid() == 200 && setresuid(202, 202, 202) == 0);
    CHECK_ERRNO(setresuid(200, -1, -1), EPERM);
    CHECK_ERRNO(setgid(0), EPERM);
    CHECK(setegid(102) == 0 && setregid(102, 100) == 0 && getgid() == 102 && getegid() == 100);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, -5), EACCES);
    CHECK_ERRNO(sethostname("x", 1), EPERM);
    CHECK_ERRNO(prctl(PR_CAPBSET_DROP, CAP_CHOWN), EPERM);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_max++;
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
}

int main(void)
{
    test_prctl();
    test_machine();
    test_limits();
    test_random();
    test_process();
    test_ids();
    test_drop();
    return guest_done();
}
