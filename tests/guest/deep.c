/* SPDX-License-Identifier: MIT */
/*
 * Programs that run one after the other in the same place use their stacks to different depths: what one left there
 * is nothing to the next.
 */
#include <spawn.h>
#include <stdlib.h>
#include "children.h"

extern char **environ;

#define FRAME 3000

/* Fills a frame a level, and looks at each again on the way back. */
__attribute__((noinline)) static int dive(int levels, int salt)
{
    volatile unsigned char frame[FRAME];
    int good;

    for (int i = 0; i < FRAME; i += 50)
        frame[i] = (unsigned char)(levels + salt + i);
    good = levels ? dive(levels - 1, salt) : 1;
    for (int i = 0; i < FRAME; i += 50)
        good &= frame[i] == (unsigned char)(levels + salt + i);
    return good;
}

static int run(const char *levels, const char *salt)
{
    char *argv[] = {"deep", (char *)levels, (char *)salt, NULL};
    pid_t pid;

    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ))
        return -1;
    return child_status(pid);
}

/* As deep as it says, then a child that goes as deep while its parent's stack must stay as it is. */
static int program(int levels, int salt)
{
    pid_t pid;

    if (!dive(levels, salt))
        return 1;
    pid = start();
    if (pid == 0)
        _exit(dive(levels, salt + 1) ? 7 : 2);
    if (!dive(levels, salt + 2))
        return 3;
    return child_status(pid) == 7 ? 7 : 4;
}

int main(int argc, char **argv)
{
    static const char *const levels[] = {"100", "200", "30", "300", "10", "290"};

    if (argc > 2)
        return program(atoi(argv[1]), atoi(argv[2]));
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        int status = run(levels[i], "5");

        if (status != 7)
            printf("%s levels: %d\n", levels[i], status);
        CHECK(status == 7);
    }
    return guest_done();
}
