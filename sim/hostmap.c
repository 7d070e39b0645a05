/* SPDX-License-Identifier: MIT */
/*
 * The host's page tables as a lazily filled cache of the EPCM.
 *
 * A page's bits in EPCM_HOST_MASK say what the host's page tables allow now; that is never more
 * than its EPCM entry and its segment allow. When it is less, the first access faults and
 * hostmap_fill() raises the whole run of like pages around it with one mprotect. Taking rights away is
 * immediate. Either may drop any other page of the segment, so what a leaf touches is filled directly
 * before it is touched. All under the device lock; vector-free.
 */
#include "internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Pages that one fill may cover on each side: bounds the walk, not the merging of VMAs. */
#define FILL_RUN_MAX 1024U

/* Longest run whose memory is brought in at once: longer ones may be touched sparsely. */
#define POPULATE_MAX (32 * SIM_PAGE_SIZE)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

_Static_assert(EPCM_R == PROT_READ && EPCM_W == PROT_WRITE && EPCM_X == PROT_EXEC,
               "permissions pass to mprotect as they are");

int hostmap_set(struct sgx_device *dev, uint64_t addr, uint64_t size, uint32_t prot)
{
    (void)dev;
    if (g_sim_pkey >= 0) {
        return (int)sim_syscall4(SYS_pkey_mprotect, (long)addr, (long)size, (long)prot, g_sim_pkey);
    }
    return (int)sim_syscall4(SYS_mprotect, (long)addr, (long)size, (long)prot, 0);
}

uint32_t hostmap_wanted(const struct sim_segment *seg, uint32_t entry)
{
    uint32_t max = (entry & EPCM_MAX_MASK) >> EPCM_MAX_POS;

    if ((entry & (EPCM_PENDING | EPCM_MODIFIED)) != 0 || epcm_type(entry) != SGX_PT_REG) {
        return 0;
    }
    if ((seg->prot & ~max) != 0) {
        return 0; /* the driver refuses such a page: SIGBUS */
    }
    return entry & seg->prot & EPCM_RWX;
}

static uint32_t host_bits(uint32_t entry)
{
    return (entry & EPCM_HOST_MASK) >> EPCM_HOST_POS;
}

static void set_host_bits(uint32_t *entry, uint32_t prot)
{
    *entry = (*entry & ~EPCM_HOST_MASK) | prot << EPCM_HOST_POS;
}

/* Does the page at addr belong to a run that wants `prot` and lies within seg? */
static bool run_has(struct sgx_device *dev, const struct sim_segment *seg, uint64_t addr,
                    uint32_t prot)
{
    uint32_t *entry;

    if (addr < seg->start || addr >= seg->end) {
        return false;
    }
    entry = epcm_find(dev, addr);
    return entry != NULL && hostmap_wanted(seg, *entry) == prot && host_bits(*entry) != prot;
}

/* The kernel's page faults for a whole run at once. Only a help: failing changes nothing. */
static void hostmap_populate(uint64_t start, uint64_t end, uint32_t prot)
{
    uint64_t size = end - start;

    if ((prot & EPCM_W) != 0 && size > SIM_PAGE_SIZE && size <= POPULATE_MAX) {
        sim_syscall4(SYS_madvise, (long)start, (long)size, MADV_POPULATE_WRITE, 0);
    }
}

int hostmap_drop(struct sgx_device *dev, uint64_t start, uint64_t end)
{
    int ret = hostmap_set(dev, start, end - start, 0);
    uint32_t *entry;

    if (ret != 0) {
        return ret;
    }
    for (uint64_t a = epcm_next(dev, start, end, &entry); entry != NULL;
         a = epcm_next(dev, a + SIM_PAGE_SIZE, end, &entry)) {
        *entry &= ~EPCM_HOST_MASK;
    }
    return 0;
}

/*
 * As hostmap_set(). A piece of its own needs one more of the mappings that Linux allows a process
 * (vm.max_map_count): when there is none left, the whole segment goes back to one.
 */
static int set_or_drop(struct sgx_device *dev, const struct sim_segment *seg, uint64_t addr,
                       uint64_t size, uint32_t prot)
{
    int ret = hostmap_set(dev, addr, size, prot);

    if (ret == -ENOMEM) {
        ret = hostmap_drop(dev, seg->start, seg->end);
        if (ret == 0 && prot != 0) {
            ret = hostmap_set(dev, addr, size, prot);
        }
    }
    return ret;
}

int hostmap_fill(struct sgx_device *dev, uint64_t addr)
{
    const struct sim_segment *seg = segment_find(dev, addr);
    uint32_t *entry = epcm_find(dev, addr);
    uint64_t start, end;
    uint32_t prot;
    int ret;

    addr &= ~SIM_PAGE_MASK;
    if (seg == NULL || entry == NULL) {
        return 0;
    }
    prot = hostmap_wanted(seg, *entry);
    if (prot == host_bits(*entry)) {
        return 0;
    }
    start = addr;
    end = addr + SIM_PAGE_SIZE;
    for (uint32_t i = 0; i < FILL_RUN_MAX && run_has(dev, seg, end, prot); i++) {
        end += SIM_PAGE_SIZE;
    }
    for (uint32_t i = 0; i < FILL_RUN_MAX && start >= SIM_PAGE_SIZE &&
                         run_has(dev, seg, start - SIM_PAGE_SIZE, prot);
         i++) {
        start -= SIM_PAGE_SIZE;
    }
    ret = set_or_drop(dev, seg, start, end - start, prot);
    if (ret != 0) {
        return ret;
    }
    hostmap_populate(start, end, prot);
    for (uint64_t a = start; a < end; a += SIM_PAGE_SIZE) {
        set_host_bits(epcm_find(dev, a), prot);
    }
    return 0;
}

void hostmap_revoke(struct sgx_device *dev, uint64_t addr)
{
    const struct sim_segment *seg = segment_find(dev, addr);
    uint32_t *entry = epcm_find(dev, addr);
    uint32_t allowed;

    if (seg == NULL || entry == NULL) {
        return;
    }
    allowed = host_bits(*entry) & hostmap_wanted(seg, *entry);
    if (allowed != host_bits(*entry)) {
        set_or_drop(dev, seg, addr, SIM_PAGE_SIZE, allowed);
        set_host_bits(entry, allowed);
    }
}

/*
 * After EACCEPT: fill at once when pages come one by one, leave it to the fault when they come in
 * runs, going by how the thread's last run went.
 */
void hostmap_accepted(struct sim_thread *t, uint64_t addr)
{
    bool adjacent = addr == t->last_accept + SIM_PAGE_SIZE ||
                    addr + SIM_PAGE_SIZE == t->last_accept;
    bool was_deferring = t->deferring;

    t->last_accept = addr;
    t->deferring = adjacent;
    if (!adjacent && !was_deferring) {
        hostmap_fill(t->dev, addr);
    }
}

void hostmap_zero(uint64_t addr)
{
    madvise((void *)addr, SIM_PAGE_SIZE, MADV_DONTNEED);
}
