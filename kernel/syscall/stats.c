/* SPDX-License-Identifier: MIT */
/*
 * --stats: how often each system call ran and how long, and which sites took the trap. Counters are
 * relaxed atomics: a report taken while others run may be off by what they just did.
 */
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <stdarg.h>
#include <syscalls.gen.h>

#include "syscall_internal.h"

/* One more than there are calls: unknown numbers. */
static struct counter {
    u64 count, ns;
} g_counters[SYSCALL_COUNT + 1];

/* Trapped sites, open addressing; a full table counts into `g_trap_rest`. */
#define SITE_COUNT  256u
#define SITE_REPORT 16u
static struct site {
    u64 rip;   /* 0: free; set once */
    u64 count; /* atomic */
} g_sites[SITE_COUNT];
static u64 g_trap_count, g_trap_rest;

void syscall_stats_enable(void)
{
    __atomic_fetch_or(&g_syscall_hooks, HOOK_STATS, __ATOMIC_RELAXED);
}

void stats_count(unsigned nr, u64 ns)
{
    __atomic_fetch_add(&g_counters[nr].count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&g_counters[nr].ns, ns, __ATOMIC_RELAXED);
}

static struct site *site_find(u64 rip)
{
    unsigned start = (unsigned)((rip * 0x9e3779b97f4a7c15UL) >> 56) % SITE_COUNT;

    for (unsigned i = 0; i < SITE_COUNT; i++) {
        struct site *s = &g_sites[(start + i) % SITE_COUNT];
        u64 free = 0;
        if (__atomic_load_n(&s->rip, __ATOMIC_RELAXED) == rip)
            return s;
        if (__atomic_compare_exchange_n(&s->rip, &free, rip, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            free == rip)
            return s;
    }
    return NULL;
}

void syscall_count_trap(uintptr_t rip)
{
    struct site *s;

    __atomic_fetch_add(&g_trap_count, 1, __ATOMIC_RELAXED);
    if (!(g_syscall_hooks & HOOK_STATS))
        return;
    s = site_find(rip);
    __atomic_fetch_add(s ? &s->count : &g_trap_rest, 1, __ATOMIC_RELAXED);
}

/* ---- The report ----------------------------------------------------------------------------- */

struct json {
    char *buf;
    size_t size, used;
    bool full;
};

static __attribute__((format(printf, 2, 3))) void emit(struct json *j, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(j->buf + j->used, j->size - j->used, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= j->size - j->used)
        j->full = true;
    else
        j->used += (size_t)n;
}

static void emit_calls(struct json *j)
{
    const char *comma = "";

    emit(j, "\"syscalls\": {");
    for (unsigned nr = 0; nr <= SYSCALL_COUNT && !j->full; nr++) {
        u64 count = __atomic_load_n(&g_counters[nr].count, __ATOMIC_RELAXED);
        const char *name = nr < SYSCALL_COUNT ? g_syscall_descs[nr].name : NULL;
        if (!count)
            continue;
        emit(j, "%s\n  \"%s\": {\"count\": %lu, \"ns\": %lu}", comma, name ? name : "unknown",
             count, __atomic_load_n(&g_counters[nr].ns, __ATOMIC_RELAXED));
        comma = ",";
    }
    emit(j, "}");
}

/* The hottest site that is colder than (or at the same heat, later than) the last one printed. */
static const struct site *next_site(const struct site *last)
{
    const struct site *best = NULL;

    for (const struct site *s = g_sites; s < g_sites + SITE_COUNT; s++) {
        bool follows = !last || s->count < last->count || (s->count == last->count && s > last);
        if (s->count && follows && (!best || s->count > best->count))
            best = s;
    }
    return best;
}

static void emit_sites(struct json *j)
{
    const struct site *s = NULL;
    const char *comma = "";

    emit(j, ",\n\"syscalls_trapped\": %lu,\n\"trapped_sites\": [", g_trap_count);
    for (unsigned i = 0; i < SITE_REPORT && (s = next_site(s)); i++) {
        emit(j, "%s{\"rip\": \"%#lx\", \"count\": %lu}", comma, s->rip, s->count);
        comma = ", ";
    }
    emit(j, "],\n\"trapped_elsewhere\": %lu", g_trap_rest);
}

ssize_t syscall_stats_json(char *buf, size_t size)
{
    struct json j = {.buf = buf, .size = size};
    u64 total = 0;

    for (unsigned nr = 0; nr <= SYSCALL_COUNT; nr++)
        total += __atomic_load_n(&g_counters[nr].count, __ATOMIC_RELAXED);
    emit(&j, "\"syscalls_total\": %lu,\n", total);
    emit_calls(&j);
    emit_sites(&j);
    return j.full ? -ENOSPC : (ssize_t)j.used;
}
