/* SPDX-License-Identifier: MIT */
/*
 * The tests' target: memory calls over mmap(2) that check each transition.
 */
#ifndef MM_TEST_HOST_TARGET_H
#define MM_TEST_HOST_TARGET_H

#include <stddef.h>
#include <stdint.h>

struct target_counts {
    unsigned long calls, committed, protects, released;
    unsigned long epc; /* pages that the host has; 0: any number */
};
extern struct target_counts g_target;

/* The Nth call from now on fails, and all after it; negative: none. */
extern long g_target_fail_after;

/* 0 for an absent page, else 8 and its permissions. */
unsigned target_page_state(uintptr_t va);

/* kernel/target.h, which libc's headers do not go with */
int target_mem_commit(uintptr_t va, size_t count, unsigned prot);
int target_mem_commit_copy(uintptr_t va, const void *src, unsigned prot);
int target_mem_protect(uintptr_t va, size_t count, unsigned old, unsigned new_prot);
int target_mem_release(uintptr_t va, size_t count);

/* libc for code that is compiled with the kernel's types. */
void *host_zalloc(size_t size);
void host_free(void *p);
void host_set_gs(void *area); /* current_task() reads through GS, which libc leaves alone */
_Noreturn void host_die(const char *text);
void host_yield(void);

/*
 * Touches a byte as the CPU would: a fault goes to the handler with its address and whether it was a write;
 * 0 from there means try again. Returns what else it gave, or 0 when the access was made.
 */
typedef int fault_handler(uintptr_t addr, int write);
void host_faults(fault_handler *handler);
int host_touch(uintptr_t addr, int write, uint8_t *byte);

/* Runs `fn` in `count` threads and waits for all. */
void host_threads(unsigned count, void (*fn)(unsigned number));

#endif
