/* SPDX-License-Identifier: MIT */
/*
 * Stage two of exceptions and interrupts: on the kernel stack, like a syscall, free to block and to
 * leave the enclave. The program's exceptions become page fills, emulated instructions or signals;
 * the kernel's own are page faults of user copies, or a panic.
 */
#include <kernel/arch.h>
#include <kernel/loader.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/thread_area.h>
#include <kernel/traps.h>
#include <kernel/uaccess.h>
#include <layout.h>

_Static_assert(offsetof(struct task, work) == 0, "entry.S");

/* ---- Page faults -------------------------------------------------------------------------------- */

static unsigned fault_access(u64 error)
{
    if (error & PF_INSTR)
        return VM_EXEC;
    return error & PF_WRITE ? VM_WRITE : VM_READ;
}

static bool fault_in_user_range(u64 addr)
{
    return addr >= USER_START && addr < SHARED_END;
}

static void user_page_fault(struct regs *r)
{
    int sig = SIGSEGV, code = SEGV_MAPERR;

    if (fault_in_user_range(r->addr) &&
        mm_fault(current->mm, r->addr, fault_access(r->error), &sig, &code) == 0)
        return;
    signal_force_fault(sig, code, r->addr, TRAP_PF, r->error & 0x17);
}

/* ---- Invalid opcodes: what an enclave may not execute, and what really is invalid ------------------ */

static void emulate_syscall(struct regs *r)
{
    syscall_count_trap(r->rip);
    r->rip += 2;
    r->rcx = r->rip;
    r->r11 = r->rflags;
    r->orig_rax = (s64)r->rax;
    syscall_dispatch(r);
}

void trap_cpuid(struct regs *r)
{
    u32 out[4];

    arch_cpuid((u32)r->rax, (u32)r->rcx, out);
    r->rax = out[0];
    r->rbx = out[1];
    r->rcx = out[2];
    r->rdx = out[3];
    r->orig_rax = -1; /* no system call to restart */
}

u64 arch_cpuid_rcx(void)
{
    return thread_area()->cpuid_rcx;
}

static void emulate_cpuid(struct regs *r)
{
    trap_cpuid(r);
    r->rip += 2;
}

/* Interrupts and I/O: #UD in an enclave (SDM 3D, illegal instructions), #GP for a program elsewhere. */
static bool is_privileged(u8 op)
{
    return op == 0xcd || (op >= 0x6c && op <= 0x6f) || (op >= 0xe4 && op <= 0xe7) ||
           (op >= 0xec && op <= 0xef);
}

static void user_invalid_opcode(struct regs *r)
{
    u8 code[3] = {0, 0, 0};
    size_t n = copy_from_user_partial(code, (const void __user *)r->rip, sizeof(code));
    size_t rex = (code[0] & 0xf0) == 0x40; /* a prefix that changes none of these */
    const u8 *op = code + rex;

    if (n >= rex + 2 && op[0] == 0x0f && op[1] == 0x05) {
        r->rip += rex;
        emulate_syscall(r);
    } else if (n >= rex + 2 && op[0] == 0x0f && op[1] == 0xa2) {
        r->rip += rex;
        emulate_cpuid(r);
    } else if (op[0] == 0xcc) {
        r->rip += rex + 1;
        signal_force_fault(SIGTRAP, SI_KERNEL, 0, TRAP_BP, 0);
    } else if (is_privileged(op[0])) {
        signal_force_fault(SIGSEGV, SI_KERNEL, 0, TRAP_GP, 0);
    } else {
        signal_force_fault(SIGILL, ILL_ILLOPN, r->rip, TRAP_UD, 0);
    }
}

/* ---- Floating point ---------------------------------------------------------------------------------- */

/* si_code from the unmasked exception bits of an x87 status word or MXCSR, as Linux ranks them. */
static int fpe_code(unsigned raised)
{
    if (raised & 0x01)
        return FPE_FLTINV;
    if (raised & 0x04)
        return FPE_FLTDIV;
    if (raised & 0x08)
        return FPE_FLTOVF;
    if (raised & 0x12)
        return FPE_FLTUND;
    if (raised & 0x20)
        return FPE_FLTRES;
    return FPE_FLTINV;
}

