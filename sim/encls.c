/* SPDX-License-Identifier: MIT */
/*
 * ECREATE and EADD with the CPU's checks, and the CPU's copies of TCS pages.
 *
 * Source: Intel SDM vol. 3D, Operation of ECREATE and EADD. Device lock held where it matters:
 * ECREATE runs before anybody else can use the enclave, the rest under it.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ATTR_SUPPORTED                                                                             \
    (SGX_ATTR_DEBUG | SGX_ATTR_MODE64BIT | SGX_ATTR_PROVISIONKEY | SGX_ATTR_EINITTOKENKEY |        \
     SGX_ATTR_KSS)

#define SIZE_MIN (2 * SIM_PAGE_SIZE)
#define SIZE_MAX_LOG2 47 /* CPUID.12H:EDX of this CPU: what fits the lower canonical half */

static bool xfrm_legal(uint64_t xfrm)
{
    if ((xfrm & SGX_XFRM_LEGACY) != SGX_XFRM_LEGACY || (xfrm & ~g_sim_xfrm) != 0) {
        return false;
    }
    if ((xfrm & SGX_XFRM_AVX512) != 0 &&
        (xfrm & (SGX_XFRM_AVX512 | SGX_XFRM_AVX)) != (SGX_XFRM_AVX512 | SGX_XFRM_AVX)) {
        return false;
    }
    return ((xfrm & SGX_XFRM_TILECFG) != 0) == ((xfrm & SGX_XFRM_TILEDATA) != 0);
}

static bool frame_fits(const struct sgx_secs *secs)
{
    size_t need = sim_xsave_size(secs->attributes.xfrm) + sizeof(struct sgx_gprsgx);

    if ((secs->misc_select & SGX_MISC_EXINFO) != 0) {
        need += sizeof(struct sgx_exinfo);
    }
    return (uint64_t)secs->ssa_frame_size * SIM_PAGE_SIZE >= need;
}

static bool kss_legal(const struct sgx_secs *secs)
{
    return (secs->attributes.flags & SGX_ATTR_KSS) != 0 ||
           (sim_bytes_all_zero(secs->config_id, sizeof(secs->config_id)) && secs->config_svn == 0);
}

static bool secs_legal(const struct sgx_secs *secs)
{
    if ((secs->attributes.flags & ~ATTR_SUPPORTED) != 0 ||
        (secs->attributes.flags & SGX_ATTR_MODE64BIT) == 0 || !xfrm_legal(secs->attributes.xfrm) ||
        (secs->misc_select & ~SGX_MISC_EXINFO) != 0 || !frame_fits(secs) || !kss_legal(secs)) {
        return false;
    }
    if (secs->size < SIZE_MIN || secs->size > 1UL << SIZE_MAX_LOG2 ||
        (secs->base & (secs->size - 1)) != 0 || !sim_canonical(secs->base) ||
        secs->base >= SIM_TASK_END) {
        return false;
    }
    return secs->cet_leg_bitmap_offset == 0 && secs->cet_attributes == 0 &&
           sim_bytes_all_zero(secs->reserved1, sizeof(secs->reserved1)) &&
           sim_bytes_all_zero(secs->reserved2, sizeof(secs->reserved2)) &&
           sim_bytes_all_zero(secs->reserved3, sizeof(secs->reserved3)) &&
           sim_bytes_all_zero(secs->reserved4, sizeof(secs->reserved4));
}

int sim_ecreate(struct sgx_device *dev, const struct sgx_secs *secs)
{
    if (!secs_legal(secs)) {
        return -1;
    }
    dev->measure = measure_begin(secs);
    if (dev->measure == NULL) {
        return -1;
    }
    dev->secs = *secs;
    memset(dev->secs.mrenclave, 0, sizeof(dev->secs.mrenclave));
    memset(dev->secs.mrsigner, 0, sizeof(dev->secs.mrsigner));
    dev->secs.isv_prod_id = 0;
    dev->secs.isv_svn = 0;
    dev->base = secs->base;
    dev->size = secs->size;
    dev->created = true;
    return 0;
}

struct sim_tcs *sim_tcs_new(struct sgx_device *dev, uint64_t addr)
{
    struct sim_tcs **bucket = &dev->tcs[(addr >> SIM_PAGE_SHIFT) % SIM_TCS_BUCKETS];
    struct sim_tcs *tcs = mmap(NULL, sizeof(*tcs), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (tcs == MAP_FAILED) {
        return NULL;
    }
    tcs->addr = addr;
    tcs->next = *bucket;
    *bucket = tcs;
    return tcs;
}

/*
 * Hardware would have interrupted a thread that is on the TCS, and it could not come back. Here it
 * goes on until it leaves by itself, and the TCS's state with it. Lock held.
 */
void sim_tcs_free(struct sgx_device *dev, uint64_t addr)
{
    struct sim_tcs **link = &dev->tcs[(addr >> SIM_PAGE_SHIFT) % SIM_TCS_BUCKETS];

    while (*link != NULL && (*link)->addr != addr) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        struct sim_tcs *tcs = *link;

        *link = tcs->next;
        if (atomic_load(&tcs->busy) != 0) {
            tcs->next = dev->gone_tcs;
            dev->gone_tcs = tcs;
        } else {
            munmap(tcs, sizeof(*tcs));
        }
    }
}

