/* SPDX-License-Identifier: MIT */
/*
 * Cycles that the counted operations would cost on hardware: an estimate for comparing designs, not
 * a prediction of one machine. An interrupted thread's AEX and ERESUME are counted where they happen.
 *
 * Nothing here was measured by this project. Where a figure is from, by the letter behind it, and
 * how far that goes:
 *   H  Weisse, Bertacco, Austin, "Regaining Lost Cycles with HotCalls" (ISCA 2017). Its abstract:
 *      calls through the SDK cost 8,200 to 17,000 cycles more, a system call 150. Such a call is an
 *      EEXIT and an EENTER and the SDK's own work. CPUs of that time, before the microcode of 2018,
 *      since when both instructions also clear buffers and cost more.
 *   E  Orenbach et al., "Eleos" (EuroSys 2017): EEXIT 3,300 and EENTER 3,800 cycles. The paper's
 *      text was not at hand to check this against.
 *   P  Li, Xia, Chen, "Confidential Serverless Made Efficient with Plug-In Enclaves" (ISCA 2021),
 *      the latencies of SGX's instructions, rounded. Not checked against the text either.
 *   A  An assumption: no published figure is known to us. Its range is a guess as well.
 * A transition pair, 10,000 here, lies between E's 7,100 before 2018 and H's upper end. Behind each
 * figure stands the range in which a machine may well be; a choice between designs that turns over
 * within it is not made by this model. Counts depend on none of this, and are reported beside it.
 */
#include "sim.h"

#define CYCLES_EENTER      5400  /* E, H: 3,800 to 8,500 */
#define CYCLES_EEXIT       4600  /* E, H: 3,300 to 8,500 */
#define CYCLES_AEX         5000  /* A, as EEXIT, and the SSA frame's write: 3,500 to 9,000 */
#define CYCLES_ERESUME     5600  /* A, as EENTER, and the SSA frame's read: 3,800 to 9,000 */
#define CYCLES_EADD        8500  /* P: 2,000 to 10,000 */
#define CYCLES_EEXTEND     5500  /* P, for 256 bytes: 4,000 to 7,000 */
#define CYCLES_EAUG        11500 /* P 10,000, A 1,500 for Linux's page fault: 4,000 to 15,000 */
#define CYCLES_EACCEPT     10000 /* P: 4,000 to 12,000 */
#define CYCLES_EACCEPTCOPY 11000 /* A, as EACCEPT, and a page's copy: 5,000 to 13,000 */
#define CYCLES_EMODPE      9000  /* P: 1,000 to 10,000 */
#define CYCLES_EMODPR      8000  /* P: 2,000 to 9,000 */
#define CYCLES_EMODT       6000  /* P: 2,000 to 8,000 */
#define CYCLES_EREMOVE     4500  /* P: 2,000 to 6,000 */
#define CYCLES_ETRACK      1000  /* A: 500 to 3,000 */
#define CYCLES_IPI         3000  /* A, the sender's wait for one receiver: 2,000 to 9,000 */
#define CYCLES_IOCTL       1500  /* A, Linux's entry, locks and look-ups: 800 to 4,000 */
#define CYCLES_EREPORT     34000 /* P: 20,000 to 45,000 */
#define CYCLES_EGETKEY     40000 /* P: 20,000 to 60,000 */

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
