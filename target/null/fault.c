/* SPDX-License-Identifier: MIT */
/*
 * The exception table in a plain process: a fault at an address that __ex_table knows goes on at
 * its fixup, as trap_kernel() does it inside; any other goes to whoever handled faults before.
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

void null_catch_faults(void);

struct exception_entry {
    uintptr_t fault, fixup;
};

/* The linker makes these from the section's name. */
extern const struct exception_entry __start___ex_table[], __stop___ex_table[];

static struct sigaction g_previous[NSIG];

static void on_fault(int sig, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

    (void)info;
    for (const struct exception_entry *e = __start___ex_table; e < __stop___ex_table; e++) {
        if (e->fault == (uintptr_t)*rip) {
            *rip = (greg_t)e->fixup;
            return;
        }
    }
    sigaction(sig, &g_previous[sig], NULL); /* the fault comes again, to its handler */
}

void null_catch_faults(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigaction(SIGSEGV, &action, &g_previous[SIGSEGV]);
    sigaction(SIGBUS, &action, &g_previous[SIGBUS]);
}
