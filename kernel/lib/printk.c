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
    static const char prefix[] = "adyton: ";
    size_t start = level <= LOG_WARN ? sizeof(prefix) - 1 : 0;
    char line[LINE_SIZE];
    va_list ap;
    int n;

    if (level > g_log_level)
        return;
    memcpy(line, prefix, start);
    va_start(ap, fmt);
    n = vsnprintf(line + start, sizeof(line) - start, fmt, ap);
    va_end(ap);
    if (n > 0)
        target_log((int)level, line, min(start + (size_t)n, sizeof(line) - 1));
}

/* ---- Reasons ------------------------------------------------------------------------------- */

static struct {
    char text[LINE_SIZE / 2]; /* set while the kernel starts, by its only thread */
    int err;
    bool started;
} g_reason;

int pr_reason(int err, const char *fmt, ...)
{
    char text[sizeof(g_reason.text)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (g_reason.started) {
        pr_err("%s", text);
    } else if (!g_reason.err) {
        memcpy(g_reason.text, text, sizeof(text));
        g_reason.err = err;
    }
    return err;
}

const char *pr_reason_for(int err)
{
    return err == g_reason.err ? g_reason.text : errno_text(-err);
}

void pr_started(void)
{
    g_reason.started = true;
    if (g_reason.err)
        pr_err("%s", g_reason.text);
}

/* ---- Panic --------------------------------------------------------------------------------- */

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
