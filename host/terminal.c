/* SPDX-License-Identifier: MIT */
/*
 * The host's terminal: requests passed through from an allow-list, and its settings given back at the
 * end, also when the enclave stops for a broken invariant.
 *
 * Requests that inject input (TIOCSTI), take over a terminal or reach a driver are not on the list.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "fds.h"
#include "hostcall_dispatch.h"
#include "internal.h"

#define KERNEL_TERMIOS_SIZE  36 /* struct termios of the uAPI, not libc's */
#define KERNEL_TERMIOS2_SIZE 44

/* Of the uAPI's structure libc has only the name, in the requests' numbers. */
struct termios2 {
    uint8_t bytes[KERNEL_TERMIOS2_SIZE];
};

struct terminal_request {
    unsigned request;
    unsigned size; /* of the argument; 0: an int passed by value, of which `arg` holds the bytes */
    int sets;      /* changes what terminal_restore() gives back */
};

static const struct terminal_request g_requests[] = {
    {TCGETS, KERNEL_TERMIOS_SIZE, 0},    {TCSETS, KERNEL_TERMIOS_SIZE, 1},
    {TCSETSW, KERNEL_TERMIOS_SIZE, 1},   {TCSETSF, KERNEL_TERMIOS_SIZE, 1},
    {TCGETS2, KERNEL_TERMIOS2_SIZE, 0},  {TCSETS2, KERNEL_TERMIOS2_SIZE, 1},
    {TCSETSW2, KERNEL_TERMIOS2_SIZE, 1}, {TCSETSF2, KERNEL_TERMIOS2_SIZE, 1},
    {TIOCGWINSZ, 8, 0},                  {TIOCSWINSZ, 8, 0},
    {TIOCGPGRP, 4, 0},                   {TIOCSPGRP, 4, 0},
    {TIOCGSID, 4, 0},                    {TIOCOUTQ, 4, 0},
    {FIONREAD, 4, 0},                    {TCFLSH, 0, 0},
    {TCSBRK, 0, 0},                      {TCSBRKP, 0, 0},
    {TCXONC, 0, 0},
};

static const struct terminal_request *find_request(unsigned request)
{
    for (size_t i = 0; i < sizeof(g_requests) / sizeof(g_requests[0]); i++)
        if (g_requests[i].request == request)
            return &g_requests[i];
    return NULL;
}

/* Before the first change: remember how the user had it. */
static void save_settings(struct host_process *process, int fd)
{
    if (atomic_load(&process->termios_saved) & (1U << fd))
        return;
    if (tcgetattr(fd, &process->saved_termios[fd]) == 0)
        atomic_fetch_or(&process->termios_saved, 1U << fd);
}

int64_t host_ioctl(struct host_context *ctx, int32_t fd, uint32_t request, uint64_t size, void *arg)
{
    const struct terminal_request *known = find_request(request);
    long argument = (long)arg;
    int value = 0;
    int ret;

    if (!fds_granted(fd))
        return -EBADF;
    if (!known)
        return -ENOTTY;
    if (size < known->size)
        return -EINVAL;
    if (known->size == 0) {
        memcpy(&value, arg, size < sizeof(value) ? size : sizeof(value));
        argument = value;
    }
    if (known->sets)
        save_settings(ctx->process, fd);
    ret = ioctl(fd, request, argument);
    return ret < 0 ? -errno : ret;
}

/* A background process may set the terminal only with SIGTTOU blocked. */
static void set_quietly(int fd, const struct termios *settings)
{
    sigset_t ttou, old;

    (void)sigemptyset(&ttou);
    (void)sigaddset(&ttou, SIGTTOU);
    (void)pthread_sigmask(SIG_BLOCK, &ttou, &old);
    (void)tcsetattr(fd, TCSADRAIN, settings);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void terminal_restore(struct host_process *process)
{
    unsigned saved = atomic_exchange(&process->termios_saved, 0);

    for (int fd = 0; fd < HOST_FD_COUNT; fd++)
        if (saved & (1U << fd))
            set_quietly(fd, &process->saved_termios[fd]);
}

static int in_foreground(int fd)
{
    return tcgetpgrp(fd) == getpgrp();
}

/*
 * The enclave's first process stopped: so does this one, with the terminal as the user had it. Continued in
 * the background it leaves the terminal to whoever has it.
 */
int64_t host_stop(struct host_context *ctx, int32_t sig)
{
    struct host_process *process = ctx->process;
    unsigned saved = atomic_load(&process->termios_saved);
    struct termios now[HOST_FD_COUNT];
    int ret;

    for (int fd = 0; fd < HOST_FD_COUNT; fd++) {
        if (!(saved & (1U << fd)))
            continue;
        if (tcgetattr(fd, &now[fd]) < 0)
            saved &= ~(1U << fd);
        else
            set_quietly(fd, &process->saved_termios[fd]);
    }
    ret = signals_stop(process, sig);
    for (int fd = 0; fd < HOST_FD_COUNT; fd++)
        if ((saved & (1U << fd)) && in_foreground(fd))
            set_quietly(fd, &now[fd]);
    return ret;
}
