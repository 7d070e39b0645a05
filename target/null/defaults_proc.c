/* SPDX-License-Identifier: MIT */
/* Nobody ends a task: linked only when a test does not bring proc/exit.c. */
#include <kernel/printk.h>
#include <kernel/task.h>

bool task_must_end(void)
{
    return false;
}

_Noreturn void task_end_killed(void)
{
    panic("nobody told the task to end");
}
