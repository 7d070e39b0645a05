/* SPDX-License-Identifier: MIT */
/*
 * The simulator's own structures.
 *
 * Locks. sgx_device.lock guards the EPCM (the radix tree and its entries), the segments, the TCS
 * table and dev->cnt. sgx_device.ioctl_busy is the driver's "one SGX ioctl at a time" flag.
 * g_registry.lock (device.c) guards the list of threads and the thread table's writers; entry.S
 * reads the table without. g_actions.lock (signal.c) guards the table of the host's signal actions.
 * Order: g_registry.lock, then sim_device.lock. No lock is held while the host's handlers run.
 *
 * Asynchronous signals never interrupt a leaf half way: while sim_thread.busy is set the handler
 * blocks them, queues them again and lets the leaf end (signal.c). So a leaf may hold the lock. The
 * simulator's handlers take the device lock only for a thread that was struck in enclave code, where
 * it holds none; one struck in an ioctl that holds it goes straight to the host's handler.
 */
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "asm_offsets.h"
#include "sgx.h"
#include "sim.h"

#define SIM_PAGE_SHIFT 12
#define SIM_PAGE_SIZE  4096UL
#define SIM_PAGE_MASK  (SIM_PAGE_SIZE - 1)

/* The first 64 KiB of the address space are never mapped (vm.mmap_min_addr). */
#define SIM_LOW_LIMIT 0x10000UL
/* End of the lower canonical half as Linux gives it to programs. */
#define SIM_TASK_END 0x7ffffffff000UL

#define SIM_XSAVE_MAX      11264UL /* room for AMX: 11,008 bytes, 64-byte aligned */
#define SIM_THREAD_SLOTS   16384U /* open addressing, a power of two */
#define SIM_TCS_BUCKETS    1024U

/* The patched stub: a jump, and after it a RET. */
#define SIM_STUB_SIZE 15U
#define SIM_STUB_RET  14U

/*
 * General registers in GPRSGX's order, so that the two copy as one block. `rip` of a leaf that came
 * through the stub is the stub's own address while it runs.
 */
struct sim_regs {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rflags;
    uint64_t rip;
};

/* EPCM entry: the CPU's part, the driver's part, and what the host's page tables hold now. */
#define EPCM_R         (1U << 0)
#define EPCM_W         (1U << 1)
#define EPCM_X         (1U << 2)
#define EPCM_RWX       7U
#define EPCM_PENDING   (1U << 3)
#define EPCM_MODIFIED  (1U << 4)
#define EPCM_PR        (1U << 5)
#define EPCM_VALID     (1U << 6)
#define EPCM_TYPE_POS  8
#define EPCM_TYPE_MASK (7U << EPCM_TYPE_POS)
#define EPCM_TYPE(t)   ((uint32_t)(t) << EPCM_TYPE_POS)
#define EPCM_MAX_POS   12 /* the driver's vm_max_prot_bits: R, W, X */
#define EPCM_MAX_MASK  (7U << EPCM_MAX_POS)
#define EPCM_HOST_POS  16 /* the page's permissions in the host's page tables: R, W, X */
#define EPCM_HOST_MASK (7U << EPCM_HOST_POS)
#define EPCM_DRV_POS   20 /* the driver's idea of the type */
#define EPCM_DRV_MASK  (7U << EPCM_DRV_POS)
#define EPCM_DRV(t)    ((uint32_t)(t) << EPCM_DRV_POS)
#define EPCM_SIDE      (1U << 24) /* no mapping yet: the content waits in the leaf's side table */

#define EPCM_LEAF_BITS 11
#define EPCM_MID_BITS  11
#define EPCM_ROOT_BITS 13 /* 35 bits of page number: 2^47 bytes */
#define EPCM_LEAF_SIZE (1UL << EPCM_LEAF_BITS)
#define EPCM_MID_SIZE  (1UL << EPCM_MID_BITS)
#define EPCM_ROOT_SIZE (1UL << EPCM_ROOT_BITS)

struct epcm_leaf {
    uint32_t entry[EPCM_LEAF_SIZE];
    void **side; /* page contents by index, or NULL */
};

struct epcm_mid {
    struct epcm_leaf *leaf[EPCM_MID_SIZE];
};

