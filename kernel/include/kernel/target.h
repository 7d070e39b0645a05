/* SPDX-License-Identifier: MIT */
/*
 * The only way out of the kernel: what a target (target/sgx, target/null) provides. Everything that
 * comes back from here has been checked by the target: lengths are at most what was asked, numbers
 * lie in the ranges of abi/hostcalls.tbl, buffers are trusted copies. Unless stated otherwise a call
 * may leave the enclave, may be made with mutexes but not spinlocks held, and is SMP-safe.
 */
#ifndef KERNEL_TARGET_H
#define KERNEL_TARGET_H

#include <kernel/types.h>

struct task;
struct target_thread;
struct manifest;

/* ---- Memory: page-aligned ranges of the enclave's dynamic range ------------------------------ */

#define TARGET_READ  1u
#define TARGET_WRITE 2u
#define TARGET_EXEC  4u

/*
 * Makes absent pages present, zeroed, with `prot` (at least READ). The caller's page state says
 * they are absent. On failure nothing stays committed.
 * Errors: -ENOMEM the host or the EPC has no page left.
 */
int target_mem_commit(uintptr_t va, size_t page_count, unsigned prot);

/*
 * Makes one absent page present with the contents of the kernel's page `src` and `prot`, at once:
 * nobody sees it writable unless `prot` says so (EACCEPTCOPY). -ENOMEM as above.
 */
int target_mem_commit_copy(uintptr_t va, const void *src, unsigned prot);

/* Changes present pages from `old` to `new` (0 = no access). -ENOMEM: the host refused. */
int target_mem_protect(uintptr_t va, size_t page_count, unsigned old, unsigned new_prot);

/* Gives present pages back to the host; they become absent. -ENOMEM: host refused, state unchanged. */
int target_mem_release(uintptr_t va, size_t page_count);

/* ---- Threads: making, parking and waking ------------------------------------------------------- */

/*
 * A thread for a new task, which does nothing yet; NULL when there is no memory or the host has none left.
 * Either target_thread_put() gives it back or target_thread_run() makes it run task_main(task), on an
 * empty kernel stack, with `task` as current and the caller's reference on it taken over.
 */
struct target_thread *target_thread_get(void);
void target_thread_put(struct target_thread *tt);
void target_thread_run(struct target_thread *tt, struct task *task);

/* The thread that boot runs in, for the first task. */
struct target_thread *target_thread_self(void);

/* Ends the calling thread; its reference on the task is dropped later. No locks may be held. */
_Noreturn void target_thread_end(void);

#define TARGET_POLL_MAX 64
struct target_pollfd {
    int fd;      /* a host descriptor from this interface */
    u16 events;  /* POLLIN ... */
    u16 revents; /* a hint from the host */
};

/*
 * Parks the calling thread until target_unpark(), `deadline` (nanoseconds of CLOCK_MONOTONIC,
 * UINT64_MAX for none), a host signal, or readiness of one of `fds`. Wakes spuriously at will; the
 * caller re-checks its condition. An unpark that came before makes it return at once.
 */
void target_park(struct target_pollfd *fds, unsigned count, u64 deadline);

/* Wakes the thread that runs `task`. Callable with spinlocks held: the host hears of it when none is. */
void target_unpark(struct task *task);
/* What target_unpark() put off. Spinlocks call it. */
void target_unpark_now(void);

/* Makes a running `task` notice its pending work soon (interrupts user code). Spinlocks allowed. */
void target_kick(struct task *task);

/* How often the host interrupted kernel code. */
u64 target_interrupts(void);

/* Asks for an interrupt of the first process at `deadline` (monotonic ns; UINT64_MAX disarms). */
void target_timer_set(u64 deadline);

/* Tells the first process the signals that the host was sent for it (signal_from_host). */
void target_take_signals(void);

/*
 * The first process stops by SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU: so does the host's, with the user's terminal
 * settings. Returns 0 once it is continued (SIGCONT may then be pending), or -ENOSYS, -errno: not stopped.
 */
int target_stop(int sig);

/* Gives up the processor. */
void target_yield(void);

/* Ends the enclave with the program's wait(2) status. */
_Noreturn void target_exit(int wait_status);

/* Ends it after a broken invariant; `report` was logged. Safe in any context. */
_Noreturn void target_abort(const char *report);

/* ---- Host descriptors: console, terminal, host files of later mounts ------------------------- */

/* As read(2)/write(2) on a host descriptor with at most `size` bytes. -errno of the host's call. */
ssize_t target_host_read(int fd, void *buf, size_t size);
ssize_t target_host_write(int fd, const void *buf, size_t size);

/* poll(2) with no timeout: the current readiness (hint) of one descriptor. */
int target_host_poll(int fd, unsigned events);

enum target_fd_kind {
    TARGET_FD_CLOSED,
    TARGET_FD_TTY,
    TARGET_FD_PIPE,
    TARGET_FD_FILE, /* regular, or a block device */
    TARGET_FD_OTHER,
    TARGET_FD_SOCKET,
};
/* What stands behind host descriptor 0, 1 or 2; its open(2) access mode and status flags in *flags. */
enum target_fd_kind target_host_fd_kind(int fd, int *flags);

