/* SPDX-License-Identifier: MIT */
#include "futex_tasks.h"

static struct task *g_tasks[TEST_TIDS]; /* atomic */

void tasks_number(pid_t tid)
{
    current->tid = tid;
    __atomic_store_n(&g_tasks[tid], current, __ATOMIC_RELEASE);
}

void tasks_forget(pid_t tid)
{
    __atomic_store_n(&g_tasks[tid], NULL, __ATOMIC_RELEASE);
}

struct task *task_find(pid_t tid)
{
    return tid < TEST_TIDS ? __atomic_load_n(&g_tasks[tid], __ATOMIC_ACQUIRE) : NULL;
}

void task_put(struct task *t)
{
}
