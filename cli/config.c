/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: a Mystikos config.json as it is, and Adyton's own CoreDump and ForbidWX. Each key
 * has one row in g_keys. A key that asks for something that is not served yet is refused by its name and with
 * the reason; the same key with the value that asks for nothing is accepted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "json.h"
#include "nearest.h"
#include "settings.h"

#define CONFIG_SIZE_MAX (1L << 20)
#define START_ADDRESS_MAX 0x10000
#define CORE_PATTERN_MAX 127 /* as Linux's core_pattern */

struct context {
    const char *name; /* of the file */
    const char *key;
    struct settings *settings;
};

/* ---- Values -------------------------------------------------------------------------------------- */

static int wrong(const struct context *c, const char *what)
{
    return cli_error("%s: %s: %s", c->name, c->key, what);
}

static int get_number(const struct context *c, const cJSON *value, double max, uint64_t *out)
{
    double number = value->valuedouble;

    if (!cJSON_IsNumber(value))
        return wrong(c, "must be a number");
    if (!(number >= 0 && number <= max) || number != (double)(uint64_t)number)
        return cli_error("%s: %s: must be a whole number from 0 to %.0f", c->name, c->key, max);
    *out = (uint64_t)number;
    return 0;
}

/* true and false, or 1 and 0 */
static int get_bool(const struct context *c, const cJSON *value, int *out)
{
    if (cJSON_IsBool(value))
        *out = cJSON_IsTrue(value);
    else if (cJSON_IsNumber(value) && (value->valuedouble == 0 || value->valuedouble == 1))
        *out = value->valuedouble == 1;
    else
        return wrong(c, "must be true or false");
    return 0;
}

static int get_size(const struct context *c, const cJSON *value, uint64_t *out)
{
    if (cJSON_IsNumber(value))
        return get_number(c, value, 9007199254740992.0, out);
    if (!cJSON_IsString(value))
        return wrong(c, "must be a size such as \"512m\", or a number of bytes");
    if (cli_parse_size(value->valuestring, out) < 0)
        return cli_error("%s: %s: '%s' is not a size such as \"512m\" (units: k, m, g)", c->name,
                         c->key, value->valuestring);
    return 0;
}

static int get_string(const struct context *c, const cJSON *value, char **field)
{
    if (!cJSON_IsString(value))
        return wrong(c, "must be a string");
    return settings_set(field, value->valuestring);
}

static int get_strings(const struct context *c, const cJSON *value, struct string_list *list)
{
    const cJSON *item;
    int at = 0;

    if (!cJSON_IsArray(value))
        return wrong(c, "must be a list of strings");
    strings_clear(list);
    for (item = value->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return cli_error("%s: %s[%d]: must be a string", c->name, c->key, at);
        if (strings_add(list, item->valuestring) < 0)
            return -1;
        at++;
    }
    return 0;
}

static int set_flag(const struct context *c, const cJSON *value, uint32_t flag)
{
    int on = 0;

    if (get_bool(c, value, &on) < 0)
        return -1;
    c->settings->flags = on ? c->settings->flags | flag : c->settings->flags & ~flag;
    return 0;
}

/* ---- Keys ---------------------------------------------------------------------------------------- */

static int key_version(const struct context *c, const cJSON *value)
{
    if (!cJSON_IsString(value))
        return wrong(c, "must be a string");
    if (strcmp(value->valuestring, "0.1") != 0)
        return cli_error("%s: version: '%s' is not known here, only '0.1'", c->name,
                         value->valuestring);
    return 0;
}

static int key_debug(const struct context *c, const cJSON *value)
{
    return get_bool(c, value, &c->settings->debug);
}

static int key_product_id(const struct context *c, const cJSON *value)
{
    uint64_t number = 0;

    if (get_number(c, value, UINT16_MAX, &number) < 0)
        return -1;
    c->settings->product_id = (uint16_t)number;
    return 0;
}

