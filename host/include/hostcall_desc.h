/* SPDX-License-Identifier: MIT */
/*
 * abi/hostcalls.tbl as data: one entry per host call, for statistics and for tests/boundary, which
 * derives calls and lies from it. The table itself is generated.
 */
#ifndef HOST_HOSTCALL_DESC_H
#define HOST_HOSTCALL_DESC_H

#include <stdint.h>
#include "hostcall_numbers.h"

enum hostcall_result {
    HOSTCALL_RESULT_ERRNO, /* 0 or -errno */
    HOSTCALL_RESULT_RANGE, /* low..high */
    HOSTCALL_RESULT_LEN,   /* 0..args[length_slot] */
    HOSTCALL_RESULT_NEVER,
};

enum hostcall_direction { HOSTCALL_IN = 1, HOSTCALL_OUT = 2, HOSTCALL_INOUT = 3 };

struct hostcall_buffer {
    uint8_t direction;   /* enum hostcall_direction */
    uint8_t length_slot; /* which of args[] holds its size */
    uint8_t full;        /* copied back whole, not up to the result */
};

enum hostcall_arg_kind {
    HOSTCALL_ARG_NONE,
    HOSTCALL_ARG_VALUE, /* low..high, as signed numbers when low < 0 */
    HOSTCALL_ARG_ADDR,  /* erange */
    HOSTCALL_ARG_PAGES,
};

struct hostcall_arg {
    uint8_t kind; /* enum hostcall_arg_kind */
    int64_t low;
    uint64_t high;
};

struct hostcall_desc {
    const char *name;
    const char *params; /* of the C function: 'a' the next of args, 'b' the next of buffers */
    struct hostcall_arg args[6];
    enum hostcall_result result;
    int64_t low, high;
    uint8_t length_slot;
    uint8_t buffer_count;
    struct hostcall_buffer buffers[3];
};

/* One per number; entry 0 is unused. */
extern const struct hostcall_desc hostcall_descs[HOSTCALL_COUNT];

#endif
