/* SPDX-License-Identifier: MIT */
/*
 * What host and enclave agree on at entry and exit. All of it lies in untrusted memory or registers;
 * the enclave copies once and checks.
 *
 * Entry (EENTER, CSSA 0, first time):  RDI = struct boot_info *, RSI = struct host_thread *
 * Entry (EENTER, CSSA 0, after a host call): no arguments; the enclave knows what it waits for.
 * Entry (EENTER, CSSA 1): an exception or an interrupt; the enclave looks into its SSA. EXITs with
 *       EXIT_RESUME; the host then ERESUMEs.
 * Exit (EEXIT): RDI = EXIT_*; all other registers are cleared but RBX, RCX as EEXIT defines.
 *       EXIT_HOSTCALL: the request stands in the thread's struct host_thread.
 */
#ifndef ABI_BOUNDARY_H
#define ABI_BOUNDARY_H

#include <stdint.h>

#define EXIT_HOSTCALL 1u
#define EXIT_RESUME   2u

#define BOOT_INFO_MAGIC 0x544f4f4259444121ULL

#define HOSTCALL_ARGS 6
#define HOSTCALL_DATA_SIZE 65536u

/*
 * One per host thread, untrusted, 4 KiB aligned. `pending_signals`: bit n-1 set by the host when it
 * was sent signal n for the enclave's first process; the enclave takes them with an atomic exchange,
 * at every entry: those at CSSA 1 without a valid EXITINFO (a signal, the timer or a kick struck
 * while it ran) and those that return from a host call. A host call that waits (read, write, poll,
 * park) ends with -EINTR when any of these came, at times without cause: look, then ask again.
 */
struct host_thread {
    uint64_t number;                 /* HOSTCALL_* */
    int64_t result;
    uint64_t args[HOSTCALL_ARGS];    /* scalars in table order; buffers take no slot */
    uint64_t pending_signals;
    uint64_t thread_id;              /* what unpark and kick name; small integer */
    uint8_t reserved[4096 - 8 * (2 + HOSTCALL_ARGS + 2)];
    uint8_t data[HOSTCALL_DATA_SIZE]; /* in buffers, then out buffers, each 16-byte aligned, table order */
};
_Static_assert(sizeof(struct host_thread) == 4096 + HOSTCALL_DATA_SIZE, "layout");

/* fd_stat's answer: fstat(2) of a standard descriptor. Hints; times are ns since the epoch. */
struct host_stat {
    uint64_t mode, nlink, uid, gid, rdev;
    uint64_t size, blocks;
    uint64_t atime, mtime, ctime;
    uint64_t identity; /* equal for two descriptors of one file: made of st_dev and st_ino */
};
_Static_assert(sizeof(struct host_stat) == 88, "fd_stat's size in hostcalls.tbl");

/* pwrite's `append`: as the description's own O_APPEND says, at the end, or at `offset` regardless. */
enum host_append { HOST_APPEND_AS_OPENED, HOST_APPEND_YES, HOST_APPEND_NO };

/* What the host tells at boot. Hints, but for addresses, which are range-checked. */
struct boot_info {
    uint64_t magic;
    uint64_t size;            /* sizeof(struct boot_info) */
    uint64_t rootfs_base;     /* the image's mapping, page-aligned; 0: none */
    uint64_t rootfs_size;
    uint64_t args_base;       /* NUL-separated host arguments, with their number */
    uint64_t args_size;
    uint64_t args_count;
    uint64_t env_base;        /* as above: NAME=VALUE of what the manifest's host_env allows */
    uint64_t env_size;
    uint64_t env_count;
    uint64_t ignored_signals; /* bit n-1: signal n was ignored when the host's process started */
    uint64_t cpu_count;
    uint64_t tsc_khz;         /* 0: unknown */
    uint64_t realtime_ns, monotonic_ns, tsc; /* read together */
    uint64_t start_ns[4];     /* host's phases for --stats: process start, load, measured, entered */
};

#endif
