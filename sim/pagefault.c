/* SPDX-License-Identifier: MIT */
/*
 * What an access by enclave code to an address in the enclave's range comes to: the driver's fault
 * handler (VMA, EAUG, SIGBUS) and the CPU's EPCM check, in the order of the real ones.
 *
 * Source: Intel SDM vol. 3D, "Access-control requirements"; the in-tree driver's fault handler.
 * Under the device lock; vector-free.
 */
#include "internal.h"

/* PTE-level fault: no SGX bit. `present` says whether a page was mapped with fewer rights. */
static struct sim_fault page_table_fault(uint64_t addr, uint32_t want, bool present)
{
    uint32_t error = SGX_PF_U;

    if ((want & EPCM_W) != 0) {
        error |= SGX_PF_W;
    }
    if ((want & EPCM_X) != 0) {
        error |= SGX_PF_I;
    }
    if (present) {
        error |= SGX_PF_P;
    }
    return sim_pf(addr, error);
}

static struct sim_fault epcm_fault(uint64_t addr, uint32_t want)
{
    struct sim_fault fault = page_table_fault(addr, want, true);

    fault.error |= SGX_PF_SGX;
    return fault;
}

/* The kernel's check before it calls the driver: a write needs a writable VMA, others any right. */
static bool vma_allows(const struct sim_segment *seg, uint32_t want)
{
    return (want & EPCM_W) != 0 ? (seg->prot & EPCM_W) != 0 : seg->prot != 0;
}

/*
 * Finds the page, adding it as the driver would. *aug counts the EAUGs, each of which cost the thread
 * an AEX and an ERESUME. want == 0 asks only that the page exists (EACCEPT's target).
 */
static struct sim_fault driver_fault(struct sgx_device *dev, const struct sim_segment *seg,
                                     uint64_t addr, uint32_t want, uint32_t *aug)
{
    uint32_t *entry = epcm_find(dev, addr);

    if (entry == NULL) {
        struct sim_fault fault = sim_eaug(dev, addr);

        if (fault.vector != SIM_OK) {
            /* VM_FAULT_SIGBUS and VM_FAULT_OOM reach the vDSO as this #PF. */
            return page_table_fault(addr, want, false);
        }
        *aug += 1;
        return sim_ok();
    }
    if ((seg->prot & ~((*entry & EPCM_MAX_MASK) >> EPCM_MAX_POS)) != 0) {
        return page_table_fault(addr, want, false);
    }
    return sim_ok();
}

struct sim_fault sim_access(struct sim_thread *t, uint64_t addr, uint32_t want, uint32_t *aug)
{
    struct sgx_device *dev = t->dev;
    const struct sim_segment *seg = segment_find(dev, addr);
    struct sim_fault fault;
    uint32_t entry;

    if (seg == NULL || !vma_allows(seg, want)) {
        return page_table_fault(addr, want, seg != NULL && epcm_find(dev, addr) != NULL);
    }
    fault = driver_fault(dev, seg, addr, want, aug);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    if ((want & ~seg->prot) != 0) {
        return page_table_fault(addr, want, true);
    }
    if (want == 0) {
        return sim_ok();
    }
    entry = *epcm_find(dev, addr);
    if ((entry & (EPCM_PENDING | EPCM_MODIFIED)) != 0 || epcm_type(entry) != SGX_PT_REG ||
        (want & ~entry) != 0) {
        return epcm_fault(addr, want);
    }
    return sim_ok();
}

/* A leaf's memory operand: accessible as `want`, and ready in the host's page tables. */
struct sim_fault sim_operand(struct sim_thread *t, uint64_t addr, uint32_t want)
{
    uint32_t aug = 0;
    struct sim_fault fault = sim_access(t, addr, want, &aug);

    t->cnt.aex += aug;
    t->cnt.eresume += aug;
    if (fault.vector == SIM_OK && want != 0) {
        hostmap_fill(t->dev, addr);
    }
    return fault;
}
