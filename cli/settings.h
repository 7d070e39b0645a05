/* SPDX-License-Identifier: MIT */
/*
 * What a run is to be: the defaults, then the configuration file, then the command line, and from
 * that the binary manifest.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "cli.h"
#include "host_manifest.h"

/* PATH inside, when nothing sets another. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* NULL-terminated once an item was added; owns its strings. */
struct string_list {
    char **items;
    size_t count;
};

/* 0, or -1 after a message. */
int strings_add(struct string_list *list, const char *text);
void strings_clear(struct string_list *list);

struct settings {
    enum host_target target;
    int strict;
    int stats;
    const char *stats_path;
    const char *config_path;
    int json; /* adyton measure --json */

    int debug;
    uint16_t product_id, security_version;
    uint32_t flags; /* MANIFEST_* */
    uint32_t log_level;
    uint32_t max_cpus;
    uint64_t memory_size, main_stack_size, thread_stack_size;
    char *program, *cwd, *hostname, *strace; /* owned; NULL: absent */
    char *core_dump;                         /* likewise */
    struct string_list parameters;           /* without argv[0] */
    struct string_list env;                  /* NAME=VALUE */
    struct string_list host_env;             /* names */
    struct string_list run_words;            /* run's options as they were given, for adyton gdb */
    struct string_list gdb_words;            /* gdb's */
};

/* The defaults. 0 or -1. */
int settings_init(struct settings *s);
void settings_free(struct settings *s);

/* Replaces *field by a copy. 0 or -1. */
int settings_set(char **field, const char *text);

/* Adds NAME=VALUE to the environment, in place of another value of NAME. 0 or -1. */
int settings_set_env(struct settings *s, const char *entry);

/* config.c: reads the file into *s. 0, or -1 after one line that names the key, or line and column. */
int config_read(const char *path, struct settings *s);

/* The same from memory; `name` is for messages. For the fuzzer. */
int config_parse(const char *name, const char *text, size_t size, struct settings *s);

/*
 * options.c: options up to the first argument, which the return value indexes; the configuration
 * file named there is read first. `accepted` is a set of letters (see options.c). -1: usage error
 * after a message, -2: other error after a message, -3: help was asked for.
 */
int options_parse(const char *command, const char *accepted, int argc, char **argv,
                  struct settings *s);

#define OPTIONS_USAGE -1
#define OPTIONS_ERROR -2
#define OPTIONS_HELP  -3

/*
 * run.c: ROOTFS [PROGRAM [ARG...]] and the settings become a run, ready for host_run() or
 * host_measure(). Free with prepared_free().
 */
struct prepared {
    struct host_run run;
    struct manifest_root root;
    void *manifest;
    char **argv;
    char **host_env;
};

/* 0; -1 after a message; OPTIONS_USAGE has none for a program that nobody named. */
int prepare_run(struct settings *s, char **arguments, struct prepared *out);
void prepared_free(struct prepared *p);

#endif