static int key_security_version(const struct context *c, const cJSON *value)
{
    uint64_t number = 0;

    if (get_number(c, value, UINT16_MAX, &number) < 0)
        return -1;
    c->settings->security_version = (uint16_t)number;
    return 0;
}

static int key_memory(const struct context *c, const cJSON *value)
{
    return get_size(c, value, &c->settings->memory_size);
}

static int key_main_stack(const struct context *c, const cJSON *value)
{
    return get_size(c, value, &c->settings->main_stack_size);
}

static int key_thread_stack(const struct context *c, const cJSON *value)
{
    return get_size(c, value, &c->settings->thread_stack_size);
}

static int key_max_cpus(const struct context *c, const cJSON *value)
{
    uint64_t number = 0;

    if (get_number(c, value, 1024, &number) < 0)
        return -1;
    c->settings->max_cpus = (uint32_t)number;
    return 0;
}

static int key_no_brk(const struct context *c, const cJSON *value)
{
    return set_flag(c, value, MANIFEST_NO_BRK);
}

static int key_exec_stack(const struct context *c, const cJSON *value)
{
    return set_flag(c, value, MANIFEST_EXEC_STACK);
}

static int key_forbid_wx(const struct context *c, const cJSON *value)
{
    return set_flag(c, value, MANIFEST_FORBID_WX);
}

static int key_host_parameters(const struct context *c, const cJSON *value)
{
    return set_flag(c, value, MANIFEST_HOST_ARGS);
}

static int key_unhandled(const struct context *c, const cJSON *value)
{
    return set_flag(c, value, MANIFEST_UNHANDLED_ENOSYS);
}

static int key_program(const struct context *c, const cJSON *value)
{
    return get_string(c, value, &c->settings->program);
}

static int key_parameters(const struct context *c, const cJSON *value)
{
    return get_strings(c, value, &c->settings->parameters);
}

static int key_env(const struct context *c, const cJSON *value)
{
    struct string_list *env = &c->settings->env;

    if (get_strings(c, value, env) < 0)
        return -1;
    for (size_t i = 0; i < env->count; i++)
        if (env->items[i][0] == '=' || !strchr(env->items[i], '='))
            return cli_error("%s: %s[%zu]: '%s' is not NAME=VALUE", c->name, c->key, i,
                             env->items[i]);
    return 0;
}

static int key_host_env(const struct context *c, const cJSON *value)
{
    struct string_list *names = &c->settings->host_env;

    if (get_strings(c, value, names) < 0)
        return -1;
    for (size_t i = 0; i < names->count; i++)
        if (names->items[i][0] == '\0' || strchr(names->items[i], '='))
            return cli_error("%s: %s[%zu]: '%s' is not a name", c->name, c->key, i,
                             names->items[i]);
    return 0;
}

static int key_cwd(const struct context *c, const cJSON *value)
{
    return get_string(c, value, &c->settings->cwd);
}

static int key_hostname(const struct context *c, const cJSON *value)
{
    if (cJSON_IsString(value) && strlen(value->valuestring) > 64)
        return wrong(c, "longer than 64 bytes");
    return get_string(c, value, &c->settings->hostname);
}

/* core(5)'s patterns, but for those that hand the dump to a program or a socket. "": off. */
static int key_core_dump(const struct context *c, const cJSON *value)
{
    const char *pattern;

    if (!cJSON_IsString(value))
        return wrong(c, "must be a string");
    pattern = value->valuestring;
    if (strlen(pattern) > CORE_PATTERN_MAX)
        return cli_error("%s: %s: longer than %d bytes", c->name, c->key, CORE_PATTERN_MAX);
    if (pattern[0] == '|' || pattern[0] == '@')
        return wrong(c, "must name a file: programs and sockets that take core dumps are not served");
    for (const char *p = strchr(pattern, '%'); p; p = strchr(p + 2, '%'))
        if (p[1] == '\0' || !strchr("%pPiIugsthe", p[1]))
            return cli_error("%s: %s: '%%%.1s' is not one of %%%% %%p %%P %%i %%I %%u %%g %%s %%t %%h %%e",
                             c->name, c->key, p + 1);
    if (pattern[0] != '\0')
        return settings_set(&c->settings->core_dump, pattern);
    free(c->settings->core_dump);
    c->settings->core_dump = NULL;
    return 0;
}

