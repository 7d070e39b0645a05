/* SPDX-License-Identifier: MIT */
/*
 * Lies derived from the table: every result kind has its own too long, too small and so on. Calls that
 * end the run stay honest, so that a report gets out. Deterministic for a seed but for LIE_FLIP, whose
 * second thread races on purpose. One enclave thread.
 */
#include "hostile.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include "hostcall_dispatch.h"

#define EXACT_BIT     (1 << 30)
#define RANDOM_ONE_IN 4
#define FLIP_BYTES    256

static uint64_t g_random;
static unsigned g_told; /* lies of an exact seed so far */
static unsigned g_turn; /* LIE_INCONSISTENT alternates */

/* What the second thread flips; NULL: nothing. */
static struct host_thread *_Atomic g_flip;
static _Atomic int64_t g_flip_result;
static _Atomic int g_flipping; /* between looking at g_flip and being done with it */

static uint64_t next_random(void)
{
    g_random ^= g_random << 13;
    g_random ^= g_random >> 7;
    g_random ^= g_random << 17;
    return g_random;
}

static int64_t too_long(const struct hostcall_desc *desc, const uint64_t *args)
{
    switch (desc->result) {
    case HOSTCALL_RESULT_LEN:
        return (int64_t)(args[desc->length_slot] + 1 + next_random() % 64);
    case HOSTCALL_RESULT_RANGE:
        return desc->high == INT64_MAX ? INT64_MIN : desc->high + 1;
    case HOSTCALL_RESULT_ERRNO:
    case HOSTCALL_RESULT_NEVER:
        break;
    }
    return 1;
}

/* One end or the other of what is legal. */
static int64_t legal_end(const struct hostcall_desc *desc, const uint64_t *args)
{
    int high = g_turn++ % 2;

    switch (desc->result) {
    case HOSTCALL_RESULT_LEN:
        return high ? (int64_t)args[desc->length_slot] : 0;
    case HOSTCALL_RESULT_RANGE:
        return high ? desc->high : desc->low;
    case HOSTCALL_RESULT_ERRNO:
    case HOSTCALL_RESULT_NEVER:
        break;
    }
    return 0;
}

static int64_t false_result(const struct hostcall_desc *desc, const uint64_t *args,
                            enum hostile_lie lie)
{
    switch (lie) {
    case LIE_TOO_LONG:
        return too_long(desc, args);
    case LIE_NEGATIVE:
        return -134 - (int64_t)(next_random() % 4096);
    case LIE_HUGE:
        return INT64_MAX - (int64_t)(next_random() % 16);
    case LIE_OUT_OF_RANGE:
        return INT64_MIN + (int64_t)(next_random() % 16);
    case LIE_ERROR:
        return -1 - (int64_t)(next_random() % 133);
    case LIE_INCONSISTENT:
    case LIE_FLIP:
        return legal_end(desc, args);
    case LIE_RANDOM:
    case LIE_COUNT:
        break;
    }
    return (int64_t)next_random();
}

static void scramble(struct host_thread *ht)
{
    for (size_t i = 0; i + 8 <= sizeof(ht->data); i += 8) {
        uint64_t value = next_random();

        memcpy(ht->data + i, &value, sizeof(value));
    }
}

static void flip_once(struct host_thread *ht, uint64_t n)
{
    ((volatile struct host_thread *)ht)->result = n % 2 ? INT64_MAX : atomic_load(&g_flip_result);
    for (unsigned i = 0; i < FLIP_BYTES; i += 8)
        *(volatile uint64_t *)(void *)(ht->data + i) = n % 3 ? n : ~n;
}

static void *flipper(void *argument)
{
    (void)argument;
    for (uint64_t n = 0;; n++) {
        struct host_thread *ht;

        atomic_store(&g_flipping, 1);
        ht = atomic_load(&g_flip);
        if (ht)
            flip_once(ht, n);
        atomic_store(&g_flipping, 0);
    }
    return NULL;
}

/* Afterwards the block is left alone: it may be unmapped. */
static void stop_flipping(void)
{
    atomic_store(&g_flip, NULL);
    while (atomic_load(&g_flipping))
        ;
}

static void start_flipping(struct host_thread *ht, int64_t result)
{
    static pthread_t thread;
    static int started;

    if (!started)
        started = pthread_create(&thread, NULL, flipper, NULL) == 0;
    atomic_store(&g_flip_result, result);
    atomic_store(&g_flip, ht);
}

static void tell_lie(struct host_context *ctx, struct host_thread *ht,
                     const struct hostcall_desc *desc, enum hostile_lie lie)
{
    uint64_t args[HOSTCALL_ARGS];

    memcpy(args, ht->args, sizeof(args));
    if (lie == LIE_FLIP) {
        hostcall_dispatch(ctx, ht);
        start_flipping(ht, ht->result);
        return;
    }
    if (lie != LIE_ERROR && lie != LIE_INCONSISTENT)
        hostcall_dispatch(ctx, ht);
    if (lie == LIE_INCONSISTENT || lie == LIE_RANDOM)
        scramble(ht);
    ht->result = false_result(desc, args, lie);
}

/* Which lie for this call; LIE_COUNT: the truth. */
static enum hostile_lie choose(uint64_t number, int seed)
{
    if (!(seed & EXACT_BIT)) {
        if (next_random() % RANDOM_ONE_IN != 0)
            return LIE_COUNT;
        return (enum hostile_lie)(next_random() % LIE_COUNT);
    }
    if (number != (uint64_t)(seed >> 8 & 0xff) || g_told >= (unsigned)(seed >> 16 & 0xff))
        return LIE_COUNT;
    g_told++;
    return (enum hostile_lie)(seed & 0xff);
}

void hostile_end(void)
{
    stop_flipping();
}

void hostile_dispatch(struct host_context *ctx, struct host_thread *ht, int seed)
{
    uint64_t number = ht->number;
    enum hostile_lie lie = LIE_COUNT;

    stop_flipping();
    if (g_random == 0)
        g_random = (uint64_t)seed * 0x9e3779b97f4a7c15ULL | 1;
    if (number > 0 && number < HOSTCALL_COUNT &&
        hostcall_descs[number].result != HOSTCALL_RESULT_NEVER)
        lie = choose(number, seed);
    if (lie == LIE_COUNT)
        hostcall_dispatch(ctx, ht);
    else
        tell_lie(ctx, ht, &hostcall_descs[number], lie);
}
