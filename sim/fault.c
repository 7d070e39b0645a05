/* SPDX-License-Identifier: MIT */
/*
 * Exceptions that struck enclave code, as the host kernel reports them by signal, turned into what the
 * CPU would do: retry (the page tables lagged behind the EPCM), emulate (an ENCLU that is not the
 * patched stub), or AEX with the architectural vector.
 *
 * Source: Intel SDM vol. 3D, "Illegal instructions inside an enclave" (#UD for CPUID, I/O, INT n,
 * SYSCALL ...), "INT3 consideration" (fault class; #UD after an opt-out entry, and every entry is one
 * here), "RFLAGS.TF treatment" (an opt-out enclave cannot set it).
 *
 * Weaker than hardware, because the instruction does not trap here: LAR, VERR, VERW, VMCALL in a
 * virtual machine, far transfers and IRET to the same code segment, loads of segment registers; SGDT,
 * SIDT, SLDT, STR and SMSW are emulated by the host kernel. After SYSCALL, RCX and R11 are lost (user
 * dispatch does not keep them). SYSENTER makes no system call, but where it stood is lost: #UD with
 * RIP 0. A far transfer to 32-bit code is the same, at that code's next exception or interrupt.
 */
#include "internal.h"

#include <string.h>

#define SYSCALL_SIZE 2U
#define INT3         0xccU
#define INT3_SIZE    1U
#define INTN_SIZE    2U

static bool bytes_at(uint64_t addr, uint8_t *out, size_t size)
{
    return sim_copy(out, (const void *)addr, size) == 0;
}

static bool is_io(uint8_t op)
{
    return (op >= 0x6c && op <= 0x6f) || (op >= 0xe4 && op <= 0xe7) || (op >= 0xec && op <= 0xef);
}

static bool is_prefix(uint8_t op)
{
    return op == 0x66 || op == 0x67 || op == 0xf2 || op == 0xf3 || (op & 0xf0) == 0x40;
}

/* The host saw #GP at `rip`: is it one of the instructions that are #UD inside an enclave? */
static bool is_illegal_inside(const struct sim_thread *t, uint64_t rip)
{
    uint8_t op[3];

    for (int i = 0; i < 4; i++, rip++) {
        if (!bytes_at(rip, op, 1)) {
            return false;
        }
        if (!is_prefix(op[0])) {
            break;
        }
    }
    if (is_io(op[0]) || op[0] == 0xcd) {
        return true;
    }
    if (op[0] != 0x0f || !bytes_at(rip, op, 2)) {
        return false;
    }
    if (op[1] == 0xa2 || op[1] == 0x33) { /* CPUID, RDPMC */
        return true;
    }
    if (op[1] == 0x31) {
        return t->dev->config.trap_rdtsc != 0;
    }
    return op[1] == 0x01 && bytes_at(rip, op, 3) && op[2] == 0xf9 && t->dev->config.trap_rdtsc != 0;
}

static bool is_enclu(uint64_t rip)
{
    uint8_t op[3];

    return bytes_at(rip, op, sizeof(op)) && memcmp(op, SGX_ENCLU_OPCODE, sizeof(op)) == 0;
}

/*
 * The exceptions that ENCLU raises on a CPU where SGX is off or unknown: #UD, #GP, and for some leaves
 * #PF on their operands.
 */
static bool is_enclu_trap(const ucontext_t *uc)
{
    const greg_t *g = uc->uc_mcontext.gregs;

    switch (g[REG_TRAPNO]) {
    case SIM_UD:
    case SIM_GP:
        return is_enclu((uint64_t)g[REG_RIP]);
    case SIM_PF:
        return (g[REG_ERR] & SGX_PF_I) == 0 && is_enclu((uint64_t)g[REG_RIP]);
    default:
        return false;
    }
}

static void leave_with(struct sim_thread *t, ucontext_t *uc, struct sim_sigframe *f,
                       const struct sim_fault *fault, const struct sim_regs *regs)
{
    sim_aex(t, uc, fault, regs, f->fs, f->gs);
    f->fs = t->host_fs;
    f->gs = t->host_gs;
}

