/* SPDX-License-Identifier: MIT */
/*
 * The SGX driver's ioctls up to EINIT, and EAUG: order of checks and error codes as the in-tree driver
 * has them (Linux arch/x86/kernel/cpu/sgx; Documentation/arch/x86/sgx.rst).
 *
 * One ioctl per enclave at a time, a second one gets -EBUSY. EPC pages are not reclaimed: when the
 * configured EPC is full, ADD_PAGES gives -ENOMEM and an EAUG fails as VM_FAULT_SIGBUS does.
 * Structures are copied in once and out once; a bad address gives -EFAULT.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* ATTRIBUTES that need no /dev/sgx_provision. */
#define ATTR_UNPRIVILEGED                                                                          \
    (SGX_ATTR_DEBUG | SGX_ATTR_MODE64BIT | SGX_ATTR_KSS | SGX_ATTR_AEXNOTIFY)

#define VA_SLOTS 512U /* pages per version array page, which is an EPC page too */

/* Page-number bookkeeping of EPC pages: the page itself and a VA page for every 512. Lock held. */
int sim_epc_charge(struct sgx_device *dev)
{
    uint64_t need = dev->page_count % VA_SLOTS == 0 ? 2 : 1;

    if (dev->cnt.epc_pages + need > dev->epc_limit) {
        return -ENOMEM;
    }
    dev->page_count++;
    dev->cnt.epc_pages += need;
    if (dev->cnt.epc_pages > dev->cnt.epc_pages_peak) {
        dev->cnt.epc_pages_peak = dev->cnt.epc_pages;
    }
    return 0;
}

/* As the driver: the VA page stays. Lock held. */
void sim_epc_release(struct sgx_device *dev)
{
    dev->page_count--;
    dev->cnt.epc_pages--;
}

/* EAUG of the page at addr for an initialised enclave. Lock held; vector-free. */
struct sim_fault sim_eaug(struct sgx_device *dev, uint64_t addr)
{
    uint32_t *entry;

    addr &= ~SIM_PAGE_MASK;
    if (!dev->initialized || !sim_in_range(dev, addr)) {
        return sim_gp();
    }
    entry = epcm_insert(dev, addr);
    if (entry == NULL || sim_epc_charge(dev) != 0) {
        return sim_gp();
    }
    *entry = EPCM_VALID | EPCM_R | EPCM_W | EPCM_PENDING | EPCM_TYPE(SGX_PT_REG) |
             EPCM_DRV(SGX_PT_REG) | EPCM_MAX_MASK;
    dev->cnt.eaug++;
    return sim_ok();
}

int sim_check_range(const struct sgx_device *dev, uint64_t offset, uint64_t length)
{
    if ((offset & SIM_PAGE_MASK) != 0 || length == 0 || (length & SIM_PAGE_MASK) != 0 ||
        offset + length < offset || offset + length - SIM_PAGE_SIZE >= dev->size) {
        return -EINVAL;
    }
    return 0;
}

static int ioc_create(struct sgx_device *dev, void *arg)
{
    struct sgx_enclave_create create;
    struct sgx_secs secs;
    int ret;

    if (dev->created) {
        return -EINVAL;
    }
    if (sim_copy(&create, arg, sizeof(create)) != 0 ||
        sim_copy(&secs, (const void *)create.src, sizeof(secs)) != 0) {
        return -EFAULT;
    }
    if (secs.size == 0 || (secs.size & (secs.size - 1)) != 0) {
        return -EINVAL;
    }
    sim_lock(dev);
    ret = sim_epc_charge(dev);
    sim_unlock(dev);
    if (ret != 0) {
        return ret;
    }
    return sim_ecreate(dev, &secs) != 0 ? -EIO : 0;
}

static int secinfo_valid(const struct sgx_secinfo *info)
{
    const uint64_t known = SGX_SECINFO_RWX | SGX_SECINFO_PT_MASK;
    uint64_t perm = info->flags & SGX_SECINFO_RWX;
    uint64_t type = info->flags & SGX_SECINFO_PT_MASK;

    if (type != SGX_SECINFO_PT(SGX_PT_REG) && type != SGX_SECINFO_PT(SGX_PT_TCS)) {
        return -EINVAL;
    }
    if ((perm & SGX_SECINFO_W) != 0 && (perm & SGX_SECINFO_R) == 0) {
        return -EINVAL;
    }
    if (type == SGX_SECINFO_PT(SGX_PT_TCS) && perm != 0) {
        return -EINVAL;
    }
    if ((info->flags & ~known) != 0 ||
        !sim_bytes_all_zero(info->reserved, sizeof(info->reserved))) {
        return -EINVAL;
    }
    return 0;
}

/* The image's padded ENCLU stub in page contents: returns its offset, or -1. */
static long stub_offset(const uint8_t *page)
{
    static const uint8_t pattern[16] = {0x0f, 0x01, 0xd7, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc,
                                        0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc};

    for (size_t i = 0; i < SIM_PAGE_SIZE; i += sizeof(pattern)) {
        if (memcmp(page + i, pattern, sizeof(pattern)) == 0) {
            return (long)i;
        }
    }
    return -1;
}

