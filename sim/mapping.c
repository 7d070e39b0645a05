/* SPDX-License-Identifier: MIT */
/*
 * mmap, munmap and mprotect of the device, and where page contents live.
 *
 * A page that is mapped lives at its own linear address in private anonymous memory; a page that is
 * added before its range is mapped, or whose range is unmapped, waits in the EPCM's side table. As
 * with the driver, the permissions of a mapping are capped by what its added pages declared. Device
 * lock held throughout each operation.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>

#define MAP_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* The driver's sgx_encl_may_map rule. Lock held. */
static int may_map(struct sgx_device *dev, uint64_t start, uint64_t end, uint32_t prot)
{
    int persona = personality(0xffffffff);
    uint32_t *entry;

    if (dev->initialized && (start < dev->base || end > dev->base + dev->size)) {
        return -EACCES;
    }
    if (persona != -1 && (persona & READ_IMPLIES_EXEC) != 0) {
        return -EACCES;
    }
    for (uint64_t a = epcm_next(dev, start, end, &entry); entry != NULL;
         a = epcm_next(dev, a + SIM_PAGE_SIZE, end, &entry)) {
        if ((prot & ~((*entry & EPCM_MAX_MASK) >> EPCM_MAX_POS)) != 0) {
            return -EACCES;
        }
    }
    return 0;
}

/* Contents from the side table to their place, now that the range is mapped without access. */
static int bring_in(struct sgx_device *dev, uint64_t start, uint64_t end)
{
    uint32_t *entry;

    for (uint64_t a = epcm_next(dev, start, end, &entry); entry != NULL;
         a = epcm_next(dev, a + SIM_PAGE_SIZE, end, &entry)) {
        void **slot;

        if ((*entry & EPCM_SIDE) == 0) {
            continue;
        }
        slot = epcm_side_slot(dev, a);
        if (hostmap_set(dev, a, SIM_PAGE_SIZE, EPCM_R | EPCM_W) != 0) {
            return -ENOMEM;
        }
        if (*slot != NULL) {
            memcpy((void *)a, *slot, SIM_PAGE_SIZE);
            munmap(*slot, SIM_PAGE_SIZE);
            *slot = NULL;
        }
        hostmap_set(dev, a, SIM_PAGE_SIZE, 0);
        *entry &= ~(EPCM_SIDE | EPCM_HOST_MASK);
    }
    return 0;
}

static int take_out(struct sgx_device *dev, uint64_t start, uint64_t end)
{
    uint32_t *entry;

    for (uint64_t a = epcm_next(dev, start, end, &entry); entry != NULL;
         a = epcm_next(dev, a + SIM_PAGE_SIZE, end, &entry)) {
        void **slot = epcm_side_slot(dev, a);
        void *copy = mmap(NULL, SIM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FLAGS, -1, 0);

        if (slot == NULL || copy == MAP_FAILED || sim_page_read(dev, a, copy) != 0) {
            return -ENOMEM;
        }
        *slot = copy;
        *entry = (*entry & ~EPCM_HOST_MASK) | EPCM_SIDE;
    }
    return 0;
}

int sim_page_read(struct sgx_device *dev, uint64_t addr, void *out)
{
    uint32_t *entry = epcm_find(dev, addr);
    uint32_t host;

    if (entry == NULL) {
        return -EFAULT;
    }
    if ((*entry & EPCM_SIDE) != 0) {
        void **slot = epcm_side_slot(dev, addr);

        sim_bytes_copy(out, *slot, SIM_PAGE_SIZE);
        return 0;
    }
    host = (*entry & EPCM_HOST_MASK) >> EPCM_HOST_POS;
    if ((host & EPCM_R) != 0) {
        sim_bytes_copy(out, (const void *)addr, SIM_PAGE_SIZE);
        return 0;
    }
    /* Past the page tables where the kernel lets it: opened, other threads could read it too. */
    if (dev->mem_fd >= 0 && sim_syscall4(SYS_pread64, dev->mem_fd, (long)out, SIM_PAGE_SIZE,
                                         (long)addr) == (long)SIM_PAGE_SIZE) {
        return 0;
    }
    if (hostmap_set(dev, addr, SIM_PAGE_SIZE, EPCM_R) != 0) {
        return -EFAULT;
    }
    sim_bytes_copy(out, (const void *)addr, SIM_PAGE_SIZE);
    hostmap_set(dev, addr, SIM_PAGE_SIZE, host);
    return 0;
}

/* Maps, without access, what of the range is not the device's yet; `flags` say how to place it. */
static int map_gaps(struct sgx_device *dev, uint64_t start, uint64_t end, int flags)
{
    while (start < end) {
        const struct sim_segment *next = segment_next(dev, start);
        uint64_t stop = next != NULL && next->start < end ? next->start : end;

        if (next != NULL && next->start <= start) {
            start = next->end;
            continue;
        }
        if (mmap((void *)start, stop - start, PROT_NONE, MAP_FLAGS | flags, -1, 0) == MAP_FAILED) {
            return -errno;
        }
        start = stop;
    }
    return 0;
}

