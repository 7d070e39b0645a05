/* SPDX-License-Identifier: MIT */
/*
 * ENCLU: EENTER and ERESUME from outside, the leaves' dispatch inside, EEXIT.
 *
 * Source: Intel SDM vol. 3D, "SGX Instruction References", each leaf's Operation section. Vector-free
 * but for EREPORT and EGETKEY, which run under sim_call_vectors(): the vector registers are the
 * enclave's all the while. A leaf checks everything, then changes state; on a fault it has changed
 * nothing and RIP stands at the ENCLU.
 *
 * Not modelled: XCR0 = XFRM inside (XGETBV shows the host's), EDECCSSA (see enclu_other()), AEX-Notify.
 */
#include "internal.h"

#define ENCLU_SIZE 3U

#define TCS_FLAGS_ALLOWED SGX_TCS_DBGOPTIN

uint64_t sim_ssa_address(const struct sgx_device *dev, const struct sim_tcs *tcs, uint32_t index)
{
    return dev->base + tcs->ossa + (uint64_t)dev->secs.ssa_frame_size * SIM_PAGE_SIZE * index;
}

static uint64_t gprsgx_address(const struct sgx_device *dev, const struct sim_tcs *tcs,
                               uint32_t index)
{
    return sim_ssa_address(dev, tcs, index + 1) - sizeof(struct sgx_gprsgx);
}

/* The TCS that RBX names, checked as EENTER and ERESUME check it. Lock held. */
static struct sim_fault tcs_get(struct sim_thread *t, uint64_t addr, struct sim_tcs **out)
{
    struct sgx_device *dev = t->dev;
    uint32_t aug = 0;
    struct sim_fault fault;
    struct sim_tcs *tcs;
    uint32_t *entry;

    if ((addr & SIM_PAGE_MASK) != 0) {
        return sim_gp();
    }
    if (!sim_in_range(dev, addr)) {
        return sim_pf(addr, SGX_PF_U | SGX_PF_P | SGX_PF_SGX);
    }
    fault = sim_access(t, addr, 0, &aug);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    entry = epcm_find(dev, addr);
    tcs = sim_tcs_find(dev, addr);
    if ((*entry & (EPCM_PENDING | EPCM_MODIFIED)) != 0 || epcm_type(*entry) != SGX_PT_TCS ||
        tcs == NULL) {
        return sim_pf(addr, SGX_PF_U | SGX_PF_P | SGX_PF_SGX);
    }
    if (!dev->initialized || tcs->reserved_set || (tcs->flags & ~TCS_FLAGS_ALLOWED) != 0 ||
        (tcs->ossa & SIM_PAGE_MASK) != 0 || (tcs->ofs_base & SIM_PAGE_MASK) != 0 ||
        (tcs->ogs_base & SIM_PAGE_MASK) != 0) {
        return sim_gp();
    }
    *out = tcs;
    return sim_ok();
}

/* SSA frame `index` must be accepted, readable and writable REG pages. Lock held. */
static struct sim_fault ssa_check(struct sim_thread *t, const struct sim_tcs *tcs, uint32_t index)
{
    struct sgx_device *dev = t->dev;
    uint64_t start = sim_ssa_address(dev, tcs, index);
    uint64_t end = sim_ssa_address(dev, tcs, index + 1);

    for (uint64_t a = start; a != end; a += SIM_PAGE_SIZE) {
        struct sim_fault fault;
        uint32_t aug = 0;

        if (!sim_in_range(dev, a)) {
            return sim_pf(a, SGX_PF_U | SGX_PF_P | SGX_PF_SGX);
        }
        fault = sim_access(t, a, EPCM_R | EPCM_W, &aug);
        if (fault.vector != SIM_OK) {
            return fault;
        }
    }
    return sim_ok();
}

/* The frame's GPRSGX, with its page ready in the host's page tables. Lock held. */
static struct sgx_gprsgx *gprsgx_map(struct sim_thread *t, const struct sim_tcs *tcs, uint32_t index)
{
    uint64_t addr = gprsgx_address(t->dev, tcs, index);

    hostmap_fill(t->dev, addr);
    return (struct sgx_gprsgx *)addr;
}

/* RAX and the arithmetic flags as leaves with an error code leave them. */
void sim_set_result(struct sim_regs *r, int error)
{
    r->rflags &= ~RFLAGS_ARITH;
    r->rax = (uint64_t)error;
    if (error != SGX_SUCCESS) {
        r->rflags |= RFLAGS_ZF;
    }
}

