/* SPDX-License-Identifier: MIT */
/*
 * What the files of the host runtime share: the process that runs an enclave and its threads.
 *
 * One enclave a process. g_host is set before signal handlers are installed and cleared after they
 * are removed; a thread's fields are its own but where stated.
 */
#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>
#include <time.h>
#include "boundary.h"
#include "host.h"
#include "hostcall_numbers.h"
#include "sgx_device.h"

#define HOST_THREADS_MAX 65536
#define HOST_FD_COUNT    3 /* host descriptors an enclave may name */

struct host_process;

/* One host thread that runs enclave code. */
struct host_context {
    struct host_process *process;
    struct host_thread *block; /* shared with the enclave; this side trusts nothing in it either */
    uint64_t tcs;
    uint64_t id; /* index in process->threads */
    pid_t tid;
    int wake_fd; /* eventfd: unpark adds, park takes */
    timer_t nudge;
    struct sgx_enclave_run run;
    uint64_t exit_code; /* RDI of the last EEXIT */

    /* Written by the signal handler on this thread; see signals.c. */
    volatile int notice;     /* the enclave must be entered to look */
    volatile int entering;   /* between the decision to enter and the return */
    volatile int in_handler; /* the thread is, or is about to be, at CSSA 1 */
    volatile int struck;     /* it was at CSSA 1 since it last made a host call that waits */

    pthread_t thread;        /* not the first one's */
    _Atomic int ended;       /* left its loop */

    uint64_t call_counts[HOSTCALL_COUNT];
    uint64_t entries, resumes, exceptions; /* counted here for devices that cannot */
};

enum host_phase { PHASE_START, PHASE_LOADED, PHASE_MEASURED, PHASE_ENTERED, PHASE_COUNT };

struct host_process {
    const struct host_run *run;
    const struct sgx_device_ops *ops;
    struct sgx_device *device;
    pthread_mutex_t ioctl_lock; /* the driver refuses concurrent ioctls on one enclave */
    pthread_mutex_t threads_lock; /* threads[], thread_count: changed under it, read by handlers */
    struct host_context *_Atomic threads[HOST_THREADS_MAX];
    _Atomic uint64_t thread_count;

    _Atomic int done; /* the enclave ended; `status` is final */
    int status;       /* for exit(3) */

    timer_t timer; /* the enclave's timer: signals the first thread */
    struct boot_info boot;
    uint64_t phase_ns[PHASE_COUNT];

    struct termios saved_termios[HOST_FD_COUNT];
    _Atomic unsigned termios_saved; /* bit per descriptor */

    pthread_mutex_t stats_lock; /* stats */
    char *stats;
    size_t stats_size;
};

extern struct host_process *_Atomic g_host;

/* enter.S */
int host_enter(vdso_sgx_enter_enclave_t enter, unsigned long rdi, unsigned long rsi,
               unsigned int function, struct sgx_enclave_run *run);
long host_syscall(const volatile int *notice, long number, long a, long b, long c, long d, long e,
                  long f);

/* threads.c */
/* A context with its shared block in process->threads, or NULL without memory or descriptors. */
struct host_context *threads_add(struct host_process *process, uint64_t id, uint64_t tcs);
/* Waits until all threads but the first have left the enclave, which has ended. */
void threads_join(struct host_process *process);
/* Makes all threads but `self` look whether the enclave has ended. */
void threads_kick(struct host_process *process, const struct host_context *self);
/* Frees all contexts. */
void threads_free(struct host_process *process);

/* loop.c: runs the enclave's thread until the enclave ends. 0, or -EIO after a message. */
int loop_run(struct host_context *ctx);

/* signals.c */
/* Bit n-1 for each signal n that is ignored now; asked before signals_install(). */
uint64_t signals_ignored(struct host_process *process);
int signals_install(struct host_process *process);
void signals_remove(struct host_process *process);
int signals_thread_start(struct host_context *ctx);
void signals_thread_stop(struct host_context *ctx);
/* Makes the thread enter its enclave soon to look for work. Async-signal-safe. */
void signals_kick(struct host_context *ctx);
/* Stops the process by its default action for `sig`; 0 when it goes on (an orphan does at once) or -errno. */
int signals_stop(struct host_process *process, int sig);
void signals_nudge(struct host_context *ctx);

/* terminal.c */
void terminal_restore(struct host_process *process);

/* stats.c */
void stats_report(struct host_process *process);

/* Ends the enclave with this status for exit(3); the first caller wins. */
void host_finish(struct host_process *process, int status);

/* One line on stderr: "adyton: ..." */
void host_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t host_now_ns(clockid_t clock);

#endif