static void user_simd_exception(struct regs *r)
{
    u32 mxcsr;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    signal_force_fault(SIGFPE, fpe_code(mxcsr & ~(mxcsr >> 7) & 0x3f), r->rip, TRAP_XM, 0);
}

static void user_x87_exception(struct regs *r)
{
    struct {
        u16 control, reserved1, status, reserved2;
        u32 rest[5];
    } env;

    __asm__ volatile("fnstenv %0\n\tfldenv %0" : "=m"(env));
    signal_force_fault(SIGFPE, fpe_code(env.status & ~env.control & 0x3f), r->rip, TRAP_MF, 0);
}

/* ---- Entry points of entry.S -------------------------------------------------------------------------- */

void trap_user(struct regs *r)
{
    current->regs = r;
    switch (r->trapno) {
    case TRAP_NONE:
        task_set_work(current, WORK_INTERRUPT);
        break;
    case TRAP_PF:
        user_page_fault(r);
        break;
    case TRAP_UD:
        user_invalid_opcode(r);
        break;
    case TRAP_DE:
        signal_force_fault(SIGFPE, FPE_INTDIV, r->rip, TRAP_DE, 0);
        break;
    case TRAP_XM:
        user_simd_exception(r);
        break;
    case TRAP_MF:
        user_x87_exception(r);
        break;
    case TRAP_AC:
        signal_force_fault(SIGBUS, BUS_ADRALN, 0, TRAP_AC, 0);
        break;
    case TRAP_BP:
        signal_force_fault(SIGTRAP, SI_KERNEL, 0, TRAP_BP, 0);
        break;
    case TRAP_DB:
        signal_force_fault(SIGTRAP, TRAP_TRACE, r->rip, TRAP_DB, 0);
        break;
    case TRAP_SS:
        signal_force_fault(SIGBUS, SI_KERNEL, 0, TRAP_SS, r->error);
        break;
    default:
        signal_force_fault(SIGSEGV, SI_KERNEL, 0, (int)r->trapno, r->error);
        break;
    }
}

/* Pairs of addresses, sorted by nothing: a faulting instruction and where to go on instead. */
struct exception_entry {
    uintptr_t fault, fixup;
};
extern const struct exception_entry __ex_table_start[], __ex_table_end[];

static bool fixup_exception(struct regs *r)
{
    /* cppcheck-suppress comparePointers; the linker puts both around one table */
    for (const struct exception_entry *e = __ex_table_start; e < __ex_table_end; e++) {
        if (e->fault == r->rip) {
            r->rip = e->fixup;
            return true;
        }
    }
    return false;
}

void trap_kernel(struct regs *r)
{
    int sig = 0, code;

    if (r->trapno == TRAP_PF && fault_in_user_range(r->addr) && current->mm &&
        mm_fault(current->mm, r->addr, fault_access(r->error), &sig, &code) == 0)
        return;
    if (fixup_exception(r)) {
        if (sig == SIGKILL) /* no memory left for a page of the program: as if it had touched it itself */
            signal_force_fault(SIGKILL, SI_KERNEL, r->addr, TRAP_PF, r->error & 0x17);
        return;
    }
    panic("exception %lu (error %#lx, address %#lx) in the kernel at %#lx, stack %#lx", r->trapno,
          r->error, r->addr, r->rip, r->rsp);
}

void trap_exit_work(struct regs *r)
{
    u32 work = __atomic_exchange_n(&current->work, 0, __ATOMIC_SEQ_CST);

    current->regs = r;
    if (work & WORK_BARRIER)
        membarrier_pass();
    if (work & WORK_INTERRUPT) {
        target_take_signals();
        ktimer_run();
    }
    signal_deliver(r);
    if (work & WORK_TURN)
        mm_take_turns();
}
