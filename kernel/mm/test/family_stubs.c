/* SPDX-License-Identifier: MIT */
/* What families need of the kernel's other parts, for tests in which no two address spaces overlap. */
#include <kernel/loader.h>
#include <kernel/mm.h>
#include <kernel/random.h>
#include <kernel/signal.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/wait.h>

void waitqueue_init(struct waitqueue *wq)
{
    list_init(&wq->waiters);
}

void waitqueue_wake(struct waitqueue *wq, unsigned key)
{
}

void waiter_add(struct waiter *w, struct waitqueue *wq, unsigned events)
{
}

void waiter_remove(struct waiter *w)
{
}

int task_block(u64 deadline, bool interruptible)
{
    return 0;
}

u64 time_monotonic(void)
{
    return __builtin_ia32_rdtsc();
}

u64 random_u64(void)
{
    return __builtin_ia32_rdtsc() * 0x9e3779b97f4a7c15UL;
}

unsigned group_count(void)
{
    return 1;
}

void tasks_interrupt(struct mm *mm, u32 work)
{
}

void signal_force_fault(int sig, int code, u64 addr, int trapno, u64 error)
{
}

int rewrite_fork(struct mm *mm, struct mm *child)
{
    return 0;
}

struct rewritten g_rewritten;

void rewrite_where(const struct mm *mm, uintptr_t va, struct rewritten *out)
{
    *out = g_rewritten;
}

bool rewrite_alike(const struct mm *a, const struct mm *b, uintptr_t va)
{
    return true;
}
