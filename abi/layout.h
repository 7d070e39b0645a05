/* SPDX-License-Identifier: MIT */
/*
 * The enclave's address space, shared by the image builder (outside) and the kernel (inside).
 *
 * The range starts at zero so that programs linked at a fixed low address run, and so that a null
 * dereference faults inside. SECS.SIZE is measured, so every address here is a constant for every
 * configuration. Everything at or above ENCLAVE_END is untrusted.
 */
#ifndef ABI_LAYOUT_H
#define ABI_LAYOUT_H

#define ENCLAVE_PAGE_SIZE 0x1000UL

#define ENCLAVE_BASE 0x0UL
#define ENCLAVE_SIZE (1UL << 46)
#define ENCLAVE_END  (ENCLAVE_BASE + ENCLAVE_SIZE)

/* Untrusted memory, as the kernel accepts it: above the enclave, in the canonical lower half. */
#define UNTRUSTED_START ENCLAVE_END
#define UNTRUSTED_END   ((1UL << 47) - ENCLAVE_PAGE_SIZE)

/* Programs: their images, heaps, stacks and mappings. The first 64 KiB stay unmapped. */
#define USER_START 0x10000UL
#define USER_END   0x300000000000UL

/* MAP_SHARED objects: one linear address each for the whole enclave. */
#define SHARED_START 0x300000000000UL
#define SHARED_END   0x380000000000UL

/* The kernel's own pages (heap, page cache, stacks of later threads), committed on demand. */
#define KHEAP_START 0x380000000000UL
#define KHEAP_END   0x3f0000000000UL

/* TCS pages and what belongs to them (SSA, thread area) made at run time. */
#define THREADS_START 0x3f0000000000UL
#define THREADS_END   0x3f8000000000UL

/* Added and measured at build time: the manifest, the first thread, the kernel's image. */
#define MANIFEST_START 0x3fff00000000UL
#define MANIFEST_END   0x3fff10000000UL
#define BOOT_START     0x3fff20000000UL
#define KIMAGE_START   0x3fff80000000UL

/*
 * A thread's block: TCS, then SSA frames, then the thread area that GS points to. The first
 * thread's block stands at BOOT_START, those of later ones in the THREADS zone by their numbers; a guard page
 * that is never added lies below each stack.
 */
#define SSA_FRAME_PAGES 4UL /* room for AMX state: 11,008 bytes of XSAVE and 184 of GPRSGX */
#define NSSA            2UL
#define THREAD_TCS_OFF  0x0UL
#define THREAD_SSA_OFF  (THREAD_TCS_OFF + ENCLAVE_PAGE_SIZE)
#define THREAD_AREA_OFF (THREAD_SSA_OFF + NSSA * SSA_FRAME_PAGES * ENCLAVE_PAGE_SIZE)
#define THREAD_AREA_SIZE (2 * ENCLAVE_PAGE_SIZE) /* and two images of vector state */
/* Stack of the second SSA level's entry (stage one of the exception handler). */
#define THREAD_ESTACK_OFF  (THREAD_AREA_OFF + THREAD_AREA_SIZE + ENCLAVE_PAGE_SIZE)
#define THREAD_ESTACK_SIZE ENCLAVE_PAGE_SIZE
/* Kernel stack, one guard page below it. */
#define THREAD_KSTACK_OFF  (THREAD_ESTACK_OFF + THREAD_ESTACK_SIZE + ENCLAVE_PAGE_SIZE)
#define THREAD_KSTACK_SIZE 0x8000UL
#define THREAD_BLOCK_SIZE  (THREAD_KSTACK_OFF + THREAD_KSTACK_SIZE)

/* Thread 0 is the first one; host and enclave name threads by these numbers. */
#define THREAD_IDS       65536UL
#define THREAD_STRIDE    0x20000UL
#define THREAD_BLOCK(id) ((id) ? THREADS_START + (id) * THREAD_STRIDE : BOOT_START)

#endif
