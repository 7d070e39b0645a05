/* SPDX-License-Identifier: MIT */
/*
 * SGX2's leaves inside the enclave: EACCEPT, EACCEPTCOPY, EMODPE.
 *
 * Source: Intel SDM vol. 3D, the Operation section of each leaf; the order of checks is the SDM's.
 * Vector-free. Each takes the device lock for itself.
 */
#include "internal.h"

#include <sys/syscall.h>

#define SECINFO_KNOWN                                                                              \
    (SGX_SECINFO_RWX | SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED | SGX_SECINFO_PR |               \
     SGX_SECINFO_PT_MASK)

static struct sim_fault secinfo_read(struct sim_thread *t, uint64_t addr, uint64_t *flags)
{
    const struct sgx_secinfo *secinfo = (const struct sgx_secinfo *)addr;
    struct sim_fault fault;

    if ((addr & 63) != 0 || !sim_in_range(t->dev, addr)) {
        return sim_gp();
    }
    fault = sim_operand(t, addr, EPCM_R);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    *flags = *(const volatile uint64_t *)&secinfo->flags;
    if ((*flags & ~SECINFO_KNOWN) != 0 ||
        !sim_bytes_all_zero(secinfo->reserved, sizeof(secinfo->reserved))) {
        return sim_gp();
    }
    return sim_ok();
}

static bool page_operand_valid(const struct sgx_device *dev, uint64_t addr)
{
    return (addr & SIM_PAGE_MASK) == 0 && sim_in_range(dev, addr);
}

/* EPCM bits in SECINFO's places. */
static uint64_t entry_flags(uint32_t entry)
{
    return (entry & (EPCM_RWX | EPCM_PENDING | EPCM_MODIFIED)) |
           SGX_SECINFO_PT(epcm_type(entry));
}

static bool accept_request_legal(uint64_t flags)
{
    uint64_t type = (flags & SGX_SECINFO_PT_MASK) >> SGX_SECINFO_PT_SHIFT;

    if (type == SGX_PT_REG) {
        return (flags & SGX_SECINFO_MODIFIED) == 0;
    }
    return (type == SGX_PT_TCS || type == SGX_PT_TRIM) &&
           (flags & (SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED)) == SGX_SECINFO_MODIFIED;
}

/* The page has become a TCS: the CPU takes its fields. Lock held. */
static struct sim_fault accept_tcs(struct sgx_device *dev, uint64_t addr)
{
    struct sgx_tcs page;
    struct sim_tcs *tcs = sim_tcs_new(dev, addr);

    if (tcs == NULL || sim_page_read(dev, addr, &page) != 0) {
        sim_tcs_free(dev, addr);
        return sim_gp();
    }
    sim_tcs_load(tcs, &page);
    sim_gs_check(dev, tcs);
    return sim_ok();
}

/* A leaf under the device's lock, counted when it did not fault. */
static struct sim_fault leaf_locked(struct sim_thread *t, struct sim_regs *r,
                                    struct sim_fault (*leaf)(struct sim_thread *, struct sim_regs *),
                                    uint64_t *count)
{
    struct sim_fault fault;

    sim_lock(t->dev);
    fault = leaf(t, r);
    sim_unlock(t->dev);
    if (fault.vector == SIM_OK) {
        ++*count;
    }
    return fault;
}

static struct sim_fault eaccept_locked(struct sim_thread *t, struct sim_regs *r)
{
    const uint64_t compared = SGX_SECINFO_RWX | SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED |
                              SGX_SECINFO_PT_MASK;
    struct sgx_device *dev = t->dev;
    struct sim_fault fault;
    uint32_t *entry;
    uint64_t flags;

    fault = secinfo_read(t, r->rbx, &flags);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (!page_operand_valid(dev, r->rcx) || !accept_request_legal(flags)) {
        return sim_gp();
    }
    fault = sim_operand(t, r->rcx, 0);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    entry = epcm_find(dev, r->rcx);
    if (((entry_flags(*entry) ^ flags) & compared) != 0) {
        sim_set_result(r, SGX_PAGE_ATTRIBUTES_MISMATCH);
        return sim_ok();
    }
    if (epcm_type(*entry) == SGX_PT_TCS && (*entry & EPCM_MODIFIED) != 0) {
        fault = accept_tcs(dev, r->rcx);
        if (fault.vector != SIM_OK) {
            return fault;
        }
    }
    *entry &= ~(EPCM_PENDING | EPCM_MODIFIED | EPCM_PR);
    hostmap_accepted(t, r->rcx);
    sim_set_result(r, SGX_SUCCESS);
    return sim_ok();
}

struct sim_fault sim_eaccept(struct sim_thread *t, struct sim_regs *r)
{
    return leaf_locked(t, r, eaccept_locked, &t->cnt.eaccept);
}