/*
 * A thread that is alone needs no slot; one with another GS base than its TCS's, or 0, gets none, and
 * one whose slot is taken goes without: entry.S then asks the kernel who it is.
 */
static void gs_slot_take(struct sim_thread *t)
{
    struct sim_thread *empty = NULL;

    if (t->dev->gs_shared || t->gs == 0 || t->gs != t->dev->base + t->tcs->ogs_base ||
        atomic_load_explicit(&g_sim_only_thread, memory_order_relaxed) != NULL) {
        return;
    }
    atomic_store_explicit(&t->encl_gs, t->gs, memory_order_relaxed);
    atomic_compare_exchange_strong(sim_gs_slot(t->gs), &empty, t);
}

static void gs_slot_leave(struct sim_thread *t)
{
    uint64_t gs = atomic_load_explicit(&t->encl_gs, memory_order_relaxed);
    struct sim_thread *mine = t;

    if (gs != 0) {
        atomic_compare_exchange_strong(sim_gs_slot(gs), &mine, NULL);
        atomic_store_explicit(&t->encl_gs, 0, memory_order_relaxed);
    }
}

static void enter_mode(struct sim_thread *t, struct sim_tcs *tcs)
{
    t->tcs = tcs;
    t->inside = true;
    gs_slot_take(t);
    atomic_fetch_add_explicit(&t->dev->inside, 1, memory_order_relaxed);
    t->set_pkru = t->pkru_encl;
}

/* Gives the TCS back and turns to the host's FS, GS and protection key rights. */
void sim_leave_enclave(struct sim_thread *t)
{
    struct sim_tcs *tcs = t->tcs;

    gs_slot_leave(t);
    t->inside = false;
    t->tcs = NULL;
    t->fs = t->host_fs;
    t->gs = t->host_gs;
    t->set_pkru = t->pkru_host;
    atomic_fetch_sub_explicit(&t->dev->inside, 1, memory_order_relaxed);
    atomic_store_explicit(&tcs->busy, 0, memory_order_release);
}

static struct sim_fault take_tcs(struct sim_tcs *tcs)
{
    uint32_t idle = 0;

    return atomic_compare_exchange_strong(&tcs->busy, &idle, 1) ? sim_ok() : sim_gp();
}

static struct sim_fault eenter(struct sim_thread *t, struct sim_regs *r)
{
    struct sgx_device *dev = t->dev;
    struct sgx_gprsgx *gpr;
    struct sim_tcs *tcs;
    struct sim_fault fault = tcs_get(t, r->rbx, &tcs);

    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (tcs->cssa >= tcs->nssa || !sim_canonical(r->rcx) ||
        !sim_canonical(dev->base + tcs->oentry)) {
        return sim_gp();
    }
    fault = ssa_check(t, tcs, tcs->cssa);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    fault = take_tcs(tcs);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    gpr = gprsgx_map(t, tcs, tcs->cssa);
    gpr->ursp = r->rsp;
    gpr->urbp = r->rbp;
    tcs->aep = r->rcx;
    r->rax = tcs->cssa;
    r->rcx = (uint64_t)sim_enclu_next;
    r->rip = dev->base + tcs->oentry;
    r->rflags &= ~RFLAGS_TF;
    t->fs = dev->base + tcs->ofs_base;
    t->gs = dev->base + tcs->ogs_base;
    t->exit_mode = SIM_EXIT_JUMP;
    t->cnt.eenter++;
    enter_mode(t, tcs);
    return sim_ok();
}

static struct sim_fault eresume(struct sim_thread *t, struct sim_regs *r)
{
    struct sgx_gprsgx *gpr;
    struct sim_tcs *tcs;
    struct sim_fault fault = tcs_get(t, r->rbx, &tcs);

    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (tcs->cssa == 0 || !sim_canonical(r->rcx)) {
        return sim_gp();
    }
    fault = ssa_check(t, tcs, tcs->cssa - 1);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (sim_xsave_load(t, sim_ssa_address(t->dev, tcs, tcs->cssa - 1)) != 0) {
        return sim_gp();
    }
    gpr = gprsgx_map(t, tcs, tcs->cssa - 1);
    if (!sim_canonical(gpr->rip) || !sim_canonical(gpr->fs_base) || !sim_canonical(gpr->gs_base)) {
        return sim_gp();
    }
    fault = take_tcs(tcs);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    gpr->ursp = r->rsp;
    gpr->urbp = r->rbp;
    tcs->aep = r->rcx;
    tcs->cssa--;
    sim_bytes_copy(r, gpr, sizeof(*r));
    r->rflags &= ~(RFLAGS_TF | RFLAGS_NT);
    t->fs = gpr->fs_base;
    t->gs = gpr->gs_base;
    t->do_xrstor = 1;
    t->exit_mode = SIM_EXIT_IRET;
    t->cnt.eresume++;
    enter_mode(t, tcs);
    return sim_ok();
}

