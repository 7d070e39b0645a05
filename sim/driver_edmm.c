/* SPDX-License-Identifier: MIT */
/*
 * The SGX2 ioctls: RESTRICT_PERMISSIONS, MODIFY_TYPES, REMOVE_PAGES, page by page as the driver does
 * them, with EMODPR, EMODT, ETRACK and EREMOVE and what they cost: each page's ETRACK interrupts
 * every thread that is inside.
 *
 * On an early stop the count holds the bytes done; the caller goes on from there.
 */
#include "internal.h"

#include <errno.h>
#include <sys/mman.h>

/* What the driver finds at addr: -EFAULT if it never had the page. Lock held. */
static int page_lookup(struct sgx_device *dev, uint64_t addr, uint32_t **entry)
{
    *entry = epcm_find(dev, addr);
    return *entry == NULL ? -EFAULT : 0;
}

static enum sgx_page_type driver_type(uint32_t entry)
{
    return (enum sgx_page_type)((entry & EPCM_DRV_MASK) >> EPCM_DRV_POS);
}

static bool stops_early(const struct sgx_device *dev, uint64_t done)
{
    return dev->early_stop != 0 && done == dev->early_stop * SIM_PAGE_SIZE;
}

/* What one ioctl does to one page, lock held: 0 or -errno. `params` is the ioctl's argument. */
typedef int (*page_fn)(struct sgx_device *dev, uint64_t addr, void *params);

/* Page by page up to the first that fails; *done counts the bytes before it. */
static int each_page(struct sgx_device *dev, uint64_t offset, uint64_t length, page_fn fn,
                     void *params, __u64 *done)
{
    int ret;

    for (*done = 0; *done < length; *done += SIM_PAGE_SIZE) {
        if (stops_early(dev, *done)) {
            return -EAGAIN;
        }
        sim_lock(dev);
        ret = fn(dev, dev->base + offset + *done, params);
        sim_unlock(dev);
        if (ret != 0) {
            return ret;
        }
    }
    return 0;
}

/* ETRACK, then the IPI that makes every thread inside leave and come back. Lock held. */
static void etrack(struct sgx_device *dev)
{
    uint32_t inside = atomic_load(&dev->inside);

    dev->cnt.etrack++;
    dev->cnt.ipi += inside;
    dev->cnt.aex += inside;
    dev->cnt.eresume += inside;
}

/* EMODPR: an enum sgx_error, or -1 for the #PF it raises on a page that is not PT_REG. */
static int emodpr(struct sgx_device *dev, uint64_t addr, uint32_t *entry, uint32_t perm)
{
    if ((*entry & (EPCM_PENDING | EPCM_MODIFIED)) != 0) {
        return SGX_PAGE_NOT_MODIFIABLE;
    }
    if (epcm_type(*entry) != SGX_PT_REG) {
        return -1;
    }
    *entry &= ~(EPCM_RWX & ~perm);
    *entry |= EPCM_PR;
    hostmap_revoke(dev, addr);
    dev->cnt.emodpr++;
    return SGX_SUCCESS;
}

static int restrict_page(struct sgx_device *dev, uint64_t addr, void *arg)
{
    struct sgx_enclave_restrict_permissions *params = arg;
    uint32_t *entry;
    int ret = page_lookup(dev, addr, &entry);

    if (ret != 0) {
        return ret;
    }
    if (driver_type(*entry) != SGX_PT_REG) {
        return -EINVAL;
    }
    ret = emodpr(dev, addr, entry, (uint32_t)params->permissions);
    if (ret != SGX_SUCCESS) {
        params->result = ret > 0 ? (uint64_t)ret : 0;
        return -EFAULT;
    }
    etrack(dev);
    return 0;
}

int sim_ioc_restrict(struct sgx_device *dev, void *arg)
{
    struct sgx_enclave_restrict_permissions params;
    int ret;

    if (!dev->initialized) {
        return -EINVAL;
    }
    if (sim_copy(&params, arg, sizeof(params)) != 0) {
        return -EFAULT;
    }
    if (sim_check_range(dev, params.offset, params.length) != 0 ||
        (params.permissions & ~SGX_SECINFO_RWX) != 0 ||
        (params.permissions & (SGX_SECINFO_R | SGX_SECINFO_W)) == SGX_SECINFO_W ||
        params.result != 0 || params.count != 0) {
        return -EINVAL;
    }
    ret = each_page(dev, params.offset, params.length, restrict_page, &params, &params.count);
    return sim_copy(arg, &params, sizeof(params)) != 0 ? -EFAULT : ret;
}

