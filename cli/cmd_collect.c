/* SPDX-License-Identifier: MIT */
/*
 * adyton collect: nothing is executed; ELF files and scripts are read. A library that a named program
 * lacks is an error, one that a file under --with lacks is a note: it may never be loaded.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "closure.h"
#include "replica.h"
#include "root.h"
#include "script.h"
#include "settings.h"

static const char g_help[] =
    "Usage: adyton collect -o DIR PROGRAM... [--with PATH]...\n"
    "Gathers programs of this machine into DIR, at the paths they have here, with what they need to\n"
    "run: interpreters, libraries as the dynamic linker would find them (and libgcc_s.so.1, which\n"
    "glibc loads for pthread_exit), what scripts name with '#!'.\n"
    "Nothing is executed. Symbolic links are kept. /tmp and a minimal /etc/passwd and /etc/group are\n"
    "made. A PROGRAM without a slash is looked up in PATH.\n"
    "\n"
    "  -o, --output DIR   where to; empty, new, or made by this command earlier\n"
    "  -w, --with PATH    also this file, or this directory with all it holds, and the libraries of\n"
    "                     the programs and shared objects in it; repeatable. For what programs open\n"
    "                     or load while they run: modules, plug-ins, data, locales\n"
    "  -h, --help         this text\n"
    "\n"
    "Examples:\n"
    "  adyton collect -o root /usr/bin/python3.11 --with /usr/lib/python3.11\n"
    "  adyton collect -o root perl sqlite3 jq --with /usr/share/perl\n";

#define SCRIPTS_MAX 5

struct collect {
    struct replica replica;
    int optional; /* what is missing now is a note */
    int missing;
};

static int add_program(struct collect *c, const char *path, int depth);

