/* SPDX-License-Identifier: MIT */
/*
 * --stats: the enclave's own numbers (JSON members it sent through the stats host call) and what the
 * host saw: transitions, host calls, phases of the start, and what the transitions would cost on
 * hardware. As text for a person, or as JSON in a file.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hostcall_dispatch.h"
#include "internal.h"
#include "sim.h"

/* ---- Collecting ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t offset;
} g_counter_names[] = {
#define COUNTER(field) {#field, offsetof(struct sgx_counters, field)}
    COUNTER(eenter),  COUNTER(eexit),   COUNTER(aex),     COUNTER(eresume),
    COUNTER(eadd),    COUNTER(eextend), COUNTER(eaug),    COUNTER(eaccept),
    COUNTER(eacceptcopy), COUNTER(emodpe), COUNTER(emodpr), COUNTER(emodt),
    COUNTER(eremove), COUNTER(etrack),  COUNTER(ipi),     COUNTER(ereport),
    COUNTER(egetkey), COUNTER(ioctl),   COUNTER(trapped_enclu),
    COUNTER(epc_pages), COUNTER(epc_pages_peak),
#undef COUNTER
};

static void add_number(cJSON *to, const char *name, uint64_t value)
{
    (void)cJSON_AddNumberToObject(to, name, (double)value);
}

/* Hardware does not count transitions: what the loops saw. */
static void count_transitions(struct host_process *process, struct sgx_counters *counters)
{
    uint64_t count = atomic_load(&process->thread_count);

    for (uint64_t i = 0; i < count; i++) {
        const struct host_context *ctx = atomic_load(&process->threads[i]);

        if (!ctx)
            continue;
        counters->eenter += ctx->entries;
        counters->eresume += ctx->resumes;
        counters->aex += ctx->exceptions;
    }
}

static void add_counters(cJSON *to, struct host_process *process, struct sgx_counters *counters)
{
    cJSON *out = cJSON_AddObjectToObject(to, "transitions");

    process->ops->counters(process->device, counters);
    if (counters->eenter == 0)
        count_transitions(process, counters);
    for (size_t i = 0; i < sizeof(g_counter_names) / sizeof(g_counter_names[0]); i++)
        add_number(out, g_counter_names[i].name,
                   *(const uint64_t *)(const void *)((const char *)counters +
                                                     g_counter_names[i].offset));
}

static uint64_t count_calls(struct host_process *process, unsigned call)
{
    uint64_t count = atomic_load(&process->thread_count), calls = 0;

    for (uint64_t i = 0; i < count; i++) {
        const struct host_context *ctx = atomic_load(&process->threads[i]);

        if (ctx)
            calls += ctx->call_counts[call];
    }
    return calls;
}

static void add_calls(cJSON *to, struct host_process *process)
{
    cJSON *out = cJSON_AddObjectToObject(to, "host_calls");

    for (unsigned i = 1; i < HOSTCALL_COUNT; i++) {
        uint64_t calls = count_calls(process, i);

        if (calls)
            add_number(out, hostcall_descs[i].name, calls);
    }
}

static void add_phases(cJSON *to, const struct host_process *process)
{
    static const char *const names[PHASE_COUNT] = {NULL, "load_us", "measure_init_us", "enter_us"};
    cJSON *out = cJSON_AddObjectToObject(to, "start");

    for (int i = 1; i < PHASE_COUNT; i++)
        add_number(out, names[i], (process->phase_ns[i] - process->phase_ns[i - 1]) / 1000);
    add_number(out, "run_us",
               (host_now_ns(CLOCK_MONOTONIC) - process->phase_ns[PHASE_ENTERED]) / 1000);
}

static void add_cost(cJSON *to, const struct sgx_counters *counters)
{
    cJSON *out = cJSON_AddObjectToObject(to, "hardware_estimate");
    struct sim_cost cost;

    sim_estimate_cost(counters, 0, &cost);
    add_number(out, "transition_cycles", cost.transition_cycles);
    add_number(out, "paging_cycles", cost.paging_cycles);
    add_number(out, "leaf_cycles", cost.leaf_cycles);
    add_number(out, "build_cycles", cost.build_cycles);
    add_number(out, "total_us", cost.total_ns / 1000);
}

