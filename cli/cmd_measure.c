/* SPDX-License-Identifier: MIT */
/* adyton measure */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "settings.h"

static const char g_help[] =
    "Usage: adyton measure [OPTION...] ROOTFS PROGRAM [ARG...]\n"
    "Prints the enclave's identity for this run, MRENCLAVE and MRSIGNER, and what goes into it. Needs\n"
    "no SGX. The options are run's; --strace, --stats and --debug are measured too.\n"
    "\n"
    "  -c, --config FILE       settings\n"
    "  -m, --memory SIZE       as for run\n"
    "  -e, --env NAME=VALUE    as for run\n"
    "  -w, --cwd DIR           as for run\n"
    "      --strace[=LIST]     as for run\n"
    "      --stats             as for run\n"
    "      --debug             as for run\n"
    "      --json              print JSON\n"
    "  -h, --help              this text\n"
    "\n"
    "Example:\n"
    "  adyton measure --json root.cpio /bin/busybox echo hello\n";

#define HEX_SIZE 65

static void hex(const uint8_t digest[32], char text[HEX_SIZE])
{
    for (int i = 0; i < 32; i++)
        (void)snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
}

static cJSON *string_array(char *const *strings)
{
    cJSON *array = cJSON_CreateArray();

    for (; strings && *strings; strings++)
        (void)cJSON_AddItemToArray(array, cJSON_CreateString(*strings));
    return array;
}

static void add_number(cJSON *to, const char *name, uint64_t value)
{
    (void)cJSON_AddNumberToObject(to, name, (double)value);
}

static void add_root(cJSON *to, const struct prepared *p)
{
    cJSON *root = cJSON_AddObjectToObject(to, "root");
    char text[HEX_SIZE];

    hex(p->root.root_hash, text);
    (void)cJSON_AddStringToObject(root, "root_hash", text);
    add_number(root, "archive_size", p->root.archive_size);
    add_number(root, "image_size", p->run.rootfs_size);
    add_number(root, "data_blocks", p->root.data_blocks);
}

static const struct {
    uint32_t flag;
    const char *name;
} g_switches[] = {
    {MANIFEST_DEBUG, "debug"},
    {MANIFEST_FORBID_WX, "forbid_wx"},
    {MANIFEST_NO_BRK, "no_brk"},
    {MANIFEST_EXEC_STACK, "exec_stack"},
    {MANIFEST_HOST_ARGS, "host_arguments"},
    {MANIFEST_STRACE, "strace"},
    {MANIFEST_STATS, "stats"},
    {MANIFEST_UNHANDLED_ENOSYS, "unhandled_enosys"},
};

static cJSON *switch_names(uint32_t flags)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < sizeof(g_switches) / sizeof(g_switches[0]); i++)
        if (flags & g_switches[i].flag)
            (void)cJSON_AddItemToArray(array, cJSON_CreateString(g_switches[i].name));
    return array;
}

static void add_manifest(cJSON *to, const struct settings *s, const struct prepared *p)
{
    cJSON *m = cJSON_AddObjectToObject(to, "manifest");
    const struct manifest *manifest = p->manifest;

    add_number(m, "size", p->run.manifest_size);
    (void)cJSON_AddStringToObject(m, "program", s->program);
    (void)cJSON_AddItemToObject(m, "arguments", string_array(p->argv));
    (void)cJSON_AddItemToObject(m, "environment", string_array(s->env.items));
    (void)cJSON_AddItemToObject(m, "host_environment", string_array(s->host_env.items));
    (void)cJSON_AddStringToObject(m, "cwd", s->cwd);
    (void)cJSON_AddStringToObject(m, "hostname", s->hostname);
    if (s->core_dump)
        (void)cJSON_AddStringToObject(m, "core_dump", s->core_dump);
    add_number(m, "memory_size", s->memory_size);
    add_number(m, "main_stack_size", s->main_stack_size);
    add_number(m, "thread_stack_size", s->thread_stack_size);
    add_number(m, "max_cpus", s->max_cpus);
    add_number(m, "log_level", s->log_level);
    (void)cJSON_AddItemToObject(m, "switches", switch_names(manifest->flags));
}

