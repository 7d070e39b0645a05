/* SPDX-License-Identifier: MIT */
/* Children of guest tests: their standard output is flushed before, so that nothing is printed twice. */
#ifndef GUEST_CHILDREN_H
#define GUEST_CHILDREN_H

#include "guest.h"
#include <sys/wait.h>
#include <unistd.h>

static inline pid_t start(void)
{
    fflush(stdout);
    return fork();
}

/* The exit status, or 1000 and the wait status of who did not exit. */
static inline int child_status(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

#endif
