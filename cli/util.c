/* SPDX-License-Identifier: MIT */
/* Messages, sizes, cleanup. See cli.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

#define LINE_MAX_SIZE 8192

void cli_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

void cli_free(void *pointer)
{
    free(*(void **)pointer);
}

/* One line, whatever bytes the names in it hold. */
static void print_line(const char *prefix, const char *format, va_list ap)
{
    char text[LINE_MAX_SIZE];

    (void)vsnprintf(text, sizeof(text), format, ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    (void)fprintf(stderr, "%s: %s\n", prefix, text);
}

int cli_error(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_line("adyton", format, ap);
    va_end(ap);
    return -1;
}

int cli_usage(const char *command, const char *format, ...)
{
    char prefix[64];
    va_list ap;

    (void)snprintf(prefix, sizeof(prefix), "adyton%s%s", command[0] ? " " : "", command);
    if (format) {
        va_start(ap, format);
        print_line(prefix, format, ap);
        va_end(ap);
    }
    (void)fprintf(stderr, "Try '%s --help'.\n", prefix);
    return HOST_EXIT_ERROR;
}

int cli_no_memory(void)
{
    return cli_error("out of memory");
}

int cli_help(const char *text)
{
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0) {
        (void)cli_error("cannot write to standard output: %s", strerror(errno));
        return HOST_EXIT_ERROR;
    }
    return 0;
}

static int size_shift(char unit)
{
    switch (unit | 0x20) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    case 't':
        return 40;
    }
    return -1;
}

int cli_parse_size(const char *text, uint64_t *size)
{
    unsigned long long value;
    int shift = 0;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (*end != '\0')
        shift = size_shift(*end++);
    if (errno != 0 || shift < 0 || *end != '\0' || value > UINT64_MAX >> shift)
        return -1;
    *size = (uint64_t)value << shift;
    return 0;
}

const char *cli_size_text(uint64_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    static char texts[4][32];
    static unsigned next;
    char *text = texts[next++ % 4];
    double value = (double)size;
    unsigned unit = 0;

    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    (void)snprintf(text, sizeof(texts[0]), "%.*f %s", unit && value < 100 ? 1 : 0, value,
                   units[unit]);
    return text;
}
