/* SPDX-License-Identifier: MIT */
/*
 * What the host runtime needs of an SGX device and CPU, with two implementations: hardware
 * (/dev/sgx_enclave and the kernel's vDSO, host/device_hw.c) and the simulator (sim/). Both take the
 * same requests with the same structures and give the same errors; the host runtime cannot tell them
 * apart but by `name`.
 */
#ifndef HOST_SGX_DEVICE_H
#define HOST_SGX_DEVICE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/sgx.h>

struct sgx_device;

/*
 * Transitions and page operations, in the order a report prints them. Hardware fills in only what
 * the host runtime itself can count; the simulator counts all of them.
 */
struct sgx_counters {
    uint64_t eenter, eexit, aex, eresume;
    uint64_t eadd, eextend, eaug, eaccept, eacceptcopy, emodpe;
    uint64_t emodpr, emodt, eremove, etrack, ipi;
    uint64_t ereport, egetkey;
    uint64_t ioctl;
    uint64_t trapped_enclu;    /* ENCLUs executed by trap (strict mode, or not the image's stub) */
    uint64_t epc_pages;        /* EPC pages in use now */
    uint64_t epc_pages_peak;
};

struct sgx_device_config {
    int strict;             /* simulator: trap every ENCLU instead of patching the image's stub */
    int trap_rdtsc;         /* simulator: RDTSC faults as on a CPU without SGX2's permission */
    uint64_t epc_size;      /* simulator: bytes of EPC; 0 = no limit of its own */
};

struct sgx_device_ops {
    const char *name;       /* "sgx" or "sim" */

    /*
     * Opens a device: a fresh file description as open("/dev/sgx_enclave") gives, holding one
     * enclave at most. Returns 0 or -errno; on failure *why holds one line that says what is missing.
     */
    int (*open)(const struct sgx_device_config *config, struct sgx_device **dev,
                char *why, size_t why_size);

    /* SGX_IOC_ENCLAVE_*: as ioctl(2), but 0/positive or -errno; EMODPR etc. keep `result`/`count`. */
    int (*ioctl)(struct sgx_device *dev, unsigned long request, void *arg);

    /* mmap(2) of the device, MAP_SHARED, with MAP_FIXED when `fixed`. Returns 0 or -errno. */
    int (*mmap)(struct sgx_device *dev, void *addr, size_t size, int prot, int fixed, void **out);

    /* munmap(2), mprotect(2) of part of such a mapping. */
    int (*munmap)(struct sgx_device *dev, void *addr, size_t size);
    int (*mprotect)(struct sgx_device *dev, void *addr, size_t size, int prot);

    /* __vdso_sgx_enter_enclave, its calling convention included (vdso_sgx_enter_enclave_t). */
    vdso_sgx_enter_enclave_t enter;

    /*
     * sigaction(2) for the process. A handler installed through this sees, for a signal that struck
     * the enclave, only what hardware shows it: the synthetic state at the AEP (RIP = AEP, RAX =
     * ERESUME, RBX = TCS, RCX = AEP, the host's own RSP and RBP). If it changes that state the
     * thread goes on there; if not, it resumes the enclave. Returns 0 or -errno.
     */
    int (*sigaction)(int sig, const struct sigaction *act, struct sigaction *old);

    /* Called by each host thread before its first enter and after its last. 0 or -errno. */
    int (*thread_start)(struct sgx_device *dev);
    void (*thread_stop)(struct sgx_device *dev);

    void (*counters)(struct sgx_device *dev, struct sgx_counters *out);

    void (*close)(struct sgx_device *dev);
};

extern const struct sgx_device_ops sgx_device_hw;
extern const struct sgx_device_ops sgx_device_sim;

#endif