/* ENCLU executed at sim_aep by host code. Leaves what to install in t for entry.S. */
void sim_enclu_host(struct sim_thread *t)
{
    struct sim_regs *r = &t->regs;
    struct sim_fault fault = sim_gp();

    sim_pkru_open(); /* entry.S installs set_pkru */
    if (sim_thread_arm(t) == 0) {
        sim_lock(t->dev);
        fault = (uint32_t)r->rax == SGX_EENTER ? eenter(t, r) : eresume(t, r);
        sim_unlock(t->dev);
    }
    if (fault.vector != SIM_OK) {
        r->rdi = (uint64_t)fault.vector;
        r->rsi = fault.error;
        r->rdx = fault.addr;
        r->rip = (uint64_t)sim_exception;
        t->fs = t->host_fs;
        t->gs = t->host_gs;
        t->set_pkru = t->pkru_host;
        t->exit_mode = SIM_EXIT_JUMP;
    }
}

static struct sim_fault eexit(struct sim_thread *t, struct sim_regs *r)
{
    if (!sim_canonical(r->rbx)) {
        return sim_gp();
    }
    r->rip = r->rbx;
    r->rcx = t->tcs->aep;
    t->cnt.eexit++;
    sim_leave_enclave(t);
    return sim_ok();
}

struct key_call {
    struct sim_thread *t;
    struct sim_regs *r;
    struct sim_fault fault;
};

static void key_call_run(void *arg)
{
    struct key_call *call = arg;

    call->fault = (uint32_t)call->r->rax == SGX_EREPORT ? sim_ereport(call->t, call->r)
                                                        : sim_egetkey(call->t, call->r);
}

static struct sim_fault key_leaf(struct sim_thread *t, struct sim_regs *r)
{
    struct key_call call = {.t = t, .r = r};

    sim_call_vectors(key_call_run, &call, t->xsave, g_sim_xfrm);
    return call.fault;
}

/* A leaf inside the enclave; RIP moves past the ENCLU on success, to the target on EEXIT. */
struct sim_fault sim_enclu_inside(struct sim_thread *t, struct sim_regs *r)
{
    struct sim_fault fault;

    switch ((enum sgx_enclu_leaf)(uint32_t)r->rax) {
    case SGX_EEXIT:
        return eexit(t, r);
    case SGX_EACCEPT:
        fault = sim_eaccept(t, r);
        break;
    case SGX_EACCEPTCOPY:
        fault = sim_eacceptcopy(t, r);
        break;
    case SGX_EMODPE:
        fault = sim_emodpe(t, r);
        break;
    case SGX_EREPORT:
    case SGX_EGETKEY:
        fault = key_leaf(t, r);
        break;
    case SGX_EENTER: /* in enclave mode: #GP */
    case SGX_ERESUME:
    case SGX_EVERIFYREPORT2: /* not enumerated by this CPU: #GP, as any unknown leaf */
    case SGX_EDECCSSA:
    default:
        return sim_gp();
    }
    if (fault.vector == SIM_OK) {
        r->rip += ENCLU_SIZE;
    }
    return fault;
}

void sim_enclu_stub(struct sim_thread *t)
{
    struct sim_regs *r = &t->regs;
    struct sim_fault fault;

    r->rip = t->dev->stub;
    t->set_pkru = t->pkru_encl;
    fault = sim_enclu_inside(t, r);
    if (fault.vector != SIM_OK) {
        t->has_fault = true;
        t->fault_vector = (uint8_t)fault.vector;
        t->fault_error = fault.error;
        t->fault_addr = fault.addr;
        t->exit_mode = SIM_EXIT_TRAP;
    } else if (t->inside) {
        t->exit_mode = SIM_EXIT_RET;
    } else {
        t->exit_mode = sim_in_range(t->dev, r->rsp - 8) ? SIM_EXIT_IRET : SIM_EXIT_JUMP;
    }
}
