/* SPDX-License-Identifier: MIT */
/*
 * What unit tests may ask of target/null: the kernel's modules run as a library in an ordinary
 * process, with ADYTON_HOSTED defined and under the sanitizers.
 *
 * Kernel headers and uAPI headers rule in tests; of libc only <string.h>, <stdio.h>, <setjmp.h> and
 * compiler headers stand beside them (libc's struct timeval, sigset_t and the like do not).
 *
 * The calling thread's task is made on first use, zeroed but for its list of waiters; a test that
 * needs more (files, mm, credentials) fills it or installs its own. Addresses of the kernel's zones
 * are used as they are: with ASan only those above 16 TiB (0x100080000000) are free, so programs'
 * mappings in tests belong there.
 */
#ifndef TARGET_NULL_NULL_H
#define TARGET_NULL_NULL_H

#include <kernel/types.h>
#include <setjmp.h>

struct task;

/* Makes `t` the calling thread's task; NULL: back to its own. */
void null_task_set(struct task *t);

/* A thread of the test, with a task of its own. Join frees it. */
struct null_thread;
struct null_thread *null_thread_start(void (*fn)(void *arg), void *arg);
void null_thread_join(struct null_thread *t);

/* What was logged last (without newline), and how many lines there were since null_log_clear(). */
const char *null_log_last(void);
unsigned null_log_count(void);
void null_log_clear(void);

/*
 * Runs `code` and evaluates to the report of the panic it ended in, or NULL when it came through.
 * Locks that it held stay locked.
 */
#define NULL_PANIC(code)                                                                           \
    ({                                                                                             \
        const char *volatile null_report_ = NULL;                                                  \
        jmp_buf null_here_;                                                                        \
        null_panic_to(&null_here_);                                                                \
        if (!setjmp(null_here_)) {                                                                 \
            code;                                                                                  \
        } else {                                                                                   \
            null_report_ = null_panic_report();                                                    \
        }                                                                                          \
        null_panic_to(NULL);                                                                       \
        null_report_;                                                                              \
    })
void null_panic_to(jmp_buf *where);
const char *null_panic_report(void);

/* Lets `count` more requests succeed, then fails all; UINT64_MAX: never fail. */
void null_alloc_fail_after(u64 count);  /* kmalloc and kin, kpages_alloc */
void null_commit_fail_after(u64 count); /* target_mem_commit, _commit_copy */

/*
 * From here on a fault that the exception table knows goes on at its fixup, as inside. Called in
 * each test that passes bad addresses: cmocka takes the signals for itself before every test.
 */
void null_catch_faults(void);

/* What target_manifest() and target_rootfs() give; both empty at the start. */
void null_manifest_set(const void *data, size_t size);
void null_rootfs_set(const void *data, u64 size);

#endif
