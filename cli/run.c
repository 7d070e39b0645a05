/* SPDX-License-Identifier: MIT */
/* From settings to what host_run() and host_measure() take. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "debug_map.h"
#include "root.h"
#include "settings.h"

extern char **environ;

/* ---- Arguments ----------------------------------------------------------------------------------- */

/*
 * The measured argv: the program, then ApplicationParameters or, if the command line has some and they
 * are not the host's to give, those. ApplicationParameters belong to ApplicationPath only.
 */
static int choose_argv(struct settings *s, char **arguments, struct prepared *out)
{
    int host_args = (s->flags & MANIFEST_HOST_ARGS) != 0;
    int own = !arguments[0] || (s->program && strcmp(arguments[0], s->program) == 0);
    char **extra = arguments[0] ? arguments + 1 : arguments;
    size_t count = 1;

    if (!own)
        strings_clear(&s->parameters);
    if (arguments[0] && settings_set(&s->program, arguments[0]) < 0)
        return -1;
    if (host_args) {
        out->run.host_args = extra;
        extra = s->parameters.items;
    } else if (!extra[0]) {
        extra = s->parameters.items;
    }
    while (extra && extra[count - 1])
        count++;
    out->argv = calloc(count + 1, sizeof(*out->argv));
    if (!out->argv)
        return cli_no_memory();
    out->argv[0] = s->program;
    if (count > 1)
        memcpy(out->argv + 1, extra, (count - 1) * sizeof(*extra));
    return 0;
}

/* ---- Environment --------------------------------------------------------------------------------- */

static const char *host_value(const char *name)
{
    size_t size = strlen(name);

    for (char **e = environ; *e; e++)
        if (strncmp(*e, name, size) == 0 && (*e)[size] == '=')
            return *e;
    return NULL;
}

/*
 * Entries of this process for the names that the host may set. Without a configuration that is TERM,
 * of use only where there is a terminal.
 */
static int choose_host_env(const struct settings *s, struct prepared *out)
{
    size_t count = 0;

    out->host_env = calloc(s->host_env.count + 1, sizeof(*out->host_env));
    if (!out->host_env)
        return cli_no_memory();
    if (s->config_path || isatty(STDIN_FILENO) || isatty(STDOUT_FILENO)) {
        for (size_t i = 0; i < s->host_env.count; i++) {
            const char *entry = host_value(s->host_env.items[i]);

            if (entry)
                out->host_env[count++] = (char *)entry;
        }
    }
    out->run.host_env = out->host_env;
    return 0;
}

/* ---- The manifest -------------------------------------------------------------------------------- */

static int build_manifest(const struct settings *s, struct prepared *out)
{
    struct host_manifest manifest = {
        .flags = s->flags | (s->debug ? MANIFEST_DEBUG : 0),
        .log_level = s->log_level,
        .memory_size = s->memory_size,
        .main_stack_size = s->main_stack_size,
        .thread_stack_size = s->thread_stack_size,
        .max_cpus = s->max_cpus,
        .root = out->root,
        .program = s->program,
        .cwd = s->cwd,
        .hostname = s->hostname,
        .strace = s->strace,
        .core_dump = s->core_dump,
        .argv = (const char *const *)out->argv,
        .env = (const char *const *)s->env.items,
        .host_env = (const char *const *)s->host_env.items,
    };
    int ret = host_manifest_build(&manifest, &out->manifest, &out->run.manifest_size);

    if (ret < 0)
        return cli_error("the arguments and the environment do not fit into the manifest (%s)",
                         strerror(-ret));
    out->run.manifest = out->manifest;
    return 0;
}

int prepare_run(struct settings *s, char **arguments, struct prepared *out)
{
    struct host_run *run = &out->run;

    memset(out, 0, sizeof(*out));
    run->rootfs_fd = -1;
    if (!arguments[0] || (!arguments[1] && !s->program))
        return OPTIONS_USAGE;
    run->target = s->target;
    run->strict = s->strict;
    run->debug = s->debug;
    run->product_id = s->product_id;
    run->security_version = s->security_version;
    run->stats = s->stats;
    run->stats_path = s->stats_path;
    run->debug_map = debug_map;
    if (choose_argv(s, arguments + 1, out) < 0 || choose_host_env(s, out) < 0)
        return OPTIONS_ERROR;
    run->rootfs_fd = root_open(arguments[0], &out->root, &run->rootfs_size);
    if (run->rootfs_fd < 0 || build_manifest(s, out) < 0)
        return OPTIONS_ERROR;
    return 0;
}

void prepared_free(struct prepared *p)
{
    if (p->run.rootfs_fd >= 0)
        (void)close(p->run.rootfs_fd);
    free(p->manifest);
    free(p->argv);
    free(p->host_env);
}