/* Each of them is an exact fork here. */
static int key_fork_mode(const struct context *c, const cJSON *value)
{
    static const char *const known[] = {"none", "pseudo", "pseudo_wait_for_exit_exec"};

    if (!cJSON_IsString(value))
        return wrong(c, "must be a string");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(value->valuestring, known[i]) == 0)
            return 0;
    return cli_error("%s: ForkMode: '%s' is unknown", c->name, value->valuestring);
}

static int refuse_items(const struct context *c, const cJSON *value, const char *why)
{
    if (!cJSON_IsArray(value) && !cJSON_IsNull(value))
        return wrong(c, "must be a list");
    return cJSON_GetArraySize(value) > 0 ? wrong(c, why) : 0;
}

static int key_mount(const struct context *c, const cJSON *value)
{
    return refuse_items(c, value, "further file systems are not served yet; remove the entries");
}

static int key_secret(const struct context *c, const cJSON *value)
{
    return refuse_items(c, value, "secrets after attestation are not served yet; remove the entries");
}

static int key_host_uds(const struct context *c, const cJSON *value)
{
    int on = 0;

    if (get_bool(c, value, &on) < 0)
        return -1;
    return on ? wrong(c, "sockets of the host are not served yet; only false is accepted") : 0;
}

/* syslog(3)'s names and numbers, onto the kernel's four levels. */
static int key_syslog_level(const struct context *c, const cJSON *value)
{
    static const char *const names[] = {"emerg",   "alert",  "crit", "err",
                                        "warning", "notice", "info", "debug"};
    static const uint32_t levels[] = {0, 0, 0, 0, 1, 2, 2, 3};
    uint64_t level = 0;

    if (cJSON_IsNumber(value)) {
        if (get_number(c, value, 7, &level) < 0)
            return -1;
    } else if (cJSON_IsString(value)) {
        const char *text = strcmp(value->valuestring, "warn") == 0    ? "warning"
                           : strcmp(value->valuestring, "error") == 0 ? "err"
                                                                      : value->valuestring;

        while (level < 8 && strcmp(text, names[level]) != 0)
            level++;
        if (level == 8)
            return cli_error("%s: SyslogLevel: '%s' is not one of emerg, alert, crit, err, warning, "
                             "notice, info, debug", c->name, text);
    } else {
        return wrong(c, "must be a level's name or number");
    }
    c->settings->log_level = levels[level];
    return 0;
}

/* The range starts at 0 in every enclave, so either answer is served. */
static int key_zero_base(const struct context *c, const cJSON *value)
{
    int on;

    return get_bool(c, value, &on);
}

static int key_start_address(const struct context *c, const cJSON *value)
{
    uint64_t address = 0;
    char *end;

    if (cJSON_IsString(value)) {
        errno = 0;
        address = strtoull(value->valuestring, &end, 0);
        if (errno != 0 || end == value->valuestring || *end != '\0')
            return cli_error("%s: %s: '%s' is not an address", c->name, c->key, value->valuestring);
    } else if (get_number(c, value, 9007199254740992.0, &address) < 0) {
        return -1;
    }
    if (address > START_ADDRESS_MAX)
        return wrong(c, "the enclave's range always starts at 0; remove the key");
    return 0;
}

