/* SPDX-License-Identifier: MIT */
/*
 * sgx_device_sim: open and close, threads, counters, the registry of threads.
 *
 * g_registry.lock guards the list of threads and the writers of the thread table, which entry.S reads
 * without it. A thread's slot is published before its first entry and withdrawn after its
 * last, so a thread in enclave mode always finds itself.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define ALTSTACK_SIZE  (SIM_THREAD_SIZE - SIM_ALTSTACK_OFF)

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF          0
#define PR_SYS_DISPATCH_ON           1
#endif

#define T_IS(field, off)                                                                           \
    _Static_assert(offsetof(struct sim_thread, field) == (off), "entry.S: " #field)

T_IS(regs.rax, T_RAX);
T_IS(regs.rcx, T_RCX);
T_IS(regs.rdx, T_RDX);
T_IS(regs.rbx, T_RBX);
T_IS(regs.rsp, T_RSP);
T_IS(regs.rbp, T_RBP);
T_IS(regs.rsi, T_RSI);
T_IS(regs.rdi, T_RDI);
T_IS(regs.r8, T_R8);
T_IS(regs.r9, T_R9);
T_IS(regs.r10, T_R10);
T_IS(regs.r11, T_R11);
T_IS(regs.r12, T_R12);
T_IS(regs.r13, T_R13);
T_IS(regs.r14, T_R14);
T_IS(regs.r15, T_R15);
T_IS(regs.rflags, T_RFLAGS);
T_IS(regs.rip, T_RIP);
T_IS(fs, T_FS);
T_IS(gs, T_GS);
T_IS(host_fs, T_HOST_FS);
T_IS(host_gs, T_HOST_GS);
T_IS(busy, T_BUSY);
T_IS(deferred, T_DEFERRED);
T_IS(exit_mode, T_EXIT_MODE);
T_IS(do_xrstor, T_DO_XRSTOR);
T_IS(xfrm, T_XFRM);
T_IS(pkru_host, T_PKRU_HOST);
T_IS(pkru_encl, T_PKRU_ENCL);
T_IS(pkeys, T_PKEYS);
T_IS(set_pkru, T_SET_PKRU);
T_IS(encl_gs, T_ENCL_GS);
T_IS(xsave, T_XSAVE);
_Static_assert(sizeof(struct sim_thread) <= SIM_LEAF_STACK_TOP / 2, "room for the leaf stack");
_Static_assert(SIM_THREAD_SLOTS == SIM_THREAD_SLOTS_MASK + 1, "the table entry.S searches");

struct sim_slot {
    _Atomic int32_t tid; /* 0 free, -1 was used: probing goes on */
    struct sim_thread *thread;
};
_Static_assert(sizeof(struct sim_slot) == 16, "entry.S shifts by 4");

struct sim_slot g_sim_slots[SIM_THREAD_SLOTS];
struct sim_thread *_Atomic g_sim_only_thread;
_Atomic(struct sim_thread *) g_sim_gs_slots[SIM_GS_SLOTS_MASK + 1];
__thread struct sim_thread *sim_self;
int g_sim_pkey = -1;

static struct {
    pthread_mutex_t lock;
    struct sim_thread *threads; /* all that are started */
    struct sim_thread *unused;  /* blocks for the next ones; never unmapped */
    unsigned devices;
    bool key_made;
    pthread_key_t key; /* its destructor stops a thread that ends without */
} g_registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* g_registry.lock held. */
static int slot_add(struct sim_thread *t)
{
    for (uint32_t n = 0; n < SIM_THREAD_SLOTS; n++) {
        struct sim_slot *slot = &g_sim_slots[((uint32_t)t->tid + n) & SIM_THREAD_SLOTS_MASK];

        if (slot->tid <= 0) {
            slot->thread = t;
            atomic_store(&slot->tid, t->tid);
            return 0;
        }
    }
    return -EAGAIN;
}

static struct sim_slot *slot_find(int32_t tid)
{
    for (uint32_t n = 0; n < SIM_THREAD_SLOTS; n++) {
        struct sim_slot *slot = &g_sim_slots[((uint32_t)tid + n) & SIM_THREAD_SLOTS_MASK];

        if (slot->tid == tid) {
            return slot;
        }
    }
    return NULL;
}

/* g_registry.lock held. */
static void list_add(struct sim_thread *t)
{
    t->prev = NULL;
    t->next = g_registry.threads;
    if (t->next != NULL) {
        t->next->prev = t;
    }
    g_registry.threads = t;
}

static void list_remove(struct sim_thread *t)
{
    if (t->next != NULL) {
        t->next->prev = t->prev;
    }
    if (t->prev != NULL) {
        t->prev->next = t->next;
    } else {
        g_registry.threads = t->next;
    }
}

/* With one thread started, the stub needs no search. g_registry.lock held. */
static void update_only_thread(void)
{
    struct sim_thread *first = g_registry.threads;

    atomic_store(&g_sim_only_thread, first != NULL && first->next == NULL ? first : NULL);
}

static void stop_at_exit(void *thread)
{
    sim_thread_stop(((struct sim_thread *)thread)->dev);
}

