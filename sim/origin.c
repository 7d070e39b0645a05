/* SPDX-License-Identifier: MIT */
/*
 * The first question a signal handler asks: may FS and GS be the enclave's? Runs before they are
 * known, so: no thread-local storage, no stack protector, no library calls, no vectors.
 */
#include "internal.h"

#define ALTSTACK_SIZE (SIM_THREAD_SIZE - SIM_ALTSTACK_OFF)

/* Started threads are known by their alternate stack, which the kernel reports in the frame. */
static struct sim_thread *thread_of(const ucontext_t *uc)
{
    uint64_t sp = (uint64_t)uc->uc_stack.ss_sp;

    if (uc->uc_stack.ss_size != ALTSTACK_SIZE || (sp & (SIM_THREAD_SIZE - 1)) != SIM_ALTSTACK_OFF) {
        return NULL;
    }
    return (struct sim_thread *)(sp - SIM_ALTSTACK_OFF);
}

struct sim_thread *sim_signal_thread(const ucontext_t *uc)
{
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

    if (rip >= (uint64_t)sim_stub_entry && rip < (uint64_t)sim_text_end) {
        return thread_of(uc);
    }
    for (int i = 0; i < SIM_DEVICES_MAX; i++) {
        uint64_t start = atomic_load_explicit(&g_sim_ranges[i].start, memory_order_relaxed);
        uint64_t end = atomic_load_explicit(&g_sim_ranges[i].end, memory_order_relaxed);

        if (rip >= start && rip < end) {
            return thread_of(uc);
        }
    }
    return NULL;
}