static const struct key {
    const char *name;
    int (*set)(const struct context *c, const cJSON *value);
} g_keys[] = {
    {"version", key_version},
    {"Debug", key_debug},
    {"ProductID", key_product_id},
    {"SecurityVersion", key_security_version},
    {"MemorySize", key_memory},
    {"UserMemSize", key_memory}, /* MemorySize's old name */
    {"MainStackSize", key_main_stack},
    {"ThreadStackSize", key_thread_stack},
    {"MaxAffinityCPUs", key_max_cpus},
    {"NoBrk", key_no_brk},
    {"ExecStack", key_exec_stack},
    {"ForbidWX", key_forbid_wx},
    {"ApplicationPath", key_program},
    {"ApplicationParameters", key_parameters},
    {"HostApplicationParameters", key_host_parameters},
    {"EnvironmentVariables", key_env},
    {"HostEnvironmentVariables", key_host_env},
    {"CurrentWorkingDirectory", key_cwd},
    {"Hostname", key_hostname},
    {"CoreDump", key_core_dump},
    {"ForkMode", key_fork_mode},
    {"Mount", key_mount},
    {"UnhandledSyscallEnosys", key_unhandled},
    {"HostUDS", key_host_uds},
    {"SyslogLevel", key_syslog_level},
    {"Secret", key_secret},
    {"CreateZeroBaseEnclave", key_zero_base},
    {"EnclaveStartAddress", key_start_address},
};
#define KEY_COUNT (sizeof(g_keys) / sizeof(g_keys[0]))

/* ---- The file ------------------------------------------------------------------------------------ */

static int unknown_key(const struct context *c)
{
    const char *names[KEY_COUNT];
    const char *near;

    for (size_t i = 0; i < KEY_COUNT; i++)
        names[i] = g_keys[i].name;
    near = nearest_name(c->key, names, KEY_COUNT);
    if (near)
        return cli_error("%s: unknown key '%s'; did you mean '%s'?", c->name, c->key, near);
    return cli_error("%s: unknown key '%s'", c->name, c->key);
}

static int read_key(struct context *c, const cJSON *value)
{
    c->key = value->string;
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(c->key, g_keys[i].name) == 0)
            return g_keys[i].set(c, value);
    return unknown_key(c);
}

static int read_keys(struct context *c, const cJSON *json)
{
    const cJSON *value, *other;

    if (!cJSON_IsObject(json))
        return cli_error("%s: must be an object: { \"MemorySize\": \"1g\", ... }", c->name);
    for (value = json->child; value; value = value->next) {
        for (other = json->child; other != value; other = other->next)
            if (strcmp(other->string, value->string) == 0)
                return cli_error("%s: the key '%s' appears twice", c->name, value->string);
        if (read_key(c, value) < 0)
            return -1;
    }
    return 0;
}

int config_parse(const char *name, const char *text, size_t size, struct settings *s)
{
    struct context c = {.name = name, .settings = s};
    cJSON *json = json_parse(name, text, size);
    int ret;

    if (!json)
        return -1;
    strings_clear(&s->host_env); /* with a file, only what it names */
    ret = read_keys(&c, json);
    cJSON_Delete(json);
    return ret;
}

int config_read(const char *path, struct settings *s)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO_FREE char *text = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return cli_error("%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return cli_error("%s: %s", path, strerror(EISDIR));
    text = malloc(CONFIG_SIZE_MAX + 1);
    if (!text)
        return cli_no_memory();
    n = read(fd, text, CONFIG_SIZE_MAX + 1);
    for (ssize_t more = n; more > 0 && n <= CONFIG_SIZE_MAX; n += more > 0 ? more : 0)
        more = read(fd, text + n, (size_t)(CONFIG_SIZE_MAX + 1 - n));
    if (n < 0)
        return cli_error("%s: %s", path, strerror(errno));
    if (n > CONFIG_SIZE_MAX)
        return cli_error("%s: larger than 1 MiB: this is no configuration", path);
    return config_parse(path, text, (size_t)n, s);
}
