/* SPDX-License-Identifier: MIT */
/* No signals: linked only when a test does not bring signal/. A test sets WORK_SIGNAL by hand. */
#include <kernel/signal.h>
#include <kernel/task.h>

bool signal_pending(void)
{
    return __atomic_load_n(&current->work, __ATOMIC_ACQUIRE) & WORK_SIGNAL;
}
