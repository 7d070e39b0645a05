/* SPDX-License-Identifier: MIT */
/*
 * The log and panic. Both format on the caller's stack, take no lock and end in target calls that
 * are safe with spinlocks held, so they work anywhere.
 */
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <stdarg.h>

#define LINE_SIZE 512

enum log_level g_log_level = LOG_WARN;

void (*g_panic_hook)(void); /* set at boot */

static u32 g_panicking; /* atomic */

void printk(enum log_level level, const char *fmt, ...)
{
    char line[LINE_SIZE];
    va_list ap;
    int n;

    if (level > g_log_level)
        return;
    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (n > 0)
        target_log((int)level, line, min((size_t)n, sizeof(line) - 1));
}

void panic(const char *fmt, ...)
{
    static const char prefix[] = "panic: ";
    char line[LINE_SIZE];
    va_list ap;

    memcpy(line, prefix, sizeof(prefix));
    va_start(ap, fmt);
    vsnprintf(line + sizeof(prefix) - 1, sizeof(line) - sizeof(prefix) + 1, fmt, ap);
    va_end(ap);
    /* A panic on the way out of a panic goes straight to the end. */
    if (!__atomic_exchange_n(&g_panicking, 1, __ATOMIC_ACQ_REL)) {
        if (g_panic_hook)
            g_panic_hook();
        target_log(LOG_ERR, line, strlen(line));
    }
    target_abort(line);
}