/* fstat(2) of host descriptor 0, 1 or 2: hints. Times are ns since the epoch. */
struct target_stat {
    mode_t mode;
    u32 nlink;
    uid_t uid;
    gid_t gid;
    dev_t rdev;
    u64 size, blocks; /* at most 2^62 and 2^53 */
    u64 atime, mtime, ctime;
    u64 identity;     /* equal for descriptors of one file */
};
/* 0, or -EIO when the host's answer cannot be, or the host's errno; *st is then untouched. */
int target_host_stat(int fd, struct target_stat *st);

/*
 * A host descriptor 0, 1 or 2 of kind FILE; its offset is the host's, shared with all who have the
 * description there. The errors are those of the system calls named.
 */
/* lseek(2), up to 2^62. */
loff_t target_host_seek(int fd, loff_t offset, int whence);
/* pread(2), at most 64 KiB. `offset` is not negative. */
ssize_t target_host_pread(int fd, void *buf, size_t size, loff_t offset);
/* pwritev2(2), at most 64 KiB. `offset` -1: at the description's offset, which moves. */
enum target_append {
    TARGET_APPEND_AS_OPENED, /* at the end if the description has O_APPEND */
    TARGET_APPEND_YES,       /* RWF_APPEND */
    TARGET_APPEND_NO,        /* RWF_NOAPPEND; -EOPNOTSUPP where the host needs it and has it not */
};
ssize_t target_host_pwrite(int fd, const void *buf, size_t size, loff_t offset,
                           enum target_append append);
/* ftruncate(2), fallocate(2), fsync(2) or fdatasync(2), F_SETFL of O_APPEND alone. */
int target_host_truncate(int fd, u64 size);
int target_host_fallocate(int fd, int mode, loff_t offset, loff_t size);
int target_host_sync(int fd, bool data_only);
int target_host_set_append(int fd, bool on);

/*
 * Terminal requests on a host descriptor: the uAPI's TCGETS, TCSETS*, TIOCGWINSZ, TIOCSWINSZ,
 * TCFLSH, TCSBRK, FIONREAD, TIOCGPGRP... with `arg` a kernel copy of `size` bytes, in and out.
 * -ENOTTY, -EINVAL, -EIO.
 */
int target_host_ioctl(int fd, unsigned request, void *arg, size_t size);

/* ---- Time, processor --------------------------------------------------------------------------- */

/* The host's clocks (untrusted), ns since the epoch and since boot; for cross-checks. */
int target_host_clock(u64 *realtime_ns, u64 *monotonic_ns);

/* What the host says of the TSC's frequency, in kHz; 0: it does not know. A hint. */
u64 target_tsc_khz(void);

/* CPUID as the host's processor answers it. Cached and sanitised by kernel/arch. */
void target_cpuid(u32 leaf, u32 subleaf, u32 out[4]);

/* XFRM of this enclave, from its REPORT: which state components the program may use. */
u64 target_xfrm(void);

/* Processors that the program may use (MaxAffinityCPUs applied), at least 1. */
unsigned target_cpu_count(void);

/* ---- What the enclave was started with ---------------------------------------------------------- */

/* The measured manifest; `*size` its whole length. Trusted memory, read-only. */
const void *target_manifest(size_t *size);

/*
 * The root archive as the host maps it: untrusted memory that stays mapped and may change at any
 * moment. Copy out with target_host_copy(), verify, then use. -ENODEV when there is none.
 */
int target_rootfs(const void __host **base, u64 *size);

/* Copies from untrusted memory. Both ends were range-checked by the target. -EFAULT if they fail. */
int target_host_copy(void *dst, const void __host *src, size_t size);

/*
 * Host-supplied arguments or environment (only when the manifest allows it): NUL-separated strings
 * copied to `buf`, their count in *count. -E2BIG, -ENOENT.
 */
enum target_host_strings { TARGET_HOST_ARGS, TARGET_HOST_ENV };
ssize_t target_host_strings(enum target_host_strings which, char *buf, size_t size, unsigned *count);

/*
 * The signals that the host says were ignored when its process started (bit n-1 for n), as a Linux
 * process inherits them from its parent. A hint about behaviour.
 */
u64 target_ignored_signals(void);

/* ---- Seeing inside ------------------------------------------------------------------------------- */

/* A line for the host's stderr (level as enum log_level). Never blocks for long; spinlocks allowed. */
void target_log(int level, const char *text, size_t size);

/* A part of the --stats report, JSON text in order; the host adds its own counters. */
void target_stats(const char *json, size_t size);

/*
 * Debug enclaves only: part of a file was mapped for execution, so that a debugger can load its
 * symbols, or (`path` NULL) is about to be unmapped, while its pages are still there, so that it takes
 * its breakpoints out of them. `base` is where the file's first byte would be. Does nothing in others.
 */
void target_debug_map(const char *path, uintptr_t base);

#endif