bool sim_is_placed(struct sgx_device *dev, uint64_t addr)
{
    const struct sim_segment *next = segment_next(dev, addr);

    return next != NULL && next->start <= addr;
}

/*
 * Pages are about to be added where the host has not mapped yet: takes their place if it is free, so
 * that their contents need no second copy. If somebody has it (a reservation that the host will map
 * over), they go to the side table.
 */
void sim_premap(struct sgx_device *dev, uint64_t start, uint64_t end)
{
    const struct sim_segment *next;

    if (sim_is_placed(dev, start) || (start & SIM_PAGE_MASK) != 0) {
        return;
    }
    next = segment_next(dev, start);
    if (next != NULL && next->start < end) {
        end = next->start;
    }
    if (mmap((void *)start, end - start, PROT_NONE, MAP_FLAGS | MAP_FIXED_NOREPLACE, -1, 0) ==
        MAP_FAILED) {
        return;
    }
    if (segment_set(dev, start, end, 0, true) != 0) {
        munmap((void *)start, end - start);
    }
}

static uint32_t prot_bits(int prot)
{
    return (uint32_t)prot & EPCM_RWX;
}

/* New permissions for what is mapped already: drop all of it, faults bring back what is allowed. */
static int change_range(struct sgx_device *dev, uint64_t start, uint64_t end, uint32_t prot)
{
    int ret = hostmap_drop(dev, start, end);

    if (ret == 0) {
        ret = segment_set(dev, start, end, prot, false);
    }
    return ret;
}

static int mmap_locked(struct sgx_device *dev, uint64_t start, uint64_t end, uint32_t prot)
{
    int ret = may_map(dev, start, end, prot);

    if (ret != 0) {
        return ret;
    }
    ret = map_gaps(dev, start, end, MAP_FIXED);
    if (ret != 0) {
        return ret;
    }
    ret = change_range(dev, start, end, prot);
    if (ret != 0) {
        return ret;
    }
    return bring_in(dev, start, end);
}

static bool range_valid(uint64_t start, size_t size)
{
    return (start & SIM_PAGE_MASK) == 0 && size != 0 && start + size > start &&
           start + size <= SIM_TASK_END;
}

int sim_mmap(struct sgx_device *dev, void *addr, size_t size, int prot, int fixed, void **out)
{
    uint64_t start = (uint64_t)addr;
    uint32_t pkru;
    int ret;

    if (size == 0 || (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0) {
        return -EINVAL;
    }
    size = (size + SIM_PAGE_MASK) & ~SIM_PAGE_MASK;
    if (!fixed) {
        void *p = mmap(addr, size, PROT_NONE, MAP_FLAGS, -1, 0);

        if (p == MAP_FAILED) {
            return -errno;
        }
        start = (uint64_t)p;
    }
    if (!range_valid(start, size)) {
        return -EINVAL;
    }
    sim_lock(dev);
    pkru = sim_pkru_open();
    ret = mmap_locked(dev, start, start + size, prot_bits(prot));
    sim_pkru_restore(pkru);
    sim_unlock(dev);
    if (ret != 0 && !fixed) {
        munmap((void *)start, size);
    }
    if (ret == 0 && out != NULL) {
        *out = (void *)start;
    }
    return ret;
}

int sim_munmap(struct sgx_device *dev, void *addr, size_t size)
{
    uint64_t start = (uint64_t)addr;
    uint32_t pkru;
    int ret;

    size = (size + SIM_PAGE_MASK) & ~SIM_PAGE_MASK;
    if (!range_valid(start, size)) {
        return -EINVAL;
    }
    sim_lock(dev);
    pkru = sim_pkru_open();
    ret = segment_covers(dev, start, start + size) ? take_out(dev, start, start + size) : -EINVAL;
    if (ret == 0) {
        ret = segment_clear(dev, start, start + size);
    }
    if (ret == 0 && munmap(addr, size) != 0) {
        ret = -errno;
    }
    sim_pkru_restore(pkru);
    sim_unlock(dev);
    return ret;
}

int sim_mprotect(struct sgx_device *dev, void *addr, size_t size, int prot)
{
    uint64_t start = (uint64_t)addr;
    int ret;

    size = (size + SIM_PAGE_MASK) & ~SIM_PAGE_MASK;
    if ((prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0 || !range_valid(start, size)) {
        return -EINVAL;
    }
    sim_lock(dev);
    if (!segment_covers(dev, start, start + size)) {
        ret = -ENOMEM;
    } else {
        ret = may_map(dev, start, start + size, prot_bits(prot));
        if (ret == 0) {
            ret = change_range(dev, start, start + size, prot_bits(prot));
        }
    }
    sim_unlock(dev);
    return ret;
}