/* A piece of the device's mapping, [start, end), with the VMA's permissions. Sorted, disjoint. */
struct sim_segment {
    uint64_t start, end;
    uint32_t prot; /* EPCM_R | EPCM_W | EPCM_X */
    bool hidden;   /* ours, for pages added before the host maps them: nobody else sees it */
};

/* CPU-internal state of a TCS page: enclave code can never read or write it. */
struct sim_tcs {
    struct sim_tcs *next;
    uint64_t addr;
    uint64_t flags;
    uint64_t ossa, oentry, ofs_base, ogs_base;
    uint64_t aep;
    uint32_t cssa, nssa;
    _Atomic uint32_t busy;
    bool reserved_set; /* a reserved field is not zero: EENTER and ERESUME refuse */
};

struct sim_thread;
struct sim_measure;

struct sgx_device {
    struct sgx_device_config config;
    _Atomic uint32_t lock; /* 0 free, 1 held, 2 held with waiters */
    _Atomic uint32_t ioctl_busy;
    bool created, initialized;
    uint64_t base, size;
    struct sgx_secs secs;
    uint8_t isv_family_id[16], isv_ext_prod_id[16];
    struct sim_measure *measure;
    struct epcm_mid **root;
    struct sim_segment *segs;
    size_t seg_count, seg_room;
    struct sim_tcs *tcs[SIM_TCS_BUCKETS];
    bool gs_shared;           /* two TCSes have the same GS base: it tells no thread */
    struct sim_tcs *gone_tcs; /* removed while a thread was on them: they live until close */
    uint64_t stub; /* address of the image's ENCLU, patched by EINIT; 0 if none, or if strict */
    uint64_t epc_limit; /* pages */
    uint64_t page_count; /* as the driver's page_cnt: SECS included */
    size_t early_stop;
    int mem_fd; /* /proc/self/mem, or -1 */
    _Atomic uint32_t inside; /* threads in enclave mode */
    struct sgx_counters cnt;
};

enum sim_exit_mode {
    SIM_EXIT_JUMP = 0, /* to rip, kept below rsp: EENTER, EEXIT */
    SIM_EXIT_RET = 1,  /* the stub's RET */
    SIM_EXIT_IRET = 2, /* any register state */
    SIM_EXIT_TRAP = 3, /* finish in the signal handler: a fault, or signals are waiting */
};

/*
 * Per host thread, at the start of a SIM_THREAD_SIZE-aligned block that also holds the stack for
 * leaves and the alternate signal stack, so that either stack pointer finds it. Owned by its thread;
 * the first fields are used by entry.S (asm_offsets.h).
 */
struct sim_thread {
    struct sim_regs regs;
    uint64_t fs, gs; /* bases to install when entry.S leaves */
    uint64_t host_fs, host_gs;
    uint32_t busy;
    uint32_t deferred;
    uint32_t exit_mode;
    uint32_t do_xrstor;
    uint64_t xfrm;
    uint32_t pkru_host, pkru_encl; /* only with protection keys */
    uint32_t pkeys;
    uint32_t set_pkru;
    _Atomic uint64_t encl_gs; /* inside, with the TCS's own GS base: that base; else 0 */
    struct sgx_device *dev;
    struct sim_tcs *tcs;
    bool inside;
    bool armed; /* user dispatch set for this device's range */
    bool through_stub;
    uint8_t fault_vector; /* SIM_EXIT_TRAP with has_fault */
    bool has_fault;
    uint16_t fault_error;
    uint64_t fault_addr;
    int32_t tid;
    struct sim_thread *next, *prev; /* all that are started; g_registry.lock */
    bool deferring; /* its last run of accepted pages was longer than one: fill lazily */
    uint64_t last_accept;
    sigset_t saved_mask; /* valid while deferred */
    stack_t old_altstack;
    struct sgx_counters cnt;
    uint8_t xsave[SIM_XSAVE_MAX] __attribute__((aligned(T_XSAVE)));
    siginfo_t late_ill; /* a SIGILL that somebody sent waits for the leaf's end */
    bool has_late_ill;
};

/* What a leaf ends in. */
struct sim_fault {
    int vector; /* SIM_OK or a vector */
    uint16_t error;
    uint64_t addr;
};

