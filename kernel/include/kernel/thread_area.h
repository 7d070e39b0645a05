/* SPDX-License-Identifier: MIT */
/*
 * What a thread finds through GS: one page per thread, owned by that thread alone while it runs. The
 * offsets are known to assembly (entry code, syscall trampolines: they jump through TA_SYSCALL_ENTRY)
 * and so are an ABI between the kernel's parts.
 */
#ifndef KERNEL_THREAD_AREA_H
#define KERNEL_THREAD_AREA_H

#define TA_SELF          0x00
#define TA_TASK          0x08
#define TA_SYSCALL_ENTRY 0x10
#define TA_KSTACK        0x18 /* top of the kernel stack */
#define TA_USER_RSP      0x20 /* scratch of the syscall entry */
#define TA_RET_RIP       0x28 /* scratch of the return to the program */
#define TA_STATE         0x30 /* TS_*: what an entry at CSSA 0 means */
#define TA_HOSTCALL_RSP  0x38 /* kernel stack to go on with after a host call */
#define TA_HOST_RSP      0x40 /* the host's registers to give back at EEXIT */
#define TA_HOST_RBP      0x48
#define TA_HOST_RETURN   0x50 /* where EEXIT goes */
#define TA_ESTACK        0x58 /* top of the stack for entries at CSSA 1 */
#define TA_SAVED_FS      0x60 /* the program's FS base while outside */
#define TA_XSAVE         0x68 /* where vector state is kept while outside */
#define TA_XFRM          0x70
#define TA_CPUID_ENTRY   0x78 /* as TA_SYSCALL_ENTRY, for rewritten CPUID instructions */
#define TA_CPUID_RCX     0x80 /* their ECX: RCX has the return address */

#define TS_FRESH    0 /* never entered */
#define TS_INSIDE   1 /* running, or interrupted: no entry at CSSA 0 is legal */
#define TS_HOSTCALL 2 /* left by a host call, waits for its return */
#define TS_NEW      3 /* made at run time, not yet entered */

#ifndef __ASSEMBLER__
#include <kernel/types.h>

struct task;
struct host_thread;

struct thread_area {
    struct thread_area *self;
    struct task *task;
    void (*syscall_entry)(void);
    u64 kstack;
    u64 user_rsp;
    u64 ret_rip;
    u64 state;
    u64 hostcall_rsp;
    u64 host_rsp, host_rbp, host_return;
    u64 estack;
    u64 saved_fs;
    void *xsave;
    u64 xfrm;
    void (*cpuid_entry)(void);
    u64 cpuid_rcx;
    /* Not known to assembly. */
    struct host_thread __host *host; /* checked to lie outside, aligned */
    u64 ssa;                         /* address of SSA frame 0 */
    struct target_thread *target;
    void *vector;                    /* vector state that arch_vector_begin() set aside */
    u32 vector_depth;                /* arch_vector_begin nesting: at most 1 */
    const char *lied_name;           /* a host call whose result was out of range, not yet reported */
    s64 lied_result;
};

_Static_assert(offsetof(struct thread_area, task) == TA_TASK, "");
_Static_assert(offsetof(struct thread_area, syscall_entry) == TA_SYSCALL_ENTRY, "");
_Static_assert(offsetof(struct thread_area, kstack) == TA_KSTACK, "");
_Static_assert(offsetof(struct thread_area, user_rsp) == TA_USER_RSP, "");
_Static_assert(offsetof(struct thread_area, ret_rip) == TA_RET_RIP, "");
_Static_assert(offsetof(struct thread_area, cpuid_entry) == TA_CPUID_ENTRY, "");
_Static_assert(offsetof(struct thread_area, cpuid_rcx) == TA_CPUID_RCX, "");
_Static_assert(offsetof(struct thread_area, state) == TA_STATE, "");
_Static_assert(offsetof(struct thread_area, hostcall_rsp) == TA_HOSTCALL_RSP, "");
_Static_assert(offsetof(struct thread_area, host_rsp) == TA_HOST_RSP, "");
_Static_assert(offsetof(struct thread_area, host_rbp) == TA_HOST_RBP, "");
_Static_assert(offsetof(struct thread_area, host_return) == TA_HOST_RETURN, "");
_Static_assert(offsetof(struct thread_area, estack) == TA_ESTACK, "");
_Static_assert(offsetof(struct thread_area, saved_fs) == TA_SAVED_FS, "");
_Static_assert(offsetof(struct thread_area, xsave) == TA_XSAVE, "");
_Static_assert(offsetof(struct thread_area, xfrm) == TA_XFRM, "");

#ifndef ADYTON_HOSTED
static inline struct thread_area *thread_area(void)
{
    struct thread_area *a;

    __asm__("mov %%gs:0, %0" : "=r"(a));
    return a;
}
#endif
#endif
#endif
