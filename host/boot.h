/* SPDX-License-Identifier: MIT */
/* What the host tells the enclave at boot: struct boot_info and what it points to. */
#ifndef HOST_BOOT_H
#define HOST_BOOT_H

struct host_process;

/* Maps the root image and copies the strings. 0, or -errno after one line on stderr. */
int boot_prepare(struct host_process *process);

/* Right before the first entry: clocks, the TSC's rate, the start's phases. */
void boot_set_times(struct host_process *process);

void boot_free(struct host_process *process);

#endif
