/* SPDX-License-Identifier: MIT */
/*
 * Clocks by number. CLOCK_BOOTTIME equals CLOCK_MONOTONIC (the enclave does not see a suspended
 * machine), TAI has no offset from UTC (as on Linux until somebody sets it), the COARSE clocks are
 * as fine as the others; the ALARM clocks are -EINVAL, as on a Linux without a clock that wakes it.
 * Negative numbers name CPU clocks of a process or thread
 * (clock_getcpuclockid(3)): ~id << 3, bit 2 for a thread, the low bits for the kind of CPU time, of
 * which all three are the same here. Another process' clock, or another thread's of the same process, can be
 * read; timers and sleeps on one are -EINVAL.
 */
#include <kernel/task.h>
#include "internal.h"

#define CPUCLOCK_KIND_MASK  3
#define CPUCLOCK_KIND_MAX   2 /* PROF, VIRT, SCHED; 3 is a clock that is a file descriptor */
#define CPUCLOCK_PER_THREAD 4

static pid_t cpu_clock_pid(clockid_t id)
{
    /* cppcheck-suppress shiftNegativeLHS; uAPI: gcc and clang shift the sign in */
    return ~(id >> 3);
}

static int cpu_clock(clockid_t id, enum clock_kind *kind)
{
    pid_t pid = cpu_clock_pid(id);
    bool thread = id & CPUCLOCK_PER_THREAD;

    if ((id & CPUCLOCK_KIND_MASK) > CPUCLOCK_KIND_MAX)
        return -EINVAL;
    if (pid && pid != (thread ? current->tid : current->group->tgid))
        return -EINVAL;
    *kind = thread ? CLOCK_KIND_THREAD : CLOCK_KIND_PROCESS;
    return 0;
}

int clock_kind_of(clockid_t id, enum clock_kind *kind)
{
    if (id < 0)
        return cpu_clock(id, kind);
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        *kind = CLOCK_KIND_REAL;
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        *kind = CLOCK_KIND_MONO;
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        *kind = CLOCK_KIND_PROCESS;
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *kind = CLOCK_KIND_THREAD;
        return 0;
    }
    return -EINVAL;
}

u64 clock_now(enum clock_kind kind)
{
    switch (kind) {
    case CLOCK_KIND_MONO:
        return time_monotonic();
    case CLOCK_KIND_REAL:
        return time_realtime();
    case CLOCK_KIND_PROCESS:
        return cputime_group(current->group);
    case CLOCK_KIND_THREAD:
        return cputime_task(current);
    }
    return 0;
}

static int read_thread(pid_t tid, u64 *now)
{
    struct task *t = task_find(tid);
    bool mine = t && t->group == current->group;

    if (mine)
        *now = cputime_task(t);
    if (t)
        task_put(t);
    return mine ? 0 : -EINVAL;
}

static int read_process(pid_t tgid, u64 *now)
{
    struct group *g = group_find(tgid);

    if (!g)
        return -EINVAL;
    *now = cputime_group(g);
    group_put(g);
    return 0;
}

int clock_tell(clockid_t id, u64 *now)
{
    enum clock_kind kind;

    if (!clock_kind_of(id, &kind)) {
        *now = clock_now(kind);
        return 0;
    }
    if (id >= 0 || (id & CPUCLOCK_KIND_MASK) > CPUCLOCK_KIND_MAX)
        return -EINVAL;
    return id & CPUCLOCK_PER_THREAD ? read_thread(cpu_clock_pid(id), now) : read_process(cpu_clock_pid(id), now);
}

u64 clock_to_mono(enum clock_kind kind, u64 value)
{
    u64 now;

    switch (kind) {
    case CLOCK_KIND_MONO:
        return min(value, UINT64_MAX - 1);
    case CLOCK_KIND_REAL:
        return time_real_to_mono(value);
    case CLOCK_KIND_PROCESS:
    case CLOCK_KIND_THREAD:
        now = clock_now(kind);
        return time_add(time_monotonic(), value > now ? value - now : 0);
    }
    return value;
}
