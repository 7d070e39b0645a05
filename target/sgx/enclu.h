/* SPDX-License-Identifier: MIT */
/*
 * The ENCLU leaves that stay inside, as functions (Intel SDM vol. 3D, chapter 40). `va` and the
 * structures must lie in the enclave; SECINFO is built here, 64-byte aligned as the CPU wants it.
 */
#ifndef TARGET_SGX_ENCLU_H
#define TARGET_SGX_ENCLU_H

#include <kernel/types.h>
#include <sgx.h>

/* RAX of a leaf: 0, or an SGX error code. */
static inline u64 enclu_leaf(u64 leaf, const void *rbx, uintptr_t rcx, uintptr_t rdx)
{
    __asm__ volatile("call enclu"
                     : "+a"(leaf)
                     : "b"(rbx), "c"(rcx), "d"(rdx)
                     : "memory", "cc");
    return leaf;
}

static inline u64 enclu_eaccept(uintptr_t va, u64 secinfo_flags)
{
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = secinfo_flags};

    return enclu_leaf(SGX_EACCEPT, &secinfo, va, 0);
}

static inline u64 enclu_eacceptcopy(uintptr_t va, const void *src, u64 secinfo_flags)
{
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = secinfo_flags};

    return enclu_leaf(SGX_EACCEPTCOPY, &secinfo, va, (uintptr_t)src);
}

static inline void enclu_emodpe(uintptr_t va, u64 secinfo_flags)
{
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = secinfo_flags};

    (void)enclu_leaf(SGX_EMODPE, &secinfo, va, 0);
}

#endif
