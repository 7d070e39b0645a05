/* SPDX-License-Identifier: MIT */
/*
 * What the subcommands share. A subcommand's main gets an argv whose first word is "adyton NAME"
 * (getopt(3) prints it) and returns an exit status. Functions that fail print one line and return
 * -1, unless their comment says otherwise.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>
#include <stdint.h>
#include "host.h"

#define AUTO_CLOSE __attribute__((cleanup(cli_close)))
#define AUTO_FREE  __attribute__((cleanup(cli_free)))

void cli_close(int *fd);
void cli_free(void *pointer); /* of a pointer variable */

/* "adyton: ..." on stderr. Returns -1. */
int cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The message if any, then where to find help. Returns HOST_EXIT_ERROR. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* After malloc(3) failed. Returns -1. */
int cli_no_memory(void);

/* Prints help; a failing stdout is an error. Returns the exit status. */
int cli_help(const char *text);

/* Bytes with an optional k, m, g or t (powers of 1,024). 0, or -1 without a message. */
int cli_parse_size(const char *text, uint64_t *size);

/* "1.5 GiB" into a buffer that the next four calls leave alone. */
const char *cli_size_text(uint64_t size);

int cmd_run(int argc, char **argv);
int cmd_collect(int argc, char **argv);
int cmd_mkcpio(int argc, char **argv);
int cmd_excpio(int argc, char **argv);
int cmd_measure(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_gdb(int argc, char **argv);

#endif
