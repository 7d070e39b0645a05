/* SPDX-License-Identifier: MIT */
/*
 * Threads at run time. A thread is a block of the THREADS zone (abi/layout.h) whose TCS is made by EDMM,
 * and the host thread that runs in it. Both are made once and reused: a thread whose task ended waits in the
 * idle list, parked in the host, for the next task.
 *
 * A TCS can be entered from the moment it is accepted, as often as the host likes; so its area is complete
 * by then, and its state (TS_NEW) allows one first entry.
 *
 * Parking: `token` is what target_unpark() leaves and target_park() takes. Only when the thread had
 * announced (`parked`) that it was about to leave does the waker leave too. Each side writes its own word,
 * then reads the other's: one of them sees.
 *
 * Locking: g_idle_lock guards the lists and the numbers of blocks. A thread's `start` is written by who
 * took it off the list.
 */
#include "enclu.h"
#include "hostcall_stubs.h"
#include "sgx_target.h"
#include "vector.h"
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/traps.h>

/* Places in the area's pages. */
#define AREA_TARGET 0x200
#define AREA_XSAVE  0x400
#define AREA_VECTOR ENCLAVE_PAGE_SIZE

_Static_assert(sizeof(struct thread_area) <= AREA_TARGET, "layout");
_Static_assert(AREA_TARGET + sizeof(struct target_thread) <= AREA_XSAVE, "layout");
_Static_assert(AREA_XSAVE + XSAVE_AREA_SIZE <= AREA_VECTOR, "layout");
_Static_assert(AREA_VECTOR + XSAVE_AREA_SIZE <= THREAD_AREA_SIZE, "layout");
_Static_assert(THREAD_BLOCK_SIZE + ENCLAVE_PAGE_SIZE <= THREAD_STRIDE, "a guard page between blocks");
_Static_assert(THREADS_START + THREAD_IDS * THREAD_STRIDE <= THREADS_END, "the zone holds them all");

/*
 * How long a thread that has nothing to do looks for a token before it leaves: about what it costs to leave, to be
 * woken by another thread's host call, and to come back.
 */
#define SPIN_CYCLES 48000UL

static spinlock_t g_idle_lock = SPINLOCK_INIT("idle_threads");
static struct target_thread *g_idle GUARDED_BY(&g_idle_lock);
static struct target_thread *g_unstarted GUARDED_BY(&g_idle_lock); /* the host had no thread for them */
static u32 g_next_id GUARDED_BY(&g_idle_lock) = 1;

/* Threads that are inside and not parked: somebody who could unpark a spinning one. Atomic. */
static u32 g_running = 1;

/* ---- Blocks ----------------------------------------------------------------------------------- */

struct thread_area *sgx_area_init(u64 block, u32 id)
{
    struct thread_area *area = (struct thread_area *)(block + THREAD_AREA_OFF);
    struct target_thread *tt = (struct target_thread *)((u64)area + AREA_TARGET);

    *tt = (struct target_thread){.area = area, .id = id};
    area->self = area;
    area->syscall_entry = arch_syscall_entry;
    area->cpuid_entry = arch_cpuid_entry;
    area->kstack = block + THREAD_KSTACK_OFF + THREAD_KSTACK_SIZE;
    area->estack = block + THREAD_ESTACK_OFF + THREAD_ESTACK_SIZE;
    area->ssa = block + THREAD_SSA_OFF;
    area->target = tt;
    area->xsave = (void *)((u64)area + AREA_XSAVE);
    area->vector = (void *)((u64)area + AREA_VECTOR);
    area->xfrm = g_xfrm;
    return area;
}

/* The parts of a block that are committed, without the guard pages between them. */
static const struct {
    u64 offset, size;
} g_parts[] = {
    {THREAD_TCS_OFF, THREAD_AREA_OFF + THREAD_AREA_SIZE},
    {THREAD_ESTACK_OFF, THREAD_ESTACK_SIZE},
    {THREAD_KSTACK_OFF, THREAD_KSTACK_SIZE},
};

static void block_release(u64 block, unsigned parts)
{
    while (parts--)
        mm_kernel_release(block + g_parts[parts].offset,
                          block + g_parts[parts].offset + g_parts[parts].size);
}

