/* SPDX-License-Identifier: MIT */
/* Tasks with numbers for the tests of futexes, in place of proc/pid.c. */
#ifndef KERNEL_PROC_TEST_FUTEX_TASKS_H
#define KERNEL_PROC_TEST_FUTEX_TASKS_H

#include <kernel/task.h>

/* The current task has this number, below TEST_TIDS, until tasks_forget(). */
#define TEST_TIDS 32
void tasks_number(pid_t tid);
void tasks_forget(pid_t tid);

#endif
