/* SPDX-License-Identifier: MIT */
/* See fds.h. The state is set once at start, before there are threads. */
#include "fds.h"
#include <errno.h>
#include <fcntl.h>
#include "host.h"

#define STANDARD_COUNT 3

static int g_reserved;
static unsigned g_granted; /* bit per descriptor */

int host_reserve_fds(void)
{
    if (g_reserved)
        return 0;
    for (int fd = 0; fd < STANDARD_COUNT; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            g_granted |= 1U << fd;
            continue;
        }
        /* The lowest free descriptor is this one, as all below are open. */
        if (open("/dev/null", O_RDWR) != fd)
            return -errno;
    }
    g_reserved = 1;
    return 0;
}

int fds_granted(int fd)
{
    return fd >= 0 && fd < STANDARD_COUNT && (g_granted & (1U << fd));
}
