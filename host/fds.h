/* SPDX-License-Identifier: MIT */
/*
 * Host descriptors 0, 1 and 2: which of them the user gave. host_reserve_fds()
 * (host.h) keeps the runtime's own away from them.
 */
#ifndef HOST_FDS_H
#define HOST_FDS_H

/* True for a descriptor that the enclave may name. */
int fds_granted(int fd);

#endif