/* SECINFO as EACCEPTCOPY and EMODPE take it: a permission set that is not W without R. */
static bool permissions_legal(uint64_t flags)
{
    return (flags & (SGX_SECINFO_R | SGX_SECINFO_W)) != SGX_SECINFO_W;
}

/* Opens the page for the copy; it is closed to everybody before and after. */
static bool copy_opened(struct sgx_device *dev, uint64_t dst, uint64_t src)
{
    if (hostmap_set(dev, dst, SIM_PAGE_SIZE, EPCM_R | EPCM_W) != 0) {
        return false;
    }
    hostmap_fill(dev, src);
    sim_bytes_copy((void *)dst, (const void *)src, SIM_PAGE_SIZE);
    hostmap_set(dev, dst, SIM_PAGE_SIZE, 0);
    return true;
}

/*
 * Copies into a page that the enclave could not see so far, and gives it `prot`; its content is
 * complete before its EPCM entry allows any access. The copy goes past the host's page tables
 * where the kernel lets it: two calls of mprotect for each page cost more than the copy, and what
 * was copied in a row is opened in one.
 */
static struct sim_fault copy_page(struct sim_thread *t, uint64_t dst, uint64_t src, uint32_t *entry,
                                  uint32_t prot)
{
    struct sgx_device *dev = t->dev;

    if ((dev->mem_fd < 0 || sim_syscall4(SYS_pwrite64, dev->mem_fd, (long)src, SIM_PAGE_SIZE,
                                         (long)dst) != (long)SIM_PAGE_SIZE) &&
        !copy_opened(dev, dst, src)) {
        return sim_pf(dst, SGX_PF_U | SGX_PF_W);
    }
    *entry = (*entry & ~(EPCM_PENDING | EPCM_RWX | EPCM_HOST_MASK)) | prot;
    hostmap_accepted(t, dst);
    return sim_ok();
}

static struct sim_fault eacceptcopy_locked(struct sim_thread *t, struct sim_regs *r)
{
    struct sgx_device *dev = t->dev;
    struct sim_fault fault;
    uint32_t *entry;
    uint64_t flags;

    fault = secinfo_read(t, r->rbx, &flags);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (!page_operand_valid(dev, r->rcx) || !page_operand_valid(dev, r->rdx) ||
        !permissions_legal(flags) ||
        (flags & SGX_SECINFO_PT_MASK) != SGX_SECINFO_PT(SGX_PT_REG)) {
        return sim_gp();
    }
    fault = sim_operand(t, r->rdx, EPCM_R);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    fault = sim_operand(t, r->rcx, 0);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    entry = epcm_find(dev, r->rcx);
    if ((*entry & (EPCM_PENDING | EPCM_MODIFIED)) != EPCM_PENDING ||
        epcm_type(*entry) != SGX_PT_REG) {
        sim_set_result(r, SGX_PAGE_ATTRIBUTES_MISMATCH);
        return sim_ok();
    }
    fault = copy_page(t, r->rcx, r->rdx, entry, (uint32_t)(flags & SGX_SECINFO_RWX));
    if (fault.vector == SIM_OK) {
        sim_set_result(r, SGX_SUCCESS);
    }
    return fault;
}

struct sim_fault sim_eacceptcopy(struct sim_thread *t, struct sim_regs *r)
{
    return leaf_locked(t, r, eacceptcopy_locked, &t->cnt.eacceptcopy);
}

static struct sim_fault emodpe_locked(struct sim_thread *t, struct sim_regs *r)
{
    struct sgx_device *dev = t->dev;
    struct sim_fault fault;
    uint32_t *entry;
    uint64_t flags;

    fault = secinfo_read(t, r->rbx, &flags);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (!page_operand_valid(dev, r->rcx) || !permissions_legal(flags)) {
        return sim_gp();
    }
    fault = sim_operand(t, r->rcx, 0);
    if (fault.vector != SIM_OK) {
        return fault;
    }
    entry = epcm_find(dev, r->rcx);
    if ((*entry & (EPCM_PENDING | EPCM_MODIFIED)) != 0 || epcm_type(*entry) != SGX_PT_REG) {
        return sim_pf(r->rcx, SGX_PF_U | SGX_PF_P | SGX_PF_SGX);
    }
    if (!permissions_legal((*entry & EPCM_RWX) | (flags & SGX_SECINFO_RWX))) {
        return sim_gp();
    }
    *entry |= (uint32_t)(flags & SGX_SECINFO_RWX);
    return sim_ok();
}

struct sim_fault sim_emodpe(struct sim_thread *t, struct sim_regs *r)
{
    return leaf_locked(t, r, emodpe_locked, &t->cnt.emodpe);
}