/* Remembers the first executable page that holds the stub, while its content is at hand. */
static void note_stub(struct sgx_device *dev, uint64_t addr, const struct sgx_secinfo *secinfo,
                      const uint8_t *page)
{
    long offset;

    if ((secinfo->flags & SGX_SECINFO_X) == 0 || (dev->stub != 0 && dev->stub < addr)) {
        return;
    }
    offset = stub_offset(page);
    if (offset >= 0) {
        dev->stub = addr + (uint64_t)offset;
    }
}

/* One page: the driver's allocation, then EADD and EEXTENDs. */
static int add_page(struct sgx_device *dev, const struct sgx_enclave_add_pages *add,
                    const struct sgx_secinfo *secinfo, uint64_t done)
{
    uint8_t page[SIM_PAGE_SIZE] __attribute__((aligned(16)));
    uint64_t addr = dev->base + add->offset + done;
    int ret;

    if (sim_copy(page, (const void *)(add->src + done), sizeof(page)) != 0) {
        return -EFAULT;
    }
    sim_lock(dev);
    if (epcm_find(dev, addr) != NULL) {
        ret = -EBUSY;
    } else {
        ret = sim_epc_charge(dev);
    }
    if (ret == 0) {
        ret = sim_eadd(dev, addr, secinfo, page);
        if (ret != 0) {
            sim_epc_release(dev);
        } else {
            note_stub(dev, addr, secinfo, page);
        }
    }
    if (ret == 0 && (add->flags & SGX_PAGE_MEASURE) != 0) {
        measure_extend(dev->measure, addr - dev->base, page);
        dev->cnt.eextend += SIM_PAGE_SIZE / SGX_EEXTEND_SIZE;
    }
    sim_unlock(dev);
    return ret;
}

/* Opens the pages' places for the copies of one ADD_PAGES (prot RW), or closes them again (0). */
static void open_target(struct sgx_device *dev, uint64_t addr, uint64_t length, uint32_t prot)
{
    sim_lock(dev);
    if (prot != 0) {
        sim_premap(dev, addr, addr + length);
    }
    for (uint64_t a = addr; a < addr + length;) {
        const struct sim_segment *seg = segment_next(dev, a);
        uint64_t end = addr + length;

        if (seg == NULL || seg->start >= end) {
            break;
        }
        a = seg->start > a ? seg->start : a;
        end = seg->end < end ? seg->end : end;
        hostmap_set(dev, a, end - a, prot);
        a = end;
    }
    sim_unlock(dev);
}

static int ioc_add_pages(struct sgx_device *dev, void *arg)
{
    struct sgx_enclave_add_pages add;
    struct sgx_secinfo secinfo;
    uint64_t done;
    int ret = 0;

    if (!dev->created || dev->initialized) {
        return -EINVAL;
    }
    if (sim_copy(&add, arg, sizeof(add)) != 0) {
        return -EFAULT;
    }
    if ((add.src & SIM_PAGE_MASK) != 0 || sim_check_range(dev, add.offset, add.length) != 0) {
        return -EINVAL;
    }
    if (sim_copy(&secinfo, (const void *)add.secinfo, sizeof(secinfo)) != 0) {
        return -EFAULT;
    }
    if (secinfo_valid(&secinfo) != 0) {
        return -EINVAL;
    }
    open_target(dev, dev->base + add.offset, add.length, EPCM_R | EPCM_W);
    for (done = 0; done < add.length; done += SIM_PAGE_SIZE) {
        if (dev->early_stop != 0 && done == dev->early_stop * SIM_PAGE_SIZE) {
            break;
        }
        ret = add_page(dev, &add, &secinfo, done);
        if (ret != 0) {
            break;
        }
    }
    open_target(dev, dev->base + add.offset, add.length, 0);
    add.count = done;
    if (sim_copy(arg, &add, sizeof(add)) != 0) {
        return -EFAULT;
    }
    return ret;
}

/* jmp *0(%rip); .quad sim_stub_entry; and the RET for one that must be executed again (signal.c). */
static void stub_bytes(uint8_t out[SIM_STUB_SIZE])
{
    uint64_t target = (uint64_t)sim_stub_entry;

    memcpy(out, "\xff\x25\0\0\0\0", 6); /* NOLINT(bugprone-not-null-terminated-result): code */
    memcpy(out + 6, &target, sizeof(target));
    out[SIM_STUB_RET] = 0xc3;
}