#define SIM_OK  (-1)
#define SIM_DE  0
#define SIM_DB  1
#define SIM_BP  3
#define SIM_OF  4
#define SIM_UD  6
#define SIM_GP  13
#define SIM_PF  14
#define SIM_MF  16
#define SIM_AC  17
#define SIM_XM  19

#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif

#define USER_CS 0x33U

#define RFLAGS_CF (1UL << 0)
#define RFLAGS_PF (1UL << 2)
#define RFLAGS_AF (1UL << 4)
#define RFLAGS_ZF (1UL << 6)
#define RFLAGS_SF (1UL << 7)
#define RFLAGS_TF (1UL << 8)
#define RFLAGS_OF (1UL << 11)
#define RFLAGS_NT (1UL << 14)
#define RFLAGS_RF (1UL << 16)
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

extern int g_sim_pkey; /* device.c; -1: no protection keys */

/* entry.S */
int sim_enter(unsigned long rdi, unsigned long rsi, unsigned long rdx, unsigned int function,
              unsigned long r8, unsigned long r9, struct sgx_enclave_run *run);
void sim_signal_entry(int sig, siginfo_t *info, void *uc);
int sim_copy(void *dst, const void *src, size_t size); /* 0, or -EFAULT if either side faults */
void sim_call_vectors(void (*fn)(void *), void *arg, void *xsave_area, uint64_t mask);
extern const char sim_aep_saved[], sim_enclu_next[], sim_exception[];
extern const char sim_stub_entry[], sim_stub_spilled[], sim_stub_saved[];
extern const char sim_leave[], sim_leave_end[], sim_trap[];
extern const char sim_copy_insn[], sim_copy_fail[], sim_text_start[], sim_text_end[];

/* epcm.c: lock held unless said otherwise. */
uint32_t *epcm_find(struct sgx_device *dev, uint64_t addr);
uint32_t *epcm_insert(struct sgx_device *dev, uint64_t addr); /* NULL: out of memory */
uint64_t epcm_next(struct sgx_device *dev, uint64_t from, uint64_t end, uint32_t **entry);
void **epcm_side_slot(struct sgx_device *dev, uint64_t addr); /* NULL: out of memory */
void epcm_destroy(struct sgx_device *dev);
int epcm_init(struct sgx_device *dev);
void sim_lock(struct sgx_device *dev);
void sim_unlock(struct sgx_device *dev);
struct sim_tcs *sim_tcs_find(struct sgx_device *dev, uint64_t addr);

/* segment.c: lock held. */
const struct sim_segment *segment_find(struct sgx_device *dev, uint64_t addr);
int segment_set(struct sgx_device *dev, uint64_t start, uint64_t end, uint32_t prot, bool hidden);
const struct sim_segment *segment_next(struct sgx_device *dev, uint64_t addr); /* ends above addr */
int segment_clear(struct sgx_device *dev, uint64_t start, uint64_t end);
bool segment_covers(struct sgx_device *dev, uint64_t start, uint64_t end);

/* hostmap.c: lock held. */
uint32_t hostmap_wanted(const struct sim_segment *seg, uint32_t entry);
int hostmap_fill(struct sgx_device *dev, uint64_t addr); /* run around addr -> page tables */
int hostmap_set(struct sgx_device *dev, uint64_t addr, uint64_t size, uint32_t prot); /* raw */
int hostmap_drop(struct sgx_device *dev, uint64_t start, uint64_t end); /* no page has any right */
void hostmap_revoke(struct sgx_device *dev, uint64_t addr); /* one page: at most what EPCM allows */
void hostmap_accepted(struct sim_thread *t, uint64_t addr);
void hostmap_zero(uint64_t addr);

/* pagefault.c: lock held. What an access to enclave memory by enclave code comes to. */
struct sim_fault sim_access(struct sim_thread *t, uint64_t addr, uint32_t want, uint32_t *aug);

struct sim_fault sim_operand(struct sim_thread *t, uint64_t addr, uint32_t want);

/* enclu.c */
void sim_set_result(struct sim_regs *r, int error); /* enum sgx_error */
void sim_enclu_host(struct sim_thread *t);
void sim_enclu_stub(struct sim_thread *t);
struct sim_fault sim_enclu_inside(struct sim_thread *t, struct sim_regs *r);
void sim_leave_enclave(struct sim_thread *t);
uint64_t sim_ssa_address(const struct sgx_device *dev, const struct sim_tcs *tcs, uint32_t index);

