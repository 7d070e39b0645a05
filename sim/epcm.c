/* SPDX-License-Identifier: MIT */
/*
 * The EPCM as a radix tree over page numbers, the device lock, and the table of TCS pages.
 *
 * Three levels, 2^47 bytes: a leaf covers 8 MiB. Tables are made when first needed and live until
 * the device closes, so a found entry stays where it is. Entries change under the device lock only.
 * Vector-free: leaves run here with the enclave's vector registers live.
 */
#include "internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* The lock is mostly held for less than a system call takes. */
#define LOCK_SPINS 200

void sim_lock(struct sgx_device *dev)
{
    for (int i = 0; i < LOCK_SPINS; i++) {
        uint32_t seen = 0;

        if (atomic_compare_exchange_weak(&dev->lock, &seen, 1)) {
            return;
        }
        __builtin_ia32_pause();
    }
    while (atomic_exchange(&dev->lock, 2) != 0) {
        sim_syscall4(SYS_futex, (long)&dev->lock, FUTEX_WAIT_PRIVATE, 2, 0);
    }
}

void sim_unlock(struct sgx_device *dev)
{
    if (atomic_exchange(&dev->lock, 0) == 2) {
        sim_syscall4(SYS_futex, (long)&dev->lock, FUTEX_WAKE_PRIVATE, 1, 0);
    }
}

/* Zeroed pages straight from the kernel: malloc is not for code that a leaf runs. */
static void *table_new(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static uint64_t page_number(uint64_t addr)
{
    return addr >> SIM_PAGE_SHIFT;
}

static size_t root_index(uint64_t page)
{
    return page >> (EPCM_LEAF_BITS + EPCM_MID_BITS) & (EPCM_ROOT_SIZE - 1);
}

static size_t mid_index(uint64_t page)
{
    return page >> EPCM_LEAF_BITS & (EPCM_MID_SIZE - 1);
}

static size_t leaf_index(uint64_t page)
{
    return page & (EPCM_LEAF_SIZE - 1);
}

int epcm_init(struct sgx_device *dev)
{
    dev->root = table_new(EPCM_ROOT_SIZE * sizeof(*dev->root));
    return dev->root == NULL ? -ENOMEM : 0;
}

static struct epcm_leaf *leaf_find(struct sgx_device *dev, uint64_t page)
{
    struct epcm_mid *mid = dev->root[root_index(page)];

    return mid == NULL ? NULL : mid->leaf[mid_index(page)];
}

uint32_t *epcm_find(struct sgx_device *dev, uint64_t addr)
{
    struct epcm_leaf *leaf = leaf_find(dev, page_number(addr));
    uint32_t *entry;

    if (leaf == NULL) {
        return NULL;
    }
    entry = &leaf->entry[leaf_index(page_number(addr))];
    return (*entry & EPCM_VALID) != 0 ? entry : NULL;
}

static struct epcm_leaf *leaf_make(struct sgx_device *dev, uint64_t page)
{
    struct epcm_mid **mid = &dev->root[root_index(page)];
    struct epcm_leaf **leaf;

    if (*mid == NULL) {
        *mid = table_new(sizeof(**mid));
        if (*mid == NULL) {
            return NULL;
        }
    }
    leaf = &(*mid)->leaf[mid_index(page)];
    if (*leaf == NULL) {
        *leaf = table_new(sizeof(**leaf));
    }
    return *leaf;
}

uint32_t *epcm_insert(struct sgx_device *dev, uint64_t addr)
{
    struct epcm_leaf *leaf = leaf_make(dev, page_number(addr));

    return leaf == NULL ? NULL : &leaf->entry[leaf_index(page_number(addr))];
}

void **epcm_side_slot(struct sgx_device *dev, uint64_t addr)
{
    struct epcm_leaf *leaf = leaf_make(dev, page_number(addr));

    if (leaf == NULL) {
        return NULL;
    }
    if (leaf->side == NULL) {
        leaf->side = table_new(EPCM_LEAF_SIZE * sizeof(*leaf->side));
        if (leaf->side == NULL) {
            return NULL;
        }
    }
    return &leaf->side[leaf_index(page_number(addr))];
}

/* The first page at or after `page` that a table could hold, skipping tables that do not exist. */
static uint64_t skip_missing(struct sgx_device *dev, uint64_t page)
{
    if (dev->root[root_index(page)] == NULL) {
        return (page | (EPCM_LEAF_SIZE * EPCM_MID_SIZE - 1)) + 1;
    }
    if (leaf_find(dev, page) == NULL) {
        return (page | (EPCM_LEAF_SIZE - 1)) + 1;
    }
    return page;
}

uint64_t epcm_next(struct sgx_device *dev, uint64_t from, uint64_t end, uint32_t **entry)
{
    uint64_t page = page_number(from);
    uint64_t last = page_number(end);

    while (page < last) {
        uint64_t next = skip_missing(dev, page);

        if (next != page) {
            page = next;
            continue;
        }
        *entry = epcm_find(dev, page << SIM_PAGE_SHIFT);
        if (*entry != NULL) {
            return page << SIM_PAGE_SHIFT;
        }
        page++;
    }
    *entry = NULL;
    return end;
}

static void leaf_destroy(struct epcm_leaf *leaf)
{
    if (leaf->side != NULL) {
        for (size_t i = 0; i < EPCM_LEAF_SIZE; i++) {
            if (leaf->side[i] != NULL) {
                munmap(leaf->side[i], SIM_PAGE_SIZE);
            }
        }
        munmap(leaf->side, EPCM_LEAF_SIZE * sizeof(*leaf->side));
    }
    munmap(leaf, sizeof(*leaf));
}

void epcm_destroy(struct sgx_device *dev)
{
    for (size_t i = 0; i < EPCM_ROOT_SIZE; i++) {
        struct epcm_mid *mid = dev->root[i];

        for (size_t j = 0; mid != NULL && j < EPCM_MID_SIZE; j++) {
            if (mid->leaf[j] != NULL) {
                leaf_destroy(mid->leaf[j]);
            }
        }
        if (mid != NULL) {
            munmap(mid, sizeof(*mid));
        }
    }
    munmap(dev->root, EPCM_ROOT_SIZE * sizeof(*dev->root));
    dev->root = NULL;
}

struct sim_tcs *sim_tcs_find(struct sgx_device *dev, uint64_t addr)
{
    struct sim_tcs *tcs = dev->tcs[page_number(addr) % SIM_TCS_BUCKETS];

    while (tcs != NULL && tcs->addr != addr) {
        tcs = tcs->next;
    }
    return tcs;
}