/* g_registry.lock held. */
static int key_make(void)
{
    int ret = 0;

    if (!g_registry.key_made) {
        ret = -pthread_key_create(&g_registry.key, stop_at_exit);
        g_registry.key_made = ret == 0;
    }
    return ret;
}

static int registry_add(struct sim_thread *t)
{
    int ret;

    pthread_mutex_lock(&g_registry.lock);
    /* A second thread: the first must search from now on, before this one can enter. */
    atomic_store(&g_sim_only_thread, NULL);
    ret = key_make();
    if (ret == 0) {
        ret = slot_add(t);
    }
    if (ret == 0) {
        list_add(t);
    }
    update_only_thread();
    pthread_mutex_unlock(&g_registry.lock);
    return ret;
}

static void counters_add(struct sgx_counters *sum, const struct sgx_counters *part)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)part;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) {
        to[i] += from[i];
    }
}

/* What it counted goes to the device's counters in the same step. */
static void registry_remove(struct sim_thread *t)
{
    struct sim_slot *slot;

    pthread_mutex_lock(&g_registry.lock);
    slot = slot_find(t->tid);
    if (slot != NULL) {
        atomic_store(&slot->tid, -1);
        slot->thread = NULL;
    }
    list_remove(t);
    sim_lock(t->dev);
    counters_add(&t->dev->cnt, &t->cnt);
    sim_unlock(t->dev);
    update_only_thread();
    pthread_mutex_unlock(&g_registry.lock);
}

static int user_dispatch(int on, uint64_t allowed_from, uint64_t allowed_size)
{
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, on, allowed_from, allowed_size, 0) != 0) {
        return -errno;
    }
    return 0;
}

/*
 * Where system calls are allowed ends at the vDSO: SYSENTER shows itself by an address there (Linux
 * does not know where it was executed), and the vDSO's own few calls are made for it (signal.c).
 */
static uint64_t dispatch_limit(void)
{
    uint64_t vdso = getauxval(AT_SYSINFO_EHDR);

    return vdso > (uint64_t)sim_text_end && vdso > (uint64_t)syscall ? vdso : SIM_TASK_END;
}

/* System calls are host code's only: allowed from addresses above the enclave, nowhere else. */
int sim_thread_arm(struct sim_thread *t)
{
    uint64_t end = t->dev->base + t->dev->size;
    int ret;

    if (t->armed) {
        return 0;
    }
    if (!t->dev->created) {
        return -EINVAL;
    }
    if ((uint64_t)sim_text_start < end) {
        return -EADDRNOTAVAIL; /* host code below the enclave could make no system calls */
    }
    ret = user_dispatch(PR_SYS_DISPATCH_ON, end, dispatch_limit() - end);
    t->armed = ret == 0;
    return ret;
}

static struct sim_thread *block_map(void)
{
    uint8_t *raw = mmap(NULL, 2UL * SIM_THREAD_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint8_t *block;
    size_t before;

    if (raw == MAP_FAILED) {
        return NULL;
    }
    before = (SIM_THREAD_SIZE - ((uintptr_t)raw & (SIM_THREAD_SIZE - 1))) & (SIM_THREAD_SIZE - 1);
    block = raw + before;
    if (before != 0) {
        munmap(raw, before);
    }
    munmap(block + SIM_THREAD_SIZE, SIM_THREAD_SIZE - before);
    return (struct sim_thread *)block;
}

static struct sim_thread *block_new(void)
{
    struct sim_thread *t;

    pthread_mutex_lock(&g_registry.lock);
    t = g_registry.unused;
    if (t != NULL) {
        g_registry.unused = t->next;
    }
    pthread_mutex_unlock(&g_registry.lock);
    if (t == NULL) {
        return block_map();
    }
    memset(t, 0, sizeof(*t));
    return t;
}

static void block_free(struct sim_thread *t)
{
    pthread_mutex_lock(&g_registry.lock);
    t->next = g_registry.unused;
    g_registry.unused = t;
    pthread_mutex_unlock(&g_registry.lock);
}

static void read_bases(struct sim_thread *t)
{
    __asm__ volatile("rdfsbase %0" : "=r"(t->host_fs));
    __asm__ volatile("rdgsbase %0" : "=r"(t->host_gs));
}

static void init_pkru(struct sim_thread *t)
{
    uint32_t pkru, high;

    if (g_sim_pkey < 0) {
        return;
    }
    __asm__ volatile("rdpkru" : "=a"(pkru), "=d"(high) : "c"(0));
    t->pkeys = 1;
    t->pkru_encl = pkru & ~(3U << (2 * g_sim_pkey));
    t->pkru_host = pkru | 3U << (2 * g_sim_pkey);
    __asm__ volatile("wrpkru" : : "a"(t->pkru_host), "c"(0), "d"(0));
}

static int set_traps(struct sim_thread *t)
{
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) {
        return -errno;
    }
    if (t->dev->config.trap_rdtsc != 0 && prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0) {
        return -errno;
    }
    return 0;
}

static void clear_traps(void)
{
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    prctl(PR_SET_TSC, PR_TSC_ENABLE);
    user_dispatch(PR_SYS_DISPATCH_OFF, 0, 0);
}

