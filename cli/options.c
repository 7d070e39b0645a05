/* SPDX-License-Identifier: MIT */
/*
 * The options that run, measure, check and gdb share. Read twice: once for --config, whose file is
 * the base, then for the rest, which overrides it wherever it stands on the command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "settings.h"

enum {
    OPT_STRICT = 'x',
    OPT_STATS = 'S',
    OPT_STRACE = 's',
    OPT_DEBUG = 'd',
    OPT_JSON = 'j',
    OPT_EX = 'X',
    OPT_COMMANDS = 'F',
    OPT_BATCH = 'B',
};

static const struct option g_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"target", required_argument, NULL, 't'},
    {"memory", required_argument, NULL, 'm'},
    {"env", required_argument, NULL, 'e'},
    {"cwd", required_argument, NULL, 'w'},
    {"strace", optional_argument, NULL, OPT_STRACE},
    {"stats", optional_argument, NULL, OPT_STATS},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"debug", no_argument, NULL, OPT_DEBUG},
    {"json", no_argument, NULL, OPT_JSON},
    {"ex", required_argument, NULL, OPT_EX},
    {"commands", required_argument, NULL, OPT_COMMANDS},
    {"batch", no_argument, NULL, OPT_BATCH},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int set_target(struct settings *s, const char *command, const char *name)
{
    static const char *const names[] = {"auto", "sgx", "sim"};
    static const enum host_target targets[] = {HOST_TARGET_AUTO, HOST_TARGET_SGX, HOST_TARGET_SIM};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            s->target = targets[i];
            return 0;
        }
    }
    (void)cli_usage(command, "--target is auto, sgx or sim, not '%s'", name);
    return OPTIONS_USAGE;
}

static int set_env(struct settings *s, const char *command, const char *entry)
{
    if (entry[0] == '=' || !strchr(entry, '=')) {
        (void)cli_usage(command, "--env wants NAME=VALUE, not '%s'", entry);
        return OPTIONS_USAGE;
    }
    return settings_set_env(s, entry) < 0 ? OPTIONS_ERROR : 0;
}

static int set_memory(struct settings *s, const char *command, const char *text)
{
    if (cli_parse_size(text, &s->memory_size) == 0)
        return 0;
    (void)cli_usage(command, "--memory wants a size such as 512m or 4g, not '%s'", text);
    return OPTIONS_USAGE;
}

static int set_strace(struct settings *s, const char *list)
{
    s->flags |= MANIFEST_STRACE;
    return list && settings_set(&s->strace, list) < 0 ? OPTIONS_ERROR : 0;
}

static int add_gdb_words(struct settings *s, const char *option, const char *value)
{
    if (strings_add(&s->gdb_words, option) < 0)
        return OPTIONS_ERROR;
    return value && strings_add(&s->gdb_words, value) < 0 ? OPTIONS_ERROR : 0;
}

static int apply(int option, const char *command, const char *value, struct settings *s)
{
    switch (option) {
    case 't':
        return set_target(s, command, value);
    case 'm':
        return set_memory(s, command, value);
    case 'e':
        return set_env(s, command, value);
    case 'w':
        return settings_set(&s->cwd, value) < 0 ? OPTIONS_ERROR : 0;
    case OPT_STRACE:
        return set_strace(s, value);
    case OPT_STATS:
        s->stats = 1;
        s->stats_path = value;
        s->flags |= MANIFEST_STATS;
        return 0;
    case OPT_STRICT:
        s->strict = 1;
        return 0;
    case OPT_DEBUG:
        s->debug = 1;
        return 0;
    case OPT_JSON:
        s->json = 1;
        return 0;
    case OPT_EX:
        return add_gdb_words(s, "-ex", value);
    case OPT_COMMANDS:
        return add_gdb_words(s, "-x", value);
    case OPT_BATCH:
        return add_gdb_words(s, "-batch", NULL);
    case 'h':
        return OPTIONS_HELP;
    }
    return 0;
}

/* Keeps one of run's options as it was given. */
static int keep_word(struct settings *s, int option, const char *value)
{
    const struct option *o = g_options;
    char *word;
    int ret;

    while (o->name && o->val != option)
        o++;
    if (!o->name || option == OPT_EX || option == OPT_COMMANDS || option == OPT_BATCH)
        return 0;
    if (asprintf(&word, "--%s%s%s", o->name, value ? "=" : "", value ? value : "") < 0)
        return cli_no_memory();
    ret = strings_add(&s->run_words, word);
    free(word);
    return ret;
}

static int find_config(int argc, char **argv, struct settings *s)
{
    int option;

    opterr = 0;
    optind = 0;
    while ((option = getopt_long(argc, argv, "+c:t:m:e:w:h", g_options, NULL)) != -1) {
        if (option == 'h')
            return OPTIONS_HELP;
        if (option == 'c')
            s->config_path = optarg;
    }
    if (s->config_path && config_read(s->config_path, s) < 0)
        return OPTIONS_ERROR;
    return 0;
}

int options_parse(const char *command, const char *accepted, int argc, char **argv,
                  struct settings *s)
{
    int ret = find_config(argc, argv, s);
    int option;

    opterr = 1;
    optind = 0;
    while (ret == 0 && (option = getopt_long(argc, argv, "+c:t:m:e:w:h", g_options, NULL)) != -1) {
        if (option == '?') {
            (void)cli_usage(command, NULL);
            return OPTIONS_USAGE;
        }
        if (option != 'h' && !strchr(accepted, option)) {
            (void)cli_usage(command, "'%s' is not an option of this command", argv[optind - 1]);
            return OPTIONS_USAGE;
        }
        ret = apply(option, command, optarg, s);
        if (ret == 0 && keep_word(s, option, optarg) < 0)
            ret = OPTIONS_ERROR;
    }
    return ret < 0 ? ret : optind;
}
