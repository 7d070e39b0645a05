/* SPDX-License-Identifier: MIT */
/*
 * adyton check: looks without running. Problems go to stdout, one a line; exit status 1 if there are
 * any, 125 if the check itself could not be made.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "closure.h"
#include "script.h"
#include "settings.h"

static const char g_help[] =
    "Usage: adyton check [--config FILE] [--env NAME=VALUE] ROOTFS PROGRAM\n"
    "Says what PROGRAM would miss when run in ROOTFS, a directory or an archive: the file itself, its\n"
    "interpreter, libraries, symbols, a script's interpreter, and settings that are not served.\n"
    "What a program opens or loads while it runs cannot be seen beforehand.\n"
    "\n"
    "  -c, --config FILE       check this configuration too; PROGRAM may then come from it\n"
    "  -e, --env NAME=VALUE    PATH and LD_LIBRARY_PATH count\n"
    "  -h, --help              this text\n"
    "Exit status: 0 nothing is missing, 1 something is, 125 the check could not be made.\n"
    "\n"
    "Example:\n"
    "  adyton check root /usr/bin/python3.11\n";

#define SCRIPTS_MAX 5
#define SYMBOLS_SHOWN 10

struct check {
    struct view *view;
    const struct settings *settings;
    int problems;
    int symbols; /* of them */
};

static void problem(struct check *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct check *k, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vprintf(format, ap);
    va_end(ap);
    (void)putchar('\n');
    k->problems++;
}

static const char *env_value(const struct check *k, const char *name)
{
    const struct string_list *env = &k->settings->env;
    size_t size = strlen(name);

    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->items[i], name, size) == 0 && env->items[i][size] == '=')
            return env->items[i] + size + 1;
    return NULL;
}

/* ---- Programs ---------------------------------------------------------------------------------------- */

static void report_symbol(void *ctx, const struct object *object, const struct elf_symbol *symbol)
{
    struct check *k = ctx;

    if (k->symbols++ < SYMBOLS_SHOWN)
        problem(k, "missing symbol: %s%s%s, needed by %s", symbol->name,
                symbol->version ? "@" : "", symbol->version ? symbol->version : "", object->path);
}

static void check_objects(struct check *k, const struct closure *c)
{
    int incomplete = 0;

    for (size_t i = 1; i < c->count; i++) {
        const struct object *o = &c->objects[i];

        if (o->path)
            continue;
        incomplete = 1;
        if (o->why)
            problem(k, "missing interpreter: %s: %s", o->name, o->why);
        else
            problem(k, "missing library: %s, needed by %s", o->name, c->objects[o->parent].path);
    }
    if (!incomplete && c->count > 1)
        (void)closure_check_symbols(c, report_symbol, k);
    if (k->symbols > SYMBOLS_SHOWN)
        problem(k, "missing symbols: %d more", k->symbols - SYMBOLS_SHOWN);
    if (k->problems == 0 && c->count > 1)
        printf("%s: %s, interpreter %s, %zu libraries: nothing is missing\n", c->objects[0].path,
               c->musl ? "musl" : "dynamic", c->objects[0].info.interp ? c->objects[0].info.interp
                                                                       : "none", c->count - 2);
    else if (k->problems == 0)
        printf("%s: static: nothing is missing\n", c->objects[0].path);
}

static int check_elf(struct check *k, const char *path)
{
    struct closure *c = calloc(1, sizeof(*c));
    int ret;

    if (!c)
        return cli_no_memory();
    ret = closure_read(c, k->view, path, env_value(k, "LD_LIBRARY_PATH"));
    if (ret == 0)
        check_objects(k, c);
    closure_free(c);
    free(c);
    return ret;
}

/* ---- Files ------------------------------------------------------------------------------------------- */

static int check_program(struct check *k, const char *path, const char *what, int depth);