static int block_commit(u64 block)
{
    for (unsigned i = 0; i < ARRAY_COUNT(g_parts); i++) {
        u64 start = block + g_parts[i].offset;
        int err = mm_kernel_commit(start, start + g_parts[i].size);

        if (err) {
            block_release(block, i);
            return err;
        }
    }
    return 0;
}

/* The block's first page, so far an ordinary one, becomes a TCS. */
static int tcs_make(u64 block)
{
    struct sgx_tcs *tcs = (struct sgx_tcs *)(block + THREAD_TCS_OFF);

    tcs->ossa = block + THREAD_SSA_OFF - ENCLAVE_BASE;
    tcs->nssa = NSSA;
    tcs->oentry = (u64)_start - ENCLAVE_BASE;
    tcs->ofs_base = block + THREAD_AREA_OFF - ENCLAVE_BASE;
    tcs->ogs_base = block + THREAD_AREA_OFF - ENCLAVE_BASE;
    tcs->fs_limit = 0xfff;
    tcs->gs_limit = 0xfff;
    if (hostcall_mem_type((u64)tcs, 1, SGX_PT_TCS))
        return -EAGAIN;
    if (enclu_eaccept((u64)tcs, SGX_SECINFO_PT(SGX_PT_TCS) | SGX_SECINFO_MODIFIED))
        panic("host did not make page %p a TCS as it said", (void *)tcs);
    return 0;
}

static u32 next_id(void)
{
    u32 id;

    spin_lock(&g_idle_lock);
    id = g_next_id < THREAD_IDS ? g_next_id++ : 0;
    spin_unlock(&g_idle_lock);
    return id;
}

static void list_push(struct target_thread **list, struct target_thread *tt)
{
    spin_lock(&g_idle_lock);
    tt->next = *list;
    *list = tt;
    spin_unlock(&g_idle_lock);
}

static struct target_thread *list_pop(struct target_thread **list)
{
    struct target_thread *tt;

    spin_lock(&g_idle_lock);
    tt = *list;
    if (tt)
        *list = tt->next;
    spin_unlock(&g_idle_lock);
    return tt;
}

/* A new block, ready to be entered. A block that failed half way is given back, its number is not used again. */
static struct target_thread *block_make(void)
{
    u32 id = next_id();
    u64 block = THREAD_BLOCK((u64)id);
    struct thread_area *area;

    if (!id || block_commit(block))
        return NULL;
    area = sgx_area_init(block, id);
    area->state = TS_NEW;
    if (tcs_make(block)) {
        block_release(block, ARRAY_COUNT(g_parts));
        return NULL;
    }
    return area->target;
}

/* A block with a host thread in it. */
static struct target_thread *thread_make(void)
{
    struct target_thread *tt = list_pop(&g_unstarted);

    if (!tt)
        tt = block_make();
    if (!tt)
        return NULL;
    __atomic_fetch_add(&g_running, 1, __ATOMIC_RELAXED);
    if (!hostcall_thread_start(tt->id))
        return tt;
    __atomic_fetch_sub(&g_running, 1, __ATOMIC_RELAXED);
    list_push(&g_unstarted, tt);
    return NULL;
}

/* ---- A task's thread ---------------------------------------------------------------------------- */

struct target_thread *target_thread_get(void)
{
    struct target_thread *tt = list_pop(&g_idle);

    return tt ? tt : thread_make();
}

void target_thread_put(struct target_thread *tt)
{
    list_push(&g_idle, tt);
}

/* With a spinlock held it is put off: threads are never freed, and a late unpark is a spurious one at worst. */
static void unpark_outside(struct target_thread *tt)
{
    struct task *t = current;

    if (t && t->spin_depth && t->unpark_count < UNPARKS_MAX)
        t->unparks[t->unpark_count++] = tt;
    else
        (void)hostcall_unpark(tt->id);
}

void target_unpark_now(void)
{
    struct task *t = current;

    while (t->unpark_count)
        (void)hostcall_unpark(t->unparks[--t->unpark_count]->id);
}