static void emulate_enclu(struct sim_thread *t, ucontext_t *uc, struct sim_sigframe *f,
                          const struct sim_regs *before)
{
    struct sim_regs regs = *before;
    struct sim_fault fault;

    t->fs = f->fs;
    t->gs = f->gs;
    t->cnt.trapped_enclu++;
    fault = sim_enclu_inside(t, &regs);
    if (fault.vector != SIM_OK) {
        leave_with(t, uc, f, &fault, before);
        return;
    }
    sim_regs_to_uc(&regs, uc);
    f->fs = t->fs;
    f->gs = t->gs;
}

/*
 * Enclave code's access to `addr` did not go through. True: it may be retried. False: *fault holds
 * what the CPU raises. Takes the device lock.
 */
bool sim_page_fault(struct sim_thread *t, ucontext_t *uc, uint64_t addr, uint32_t want,
                    struct sim_fault *fault)
{
    uint32_t aug = 0;

    if (!sim_in_range(t->dev, addr)) {
        *fault = sim_pf(addr, (uint32_t)uc->uc_mcontext.gregs[REG_ERR] | SGX_PF_U);
        return false;
    }
    sim_lock(t->dev);
    *fault = sim_access(t, addr, want, &aug);
    t->cnt.aex += aug;
    t->cnt.eresume += aug;
    if (fault->vector == SIM_OK && hostmap_fill(t->dev, addr) != 0) {
        *fault = sim_pf(addr, SGX_PF_U);
    }
    sim_unlock(t->dev);
    return fault->vector == SIM_OK;
}

static uint32_t access_kind(const ucontext_t *uc)
{
    uint64_t error = (uint64_t)uc->uc_mcontext.gregs[REG_ERR];

    if ((error & SGX_PF_W) != 0) {
        return EPCM_W;
    }
    return (error & SGX_PF_I) != 0 ? EPCM_X : EPCM_R;
}

/* What the host's vector and the instruction come to inside. */
static struct sim_fault translate(const struct sim_thread *t, const ucontext_t *uc,
                                  struct sim_regs *regs)
{
    int vector = (int)uc->uc_mcontext.gregs[REG_TRAPNO];

    if (vector == SIM_BP || vector == SIM_OF) { /* the host has stepped over the INT3 or INT n */
        uint8_t op = 0;

        regs->rip -= bytes_at(regs->rip - INT3_SIZE, &op, 1) && op == INT3 ? INT3_SIZE : INTN_SIZE;
        return sim_ud();
    }
    if (vector == SIM_GP && is_illegal_inside(t, regs->rip)) {
        return sim_ud();
    }
    return (struct sim_fault){.vector = vector,
                              .error = (uint16_t)uc->uc_mcontext.gregs[REG_ERR]};
}

bool sim_is_compat(const ucontext_t *uc)
{
    return (uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff) != USER_CS;
}

void sim_enclave_exception(struct sim_thread *t, int sig, const siginfo_t *info, ucontext_t *uc,
                           struct sim_sigframe *f)
{
    int vector = (int)uc->uc_mcontext.gregs[REG_TRAPNO];
    struct sim_fault fault;
    struct sim_regs regs;

    sim_regs_from_uc(&regs, uc);
    if (sim_is_compat(uc)) {
        greg_t *g = uc->uc_mcontext.gregs;

        g[REG_CSGSFS] = (greg_t)(((uint64_t)g[REG_CSGSFS] & ~0xffffUL) | USER_CS);
        regs.rip = 0;
        fault = sim_ud();
    } else if (sig == SIGSYS && info->si_code == SYS_USER_DISPATCH) {
        regs.rip -= SYSCALL_SIZE;
        fault = sim_ud();
    } else if (is_enclu_trap(uc)) {
        emulate_enclu(t, uc, f, &regs);
        return;
    } else if (vector == SIM_PF) {
        uint64_t addr = (uint64_t)uc->uc_mcontext.gregs[REG_CR2];

        if (sim_page_fault(t, uc, addr, access_kind(uc), &fault)) {
            return;
        }
    } else if (vector == SIM_DB) {
        uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)RFLAGS_TF;
        return;
    } else {
        fault = translate(t, uc, &regs);
    }
    leave_with(t, uc, f, &fault, &regs);
}
