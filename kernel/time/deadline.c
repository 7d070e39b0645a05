/* SPDX-License-Identifier: MIT */
/* Timeouts of calls as moments of CLOCK_MONOTONIC: what task_block() and wait_event() take. No locks. */
#include <kernel/uaccess.h>
#include <kernel/wait.h>
#include "internal.h"

u64 time_deadline(u64 ns)
{
    return ns ? time_add(time_monotonic(), ns) : 0;
}

u64 time_left(u64 deadline)
{
    u64 now = deadline ? time_monotonic() : 0;

    return deadline > now ? deadline - now : 0;
}

/* In ns; *given: there is one. */
static int import(const struct __kernel_timespec __user *timeout, u64 *ns, bool *given)
{
    struct __kernel_timespec ts;

    *given = timeout;
    if (!timeout)
        return 0;
    return get_user(ts, timeout) ? -EFAULT : timespec_to_ns(&ts, ns);
}

int deadline_import(const struct __kernel_timespec __user *timeout, u64 *deadline)
{
    u64 ns;
    bool given;
    int err = import(timeout, &ns, &given);

    if (!err)
        *deadline = given ? time_deadline(ns) : DEADLINE_NONE;
    return err;
}

int deadline_import_at(const struct __kernel_timespec __user *moment, bool realtime, u64 *deadline)
{
    u64 ns;
    bool given;
    int err = import(moment, &ns, &given);

    if (err)
        return err;
    if (!given)
        ns = DEADLINE_NONE;
    else if (realtime)
        ns = time_real_to_mono(ns);
    *deadline = ns;
    return 0;
}