/* edmm.c */
struct sim_fault sim_eaccept(struct sim_thread *t, struct sim_regs *r);
struct sim_fault sim_eacceptcopy(struct sim_thread *t, struct sim_regs *r);
struct sim_fault sim_emodpe(struct sim_thread *t, struct sim_regs *r);

/* keys.c: not vector-free; called under sim_call_vectors() or in a signal handler. */
struct sim_fault sim_ereport(struct sim_thread *t, struct sim_regs *r);
struct sim_fault sim_egetkey(struct sim_thread *t, struct sim_regs *r);

/* aex.c */
void sim_aex(struct sim_thread *t, ucontext_t *uc, const struct sim_fault *fault,
             const struct sim_regs *regs, uint64_t encl_fs, uint64_t encl_gs);
void sim_regs_from_uc(struct sim_regs *regs, const ucontext_t *uc);
void sim_regs_to_uc(const struct sim_regs *regs, ucontext_t *uc);
int sim_xsave_load(struct sim_thread *t, uint64_t frame); /* -1: the area is not valid */
size_t sim_xsave_size(uint64_t xfrm);
void sim_uc_load_xsave(struct sim_thread *t, ucontext_t *uc);
void sim_uc_set_pkru(ucontext_t *uc, uint32_t pkru); /* only with protection keys */
extern uint64_t g_sim_xfrm;           /* XFRM bits that this machine can run */
int sim_xsave_probe(void);

/* The top of a signal handler's frame in entry.S. */
struct sim_sigframe {
    uint64_t fs, gs;      /* what to leave with; meaningful when thread is not NULL */
    struct sim_thread *thread;
};

/* origin.c: runs before FS is the host's. NULL: a thread that was not started. */
struct sim_thread *sim_signal_thread(const ucontext_t *uc);

/* fault.c: an exception that struck enclave code. */
void sim_enclave_exception(struct sim_thread *t, int sig, const siginfo_t *info, ucontext_t *uc,
                           struct sim_sigframe *f);
bool sim_is_compat(const ucontext_t *uc); /* 32-bit code: a SYSENTER or a far transfer led there */
bool sim_page_fault(struct sim_thread *t, ucontext_t *uc, uint64_t addr, uint32_t want,
                    struct sim_fault *fault);

/* signal.c */
void sim_signal(int sig, siginfo_t *info, ucontext_t *uc, struct sim_sigframe *f);
int sim_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
int sim_signals_install(void);
void sim_signals_remove(void);

/* device.c */
extern __thread struct sim_thread *sim_self;
extern struct sim_thread *_Atomic g_sim_only_thread;

/*
 * entry.S finds the thread by its GS base here, or by its ID. A thread is in at most one slot, only while
 * it is inside, and its memory is never given back to the system: so who finds another's may look.
 */
extern _Atomic(struct sim_thread *) g_sim_gs_slots[SIM_GS_SLOTS_MASK + 1];
static inline _Atomic(struct sim_thread *) *sim_gs_slot(uint64_t gs)
{
    return &g_sim_gs_slots[(gs * SIM_GS_FACTOR >> 32) & SIM_GS_SLOTS_MASK];
}

int sim_thread_start(struct sgx_device *dev);
void sim_thread_stop(struct sgx_device *dev);
int sim_thread_arm(struct sim_thread *t);

/* probe.c */
bool sim_feature_disabled(enum sim_feature feature);
int sim_probe(char *why, size_t why_size);

/* driver.c, driver_edmm.c, encls.c */
int sim_ioctl(struct sgx_device *dev, unsigned long request, void *arg);
int sim_epc_charge(struct sgx_device *dev);
void sim_epc_release(struct sgx_device *dev);
struct sim_fault sim_eaug(struct sgx_device *dev, uint64_t addr);
int sim_ioc_restrict(struct sgx_device *dev, void *arg);
int sim_ioc_modify(struct sgx_device *dev, void *arg);
int sim_ioc_remove(struct sgx_device *dev, void *arg);
int sim_check_range(const struct sgx_device *dev, uint64_t offset, uint64_t length);
int sim_ecreate(struct sgx_device *dev, const struct sgx_secs *secs); /* 0 or -1 for #GP */
int sim_eadd(struct sgx_device *dev, uint64_t addr, const struct sgx_secinfo *secinfo,
             const void *page);
