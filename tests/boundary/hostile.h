/* SPDX-License-Identifier: MIT */
/*
 * The hostile host: serves host calls and lies, by the table in hostcall_descs[]. Linked into
 * adyton-hostile only.
 */
#ifndef TESTS_BOUNDARY_HOSTILE_H
#define TESTS_BOUNDARY_HOSTILE_H

#include "boundary.h"

struct host_context;

enum hostile_lie {
    LIE_TOO_LONG,     /* one more than asked or allowed */
    LIE_NEGATIVE,     /* below every error number */
    LIE_HUGE,         /* near the largest number */
    LIE_OUT_OF_RANGE, /* near the smallest number */
    LIE_ERROR,        /* a legal error for no reason, nothing done */
    LIE_INCONSISTENT, /* legal, but another answer every time, nothing done */
    LIE_FLIP,         /* result and data change while the enclave reads them */
    LIE_RANDOM,       /* any result, any data */
    LIE_COUNT,
};

/* One call, one lie, told the first `times` times; otherwise a seed lies at random everywhere. */
#define HOSTILE_EXACT(call, lie, times) (1 << 30 | (times) << 16 | (int)(call) << 8 | (int)(lie))

/* In place of hostcall_dispatch(). `seed` is host_run.hostile, not 0. */
void hostile_dispatch(struct host_context *ctx, struct host_thread *ht, int seed);

/* Leaves the blocks alone: all threads have ended, and they are unmapped next. */
void hostile_end(void);

#endif