static void say_missing(struct collect *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say_missing(struct collect *c, const char *format, ...)
{
    char text[2 * PATH_MAX];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    (void)cli_error("%s%s", c->optional ? "note: " : "", text);
    c->missing += !c->optional;
}

/* ---- ELF files --------------------------------------------------------------------------------------- */

static int add_object(struct collect *c, const struct object *o, const struct object *asker)
{
    struct view_file end;
    int ret;

    if (!o->path) {
        say_missing(c, "%s: not found, needed by %s", o->name, asker->path);
        return 0;
    }
    ret = replica_add(&c->replica, o->path, &end);
    if (ret < -1)
        return cli_error("%s: %s", o->path, strerror(-ret));
    if (ret >= 0 && o->by_cache)
        ret = replica_add(&c->replica, "/etc/ld.so.cache", &end);
    return ret < 0 ? -1 : 0;
}

/*
 * glibc loads libgcc_s.so.1 by name when a thread is cancelled or calls pthread_exit(3), and ends the program when it is
 * not there: it comes along where it stands beside libc.
 */
static int add_unwinder(struct collect *c, const struct object *libc)
{
    char path[PATH_MAX];
    struct view_file end;
    int n = snprintf(path, sizeof(path), "%.*s/libgcc_s.so.1",
                     (int)(strrchr(libc->path, '/') - libc->path), libc->path);

    if (n < 0 || (size_t)n >= sizeof(path) || access(path, R_OK) < 0)
        return 0;
    return replica_add(&c->replica, path, &end) < -1 ? cli_error("%s: cannot be added", path) : 0;
}

static int add_libraries(struct collect *c, const char *path)
{
    struct closure *found = calloc(1, sizeof(*found));
    struct view_file end;
    int ret;

    if (!found)
        return cli_no_memory();
    ret = closure_read(found, c->replica.machine, path, getenv("LD_LIBRARY_PATH"));
    for (size_t i = 1; ret == 0 && i < found->count; i++) {
        const struct object *o = &found->objects[i];

        ret = add_object(c, o, &found->objects[o->parent]);
        if (ret == 0 && o->path && !strcmp(o->name, "libc.so.6"))
            ret = add_unwinder(c, o);
    }
    if (ret == 0 && found->musl)
        (void)replica_add(&c->replica, "/etc/ld-musl-x86_64.path", &end);
    closure_free(found);
    free(found);
    return ret;
}

/* ---- Scripts ----------------------------------------------------------------------------------------- */

/* The first NAME along a list as PATH holds that is an executable file. 0, or -1 without a message. */
static int find_along(const char *list, const char *name, char path[PATH_MAX])
{
    struct stat st;

    while (*list) {
        size_t size = strcspn(list, ":");

        if (snprintf(path, PATH_MAX, "%.*s/%s", (int)size, list, name) < PATH_MAX &&
            path[0] == '/' && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
            return 0;
        list += size + (list[size] != '\0');
    }
    return -1;
}

static int find_in_path(const char *name, char path[PATH_MAX])
{
    const char *list = getenv("PATH");

    return find_along(list ? list : DEFAULT_PATH, name, path);
}

static int add_script(struct collect *c, const char *path, const struct script *script, int depth)
{
    char found[PATH_MAX];

    if (depth == SCRIPTS_MAX)
        return cli_error("%s: too many interpreters one through another", path);
    if (script->interp[0] == '/' && add_program(c, script->interp, depth + 1) < 0)
        return -1;
    if (!script->env_name[0])
        return 0;
    /* "env NAME": what a run finds, whose PATH is not this process's */
    if (find_along(DEFAULT_PATH, script->env_name, found) == 0 ||
        find_in_path(script->env_name, found) == 0)
        return add_program(c, found, depth + 1);
    say_missing(c, "%s: not in PATH, needed by %s", script->env_name, path);
    return 0;
}

/* ---- Files ------------------------------------------------------------------------------------------- */

/*
 * What the file's contents ask for. Interpreters only of programs: directories under --with hold
 * scripts for many.
 */
static int add_needs(struct collect *c, const char *path, const struct view_file *file, int depth)
{
    const char *why = "neither an ELF program nor a script with '#!'";
    struct elf_info info;
    struct script script;
    const uint8_t *data;
    size_t size;
    int ret = view_map(c->replica.machine, file, &data, &size);

    if (ret < 0)
        return cli_error("%s: %s", path, strerror(-ret));
    if (!c->optional && script_read(data, size, &script))
        ret = add_script(c, path, &script, depth);
    else if (elf_is(data, size) && elf_read(data, size, &info, &why) == 0)
        ret = add_libraries(c, path);
    else if (!c->optional)
        say_missing(c, "%s: cannot be executed: %s", path, why);
    view_unmap(c->replica.machine, data, size);
    return ret;
}

static int check_program(const char *path, const struct view_file *file)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return cli_error("%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return cli_error("%s: a directory, not a program (see --with)", path);
    if (!S_ISREG(st.st_mode) || !(file->mode & 0111))
        return cli_error("%s: not an executable file", path);
    return 0;
}

static int add_program(struct collect *c, const char *path, int depth)
{
    struct view_file file;
    int ret = replica_add(&c->replica, path, &file);

    if (ret < -1) {
        say_missing(c, "%s: %s", path, strerror(-ret));
        return 0;
    }
    if (ret < 0 || (depth == 0 && check_program(path, &file) < 0))
        return -1;
    return add_needs(c, path, &file, depth);
}

/* ---- --with ------------------------------------------------------------------------------------------ */

static int add_tree_entry(struct collect *c, const FTSENT *f)
{
    struct view_file file;
    int ret;

    switch (f->fts_info) {
    case FTS_DP:
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return cli_error("%s: %s", f->fts_path, strerror(f->fts_errno));
    }
    ret = replica_add(&c->replica, f->fts_path, &file);
    if (ret < -1 && S_ISLNK(f->fts_statp->st_mode))
        return 0; /* the link itself was copied; here too it leads nowhere */
    if (ret < -1)
        return cli_error("%s: %s", f->fts_path, strerror(-ret));
    if (ret < 0 || !S_ISREG(file.mode))
        return ret < 0 ? -1 : 0;
    return add_needs(c, f->fts_path, &file, 1);
}

/* 1: stay out of our own output. */
static int is_output(const struct collect *c, const FTSENT *f)
{
    struct stat st;

    return f->fts_info == FTS_D && fstat(c->replica.fd, &st) == 0 &&
           st.st_ino == f->fts_statp->st_ino && st.st_dev == f->fts_statp->st_dev;
}

static int add_with(struct collect *c, const char *path)
{
    char *real = realpath(path, NULL);
    char *paths[] = {real, NULL};
    struct view_file file;
    int ret = 0;
    FTSENT *f;
    FTS *fts;

    if (!real)
        return cli_error("--with %s: %s", path, strerror(errno));
    if (path[0] == '/')
        ret = replica_add(&c->replica, path, &file); /* the links on the way */
    if (ret < -1)
        ret = cli_error("--with %s: %s", path, strerror(-ret));
    fts = ret < 0 ? NULL : fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (!fts && ret >= 0)
        ret = cli_error("%s: %s", path, strerror(errno));
    c->optional = 1;
    while (ret >= 0 && (f = fts_read(fts)) != NULL) {
        if (is_output(c, f))
            (void)fts_set(fts, f, FTS_SKIP);
        else
            ret = add_tree_entry(c, f);
    }
    c->optional = 0;
    if (fts)
        (void)fts_close(fts);
    free(real);
    return ret < 0 ? -1 : 0;
}

/* ---- The command ------------------------------------------------------------------------------------- */

static int add_minimum(struct replica *r)
{
    if (replica_make_directory(r, "/etc", 0755) < 0 || replica_make_directory(r, "/tmp", 01777) < 0 ||
        replica_make_directory(r, "/root", 0700) < 0)
        return -1;
    if (replica_make_file(r, "/etc/passwd",
                          "root:x:0:0:root:/root:/bin/sh\n"
                          "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n") < 0)
        return -1;
    return replica_make_file(r, "/etc/group", "root:x:0:\nnogroup:x:65534:\n");
}

static int count_entries(const char *path, int *marked)
{
    DIR *dir = opendir(path);
    const struct dirent *d;
    int count = 0;

    *marked = 0;
    while (dir && (d = readdir(dir)) != NULL) {
        count += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
        *marked |= strcmp(d->d_name, COLLECT_MARKER) == 0;
    }
    if (!dir)
        return cli_error("%s: %s", path, strerror(errno));
    (void)closedir(dir);
    return count;
}

/* The output directory: new, empty, or of an earlier run. */
static int prepare_output(const char *path)
{
    int marked, count;

    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return cli_error("%s: %s", path, strerror(errno));
    count = count_entries(path, &marked);
    if (count > 0 && !marked)
        return cli_error("%s: not empty, and not made by 'adyton collect': choose another directory",
                         path);
    return count < 0 ? -1 : 0;
}

static int collect_one(struct collect *c, const char *name)
{
    AUTO_FREE char *absolute = NULL;
    char path[PATH_MAX], cwd[PATH_MAX];

    if (name[0] == '/')
        return add_program(c, name, 0);
    if (!strchr(name, '/')) {
        if (find_in_path(name, path) < 0)
            return cli_error("%s: not found in PATH", name);
        return add_program(c, path, 0);
    }
    if (!getcwd(cwd, sizeof(cwd)) || asprintf(&absolute, "%s/%s", cwd, name) < 0)
        return cli_error("%s: %s", name, strerror(errno));
    return add_program(c, absolute, 0);
}

static int collect_all(struct collect *c, char **programs, const struct string_list *with)
{
    if (replica_make_file(&c->replica, "/" COLLECT_MARKER, "made by adyton collect\n") < 0)
        return -1;
    for (; *programs; programs++)
        if (collect_one(c, *programs) < 0)
            return -1;
    for (size_t i = 0; i < with->count; i++)
        if (add_with(c, with->items[i]) < 0)
            return -1;
    return add_minimum(&c->replica);
}

static int collect(const char *output, char **programs, const struct string_list *with)
{
    struct collect c = {.optional = 0};
    int ret;

    if (prepare_output(output) < 0)
        return -1;
    ret = replica_open(&c.replica, output);
    if (ret == 0)
        ret = collect_all(&c, programs, with);
    replica_close(&c.replica);
    return ret < 0 || c.missing ? -1 : 0;
}

int cmd_collect(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"with", required_argument, NULL, 'w'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct string_list with = {NULL, 0};
    const char *output = NULL;
    int option, ret;

    while ((option = getopt_long(argc, argv, "o:w:h", options, NULL)) != -1) {
        if (option == 'o')
            output = optarg;
        else if (option == 'h')
            return cli_help(g_help);
        else if (option != 'w')
            return cli_usage("collect", NULL);
        else if (strings_add(&with, optarg) < 0)
            return HOST_EXIT_ERROR;
    }
    if (!output)
        ret = cli_usage("collect", "where to? -o DIR is missing");
    else if (optind == argc && with.count == 0)
        ret = cli_usage("collect", "which programs?");
    else
        ret = collect(output, argv + optind, &with) == 0 ? 0 : HOST_EXIT_ERROR;
    strings_clear(&with);
    return ret;
}
