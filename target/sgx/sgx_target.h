/* SPDX-License-Identifier: MIT */
/*
 * What the files of target/sgx share.
 */
#ifndef TARGET_SGX_SGX_TARGET_H
#define TARGET_SGX_SGX_TARGET_H

#include <kernel/thread_area.h>
#include <kernel/types.h>
#include <boundary.h>
#include <layout.h>
#include <sgx.h>

/* The trusted copy of what the host told at boot; addresses in it were range-checked. */
extern struct boot_info g_boot_info;

/* XFRM and MISCSELECT from this enclave's own REPORT. */
extern u64 g_xfrm;

/* True when [addr, addr+size) lies wholly in untrusted memory. */
static inline bool outside_ok(u64 addr, u64 size)
{
    return addr >= UNTRUSTED_START && addr <= UNTRUSTED_END && size <= UNTRUSTED_END - addr;
}

/* entry.S */
void sgx_exit_hostcall(void);
extern const u8 xstate_init[];

/* boot.c: the first entry, on the first thread's kernel stack. */
_Noreturn void sgx_boot(u64 boot_info, u64 host_thread, u64 tcs);

/* exception.c: stage one, at CSSA 1. */
void sgx_exception_stage1(struct thread_area *area);

/* report.c: fills g_xfrm; stops the enclave when REPORT contradicts the layout. */
void sgx_report_init(void);

#endif
