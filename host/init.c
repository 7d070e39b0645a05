/* SPDX-License-Identifier: MIT */
/*
 * Preparing the process. The enclave's range [0, 2^46) must hold no memory of this process. Linux maps from the top down,
 * far above it, unless the stack is unlimited: then from a third of the address space up, into it.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "fds.h"
#include "internal.h"
#include "layout.h"

#define STACK_LIMIT  (8UL << 20)
#define AGAIN_NAME   "ADYTON_STACK_LIMITED"

/* The lowest mapping of this process; ULONG_MAX when /proc does not say. */
static unsigned long lowest_mapping(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    unsigned long start = ULONG_MAX;

    if (!f)
        return ULONG_MAX;
    if (fscanf(f, "%lx", &start) != 1)
        start = ULONG_MAX;
    (void)fclose(f);
    return start;
}

/* Starts this program again with a limited stack, once. Returns only if that cannot be done. */
static void start_again(char **argv)
{
    struct rlimit limit;

    if (getenv(AGAIN_NAME) || getrlimit(RLIMIT_STACK, &limit) < 0)
        return;
    limit.rlim_cur = STACK_LIMIT;
    if (setrlimit(RLIMIT_STACK, &limit) < 0 || setenv(AGAIN_NAME, "1", 1) < 0)
        return;
    (void)execv("/proc/self/exe", argv);
}

static int clear_range(char **argv)
{
    unsigned long start = lowest_mapping();

    if (start >= ENCLAVE_END)
        return 0;
    if (argv)
        start_again(argv);
    host_error("this process has memory at 0x%lx, inside the enclave's range: set a stack limit "
               "(ulimit -s 8192) and start again",
               start);
    return -EEXIST;
}

int host_init(char **argv)
{
    static int done;
    int ret;

    if (done)
        return 0;
    ret = clear_range(argv); /* first: what is closed must still be closed when it starts again */
    if (ret < 0)
        return ret;
    ret = fds_reserve();
    if (ret < 0) {
        host_error("cannot open /dev/null: %s", strerror(-ret));
        return ret;
    }
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
    done = 1;
    return 0;
}
