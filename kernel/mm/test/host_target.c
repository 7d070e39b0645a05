/* SPDX-License-Identifier: MIT */
/*
 * Enclave memory over the test process' own mappings, by SGX's rules: committing a present page or
 * touching the permissions of an absent one ends the test. Only libc's headers here.
 */
#include "host_target.h"

#include <asm/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL

struct target_counts g_target;
long g_target_fail_after = -1;

/* The target's own knowledge: permissions + 8 for present pages, in an open hash by page number. */
#define SLOTS (1u << 20)
static struct {
    uintptr_t page;
    unsigned state;
} g_slots[SLOTS];

static unsigned *slot(uintptr_t page)
{
    size_t i = (page * 0x9e3779b97f4a7c15UL) >> 44;
    while (g_slots[i].page && g_slots[i].page != page)
        i = (i + 1) % SLOTS;
    g_slots[i].page = page;
    return &g_slots[i].state;
}

static void broken(const char *what, uintptr_t va)
{
    fprintf(stderr, "target: %s at %#lx\n", what, va);
    abort();
}

static int fails(void)
{
    if (g_target_fail_after < 0)
        return 0;
    return g_target_fail_after-- == 0 || g_target_fail_after < 0;
}

static int host_prot(unsigned prot)
{
    return (prot & 1 ? PROT_READ : 0) | (prot & 2 ? PROT_WRITE : 0) | (prot & 4 ? PROT_READ : 0);
}

unsigned target_page_state(uintptr_t va)
{
    return *slot(va / PAGE);
}

int target_mem_commit(uintptr_t va, size_t count, unsigned prot)
{
    g_target.calls++;
    if (!(prot & 1))
        broken("unreadable commit", va);
    if (fails())
        return -12;
    for (size_t i = 0; i < count; i++) {
        unsigned *s = slot(va / PAGE + i);
        if (*s)
            broken("commit of a present page", va + i * PAGE);
        *s = 8 | prot;
    }
    if (mmap((void *)va, count * PAGE, host_prot(prot), MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED)
        broken("mmap", va);
    g_target.committed += count;
    return 0;
}

int target_mem_commit_copy(uintptr_t va, const void *src, unsigned prot)
{
    int err = target_mem_commit(va, 1, 3);
    if (err)
        return err;
    memcpy((void *)va, src, PAGE);
    *slot(va / PAGE) = 8 | prot;
    mprotect((void *)va, PAGE, host_prot(prot));
    return 0;
}

int target_mem_protect(uintptr_t va, size_t count, unsigned old, unsigned new_prot)
{
    g_target.calls++;
    g_target.protects += count;
    if (fails())
        return -12;
    for (size_t i = 0; i < count; i++) {
        unsigned *s = slot(va / PAGE + i);
        if (*s != (8 | old))
            broken("protect of an absent page or from a wrong state", va + i * PAGE);
        *s = 8 | new_prot;
    }
    mprotect((void *)va, count * PAGE, host_prot(new_prot));
    return 0;
}

int target_mem_release(uintptr_t va, size_t count)
{
    g_target.calls++;
    if (fails())
        return -12;
    for (size_t i = 0; i < count; i++) {
        unsigned *s = slot(va / PAGE + i);
        if (!*s)
            broken("release of an absent page", va + i * PAGE);
        *s = 0;
    }
    mmap((void *)va, count * PAGE, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    g_target.committed -= count;
    g_target.released += count;
    return 0;
}

void *host_zalloc(size_t size)
{
    void *p = calloc(1, size);
    if (!p)
        abort();
    return p;
}

void host_set_gs(void *area)
{
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, area))
        abort();
}

void host_free(void *p)
{
    free(p);
}

void host_die(const char *text)
{
    fprintf(stderr, "panic: %s\n", text);
    abort();
}