static cJSON *make_report(const struct settings *s, const struct prepared *p,
                          const struct host_measurement *measured)
{
    cJSON *report = cJSON_CreateObject();
    char text[HEX_SIZE];

    hex(measured->mrenclave, text);
    (void)cJSON_AddStringToObject(report, "mrenclave", text);
    hex(measured->mrsigner, text);
    (void)cJSON_AddStringToObject(report, "mrsigner", text);
    add_number(report, "product_id", s->product_id);
    add_number(report, "security_version", s->security_version);
    (void)cJSON_AddBoolToObject(report, "debug", s->debug);
    add_number(report, "pages", measured->pages_measured);
    add_number(report, "image_size", measured->image_size);
    add_root(report, p);
    add_manifest(report, s, p);
    return report;
}

/* ---- For people ------------------------------------------------------------------------------------ */

static void print_list(const char *label, const cJSON *array)
{
    const cJSON *item;

    for (item = array->child; item; item = item->next)
        printf("  %-18s%s\n", item == array->child ? label : "", item->valuestring);
}

static const char *text_of(const cJSON *report, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(report, name));
}

static void print_report(const cJSON *report, const struct settings *s, const struct prepared *p)
{
    const cJSON *m = cJSON_GetObjectItem(report, "manifest");
    const cJSON *root = cJSON_GetObjectItem(report, "root");

    printf("MRENCLAVE           %s\n", text_of(report, "mrenclave"));
    printf("MRSIGNER            %s (this user's development key)\n", text_of(report, "mrsigner"));
    printf("product, version    %u, %u%s\n", s->product_id, s->security_version,
           s->debug ? "; a debug enclave" : "");
    printf("measured            %.0f pages: kernel, manifest, first thread\n",
           cJSON_GetNumberValue(cJSON_GetObjectItem(report, "pages")));
    printf("root hash           %s\n", text_of(root, "root_hash"));
    printf("root archive        %s, with its hash tree %s\n",
           cli_size_text(p->root.archive_size), cli_size_text(p->run.rootfs_size));
    printf("manifest            %zu bytes:\n", p->run.manifest_size);
    printf("  %-18s%s\n", "program", s->program);
    print_list("arguments", cJSON_GetObjectItem(m, "arguments"));
    print_list("environment", cJSON_GetObjectItem(m, "environment"));
    print_list("host's variables", cJSON_GetObjectItem(m, "host_environment"));
    printf("  %-18s%s\n", "directory", s->cwd);
    printf("  %-18s%s\n", "host name", s->hostname);
    if (s->core_dump)
        printf("  %-18s%s\n", "core files", s->core_dump);
    printf("  %-18s%s; stack %s\n", "memory at most", cli_size_text(s->memory_size),
           cli_size_text(s->main_stack_size));
    print_list("switches", cJSON_GetObjectItem(m, "switches"));
}

static int measure(const struct settings *s, const struct prepared *p)
{
    struct host_measurement measured;
    cJSON *report;

    if (host_measure(&p->run, &measured) < 0)
        return HOST_EXIT_ERROR;
    report = make_report(s, p, &measured);
    if (s->json) {
        char *text = cJSON_Print(report);

        printf("%s\n", text ? text : "");
        cJSON_free(text);
    } else {
        print_report(report, s, p);
    }
    cJSON_Delete(report);
    return cli_help("");
}

int cmd_measure(int argc, char **argv)
{
    struct prepared prepared;
    struct settings s;
    int first, ret;

    if (settings_init(&s) < 0)
        return HOST_EXIT_ERROR;
    first = options_parse("measure", "cmewsSdj", argc, argv, &s);
    if (first < 0) {
        settings_free(&s);
        return first == OPTIONS_HELP ? cli_help(g_help) : HOST_EXIT_ERROR;
    }
    ret = prepare_run(&s, argv + first, &prepared);
    if (ret == 0)
        ret = measure(&s, &prepared);
    else
        ret = ret == OPTIONS_USAGE ? cli_usage("measure", "wants ROOTFS and PROGRAM")
                                   : HOST_EXIT_ERROR;
    prepared_free(&prepared);
    settings_free(&s);
    return ret;
}
