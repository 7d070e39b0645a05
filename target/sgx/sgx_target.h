/* SPDX-License-Identifier: MIT */
/*
 * What the files of target/sgx share.
 */
#ifndef TARGET_SGX_SGX_TARGET_H
#define TARGET_SGX_SGX_TARGET_H

#include <kernel/target.h>
#include <kernel/thread_area.h>
#include <boundary.h>
#include <layout.h>
#include <sgx.h>

/* The trusted copy of what the host told at boot; addresses in it were range-checked. */
extern struct boot_info g_boot_info;

/* XFRM and MISCSELECT from this enclave's own REPORT. */
extern u64 g_xfrm;

/* A thread of the enclave: its number in host calls, and how it is woken (thread.c). */
struct target_thread {
    struct thread_area *area;
    u32 id;
    u32 parked; /* atomic: outside, or about to go there, in the host call `park` */
    u32 token;  /* atomic: an unpark that no park has taken */
    struct task *start; /* atomic: what an idle thread shall run */
    struct target_thread *next; /* in the idle list */
};

/* True when [addr, addr+size) lies wholly in untrusted memory. */
static inline bool outside_ok(u64 addr, u64 size)
{
    return addr >= UNTRUSTED_START && addr <= UNTRUSTED_END && size <= UNTRUSTED_END - addr;
}

/* thread.c: fills the area of a block that is committed and zeroed. */
struct thread_area *sgx_area_init(u64 block, u32 id);
_Noreturn void sgx_thread_main(u64 host_thread);
_Noreturn void sgx_thread_idle(void);

/* entry.S */
extern const char _start[];
/* Drops the kernel stack and goes on in sgx_thread_idle(). */
_Noreturn void sgx_thread_restart(void);
void sgx_exit_hostcall(void);
extern const u8 xstate_init[];

/* boot.c: the first entry, on the first thread's kernel stack. */
_Noreturn void sgx_boot(u64 boot_info, u64 host_thread, u64 tcs);

/* exception.c: stage one, at CSSA 1. */
void sgx_exception_stage1(struct thread_area *area);

/* report.c: fills g_xfrm; stops the enclave when REPORT contradicts the layout. */
void sgx_report_init(void);

#endif