/* The enclave's members as an object; what is no JSON is kept as text. */
static cJSON *parse_enclave(const struct host_process *process)
{
    char *text;
    cJSON *out;
    size_t n = process->stats_size;

    while (n > 0 && strchr(", \n\t", process->stats[n - 1]))
        n--;
    if (n == 0)
        return cJSON_CreateObject();
    if (asprintf(&text, "{%.*s}", (int)n, process->stats) < 0)
        return NULL;
    out = cJSON_Parse(process->stats[0] == '{' ? process->stats : text);
    if (!out)
        out = cJSON_CreateString(process->stats);
    free(text);
    return out;
}

static cJSON *collect(struct host_process *process)
{
    struct sgx_counters counters = {0};
    cJSON *root = cJSON_CreateObject();
    cJSON *host;

    if (!root)
        return NULL;
    (void)cJSON_AddStringToObject(root, "target", process->ops->name);
    (void)cJSON_AddItemToObject(root, "enclave", parse_enclave(process));
    host = cJSON_AddObjectToObject(root, "host");
    add_phases(host, process);
    add_counters(host, process, &counters);
    add_calls(host, process);
    add_cost(host, &counters);
    return root;
}

/* ---- Printing ------------------------------------------------------------------------------------- */

#define LINE_FIELDS_MAX 3

/* A small group of numbers, such as a call's count and time, fits on one line. */
static int fits_line(const cJSON *item)
{
    const cJSON *child;

    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) > LINE_FIELDS_MAX)
        return 0;
    for (child = item->child; child; child = child->next)
        if (!cJSON_IsNumber(child))
            return 0;
    return item->child != NULL;
}

static void print_line(FILE *f, const cJSON *item, int depth)
{
    const cJSON *child;

    (void)fprintf(f, "%*s%-*s", depth * 2, "", 36 - depth * 2, item->string);
    for (child = item->child; child; child = child->next)
        (void)fprintf(f, " %14.0f %s", child->valuedouble, child->string);
    (void)fputc('\n', f);
}

/* One line a value, groups indented; zeros are left out. */
static void print_person(FILE *f, const cJSON *item, int depth)
{
    const char *name = item->string ? item->string : "";

    if (depth > 1 && fits_line(item)) {
        print_line(f, item, depth);
    } else if (cJSON_IsObject(item) || cJSON_IsArray(item)) {
        const cJSON *child;

        if (depth > 0 && item->child)
            (void)fprintf(f, "%*s%s\n", depth * 2, "", name);
        for (child = item->child; child; child = child->next)
            print_person(f, child, depth + 1);
    } else if (cJSON_IsNumber(item)) {
        if (item->valuedouble != 0)
            (void)fprintf(f, "%*s%-*s %14.0f\n", depth * 2, "", 36 - depth * 2, name,
                          item->valuedouble);
    } else if (cJSON_IsString(item)) {
        (void)fprintf(f, "%*s%-*s %14s\n", depth * 2, "", 36 - depth * 2, name, item->valuestring);
    }
}

static void write_json(const char *path, const cJSON *root)
{
    char *text = cJSON_Print(root);
    FILE *f = text ? fopen(path, "we") : NULL;
    int ok = f && fprintf(f, "%s\n", text) > 0;

    if (f)
        ok &= fclose(f) == 0;
    if (!ok)
        host_error("cannot write the statistics to %s: %s", path, strerror(errno));
    free(text);
}

void stats_report(struct host_process *process)
{
    cJSON *root;

    if (!process->run->stats)
        return;
    root = collect(process);
    if (!root) {
        host_error("no memory for the statistics");
        return;
    }
    if (process->run->stats_path) {
        write_json(process->run->stats_path, root);
    } else {
        (void)fprintf(stderr, "adyton: statistics\n");
        print_person(stderr, root, 0);
    }
    cJSON_Delete(root);
}
