/* SPDX-License-Identifier: MIT */
/*
 * Catching a fault in the middle of an expression: FAULT(*p = 1) is 0, or the signal, with the rest in
 * g_fault. fault_catch() installs the handler.
 */
#ifndef FAULT_H
#define FAULT_H

#include <setjmp.h>
#include <signal.h>

static struct fault {
    sigjmp_buf jump;
    volatile int sig, code;
    char *volatile address;
} g_fault;

#define FAULT(expression)                                                                          \
    ({                                                                                             \
        g_fault.sig = 0;                                                                           \
        if (!sigsetjmp(g_fault.jump, 1)) {                                                         \
            expression;                                                                            \
        }                                                                                          \
        g_fault.sig;                                                                               \
    })

static inline void fault_handler(int sig, siginfo_t *info, void *context)
{
    (void)context;
    g_fault.sig = sig;
    g_fault.code = info->si_code;
    g_fault.address = info->si_addr;
    siglongjmp(g_fault.jump, 1);
}

static inline void fault_catch(int sig)
{
    struct sigaction sa = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigaction(sig, &sa, NULL);
}

/* One access each, that the compiler may not drop. */
static inline int peek(const volatile void *p)
{
    return *(const volatile char *)p;
}

static inline void poke(volatile void *p)
{
    *(volatile char *)p = 1;
}

#endif