int sim_tcs_load(struct sim_tcs *tcs, const struct sgx_tcs *page);
struct sim_tcs *sim_tcs_new(struct sgx_device *dev, uint64_t addr);
void sim_tcs_free(struct sgx_device *dev, uint64_t addr);
void sim_gs_check(struct sgx_device *dev, const struct sim_tcs *tcs); /* a TCS that is new */
void sim_tcs_free_all(struct sgx_device *dev); /* nobody is inside any more */

/* mapping.c: ops->mmap and friends; page contents before a mapping exists. */
int sim_mmap(struct sgx_device *dev, void *addr, size_t size, int prot, int fixed, void **out);
int sim_munmap(struct sgx_device *dev, void *addr, size_t size);
int sim_mprotect(struct sgx_device *dev, void *addr, size_t size, int prot);
int sim_page_read(struct sgx_device *dev, uint64_t addr, void *out);
void sim_premap(struct sgx_device *dev, uint64_t start, uint64_t end);
bool sim_is_placed(struct sgx_device *dev, uint64_t addr); /* page contents live at addr itself */

/* measure.c, sigstruct.c */
struct sim_measure *measure_begin(const struct sgx_secs *secs);
void measure_add(struct sim_measure *m, uint64_t offset, const struct sgx_secinfo *secinfo);
void measure_extend(struct sim_measure *m, uint64_t offset, const void *page);
int measure_end(struct sim_measure *m, uint8_t hash[32]); /* does not free */
void measure_free(struct sim_measure *m);
/* EINIT's checks: an enum sgx_error. On success *signer is MRSIGNER. */
int sigstruct_check(const struct sgx_sigstruct *sig, const struct sgx_secs *secs,
                    const uint8_t mrenclave[32], uint8_t signer[32]);

/* Library-free helpers for code that must not touch vector registers. */
static inline void sim_bytes_copy(void *dst, const void *src, size_t size)
{
    __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(size) : : "memory");
}

static inline void sim_bytes_zero(void *dst, size_t size)
{
    __asm__ volatile("rep stosb" : "+D"(dst), "+c"(size) : "a"(0) : "memory");
}

static inline bool sim_bytes_all_zero(const void *src, size_t size)
{
    const uint8_t *p = src;
    uint8_t seen = 0;

    for (size_t i = 0; i < size; i++) {
        seen |= p[i];
    }
    return seen == 0;
}

static inline long sim_syscall4(long nr, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return ret;
}

/*
 * With protection keys, host code that works on enclave memory on the enclave's behalf opens the key for
 * itself; what was is returned, to be put back. Without keys both do nothing.
 */
static inline uint32_t sim_pkru_open(void)
{
    uint32_t old, high;

    if (g_sim_pkey < 0) {
        return 0;
    }
    __asm__ volatile("rdpkru" : "=a"(old), "=d"(high) : "c"(0));
    __asm__ volatile("wrpkru" : : "a"(old & ~(3U << (2 * g_sim_pkey))), "c"(0), "d"(0) : "memory");
    return old;
}

static inline void sim_pkru_restore(uint32_t old)
{
    if (g_sim_pkey >= 0) {
        __asm__ volatile("wrpkru" : : "a"(old), "c"(0), "d"(0) : "memory");
    }
}

static inline struct sim_fault sim_ok(void)
{
    return (struct sim_fault){.vector = SIM_OK};
}

static inline struct sim_fault sim_gp(void)
{
    return (struct sim_fault){.vector = SIM_GP};
}

static inline struct sim_fault sim_ud(void)
{
    return (struct sim_fault){.vector = SIM_UD};
}

static inline struct sim_fault sim_pf(uint64_t addr, uint32_t error)
{
    return (struct sim_fault){.vector = SIM_PF, .error = (uint16_t)error, .addr = addr};
}

static inline bool sim_in_range(const struct sgx_device *dev, uint64_t addr)
{
    return addr - dev->base < dev->size;
}

static inline bool sim_canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

static inline enum sgx_page_type epcm_type(uint32_t entry)
{
    return (enum sgx_page_type)((entry & EPCM_TYPE_MASK) >> EPCM_TYPE_POS);
}

#endif
