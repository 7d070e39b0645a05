/* SPDX-License-Identifier: MIT */
/* uname(2)'s names: what this kernel says it is (proc/uname.c). */
#ifndef KERNEL_UTS_H
#define KERNEL_UTS_H

#include <kernel/types.h>

#define UTS_RELEASE "6.1.0-adyton"
#define UTS_VERSION "#1 SMP PREEMPT_DYNAMIC Adyton"
#define UTS_NODE_MAX 64

/* Copies the current node name with its NUL. */
void uts_node_name(char buf[UTS_NODE_MAX + 1]);

/* sethostname(2) with a kernel string, for boot; longer names are cut. */
void uts_set_node_name(const char *name, size_t size);

#endif
