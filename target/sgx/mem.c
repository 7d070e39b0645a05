/* SPDX-License-Identifier: MIT */
/*
 * Enclave memory by SGX2's rules. The kernel's page state says what each page is; the calls here
 * only carry out a transition that it has decided on. The host's part (page tables, EMODPR, EMODT,
 * EREMOVE) is believed only after EACCEPT.
 *
 * EAUG happens on the first touch, here EACCEPT's or EACCEPTCOPY's own, so committing needs no host
 * call. Pages appear readable and writable; execution is added by EMODPE, without leaving; less than
 * that is had at once by EACCEPTCOPY. Taking rights away needs EMODPR by the host.
 *
 * Locking: none of its own; the owner of a page range (mm->lock, the kernel page allocator's lock)
 * serialises calls on it.
 */
#include "enclu.h"
#include "hostcall_stubs.h"
#include "sgx_target.h"
#include <kernel/printk.h>
#include <kernel/target.h>

#define REG SGX_SECINFO_PT(SGX_PT_REG)

_Static_assert(TARGET_READ == SGX_SECINFO_R && TARGET_WRITE == SGX_SECINFO_W &&
                   TARGET_EXEC == SGX_SECINFO_X,
               "protections pass through");

static const u8 g_zero_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* Undoes a commit that stopped half way. The host may refuse; then the pages stay its own. */
static void uncommit(uintptr_t va, size_t page_count)
{
    if (page_count)
        (void)target_mem_release(va, page_count);
}

static bool commit_page(uintptr_t va, unsigned prot)
{
    if (!(prot & TARGET_WRITE))
        return enclu_eacceptcopy(va, g_zero_page, REG | prot) == 0;
    if (enclu_eaccept(va, REG | SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_PENDING) != 0)
        return false;
    if (prot & TARGET_EXEC)
        enclu_emodpe(va, REG | prot);
    return true;
}

int target_mem_commit(uintptr_t va, size_t page_count, unsigned prot)
{
    for (size_t i = 0; i < page_count; i++) {
        if (!commit_page(va + i * PAGE_SIZE, prot)) {
            uncommit(va, i);
            return -ENOMEM;
        }
    }
    return 0;
}

int target_mem_commit_copy(uintptr_t va, const void *src, unsigned prot)
{
    return enclu_eacceptcopy(va, src, REG | prot) ? -ENOMEM : 0;
}

/*
 * The host may refuse; the program then gets ENOMEM where it expects none, and somebody should be able to
 * find out why. Told once: a host that refuses everything shall not fill the log.
 */
static int refused(const char *what, uintptr_t va, size_t page_count)
{
    static u32 told; /* atomic */

    if (!__atomic_exchange_n(&told, 1, __ATOMIC_RELAXED))
        pr_warn("the host refuses to %s %zu pages at %#lx (told once): the program gets ENOMEM",
                what, page_count, va);
    return -ENOMEM;
}

int target_mem_protect(uintptr_t va, size_t page_count, unsigned old, unsigned new_prot)
{
    unsigned kept = old & new_prot;

    if (old & ~new_prot) {
        if (hostcall_mem_restrict(va, page_count, kept))
            return refused("restrict", va, page_count);
        for (size_t i = 0; i < page_count; i++)
            if (enclu_eaccept(va + i * PAGE_SIZE, REG | kept | SGX_SECINFO_PR))
                panic("host did not restrict page %#lx as it said", va + i * PAGE_SIZE);
    }
    if (new_prot & ~old)
        for (size_t i = 0; i < page_count; i++)
            enclu_emodpe(va + i * PAGE_SIZE, REG | new_prot);
    return 0;
}

int target_mem_release(uintptr_t va, size_t page_count)
{
    if (hostcall_mem_type(va, page_count, SGX_PT_TRIM))
        return refused("trim", va, page_count);
    for (size_t i = 0; i < page_count; i++)
        if (enclu_eaccept(va + i * PAGE_SIZE,
                          SGX_SECINFO_PT(SGX_PT_TRIM) | SGX_SECINFO_MODIFIED))
            panic("host did not trim page %#lx as it said", va + i * PAGE_SIZE);
    (void)hostcall_mem_remove(va, page_count);
    return 0;
}
