/* SPDX-License-Identifier: MIT */
/*
 * What the simulator offers beyond struct sgx_device_ops (host/include/sgx_device.h).
 *
 * Nothing here changes what the enclave sees; the test hooks make rare answers of the driver
 * and of the machine happen on demand.
 */
#ifndef SIM_H
#define SIM_H

#include <stddef.h>
#include <stdint.h>
#include "sgx_device.h"

/*
 * How host code is kept out of enclave memory on this machine: "protection keys" or "none".
 * With "none" the page permissions still follow the EPCM, but host code may use them too.
 */
const char *sim_isolation(void);

/*
 * Makes every ADD_PAGES, RESTRICT_PERMISSIONS, MODIFY_TYPES and REMOVE_PAGES stop after `pages`
 * pages, as the driver does when a signal is pending or a page is being reclaimed: ADD_PAGES returns
 * 0 with a short count, the others -EAGAIN with a short count. 0 turns it off.
 */
void sim_set_early_stop(struct sgx_device *dev, size_t pages);

/* Host features that open() probes; see sim_test_disable(). */
enum sim_feature {
    SIM_FEATURE_FSGSBASE,
    SIM_FEATURE_USER_DISPATCH,
    SIM_FEATURE_CPUID_FAULT,
    SIM_FEATURE_XSAVE,
    SIM_FEATURE_LOW_MEMORY,
    SIM_FEATURE_PKEYS,
    SIM_FEATURE_COUNT,
};

/* For tests: later open() calls find `feature` absent (1) or as the machine has it (0). */
void sim_test_disable(enum sim_feature feature, int disabled);

/* For tests: the address at which this device's ENCLU stub was patched, 0 if none was. */
uint64_t sim_stub_address(struct sgx_device *dev);

/* Where enter's ENCLU stands: what a signal handler sees as RIP and RCX after an AEX. */
extern const char sim_aep[];

/*
 * Estimate for hardware (sim/costmodel.c): cycles that the counted operations would take there.
 * `hz` is the clock that turns cycles into time; 0 means the model's own 3 GHz.
 */
struct sim_cost {
    uint64_t transition_cycles; /* EENTER, EEXIT, AEX, ERESUME */
    uint64_t paging_cycles;     /* EAUG, EMODPR, EMODT, ... with their ETRACKs, IPIs and ioctls */
    uint64_t leaf_cycles;       /* EACCEPT, EACCEPTCOPY, EMODPE, EREPORT, EGETKEY */
    uint64_t build_cycles;      /* EADD, EEXTEND */
    uint64_t total_cycles;
    uint64_t total_ns;
};

void sim_estimate_cost(const struct sgx_counters *counters, uint64_t hz, struct sim_cost *out);

#endif
