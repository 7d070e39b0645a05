/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log and its last words. Lines go to the host's stderr through a host call; the level
 * comes from the manifest. Nothing secret is ever logged below LOG_DEBUG.
 */
#ifndef KERNEL_PRINTK_H
#define KERNEL_PRINTK_H

#include <kernel/types.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level g_log_level;

/*
 * One line without its newline; "adyton: " goes before warnings and errors, which stand among the program's own
 * lines. Callable with spinlocks held.
 */
void printk(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define pr_err(...)   printk(LOG_ERR, __VA_ARGS__)
#define pr_warn(...)  printk(LOG_WARN, __VA_ARGS__)
#define pr_info(...)  printk(LOG_INFO, __VA_ARGS__)
#define pr_debug(...)                                                                              \
    do {                                                                                           \
        if (unlikely(g_log_level >= LOG_DEBUG))                                                    \
            printk(LOG_DEBUG, __VA_ARGS__);                                                        \
    } while (0)

/*
 * Why something fails with `err`, which it returns: a clause that also says what to do. While the kernel starts
 * it becomes the end of the one line that tells what could not be done; from pr_started() on it is a line of its
 * own. Before that only the first reason is kept.
 */
int pr_reason(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The reason kept for this error, or errno's text for it. */
const char *pr_reason_for(int err);

/* The start is over: a reason that stopped nothing is logged. */
void pr_started(void);

/* Reports and stops the whole enclave; for broken invariants of our own, never for guest input. */
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What panic() calls once before its report is logged: may log more. Set at boot; NULL: nothing. */
extern void (*g_panic_hook)(void);

/* "ENOENT" (NULL when there is no such number) and "No such file or directory", for a positive errno. */
const char *errno_name(int err);
const char *errno_text(int err);

#define ASSERT(cond)                                                                               \
    do {                                                                                           \
        if (unlikely(!(cond)))                                                                     \
            panic("%s:%d: %s", __FILE__, __LINE__, #cond);                                         \
    } while (0)

#endif