void sim_tcs_free_all(struct sgx_device *dev)
{
    for (size_t i = 0; i < SIM_TCS_BUCKETS; i++) {
        while (dev->tcs[i] != NULL) {
            sim_tcs_free(dev, dev->tcs[i]->addr);
        }
    }
    while (dev->gone_tcs != NULL) {
        struct sim_tcs *tcs = dev->gone_tcs;

        dev->gone_tcs = tcs->next;
        munmap(tcs, sizeof(*tcs));
    }
}

/* From the second TCS with the same GS base on, and for good, no thread is told by it. Lock held. */
void sim_gs_check(struct sgx_device *dev, const struct sim_tcs *tcs)
{
    for (size_t i = 0; i < SIM_TCS_BUCKETS && !dev->gs_shared; i++) {
        for (const struct sim_tcs *other = dev->tcs[i]; other != NULL; other = other->next) {
            if (other != tcs && other->ogs_base == tcs->ogs_base) {
                dev->gs_shared = true;
            }
        }
    }
    if (dev->gs_shared) {
        atomic_store(sim_gs_slot(dev->base + tcs->ogs_base), NULL);
    }
}

/* Returns -1 if a field is one that EADD refuses; the fields are taken all the same. Vector-free. */
int sim_tcs_load(struct sim_tcs *tcs, const struct sgx_tcs *page)
{
    tcs->flags = page->flags;
    tcs->ossa = page->ossa;
    tcs->oentry = page->oentry;
    tcs->ofs_base = page->ofs_base;
    tcs->ogs_base = page->ogs_base;
    tcs->nssa = page->nssa;
    tcs->cssa = 0;
    tcs->aep = 0;
    atomic_store(&tcs->busy, 0);
    tcs->reserved_set =
        page->reserved1 != 0 || !sim_bytes_all_zero(page->reserved2, sizeof(page->reserved2));
    return tcs->reserved_set || (page->flags & ~SGX_TCS_DBGOPTIN) != 0 || page->cssa != 0 ||
                   (page->ossa & SIM_PAGE_MASK) != 0 || (page->ofs_base & SIM_PAGE_MASK) != 0 ||
                   (page->ogs_base & SIM_PAGE_MASK) != 0 || (page->fs_limit & 0xfff) != 0xfff ||
                   (page->gs_limit & 0xfff) != 0xfff
               ? -1
               : 0;
}

static int eadd_tcs(struct sgx_device *dev, uint64_t addr, const void *page)
{
    struct sim_tcs *tcs = sim_tcs_new(dev, addr);

    if (tcs == NULL) {
        return -ENOMEM;
    }
    if (sim_tcs_load(tcs, page) != 0) {
        sim_tcs_free(dev, addr);
        return -EIO;
    }
    sim_gs_check(dev, tcs);
    tcs->flags &= ~SGX_TCS_DBGOPTIN; /* only a debugger sets it, later */
    return 0;
}

/* The content's place: its own address when mapped (opened by the caller), else the side table. */
static int store_content(struct sgx_device *dev, uint64_t addr, const void *page, uint32_t *flags)
{
    void **slot;

    if (sim_is_placed(dev, addr)) {
        return sim_copy((void *)addr, page, SIM_PAGE_SIZE);
    }
    slot = epcm_side_slot(dev, addr);
    if (slot == NULL) {
        return -ENOMEM;
    }
    *slot = mmap(NULL, SIM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*slot == MAP_FAILED) {
        *slot = NULL;
        return -ENOMEM;
    }
    memcpy(*slot, page, SIM_PAGE_SIZE);
    *flags |= EPCM_SIDE;
    return 0;
}

int sim_eadd(struct sgx_device *dev, uint64_t addr, const struct sgx_secinfo *secinfo,
             const void *page)
{
    uint32_t type = (uint32_t)(secinfo->flags >> SGX_SECINFO_PT_SHIFT) & 0xff;
    uint32_t perm = (uint32_t)(secinfo->flags & SGX_SECINFO_RWX);
    uint32_t max = type == SGX_PT_TCS ? EPCM_R | EPCM_W : perm;
    uint32_t *entry = epcm_insert(dev, addr);
    uint32_t flags = 0;
    int ret;

    if (entry == NULL) {
        return -ENOMEM;
    }
    if (type == SGX_PT_TCS) {
        ret = eadd_tcs(dev, addr, page);
        if (ret != 0) {
            return ret;
        }
    }
    ret = store_content(dev, addr, page, &flags);
    if (ret != 0) {
        sim_tcs_free(dev, addr);
        return ret;
    }
    *entry = EPCM_VALID | perm | EPCM_TYPE(type) | EPCM_DRV(type) | max << EPCM_MAX_POS | flags;
    measure_add(dev->measure, addr - dev->base, secinfo);
    dev->cnt.eadd++;
    return 0;
}
