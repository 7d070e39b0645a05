/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/core.h>
#include <kernel/loader.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/wait.h>
#include "fixture.h"
#include "null.h"

struct fixture g_fx;
static jmp_buf g_death;

/* ---- The architecture -------------------------------------------------------------------------------- */

size_t arch_xsave_size(void)
{
    return XSAVE_SIZE;
}

void arch_xsave(void *area)
{
    memset(area, 0x5a, XSAVE_SIZE);
}

int arch_xrstor_checked(const void *area, size_t size)
{
    const u8 *image = area;

    return (uintptr_t)area % 64 || size < 576 || image[0] != 0x5a ? -EINVAL : 0;
}

void arch_xreset(void)
{
    g_fx.resets++;
}

void arch_restart_syscall(struct regs *regs)
{
    g_fx.restarts++;
    g_fx.restarted = regs->orig_rax;
    regs->rax = (u64)g_fx.restart_result;
}

/* ---- Loader and processes ------------------------------------------------------------------------------ */

u64 arch_cpuid_rcx(void)
{
    return 0;
}

bool rewrite_hide(struct mm *mm, struct regs *regs, u64 kept_rcx)
{
    return false;
}

bool rewrite_show(struct mm *mm, struct regs *regs)
{
    return false;
}

int core_dump(const siginfo_t *info)
{
    return 0x80;
}

_Noreturn void task_exit_group(int wait_status)
{
    g_fx.died = wait_status;
    longjmp(g_death, 1);
}

struct group *group_find(pid_t tgid)
{
    if (tgid != g_fx.group.tgid)
        return NULL;
    ref_get(&g_fx.group.ref);
    return &g_fx.group;
}

struct task *task_find(pid_t tid)
{
    if (tid != g_fx.task.tid)
        return NULL;
    ref_get(&g_fx.task.ref);
    return &g_fx.task;
}

void group_put(struct group *g)
{
    (void)ref_put(&g->ref);
}

void task_put(struct task *t)
{
    (void)ref_put(&t->ref);
}

void task_interrupt(struct task *t, u32 bits)
{
    task_set_work(t, bits);
}

bool group_kill(struct group *g, int wait_status)
{
    return false; /* as while exec(2) ends other threads: the signal waits like others */
}

uid_t group_uid(struct group *g)
{
    return 0;
}

void group_tell_state(struct group *g, int sig)
{
    g_fx.told = sig;
}

unsigned pgrp_signal(pid_t pgid, int sig, const siginfo_t *info)
{
    return 0;
}

bool groups_all_stopped(void)
{
    return false;
}

bool pgrp_orphaned(pid_t pgid)
{
    return false;
}

pid_t console_foreground(void)
{
    return 0;
}

const struct cred *current_cred(void)
{
    return &g_fx.cred;
}

void posix_timer_taken(struct group *g, siginfo_t *info)
{
    info->si_overrun = 3;
}

/* ---- Setup ------------------------------------------------------------------------------------------------ */

int fixture_setup(void **state)
{
    struct fixture *f = &g_fx;

    memset(f, 0, sizeof(*f));
    f->died = -1;
    ref_init(&f->group.ref);
    ref_init(&f->task.ref);
    spin_init(&f->group.lock, "group");
    spin_init(&f->sighand.lock, "sighand");
    list_init(&f->group.tasks);
    list_add(&f->group.tasks, &f->task.group_link);
    sigpending_init(&f->group.pending);
    sigpending_init(&f->task.pending);
    waitqueue_init(&f->group.signal_wait);
    f->group.live = 1;
    f->group.tgid = f->task.tid = 1;
    f->group.rlimits[RLIMIT_SIGPENDING].cur = 100;
    f->task.group = &f->group;
    f->task.sighand = &f->sighand;
    f->task.mm = &f->mm;
    f->task.cred = &f->cred;
    f->task.regs = &f->regs;
    f->task.altstack.flags = SS_DISABLE;
    strlcpy_k(f->task.comm, "test", COMM_SIZE);
    f->mm.vdso_restorer = 0x7000;
    f->regs.rsp = STACK_TOP - 0x1000;
    f->regs.rip = 0x401000;
    f->regs.rflags = 0x246;
    f->regs.orig_rax = -1;
    null_task_set(&f->task);
    return target_mem_commit(STACK_BASE, STACK_SIZE / PAGE_SIZE, TARGET_READ | TARGET_WRITE);
}

int fixture_teardown(void **state)
{
    sigpending_flush(&g_fx.group.pending);
    sigpending_flush(&g_fx.task.pending);
    kfree(g_fx.task.xsave_buffer);
    null_task_set(NULL);
    return target_mem_release(STACK_BASE, STACK_SIZE / PAGE_SIZE);
}

void fixture_handle(int sig, u64 handler, u64 flags)
{
    g_fx.sighand.action[sig - 1] = (struct ksigaction){.handler = handler, .flags = flags};
}

void fixture_call(s64 nr, s64 result)
{
    g_fx.regs.orig_rax = nr;
    g_fx.regs.rax = (u64)result;
}

bool fixture_deliver(void)
{
    if (setjmp(g_death))
        return false;
    signal_deliver(&g_fx.regs);
    return true;
}