int sim_thread_start(struct sgx_device *dev)
{
    struct sim_thread *t;
    stack_t stack;
    int ret;

    if (sim_self != NULL) {
        return -EBUSY;
    }
    t = block_new();
    if (t == NULL) {
        return -ENOMEM;
    }
    t->dev = dev;
    t->last_accept = UINT64_MAX;
    t->tid = (int32_t)syscall(SYS_gettid);
    read_bases(t);
    stack = (stack_t){.ss_sp = (uint8_t *)t + SIM_ALTSTACK_OFF, .ss_size = ALTSTACK_SIZE};
    if (sigaltstack(&stack, &t->old_altstack) != 0) {
        ret = -errno;
        goto free_block;
    }
    ret = registry_add(t);
    if (ret != 0) {
        goto restore_stack;
    }
    sim_self = t;
    ret = -pthread_setspecific(g_registry.key, t);
    if (ret == 0 && dev->created) {
        ret = sim_thread_arm(t);
    }
    if (ret == 0) {
        ret = set_traps(t);
    }
    if (ret != 0) {
        sim_thread_stop(dev);
        return ret;
    }
    init_pkru(t);
    return 0;

restore_stack:
    sigaltstack(&t->old_altstack, NULL);
free_block:
    block_free(t);
    return ret;
}

void sim_thread_stop(struct sgx_device *dev)
{
    struct sim_thread *t = sim_self;

    if (t == NULL || t->dev != dev) {
        return;
    }
    clear_traps();
    registry_remove(t);
    sigaltstack(&t->old_altstack, NULL);
    pthread_setspecific(g_registry.key, NULL);
    sim_self = NULL;
    block_free(t);
}

static void sim_counters(struct sgx_device *dev, struct sgx_counters *out)
{
    pthread_mutex_lock(&g_registry.lock);
    sim_lock(dev);
    *out = dev->cnt;
    for (const struct sim_thread *t = g_registry.threads; t != NULL; t = t->next) {
        if (t->dev == dev) {
            counters_add(out, &t->cnt);
        }
    }
    sim_unlock(dev);
    pthread_mutex_unlock(&g_registry.lock);
}

static void take_pkey(void)
{
    if (g_sim_pkey < 0 && !sim_feature_disabled(SIM_FEATURE_PKEYS)) {
        int key = pkey_alloc(0, 0);

        g_sim_pkey = key > 0 ? key : -1;
    }
}

const char *sim_isolation(void)
{
    return g_sim_pkey >= 0 ? "protection keys" : "none";
}

static int sim_open(const struct sgx_device_config *config, struct sgx_device **dev, char *why,
                    size_t why_size)
{
    struct sgx_device *d;
    int ret = sim_probe(why, why_size);

    if (ret != 0) {
        return ret;
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL || epcm_init(d) != 0) {
        free(d);
        snprintf(why, why_size, "the simulator is out of memory");
        return -ENOMEM;
    }
    ret = sim_signals_install();
    if (ret != 0) {
        snprintf(why, why_size, "the simulator cannot install its signal handlers");
        epcm_destroy(d);
        free(d);
        return ret;
    }
    if (config != NULL) {
        d->config = *config;
    }
    d->epc_limit = d->config.epc_size == 0 ? UINT64_MAX : d->config.epc_size / SIM_PAGE_SIZE;
    d->mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    pthread_mutex_lock(&g_registry.lock);
    g_registry.devices++;
    take_pkey();
    pthread_mutex_unlock(&g_registry.lock);
    *dev = d;
    return 0;
}

static void unmap_all(struct sgx_device *dev)
{
    for (size_t i = 0; i < dev->seg_count; i++) {
        munmap((void *)dev->segs[i].start, dev->segs[i].end - dev->segs[i].start);
    }
    free(dev->segs);
}

static void sim_close(struct sgx_device *dev)
{
    if (sim_self != NULL && sim_self->dev == dev) {
        sim_thread_stop(dev);
    }
    unmap_all(dev);
    sim_tcs_free_all(dev);
    measure_free(dev->measure);
    if (dev->mem_fd >= 0) {
        close(dev->mem_fd);
    }
    epcm_destroy(dev);
    free(dev);
    sim_signals_remove();
    pthread_mutex_lock(&g_registry.lock);
    g_registry.devices--;
    pthread_mutex_unlock(&g_registry.lock);
}

void sim_set_early_stop(struct sgx_device *dev, size_t pages)
{
    dev->early_stop = pages;
}

uint64_t sim_stub_address(struct sgx_device *dev)
{
    return dev->stub;
}

const struct sgx_device_ops sgx_device_sim = {
    .name = "sim",
    .open = sim_open,
    .ioctl = sim_ioctl,
    .mmap = sim_mmap,
    .munmap = sim_munmap,
    .mprotect = sim_mprotect,
    .enter = sim_enter,
    .sigaction = sim_sigaction,
    .thread_start = sim_thread_start,
    .thread_stop = sim_thread_stop,
    .counters = sim_counters,
    .close = sim_close,
};
