/* SPDX-License-Identifier: MIT */
/* What the kernel writes into a process' copy of the vDSO before it runs. */
#ifndef LOADER_VDSO_PARAMS_H
#define LOADER_VDSO_PARAMS_H

#ifndef __ASSEMBLER__
#include <stdint.h>

struct vdso_data;

struct vdso_params {
    const struct vdso_data *data; /* the clock's page; NULL: ask the kernel */
    uint64_t cpu_count;           /* processors the program may see */
};

_Static_assert(sizeof(struct vdso_params) == 16, "vdso/restorer.S reserves as much");
#endif
#endif
