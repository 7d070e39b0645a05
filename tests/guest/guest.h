/* SPDX-License-Identifier: MIT */
/*
 * Helpers of guest tests: CHECK reports where and why, and goes on; the exit status tells whether all
 * held. Output must not depend on addresses, times or ids, since native and inside are compared.
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int g_guest_failures;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("%s:%d: %s is false (errno %d %s)\n", __BASE_FILE__, __LINE__, #cond, errno,    \
                   strerror(errno));                                                               \
            g_guest_failures++;                                                                    \
        }                                                                                          \
    } while (0)

/* The call must fail with this errno. */
#define CHECK_ERRNO(expr, err)                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long ce_ = (long)(expr);                                                                   \
        if (ce_ != -1 || errno != (err)) {                                                         \
            printf("%s:%d: %s gives %ld, errno %d (%s), not %s\n", __BASE_FILE__, __LINE__, #expr, \
                   ce_, errno, strerror(errno), #err);                                             \
            g_guest_failures++;                                                                    \
        }                                                                                          \
    } while (0)

static inline int guest_done(void)
{
    printf("%s\n", g_guest_failures ? "FAILED" : "ok");
    return g_guest_failures ? 1 : 0;
}

#endif