/* NAME of "env NAME", along PATH. */
static int check_env_name(struct check *k, const char *name, int depth)
{
    const char *list = env_value(k, "PATH");
    struct view_file file;
    char path[PATH_MAX];

    while (list && *list) {
        size_t size = strcspn(list, ":");

        (void)snprintf(path, sizeof(path), "%.*s/%s", (int)size, list, name);
        if (view_walk(k->view, path, NULL, NULL, &file) == 0)
            return check_program(k, path, "script's interpreter", depth + 1);
        list += size + (list[size] != '\0');
    }
    problem(k, "missing script's interpreter: %s is not in PATH", name);
    return 0;
}

static int check_script(struct check *k, const char *path, const struct script *script, int depth)
{
    if (depth == SCRIPTS_MAX) {
        problem(k, "%s: too many interpreters one through another", path);
        return 0;
    }
    if (check_program(k, script->interp, "script's interpreter", depth + 1) < 0)
        return -1;
    return script->env_name[0] ? check_env_name(k, script->env_name, depth) : 0;
}

static int check_contents(struct check *k, const char *path, const struct view_file *file, int depth)
{
    const char *why = "neither an ELF program nor a script with '#!'";
    struct elf_info info;
    struct script script;
    const uint8_t *data;
    size_t size;
    int ret = view_map(k->view, file, &data, &size);

    if (ret < 0)
        return cli_error("%s: %s", path, strerror(-ret));
    if (script_read(data, size, &script))
        ret = check_script(k, path, &script, depth);
    else if (elf_is(data, size) && elf_read(data, size, &info, &why) == 0)
        ret = check_elf(k, path);
    else
        problem(k, "cannot be executed: %s: %s", path, why);
    view_unmap(k->view, data, size);
    return ret;
}

static int check_program(struct check *k, const char *path, const char *what, int depth)
{
    struct view_file file;
    int ret = view_walk(k->view, path, NULL, NULL, &file);

    if (ret < 0) {
        problem(k, "missing %s: %s: %s", what, path, strerror(-ret));
        return 0;
    }
    if (!S_ISREG(file.mode)) {
        problem(k, "cannot be executed: %s: %s", path,
                S_ISDIR(file.mode) ? strerror(EISDIR) : "not a file");
        return 0;
    }
    if (!(file.mode & 0111))
        problem(k, "cannot be executed: %s: its mode is %04o", path, file.mode & 07777);
    return check_contents(k, path, &file, depth);
}

static void check_cwd(struct check *k)
{
    struct view_file file;
    int ret = view_walk(k->view, k->settings->cwd, NULL, NULL, &file);

    if (ret == 0 && !S_ISDIR(file.mode))
        ret = -ENOTDIR;
    if (ret < 0)
        problem(k, "missing working directory: %s: %s", k->settings->cwd, strerror(-ret));
}

/* ---- The command ------------------------------------------------------------------------------------- */

static int check_all(const struct settings *s, const char *rootfs, const char *program)
{
    struct check k = {.view = view_open(rootfs), .settings = s};
    int ret;

    if (!k.view)
        return HOST_EXIT_ERROR;
    check_cwd(&k);
    ret = check_program(&k, program, "program", 0);
    view_close(k.view);
    if (ret < 0 || cli_help("") != 0)
        return HOST_EXIT_ERROR;
    return k.problems > 0;
}

int cmd_check(int argc, char **argv)
{
    struct settings s;
    int first, ret;

    if (settings_init(&s) < 0)
        return HOST_EXIT_ERROR;
    first = options_parse("check", "cemw", argc, argv, &s);
    if (first == OPTIONS_HELP)
        ret = cli_help(g_help);
    else if (first == OPTIONS_ERROR && s.config_path)
        ret = 1; /* the message named what the configuration asks for */
    else if (first < 0)
        ret = HOST_EXIT_ERROR;
    else if (!argv[first] || (!argv[first + 1] && !s.program))
        ret = cli_usage("check", "wants ROOTFS and PROGRAM");
    else
        ret = check_all(&s, argv[first], argv[first + 1] ? argv[first + 1] : s.program);
    settings_free(&s);
    return ret;
}
