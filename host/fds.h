/* SPDX-License-Identifier: MIT */
/*
 * Host descriptors 0, 1 and 2: which of them the user gave, and keeping the runtime's own away.
 */
#ifndef HOST_FDS_H
#define HOST_FDS_H

/*
 * Puts /dev/null on each closed one of 0, 1 and 2 and remembers which were open. Once, before anything
 * is opened. 0 or -errno.
 */
int fds_reserve(void);

/* True for a descriptor that the enclave may name. */
int fds_granted(int fd);

#endif
