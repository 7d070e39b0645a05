/* SPDX-License-Identifier: MIT */
/*
 * Loads the enclave through the driver's interface.
 *
 * Mappings, as the driver wants them: pages added at build time are mapped with exactly the
 * permissions they were added with (the driver caps a mapping by SECINFO), the zone where pages
 * become TCSs read-write, everything else of the dynamic range read-write-execute once; the EPCM
 * decides from then on. Nothing is mapped below USER_START, between the pieces of the first thread's
 * block or around the kernel image: those addresses fault.
 */
#include "load.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include "layout.h"

#define RETRIES_MAX 10000

static int add_run(const struct sgx_device_ops *ops, struct sgx_device *dev,
                   const struct image_run *run)
{
    struct sgx_secinfo secinfo __attribute__((aligned(64))) = {.flags = run->secinfo};
    uint64_t done = 0;
    int stalls = 0;

    while (done < run->size) {
        struct sgx_enclave_add_pages add = {
            .src = (uintptr_t)run->data + done,
            .offset = run->va - ENCLAVE_BASE + done,
            .length = run->size - done,
            .secinfo = (uintptr_t)&secinfo,
            .flags = SGX_PAGE_MEASURE,
        };
        int ret = ops->ioctl(dev, SGX_IOC_ENCLAVE_ADD_PAGES, &add);

        if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
            return ret;
        if (add.count > run->size - done)
            return -EIO;
        done += add.count;
        stalls = add.count ? 0 : stalls + 1;
        if (stalls > RETRIES_MAX)
            return ret < 0 ? ret : -EIO;
    }
    return 0;
}

int load_pages(const struct sgx_device_ops *ops, struct sgx_device *dev, const struct image *image,
               const struct sgx_secs *secs, char *why, size_t why_size)
{
    struct sgx_enclave_create create = {.src = (uintptr_t)secs};
    int ret;

    ret = ops->ioctl(dev, SGX_IOC_ENCLAVE_CREATE, &create);
    if (ret < 0) {
        (void)snprintf(why, why_size, "cannot create an enclave of 2^46 bytes: %s", strerror(-ret));
        return ret;
    }
    for (size_t i = 0; i < image->run_count; i++) {
        ret = add_run(ops, dev, &image->runs[i]);
        if (ret < 0) {
            (void)snprintf(why, why_size, "cannot add pages at 0x%llx to the enclave: %s",
                           (unsigned long long)image->runs[i].va, strerror(-ret));
            return ret;
        }
    }
    return 0;
}

static int map_range(const struct sgx_device_ops *ops, struct sgx_device *dev, uint64_t start,
                     uint64_t end, int prot)
{
    void *out = NULL;
    void *addr = (void *)(uintptr_t)start;
    int ret = ops->mmap(dev, addr, end - start, prot, 1, &out);

    if (ret == 0 && out != addr)
        return -EEXIST;
    return ret;
}

static int run_prot(const struct image_run *run)
{
    if ((run->secinfo & SGX_SECINFO_PT_MASK) == SGX_SECINFO_PT(SGX_PT_TCS))
        return PROT_READ | PROT_WRITE;
    return (run->secinfo & SGX_SECINFO_R ? PROT_READ : 0) |
           (run->secinfo & SGX_SECINFO_W ? PROT_WRITE : 0) |
           (run->secinfo & SGX_SECINFO_X ? PROT_EXEC : 0);
}

static int map_all(const struct sgx_device_ops *ops, struct sgx_device *dev,
                   const struct image *image)
{
    static const struct {
        uint64_t start, end;
        int prot;
    } zones[] = {
        {USER_START, KHEAP_END, PROT_READ | PROT_WRITE | PROT_EXEC},
        {THREADS_START, THREADS_END, PROT_READ | PROT_WRITE},
    };
    int ret = 0;

    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]) && ret == 0; i++)
        ret = map_range(ops, dev, zones[i].start, zones[i].end, zones[i].prot);
    for (size_t i = 0; i < image->run_count && ret == 0; i++)
        ret = map_range(ops, dev, image->runs[i].va, image->runs[i].va + image->runs[i].size,
                        run_prot(&image->runs[i]));
    return ret;
}

static int address_space_limited(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

int load_init(const struct sgx_device_ops *ops, struct sgx_device *dev, const struct image *image,
              const struct sgx_sigstruct *sigstruct, char *why, size_t why_size)
{
    struct sgx_enclave_init init = {.sigstruct = (uintptr_t)sigstruct};
    int ret;

    ret = map_all(ops, dev, image);
    if (ret < 0) {
        (void)snprintf(why, why_size, "cannot map the enclave's range: %s%s", strerror(-ret),
                       address_space_limited() ? " (the address space is limited: ulimit -v)" : "");
        return ret;
    }
    /* EINTR: the driver gave up after too many unmasked events; trying again is its advice. */
    for (int i = 0; i < RETRIES_MAX; i++) {
        ret = ops->ioctl(dev, SGX_IOC_ENCLAVE_INIT, &init);
        if (ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
            break;
    }
    if (ret == -EPERM || ret == -EACCES)
        (void)snprintf(why, why_size, "the CPU refused the enclave's signature structure");
    else if (ret != 0)
        (void)snprintf(why, why_size, "cannot initialise the enclave: error %d", ret);
    return ret > 0 ? -EPERM : ret;
}
