/* SPDX-License-Identifier: MIT */
/* Delivery: default actions, frames and the way back, masks, restarted calls, alternate stacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <kernel/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>
#include <kernel/string.h>
#include <syscalls.gen.h>
#include "../frame.h"
#include "fixture.h"

/* The structures that programs see, compared with the uAPI's. */
#define SAME(field, theirs)                                                                        \
    _Static_assert(offsetof(struct frame_sigcontext, field) == offsetof(struct sigcontext, theirs), \
                   #field)
SAME(r8, r8);
SAME(rdi, rdi);
SAME(rbx, rbx);
SAME(rax, rax);
SAME(rsp, rsp);
SAME(rip, rip);
SAME(eflags, eflags);
SAME(cs, cs);
SAME(ss, ss);
SAME(err, err);
SAME(trapno, trapno);
SAME(oldmask, oldmask);
SAME(cr2, cr2);
SAME(fpstate, fpstate);
_Static_assert(sizeof(struct frame_sigcontext) == sizeof(struct sigcontext), "sigcontext");
_Static_assert(sizeof(struct frame_sw_reserved) == sizeof(struct _fpx_sw_bytes), "sw_reserved");
_Static_assert(FRAME_XSTATE_MAGIC1 == FP_XSTATE_MAGIC1, "magic1");
_Static_assert(FRAME_XSTATE_MAGIC2 == FP_XSTATE_MAGIC2, "magic2");
_Static_assert(FRAME_UC_FP_XSTATE == UC_FP_XSTATE, "flag");
_Static_assert(FRAME_UC_SIGCONTEXT_SS == UC_SIGCONTEXT_SS, "flag");
_Static_assert(FRAME_UC_STRICT_RESTORE_SS == UC_STRICT_RESTORE_SS, "flag");
_Static_assert(sizeof(siginfo_t) == 128, "siginfo");

#define HANDLER 0x402000UL

static void send_self(int sig)
{
    assert_int_equal(signal_send_task(&g_fx.task, sig, NULL), 0);
}

static struct rt_frame *frame(void)
{
    return (struct rt_frame *)g_fx.regs.rsp;
}

/* What the restorer does: `ret` took the return address off, then the call. */
static void sigreturn(void)
{
    g_fx.regs.rsp += 8;
    g_fx.regs.rax = (u64)sys_rt_sigreturn();
}

static void default_actions(void **state)
{
    send_self(SIGCHLD);
    send_self(SIGWINCH);
    send_self(SIGCONT);
    assert_true(fixture_deliver());
    assert_int_equal(g_fx.task.pending.set, 0);
    send_self(SIGTERM);
    assert_false(fixture_deliver());
    assert_int_equal(g_fx.died, SIGTERM);
}

static void ignored_is_dropped_unless_blocked(void **state)
{
    fixture_handle(SIGUSR1, (u64)SIG_IGN, 0);
    send_self(SIGUSR1);
    assert_int_equal(g_fx.task.pending.set, 0);
    signal_set_blocked(sigmask(SIGUSR1));
    send_self(SIGUSR1);
    assert_int_equal(g_fx.task.pending.set, sigmask(SIGUSR1));
    signal_set_blocked(0);
    assert_true(fixture_deliver());
    assert_int_equal(g_fx.task.pending.set, 0);
}

static void kill_cannot_be_blocked(void **state)
{
    signal_set_blocked(~0UL);
    assert_int_equal(g_fx.task.blocked, ~SIG_KERNEL_ONLY);
    send_self(SIGKILL);
    assert_true(signal_pending());
    assert_false(fixture_deliver());
    assert_int_equal(g_fx.died, SIGKILL);
}

static void frame_and_back(void **state)
{
    struct regs before = g_fx.regs;
    struct frame_sigcontext *c;

    before.rax = 11;
    before.rcx = 22;
    before.r15 = 33;
    g_fx.regs = before;
    fixture_handle(SIGUSR1, HANDLER, SA_SIGINFO);
    signal_set_blocked(sigmask(SIGUSR2));
    send_self(SIGUSR1);
    assert_true(fixture_deliver());
    assert_int_equal(g_fx.regs.rip, HANDLER);
    assert_int_equal(g_fx.regs.rdi, SIGUSR1);
    assert_int_equal(g_fx.regs.rsp % 16, 8);
    assert_true(g_fx.regs.rsp + sizeof(struct rt_frame) <= before.rsp - 128);
    assert_int_equal(frame()->restorer, 0x7000);
    assert_int_equal(g_fx.regs.rdx, (u64)&frame()->uc);
    assert_int_equal(g_fx.regs.rsi, (u64)&frame()->info);
    assert_int_equal(frame()->info.si_signo, SIGUSR1);
    assert_int_equal(frame()->uc.mask, sigmask(SIGUSR2));
    assert_int_equal(g_fx.task.blocked, sigmask(SIGUSR2) | sigmask(SIGUSR1));
    c = &frame()->uc.mcontext;
    assert_int_equal(c->rip, before.rip);
    assert_int_equal(c->cs, 0x33);
    assert_int_equal(c->ss, 0x2b);
    assert_int_equal(c->fpstate % 64, 0);
    assert_int_equal(*(u32 *)(c->fpstate + XSAVE_SIZE), FP_XSTATE_MAGIC2);
    memset((void *)c->fpstate, 0x5a, 16);
    sigreturn();
    assert_int_equal(g_fx.task.blocked, sigmask(SIGUSR2));
    before.orig_rax = -1;
    assert_memory_equal(&g_fx.regs, &before, sizeof(before));
}

static void plain_restorer_becomes_ours(void **state)
{
    static const u8 libc[9] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

    memcpy((void *)CODE, libc, sizeof(libc));
    fixture_handle(SIGUSR1, HANDLER, SA_RESTORER_K);
    g_fx.sighand.action[SIGUSR1 - 1].restorer = CODE;
    send_self(SIGUSR1);
    fixture_deliver();
    assert_int_equal(frame()->restorer, 0x7000);
    *(u8 *)CODE = 0x90;
    send_self(SIGUSR2);
    fixture_handle(SIGUSR2, HANDLER, SA_RESTORER_K);
    g_fx.sighand.action[SIGUSR2 - 1].restorer = CODE;
    fixture_deliver();
    assert_int_equal(frame()->restorer, CODE);
}

static void flags_from_a_frame_are_filtered(void **state)
{
    fixture_handle(SIGUSR1, HANDLER, 0);
    send_self(SIGUSR1);
    fixture_deliver();
    frame()->uc.mcontext.eflags = ~0UL;
    sigreturn();
    assert_int_equal(g_fx.regs.rflags, 0x246 | 0x1 | 0x10 | 0x80 | 0x400 | 0x800 | 0x40000);
}

/* Builds a frame, lets `spoil` change it, comes back: SIGSEGV must wait. */
static void expect_bad_frame(void (*spoil)(struct rt_frame *f))
{
    fixture_handle(SIGUSR1, HANDLER, 0);
    send_self(SIGUSR1);
    assert_true(fixture_deliver());
    spoil(frame());
    sigreturn();
    assert_int_equal(g_fx.task.pending.set, sigmask(SIGSEGV));
    assert_false(fixture_deliver());
    assert_int_equal(g_fx.died, SIGSEGV | 0x80); /* with what core_dump() says */
}

static void spoil_rip(struct rt_frame *f)
{
    f->uc.mcontext.rip = 1UL << 63;
}

static void spoil_cs(struct rt_frame *f)
{
    f->uc.mcontext.cs = 0x23;
}

static void spoil_alignment(struct rt_frame *f)
{
    f->uc.mcontext.fpstate += 8;
}

static void spoil_image(struct rt_frame *f)
{
    *(u8 *)f->uc.mcontext.fpstate = 0;
}

static void bad_rip(void **state)
{
    expect_bad_frame(spoil_rip);
}

static void bad_segment(void **state)
{
    expect_bad_frame(spoil_cs);
}

static void bad_image_address(void **state)
{
    expect_bad_frame(spoil_alignment);
}

static void bad_image(void **state)
{
    expect_bad_frame(spoil_image);
}

static void no_image_resets_vectors(void **state)
{
    fixture_handle(SIGUSR1, HANDLER, 0);
    send_self(SIGUSR1);
    fixture_deliver();
    assert_int_equal(g_fx.resets, 1); /* for the handler */
    frame()->uc.mcontext.fpstate = 0;
    sigreturn();
    assert_int_equal(g_fx.resets, 2);
    assert_int_equal(g_fx.task.pending.set, 0);
}

/* ---- Restart -------------------------------------------------------------------------------------------- */

static void restarted_without_handler(void **state)
{
    fixture_call(__NR_read, -ERESTARTSYS);
    g_fx.restart_result = 5;
    send_self(SIGCHLD);
    assert_true(fixture_deliver());
    assert_int_equal(g_fx.restarts, 1);
    assert_int_equal(g_fx.restarted, __NR_read);
    assert_int_equal(g_fx.regs.rax, 5);
}

static void sleep_goes_on_by_restart_syscall(void **state)
{
    fixture_call(__NR_nanosleep, -ERESTART_RESTARTBLOCK);
    assert_true(fixture_deliver());
    assert_int_equal(g_fx.restarted, __NR_restart_syscall);
}

/* What the frame shows for a call that ended with `result` under a handler with `flags`. */
static void expect_shown(s64 result, u64 flags, s64 rax, u64 rip)
{
    struct regs before = g_fx.regs;

    fixture_handle(SIGUSR1, HANDLER, flags);
    fixture_call(__NR_read, result);
    send_self(SIGUSR1);
    assert_true(fixture_deliver());
    assert_int_equal(frame()->uc.mcontext.rax, (u64)rax);
    assert_int_equal(frame()->uc.mcontext.rip, rip);
    assert_int_equal(g_fx.restarts, 0);
    g_fx.regs = before;
    signal_set_blocked(0);
}

static void handlers_and_restart(void **state)
{
    u64 rip = g_fx.regs.rip;

    expect_shown(-ERESTARTSYS, SA_RESTART, __NR_read, rip - 2);
    expect_shown(-ERESTARTSYS, 0, -EINTR, rip);
    expect_shown(-ERESTARTNOINTR, 0, __NR_read, rip - 2);
    expect_shown(-ERESTARTNOHAND, SA_RESTART, -EINTR, rip);
    expect_shown(-ERESTART_RESTARTBLOCK, SA_RESTART, -EINTR, rip);
    expect_shown(-EINTR, SA_RESTART, -EINTR, rip);
}

static void an_interrupt_never_restarts(void **state)
{
    fixture_call(-1, -ERESTARTSYS);
    send_self(SIGCHLD);
    assert_true(fixture_deliver());
    assert_int_equal(g_fx.restarts, 0);
    assert_int_equal(g_fx.regs.rax, (u64)-ERESTARTSYS);
}

/* ---- Masks ------------------------------------------------------------------------------------------------ */

static void temporary_mask_is_what_the_frame_saves(void **state)
{
    sigset64_t *temp = (sigset64_t *)CODE;

    signal_set_blocked(sigmask(SIGUSR1) | sigmask(SIGHUP));
    *temp = sigmask(SIGTERM);
    fixture_handle(SIGUSR1, HANDLER, 0);
    assert_int_equal(signal_set_temp_mask(temp, 8), 0);
    fixture_call(__NR_rt_sigsuspend, -ERESTARTNOHAND);
    send_self(SIGUSR1);
    fixture_deliver();
    assert_int_equal(frame()->uc.mask, sigmask(SIGUSR1) | sigmask(SIGHUP));
    assert_int_equal(g_fx.task.blocked, sigmask(SIGTERM) | sigmask(SIGUSR1));
    assert_false(g_fx.task.restore_blocked);
}

static void two_handlers_nest(void **state)
{
    u64 first;

    fixture_handle(SIGUSR1, HANDLER, 0);
    fixture_handle(SIGUSR2, HANDLER + 16, 0);
    send_self(SIGUSR2);
    send_self(SIGUSR1);
    fixture_deliver();
    assert_int_equal(g_fx.regs.rip, HANDLER + 16);
    first = frame()->uc.mcontext.rip;
    assert_int_equal(first, HANDLER);
    assert_int_equal(frame()->uc.mask, sigmask(SIGUSR1));
}

static void reset_and_nodefer(void **state)
{
    fixture_handle(SIGUSR1, HANDLER, SA_RESETHAND | SA_NODEFER);
    send_self(SIGUSR1);
    fixture_deliver();
    assert_int_equal(g_fx.task.blocked, 0);
    assert_int_equal(g_fx.sighand.action[SIGUSR1 - 1].handler, (u64)SIG_DFL);
}

/* ---- Faults, stacks ----------------------------------------------------------------------------------------- */

static void blocked_fault_kills(void **state)
{
    fixture_handle(SIGSEGV, HANDLER, 0);
    signal_set_blocked(sigmask(SIGSEGV));
    signal_force_fault(SIGSEGV, SEGV_MAPERR, 0x1234, 14, 6);
    assert_false(fixture_deliver());
    assert_int_equal(g_fx.died, SIGSEGV | 0x80); /* with what core_dump() says */
}

static void fault_reaches_its_handler(void **state)
{
    fixture_handle(SIGSEGV, HANDLER, SA_SIGINFO);
    signal_force_fault(SIGSEGV, SEGV_ACCERR, 0x1234, 14, 7);
    assert_true(fixture_deliver());
    assert_int_equal(frame()->info.si_code, SEGV_ACCERR);
    assert_ptr_equal(frame()->info.si_addr, (void *)0x1234);
    assert_int_equal(frame()->uc.mcontext.trapno, 14);
    assert_int_equal(frame()->uc.mcontext.err, 7);
    assert_int_equal(frame()->uc.mcontext.cr2, 0x1234);
}

static void set_altstack(u32 flags)
{
    stack_t st = {.ss_sp = (void *)ALTSTACK, .ss_size = ALT_SIZE, .ss_flags = (int)flags};

    assert_int_equal(altstack_set(&g_fx.task.altstack, &st, g_fx.regs.rsp), 0);
}

static void overflow_is_handled_on_the_alternate_stack(void **state)
{
    set_altstack(0);
    g_fx.regs.rsp = 0x20000; /* nothing there */
    fixture_handle(SIGSEGV, HANDLER, SA_ONSTACK);
    signal_force_fault(SIGSEGV, SEGV_MAPERR, 0x1fff8, 14, 6);
    assert_true(fixture_deliver());
    assert_in_range(g_fx.regs.rsp, ALTSTACK, ALTSTACK + ALT_SIZE);
    assert_int_equal(frame()->uc.mcontext.rsp, 0x20000);
}

static void no_room_for_any_frame_kills(void **state)
{
    g_fx.regs.rsp = 0x100;
    fixture_handle(SIGUSR1, HANDLER, 0);
    send_self(SIGUSR1);
    assert_false(fixture_deliver());
    assert_int_equal(g_fx.died, SIGSEGV | 0x80); /* with what core_dump() says */
}

static void altstack_rules(void **state)
{
    struct altstack *a = &g_fx.task.altstack;
    stack_t st = {.ss_sp = (void *)ALTSTACK, .ss_size = MINSIGSTKSZ - 1, .ss_flags = 0};

    assert_int_equal(altstack_set(a, &st, 0), -ENOMEM);
    st.ss_flags = 4;
    assert_int_equal(altstack_set(a, &st, 0), -EINVAL);
    set_altstack(0);
    st = altstack_get(a, STACK_TOP);
    assert_int_equal(st.ss_flags, 0);
    st = altstack_get(a, ALTSTACK + 16);
    assert_int_equal(st.ss_flags, SS_ONSTACK);
    assert_int_equal(altstack_set(a, &st, ALTSTACK + 16), -EPERM);
    st.ss_flags = SS_DISABLE;
    assert_int_equal(altstack_set(a, &st, STACK_TOP), 0);
    assert_int_equal(altstack_get(a, ALTSTACK + 16).ss_flags, SS_DISABLE);
}

static void autodisarm_gives_the_stack_up_and_back(void **state)
{
    set_altstack(SS_AUTODISARM_K);
    fixture_handle(SIGUSR1, HANDLER, SA_ONSTACK);
    send_self(SIGUSR1);
    fixture_deliver();
    assert_in_range(g_fx.regs.rsp, ALTSTACK, ALTSTACK + ALT_SIZE);
    assert_int_equal(g_fx.task.altstack.size, 0);
    sigreturn();
    assert_int_equal(g_fx.task.altstack.size, ALT_SIZE);
    assert_int_equal(g_fx.task.altstack.flags, SS_AUTODISARM_K);
}

static void host_may_send_only_what_a_terminal_may(void **state)
{
    fixture_handle(SIGSEGV, HANDLER, 0);
    signal_from_host(SIGSEGV);
    signal_from_host(SIGCHLD);
    signal_from_host(64);
    signal_from_host(0);
    signal_from_host(1000);
    assert_int_equal(g_fx.group.pending.set, 0);
    signal_from_host(SIGINT);
    assert_int_equal(g_fx.group.pending.set, sigmask(SIGINT));
}

static void first_process_inherits_ignored_signals(void **state)
{
    struct ksigaction *actions = g_fx.task.sighand->action;

    signal_inherit_ignored(&g_fx.task, ~0UL);
    assert_int_equal(actions[SIGPIPE - 1].handler, (u64)SIG_IGN);
    assert_int_equal(actions[SIGCHLD - 1].handler, (u64)SIG_IGN);
    assert_int_equal(actions[SIGKILL - 1].handler, (u64)SIG_DFL);
    assert_int_equal(actions[SIGSTOP - 1].handler, (u64)SIG_DFL);
    assert_int_equal(actions[SIGSEGV - 1].handler, (u64)SIG_DFL);
    signal_exec(&g_fx.task);
    assert_int_equal(actions[SIGPIPE - 1].handler, (u64)SIG_IGN);
    fixture_handle(SIGPIPE, HANDLER, 0);
    signal_inherit_ignored(&g_fx.task, 0);
    assert_int_equal(actions[SIGPIPE - 1].handler, HANDLER);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(default_actions),
        T(ignored_is_dropped_unless_blocked),
        T(kill_cannot_be_blocked),
        T(frame_and_back),
        T(plain_restorer_becomes_ours),
        T(flags_from_a_frame_are_filtered),
        T(bad_rip),
        T(bad_segment),
        T(bad_image_address),
        T(bad_image),
        T(no_image_resets_vectors),
        T(restarted_without_handler),
        T(sleep_goes_on_by_restart_syscall),
        T(handlers_and_restart),
        T(an_interrupt_never_restarts),
        T(temporary_mask_is_what_the_frame_saves),
        T(two_handlers_nest),
        T(reset_and_nodefer),
        T(blocked_fault_kills),
        T(fault_reaches_its_handler),
        T(overflow_is_handled_on_the_alternate_stack),
        T(no_room_for_any_frame_kills),
        T(altstack_rules),
        T(autodisarm_gives_the_stack_up_and_back),
        T(first_process_inherits_ignored_signals), T(host_may_send_only_what_a_terminal_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
