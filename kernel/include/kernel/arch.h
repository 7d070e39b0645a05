/* SPDX-License-Identifier: MIT */
/*
 * What the processor's architecture provides to the rest of the kernel (kernel/arch/x86_64). The
 * kernel is built without vector registers, so while it runs for a program the program's vector
 * state is live in the processor, and these calls read and write it there.
 */
#ifndef KERNEL_ARCH_H
#define KERNEL_ARCH_H

#include <kernel/regs.h>

/* ---- Vector state (Intel SDM vol. 1, chapter 13) ----------------------------------------------- */

/* Bytes of a standard-format XSAVE image of every component in target_xfrm(): 576 or more. */
size_t arch_xsave_size(void);

/* XSAVE with every component of target_xfrm(). `area`: 64-byte aligned, arch_xsave_size() bytes. */
void arch_xsave(void *area);

/*
 * XRSTOR from an image of untrusted origin (a signal frame, copied in). Components that the image's
 * XSTATE_BV leaves out get their initial state. Never faults: -EINVAL, with nothing changed, for a
 * header that XRSTOR would refuse (XSTATE_BV outside target_xfrm(), XCOMP_BV or reserved bytes not
 * zero), reserved MXCSR bits, `size` smaller than what XSTATE_BV needs, or an unaligned area.
 */
int arch_xrstor_checked(const void *area, size_t size);

/* XRSTOR from an image that arch_xsave() made and only the kernel could write. */
void arch_xrstor(const void *area);

/* Vector state as a fresh program has it: the initial state of every component. */
void arch_xreset(void);

/*
 * Between these two, kernel code may use vector registers: the program's are set aside in the thread
 * and put back. They do not nest; the thread may block or leave the enclave in between.
 */
void arch_vector_begin(void);
void arch_vector_end(void);

/* The components of XSAVE images: XCR0's value for the program. */
u64 arch_xfeatures(void);

/* Bytes that a signal frame needs at most, for AT_MINSIGSTKSZ. */
size_t arch_min_sigstack(void);

/* ---- Boot, identification -------------------------------------------------------------------------- */

/* XSAVE's layout, for this enclave's XFRM; loads the initial vector state. */
void arch_init(void);

/* CPUID as programs may see it: cached, cut down to the state this enclave keeps. Spinlocks allowed. */
void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4]);

/* AT_HWCAP and AT_HWCAP2. */
u64 arch_hwcap(void);
u64 arch_hwcap2(void);

/* ---- Registers ----------------------------------------------------------------------------------- */

/* The program's FS base of the current thread. The setter expects a canonical address. */
/* RCX as the last rewritten CPUID of this thread kept it. */
u64 arch_cpuid_rcx(void);
void arch_set_fs_base(u64 base);
u64 arch_get_fs_base(void);

/*
 * Dispatches the call in regs->orig_rax again with the argument registers as they are, and puts its
 * result into regs->rax, as if the program had just made it. Called at the end of signal_deliver(),
 * which looks for work again afterwards.
 */
void arch_restart_syscall(struct regs *regs);

/* The TSC, ordered after earlier loads. SGX2 allows RDTSC and RDTSCP inside. */
static inline u64 arch_tsc(void)
{
    u32 low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}

/* The processor that runs this, as the OS filled IA32_TSC_AUX (a hint): node << 12 | cpu. */
static inline u32 arch_tsc_aux(void)
{
    u32 low, high, aux;

    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
    return aux;
}

#endif
