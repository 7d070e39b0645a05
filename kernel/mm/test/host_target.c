/* SPDX-License-Identifier: MIT */
/*
 * Enclave memory over the test process' own mappings, by SGX's rules: committing a present page or
 * touching the permissions of an absent one ends the test. Only libc's headers here.
 */
#include "host_target.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
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

static void broken(const char *what, uintptr_t va)
{
    fprintf(stderr, "target: %s at %#lx\n", what, va);
    abort();
}

static pthread_mutex_t g_slots_lock = PTHREAD_MUTEX_INITIALIZER; /* the slots' pages */

static unsigned *slot(uintptr_t page)
{
    size_t i = (page * 0x9e3779b97f4a7c15UL) >> 44;
    pthread_mutex_lock(&g_slots_lock);
    while (g_slots[i].page && g_slots[i].page != page)
        i = (i + 1) % SLOTS;
    g_slots[i].page = page;
    pthread_mutex_unlock(&g_slots_lock);
    return &g_slots[i].state;
}

static void add(unsigned long *counter, long n)
{
    __atomic_fetch_add(counter, (unsigned long)n, __ATOMIC_RELAXED);
}

/* A page's transition; another that comes between ends the test. */
static void change(uintptr_t va, unsigned from, unsigned to, const char *what)
{
    if (!__atomic_compare_exchange_n(slot(va / PAGE), &from, to, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        broken(what, va);
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

static int epc_full(size_t count)
{
    return g_target.epc && __atomic_load_n(&g_target.committed, __ATOMIC_RELAXED) + count > g_target.epc;
}

/* Changes go from the EPCM to the page tables, so that a thread sees less for a while, but never more. */
int target_mem_commit(uintptr_t va, size_t count, unsigned prot)
{
    add(&g_target.calls, 1);
    if (!(prot & 1))
        broken("unreadable commit", va);
    if (fails() || epc_full(count))
        return -12;
    for (size_t i = 0; i < count; i++)
        change(va + i * PAGE, 0, 8 | prot, "commit of a present page");
    if (mmap((void *)va, count * PAGE, host_prot(prot), MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED)
        broken("mmap", va);
    add(&g_target.committed, (long)count);
    return 0;
}

int target_mem_commit_copy(uintptr_t va, const void *src, unsigned prot)
{
    int err = target_mem_commit(va, 1, 3);
    if (err)
        return err;
    memcpy((void *)va, src, PAGE);
    change(va, 8 | 3, 8 | prot, "copy");
    mprotect((void *)va, PAGE, host_prot(prot));
    return 0;
}

int target_mem_protect(uintptr_t va, size_t count, unsigned old, unsigned new_prot)
{
    add(&g_target.calls, 1);
    add(&g_target.protects, (long)count);
    if (fails())
        return -12;
    for (size_t i = 0; i < count; i++)
        change(va + i * PAGE, 8 | old, 8 | new_prot,
               "protect of an absent page or from a wrong state");
    mprotect((void *)va, count * PAGE, host_prot(new_prot));
    return 0;
}

int target_mem_release(uintptr_t va, size_t count)
{
    add(&g_target.calls, 1);
    if (fails())
        return -12;
    mmap((void *)va, count * PAGE, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    for (size_t i = 0; i < count; i++) {
        if (!__atomic_exchange_n(slot(va / PAGE + i), 0, __ATOMIC_ACQ_REL))
            broken("release of an absent page", va + i * PAGE);
    }
    add(&g_target.committed, -(long)count);
    add(&g_target.released, (long)count);
    return 0;
}

/* ---- Touches of the program --------------------------------------------------------------------- */

static fault_handler *g_fault_handler;
static __thread sigjmp_buf *g_fault_jump;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    int write = (int)(uc->uc_mcontext.gregs[REG_ERR] >> 1 & 1), ret;
    (void)sig;
    if (!g_fault_jump)
        broken("fault of the kernel", (uintptr_t)info->si_addr);
    ret = g_fault_handler((uintptr_t)info->si_addr, write);
    if (ret)
        siglongjmp(*g_fault_jump, ret);
}

void host_faults(fault_handler *handler)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    g_fault_handler = handler;
    sigaction(SIGSEGV, &sa, NULL);
}

int host_touch(uintptr_t addr, int write, uint8_t *byte)
{
    sigjmp_buf jump;
    int ret = sigsetjmp(jump, 1);
    if (ret == 0) {
        g_fault_jump = &jump;
        if (write)
            *(volatile uint8_t *)addr = *byte;
        else
            *byte = *(volatile uint8_t *)addr;
    }
    g_fault_jump = NULL;
    return ret;
}

/* ---- Threads ------------------------------------------------------------------------------------ */

static void (*g_thread_fn)(unsigned);

static void *thread_main(void *arg)
{
    g_thread_fn((unsigned)(uintptr_t)arg);
    return NULL;
}

void host_threads(unsigned count, void (*fn)(unsigned number))
{
    pthread_t thread[16];
    g_thread_fn = fn;
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&thread[i], NULL, thread_main, (void *)(uintptr_t)i))
            abort();
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
}

void host_yield(void)
{
    sched_yield();
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
