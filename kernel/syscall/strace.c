/* SPDX-License-Identifier: MIT */
/*
 * --strace: one line a call, as strace(1) writes it. Arguments are printed before the call up to
 * the first that the call fills, the rest after it: a call may change or unmap what its arguments
 * point to. The line is built on the kernel stack and logged whole when the call ends; one that
 * waits for long, or in which the kernel panics, is logged unfinished.
 */
#include <kernel/printk.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <stdarg.h>
#include <syscalls.gen.h>

#include "syscall_internal.h"

#define RESULT_ROOM   160u /* of the line, kept for ") = -1 ENAME (text)" */
#define RESULT_COLUMN 40   /* where strace(1) puts the result */
#define PREFIX_ROOM   20u  /* "[pid 12345] " */

static const struct syscall_desc g_unknown = {
    .argc = 6,
    .args = {[0 ... 5] = {.kind = KIND_HEX, .len = LEN_NONE, .width = 8}},
};

/* ---- The line ------------------------------------------------------------------------------- */

void trace_puts(struct trace_line *l, const char *s)
{
    size_t room = sizeof(l->text) - RESULT_ROOM - l->size, n = strlen(s);

    n = min(n, room);
    memcpy(l->text + l->size, s, n);
    l->size += n;
}

void trace_printf(struct trace_line *l, const char *fmt, ...)
{
    char text[128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    trace_puts(l, text);
}

/* As strace -f: names the thread on each line while there are several. The line ends with this. */
static void log_line(const struct trace_line *l)
{
    char text[PREFIX_ROOM + TRACE_LINE_SIZE];
    int n;

    if (task_count() < 2) {
        target_log(LOG_INFO, l->text, l->size);
        return;
    }
    n = snprintf(text, PREFIX_ROOM, "[pid %5d] ", current->tid);
    memcpy(text + n, l->text, l->size);
    target_log(LOG_INFO, text, (size_t)n + l->size);
}

/* ---- Results -------------------------------------------------------------------------------- */

static const char *restart_text(long error)
{
    if (error == ERESTARTSYS)
        return "ERESTARTSYS (To be restarted if SA_RESTART is set)";
    if (error == ERESTARTNOINTR)
        return "ERESTARTNOINTR (To be restarted)";
    if (error == ERESTARTNOHAND)
        return "ERESTARTNOHAND (To be restarted if no handler)";
    if (error == ERESTART_RESTARTBLOCK)
        return "ERESTART_RESTARTBLOCK (Interrupted by signal)";
    return NULL;
}

static int format_result(char *buf, size_t size, const struct syscall_desc *desc, long result)
{
    const char *name;

    if (result >= 0 || result < -MAX_ERRNO) {
        const char *format = desc->result == RESULT_HEX   ? "%#lx"
                             : desc->result == RESULT_OCT ? "%#lo"
                                                          : "%ld";
        return snprintf(buf, size, format, result);
    }
    if (restart_text(-result))
        return snprintf(buf, size, "? %s", restart_text(-result));
    name = errno_name((int)-result);
    if (!name)
        return snprintf(buf, size, "%ld", result);
    return snprintf(buf, size, "-1 %s (%s)", name, errno_text((int)-result));
}

static void finish_line(struct trace *t, const char *result)
{
    struct trace_line *l = &t->line;
    size_t room = sizeof(l->text) - l->size;
    bool cut = room == RESULT_ROOM;
    int pad = RESULT_COLUMN - 2 - (int)l->size;
    int n =
        snprintf(l->text + l->size, room, "%s)%*s = %s", cut ? "..." : "", max(pad, 0), "", result);

    l->size += min((size_t)max(n, 0), room - 1);
    log_line(l);
}

/* ---- A call --------------------------------------------------------------------------------- */

/* Prints arguments from t->next on; before the call, up to the first that the call fills. */
static void print_args(struct trace *t, bool before, long result)
{
    struct trace_call call = {.desc = t->desc, .args = t->args, .result = result};

    for (; t->next < t->desc->argc; t->next++) {
        struct arg_desc a = trace_resolve(&call, &t->desc->args[t->next]);
        if (before && a.out)
            return;
        if (a.kind == KIND_NONE)
            continue;
        if (t->next)
            trace_puts(&t->line, ", ");
        trace_arg(&t->line, &call, &a, t->args[t->next]);
    }
}

void strace_enter(struct trace *t, const struct regs *r)
{
    t->nr = syscall_number(r);
    if (!strace_wants(t->nr))
        return;
    t->desc = t->nr < SYSCALL_COUNT ? &g_syscall_descs[t->nr] : &g_unknown;
    if (!t->desc->name)
        t->desc = &g_unknown;
    syscall_args(r, t->args);
    t->next = 0;
    t->blocked = 0;
    t->told = false;
    t->line.size = 0;
    if (t->desc->name)
        trace_puts(&t->line, t->desc->name);
    else
        trace_printf(&t->line, "syscall_%#x", (u32)r->orig_rax);
    trace_puts(&t->line, "(");
    print_args(t, true, 0);
    if (t->desc->result == RESULT_NONE) {
        finish_line(t, "?");
        t->desc = NULL;
        return;
    }
    current->trace = t;
}

void strace_exit(struct trace *t, long result)
{
    char text[RESULT_ROOM - 8];

    current->trace = NULL;
    print_args(t, false, result);
    format_result(text, sizeof(text), t->desc, result);
    finish_line(t, text);
}

/* ---- Calls that do not end -------------------------------------------------------------------- */

#define UNFINISHED    " <unfinished ...>"
#define BLOCK_TELL_NS NSEC_PER_SEC

static void tell_unfinished(struct trace *t)
{
    struct trace_line *l = &t->line;

    memcpy(l->text + l->size, UNFINISHED, sizeof(UNFINISHED)); /* RESULT_ROOM is kept for it */
    l->size += sizeof(UNFINISHED) - 1;
    log_line(l);
    t->told = true;
    l->size = 0;
    trace_printf(l, "<... %s resumed>", t->desc->name ? t->desc->name : "syscall");
}

u64 strace_block(void)
{
    struct trace *t = current->trace;
    u64 now;

    if (!t || t->told)
        return UINT64_MAX;
    now = time_monotonic();
    if (!t->blocked)
        t->blocked = now;
    if (now - t->blocked < BLOCK_TELL_NS)
        return t->blocked + BLOCK_TELL_NS;
    tell_unfinished(t);
    return UINT64_MAX;
}

/* A panic's report names the call that led to it. */
static void strace_panic(void)
{
    struct task *t = current_task();

    if (t && t->trace && !t->trace->told)
        tell_unfinished(t->trace);
}

void strace_start(void)
{
    g_panic_hook = strace_panic;
    __atomic_fetch_or(&g_syscall_hooks, HOOK_STRACE, __ATOMIC_RELAXED);
}

/* ---- What happens between calls ------------------------------------------------------------- */

void strace_signal(const siginfo_t *info)
{
    struct trace_line line;

    if (!(g_syscall_hooks & HOOK_STRACE))
        return;
    line.size = 0;
    trace_puts(&line, "--- ");
    trace_signal_name(&line, info->si_signo);
    trace_puts(&line, " ");
    trace_signal(&line, info);
    trace_puts(&line, " ---");
    log_line(&line);
}

void strace_end(int wait_status)
{
    struct trace_line line;
    int sig = wait_status & 0x7f;

    if (!(g_syscall_hooks & HOOK_STRACE))
        return;
    line.size = 0;
    if (sig) {
        trace_puts(&line, "+++ killed by ");
        trace_signal_name(&line, sig);
        trace_puts(&line, wait_status & 0x80 ? " (core dumped) +++" : " +++");
    } else {
        trace_printf(&line, "+++ exited with %d +++", (wait_status >> 8) & 0xff);
    }
    log_line(&line);
}
