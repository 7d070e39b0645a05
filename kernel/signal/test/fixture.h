/* SPDX-License-Identifier: MIT */
/*
 * A program for the tests of delivery: one task with registers, a stack in memory where programs may
 * be, and the architecture's and loader's hooks played by the fixture.
 */
#ifndef KERNEL_SIGNAL_TEST_FIXTURE_H
#define KERNEL_SIGNAL_TEST_FIXTURE_H

#include <kernel/mm.h>
#include <kernel/regs.h>
#include "../internal.h"

#define STACK_BASE 0x110000000000UL
#define STACK_SIZE 0x10000UL
#define STACK_TOP  (STACK_BASE + STACK_SIZE)
#define ALTSTACK   (STACK_BASE + 0x2000UL)
#define ALT_SIZE   0x2000UL
#define CODE       (STACK_BASE + 0x100UL) /* "text": where restorers lie */
#define XSAVE_SIZE 832u

struct fixture {
    struct group group;
    struct task task;
    struct sighand sighand;
    struct cred cred;
    struct mm mm;
    struct regs regs;
    unsigned restarts;   /* arch_restart_syscall was called that often */
    s64 restarted;       /* with this number */
    s64 restart_result;  /* and answers this */
    unsigned resets;     /* arch_xreset */
    int died;            /* wait status, -1: lives */
    int told;            /* the signal of group_tell_state() */
};
extern struct fixture g_fx;

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Installs a handler. */
void fixture_handle(int sig, u64 handler, u64 flags);

/* Makes the registers look like those of a call `nr` that ended with `result`. */
void fixture_call(s64 nr, s64 result);

/* signal_deliver(); true when it came back, false when the process died of it. */
bool fixture_deliver(void);

#endif
