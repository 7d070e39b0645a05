/* SPDX-License-Identifier: MIT */
/*
 * Stage one of the exception handler: runs at CSSA 1 after an AEX, on the thread's exception stack,
 * with general registers only, cannot be entered again (NSSA is 2), takes no lock and leaves the
 * enclave's state alone but for the interrupted SSA frame and the frame it builds on the kernel
 * stack. The real work is stage two's, at CSSA 0, where the rewritten frame resumes.
 *
 * What the CPU wrote to the SSA frame is trusted; that an entry happened at all is the host's choice.
 * So an entry without valid EXITINFO is an interrupt: user code goes to the trap handler, kernel code
 * only gets its task marked, and the short way back to user code is restarted.
 */
#include "sgx_target.h"
#include <kernel/regs.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/traps.h>

static u64 g_interrupts; /* atomic */

_Static_assert(offsetof(struct regs, rsp) == 0x90, "entry.S");

static void regs_from_ssa(struct regs *r, const struct sgx_gprsgx *g)
{
    r->r15 = g->r15;
    r->r14 = g->r14;
    r->r13 = g->r13;
    r->r12 = g->r12;
    r->rbp = g->rbp;
    r->rbx = g->rbx;
    r->r11 = g->r11;
    r->r10 = g->r10;
    r->r9 = g->r9;
    r->r8 = g->r8;
    r->rax = g->rax;
    r->rcx = g->rcx;
    r->rdx = g->rdx;
    r->rsi = g->rsi;
    r->rdi = g->rdi;
    r->orig_rax = -1;
    r->rip = g->rip;
    r->rflags = g->rflags;
    r->rsp = g->rsp;
}

/*
 * The frame's exception, or TRAP_NONE for an interrupt. Takes it: the host may enter again before it
 * resumes the frame (a signal came, or it is malicious), and one exception must not be seen twice.
 */
static void exception_take(struct regs *r, struct sgx_gprsgx *g)
{
    const struct sgx_exinfo *ex = (const void *)((uintptr_t)g - sizeof(*ex));
    u32 info = g->exit_info;

    g->exit_info = 0;
    r->trapno = TRAP_NONE;
    r->error = 0;
    r->addr = 0;
    if (!(info & SGX_EXITINFO_VALID))
        return;
    r->trapno = SGX_EXITINFO_VECTOR(info);
    if (r->trapno == TRAP_PF || r->trapno == TRAP_GP) {
        r->error = ex->errcd;
        r->addr = ex->maddr;
    }
}

u64 target_interrupts(void)
{
    return __atomic_load_n(&g_interrupts, __ATOMIC_RELAXED);
}

static bool in_kernel(u64 rip)
{
    return rip >= (uintptr_t)kernel_text_start && rip < (uintptr_t)kernel_text_end;
}

/* Makes the frame go on at `rip` with the kernel's conventions and `rsp`. */
static void resume_in_kernel(struct sgx_gprsgx *g, const struct thread_area *area, uintptr_t rip,
                             uintptr_t rsp)
{
    g->rip = rip;
    g->rsp = rsp;
    g->rbp = 0;
    g->rflags = 2;
    g->gs_base = (uintptr_t)area;
}

static void stage1_user(struct thread_area *area, struct sgx_gprsgx *g)
{
    struct regs *r = (struct regs *)(area->kstack - sizeof(*r));

    regs_from_ssa(r, g);
    exception_take(r, g);
    resume_in_kernel(g, area, (uintptr_t)arch_trap_user_entry, (uintptr_t)r);
}

static bool on_kernel_stack(const struct thread_area *area, u64 rsp)
{
    return rsp <= area->kstack && rsp > area->kstack - THREAD_KSTACK_SIZE + 1024;
}

static void stage1_kernel(struct thread_area *area, struct sgx_gprsgx *g)
{
    struct regs fault;
    struct regs *r;
    uintptr_t frame;

    exception_take(&fault, g);
    if (fault.trapno == TRAP_NONE) {
        __atomic_fetch_add(&g_interrupts, 1, __ATOMIC_RELAXED);
        if (area->task)
            task_set_work(area->task, WORK_INTERRUPT);
        if (g->rip >= (uintptr_t)arch_ret_to_user && g->rip < (uintptr_t)arch_ret_window_end)
            resume_in_kernel(g, area, (uintptr_t)arch_ret_to_user,
                             area->kstack - sizeof(struct regs));
        return;
    }
    /* A broken kernel stack cannot hold a frame: report from the top of it instead. */
    frame = on_kernel_stack(area, g->rsp) ? align_down(g->rsp - 64, 16) - sizeof(*r)
                                          : area->kstack - 8 * sizeof(*r);
    r = (struct regs *)align_down(frame, 16);
    regs_from_ssa(r, g);
    r->trapno = on_kernel_stack(area, g->rsp) ? fault.trapno : TRAP_STACK;
    r->error = fault.error;
    r->addr = fault.addr;
    resume_in_kernel(g, area, (uintptr_t)arch_trap_kernel_entry, (uintptr_t)r);
}

void sgx_exception_stage1(struct thread_area *area)
{
    struct sgx_gprsgx *g =
        (struct sgx_gprsgx *)(area->ssa + SSA_FRAME_PAGES * ENCLAVE_PAGE_SIZE - sizeof(*g));

    if (in_kernel(g->rip))
        stage1_kernel(area, g);
    else
        stage1_user(area, g);
}
