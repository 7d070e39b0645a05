/* SPDX-License-Identifier: MIT */
/*
 * Cycles that the counted operations would cost on hardware: an estimate for comparing designs, not a
 * prediction of one machine.
 *
 * Sources, by the letter in the table:
 *   E  Orenbach et al., "Eleos" (EuroSys 2017): EEXIT about 3,300 cycles, EENTER about 3,800, before
 *      the microcode of 2018; with TLB and cache effects a system call by exit is about 8,000.
 *   H  Weisse et al., "HotCalls" (ISCA 2017): an ocall 8,200 to 8,600 cycles warm, 14,000 cold.
 *      The same order on later CPUs, where the instructions also clear buffers: the sum of E's
 *      two figures plus the flush they now do is put at 10,000.
 *   P  Li et al., "Confidential Serverless Made Efficient with Plug-In Enclaves" (ISCA 2021), table of
 *      instruction latencies, rounded: EADD 8.5k, EEXTEND 5.5k, EAUG 10k, EACCEPT 10k, EMODT 6k,
 *      EMODPR 8k, EMODPE 9k, EREMOVE 4.5k, EGETKEY 40k, EREPORT 34k.
 *   K  Linux: a page fault or ioctl with its locks 1,500; an IPI and its wait 3,000 for the sender.
 * An interrupted thread's AEX and ERESUME are counted as such where they happen. EACCEPTCOPY is
 * EACCEPT and a page copy; ETRACK is put at 1,000.
 */
#include "sim.h"

#define CYCLES_EENTER      5400 /* E, H */
#define CYCLES_EEXIT       4600 /* E, H */
#define CYCLES_AEX         5000 /* as EEXIT, with the SSA frame's write */
#define CYCLES_ERESUME     5600 /* as EENTER, with the SSA frame's read */
#define CYCLES_EADD        8500 /* P */
#define CYCLES_EEXTEND     5500 /* P, for 256 bytes */
#define CYCLES_EAUG        11500 /* P, K */
#define CYCLES_EACCEPT     10000 /* P */
#define CYCLES_EACCEPTCOPY 11000
#define CYCLES_EMODPE      9000 /* P */
#define CYCLES_EMODPR      8000 /* P */
#define CYCLES_EMODT       6000 /* P */
#define CYCLES_EREMOVE     4500 /* P */
#define CYCLES_ETRACK      1000
#define CYCLES_IPI         3000 /* K */
#define CYCLES_IOCTL       1500 /* K */
#define CYCLES_EREPORT     34000 /* P */
#define CYCLES_EGETKEY     40000 /* P */

#define MODEL_HZ  3000000000ULL
#define NS_PER_S  1000000000ULL

void sim_estimate_cost(const struct sgx_counters *c, uint64_t hz, struct sim_cost *out)
{
    uint64_t clock = hz != 0 ? hz : MODEL_HZ;

    out->transition_cycles = c->eenter * CYCLES_EENTER + c->eexit * CYCLES_EEXIT +
                             c->aex * CYCLES_AEX + c->eresume * CYCLES_ERESUME;
    out->paging_cycles = c->eaug * CYCLES_EAUG + c->emodpr * CYCLES_EMODPR +
                         c->emodt * CYCLES_EMODT + c->eremove * CYCLES_EREMOVE +
                         c->etrack * CYCLES_ETRACK + c->ipi * CYCLES_IPI + c->ioctl * CYCLES_IOCTL;
    out->leaf_cycles = c->eaccept * CYCLES_EACCEPT + c->eacceptcopy * CYCLES_EACCEPTCOPY +
                       c->emodpe * CYCLES_EMODPE + c->ereport * CYCLES_EREPORT +
                       c->egetkey * CYCLES_EGETKEY;
    out->build_cycles = c->eadd * CYCLES_EADD + c->eextend * CYCLES_EEXTEND;
    out->total_cycles =
        out->transition_cycles + out->paging_cycles + out->leaf_cycles + out->build_cycles;
    out->total_ns = out->total_cycles / clock * NS_PER_S +
                    out->total_cycles % clock * NS_PER_S / clock;
}
