/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2): a memory barrier on every running thread of the program, or of all programs.
 *
 * A thread that is not inside its memory (kernel/mm/family.h) has passed one when it left and passes another when
 * it enters. The others are interrupted: each passes one on its way back to the program and notes the number of the
 * last barrier that was asked for. The caller waits until all have noted its own or left.
 *
 * Registration is kept as Linux keeps it, with the address space; it is not needed to find the threads.
 */
#include <kernel/mm.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include <kernel/wait.h>
#include <linux/membarrier.h>
#include "internal.h"
#include <syscalls.gen.h>

#define SERVED                                                                                     \
    (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                                     \
     MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |                 \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)

#define LOOK_NS 1000000UL /* a thread that left, to block, does not wake who waits for it */

static u64 g_asked; /* barriers, atomic */
static struct waitqueue g_passed;

void membarrier_init(void)
{
    waitqueue_init(&g_passed);
}

void membarrier_pass(void)
{
    __atomic_store_n(&current->barrier, __atomic_load_n(&g_asked, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    waitqueue_wake(&g_passed, ~0u);
}

/* Which threads it is for, and its number. */
struct barrier {
    const struct mm *mm;   /* those of this address space; NULL: */
    unsigned registration; /* those whose address space has one of these bits; 0: all */
    u64 number;
    bool interrupt, passed;
};

static bool concerns(const struct barrier *b, const struct task *t)
{
    const struct mm *in = __atomic_load_n(&t->in_mm, __ATOMIC_SEQ_CST);

    if (!in || t == current || __atomic_load_n(&t->barrier, __ATOMIC_SEQ_CST) >= b->number)
        return false;
    if (b->mm)
        return in == b->mm;
    return !b->registration || (t->mm && (READ_ONCE(t->mm->membarrier) & b->registration));
}

static bool look_at(struct task *t, void *arg)
{
    struct barrier *b = arg;

    if (!concerns(b, t))
        return true;
    b->passed = false;
    if (b->interrupt) {
        task_set_work(t, WORK_BARRIER);
        target_kick(t);
    }
    return true;
}

static bool passed(struct barrier *b, bool interrupt)
{
    b->interrupt = interrupt;
    b->passed = true;
    task_for_each(look_at, b);
    return b->passed;
}

static void barrier(const struct mm *mm, unsigned registration)
{
    struct barrier b = {.mm = mm, .registration = registration};
    int ret;

    b.number = __atomic_add_fetch(&g_asked, 1, __ATOMIC_SEQ_CST);
    while (!passed(&b, true))
        wait_event(ret, &g_passed, passed(&b, false), time_monotonic() + LOOK_NS, false);
}

static void enlist(unsigned registration)
{
    __atomic_fetch_or(&current->mm->membarrier, registration, __ATOMIC_SEQ_CST);
}

long sys_membarrier(int cmd, unsigned flags, int cpu)
{
    if (flags)
        return -EINVAL;
    switch (cmd) {
    case MEMBARRIER_CMD_QUERY:
        return SERVED;
    case MEMBARRIER_CMD_GLOBAL:
        barrier(NULL, 0);
        return 0;
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
        barrier(NULL, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
        return 0;
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
        if (!(READ_ONCE(current->mm->membarrier) & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
            return -EPERM;
        barrier(current->mm, 0);
        return 0;
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
        enlist((unsigned)cmd);
        return 0;
    default:
        return -EINVAL;
    }
}
