/* SPDX-License-Identifier: MIT */
/*
 * The first question a signal handler asks: whose thread is this? Runs while FS and GS may be the
 * enclave's, so: no thread-local storage, no stack protector, no library calls, no vectors.
 */
#include "internal.h"

#define ALTSTACK_SIZE (SIM_THREAD_SIZE - SIM_ALTSTACK_OFF)

/*
 * Started threads are known by their alternate stack, which the kernel reports in the frame wherever
 * the signal struck: in enclave code, in a leaf, or in a handler that has not set FS yet.
 */
struct sim_thread *sim_signal_thread(const ucontext_t *uc)
{
    uint64_t sp = (uint64_t)uc->uc_stack.ss_sp;

    if (uc->uc_stack.ss_size != ALTSTACK_SIZE || (sp & (SIM_THREAD_SIZE - 1)) != SIM_ALTSTACK_OFF) {
        return NULL;
    }
    return (struct sim_thread *)(sp - SIM_ALTSTACK_OFF);
}