/* After the measurement: the image's stub jumps to entry.S from now on. */
static int patch_stub(struct sgx_device *dev)
{
    uint64_t addr = dev->stub & ~SIM_PAGE_MASK;
    uint64_t offset = dev->stub & SIM_PAGE_MASK;
    uint32_t *entry;
    uint8_t code[SIM_STUB_SIZE];

    if (dev->stub == 0) {
        return 0;
    }
    entry = epcm_find(dev, addr);
    stub_bytes(code);
    if ((*entry & EPCM_SIDE) != 0) {
        memcpy((uint8_t *)*epcm_side_slot(dev, addr) + offset, code, sizeof(code));
        return 0;
    }
    if (hostmap_set(dev, addr, SIM_PAGE_SIZE, EPCM_R | EPCM_W) != 0) {
        return -ENOMEM;
    }
    memcpy((uint8_t *)addr + offset, code, sizeof(code));
    *entry &= ~EPCM_HOST_MASK;
    return hostmap_set(dev, addr, SIM_PAGE_SIZE, 0) != 0 ? -ENOMEM : 0;
}

/* ATTRIBUTES, XFRM and MISCSELECT bits that this platform does not have. */
static bool sigstruct_possible(const struct sgx_sigstruct *sig)
{
    const uint64_t known = ATTR_UNPRIVILEGED | SGX_ATTR_INIT | SGX_ATTR_PROVISIONKEY |
                           SGX_ATTR_EINITTOKENKEY;

    return (sig->attributes.flags & sig->attribute_mask.flags & ~known) == 0 &&
           (sig->misc_select & sig->misc_mask & ~SGX_MISC_EXINFO) == 0 &&
           (sig->attributes.xfrm & sig->attribute_mask.xfrm & ~g_sim_xfrm) == 0;
}

static int einit(struct sgx_device *dev, const struct sgx_sigstruct *sig)
{
    uint8_t hash[32], signer[32];
    int ret;

    if (measure_end(dev->measure, hash) != 0) {
        return -EIO;
    }
    if (sigstruct_check(sig, &dev->secs, hash, signer) != SGX_SUCCESS) {
        return -EPERM;
    }
    sim_lock(dev);
    if (dev->config.strict != 0) {
        dev->stub = 0;
    }
    ret = patch_stub(dev);
    if (ret == 0) {
        memcpy(dev->secs.mrenclave, hash, sizeof(hash));
        memcpy(dev->secs.mrsigner, signer, sizeof(signer));
        memcpy(dev->isv_family_id, sig->isv_family_id, sizeof(dev->isv_family_id));
        memcpy(dev->isv_ext_prod_id, sig->isv_ext_prod_id, sizeof(dev->isv_ext_prod_id));
        dev->secs.isv_prod_id = sig->isv_prod_id;
        dev->secs.isv_svn = sig->isv_svn;
        dev->secs.attributes.flags |= SGX_ATTR_INIT;
        dev->initialized = true;
    }
    sim_unlock(dev);
    return ret;
}

static int ioc_init(struct sgx_device *dev, void *arg)
{
    struct sgx_enclave_init init;
    struct sgx_sigstruct sig;

    if (!dev->created || dev->initialized) {
        return -EINVAL;
    }
    if (sim_copy(&init, arg, sizeof(init)) != 0 ||
        sim_copy(&sig, (const void *)init.sigstruct, sizeof(sig)) != 0) {
        return -EFAULT;
    }
    if (sig.vendor != 0 && sig.vendor != 0x8086) {
        return -EINVAL;
    }
    if ((dev->secs.attributes.flags & ~ATTR_UNPRIVILEGED) != 0) {
        return -EACCES;
    }
    if (!sigstruct_possible(&sig)) {
        return -EINVAL;
    }
    return einit(dev, &sig);
}

/* There is no /dev/sgx_provision here, so no descriptor can be one. */
static int ioc_provision(void *arg)
{
    struct sgx_enclave_provision params;

    return sim_copy(&params, arg, sizeof(params)) != 0 ? -EFAULT : -EINVAL;
}

static int dispatch(struct sgx_device *dev, unsigned long request, void *arg)
{
    switch (request) {
    case SGX_IOC_ENCLAVE_CREATE:
        return ioc_create(dev, arg);
    case SGX_IOC_ENCLAVE_ADD_PAGES:
        return ioc_add_pages(dev, arg);
    case SGX_IOC_ENCLAVE_INIT:
        return ioc_init(dev, arg);
    case SGX_IOC_ENCLAVE_PROVISION:
        return ioc_provision(arg);
    case SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS:
        return sim_ioc_restrict(dev, arg);
    case SGX_IOC_ENCLAVE_MODIFY_TYPES:
        return sim_ioc_modify(dev, arg);
    case SGX_IOC_ENCLAVE_REMOVE_PAGES:
        return sim_ioc_remove(dev, arg);
    default:
        return -ENOTTY;
    }
}

int sim_ioctl(struct sgx_device *dev, unsigned long request, void *arg)
{
    uint32_t pkru;
    int ret;

    if (atomic_exchange(&dev->ioctl_busy, 1) != 0) {
        return -EBUSY;
    }
    sim_lock(dev);
    dev->cnt.ioctl++;
    sim_unlock(dev);
    pkru = sim_pkru_open();
    ret = dispatch(dev, request, arg);
    sim_pkru_restore(pkru);
    atomic_store(&dev->ioctl_busy, 0);
    return ret;
}