static void unpark(struct target_thread *tt)
{
    if (!__atomic_exchange_n(&tt->token, 1, __ATOMIC_SEQ_CST) &&
        __atomic_load_n(&tt->parked, __ATOMIC_SEQ_CST) && tt != thread_area()->target)
        unpark_outside(tt);
}

void target_thread_run(struct target_thread *tt, struct task *task)
{
    task->target = tt;
    __atomic_store_n(&tt->start, task, __ATOMIC_RELEASE);
    unpark(tt);
}

struct target_thread *target_thread_self(void)
{
    return thread_area()->target;
}

_Noreturn void target_thread_end(void)
{
    list_push(&g_idle, thread_area()->target);
    sgx_thread_restart();
}

/*
 * Waits for a task, at the top of the kernel stack. The task that ended stays `current` until then: locks
 * and interrupts want one. The first thread serves the host's signals and timers even now.
 */
_Noreturn void sgx_thread_idle(void)
{
    struct thread_area *area = thread_area();
    struct target_thread *tt = area->target;
    struct task *task, *old = area->task;

    while (!(task = __atomic_exchange_n(&tt->start, NULL, __ATOMIC_ACQUIRE))) {
        target_park(NULL, 0, old ? ktimer_next() : UINT64_MAX);
        if (old)
            ktimer_run();
    }
    area->task = task;
    if (old)
        task_put(old);
    task_main(task);
}

/* The first entry of a thread made at run time. */
_Noreturn void sgx_thread_main(u64 host_thread)
{
    if (host_thread % PAGE_SIZE || !outside_ok(host_thread, sizeof(struct host_thread)))
        target_abort("entered with a host thread that does not lie outside");
    thread_area()->host = (struct host_thread __host *)host_thread;
    sgx_thread_idle();
}

/* ---- Parking -------------------------------------------------------------------------------------- */

static bool token_take(struct target_thread *tt)
{
    return __atomic_exchange_n(&tt->token, 0, __ATOMIC_SEQ_CST);
}

/* Looks for a token for a while, as long as somebody runs who could leave one. */
static bool token_await(struct target_thread *tt)
{
    u64 end = __builtin_ia32_rdtsc() + SPIN_CYCLES;

    while (__atomic_load_n(&g_running, __ATOMIC_RELAXED) > 1) {
        if (__atomic_load_n(&tt->token, __ATOMIC_RELAXED))
            return token_take(tt);
        if (__builtin_ia32_rdtsc() > end)
            break;
        __builtin_ia32_pause();
    }
    return false;
}

static void park_outside(struct target_thread *tt, struct target_pollfd *fds, unsigned count,
                         u64 deadline)
{
    struct target_pollfd copy[TARGET_POLL_MAX];

    if (count)
        memcpy(copy, fds, count * sizeof(*fds));
    __atomic_fetch_sub(&g_running, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&tt->parked, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&tt->token, __ATOMIC_SEQ_CST))
        (void)hostcall_park(count * sizeof(*fds), copy, deadline);
    __atomic_store_n(&tt->parked, 0, __ATOMIC_RELAXED);
    __atomic_fetch_add(&g_running, 1, __ATOMIC_RELAXED);
    (void)token_take(tt);
    for (unsigned i = 0; i < count; i++)
        fds[i].revents = copy[i].revents;
}

void target_park(struct target_pollfd *fds, unsigned count, u64 deadline)
{
    struct target_thread *tt = thread_area()->target;

    count = min(count, (unsigned)TARGET_POLL_MAX);
    if (token_take(tt) || (!count && token_await(tt)))
        return;
    park_outside(tt, fds, count, deadline);
    target_take_signals();
}

void target_unpark(struct task *task)
{
    if (task->target)
        unpark(task->target);
}

void target_kick(struct task *task)
{
    struct target_thread *tt = task->target;

    task_set_work(task, WORK_INTERRUPT);
    if (!tt || tt == thread_area()->target)
        return;
    if (__atomic_load_n(&tt->parked, __ATOMIC_SEQ_CST))
        unpark(tt);
    else
        (void)hostcall_kick(tt->id);
}
