/* SPDX-License-Identifier: MIT */
/* See fds.h. The state is set once at start, before there are threads. */
#include "fds.h"
#include <errno.h>
#include <fcntl.h>

#define STANDARD_COUNT 3

static unsigned g_granted; /* bit per descriptor */

int fds_reserve(void)
{
    for (int fd = 0; fd < STANDARD_COUNT; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            g_granted |= 1U << fd;
            continue;
        }
        /* The lowest free descriptor is this one, as all below are open. */
        if (open("/dev/null", O_RDWR) != fd)
            return -errno;
    }
    return 0;
}

int fds_granted(int fd)
{
    return fd >= 0 && fd < STANDARD_COUNT && (g_granted & (1U << fd));
}
