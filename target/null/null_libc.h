/* SPDX-License-Identifier: MIT */
/*
 * What target/null takes from libc. libc's headers and the kernel's define some types twice, so the
 * two meet only here, in plain types. Results are 0 or positive, or -errno.
 */
#ifndef TARGET_NULL_NULL_LIBC_H
#define TARGET_NULL_NULL_LIBC_H

#include <stddef.h>
#include <stdint.h>

struct pollfd;

int null_libc_map(uintptr_t va, size_t size, unsigned prot); /* exactly there, or -ENOMEM */
int null_libc_protect(uintptr_t va, size_t size, unsigned prot);
int null_libc_unmap(uintptr_t va, size_t size);

int null_libc_event(void);
void null_libc_event_set(int event);
void null_libc_event_clear(int event);
int null_libc_poll(struct pollfd *fds, unsigned count, uint64_t deadline_ns);
void null_libc_yield(void);

long null_libc_read(int fd, void *buf, size_t size);
long null_libc_write(int fd, const void *buf, size_t size);
void null_libc_clock(uint64_t *realtime_ns, uint64_t *monotonic_ns);

void null_libc_print(const char *text); /* to stderr */
void null_libc_log(const char *text);   /* likewise, when NULL_LOG is set in the environment */
_Noreturn void null_libc_exit(int status);
_Noreturn void null_libc_abort(void);

#endif