static int emodt(struct sgx_device *dev, uint64_t addr, uint32_t *entry, enum sgx_page_type type)
{
    if ((*entry & (EPCM_PENDING | EPCM_MODIFIED)) != 0) {
        return SGX_PAGE_NOT_MODIFIABLE;
    }
    *entry &= ~(EPCM_RWX | EPCM_PR | EPCM_TYPE_MASK);
    *entry |= EPCM_MODIFIED | EPCM_TYPE(type);
    hostmap_revoke(dev, addr);
    dev->cnt.emodt++;
    return SGX_SUCCESS;
}

static bool type_change_allowed(enum sgx_page_type from, enum sgx_page_type to)
{
    return from == SGX_PT_REG || (from == SGX_PT_TCS && to == SGX_PT_TRIM);
}

static int modify_page(struct sgx_device *dev, uint64_t addr, void *arg)
{
    struct sgx_enclave_modify_types *params = arg;
    const uint32_t read_write = (EPCM_R | EPCM_W) << EPCM_MAX_POS;
    enum sgx_page_type type = (enum sgx_page_type)params->page_type;
    uint32_t *entry;
    uint32_t max;
    int ret = page_lookup(dev, addr, &entry);

    if (ret != 0) {
        return ret;
    }
    if (!type_change_allowed(driver_type(*entry), type)) {
        return -EINVAL;
    }
    max = *entry & EPCM_MAX_MASK;
    if (type == SGX_PT_TCS) {
        if ((max & read_write) != read_write) {
            return -EPERM;
        }
        max = read_write;
    }
    ret = emodt(dev, addr, entry, type);
    if (ret != SGX_SUCCESS) {
        params->result = (uint64_t)ret;
        return -EFAULT;
    }
    *entry = (*entry & ~(EPCM_MAX_MASK | EPCM_DRV_MASK)) | max | EPCM_DRV(type);
    etrack(dev);
    return 0;
}

int sim_ioc_modify(struct sgx_device *dev, void *arg)
{
    struct sgx_enclave_modify_types params;
    int ret;

    if (!dev->initialized) {
        return -EINVAL;
    }
    if (sim_copy(&params, arg, sizeof(params)) != 0) {
        return -EFAULT;
    }
    if (sim_check_range(dev, params.offset, params.length) != 0 ||
        (params.page_type & ~0xffULL) != 0 || params.result != 0 || params.count != 0) {
        return -EINVAL;
    }
    if (params.page_type != SGX_PT_TCS && params.page_type != SGX_PT_TRIM) {
        ret = -EINVAL;
    } else {
        ret = each_page(dev, params.offset, params.length, modify_page, &params, &params.count);
    }
    return sim_copy(arg, &params, sizeof(params)) != 0 ? -EFAULT : ret;
}

/* Frees the page's EPC and its content: the next access finds it missing. Lock held. */
static void eremove(struct sgx_device *dev, uint64_t addr, uint32_t *entry)
{
    if ((*entry & EPCM_SIDE) != 0) {
        void **slot = epcm_side_slot(dev, addr);

        munmap(*slot, SIM_PAGE_SIZE);
        *slot = NULL;
    } else {
        hostmap_zero(addr);
    }
    sim_tcs_free(dev, addr);
    *entry = 0;
    sim_epc_release(dev);
    dev->cnt.eremove++;
}

static int remove_page(struct sgx_device *dev, uint64_t addr, void *params)
{
    uint32_t *entry;
    int ret = page_lookup(dev, addr, &entry);

    (void)params;
    if (ret != 0) {
        return ret;
    }
    if (driver_type(*entry) != SGX_PT_TRIM) {
        return -EPERM;
    }
    /* The driver asks EMODPR whether the trim was accepted: only then does it fault. */
    if (emodpr(dev, addr, entry, EPCM_RWX) != -1) {
        return -EPERM;
    }
    eremove(dev, addr, entry);
    return 0;
}

int sim_ioc_remove(struct sgx_device *dev, void *arg)
{
    struct sgx_enclave_remove_pages params;
    int ret;

    if (!dev->initialized) {
        return -EINVAL;
    }
    if (sim_copy(&params, arg, sizeof(params)) != 0) {
        return -EFAULT;
    }
    if (sim_check_range(dev, params.offset, params.length) != 0 || params.count != 0) {
        return -EINVAL;
    }
    ret = each_page(dev, params.offset, params.length, remove_page, &params, &params.count);
    return sim_copy(arg, &params, sizeof(params)) != 0 ? -EFAULT : ret;
}
