/* SPDX-License-Identifier: MIT */
/* adyton: finds the subcommand. Each is a file of its own, cmd_NAME.c. */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "nearest.h"
#include "version.h"

static const char g_help[] =
    "Usage: adyton COMMAND [OPTION...] [ARGUMENT...]\n"
    "Runs unmodified Linux programs inside an SGX enclave, or inside a simulated one.\n"
    "\n"
    "  run      run a program\n"
    "  collect  gather programs of this machine and what they need into a directory\n"
    "  check    say what a program would miss\n"
    "  mkcpio   make an archive of a directory, prepared for fast and verified starts\n"
    "  excpio   unpack an archive\n"
    "  measure  print an enclave's identity and what went into it\n"
    "  gdb      debug a program in the simulator\n"
    "\n"
    "'adyton COMMAND --help' explains each. 'adyton --version' prints the version.\n"
    "\n"
    "Example:\n"
    "  adyton collect -o root /usr/bin/python3.11 --with /usr/lib/python3.11\n"
    "  adyton run root /usr/bin/python3.11 -c 'print(\"inside\")'\n";

static const struct command {
    char name[8];
    const char *title; /* argv[0] */
    int (*run)(int argc, char **argv);
} g_commands[] = {
    {"run", "adyton run", cmd_run},
    {"collect", "adyton collect", cmd_collect},
    {"check", "adyton check", cmd_check},
    {"mkcpio", "adyton mkcpio", cmd_mkcpio},
    {"excpio", "adyton excpio", cmd_excpio},
    {"measure", "adyton measure", cmd_measure},
    {"gdb", "adyton gdb", cmd_gdb},
};
#define COMMAND_COUNT (sizeof(g_commands) / sizeof(g_commands[0]))

static int unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    const char *near;

    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = g_commands[i].name;
    near = nearest_name(name, names, COMMAND_COUNT);
    if (near)
        return cli_usage("", "there is no command '%s'; did you mean '%s'?", name, near);
    return cli_usage("", "there is no command '%s'", name);
}

int main(int argc, char **argv)
{
    if (host_init(argv) < 0)
        return HOST_EXIT_ERROR;
    if (argc < 2)
        return cli_usage("", "which command?");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return cli_help(g_help);
    if (strcmp(argv[1], "--version") == 0)
        return cli_help("adyton " ADYTON_VERSION "\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], g_commands[i].name) == 0) {
            argv[1] = (char *)g_commands[i].title;
            return g_commands[i].run(argc - 1, argv + 1);
        }
    }
    return unknown_command(argv[1]);
}
